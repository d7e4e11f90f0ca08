"""What does each feature of training cost? A step with it, against a step of plain SGD."""

import itertools
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import fastnn as fn
from bench import peers
from bench.common import Record, interleaved
from fastnn import schedules

NETWORKS = [((64, 32, 10), 32), ((20, 128, 128, 10), 64)]
RATE = 1e-3
STEPS, EPOCHS = 100, 10


class IdleCallback(fn.Callback):
    """A callback that does nothing."""

    def epoch_end(self, net, epoch, metrics):
        """Do nothing."""


def layers(widths, between=()):
    """Return linear layers with a ReLU, and the layers that `between` makes, in between."""
    made = []
    for n_in, n_out in itertools.pairwise(widths):
        made += [fn.Linear(n_in, n_out), *(make(n_out) for make in between), fn.ReLU()]
    return made[: -1 - len(between)]


def with_skips(widths):
    """Return such layers; those as wide as their input are in residual blocks."""
    return [
        fn.Residual([layer]) if layer.in_features == layer.out_features is not None else layer
        for layer in layers(widths)
    ]


def fit(X, y, net, **arguments):
    """Train a network, by default with plain SGD."""
    settings = {"optimizer": fn.SGD(RATE), "epochs": EPOCHS, "shuffle": False, "n_threads": 1}
    net.fit(X, y, **settings | arguments)


def features(widths, batch_size, X, y, folder):
    """Return a call for each feature, plain SGD first."""
    weights = np.linspace(0.5, 1.5, len(X))
    held_out = (X[: len(X) // 10], y[: len(X) // 10])
    arguments = {
        "plain SGD": {},
        "shuffle": {"shuffle": True, "seed": 0},
        "momentum": {"optimizer": fn.SGD(RATE, momentum=0.9)},
        "Adam": {"optimizer": fn.Adam(RATE)},
        "AdamW": {"optimizer": fn.AdamW(RATE)},
        "RMSprop": {"optimizer": fn.RMSprop(RATE)},
        "weight decay": {"optimizer": fn.SGD(RATE, weight_decay=1e-4)},
        "L1 penalty": {"optimizer": fn.SGD(RATE, l1=1e-5)},
        "clipping by norm": {"optimizer": fn.SGD(RATE, clip_norm=1.0)},
        "clipping by value": {"optimizer": fn.SGD(RATE, clip_value=1.0)},
        "cosine schedule": {"optimizer": fn.SGD(schedules.CosineDecay(RATE))},
        "sample weights": {"sample_weight": weights},
        "class weights": {"class_weight": "balanced"},
        "label smoothing": {"loss": fn.SoftmaxCrossEntropy(label_smoothing=0.1)},
        "a callback": {"callbacks": [IdleCallback()]},
        "validation, a tenth": {"validation_data": held_out},
        "a checkpoint an epoch": {"checkpoint": Path(folder, "checkpoint.safetensors")},
    }
    calls = {}
    for name, given in arguments.items():
        net = fn.Network(layers(widths), seed=0)
        calls[name] = partial(fit, X, y, net, batch_size=batch_size, **given)
    frozen = fn.Network(layers(widths), seed=0)
    frozen.layers[0].trainable = False
    nets = {
        "a frozen first layer": frozen,
        "Dropout": fn.Network(layers(widths, [lambda _: fn.Dropout(0.5)]), seed=0),
        "LayerNorm": fn.Network(layers(widths, [fn.LayerNorm]), seed=0),
        "BatchNorm": fn.Network(layers(widths, [fn.BatchNorm]), seed=0),
    }
    if any(n_in == n_out for n_in, n_out in itertools.pairwise(widths)):
        nets["Residual"] = fn.Network(with_skips(widths), seed=0)
    for name, net in nets.items():
        calls[name] = partial(fit, X, y, net, batch_size=batch_size, seed=0)
    return calls


def run(settings):
    steps = 2 if settings.quick else STEPS
    for widths, batch_size in NETWORKS[:1] if settings.quick else NETWORKS:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((steps * batch_size, widths[0]), np.float32)
        y = rng.integers(0, widths[-1], len(X))
        y[: widths[-1]] = range(widths[-1])  # every class occurs
        with tempfile.TemporaryDirectory() as folder:
            calls = features(widths, batch_size, X, y, folder)
            times = interleaved(calls, 1 if settings.quick else 15)
        plain = times.pop("plain SGD")
        for name, time in times.items():
            scale = 1e6 / (steps * EPOCHS)
            yield Record(
                f"{peers.label(widths)}, {name}",
                "µs a step",
                {"with it": time * scale, "plain SGD": plain * scale},
            )
