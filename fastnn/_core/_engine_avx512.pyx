"""The engine, built for AVX-512 F, CD, VL, DQ and BW."""

include "engine/engine.pxi"
