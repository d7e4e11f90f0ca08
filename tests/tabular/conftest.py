"""The tests of this folder need scikit-learn."""

import pytest

pytest.importorskip("sklearn", minversion="1.6")
