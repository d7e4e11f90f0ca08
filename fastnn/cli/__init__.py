"""The program `fastnn`: train, predict and evaluate without writing Python.

A trained model takes raw features. It returns logits of the classes, or the target in its own
units. The network itself scales the data, so the model file is all that a user needs.
"""

from fastnn.cli.program import main

__all__ = ["main"]
