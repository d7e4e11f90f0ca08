"""The engine, built for every CPU of the architecture."""

include "engine/engine.pxi"
