"""The forms of CSV files: separators, decimal signs, gaps, rows of wrong lengths, wrong names."""

import csv
from pathlib import Path

import numpy as np
import pytest
from command_line import FAST, read_predictions

import fastnn as fn

pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from fastnn.files import model_file
from fastnn.tabular import TabularRegressor, load

SHORT = ["--preset", "fast", "--epochs", "2", "--quiet"]


def write(name, *rows, separator=",", decimal="."):
    with open(name, "w", newline="", encoding="utf-8") as file:
        for row in rows:
            cells = [str(v).replace(".", decimal) if isinstance(v, float) else v for v in row]
            csv.writer(file, delimiter=separator).writerow(cells)
    return name


def numbers(n=40):
    """Return a header and rows of numbers."""
    return [["a", "b", "y"], *([i / 8, i * i % 7, i / 4 + 0.5] for i in range(n))]


def homes(n=40):
    """Return a header and rows with a row name, texts, a code with leading zeros and a gap."""
    header = ["ref", "town", "zip", "area", "price"]
    rows = [
        [f"{i:03}", ["Bern", "Genf"][i % 2], f"{i % 3:02}", i % 11 + 0.25, 100.5 + i]
        for i in range(n)
    ]
    rows[5][3] = "?"
    return [header, *rows]


def kinds(path):
    return {column.name: column.kind for column in load(path).encoder_.columns_}


# ---------------------------------------------------------------- numbers train networks


@pytest.mark.parametrize(
    ("name", "separator", "decimal", "notes"),
    [
        ("t.csv", ";", ",", ["semicolons separate the cells", "numbers have decimal commas"]),
        ("t.csv", ";", ".", ["semicolons separate the cells"]),
        ("t.csv", "\t", ",", ["tabs separate the cells", "numbers have decimal commas"]),
        ("t.tsv", "\t", ".", ["tabs separate the cells"]),
        ("t.csv", ",", ".", []),
    ],
)
def test_numbers_train_the_same_network(run, folder, name, separator, decimal, notes):
    write("plain.csv", *numbers())
    write(name, *numbers(), separator=separator, decimal=decimal)
    argv = ["--target", "y", "--output", "m", *FAST]
    assert run("train", "plain.csv", *argv)[0] == 0
    model = Path("m").read_bytes()
    expected = [run(command, "m", "plain.csv")[1] for command in ("predict", "evaluate")]
    lines = [f"fastnn: {name}: {note}\n" for note in notes]
    status, _, err = run("train", name, *argv)
    assert (status, err) == (0, "".join(lines))
    assert Path("m").read_bytes() == model
    for command, wanted in zip(("predict", "evaluate"), expected, strict=True):
        assert run(command, "m", name) == (0, wanted, "".join(lines))
    given = ["--sep", "tab" if separator == "\t" else separator, "--decimal", decimal]
    assert run("train", name, *argv, *given)[::2] == (0, "")
    assert Path("m").read_bytes() == model
    assert run("predict", "m", name, *given) == (0, expected[0], "")


def test_a_target_alone_has_decimal_commas(succeed, folder):
    rows = [["a", "y"], *([i, i / 4 + 0.5] for i in range(40))]
    write("t.csv", *rows, separator=";", decimal=",")
    succeed("train", "t.csv", "--target", "y", *FAST)
    net = fn.load("t.safetensors")
    assert net.class_labels is None
    assert net.target_name == "y"


def test_points_where_commas_are_decimal(fail, folder):
    write("t.csv", *numbers(), separator=";", decimal=",")
    err = fail("train", "t.csv", "--target", "y", "--decimal", ".", "--quiet", "--hidden", 4)
    assert "--hidden" in err


# ---------------------------------------------------------------- decimal signs


@pytest.mark.parametrize("n", [999, 1000, 1500])
def test_decimal_commas_that_begin_late(run, folder, n):
    rows = [["a", "t", "y"], *([i % 50, "uv"[i % 2], i % 30] for i in range(n))]
    late = [["2,5", "u", 3], ["1,5", "v", 4]]
    write("t.csv", *rows, *late, separator=";")
    status, _, err = run("train", "t.csv", "--target", "y", "--preset", "fast", "--epochs", 1)
    assert status == 0
    assert "t.csv: numbers have decimal commas\n" in err
    assert kinds("t.safetensors")["a"] == "numeric"


def test_the_sign_of_most_columns_counts(run, folder):
    header = ["a", "b", "version", "t", "y"]
    rows = [[f"{i},5", f"{i},25", f"{i % 4}.1", "uv"[i % 2], i] for i in range(30)]
    write("t.csv", header, *rows, separator=";")
    _, _, err = run("train", "t.csv", "--target", "y", "--preset", "fast", "--epochs", 1)
    assert "decimal commas" in err
    assert {"a": "numeric", "version": "category"}.items() <= kinds("t.safetensors").items()


def test_signs_of_two_columns_that_disagree(fail, folder):
    rows = [[i, f"{i % 4}.1", "uv"[i % 2], i] for i in range(1200)] + [["2,5", "1.5", "u", 1]]
    write("t.csv", ["a", "b", "t", "y"], *rows, separator=";")
    err = fail("train", "t.csv", "--target", "y", *SHORT)
    assert err.startswith(
        "fastnn: error: t.csv: column 'a' has decimal commas ('2,5' in line 1202)"
    )
    assert "column 'b' has points ('0.1' in line 2)" in err
    assert "--decimal , or --decimal ." in err


# ---------------------------------------------------------------- gaps, IDs and the target


def test_a_model_remembers_gaps_row_names_and_the_target(run, succeed, folder):
    write("homes.csv", *homes())
    options = ["--target", "price", "--id", "ref", "--na", "?,-", "--drop", "zip"]
    succeed("train", "homes.csv", *options, *SHORT)
    assert kinds("homes.safetensors") == {"town": "category", "area": "numeric"}
    expected = succeed("predict", "homes.safetensors", "homes.csv", "--id", "ref", "--na", "?")
    assert succeed("predict", "homes.safetensors", "homes.csv") == expected
    header, rows = read_predictions(expected)
    assert header == ["ref", "prediction"]
    assert [row[0] for row in rows] == [f"{i:03}" for i in range(40)]
    shown = succeed("evaluate", "homes.safetensors", "homes.csv")
    assert shown.startswith("RMSE")
    assert shown == succeed("evaluate", "homes.safetensors", "homes.csv", "--target", "price")

    # options that are given again replace those of training
    given = succeed("predict", "homes.safetensors", "homes.csv", "--id", "town,zip")
    assert read_predictions(given)[0] == ["town", "zip", "prediction"]
    header = read_predictions(succeed("predict", "homes.safetensors", "homes.csv", "--id"))[0]
    assert header == ["prediction"]
    status, _, err = run("predict", "homes.safetensors", "homes.csv", "--na")
    assert status == 2
    assert "'?'" in err

    # columns that are not features may be missing
    write("new.csv", *([row[3], row[1]] for row in homes()))
    status, out, err = run("predict", "homes.safetensors", "new.csv")
    assert status == 0
    assert err == "fastnn: new.csv: no column ref, which named the rows in training\n"
    assert read_predictions(out)[1] == [[row[1]] for row in rows]
    status, _, err = run("evaluate", "homes.safetensors", "new.csv")
    assert status == 2
    assert "new.csv: --target must name the target" in err
    assert "the model was trained for 'price'" in err


def test_another_column_is_not_taken_for_the_target(fail, succeed, folder):
    write("homes.csv", *homes())
    succeed("train", "homes.csv", "--target", "price", "--drop", "ref,zip,area", *SHORT)
    write("new.csv", ["town", "cost"], ["Bern", 1.5], ["Genf", 2.5])
    err = fail("evaluate", "homes.safetensors", "new.csv")
    assert "one of cost; the model was trained for 'price'" in err


def test_a_damaged_memory(fail, succeed, folder):
    write("homes.csv", *homes())
    succeed("train", "homes.csv", "--target", "price", "--id", "ref", *SHORT)
    for damaged in ("text", {"ids": 3}, {"ids": [3]}, {"more": 1}, [1]):
        description, arrays = model_file.read("homes.safetensors")
        model_file.write("bad.safetensors", description | {"table": damaged}, arrays)
        for command in ("predict", "evaluate"):
            err = fail(command, "bad.safetensors", "homes.csv")
            assert "bad.safetensors: not a valid model" in err


def test_a_parquet_model_and_files_of_other_kinds(fail, succeed, folder):
    pytest.importorskip("pyarrow")
    import pandas as pd

    days = pd.date_range("2024-01-01", periods=40)
    frame = pd.DataFrame({"t": ["u", "v"] * 20, "x": np.arange(40) / 7, "day": days})
    frame["big"] = frame["x"] > 3
    frame.to_parquet("t.parquet")
    frame.to_csv("t.csv", index=False)
    succeed("train", "t.parquet", "--target", "big", *SHORT)
    shown = succeed("evaluate", "t.safetensors", "t.parquet")
    assert succeed("evaluate", "t.safetensors", "t.csv") == shown
    err = fail("train", "t.parquet", "--target", "day", *SHORT)
    assert "t.parquet: the target 'day' has dates" in err
    succeed("train", "t.csv", "--target", "big", "--na", "-", *SHORT)
    assert succeed("evaluate", "t.safetensors", "t.parquet").startswith("accuracy")
    assert "digits: expected a .csv" in fail("predict", "t.safetensors", "digits")
    assert "--threads is 0" in fail("train", "t.csv", "--target", "x", "--threads", 0)


def test_a_model_without_column_names(fail, folder):
    X = [[i % 5, "uv"[i % 2]] for i in range(30)]
    model = TabularRegressor("fast", epochs=1, random_state=0).fit(X, np.arange(30.0))
    model.save("m.safetensors")
    write("t.csv", ["a", "t", "y"], [1, "u", 2])
    for command in ("predict", "evaluate"):
        assert "t.csv: the model was trained on a table without" in fail(
            command, "m.safetensors", "t.csv"
        )


def test_categories_keep_their_texts(succeed, folder):
    """Codes keep leading zeros, also if all codes in the file to predict look like numbers."""
    write("homes.csv", *homes())
    options = ["--target", "price", "--id", "ref", "--categorical", "zip,town", "--na", "?"]
    succeed("train", "homes.csv", *options, *SHORT)
    assert kinds("homes.safetensors")["zip"] == "category"
    model = load("homes.safetensors")
    assert "zip_01" in model.encoder_.get_feature_names_out()
    out = succeed("predict", "homes.safetensors", "homes.csv", "--id")
    found = np.array([row[0] for row in read_predictions(out)[1]], float)
    import pandas as pd

    frame = pd.DataFrame(homes()[1:], columns=homes()[0]).replace("?", None)
    frame["area"] = frame["area"].astype(float)
    np.testing.assert_array_equal(found, model.predict(frame[model.feature_names_in_]))


def test_numbers_that_are_no_ids(run, fail, folder):
    rows = [[i, "uv"[i % 2], i % 7] for i in range(40)]
    write("t.csv", ["nr", "t", "y"], *rows)
    status, _, err = run("train", "t.csv", "--target", "y", "--numeric", "nr", *SHORT)
    assert (status, err) == (0, "")
    assert kinds("t.safetensors")["nr"] == "numeric"
    rows[3][0] = "many"
    write("t.csv", ["nr", "t", "y"], *rows)
    err = fail("train", "t.csv", "--target", "y", "--numeric", "nr", *SHORT)
    assert "t.csv: " in err
    assert "'nr'" in err
    assert "'many'" in err


def test_a_row_name_that_is_a_feature(succeed, folder):
    rows = [[i / 4, "uv"[i % 2], i % 7] for i in range(40)]
    write("t.csv", ["a", "t", "y"], *rows, separator=";", decimal=",")
    succeed("train", "t.csv", "--target", "y", *SHORT)
    expected = read_predictions(succeed("predict", "t.safetensors", "t.csv"))[1]
    header, found = read_predictions(succeed("predict", "t.safetensors", "t.csv", "--id", "a,t"))
    assert header[:3] == ["a", "t", "prediction"]
    assert [row[:2] for row in found] == [[str(a).replace(".", ","), t] for a, t, _ in rows]
    assert [row[2:] for row in found] == expected


def test_a_name_with_a_comma(succeed, folder):
    write("t.csv", ["x, y", "a", "y"], *([i % 5, "uv"[i % 2], i] for i in range(30)))
    succeed("train", "t.csv", "--target", "y", "--drop", "x, y", *SHORT)
    assert set(kinds("t.safetensors")) == {"a"}


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,u", "bad.csv, line 3: 2 cells, but there are 3 columns"),
        ("1,u,2,3", "bad.csv, line 3: 4 cells, but there are 3 columns"),
        ('1,"u,2', "bad.csv, line 41: unexpected end of data"),
        ('1,"u"u,2', "bad.csv, line 3"),
        ("inf,u,2", "bad.csv: X, column 'a', row 1 is inf"),
    ],
)
def test_wrong_rows(fail, succeed, folder, command, line, message):
    rows = [f"{i / 4},{'uv'[i % 2]},{i}" for i in range(40)]
    Path("t.csv").write_text("\n".join(["a,t,y", *rows]), encoding="utf-8")
    rows[1] = line
    Path("bad.csv").write_text("\n".join(["a,t,y", *rows, ""]), encoding="utf-8")
    succeed("train", "t.csv", "--target", "y", *SHORT)
    argv = ["--target", "y", *SHORT] if command == "train" else []
    model = [] if command == "train" else ["t.safetensors"]
    assert message in fail(command, *model, "bad.csv", *argv)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,t,price\n1.5,u,3\n", "has 1 sample"),
        ("a,t,price\n1,u,3\n2,v,3\n", "one class"),
        ("a,t,price\n", "no data after"),
        ("a,t,price\n,,1.5\n,,2.5\n,,3.5\n", "no column that can be used"),
        ("a,t,price\n1,u,\n2,v,\n3,v,\n", "y is missing"),
        ("a,t,price\n1,u,1\n2,v,\n3,v,2\n", "y is missing in 1 row"),
        ("a,t,prize\n1,u,1\n2,v,2\n", "no column 'price' (did you mean 'prize'?)"),
        ("a,t,PRICE\n1,u,1\n2,v,2\n", "no column 'price' (did you mean 'PRICE'?)"),
        ("a,t,z\n1,u,1\n2,v,2\n", "no column 'price'; the columns are a, t, z"),
        ("a,t,price\n1,u,1.5\n2,v,inf\n3,u,2.5\n4,u,3.5\n", "the target 'price' has numbers, but"),
    ],
)
@pytest.mark.parametrize("options", [SHORT, ["--quiet"]])
def test_errors_name_the_file(run, folder, content, message, options):
    Path("bad.csv").write_text(content, encoding="utf-8")
    status, out, err = run("train", "bad.csv", "--target", "price", *options)
    assert (status, out) == (2, "")
    assert err.startswith("fastnn: error: bad.csv: ")
    assert message in err
    assert not Path("bad.safetensors").exists()


def test_one_row_or_class_of_numbers(fail, folder):
    Path("bad.csv").write_text("a,y\n1,2\n", encoding="utf-8")
    assert "bad.csv: classification needs two" in fail("train", "bad.csv", "--target", "y")
    Path("bad.csv").write_text("a,y\n1,2\n3,2\n", encoding="utf-8")
    assert "bad.csv: classification needs two" in fail("train", "bad.csv", "--target", "y")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--target price --drop twn", "homes.csv: no column 'twn' (did you mean 'town'?)"),
        ("--target price --id twn", "homes.csv: no column 'twn' (did you mean 'town'?)"),
        ("--target price --numeric areas", "homes.csv: no column 'areas' (did you mean 'area'?)"),
        ("--target price --categorical 7", "homes.csv: no column '7'; the columns are ref, town"),
        ("--target price --drop ref,price", "homes.csv: --drop names the target 'price'"),
        ("--target price --drop zip --numeric zip", "--numeric names the column 'zip', but so"),
        ("--target price --numeric zip --categorical zip", "homes.csv: column 'zip' is named"),
        ("--target price --sep ;;", "--sep is ';;'; one character or 'tab' is wanted"),
        ('--target price --sep "', "one character or 'tab' is wanted"),
        ("--target price --na ? --hidden 4", "--hidden describes a network; it does not go with"),
    ],
)
def test_wrong_options(fail, folder, argv, message):
    write("homes.csv", *homes())
    assert message in fail("train", "homes.csv", *argv.split(), "--quiet")


def test_options_of_csv_files(fail, folder):
    np.savez("t.npz", X=np.eye(4), y=np.arange(4))
    for data in ("t.npz", "digits"):
        for option in (["--sep", ";"], ["--decimal", ","]):
            assert f"{data}: --sep, --decimal and --na" in fail("train", data, *option)


@pytest.mark.parametrize("preset", [[], ["--preset", "fast"]])
@pytest.mark.parametrize("form", ["bom", "crlf", "cr", "blank lines"])
def test_forms_of_text(succeed, folder, preset, form):
    text = "\n".join(["a,t,y", *(f"{i / 4},{'uv'[i % 2]},{i}" for i in range(40)), ""])
    Path("plain.csv").write_text(text, encoding="utf-8")
    change = {"crlf": "\r\n", "cr": "\r", "blank lines": "\n\n"}.get(form, "\n")
    start = "\ufeff" if form == "bom" else ""
    Path("t.csv").write_bytes((start + text.replace("\n", change)).encode())
    argv = ["--target", "y", "--epochs", 2, "--quiet", *preset]
    succeed("train", "plain.csv", *argv)
    succeed("train", "t.csv", *argv)
    expected = succeed("predict", "plain.safetensors", "plain.csv")
    assert succeed("predict", "t.safetensors", "t.csv") == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\xef\xbb\xbf",
        b"   \n  \n",
        b"a,t,y",
        b"a,a,y\n1,2,3\n",
        b"a,,y\n1,2,3\n",
        bytes(range(256)),
        "a,t,y\n1,ü,2\n".encode("latin-1"),
        "a,t,y\n1,u,2\n".encode("utf-16"),
        b"a,t,y\n1," + b"u" * 200_000 + b",2\n",
        b"\x00\x00,\x00\n\x00,1\n",
        None,
    ],
)
def test_damaged_files_are_named(run, succeed, folder, content):
    Path("t.csv").write_text(
        "\n".join(["a,t,y", *(f"{i},u{i % 3},{i}.5" for i in range(30))]), encoding="utf-8"
    )
    succeed("train", "t.csv", "--target", "y", "--numeric", "a", *SHORT)
    if content is not None:
        Path("bad.csv").write_bytes(content)
    for argv in (
        ["train", "bad.csv", "--target", "y", "--quiet"],
        ["train", "bad.csv", "--target", "y", *SHORT],
        ["predict", "t.safetensors", "bad.csv"],
        ["evaluate", "t.safetensors", "bad.csv"],
    ):
        status, out, err = run(*argv)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("fastnn: error: bad.csv")
