"""`python -m bench.arm`: multiply-adds per cycle of the tiles on 64-bit ARM, by a model of CPUs.

Needs aarch64-linux-gnu-gcc (or clang, with CC=clang) and llvm-mca of LLVM 17 or later, whose name
MCA may give. The model knows no caches, so these are upper limits.
"""

import os
import re
import shlex
import subprocess

from bench import ROOT
from fastnn import _core

CPUS = ["neoverse-n1", "neoverse-n2", "neoverse-v1", "neoverse-v2", "apple-m1", "cortex-a72"]
KERNELS = ROOT / "fastnn" / "_core" / "kernels"
SOURCE = '#include "kernels.h"\nconst void *tables[] = {f32_tiles, f64_tiles, f32_dots, f64_dots};'
ITERATIONS = 200
MCA = os.environ.get("MCA", "llvm-mca")


def assembly():
    """Compile the tiles with the flags of fastnn's build."""
    compiler = shlex.split(os.environ.get("CC", "aarch64-linux-gnu-gcc"))
    flags = [flag for flag in _core.load_engine("baseline").flags.split() if "=dynamic" not in flag]
    if "clang" in compiler[0]:
        compiler += ["--target=aarch64-linux-gnu", "-idirafter", "/usr/aarch64-linux-gnu/include"]
    command = [*compiler, *flags, "-w", "-I", str(KERNELS), "-x", "c", "-", "-S", "-o", "-"]
    return subprocess.run(command, input=SOURCE, text=True, check=True, capture_output=True).stdout


def loop_over_k(function):
    """Return the lines of the loop with the most multiply-adds."""
    lines = [re.sub(r"\s*//.*", "", line) for line in function.splitlines()]
    labels = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
    loops = [[]]
    for i, line in enumerate(lines):
        jump = re.match(r"\t(?:b\.?\w+|cbn?z)\t(?:.*, )?(\.L\w+)", line)
        if jump and labels.get(jump[1], i) < i:
            body = lines[labels[jump[1]] + 1 : i + 1]
            if not any(inner.endswith(":") for inner in body):
                loops.append([line for line in body if line.strip()])
    return max(loops, key=multiply_adds)


def multiply_adds(loop):
    return sum(line.startswith("\tfmla") for line in loop)


def cycles(loop, cpu):
    """Return the cycles of one turn of the loop."""
    command = [MCA, "-mtriple=aarch64", f"-mcpu={cpu}", f"-iterations={ITERATIONS}"]
    text = "\n".join(loop)
    ran = subprocess.run(command, input=text, text=True, check=True, capture_output=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", ran.stdout)[1]) / ITERATIONS


def main():
    """Print a line for each tile."""
    print("tile".ljust(14), *(cpu.rjust(11) for cpu in CPUS))
    pattern = r"^(f\d\d_(?:tile|dot)_\w+):.*\n((?:.*\n)*?)\s+\.size"
    for name, function in sorted(re.findall(pattern, assembly(), re.MULTILINE)):
        loop = loop_over_k(function)
        rates = (multiply_adds(loop) / cycles(loop, cpu) for cpu in CPUS)
        print(name.ljust(14), *(f"{rate:11.2f}" for rate in rates))


if __name__ == "__main__":
    main()
