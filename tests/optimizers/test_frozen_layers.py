"""Frozen layers: their parameters stay, and the others train as if they were alone."""

import itertools

import numpy as np
import pytest
import reference_optimizers
from custom_loss import Python
from optimizer_cases import OPTIMIZER_CASES

import fastnn as fn
from fastnn.optimizers import OptimizerState


def three_layers(dtype="float64"):
    layers = [fn.Linear(5, 7), fn.ReLU(), fn.Linear(7, 6), fn.Tanh(), fn.Linear(6, 3)]
    return fn.Network(layers, dtype, seed=4)


def slices(net):
    """Return the slice of each linear layer's parameters in the flat vector."""
    ends = np.cumsum([0] + [layer.n_params for layer in net.layers if layer.n_params])
    return [slice(first, end) for first, end in itertools.pairwise(ends)]


@pytest.mark.parametrize("frozen", [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]])
@pytest.mark.parametrize(
    "case",
    [c for c in OPTIMIZER_CASES if c.name in ("sgd_momentum", "adamw", "clip_both_l1")],
    ids=lambda c: c.name,
)
def test_frozen_layers_agree_with_the_oracle(isa, dtype, rng, case, frozen):
    """The other parameters train as if there were no frozen ones; the clipped norm is theirs."""
    X, y = rng.standard_normal((20, 5)).astype(dtype), rng.integers(3, size=20)
    net, loss = three_layers(dtype), fn.SoftmaxCrossEntropy()
    optimizer = getattr(fn, case.cls)(**case.args)
    net.fit(X, y, optimizer=optimizer, epochs=1, batch_size=20)  # makes a state of all parameters
    state = {name: array.copy() for name, array in net.optimizer_state.arrays.items()}
    oracle, expected = three_layers(), net.params.astype(float)
    trained = np.concatenate(
        [
            np.full(layer.n_params, 2 * i not in [2 * k for k in frozen])
            for i, layer in enumerate(net.layers[::2])
        ]
    )
    reference = getattr(reference_optimizers, case.cls)(**case.args)
    net.layers[1].trainable = False  # a layer without parameters: no effect
    oracle.params[...] = three_layers(dtype).params
    start = oracle.loss_and_grad(X, y, loss)[1]
    reference.step(np.asarray(oracle.params), start)  # the state so far, of all parameters
    reference = _only(reference, trained)
    for i in frozen:
        net.layers[2 * i].trainable = False
    before = net.params.copy()
    net.fit(X, y, optimizer=optimizer, epochs=6, batch_size=20, shuffle=False)
    for _ in range(6):
        oracle.params[...] = expected
        grads = oracle.loss_and_grad(X, y, loss)[1]
        if trained.any():
            expected[trained] = reference.step(expected[trained], grads[trained])
    tolerance = 2e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(net.params, expected, rtol=tolerance, atol=tolerance)
    assert np.array_equal(net.params[~trained], before[~trained])
    assert (net.params[trained] != before[trained]).any() == trained.any()
    for name, array in net.optimizer_state.arrays.items():
        assert np.array_equal(array[~trained], state[name][~trained])
    assert (net.loss_and_grad(X, y, loss)[1][~trained] != 0).any() == (~trained).any()


def _only(reference, trained):
    """Return the oracle of an optimizer with the state of some of its parameters."""
    for name, value in vars(reference).items():
        if isinstance(value, np.ndarray):
            setattr(reference, name, value[trained])
    return reference


def test_the_backward_pass_ends_at_the_lowest_trained_layer(isa, rng):
    """The gradients of the layers below are not computed, so their entries keep their values."""
    net = three_layers()
    X, y = rng.standard_normal((20, 5)), rng.integers(3, size=20)
    net.layers[0].trainable = net.layers[2].trainable = False
    net.grads[...] = 7
    net.fit(X, y, epochs=1)
    *below, top = slices(net)
    assert all((net.grads[place] == 7).all() for place in below)
    assert (net.grads[top] != 7).all()


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
def test_a_layer_that_is_no_longer_frozen_agrees_with_pytorch(isa, rng, wrap):
    """Its running means have seen fewer updates, which Adam's correction must take into account."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = three_layers()
    X, y = rng.standard_normal((20, 5)), rng.integers(3, size=20)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, 7),
        torch.nn.ReLU(),
        torch.nn.Linear(7, 6),
        torch.nn.Tanh(),
        torch.nn.Linear(6, 3),
    ).double()
    torch.nn.utils.vector_to_parameters(torch.tensor(net.params), theirs.parameters())
    update = torch.optim.Adam(theirs.parameters(), 0.01)
    for frozen in ((0, 2), (2,), (4,), ()):
        for i in (0, 2, 4):
            net.layers[i].trainable = i not in frozen
            for param in theirs[i].parameters():
                param.requires_grad = i not in frozen
        for _ in range(5):
            update.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(theirs(torch.tensor(X)), torch.tensor(y)).backward()
            update.step()
        loss = wrap(fn.SoftmaxCrossEntropy())
        net.fit(X, y, loss=loss, optimizer=fn.Adam(0.01), epochs=5, batch_size=20, shuffle=False)
        expected = torch.nn.utils.parameters_to_vector(theirs.parameters()).detach().numpy()
        np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("frozen", [(0,), (1,), (0, 1), (0, 1, 2), (1, 2, 4), (2,), (4,)], ids=str)
def test_frozen_normalisations_agree_with_pytorch(isa, rng, frozen):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    X, y = rng.standard_normal((20, 5)), rng.integers(3, size=20)
    net = fn.Network(
        [fn.Linear(5, 7), fn.LayerNorm(7), fn.Linear(7, 6), fn.Tanh(), fn.Linear(6, 3)],
        "float64",
        4,
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, 7),
        torch.nn.LayerNorm(7),
        torch.nn.Linear(7, 6),
        torch.nn.Tanh(),
        torch.nn.Linear(6, 3),
    ).double()
    torch.nn.utils.vector_to_parameters(torch.tensor(net.params), theirs.parameters())
    for i in frozen:
        net.layers[i].trainable = False
        theirs[i].requires_grad_(False)
    update = torch.optim.AdamW([p for p in theirs.parameters() if p.requires_grad], 0.01)
    for _ in range(10):
        update.zero_grad()
        torch.nn.functional.cross_entropy(theirs(torch.tensor(X)), torch.tensor(y)).backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.3)
        update.step()
    optimizer = fn.AdamW(0.01, clip_norm=0.3)
    net.fit(X, y, optimizer=optimizer, epochs=10, batch_size=20, shuffle=False)
    expected = torch.nn.utils.parameters_to_vector(theirs.parameters()).detach().numpy()
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)


def test_neighbours_with_equally_many_missed_updates_share_a_segment():
    parts = [(4, True), (3, True), (5, False), (2, True), (6, True)]
    state = OptimizerState().continued_for(fn.Adam(), parts, np.dtype("float32"))
    assert state.segments().tolist() == [(0, 7, 0, 1, 1), (12, 8, 0, 1, 1)]
    state.advance(10)
    all_parts = [(size, True) for size, _ in parts]
    state = state.continued_for(fn.Adam(0.5), all_parts, np.dtype("float32"))
    assert state.segments().tolist() == [(0, 7, 0, 1, 1), (7, 5, 10, 1, 1), (12, 8, 0, 1, 1)]
    state.forget()
    assert state.segments().tolist() == [(0, 20, 0, 1, 1)]


def test_freezing_is_kept(tmp_path):
    net = three_layers()
    net.layers[2].trainable = False
    net.save(tmp_path / "net.safetensors")
    loaded = fn.load(tmp_path / "net.safetensors")
    assert [layer.trainable for layer in loaded.layers] == [True, True, False, True, True]
    assert "Linear(7, 6) (frozen)" in loaded.summary()
    with pytest.raises(TypeError, match="trainable is 'no'; True or False is wanted"):
        net.layers[0].trainable = "no"
