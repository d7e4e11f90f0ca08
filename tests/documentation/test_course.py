"""The pages of the course run from the top, and their exercises check themselves."""

import ast
import itertools
import re

import numpy as np
import pytest
from pages import COURSE, PAGES, blocks_of, section

from fastnn import numerical_jacobian

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
    text = PAGES[page].read_text(encoding="utf-8")
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
    index, statements = (
        PAGES["docs/learn/README.md"].read_text(encoding="utf-8").split("\n## Where each")
    )
    listed = re.findall(r"^\| \[\d+\. .*?\]\((\w+\.md)\) \|", index, re.M)
    assert [f"docs/learn/{name}" for name in listed] == LESSONS
    shown = re.findall(r"\[(\d+)\]\((\w+\.md)", statements)
    assert all(int(number) == int(name[:2]) for number, name in shown)
    assert {name for _, name in shown} == set(listed)


def test_the_layout_table():
    sizes = {"n": 2, "k": 3, "m": 4, "l": 5}
    text = section("docs/learn/03_jacobians.md", "Two layouts")
    rows = re.findall(r"^\| (\w+).* by (\w+).* \| `(.*)` \| `(.*)` \|$", text, re.M)
    y_shapes = {"scalar": (), "vector": (4,), "matrix": (4, 5)}
    x_shapes = {"scalar": (), "vector": (2,), "matrix": (2, 3)}
    assert [row[:2] for row in rows] == list(itertools.product(y_shapes, x_shapes))
    for of, by, *shapes in rows:
        for layout, shape in zip(("numerator", "denominator"), shapes, strict=True):
            x, ones = np.ones(x_shapes[by]), np.ones(y_shapes[of])
            found = numerical_jacobian(lambda x, ones=ones: x.sum() * ones, x, layout=layout)
            assert found.shape == eval(shape, sizes)
