"""Marks for tests of what not every operating system and not every user has."""

import os
import sys

import pytest

IS_ROOT = os.name == "posix" and os.geteuid() == 0

# What opening a folder as a file raises.
FolderError = PermissionError if os.name == "nt" else IsADirectoryError

posix_only = pytest.mark.skipif(
    os.name != "posix", reason="Windows has other locks, modes, pipes and signals"
)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="it reads Linux's /proc or /sys")
root_only = pytest.mark.skipif(not IS_ROOT, reason="only root may give files away")
not_for_root = pytest.mark.skipif(IS_ROOT, reason="root may write anywhere")
