"""A callback that interrupts a fit, as Ctrl-C would."""

import fastnn as fn


class StopAfter(fn.Callback):
    """Raise KeyboardInterrupt after some epochs; None never does."""

    def __init__(self, epochs=None):
        self.epochs = epochs

    def epoch_end(self, net, epoch, metrics):
        if epoch + 1 == self.epochs:
            raise KeyboardInterrupt
