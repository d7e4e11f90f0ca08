"""`load`: an estimator from a model file."""

import os
from typing import Any

from fastnn._core.arrays import Array
from fastnn.files import model_file
from fastnn.files.model_file import ModelFileError
from fastnn.network import Network
from fastnn.tabular.classifier import TabularClassifier
from fastnn.tabular.encoder import TableEncoder
from fastnn.tabular.model_files import KEY, restored
from fastnn.tabular.regressor import TabularRegressor
from fastnn.tabular.report import Report

CLASSES = {cls.__name__: cls for cls in (TabularClassifier, TabularRegressor)}


def load(path: "str | os.PathLike[str]") -> "TabularClassifier | TabularRegressor":
    """Return the estimator in a file that its method `save` wrote.

    Parameters
    ----------
    path : str or PathLike

    Returns
    -------
    TabularClassifier or TabularRegressor

    Raises
    ------
    ModelFileError
        If the file is damaged, has another format, or holds no estimator of `fastnn.tabular`.
    OSError
        If the file cannot be read.
    """
    description, arrays = model_file.read(path)
    place = os.fspath(path)
    if KEY not in description:
        raise ModelFileError(f"{place}: no model of fastnn.tabular; fastnn.load reads networks")
    try:
        return _estimator(description[KEY], arrays)
    except ModelFileError as error:
        raise ModelFileError(f"{place}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise ModelFileError(f"{place}: not a valid model of fastnn.tabular: {error!r}") from error


def _estimator(found: dict[str, Any], arrays: dict[str, Array]) -> Any:
    estimator: Any = CLASSES[found["class"]]()
    vars(estimator).update(restored(found["state"], arrays))
    estimator.encoder_ = TableEncoder.from_state(restored(found["encoder"], arrays))
    estimator.networks_ = [
        Network._from_description(described, _own(arrays, f"network.{i}."))
        for i, described in enumerate(found["networks"])
    ]
    if not estimator.networks_:
        raise ValueError("there is no network")
    report = restored(found["report"], arrays)
    estimator.report_ = Report(columns=estimator.encoder_.columns_, **report)
    return estimator


def _own(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name[len(prefix) :]: a for name, a in arrays.items() if name.startswith(prefix)}
