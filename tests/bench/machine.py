"""Where it was measured, and with what."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "torch",
    "av",
    "numpy",
    "pillow",
    "SQLAlchemy",
    "requests",
    "opencv-python-headless",
    "torchcodec",
)


def told() -> dict[str, Any]:
    """For the head of the page."""
    return {
        "machine": {
            "processor": _processor(),
            "cores": _cores(),
            "memory": _memory(),
            "system": platform.platform(),
        },
        "versions": {"Python": platform.python_version()} | dict(filter(None, map(_version, PACKAGES))),
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    if not hasattr(os, "sysconf"):
        return "unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _version(name: str) -> tuple[str, str] | None:
    try:
        return name, version(name)
    except PackageNotFoundError:
        return None
