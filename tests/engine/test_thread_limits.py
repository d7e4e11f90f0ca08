"""If the system cannot start another thread, everything is computed on one, with a warning."""

import os
import subprocess
import sys

import pytest

from fastnn import _core

LIMITED = """
import os, resource, warnings
import numpy as np
import fastnn as fn, fastnn.parallel, fastnn.schedules  # the later user cannot read them
net = fn.Network([fn.Linear(300, 300), fn.Tanh(), fn.Linear(300, 10)], seed=0)
X = np.random.default_rng(0).standard_normal((500, 300)).astype("f")
y = np.arange(500) % 10
one = net.predict(X, n_threads=1)
if os.getuid() == 0:  # whom the limit does not bind
    os.setgroups([])
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
settings = {"epochs": 1, "batch_size": 500, "seed": 0}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    DOOR
    DOOR
print(sorted({str(w.category.__name__) for w in caught}), "no further thread" in str(caught[0]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
@pytest.mark.parametrize(
    "door",
    [
        "assert np.array_equal(net.predict(X, n_threads=2), one)",
        "net.fit(X, y, n_threads=2, **settings)",
        "fn.set_num_threads(2); net.jacobian(X[:200])",
        "fn.set_num_threads(2); net.loss_and_grad(X, y, fn.SoftmaxCrossEntropy())",
        "net.fit([(X, y)], epochs=1, n_threads=1)",
        "fn.fit_many([net], X, y, n_threads=1, **settings)",
    ],
)
def test_a_process_that_may_start_no_thread(door):
    if not _core.engine.openmp and "threads=2" in door.replace("(2)", "=2"):
        pytest.skip("built without OpenMP")
    code = LIMITED.replace("DOOR", door)
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment
    )
    if "Operation not permitted" in ran.stderr:
        pytest.skip("root may not become another user here")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "['RuntimeWarning'] True\n"
