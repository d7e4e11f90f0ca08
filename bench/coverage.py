"""How much do intervals of `predict(X, return_std=True)` cover? UCI sets, nominally 90 %.

An interval is the prediction ± 1.645 standard deviations, of noise and parameters together. If the
assumptions of fastnn/sklearn/uncertainty.py hold, it covers 90 % of new targets. The bench prints
the share of covered test rows over all published splits. Each `MLPRegressor` has 50 tanh units and
is trained by Levenberg-Marquardt. Features and targets are standardised on the training rows.

The penalty α was chosen for each set among 0.01, 0.1, 0.3, 1, 3 and 10. The choice minimised the
error on held-out rows: a fifth of the training rows of the first three splits. The other column has
the default of 0.0001. With it a network fits the noise, so the residuals underestimate the noise.
"""

import time
import warnings

import numpy as np

from bench.common import Measured, Record, threads
from bench.uci import load, rmse, scale_of

ALPHAS = {"yacht": 0.01, "energy": 0.01, "concrete": 0.3, "wine": 10}
QUANTILE = 1.645  # the 95 % quantile of the normal distribution
HIDDEN = 50
ITERATIONS = 30


def run(settings):
    try:
        from fastnn.sklearn import MLPRegressor
    except ImportError as error:
        print(f"left out: {error}")
        return
    for name, alpha in ALPHAS.items():
        X, y, masks = load(name)
        start = time.perf_counter()
        covered, notes = {}, []
        for column, chosen in {"chosen alpha": alpha, "default alpha": 1e-4}.items():
            model = MLPRegressor(
                hidden_layer_sizes=HIDDEN,
                activation="tanh",
                solver="lm",
                alpha=chosen,
                max_iter=2 if settings.quick else ITERATIONS,
                store_covariance=True,
                n_jobs=threads(),
            )
            splits = masks[:1] if settings.quick else masks
            found = [
                intervals(model.set_params(random_state=seed), X, y, test)
                for seed, test in enumerate(splits)
            ]
            inside, widths, errors = zip(*found, strict=True)
            covered[column] = Measured(float(np.concatenate(inside).mean()))
            width = np.concatenate(widths).mean() / y.std()
            notes.append(f"width {width:.2f} sd of y, RMSE {np.mean(errors):.3g}")
        seconds = time.perf_counter() - start
        yield Record(
            f"{name}, {len(y)} rows",
            "share covered of a nominal 0.90",
            covered,
            note=f"{'; '.join(notes)}; {seconds:.0f} s for {len(splits)} splits",
        )


def intervals(model, X, y, test):
    """Return whether each test row is covered, the widths of the intervals, and the RMSE."""
    (x_mean, x_scale), (y_mean, y_scale) = scale_of(X[~test]), scale_of(y[~test])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the fixed number of iterations is intended
        model.fit((X[~test] - x_mean) / x_scale, (y[~test] - y_mean) / y_scale)
    predicted, deviation = model.predict((X[test] - x_mean) / x_scale, return_std=True)
    predicted, reach = predicted * y_scale + y_mean, QUANTILE * deviation * y_scale
    return np.abs(y[test] - predicted) <= reach, 2 * reach, rmse(predicted, y[test])
