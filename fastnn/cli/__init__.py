"""The program `fastnn`: train, predict, evaluate and export without writing Python.

A trained model takes raw features. It returns logits of the classes, or targets in their own units.
The network itself scales the data, so prediction needs only the model file.
"""

from fastnn.cli.program import main

__all__ = ["main"]
