"""Every optimizer of the table: its single step, and its state, against the oracle."""

import cases
import numpy as np
import pytest
import reference

import fastnn as fn
from fastnn import _core

all_optimizers = pytest.mark.parametrize("case", cases.OPTIMIZER_CASES, ids=lambda case: case.name)


@all_optimizers
@pytest.mark.parametrize("n", [1, 7, 100])
def test_twenty_steps(isa, dtype, rng, case, n):
    optimizer = getattr(fn, case.cls)(**case.args)
    rule = optimizer.update_rule()
    expected = getattr(reference, case.cls)(**case.args)
    params = rng.standard_normal(n).astype(dtype)
    exact = params.astype(float)
    state = np.zeros((optimizer.n_states, n), dtype)
    for step in range(1, 21):
        grads = rng.standard_normal(n).astype(dtype)
        kept = grads.copy()
        _core.engine.optimizer_step(rule, params, grads, state, step)
        exact = expected.step(exact, grads.astype(float))
        assert np.array_equal(grads, kept)
    rtol = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(params, exact, rtol=rtol, atol=rtol)


@all_optimizers
def test_a_further_fit_continues_the_state(rng, case):
    X, y = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))

    def network():
        return fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], "float64", seed=5)

    def fit(net, epochs, optimizer):
        loss = fn.MeanSquaredError()
        net.fit(X, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=5, shuffle=False)
        return net.params.copy()

    optimizer = getattr(fn, case.cls)(**case.args)
    whole, halves = network(), network()
    fit(halves, 4, optimizer)
    assert np.array_equal(fit(whole, 10, optimizer), fit(halves, 6, optimizer))
    # another kind starts fresh
    other = fn.Adam() if case.cls == "SGD" else fn.SGD(0.1, momentum=0.5)
    fresh = network()
    fresh.params[...] = whole.params
    assert np.array_equal(fit(whole, 1, other), fit(fresh, 1, other))


def test_optimizers_are_frozen_values():
    assert fn.SGD(0.1, momentum=0.9) == fn.SGD(0.1, momentum=0.9)
    assert repr(fn.SGD(0.1, momentum=0.9)) == (
        "SGD(learning_rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)"
    )
    with pytest.raises(AttributeError):
        fn.Adam().learning_rate = 1
