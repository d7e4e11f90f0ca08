"""Trackers of experiments: the metrics of each epoch go to TensorBoard or to MLflow."""

import os
import time
from typing import Any

from fastnn.callbacks.callback import Callback, library

FLUSH_SECONDS = 1


class TensorBoard(Callback):
    """Write the metrics of each epoch to a folder that TensorBoard shows.

    tensorboardX writes the files: `pip install tensorboardX`. To see the curves, also while the
    network trains, install TensorBoard and run `tensorboard --logdir runs`. The curves have the
    names of the History, and epochs are counted from 0. The file is about a second behind the fit,
    and complete when `fit` returns or raises.

    A resumed fit continues the curves: TensorBoard hides the epochs after the checkpoint.

    Parameters
    ----------
    log_dir : str or PathLike
        The folder of this fit, such as "runs/1". It is created with the first epoch. Each fit needs
        its own, also in `fit_many`.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.
    TypeError
        If `log_dir` is not a path.
    """

    def __init__(self, log_dir: "str | os.PathLike[str]") -> None:
        library("tensorboardX", "TensorBoard")
        text = os.fspath(log_dir) if isinstance(log_dir, str | os.PathLike) else None
        if not isinstance(text, str):
            raise TypeError(f"log_dir is {log_dir!r}; the path of a folder is wanted")
        self.log_dir = text
        self._writer: Any = None

    def epoch_end(self, net: Any, epoch: int, metrics: dict[str, float]) -> None:
        """Write the metrics of an epoch."""
        if self._writer is None:
            tensorboardx = library("tensorboardX", "TensorBoard")
            self._writer = tensorboardx.SummaryWriter(
                self.log_dir,
                purge_step=epoch or None,
                flush_secs=FLUSH_SECONDS,
                # the names of its files differ only from second to second
                filename_suffix=f".{time.time_ns()}",
            )
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def __getstate__(self) -> dict[str, Any]:  # a copy opens a file of its own
        return {**vars(self), "_writer": None}


class MLflow(Callback):
    """Log the metrics of each epoch to a run of MLflow.

    If a run is active, the metrics go there. If not, the fit starts a run, and ends it with the
    status FINISHED, or FAILED after an exception. Such a run has the parameters "layers",
    "n_params" and "dtype", and a resumed fit continues it. Log further parameters in your own run::

        with mlflow.start_run():
            mlflow.log_params(settings)
            net.fit(X, y, callbacks=[fn.callbacks.MLflow()], **settings)

    The metrics have the names of the History, and the steps are the epochs, counted from 0. Active
    runs belong to a thread: in `fit_many`, each network has a run of its own.

    Parameters
    ----------
    run_name : str, optional
        The name of the run that the fit starts; by default MLflow chooses one.

    Raises
    ------
    ImportError
        If MLflow is not installed. `pip install mlflow-skinny` suffices.
    TypeError
        If `run_name` is not a string.
    """

    def __init__(self, run_name: str | None = None) -> None:
        library("mlflow", "MLflow", "mlflow-skinny")
        if not isinstance(run_name, str | None):
            raise TypeError(f"run_name is {run_name!r}; a string is wanted")
        self.run_name = run_name
        self._run_id: str | None = None  # of the run that the last fit has started
        self._is_open = self._is_complete = False

    def fit_begin(self, net: Any) -> None:
        """Forget the run of an earlier fit."""
        self._run_id = None

    def epoch_begin(self, net: Any, epoch: int) -> None:
        """Start a run before the first epoch, or continue the run of a resumed fit."""
        mlflow = library("mlflow", "MLflow", "mlflow-skinny")
        if self._is_open or mlflow.active_run() is not None:
            return
        continued = self._run_id is not None
        run = mlflow.start_run(self._run_id, run_name=None if continued else self.run_name)
        self._run_id, self._is_open, self._is_complete = run.info.run_id, True, False
        if not continued:
            layers = ", ".join(map(repr, net.layers))
            mlflow.log_params({"layers": layers, "n_params": net.n_params, "dtype": str(net.dtype)})

    def epoch_end(self, net: Any, epoch: int, metrics: dict[str, float]) -> None:
        """Log the metrics of an epoch."""
        library("mlflow", "MLflow", "mlflow-skinny").log_metrics(metrics, step=epoch)

    def fit_end(self, net: Any) -> None:
        """Remember that no exception has ended training."""
        self._is_complete = True

    def close(self) -> None:
        """End the run that the fit has started."""
        if self._is_open:
            self._is_open = False
            status = "FINISHED" if self._is_complete else "FAILED"
            library("mlflow", "MLflow", "mlflow-skinny").end_run(status)

    def state(self) -> dict[str, Any]:
        """Return the id of the run that the fit has started, or None."""
        return {"run_id": self._run_id}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self._run_id = state["run_id"]
