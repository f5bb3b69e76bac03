"""The pack under its name, for a process that measures: as `conftest` has it, without pytest."""

from __future__ import annotations

import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

if "luma_ray" not in sys.modules:
    package = types.ModuleType("luma_ray")
    package.__path__ = [str(ROOT)]
    sys.modules["luma_ray"] = package
