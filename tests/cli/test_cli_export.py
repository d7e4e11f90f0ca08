"""The command `export`."""

import os

import pytest
from command_line import FAST

import fastnn as fn


@pytest.fixture
def model(succeed, flowers_csv):
    succeed("train", flowers_csv, "--target", "kind", *FAST, "--output", "m.safetensors")
    return "m.safetensors"


def test_export_writes_what_export_c_writes(succeed, model, folder):
    out = succeed("export", model, "a.c", "--name", "iris", "--jacobian", "--vjp")
    assert out == "x: petal, sepal\ny: fox, glove, rose, tulip\n"
    fn.load(model).export_c("b.c", "iris", jacobian=True, vjp=True)
    assert (folder / "a.h").read_text(encoding="utf-8") == (folder / "b.h").read_text(
        encoding="utf-8"
    )
    assert (folder / "a.c").read_text(encoding="utf-8") == (folder / "b.c").read_text(
        encoding="utf-8"
    ).replace("b.h", "a.h")


def test_export_without_names(succeed, folder):
    fn.Network([fn.Linear(2, 1)], "float64", seed=0).save("net.safetensors")
    assert succeed("export", "net.safetensors", "net.c", "--jvp", "--hessian") == ""
    assert "void net_hessian(const double *x" in (folder / "net.h").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["net.cpp"], "path is 'net.cpp'; a file name that ends in .c is wanted"),
        (["missing/net.c"], "missing/net.c: No such file or directory"),
        (["net.c", "--hessian"], "the network has 3 outputs; one is wanted"),
        (["net.c", "--name", "1"], "name is '1'; an identifier of C is wanted"),
        (["m.safetensors"], "m.safetensors would overwrite m.safetensors"),
    ],
)
def test_errors(fail, model, folder, argv, message):
    before = sorted(os.listdir(folder))
    assert message in fail("export", model, *argv)
    assert sorted(os.listdir(folder)) == before


def test_damaged_models_and_models_of_presets(fail, folder, model):
    content = (folder / model).read_bytes()
    (folder / "short.safetensors").write_bytes(content[:-9])
    assert "short.safetensors" in fail("export", "short.safetensors", "net.c")
    from fastnn.files import model_file

    model_file.write("preset.safetensors", {"tabular": {}}, {})
    assert "a model of a preset" in fail("export", "preset.safetensors", "net.c")
    assert not (folder / "net.c").exists()
