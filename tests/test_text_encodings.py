"""Every text file is read and written as UTF-8, also on Windows, whose default is another."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The places of the mode and the encoding among the arguments.
PLACES = {"open": (1, 3), "fdopen": (1, 3), "read_text": (None, 0), "write_text": (None, 1)}
NOT_FILES = ("webbrowser", "os", "archive")  # their `open` takes no encoding


def argument(call, name, place):
    """Return the value of an argument as source text, or None."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == name]
    given += call.args[place : place + 1] if place is not None else []
    return ast.unparse(given[0]) if given else None


def without_encoding(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        owner = ast.unparse(node.func).rpartition(".")[0]
        name = ast.unparse(node.func).rpartition(".")[2]
        if name not in PLACES or (name == "open" and owner in NOT_FILES):
            continue
        mode, encoding = PLACES[name]
        if name == "open" and owner not in ("", "io"):  # of a Path
            mode, encoding = mode - 1, encoding - 1
        is_binary = "b" in (argument(node, "mode", mode) or "")
        if not is_binary and argument(node, "encoding", encoding) is None:
            yield node.lineno


@pytest.mark.parametrize("folder", ["fastnn", "bench", "examples", "tests"])
def test_text_files_are_utf_8(folder):
    if not (ROOT / folder).is_dir():
        pytest.skip("the sources are not here")
    found = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / folder).rglob("*.py")
        if "_core" not in path.parts  # it reads ASCII from Linux's own files
        and (lines := list(without_encoding(path)))
    }
    assert found == {}
