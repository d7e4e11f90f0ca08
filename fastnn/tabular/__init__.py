"""Tables with categories, dates and gaps: `from fastnn.tabular import TableEncoder`.

It needs scikit-learn 1.6 or later (`pip install 'fastnn[tabular]'`).

>>> from fastnn.tabular import TableEncoder
>>> encoder = TableEncoder()
>>> encoder.fit_transform([[1.0, "red"], [2.0, "blue"], [3.0, "red"]]).shape
(3, 2)
>>> encoder.get_feature_names_out()
array(['x0', 'x1_blue'], dtype=object)
"""

from fastnn.tabular.columns import Column
from fastnn.tabular.encoder import TableEncoder

__all__ = ["Column", "TableEncoder"]
