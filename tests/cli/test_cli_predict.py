"""`fastnn predict` and `fastnn evaluate`: columns, probabilities, metrics."""

import numpy as np
import pytest
from command_line import FAST, flowers, read_predictions, score, write_csv
from numpy.testing import assert_allclose, assert_array_equal

import fastnn as fn
from fastnn import datasets


def test_predict_matches_columns_by_name(succeed, fail, flowers_csv, folder):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    expected = succeed("predict", "flowers.safetensors", flowers_csv)
    X, _ = flowers()
    comment = np.full(len(X), "any text")
    write_csv("other.csv", ["sepal", "note", "petal"], X[:, 1], comment, X[:, 0])
    assert succeed("predict", "flowers.safetensors", "other.csv") == expected
    np.savez("other.npz", X=X)
    assert succeed("predict", "flowers.safetensors", "other.npz") == expected
    write_csv("less.csv", ["sepal", "kind"], X[:, 1], comment)
    assert "less.csv: no column 'petal'" in fail("predict", "flowers.safetensors", "less.csv")


def test_predict_to_a_file(succeed, flowers_csv, folder):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    expected = succeed("predict", "flowers.safetensors", flowers_csv)
    assert succeed("predict", "flowers.safetensors", flowers_csv, "--output", "p.csv") == ""
    assert (folder / "p.csv").read_bytes().decode() == expected


def test_predict_wrong_number_of_features(run, flowers_csv, succeed):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    status, _, err = run("predict", "flowers.safetensors", "digits")
    assert status == 2
    assert "64" in err


def test_model_that_ends_in_softmax(succeed):
    net = fn.Network([fn.Linear(64, 10), fn.Softmax()], seed=0)
    net.class_labels = list("abcdefghij")
    net.save("softmax.safetensors")
    header, rows = read_predictions(succeed("predict", "softmax.safetensors", "digits"))
    assert header[1] == "p_a"
    p = np.array([row[1:] for row in rows], dtype=np.float32)
    assert_array_equal(p, net.predict(datasets.load_digits()[0].astype(np.float32)))


def test_model_with_several_outputs_and_no_classes(succeed, fail):
    fn.Network([fn.Linear(64, 2)], seed=0).save("two.safetensors")
    header, rows = read_predictions(succeed("predict", "two.safetensors", "digits"))
    assert header == ["prediction_0", "prediction_1"]
    assert len(rows) == 1797
    assert "2 outputs" in fail("evaluate", "two.safetensors", "digits")


@pytest.mark.parametrize("layers", [[], [fn.Sigmoid]], ids=["logit", "probability"])
def test_one_output_for_two_classes(succeed, layers):
    X = np.random.default_rng(0).normal(size=(50, 3))
    net = fn.Network([fn.Linear(3, 1), *(layer() for layer in layers)], dtype="float64", seed=0)
    net.class_labels = ["no", "yes"]
    net.save("binary.safetensors")
    p_yes = net.predict(X)[:, 0] if layers else 1 / (1 + np.exp(-net.predict(X)[:, 0]))
    answer = np.where(p_yes > 0.5, "yes", "no")
    assert len(set(answer)) == 2
    np.savez("data.npz", X=X, y=answer)
    header, rows = read_predictions(succeed("predict", "binary.safetensors", "data.npz"))
    assert header == ["prediction", "p_no", "p_yes"]
    assert [row[0] for row in rows] == answer.tolist()
    p = np.array([row[1:] for row in rows], dtype=float)
    assert_allclose(p, np.transpose([1 - p_yes, p_yes]), rtol=1e-12)
    assert succeed("evaluate", "binary.safetensors", "data.npz").startswith("accuracy 1 ")


def test_large_logits_have_probabilities(succeed):
    net = fn.Network([fn.Linear(64, 10)], seed=0)
    net.layers[0].weight[...] *= 1e4
    net.class_labels = list(range(10))
    net.save("large.safetensors")
    _, rows = read_predictions(succeed("predict", "large.safetensors", "digits"))
    p = np.array([row[1:] for row in rows], dtype=float)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


def test_evaluate_prints_the_metrics_of_scikit_learn(succeed, flowers_csv):
    metrics = pytest.importorskip("sklearn.metrics")
    succeed("train", flowers_csv, "--target", "kind", "--hidden", 2, "--epochs", 1)
    out = succeed("evaluate", "flowers.safetensors", flowers_csv)
    _, rows = read_predictions(succeed("predict", "flowers.safetensors", flowers_csv))
    kind, predicted = flowers()[1], [row[0] for row in rows]
    accuracy = metrics.accuracy_score(kind, predicted)
    assert accuracy < 1
    assert_allclose(score(out, "accuracy", "accuracy"), accuracy, atol=1e-4)
    table = metrics.precision_recall_fscore_support(kind, predicted, zero_division=0)
    lines = out.splitlines()[2:]
    assert [line[:10].strip() for line in lines] == ["fox, glove", "rose", "tulip"]
    got = np.array([line[10:].split() for line in lines], dtype=float)
    assert_allclose(got, np.transpose(table), atol=5.1e-5)


def test_evaluate_takes_the_target_that_was_trained_for(succeed, fail, flowers_csv):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    X, kind = flowers()
    header = ["petal", "sepal", "kind", "weight"]
    write_csv("more.csv", header, X[:, 0], X[:, 1], kind, np.ones(len(X)))
    expected = succeed("evaluate", "flowers.safetensors", flowers_csv)
    assert succeed("evaluate", "flowers.safetensors", "more.csv") == expected
    write_csv("other.csv", ["petal", "sepal", "weight"], X[:, 0], X[:, 1], np.ones(len(X)))
    message = fail(
        "evaluate", "flowers.safetensors", "other.csv"
    )  # evaluate does not use the only other column as the target
    assert "must name the target, one of weight; the model was trained for 'kind'" in message
    write_csv("none.csv", ["petal", "sepal"], X[:, 0], X[:, 1])
    message = fail("evaluate", "flowers.safetensors", "none.csv")
    assert "but all columns are features; the model was trained for 'kind'" in message


def test_evaluate_unknown_class(succeed, fail, flowers_csv):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    write_csv("new.csv", ["petal", "sepal", "kind"], *np.ones((2, 1)), np.array(["weed"]))
    message = fail("evaluate", "flowers.safetensors", "new.csv")
    assert "does not know the class 'weed', only fox, glove, rose, tulip" in message


def test_evaluate_regression_of_text(succeed, fail, houses_csv):
    succeed("train", houses_csv, "--target", "price", *FAST)
    write_csv("new.csv", ["area", "age", "price"], *np.ones((2, 1)), np.array(["dear"]))
    assert "the target is text" in fail("evaluate", "houses.safetensors", "new.csv")


def test_evaluate_without_feature_names(succeed, fail):
    X, kind = flowers()
    np.savez("flowers.npz", X=X, y=kind)
    succeed("train", "flowers.npz", *FAST)
    write_csv("flowers.csv", ["a", "b", "c"], X[:, 0], X[:, 1], kind)
    assert "one of a, b, c" in fail("evaluate", "flowers.safetensors", "flowers.csv")
    out = succeed("evaluate", "flowers.safetensors", "flowers.csv", "--target", "c")
    assert out == succeed("evaluate", "flowers.safetensors", "flowers.npz")


def test_labels_are_their_own_texts(succeed, folder):
    x = np.linspace(-1, 1, 40)
    kinds = np.where(x < 0, "01", "1_0")
    write_csv(folder / "codes.csv", ["x", "kind"], x, kinds)
    succeed("train", "codes.csv", "--target", "kind", "--epochs", 60)
    assert fn.load("codes.safetensors").class_labels == ["01", "1_0"]
    header, rows = read_predictions(succeed("predict", "codes.safetensors", "codes.csv"))
    assert header == ["prediction", "p_01", "p_1_0"]
    assert {row[0] for row in rows} == {"01", "1_0"}
    report = succeed("evaluate", "codes.safetensors", "codes.csv")
    assert "\n01 " in report
    assert "\n1_0 " in report


def test_labels_that_float64_cannot_tell_apart(succeed, folder):
    x = np.linspace(-1, 1, 40)
    write_csv(folder / "ids.csv", ["x", "id"], x, np.where(x < 0, 2**53, 2**53 + 1))
    succeed("train", "ids.csv", "--target", "id", "--task", "classification", *FAST)
    assert fn.load("ids.safetensors").class_labels == [2**53, 2**53 + 1]


def test_a_model_whose_labels_are_numbers_knows_them_by_value(succeed, fail, folder):
    net = fn.Network([fn.Linear(1, 3)], seed=0)
    net.feature_names, net.target_name = ["x"], "y"
    for labels, cells, other in [
        ([1, 2, 3], ["01", "2.0", "+3"], "4"),
        ([0.1, 2.5, 3], ["0.10", "25e-1", "3"], "0.2"),
        (["1", "2", "3"], ["1", "2", "3"], "3.0"),
    ]:
        net.class_labels = labels
        net.save("net.safetensors")
        write_csv(folder / "known.csv", ["x", "y"], np.arange(3), np.array(cells))
        report = succeed("evaluate", "net.safetensors", "known.csv")
        assert [line.split()[-1] for line in report.splitlines()[2:]] == ["1", "1", "1"]
        write_csv(folder / "unknown.csv", ["x", "y"], np.arange(2), np.array([cells[0], other]))
        assert f"{other!r}" in fail("evaluate", "net.safetensors", "unknown.csv")


HOSTILE = "a\x1b[2Jb\x9b\u202ec\u2066d"
SHOWN = r"a\x1b[2Jb\x9b\u202ec\u2066d"


def test_control_characters_do_not_reach_the_terminal(succeed, fail, folder, monkeypatch):
    x = np.linspace(-1, 1, 40)
    kinds = np.where(x < 0, HOSTILE, "b")
    write_csv(folder / "h.csv", ["x", HOSTILE, "kind"], x, x, kinds)
    shown = [succeed("train", "h.csv", "--target", "kind", *FAST)]
    shown.append(succeed("evaluate", "h.safetensors", "h.csv"))
    assert SHOWN in shown[-1]
    write_csv(folder / "other.csv", ["x", HOSTILE, "kind"], x, x, np.full(40, "\x1b[31m"))
    shown.append(fail("evaluate", "h.safetensors", "other.csv"))
    assert SHOWN in shown[-1]
    shown.append(fail("train", "h.csv", "--target", "none"))
    assert SHOWN in shown[-1]
    write_csv(folder / "few.csv", ["x"], x)
    shown.append(fail("predict", "h.safetensors", "few.csv"))
    assert SHOWN in shown[-1]
    assert HOSTILE in succeed(
        "predict", "h.safetensors", "h.csv"
    )  # in a file or a pipe, nothing is escaped
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    shown.append(succeed("predict", "h.safetensors", "h.csv"))
    assert SHOWN in shown[-1]
    for text in shown:
        assert text.replace("\n", "").isprintable()
