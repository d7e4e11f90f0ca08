"""Text from files, made safe to show."""


def printable(text: str) -> str:
    r"""Escape what a terminal would not show but obey, as "\x1b" for the escape character."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
