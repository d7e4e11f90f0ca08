"""The code on the pages of the documentation runs and prints what it says."""

import doctest
import json
import re
import shutil
import subprocess

import mpi_runs
import numpy as np
import pytest
from pages import COURSE, EXPLANATION, HOWTO, PAGES, blocks_of, numbers, section

import fastnn as fn

# `test_course.py`, `test_howto.py` and `test_explanation.py` run the pages of their folders
ELSEWHERE = {*COURSE, *HOWTO, *EXPLANATION}
BLOCKS = [block for page in PAGES if page not in ELSEWHERE for block in blocks_of(page)]
TEN_MINUTES = [b for b in BLOCKS if b.page == "docs/first_steps.md" and b.language == "python"]
TESTED = set(TEN_MINUTES)


def block(page, heading, number=0):
    """Return one Python block."""
    (found,) = [b for b in BLOCKS if (b.page, b.heading, b.number) == (page, heading, number)]
    assert found.language == "python"
    return found


def shows(page, heading, number=0):
    """Give a test the code of one Python block, as its argument `example`."""
    found = block(page, heading, number)
    TESTED.add(found)
    return pytest.mark.parametrize("example", [found.code], ids=[f"{page}: {heading}"])


def run(example):
    exec(compile(example, "example", "exec"), {})


def printed(example):
    """Return the comments behind the `print` calls of an example, one line each."""
    return "".join(f"{text}\n" for text in re.findall(r"^print\(.*\)  # (.*)$", example, re.M))


@shows("docs/distributed.md", "One network on several ranks")
def test_two_ranks(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, errors = mpi_runs.run(2, example)
    assert code == 0, errors
    assert out == re.sub(".*# ", "", printed(re.sub("^    ", "", example, flags=re.M)))
    assert fn.load("net.safetensors").n_params == 114


@shows("docs/distributed.md", "An iterable on each rank")
def test_two_ranks_with_iterables(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, errors = mpi_runs.run(2, example)
    assert code == 0, errors
    assert out == re.sub(".*# ", "", printed(re.sub("^    ", "", example, flags=re.M)))


@shows("docs/distributed.md", "When a further rank pays")
def test_when_a_rank_pays(example, capsys):
    run(example)
    assert capsys.readouterr().out in section("docs/distributed.md", "When a further rank pays")


@shows("docs/distributed.md", "Many networks", 0)
def test_many_networks_in_threads(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/distributed.md", "Many networks", 1)
def test_many_networks_on_dask(example, capsys):
    pytest.importorskip("distributed")
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/distributed.md", "Many networks", 2)
def test_many_networks_on_ray(example, capsys):
    pytest.importorskip("ray")
    pytest.importorskip("joblib")
    run(example)
    assert capsys.readouterr().out == printed(example)


@pytest.mark.filterwarnings("ignore")
@shows("docs/distributed.md", "Searches")
def test_a_search(example, capsys):
    pytest.importorskip("sklearn")
    run(example)
    assert capsys.readouterr().out == printed(example)


def test_the_script_for_slurm_is_valid():
    (script,) = [b for b in BLOCKS if (b.page, b.heading) == ("docs/distributed.md", "Slurm")]
    subprocess.run(["bash", "-n"], input=script.code, text=True, check=True)


@shows("README.md", "Train a network")
def test_training_a_network(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(example)
    accuracy, labels = capsys.readouterr().out.split("\n", 1)
    assert float(accuracy) > 0.9
    assert labels.strip() == "[0 1 2]"


@shows("README.md", "Differentiate it")
def test_differentiating_a_network(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/index.md", "fastnn")
def test_the_first_classifier(example, capsys):
    run(example)
    assert capsys.readouterr().out == "0\n"


@shows("README.md", "Use it in place of scikit-learn")
def test_the_swap_for_scikit_learn(example, capsys):
    pytest.importorskip("sklearn")
    run(example)
    assert float(capsys.readouterr().out) == pytest.approx(0.973, abs=0.005)


def test_ten_minutes(tmp_path, monkeypatch, capsys):
    """The blocks of the page are one program. Another processor may change the last digits."""
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    code = "".join(block.code for block in TEN_MINUTES)
    run(code)
    found, wanted = capsys.readouterr().out, printed(code)
    assert len(wanted.splitlines()) == code.count("print(")
    assert re.sub(r"[\d.]+", "", found) == re.sub(r"[\d.]+", "", wanted)
    assert numbers(found) == pytest.approx(numbers(wanted), abs=0.015)


@shows("docs/layers.md", "Networks and layers")
def test_a_network(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/layers.md", "Layers")
def test_scale_and_parametric(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/layers.md", "Embeddings of columns")
def test_embeddings_of_columns(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/layers.md", "Skip connections and branches")
def test_skip_connections(example, capsys):
    run(example)
    found = capsys.readouterr().out.splitlines()
    assert [found[0], found[1], found[-1]] == printed(example).splitlines()
    assert "Parallel, sum" in "".join(found)


@shows("docs/layers.md", "A layer of your own")
def test_a_layer_of_your_own(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/layers.md", "Values between the layers")
def test_the_values_between_the_layers(example, capsys):
    run(example)
    assert capsys.readouterr().out == "".join(re.findall(r"^# (.*\n)", example, re.M))


@shows("docs/training.md", "Training")
def test_training(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(example)
    first = capsys.readouterr().out
    epochs, accuracy = first.split()
    assert 10 < int(epochs) < 200
    assert float(accuracy) > 0.95
    run(example)  # resumes from the checkpoint, where nothing is left to do
    assert capsys.readouterr().out == first


@shows("docs/training.md", "Initial weights from data")
def test_initial_weights_from_data(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/training.md", "Units of features and targets")
def test_units_of_features_and_targets(example, capsys):
    run(example)
    mean, error = numbers(capsys.readouterr().out)
    assert mean == pytest.approx(300_000, rel=0.1)
    assert error < 20_000


@shows("docs/training.md", "Sparse data")
def test_sparse_data(example, capsys):
    pytest.importorskip("scipy")
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/training.md", "Callbacks")
def test_the_ready_callbacks(example, tmp_path, monkeypatch, capsys):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.chdir(tmp_path)
    run(example)
    assert "'width': " in capsys.readouterr().out
    logs = [
        (tmp_path / f"trial{i}.csv").read_text(encoding="utf-8").splitlines() for i in range(20)
    ]
    assert len(logs[0]) == 51
    assert min(map(len, logs)) < 51  # a trial was pruned


@shows("docs/plots.md", "Plots")
def test_the_pictures_of_a_network(example, tmp_path, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    try:
        run(example)
    finally:
        pyplot.close("all")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["boundary.png", "curve.png", "histograms.png", "network.png"]


@shows("docs/training.md", "MNIST")
def test_the_recipe_for_mnist(example, shared_data, monkeypatch, capsys):
    """One epoch of the forty; `python -m bench mnist` trains them all."""
    monkeypatch.chdir(shared_data)
    assert "epochs=40" in example
    run(example.replace("epochs=40", "epochs=1"))
    assert float(capsys.readouterr().out) > 0.85


@shows("docs/training.md", "MNIST", 1)
def test_the_file_of_mnist_digits(example, tmp_path, monkeypatch, rng):
    """With made-up digits in place of the download."""
    datasets = pytest.importorskip("sklearn.datasets")
    pixels = rng.integers(0, 256, (70_000, 784), np.uint8)
    labels = rng.integers(0, 10, 70_000)

    def fetch_openml(name, *, return_X_y, as_frame):
        assert (name, return_X_y, as_frame) == ("mnist_784", True, False)
        return pixels, labels.astype(str).astype(object)

    monkeypatch.setattr(datasets, "fetch_openml", fetch_openml)
    monkeypatch.chdir(tmp_path)
    run(example)
    with np.load("mnist10k.npz") as arrays:
        X, y = arrays["X"], arrays["y"]
    assert X.dtype == y.dtype == np.uint8
    assert np.array_equal(X, pixels[60_000:])
    assert np.array_equal(y, labels[60_000:])


@shows("docs/losses.md", "Weights of samples and classes")
def test_weights_and_quantiles(example, capsys):
    run(example)
    found, between = map(float, capsys.readouterr().out.split())
    assert found > 0.85
    assert abs(between - 0.8) < 0.05


@shows("docs/losses.md", "Missing targets and weights of outputs")
def test_missing_targets(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/losses.md", "Probabilities of classes")
def test_probabilities(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/uncertainty.md", "Uncertainty")
def test_the_delta_method(example, capsys):
    run(example)
    first, second, covered, *_ = numbers(output := capsys.readouterr().out)
    assert abs(first - 0.1) < 0.02
    assert abs(second - 0.3) < 0.05
    assert abs(covered - 0.95) < 0.03
    assert output.endswith("[ True  True]\n")


@shows("docs/uncertainty.md", "After a Bayesian fit")
def test_a_bayesian_posterior(example, capsys):
    run(example)
    gamma, sure, unsure = numbers(capsys.readouterr().out)
    assert 6 < gamma < 10
    assert sure < 0.3
    assert unsure > 2 * sure


@shows("docs/uncertainty.md", "Ensembles far from the data")
def test_an_ensemble_far_from_the_data(example, capsys):
    run(example)
    spread_near, spread_far, error_near, error_far = numbers(capsys.readouterr().out)
    assert spread_near < 0.04
    assert 3 * spread_near < spread_far < 0.2
    assert error_near < 0.1
    assert error_far > 10 * spread_far


@shows("docs/losses.md", "A loss of your own")
def test_a_loss_of_your_own(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/optimizers.md", "Optimizers and schedules")
def test_optimizers_and_schedules(example, capsys):
    run(example)
    rates, state = capsys.readouterr().out.splitlines()
    first, second, third = json.loads(rates)
    assert 0 < first < second < third < 0.01  # the rate rises for two epochs, then falls slowly
    assert printed(example).splitlines()[1] == state


@shows("docs/optimizers.md", "Groups of parameters")
def test_groups_of_parameters(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/optimizers.md", "Steps with your own gradient")
def test_steps_with_an_own_gradient(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/losses.md", "Residuals of your own")
def test_own_residuals(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/optimizers.md", "Small data and uncertainty")
def test_small_data(example, capsys):
    run(example)
    gamma, noise, sure_0, sure_1, spread_0, spread_1 = numbers(capsys.readouterr().out)
    assert 6 < gamma < 10
    assert noise == pytest.approx(0.2, abs=0.05)
    assert sure_0 == pytest.approx(np.sin(2), abs=0.15)
    assert np.isfinite(sure_1)
    assert 10 * spread_0 < spread_1


@shows("docs/derivatives.md", "Derivatives")
def test_the_worked_derivatives(example, capsys):
    run(example)
    comments = "".join(re.findall(r"^#.*\n", example, re.M))
    assert len(numbers(comments)) == 3 * 12
    assert numbers(capsys.readouterr().out) == numbers(comments)


@shows("docs/derivatives.md", "Many networks at once")
def test_many_networks_at_once(example, capsys):
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/derivatives.md", "Trace one sample")
def test_the_trace_of_a_sample(example, capsys):
    run(example)
    comments = re.findall(r"(?:^|  )# (.*)$", example, re.M)
    assert capsys.readouterr().out.splitlines() == comments


@shows("docs/explain.md", "A pass, written out")
def test_a_pass_written_out(example, capsys):
    run(example)
    shown = blocks_of("docs/explain.md")[1]
    assert (shown.language, capsys.readouterr().out) == ("text", shown.code)


@shows("docs/explain.md", "The layout")
def test_the_layout_of_an_explanation(example, capsys):
    run(example)
    comments = re.findall(r"(?:^|  )# (.*)$", example, re.M)
    assert capsys.readouterr().out.splitlines() == comments


@shows("docs/derivatives.md", "Plot a Jacobian")
def test_the_picture_of_a_jacobian(example, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    run(example)
    assert (tmp_path / "jacobian.png").read_bytes().startswith(b"\x89PNG")


@shows("docs/export.md", "C")
def test_a_program_in_c(example, tmp_path, monkeypatch, capsys):
    """The program in C on the page prints the numbers of the example."""
    if shutil.which("gcc") is None:
        pytest.skip("the compiler gcc is not installed")
    monkeypatch.chdir(tmp_path)
    run(example)
    assert capsys.readouterr().out == printed(example)
    _, main, command, *_ = blocks_of("docs/export.md")
    assert (main.language, command.language) == ("c", "sh")
    (tmp_path / "main.c").write_text(main.code, encoding="utf-8")
    done = subprocess.run(["sh", "-c", command.code], capture_output=True, text=True, check=True)
    assert numbers(done.stdout) == numbers(printed(example))


@shows("docs/export.md", "int8")
def test_a_network_in_int8(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(example)
    assert capsys.readouterr().out == printed(example)
    assert (tmp_path / "digits.c").exists()


@shows("docs/export.md", "CasADi")
def test_a_function_of_casadi(example, capfd):
    pytest.importorskip("casadi")
    run(example)
    assert capfd.readouterr().out == printed(example)


@shows("docs/estimators.md", "What fastnn adds")
def test_what_the_estimators_add(example, capsys):
    pytest.importorskip("sklearn")
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/tables.md", "Train on a table")
def test_training_on_a_table(example, tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/tables.md", "Look at the result")
def test_looking_at_the_result_of_a_table(example, tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    first = block("docs/tables.md", "Train on a table").code
    run(first + example)
    assert capsys.readouterr().out == printed(first) + printed(example)


@shows("docs/tables.md", "Encode a table")
def test_encoding_a_table(example, capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    run(example)
    comments = re.findall(r"(?:^|  )# (.*)$", example, re.M)
    assert capsys.readouterr().out.splitlines() == comments


@shows("docs/exchange.md", "ONNX")
def test_an_onnx_file(example, tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/exchange.md", "PyTorch")
def test_modules_of_pytorch(example, capsys):
    pytest.importorskip("torch")
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/exchange.md", "A network inside another graph")
def test_a_network_inside_a_graph_of_pytorch(example, capsys):
    pytest.importorskip("torch")
    run(example)
    assert capsys.readouterr().out == printed(example)


@shows("docs/exchange.md", "A network inside another graph", 1)
def test_a_network_inside_a_graph_of_jax(example, capsys):
    pytest.importorskip("jax")
    run(example)
    assert capsys.readouterr().out == printed(example)


def test_the_docstring_of_the_package():
    results = doctest.testmod(fn)
    assert results.attempted > 3
    assert results.failed == 0


def test_every_python_block_is_tested():
    assert {block for block in BLOCKS if block.language == "python"} == TESTED
