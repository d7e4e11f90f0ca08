"""Functions that read and write files accept texts and paths only."""

import numpy as np
import pytest

import fastnn as fn

NET = fn.Network([fn.Linear(2, 1)], seed=0)
FUNCTIONS = {
    "save": NET.save,
    "load": fn.load,
    "load layers": lambda path: fn.load(path, layers=[fn.Linear(2, 1)]),
    "export_c": NET.export_c,
    "int8": lambda path: NET.quantize(np.ones((3, 2))).export_c(path),
    "export_onnx": NET.export_onnx,
    "import_onnx": fn.import_onnx,
    "export_external": lambda path: fn.casadi.export_external(NET, path),
}
NEEDED = {"export_onnx": "onnx", "import_onnx": "onnx", "export_external": "casadi"}


class Bytes:
    """A path of bytes, as `os.DirEntry` has in a folder of bytes."""

    def __fspath__(self):
        return b"net.c"

    def __repr__(self):  # without an address: every process must name the test alike
        return "Bytes()"


@pytest.mark.parametrize("path", [b"net.c", 3, None, True, Bytes(), ["net.c"]], ids=repr)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_path(name, path, tmp_path, monkeypatch):
    pytest.importorskip(NEEDED.get(name, "numpy"), reason="the function needs it")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match="path is .* is wanted"):
        FUNCTIONS[name](path)
    assert not list(tmp_path.iterdir())
