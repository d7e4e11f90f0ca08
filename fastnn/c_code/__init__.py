"""Programs in C that compute a network: one source without dependencies, and its header."""

from fastnn.c_code.int8_network import Int8Network
from fastnn.c_code.program import Program
from fastnn.c_code.writing import destination, write

__all__ = ["Int8Network", "Program", "destination", "write"]
