"""The imports follow the table in docs/internals.md, and no file is long."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "fastnn"

PAGE = (SOURCE.parent / "docs" / "internals.md").read_text(encoding="utf-8")


def order_of(block):
    """Return the names in a block of the page on internals, each with its place."""
    (names,) = re.findall(rf"```{block}\n(.*?)```", PAGE, re.DOTALL)
    return {name: place for place, name in enumerate(names.split())}


PLACE = order_of("layers")
KERNELS = order_of("kernels")


def module_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_modules(path):
    """Yield the names directly below fastnn that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *rest = name.split(".")
            if package == "fastnn":
                yield rest[0] if rest else "fastnn"


FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_follow_the_table(path):
    here = module_of(path)
    if here == "data":
        return
    for name in imported_modules(path):
        if here in ("cli", "__main__") and name not in PLACE:
            continue  # the command line uses the public names
        assert name in PLACE, f"{path} imports fastnn.{name}, which is not in the table"
        assert name == here or PLACE[name] < PLACE[here], f"{path} imports {name}, a later name"


def test_no_module_imports_itself_through_others():
    """Inside a folder, too, no file imports itself through others."""
    files = {".".join(p.relative_to(SOURCE).with_suffix("").parts): p for p in FILES}
    graph = {
        name: {
            target
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            for target in (node.module[7:], f"{node.module[7:]}.{alias.name}")
            if target in files and target != name
        }
        for name, path in files.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises if there is a cycle


# What may name the engine. `runtime` reports how it was built.
NAMES_ENGINE = {
    "many.py",
    "model/model.py",
    "model/second_derivatives.py",
    "sparse_model.py",
    "losses/base.py",
    "distributed/trainer.py",
    "layers/base.py",
    "segments/plan.py",
    "training/python_trainer.py",
    "training/steps.py",
    "training/stepwise.py",
    "training/trainers.py",
    "runtime.py",
}


def test_few_files_name_the_engine():
    """Every other file asks `Model`, a trainer, a loss, a layer, `many` or a check."""
    naming = {
        str(path.relative_to(SOURCE))
        for path in FILES
        if module_of(path) not in {"_core", "_checks"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and (node.attr, getattr(node.value, "id", None)) == ("engine", "_core")
    }
    assert naming == NAMES_ENGINE


@pytest.mark.parametrize("path", sorted(SOURCE.glob("_core/kernels/*.pxd")), ids=lambda p: p.stem)
def test_kernels_import_earlier_kernels(path):
    names = re.findall(
        r"^from fastnn\.(\S+) cimport", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    for name in names:
        package, _, kernel = name.rpartition(".")
        assert package == "_core.kernels"
        assert KERNELS[kernel] < KERNELS[path.stem]


def test_the_list_names_every_kernel():
    assert {path.stem for path in SOURCE.glob("_core/kernels/*.pxd")} == {*KERNELS, "__init__"}


@pytest.mark.parametrize("path", sorted(SOURCE.glob("sklearn/*.py")), ids=lambda p: p.name)
def test_estimators_use_public_names_of_the_package(path):
    """Private attributes are accessed on estimators only, and private names are not imported."""
    estimators = {"self", "cls", "super()", "estimator", "made", "BaseMLP"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("fastnn"):
            names = [*node.module.split(".")[1:], *(alias.name for alias in node.names)]
            if names[0] not in ("_checks", "_core"):
                shared = {"_checks", "_core"} if node.module == "fastnn" else set()
                assert not [name for name in names if is_private(name) and name not in shared]
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            assert owner in estimators or owner == "sys", f"{path}:{node.lineno}: {owner}"


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def test_the_table_names_every_module():
    there = {module_of(path) for path in FILES} - {"data"}
    assert there == set(PLACE)


def test_files_are_short():
    files = [path for path in SOURCE.rglob("*") if path.suffix in {".py", ".pyx", ".pxd", ".pxi"}]
    assert len(files) > 30
    long = {
        path.name: n
        for path in files
        if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long
