"""Class weights equal those of PyTorch and scikit-learn; errors."""

import numpy as np
import pytest
from custom_loss import Weighted

import fastnn as fn

X = np.arange(12.0).reshape(4, 3) / 12
Y = np.array([0, 1, 1, 0])


def test_class_weights_are_those_of_pytorch(isa, rng):
    """A complete fit equals PyTorch's, whose mean is divided by the sum of the weights."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    X, y = rng.standard_normal((60, 4)), rng.integers(3, size=60)
    net = fn.Network([fn.Linear(4, 5), fn.Tanh(), fn.Linear(5, 3)], "float64", seed=0)
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    theirs = theirs.double()
    with torch.no_grad():
        for i in (0, 2):
            theirs[i].weight[...] = torch.tensor(net.layers[i].weight)
            theirs[i].bias[...] = torch.tensor(net.layers[i].bias)
    update = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    inputs, labels = torch.tensor(X), torch.tensor(y)
    draw, weight = np.random.default_rng(3), torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)
    for _ in range(10):
        order = draw.permutation(60)
        for start in range(0, 60, 7):
            rows = order[start : start + 7]
            update.zero_grad()
            torch.nn.functional.cross_entropy(
                theirs(inputs[rows]), labels[rows], weight=weight
            ).backward()
            update.step()
    settings = {"optimizer": fn.SGD(0.1, momentum=0.9), "epochs": 10, "batch_size": 7, "seed": 3}
    net.fit(X, y, class_weight={0: 0.5, 2: 4}, **settings)
    expected = torch.nn.utils.parameters_to_vector(theirs.parameters()).detach().numpy()
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("binary", [False, True])
def test_balanced_weights_are_those_of_scikit_learn(rng, binary):
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    k = 2 if binary else 4
    y = np.concatenate([np.arange(k), rng.integers(k, size=50) // 2])
    X, w = rng.standard_normal((len(y), 3)), rng.random(len(y))
    loss = fn.BinaryCrossEntropy() if binary else fn.SoftmaxCrossEntropy()
    balanced = sklearn.compute_sample_weight("balanced", y)
    nets = []
    for settings in (
        {"class_weight": "balanced", "sample_weight": w},
        {"sample_weight": balanced * w},
        {"class_weight": dict(zip(*sklearn_pairs(sklearn, y), strict=True)), "sample_weight": w},
    ):
        net = fn.Network([fn.Linear(3, 1 if binary else k)], "float64", seed=0)
        net.fit(X, y, loss=loss, epochs=3, seed=0, **settings)
        nets.append(net.params)
    np.testing.assert_allclose(nets[0], nets[1], rtol=1e-12)
    np.testing.assert_allclose(nets[0], nets[2], rtol=1e-12)


def sklearn_pairs(sklearn, y):
    """Return the classes, as NumPy integers, and their balanced weights."""
    classes = np.unique(y)
    return classes, sklearn.compute_class_weight("balanced", classes=classes, y=y)


@pytest.mark.parametrize(
    ("class_weight", "error", "message"),
    [
        ({2: 1.0}, ValueError, "has class 2, which is missing from y"),
        ({3: 1.0}, ValueError, "has the class 3; a class index 0 to 2 is wanted"),
        ({-1: 1.0}, ValueError, "has the class -1"),
        ({"a": 1.0}, ValueError, "has the class 'a'"),
        ({0.5: 1.0}, ValueError, "has the class 0.5"),
        ({0: -1}, ValueError, r"class_weight\[0\] is -1"),
        ({1: np.inf}, ValueError, r"class_weight\[1\] is inf"),
        ({1: "much"}, TypeError, r"class_weight\[1\] is 'much'"),
        ({0: 0, 1: 0}, ValueError, "is 0 for every sample"),
        ("balanced", ValueError, "class 2 is missing from y"),
        ("even", TypeError, "'balanced' or a dict"),
        ([1, 2, 3], TypeError, "'balanced' or a dict"),
    ],
)
def test_bad_class_weights(class_weight, error, message):
    net = fn.Network([fn.Linear(3, 3)], seed=0)
    with pytest.raises(error, match=message):
        net.fit(X, Y, class_weight=class_weight)


def test_losses_without_classes_take_no_class_weights():
    two, one = fn.Network([fn.Linear(3, 2)]), fn.Network([fn.Linear(3, 1)])
    for net, loss in (
        (one, fn.MeanSquaredError()),
        (two, fn.BinaryCrossEntropy()),
        (two, Weighted(fn.SoftmaxCrossEntropy())),
    ):
        y = Y if net is one or isinstance(loss, Weighted) else np.stack([Y, Y], axis=1)
        with pytest.raises(TypeError, match="class_weight does not go with the loss"):
            net.fit(X, y, loss=loss, class_weight="balanced")
    with pytest.raises(ValueError, match="y holds numbers other than 0 and 1"):
        one.fit(X, Y / 2, loss=fn.BinaryCrossEntropy(), class_weight="balanced")
