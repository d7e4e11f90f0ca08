"""IPOPT swings a pendulum with a network in place of its physics."""

import errno
import os
import shutil
import subprocess
from unittest.mock import Mock

import numpy as np
import pytest

import fastnn as fn

casadi = pytest.importorskip("casadi", reason="the solver is that of casadi")

STEP, HORIZON, LOOPS = 0.1, 15, 4


def acceleration(state, torque):
    """The pendulum's own; the angle is 0 below."""
    return -9.81 * np.sin(state[0]) - 0.1 * state[1] + torque


@pytest.fixture(scope="module")
def net():
    """A network of angle, speed and torque that has learned the acceleration."""
    X = np.random.default_rng(0).uniform([-4, -8, -5], [4, 8, 5], (1000, 3))
    y = acceleration(X.T, X[:, 2])
    hidden = [fn.Linear(3, 16), fn.Tanh(), fn.Linear(16, 16), fn.Tanh(), fn.Linear(16, 1)]
    layers = [fn.Standardize.from_data(X), *hidden, fn.Unstandardize.from_data(y)]
    net = fn.Network(layers, "float64", seed=0)
    solver = fn.LevenbergMarquardt()
    net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=solver, epochs=15, seed=0)
    assert np.abs(net.predict(X)[:, 0] - y).max() < 1
    return net


def by_hand(net):
    """Return the network as a user writes it with CasADi."""
    standardize, first, _, second, _, third, unstandardize = net.layers
    x = casadi.MX.sym("x", 3)
    h = (x - casadi.DM(standardize.mean)) / casadi.DM(standardize.scale)
    h = casadi.tanh(casadi.DM(first.weight) @ h + casadi.DM(first.bias))
    h = casadi.tanh(casadi.DM(second.weight) @ h + casadi.DM(second.bias))
    h = casadi.DM(third.weight) @ h + casadi.DM(third.bias)
    return casadi.Function("hand", [x], [h * unstandardize.scale + unstandardize.mean])


def torques_and_states(model, **ipopt):
    """Return what model predictive control does: it plans, takes one step and plans again."""
    opti = casadi.Opti()
    states, torques = opti.variable(2, HORIZON + 1), opti.variable(1, HORIZON)
    start = opti.parameter(2)
    opti.subject_to(states[:, 0] == start)
    for k in range(HORIZON):
        speed = states[1, k] + STEP * model(casadi.vertcat(states[:, k], torques[k]))
        angle = states[0, k] + STEP * speed
        opti.subject_to(states[:, k + 1] == casadi.vertcat(angle, speed))
    opti.subject_to(opti.bounded(-5, torques, 5))
    opti.minimize(casadi.sumsqr(states[0, :] - 1) + 0.01 * casadi.sumsqr(torques))
    silent = {"print_level": 0, "sb": "yes", "tol": 1e-10}
    opti.solver("ipopt", {"print_time": False}, {**silent, **ipopt})
    state, taken = np.zeros(2), []
    for _ in range(LOOPS):
        opti.set_value(start, state)
        solution = opti.solve()
        taken.append([*np.ravel(solution.value(torques)), *state])
        opti.set_initial(solution.value_variables())
        speed = state[1] + STEP * acceleration(state, taken[-1][0])
        state = np.array([state[0] + STEP * speed, speed])
    return np.array(taken)


@pytest.mark.parametrize("symbols", ["MX", "SX"])
def test_the_solution_is_that_by_hand(net, symbols):
    found = torques_and_states(fn.casadi.function(net, symbols=symbols))
    np.testing.assert_allclose(found, torques_and_states(by_hand(net)), rtol=0, atol=1e-6)
    assert found[-1, -2] > 0.2  # the angle on its way to 1


def test_the_external_has_the_same_solution(net, tmp_path):
    """IPOPT gets its Jacobian and its Hessian."""
    found = torques_and_states(compiled(net, tmp_path))
    np.testing.assert_allclose(found, torques_and_states(by_hand(net)), rtol=0, atol=1e-6)


def compiled(net, folder, name="plant"):
    """Return the external of a network."""
    if shutil.which("gcc") is None:
        pytest.skip("the compiler gcc is not installed")
    fn.casadi.export_external(net, folder / f"{name}.c")
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror", "-shared", "-fPIC"]
    command = ["gcc", *flags, f"{name}.c", "-o", f"{name}.so", "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return casadi.external(name, str(folder / f"{name}.so"))


def test_an_external_is_differentiated_by_its_own_functions(net, tmp_path):
    """CasADi neither approximates derivatives nor evaluates the value for them."""
    external = compiled(net, tmp_path)
    adjoint = external.reverse(1)
    for own in (external.jacobian(), adjoint, adjoint.jacobian()):
        assert str(own).endswith("External")
        assert own.nnz_in(1) == 0


def test_a_failed_write_keeps_the_earlier_files(net, tmp_path, monkeypatch):
    fn.casadi.export_external(net, tmp_path / "net.c")
    earlier = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(earlier) == {"net.c", "net.h"}
    other = fn.Network([fn.Linear(2, 1)], seed=0)
    full = Mock(side_effect=OSError(errno.ENOSPC, "full"))
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="full"):
        fn.casadi.export_external(other, tmp_path / "net.c")
    assert earlier == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_externals(outputs, dtype, tmp_path, rng):
    """Values and Jacobians are those of the network, in the order of CasADi."""
    layers = [fn.Linear(3, 8), fn.SiLU(), fn.LayerNorm(8), fn.Linear(8, outputs)]
    net = fn.Network(layers, dtype, seed=0)
    external = compiled(net, tmp_path, f"INNER_OUT{outputs}{dtype}")
    assert (external.name_in(0), external.name_out(0)) == ("x", "y")
    x = casadi.MX.sym("x", 3)
    made = casadi.Function("f", [x], [external(x), casadi.jacobian(external(x), x)])
    in_double = fn.casadi.function(net)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for sample in rng.normal(size=(5, 3)):
        y, jacobian = made(sample)
        np.testing.assert_allclose(y[:, 0], net.predict(sample)[:, np.newaxis], atol=tolerance)
        np.testing.assert_allclose(y, in_double(sample), rtol=0, atol=1e-14)
        np.testing.assert_allclose(jacobian, net.jacobian(sample), atol=tolerance)
    c = casadi.MX.sym("c", outputs)
    weights = rng.normal(size=outputs)

    def second(model):
        gradient = casadi.gradient(casadi.dot(c, model(x)), x)
        return casadi.Function(
            "h", [x, c], [gradient, casadi.jacobian(gradient, x), casadi.jacobian(gradient, c)]
        )

    for sample in rng.normal(size=(5, 3)):
        pairs = zip(
            second(external)(sample, weights), second(in_double)(sample, weights), strict=True
        )
        for found, expected in pairs:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    tangent = casadi.Function("t", [x], [casadi.jtimes(external(x), x, casadi.DM([1, 2, 3]))])
    expected = net.jvp([0.1, 0.2, 0.3], [1, 2, 3])
    np.testing.assert_allclose(tangent([0.1, 0.2, 0.3])[:, 0], expected[:, None], atol=tolerance)
