"""Calls on few samples: from what a user passes to the engine, without Python in between.

For a small network the checks of the arguments in Python take longer than the arithmetic, so here
they are compiled. A method returns None if it cannot read an argument, if an argument is invalid,
or if the work is long enough that checks do not matter. The caller then does the same through
`fastnn._checks`, which also raises the errors. Both ways compute the same bits.

The module is compiled once. It calls the functions of the engine's build that it is given.
"""

cimport cython
cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE
from libc.math cimport INFINITY, fabs, floor, sqrt
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t)
from libc.string cimport memcmp, memcpy

from fastnn._core.kernels.dtypes cimport is_finite, real

import threading

import numpy as np

from fastnn import _core
from fastnn._core.memory import SMALL

cdef extern from *:
    """
    #ifdef Py_LIMITED_API /* which lacks the macro */
    #define PyFloat_AS_DOUBLE PyFloat_AsDouble
    #endif
    """
    ctypedef long double long_double "long double"

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1

cnp.import_array()

include "calls/reading.pxi"
include "calls/losses.pxi"
include "calls/passes.pxi"
include "calls/network.pxi"
include "calls/scaling.pxi"
