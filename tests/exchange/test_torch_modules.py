"""`to_torch` and `from_torch` return what computes and trains the same."""

import sys

import numpy as np
import pytest
from custom_layers import PythonTanh
from onnx_cases import CASES, inputs_of, network_of

import fastnn as fn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn
EMBEDDED = ("periodic", "piecewise", "categorical", "embedding")


def has_embedding(case):
    return "embedding" in repr(case.layers)


TORCH_CASES = [case for case in CASES if not has_embedding(case)]


def assert_same(net, module, X):
    y = module(torch.tensor(X)).detach().numpy()
    wanted = net.predict(X)
    assert y.dtype == wanted.dtype
    tolerance = 2e-6 if wanted.dtype == np.float32 else 1e-14
    np.testing.assert_allclose(y, wanted, rtol=0, atol=tolerance * max(abs(wanted).max(), 1))


@pytest.mark.parametrize("case", TORCH_CASES, ids=lambda case: case.name)
def test_there_and_back(case, make_network, rng, dtype):
    net = network_of(case, make_network, rng, dtype)
    module = fn.to_torch(net)
    assert not module.training
    X = inputs_of(case, rng, dtype)
    assert_same(net, module, X)
    back = fn.from_torch(module)
    assert repr(back) == repr(net)
    np.testing.assert_array_equal(back.predict(X), net.predict(X))


def test_the_names_in_the_state_dict_are_those_of_a_model_file(tmp_path):
    inner = [fn.BatchNorm(3), fn.Linear(3, 3)]
    net = fn.Network([fn.Linear(2, 3), fn.Residual(inner), fn.Parallel([[fn.Scale(3)], []])])
    net.save(tmp_path / "net.safetensors")
    from safetensors.numpy import load_file

    state = fn.to_torch(net).state_dict()
    counts = {name for name in state if name.endswith("num_batches_tracked")}
    assert set(state) - counts == set(load_file(tmp_path / "net.safetensors"))


def module_of(dtype):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8, eps=1e-3, momentum=0.3)),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.LayerNorm(8, eps=1e-4), nn.GELU())),
        nn.ELU(0.7),
        nn.Linear(8, 2),
    ).to(getattr(torch, dtype))


@pytest.mark.parametrize("direction", ["from_torch", "to_torch"])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_training_continues_on_the_same_curve(direction, optimizer, dtype, rng):
    """50 steps on both sides, with equal minibatches."""
    X, y = rng.normal(size=(320, 4)).astype(dtype), rng.normal(size=(320, 2)).astype(dtype)
    module = module_of(dtype).train()
    if direction == "from_torch":
        net = fn.from_torch(module)
    else:
        net = fn.from_torch(module)
        net.fit(X, y, epochs=1, loss=fn.MeanSquaredError(), seed=0)
        module = fn.to_torch(net).train()
    assert repr(net.layers[1:3]) == (
        "(BatchNorm(features=8, eps=0.001, momentum=0.3), LeakyReLU(negative_slope=0.2))"
    )
    steps = getattr(torch.optim, optimizer)(module.parameters(), lr=0.01)
    own = getattr(fn, optimizer)(0.01)
    curves = []
    for step in range(50):
        rows = slice(32 * (step % 10), 32 * (step % 10) + 32)
        loss = nn.functional.mse_loss(module(torch.tensor(X[rows])), torch.tensor(y[rows]))
        steps.zero_grad()
        loss.backward()
        steps.step()
        difference = net.forward(X[rows], training=True) - y[rows]
        net.backward(difference / np.asarray(32, dtype))
        net.step(net.grads, own)
        curves.append((loss.item(), float(np.mean(difference.astype(float) ** 2))))
    theirs, ours = np.array(curves).T
    assert theirs[-1] < theirs[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6 if dtype == "float32" else 1e-12)
    module.eval()
    assert_same(net, module, X)  # the running statistics too


def test_a_fit_continues_on_the_same_curve(rng):
    X, y = rng.normal(size=(64, 4)), rng.normal(size=(64, 2))
    module = module_of("float64").train()
    net = fn.from_torch(module)
    history = net.fit(
        X, y, loss=fn.MeanSquaredError(), optimizer=fn.SGD(0.05), epochs=50, batch_size=64
    )
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    curve = []
    for _ in range(50):
        loss = nn.functional.mse_loss(module(torch.tensor(X)), torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    np.testing.assert_allclose(history["loss"], curve, rtol=1e-6)


def test_frozen_layers(dtype):
    net = fn.Network([fn.Linear(2, 3), fn.Residual([fn.Linear(3, 3), fn.Scale(3)])], dtype)
    net.layers[1].layers[0].trainable = False
    module = fn.to_torch(net)
    assert [p.requires_grad for p in module.parameters()] == [True, True, False, False, True]
    back = fn.from_torch(module)
    assert [layer.trainable for layer in back.layers[1].layers] == [False, True]
    assert back.layers[0].trainable


def test_modules_that_occur_twice():
    relu, shared = nn.ReLU(), nn.Linear(4, 4)
    module = nn.Sequential(nn.Linear(4, 8), relu, nn.Linear(8, 8), relu, nn.Linear(8, 2))
    x = torch.randn(5, 4)
    found = fn.from_torch(module).predict(x.numpy())
    np.testing.assert_allclose(found, module(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="module has a parameter in several places"):
        fn.from_torch(nn.Sequential(shared, nn.Tanh(), shared))


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_are_refused(register):
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    getattr(module[0], register)(lambda *_: None)
    with pytest.raises(ValueError, match=r"module\[0\] is Linear.* with a hook"):
        fn.from_torch(module)


def test_copies_are_made(dtype):
    net = fn.Network([fn.Linear(2, 3)], dtype, seed=0)
    before = net.params.copy()
    state = torch.random.get_rng_state()
    module = fn.to_torch(net)
    assert torch.equal(torch.random.get_rng_state(), state)
    back = fn.from_torch(module)
    with torch.no_grad():
        module[0].weight.zero_()
    np.testing.assert_array_equal(net.params, before)
    np.testing.assert_array_equal(back.params, before)


def test_half_precision_becomes_float32():
    for dtype in (torch.float16, torch.bfloat16):
        assert fn.from_torch(nn.Sequential(nn.Linear(2, 3)).to(dtype)).dtype == "float32"


class Special(nn.Linear):
    pass


REFUSED = {
    "approximate": (nn.GELU("tanh"), r"approximate is 'tanh'; 'none' is wanted"),
    "unknown": (nn.ReLU6(), r"module\[1\]\[0\] is ReLU6\(\), which is no layer of fastnn"),
    "convolution": (nn.Conv1d(1, 1, 1), "Conv1d"),
    "subclass": (Special(3, 3), "which is no layer of fastnn"),
    "softmax": (nn.Softmax(0), "dim is 0; 1 is wanted"),
    "softplus": (nn.Softplus(2), "beta is 2"),
    "hardtanh": (nn.Hardtanh(0, 1), "min_val is 0"),
    "slope": (nn.LeakyReLU(-0.1), "negative_slope is -0.1"),
    "no bias": (nn.LayerNorm(3, bias=False), "bias is None"),
    "no weight": (nn.BatchNorm1d(3, affine=False), "weight is None"),
    "no momentum": (nn.BatchNorm1d(3, momentum=None), "momentum is None"),
    "no statistics": (nn.BatchNorm1d(3, track_running_stats=False), "track_running_stats is F"),
    "flatten": (nn.Flatten(0), "Flatten"),
    "late flatten": (nn.Flatten(), "Flatten.*, which fastnn takes as the first module only"),
    "widths": (nn.Linear(4, 3), "takes 4 features"),
    "tensor": (nn.Softplus(torch.ones(3)), "beta is tensor.*; 1 is wanted"),
    "threshold": (nn.Softplus(threshold=3), "threshold is 3; 20 is wanted"),
    "meta": (nn.Linear(3, 3, device="meta"), "a tensor is on meta in the layout torch.strided"),
    "complex": (nn.Linear(3, 3, dtype=torch.complex64), "a tensor has dtype torch.complex64"),
    "matrix": (nn.LayerNorm((3, 3)), "normalized_shape is .*; one axis is wanted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_module_is_refused_by_name(name):
    module, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=message):
        fn.from_torch(nn.Sequential(nn.Linear(2, 3), nn.Sequential(module)))


def test_statistics_and_weights_that_cannot_be_read():
    normalization, linear = nn.BatchNorm1d(3), nn.Linear(3, 3)
    normalization.running_var = None
    linear.weight = nn.Parameter(torch.eye(3).to_sparse(), requires_grad=False)
    for module, message in ((normalization, "running_var is None"), (linear, "torch.sparse_coo")):
        with pytest.raises(ValueError, match=rf"module\[0\] is .*{message}"):
            fn.from_torch(nn.Sequential(module))


def test_a_parametric_activation_that_occurs_twice():
    module = fn.to_torch(fn.Network([fn.Linear(2, 3), fn.Parametric(3, fn.Tanh)], seed=0))
    with pytest.raises(ValueError, match="module has a parameter in several places"):
        fn.from_torch(nn.Sequential(module[0], module[1], module[1]))


def test_a_default_device_without_memory(rng):
    net = fn.Network([fn.Standardize([1, 2], [3, 4]), fn.Linear(2, 3)], seed=0)
    with torch.device("meta"):
        module = fn.to_torch(net)
    assert_same(net, module, rng.normal(size=(5, 2)).astype("float32"))


def test_other_arguments_are_refused(monkeypatch):
    with pytest.raises(TypeError, match=r"module is 3; a torch.nn.Sequential is wanted"):
        fn.from_torch(3)
    with pytest.raises(TypeError, match=r"net is 3; a Network is wanted"):
        fn.to_torch(3)
    for layer in (PythonTanh(), fn.PeriodicEmbedding(3)):
        with pytest.raises(TypeError, match=f"{type(layer).__name__}.* no counterpart in PyTorch"):
            fn.to_torch(fn.Network([fn.Linear(2, 3), layer]))
    monkeypatch.setitem(sys.modules, "torch", None)
    for function in (fn.from_torch, fn.to_torch):
        with pytest.raises(ImportError, match=r"needs torch: pip install 'fastnn\[torch\]'"):
            function(fn.Network([fn.Linear(2, 3)]))
