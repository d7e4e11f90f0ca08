"""Training with blocks: PyTorch's curves, frozen layers, masks, statistics and checkpoints."""

import pickle

import numpy as np
import pytest

import fastnn as fn

N, BATCH_SIZE, EPOCHS = 120, 16, 8


def layers_of(kind):
    """Return the layers of a network 6 -> 3."""
    if kind == "residual":
        block = fn.Residual([fn.Linear(8, 5), fn.ReLU(), fn.Linear(5, 8)])
        return [fn.Linear(6, 8), block, fn.ReLU(), fn.Linear(8, 3)]
    if kind == "batch norm":
        block = fn.Residual([fn.BatchNorm(8), fn.Tanh(), fn.Linear(8, 8), fn.BatchNorm(8)])
        return [fn.Linear(6, 8), block, fn.LayerNorm(8), fn.Linear(8, 3)]
    return [
        fn.Parallel([[fn.Linear(6, 4), fn.Tanh()], [], [fn.Tanh(), fn.Linear(6, 5)]], "concat"),
        fn.Parallel([[fn.Linear(15, 3)], [fn.Linear(15, 7), fn.ReLU(), fn.Linear(7, 3)]]),
        fn.Residual([fn.Parallel([[fn.Residual([fn.Linear(3, 3)])], [fn.Linear(3, 3)]])]),
    ]


KINDS = ["residual", "batch norm", "parallel"]


def data():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((N, 6))
    return X, np.digitize(X[:, 0] * X[:, 1] + 0.3 * X[:, 2], [-0.5, 0.5])


def counterpart(layer):
    """Return a layer as a module of PyTorch, with the same parameters."""
    import torch

    class Branches(torch.nn.Module):
        def __init__(self, branches, combine):
            super().__init__()
            self.branches = torch.nn.ModuleList(
                torch.nn.Sequential(*map(counterpart, branch)) for branch in branches
            )
            self.combine = combine

        def forward(self, x):
            parts = [branch(x) for branch in self.branches]
            return torch.cat(parts, 1) if self.combine == "concat" else sum(parts)

    if isinstance(layer, fn.Residual | fn.Parallel):
        return Branches(layer._branches, layer.combine)
    if isinstance(layer, fn.Linear):
        module = torch.nn.Linear(layer.in_features, layer.out_features)
    elif isinstance(layer, fn.BatchNorm):
        module = torch.nn.BatchNorm1d(layer.in_features)
    elif isinstance(layer, fn.LayerNorm):
        module = torch.nn.LayerNorm(layer.in_features)
    else:
        return getattr(torch.nn, type(layer).__name__)()
    module.double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(layer.weight.copy()))
        module.bias.copy_(torch.tensor(layer.bias.copy()))
    for parameter in module.parameters():
        parameter.requires_grad_(layer.trainable)
    return module


OPTIMIZERS = {
    "SGD": (fn.SGD(0.05, momentum=0.9), lambda t, p: t.optim.SGD(p, 0.05, momentum=0.9)),
    "AdamW": (
        fn.AdamW(0.01, weight_decay=0.02),
        lambda t, p: t.optim.AdamW(p, 0.01, weight_decay=0.02),
    ),
}


@pytest.mark.parametrize("frozen", ["nothing", "first", "inner"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_learning_curve_is_that_of_pytorch(kind, optimizer, frozen):
    torch = pytest.importorskip("torch")
    X, y = data()
    net = fn.Network(layers_of(kind), "float64", seed=3)
    if frozen == "first":
        net.layers[0].trainable = False
    if frozen == "inner":
        next(layer for layer in net.layers if isinstance(layer, fn.Residual)).trainable = False
    theirs = torch.nn.Sequential(*map(counterpart, net.layers))
    ours, of_pytorch = OPTIMIZERS[optimizer]
    learner = of_pytorch(torch, [p for p in theirs.parameters() if p.requires_grad])
    before = net.params.copy()
    rng, inputs, targets, losses = np.random.default_rng(11), torch.tensor(X), torch.tensor(y), []
    for _ in range(EPOCHS):
        order, total = rng.permutation(N), 0.0
        for first in range(0, N, BATCH_SIZE):
            rows = order[first : first + BATCH_SIZE]
            learner.zero_grad()
            loss = torch.nn.functional.cross_entropy(theirs(inputs[rows]), targets[rows])
            loss.backward()
            learner.step()
            total += loss.item() * len(rows)
        losses.append(total / N)
    history = net.fit(X, y, optimizer=ours, epochs=EPOCHS, batch_size=BATCH_SIZE, seed=11)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-9)
    theirs.eval()
    with torch.no_grad():
        np.testing.assert_allclose(net.predict(X), theirs(inputs).numpy(), rtol=1e-7, atol=1e-9)
    changed, start = net.params != before, 0
    for leaf in fn.layers.composition.leaves(net.layers):
        part = changed[start : start + leaf.n_params]
        start += leaf.n_params
        assert part.any() == (leaf.trainable and leaf.n_params > 0)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_and_chunks_do_not_change_bits(dtype, kind):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6000, 6)), rng.integers(3, size=6000)
    nets = []
    for n_threads in (1, 2):
        net = fn.Network(layers_of(kind), dtype, seed=0)
        net.fit(X, y, epochs=2, batch_size=3000, seed=1, n_threads=n_threads)
        nets.append(net)
    np.testing.assert_array_equal(nets[0].params, nets[1].params)
    np.testing.assert_array_equal(nets[0].predict(X), nets[0].predict(X, n_threads=1))
    parts = np.concatenate([nets[0].predict(X[i : i + 500]) for i in range(0, 6000, 500)])
    np.testing.assert_allclose(nets[0].predict(X), parts, rtol=1e-4, atol=1e-5)
    value, grads = nets[0].loss_and_grad(X, y, fn.SoftmaxCrossEntropy("sum"))
    halves = [
        nets[0].loss_and_grad(X[s], y[s], fn.SoftmaxCrossEntropy("sum"))
        for s in (slice(0, 3001), slice(3001, 6000))
    ]
    rtol = 1e-3 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(value, halves[0][0] + halves[1][0], rtol=rtol)
    np.testing.assert_allclose(grads, halves[0][1] + halves[1][1], rtol=rtol, atol=1e3 * rtol)


def test_dropout_inside_a_block_has_a_mask_of_its_own(dtype):
    net = fn.Network(
        [fn.Linear(50, 50), fn.Residual([fn.Dropout(0.5)]), fn.Residual([fn.Dropout(0.5)])], dtype
    )
    net.layers[0].weight, net.layers[0].bias = np.eye(50), np.zeros(50)
    X = np.ones((20, 50))
    np.testing.assert_array_equal(net.predict(X), 4 * X)
    factors = net.forward(X, training=True)
    assert set(np.unique(factors)) == {1.0, 3.0, 9.0}  # each block gives 1 + 0 or 1 + 1/p
    assert 0.4 < (factors == 3).mean() < 0.6  # masks are independent
    np.testing.assert_array_equal(net.backward(X), factors)


def test_running_statistics_inside_a_block(dtype):
    torch = pytest.importorskip("torch")
    X, _ = data()
    net = fn.Network([fn.Residual([fn.BatchNorm(6)]), fn.Linear(6, 2)], dtype, seed=0)
    net.forward(X, training=True)
    theirs = torch.nn.BatchNorm1d(6).double()
    theirs(torch.tensor(X))
    norm = net.layers[0].layers[0]
    rtol = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(norm.running_mean, theirs.running_mean, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(norm.running_var, theirs.running_var, rtol=rtol, atol=rtol)


class StopOnce(fn.Callback):
    """Interrupts the first fit in its third epoch."""

    stops = True

    def epoch_end(self, net, epoch, metrics):
        if epoch == 2 and StopOnce.stops:
            StopOnce.stops = False
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_fit_continues_with_the_same_bits(tmp_path, kind):
    X, y = data()
    settings = {"optimizer": fn.Adam(0.01), "batch_size": 16, "seed": 1, "epochs": 6}
    settings |= {"checkpoint": tmp_path / "checkpoint.safetensors", "callbacks": [StopOnce()]}
    net = fn.Network(layers_of(kind), seed=0)
    StopOnce.stops = True
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, **settings)
    again = fn.Network(layers_of(kind), seed=9)
    again.fit(X, y, **settings, resume=True)
    whole = fn.Network(layers_of(kind), seed=0)
    whole.fit(X, y, **(settings | {"checkpoint": None}))
    np.testing.assert_array_equal(again.params, whole.params)
    np.testing.assert_array_equal(again.predict(X), whole.predict(X))
    np.testing.assert_array_equal(fn.load(settings["checkpoint"]).predict(X), whole.predict(X))


@pytest.mark.parametrize("optimizer", [fn.LBFGS(), fn.LevenbergMarquardt()], ids=repr)
def test_full_batch_optimizers(optimizer):
    pytest.importorskip("scipy")
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (80, 2))
    y = np.sin(3 * X[:, :1]) + X[:, 1:] ** 2
    block = fn.Residual([fn.Linear(8, 8), fn.Tanh(), fn.Linear(8, 8)])
    net = fn.Network([fn.Linear(2, 8), block, fn.Linear(8, 1)], "float64", seed=0)
    history = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=100)
    assert history["loss"][-1] < 1e-3
    norm = fn.Network([fn.Residual([fn.Linear(2, 2), fn.BatchNorm(2)])], "float64")
    with pytest.raises(ValueError, match="has BatchNorm"):
        norm.fit(X, X, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=1)


def test_a_wrong_gradient_inside_a_block_is_named():
    net = fn.Network(
        [fn.Parallel([[fn.Linear(3, 2), fn.Abs()], [fn.Linear(3, 2)]])], "float64", seed=0
    )
    X, y = data()[0][:5, :3], np.zeros((5, 2))
    report = fn.check_gradient(net, X, y, fn.MeanSquaredError())
    assert report.ok
    assert report.entry.startswith(("layers[0].branches[0][0].", "layers[0].branches[1][0]."))


def test_steps_with_a_frozen_layer_inside_a_block(dtype):
    X, y = data()
    net = fn.Network(layers_of("residual"), dtype, seed=0)
    net.layers[1].layers[0].trainable = False
    fitted = fn.Network(layers_of("residual"), dtype, seed=0)
    fitted.layers[1].layers[0].trainable = False
    optimizer = fn.Adam(0.01)
    for _ in range(3):
        net.step(net.loss_and_grad(X, y, fn.SoftmaxCrossEntropy())[1], optimizer)
    fitted.fit(X, y, optimizer=optimizer, epochs=3, batch_size=N, shuffle=False)
    np.testing.assert_allclose(net.params, fitted.params, rtol=1e-5, atol=1e-6)
    fresh = fn.Network(layers_of("residual"), dtype, seed=0)
    assert (net.layers[1].layers[0].weight == fresh.layers[1].layers[0].weight).all()
    assert (net.layers[1].layers[2].weight != fresh.layers[1].layers[2].weight).any()
    assert "Residual" in net._repr_html_()


@pytest.mark.filterwarnings("ignore:.*converged")
def test_estimators_take_blocks():
    pytest.importorskip("sklearn")
    from fastnn.sklearn import MLPClassifier

    X, y = data()
    layers = layers_of("residual")
    layers[1].layers[0].trainable = False
    for solver in ("adam", "lbfgs"):
        settings = {"solver": solver, "max_iter": 100, "learning_rate_init": 0.01}
        model = MLPClassifier(network=layers, random_state=0, **settings)
        model.fit(X, y)
        assert model.score(X, y) > 0.5
        block = model.to_network().layers[1]
        fresh = fn.Network(layers_of("residual"), seed=0).layers[1]
        assert block.layers[0].weight.shape == fresh.layers[0].weight.shape
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
