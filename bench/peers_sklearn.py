"""scikit-learn's MLPClassifier and MLPRegressor: an epoch is one `partial_fit`."""

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from bench.peers import ADAM, LEARNING_RATE, MOMENTUM


class SklearnPeer:
    """An estimator with its own minibatches and optimizers, in the dtype of the data."""

    name = "sklearn"

    def __init__(self, problem):
        # the regressor's gradient is that of half the squared error, summed over the outputs
        ratio = 1 if problem.labelled else 2 / problem.y.shape[1]
        beta1, beta2 = ADAM["betas"]
        adam = problem.optimizer == "adam"
        self.model = (MLPClassifier if problem.labelled else MLPRegressor)(
            hidden_layer_sizes=[len(b) for _, b in problem.weights[:-1]],
            activation=problem.activation,
            solver=problem.optimizer,
            alpha=0,
            batch_size=problem.batch_size,
            shuffle=False,
            momentum=MOMENTUM,
            nesterovs_momentum=False,
            beta_1=beta1,
            beta_2=beta2,
            epsilon=ADAM["eps"] / ratio,
            learning_rate_init=ADAM["learning_rate"] if adam else LEARNING_RATE * ratio,
        )
        # a regressor with one output takes flat targets
        self.X, self.y = problem.X, problem.y
        if not problem.labelled and self.y.shape[1] == 1:
            self.y = self.y.ravel()
        options = {"classes": np.arange(len(problem.weights[-1][1]))} if problem.labelled else {}
        self.model.partial_fit(self.X, self.y, **options)  # creates the arrays that are set below
        del self.model._optimizer  # drops the momentum; the next epoch creates it again
        self.model.t_ = 0
        for (weight, bias), own_weight, own_bias in zip(
            problem.weights, self.model.coefs_, self.model.intercepts_, strict=True
        ):
            own_weight[...] = weight.T
            own_bias[...] = bias

    def train(self, epochs=1):
        for _ in range(epochs):
            self.model.partial_fit(self.X, self.y)

    def params(self):
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return np.concatenate([a.ravel() for w, b in pairs for a in (w.T, b)])


PEERS = [SklearnPeer]
