"""Kinds of video files, and how far their frames are from an exact conversion of what their decoder gives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .plan import Bench, Column, Part, Trial
from .trial import Rows


def all_kinds(count: int) -> Callable[[], Rows]:
    """Each of the first *count*; 0: all of them."""
    import kinds

    def work() -> Rows:
        found = Rows()
        with tempfile.TemporaryDirectory(prefix="luma-ray-bench-") as folder:
            for row in kinds.rows(Path(folder), kinds.KINDS[: count or None]):
                if row.refusal is not None:
                    found[f"{row.kind}: refused. {row.refusal}"] = {"frames": [0.0]}
                else:
                    values = {"frames": float(row.frames), "mean": row.mean_error, "bias": row.bias}
                    found[row.kind] = {name: [value] for name, value in values.items() if value is not None}
        return found

    return work


def plan(bench: Bench) -> Iterator[Trial]:
    """All in one process: nothing is timed."""
    yield Trial(way="bench.kinds:all_kinds", name="all", options={"count": 2 if bench.tiny else 0})


PART = Part(
    name="kinds",
    title="Kinds of files",
    about=(
        "Short clips of each kind. Levels of 255 between the frames and an exact conversion, in floats, of what the "
        "decoder of each gives. A frame that holds whole levels alone is 0.25 off on average."
    ),
    columns=(
        Column("frames", "frames", digits=0),
        Column("mean error", "mean"),
        Column("bias of the worst channel", "bias"),
    ),
    plan=plan,
    rounds=1,
)
