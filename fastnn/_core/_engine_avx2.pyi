from fastnn._core._engine_baseline import *
