"""What every test shares: the pack under a legal name, no network beyond loopback, no real waiting."""

from __future__ import annotations

import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# ComfyUI imports the pack under a name made from its path. Tests import it as `luma_ray`, without
# running the root __init__.py and without the root on sys.path (there `nodes` is ComfyUI's own module).
if "luma_ray" not in sys.modules:
    package = types.ModuleType("luma_ray")
    package.__path__ = [str(ROOT)]
    sys.modules["luma_ray"] = package
