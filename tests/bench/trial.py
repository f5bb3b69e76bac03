"""One measurement in a process of its own: `python tests/bench/trial.py bench.loading:opencv '{"path": ...}'`.

A way is a function that imports and prepares all it needs, and gives the work to be measured; or the work and a
function that says more about its result (`{measure: value}`). Work that measures by itself gives `Rows`.

Runs in any Python, also ComfyUI's: nothing is imported here but the standard library.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
HELD = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**62)}
"""Environment in which the C library of Linux keeps freed memory for the process."""


class Unavailable(Exception):
    """It cannot be measured on this machine; the text says why."""


class Rows(dict[str, dict[str, list[float]]]):
    """Values by measure, by the name of a row; an empty name is the trial's own."""


def measured(way: str, options: dict[str, Any], repeats: int = 1, needs: int = 0) -> Rows:
    """Seconds (`wall`, `cpu`) and, where the system tells, bytes (`memory`, `output`) of each repeat.

    *needs*: bytes of memory that the process has ready when it begins.
    """
    module, _, name = way.partition(":")
    prepared = getattr(importlib.import_module(module), name)(**options)
    work, after = prepared if isinstance(prepared, tuple) else (prepared, lambda result: {})
    rows = Rows({"": {}})
    for _ in range(repeats):
        if needs:
            _touch(needs)
        found = _once(work, after)
        if isinstance(found, Rows):
            return found
        for measure, value in found.items():
            rows[""].setdefault(measure, []).append(value)
    return rows


def _once(work: Callable[[], Any], after: Callable[[Any], dict[str, float]]) -> dict[str, float] | Rows:
    gc.collect()
    before = _peak(forget=True)
    cpu, began = _cpu(), time.perf_counter()
    result = work()
    found = {"wall": time.perf_counter() - began, "cpu": _cpu() - cpu}
    if before is not None:
        found["memory"] = float((_peak() or 0) - before)
    if isinstance(result, Rows):
        return result
    if hasattr(result, "nbytes"):
        found["output"] = float(result.nbytes)
    return found | after(result)


def _touch(size: int) -> None:
    """Have *size* bytes ready in this process, where `HELD` is its environment: it keeps what is freed.

    Else what is measured is the system that finds memory, and a virtual machine fetches it from its host, slowly.
    """
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    memory = ctypes.c_void_p(library.malloc(ctypes.c_size_t(size)))
    if memory.value:
        ctypes.memset(memory, 1, size)
        library.free(memory)


def _cpu() -> float:
    """Seconds of all cores, of this process and of those it started and waited for."""
    return sum(os.times()[:4])


def _peak(*, forget: bool = False) -> int | None:
    """The most memory that this process held, bytes; with *forget* counted anew from what it holds now."""
    try:
        if forget:
            Path("/proc/self/clear_refs").write_text("5")
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most * (1 if sys.platform == "darwin" else 1024))


def main() -> int:
    """Print what was measured, or why it was not, as the last line: JSON."""
    tests = Path(__file__).resolve().parent.parent
    sys.path[0] = str(tests)
    importlib.import_module("bench.pack")
    way, options, repeats, needs = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    sys.argv[1:] = []
    told: dict[str, Any]
    try:
        # By its full name, or there would be two of each class here.
        told = {"rows": importlib.import_module("bench.trial").measured(way, options, repeats, needs)}
    except Exception as error:  # noqa: BLE001 - whatever another project's code raises is told
        if type(error).__name__ == Unavailable.__name__ or isinstance(error, ImportError):
            told = {"skipped": " ".join(str(error).split())}
        else:
            traceback.print_exc()
            told = {"failed": f"{type(error).__name__}: {error}"}
    print(f"\n{json.dumps(told)}", flush=True)
    return 1 if "failed" in told else 0


if __name__ == "__main__":
    code = main()
    # Not by way of sys.exit: what is measured may have left threads, and gigabytes to tidy up.
    os._exit(code)
