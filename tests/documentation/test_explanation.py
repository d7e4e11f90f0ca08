"""The pages of docs/explanation: their code runs and prints what it says, their files exist."""

import re

import pytest
from pages import EXPLANATION, ROOT

PAGES = [ROOT / name for name in EXPLANATION]
CORE = ROOT / "fastnn" / "_core"
PLACES = (ROOT, ROOT / "fastnn", CORE, CORE / "engine", CORE / "kernels")
FILE = re.compile(r"`([\w./-]+\.(?:py|pyx|pxd|pxi|h))`")

each_page = pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])


def test_there_are_pages():
    assert PAGES


@each_page
def test_the_code_prints_what_the_page_says(page, capsys):
    """The blocks of a page are one program. Each `print` has its output behind it."""
    code = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    assert code
    program = "".join(code)
    expected = re.findall(r"^print\(.*\)  # (.*)$", program, re.M)
    assert len(expected) == program.count("print(") > 0
    exec(compile(program, str(page), "exec"), {})
    assert capsys.readouterr().out.splitlines() == expected


@each_page
def test_the_files_that_a_page_names_exist(page):
    named = set(FILE.findall(page.read_text(encoding="utf-8")))
    assert named
    missing = {name for name in named if not any((place / name).is_file() for place in PLACES)}
    assert not missing


@each_page
def test_a_page_is_short(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert 50 <= len(lines) <= 110
    assert max(map(len, lines)) <= 110
