"""The pages of the course run from the top, and their exercises check themselves."""

import ast
import re

import pytest
from pages import COURSE, PAGES, blocks_of

LESSONS = [page for page in COURSE if not page.endswith("README.md")]


def python_of(page):
    return [block for block in blocks_of(page) if block.language == "python"]


@pytest.mark.parametrize("page", LESSONS)
def test_a_page_runs(page, capsys):
    """All blocks run in one namespace, and print what the comments behind `print` say."""
    names = {}
    for block in python_of(page):
        exec(compile(block.code, page, "exec"), names)
        printed = re.findall(r"^print\(.*\)  # (.*)$", block.code, re.M)
        assert capsys.readouterr().out.splitlines() == printed


@pytest.mark.parametrize("page", LESSONS)
def test_a_page_has_numbers_and_two_exercises(page):
    text = PAGES[page].read_text()
    lesson, exercises = text.split("\n## Exercises\n")
    assert lesson.startswith(f"# {int(page.split('/')[-1][:2])}. ")
    assert "\nassert " in lesson
    solutions = re.findall(
        r"^<details><summary>Solution</summary>\n\n(.*?)\n\n</details>$", exercises, re.M | re.S
    )
    questions = re.findall(r"^\*\*(\d)\.\*\* ", exercises, re.M)
    assert questions == ["1", "2"]
    assert len(solutions) == exercises.count("<details>") == 2
    for solution in solutions:
        (code,) = re.findall(r"^```python\n(.*?)^```$", solution, re.M | re.S)
        assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code)))


def test_the_index_lists_every_page_and_says_what_each_shows():
    index, statements = PAGES["docs/learn/README.md"].read_text().split("\n## Where each")
    listed = re.findall(r"^\| \[\d+\. .*?\]\((\w+\.md)\) \|", index, re.M)
    assert [f"docs/learn/{name}" for name in listed] == LESSONS
    shown = re.findall(r"\[(\d+)\]\((\w+\.md)", statements)
    assert all(int(number) == int(name[:2]) for number, name in shown)
    assert {name for _, name in shown} == set(listed)
