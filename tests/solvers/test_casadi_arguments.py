"""Errors of `fastnn.casadi` name the argument, the value and what is wanted."""

import re

import numpy as np
import pytest
from custom_layers import PythonTanh

import fastnn as fn

pytest.importorskip("casadi", reason="fastnn.casadi imports it")


@pytest.fixture
def net():
    return fn.Network([fn.Linear(2, 3), fn.Tanh()], seed=0)


@pytest.mark.parametrize("write", [fn.casadi.function, fn.casadi.export_external])
def test_networks(write, net, tmp_path):
    arguments = () if write is fn.casadi.function else (tmp_path / "net.c",)
    with pytest.raises(TypeError, match=r"net is 3; a fastnn.Network is wanted"):
        write(3, *arguments)
    custom = fn.Network([fn.Linear(2, 3), PythonTanh()], seed=0)
    with pytest.raises(TypeError, match=r"has the custom layer PythonTanh"):
        write(custom, *arguments)
    net.params[0] = np.nan
    with pytest.raises(ValueError, match="params hold NaN or infinity"):
        write(net, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "a b", "a__b", "1", "net\0x"])
def test_names(name, net):
    with pytest.raises(
        ValueError, match=f"name is {re.escape(repr(name))}; a name of CasADi is wanted"
    ):
        fn.casadi.function(net, name)


def test_types(net):
    with pytest.raises(TypeError, match="name is 3; a string is wanted"):
        fn.casadi.function(net, 3)
    with pytest.raises(ValueError, match="symbols is 'DM'"):
        fn.casadi.function(net, symbols="DM")
    with pytest.raises(ValueError, match=r"a file name that ends in \.c is wanted"):
        fn.casadi.export_external(net, "net")


@pytest.mark.parametrize("name", ["int", "main", "exp"])
def test_names_that_are_taken_in_c(name, net, tmp_path):
    with pytest.raises(ValueError, match=f"name is '{name}', which is taken in C"):
        fn.casadi.export_external(net, tmp_path / f"{name}.c")


@pytest.mark.parametrize("name", ["a__b", "jac", "hess", "null"])
def test_names_that_casadi_does_not_load(name, net, tmp_path):
    for arguments in ((tmp_path / "net.c", name), (tmp_path / f"{name}.c",)):
        with pytest.raises(ValueError, match=f"name is '{name}', which CasADi does not load"):
            fn.casadi.export_external(net, *arguments)
    assert not list(tmp_path.iterdir())
