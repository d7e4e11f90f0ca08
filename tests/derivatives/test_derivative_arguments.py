"""Bad arguments of the derivatives of a network raise an error that names the argument."""

import numpy as np
import pytest
from bad_input import BAD_ARRAYS, BAD_LABELS, BAD_TARGETS, REAL_Y, X, Y, network, refused

import fastnn as fn

N_PARAMS = 26
V = np.linspace(-1, 1, N_PARAMS)
CE, HALF = fn.SoftmaxCrossEntropy(), fn.HalfSquaredError()


class Custom:
    """A custom loss, which has no Hessian."""

    def value_and_grad(self, y_pred, y):
        return 0.0, np.zeros_like(y_pred)


def first_order(net, x, *, wrt="input", tangent=None, cotangent=None, **settings):
    """Return calls of all first derivatives with the same arguments, by name."""
    tangent = (X if wrt == "input" else V) if tangent is None else tangent
    cotangent = REAL_Y if cotangent is None else cotangent
    return {
        "jacobian": lambda: net.jacobian(x, wrt, **settings),
        "value_and_jacobian": lambda: net.value_and_jacobian(x, wrt, **settings),
        "jvp": lambda: net.jvp(x, tangent, wrt, **settings),
        "vjp": lambda: net.vjp(x, cotangent, wrt, **settings),
    }


def second_order(net, x, y, loss, v=V, **settings):
    """Return calls of all methods that take targets and a loss, by name."""
    return {
        "sample_grads": lambda: net.sample_grads(x, y, loss, **settings),
        "gram": lambda: net.gram(x, y, loss, **settings),
        "hvp": lambda: net.hvp(x, y, loss, v, **settings),
        "hessian": lambda: net.hessian(x, y, loss, **settings),
    }


def test_good_arguments():
    """The other tests change one of these arguments."""
    for wrt in ("input", "params"):
        for call in first_order(network(), X, wrt=wrt, n_threads=1).values():
            call()
    for call in second_order(network(), X, Y, CE, n_threads=1).values():
        call()


# Data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bad", "error", "message"), BAD_ARRAYS, ids=range(len(BAD_ARRAYS)))
def test_bad_features(bad, error, message):
    net = network()
    before = net.params.copy()
    for wrt in ("input", "params"):
        for call in first_order(net, bad, wrt=wrt).values():
            refused(error, f"X … {message}", call)
    for call in second_order(net, bad, Y, CE).values():
        refused(error, f"X … {message}", call)
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize(("bad", "error", "message"), BAD_LABELS, ids=range(len(BAD_LABELS)))
def test_bad_labels(bad, error, message):
    for name, call in second_order(network(), X, bad, CE).items():
        if not (name == "gram" and bad is None):  # y is optional
            refused(error, f"y … {message}", call)


@pytest.mark.parametrize(("bad", "error", "message"), BAD_TARGETS, ids=range(len(BAD_TARGETS)))
@pytest.mark.parametrize("loss", [fn.MeanSquaredError(), HALF, fn.BinaryCrossEntropy()], ids=repr)
def test_bad_targets(bad, error, message, loss):
    for call in second_order(network(), X, bad, loss).values():
        refused(error, f"y … {message}", call)


def test_no_samples():
    for call in second_order(network(), X[:0], Y[:0], CE).values():
        refused(ValueError, "X is empty", call)


def test_a_single_sample_has_no_place_where_there_are_targets():
    for call in second_order(network(), X[0], Y[:1], CE).values():
        refused(ValueError, "X has shape (3,) … (n, 3)", call)


def test_the_operator_takes_one_sample():
    net = network()
    refused(ValueError, "x has shape (4, 3) … (3,)", net.jacobian_operator, X)
    refused(ValueError, "x has shape (2,) … (3,)", net.jacobian_operator, X[0, :2])
    refused(ValueError, "x[1] is nan", net.jacobian_operator, [1, np.nan, 2])
    refused(ValueError, "wrt is 'weights'", net.jacobian_operator, X[0], "weights")


# wrt, vectors and threads ----------------------------------------------------------------------


@pytest.mark.parametrize("wrt", ["weights", "inputs", "", "PARAMS", None, 0], ids=str)
def test_bad_wrt(wrt):
    for call in first_order(network(), X, wrt=wrt).values():
        refused(ValueError, f"wrt is {wrt!r} … 'input' … 'params'", call)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (X[:, :2], ValueError, "has shape (4, 2); (4, 3) is wanted"),
        (X[:3], ValueError, "has shape (3, 3); (4, 3) is wanted"),
        (X[0], ValueError, "has shape (3,); (4, 3) is wanted"),
        (V, ValueError, "has shape (26,); (4, 3) is wanted"),
        (np.where(X > 0.5, np.nan, X), ValueError, "[2, 0] is nan"),
        (X.astype(complex), TypeError, "has dtype complex128"),
        (X * 1e40, ValueError, "too large for float32"),
    ],
    ids=range(7),
)
def test_bad_tangents_by_the_input(bad, error, message):
    refused(error, f"tangent … {message}", network().jvp, X, bad)
    refused(error, f"tangent … {message}", network().jvp, X, tangent=bad, wrt="input")


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (V[1:], ValueError, "has shape (25,); (26,) is wanted"),
        (V[:, None], ValueError, "has shape (26, 1); (26,) is wanted"),
        (np.tile(V, (4, 1)), ValueError, "has shape (4, 26); (26,) is wanted"),
        (np.where(V > 0.99, np.inf, V), ValueError, "[25] is inf"),
        ("up", TypeError, "has dtype <U2"),
    ],
    ids=range(5),
)
def test_bad_tangents_by_the_parameters(bad, error, message):
    net = network()
    refused(error, f"tangent … {message}", net.jvp, X, bad, "params")
    refused(error, f"tangent … {message}", net.jvp, X[0], bad, "params")
    refused(error, f"v … {message}", net.hvp, X, Y, CE, bad)


@pytest.mark.parametrize("wrt", ["input", "params"])
def test_bad_cotangents(wrt):
    net = network()
    for bad, message in (
        (REAL_Y[:3], "has shape (3, 2); (4, 2) is wanted"),
        (REAL_Y[:, :1], "has shape (4, 1); (4, 2) is wanted"),
        (X, "has shape (4, 3); (4, 2) is wanted"),
        (REAL_Y[0], "has shape (2,); (4, 2) is wanted"),
        (np.full((4, 2), np.nan), "[0, 0] is nan"),
    ):
        refused(ValueError, f"cotangent … {message}", net.vjp, X, bad, wrt)
    refused(ValueError, "cotangent has shape (3,); (2,)", net.vjp, X[0], X[0], wrt)
    refused(ValueError, "cotangent has shape (1, 2); (2,)", net.vjp, X[0], REAL_Y[:1], wrt)


@pytest.mark.parametrize(
    ("n_threads", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_bad_numbers_of_threads(n_threads, error):
    net = network()
    calls = first_order(net, X, n_threads=n_threads) | second_order(
        net, X, Y, CE, n_threads=n_threads
    )
    for call in calls.values():
        refused(error, "n_threads is ", call)


# out= ------------------------------------------------------------------------------------------

SHAPES = {"input": (4, 2, 3), "params": (4, 2, N_PARAMS)}


def read_only(shape):
    array = np.zeros(shape, "f")
    array.flags.writeable = False
    return array


def misaligned(shape):
    return np.zeros(4 * int(np.prod(shape)) + 1, np.uint8)[1:].view("f").reshape(shape)


@pytest.mark.parametrize("wrt", SHAPES)
@pytest.mark.parametrize(
    "make",
    [
        lambda shape: np.zeros(shape),
        lambda shape: np.zeros(shape, ">f4"),
        lambda shape: np.zeros(shape, "i4"),
        lambda shape: np.zeros(shape[1:], "f"),
        lambda shape: np.zeros((5, *shape[1:]), "f"),
        lambda shape: np.zeros((*shape[:2], shape[2] + 1), "f"),
        lambda shape: np.zeros(int(np.prod(shape)), "f"),
        lambda shape: np.zeros((1, *shape), "f"),
        lambda shape: np.zeros(shape, "f", order="F"),
        lambda shape: np.zeros((*shape[:2], 2 * shape[2]), "f")[..., ::2],
        lambda shape: np.zeros(shape, "f")[::-1],
        read_only,
        misaligned,
        lambda shape: np.zeros(shape, "f").tolist(),
        lambda shape: "there",
    ],
    ids=[
        "float64",
        "byte-swapped",
        "integers",
        "one sample",
        "another sample",
        "another column",
        "flat",
        "another axis",
        "Fortran order",
        "strided",
        "reversed",
        "read-only",
        "misaligned",
        "list",
        "text",
    ],
)
def test_bad_places_for_the_result(wrt, make):
    out = make(SHAPES[wrt])
    for method in (network().jacobian, network().value_and_jacobian):
        refused((ValueError, TypeError), "out ", method, X, wrt, out=out)
    if isinstance(out, np.ndarray):
        assert not out.any()  # and nothing is written


def test_the_place_for_one_sample():
    net = network()
    refused(
        ValueError,
        "out has shape (1, 2, 3) … (2, 3)",
        net.jacobian,
        X[0],
        out=np.zeros((1, 2, 3), "f"),
    )


def test_the_result_may_not_lie_on_what_it_is_made_of():
    net = network()
    x = np.zeros((4, 3), "f")
    refused(ValueError, "out ", net.jacobian, x[:2], out=x.reshape(2, 2, 3))
    refused(ValueError, "out ", net.jacobian, X, out=net.params[:24].reshape(4, 2, 3))


# Losses ----------------------------------------------------------------------------------------


def test_a_loss_without_a_hessian():
    for name, call in second_order(network(), X, Y, Custom()).items():
        if name == "sample_grads":
            assert not call().any()
        else:
            refused(TypeError, "loss is ", call)


@pytest.mark.parametrize("loss", ["mse", None, fn.MeanSquaredError, 3], ids=str)
def test_no_loss(loss):
    for call in second_order(network(), X, Y, loss).values():
        refused(TypeError, "loss is ", call)


def test_what_a_loss_does_not_take():
    nll = fn.NegativeLogLikelihood()
    for call in second_order(network(), X + 1, Y, nll).values():
        refused(ValueError, "takes probabilities", call)
    for call in second_order(network(), X, REAL_Y, fn.BinaryCrossEntropy()).values():
        refused(ValueError, "y lies in [0, 7] … [0, 1]", call)
    one = fn.Network([fn.Linear(3, 1)])
    for call in second_order(one, X, Y, CE, V[:4]).values():
        refused(ValueError, "at least 2 outputs … has 1", call)
    softmax = fn.Network([fn.Linear(3, 2), fn.Softmax()])
    refused((ValueError, TypeError), "y", softmax.gram, X, None, nll)  # its Hessian needs the label


# Matrices that do not fit ------------------------------------------------------------------------


def test_matrices_that_do_not_fit_are_refused():
    """3,256,330 parameters: 42,415 GB in float32."""
    net = fn.Network([fn.Linear(784, 4096), fn.ReLU(), fn.Linear(4096, 10)], seed=0)
    x = np.zeros((1, 784), "f")
    for call in (
        lambda: net.gram(x),
        lambda: net.gram(x, [3], CE),
        lambda: net.hessian(x, [3], CE),
    ):
        with pytest.raises(MemoryError, match=r"42[,.]?41\d.* GB"):
            call()
    assert net.hvp(x, [3], CE, np.ones(net.n_params)).shape == (net.n_params,)


# Numbers at the edge ----------------------------------------------------------------------------


def test_a_loss_may_return_the_same_array_each_time():
    class Reusing:
        gradient = np.zeros((1, 2), "f")

        def value_and_grad(self, y_pred, y):
            self.gradient[...] = 3 * y_pred**2
            return float((y_pred**3).sum()), self.gradient

    net = network()
    one_by_one = [net.sample_grads(X[i : i + 1], Y[i : i + 1], Reusing())[0] for i in range(len(X))]
    assert np.array_equal(net.sample_grads(X, Y, Reusing()), one_by_one)


@pytest.mark.usefixtures("isa")
def test_second_derivatives_of_tiny_probabilities_and_huge_inputs():
    net = fn.Network([fn.Linear(2, 2), fn.Softmax()], "float32")
    net.params[...] = 60, 0, 0, 0, 0, 0
    v = [1, -0.5, 0.3, 0.2, 0, 0.1]
    assert np.abs(net.hvp(np.ones((1, 2)), [1], fn.NegativeLogLikelihood(), v)).max() < 1e-6
    net = fn.Network([fn.Linear(1, 1, False), fn.GELU(), fn.Linear(1, 1)], "float32")
    net.params[...] = 1, 1e-30, 0
    assert np.isfinite(net.hvp([[-1e20]], [[0]], fn.HalfSquaredError(), [1, 1e-30, 1])).all()


def test_results_that_subclasses_of_ndarray_hold():
    net = network()
    expected = net.jacobian(X[0])
    out = np.zeros(expected.shape, "f").view(np.matrix)
    assert net.jacobian(X[0], out=out) is out
    assert np.array_equal(np.asarray(out), expected)
    refused(TypeError, "out is a MaskedArray", net.jacobian, X[0], out=np.ma.array(expected))


def test_what_gram_needs_of_the_network_and_the_targets():
    X1 = np.ones((2, 3), "f")
    net = fn.Network([fn.Linear(3, 1)])
    refused(ValueError, "at least 2 outputs", net.gram, X1, loss=fn.SoftmaxCrossEntropy())
    net = fn.Network([fn.Linear(3, 2), fn.Softmax()])
    refused(ValueError, "y is None", net.gram, X1, loss=fn.NegativeLogLikelihood())


def test_an_operator_of_parameters_that_are_not_finite():
    net = network()
    net.params[3] = np.nan
    refused(ValueError, "params hold NaN", net.jacobian_operator, X[0])
    refused(ValueError, "wrt is ", network().jacobian, X, np.array(["input", "params"]))
