"""Many small networks at once: predict_many and jacobian_many, a loop, and PyTorch's vmap."""

from functools import partial

import numpy as np

import fastnn as fn
from bench.common import Record, demand_agreement, measure, repeat

# networks, their widths, samples
CASES = [(32, (64, 32, 10), 1), (32, (64, 32, 10), 64), (256, (8, 16, 2), 1), (8, (16, 64, 4), 512)]


def networks_of(many, widths):
    """Return networks with one hidden layer."""
    n_in, hidden, n_out = widths
    return [
        fn.Network([fn.Linear(n_in, hidden), fn.ReLU(), fn.Linear(hidden, n_out)], seed=seed)
        for seed in range(many)
    ]


def torch_calls(networks, X):
    """Return the outputs and the Jacobians of all networks by torch.vmap and functional_call."""
    import torch
    from torch.func import functional_call, jacrev, stack_module_state, vmap

    from bench.common import threads

    torch.set_num_threads(threads())
    modules = []
    for net in networks:
        module = torch.nn.Sequential(
            torch.nn.Linear(net.in_features, net.layers[0].out_features),
            torch.nn.ReLU(),
            torch.nn.Linear(net.layers[0].out_features, net.out_features),
        )
        for place in (0, 2):
            module[place].weight.data = torch.tensor(net.layers[place].weight)
            module[place].bias.data = torch.tensor(net.layers[place].bias)
        modules.append(module)
    params, buffers = stack_module_state(modules)
    params = {name: value.detach() for name, value in params.items()}
    x = torch.tensor(X)

    def call(own, buffers, x):
        return functional_call(modules[0], (own, buffers), (x,))

    outputs = vmap(call, in_dims=(0, 0, None))
    jacobian = vmap(vmap(jacrev(call, argnums=2), in_dims=(None, None, 0)), in_dims=(0, 0, None))
    return (lambda: outputs(params, buffers, x)), (lambda: jacobian(params, buffers, x))


def run(settings):
    """Yield outputs and Jacobians for each case."""
    for many, widths, n in [(4, (5, 4, 3), 2)] if settings.quick else CASES:
        networks = networks_of(many, widths)
        X = np.random.default_rng(0).standard_normal((n, widths[0])).astype(np.float32)
        params = fn.stack_params(networks)
        outputs = {
            "fastnn": partial(fn.predict_many, networks, X),
            "one array": partial(fn.predict_many, networks[0], X, params=params),
            "a loop": lambda nets=networks, X=X: [net.predict(X) for net in nets],
        }
        jacobians = {
            "fastnn": partial(fn.jacobian_many, networks, X),
            "one array": partial(fn.jacobian_many, networks[0], X, params=params),
            "a loop": lambda nets=networks, X=X: [net.jacobian(X) for net in nets],
        }
        if "torch" in settings.peers:
            outputs["torch"], jacobians["torch"] = torch_calls(networks, X)
        name = f"{many} of {'-'.join(map(str, widths))}, {n} samples"
        for what, calls in (("outputs", outputs), ("Jacobians", jacobians)):
            for peer, call in calls.items():
                demand_agreement(f"many, {peer}", np.asarray(call()), calls["fastnn"](), 1e-5)
            works = {peer: partial(repeat, call) for peer, call in calls.items()}
            times = measure(works, 0.005, 40, settings.quick)
            yield Record(
                f"{what}, {name}", "us", {peer: time * 1e6 for peer, time in times.items()}
            )
