"""Networks for tables with categories, dates and gaps.

`TabularClassifier` and `TabularRegressor` train on data frames of pandas and polars and on arrays.
`TableEncoder` turns such a table into numbers; it can be used alone. `load` reads what an estimator
has saved. This module needs scikit-learn 1.7 or later (`pip install 'fastnn[tabular]'`).

>>> from fastnn.tabular import TableEncoder
>>> encoder = TableEncoder()
>>> encoder.fit_transform([[1.0, "red"], [2.0, "blue"], [3.0, "red"]]).shape
(3, 2)
>>> encoder.get_feature_names_out()
array(['x0', 'x1_blue'], dtype=object)
"""

from fastnn.tabular.classifier import TabularClassifier
from fastnn.tabular.columns import Column
from fastnn.tabular.encoder import TableEncoder
from fastnn.tabular.loading import load
from fastnn.tabular.regressor import TabularRegressor

__all__ = ["Column", "TableEncoder", "TabularClassifier", "TabularRegressor", "load"]
