"""A loss that is not built in, for the tests of training."""


class Python:
    """A loss as a user would write one, here around a built-in."""

    def __init__(self, loss):
        self.loss, self.reduction = loss, loss.reduction

    def value_and_grad(self, y_pred, y):
        return self.loss.value_and_grad(y_pred, y)


class Weighted:
    """A loss as a user would write one that takes weights, here around a built-in."""

    def __init__(self, loss):
        self.loss, self.reduction = loss, loss.reduction

    def value_and_grad(self, y_pred, y, sample_weight=None):
        return self.loss.value_and_grad(y_pred, y, sample_weight)
