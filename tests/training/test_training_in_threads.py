"""Training in several threads and in forked processes."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from custom_loss import Python
from whole_segment import whole

import fastnn as fn
from fastnn import _core


def test_other_threads_run_during_one_call_of_the_engine(isa, rng):
    net = fn.Network([fn.Linear(64, 64), fn.ReLU(), fn.Linear(64, 1)], seed=0)
    X, y = rng.standard_normal((2_000, 64)), rng.standard_normal((2_000, 1))
    model, watched, inside = net._model, threading.Event(), threading.Event()
    trainer = _core.engine.Trainer(
        model.plan,
        model.params,
        model.grads,
        model.constants,
        X.astype("f"),
        y.astype("f"),
        None,
        None,
        fn.MeanSquaredError().formula(),
        fn.SGD(1e-3).update_rule(),
        np.empty((0, 0), "f"),
        whole(net.n_params),
        0,
        32,
        200,
        None,
        1,
    )
    trainer.set_rates(1e-3)
    before = trainer.epoch

    def train():
        watched.wait()  # on a busy machine, this thread could end before `start` returns
        inside.set()
        trainer.run(200, 1000.0, 1)
        inside.clear()

    thread = threading.Thread(target=train)
    thread.start()
    watched.set()
    seen = set()
    while thread.is_alive():
        if inside.is_set():
            seen.add(trainer.epoch)
    thread.join()
    # if training held Python's lock, this thread could see no epoch but the first and the last
    assert seen - {before, 200}


def test_a_second_fit_of_a_network_in_training_raises(rng):
    net = fn.Network([fn.Linear(64, 512), fn.ReLU(), fn.Linear(512, 1)], seed=0)
    X, y = rng.standard_normal((5_000, 64)), rng.standard_normal(5_000)
    settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.SGD(1e-3), "n_threads": 1}
    thread = threading.Thread(target=net.fit, args=(X, y), kwargs={"epochs": 20, **settings})
    thread.start()
    while not net._training and thread.is_alive():
        pass
    with pytest.raises(RuntimeError, match="is being trained"):
        net.fit(X, y, epochs=1, **settings)
    thread.join()
    net.fit(X[:8], y[:8], epochs=1, **settings)


def test_networks_train_and_predict_in_threads_at_once(isa, rng):
    X, y = rng.standard_normal((500, 20)), rng.integers(3, size=500)

    def train(seed):
        net = fn.Network([fn.Linear(20, 30), fn.ReLU(), fn.Linear(30, 3)], seed=seed)
        net.fit(X, y, epochs=20, seed=seed, n_threads=1)
        return net.predict(X, n_threads=1).tobytes()

    alone = [train(seed) for seed in range(4)]
    together = [None] * 4
    threads = [
        threading.Thread(target=lambda i=i: together.__setitem__(i, train(i))) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX's, if another test imported it
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python's, as there are threads
def test_a_child_forked_in_the_middle_of_a_fit_goes_on(rng):
    """A forked process has no OpenMP threads and must not wait for them."""

    class Forking(Python):
        forked = False

        def value_and_grad(self, y_pred, y):
            if not self.forked:
                self.forked = True
                self.child = os.fork()
            return super().value_and_grad(y_pred, y)

    net = fn.Network([fn.Linear(300, 640), fn.ReLU(), fn.Linear(640, 2)], seed=0)
    X, y = rng.standard_normal((1024, 300)), rng.standard_normal((1024, 2))
    net.predict(X, n_threads=2)
    loss = Forking(fn.MeanSquaredError())
    net.fit(X, y, loss=loss, optimizer=fn.SGD(1e-3), epochs=1, batch_size=512, n_threads=2)
    if loss.child == 0:
        os._exit(0)
    deadline = time.monotonic() + 30
    while (status := os.waitpid(loss.child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if status == (0, 0):
        os.kill(loss.child, signal.SIGKILL)
        os.waitpid(loss.child, 0)
    assert status == (loss.child, 0)
