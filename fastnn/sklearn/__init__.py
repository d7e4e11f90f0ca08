"""scikit-learn's estimators on fastnn: `from fastnn.sklearn import MLPClassifier, MLPRegressor`.

They take the arguments of the classes with the same names in `sklearn.neural_network`, draw the
same random numbers in the same order, and take the same steps. Their docstrings say what they add.
`from_sklearn` and `to_sklearn` convert fitted estimators of one library to the other. This module
uses the names of scikit-learn; the other modules use fastnn's. It needs scikit-learn 1.7 or later
(`pip install 'fastnn[sklearn]'`).

>>> from fastnn.sklearn import MLPClassifier
>>> model = MLPClassifier((16,), random_state=0, max_iter=500, learning_rate_init=0.01)
>>> model.fit([[0, 0], [0, 1], [1, 0], [1, 1]], ["same", "other", "other", "same"]).n_outputs_
1
"""

from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.exchange import from_sklearn, to_sklearn
from fastnn.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn", "to_sklearn"]
