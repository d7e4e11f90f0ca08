"""What do a loss and a gradient of your own cost? Steps with them, beside the engine alone."""

import numpy as np

import fastnn as fn
from bench.common import Measured, Record, demand_agreement, measure, repeat

CASES = [((64, 32, 10), 32), ((2, 8, 1), 4)]
STEPS = 100  # in an epoch


class SquaredError:
    """MeanSquaredError, written with NumPy."""

    def value_and_grad(self, y_pred, y):
        error = y_pred - y
        return float(np.vdot(error, error)) / error.size, error * np.float32(2 / error.size)


class Work:
    """A network and its data."""

    def __init__(self, widths, batch_size):
        rng = np.random.default_rng(0)
        n_in, hidden, n_out = widths
        layers = [fn.Linear(n_in, hidden), fn.ReLU(), fn.Linear(hidden, n_out)]
        self.net = fn.Network(layers, seed=0)
        self.start, self.batch_size = self.net.params.copy(), batch_size
        self.X = rng.standard_normal((STEPS * batch_size, n_in)).astype(np.float32)
        self.y = rng.standard_normal((STEPS * batch_size, n_out)).astype(np.float32)

    def fit(self, loss, epochs):
        """Return the least seconds of an epoch, and the parameters."""
        self.net.params = self.start
        settings = {"batch_size": self.batch_size, "seed": 0, "progress": False, "n_threads": 1}
        history = self.net.fit(
            self.X, self.y, loss=loss, optimizer=fn.SGD(0.001), epochs=epochs, **settings
        )
        return min(history["seconds"]), self.net.params.copy()


def losses(work, settings):
    """Return the µs of a step with a loss in Python, and of its parts."""
    epochs, rounds = (1, 1) if settings.quick else (100, 10)
    own, built_in = SquaredError(), fn.MeanSquaredError()
    least = {own: np.inf, built_in: np.inf}
    for _ in range(rounds):
        ends = []
        for loss in least:
            seconds, params = work.fit(loss, epochs)
            least[loss] = min(least[loss], seconds * (1e6 / STEPS))
            ends.append(params)
        demand_agreement("the own loss", *ends, 1e-3)
    y = work.y[: work.batch_size].copy()
    outputs = work.net.predict(work.X[: work.batch_size])
    call = {"NumPy": lambda times: repeat(lambda: own.value_and_grad(outputs, y), times)}
    numpy = measure(call, 0.0005, 500, settings.quick)["NumPy"] * 1e6
    found = {"own loss": Measured(least[own]), "built in": Measured(least[built_in])}
    return {**found, "NumPy alone": Measured(numpy.minimum)}


def steps(net, optimizer, settings):
    """Return the µs of a step with a gradient that is given, and of its part in the engine."""
    gradient = np.ones(net.n_params, np.float32)
    net.step(gradient, optimizer)
    ready = net._steps
    state, (rate, decay) = ready.state, ready.rows[0]

    def in_the_engine():
        ready.engine.take(gradient, rate, decay, ready.segments, state, state.missed, None, 1)

    works = {
        "net.step": lambda times: repeat(lambda: net.step(gradient, optimizer), times),
        "in the engine": lambda times: repeat(in_the_engine, times),
    }
    times = measure(works, 0.0005, 500, settings.quick)
    return {name: time * 1e6 for name, time in times.items()}


def run(settings):
    for widths, batch_size in CASES[1:] if settings.quick else CASES:
        work, label = Work(widths, batch_size), "-".join(map(str, widths))
        found = losses(work, settings)
        total, *parts = (result.minimum for result in found.values())
        note = f"{total - sum(parts):.1f} µs beside NumPy and the engine"
        yield Record(f"{label}, {batch_size}: fit, own loss", "µs a step", found, note=note)
        for optimizer in (fn.SGD(1e-9), fn.Adam(1e-9)):
            case = f"{label}: step, {type(optimizer).__name__}"
            yield Record(case, "µs", steps(work.net, optimizer, settings))
