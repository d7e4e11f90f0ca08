"""Dropout, LayerNorm and BatchNorm in training, against PyTorch and reimplemented masks."""

import copy
import pickle

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("isa")


# The masks, once more ------------------------------------------------------------------------


def hashed(key, number):
    """Return splitmix64's output number `number` from the state `key`."""
    top = 2**64 - 1
    z = (key + (number + 1) * 0x9E3779B97F4A7C15) & top
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & top
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & top
    return z ^ (z >> 31)


def mask(key, shape, p):
    """Return a dropout layer's mask, divided by 1 - p."""
    top, kept = 2**32 - 1, np.zeros(shape)
    for i, j in np.ndindex(shape):
        row = hashed(key, i)
        h = (row + j * 0x9E3779B9) & top
        h = ((h ^ (h >> 16)) * 0x21F0AAAD) & top
        h = ((h ^ (h >> 15) ^ (row >> 32)) * 0xD35A2D97) & top
        kept[i, j] = (h ^ (h >> 15)) >= int(p * 2**32)
    return kept / (1 - p)


class Masked(torch.nn.Module):
    """A PyTorch dropout with given masks."""

    def __init__(self, p, number):
        super().__init__()
        self.p, self.number, self.key = p, number, None

    def forward(self, x):
        if not self.training:
            return x
        return x * torch.tensor(mask(hashed(self.key, self.number), tuple(x.shape), self.p))


def pair(dtype="float64", p=0.25):
    """Return a network with all three layers, and PyTorch's with the same parameters."""
    net = fn.Network(
        [
            fn.Linear(4, 70),
            fn.BatchNorm(70, momentum=0.2),
            fn.ReLU(),
            fn.Dropout(p),
            fn.Linear(70, 6),
            fn.LayerNorm(6),
            fn.Tanh(),
            fn.Linear(6, 3),
        ],
        dtype,
        seed=1,
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 70),
        torch.nn.BatchNorm1d(70, momentum=0.2),
        torch.nn.ReLU(),
        Masked(p, 4),  # the index among the engine's operations; a normalisation has two
        torch.nn.Linear(70, 6),
        torch.nn.LayerNorm(6),
        torch.nn.Tanh(),
        torch.nn.Linear(6, 3),
    ).double()
    theirs.load_state_dict(
        {
            f"{i}.{name}": torch.tensor(np.array(array, float))
            for i, layer in enumerate(net.layers)
            for name, array in layer.arrays().items()
        },
        strict=False,
    )
    return net, theirs


def set_key(theirs, seed, epoch, position):
    [key] = np.random.SeedSequence(seed, spawn_key=(0,)).generate_state(1, np.uint64)
    theirs[3].key = hashed(hashed(int(key), epoch), position)


def agree(net, theirs, tolerance):
    state = theirs.state_dict()
    for i, layer in enumerate(net.layers):
        for name, array in layer.arrays().items():
            np.testing.assert_allclose(
                array, state[f"{i}.{name}"].numpy(), rtol=tolerance, atol=tolerance, err_msg=name
            )


@pytest.fixture
def data(rng):
    return 3 * rng.standard_normal((50, 4)) + 1, rng.integers(3, size=50)


# Training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [None, fn.schedules.FlatCosine(3.0)], ids=["p", "factor"])
@pytest.mark.parametrize("custom", [False, True])
def test_training_equals_pytorch(dtype, data, custom, factor):
    """Parameters and running statistics agree after 60 updates; the last batch is short."""
    X, y = data
    factors = np.ones(60) if factor is None else factor.rates(np.arange(60), 4, 60)
    net, theirs = pair(dtype)
    loss = fn.SoftmaxCrossEntropy()
    net.fit(
        X,
        y,
        loss=Python(loss) if custom else loss,
        optimizer=fn.SGD(0.05, momentum=0.9),
        epochs=15,
        batch_size=16,
        seed=7,
        dropout_factor=factor,
    )
    optimizer = torch.optim.SGD(theirs.parameters(), 0.05, momentum=0.9)
    rng = np.random.default_rng(7)
    for epoch in range(15):
        order = rng.permutation(50)
        for position in range(0, 50, 16):
            rows = order[position : position + 16]
            set_key(theirs, 7, epoch, position)
            theirs[3].p = 0.25 * factors[4 * epoch + position // 16]
            optimizer.zero_grad()
            outputs = theirs(torch.tensor(X[rows]))
            torch.nn.functional.cross_entropy(outputs, torch.tensor(y[rows])).backward()
            optimizer.step()
    agree(net, theirs, 1e-9 if dtype == "float64" else 2e-2)
    theirs.eval()
    expected = theirs(torch.tensor(X)).detach().numpy()
    tolerance = 1e-9 if dtype == "float64" else 5e-2
    np.testing.assert_allclose(net.predict(X), expected, rtol=tolerance, atol=tolerance)


def test_forward_and_backward_in_training_mode(dtype, data, rng):
    """The gradient of one batch and the running statistics after it equal PyTorch's."""
    X, _ = data
    net, theirs = pair(dtype)
    net._rng = np.random.default_rng(3)
    key = int(np.random.default_rng(3).integers(2**64, dtype=np.uint64))
    theirs[3].key = hashed(hashed(key, 0), 0)
    dY = rng.standard_normal((50, 3))
    x = torch.tensor(X, requires_grad=True)
    Y = theirs(x)
    Y.backward(torch.tensor(dY))
    tolerance = 1e-11 if dtype == "float64" else 1e-4
    close = {"rtol": tolerance, "atol": 5 * tolerance}
    np.testing.assert_allclose(net.forward(X, training=True), Y.detach().numpy(), **close)
    np.testing.assert_allclose(net.backward(dY), x.grad.numpy(), **close)
    expected = np.concatenate([p.grad.numpy().ravel() for p in theirs.parameters()])
    np.testing.assert_allclose(net.grads, expected, **close)
    agree(net, theirs, tolerance)


def test_gradient_in_training_mode_against_finite_differences(data, rng):
    X, _ = data
    net, _ = pair()
    dY, params = rng.standard_normal((50, 3)), net.params.copy()

    def value(moved):
        net.params, net._rng = moved, np.random.default_rng(0)
        return (dY * net.forward(X, training=True)).sum()

    value(params)
    dX = net.backward(dY)
    for direction in rng.standard_normal((3, net.n_params)):
        numeric = (value(params + 1e-6 * direction) - value(params - 1e-6 * direction)) / 2e-6
        value(params)
        net.backward(dY)
        assert net.grads @ direction == pytest.approx(numeric, rel=1e-6)
    assert dX.shape == X.shape


def test_neither_threads_nor_chunks_change_a_mask(dtype, rng):
    """A batch larger than a chunk gives the masks of the whole batch."""
    X, y = rng.standard_normal((3000, 30)), rng.standard_normal(3000)

    def trained(batch_norm, **settings):
        layers = [fn.Linear(30, 128), fn.Tanh(), fn.Dropout(0.3), fn.Linear(128, 1)]
        net = fn.Network([*layers, fn.BatchNorm(1)] if batch_norm else layers, dtype, seed=0)
        net.fit(X, y, loss=fn.MeanSquaredError(), epochs=2, seed=5, **settings)
        return net.params

    for batch_norm in (False, True):
        runs = [trained(batch_norm, batch_size=3000, n_threads=n) for n in (1, 2)]
        assert np.array_equal(*runs)
    chunked = trained(False, batch_size=3000)
    net = fn.Network(
        [fn.Linear(30, 128), fn.Tanh(), fn.Dropout(0.3), fn.Linear(128, 1)], dtype, seed=0
    )
    net.fit(X, y, loss=Python(fn.MeanSquaredError()), epochs=2, seed=5, batch_size=3000)
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(chunked, net.params, rtol=tolerance, atol=tolerance)


def test_the_order_of_samples_does_not_depend_on_dropout(data):
    """A Dropout with p = 0 does not change any bit of the training."""
    X, y = data
    without = fn.Network([fn.Linear(4, 8), fn.ReLU(), fn.Linear(8, 3)], seed=0)
    with_none = fn.Network([fn.Linear(4, 8), fn.ReLU(), fn.Dropout(0), fn.Linear(8, 3)], seed=0)
    for net in (without, with_none):
        net.fit(X, y, epochs=3, seed=4)
    assert np.array_equal(without.params, with_none.params)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_masks_are_random(dtype, p):
    """Shares and correlations of rows, columns, calls and layers are within 5 deviations."""
    net = fn.Network([fn.Standardize(np.zeros(200), np.ones(200)), fn.Dropout(p)], dtype, seed=0)
    ones = np.ones((500, 200), dtype)
    first, second = (net.forward(ones, training=True) for _ in range(2))
    assert np.array_equal(np.unique(first), np.array([0, 1 / (1 - p)], dtype))
    variance = p / (1 - p)
    assert abs(first.mean() - 1) < 5 * np.sqrt(variance / first.size)
    centred = (first.astype(float) - 1) / np.sqrt(variance)
    for other in (
        (second.astype(float) - 1) / np.sqrt(variance),
        np.roll(centred, 1, 0),
        np.roll(centred, 1, 1),
        np.roll(centred, (1, 1), (0, 1)),
        np.roll(centred, 16, 1),
    ):
        assert abs((centred * other).mean()) < 5 / np.sqrt(first.size)
    for axis in (0, 1):
        means = centred.mean(axis=axis) * np.sqrt(centred.shape[axis])
        assert np.abs(means).max() < 5
    two = fn.Network(
        [fn.Standardize(np.zeros(200), np.ones(200)), fn.Dropout(0.5), fn.Dropout(0.5)], dtype
    )
    assert (two.forward(ones, training=True) > 0).mean() == pytest.approx(0.25, abs=0.01)


# Outside of training -------------------------------------------------------------------------


def test_prediction_takes_running_statistics_and_drops_nothing(dtype, data):
    X, y = data
    net, _ = pair(dtype)
    net.fit(X, y, epochs=2, seed=0)
    constants = net._model.constants.copy()
    assert np.array_equal(net.predict(X), net(X))
    a, b = net.forward(X, training=True), net.forward(X, training=True)
    assert not np.array_equal(a, b)
    assert not np.array_equal(net._model.constants, constants)
    assert np.array_equal(net(X), net(X))
    assert net.forward(X[0]).shape == (3,)
    assert fn.check_gradient(pair()[0], X, y, fn.SoftmaxCrossEntropy())


@pytest.mark.parametrize("custom", [False, True])
def test_divergence_restores_running_statistics(dtype, data, custom):
    X, y = data
    net, _ = pair(dtype)
    X = np.where(np.arange(50)[:, np.newaxis] < 45, X, 1e30 if dtype == "float32" else 1e300)
    before, params = net._model.constants.copy(), net.params.copy()
    loss = fn.SoftmaxCrossEntropy()
    with pytest.raises(fn.DivergenceError):
        net.fit(X, y, loss=Python(loss) if custom else loss, batch_size=25, shuffle=False)
    assert np.array_equal(net._model.constants, before)
    assert np.array_equal(net.params, params)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_keep_running_statistics(dtype, data, again, tmp_path):
    X, y = data
    net, _ = pair(dtype)
    net.fit(X, y, epochs=2, seed=0)
    net.save(tmp_path / "net")
    for other in (again(net), fn.load(tmp_path / "net")):
        assert repr(other) == repr(net)
        assert np.array_equal(other.predict(X), net.predict(X))
        assert np.array_equal(other.layers[1].running_var, net.layers[1].running_var)
        results = [n.fit(X, y, epochs=2, seed=1)["loss"] for n in (again(other), again(other))]
        assert results[0] == results[1]


def test_pytorch_reads_the_file(data, tmp_path):
    from safetensors.torch import load_file

    X, y = data
    net, _ = pair()
    net.fit(X, y, epochs=2, seed=0)
    net.save(tmp_path / "net")
    theirs = pair()[1].eval()
    theirs.load_state_dict(load_file(tmp_path / "net"))
    expected = theirs(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(net.predict(X), expected, rtol=1e-12, atol=1e-12)


# Bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fn.Dropout(1), ValueError, "p is 1; .* at least 0 and below 1"),
        (lambda: fn.Dropout(-0.1), ValueError, "p is -0.1"),
        (lambda: fn.Dropout("half"), TypeError, "p is 'half'"),
        (lambda: fn.LayerNorm(0), ValueError, "features is 0"),
        (lambda: fn.LayerNorm(3, eps=0), ValueError, "eps is 0"),
        (lambda: fn.BatchNorm(2.5), TypeError, "features is 2.5"),
        (lambda: fn.BatchNorm(3, momentum=1), ValueError, "momentum is 1"),
        (lambda: setattr(fn.BatchNorm(2), "running_var", [1, -1]), ValueError, "running_var"),
        (lambda: setattr(fn.BatchNorm(2), "running_mean", [1]), ValueError, "running_mean"),
        (lambda: setattr(fn.LayerNorm(2), "weight", [1]), ValueError, "weight has shape"),
        (lambda: fn.Network([fn.Linear(2, 3), fn.LayerNorm(4)]), ValueError, "takes 4 features"),
        (lambda: fn.Network([fn.Dropout()]), ValueError, "fixes its width"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_batch_of_one(data):
    X, y = data
    net, _ = pair()
    before = net.params.copy(), net._model.constants.copy()
    for size in (1, 7, 49):
        with pytest.raises(ValueError, match=f"batch_size is {size}, .* BatchNorm needs two"):
            net.fit(X, y, batch_size=size)
    for sample in (X[:1], X[0]):
        with pytest.raises(ValueError, match="X is one sample; BatchNorm"):
            net.forward(sample, training=True)
    with pytest.raises(TypeError, match="training is 'yes'"):
        net.forward(X, training="yes")
    for a, b in zip(before, (net.params, net._model.constants), strict=True):
        assert np.array_equal(a, b)
    net.fit(X, y, batch_size=100, epochs=1)
