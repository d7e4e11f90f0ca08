"""`python -m tests.fuzz`: see `fuzzing`."""

import sys

from .fuzzing import main

if __name__ == "__main__":
    sys.exit(main())
