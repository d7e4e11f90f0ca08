"""The compiled register tiles: their loops over k keep every sum in a register."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from fastnn import _core

HEADERS = Path(_core.__file__).parent / "kernels"
COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]
SOURCE = """
#include "kernels.h"
const void *tables[] = {
    f32_tiles, f64_tiles, f32_dots, f64_dots, f32_actives, f64_actives};
"""


def functions(assembly):
    """Each function's name and lines."""
    for match in re.finditer(r"^(f(?:32|64)_\w+):\n(.*?)^\t\.size", assembly, re.M | re.S):
        yield match[1], match[2].splitlines()


def products(lines):
    return [line for line in lines if re.match(r"\tv?(fmadd|mul)\w*p[sd]\t", line)]


def loop_over_k(lines):
    """Return the loop with the most vector products, among the loops without another jump."""
    labels = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
    loops = [[]]
    for i, line in enumerate(lines):
        jump = re.match(r"\tj\w+\t(\S+)", line)
        if jump and labels.get(jump[1], i) < i:
            body = lines[labels[jump[1]] : i]
            if not any(re.match(r"\tj\w+\t", inner) for inner in body):
                loops.append(body)
    return max(loops, key=lambda loop: len(products(loop)))


@pytest.fixture(params=_core.available_isas())
def assembly(request, tmp_path):
    """Return the assembly of the tiles, with the engine's compiler and flags."""
    if shutil.which(COMPILER) is None or not (HEADERS / "kernels.h").exists():
        pytest.skip("no compiler, or no headers beside the installed package")
    flags = _core.load_engine(request.param).flags.split()
    flags = [flag for flag in flags if not flag.startswith("-fsanitize")]
    source, target = tmp_path / "tiles.c", tmp_path / "tiles.s"
    source.write_text(SOURCE, encoding="utf-8")
    command = [COMPILER, *flags, "-w", "-I", str(HEADERS), "-S", str(source), "-o", str(target)]
    subprocess.run(command, check=True)
    return target.read_text(encoding="utf-8")


@pytest.mark.skipif(
    sysconfig.get_platform().split("-")[-1] != "x86_64", reason="reads x86-64 assembly"
)
def test_loops_over_k_keep_their_sums_in_registers(assembly):
    loops = {name: loop_over_k(lines) for name, lines in functions(assembly)}
    # without masks, those over active units read the end of a row in a loop of its own
    kinds = "tile|dot|active" if "ymm" in assembly else "tile|dot"
    tiles = {name: loop for name, loop in loops.items() if re.search(rf"_({kinds})_\d", name)}
    assert len(tiles) > 40
    for name, loop in tiles.items():
        rows, vectors = map(int, re.search(r"(\d+)x(\d)$", name).groups())
        assert len(products(loop)) >= rows * vectors, name
        spilled = [line for line in loop if re.search(r"mm\d", line) and "sp)" in line]
        assert not spilled, (name, spilled)
