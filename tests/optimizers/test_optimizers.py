"""Every optimizer of the table of cases against the oracle and PyTorch, and its state."""

import numpy as np
import pytest
import reference_optimizers
from custom_loss import Python
from optimizer_cases import OPTIMIZER_CASES
from torch_counterparts import torch_optimizer
from whole_segment import whole

import fastnn as fn
from fastnn import _core

all_optimizers = pytest.mark.parametrize("case", OPTIMIZER_CASES, ids=lambda case: case.name)


def optimizer_of(case, **others):
    return getattr(fn, case.cls)(**{**case.args, **others})


@all_optimizers
@pytest.mark.parametrize("n", [1, 7, 100, 1100])
def test_twenty_steps(isa, dtype, rng, case, n):
    optimizer = optimizer_of(case)
    rule, rate = optimizer.update_rule(), optimizer.learning_rate
    expected = getattr(reference_optimizers, case.cls)(**case.args)
    params = rng.standard_normal(n).astype(dtype)
    params[::5] = 0  # where the gradient of L1 is 0
    exact = params.astype(float)
    state = np.zeros((len(optimizer.state_names), n), dtype)
    segments = whole(n)
    for step in range(1, 21):
        grads = rng.standard_normal(n).astype(dtype)
        kept = grads.copy()
        _core.engine.optimizer_step(rule, rate, params, grads, state, segments, step)
        exact = expected.step(exact, grads.astype(float))
        assert np.array_equal(grads, kept)
    rtol = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(params, exact, rtol=rtol, atol=rtol)


@all_optimizers
def test_two_hundred_steps_agree_with_pytorch(isa, rng, tmp_path, case):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import load_file

    torch.set_num_threads(1)
    X, y = rng.standard_normal((64, 6)), rng.integers(4, size=64)
    net = fn.Network(
        [fn.Linear(6, 16), fn.ReLU(), fn.Linear(16, 8), fn.Tanh(), fn.Linear(8, 4)], "float64", 3
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 16),
        torch.nn.ReLU(),
        torch.nn.Linear(16, 8),
        torch.nn.Tanh(),
        torch.nn.Linear(8, 4),
    ).double()
    net.save(tmp_path / "net.safetensors")
    theirs.load_state_dict(load_file(tmp_path / "net.safetensors"))  # the names are PyTorch's
    args = dict(case.args)
    ours = {name: args.pop(name, None) for name in ("l1", "clip_norm", "clip_value")}
    settings = {"lr": args.pop("learning_rate"), **args}
    params = list(theirs.parameters())
    update = torch_optimizer(case.cls)(params, **settings)
    draw, inputs, labels = np.random.default_rng(5), torch.tensor(X), torch.tensor(y)
    for _ in range(25):
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
    net.fit(X, y, optimizer=optimizer_of(case), epochs=25, batch_size=8, seed=5)
    expected = torch.nn.utils.parameters_to_vector(params).detach().numpy()
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)
    seen = net.optimizer_state
    assert (seen.kind, seen.step) == (case.cls.lower(), 200)
    for name, array in seen.arrays.items():
        expected = torch.cat([update.state[param][name].ravel() for param in params]).numpy()
        np.testing.assert_allclose(array, expected, rtol=1e-9, atol=1e-12)


@all_optimizers
def test_a_loss_written_in_python_trains_alike(isa, dtype, rng, case):
    X, y = rng.standard_normal((23, 3)), rng.standard_normal((23, 2))
    nets = []
    for loss in (fn.MeanSquaredError(), Python(fn.MeanSquaredError())):
        net = fn.Network([fn.Linear(3, 6), fn.Tanh(), fn.Linear(6, 2)], dtype, seed=1)
        optimizer = optimizer_of(case, learning_rate=fn.schedules.CosineDecay(0.01))
        net.layers[2].trainable = False
        net.fit(X, y, loss=loss, optimizer=optimizer, epochs=4, batch_size=5, seed=2)
        nets.append(net)
    rtol = 1e-3 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=rtol, atol=rtol)


@all_optimizers
def test_a_further_fit_continues_the_state(rng, case):
    X, y = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))

    def network():
        return fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], "float64", seed=5)

    def fit(net, epochs, optimizer):
        loss = fn.MeanSquaredError()
        net.fit(X, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=5, shuffle=False)
        return net.params.copy()

    optimizer = optimizer_of(case)
    whole, halves = network(), network()
    fit(halves, 4, optimizer)
    assert np.array_equal(fit(whole, 10, optimizer), fit(halves, 6, optimizer))
    # another kind of optimizer starts with a new state
    other = fn.Adam() if case.cls != "Adam" else fn.SGD(0.1, momentum=0.5)
    fresh = network()
    fresh.params[...] = whole.params
    assert np.array_equal(fit(whole, 1, other), fit(fresh, 1, other))


def test_settings_that_remember_other_things_start_fresh(rng):
    """An array of one name is not used for another name, even if the shapes are equal."""
    net = fn.Network([fn.Linear(3, 1)], seed=0)
    X, y = rng.standard_normal((8, 3)), rng.standard_normal(8)
    for optimizer, names in (
        (fn.RMSprop(momentum=0.9), ["square_avg", "momentum_buffer"]),
        (fn.RMSprop(centered=True), ["square_avg", "grad_avg"]),
    ):
        net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=3, batch_size=4)
        assert list(net.optimizer_state.arrays) == names
        assert net.optimizer_state.step == 6


def test_a_fit_that_is_refused_forgets_nothing(rng, tmp_path):
    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 1))
    net = fn.Network([fn.Linear(3, 1)], "float64", seed=0)
    net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.Adam(0.01), epochs=2)
    kept = [array.copy() for array in net.optimizer_state.arrays.values()]
    (tmp_path / "foreign").write_bytes(b"no checkpoint")

    class Refused(fn.Callback):
        def fit_begin(self, net):
            raise LookupError

    for refused, error in (
        ({"loss": fn.MeanAbsoluteError(), "optimizer": fn.LevenbergMarquardt()}, TypeError),
        ({"checkpoint": tmp_path / "foreign", "resume": True}, fn.ModelFileError),
        ({"callbacks": [Refused()]}, LookupError),
    ):
        settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.SGD(0.1)} | refused
        with pytest.raises(error):
            net.fit(X, y, **settings)
        state = net.optimizer_state
        assert (state.kind, state.step) == ("adam", 2)
        assert all(map(np.array_equal, state.arrays.values(), kept))


def test_the_state_can_be_looked_at_alone(rng):
    net = fn.Network([fn.Linear(3, 1)], seed=0)
    assert net.optimizer_state == ("", 0, {})
    net.fit(
        rng.standard_normal((8, 3)),
        np.zeros(8),
        loss=fn.MeanSquaredError(),
        optimizer=fn.SGD(0.1, momentum=0.9),
        epochs=1,
    )
    velocity = net.optimizer_state.arrays["momentum_buffer"]
    assert velocity.shape == net.params.shape
    assert velocity.any()
    with pytest.raises(ValueError, match="read-only"):
        velocity[0] = 1


def test_many_parameters_in_threads_keep_their_bits(isa, dtype, rng):
    X, y = rng.standard_normal((40, 300)).astype(dtype), rng.integers(800, size=40)
    optimizer = fn.AdamW(0.01, l1=1e-4, clip_norm=0.1, clip_value=0.01)
    hashes = set()
    for n_threads in (1, 2, 3):
        net = fn.Network([fn.Linear(300, 800)], dtype, seed=0)
        net.fit(X, y, optimizer=optimizer, epochs=2, seed=0, n_threads=n_threads)
        hashes.add(net.params.tobytes())
    assert len(hashes) == 1


def test_clipping_hands_nan_on(isa, dtype):
    """NaN must not be clipped like a large number, since then nobody would notice it."""
    rule = fn.SGD(0.1, clip_value=1.0).update_rule()
    params = np.zeros(3, dtype)
    grads = np.array([np.nan, np.inf, -np.inf], dtype)
    state = np.empty((0, 3), dtype)
    _core.engine.optimizer_step(rule, 0.1, params, grads, state, whole(3), 1)
    np.testing.assert_allclose(params, [np.nan, -0.1, 0.1], rtol=1e-6)


def test_the_reported_loss_contains_no_penalty(rng):
    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 1))
    net = fn.Network([fn.Linear(3, 1)], "float64", seed=0)
    loss = fn.MeanSquaredError()
    value = net.loss_and_grad(X, y, loss)[0]
    optimizer = fn.SGD(1e-9, l1=1.0, weight_decay=1.0)
    history = net.fit(X, y, loss=loss, optimizer=optimizer, epochs=1, batch_size=20)
    assert history["loss"][0] == pytest.approx(value, rel=1e-12)


def test_optimizers_are_frozen_values():
    assert fn.SGD(0.1, momentum=0.9) == fn.SGD(0.1, momentum=0.9)
    assert repr(fn.SGD(0.1, momentum=0.9, l1=0.01)) == (
        "SGD(learning_rate=0.1, momentum=0.9, l1=0.01)"
    )
    assert repr(fn.Adam()) == "Adam()"
    with pytest.raises(AttributeError):
        fn.Adam().learning_rate = 1


@pytest.mark.parametrize(
    ("cls", "arguments", "error"),
    [
        ("SGD", {"learning_rate": 0}, "learning_rate is 0; a finite number and above 0"),
        ("SGD", {"learning_rate": "fast"}, "learning_rate is 'fast'; a real number is wanted"),
        ("Adam", {"l1": -1}, "l1 is -1; a finite number and at least 0"),
        ("AdamW", {"clip_norm": 0}, "clip_norm is 0; a finite number and above 0"),
        ("RMSprop", {"clip_value": float("nan")}, "clip_value is nan"),
        ("RMSprop", {"alpha": 1}, "alpha is 1; a finite number and at least 0 and below 1"),
        ("RMSprop", {"centered": 1}, "centered is 1; True or False"),
        ("RMSprop", {"momentum": 1}, "momentum is 1"),
        ("AdamW", {"weight_decay": -0.1}, "weight_decay is -0.1"),
    ],
)
def test_bad_settings(cls, arguments, error):
    with pytest.raises((ValueError, TypeError), match=error):
        getattr(fn, cls)(**arguments)


def test_lion_hands_nan_on_and_keeps_what_has_no_gradient(isa, dtype):
    """A sign of NaN would be 0: the parameter would stay finite, and training would stand still."""
    params, state = np.ones(4, dtype), np.zeros((1, 4), dtype)
    grads = np.array([np.nan, 3, -2, 0], dtype)
    rule, segments = fn.Lion(0.25).update_rule(), whole(4)
    _core.engine.optimizer_step(rule, 0.25, params, grads, state, segments, 1)
    assert np.isnan(params[0])
    assert params[1:].tolist() == [0.75, 1.25, 1]
