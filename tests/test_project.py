"""Files beside pyproject.toml repeat it faithfully, and the workflows run only what is pinned."""

import re
import tomllib
from pathlib import Path

import pytest

import fastnn as fn

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "conda" / "recipe" / "recipe.yaml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_the_recipe_for_conda_has_the_same_bounds():
    if not RECIPE.exists():
        pytest.skip("the sources are not here")
    text = RECIPE.read_text(encoding="utf-8")
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert f'version: "{fn.__version__}"' in text
    project = pyproject["project"]
    wanted = {
        "host": {"python", "pip", *pyproject["build-system"]["requires"]},
        "run": {f"python{project['requires-python']}", *project["dependencies"]},
    }
    for part, requirements in wanted.items():
        block = re.search(rf"\n  {part}:\n((?:    - .*\n)+)", text)[1]
        found = {line.strip("- ").replace(" ", "") for line in block.splitlines()}
        assert found == {requirement.lower() for requirement in requirements}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_pinned_actions_with_few_permissions(path):
    text = path.read_text(encoding="utf-8")
    for action in re.findall(r"uses: (\S.*)", text):
        pinned = re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action)
        assert pinned or action.startswith("./.github/workflows/"), action
    assert "\npermissions: {}\n" in text
    assert set(re.findall(r"(\S+): write", text)) <= {"id-token", "pages"}
    for script in re.findall(r"\.ci/\w+", text):
        assert (ROOT / script).exists(), script
