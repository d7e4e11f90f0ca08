"""`load(path, layers=…)` reads the safetensors file of a state dict of PyTorch."""

import numpy as np
import pytest
from custom_layers import PythonLinear
from safetensors.numpy import save, save_file

import fastnn as fn


def arrays(rng, *names, dtype="float32"):
    """Return arrays with these names and shapes, such as "0.weight 3 2"."""
    split = [name.split() for name in names]
    return {name: rng.normal(size=tuple(map(int, shape))).astype(dtype) for name, *shape in split}


PLAIN = ("0.weight 3 2", "0.bias 3", "2.weight 4 3")


def layers():
    return [fn.Linear(2, 3), fn.Tanh(), fn.Linear(3, 4, bias=False)]


def test_a_plain_state_dict(dtype, rng, tmp_path):
    state = arrays(rng, *PLAIN, dtype=dtype)
    save_file(state, tmp_path / "net.safetensors")
    given = layers()
    given[2].trainable = False
    net = fn.load(tmp_path / "net.safetensors", layers=given)
    assert net.dtype == dtype
    assert not net.layers[2].trainable
    np.testing.assert_array_equal(net.layers[0].weight, state["0.weight"])
    np.testing.assert_array_equal(net.layers[0].bias, state["0.bias"])
    np.testing.assert_array_equal(net.layers[2].weight, state["2.weight"])
    assert not given[0].in_network


@pytest.mark.parametrize("prefix", ["", "net.", "model.module.", "0.", "a.0."])
def test_other_names_in_the_order_of_numbers(prefix, rng, tmp_path):
    """The numbers are compared as numbers: 10 comes after 9."""
    state = arrays(rng, f"{prefix}9.0.weight 3 2", f"{prefix}9.0.bias 3", f"{prefix}10.weight 4 3")
    save_file(state, tmp_path / "net.safetensors")
    net = fn.load(tmp_path / "net.safetensors", layers=layers())
    np.testing.assert_array_equal(net.layers[0].weight, state[f"{prefix}9.0.weight"])
    np.testing.assert_array_equal(net.layers[2].weight, state[f"{prefix}10.weight"])


def test_a_file_of_pytorch(dtype, rng, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import save_file

    nn = torch.nn
    module = nn.Sequential(
        nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU()),
        nn.Sequential(nn.Dropout(0.1), nn.LayerNorm(5), nn.Linear(5, 2)),
    ).to(getattr(torch, dtype))
    module(torch.randn(20, 3, dtype=getattr(torch, dtype)))  # changes the running statistics
    module.eval()
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    own = [fn.Linear(3, 5), fn.BatchNorm(5), fn.ReLU(), fn.LayerNorm(5), fn.Linear(5, 2)]
    net = fn.load(tmp_path / "net.safetensors", layers=own)
    X = rng.normal(size=(20, 3)).astype(dtype)
    wanted = module(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(net.predict(X), wanted, rtol=1e-5, atol=1e-6)


def test_a_state_dict_of_to_torch(dtype, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import save_file

    def own():
        inner = [fn.BatchNorm(3), fn.Linear(3, 3)]
        branches = [[fn.Scale(3)], [fn.Linear(3, 3), fn.Parametric(3, fn.Mish)]]
        start = fn.Standardize([1.0, 2, 3], [2.0, 3, 4])
        return [start, fn.Residual(inner), fn.Parallel(branches), fn.Linear(3, 2)]

    net = fn.Network(own(), dtype)
    save_file(fn.to_torch(net).state_dict(), tmp_path / "net.safetensors")
    found = fn.load(tmp_path / "net.safetensors", layers=own())
    X = np.eye(3, dtype=dtype)
    np.testing.assert_array_equal(found.predict(X), net.predict(X))


def test_custom_layers(rng, tmp_path):
    state = arrays(rng, "0.weight 3 2", "0.bias 3", "1.weight 4 3", "1.bias 4")
    save_file(state, tmp_path / "net.safetensors")
    net = fn.load(tmp_path / "net.safetensors", layers=[fn.Linear(2, 3), PythonLinear(3, 4)])
    np.testing.assert_array_equal(net.params, np.concatenate([a.ravel() for a in state.values()]))


WRONG = {
    "words": (("fc1.weight 3 2", "fc1.bias 3", "fc2.weight 4 3"), "'fc1', which does not tell"),
    "no place": (("weight 3 2", "bias 3"), "'', which does not tell the order"),
    "few": (PLAIN[:2], "arrays of 1 layers; layers has 2 with arrays"),
    "many": ((*PLAIN, "3.weight 4"), "arrays of 3 layers; layers has 2"),
    "shape": (("0.weight 3 2", "0.bias 3", "2.weight 3 4"), r"2 has the arrays .*\(3, 4\)"),
    "missing": (("0.weight 3 2", "2.weight 4 3"), "0 has the arrays .*; those of layers are"),
    "unknown": ((*PLAIN, "2.gamma 3"), "2 has the arrays .*gamma"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_state_dict_that_does_not_fit(name, rng, tmp_path):
    names, message = WRONG[name]
    save_file(arrays(rng, *names), tmp_path / "net.safetensors")
    with pytest.raises(fn.ModelFileError, match=rf"net\.safetensors: .*{message}"):
        fn.load(tmp_path / "net.safetensors", layers=layers())


@pytest.mark.parametrize("kind", ["bool", "int32"])
def test_dtypes_that_are_no_real_numbers(kind, rng, tmp_path):
    state = arrays(rng, *PLAIN)
    state["2.weight"] = state["2.weight"].astype(kind)
    save_file(state, tmp_path / "net.safetensors")
    message = f"2.weight has dtype {kind}; real numbers are wanted"
    with pytest.raises(fn.ModelFileError, match=message):
        fn.load(tmp_path / "net.safetensors", layers=layers())


def test_complex_numbers(rng, tmp_path):
    """The header is changed, as an old safetensors writes no complex numbers."""
    written = save(arrays(rng, "0.weight 3 2", "0.bias 3", "2.weight 4 6"))
    path = tmp_path / "net.safetensors"
    path.write_bytes(written.replace(b'"F32","shape":[4,6]', b'"C64","shape":[4,3]'))
    with pytest.raises(fn.ModelFileError, match="the dtype 'C64'; .* is wanted|Header"):
        fn.load(path, layers=layers())


def test_bfloat16(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import save_file

    module = torch.nn.Sequential(torch.nn.Linear(2, 3)).to(torch.bfloat16)
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(fn.ModelFileError, match="dtype 'BF16'; float32 or another real dtype"):
        fn.load(tmp_path / "net.safetensors", layers=[fn.Linear(2, 3)])


def test_errors_of_the_call(rng, tmp_path):
    path = tmp_path / "net.safetensors"
    save_file(arrays(rng, *PLAIN), path)
    with pytest.raises(fn.ModelFileError, match=r"for a state dict of PyTorch, load\(path, layer"):
        fn.load(path)
    with pytest.raises(TypeError, match="layers is 3; a list of layers is wanted"):
        fn.load(path, layers=3)
    with pytest.raises(ValueError, match="takes 4 features"):
        fn.load(path, layers=[fn.Linear(2, 3), fn.Linear(4, 4)])
    with pytest.raises(ValueError, match="layers and custom_layers are given"):
        fn.load(path, layers=layers(), custom_layers={"PythonLinear": PythonLinear})
    path.write_bytes(b"text")
    with pytest.raises(fn.ModelFileError, match="not a safetensors file"):
        fn.load(path, layers=layers())
