"""Print hashes of what fastnn computes, to see whether a change alters any bit.

`python -m bench.bits` prints one line for each group of results and each dtype. It uses the build
of the engine that FASTNN_ISA names, or the best one. Run it before and after a change: two versions
of the code compute the same bits if all lines are equal.
"""

import hashlib
import warnings

import numpy as np

import fastnn as fn
from fastnn import schedules

LAYERS = {
    "relu": lambda: [fn.ReLU()],
    "leaky": lambda: [fn.LeakyReLU(0.2)],
    "abs": lambda: [fn.Abs()],
    "elu": lambda: [fn.ELU(0.8)],
    "selu": lambda: [fn.SELU()],
    "gelu": lambda: [fn.GELU()],
    "silu": lambda: [fn.SiLU()],
    "softplus": lambda: [fn.Softplus()],
    "sigmoid": lambda: [fn.Sigmoid()],
    "tanh": lambda: [fn.Tanh()],
    "layer_norm": lambda: [fn.LayerNorm(20), fn.Tanh()],
    "batch_norm": lambda: [fn.BatchNorm(20), fn.ReLU()],
    "dropout": lambda: [fn.Dropout(0.2), fn.ReLU()],
    "softmax": lambda: [fn.Softmax()],
    "log_softmax": lambda: [fn.LogSoftmax()],
    "identity": lambda: [fn.Identity()],
}
SMOOTH_LOSSES = {
    "softmax": (fn.SoftmaxCrossEntropy(label_smoothing=0.1), "labels"),
    "binary": (fn.BinaryCrossEntropy(), "unit"),
    "mse": (fn.MeanSquaredError(), "normal"),
    "half": (fn.HalfSquaredError(), "normal"),
    "poisson": (fn.Poisson(), "counts"),
}
LOSSES = SMOOTH_LOSSES | {
    "mae": (fn.MeanAbsoluteError(), "normal"),
    "huber": (fn.Huber(0.5), "normal"),
    "pinball": (fn.Pinball(0.3), "normal"),
}
OPTIMIZERS = {
    "sgd": fn.SGD(0.05, momentum=0.9, nesterov=True, l1=1e-5, weight_decay=1e-4),
    "plain": fn.SGD(schedules.StepDecay(0.05, 2)),
    "adam": fn.Adam(schedules.OneCycle(0.01), weight_decay=1e-4),
    "adamw": fn.AdamW(schedules.CosineDecay(0.01), clip_norm=1.0),
    "rmsprop": fn.RMSprop(0.002, momentum=0.5, clip_value=0.1, centered=True),
}


class CustomLoss:
    """The mean squared error as a loss that is not built in."""

    reduction = "mean"

    def value_and_grad(self, y_pred, y):
        """Return the loss of a batch, and its gradient."""
        error = y_pred - y
        return float(np.mean(error**2)), 2 * error / error.size


def data(kind, n=150, width=5):
    """Return inputs of 12 columns and targets of one kind."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((n, 12))
    targets = {
        "labels": rng.integers(0, width, n),
        "unit": rng.random((n, width)),
        "normal": rng.standard_normal((n, width)),
        "counts": rng.poisson(2.0, (n, width)).astype(float),
    }
    return x, targets[kind]


def network(middle, dtype, width=5):
    """Return a network of 12 inputs with the layers `middle` in its middle."""
    layers = [fn.Linear(12, 20), *middle, fn.Linear(20, 17), fn.Tanh(), fn.Linear(17, width)]
    return fn.Network(layers, dtype=dtype, seed=5)


def fits(dtype):
    """Yield the results of training with each layer, loss and optimizer."""
    x, y = data("labels")
    for middle in LAYERS.values():
        net = network(middle(), dtype)
        history = net.fit(x, y, epochs=3, batch_size=32, seed=1)
        yield net.params, history["loss"], net.predict(x), net.predict(x[:1]), net.grads
    for loss, kind in LOSSES.values():
        x, y = data(kind)
        weights = np.linspace(0.0, 2.0, len(x))
        for given in (None, weights):
            net = network([fn.ReLU()], dtype)
            history = net.fit(
                x,
                y,
                loss=loss,
                epochs=2,
                batch_size=64,
                seed=1,
                sample_weight=given,
                validation_data=0.2,
                optimizer=fn.Adam(0.01),
            )
            yield net.params, *[c for name, c in history.items() if name != "seconds"]
    x, y = data("labels")
    for optimizer in OPTIMIZERS.values():
        single = fn.Network([fn.Linear(12, 5)], dtype=dtype, seed=1)
        for net in (network([fn.ReLU()], dtype), single):
            net.layers[0].trainable = len(net.layers) == 1
            net.fit(x, y, optimizer=optimizer, epochs=4, batch_size=7, seed=2)
            yield net.params, *net.optimizer_state.arrays.values()
    for width in (1, 2, 3, 8, 33, 64, 130):
        layers = [fn.Linear(12, width), fn.ReLU(), fn.Linear(width, 5)]
        net = fn.Network(layers, dtype=dtype, seed=1)
        net.fit(x, y, epochs=2, batch_size=50, seed=2, optimizer=fn.Adam(0.01))
        yield (net.params,)


def other_trainers(dtype):
    """Yield the results of full-batch optimizers, custom losses, iterables and `fit_many`."""
    x, y = data("normal")
    bayesian = fn.LevenbergMarquardt(bayesian=True)
    for optimizer in (fn.LBFGS(weight_decay=0.01), fn.LevenbergMarquardt(), bayesian):
        net = network([fn.Tanh()], dtype, 5)
        history = net.fit(x, y, loss=fn.HalfSquaredError("sum"), optimizer=optimizer, epochs=8)
        yield net.params, *[c for name, c in history.items() if name != "seconds"]
    net = network([fn.Tanh()], dtype)
    net.fit(x, y, loss=CustomLoss(), optimizer=fn.Adam(0.01), epochs=2, seed=1)
    yield (net.params,)
    net = network([fn.Tanh()], dtype)
    net.fit(x, y, loss=CustomLoss(), optimizer=fn.LBFGS(), epochs=5)
    yield (net.params,)
    net = network([fn.Tanh(), fn.Dropout(0.1)], dtype)
    batches = [(x[:40], y[:40]), (x[40:], y[40:])]
    net.fit(batches, loss=fn.MeanSquaredError(), optimizer=fn.AdamW(0.01), epochs=2, seed=1)
    yield (net.params,)
    nets = [network([fn.Tanh()], dtype) for _ in range(2)]
    fn.fit_many(nets, x, y, loss=fn.MeanSquaredError(), epochs=2, seed=[1, 2])
    yield [net.params for net in nets]
    net = network([fn.Tanh()], dtype)
    net.forward(x, training=True)
    yield net.backward(y), net.grads


def derivatives(dtype):
    """Yield derivatives of networks with each layer."""
    rng = np.random.default_rng(7)
    for name, middle in LAYERS.items():
        net = network(middle(), dtype)
        for kind in ("labels", "normal"):
            x, y = data(kind, 33)
            loss = fn.SoftmaxCrossEntropy() if kind == "labels" else fn.HalfSquaredError("sum")
            yield net.loss_and_grad(x, y, loss)
            if name != "batch_norm":
                yield (net.sample_grads(x, y, loss),)
        tangent = rng.standard_normal(x.shape)
        yield net.jacobian(x), net.jacobian(x[0]), net.jacobian(x[0], wrt="params")
        yield net.jvp(x, tangent), net.vjp(x, y), net.vjp(x, y, wrt="params")
        yield net.jvp(x, rng.standard_normal(net.n_params), wrt="params")
        yield net.jacobian_operator(x[0]).to_dense(), *net.value_and_jacobian(x)
        yield (net.gram(x), net.gram(x, y))
        for loss, kind in SMOOTH_LOSSES.values():
            x, y = data(kind, 9)
            v = rng.standard_normal(net.n_params)
            yield (net.hvp(x, y, loss, v),)
    x, y = data("normal", 9)
    small = fn.Network([fn.Linear(12, 3), fn.Tanh(), fn.Linear(3, 5)], dtype=dtype, seed=1)
    yield (small.hessian(x, y, fn.MeanSquaredError()),)


def estimators(dtype):
    """Yield the predictions of the estimators with each solver."""
    from fastnn.sklearn import MLPClassifier, MLPRegressor

    x, y = data("normal")
    x, y = x.astype(dtype), y.astype(dtype)
    labels = data("labels")[1]
    weights = np.linspace(0.1, 2, len(x))
    for solver in ("adam", "sgd", "lbfgs", "lm"):
        stochastic = solver in ("adam", "sgd")
        for early in (False, True) if stochastic else (False,):
            settings = {
                "hidden_layer_sizes": (9,),
                "solver": solver,
                "max_iter": 6,
                "random_state": 0,
                "early_stopping": early,
            }
            regressor = MLPRegressor(**settings).fit(x, y)
            yield regressor.predict(x), regressor.loss_curve_ if stochastic else []
            if solver != "lm":
                classifier = MLPClassifier(**settings).fit(x, labels)
                yield classifier.predict_proba(x), *classifier.coefs_
            if stochastic and not early:
                partial = MLPRegressor(**settings).partial_fit(x, y).partial_fit(x, y)
                yield (partial.predict(x),)
                warm = MLPRegressor(**settings, warm_start=True).fit(x, y).fit(x, y)
                yield (warm.predict(x),)
                weighted = MLPClassifier(**settings).fit(x, labels, sample_weight=weights)
                yield (weighted.predict_proba(x),)


def digest(results):
    """Return a hash of the bits of nested tuples and lists of arrays and numbers."""
    found = hashlib.sha256()

    def add(value):
        if isinstance(value, tuple | list):
            for part in value:
                add(part)
        elif value is not None:
            array = np.ascontiguousarray(value)
            assert array.dtype.kind in "fi", value
            found.update(array.tobytes())

    for group in results:
        add(group)
    return found.hexdigest()[:16]


def main():
    """Print the hash of each group of results."""
    warnings.simplefilter("ignore")
    print("build", fn.build_info()["isa"])
    for compute in (fits, other_trainers, derivatives, estimators):
        for dtype in ("float32", "float64"):
            print(f"{compute.__name__} {dtype} {digest(compute(dtype))}", flush=True)


if __name__ == "__main__":
    main()
