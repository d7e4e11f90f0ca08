"""Small files of every kind that fastnn reads."""

import io
import json
import zipfile

import numpy as np

import fastnn as fn
from fastnn import schedules

N = 24

X = np.random.default_rng(0).standard_normal((N, 3))

LABELS = np.arange(N) % 2


class Loss:
    """A custom loss, so that training runs step by step."""

    def value_and_grad(self, y_pred, y):
        """Return the softmax cross-entropy and its gradient."""
        return fn.SoftmaxCrossEntropy().value_and_grad(y_pred, y)


def network(*middle):
    """Return a small network with some layers in its middle."""
    layers = [fn.Standardize(np.zeros(3), np.ones(3)), fn.Linear(3, 4), *middle, fn.Linear(4, 2)]
    net = fn.Network(layers, "float64", seed=0)
    net.class_labels, net.feature_names, net.target_name = ["a", "b"], ["x", "y", "z"], "t"
    return net


def fits():
    """Return for each name a network, its target, and the arguments of its fit."""
    plateau = schedules.ReduceOnPlateau(0.01, patience=0, monitor="loss", min_delta=9)
    common = {"epochs": 3, "batch_size": 5, "seed": 1, "progress": False}
    stopping = {"validation_data": (X, LABELS), "callbacks": [fn.EarlyStopping(patience=5)]}
    squares = {"loss": fn.MeanSquaredError(), "optimizer": fn.LevenbergMarquardt(bayesian=True)}
    return {
        "adam": (
            network(fn.Tanh(), fn.Dropout(0.1)),
            LABELS,
            common | {"optimizer": fn.Adam(0.01)},
        ),
        "norm": (network(fn.BatchNorm(4)), LABELS, common | {"batch_size": 6} | stopping),
        "plateau": (network(fn.ReLU()), LABELS, common | {"optimizer": fn.SGD(plateau)}),
        "stepwise": (
            network(fn.Tanh()),
            LABELS,
            common | {"loss": Loss(), "optimizer": fn.RMSprop()},
        ),
        "lm": (network(fn.Tanh()), np.eye(2)[LABELS], common | squares),
    }


def seeds(folder):
    """Return (kind, content) of each file; a checkpoint's kind contains the name of its fit."""
    found = []
    for middle in (
        [fn.Tanh()],
        [fn.LayerNorm(4), fn.Softmax()],
        [fn.BatchNorm(4), fn.ReLU()],
        [fn.Scale(4), fn.Parametric(4, fn.ELU(0.5))],
    ):
        network(*middle).save(folder / "net")
        found.append(("model", (folder / "net").read_bytes()))
    for name, (net, y, settings) in fits().items():
        net.fit(X, y, checkpoint=folder / "run", **settings)
        found.append((f"checkpoint {name}", (folder / "run").read_bytes()))
        if name != "lm":
            found.append((f"checkpoint {name}", within_an_epoch(found[-1][1], name)))
    for arrays in (
        {"X": X, "y": LABELS},
        {"X": X.astype("f4"), "y": np.array(["a", "b"] * (N // 2))},
        {"X": np.asfortranarray(X).astype(">f8"), "y": LABELS.astype("f8")},
    ):
        for save in (np.savez, np.savez_compressed):
            buffer = io.BytesIO()
            save(buffer, **arrays)
            found.append(("npz", buffer.getvalue()))
    found.append(("npz", repacked(found[-1][1], zipfile.ZIP_LZMA)))
    found.append(("npz", repacked(found[-1][1], zipfile.ZIP_BZIP2)))
    for separator in ",;\t":
        rows = [["a", "b", "y"]] + [
            [f"{a:.3g}", f"{b:.3g}", "no" if c > 0 else "yes"] for a, b, c in X
        ]
        found.append(("csv", "\n".join(map(separator.join, rows)).encode()))
        numbers = [[*row[:2], str(i % 3)] for i, row in enumerate(rows[1:])]
        found.append(("csv", "\r\n".join(map(separator.join, [rows[0], *numbers])).encode()))
    return found


def within_an_epoch(content, name):
    """Return a checkpoint changed to one from the middle of the second epoch."""
    description, arrays = taken_apart(content)
    place = description["fit"]["parts"]["trainer"]
    batch = description["fit"]["settings"]["batch_size"]
    rows = batch * 2
    updates = -(-N // batch)
    place.update(epoch=1, position=rows, step=updates + 2, epoch_weight=float(rows))
    for key in list(arrays):
        if key.startswith(("fit.trainer.", "fit.course.column")):
            arrays[key] = arrays[key][:1]
    model = [
        arrays[f"{i}.{part}"]
        for i in range(6)
        for part in ("weight", "bias")
        if f"{i}.{part}" in arrays
    ]
    constants = [
        arrays[f"{i}.{part}"]
        for i in range(6)
        for part in ("mean", "scale", "running_mean", "running_var")
        if f"{i}.{part}" in arrays
    ]
    arrays["fit.trainer.last_good"] = np.concatenate([part.ravel() for part in model])
    arrays["fit.trainer.last_good_constants"] = np.concatenate(constants)
    arrays["fit.trainer.order"] = np.arange(N)[::-1].copy()
    rates = description["fit"]["parts"]["rates"]
    if "factors" in rates:
        rates["factors"] = rates["factors"][:2]
    stopping = description["fit"]["parts"].get("callbacks.0")
    if stopping:
        stopping.update(best_epoch=0, waited=0)
    return put_together(description, arrays)


def repacked(content, method):
    """Return an archive compressed by another method."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return target.getvalue()


def taken_apart(content):
    """Return the description and the arrays of a model file."""
    from safetensors.numpy import load

    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    return json.loads(metadata["fastnn"]), {k: v.copy() for k, v in load(content).items()}


def put_together(description, arrays):
    """Return the bytes of a model file."""
    from safetensors.numpy import save

    text = json.dumps(description)
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return save(contiguous, metadata={"fastnn": text})
