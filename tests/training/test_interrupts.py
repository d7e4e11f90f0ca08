"""After Ctrl-C at any moment no training continues, no thread is left, and networks are usable."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn

# The modules that start and end training; the other modules only compute.
PACKAGE = Path(fn.__file__).parent
TRACED = {
    str(PACKAGE / f"{name}.py")
    for name in (
        "_core/background",
        "files/atomic_file",
        "network/fitting",
        "optimizers/first_order",
        "optimizers/full_batch",
        "optimizers/lbfgs",
        "optimizers/state",
        "parallel",
        "training/checkpoints",
        "training/loop",
        "training/settings",
        "training/streaming",
        "training/trainers",
    )
}
assert all(os.path.exists(path) for path in TRACED)


def network(seed=0):
    return fn.Network([fn.Linear(5, 8), fn.Tanh(), fn.Linear(8, 3)], "float64", seed=seed)


X = np.random.default_rng(0).standard_normal((60, 5))
Y = np.arange(60) % 3


class Batches:
    """An iterable that holds a resource open while it is used."""

    n_open = 0

    def __iter__(self):
        self.n_open += 1
        try:
            for start in range(0, 60, 20):
                yield X[start : start + 20], Y[start : start + 20]
        finally:
            self.n_open -= 1


def fit(nets, folder, epochs):
    nets[0].fit(X, Y, epochs=epochs, validation_data=0.2, progress=False)


def fit_batches(nets, folder, epochs):
    batches = Batches()
    try:
        nets[0].fit(batches, epochs=epochs)
    finally:
        wait_for(lambda: batches.n_open == 0)


def fit_mapped(nets, folder, epochs):
    path = folder / "x.npy"
    np.save(path, X.astype("float32"))
    nets[0].fit(np.load(path, mmap_mode="r"), Y, epochs=epochs)


def fit_with_a_checkpoint(nets, folder, epochs):
    nets[0].fit(X, Y, epochs=epochs, checkpoint=folder / "c", resume=True, seed=0)


def fit_by_lbfgs(nets, folder, epochs):
    nets[0].fit(X, Y, epochs=epochs, optimizer=fn.LBFGS(tolerance_change=0, tolerance_grad=0))


def fit_many(nets, folder, epochs):
    fn.fit_many(nets, X, Y, epochs=epochs, n_threads=2)


def fit_many_on_batches(nets, folder, epochs):
    fn.fit_many(nets, Batches(), None, epochs=epochs, n_threads=2)


FITS = [
    fit,
    fit_batches,
    fit_mapped,
    fit_with_a_checkpoint,
    fit_by_lbfgs,
    fit_many,
    fit_many_on_batches,
]


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert condition()


def own_threads():
    return [t for t in threading.enumerate() if "fastnn" in repr(getattr(t, "_target", None))]


def assert_usable(nets, place=None):
    wait_for(lambda: not own_threads())
    before = [net.params.copy() for net in nets]
    for net, params in zip(nets, before, strict=True):
        assert np.isfinite(params).all(), place
        assert np.array_equal(net.params, params), place
        net.forward(X, training=True)
        net.fit(X, Y, epochs=1, optimizer=fn.SGD(1e-3))


@pytest.mark.skipif(sys.gettrace() is not None, reason="another tracer is at work")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("train", FITS, ids=lambda train: train.__name__)
def test_ctrl_c_at_every_line(tmp_path, train):
    """Raise KeyboardInterrupt before each line that a fit executes, one line per fit."""
    nets = [network(i) for i in range(3)]
    main, met = threading.main_thread(), set()

    def trace(frame, event, arg):
        if frame.f_code.co_filename not in TRACED:
            return None
        place = frame.f_code.co_filename, frame.f_lineno
        if event == "line" and place not in met and threading.current_thread() is main:
            met.add(place)
            sys.settrace(None)
            raise KeyboardInterrupt(place)
        return trace

    while True:
        try:
            sys.settrace(trace)
            train(nets, tmp_path, 2)
            break
        except KeyboardInterrupt as error:
            place = error.args
        finally:
            sys.settrace(None)
        assert_usable(nets, place)
    assert len(met) > 30


STORM = f"""
import random, signal, sys, tempfile, threading
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import scipy.optimize  # LBFGS imports it, and Ctrl-C in an import is another matter
import test_interrupts as tests
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
rng = random.Random()
nets = [tests.network(i) for i in range(3)]
folder = Path(tempfile.mkdtemp())
for i in range(int(sys.argv[1])):
    (folder / "c").unlink(missing_ok=True)
    train = tests.FITS[i % len(tests.FITS)]
    timer = threading.Timer(rng.random() ** 3 * 0.03, signal.raise_signal, [signal.SIGINT])
    try:
        timer.start()
        train(nets, folder, 10_000_000)
        timer.join()
    except KeyboardInterrupt:
        pass
    timer.join()
    try:
        tests.assert_usable(nets)
    except BaseException as error:
        sys.exit(f"{{train.__name__}}: {{error!r}}")
"""


def test_ctrl_c_at_random_moments():
    """FASTNN_INTERRUPTS sets the number of interrupts. Many come in the first milliseconds."""
    times = int(os.environ.get("FASTNN_INTERRUPTS", "50"))
    ran = subprocess.run(
        [sys.executable, "-P", "-c", STORM, str(times)],
        capture_output=True,
        text=True,
        timeout=60 + times,
    )
    assert ran.returncode == 0, ran.stderr


BLOCKED = f"""
import signal, sys, threading
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
import fastnn as fn
import test_interrupts as tests
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
forever, reached = threading.Event(), threading.Event()

class Blocked:
    def __iter__(self):
        yield tests.X, tests.Y
        reached.set()
        forever.wait()

nets = [tests.network(i) for i in range(3)]
"""


def run(code):
    ran = subprocess.run(
        [sys.executable, "-P", "-c", BLOCKED + code], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "train", ["nets[0].fit(Blocked(), epochs=1)", "fn.fit_many(nets, Blocked(), None, epochs=1)"]
)
def test_ctrl_c_while_the_iterable_blocks(train):
    run(f"""
def interrupt():
    reached.wait()
    signal.raise_signal(signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    {train}
except KeyboardInterrupt:
    nets[0].fit(tests.X, tests.Y, epochs=1)
else:
    sys.exit("no KeyboardInterrupt")
""")


@pytest.mark.parametrize("data", ["(tests.X, tests.Y)", "(Blocked(), None)"])
def test_fits_in_a_daemon_thread_do_not_hold_up_the_exit(data):
    run(f"""
train = lambda: fn.fit_many(nets, *{data}, epochs=10**9 if {"tests" in data} else 1, n_threads=2)
threading.Thread(target=train, daemon=True).start()
while not any(net._training for net in nets):
    pass
""")
