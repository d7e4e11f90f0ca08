"""The digits, the inferred task, and splits in proportion to the classes."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnn.datasets import infer_task, load_digits, read_table, stratified_split


def test_digits():
    X, y = load_digits()
    assert X.shape == (1797, 64)
    assert X.dtype == np.float64
    assert y.shape == (1797,)
    assert y.dtype == np.int64
    assert (X.min(), X.max()) == (0, 16)
    assert_array_equal(np.bincount(y), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])


def test_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_digits(return_X_y=True)
    assert_array_equal(load_digits()[0], X)
    assert_array_equal(load_digits()[1], y)


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_missing_file(tmp_path, suffix):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / f"missing{suffix}")


def test_unknown_suffix(tmp_path):
    with pytest.raises(ValueError, match=r"data\.xlsx: expected a \.csv, \.tsv or \.npz file"):
        read_table(tmp_path / "data.xlsx")


def test_time_does_not_grow_with_the_square_of_the_columns(csv_file):
    """If the time were quadratic, this would take minutes."""
    n = 200_000
    names = ",".join(f"c{i}" for i in range(n))
    table = read_table(csv_file(f"{names}\n{'1,' * (n - 1)}1\n"), f"c{n - 1}")
    assert table.X.shape == (1, n - 1)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (["a", "b", "c"], "classification"),
        ([True, False], "classification"),
        ([0, 1], "classification"),
        ([1.0, 2.0, 1.0], "classification"),
        ([0, 0.5], "regression"),
        (np.arange(10) % 3, "classification"),
        (np.arange(10) % 4, "regression"),
        (np.arange(100) % 10, "classification"),
        (np.arange(100) % 11, "regression"),
        (np.arange(40_000) % 100, "classification"),
        (np.arange(40_000) % 101, "regression"),
        (np.arange(50), "regression"),
    ],
)
def test_infer_task(y, task):
    assert infer_task(y) == task


def test_digits_are_classes():
    assert infer_task(load_digits()[1]) == "classification"


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.9])
def test_split_is_a_partition_in_proportion(fraction):
    y = np.repeat([3, 1, 2, 7], [50, 7, 400, 2])
    train, validation = stratified_split(y, fraction, np.random.default_rng(0))
    assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(y.size))
    for label in np.unique(y):
        size = np.count_nonzero(y == label)
        share = np.count_nonzero(y[validation] == label)
        assert abs(share - fraction * size) < 1
        assert 1 <= share <= size - 1


def test_split_keeps_a_single_sample_for_training():
    train, validation = stratified_split(["a"] * 10 + ["b"], 0.5, np.random.default_rng(0))
    assert 10 in train
    assert validation.size == 5


def test_split_is_random_and_reproducible():
    y = np.arange(200) % 2
    splits = [
        stratified_split(y, 0.3, np.random.default_rng(seed))[1].tolist() for seed in (0, 0, 1)
    ]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]


def test_split_takes_any_member_of_a_class():
    seen = np.zeros(20, dtype=bool)
    for seed in range(100):
        seen[stratified_split(np.arange(20) % 2, 0.2, np.random.default_rng(seed))[1]] = True
    assert seen.all()


def test_split_without_classes():
    train, validation = stratified_split(np.zeros(101), 0.25, np.random.default_rng(0))
    assert (train.size, validation.size) == (76, 25)
    assert np.all(np.diff(train) > 0)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_split_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match="fraction"):
        stratified_split([0, 1], fraction, np.random.default_rng(0))
