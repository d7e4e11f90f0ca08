"""The version. It is a literal, as reading the metadata of the installation takes 20 ms."""

__version__ = "0.1.0"
