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
    message = fail("evaluate", "flowers.safetensors", "other.csv")  # it is no wild guess
    assert "must name the target, one of weight; there is no 'kind'" in message
    write_csv("none.csv", ["petal", "sepal"], X[:, 0], X[:, 1])
    message = fail("evaluate", "flowers.safetensors", "none.csv")
    assert "must name the target, but all columns are features; there is no 'kind'" in message


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
