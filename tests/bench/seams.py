"""How well seams are found and closed: overlaps, colours, stillness, cuts; and what joining costs.

Clips are made from the example photographs (see `seam_clips`), with everything known about them. Run
`python tests/bench/seams.py overlap|colour|still|cuts|join [how many]`; without a word, all but the last.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import conftest
import numpy as np
import seam_clips
from luma_ray.nodes.media import clips, difference, matching, overlap, retiming, seams
from seam_clips import Case

SEED = 11
"""Of the cases measured here; others were used while the rules were found."""


def overlaps(count: int, folder: Path) -> None:
    """Repeated frames: known, and found."""
    groups: dict[str, list[bool]] = {}
    spent = 0.0
    for number, case in enumerate(seam_clips.cases(count, SEED)):
        pair = seam_clips.make(case, folder)
        started = time.perf_counter()
        found = seams.find(pair.earlier, pair.later)
        spent += time.perf_counter() - started
        right = found.dropped == case.repeated
        if not right:
            print(f"  case {number}: {found.dropped} found, {case}")
        for group in (
            "all",
            f"overlap {'whole clip' if case.contains else f'{case.overlap:2}'}",
            f"speed {case.speed:4} px a frame",
            f"move {case.move}",
            f"place {case.place}",
            f"grain {case.grain}",
            f"flicker {case.flicker}",
            "with drift" if case.drift != seam_clips.NONE else "without drift",
        ):
            groups.setdefault(group, []).append(right)
    for group, results in sorted(groups.items()):
        print(f"{group:24} {sum(results):4} of {len(results):4}  {np.mean(results):7.2%}")
    print(f"{spent / count * 1000:.0f} ms a seam, both files decoded")


def colours(count: int, folder: Path) -> None:
    """Known drifts: CIEDE2000 of the later clip's first frames to the same frames without drift."""
    rows = []
    for case in seam_clips.cases(count, SEED + 1):
        if case.contains:
            continue
        case = replace(case, size=(640, 360), speed=case.speed * 2)  # noqa: PLW2901
        pair = seam_clips.make(case, folder)
        tail, head = _small(pair.earlier, -overlap.WINDOW), _small(pair.later, overlap.WINDOW)
        wanted = _small(pair.undrifted, overlap.WINDOW)
        match = matching.fit(tail, head, case.overlap)
        shown = slice(case.overlap, case.overlap + 3)
        before, after = (
            float(np.mean(_apart(frames, wanted[shown])))
            for frames in (head[shown], match.curve(head[shown]))
        )
        rows.append((case, before, after, match))
    drifted = [row for row in rows if row[0].drift != seam_clips.NONE]
    kinds: Iterable[tuple[str, Callable[[Case], bool]]] = (
        ("all", lambda case: True),
        ("frames repeat", lambda case: case.overlap > 0),
        ("no frame repeats", lambda case: case.overlap == 0),
        ("no flicker", lambda case: not case.flicker),
    )
    for least in (0.0, 1.0, 2.0):
        for name, wanted_kind in kinds:
            chosen = [row for row in drifted if row[1] >= least and wanted_kind(row[0])]
            if chosen:
                before, after = (float(np.mean([row[place] for row in chosen])) for place in (1, 2))
                print(
                    f"drift from {least:.0f} on, {name:17} {len(chosen):4} cases: {before:5.2f} to {after:5.2f}, "
                    f"{1 - after / before:6.1%} less, median {np.median([1 - r[2] / r[1] for r in chosen]):6.1%}; "
                    f"auto matches {sum(r[3].trusted for r in chosen)}"
                )
    without = [row for row in rows if row[0].drift == seam_clips.NONE]
    print(
        f"without drift: auto matches {sum(r[3].trusted and r[3].before >= matching.VISIBLE for r in without)} of "
        f"{len(without)}"
    )


def still(folder: Path) -> None:
    """What happens where hardly anything moves: under shifts of light, and with grain."""
    for speed in (0.0, 0.02, 0.05, 0.1, 0.2):
        for shift in (0, 3, 8):
            found = []
            for repeated in (0, 1, 3):
                for place in seam_clips.PLACES:
                    drift = seam_clips.Drift(offset=(shift, shift, shift))
                    case = Case(place, "pan", speed, repeated, drift, grain=1.5, crf=(20, 23))
                    pair = seam_clips.make(case, folder)
                    found.append(f"{repeated}:{seams.find(pair.earlier, pair.later).dropped}")
            print(f"{speed:4} px a frame, {shift} levels lighter; known:found  {'  '.join(found)}")


def cuts(folder: Path) -> None:
    """Cuts to another scene, none of which may be matched or lose a frame."""
    wrong = total = 0
    for move in seam_clips.MOVES:
        for one in seam_clips.PLACES:
            for other in seam_clips.PLACES:
                if one != other:
                    first = seam_clips.make(Case(one, move, 2), folder, "one").earlier
                    second = seam_clips.make(Case(other, move, 2), folder, "other").later
                    (report,) = seams.join([first, second], folder / "cut.mp4", match="auto")
                    total += 1
                    wrong += bool(report.matched or report.dropped)
    print(f"cuts: {wrong} of {total} matched or shortened")


JOIN = """
import sys
sys.path.insert(0, {tests!r})
import conftest, resource, time
from pathlib import Path
from luma_ray.nodes.media import seams
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, started = peak(), time.perf_counter()
seams.join([Path(part) for part in {parts!r}], Path({film!r}), {options})
print(f"{{time.perf_counter() - started:6.1f}} s, {{before:.0f}} MB before, {{peak():.0f}} MB at most")
"""


def join(folder: Path) -> None:
    """30 s of 1080p from five clips: time and peak memory, copied, encoded, dissolved and matched."""
    parts = []
    for number in range(5):
        drift = seam_clips.drift(random.Random(number)) if number else seam_clips.NONE  # noqa: S311 - no secret
        case = Case("coffee", "pan", 3, 1, drift, size=(1920, 1080), frames=(1, 145), seed=1)
        parts.append(str(seam_clips.make(case, folder, f"part{number}").later))
    film = folder / "film.mp4"
    for options in ("match='on', dissolve=12", "match='on'", ""):
        script = JOIN.format(
            tests=str(Path(conftest.__file__).parent), parts=parts, film=str(film), options=options
        )
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        print(
            f"{clips.inspect(film).frames} frames, {options or 'plain':26} {run.stdout.strip()}", flush=True
        )


def _small(path: Path, count: int) -> overlap.Stack:
    """The first frames of a clip as seams are measured on, or the last ones."""
    frames = clips.timeline(path).frames
    places = range(max(frames + count, 0), frames) if count < 0 else range(min(count, frames))
    return seams._small(retiming.reel(path), places, (128, 72))


def _apart(one: overlap.Stack, other: overlap.Stack) -> list[float]:
    """CIEDE2000 of the mean colours of blocks."""
    return [
        float(np.mean(difference.ciede2000(difference.lab(_blocks(a)), difference.lab(_blocks(b)))))
        for a, b in zip(one, other, strict=True)
    ]


def _blocks(frame: overlap.Stack) -> overlap.Stack:
    return frame[:64].reshape(8, 8, 16, 8, 3).mean((1, 3))


def main(words: list[str]) -> None:
    """Measure what is named."""
    count = int(words[1]) if len(words) > 1 else 300
    measures: dict[str, Callable[[Path], None]] = {
        "overlap": lambda folder: overlaps(count, folder),
        "colour": lambda folder: colours(min(count, 120), folder),
        "still": still,
        "cuts": cuts,
        "join": join,
    }
    for name in words[:1] or [name for name in measures if name != "join"]:
        with tempfile.TemporaryDirectory() as folder:
            measures[name](Path(folder))
    print(f"peak memory of all this: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
