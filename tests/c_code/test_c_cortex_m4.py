"""Programs in C on a Cortex-M4 of QEMU give the bits of the same programs here."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_programs import CLEAN, Program, demand, random_network

import fastnn as fn

HERE = Path(__file__).parent / "cortex_m4"
FLAGS = [
    "-mcpu=cortex-m4",
    "-mthumb",
    "-mfpu=fpv4-sp-d16",
    "-mfloat-abi=hard",
    "-O2",
    "-std=c99",
    *CLEAN,
]
MAIN = """
#include "net.h"
void print(const char *text);
static const unsigned char bytes[] = {BYTES};
int main(void)
{
    SCALAR x[NET_IN_FEATURES], y[NET_OUT_FEATURES], j[NET_OUT_FEATURES * NET_IN_FEATURES];
    const unsigned char *next = bytes;
    for (int n = 0; n < SAMPLES; ++n) {
        for (unsigned i = 0; i < sizeof x; ++i) {
            ((unsigned char *)x)[i] = *next++;
        }
        net_jacobian(x, y, j);
        for (unsigned i = 0; i < sizeof y + sizeof j; ++i) {
            const unsigned char *from = (const unsigned char *)y + i;
            char text[3] = {0};
            if (i >= sizeof y) {
                from = (const unsigned char *)j + (i - sizeof y);
            }
            text[0] = "0123456789abcdef"[*from >> 4];
            text[1] = "0123456789abcdef"[*from & 15];
            print(text);
        }
        print("\\n");
    }
    return 0;
}
"""


def sine_network(dtype):
    return fn.Network(
        [fn.Linear(1, 16), fn.ReLU(), fn.Linear(16, 16), fn.ReLU(), fn.Linear(16, 1)], dtype, seed=0
    )


@pytest.mark.parametrize("seed", [None, 1, 11, 20])
def test_the_same_bits(seed, dtype, tmp_path, rng):
    """LayerNorm, softmax, embeddings and blocks are among the layers."""
    demand("arm-none-eabi-gcc")
    demand("qemu-system-arm")
    net = sine_network(dtype) if seed is None else random_network(seed, dtype)
    program = Program(net, tmp_path, "jacobian")
    X = rng.normal(size=(20, net.in_features)).astype(dtype)
    outputs, jacobians = program("jacobian", X)
    main = MAIN.replace("BYTES", ",".join(map(str, X.tobytes()))).replace("SAMPLES", "20")
    (tmp_path / "main.c").write_text(
        main.replace("SCALAR", {"float32": "float", "float64": "double"}[dtype])
    )
    build = ["arm-none-eabi-gcc", *FLAGS]
    subprocess.run(
        [*build, "-c", tmp_path / "net.c", tmp_path / "main.c"], check=True, cwd=tmp_path
    )
    linked = ["-nostartfiles", "--specs=nosys.specs", "-T", HERE / "link.ld", "-Wno-pedantic"]
    objects = [HERE / "start.c", tmp_path / "net.o", tmp_path / "main.o", "-lm"]
    subprocess.run([*build, *linked, "-o", tmp_path / "net.elf", *objects], check=True)
    qemu = "qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none".split()
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    done = subprocess.run(
        [*qemu, *semihosting, "-kernel", tmp_path / "net.elf"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = (done.stdout + done.stderr).split()
    flat = np.concatenate([outputs, jacobians.reshape(20, -1)], axis=1)
    assert lines == [row.tobytes().hex() for row in flat]


def test_the_size_of_a_small_network(tmp_path):
    """321 weights take 1,284 bytes of flash memory."""
    demand("arm-none-eabi-gcc")
    demand("arm-none-eabi-size")
    sine_network("float32").export_c(tmp_path / "net.c")
    target = tmp_path / "net.o"
    command = ["arm-none-eabi-gcc", *FLAGS, "-Os", "-c", "-o", target, tmp_path / "net.c"]
    subprocess.run(command, check=True)
    done = subprocess.run(
        ["arm-none-eabi-size", target], capture_output=True, text=True, check=True
    )
    text, data, bss = map(int, done.stdout.splitlines()[1].split()[:3])
    assert (text < 2000, data, bss) == (True, 0, 0)
