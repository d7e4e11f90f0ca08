"""Programs in C on simulated machines give the bits of the same programs here."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_programs import C99, CLEAN, Program, demand, random_network

import fastnn as fn

HERE = Path(__file__).parent / "machines"
CORTEX_M4 = "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard".split()
ATMEGA = "atmega1284p"
MAIN = """
#include "net.h"
void print(const char *text);
static const unsigned char bytes[] = {BYTES};
static void print_bytes(const void *from, unsigned n)
{
    for (unsigned i = 0; i < n; ++i) {
        const unsigned byte = ((const unsigned char *)from)[i];
        char text[3] = {0};
        text[0] = "0123456789abcdef"[byte >> 4];
        text[1] = "0123456789abcdef"[byte & 15];
        print(text);
    }
}
int main(void)
{
    SCALAR x[NET_IN_FEATURES], y[NET_OUT_FEATURES], j[NET_OUT_FEATURES * NET_IN_FEATURES];
    const unsigned char *next = bytes;
    while (next != bytes + sizeof bytes) {
        for (unsigned i = 0; i < sizeof x; ++i) {
            ((unsigned char *)x)[i] = *next++;
        }
        net_jacobian(x, y, j);
        print_bytes(y, sizeof y);
        print_bytes(j, sizeof j);
        print("\\n");
    }
    return 0;
}
"""


def small_network(dtype, width=16):
    """Return a network 1-16-16-1, or with another width and two smooth activations."""
    if width == 16:
        layers = [fn.Linear(1, 16), fn.ReLU(), fn.Linear(16, 16), fn.ReLU(), fn.Linear(16, 1)]
    else:
        layers = [fn.Linear(2, width), fn.Tanh(), fn.LayerNorm(width), fn.GELU()]
        layers += [fn.Linear(width, 3), fn.LogSoftmax()]
    return fn.Network(layers, dtype, seed=0)


def inputs_and_lines(net, folder, n):
    """Write the program; return inputs, and y and the Jacobian of each in hexadecimal.

    A network in int8 has no Jacobian.
    """
    X = np.random.default_rng(0).normal(size=(n, net.in_features)).astype(net.dtype)
    main = MAIN
    if isinstance(net, fn.Network):
        outputs, jacobians = Program(net, folder, "jacobian")("jacobian", X)
        flat = np.concatenate([outputs, jacobians.reshape(n, -1)], axis=1)
    else:
        flat = Program(net, folder)("predict", X)
        main = MAIN.replace("jacobian(x, y, j)", "predict(x, y)")
        main = main.replace(", j[NET_OUT_FEATURES * NET_IN_FEATURES]", "")
        main = main.replace("print_bytes(j, sizeof j);", "")
    scalar = {"float32": "float", "float64": "double"}[str(net.dtype)]
    main = main.replace("BYTES", ",".join(map(str, X.tobytes()))).replace("SCALAR", scalar)
    (folder / "main.c").write_text(main, encoding="utf-8")
    return X, [row.tobytes().hex() for row in flat]


def output_of(*command, **options):
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("seed", [None, 1, 11, 20])
def test_a_cortex_m4(seed, dtype, tmp_path):
    """LayerNorm, softmax, embeddings and blocks are among the layers."""
    demand("arm-none-eabi-gcc")
    demand("qemu-system-arm")
    run_on_a_cortex_m4(
        small_network(dtype) if seed is None else random_network(seed, dtype), tmp_path
    )


def test_int8_on_a_cortex_m4(tmp_path, rng):
    demand("arm-none-eabi-gcc")
    demand("qemu-system-arm")
    layers = [fn.Linear(2, 8), fn.Tanh(), fn.Linear(8, 8), fn.ReLU(), fn.Linear(8, 3), fn.Softmax()]
    run_on_a_cortex_m4(fn.Network(layers, seed=0).quantize(rng.normal(size=(100, 2))), tmp_path)


def run_on_a_cortex_m4(net, tmp_path):
    _, lines = inputs_and_lines(net, tmp_path, 20)
    build = ["arm-none-eabi-gcc", *CORTEX_M4, "-O2", *C99]
    output_of(*build, *CLEAN, "-c", "net.c", "main.c", cwd=tmp_path)
    link = ["-nostartfiles", "--specs=nosys.specs", "-T", HERE / "cortex_m4.ld"]
    output_of(
        *build, *link, "-o", "net.elf", HERE / "cortex_m4.c", "net.o", "main.o", "-lm", cwd=tmp_path
    )
    qemu = "qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none".split()
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    found = output_of(*qemu, *semihosting, "-kernel", tmp_path / "net.elf")
    assert found.split() == lines


def test_the_size_of_a_small_network(tmp_path):
    """321 weights take 1,284 bytes of flash memory."""
    demand("arm-none-eabi-gcc")
    small_network("float32").export_c(tmp_path / "net.c")
    build = ["arm-none-eabi-gcc", *CORTEX_M4, "-Os", *C99, "-c", "net.c"]
    output_of(*build, cwd=tmp_path)
    sizes = output_of("arm-none-eabi-size", tmp_path / "net.o").splitlines()[1].split()
    text, data, bss = map(int, sizes[:3])
    assert text < 2000
    assert data == bss == 0


@pytest.mark.parametrize("int8", [False, True])
def test_an_atmega(int8, tmp_path, rng):
    """A processor of 8 bits, whose int has 16 bits."""
    demand("avr-gcc")
    demand("simavr")
    net = small_network("float32", 8)
    if int8:
        net = fn.Network([fn.Linear(2, 9), fn.Tanh(), fn.Linear(9, 3)], seed=0)
        net = net.quantize(rng.normal(size=(100, 2)))
    _, lines = inputs_and_lines(net, tmp_path, 5)
    build = ["avr-gcc", f"-mmcu={ATMEGA}", "-Os", *C99, *CLEAN]
    output_of(*build, "-o", "net.elf", HERE / "atmega.c", "main.c", "net.c", "-lm", cwd=tmp_path)
    found = output_of("simavr", "-m", ATMEGA, "-f", "16000000", tmp_path / "net.elf")
    assert [line for line in lines if line not in found] == []


def test_a_double_of_32_bits_is_an_error(tmp_path):
    demand("avr-gcc")
    small_network("float64").export_c(tmp_path / "net.c")
    command = ["avr-gcc", f"-mmcu={ATMEGA}", *C99, "-c", "net.c"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode != 0
    assert "net_double_has_64_bits" in done.stderr


@pytest.mark.parametrize("seed", [1, 11, 20])
def test_web_assembly(seed, dtype, tmp_path):
    demand("clang")
    demand("wasm-ld")
    demand("node")
    net = random_network(seed, dtype)
    X, lines = inputs_and_lines(net, tmp_path, 20)
    # there is no C library; the machine has an instruction for square roots
    declared = [
        f"static inline {t} sqrt{f}({t} x) {{ return __builtin_sqrt{f}(x); }}\n"
        for t, f in (("float", "f"), ("double", ""))
    ]
    (tmp_path / "math.h").write_text("".join(declared), encoding="utf-8")
    exports = ["-Wl,--no-entry", "-Wl,--export=net_jacobian", "-Wl,--export=__heap_base"]
    build = [
        "clang",
        "--target=wasm32",
        "-mbulk-memory",
        "-O1",
        "-fno-builtin",
        *C99,
        *CLEAN,
        "-isystem",
        ".",
    ]
    output_of(*build, *exports, "-nostdlib", "-o", "net.wasm", "net.c", cwd=tmp_path)
    size, d, m = net.dtype.itemsize, net.in_features, net.out_features
    found = output_of(
        *("node", HERE / "web_assembly.mjs", tmp_path / "net.wasm"),
        *map(str, (size * d, size * m, size * d * m)),
        input="\n".join(x.tobytes().hex() for x in X),
    )
    assert found.split() == lines
