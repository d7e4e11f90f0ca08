"""Errors that name the file they are about."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def of_file(path: str, besides: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise each ValueError or TypeError of the block as a ValueError that begins with the path.

    An error that already begins with the path is unchanged. So are errors of the classes `besides`,
    which are not about the file.
    """
    try:
        yield
    except besides:
        raise
    except (ValueError, TypeError) as error:
        if str(error).startswith(path):
            raise
        raise ValueError(f"{path}: {error}") from error
