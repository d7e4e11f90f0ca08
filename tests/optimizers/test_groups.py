"""Groups of parameters with their own factors, against PyTorch, the oracle, and each other."""

import pickle

import numpy as np
import pytest
import reference_optimizers
from custom_layers import PythonLinear, Scaling
from custom_loss import Python
from optimizer_cases import OPTIMIZER_CASES
from small_fit import Interrupt
from sparse_cases import FEATURES, matrices
from torch_counterparts import torch_optimizer

import fastnn as fn
from fastnn import optimizers, schedules
from fastnn.optimizers.groups import factors_of

all_optimizers = pytest.mark.parametrize("case", OPTIMIZER_CASES, ids=lambda case: case.name)
GROUPS = (
    fn.Group("bias", learning_rate_factor=0.1, weight_decay_factor=0),
    fn.Group(layers=[0], learning_rate_factor=1.5),
    fn.Group("weight", ["4.Linear", -3], weight_decay_factor=3.0),
)
# of each array: the factors of the learning rate and of the weight decay
EXPECTED = {
    "0.weight": (1.5, 1),
    "0.bias": (0.1 * 1.5, 0),
    "2.weight": (1, 3),
    "2.bias": (0.1, 0),
    "4.weight": (1, 3),
    "4.bias": (0.1, 0),
}


def layers():
    return [fn.Linear(6, 16), fn.ReLU(), fn.Linear(16, 8), fn.Tanh(), fn.Linear(8, 4)]


def optimizer_of(case, **others):
    return getattr(fn, case.cls)(**{**case.args, **others})


def factor_arrays(net, expected=EXPECTED):
    """Return the factors of each parameter of a network as two flat arrays."""
    arrays = [a for i, layer in enumerate(net.layers) for a in named(i, layer)]
    rows = [np.tile(expected[name], (size, 1)) for name, size in arrays]
    return np.concatenate(rows).T


def named(i, layer):
    return [(f"{i}.{name}", array.size) for name, array in layer.arrays().items()]


@all_optimizers
def test_groups_agree_with_pytorch(isa, rng, tmp_path, case):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import load_file

    X, y = rng.standard_normal((64, 6)), rng.integers(4, size=64)
    net = fn.Network(layers(), "float64", 3)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 16),
        torch.nn.ReLU(),
        torch.nn.Linear(16, 8),
        torch.nn.Tanh(),
        torch.nn.Linear(8, 4),
    ).double()
    net.save(tmp_path / "net.safetensors")
    theirs.load_state_dict(load_file(tmp_path / "net.safetensors"))
    args = dict(case.args)
    ours = {name: args.pop(name, None) for name in ("l1", "clip_norm", "clip_value")}
    rate, decay = args.pop("learning_rate"), args.pop("weight_decay", None)
    kind = torch_optimizer(case.cls)
    decay = kind([torch.zeros(1)], lr=rate).defaults["weight_decay"] if decay is None else decay
    params = list(theirs.parameters())
    update = kind(
        [
            {
                "params": [param],
                "lr": rate * EXPECTED[name][0],
                "weight_decay": decay * EXPECTED[name][1],
            }
            for name, param in theirs.named_parameters()
        ],
        lr=rate,
        **args,
    )
    draw, inputs, labels = np.random.default_rng(5), torch.tensor(X), torch.tensor(y)
    for _ in range(15):
        order = draw.permutation(64)
        for start in range(0, 64, 8):
            rows = order[start : start + 8]
            update.zero_grad()
            torch.nn.functional.cross_entropy(theirs(inputs[rows]), labels[rows]).backward()
            if ours["clip_norm"]:
                torch.nn.utils.clip_grad_norm_(params, ours["clip_norm"])
            if ours["clip_value"]:
                torch.nn.utils.clip_grad_value_(params, ours["clip_value"])
            for param in params:
                param.grad += (ours["l1"] or 0) * param.detach().sign()
            update.step()
    net.fit(X, y, optimizer=optimizer_of(case, groups=GROUPS), epochs=15, batch_size=8, seed=5)
    expected = torch.nn.utils.parameters_to_vector(params).detach().numpy()
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)


@all_optimizers
def test_groups_agree_with_the_oracle(isa, dtype, rng, case):
    """Also after a fit without groups, and with a layer that was frozen in it."""
    X, y = rng.standard_normal((20, 6)).astype(dtype), rng.integers(4, size=20)
    net, exact = fn.Network(layers(), dtype, 3), fn.Network(layers(), "float64", 3)
    exact.params[...] = net.params
    rates, decays = factor_arrays(net)
    made = getattr(reference_optimizers, case.cls)(**case.args)
    rate, decay = made.learning_rate, made.weight_decay
    settings = {"epochs": 5, "batch_size": 20, "shuffle": False}
    for groups in (GROUPS, (), GROUPS[:1]):
        own_rates = own_decays = 1
        if groups:
            own_rates, own_decays = rates, decays
        if groups == GROUPS[:1]:
            own_rates, own_decays = factor_arrays(
                net, {name: (0.1, 0) if "bias" in name else (1, 1) for name in EXPECTED}
            )
        made.learning_rate, made.weight_decay = rate * own_rates, decay * own_decays
        net.fit(X, y, optimizer=optimizer_of(case, groups=groups), **settings)
        for _ in range(5):
            gradient = exact.loss_and_grad(X, y, fn.SoftmaxCrossEntropy())[1]
            exact.params[...] = made.step(np.array(exact.params), gradient)
        tolerance = 5e-4 if dtype == "float32" else 1e-10
        np.testing.assert_allclose(net.params, exact.params, rtol=tolerance, atol=tolerance)


def test_the_decay_of_adamw_has_both_factors(isa, dtype):
    """Without a gradient, an update multiplies by 1 - (decay factor · decay) · (factor · rate)."""
    net = fn.Network([fn.Linear(3, 2)], dtype, seed=0)
    net.params[...] = 1
    groups = [
        fn.Group("weight", learning_rate_factor=6, weight_decay_factor=6),
        fn.Group("bias", learning_rate_factor=0.1, weight_decay_factor=0),
    ]
    net.step(np.zeros(8), fn.AdamW(0.02, weight_decay=0.1, groups=groups))
    np.testing.assert_allclose(net.params[:6], 1 - 0.02 * 6 * 0.1 * 6, rtol=1e-6)
    assert (net.params[6:] == 1).all()


@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_factors_of_0_and_1(isa, dtype, rng, factor):
    """With factors 1 no bit changes; at the learning rate 0 the parameters stay."""
    X, y = rng.standard_normal((20, 6)), rng.integers(4, size=20)
    nets = [fn.Network(layers(), dtype, seed=0) for _ in range(2)]
    before = nets[0].params.copy()
    ones = [fn.Group("weight", [2], factor, 1.0), fn.Group(layers=[0, 4])]
    nets[0].fit(X, y, optimizer=fn.AdamW(0.01, groups=ones), epochs=3, batch_size=7, seed=0)
    nets[1].fit(X, y, optimizer=fn.AdamW(0.01), epochs=3, batch_size=7, seed=0)
    place = slice(6 * 16 + 16, 6 * 16 + 16 + 16 * 8)
    if factor:
        assert np.array_equal(nets[0].params, nets[1].params)
        assert len(nets[0]._optimizer_state.segments()) == 1
    else:
        assert np.array_equal(nets[0].params[place], before[place])
        assert not np.array_equal(nets[0].params, before)
    assert nets[1]._optimizer_state.factors == ()
    assert len(nets[1]._optimizer_state.segments()) == 1


# Every way to train ---------------------------------------------------------------------------


def mapped(X, tmp_path):
    file = np.memmap(tmp_path / "x", X.dtype, "w+", shape=X.shape)
    file[...] = X
    return file


@pytest.mark.parametrize("way", ["python", "memmap", "batches", "steps", "many", "two threads"])
@pytest.mark.parametrize(
    "case", [c for c in OPTIMIZER_CASES if c.name in ("adamw_all", "lion_all")]
)
def test_every_way_gives_the_same(isa, dtype, rng, tmp_path, case, way):
    X, y = rng.standard_normal((24, 6)), rng.standard_normal((24, 4))
    optimizer, loss = optimizer_of(case, groups=GROUPS), fn.MeanSquaredError()
    whole, other = (fn.Network(layers(), dtype, seed=3) for _ in range(2))
    settings = {"optimizer": optimizer, "epochs": 4, "batch_size": 8, "shuffle": False, "seed": 0}
    whole.fit(X, y, loss=loss, n_threads=1, **settings)
    if way == "python":
        other.fit(X, y, loss=Python(loss), **settings)
    elif way == "memmap":
        other.fit(mapped(X, tmp_path), y, loss=loss, **settings)
    elif way == "batches":
        other.fit([(X[:10], y[:10]), (X[10:], y[10:])], loss=loss, **settings)
    elif way == "steps":
        for _ in range(4):
            for rows in np.split(np.arange(24), 3):
                other.step(other.loss_and_grad(X[rows], y[rows], loss)[1], optimizer)
    elif way == "many":
        fn.fit_many([other], X, y, loss=loss, **settings)
    else:
        other.fit(X, y, loss=loss, n_threads=2, **settings)
    if way == "python":
        tolerance = 1e-3 if dtype == "float32" else 1e-10
        np.testing.assert_allclose(other.params, whole.params, rtol=tolerance, atol=tolerance)
    else:
        assert np.array_equal(other.params, whole.params)


def test_many_parameters_in_threads_keep_their_bits(isa, dtype, rng):
    X, y = rng.standard_normal((40, 300)).astype(dtype), rng.integers(800, size=40)
    optimizer = fn.AdamW(0.01, clip_norm=0.1, groups=[fn.Group("weight", None, 2.0, 0.5)])
    hashes = set()
    for n_threads in (1, 2, 3):
        net = fn.Network([fn.Linear(300, 800)], dtype, seed=0)
        net.fit(X, y, optimizer=optimizer, epochs=2, seed=0, n_threads=n_threads)
        hashes.add(net.params.tobytes())
    assert len(hashes) == 1


@all_optimizers
def test_groups_on_sparse_rows(dtype, case):
    """The weight of the first layer is held transposed there."""
    X = matrices()[0][1]
    y = np.arange(X.shape[0]) % 3
    groups = [
        fn.Group("weight", [0], 3.0, 2.0),
        fn.Group("bias", None, 0.5, 0.0),
        fn.Group(layers=["2.LayerNorm"], learning_rate_factor=0.25),
    ]
    nets = []
    for rows in (X, X.toarray()):
        own = [fn.Linear(FEATURES, 19), fn.ReLU(), fn.LayerNorm(19), fn.Linear(19, 3)]
        net = fn.Network(own, dtype, seed=3)
        optimizer = optimizer_of(case, groups=groups)
        net.fit(rows, y, optimizer=optimizer, epochs=3, batch_size=10, seed=1)
        nets.append(net)
    tolerance = 5e-4 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("groups", [(), (fn.Group("bias", learning_rate_factor=0.1),)])
def test_a_sparse_fit_that_is_broken_off(tmp_path, groups):
    """With the counts of missed updates, the number of segments changes."""
    X = matrices()[0][1]
    y = np.arange(X.shape[0]) % 3
    settings = {"optimizer": fn.Adam(0.01, groups=groups), "batch_size": 10, "seed": 1}

    def network(before):
        net = fn.Network([fn.Linear(FEATURES, 19), fn.ReLU(), fn.Linear(19, 3)], seed=3)
        net.layers[2].trainable = False
        if before:
            net.fit(X, y, epochs=1, **settings)
        net.layers[2].trainable = True
        return net

    whole, first, resumed = network(True), network(True), network(False)
    whole.fit(X, y, epochs=4, **settings)
    settings |= {"checkpoint": tmp_path / "run.checkpoint", "epochs": 4}
    with pytest.raises(KeyboardInterrupt):
        first.fit(X, y, callbacks=[Interrupt(2)], **settings)
    resumed.fit(X, y, resume=True, callbacks=[Interrupt(-1)], **settings)
    assert np.array_equal(resumed.params, whole.params)


def test_custom_layers_name_their_parameters(dtype, rng):
    X, y = rng.standard_normal((24, 6)), rng.integers(4, size=24)
    groups = [
        fn.Group("scale", learning_rate_factor=6),
        fn.Group("bias", learning_rate_factor=0.1, weight_decay_factor=0),
        fn.Group(layers=["1.PythonLinear"], weight_decay_factor=2),
    ]
    net = fn.Network([Scaling(6), PythonLinear(6, 4)], dtype, seed=0)
    exact = fn.Network([Scaling(6), PythonLinear(6, 4)], "float64", seed=0)
    exact.params[...] = net.params
    expected = {"0.scale": (6, 1), "1.weight": (1, 2), "1.bias": (0.1, 0)}
    rates, decays = factor_arrays(net, expected)
    made = reference_optimizers.AdamW(0.01 * rates, 0.1 * decays)
    optimizer = fn.AdamW(0.01, weight_decay=0.1, groups=groups)
    net.fit(X, y, optimizer=optimizer, epochs=6, batch_size=24, shuffle=False)
    for _ in range(6):
        gradient = exact.loss_and_grad(X, y, fn.SoftmaxCrossEntropy())[1]
        exact.params[...] = made.step(np.array(exact.params), gradient)
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(net.params, exact.params, rtol=tolerance, atol=tolerance)


# Names ----------------------------------------------------------------------------------------


def nested():
    block = fn.Residual([fn.Linear(4, 4), fn.Residual([fn.BatchNorm(4), fn.Linear(4, 4)])])
    return fn.Network([fn.Linear(3, 4), block, fn.Parallel([[fn.Linear(4, 2)], [fn.Linear(4, 2)]])])


@pytest.mark.parametrize(
    ("params", "chosen", "expected"),
    [
        (None, None, [0, 1, 2, 3, 4, 5]),
        ("weight", None, [0, 1, 2, 3, 4, 5]),
        (None, [1], [1, 2, 3]),
        (None, [-1], [4, 5]),
        (None, range(2), [0, 1, 2, 3]),
        ("bias", ["1.Residual"], [1, 2, 3]),
        (None, ["1.layers.0.Linear", "2.branches.1.0.Linear"], [1, 5]),
        (None, ["1.layers.1.Residual"], [2, 3]),
        ("weight", ["1.layers.1.layers.0.BatchNorm", 0], [0, 2]),
        (None, [np.int64(2)], [4, 5]),
    ],
)
def test_the_layers_that_a_group_names(params, chosen, expected):
    net = nested()
    group = fn.Group(params, chosen, 2.0, 3.0)
    factors = factors_of(fn.SGD(0.1, groups=[group]), net.layers)
    sizes = [[size for size, _, _ in runs] for runs in factors]
    assert sizes == [[12, 4], [16, 4], [4, 4], [16, 4], [8, 2], [8, 2]]
    for i, runs in enumerate(factors):
        for name, (_, *own) in zip(("weight", "bias"), runs, strict=True):
            assert own == ([2.0, 3.0] if i in expected and params in (None, name) else [1, 1])
    names = net.activations(np.ones((1, 3)))
    assert all(name in names for name in group.layers or () if isinstance(name, str))


def test_factors_make_segments():
    net = nested()
    net.layers[1].layers[0].trainable = False
    optimizer = fn.Adam(groups=[fn.Group("bias", None, 0.5, 0.25), fn.Group(layers=[0, 1])])
    net.step(np.zeros(net.n_params), optimizer)
    found = net._optimizer_state.segments().tolist()
    assert found == [
        (0, 12, 0, 1, 1),
        (12, 4, 0, 0.5, 0.25),
        (36, 4, 0, 1, 1),
        (40, 4, 0, 0.5, 0.25),
        (44, 16, 0, 1, 1),
        (60, 4, 0, 0.5, 0.25),
        (64, 8, 0, 1, 1),
        (72, 2, 0, 0.5, 0.25),
        (74, 8, 0, 1, 1),
        (82, 2, 0, 0.5, 0.25),
    ]


def test_groups_are_frozen_values():
    group = fn.Group("bias", [0, "2.Linear"], 1, 0)
    assert group == fn.Group(params="bias", layers=(0, "2.Linear"), weight_decay_factor=0.0)
    assert repr(group) == (
        "Group(params='bias', layers=(0, '2.Linear'), learning_rate_factor=1.0, "
        "weight_decay_factor=0.0)"
    )
    optimizer = fn.Adam(0.1, groups=[group])
    assert optimizer == fn.Adam(0.1, groups=(group,)) != fn.Adam(0.1)
    assert len({optimizer, fn.Adam(0.1, groups=(group,))}) == 1
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert optimizers.Group is fn.Group
    assert fn.Group.__module__ == "fastnn.optimizers"
    with pytest.raises(AttributeError):
        group.params = "weight"


def test_optimizers_that_older_versions_pickled_have_no_groups(rng):
    old = fn.Adam(0.01)
    del vars(old)["groups"]
    net = fn.Network(layers(), seed=0)
    net.fit(rng.standard_normal((8, 6)), np.zeros(8, int), optimizer=old, epochs=1)
    assert old == fn.Adam(0.01)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: fn.Group(3), "params is 3"),
        (lambda: fn.Group(layers=0), "layers is 0; a list of places or names"),
        (lambda: fn.Group(layers="0.Linear"), "layers is '0.Linear'; a list"),
        (lambda: fn.Group(layers=[1.5]), r"layers\[0\] is 1.5; a place or a name"),
        (lambda: fn.Group(layers=[0, True]), r"layers\[1\] is True"),
        (lambda: fn.Group(learning_rate_factor=-1), "learning_rate_factor is -1; .* at least 0"),
        (lambda: fn.Group(weight_decay_factor=np.inf), "weight_decay_factor is inf"),
        (lambda: fn.Group(weight_decay_factor="no"), "weight_decay_factor is 'no'"),
        (lambda: fn.Adam(groups=fn.Group()), r"groups is Group\(.*\); a list of Group objects"),
        (lambda: fn.Lion(groups=["bias"]), r"groups\[0\] is 'bias'; a Group object"),
        (lambda: fn.LBFGS(groups=[]), "groups"),
    ],
)
def test_bad_settings(make, error):
    with pytest.raises((ValueError, TypeError), match=error):
        make()


@pytest.mark.parametrize(
    ("group", "error"),
    [
        (fn.Group("biases"), r"groups\[1\] is Group.* of this name; one of 'bias', 'weight'"),
        (fn.Group("bias", ["1.ReLU"]), r"groups\[1\] is Group.* whose layers have no parameters"),
        (fn.Group(layers=[]), r"groups\[1\] is Group.* have no parameters"),
        (
            fn.Group(layers=[5]),
            r"groups\[1\] has the layer 5; a place below 5, or one of '0.Linear'",
        ),
        (fn.Group(layers=[-6]), r"groups\[1\] has the layer -6"),
        (
            fn.Group(layers=["0.ReLU"]),
            r"groups\[1\] has the layer '0.ReLU'; .*'4.Linear' is wanted",
        ),
    ],
)
def test_groups_that_do_not_fit_the_network(rng, group, error):
    net = fn.Network(layers(), seed=0)
    X, y = rng.standard_normal((8, 6)), np.zeros(8, int)
    net.fit(X, y, optimizer=fn.Adam(), epochs=1)
    before, state = net.params.copy(), net.optimizer_state.step
    optimizer = fn.Adam(groups=[fn.Group(), group])
    for call in (
        lambda: net.fit(X, y, optimizer=optimizer),
        lambda: net.step(np.zeros(net.n_params), optimizer),
        lambda: net.partial_fit(X, y, optimizer=optimizer),
    ):
        with pytest.raises(ValueError, match=error):
            call()
    assert np.array_equal(net.params, before)
    assert net.optimizer_state.step == state


def test_schedules_and_groups(rng):
    """The factors apply to every rate of a schedule; the History has the rates without them."""
    X, y = rng.standard_normal((24, 6)), rng.integers(4, size=24)
    nets = [fn.Network(layers(), "float64", seed=0) for _ in range(2)]
    halves = fn.SGD(schedules.CosineDecay(0.1), groups=[fn.Group(learning_rate_factor=0.5)])
    histories = [
        net.fit(X, y, optimizer=optimizer, epochs=3, batch_size=8, seed=0)
        for net, optimizer in zip(nets, (halves, fn.SGD(schedules.CosineDecay(0.05))), strict=True)
    ]
    assert np.array_equal(nets[0].params, nets[1].params)
    assert histories[0]["learning_rate"] == pytest.approx(
        [2 * rate for rate in histories[1]["learning_rate"]]
    )
