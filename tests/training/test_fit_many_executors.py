"""`fit_many` gives the same bits when the networks train in the workers of an executor."""

import multiprocessing
import sys
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import fastnn as fn
from fastnn import _core

CONTEXT = multiprocessing.get_context("spawn")  # a fork of this process may have threads


def network(seed):
    return fn.Network([fn.Linear(5, 8), fn.ReLU(), fn.Linear(8, 3)], "float64", seed=seed)


@pytest.fixture
def data(rng):
    return rng.standard_normal((200, 5)), rng.integers(3, size=200)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=CONTEXT) as pool:
        yield pool


class Counting(ThreadPoolExecutor):
    """Keeps what was submitted."""

    def submit(self, *arguments):
        self.calls = [*getattr(self, "calls", []), arguments]
        return super().submit(*arguments)


def demand_bits_of_fit(executor, data, n_threads=None):
    X, y = data
    rng = np.random.default_rng(0)
    rows = [rng.integers(200, size=150) for _ in range(5)]
    weights = rng.uniform(0.5, 1, 200)
    settings = {"epochs": 4, "batch_size": 16, "validation_data": 0.2}
    alone, together = ([network(i) for i in range(5)] for _ in range(2))
    for _ in range(2):  # the second fit continues the optimizer's state
        expected = [
            net.fit(
                X[part], y[part], sample_weight=weights[part], optimizer=fn.Adam(0.01), seed=i,
                **settings,
            )
            for i, (net, part) in enumerate(zip(alone, rows, strict=True))
        ]  # fmt: skip
        params = [net.layers[0].weight for net in together]
        histories = fn.fit_many(
            together, X, y, rows=rows, sample_weight=weights, optimizer=fn.Adam(0.01),
            seed=range(5), executor=executor, n_threads=n_threads, **settings,
        )  # fmt: skip
    for one, other, history, wanted, view in zip(
        alone, together, histories, expected, params, strict=True
    ):
        assert one.params.tobytes() == other.params.tobytes()
        assert one.grads.tobytes() == other.grads.tobytes()
        assert one.optimizer_state.step == other.optimizer_state.step
        assert history["loss"] == wanted["loss"]
        assert history["val_loss"] == wanted["val_loss"]
        assert np.shares_memory(view, other.params)
        assert np.array_equal(one.predict_proba(X), other.predict_proba(X))


def test_threads_and_processes(data, processes):
    with ThreadPoolExecutor(2) as threads:
        demand_bits_of_fit(threads, data)
    demand_bits_of_fit(processes, data)


@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
def test_joblib(data, backend):
    joblib = pytest.importorskip("joblib")
    demand_bits_of_fit(joblib.Parallel(2, backend=backend, max_nbytes=1000), data)


def demand_result_of_a_search(joblib, backend, data):
    """Compare a search of scikit-learn on a backend of joblib with one in this process."""
    selection = pytest.importorskip("sklearn.model_selection")
    from fastnn.sklearn import MLPClassifier

    grid = {"hidden_layer_sizes": [(4,), (8,)], "alpha": [0.0001, 1]}
    searches = [
        selection.GridSearchCV(MLPClassifier(max_iter=15, random_state=0), grid, cv=2, n_jobs=n)
        for n in (1, 2)
    ]
    searches[0].fit(*data)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        threads = joblib.Parallel(2)(joblib.delayed(_core.thread_count)(None) for _ in range(2))
        searches[1].fit(*data)
    assert threads == [1, 1]
    scores = [search.cv_results_["mean_test_score"].tolist() for search in searches]
    assert scores[0] == scores[1]


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:Warning")
def test_dask(data):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        demand_bits_of_fit(client.get_executor(), data, n_threads=2)
        with pytest.raises(ValueError, match="does not tell how many workers it has"):
            fn.fit_many([network(0)], *data, executor=client.get_executor())
        joblib = pytest.importorskip("joblib")
        with joblib.parallel_config(backend="dask"):
            demand_bits_of_fit(joblib.Parallel(2), data)
        demand_result_of_a_search(joblib, "dask", data)


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:Warning")
def test_ray(data):
    ray = pytest.importorskip("ray")
    joblib = pytest.importorskip("joblib")
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, configure_logging=False)
    try:
        register_ray()
        with joblib.parallel_config(backend="ray"):
            demand_bits_of_fit(joblib.Parallel(2), data)
        demand_result_of_a_search(joblib, "ray", data)
    finally:
        ray.shutdown()


def test_the_data_are_sent_once_to_each_worker(data):
    with Counting(2) as executor:
        fn.fit_many([network(i) for i in range(7)], *data, epochs=1, executor=executor)
        assert [len(jobs) for _, jobs, *_ in executor.calls] == [4, 3]


def test_the_column_names_are_kept(data, processes):
    pd = pytest.importorskip("pandas")
    nets = [network(i) for i in range(2)]
    frame = pd.DataFrame(data[0], columns=list("abcde"))
    fn.fit_many(nets, frame, data[1], epochs=1, executor=processes)
    assert [net.feature_names for net in nets] == [list("abcde")] * 2


def test_errors(data, processes):
    X, y = data
    nets = [network(i) for i in range(4)]
    before = nets[3].params.copy()
    optimizers = [fn.SGD(0.1), fn.SGD(1e300), fn.SGD(0.1), fn.SGD(0.1)]
    with pytest.raises(fn.DivergenceError) as caught:
        fn.fit_many(nets, X, y, optimizer=optimizers, epochs=2, executor=processes, n_threads=2)
    assert caught.value.__notes__ == ["raised while networks[1] was trained"]
    assert np.isfinite(nets[1].params).all()
    assert nets[0].optimizer_state.step
    assert nets[2].optimizer_state.step
    assert np.array_equal(nets[3].params, before)  # came after networks[1] in its worker
    with pytest.raises(TypeError, match="executor is 3; an object with the method submit"):
        fn.fit_many(nets, X, y, executor=3)
    with pytest.raises(TypeError, match="comm is an argument of fit"):
        fn.fit_many(nets, X, y, comm=None)


def test_an_interrupt_cancels_what_has_not_started(data):
    class Interrupting:
        def __init__(self):
            self.futures = []

        def submit(self, *arguments):
            future = Future()
            if not self.futures:
                future.set_exception(KeyboardInterrupt())
            self.futures.append(future)
            return future

    executor = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        fn.fit_many([network(i) for i in range(2)], *data, executor=executor, n_threads=2)
    assert executor.futures[1].cancelled()


def test_joblib_is_not_imported_for_other_executors(data):
    if "joblib" not in sys.modules:
        with ThreadPoolExecutor(1) as threads:
            fn.fit_many([network(0)], *data, epochs=1, executor=threads)
        assert "joblib" not in sys.modules
