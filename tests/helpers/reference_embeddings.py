"""The embeddings of the oracle: one sample at a time, with dense Jacobians.

The parameters of a layer are one flat array, split by `shapes` and used column by column.
"""

import numpy as np

EMBEDDINGS = ("periodic_embedding", "piecewise_linear_embedding", "categorical_embedding")


def shapes(layer):
    """Return the shape of each parameter by its name, in the order of the flat array."""
    if layer["kind"] == "categorical_embedding":
        return {f"table {i}": shape for i, shape in enumerate(tables(layer))}
    columns, size, features = layer["columns"], layer["size"], features_of(layer)
    by_column = {"weight": (columns, size, features), "bias": (columns, size)}
    if layer["kind"] == "periodic_embedding":
        return {"frequency": (columns, features), "phase": (columns, features), **by_column}
    return by_column


def tables(layer):
    """Return the shape of the table of each column of codes."""
    return list(zip(layer["cardinalities"], layer["size"], strict=True))


def features_of(layer):
    """Return how many features a column of numbers has."""
    if layer["kind"] == "periodic_embedding":
        return layer["frequencies"]
    return max(len(edges) for edges in layer["bins"]) - 1


def n_params(layer):
    """Return the number of parameters."""
    return sum(int(np.prod(shape)) for shape in shapes(layer).values())


def named(layer, flat):
    """Return the parameters by name."""
    found, first = {}, 0
    for name, shape in shapes(layer).items():
        size = int(np.prod(shape))
        found[name] = flat[first : first + size].reshape(shape)
        first += size
    return found


def encoding(edges, features, x):
    """Return the piecewise-linear encoding of a number, filled up with zeros, and its slope."""
    values, slopes = np.zeros((2, features), np.result_type(x, float))
    last = len(edges) - 2
    for t in range(last + 1):
        lower, upper = float(edges[t]), float(edges[t + 1])
        value, slope = (x - lower) / (upper - lower), 1 / (upper - lower)
        if t > 0 and x.real <= lower:
            value, slope = 0, 0
        elif t < last and x.real > upper:
            value, slope = 1, 0
        values[t], slopes[t] = value, slope
    return values, slopes


def features_and_slopes(layer, own, c, x):
    """Return φ(x) and φ'(x) of the column c, and the slopes by the phases (or None)."""
    if layer["kind"] == "piecewise_linear_embedding":
        return *encoding(layer["bins"][c], features_of(layer), x), None
    angle = 2 * np.pi * own["frequency"][c] * x + own["phase"][c]
    by_phase = -np.sin(angle)
    return np.cos(angle), by_phase * 2 * np.pi * own["frequency"][c], by_phase


def code_of(x, count):
    """Return the category nearest to x, or None."""
    if np.isnan(x):
        return None
    code = int(np.floor(x.real + 0.5))
    return code if 0 <= code < count else None


def passed(layer):
    """Return how many columns are passed on."""
    if layer["kind"] == "categorical_embedding":
        return layer["in_features"] - len(layer["cardinalities"])
    return layer["in_features"] - layer["columns"]


def forward(layer, flat, x):
    """Return the output for one sample."""
    own, parts = named(layer, flat), []
    if layer["kind"] == "categorical_embedding":
        parts = [x[: passed(layer)]]
        for i, (count, size) in enumerate(tables(layer)):
            x_code = x[passed(layer) + i]
            code = code_of(x_code, count)
            missing = np.full(size, x_code if np.isnan(x_code) else 0)
            parts.append(missing if code is None else own[f"table {i}"][code])
    else:
        for c in range(layer["columns"]):
            features = features_and_slopes(layer, own, c, x[c])[0]
            parts.append(x[c : c + 1] if layer.get("joined") else [])
            parts.append(own["weight"][c] @ features + own["bias"][c])
        parts.append(x[layer["columns"] :])
    return np.concatenate(parts).astype(np.result_type(flat, x))


def jacobian(layer, flat, x):
    """Return the Jacobian (out, in) at one sample."""
    own = named(layer, flat)
    matrix = np.zeros((len(forward(layer, flat, x)), len(x)), np.result_type(flat, x))
    if layer["kind"] == "categorical_embedding":
        for j in range(passed(layer)):
            matrix[j, j] = 1
        return matrix
    row = 0
    for c in range(layer["columns"]):
        if layer.get("joined"):
            matrix[row, c] = 1
            row += 1
        matrix[row : row + layer["size"], c] = (
            own["weight"][c] @ features_and_slopes(layer, own, c, x[c])[1]
        )
        row += layer["size"]
    for j in range(layer["columns"], len(x)):
        matrix[row, j] = 1
        row += 1
    return matrix


def params_jacobian(layer, flat, x):
    """Return the Jacobian (out, n_params) at one sample."""
    n_out, own = len(forward(layer, flat, x)), named(layer, flat)
    matrix = np.zeros((n_out, len(flat)), np.result_type(flat, x))
    by_name = {name: [] for name in own}
    for i, row_matrix in enumerate(matrix):
        by_name = named(layer, row_matrix)  # views of the row
        if layer["kind"] == "categorical_embedding":
            place = passed(layer)
            for t, (count, size) in enumerate(tables(layer)):
                code = code_of(x[passed(layer) + t], count)
                if code is not None and place <= i < place + size:
                    by_name[f"table {t}"][code, i - place] = 1
                place += size
            continue
        step = layer["size"] + bool(layer.get("joined"))
        c, k = divmod(i, step)
        k -= bool(layer.get("joined"))
        if c >= layer["columns"] or k < 0:
            continue
        features, _, by_phase = features_and_slopes(layer, own, c, x[c])
        by_name["weight"][c, k] = features
        by_name["bias"][c, k] = 1
        if by_phase is not None:
            by_name["phase"][c] = own["weight"][c, k] * by_phase
            by_name["frequency"][c] = own["weight"][c, k] * by_phase * 2 * np.pi * x[c]
    return matrix
