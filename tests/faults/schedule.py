"""Schedules: a small graph, what goes wrong in it and when; `play.py` performs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

FAULTS = {
    "create": (
        *(
            "unreachable",
            "turned away",
            "refused",
            "busy",
            "busy 20",
            "busy 1000",
            "lost",
            "unanswered",
            "strange",
        ),
        *("late 5", "late 90", "late 1500", "slow 50", "slow 900", "mixed up"),
    ),
    "poll": ("unreachable", "busy", "strange", "turned away", "slow"),
    "download": ("unreachable", "cut", "broken off", "disk full"),
    "list": ("unreachable", "busy", "strange", "slow"),
    "lag": ("lags",),
    "cancel": ("unreachable", "strange"),
    "upload": ("unreachable", "slow"),
    "price": ("unreachable", "strange", "dearer", "dearer"),
    "journal": ("locked", "not committed", "answer lost", "line broken before", "line broken after"),
}
"""What can go wrong, by what is asked for."""


@dataclass(frozen=True)
class Shot:
    """Somebody who queues one clip."""

    prompt: str
    picture: bool
    take: int
    seller: str
    process: int
    begins: float


@dataclass(frozen=True)
class Event:
    """Something that happens before a turn on the stage."""

    turn: int
    what: str
    whom: int = 0


@dataclass(frozen=True)
class Schedule:
    """Everything that is decided before a play begins."""

    shots: tuple[Shot, ...]
    faults: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What goes wrong with the first of a kind, the second, and so on; nothing where it is empty."""
    events: tuple[Event, ...] = ()
    turns: int = 0
    """Whose turn it is, as a seed; 0: always of the first who can go on."""
    jobs: tuple[tuple[float, str], ...] = ()
    """Of the jobs in the order in which they are made: how long they take, and how they end."""
    dearest: int = 0
    concurrent: int | None = None


def _going_wrong(kind: str, fine: int, most: int) -> st.SearchStrategy[list[str]]:
    """Faults of a *kind* in a row, at most so many; *fine*: how much more often nothing is wrong than one of them."""
    return st.lists(st.sampled_from(("",) * fine + FAULTS[kind]), max_size=most)


SHOTS = st.builds(
    Shot,
    prompt=st.sampled_from(["a fox", "a fox", "a heron"]),
    picture=st.sampled_from([False, False, True]),
    take=st.sampled_from([1, 1, 2]),
    seller=st.sampled_from(["auto", "lister", "lister", "keeper", "keeper", "silent"]),
    process=st.integers(0, 1),
    begins=st.sampled_from([0.0, 0.0, 1.0, 61.0, 70.0, 800.0]),
)
EVENTS = st.builds(
    Event,
    turn=st.integers(1, 70),
    what=st.sampled_from(
        [
            "stop",
            "stop",
            "kill",
            "kill",
            "ahead",
            "back",
            "collect",
            "look",
            "hasty look",
            "queue again",
            "no file",
        ]
    ),
    whom=st.integers(0, 3),
)
SCHEDULES = st.builds(
    Schedule,
    shots=st.lists(SHOTS, min_size=1, max_size=4).map(tuple),
    faults=st.fixed_dictionaries(
        {"create": _going_wrong("create", 6, 8)},
        optional={
            "poll": _going_wrong("poll", 3, 12),
            "download": _going_wrong("download", 2, 6),
            "list": _going_wrong("list", 3, 6),
            "lag": _going_wrong("lag", 1, 6),
            "cancel": _going_wrong("cancel", 2, 2),
            "upload": _going_wrong("upload", 2, 4),
            "price": _going_wrong("price", 2, 3),
            "journal": _going_wrong("journal", 20, 40),
        },
    ),
    events=st.lists(EVENTS, max_size=4).map(tuple),
    turns=st.integers(0, 9999),
    jobs=st.lists(
        st.tuples(st.sampled_from([12.0, 5.0, 60.0, 400.0]), st.sampled_from(["clip", "clip", "failure"])),
        max_size=6,
    ).map(tuple),
    dearest=st.integers(0, 2),
    concurrent=st.sampled_from([None, None, 1, 2]),
)


class Faults:
    """What goes wrong, told to whoever asks for the next of a kind."""

    def __init__(self, faults: Mapping[str, Sequence[str]]) -> None:
        self._faults = {kind: iter(each) for kind, each in faults.items()}
        self.met: list[str] = []

    def __call__(self, kind: str) -> str:
        fault = next(self._faults.get(kind, iter(())), "")
        if fault:
            self.met.append(f"{kind}: {fault}")
        return fault

    def end(self) -> None:
        """From now on all goes well."""
        self._faults = {}
