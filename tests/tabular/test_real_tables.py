"""The encoding of real tables, compared with pandas and scikit-learn."""

import numpy as np
import pytest

from fastnn.tabular import TableEncoder

pd = pytest.importorskip("pandas")
TABLES = ["abalone", "adult", "ames", "attrition", "bank", "california", "letter", "phoneme"]


@pytest.fixture(params=TABLES)
def table(request, shared_data):
    path = shared_data / "tabular" / f"{request.param}.csv.gz"
    if not path.is_file():
        pytest.skip(f"the table {path} is not here")
    return pd.read_csv(path).drop(columns="target")


def reference(train, test, max_one_hot=9):
    """The numeric and one-hot outputs and the codes, from pandas and NumPy."""
    numbers, one_hot, codes = [], [], []

    def scaled(a, b):
        a, b = a.astype(float), b.astype(float)
        first, median, third = np.nanquantile(a, [0.25, 0.5, 0.75])
        spread = third - first or (np.nanmax(a) - np.nanmin(a)) / 2
        z = np.nan_to_num((b - median) / spread if spread else b * 0)
        return z / np.sqrt(1 + (z / 3) ** 2)

    for name in train:
        a, b = train[name], test[name]
        if a.nunique() < 2:
            continue
        if pd.api.types.is_numeric_dtype(a):
            numbers.append(scaled(a, b))
            if a.isna().any():
                one_hot.append(scaled(a.isna(), b.isna()))
            continue
        known = sorted(a.dropna().unique())
        if len(known) + 1 > max_one_hot:
            codes.append(b.map({text: i for i, text in enumerate(known, 1)}).fillna(0))
        elif len(known) == 2:
            plain = dict(zip(known, (1.0, -1.0), strict=True))
            one_hot.append(scaled(a.map(plain).fillna(0), b.map(plain).fillna(0)))
        else:
            one_hot += [scaled(a == text, b == text) for text in known]
    return np.column_stack([*numbers, *one_hot, *codes]), len(numbers), len(one_hot)


def test_the_encoding(table):
    order = np.random.default_rng(0).permutation(len(table))
    train, test = table.iloc[order[: len(table) * 4 // 5]], table.iloc[order[len(table) * 4 // 5 :]]
    wanted, n_numeric, n_one_hot = reference(train, test)
    encoder = TableEncoder(dtype="float64").fit(train)
    assert {column.kind for column in encoder.columns_} <= {"numeric", "category", "constant"}
    assert (encoder.n_numeric_, encoder.n_one_hot_) == (n_numeric, n_one_hot)
    np.testing.assert_allclose(encoder.transform(test), wanted, rtol=1e-9, atol=1e-12)
    assert encoder.n_features_in_ == table.shape[1]
