"""Fixtures: small tables in files."""

import numpy as np
import pytest


@pytest.fixture
def csv_file(tmp_path):
    """Write text or bytes to a CSV file and return its path."""

    def write(content):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def npz_file(tmp_path):
    """Write arrays to an npz file and return its path."""

    def write(**arrays):
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return path

    return write
