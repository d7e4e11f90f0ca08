"""How long does CasADi take with a network, and IPOPT? Model predictive control of a pendulum.

The network 3-16-16-1 computes the acceleration from angle, speed and torque. The plan has 15 steps.
"BFGS" and "Callback" have no exact Hessian: IPOPT approximates it. l4casadi is measured if it is
installed.
"""

import importlib.util
import shutil
import subprocess
import tempfile

import numpy as np

import fastnn as fn
from bench.common import Record, demand_agreement, interleaved, measure

STEP, HORIZON = 0.1, 15
BFGS = {"hessian_approximation": "limited-memory"}


def network():
    """Return a network that has learned the acceleration of the pendulum."""
    X = np.random.default_rng(0).uniform([-4, -8, -5], [4, 8, 5], (1000, 3))
    y = -9.81 * np.sin(X[:, 0]) - 0.1 * X[:, 1] + X[:, 2]
    hidden = [fn.Linear(3, 16), fn.Tanh(), fn.Linear(16, 16), fn.Tanh(), fn.Linear(16, 1)]
    layers = [fn.Standardize.from_data(X), *hidden, fn.Unstandardize.from_data(y)]
    net = fn.Network(layers, "float64", seed=0)
    net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.LevenbergMarquardt(), epochs=15, seed=0)
    return net


def external(net, casadi, folder):
    """Return the network as a compiled external."""
    fn.casadi.export_external(net, f"{folder}/plant.c")
    command = "gcc -shared -fPIC -O3 plant.c -o plant.so -lm"
    subprocess.run(command.split(), cwd=folder, check=True)
    return casadi.external("plant", f"{folder}/plant.so")


def callback(net, casadi):
    """Return the network as a Callback, which calls Python for values and Jacobians."""

    class Derivative(casadi.Callback):
        def __init__(self, name, options):
            super().__init__()
            self.construct(name, options)

        def get_n_in(self):
            return 2

        def get_sparsity_in(self, i):
            return casadi.Sparsity.dense(3, 1) if i == 0 else casadi.Sparsity(1, 1)

        def get_sparsity_out(self, i):
            return casadi.Sparsity.dense(1, 3)

        def eval(self, arguments):
            return [net.jacobian(arguments[0].full().ravel())]

    class Plant(casadi.Callback):
        def __init__(self):
            super().__init__()
            self.construct("plant", {})

        def get_sparsity_in(self, i):
            return casadi.Sparsity.dense(3, 1)

        def eval(self, arguments):
            return [net.predict(arguments[0].full().ravel())]

        def has_jacobian(self):
            return True

        def get_jacobian(self, name, inames, onames, options):
            self.derivative = Derivative(name, options)
            return self.derivative

    return Plant()


def l4casadi_function(net, folder):
    """Return the network as l4casadi converts it from PyTorch, in float32."""
    import l4casadi
    import torch

    class InFloat32(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = fn.to_torch(net).float()

        def forward(self, x):
            return self.inner(x.float())

    torch.set_num_threads(1)
    model = l4casadi.L4CasADi(InFloat32(), device="cpu", name="plant", build_dir=folder)
    return lambda x: model(x.T)


def problem(model, casadi, **ipopt):
    """Return a function that solves the problem."""
    opti = casadi.Opti()
    states, torques = opti.variable(2, HORIZON + 1), opti.variable(1, HORIZON)
    opti.subject_to(states[:, 0] == 0)
    for k in range(HORIZON):
        speed = states[1, k] + STEP * model(casadi.vertcat(states[:, k], torques[k]))
        angle = states[0, k] + STEP * speed
        opti.subject_to(states[:, k + 1] == casadi.vertcat(angle, speed))
    opti.subject_to(opti.bounded(-5, torques, 5))
    opti.minimize(casadi.sumsqr(states[0, :] - 1) + 0.01 * casadi.sumsqr(torques))
    opti.solver("ipopt", {"print_time": False}, {"print_level": 0, "sb": "yes", **ipopt})
    return lambda: np.ravel(opti.solve().value(torques))


def evaluation(function):
    """Return a call of a CasADi function with one argument and one result, without conversions."""
    buffer, evaluate = function.buffer()
    x, y = np.full(function.nnz_in(0), 0.1), np.zeros(function.nnz_out(0))
    buffer.set_arg(0, memoryview(x))
    buffer.set_res(0, memoryview(y))

    def work(times):
        for _ in range(times):
            evaluate()
        return buffer, x, y  # the buffer refers to the arrays

    return work


def calls(width, casadi, folder, quick):
    """Yield the times of a network 4-width-width-3, of its Jacobian and of a Hessian."""
    hidden = [fn.Linear(4, width), fn.Tanh(), fn.Linear(width, width), fn.Tanh()]
    net = fn.Network([*hidden, fn.Linear(width, 3)], "float64", seed=0)
    x = casadi.MX.sym("x", 4)
    made = {}
    for name, model in {
        "MX": fn.casadi.function(net),
        "external": external(net, casadi, folder),
    }.items():
        y = model(x)
        made[name] = {
            "one call": model,
            "Jacobian": casadi.Function("j", [x], [casadi.jacobian(y, x)]),
            "Hessian": casadi.Function("h", [x], [casadi.hessian(casadi.sum1(y), x)[0]]),
        }
    for what in made["MX"]:
        works = {name: evaluation(functions[what]) for name, functions in made.items()}
        times = measure(works, 0.02, 15, quick)
        yield Record(f"4-{width}-{width}-3, {what}", "µs", {k: m * 1e6 for k, m in times.items()})


def run(settings):
    try:
        import casadi
    except ImportError:
        return
    if shutil.which("gcc"):
        for width in (16,) if settings.quick else (16, 64, 256):
            with tempfile.TemporaryDirectory() as folder:
                yield from calls(width, casadi, folder, settings.quick)
    net = network()
    with tempfile.TemporaryDirectory() as folder:
        models = {"MX": fn.casadi.function(net), "SX": fn.casadi.function(net, symbols="SX")}
        if shutil.which("gcc"):
            models["external"] = external(net, casadi, folder)
        solutions = {name: problem(model, casadi) for name, model in models.items()}
        solutions["MX, BFGS"] = problem(models["MX"], casadi, **BFGS)
        models["Callback"] = callback(net, casadi)
        solutions["Callback"] = problem(models["Callback"], casadi, **BFGS)
        if importlib.util.find_spec("l4casadi"):
            models["l4casadi"] = l4casadi_function(net, folder)
            solutions["l4casadi"] = problem(models["l4casadi"], casadi)
            solutions["l4casadi, BFGS"] = problem(models["l4casadi"], casadi, **BFGS)
        expected = solutions["MX"]()
        for name, solve in solutions.items():
            demand_agreement(name, solve(), expected, 1e-3)
        repeats = 3 if settings.quick else 30
        times = interleaved(solutions, repeats)
        yield Record("pendulum, one solution", "ms", {k: m * 1e3 for k, m in times.items()})
