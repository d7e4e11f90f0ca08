"""Structured Jacobians: each one equals the linear map of its matrix; the chain rule holds."""

import copy
import pickle

import numpy as np
import pytest
import reference
from case_inputs import sample_inputs, sample_params
from cases import NETWORK_CASES
from layer_cases import LAYER_CASES

import fastnn as fn
from fastnn.jacobians import (
    Block,
    BlockDiagonal,
    Composed,
    Dense,
    Diagonal,
    DiagonalMinusOuter,
    Identity,
    Jacobian,
    Kronecker,
)

rng = np.random.default_rng(7)


def numbers(*shape, dtype="float64"):
    return rng.standard_normal(shape).astype(dtype)


def by_hand(dtype="float64"):
    """Return a Jacobian of each class, and its matrix."""
    d, u, v = (numbers(4, dtype=dtype) for _ in range(3))
    A, B, a = (numbers(*s, dtype=dtype) for s in ((3, 4), (4, 2), (1, 5)))
    eye = np.eye(4, dtype=dtype)
    softmax = DiagonalMinusOuter(d, u, v)
    return {
        "identity": (Identity(4, dtype), eye),
        "diagonal": (Diagonal(d), np.diag(d)),
        "softmax": (softmax, np.diag(d) - np.outer(u, v)),
        "dense": (Dense(A), A),
        "tall": (Dense(B), B),
        "no columns": (Dense(A[:, :0]), A[:, :0]),
        "kronecker": (Kronecker(Identity(4, dtype), a), np.kron(eye, a)),
        "kronecker of two": (Kronecker(A, B), np.kron(A, B)),
        "block": (Block([Dense(A), Dense(A @ B)]), np.hstack([A, A @ B])),
        "linear layer": (
            Block([Kronecker(Identity(4, dtype), a), Identity(4, dtype)]),
            np.hstack([np.kron(eye, a), eye]),
        ),
        "transposed block": (Block([Dense(A), Dense(A @ B)]).T, np.hstack([A, A @ B]).T),
        "composed": (Composed([Dense(A), softmax, Dense(B)]), None),
        "composed, wide": (Composed([Dense(B), Dense(B.T), Dense(A.T)]), B @ B.T @ A.T),
        "composed, square": (Composed([softmax, softmax]), None),
        "through a bottleneck": (Composed([Dense(B), Dense(B.T)]), B @ B.T),
    }


KINDS = sorted(by_hand())
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_the_matrix(kind, dtype):
    J, matrix = by_hand(dtype)[kind]
    dense = J.to_dense()
    assert isinstance(J, Jacobian)
    assert J.dtype == dense.dtype == dtype
    assert J.shape == dense.shape
    assert dense.flags.c_contiguous
    assert dense.flags.writeable
    dense[...] = 9  # a new array each time
    if matrix is not None:
        np.testing.assert_allclose(J.to_dense(), matrix, rtol=0, atol=1e-5)


@every_kind
def test_products_with_vectors_and_matrices(kind, dtype):
    J = by_hand(dtype)[kind][0]
    dense, (m, n) = J.to_dense(), J.shape
    h, c = numbers(n, dtype=dtype), numbers(m, dtype=dtype)
    H, C = numbers(n, 3, dtype=dtype), numbers(m, 3, dtype=dtype)
    for actual, expected in [
        (J.matvec(h), dense @ h),
        (J @ h, dense @ h),
        (J.rmatvec(c), dense.T @ c),
        (c @ J, c @ dense),
        (J.matmat(H), dense @ H),
        (J @ H, dense @ H),
        (J.rmatmat(C), dense.T @ C),
        (C.T @ J, C.T @ dense),
        (J.T @ c, c @ dense),
        (J.matvec(h[:, None]), (dense @ h)[:, None]),
        (J.rmatvec(c[:, None]), (c @ dense)[:, None]),
    ]:
        assert actual.dtype == dtype
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)


@every_kind
def test_the_adjoint(kind):
    """⟨J h, c⟩ = ⟨h, Jᵀ c⟩."""
    J = by_hand()[kind][0]
    m, n = J.shape
    h, c = numbers(n), numbers(m)
    assert (J @ h) @ c == pytest.approx(h @ J.rmatvec(c), abs=1e-12)


@every_kind
def test_the_transpose(kind):
    J = by_hand()[kind][0]
    assert J.T.shape == J.shape[::-1]
    np.testing.assert_allclose(J.T.to_dense(), J.to_dense().T, atol=1e-13)
    np.testing.assert_allclose(J.T.T.to_dense(), J.to_dense(), atol=1e-13)
    if kind in ("identity", "diagonal", "softmax", "dense", "kronecker", "composed"):
        assert type(J.T) is type(J)


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
def test_composition_is_the_product_of_the_matrices(left, right):
    J, K = by_hand()[left][0], by_hand()[right][0]
    if J.shape[1] != K.shape[0]:
        with pytest.raises(ValueError, match="do not compose"):
            J @ K
        return
    np.testing.assert_allclose((J @ K).to_dense(), J.to_dense() @ K.to_dense(), atol=1e-12)


def test_composition_associates(dtype):
    squares = ["identity", "diagonal", "softmax", "composed, square"]
    kinds = by_hand(dtype)
    triples = [
        (kinds[a][0], kinds[b][0], kinds[c][0])
        for a in ["dense", *squares]
        for b in squares
        for c in [*squares, "tall", "kronecker", "linear layer"]
    ]
    for A, B, C in triples:
        left, right = (A @ B) @ C, A @ (B @ C)
        assert left.dtype == right.dtype == dtype
        tolerance = 1e-4 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(left.to_dense(), right.to_dense(), atol=tolerance)
        np.testing.assert_allclose(
            left.to_dense(), A.to_dense() @ (B.to_dense() @ C.to_dense()), atol=tolerance
        )


def test_composition_simplifies_where_the_structure_allows():
    kinds = {name: J for name, (J, _) in by_hand().items()}
    identity, diagonal, softmax = kinds["identity"], kinds["diagonal"], kinds["softmax"]
    dense, tall, kronecker = kinds["dense"], kinds["tall"], kinds["kronecker"]
    assert identity @ diagonal is diagonal
    assert dense @ identity is dense
    for product, kind in [
        (diagonal @ diagonal, Diagonal),
        (diagonal @ softmax, DiagonalMinusOuter),
        (softmax @ diagonal, DiagonalMinusOuter),
        (dense @ diagonal, Dense),
        (diagonal @ tall, Dense),
        (softmax @ tall, Dense),
        (dense @ softmax, Dense),
        (dense @ tall, Dense),
        (dense @ kronecker, Kronecker),
        (softmax @ softmax, Composed),
        (dense @ softmax @ diagonal @ tall, Dense),
        (kinds["transposed block"] @ dense, Composed),
    ]:
        assert type(product) is kind
    column, row = Dense(numbers(9, 1)), Dense(numbers(1, 9))
    assert type(column @ row) is Composed  # 18 numbers, not 81
    assert type(row @ column) is Dense
    assert type(column @ row @ column) is Dense


def test_a_composition_of_compositions_is_flat():
    column, row = Dense(numbers(9, 1)), Dense(numbers(1, 9))
    outer = column @ row
    assert Composed([outer, Composed([outer])]).factors == (column, row, column, row)
    assert "Dense @ Dense" in repr(outer)


def test_an_overflowing_product_is_not_multiplied_out():
    huge = Diagonal(np.array([1e30], "float32"))
    with np.errstate(over="ignore"):
        assert type(huge @ huge) is Composed


def test_dtypes_promote():
    single, double = Diagonal(np.ones(3, "float32")), Dense(np.ones((2, 3)))
    assert single.dtype == np.float32
    assert (double @ single).dtype == np.float64
    assert (Identity(3) @ single).dtype == np.float64
    assert (Identity(3, "float32") @ single) is single
    assert (single @ np.ones(3, "float32")).dtype == np.float32
    assert (single @ np.ones(3)).dtype == np.float64
    assert (single @ [1, 2, 3]).dtype == np.float64
    assert Diagonal([1, 2]).dtype == np.float64
    mixed = Block([single, Identity(3)])
    assert mixed.dtype == mixed.to_dense().dtype == mixed.T.to_dense().dtype == np.float64


def test_what_is_held_is_a_copy_and_read_only():
    d = np.ones(3)
    J = Diagonal(d)
    d[0] = 7
    assert J.to_dense().tolist() == np.eye(3).tolist()
    with pytest.raises(ValueError, match="read-only"):
        J.diagonal[0] = 7
    for duplicate in (copy.deepcopy(J), pickle.loads(pickle.dumps(J))):
        assert np.array_equal(duplicate.to_dense(), np.eye(3))


@every_kind
def test_scipy_takes_every_kind(kind, dtype):
    linalg = pytest.importorskip("scipy.sparse.linalg")
    J = by_hand(dtype)[kind][0]
    operator, (m, n) = linalg.aslinearoperator(J), J.shape
    assert operator.dtype == dtype
    h, c, C = numbers(n), numbers(m), numbers(m, 3)
    np.testing.assert_allclose(operator @ h, J.to_dense() @ h, atol=1e-5)
    np.testing.assert_allclose(operator.H @ c, J.to_dense().T @ c, atol=1e-5)
    if n:  # SciPy stacks the columns of the result, so there must be at least one
        np.testing.assert_allclose(operator @ np.eye(n, dtype=dtype), J.to_dense(), atol=1e-5)
    np.testing.assert_allclose(operator.H @ C, J.to_dense().T @ C, atol=1e-5)


def test_least_squares_by_scipy():
    linalg = pytest.importorskip("scipy.sparse.linalg")
    J = Composed([Dense(numbers(6, 4)), Diagonal(1 + numbers(4) ** 2)])
    h = numbers(4)
    found = linalg.lsqr(linalg.aslinearoperator(J), J @ h, atol=1e-14, btol=1e-14)[0]
    np.testing.assert_allclose(found, h, rtol=1e-8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: Dense(np.ones((2, 3))) @ Diagonal([1, 2]),
            ValueError,
            r"shapes \(2, 3\) and \(2, 2\) do not compose, since 3 inputs meet 2 outputs; the",
        ),
        (lambda: Composed([Identity(2), Identity(3)]), ValueError, r"\(2, 2\) and \(3, 3\)"),
        (lambda: Composed([]), ValueError, "factors is empty"),
        (lambda: Composed([Identity(2), np.eye(2)]), TypeError, r"factors\[1\] is array"),
        (lambda: Composed(Identity(2)), TypeError, "factors is <Identity"),
        (lambda: Block([]), ValueError, "blocks is empty"),
        (lambda: Block([Identity(2), Identity(3)]), ValueError, r"blocks have \[2, 3\] outputs"),
        (lambda: Identity(2) @ [1, 2, 3], ValueError, r"shape \(3,\); \(2,\) or \(2, k\)"),
        (lambda: Identity(2) @ 3, ValueError, r"right operand of @ has shape \(\)"),
        (lambda: 3 @ Identity(2), ValueError, r"left operand of @ has shape \(\)"),
        (lambda: Identity(2) @ "ab", TypeError, "right operand of @ has dtype <U2"),
        (lambda: Identity(2) @ None, TypeError, "right operand of @ has dtype object"),
        (lambda: np.ones((2, 3)) @ Identity(2), ValueError, r"\(2,\) or \(k, 2\)"),
        (lambda: Identity(2) @ np.ones((2, 2, 2)), ValueError, r"shape \(2, 2, 2\)"),
        (lambda: Identity(2).matvec([1, 2, 3]), ValueError, r"x has shape \(3,\); \(2,\)"),
        (lambda: Identity(2).matvec(np.eye(2)), ValueError, r"x has shape \(2, 2\); \(2,\)"),
        (lambda: Identity(2).rmatvec(1), ValueError, r"x has shape \(\)"),
        (lambda: Identity(2).matmat([1, 2]), ValueError, r"x has shape \(2,\); \(2, k\)"),
        (lambda: Identity(2).matvec([1, np.nan]), ValueError, r"x\[1\] is nan"),
        (lambda: Identity(2).matvec([1, 2j]), TypeError, "x has dtype complex128"),
        (lambda: Identity(-1), ValueError, "n is -1"),
        (lambda: Identity(2, int), ValueError, "dtype is <class 'int'>"),
        (lambda: Diagonal(np.eye(2)), ValueError, r"diagonal has shape \(2, 2\); a vector"),
        (lambda: Diagonal([1, np.inf]), ValueError, r"diagonal\[1\] is inf"),
        (lambda: Dense([1, 2]), ValueError, r"matrix has shape \(2,\); a matrix"),
        (lambda: Dense([["a"]]), TypeError, "matrix has dtype <U1"),
        (lambda: DiagonalMinusOuter([1, 2], [1], [1, 2]), ValueError, r"u has shape \(1,\)"),
        (lambda: Kronecker(Identity(2), [1, 2]), ValueError, r"right has shape \(2,\)"),
    ],
    ids=range(28),
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


# Layers and networks -------------------------------------------------------------------------


def close(actual, expected, dtype):
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def layer_has_arrays(case):
    return case.cls == "Standardize" or reference.n_params(case.layers) > 0


@pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.name)
def test_layers(case, dtype, rng, isa, make_network):
    params, X = sample_params(case, rng, dtype), sample_inputs(case, rng, dtype)
    own = layer_has_arrays(case)
    net = make_network(case, dtype, params)
    layer = net.layers[-1] if own else getattr(fn, case.cls)(**case.args)
    [(weight, _)] = reference.unpack(case.layers, params.astype(float))
    by_params = reference.jacobian(case.layers, params.astype(float), X.astype(float), "params")
    matrices = layer.dense_jacobian(X)
    for x, expected, matrix in zip(X, by_params, matrices, strict=True):
        J = layer.jacobian(x)
        close(matrix, J.to_dense(), dtype)
        assert np.array_equal(layer.dense_jacobian(x), matrix)
        dense = reference.layer_jacobian(case.description, weight, x.astype(float))
        close(J.to_dense(), dense, dtype)
        close(layer.jacobian(x, wrt="params").to_dense(), expected, dtype)
        structure = {
            "Linear": Dense,
            "Softmax": DiagonalMinusOuter,
            "LogSoftmax": DiagonalMinusOuter,
            "LayerNorm": Composed,
            "Dropout": Identity,
            "PeriodicEmbedding": BlockDiagonal,
            "PiecewiseLinearEmbedding": BlockDiagonal,
            "CategoricalEmbedding": BlockDiagonal,
        }
        assert type(J) is structure.get(case.cls, Diagonal)


@pytest.mark.parametrize("wrt", ["input", "params"])
@pytest.mark.parametrize("case", NETWORK_CASES, ids=lambda case: case.name)
def test_networks(case, dtype, rng, wrt, make_network):
    params, X = sample_params(case, rng, dtype), sample_inputs(case, rng, dtype, 3)
    net = make_network(case, dtype, params)
    matrices = reference.jacobian(case.layers, params.astype(float), X.astype(float), wrt)
    for x, matrix in zip(X, matrices, strict=True):
        J = net.jacobian_operator(x, wrt)
        close(J.to_dense(), matrix, dtype)
        h, c = (rng.standard_normal(n).astype(dtype) for n in matrix.shape[::-1])
        tolerance = 1e-4 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(J @ h, matrix @ h, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(c @ J, c @ matrix, rtol=tolerance, atol=tolerance)
        net(x)
        dx = net.backward(c)
        pulled = dx if wrt == "input" else net.grads
        np.testing.assert_allclose(c @ J, pulled, rtol=tolerance, atol=tolerance)


def test_a_deep_network_costs_no_more_than_its_layers():
    layers = [layer for _ in range(60) for layer in (fn.Linear(3, 3), fn.Tanh())]
    net = fn.Network(layers, "float64", seed=0)
    J = net.jacobian_operator([1, 2, 3], "params")
    net([1, 2, 3])
    net.backward([1, 0, 0])
    np.testing.assert_allclose(J.rmatvec([1, 0, 0]), net.grads, atol=1e-12)


def test_a_network_without_parameters_before_or_at_all():
    net = fn.Network([fn.Standardize([1, 2], [2, 4])], "float32")
    J = net.jacobian_operator([5, 6])
    assert J.to_dense().tolist() == [[0.5, 0], [0, 0.25]]
    assert net.jacobian_operator([5, 6], "params").to_dense().shape == (2, 0)
    net = fn.Network([fn.Standardize([1, 2], [2, 4]), fn.Linear(2, 1)], "float32")
    assert net.jacobian_operator([5, 6], "params").to_dense().tolist() == [[2, 1, 1]]


def test_it_is_the_jacobian_of_the_values_at_the_time():
    net = fn.Network([fn.Linear(2, 2), fn.ReLU(), fn.Linear(2, 1)], seed=0)
    J, K = net.jacobian_operator([1, 2]), net.layers[0].jacobian([1, 2])
    before = J.to_dense(), K.to_dense()
    net.params[...] = 7
    assert np.array_equal(J.to_dense(), before[0])
    assert np.array_equal(K.to_dense(), before[1])


@pytest.mark.parametrize("wrt", ["output", None, 3, np.ones(2)], ids=str)
def test_bad_wrt(wrt):
    net = fn.Network([fn.Linear(2, 2)], seed=0)
    for call in (net.jacobian_operator, net.layers[0].jacobian, fn.ReLU().jacobian):
        with pytest.raises(ValueError, match="wrt is .*; 'input' or 'params' is wanted"):
            call([1, 2], wrt)


def test_bad_samples():
    net = fn.Network([fn.Linear(2, 2)], seed=0)
    with pytest.raises(ValueError, match=r"x has shape \(1, 2\); \(2,\) is wanted"):
        net.jacobian_operator([[1, 2]])
    with pytest.raises(ValueError, match=r"x\[1\] is nan"):
        net.jacobian_operator([1, np.nan])
    with pytest.raises(ValueError, match=r"x has shape \(1, 2\); one sample \(2,\) is wanted"):
        net.layers[0].jacobian([[1, 2]])
    with pytest.raises(ValueError, match=r"x has shape \(3,\)"):
        net.layers[0].jacobian([1, 2, 3])


def test_an_operator_and_its_structure_are_the_same_map(dtype, rng):
    net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], dtype, seed=0)
    for wrt in ("input", "params"):
        J = net.jacobian_operator([1, 2, 3], wrt)
        assert J.shape == J.structure.shape
        assert J.dtype == J.structure.dtype == dtype
        h, H, c, C = (rng.standard_normal(s) for s in (J.shape[1], (J.shape[1], 4), 2, (5, 2)))
        for numbers in (dtype, "float64"):  # the result of float64 operands is float64
            for found, wanted in (
                (J @ h.astype(numbers), J.structure @ h.astype(numbers)),
                (J @ H.astype(numbers), J.structure @ H.astype(numbers)),
                (c.astype(numbers) @ J, c.astype(numbers) @ J.structure),
                (C.astype(numbers) @ J, C.astype(numbers) @ J.structure),
                (J.T @ c.astype(numbers), J.structure.T @ c.astype(numbers)),
            ):
                close(found, wanted, wanted.dtype)
        close((J.T).to_dense(), J.structure.to_dense().T, dtype)
        before = Dense(np.ones((J.shape[1], 2), dtype))
        assert repr(J @ before) == repr(J.structure @ before)
        close((J @ before).to_dense(), J.to_dense().sum(1, keepdims=True) * [1, 1], dtype)
        for same in (copy.deepcopy(J), pickle.loads(pickle.dumps(J))):
            close(same.to_dense(), J.to_dense(), dtype)


def test_the_structure_of_an_operator_is_that_of_the_parameters_at_the_time():
    standardize = fn.Standardize([1, 2], [2, 4])
    net = fn.Network([standardize, fn.Residual([fn.Linear(2, 2), fn.BatchNorm(2)])], seed=0)
    x = np.array([1.0, 2.0], np.float32)
    J, wanted = net.jacobian_operator(x), net.jacobian(x)
    net.params[...] = 7
    net.forward(np.array([[1, 2], [3, 5]], np.float32), training=True)  # changes the statistics
    x[...] = 9
    close(J.structure.to_dense(), wanted, "float32")
    assert np.array_equal(J.to_dense(), wanted)
    assert "Sum" in repr(J.structure)
