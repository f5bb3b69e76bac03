"""What every test shares: the pack under a legal name, no network beyond loopback, no real waiting."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# ComfyUI imports the pack under a name made from its path. Tests import it as `luma_ray`, without
# running the root __init__.py and without the root on sys.path (there `nodes` is ComfyUI's own module).
if "luma_ray" not in sys.modules:
    package = types.ModuleType("luma_ray")
    package.__path__ = [str(ROOT)]
    sys.modules["luma_ray"] = package


@pytest.fixture
def luma(monkeypatch):
    """Luma's emulator, with this process set up to use it."""
    from emulators.luma import LumaEmulator

    with LumaEmulator() as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


@pytest.fixture(autouse=True)
def _no_keys_of_the_person_who_runs_the_tests(monkeypatch, tmp_path):
    """A test buys nothing: no key, no journal and no home folder of this machine reach it."""
    for name in list(os.environ):
        if name.startswith(("LUMA", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LUMA_RAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
