"""How fast are exp, log, tanh and sigmoid? 4,096 numbers in cache, written with `out=`."""

import math
from functools import partial

import numpy as np

from bench.common import Record, measure, repeat
from fastnn import _core

SIZE = 4096
EXACT = {
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
}
TOLERANCE = 8  # units in the last place


def numpy_sigmoid(x, out):
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    np.reciprocal(out, out=out)


def without_gradients(work):
    """Return the work as a function that runs without PyTorch's autograd, which is fastest."""
    import torch

    def inside(times):
        with torch.inference_mode():
            work(times)

    return inside


def candidates(name, x, out, settings):
    """Return a call for each library that has the function."""
    calls = {"fastnn": partial(_core.engine.elementary, name, x, out)}
    if "numpy" in settings.peers:
        function = numpy_sigmoid if name == "sigmoid" else getattr(np, name, None)
        if function:
            calls["numpy"] = partial(function, x, out=out)
    if "scipy" in settings.peers:
        from scipy import special

        if name == "sigmoid":
            calls["scipy"] = partial(special.expit, x, out=out)
    if "torch" in settings.peers:
        import torch

        calls["torch"] = partial(getattr(torch, name), torch.tensor(x), out=torch.from_numpy(out))
    return calls


def run(settings):
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for name, function in EXACT.items():
            x = (rng.uniform(0.1, 10, SIZE) * (1 if name == "log" else 0.4)).astype(dtype)
            if name != "log":
                x *= rng.choice([-1, 1], SIZE).astype(dtype)
            out = np.empty_like(x)
            calls = candidates(name, x, out, settings)
            exact = np.array([function(value) for value in x.tolist()])
            for library, call in calls.items():
                out.fill(np.nan)
                call()
                if not np.allclose(out, exact, TOLERANCE * np.finfo(dtype).eps, atol=0):
                    raise SystemExit(f"{library}: {name} is wrong; no time is printed")
            works = {library: partial(repeat, call) for library, call in calls.items()}
            if "torch" in works:
                works["torch"] = without_gradients(works["torch"])
            times = measure(works, 0.01, 20, settings.quick)
            rate = SIZE / times["fastnn"].minimum
            yield Record(
                f"{name}, {np.dtype(dtype)}",
                f"µs for {SIZE:,}",
                {library: time * 1e6 for library, time in times.items()},
                note=f"fastnn: {rate:.2e} elements a second",
            )
