"""Every example of the gallery runs, draws figures with titles, and reaches what its text says."""

import ast
import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("Agg")

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"
SCRIPTS = sorted(path.name for path in GALLERY.glob("*.py"))
PACKAGES = {  # what a script needs besides matplotlib
    "plot_pendulum_mpc.py": ["casadi"],
    "plot_surrogate.py": ["scipy"],
    "plot_table.py": ["pandas", "sklearn"],
}

# What the text of each script says, as a condition on the script's variables.
CLAIMS = {
    "plot_decision_boundary.py": lambda n: n.accuracies[0] < 0.65 and n.accuracies[-1] > 0.95,
    "plot_digits.py": lambda n: n.accuracy > 0.93 and n.flipped > 0.8 and n.flipped_random < 0.1,
    "plot_ensemble.py": lambda n: (
        n.confidence_of_one > 0.9 > 0.8 > n.confidence_of_ten
        and 0.5 > n.disagree_far > n.disagree_near
    ),
    "plot_evolution_cartpole.py": lambda n: (
        n.before < 3 and n.after > 5.8 and np.mean(n.scores[15:]) > 5.8
    ),
    "plot_export_c.py": lambda n: (
        n.model_error < 0.05 and (n.c_y is None or n.difference < 1e-6)  # None without gcc
    ),
    "plot_imbalance.py": lambda n: (
        n.found_plain < 0.45 < 0.85 < n.found_balanced
        and np.isclose(*n.lowest.values(), rtol=0.1)
        and n.at_theory < 1.1 * n.lowest["no weights"]
    ),
    "plot_learning_curve.py": lambda n: (
        n.clean_history["val_loss"][-1] < 1.1 * min(n.clean_history["val_loss"])
        and n.noisy_history["val_loss"][-1] > 1.05 * min(n.noisy_history["val_loss"])
        and len(n.stopped["loss"]) < 80
        and ((share := n.errors.mean(axis=1)[1:] / n.errors.mean(axis=1)[:-1]) < 0.85).all()
        and 0.6 < share.mean() < 0.75
    ),
    "plot_learning_rate.py": lambda n: (
        n.losses[-1] > 4 * n.losses[n.best]  # the jump
        and 1 / 4 < n.SWEEP[n.final.argmin()] / n.rates[n.best] < 2
    ),
    "plot_levenberg_marquardt.py": lambda n: (
        n.error_lm < 0.05 * n.error_adam < 0.001 * n.pressure.std()
    ),
    "plot_linear_regions.py": lambda n: (
        n.rms_error < 0.03 and n.n_top > 0.2 * n.n_regions > 40 and n.difference < 1e-12
    ),
    "plot_loss_landscape.py": lambda n: (
        n.final["SGD with momentum 0.9"] < 0.9 * n.final["SGD"] and n.losses.size == 4900
    ),
    "plot_pendulum_mpc.py": lambda n: n.model_error < 0.05 and n.final_angle < 0.01,
    "plot_physics.py": lambda n: n.error_plain > 0.2 > 0.05 > n.error_physical,
    "plot_prediction_interval.py": lambda n: (
        abs(n.estimated_noise - n.NOISE) < 0.02
        and 0.93 < n.coverage < 0.97
        and (inside := np.abs(n.mean - n.truth(n.grid)[:, 0]) < 1.96 * n.deviation)[
            (n.grid[:, 0] > 45) & (n.grid[:, 0] < 70)
        ].all()
        and not inside[n.grid[:, 0] > 105].any()
    ),
    "plot_quantiles.py": lambda n: (
        abs(n.inside - 0.8) < 0.02
        and np.abs(n.shares - n.QUANTILES).max() < 0.1
        and 2.5 < (width := n.high - n.low).max() / width[-1] < 3.5
    ),
    "plot_softmax.py": lambda n: (
        n.largest_sum < 1e-15 and n.gradient_entropy > 0.999 and n.gradient_squared < 1e-4
    ),
    "plot_surrogate.py": lambda n: (
        n.surrogate_error < 0.03
        and n.surrogate_error < min(n.difference_errors)
        and n.distance < 0.02
    ),
    "plot_table.py": lambda n: (
        n.r2 > 0.9
        and abs(n.coverage - 0.9) < 0.04
        and ((n.low <= n.rent[n.test]) & (n.rent[n.test] <= n.high))[n.gap].mean() < 0.7
        and n.importance["floor"] < 0.05
    ),
    "plot_xor.py": lambda n: (
        n.solved["ReLU", 2].mean() < 0.4
        and all(n.solved[name, 8].mean() > 0.95 for name in ("ReLU", "Tanh"))
        and all(n.solved["Tanh", w].mean() >= n.solved["ReLU", w].mean() for w in n.WIDTHS)
        and n.dead_share > 0.6
    ),
}


def blocks_of(source):
    """Return the blocks of code between the cells of text, at their lines of the script."""
    lines = source.splitlines()
    starts = [0, *(i for i, line in enumerate(lines) if line == "# %%"), len(lines)]
    return ["\n" * i + "\n".join(lines[i:end]) for i, end in itertools.pairwise(starts)]


def run(block, path, names):
    """Run a block, and return the value of its last line, which the page would show."""
    tree = ast.parse(block)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, path, "exec"), names)
    return last and eval(compile(ast.Expression(last.value), path, "eval"), names)


def title_of(figure):
    """Return what sphinx-gallery takes as the alternative text of a figure."""
    return " ".join([figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)]).strip()


def test_there_are_fifteen_examples_and_all_have_claims():
    assert len(SCRIPTS) >= 15
    assert sorted(CLAIMS) == SCRIPTS
    assert set(PACKAGES) <= set(SCRIPTS)
    assert (GALLERY / "README.rst").is_file()


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_is_a_page(name):
    source = (GALLERY / name).read_text(encoding="utf-8")
    title, underline, *text = ast.get_docstring(ast.parse(source)).splitlines()
    assert re.fullmatch(r"([^\w\s])\1*", underline)
    assert len(underline) == len(title)
    assert any(text)
    assert source.count("\n# %%\n# ") >= 3
    assert not re.search(r"^# .*\S [-.]{4,}", source, re.M), "a heading has run into the text"
    pages = re.findall(r":doc:`/(.+?)`", source)
    assert pages
    assert all((GALLERY.parent / f"{page}.md").is_file() for page in pages)


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_draws_and_reaches_what_it_says(name, tmp_path, monkeypatch, capsys):
    for package in PACKAGES.get(name, []):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.close("all")
    figures, names = [], {"__name__": "__main__"}
    for block in blocks_of((GALLERY / name).read_text(encoding="utf-8")):
        value = run(block, str(GALLERY / name), names)
        assert value is None, "the page would show this value"
        shown = [plt.figure(number) for number in plt.get_fignums()]
        for figure in shown:  # sphinx-gallery saves the figures of a block, and closes them
            figure.canvas.draw()
            assert len(title_of(figure)) > 5
        plt.close("all")
        figures += shown
    assert figures
    assert not any(figure.stale for figure in figures), "a later block draws on a figure"
    assert re.search(r"\d", capsys.readouterr().out), "a figure in print"
    assert not list(tmp_path.iterdir()), "a file is left"
    assert CLAIMS[name](SimpleNamespace(**names))
