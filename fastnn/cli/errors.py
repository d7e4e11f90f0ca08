"""Errors that name the file they are about."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def of_file(path: str, besides: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Put the path in front of the message of a ValueError or TypeError that does not have it.

    Errors of the classes `besides` are not about the file, and pass unchanged.
    """
    try:
        yield
    except besides:
        raise
    except (ValueError, TypeError) as error:
        if str(error).startswith(path):
            raise
        raise ValueError(f"{path}: {error}") from error
