"""The progress bar of a fit."""

import sys
from collections.abc import Callable
from typing import Any


def in_terminal() -> bool:
    """Whether standard error is a terminal, which can show a progress bar."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # standard error is None, another object, or closed
        return False


def progress_bar(
    epochs: int, n_samples: int | None, trainer: Any
) -> Callable[[Any, dict[str, list[float]]], None]:
    """Return a function that shows a trainer's progress, and closes the bar if called with None."""
    from tqdm import tqdm

    n = n_samples or 0  # 0 if unknown: the bar then estimates no remaining time
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
