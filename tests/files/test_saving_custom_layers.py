"""Custom layers in model files, copies and pickles; a file holds no code."""

import copy
import pickle

import numpy as np
import pytest
from custom_layers import CLASSES, Fourier, PythonLinear, PythonTanh, Quadratic, Scaling, networks

import fastnn as fn
from fastnn.cli.program import main
from fastnn.files import model_file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def net(dtype):
    layers = [Fourier(np.array([[1.0, 0.5], [0.3, 2]])), fn.Linear(4, 3), Scaling(3)]
    net = fn.Network([*layers, Quadratic(3, np.int64(2), size=0.1)], dtype, seed=0)
    net.layers[2].trainable = False
    return net


X = np.random.default_rng(0).standard_normal((6, 2))


def test_saved_and_loaded(net, path):
    net.save(path)
    loaded = fn.load(path, custom_layers=CLASSES)
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in net.layers]
    assert np.array_equal(loaded.params, net.params)
    assert np.array_equal(loaded.predict(X), net.predict(X))
    assert [layer.trainable for layer in loaded.layers] == [True, True, False, True]
    loaded.save(path)
    again = fn.load(path, custom_layers=CLASSES)
    assert repr(again) == repr(loaded)


def test_what_a_file_holds(net, path):
    net.save(path)
    description, arrays = model_file.read(path)
    assert description["layers"][0] == {
        "kind": "custom",
        "name": "Fourier",
        "in_features": 2,
        "out_features": 4,
        "shapes": {},
        "config": {"frequencies": [[1.0, 0.5], [0.3, 2.0]]},
    }
    assert description["layers"][3]["config"] == {"n_in": 3, "n_out": 2, "size": 0.1}
    assert description["layers"][3]["shapes"] == {"a": [2, 3, 3], "b": [2]}
    assert arrays.keys() == {"1.weight", "1.bias", "2.scale", "3.a", "3.b"}


def test_a_class_that_is_not_passed(net, path):
    net.save(path)
    for classes in (None, {}, {"Scaling": Scaling, "Quadratic": Quadratic}):
        with pytest.raises(fn.ModelFileError) as error:
            fn.load(path, custom_layers=classes)
        assert str(error.value) == (
            f"{path}: layers[0] is the custom layer 'Fourier', whose code is not in the file; pass "
            f"its class: fastnn.load(path, custom_layers={{'Fourier': …}})"
        )


def test_a_class_may_be_renamed(net, path):
    class Renamed(Scaling):
        name = "scaling, new"

    net.save(path)
    loaded = fn.load(path, custom_layers={**CLASSES, "Scaling": Renamed})
    assert np.array_equal(loaded.predict(X), net.predict(X))
    loaded.save(path)
    assert model_file.read(path)[0]["layers"][2]["name"] == "scaling, new"


@pytest.mark.parametrize("wanted", [[Scaling], {"Scaling": Scaling(3)}, {"Scaling": fn.ReLU}, "x"])
def test_an_invalid_argument(net, path, wanted):
    net.save(path)
    with pytest.raises(TypeError, match="custom_layers"):
        fn.load(path, custom_layers=wanted)


def test_a_class_that_has_changed(net, path):
    class Wider(Scaling):
        def __init__(self, features):
            super().__init__(features + 1)

    class Other(Scaling):
        def __init__(self, width):
            super().__init__(width)

    net.save(path)
    for cls in (Wider, Other, Quadratic, PythonTanh):
        with pytest.raises(fn.ModelFileError, match="not a valid network"):
            fn.load(path, custom_layers={**CLASSES, "Scaling": cls})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 3),
        ("name", []),
        ("name", None),
        ("config", [1]),
        ("config", {"features": "x"}),
        ("config", {"features": 4}),
        ("config", {"features": 3, "more": 1}),
        ("shapes", {"scale": [4]}),
        ("shapes", None),
        ("in_features", 4),
        ("out_features", None),
    ],
)
def test_a_damaged_description(net, path, key, value):
    net.save(path)
    description, arrays = model_file.read(path)
    for change in ({key: value}, None):
        layer = description["layers"][2]
        if change is None:
            del layer[key]
        else:
            layer |= change
        model_file.write(path, description, arrays)
        with pytest.raises(fn.ModelFileError):
            fn.load(path, custom_layers=CLASSES)


@pytest.mark.parametrize("change", [lambda a: a[:2], lambda a: a * np.nan, None])
def test_damaged_arrays(net, path, change):
    net.save(path)
    description, arrays = model_file.read(path)
    if change is None:
        del arrays["2.scale"]
    else:
        arrays["2.scale"] = change(arrays["2.scale"])
    model_file.write(path, description, arrays)
    with pytest.raises(fn.ModelFileError):
        fn.load(path, custom_layers=CLASSES)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, copy.copy, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_copies_and_pickles(net, copied):
    other = copied(net)
    assert np.array_equal(other.predict(X), net.predict(X))
    assert not np.shares_memory(other.params, net.params)
    other.layers[3].parameters["b"][...] = 9
    assert not np.array_equal(other.predict(X), net.predict(X))
    other.fit(X, np.zeros((6, 2)), loss=fn.MeanSquaredError(), epochs=1)


def test_copies_of_a_layer(net):
    for copied in (copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))):
        layer = copied(net.layers[3])
        assert not layer.in_network
        assert layer.parameter_grads is None
        assert repr(layer) == repr(net.layers[3])
        one = fn.Network([layer], net.dtype)
        assert np.array_equal(one.params, net.params[-20:])


class OfFunction(fn.CustomLayer):
    """An elementwise function, given with its derivative."""

    def __init__(self, f, df):
        super().__init__()
        self.f, self.df = f, df

    def forward(self, x, params):
        return self.f(x)

    def vjp(self, x, params, cotangent):
        return cotangent * self.df(x), {}


def test_arguments_that_json_cannot_hold(path):
    net = fn.Network([fn.Linear(2, 2), OfFunction(np.sin, np.cos)], "float64", seed=0)
    assert np.array_equal(copy.deepcopy(net).predict(X), net.predict(X))
    assert np.array_equal(pickle.loads(pickle.dumps(net)).predict(X), net.predict(X))
    with pytest.raises(TypeError, match=r"OfFunction\.config\(\) returned .*JSON cannot hold"):
        net.save(path)
    with pytest.raises(TypeError, match=r"OfFunction\.config\(\)"):
        net.fit(X, X, loss=fn.MeanSquaredError(), epochs=1, checkpoint=path)
    assert not path.exists()


def test_own_config(path):
    class Named(OfFunction):
        def __init__(self, function):
            super().__init__(getattr(np, function), np.cos)

    class Configured(OfFunction):
        def config(self):
            return {}

        def __init__(self, *args):
            super().__init__(np.sin, np.cos)

    class ByPosition(OfFunction):
        def __init__(self, *args):
            super().__init__(*args)

    for layer in (Named("sin"), Configured(1, 2)):
        net = fn.Network([fn.Linear(2, 2), layer], seed=0)
        net.save(path)
        loaded = fn.load(path, custom_layers={type(layer).__name__: type(layer)})
        assert np.array_equal(loaded.predict(X), net.predict(X))
    with pytest.raises(TypeError, match="args by position only; define config"):
        fn.Network([fn.Linear(2, 2), ByPosition(np.sin, np.cos)], seed=0).save(path)


def test_two_classes_of_one_name():
    class Other(PythonTanh):
        name = "Scaling"

    with pytest.raises(ValueError, match=r"layers\[1\] has the name 'Scaling', as a layer of anot"):
        fn.Network([Scaling(3), Other()])


def test_the_command_line_names_the_layer(net, path, tmp_path, capsys):
    net.save(path)
    data = tmp_path / "data.csv"
    data.write_text("a,b\n1,2\n", encoding="utf-8")
    for command in ("predict", "evaluate"):
        assert main([command, str(path), str(data)]) == 2
        assert "layers[0] is the custom layer 'Fourier'" in capsys.readouterr().err


def test_a_network_without_custom_layers_is_stored_as_before(path):
    _, compiled = networks("middle")
    compiled.save(path)
    assert "custom" not in str(model_file.read(path)[0])
    assert fn.load(path, custom_layers={"linear in Python": PythonLinear})
