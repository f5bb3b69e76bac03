"""What the README quotes of the last full run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from . import decoding, footage, frames, graphs, journals, polling, previews, shots, starting
from .plan import OURS
from .report import Values, ratios

HEADER = ("what", "Luma Ray", "beside it")
Told = Mapping[str, Any]


class Figures:
    """The values of a run, by part, group and row."""

    def __init__(self, told: Told) -> None:
        self._rows: dict[tuple[str, str, str], Values] = {
            (part, row["group"], row["name"]): row["values"]
            for part, found in told["parts"].items()
            for row in found["rows"]
        }

    def middle(self, part: str, group: str, name: str, measure: str = "wall") -> float | None:
        """The median; None where it was not measured."""
        values = self._rows.get((part, group, name), {}).get(measure)
        return median(values) if values else None

    def times(
        self, part: str, group: str, name: str, other: str, measure: str = "wall", of: str = ""
    ) -> float | None:
        """How many times what *other* has; with *of* its other measure."""
        mine = self._rows.get((part, group, name), {}).get(measure)
        beside = self._rows.get((part, group, other), {}).get(of or measure)
        found = ratios(mine, beside) if mine and beside else []
        return median(found) if found else None


def rows(told: Told) -> Iterator[tuple[str, str, str]]:
    """What, how much, and how much elsewhere; see `HEADER`. What was not measured is not named."""
    figures = Figures(told)
    made = (
        *(_decoded(figures, size) for size in (footage.HD, footage.FULL_HD)),
        _last(figures),
        *(_colours(figures)),
        _memory(figures),
        _shots(figures),
        _journal(figures),
        _animatic(figures),
        _start(figures),
        _known(figures),
    )
    for what, ours, beside in made:
        if ours:
            yield what, ours, beside


def _decoded(figures: Figures, size: footage.Size) -> tuple[str, str, str]:
    group = size.name
    beside = []
    for name in (decoding.COMFYUI, *decoding.OTHERS, decoding.DECODE):
        slower = figures.times("decode", group, name, OURS)
        memory = figures.times("decode", group, name, name, "memory", "output")
        beside.append(
            _words((slower, "{:.1f} times as long"), (memory, "memory {:.1f} times the frames"), of=name)
        )
    return (
        f"a clip to frames, {group}",
        _words(
            (figures.middle("decode", group, OURS), "{:.2f} s"),
            (
                figures.times("decode", group, OURS, OURS, "memory", "output"),
                "memory {:.2f} times the frames",
            ),
        ),
        "; ".join(filter(None, beside)),
    )


def _last(figures: Figures) -> tuple[str, str, str]:
    group = f"{footage.HD.name}, one keyframe"
    whole = figures.times("frames", group, frames.WHOLE, OURS)
    return (
        f"the last frame alone, {group}",
        _words((figures.middle("frames", group, OURS), "{:.2f} s")),
        _words((whole, "{:.0f} times as long"), of=frames.WHOLE),
    )


def _colours(figures: Figures) -> Iterator[tuple[str, str, str]]:
    from .colours import COMFYUI, FULL_RANGE, TAGGED, WAYS

    for group in (TAGGED, FULL_RANGE):
        said = {
            name: _words(
                (figures.middle("colour", group, name, "mean"), "{:.2f} levels off"),
                (figures.middle("colour", group, name, "bias"), "bias {:.2f}"),
                of="" if name == OURS else name,
            )
            for name in (OURS, COMFYUI, *WAYS)
        }
        yield f"colours, {group}", said.pop(OURS), "; ".join(filter(None, said.values()))


def _memory(figures: Figures) -> tuple[str, str, str]:
    group = graphs.group(footage.FULL_HD)
    peak = figures.middle("memory", group, graphs.TWO, "memory")
    output = figures.middle("memory", group, graphs.TWO, "output")
    none = figures.middle("memory", group, graphs.NONE, "memory")
    return (
        f"peak memory of {group}, two linked as frames",
        _words((_of(peak, 1e9), "{:.1f} GB"), (_of(output, 1e9), "of them {:.1f} GB frames")),
        _words((_of(none, 1e9), "{:.1f} GB"), of="none linked"),
    )


def _shots(figures: Figures) -> tuple[str, str, str]:
    most = f"{shots.COUNTS[-1]} shots"
    return (
        f"{most} at the same time, jobs of {shots.JOB:.0f} s",
        _words((figures.middle("shots", "", most), "{:.1f} s")),
        _words((figures.middle("shots", "", shots.ONE), "{:.1f} s"), of="one shot"),
    )


def _journal(figures: Figures) -> tuple[str, str, str]:
    claim = _of(figures.middle("journal", journals.SQLITE, journals.CLAIM), 1e-3)
    beside = _of(figures.middle("journal", journals.POSTGRESQL, journals.CLAIM), 1e-3)
    return (
        "a purchase written down, after 10,000 others",
        _words((claim, "{:.0f} ms")),
        _words((beside, "{:.0f} ms"), of="in PostgreSQL"),
    )


def _animatic(figures: Figures) -> tuple[str, str, str]:
    group = footage.HD.name
    slowest = max(
        (seconds, name)
        for name in previews.SCENES
        if (seconds := figures.middle("animatic", group, name) or 0.0) >= 0
    )
    card = figures.middle("animatic", group, previews.TRAVEL)
    return (
        f"the animatic, {group}: {previews.TRAVEL}",
        _words((card, "{:.1f} s")),
        _words((slowest[0], "{:.1f} s"), of=f"the slowest, {slowest[1]}") if slowest[0] else "",
    )


def _start(figures: Figures) -> tuple[str, str, str]:
    name = starting.COMFYUI if figures.middle("start", "", starting.COMFYUI) else starting.STAND_IN
    return f"import: {name}", _words((_of(figures.middle("start", "", name), 1e-3), "{:.0f} ms")), ""


def _known(figures: Figures) -> tuple[str, str, str]:
    group = next(iter(polling.GROUPS))

    def said(name: str) -> str:
        return _words(
            (figures.middle("polling", group, name, "late"), "{:.2f} s"),
            (figures.middle("polling", group, name, "looks"), "{:.0f} requests"),
            of="" if name == OURS else name,
        )

    others = "; ".join(filter(None, (said(name) for name in polling.WAITERS if name != OURS)))
    return f"a finished job is known after, median of {group}", said(OURS), others


def _words(*figures: tuple[float | None, str], of: str = "") -> str:
    """Those of *figures* that there are."""
    said = ", ".join(words.format(figure) for figure, words in figures if figure is not None)
    return f"{of}: {said}" if of and said else said


def _of(figure: float | None, unit: float) -> float | None:
    return None if figure is None else figure / unit
