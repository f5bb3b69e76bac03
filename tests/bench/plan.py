"""What is measured, and how it is shown: parts of trials, tables of columns."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

OURS = "**Luma Ray**"
"""The row of the pack, where there are others beside it."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One thing to measure, once a round, each time in a new process."""

    way: str
    """What `trial.py` runs."""
    name: str
    group: str = ""
    """What its ratios are taken within."""
    options: Mapping[str, Any] = field(default_factory=dict)
    repeats: int = 1
    """How often in one process."""
    rounds: int = 0
    """In how many rounds, where that is not all of them."""
    needs: float = 0.0
    """Bytes of memory."""
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Skip:
    """One thing that is not measured here."""

    name: str
    why: str
    group: str = ""


@dataclass(frozen=True)
class Column:
    """How one column of a table is made of the values of a row."""

    header: str
    measure: str
    pick: Literal["min", "median", "max", "share"] = "median"
    """Of the values; *share* is what 95 % of them stay below."""
    against: str = ""
    """Divided, round by round, by what this row of the group has."""
    over: str = ""
    """Divided by another measure of the same row."""
    divided: float = 1.0
    digits: int = 2


@dataclass(frozen=True, kw_only=True)
class Part:
    """A table, or several, and how its rows come about."""

    name: str
    title: str
    about: str
    columns: tuple[Column, ...]
    plan: Callable[[Bench], Iterable[Trial | Skip]]
    rounds: int = 3


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One run of it all."""

    folder: Path
    """For what is made on the way; removed in the end."""
    quick: bool = False
    """One round of everything that does not take long."""
    most: int = 1000
    """Rounds of any part."""
    tiny: bool = False
    """Sizes for a test of the bench itself."""

    def rounds(self, part: Part) -> int:
        """How often everything of *part* is measured."""
        return 1 if self.quick or self.tiny else min(part.rounds, self.most)


def times(
    measure: str = "wall", unit: str = "s", *, divided: float = 1.0, digits: int = 2
) -> tuple[Column, ...]:
    """The least, the middle and the most of a measure."""
    return tuple(
        Column(f"{pick}, {unit}" if pick == "median" else pick, measure, pick, divided=divided, digits=digits)
        for pick in ("min", "median", "max")
    )


@dataclass(frozen=True)
class ComfyUI:
    """A checkout to compare with."""

    folder: str
    python: str

    def trial(self, **what: Any) -> Trial:
        """A trial in ComfyUI's own Python."""
        return Trial(python=self.python, environment={"COMFYUI_DIR": self.folder}, **what)


def comfyui() -> ComfyUI | None:
    """The one that COMFYUI_DIR and COMFYUI_PYTHON name, as for the tests."""
    folder = os.environ.get("COMFYUI_DIR")
    return ComfyUI(folder, os.environ.get("COMFYUI_PYTHON", sys.executable)) if folder else None


NO_COMFYUI = "COMFYUI_DIR is not set"


def in_comfyui(**what: Any) -> Trial | Skip:
    """A trial in a real ComfyUI, where there is one."""
    real = comfyui()
    if real is None:
        return Skip(name=what["name"], group=what.get("group", ""), why=NO_COMFYUI)
    return real.trial(**what)
