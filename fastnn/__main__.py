"""`python -m fastnn` is the program `fastnn`."""

import sys

from fastnn.cli import main

sys.exit(main())
