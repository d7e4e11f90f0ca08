"""Text from files, made safe for a terminal."""


def printable(text: str) -> str:
    r"""Return the text with unprintable characters escaped, such as "\x1b" for Escape."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
