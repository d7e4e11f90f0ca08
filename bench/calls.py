"""How long does a call on few samples take? Every public method, and forms of input."""

from functools import partial

import numpy as np

import fastnn as fn
from bench.common import Record, demand_agreement, measure, repeat

WIDTHS = (64, 32, 10)
ROWS = (1, 8, 64)
TOLERANCE = 1e-4


def network():
    """Return the network that all libraries compute."""
    inner, hidden, outer = WIDTHS
    return fn.Network([fn.Linear(inner, hidden), fn.Tanh(), fn.Linear(hidden, outer)], seed=0)


class Arguments:
    """The arguments of all methods for so many samples."""

    def __init__(self, rows, net):
        rng = np.random.default_rng(rows)
        self.X = rng.standard_normal((rows, WIDTHS[0])).astype(np.float32)
        self.H = rng.standard_normal(self.X.shape).astype(np.float32)
        self.C = rng.standard_normal((rows, WIDTHS[2])).astype(np.float32)
        self.y = rng.integers(0, WIDTHS[2], rows)
        self.v = rng.standard_normal(net.n_params).astype(np.float32)


def forms(X):
    """Return X in the forms that a user passes, by name."""
    return {
        "float64": X.astype(np.float64),
        "float16": X.astype(np.float16),
        "integers": np.round(X).astype(np.int64),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "list": X.tolist(),
    }


def fastnn_calls(net, a):
    """Return every method of `Network`, of a `Layer` and of a `Loss` that computes something."""
    cross, layer, outputs = fn.SoftmaxCrossEntropy(), net.layers[0], net.predict(a.X)
    hidden = np.ones((len(a.X), WIDTHS[1]), np.float32)
    calls = {
        "predict": lambda X: net.predict(X),
        "forward": lambda X: net.forward(X),
        "forward in training": lambda X: net.forward(X, training=True),
        "backward": lambda _: net.backward(a.C),
        "jacobian": lambda X: net.jacobian(X),
        "jacobian by parameters": lambda X: net.jacobian(X, "params"),
        "value_and_jacobian": lambda X: net.value_and_jacobian(X),
        "jvp": lambda X: net.jvp(X, a.H),
        "jvp by parameters": lambda X: net.jvp(X, a.v, "params"),
        "vjp": lambda X: net.vjp(X, a.C),
        "vjp by parameters": lambda X: net.vjp(X, a.C, "params"),
        "loss_and_grad": lambda X: net.loss_and_grad(X, a.y, cross),
        "sample_grads": lambda X: net.sample_grads(X, a.y, cross),
        "hvp": lambda X: net.hvp(X, a.y, cross, a.v),
        "layer(x)": lambda X: layer(X),
        "layer.vjp": lambda X: layer.vjp(X, hidden),
        "layer.dense_jacobian": lambda X: layer.dense_jacobian(X),
        "loss.value_and_grad": lambda _: cross.value_and_grad(outputs, a.y),
    }
    if len(a.X) == 1:
        calls["jacobian_operator"] = lambda X: net.jacobian_operator(X[0])
    return calls


def numpy_calls(net, a):
    """Return what a user of NumPy writes by hand."""
    W, b, V, d = (layer for i in (0, 2) for layer in (net.layers[i].weight, net.layers[i].bias))

    def hidden(X):
        return np.tanh(X @ W.T + b)

    def jacobian(X):
        return V * (1 - hidden(X) ** 2)[:, None] @ W

    def vjp(X):
        return (a.C @ V) * (1 - hidden(X) ** 2) @ W

    def loss_and_grad(X):
        h = hidden(X)
        z = h @ V.T + d
        z -= z.max(1, keepdims=True)
        e = np.exp(z)
        total = e.sum(1, keepdims=True)
        rows = np.arange(len(X))
        value = (np.log(total[:, 0]) - z[rows, a.y]).mean()
        e /= total
        e[rows, a.y] -= 1
        e /= len(X)
        below = (e @ V) * (1 - h * h)
        parts = (below.T @ X, below.sum(0), e.T @ h, e.sum(0))
        return value, np.concatenate([part.ravel() for part in parts])

    return {
        "predict": lambda X: hidden(X) @ V.T + d,
        "jacobian": jacobian,
        "jvp": lambda X: (1 - hidden(X) ** 2) * (a.H @ W.T) @ V.T,
        "vjp": vjp,
        "loss_and_grad": loss_and_grad,
        "layer(x)": lambda X: X @ W.T + b,
    }


def torch_calls(net, a):
    """Return the calls of PyTorch, which starts from tensors: eager, without records of no use."""
    import torch
    from torch import func, nn

    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(*WIDTHS[:2]), nn.Tanh(), nn.Linear(*WIDTHS[1:]))
    params = list(model.parameters())
    arrays = [net.layers[i].weight for i in (0, 2)], [net.layers[i].bias for i in (0, 2)]
    with torch.no_grad():
        for place, array in zip(params, np.array(arrays, object).T.ravel(), strict=True):
            place.copy_(torch.from_numpy(array))
    X, H, C, y = (torch.from_numpy(part) for part in (a.X, a.H, a.C, a.y))
    names = dict(model.named_parameters())

    def predict(_):
        with torch.inference_mode():
            return model(X)

    def vjp(_):
        x = X.requires_grad_()
        return torch.autograd.grad(model(x), x, C)[0]

    def loss_and_grad(_):
        value = nn.functional.cross_entropy(model(X), y)
        return value.item(), torch.cat([g.ravel() for g in torch.autograd.grad(value, params)])

    def one_loss(params, x, y):
        return nn.functional.cross_entropy(func.functional_call(model, params, (x,)), y)

    per_sample = func.vmap(func.grad(one_loss), (None, 0, 0))
    jacobian = func.vmap(func.jacrev(model))

    def sample_grads(_):
        return torch.cat([g.flatten(1) for g in per_sample(names, X, y).values()], 1).detach()

    return {
        "predict": predict,
        "jacobian": lambda _: jacobian(X).detach(),
        "jvp": lambda _: func.jvp(model, (X,), (H,))[1].detach(),
        "vjp": vjp,
        "loss_and_grad": loss_and_grad,
        "sample_grads": sample_grads,
    }


def jax_calls(net, a):
    """Return the calls of JAX, compiled, from its own arrays."""
    import jax
    import jax.numpy as jnp

    W, b, V, d = (jnp.array(p) for i in (0, 2) for p in (net.layers[i].weight, net.layers[i].bias))
    X, H, C, y = (jnp.array(part) for part in (a.X, a.H, a.C, a.y))

    def model(params, X):
        W, b, V, d = params
        return jnp.tanh(X @ W.T + b) @ V.T + d

    def loss(params, X, y):
        logits = jax.nn.log_softmax(model(params, X))
        return -jnp.take_along_axis(logits, y[:, None], 1).mean()

    def flat(grads, rows=()):
        return jnp.concatenate([g.reshape(*rows, -1) for g in grads], -1)

    def value_and_grad(params, X, y):
        value, grads = jax.value_and_grad(loss)(params, X, y)
        return value, flat(grads)

    def sample_grads(params, X, y):
        one = jax.vmap(jax.grad(loss), (None, 0, 0))(params, X[:, None], y[:, None])
        return flat(one, (len(X),))

    params = (W, b, V, d)
    functions = {
        "predict": (model, (params, X)),
        "jacobian": (jax.vmap(jax.jacrev(model, 1), (None, 0)), (params, X)),
        "jvp": (lambda p, X, H: jax.jvp(partial(model, p), (X,), (H,))[1], (params, X, H)),
        "vjp": (lambda p, X, C: jax.vjp(partial(model, p), X)[1](C)[0], (params, X, C)),
        "loss_and_grad": (value_and_grad, (params, X, y)),
        "sample_grads": (sample_grads, (params, X, y)),
    }

    def waiting(function, arguments):
        compiled = jax.jit(function)
        return lambda _: jax.block_until_ready(compiled(*arguments))

    return {name: waiting(*parts) for name, parts in functions.items()}


PEERS = {"numpy": numpy_calls, "torch": torch_calls, "jax": jax_calls}


def numbers(result):
    """Return a result, or the last part of a tuple, as an array."""
    return np.asarray(result[-1] if isinstance(result, tuple) else result)


def run(settings):
    for rows in ROWS[:1] if settings.quick else ROWS:
        net = network()
        a = Arguments(rows, net)
        label = f"{rows} row{'s' * (rows > 1)}"
        ours = fastnn_calls(net, a)
        peers = {name: PEERS[name](net, a) for name in settings.peers if name in PEERS}
        for method, call in ours.items():
            calls = {"fastnn": call}
            calls |= {name: theirs[method] for name, theirs in peers.items() if method in theirs}
            for name in list(calls)[1:]:
                demand_agreement(
                    f"{method} of {name}", numbers(calls[name](a.X)), numbers(call(a.X)), TOLERANCE
                )
            calls = {name: partial(call, a.X) for name, call in calls.items()}
            yield record(f"{method}, {label}", calls, settings)
        for method in ("predict", "jacobian", "loss_and_grad"):
            inputs = {"float32": a.X} | forms(a.X)
            calls = {form: partial(ours[method], X) for form, X in inputs.items()}
            yield record(f"{method}, {label}, forms of X", calls, settings)


def record(case, calls, settings):
    """Time calls of one case."""
    works = {name: partial(repeat, call) for name, call in calls.items()}
    times = measure(works, 0.002, 30, settings.quick)
    return Record(case, "µs a call", {name: time * 1e6 for name, time in times.items()})
