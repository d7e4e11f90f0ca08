"""Run `python -m tests.fuzz`; `fuzzing` says what it does."""

import sys

from .fuzzing import main

if __name__ == "__main__":
    sys.exit(main())
