"""Small files of every kind that fastnn reads, and ways to damage them within their structure."""

import copy
import io
import json
import math
import random
import zipfile

import numpy as np

import fastnn as fn
from fastnn import schedules

N = 24
X = np.random.default_rng(0).standard_normal((N, 3))
LABELS = np.arange(N) % 2
SPECIAL = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    2**31,
    2**53 + 1,
    2**62,
    2**63,
    -(2**63),
    2**64,
    10**30,
    0.5,
    -0.5,
    1e-320,
    1e308,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "text",
    "float32",
    "float64",
    "M8[s/0]",
    "\x1b[2J",
    "\ud800",
    "nan",
    [],
    {},
    [[]],
    [1, 2],
    {"kind": "linear"},
    {"a": {"b": []}},
]
DESCRS = [
    "<f8",
    ">f8",
    "<f4",
    "|b1",
    "<i8",
    "<u8",
    "<f2",
    "<f16",
    "<c16",
    "|O",
    "<U3",
    "|S2",
    "<U0",
    "M8[s/0]",
    "M8[s]",
    "V8",
    "<f9",
    "f8,f8",
    "<U999999999",
    "",
]
CELLS = [
    "",
    " ",
    "nan",
    "inf",
    "1e999",
    "-0",
    "1_0",
    "01",
    "0x1",
    "٣",
    "1,2",
    '"',
    '""',
    "\0",
    "\x1b[2J",
    "a",
    "1.5",
    "9223372036854775808",
    "9" * 400,
    "\u2028",
    ".",
    "1e-400",
    "+1",
    "\r",
    "\n",
    "\ufeff",
    "x" * 200,
]


class Loss:
    """One of a user's own, so that training goes step by step."""

    def value_and_grad(self, y_pred, y):
        """Return those of softmax's cross-entropy."""
        return fn.SoftmaxCrossEntropy().value_and_grad(y_pred, y)


def network(*middle):
    """Return a small network."""
    layers = [fn.Standardize(np.zeros(3), np.ones(3)), fn.Linear(3, 4), *middle, fn.Linear(4, 2)]
    net = fn.Network(layers, "float64", seed=0)
    net.class_labels, net.feature_names, net.target_name = ["a", "b"], ["x", "y", "z"], "t"
    return net


def fits():
    """Return networks with the arguments of their fits, by names."""
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
    """Write the corpus, and return (kind, content) of each file; a checkpoint's kind has its fit."""
    found = []
    for middle in ([fn.Tanh()], [fn.LayerNorm(4), fn.Softmax()], [fn.BatchNorm(4), fn.ReLU()]):
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
    """Return a checkpoint that stands within its second epoch."""
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
    """Return an archive compressed in another way."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return target.getvalue()


def taken_apart(content):
    """Return a model file's description and arrays."""
    from safetensors.numpy import load

    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    return json.loads(metadata["fastnn"]), {k: v.copy() for k, v in load(content).items()}


def put_together(description, arrays):
    """Return a model file."""
    from safetensors.numpy import save

    text = json.dumps(description)
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return save(contiguous, metadata={"fastnn": text})


# ---------------------------------------------------------------------- damage


def damaged(kind, content, rng):
    """Return a file like this one, damaged once or a few times."""
    how = {"npz": npz, "csv": csv}.get(kind, model)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        try:
            content = how(content, rng) if rng.random() < 0.8 else of_bytes(content, rng)
        except RecursionError:  # lists that were nested deeply are to be nested once more
            content = of_bytes(content, rng)
    return content


def of_bytes(content, rng):
    """Change, cut, repeat or drop some bytes."""
    data = bytearray(content)
    place = rng.randrange(len(data) + 1)
    size = rng.choice([1, 1, 2, 8, 40])
    how = rng.randrange(5)
    if how == 0:
        return bytes(data[:place])
    if how == 1:
        data[place : place + size] = rng.randbytes(min(size, len(data) - place))
    elif how == 2:
        del data[place : place + size]
    elif how == 3:
        data[place:place] = data[place : place + size] * rng.choice([1, 3])
    elif data:
        data[place % len(data)] ^= 1 << rng.randrange(8)
    return bytes(data)


def model(content, rng):
    """Change the description, an array, or what the header says of one."""
    try:
        description, arrays = taken_apart(content)
    except Exception:  # damaged already
        return of_bytes(content, rng)
    how = rng.random()
    if how < 0.6:
        change_json(description, rng)
    elif arrays:
        name = rng.choice(sorted(arrays))
        change_array(arrays, name, rng)
    try:
        return put_together(description, arrays)
    except Exception:  # no file can hold that
        return content


def change_json(value, rng):
    """Walk to a random place in nested values, and change what is there."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(value[key], dict | list) and value[key] and rng.random() < 0.85:
            value = value[key]
            continue
        how = rng.random()
        if how < 0.15:
            del value[key]
        elif how < 0.3 and isinstance(value[key], int | float):
            value[key] = value[key] + rng.choice([1, -1, 0.5, 2**32, -(2**33)])
        elif how < 0.35:
            for _ in range(rng.choice([3, 90, 900])):
                value[key] = [value[key]]
        elif how < 0.4 and isinstance(value, list):
            value.extend(copy.deepcopy(value[:3]))
        else:
            value[key] = copy.deepcopy(rng.choice(SPECIAL))
        return


def change_array(arrays, name, rng):
    """Change an array's name, shape, type or numbers."""
    array = arrays[name]
    how = rng.randrange(7)
    if how == 0:
        del arrays[name]
    elif how == 1:
        arrays[name + rng.choice(["", "x", ".0", "."])] = arrays.pop(name)
    elif how == 2:
        arrays[name] = array.astype(rng.choice(["f4", "f8", "i8", "i4", "u1", "?", "c8", "f2"]))
    elif how == 3:
        arrays[name] = (
            rng.choice([array[..., :-1], array[None], array.ravel(), array.T, array[:0]])
            if array.ndim
            else array[None]
        )
    elif array.size:
        with np.errstate(all="ignore"):
            flat = array.reshape(-1).astype(array.dtype)
            number = rng.choice([0, -1, 1, 2**31, math.nan, math.inf, -math.inf, 1e300, 1e-310])
            if array.dtype.kind == "f":
                flat[rng.randrange(flat.size)] = number
            elif math.isfinite(number) and abs(number) < 2**40:
                flat[rng.randrange(flat.size)] = array.dtype.type(int(number))
            arrays[name] = flat.reshape(array.shape)


def npz(content, rng):
    """Change a header inside an archive, or its names."""
    members = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                members[name] = archive.read(name)
    except Exception:
        return of_bytes(content, rng)
    if not members:
        return of_bytes(content, rng)
    name = rng.choice(sorted(members))
    data = members[name]
    end = data.find(b"\n") + 1
    header = data[10:end].decode("latin-1")
    how = rng.randrange(5)
    if how == 0:
        old = header.split("'descr': ")[-1].split(",")[0]
        header = header.replace(old, repr(rng.choice(DESCRS)), 1)
    elif how == 1:
        sides = rng.choice(
            [
                "(2, 3)",
                "()",
                "(-1,)",
                "(0, 3)",
                "(999999999999,)",
                "(24, 3, 1)",
                "(1, 72)",
                "(24L,)",
            ]
        )
        header = header.replace(header[header.find("(") : header.find(")") + 1], sides, 1)
    elif how == 2:
        header = of_bytes(header.encode("latin-1"), rng).decode("latin-1")
    elif how == 3:
        members[name + rng.choice([".npy", "x", "\x1b"])] = members.pop(name)
        header = None
    else:
        members[name] = of_bytes(data, rng)
        header = None
    if header is not None:
        text = header.encode("latin-1")[:60_000]
        members[name] = data[:8] + len(text).to_bytes(2, "little") + text + data[end:]
    target = io.BytesIO()
    method = rng.choice(
        [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]
    )
    try:
        with zipfile.ZipFile(target, "w", method) as archive:
            for member, data in members.items():
                archive.writestr(member, data)
    except Exception:
        return content
    return target.getvalue()


def csv(content, rng):
    """Change a cell, a line or the separator."""
    lines = content.split(b"\n")
    i = rng.randrange(len(lines))
    separator = max(b",;\t", key=content.count)
    cells = lines[i].split(bytes([separator]))
    how = rng.randrange(5)
    if how <= 2:
        cells[rng.randrange(len(cells))] = rng.choice(CELLS).encode()
        lines[i] = bytes([separator]).join(cells)
    elif how == 3:
        lines[i : i + 1] = rng.choice([[], [lines[i]] * 2, [b""], [lines[i] + bytes([separator])]])
    else:
        return content.replace(
            bytes([separator]), rng.choice([b",", b";", b"\t", b""]), rng.choice([1, -1])
        )
    return b"\n".join(lines)


def random_of(seed):
    """Return a source of randomness."""
    return random.Random(seed)
