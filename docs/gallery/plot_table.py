"""
A table with categories and gaps
................................

Tables mix numbers, categories and gaps. ``fastnn.tabular`` trains on them as they are. Exact
derivatives tell which columns matter.

The example needs ``pip install 'fastnn[tabular,plots]'``. See also :doc:`/tables`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.inspection import PartialDependenceDisplay

from fastnn.tabular import TabularRegressor

# %%
# Rents of flats
# --------------
# The table is simulated, so the truth is known. The rent grows with the area, more in a good
# district. Older flats are cheaper, but those before 1920 are not. The floor has no effect. Some
# areas are unknown.

rng = np.random.default_rng(0)
n = 3000
flats = pd.DataFrame(
    {
        "area": rng.gamma(9, 8, n),
        "district": rng.choice(["centre", "north", "south", "harbour"], n),
        "built": rng.integers(1890, 2021, n).astype(float),
        "heating": rng.choice(["gas", "heat pump", None], n, p=[0.6, 0.2, 0.2]),
        "floor": rng.integers(0, 7, n).astype(float),
    }
)
rate = flats["district"].map({"centre": 16, "north": 10, "south": 11, "harbour": 13})
age_effect = np.where(flats["built"] < 1920, 100, 3 * (flats["built"] - 1970))
rent = 150 + rate * flats["area"] + age_effect + 60 * (flats["heating"] == "heat pump")
rent += 50 * rng.standard_normal(n)
flats.loc[rng.random(n) < 0.05, "area"] = np.nan
train, test = slice(0, 2000), slice(2000, n)

# %%
# Fit
# ---
# The regressor reads each column, fills and marks the gaps, and trains. ``report_`` says how each
# column was read.

model = TabularRegressor("fast", random_state=0).fit(flats[train], rent[train])
print(str(model.report_).split("\n\n")[0])

# %%
# Predictions on new flats
# ------------------------
# ``predict_interval`` returns intervals that should contain nine of ten rents.

prediction = model.predict(flats[test])
low, high = model.predict_interval(flats[test], coverage=0.9).T
r2, coverage = (
    model.score(flats[test], rent[test]),
    np.mean((low <= rent[test]) & (rent[test] <= high)),
)
gap = flats["area"][test].isna().to_numpy()

figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.5), layout="constrained")
for rows, colour, marker, label in (
    (~gap, "C0", "o", "area known"),
    (gap, "C1", "^", "area missing"),
):
    left.plot(prediction[rows], rent[test][rows], marker, color=colour, ms=4, label=label)
order = np.argsort(prediction)
left.fill_between(prediction[order], low[order], high[order], color="0.8", label="interval of 90 %")
left.set(xlabel="predicted rent in €", ylabel="rent in €", title="Rents of new flats")
left.legend()
right.barh(flats.columns, 100 * model.feature_importances_)
right.set(xlabel="importance in %", title="Importance of the columns, from derivatives")
right.invert_yaxis()
plt.show()

# %%
# The effect of single columns
# ----------------------------
# The model is an estimator of scikit-learn, so ``sklearn.inspection`` works with it. Partial
# dependence averages the prediction over all flats while one column is changed.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
PartialDependenceDisplay.from_estimator(model, flats[test].dropna(), ["built", "floor"], ax=axes)
axes[0].set(xlabel="year", ylabel="mean predicted rent in €", title="Year of building")
axes[1].set(xlabel="floor", ylabel="", title="Floor")
figure.suptitle("Partial dependence of the rent on two columns")
plt.show()

# %%
# The network has found that very old flats are not cheap, and that the floor hardly matters. The
# interval has the same width for all flats. So it is too narrow for flats of unknown area, and the
# coverage is right only on average.

importance = dict(zip(flats.columns, model.feature_importances_, strict=True))
print(f"R² on new flats: {r2:.3f}")
print(f"rents inside their intervals: {coverage:.1%}")
