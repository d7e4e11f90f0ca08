"""Probabilities of classes: of each loss, remembered by a network, and stable for large logits."""

import copy
import pickle

import numpy as np
import pytest
import reference
from reference_activations import sigmoid

import fastnn as fn


def logits(rng, n, k, dtype):
    """Return outputs on both sides of 0, some of them large."""
    outputs = 3 * rng.standard_normal((n, k))
    outputs[0] = np.linspace(-1000, 1000, k) if k > 1 else 1000
    outputs[1] = -outputs[0]
    return outputs.astype(dtype)


def test_each_loss_says_how(isa, dtype, rng):
    z = logits(rng, 8, 4, dtype)
    found = fn.SoftmaxCrossEntropy().probabilities(z)
    expected = np.stack([reference.softmax(row) for row in z.astype(float)])
    rtol = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-30)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found.dtype == dtype
    several = fn.BinaryCrossEntropy().probabilities(z)
    np.testing.assert_allclose(several, sigmoid(z.astype(float)), rtol=rtol, atol=1e-30)
    one = fn.BinaryCrossEntropy().probabilities(z[:, :1])
    np.testing.assert_allclose(one[:, 1], several[:, 0])
    np.testing.assert_allclose(one.sum(axis=1), 1, rtol=1e-6)
    small = fn.BinaryCrossEntropy().probabilities(np.array([[30.0]], dtype))[0, 0]
    assert small == pytest.approx(np.exp(-30), rel=1e-5, abs=0)  # not 1 - σ(30), which rounds to 0
    assert np.array_equal(fn.NegativeLogLikelihood().probabilities(found), found)
    for all_finite in (found, several, one):
        assert np.isfinite(all_finite).all()


def test_other_losses_have_none(rng):
    net = fn.Network([fn.Linear(2, 1)], seed=0)
    X = rng.standard_normal((5, 2))
    for loss in (fn.MeanSquaredError(), fn.Poisson(), fn.Pinball()):
        with pytest.raises(TypeError, match=f"{type(loss).__name__} has no probabilities"):
            loss.probabilities([[1.0]])
        with pytest.raises(TypeError, match=f"{type(loss).__name__} has no probabilities"):
            net.predict_proba(X, loss)
    with pytest.raises(TypeError, match="loss is 'softmax'; a loss with probabilities"):
        net.predict_proba(X, "softmax")
    with pytest.raises(ValueError, match="takes probabilities, but the network's outputs look"):
        fn.NegativeLogLikelihood().probabilities([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"outputs has shape \(3,\)"):
        fn.SoftmaxCrossEntropy().probabilities([1, 2, 3])


@pytest.mark.parametrize(
    ("loss", "n_out", "ending"),
    [
        (fn.SoftmaxCrossEntropy(), 3, []),
        (fn.BinaryCrossEntropy(), 1, []),
        (fn.BinaryCrossEntropy(), 3, []),
        (fn.NegativeLogLikelihood(), 3, [fn.Softmax]),
    ],
    ids=["softmax", "binary", "several", "likelihood"],
)
def test_a_network_remembers_the_loss_of_its_fit(loss, n_out, ending, dtype, rng, tmp_path):
    layers = [fn.Linear(2, n_out), *(layer() for layer in ending)]
    net = fn.Network(layers, dtype, seed=0)
    X = rng.standard_normal((30, 2)).astype(dtype)
    y = rng.integers(3, size=30) if loss.takes_labels else rng.integers(2, size=(30, n_out))
    if not ending:
        with pytest.raises(ValueError, match="loss is None, and neither the last fit"):
            net.predict_proba(X)
    net.fit(X, y, loss=loss, epochs=3)
    found = net.predict_proba(X)
    assert np.array_equal(found, loss.probabilities(net.predict(X)))
    assert np.array_equal(found, net.predict_proba(X, loss, n_threads=1))
    assert found.shape == (30, 2 if n_out == 1 else n_out)
    assert found.dtype == dtype
    np.testing.assert_allclose(net.predict_proba(X[4]), found[4], rtol=1e-6)
    for form in (X.tolist(), np.asfortranarray(X), X.astype("float64")):
        np.testing.assert_allclose(net.predict_proba(form), found, rtol=1e-6)
    path = tmp_path / "net.fastnn"
    net.save(path)
    for other in (fn.load(path), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert np.array_equal(other.predict_proba(X), found)


def test_the_last_fit_decides(rng):
    X = rng.standard_normal((20, 2))
    net = fn.Network([fn.Linear(2, 2)], seed=0)
    net.fit(X, rng.integers(2, size=20), epochs=1)
    assert net.predict_proba(X).shape == (20, 2)
    net.fit(X, rng.standard_normal((20, 2)), loss=fn.Huber(), epochs=1)
    with pytest.raises(ValueError, match="neither the last fit nor the last layer"):
        net.predict_proba(X)
    ending = fn.Network([fn.Linear(2, 2), fn.Softmax()], seed=0)  # needs no fit
    assert np.array_equal(ending.predict_proba(X), ending.predict(X))


def test_an_own_loss_may_have_probabilities(rng):
    class Own:
        def value_and_grad(self, y_pred, y):
            return 0.0, np.zeros_like(y_pred)

        def probabilities(self, outputs):
            return np.abs(outputs) / np.abs(outputs).sum(axis=1, keepdims=True)

    net = fn.Network([fn.Linear(2, 2)], seed=0)
    X = rng.standard_normal((5, 2))
    net.fit(X, np.zeros(5), loss=Own(), optimizer=fn.SGD(0.1), epochs=1)
    with pytest.raises(ValueError, match="loss is None"):
        net.predict_proba(X)
    np.testing.assert_allclose(net.predict_proba(X, Own()).sum(axis=1), 1, rtol=1e-6)


def test_wrong_inputs():
    net = fn.Network([fn.Linear(2, 2), fn.Softmax()], seed=0)
    with pytest.raises(ValueError, match=r"X has shape \(1, 3\)"):
        net.predict_proba([[1, 2, 3]])
    with pytest.raises(ValueError, match="is nan; finite numbers"):
        net.predict_proba([[1, np.nan]])
    assert net.predict_proba(np.empty((0, 2))).shape == (0, 2)
    description, arrays = net._describe()
    with pytest.raises(ValueError, match="link is 'own'"):
        type(net)._from_description({**description, "link": "own"}, arrays, {})
    del description["link"]  # as in a file of an earlier version
    assert type(net)._from_description(description, arrays, {}).predict_proba([[1, 2]]).shape == (
        1,
        2,
    )
