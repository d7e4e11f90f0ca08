"""The CPU: maker, name, generation, vectors, caches and clock, as Linux reports them."""

import re
from dataclasses import dataclass
from pathlib import Path

# A virtual machine often hides the exact name, as in "AMD EPYC". Family and model tell more.
GENERATIONS = [  # maker, family, models, generation
    ("AMD", 23, range(0x30), "Zen"),
    ("AMD", 23, range(0x30, 0x100), "Zen 2"),
    ("AMD", 25, [*range(0x10), *range(0x20, 0x60)], "Zen 3"),
    ("AMD", 25, [*range(0x10, 0x20), *range(0x60, 0x80), *range(0xA0, 0xB0)], "Zen 4"),
    ("AMD", 26, [*range(0x50), *range(0x60, 0x80)], "Zen 5"),
    ("Intel", 6, [0x55], "Skylake or Cascade Lake"),
    ("Intel", 6, [0x6A, 0x6C], "Ice Lake"),
    ("Intel", 6, [0x8F], "Sapphire Rapids"),
    ("Intel", 6, [0xCF], "Emerald Rapids"),
    ("Intel", 6, [0xAD, 0xAE], "Granite Rapids"),
]
MAKERS = {
    "GenuineIntel": "Intel",
    "AuthenticAMD": "AMD",
    "0x41": "Arm",
    "0x4e": "Nvidia",
    "0x61": "Apple",
    "0xc0": "Ampere",
}
WIDTHS = {"avx512f": 512, "avx": 256, "sse2": 128, "asimd": 128}  # bits of a vector, widest first
NOISE = re.compile(r"\((R|TM)\)|\bCPU\b|\bProcessor\b|\b\d+-Core\b|@.*", re.I)


@dataclass(frozen=True)
class Cpu:
    """A kind of CPU. None means that the system does not say it. A kB has 1,024 bytes."""

    maker: str
    name: str
    generation: str | None = None
    family: int | None = None
    model: int | None = None
    vector_bits: int | None = None
    l1d_kb: int | None = None
    l2_kb: int | None = None
    l3_kb: int | None = None

    @property
    def label(self) -> str:
        """Return the name and the generation, as in "AMD EPYC (Zen 5)"."""
        return f"{self.name} ({self.generation})" if self.generation else self.name

    @property
    def slug(self) -> str:
        """Return the label as the name of a file, as in "amd-epyc-zen-5"."""
        return "-".join(re.findall(r"[a-z0-9]+", self.label.lower()))

    def describe(self) -> dict[str, str]:
        """Return the lines of the header about the kind of CPU."""
        sizes = {"L1d": self.l1d_kb, "L2": self.l2_kb, "L3": self.l3_kb}
        return {
            "cpu": f"{self.label}; maker {self.maker}, family {known(self.family)}, "
            f"model {known(self.model)}, vectors of {known(self.vector_bits)} bits",
            "caches": ", ".join(f"{level} {known(size)} kB" for level, size in sizes.items()),
        }


def known(value: object) -> str:
    """Return a value as a text, or a question mark for None."""
    return "?" if value is None else str(value)


def read(file: Path) -> str | None:
    """Return the text of a file, or None if there is none."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def fields_of(root: Path) -> dict[str, str]:
    """Return the fields of the first processor in /proc/cpuinfo."""
    fields: dict[str, str] = {}
    for line in (read(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields


def cpu(root: Path = Path("/")) -> Cpu:
    """Return the kind of the first processor. `root` holds the folders proc and sys."""
    fields = fields_of(root)
    maker = fields.get("vendor_id") or fields.get("CPU implementer", "unknown")
    maker = MAKERS.get(maker, maker)
    part = fields.get("CPU part")
    name = " ".join(NOISE.sub(" ", fields.get("model name", "")).split())
    family = number(fields.get("cpu family") or fields.get("CPU architecture"))
    model = number(fields.get("model") or part)
    flags = (fields.get("flags") or fields.get("Features", "")).split()
    return Cpu(
        maker=maker,
        name=name or (f"{maker} part {part}" if part else maker),
        generation=next(
            (g for m, f, models, g in GENERATIONS if (m, f) == (maker, family) and model in models),
            None,
        ),
        family=family,
        model=model,
        vector_bits=next((bits for flag, bits in WIDTHS.items() if flag in flags), None),
        **caches(root),
    )


def number(text: str | None) -> int | None:
    """Return a decimal or hexadecimal number, or None."""
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        return None


def caches(root: Path) -> dict[str, int]:
    """Return the sizes of the caches of the first processor that hold data."""
    sizes = {}
    for index in (root / "sys/devices/system/cpu/cpu0/cache").glob("index*"):
        size = re.fullmatch(r"(\d+)K", read(index / "size") or "")
        level, kind = read(index / "level"), read(index / "type")
        if size and kind != "Instruction" and level in ("1", "2", "3"):
            sizes["l1d_kb" if level == "1" else f"l{level}_kb"] = int(size[1])
    return sizes


def processors(root: Path = Path("/")) -> str:
    """Return the number of processors and cores, the clock and its governor, as a text."""
    folders = list((root / "sys/devices/system/cpu").glob("cpu[0-9]*"))
    siblings = {read(folder / "topology/thread_siblings_list") or folder.name for folder in folders}
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    highest = read(frequency / "cpuinfo_max_freq")  # kHz
    clock = str(int(highest) / 1000) if highest else fields_of(root).get("cpu MHz")
    clock = f"{float(clock):.0f} MHz" if clock else "unknown"
    governor = read(frequency / "scaling_governor") or "unknown"
    return f"{len(folders)}, {len(siblings)} cores; clock {clock}, governor {governor}"
