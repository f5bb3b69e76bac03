"""Several shots of one film at the same time, against one: uploads, jobs, downloads, checks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

from . import footage
from .plan import Bench, Column, Part, Trial, times
from .rows import fill
from .serving import served

JOB = 3.0
"""Seconds that a job takes at the provider."""
COUNTS = (1, 2, 4, 8, 16)
ONE = "1 shot"


def together(
    count: int, clip: str, job_seconds: float
) -> tuple[Callable[[], None], Callable[[None], dict[str, float]]]:
    """Buy *count* clips, each on a thread of its own as ComfyUI's nodes do."""
    from luma_ray.nodes.film import Settings
    from luma_ray.nodes.generation.clock import Clock
    from luma_ray.nodes.generation.spending import SCOPES
    from luma_ray.nodes.studio import Studio

    around = ExitStack()
    folder = Path(around.enter_context(tempfile.TemporaryDirectory(prefix="luma-ray-bench-")))
    around.enter_context(served(clip, job_seconds))
    studio = Studio(folder / "private", folder / "clips")
    studio.limits.change({scope: Decimal(10**6) for scope in SCOPES})
    # Somebody who has bought such clips before: it is known how long they take.
    fill(studio.lifecycle.journal, 20, provider="fal", ran_seconds=job_seconds + 0.1)

    def shot(number: int) -> None:
        settings = Settings(prompt=f"shot {number}", provider="fal")
        studio.text_to_video(settings, clock=Clock(), report=lambda words, fraction=None: None)

    def work() -> None:
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(shot, range(count)))

    def after(result: None) -> dict[str, float]:
        around.close()
        return {"job": job_seconds}

    return work, after


def plan(bench: Bench) -> Iterator[Trial]:
    """One shot and more."""
    clip = str(footage.clip(bench.folder, footage.TINY if bench.tiny else footage.HD))
    for count in COUNTS[:2] if bench.tiny else COUNTS:
        given = {"count": count, "clip": clip, "job_seconds": 0.2 if bench.tiny else JOB}
        name = ONE if count == 1 else f"{count} shots"
        yield Trial(way="bench.shots:together", name=name, options=given)


PART = Part(
    name="shots",
    title="Shots at the same time",
    about=(
        f"Clips of 720p, 5 s from a provider on loopback whose jobs take {JOB:.0f} s, in a process of its own: from "
        "the request to the clip that is on disk, checked and in the journal. *of one*: how many times the seconds "
        "of a single shot."
    ),
    columns=(*times(), Column("of one", "wall", against=ONE), Column("CPU, s", "cpu")),
    plan=plan,
)
