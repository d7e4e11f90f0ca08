"""How fast and how large are programs in C? On this machine, and on a Cortex-M4 of QEMU.

The calls on this machine are timed by the program itself. QEMU counts instructions, not cycles. If
emlearn is installed, its program for the same network is measured on the Cortex-M4.
"""

import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import fastnn as fn
from bench.common import Measured, Record

MACHINES = Path(__file__).parents[1] / "tests" / "c_code" / "machines"
COMPILERS = {
    "gcc -O3": ["gcc", "-O3"],
    "gcc -O3 native": ["gcc", "-O3", "-march=native", "-fno-trapping-math"],
    "clang -O3": ["clang", "-O3"],
    "clang -O3 native": ["clang", "-O3", "-march=native"],
}
TIMER = """
#include "net.h"
#include <stdio.h>
#include <time.h>
static float x[NET_IN_FEATURES], y[NET_OUT_FEATURES], j[NET_OUT_FEATURES * NET_IN_FEATURES];
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}
int main(void)
{
    for (int round = 0; round < ROUNDS; ++round) {
        const double start = now();
        for (int i = 0; i < 200; ++i) {
            x[i % NET_IN_FEATURES] += 0.01f;
            CALL;
            __asm__ volatile("" : : "r"(y), "r"(j) : "memory");
        }
        printf("%.3f\\n", (now() - start) / 200);
    }
    return 0;
}
"""
# The timer of the board counts 25 MHz, and QEMU lets an instruction last a nanosecond.
COUNTER = """
#include "net.h"
#include <stdint.h>
#define REGISTER(a) (*(volatile uint32_t *)(a))
void print(const char *text);
static float x[NET_IN_FEATURES], y[NET_OUT_FEATURES];
int main(void)
{
    char text[9] = {0};
    uint32_t ticks;
    REGISTER(0xE000E014) = 0xffffff;
    REGISTER(0xE000E018) = 0;
    REGISTER(0xE000E010) = 5;
    ticks = REGISTER(0xE000E018);
    for (int i = 0; i < 1000; ++i) {
        x[0] += 0.01f;
        net_predict(x, y);
    }
    ticks = (ticks - REGISTER(0xE000E018)) & 0xffffff;
    for (int i = 7; i >= 0; --i, ticks /= 10) {
        text[i] = (char)('0' + ticks % 10);
    }
    print(text);
    return 0;
}
"""
NETWORKS = {
    "1-16-16-1 relu": ([1, 16, 16, 1], fn.ReLU),
    "64-64": ([64, 64], None),
    "10-64-64-3 tanh": ([10, 64, 64, 3], fn.Tanh),
}


def network(widths, activation):
    """Return a network of linear layers with activations between them."""
    layers = []
    for i in range(len(widths) - 1):
        layers += [fn.Linear(widths[i], widths[i + 1]), *([activation()] if activation else [])]
    return fn.Network(layers[:-1] if activation else layers, seed=0)


def output_of(*command, folder):
    """Run a command in a folder, and return what it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def nanoseconds(folder, compiler, call, rounds):
    """Return the time of a call in C."""
    text = TIMER.replace("CALL", call).replace("ROUNDS", str(rounds))
    (folder / "main.c").write_text(text, encoding="utf-8")
    output_of(*compiler, "-std=gnu99", "-o", "main", "main.c", "net.c", "-lm", folder=folder)
    times = np.array(output_of("./main", folder=folder).split(), float)[1:]
    return Measured(times.min(), float(np.median(times)))


def on_cortex_m4(folder, level, *flags):
    """Return the bytes of the program without its caller, and the instructions of a prediction."""
    build = "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard".split()
    build += [level, "-std=gnu99", *flags]
    (folder / "main.c").write_text(COUNTER, encoding="utf-8")
    output_of(*build, "-c", "net.c", "main.c", folder=folder)
    size = output_of("arm-none-eabi-size", "net.o", folder=folder).splitlines()[1].split()[0]
    link = ["-nostartfiles", "--specs=nosys.specs", "-T", MACHINES / "cortex_m4.ld"]
    output_of(
        *(*build, *link, "-o", "net.elf", MACHINES / "cortex_m4.c", "main.o", "net.o", "-lm"),
        folder=folder,
    )
    qemu = "qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none -icount shift=0"
    semihosting = ["-semihosting-config", "enable=on,target=native", "-kernel", "net.elf"]
    ticks = int(output_of(*qemu.split(), *semihosting, folder=folder))
    return Measured(int(size)), Measured(ticks * 40 / 1000)


def emlearn_program(folder, net):
    """Write the program of emlearn for a network, as one of fastnn; return the compiler's flags."""
    import emlearn
    from sklearn.neural_network import MLPRegressor

    widths = tuple(layer.out_features for layer in net.layers[:-1:2])
    model = MLPRegressor(hidden_layer_sizes=widths, max_iter=1).fit([[0.0], [1.0]], [0.0, 1.0])
    model.coefs_ = [layer.weight.T for layer in net.layers[::2]]
    model.intercepts_ = [layer.bias for layer in net.layers[::2]]
    emlearn.convert(model, method="inline").save(file=str(folder / "eml.h"), name="eml")
    call = "void net_predict(const float *x, float *y) { eml_regress(x, 1, y, 1); }"
    (folder / "net.c").write_text(f'#include "net.h"\n#include "eml.h"\n{call}\n', encoding="utf-8")
    return [f"-I{emlearn.includedir}", "-ffunction-sections", "-Wl,--gc-sections"]


def run(settings):
    rounds = 20 if settings.quick else 2000
    here = {name: own for name, own in COMPILERS.items() if shutil.which(own[0])}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case, arguments in list(NETWORKS.items())[: 1 if settings.quick else None]:
            net = network(*arguments)
            net.export_c(folder / "net.c", jacobian=True)
            for call in ("net_predict(x, y)", "net_jacobian(x, y, j)"):
                results = {key: nanoseconds(folder, own, call, rounds) for key, own in here.items()}
                yield Record(f"{case}, {call[4:].split('(')[0]}", "ns", results)
        if all(map(shutil.which, ("arm-none-eabi-gcc", "qemu-system-arm"))):
            net = network(*NETWORKS["1-16-16-1 relu"])
            calibration = np.linspace(-1, 1, 100)[:, np.newaxis]
            kinds = {
                "float": {},
                "float, unrolled": {"unroll": True},
                "int8": {"quantize": calibration},
            }
            if importlib.util.find_spec("emlearn"):
                kinds["emlearn"] = None
            for kind, options in kinds.items():
                flags = []
                if options is None:
                    flags = emlearn_program(folder, net)
                else:
                    net.export_c(folder / "net.c", **options)
                levels = ("-Os", "-O2", "-O3")
                found = {level: on_cortex_m4(folder, level, *flags) for level in levels}
                case = f"1-16-16-1 relu on a Cortex-M4, {kind}"
                yield Record(case, "bytes", {level: pair[0] for level, pair in found.items()})
                yield Record(
                    case, "instructions", {level: pair[1] for level, pair in found.items()}
                )
