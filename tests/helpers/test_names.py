"""Names of parametrized tests."""

import re


def name_of(value):
    """Return the text of a value without addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))
