"""What the README and the package's own docstring show works, and prints what they say."""

import doctest
import re
from pathlib import Path

import fastnn

README = Path(__file__).parents[1] / "README.md"


def test_the_example_in_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    accuracy, labels = capsys.readouterr().out.split("\n", 1)
    assert float(accuracy) > 0.9
    assert labels.strip() == "[0 1 2]"


def test_the_docstring_of_the_package():
    results = doctest.testmod(fastnn)
    assert results.attempted > 3
    assert results.failed == 0
