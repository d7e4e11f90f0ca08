"""The pages of the documentation, and the parts of one: blocks of code, sections, anchors."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
COURSE = [f"docs/learn/{path.name}" for path in sorted((ROOT / "docs" / "learn").glob("[0-9]*.md"))]
COURSE += ["docs/learn/README.md", "docs/playground/README.md", "docs/howto/README.md"]
HOWTO, EXPLANATION = (
    [f"docs/{folder}/{path.name}" for path in sorted((ROOT / "docs" / folder).glob("[a-z]*.md"))]
    for folder in ("howto", "explanation")
)
PAGES = {
    "README.md": ROOT / "README.md",
    "CONTRIBUTING.md": ROOT / "CONTRIBUTING.md",
    "CHANGELOG.md": ROOT / "CHANGELOG.md",
    "SECURITY.md": ROOT / "SECURITY.md",
    **{f"docs/{name}": ROOT / "docs" / name for name in GUIDE},
    **{name: ROOT / name for name in COURSE + HOWTO + EXPLANATION},
}


@dataclass(frozen=True)
class Block:
    """A block of code: its page, the heading above it, its place among the heading's blocks."""

    page: str
    heading: str
    number: int
    language: str
    code: str


def blocks_of(page):
    """Return all blocks of code on a page."""
    found, heading, number, language, lines = [], "", 0, None, []
    for line in PAGES[page].read_text(encoding="utf-8").splitlines(keepends=True):
        if language is None and line.startswith("```"):
            language, lines = line[3:].strip(), []
        elif line.startswith("```"):
            found.append(Block(page, heading, number, language, "".join(lines)))
            language, number = None, number + 1
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading, number = line.strip("# \n"), 0
    assert language is None, f"{page}: a block has no end"
    return found


def section(page, heading):
    """Return the text between a heading and the next one."""
    text = PAGES[page].read_text(encoding="utf-8")
    (found,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.M | re.S)
    return found


def anchors(path):
    """The names that links use for the headings of a page."""
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    }


def numbers(text):
    """All numbers in a text: decimals, fractions with a stroke, and the characters ¼ ½ ¾."""
    for character, decimal in (("¼", "0.25"), ("½", "0.5"), ("¾", "0.75")):
        text = text.replace(character, decimal)
    return [float(Fraction(number)) for number in re.findall(r"-?\d+/\d+|-?\d+\.?\d*", text)]
