"""Write index.html, the playground as one page: `python docs/playground/build.py`.

Compiles playground.c to WebAssembly by clang and wasm-ld, and puts it into page.html.
"""

import base64
import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = ("playground.c", "page.html")
EXPORTS = (
    "params_place", "gradient_place", "values_place", "samples_place", "order_place", "grid_place",
    "jacobians_place", "set_network", "forward", "loss_and_gradient", "correct", "step", "jacobian",
    "heat_map",
)  # fmt: skip


def text_of(name):
    """Return the text of a file; line ends are the same in every checkout."""
    return (HERE / name).read_text(encoding="utf-8")


def sources_hash():
    """Return a hash of the sources, which the page contains."""
    return hashlib.sha256("\0".join(map(text_of, SOURCES)).encode()).hexdigest()


def compile_wasm(target):
    """Compile playground.c to WebAssembly."""
    command = [
        "clang", "--target=wasm32", "-std=c99", "-O2", "-ffp-contract=off", "-fno-builtin",
        "-nostdlib", "-Wall", "-Wextra", "-Werror", "-Wl,--no-entry", "-Wl,--strip-all",
        *(f"-Wl,--export={name}" for name in EXPORTS), "-o", target, HERE / "playground.c",
    ]  # fmt: skip
    subprocess.run(command, check=True)


def compiler():
    """Return the name and version of the compiler: another one may write other bytes."""
    done = subprocess.run(["clang", "--version"], check=True, capture_output=True, text=True)
    return re.search(r"clang version [\d.]+", done.stdout)[0]


def page_of(wasm, made_by):
    """Return the page with this WebAssembly in it, made by a compiler."""
    page = text_of("page.html").replace("@SOURCES@", sources_hash())
    return page.replace("@COMPILER@", made_by).replace("@WASM@", base64.b64encode(wasm).decode())


def main():
    """Compile, and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        wasm = Path(folder) / "playground.wasm"
        compile_wasm(wasm)
        page = page_of(wasm.read_bytes(), compiler())
        new = HERE / "index.html.new"
        new.write_text(page, encoding="utf-8", newline="\n")
        os.replace(new, HERE / "index.html")
    print(f"index.html has {len(page.encode())} bytes")


if __name__ == "__main__":
    main()
