"""`from_keras` returns a network with the outputs of the model."""

import sys

import numpy as np
import pytest
from keras_backend import keras_or_skip

import fastnn as fn

keras = keras_or_skip()
layers = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture
def floatx(dtype):
    """Let all layers of Keras have this dtype."""
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def randomised(model, rng):
    """Give all weights random values; variances are positive."""
    model.set_weights([0.1 + rng.uniform(size=w.shape) for w in model.get_weights()])
    return model


def assert_same(model, X):
    net = fn.from_keras(model)
    wanted = np.asarray(keras.ops.convert_to_numpy(model(X, training=False)))
    assert net.dtype == wanted.dtype
    # with PyTorch behind it, Keras 3.15 multiplies float64 matrices in float32
    np.testing.assert_allclose(net.predict(X), wanted, rtol=0, atol=1e-6 * abs(wanted).max())
    return net


ACTIVATIONS = ("linear relu leaky_relu elu selu sigmoid tanh softplus gelu silu swish mish").split()
ACTIVATIONS += ["hard_tanh", "softmax", "log_softmax"]


@pytest.mark.usefixtures("floatx")
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, dtype, rng):
    stack = [keras.Input((3,)), layers.Dense(4, name), layers.Dense(2)]
    X = rng.normal(size=(20, 3)).astype(dtype)
    assert_same(keras.Sequential(stack), X)


@pytest.mark.usefixtures("floatx")
def test_layers(dtype, rng):
    normalization = layers.Normalization()
    X = rng.normal(2, 3, size=(40, 4)).astype(dtype)
    normalization.adapt(X)
    inner = keras.Sequential([layers.Dense(5, use_bias=False), layers.ELU(0.7)])
    model = keras.Sequential(
        [
            keras.Input((4,)),
            normalization,
            layers.Flatten(),
            inner,
            layers.BatchNormalization(momentum=0.9, epsilon=1e-4),
            layers.LeakyReLU(negative_slope=0.3),
            layers.Dropout(0.2),
            layers.LayerNormalization(epsilon=1e-4),
            layers.ReLU(negative_slope=0.1),
            layers.Activation("tanh"),
            layers.Dense(3, trainable=False),
            layers.ReLU(),
            layers.Softmax(),
        ]
    )
    for layer in model.layers[1:]:
        randomised(layer, rng)
    net = assert_same(model, X)
    assert repr(net.layers[3]) == "BatchNorm(features=5, eps=0.0001, momentum=0.1)"
    assert repr(net.layers[5]) == "Dropout(p=0.2)"
    assert not net.layers[9].trainable
    assert net.layers[1].trainable


class Own(layers.Dense):
    pass


def relu(x):
    return 100 * x


REFUSED = {
    "unknown": (lambda: layers.Conv1D(1, 1), "a Conv1D, which is no layer of fastnn"),
    "subclass": (lambda: Own(2), "is a Own, which is no layer of fastnn"),
    "activation": (lambda: layers.Dense(2, "exponential"), "the activation 'exponential'"),
    "max_value": (lambda: layers.ReLU(6.0), "max_value is 6.0; None is wanted"),
    "scale": (lambda: layers.BatchNormalization(scale=False), "scale is False; True is wanted"),
    "center": (lambda: layers.LayerNormalization(center=False), "center is False"),
    "own relu": (lambda: layers.Dense(2, relu), "the activation 'relu' is no layer of fastnn"),
    "axes": (lambda: layers.Softmax(), r"shape \(None, 3, 1\); \(n, features\) is wanted, so Flat"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_is_refused_by_name(name):
    make, message = REFUSED[name]
    shape = (3, 1) if name in ("unknown", "axes") else (3,)
    with pytest.raises((TypeError, ValueError), match=message):
        fn.from_keras(keras.Sequential([keras.Input(shape), make()]))


@pytest.mark.skipif(not hasattr(layers.Dense, "enable_lora"), reason="this Keras has no LoRA")
def test_lora_is_refused():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    fn.from_keras(model)
    model.layers[0].enable_lora(1)
    with pytest.raises(ValueError, match=r"\(Dense\) has LoRA or quantized weights; plain weights"):
        fn.from_keras(model)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="of PyTorch's device without memory")
def test_weights_without_values_are_refused():
    with keras.device("meta"):
        model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="the weights of model have no values: .*meta"):
        fn.from_keras(model)


def test_other_arguments(monkeypatch):
    with pytest.raises(TypeError, match=r"model is 3; a keras.Sequential is wanted"):
        fn.from_keras(3)
    with pytest.raises(ValueError, match="model has no weights yet"):
        fn.from_keras(keras.Sequential([layers.Dense(2)]))
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"pip install 'fastnn\[keras\]'"):
        fn.from_keras(3)
