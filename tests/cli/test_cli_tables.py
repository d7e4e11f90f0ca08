"""The program on tables with texts, gaps, dates and decimal commas."""

import csv

import numpy as np
import pytest
from command_line import read_predictions

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from fastnn.tabular import TabularClassifier, TabularRegressor, load  # noqa: E402

EPOCHS = ["--epochs", "20"]


def houses(n=120):
    """Return a table with a row name, numbers with gaps, a text, a date and a price."""
    rng = np.random.default_rng(0)
    area = rng.lognormal(4, 0.4, n).round(2)
    town = rng.choice(["Bern", "Zürich"], n)
    return pd.DataFrame(
        {
            "key": [f"K{i}" for i in range(n)],
            "area": np.where(rng.random(n) < 0.1, np.nan, area),
            "town": np.where(rng.random(n) < 0.1, "?", town),
            "sold": [f"2024-{1 + i % 9:02}-11" for i in range(n)],
            "price": (100 * area * (1 + (town == "Bern"))).round(1),
        }
    )


@pytest.fixture
def european(folder):
    """Return the path of the houses with semicolons and decimal commas."""
    houses().to_csv(folder / "houses.csv", sep=";", decimal=",", index=False)
    return "houses.csv"


def test_a_european_file(run, european):
    status, out, err = run(
        "train", european, "--target", "price", "--id", "key", "--na", "?", *EPOCHS
    )
    assert status == 0
    assert "houses.csv: semicolons separate the cells\n" in err
    assert "houses.csv: numbers have decimal commas\n" in err
    assert "task: regression (inferred" in out
    kinds = dict(line.split()[:2] for line in out.splitlines() if line[:4] in ("area", "town"))
    assert kinds == {"area": "numeric", "town": "category"}

    frame = houses().replace("?", None)
    expected = TabularRegressor(epochs=20, random_state=0)
    expected.fit(frame[["area", "town", "sold"]], frame["price"])
    X = frame[["area", "town", "sold"]]
    np.testing.assert_array_equal(load("houses.safetensors").predict(X), expected.predict(X))


def test_predictions_with_row_names_and_intervals(succeed, european):
    options = ["--na", "?"]
    succeed("train", european, "--target", "price", "--id", "key", *options, *EPOCHS, "--quiet")
    model = load("houses.safetensors")
    out = succeed(
        "predict", "houses.safetensors", european, "--id", "key", "--interval", 0.8, *options
    )
    header, rows = read_predictions(out)
    assert header == ["key", "prediction", "lower", "upper"]
    assert [row[0] for row in rows] == houses()["key"].tolist()
    frame = houses().replace("?", None)[["area", "town", "sold"]]
    numbers = np.array([row[1:] for row in rows], float)
    np.testing.assert_array_equal(numbers[:, 0], model.predict(frame))
    np.testing.assert_array_equal(numbers[:, 1:], model.predict_interval(frame, coverage=0.8))

    # columns are found by name, others are ignored
    other = houses()[["sold", "price", "town", "area"]]
    other.to_csv("other.csv", index=False)
    again = read_predictions(succeed("predict", "houses.safetensors", "other.csv", *options))[1]
    assert [row[0] for row in again] == [row[1] for row in rows]


def test_classes(succeed, european):
    out = succeed("train", european, "--target", "town", "--metric", "log_loss", *EPOCHS)
    assert "task: classification (inferred" in out
    model = load("houses.safetensors")
    assert isinstance(model, TabularClassifier)
    header, rows = read_predictions(succeed("predict", "houses.safetensors", european))
    assert header == ["prediction", "p_?", "p_Bern", "p_Zürich"]
    X = houses().drop(columns="town")
    np.testing.assert_array_equal([row[0] for row in rows], model.predict(X))
    np.testing.assert_array_equal(
        np.array([row[1:] for row in rows], model.predict_proba(X).dtype), model.predict_proba(X)
    )
    right = np.mean(model.predict(X) == houses()["town"])
    shown = succeed("evaluate", "houses.safetensors", european)
    assert shown.startswith(f"accuracy {right:.5g} (120 samples)")


def test_the_error_of_a_regressor(succeed, european):
    succeed("train", european, "--target", "price", "--task", "regression", *EPOCHS, "--quiet")
    frame = houses()
    predicted = load("houses.safetensors").predict(frame.drop(columns="price"))
    rmse = np.sqrt(np.mean((predicted - frame["price"]) ** 2))
    shown = succeed("evaluate", "houses.safetensors", european, "--target", "price")
    assert shown.startswith(f"RMSE {rmse:.5g}, R2 ")


def test_presets_take_numeric_files(succeed, houses_csv):
    succeed("train", houses_csv, "--target", "price", "--preset", "fast", *EPOCHS, "--quiet")
    assert load("houses.safetensors").preset == "fast"


@pytest.mark.parametrize("separator", [",", "\t", "|"])
def test_separators(run, folder, separator):
    houses().to_csv("houses.csv", sep=separator, index=False)
    given = ["--sep", separator] if separator == "|" else []
    status, _, err = run(
        "train", "houses.csv", "--target", "price", *given, *EPOCHS, "--drop", "key"
    )
    assert status == 0
    assert ("tabs separate the cells" in err) == (separator == "\t")
    assert "decimal" not in err
    assert load("houses.safetensors").encoder_.columns_[0].kind == "numeric"


def test_a_comma_that_is_no_decimal_sign(run, folder):
    """A column with points and commas is not numeric, so it does not count."""
    frame = houses().assign(size=["1.5", "2,5"] * 60)
    frame.to_csv("houses.csv", sep=";", index=False)
    _, out, err = run("train", "houses.csv", "--target", "price", *EPOCHS)
    assert "decimal commas" not in err
    assert "size    category" in out.replace("size      ", "size    ")


def test_parquet(succeed, folder):
    pytest.importorskip("pyarrow")
    houses().to_parquet("houses.parquet")
    succeed("train", "houses.parquet", "--target", "price", "--drop", "key", *EPOCHS, "--quiet")
    _, rows = read_predictions(succeed("predict", "houses.safetensors", "houses.parquet"))
    frame = houses().drop(columns=["key", "price"])
    np.testing.assert_array_equal(
        np.array([row[0] for row in rows], float), load("houses.safetensors").predict(frame)
    )


def write(name, *rows):
    with open(name, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize(
    ("rows", "options", "wanted"),
    [
        ([], [], "first line"),
        ([["a", "y"]], [], "no data"),
        ([["a", "a", "y"], ["u", 1, 2]], [], "two columns have the name 'a'"),
        ([["a", "", "y"], ["u", 1, 2]], [], "column 2 has no name"),
        ([["a", "y"], ["u", 1, 2, 3], ["v", 2]], [], "table.csv"),
        ([["a", "y"], ["u", 1]], [], "sample"),
        ([["a", "y"], ["u", 1.5], ["v", ""], ["w", 2.5]], [], "y is missing in 1 row"),
        ([["a", "y"], ["u", "k"], ["v", "k"]], [], "class"),
        ([["a", "y"], ["u", "k"], ["v", "l"]], ["--task", "regression"], "number"),
        ([["a", "y"], ["u", 1.5], ["v", 2.5]], ["--drop", "b"], "no column 'b'"),
        ([["a", "y"], ["u", 1.5], ["v", 2.5]], ["--id", "a"], "no feature column"),
        ([["a", "y"], ["u", 1.5], ["v", 2.5]], ["--sep", "::"], "one character"),
        ([["a", "y"], ["u", 1.5], ["v", 2.5]], ["--decimal", ","], "cannot be both"),
        ([["a", "y"], ["u", 1.5], ["v", 2.5]], ["--preset", "fast", "--hidden", "3"], "--hidden"),
        ([["a", "y"], ["u", 1.5], ["v", 2.5]], ["--preset", "fast", "--metric", "x"], "'metric'"),
        ([["a", "y"], ["inf", 1.5], ["2", 2.5]], ["--preset", "fast"], "'a'"),
    ],
)
def test_tables_that_do_not_suit(run, folder, rows, options, wanted):
    write("table.csv", *rows)
    status, _, err = run("train", "table.csv", "--target", "y", "--epochs", 2, "--quiet", *options)
    assert status == 2
    assert err.startswith("fastnn: error: ")
    assert err.count("\n") == 1
    assert wanted in err
    assert not (folder / "table.safetensors").exists()


def test_files_that_are_no_tables(fail, folder):
    (folder / "bytes.csv").write_bytes(bytes(range(256)))
    assert "UTF-8" in fail("train", "bytes.csv", "--target", "y", "--preset", "fast")
    (folder / "bytes.parquet").write_bytes(bytes(range(256)))
    pytest.importorskip("pyarrow")
    assert "bytes.parquet" in fail("train", "bytes.parquet", "--target", "y")
    assert "bytes.parquet" in fail("train", "bytes.parquet", "--target", "y", "--sep", ";")
    (folder / "folder.csv").mkdir()
    assert "folder.csv" in fail("train", "folder.csv", "--target", "y", "--preset", "fast")
    assert "nowhere.csv" in fail("train", "nowhere.csv", "--target", "y", "--preset", "fast")


def test_predictions_that_do_not_suit(run, succeed, european, houses_csv):
    houses().to_csv("raw.csv", index=False)
    succeed("train", "raw.csv", "--target", "price", "--drop", "key", *EPOCHS, "--quiet")

    def error(*argv):
        status, out, err = run(*argv)
        assert status == 2
        assert out == ""
        return err

    houses().drop(columns=["area", "sold"]).to_csv("missing.csv", index=False)
    assert "no column area, sold" in error("predict", "raw.safetensors", "missing.csv")
    houses().assign(area="much").to_csv("text.csv", index=False)
    assert "'area'" in error("predict", "raw.safetensors", "text.csv")
    assert "no column 'id'" in error("predict", "raw.safetensors", "raw.csv", "--id", "id")
    assert "coverage" in error("predict", "raw.safetensors", "raw.csv", "--interval", 1.5)
    succeed("train", "raw.csv", "--target", "town", *EPOCHS, "--quiet", "--output", "t.safetensors")
    assert "regression" in error("predict", "t.safetensors", "raw.csv", "--interval", 0.9)


def test_options_of_tables_need_such_a_model(fail, succeed, houses_csv):
    succeed("train", houses_csv, "--target", "price", "--hidden", 4, "--epochs", 2, "--quiet")
    for option in (["--interval", 0], ["--id", "age"], ["--na", "?"]):
        err = fail("predict", "houses.safetensors", houses_csv, *option)
        assert option[0] in err
        assert "preset" in err


def test_texts_stay_as_they_are(succeed, folder):
    """Row names and labels keep leading zeros; a row name may be called like an output."""
    rng = np.random.default_rng(0)
    rows = [[f"{i:03}", "01" if i % 2 else "1", rng.normal() + i % 2, "u"] for i in range(60)]
    rows[1][0] = ""
    write("table.csv", ["prediction", "kind", "x", "town"], *rows)
    succeed("train", "table.csv", "--target", "kind", "--id", "prediction", *EPOCHS, "--quiet")
    assert load("table.safetensors").classes_.tolist() == ["01", "1"]
    header, found = read_predictions(
        succeed("predict", "table.safetensors", "table.csv", "--id", "prediction")
    )
    assert header == ["prediction", "prediction", "p_01", "p_1"]
    assert [row[0] for row in found] == [row[0] for row in rows]
    right = np.mean([row[1] == other[1] for row, other in zip(found, rows, strict=True)])
    for target in ([], ["--target", "kind"]):
        write("test.csv", ["kind", "x", "town"], *(row[1:] for row in rows))
        shown = succeed("evaluate", "table.safetensors", "test.csv", *target)
        assert shown.startswith(f"accuracy {right:.5g} (60 samples)")


def test_whole_numbers_are_classes_in_their_order(succeed, folder):
    write("table.csv", ["x", "n"], *([f"{'ab'[i % 2]}{i % 3}", 2 + 8 * (i % 2)] for i in range(40)))
    succeed("train", "table.csv", "--target", "n", *EPOCHS, "--quiet")
    assert load("table.safetensors").classes_.tolist() == [2, 10]
    assert succeed("evaluate", "table.safetensors", "table.csv").startswith("accuracy ")


def test_gaps_in_a_list(succeed, folder):
    rows = ([["-", "?", i / 7][min(i % 9, 2)], i] for i in range(60))
    write("table.csv", ["x", "y"], *rows)
    succeed("train", "table.csv", "--target", "y", "--na", "?,-", *EPOCHS, "--quiet")
    [column] = load("table.safetensors").encoder_.columns_
    assert (column.kind, column.gaps) == ("numeric", 14)


@pytest.mark.filterwarnings("always")
def test_a_warning_is_one_line(run, folder):
    """A column of row numbers is left out, with a warning."""
    write("table.csv", ["row", "x", "y"], *([i, "ab"[i % 2], i % 7] for i in range(60)))
    status, _, err = run("train", "table.csv", "--target", "y", *EPOCHS, "--quiet")
    assert status == 0
    assert err.startswith("fastnn: warning: ")
    assert "'row'" in err
    assert err.count("\n") == 1
