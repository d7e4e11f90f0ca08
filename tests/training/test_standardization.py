"""fit with `standardize`, and training in the units of an Unstandardize as the last layer."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
from custom_loss import Python, Weighted
from optimizer_cases import OPTIMIZER_CASES
from small_fit import Interrupt

import fastnn as fn

N, FEATURES = 300, 4


@pytest.fixture
def data(rng):
    X = rng.standard_normal((N, FEATURES)) * [1, 50, 1e-3, 2] + [0, 1e3, 3, -1]
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, 1e7 + 1e6 * np.sin(Z @ [1.0, 0.5, -0.3, 0.2])


def hidden_layers(n_out=1):
    return [fn.Linear(FEATURES, 16), fn.Tanh(), fn.Linear(16, n_out)]


def scaled(dtype="float32", n_out=1):
    first = fn.Standardize(np.zeros(FEATURES), np.ones(FEATURES))
    last = fn.Unstandardize(np.zeros(n_out), np.ones(n_out))
    return fn.Network([first, *hidden_layers(n_out), last], dtype, seed=0)


def without_last(net, n_out=1):
    """Return a network with the initial parameters of `net`, but without its last layer."""
    first = net.layers[0]
    layers = [fn.Standardize(first.mean, first.scale), *hidden_layers(n_out)]
    return fn.Network(layers, net.dtype, seed=0)


def in_units(y, net):
    last = net.layers[-1]
    return (np.asarray(y, float) - last.mean.astype(float)) / last.scale.astype(float)


OPTIMIZERS = {
    "default": None,
    **{case.name: getattr(fn, case.cls)(**case.args) for case in OPTIMIZER_CASES},
    "lbfgs": fn.LBFGS(),
    "levenberg_marquardt": fn.LevenbergMarquardt(),
    "bayesian": fn.LevenbergMarquardt(bayesian=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_bits_are_those_of_standardised_targets(isa, dtype, data, name):
    X, y = data
    settings = {
        "loss": fn.MeanSquaredError(),
        "optimizer": OPTIMIZERS[name],
        "epochs": 8,
        "validation_data": 0.2,
        "seed": 3,
    }
    net = scaled(dtype)
    history = net.fit(X, y, standardize="both", **settings)
    other = without_last(net)
    expected = other.fit(X, in_units(y, net), **settings)
    assert net.params.tobytes() == other.params.tobytes()
    assert history["loss"] == expected["loss"]
    assert history["val_loss"] == expected["val_loss"]
    scale = float(net.layers[-1].scale[0])
    rmse = np.array(expected["val_rmse"]) * scale
    np.testing.assert_allclose(history["val_rmse"], rmse, rtol=1e-4)


DEFAULTS = {
    "default": None,
    "SGD": fn.SGD(0.1),
    "Adam": fn.Adam(0.01),
    "AdamW": fn.AdamW(0.01),
    "RMSprop": fn.RMSprop(0.01),
    "Lion": fn.Lion(0.003),
    "LBFGS": fn.LBFGS(),
    "LevenbergMarquardt": fn.LevenbergMarquardt(),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_large_units_are_learned_as_well_as_standardised_ones(dtype, data, name):
    X, y = data
    net = scaled(dtype)
    settings = {"loss": fn.MeanSquaredError(), "optimizer": DEFAULTS[name], "epochs": 60, "seed": 0}
    net.fit(X, y, standardize="both", **settings)
    assert fn.metrics.r2(net.predict(X), y[:, np.newaxis]) > 0.9


@pytest.mark.parametrize("which", ["X", "y", "both"])
@pytest.mark.parametrize("share", [None, 0.3])
def test_only_training_rows_count(dtype, data, which, share):
    X, y = data
    net = scaled(dtype)
    seen = []

    class Rows(fn.Callback):
        def fit_begin(self, net):
            seen.append(net.params.copy())

    settings = {"loss": fn.HalfSquaredError(), "epochs": 0, "seed": 5, "validation_data": share}
    net.fit(X, y, standardize=which, callbacks=[Rows()], **settings)
    rows = np.arange(N)
    if share:
        from fastnn.training.validation import split

        rng = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(1,)))
        rows, _ = split(share, y, fn.HalfSquaredError(), rng)
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    for layer, values, name in ((net.layers[0], X, "X"), (net.layers[-1], y[:, None], "y")):
        mean, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
        if which in (name, "both"):
            mean, scale = values[rows].mean(axis=0), values[rows].std(axis=0)
        np.testing.assert_allclose(layer.mean, mean, rtol=tolerance, atol=1e-6)
        np.testing.assert_allclose(layer.scale, scale, rtol=100 * tolerance)
    assert len(seen) == 1


def test_weights_count_as_repeated_rows(dtype, data, rng):
    X, y = data
    weights = rng.integers(0, 3, N)
    settings = {"loss": fn.HalfSquaredError(), "epochs": 0, "standardize": "both"}
    one, other = scaled(dtype), scaled(dtype)
    one.fit(X, y, sample_weight=weights, **settings)
    other.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights), **settings)
    for a, b in ((one.layers[0], other.layers[0]), (one.layers[-1], other.layers[-1])):
        np.testing.assert_allclose(a.mean, b.mean, rtol=1e-6)
        np.testing.assert_allclose(a.scale, b.scale, rtol=1e-6)


def test_missing_numbers_are_left_out(rng):
    from fastnn.training.standardization import Columns

    rows = rng.standard_normal((50, 3))
    rows[rng.random(rows.shape) < 0.3] = np.nan
    rows[:, 2] = np.nan
    weights = rng.uniform(0, 2, 50)
    for given in (None, weights):
        columns = Columns(3, True)
        columns.add(rows[:20], None if given is None else given[:20])
        columns.add(rows[20:], None if given is None else given[20:])
        found = columns.mean_and_scale()
        assert found[[2, 5]].tolist() == [0, 1]
        for j in (0, 1):
            seen = ~np.isnan(rows[:, j])
            w = np.ones(seen.sum()) if given is None else given[seen]
            mean = np.average(rows[seen, j], weights=w)
            deviation = np.sqrt(np.average((rows[seen, j] - mean) ** 2, weights=w))
            np.testing.assert_allclose(found[[j, 3 + j]], [mean, deviation], rtol=1e-12)


def test_constant_columns_get_the_scale_1(dtype, rng):
    X = np.full((20, FEATURES), 7.0)
    X[:, 1] = rng.standard_normal(20)
    net = scaled(dtype)
    net.fit(X, np.full(20, 5.0), loss=fn.HalfSquaredError(), standardize="both", epochs=1)
    assert net.layers[0].scale[[0, 2, 3]].tolist() == [1, 1, 1]
    assert (net.layers[-1].mean[0], net.layers[-1].scale[0]) == (5, 1)


@pytest.mark.parametrize("which", ["X", "y", "both"])
def test_sparse_matrices(dtype, rng, data, which):
    X, y = rng.standard_normal((N, FEATURES)) * (rng.random((N, FEATURES)) < 0.2), data[1]
    nets = []
    for given in (X, scipy.sparse.csr_array(X)):
        nets.append(net := scaled(dtype))
        net.fit(given, y, loss=fn.MeanSquaredError(), standardize=which, epochs=2, seed=0)
    assert np.array_equal(*(net.params for net in nets))
    for i in (0, -1):
        assert np.array_equal(*(net.layers[i].mean for net in nets))
        assert np.array_equal(*(net.layers[i].scale for net in nets))


@pytest.mark.parametrize("share", [None, 0.25])
@pytest.mark.parametrize("stored", ["float32", "float64", "int16"])
def test_memory_maps(dtype, data, tmp_path, share, stored):
    X = np.round(data[0] * 10).astype(stored)
    mapped = np.memmap(tmp_path / "x", stored, "w+", shape=X.shape)
    mapped[...] = X
    settings = {"loss": fn.Huber(), "epochs": 3, "seed": 1, "validation_data": share}
    nets = scaled(dtype), scaled(dtype)
    histories = [
        net.fit(x, data[1], standardize="both", **settings)
        for net, x in zip(nets, (mapped, X), strict=True)
    ]
    assert nets[0].params.tobytes() == nets[1].params.tobytes()
    assert np.array_equal(nets[0]._model.constants, nets[1]._model.constants)
    assert histories[0]["loss"] == histories[1]["loss"]
    if share:
        assert histories[0]["val_loss"] == histories[1]["val_loss"]


def test_an_iterable_is_read_once_more(dtype, data):
    X, y = data

    class Batches:
        opened = 0

        def __iter__(self):
            self.opened += 1
            for i in range(0, N, 50):
                yield X[i : i + 50], y[i : i + 50]

    batches = Batches()
    settings = {"loss": fn.LogCosh(), "optimizer": fn.Adam(0.01), "epochs": 3}
    net, other = scaled(dtype), scaled(dtype)
    net.fit(batches, standardize="both", validation_data=(X, y), **settings)
    other.fit(X, y, standardize="both", shuffle=False, validation_data=(X, y), **settings)
    assert batches.opened == 4
    np.testing.assert_allclose(net._model.constants, other._model.constants, rtol=1e-6)
    np.testing.assert_allclose(net.predict(X), other.predict(X), rtol=1e-3)
    assert fn.metrics.r2(net.predict(X), y[:, None]) > 0.3
    with pytest.raises(ValueError, match="can be read only once"):
        scaled().fit(iter(batches), standardize="X", **{**settings, "epochs": 1})


def test_names_of_an_iterable_of_data_frames(data):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(data[0], columns=list("abcd"))
    net = scaled()
    net.fit([(frame, data[1])], loss=fn.HalfSquaredError(), standardize="both", epochs=1)
    assert net.feature_names == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        net.fit(frame.rename(columns={"a": "z"}), data[1], loss=fn.HalfSquaredError())


def test_metrics_are_in_the_units_of_y(dtype, data):
    X, y = data
    given = []

    def largest(outputs, target):
        given.append((outputs, target))
        return float(np.abs(outputs - target).max())

    net = scaled(dtype)
    held_out = X[:50], y[:50]
    history = net.fit(
        X[50:],
        y[50:],
        loss=fn.Pinball([0.5]),
        standardize="both",
        epochs=3,
        validation_data=held_out,
        metrics=("r2", "rmse", largest),
    )
    outputs, target = given[-1]
    assert np.array_equal(outputs, net.predict(held_out[0]))
    np.testing.assert_allclose(target.ravel(), held_out[1], rtol=1e-6)
    assert target.dtype == dtype
    assert history["val_rmse"][-1] == pytest.approx(fn.metrics.rmse(outputs, target), rel=1e-6)
    value, _ = fn.Pinball([0.5]).value_and_grad(
        in_units(outputs, net), in_units(held_out[1], net)[:, None]
    )
    assert history["val_loss"][-1] == pytest.approx(value, rel=1e-3)


def test_derivatives_and_losses_are_those_of_the_whole_network(dtype, data):
    X, y = data
    net = scaled(dtype)
    net.fit(X, y, loss=fn.HalfSquaredError(), standardize="both", epochs=2)
    loss = fn.MeanSquaredError()
    value, _ = net.loss_and_grad(X, y, loss)
    assert value == pytest.approx(np.mean((net.predict(X)[:, 0].astype(float) - y) ** 2), rel=1e-4)
    J = net.jacobian(X[0])
    scale = net.layers[-1].scale
    inner = without_last(net)
    inner.params = net.params
    np.testing.assert_allclose(J, scale[:, None] * inner.jacobian(X[0]), rtol=1e-5)


def test_a_second_fit_keeps_the_scaling_unless_asked(dtype, data):
    X, y = data
    net = scaled(dtype)
    settings = {"loss": fn.HalfSquaredError(), "epochs": 1, "optimizer": fn.Adam(0.01)}
    net.fit(X, y, standardize="both", **settings)
    constants = net._model.constants.copy()
    net.fit(X + 1, 2 * y, **settings)
    net.partial_fit(X, y, loss=fn.HalfSquaredError())
    assert np.array_equal(net._model.constants, constants)
    net.fit(X, 2 * y, standardize="y", **settings)
    assert net.layers[-1].mean[0] == pytest.approx(2 * y.mean(), rel=1e-6)
    assert np.array_equal(net.layers[0].mean, constants[:FEATURES])


def test_without_standardize_the_layer_sets_the_units(dtype, data):
    X, y = data
    units = fn.Unstandardize.from_data(y)
    net = fn.Network([fn.Standardize.from_data(X), *hidden_layers(), units], dtype, seed=0)
    settings = {"loss": fn.HalfSquaredError(), "epochs": 3, "seed": 0}
    net.fit(X, y, **settings)
    other = without_last(net)
    other.fit(X, in_units(y, net), **settings)
    assert net.params.tobytes() == other.params.tobytes()


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_of_ones_own_sees_standardised_numbers(dtype, rng, data, n_out, weighted):
    X = data[0]
    y = 1e5 + 1e3 * rng.standard_normal((N, n_out))
    weights = rng.uniform(0.5, 2, N) if weighted else None
    settings = {"optimizer": fn.Adam(0.01), "epochs": 3, "seed": 2, "sample_weight": weights}
    nets = scaled(dtype, n_out), scaled(dtype, n_out)
    own = (Weighted if weighted else Python)(fn.HalfSquaredError())
    for net, loss in zip(nets, (fn.HalfSquaredError(), own), strict=True):
        net.fit(X, y, loss=loss, standardize="both", **settings)
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-3, atol=1e-4)
    last = nets[1].layers[-1]
    mean = np.average(y, axis=0, weights=weights)
    np.testing.assert_allclose(last.mean, mean, rtol=1e-6)


LOSSES_REFUSED = [
    fn.SoftmaxCrossEntropy(),
    fn.NegativeLogLikelihood(),
    fn.BinaryCrossEntropy(),
    fn.Poisson(),
]


@pytest.mark.parametrize("loss", LOSSES_REFUSED, ids=lambda loss: loss.kind)
def test_losses_of_classes_and_counts_are_refused(loss, data):
    net = scaled(n_out=2)
    with pytest.raises(ValueError, match=rf"loss is {type(loss).__name__}.*Unstandardize"):
        net.fit(data[0], np.zeros(N, int), loss=loss)


def test_features_alone_with_classes(dtype, data):
    X, y = data
    net = fn.Network([fn.Standardize(np.zeros(4), np.ones(4)), *hidden_layers(2)], dtype, seed=0)
    labels = (y > y.mean()).astype(int)
    history = net.fit(
        X, labels, standardize="X", class_weight="balanced", validation_data=0.3, epochs=20
    )
    assert history["val_accuracy"][-1] > 0.9


@pytest.mark.parametrize("which", ["X", "y", "both"])
def test_a_missing_layer_is_shown(which, data):
    net = fn.Network(hidden_layers(), seed=0)
    with pytest.raises(ValueError, match=f"standardize is '{which}'") as info:
        net.fit(*data, loss=fn.HalfSquaredError(), standardize=which)
    lines = str(info.value).splitlines()[1:]
    layers = [eval(line.split("#")[0], {"fn": fn, "np": np})[0] for line in lines]
    kinds = {"X": ["standardize"], "y": ["unstandardize"]}
    assert [layer.kind for layer in layers] == kinds.get(which, ["standardize", "unstandardize"])
    first = layers[:1] if which != "y" else []
    last = layers[-1:] if which != "X" else []
    net = fn.Network([*first, *hidden_layers(), *last], seed=0)
    net.fit(*data, loss=fn.HalfSquaredError(), standardize=which, epochs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"standardize": "all"}, "standardize is 'all'; 'X' or 'y' or 'both' is wanted"),
        ({"standardize": True}, "standardize is True"),
    ],
)
def test_wrong_arguments(data, arguments, message):
    net = scaled()
    with pytest.raises(ValueError, match=message):
        net.fit(*data, loss=fn.HalfSquaredError(), **arguments)
    with pytest.raises(TypeError, match="standardize is 'y' in partial_fit"):
        net.partial_fit(*data, loss=fn.HalfSquaredError(), standardize="y")


def test_values_out_of_the_range_of_the_dtype(data):
    X, y = data
    for factor in (1e40, 1e-60):
        net = scaled()
        before = net._model.constants.copy()
        with pytest.raises(ValueError, match="y has a column whose mean or standard deviation"):
            net.fit(X, (y - y.mean()) * factor, loss=fn.HalfSquaredError(), standardize="y")
        assert np.array_equal(net._model.constants, before)
    net = fn.Network([*hidden_layers(), fn.Unstandardize([0], [1e-30])], seed=0)
    with pytest.raises(ValueError, match="y is too far from the mean"):
        net.fit(X, y * 1e10, loss=fn.HalfSquaredError())


def test_a_fit_that_never_starts_changes_nothing(data):
    X, y = data

    class Fails(fn.Callback):
        def fit_begin(self, net):
            raise RuntimeError("stop")

    net = scaled()
    before = net._model.constants.copy()
    with pytest.raises(RuntimeError, match="stop"):
        net.fit(X, y, loss=fn.HalfSquaredError(), standardize="both", callbacks=[Fails()])
    assert np.array_equal(net._model.constants, before)


@pytest.mark.parametrize("epoch", [0, 2])
def test_the_scaling_outlives_divergence(data, epoch):
    """The parameters that are kept belong to this scaling."""
    X, y = data
    net = scaled()
    rate = fn.schedules.StepDecay(0.01, every=epoch, factor=1e250) if epoch else 1e250
    settings = {"loss": fn.HalfSquaredError(), "standardize": "both", "optimizer": fn.SGD(rate)}
    with pytest.raises(fn.DivergenceError) as info:
        net.fit(X, y, epochs=4, **settings)
    assert info.value.epoch == epoch
    assert net.layers[-1].mean[0] == pytest.approx(y.mean(), rel=1e-6)
    assert net.layers[0].mean == pytest.approx(X.mean(axis=0), rel=1e-5)


@pytest.mark.parametrize("optimizer", [fn.Adam(0.01), fn.LevenbergMarquardt()], ids=repr)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_checkpoint_is_resumed(dtype, data, tmp_path, optimizer, mapped):
    X, y = data
    if mapped and isinstance(optimizer, fn.Adam):
        source = np.memmap(tmp_path / "x", "float64", "w+", shape=X.shape)
        source[...] = X
        X = source
    settings = {
        "loss": fn.MeanSquaredError(),
        "optimizer": optimizer,
        "epochs": 6,
        "seed": 4,
        "standardize": "both",
        "validation_data": 0.2,
    }
    whole = scaled(dtype)
    expected = whole.fit(X, y, callbacks=[Interrupt(99)], **settings)
    path = tmp_path / "fit"
    stopped = scaled(dtype)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X, y, callbacks=[Interrupt(2)], checkpoint=path, **settings)
    loaded = fn.load(path)
    assert np.array_equal(loaded._model.constants, whole._model.constants)
    resumed = scaled(dtype)
    history = resumed.fit(X, y, callbacks=[Interrupt(99)], checkpoint=path, resume=True, **settings)
    assert resumed.params.tobytes() == whole.params.tobytes()
    assert resumed._model.constants.tobytes() == whole._model.constants.tobytes()
    assert history["val_loss"] == expected["val_loss"]
    with pytest.raises(ValueError, match="another standardize"):
        scaled(dtype).fit(
            X,
            y,
            callbacks=[Interrupt(99)],
            checkpoint=path,
            resume=True,
            **{**settings, "standardize": "X"},
        )


def test_the_values_of_a_checkpoint_hold(data, tmp_path):
    """The contents of a memory map are not compared, so they may have changed."""
    X, y = data
    mapped = np.memmap(tmp_path / "x", "float64", "w+", shape=X.shape)
    mapped[...] = X
    settings = {"loss": fn.HalfSquaredError(), "optimizer": fn.Adam(0.01), "seed": 4}
    settings |= {"standardize": "both", "checkpoint": tmp_path / "fit"}
    net = scaled()
    net.fit(mapped, y, epochs=2, **settings)
    mapped[:] = X + 100
    again = scaled()
    again.fit(mapped, y, epochs=3, resume=True, **settings)
    assert np.array_equal(again._model.constants, net._model.constants)


def test_early_stopping_and_copies(dtype, data, tmp_path):
    X, y = data
    net = scaled(dtype)
    net.fit(
        X,
        y,
        loss=fn.Huber(),
        standardize="both",
        validation_data=0.3,
        epochs=30,
        callbacks=[fn.EarlyStopping(patience=2)],
    )
    net.save(tmp_path / "model.safetensors")
    others = [
        fn.load(tmp_path / "model.safetensors"),
        copy.deepcopy(net),
        pickle.loads(pickle.dumps(net)),
    ]
    for other in others:
        assert isinstance(other.layers[-1], fn.Unstandardize)
        assert np.array_equal(other.predict(X), net.predict(X))
        other.partial_fit(X, y, loss=fn.Huber())


def test_fit_many(dtype, data):
    X, y = data
    rows = [np.arange(0, 200), np.arange(100, 300)]
    settings = {"loss": fn.HalfSquaredError(), "epochs": 2, "seed": 0, "standardize": "both"}
    nets, alone = [scaled(dtype) for _ in rows], [scaled(dtype) for _ in rows]
    fn.fit_many(nets, X, y, rows=rows, **settings)
    for net, one, part in zip(nets, alone, rows, strict=True):
        one.fit(X[part], y[part], **settings)
        assert net.params.tobytes() == one.params.tobytes()
        assert np.array_equal(net._model.constants, one._model.constants)


def test_threads_do_not_change_bits(dtype, data):
    nets = scaled(dtype), scaled(dtype)
    for net, n_threads in zip(nets, (1, 2), strict=True):
        net.fit(
            *data,
            loss=fn.HalfSquaredError(),
            standardize="both",
            epochs=2,
            seed=0,
            n_threads=n_threads,
        )
    assert nets[0].params.tobytes() == nets[1].params.tobytes()


def test_a_network_of_scalings_alone(dtype, data):
    X = data[0]
    ones = np.ones(FEATURES)
    net = fn.Network([fn.Standardize(0 * ones, ones), fn.Unstandardize(0 * ones, ones)], dtype)
    net.fit(X, 2 * X, loss=fn.HalfSquaredError(), standardize="both", epochs=1)
    np.testing.assert_allclose(net.predict(X), 2 * X, rtol=1e-3, atol=1e-3)
    net = fn.Network([fn.Unstandardize(0 * ones, ones)], dtype)
    net.fit(X, X, loss=fn.HalfSquaredError(), standardize="y", epochs=1)


def test_lists_and_other_forms(data):
    X, y = data
    settings = {"loss": fn.HalfSquaredError(), "standardize": "both", "epochs": 1, "seed": 0}
    expected = scaled("float64")
    expected.fit(X, y, **settings)
    forms = [
        (X.tolist(), y.tolist()),
        (np.asfortranarray(X), y[:, None]),
        (np.repeat(X, 2, axis=0)[::2], np.repeat(y, 2)[::2]),
    ]
    for form in forms:
        net = scaled("float64")
        net.fit(*form, **settings)
        assert net.params.tobytes() == expected.params.tobytes()
