"""How much memory is free, and how much of it has been promised to frames that are not decoded yet."""

from __future__ import annotations

import importlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)
"""Where Linux keeps a container's limit, its use, and what of that it would give back."""


def free_memory() -> int | None:
    """Bytes that can be allocated without swapping; None where the system does not tell."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        machine = _field(meminfo, "MemAvailable:")
        limits = [free for free in map(_left_in_cgroup, _CGROUPS) if free is not None]
        if machine is not None:
            return min([machine * 1024, *limits])
    try:
        psutil = importlib.import_module("psutil")
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


@dataclass(eq=False)
class Promise:
    """Bytes that a decode has been allowed, and those of them that it has not written to yet."""

    untouched: int = 0

    def touched(self, count: int) -> None:
        """*count* bytes are written to now, so the system counts them itself."""
        self.untouched = max(self.untouched - count, 0)


@dataclass
class Promises:
    """What all decodes of the process have been allowed; memory counts as used only once it is written to."""

    _all: set[Promise] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def one(self) -> Iterator[Promise]:
        """A promise for the time of a decode, of nothing yet."""
        promise = Promise()
        with self._lock:
            self._all.add(promise)
        try:
            yield promise
        finally:
            with self._lock:
                self._all.discard(promise)

    def extend(self, promise: Promise, count: int, spare: int, free: Callable[[], int | None]) -> int | None:
        """Promise *count* bytes more if *free* has them and *spare* beside them.

        Returns:
            None if so; else the bytes that could be promised.
        """
        with self._lock:
            there = free()
            if there is not None:
                room = max(there - sum(each.untouched for each in self._all) - spare, 0)
                if count > room:
                    return room
            promise.untouched += count
        return None


PROMISES = Promises()


def _left_in_cgroup(names: tuple[str, str, str, str]) -> int | None:
    limit_file, use_file, stat_file, cache = names
    try:
        limit = (_CGROUP_ROOT / limit_file).read_text().strip()
        used = int((_CGROUP_ROOT / use_file).read_text())
        reclaimable = _field(_CGROUP_ROOT / stat_file, cache) or 0
    except OSError:
        return None
    return max(int(limit) - used + reclaimable, 0) if limit.isdecimal() else None


def _field(path: Path, name: str) -> int | None:
    """The number after *name* in a file of lines like `MemAvailable:  123 kB`."""
    for line in path.read_text().splitlines():
        words = line.split()
        if words and words[0] == name:
            return int(words[1])
    return None
