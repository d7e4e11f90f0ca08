"""The rooms of the package: an import only points down, never up or across at the top."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "fastnn"

TABLE = re.search(
    r"```layers\n(.*?)```", (SOURCE.parent / "docs" / "internals.md").read_text(), re.DOTALL
)
assert TABLE
PLACE = {name: place for place, name in enumerate(TABLE[1].split())}
KERNELS = [
    "threads",
    "dtypes",
    "sums",
    "elementary",
    "packing",
    "tiles",
    "dots",
    "active",
    "rows",
    "outer",
    "shallow",
    "rearranged",
    "gemm",
    "dense",
    "activations",
    "softmax",
    "standardize",
    "normalization",
    "batch_normalization",
    "dropout",
    "losses",
    "curvature",
    "jacobians",
    "optimizers",
    "sampling",
]


def module_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_modules(path):
    """The names directly below fastnn that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *rest = name.split(".")
            if package == "fastnn":
                yield rest[0] if rest else "fastnn"


FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path):
    here = module_of(path)
    if here == "data":
        return
    for name in imported_modules(path):
        if here in ("cli", "__main__") and name not in PLACE:
            continue  # the command line stands on the public names
        assert name in PLACE, f"{path} imports fastnn.{name}, which has no room"
        assert name == here or PLACE[name] < PLACE[here], f"{path} imports {name}: that is up"


def test_no_module_imports_itself_through_others():
    """Inside a package, too, there is an order in which its files can be read."""
    files = {".".join(p.relative_to(SOURCE).with_suffix("").parts): p for p in FILES}
    graph = {
        name: {
            target
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            for target in (node.module[7:], f"{node.module[7:]}.{alias.name}")
            if target in files and target != name
        }
        for name, path in files.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises on a circle


# What may name the engine. `runtime` reports how it was built.
NAMES_ENGINE = {
    "model.py",
    "losses/base.py",
    "layers/base.py",
    "sklearn/stochastic.py",
    "training/stepwise.py",
    "training/trainers.py",
    "runtime.py",
}


def test_few_files_name_the_engine():
    """Every other file asks `Model`, a trainer, a loss, a layer or a check."""
    naming = {
        str(path.relative_to(SOURCE))
        for path in FILES
        if module_of(path) not in {"_core", "_checks"}
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and (node.attr, getattr(node.value, "id", None)) == ("engine", "_core")
    }
    assert naming == NAMES_ENGINE


@pytest.mark.parametrize("path", sorted(SOURCE.glob("_core/kernels/*.pxd")), ids=lambda p: p.stem)
def test_kernels_import_kernels_below_them(path):
    names = re.findall(r"^from fastnn\.(\S+) cimport", path.read_text(), re.MULTILINE)
    for name in names:
        package, _, kernel = name.rpartition(".")
        assert package == "_core.kernels"
        assert KERNELS.index(kernel) < KERNELS.index(path.stem)
    assert path.stem in [*KERNELS, "__init__"]


def test_the_table_names_what_is_there():
    there = {module_of(path) for path in FILES} - {"data"}
    assert there == set(PLACE)


def test_files_are_short():
    files = [path for path in SOURCE.rglob("*") if path.suffix in {".py", ".pyx", ".pxd", ".pxi"}]
    assert len(files) > 30
    long = {path.name: n for path in files if (n := len(path.read_text().splitlines())) > 435}
    assert not long
