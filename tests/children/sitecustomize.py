"""Gives Python programs that a chapter starts the stand-in for CuPy too: first on their path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import strict_cupy  # noqa: E402

strict_cupy.RawModule.guarded = False
sys.modules["cupy"] = strict_cupy.StrictCuPy()
