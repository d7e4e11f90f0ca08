"""What the benches say about a CPU, from the files of Linux on several makers' machines."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
cpu MHz\t\t: 2699.998
flags\t\t: fpu sse sse2 avx avx2 avx512f amx_tile

processor\t: 1
vendor_id\t: GenuineIntel
model\t\t: 143
"""
AMD = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC 9B14 96-Core Processor
flags\t\t: fpu sse sse2 avx avx2 avx512f
"""
ARM = """processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes crc32
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return pytest.importorskip("bench.machine")


def files(root, cpuinfo, caches=()):
    """Write the files that the system would have, for two processors that share a core."""
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(cpuinfo, encoding="utf-8")
    for i in range(2):
        topology = root / f"sys/devices/system/cpu/cpu{i}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text("0-1\n", encoding="utf-8")
    for i, (level, kind, size) in enumerate(caches):
        index = root / f"sys/devices/system/cpu/cpu0/cache/index{i}"
        index.mkdir(parents=True)
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (index / name).write_text(f"{text}\n", encoding="utf-8")
    return root


def test_an_intel_machine(machine, tmp_path):
    caches = [(1, "Data", "48K"), (1, "Instruction", "32K"), (2, "Unified", "2048K")]
    root = files(tmp_path, INTEL, caches)
    cpu = machine.cpu(root)
    assert cpu == machine.Cpu(
        "Intel", "Intel Xeon Platinum 8481C", "Sapphire Rapids", 6, 143, 512, 48, 2048, None
    )
    assert cpu.slug == "intel-xeon-platinum-8481c-sapphire-rapids"
    assert cpu.describe()["caches"] == "L1d 48 kB, L2 2048 kB, L3 ? kB"
    assert machine.processors(root) == "2, 1 cores; clock 2700 MHz, governor unknown"
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    frequency.mkdir()
    (frequency / "cpuinfo_max_freq").write_text("3900000\n", encoding="utf-8")
    (frequency / "scaling_governor").write_text("powersave\n", encoding="utf-8")
    assert machine.processors(root) == "2, 1 cores; clock 3900 MHz, governor powersave"


@pytest.mark.parametrize(
    ("family", "model", "generation"),
    [
        (23, 1, "Zen"),
        (23, 49, "Zen 2"),
        (25, 1, "Zen 3"),
        (25, 17, "Zen 4"),
        (26, 2, "Zen 5"),
        (25, 200, None),
        (99, 1, None),
    ],
)
def test_an_amd_machine(machine, tmp_path, family, model, generation):
    text = AMD.replace(": 25", f": {family}").replace(": 17", f": {model}")
    cpu = machine.cpu(files(tmp_path, text))
    assert (cpu.maker, cpu.name, cpu.generation) == ("AMD", "AMD EPYC 9B14", generation)
    assert cpu.label == "AMD EPYC 9B14" + (f" ({generation})" if generation else "")


def test_an_arm_machine(machine, tmp_path):
    cpu = machine.cpu(files(tmp_path, ARM, [(1, "Data", "64K"), (2, "Unified", "1024K")]))
    assert cpu == machine.Cpu("Arm", "Arm part 0xd0c", None, 8, 0xD0C, 128, 64, 1024, None)
    assert cpu.slug == "arm-part-0xd0c"


def test_a_system_that_says_nothing(machine, tmp_path):
    cpu = machine.cpu(tmp_path)
    assert cpu.slug == "unknown"
    assert "family ?" in cpu.describe()["cpu"]
    assert machine.processors(tmp_path) == "0, 0 cores; clock unknown, governor unknown"
