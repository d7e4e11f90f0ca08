"""Ways to damage a file: its bytes, or a part of its structure."""

import copy
import io
import math
import zipfile

import numpy as np

from .corpus import put_together, taken_apart

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


def damaged(kind, content, rng):
    """Return the content, damaged once or a few times."""
    how = {"npz": npz, "csv": csv}.get(kind, model)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        try:
            content = how(content, rng) if rng.random() < 0.8 else of_bytes(content, rng)
        except RecursionError:  # deeply nested lists would be nested once more
            content = of_bytes(content, rng)
    return content


def of_bytes(content, rng):
    """Return the content with some bytes changed, cut off, repeated or dropped."""
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
    """Return a model file with a changed description or array."""
    try:
        description, arrays = taken_apart(content)
    except Exception:  # it is damaged already
        return of_bytes(content, rng)
    how = rng.random()
    if how < 0.6:
        change_json(description, rng)
    elif arrays:
        name = rng.choice(sorted(arrays))
        change_array(arrays, name, rng)
    try:
        return put_together(description, arrays)
    except Exception:  # no file can contain that
        return content


def change_json(value, rng):
    """Change the value at a random place in nested values, in place."""
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
    """Change an array's name, shape, dtype or numbers, in place."""
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
    """Return an archive with a changed header, name or content of an array."""
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
    """Return a CSV file with a changed cell, line or separator."""
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
