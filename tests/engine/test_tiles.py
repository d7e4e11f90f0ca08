"""The compiled register tiles: their loops over k keep every sum in a register.

The assembly of x86-64 and of 64-bit ARM is read. A cross compiler writes the other machine's.
"""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from fastnn import _core

HEADERS = Path(_core.__file__).parent / "kernels"
MACHINE = sysconfig.get_platform().split("-")[-1]
COMPILERS = {
    "x86_64": "x86_64-linux-gnu-gcc",
    "aarch64": "aarch64-linux-gnu-gcc",
    MACHINE: (sysconfig.get_config_var("CC") or "cc").split()[0],
}
BUILDS = {"x86_64": ["baseline"], "aarch64": ["baseline"], MACHINE: _core.available_isas()}
PRODUCT = {"x86_64": r"\tv?(?:fmadd|mul)\w*p[sd]\t", "aarch64": r"\tfmla\tv"}
JUMP = {"x86_64": r"\tj\w+\t(\S+)", "aarch64": r"\t(?:b\.?\w*|cbn?z|tbn?z)\t(?:.*, )?(\.L\w+)"}
VECTOR = r"mm\d|\b[vqds]\d"
SOURCE = """
#include "kernels.h"
const void *tables[] = {
    f32_tiles, f64_tiles, f32_dots, f64_dots, f32_actives, f64_actives};
"""


def functions(assembly):
    """Each function's name and lines."""
    for match in re.finditer(r"^(f(?:32|64)_\w+):\n(.*?)^\t\.size", assembly, re.M | re.S):
        yield match[1], match[2].splitlines()


def loop_over_k(lines, machine):
    """Return the products of the loop that has the most, and this loop. It has no other jump."""
    labels = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
    loops = [([], [])]
    for i, line in enumerate(lines):
        jump = re.match(JUMP[machine], line)
        if jump and labels.get(jump[1], i) < i:
            body = lines[labels[jump[1]] : i]
            if not any(re.match(JUMP[machine], inner) for inner in body):
                loops.append(([line for line in body if re.match(PRODUCT[machine], line)], body))
    return max(loops, key=lambda loop: len(loop[0]))


def loops_over_k(machine, isa, tmp_path):
    """Return the loop of each tile, compiled with the engine's flags; no sum may be in memory."""
    compiler = COMPILERS[machine]
    if shutil.which(compiler) is None or not (HEADERS / "kernels.h").exists():
        pytest.skip(f"no {compiler}, or no headers beside the installed package")
    flags = _core.load_engine(isa).flags.split()
    flags = [flag for flag in flags if not flag.startswith("-fsanitize")]
    source, target = tmp_path / "tiles.c", tmp_path / "tiles.s"
    source.write_text(SOURCE, encoding="utf-8")
    command = [compiler, *flags, "-w", "-I", str(HEADERS), "-S", str(source), "-o", str(target)]
    subprocess.run(command, check=True)
    assembly = target.read_text(encoding="utf-8")
    # without masks, those over active units read the end of a row in a loop of its own
    kinds = "tile|dot|active" if "ymm" in assembly else "tile|dot"
    loops = {
        name: loop_over_k(lines, machine)
        for name, lines in functions(assembly)
        if re.search(rf"_({kinds})_\d", name)
    }
    assert len(loops) > 40
    for name, (products, loop) in loops.items():
        rows, vectors = map(int, re.search(r"(\d+)x(\d)$", name).groups())
        assert len(products) >= rows * vectors, name
        spilled = [line for line in loop if re.search(VECTOR, line) and re.search(r"sp[]),]", line)]
        assert not spilled, (name, spilled)
    return loops


@pytest.mark.parametrize("isa", BUILDS["x86_64"])
def test_loops_over_k_keep_their_sums_in_registers(isa, tmp_path):
    loops_over_k("x86_64", isa, tmp_path)


def test_loops_over_k_on_arm_multiply_by_a_lane(tmp_path):
    """Each loaded factor is used from its register: no instruction copies it to all lanes."""
    loops = loops_over_k("aarch64", "baseline", tmp_path)
    for name, (products, loop) in loops.items():
        if "_tile_" in name:
            assert all(re.search(r"\.[sd]\[\d\]$", product) for product in products), name
            assert not [line for line in loop if re.match(r"\t(?:ld1r|dup|mov\tv)", line)], name
