"""The engine, built for AVX2 and FMA."""

include "engine/engine.pxi"
