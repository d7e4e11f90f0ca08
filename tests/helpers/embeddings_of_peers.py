"""The embeddings of the table in PyTorch, and in JAX for one sample."""

import math

from reference_embeddings import features_of, named, passed, tables


def torch_embedding(layer, params, x):
    """Apply an embedding to rows; `params` is the flat tensor of its parameters."""
    import torch

    own = named(layer, params)
    if layer["kind"] == "categorical_embedding":
        parts = [x[:, : passed(layer)]]
        for i, (count, _) in enumerate(tables(layer)):
            codes = torch.floor(x[:, passed(layer) + i] + 0.5).long()
            valid = (codes >= 0) & (codes < count)
            rows = torch.nn.functional.embedding(codes.clamp(0, count - 1), own[f"table {i}"])
            parts.append(torch.where(valid[:, None], rows, 0))
        return torch.cat(parts, 1)
    columns = x[:, : layer["columns"]]
    if layer["kind"] == "periodic_embedding":
        angles = 2 * math.pi * columns[..., None] * own["frequency"] + own["phase"]
        features = torch.cos(angles)
    else:
        features = torch.stack(
            [
                torch.stack(encoded(layer, c, columns[:, c], torch.clamp, torch.zeros_like), 1)
                for c in range(layer["columns"])
            ],
            1,
        )
    mapped = torch.einsum("ncf,cof->nco", features, own["weight"]) + own["bias"]
    if layer.get("joined"):
        mapped = torch.cat([columns[..., None], mapped], 2)
    return torch.cat([mapped.flatten(1), x[:, layer["columns"] :]], 1)


def jax_embedding(layer, params, x):
    """Apply an embedding to one sample."""
    import jax.numpy as jnp

    own = named(layer, params)
    if layer["kind"] == "categorical_embedding":
        parts = [x[: passed(layer)]]
        for i, (count, _) in enumerate(tables(layer)):
            code = jnp.floor(x[passed(layer) + i] + 0.5).astype(int)
            valid = (code >= 0) & (code < count)
            parts.append(jnp.where(valid, own[f"table {i}"][jnp.clip(code, 0, count - 1)], 0))
        return jnp.concatenate(parts)
    columns = x[: layer["columns"]]
    if layer["kind"] == "periodic_embedding":
        features = jnp.cos(2 * jnp.pi * columns[:, None] * own["frequency"] + own["phase"])
    else:
        features = jnp.stack(
            [
                jnp.stack(encoded(layer, c, columns[c], jnp.clip, jnp.zeros_like))
                for c in range(layer["columns"])
            ]
        )
    mapped = jnp.einsum("cf,cof->co", features, own["weight"]) + own["bias"]
    if layer.get("joined"):
        mapped = jnp.concatenate([columns[:, None], mapped], 1)
    return jnp.concatenate([mapped.ravel(), x[layer["columns"] :]])


def encoded(layer, c, x, clip, zeros_like):
    """Return the piecewise-linear features of a column, one array for each bin."""
    edges, features = layer["bins"][c], []
    for t in range(features_of(layer)):
        if t >= len(edges) - 1:
            features.append(zeros_like(x))
            continue
        value = (x - edges[t]) / (edges[t + 1] - edges[t])
        lower = 0.0 if t > 0 else -math.inf
        upper = 1.0 if t < len(edges) - 2 else math.inf
        features.append(clip(value, lower, upper))
    return features
