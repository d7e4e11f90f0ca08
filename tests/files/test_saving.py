"""Saved models: what they restore, and that damaged files raise errors."""

import json

import numpy as np
import pytest
from cases import NETWORK_CASES, NetworkCase, kind, linear
from safetensors.numpy import load_file, save_file

import fastnn as fn

CASES = [
    *NETWORK_CASES,
    NetworkCase("other_kinds", [linear(3, 3), kind("relu"), kind("sigmoid"), kind("softplus")]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_round_trip(tmp_path, dtype, rng, case, make_network):
    net = make_network(case, dtype)
    X = rng.standard_normal((5, net.in_features))
    net.save(tmp_path / "net.safetensors")
    again = fn.load(tmp_path / "net.safetensors")
    assert repr(again) == repr(net)
    assert again.dtype == dtype
    assert again.params.tobytes() == net.params.tobytes()
    assert np.array_equal(again.predict(X), net.predict(X))


def test_what_else_is_kept(tmp_path, rng):
    X, y = rng.normal(50, 10, (40, 3)), rng.integers(2, size=40)
    net = fn.Network([fn.Standardize.from_data(X), fn.Linear(3, 2)], seed=0)
    net.class_labels, net.feature_names = ["no", "yes"], ["age", "weight", "größe"]
    net.fit(X, y, epochs=2)
    net.save(str(tmp_path / "net.safetensors"))
    again = fn.load(str(tmp_path / "net.safetensors"))
    assert again.class_labels == ["no", "yes"]
    assert again.feature_names == ["age", "weight", "größe"]
    assert np.array_equal(again.layers[0].mean, net.layers[0].mean)
    assert np.array_equal(again.predict(X), net.predict(X))  # raw features
    again.fit(X, y, epochs=1)


def test_the_file_is_plain_safetensors_with_pytorchs_names(tmp_path):
    net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2, bias=False)], seed=0)
    net.save(tmp_path / "net.safetensors")
    arrays = load_file(tmp_path / "net.safetensors")
    assert {name: array.shape for name, array in arrays.items()} == {
        "0.weight": (4, 3),
        "0.bias": (4,),
        "2.weight": (2, 4),
    }
    assert np.array_equal(arrays["2.weight"], net.layers[2].weight)


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    old = fn.Network([fn.Linear(3, 4)], seed=0)
    old.save(path)
    kept = path.read_bytes()

    def disk_full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        fn.Network([fn.Linear(30, 40)], seed=0).save(path)
    assert path.read_bytes() == kept
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match="missing"):
        old.save(tmp_path / "missing" / "net.safetensors")
    with pytest.raises(FileNotFoundError, match="nothing"):
        fn.load(tmp_path / "nothing.safetensors")


def rewritten(path, change):
    """Save a network, and save its file again with a changed description or changed arrays."""
    net = fn.Network([fn.Standardize([0, 0, 0], [1, 1, 1]), fn.Linear(3, 2)], seed=0)
    net.save(path)
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        description = json.loads(file.metadata()["fastnn"])
    arrays = load_file(path)
    change(description, arrays)
    save_file(arrays, path, {"fastnn": json.dumps(description)})
    return path


def layer(i, **changes):
    return lambda description, arrays: description["layers"][i].update(changes)


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (layer(1, kind="os.system"), "the kind 'os.system'"),
        (layer(1, kind=["linear"]), "not a valid network"),
        (layer(1, kind="linear\0"), "the kind"),
        (layer(1, out_features=10**9), "weight has shape"),
        (layer(1, out_features=10**15), "too many"),
        (layer(1, in_features=0), "in_features is 0"),
        (layer(1, bias=False), "weight"),
        (layer(1, weight_init="x"), "weight_init"),
        (layer(1, self=1), "not a valid network"),
        (lambda d, a: d.pop("layers"), "layers"),
        (lambda d, a: (d.update(layers=[]), a.clear()), "layers is []"),
        (lambda d, a: d.update(layers=None), "not a valid network"),
        (lambda d, a: d.update(layers=["linear", "linear"]), "not a valid network"),
        (lambda d, a: d.update(dtype="float16"), "dtype"),
        (lambda d, a: d.pop("dtype"), "dtype"),
        (lambda d, a: d.update(dtype="M8[s/0]"), "dtype is 'M8[s/0]'"),
        (lambda d, a: d.update(dtype=[["a", "M8[s/0]"]]), "dtype is"),
        (lambda d, a: d.update(dtype={"names": ["a"], "formats": ["M8[s/0]"]}), "dtype is"),
        (lambda d, a: d.update(target_name=nested(50)), "target_name is [["),
        (lambda d, a: d.update(target_name=nested(900)), "over 100 levels deep"),
        (lambda d, a: d.update(class_labels=nested(900)), "over 100 levels deep"),
        (lambda d, a: d.update(class_labels=["one"]), "class_labels"),
        (lambda d, a: d.update(feature_names="abc"), "feature_names"),
        (lambda d, a: a.pop("1.bias"), "bias"),
        (lambda d, a: a.pop("0.scale"), "scale"),
        (lambda d, a: a.update({"7.weight": a["1.weight"]}), "7.weight"),
        (lambda d, a: a.update({"1.weight": a["1.weight"].T.copy()}), "weight has shape (3, 2)"),
        (lambda d, a: a.update({"0.scale": a["0.scale"] * 0}), "scale"),
    ],
    ids=range(28),
)
def test_a_description_that_is_none(tmp_path, change, message):
    path = rewritten(tmp_path / "net.safetensors", change)
    with pytest.raises(fn.ModelFileError) as info:
        fn.load(path)
    assert str(path) in str(info.value)
    assert message in str(info.value)


def test_rewritten_itself_does_no_harm(tmp_path):
    path = rewritten(tmp_path / "net.safetensors", lambda description, arrays: None)
    assert fn.load(path).n_params == 8


@pytest.mark.parametrize("layers", [fn.Abs, lambda: fn.Linear(1, 1), lambda: fn.LayerNorm(1)])
def test_time_does_not_grow_with_the_square_of_the_layers(tmp_path, layers):
    """If the time were quadratic, this would take minutes."""
    net = fn.Network([fn.Linear(1, 1), *[layers() for _ in range(20_000)]], seed=0)
    net.save(tmp_path / "deep.safetensors")
    assert fn.load(tmp_path / "deep.safetensors").n_params == net.n_params
