"""The progress bar of a fit."""

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any


def is_watched() -> bool:
    """Whether a person can watch a progress bar: in a terminal or in a notebook."""
    return in_terminal() or in_notebook()


def in_terminal() -> bool:
    """Whether standard error is a terminal, which can show a progress bar."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # standard error is None, another object, or closed
        return False


def in_notebook() -> bool:
    """Whether this is the kernel of a Jupyter notebook. `tqdm.auto` has the same rule."""
    try:
        shell = sys.modules["IPython"].get_ipython()
        return "IPKernelApp" in shell.config
    except (KeyError, AttributeError, TypeError):  # no IPython, or no running shell
        return False


def progress_bar(
    epochs: int, n: int, trainer: Any
) -> Callable[[Any, dict[str, list[float]]], None]:
    """Return a function that shows a trainer's progress, and closes the bar if called with None.

    `n` is the number of samples in an epoch, or 0 if it is unknown: the bar then estimates no
    remaining time.
    """
    if "tqdm.auto" not in sys.modules:  # threads that change the filters at once may leave them so
        with warnings.catch_warnings():
            # Without ipywidgets, tqdm warns and draws the bar as text.
            warnings.simplefilter("ignore")
            importlib.import_module("tqdm.auto")
    from tqdm.auto import tqdm

    done = trainer.epoch * n + trainer.position
    bar = tqdm(total=epochs * n or None, initial=done, unit="sample", unit_scale=True)

    def show(trainer: Any, columns: dict[str, list[float]]) -> None:
        if trainer is None:
            bar.close()
            return
        latest = {"loss": trainer.running_loss} | {name: c[-1] for name, c in columns.items()}
        bar.set_description(f"epoch {min(trainer.epoch + 1, epochs)}/{epochs}", refresh=False)
        bar.set_postfix({name: f"{value:.4g}" for name, value in latest.items()}, refresh=False)
        bar.update(max(trainer.epoch * n + trainer.position - bar.n, 0))

    return show
