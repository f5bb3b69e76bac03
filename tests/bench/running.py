"""Trials one after the other, in turn: what disturbs the machine for a while disturbs them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .plan import Bench, Part, Skip, Trial
from .trial import HELD

TRIAL = Path(__file__).resolve().parent / "trial.py"
LONGEST = 300.0
"""Seconds that one trial may take."""
SPARE = 512 * 2**20
"""Bytes of memory that are left to the machine."""


class Broken(Exception):
    """A trial that should have worked did not."""


def run(part: Part, bench: Bench, say: Callable[[str], None]) -> dict[str, Any]:
    """What `report` makes the tables of *part* from."""
    rows: dict[tuple[str, str], dict[str, list[float]]] = {}
    skipped: dict[tuple[str, str], str] = {}
    trials: list[Trial] = []
    for one in part.plan(bench):
        if isinstance(one, Skip):
            skipped[one.group, one.name] = one.why
        else:
            trials.append(one)
            rows[one.group, one.name] = {}
    rounds = bench.rounds(part)
    for number in range(rounds):
        say(f"{part.name}: round {number + 1} of {rounds}")
        # Begun elsewhere each time: nobody is always the first, or always behind the same neighbour.
        shift = number * len(trials) // rounds
        for trial in trials[shift:] + trials[:shift]:
            key = trial.group, trial.name
            if key in skipped or 0 < trial.rounds <= number:
                continue
            found = once(trial, bench.folder)
            if isinstance(found, str):
                skipped[key] = found
                continue
            for name, measures in found.items():
                row = rows.setdefault((trial.group, name or trial.name), {})
                for measure, values in measures.items():
                    row.setdefault(measure, []).extend(values)
    for (group, name), why in skipped.items():
        say(f"{part.name}: skipped {' '.join(filter(None, [group, name]))}: {why}")
    return {
        "rounds": rounds,
        "rows": [
            {"group": group, "name": name, "values": values}
            for (group, name), values in rows.items()
            if values
        ],
        "skipped": [{"group": group, "name": name, "why": why} for (group, name), why in skipped.items()],
    }


def once(trial: Trial, folder: Path | None = None) -> dict[str, dict[str, list[float]]] | str:
    """The rows that *trial* gives, or why there are none; what it leaves behind is in *folder*. Raises Broken.

    What needs much memory runs twice: as it is, which tells the memory, and in a process that has it ready, which
    tells the time.
    """
    plain = _once(trial, folder)
    if not trial.needs or isinstance(plain, str) or sys.platform != "linux":
        return plain
    timed = _once(trial, folder, held=True)
    if isinstance(timed, str):
        return timed
    for name, measures in timed.items():
        measures.update({"memory": plain[name]["memory"]} if "memory" in plain.get(name, {}) else {})
    return timed


def _once(
    trial: Trial, folder: Path | None, *, held: bool = False
) -> dict[str, dict[str, list[float]]] | str:
    free = _free_memory()
    if free is not None and trial.needs + SPARE > free:
        return f"it needs {trial.needs / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free"
    numbers = map(str, (trial.repeats, int(trial.needs) if held else 0))
    command = [trial.python, str(TRIAL), trial.way, json.dumps(dict(trial.options)), *numbers]
    began = time.monotonic()
    try:
        # No keys and no journal of whoever runs it.
        done = subprocess.run(
            command,
            env={
                **_environment(),
                **({"TMPDIR": str(folder)} if folder else {}),
                **(HELD if held else {}),
                **trial.environment,
            },
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
    except FileNotFoundError:
        return f"there is no {trial.python}"
    except subprocess.TimeoutExpired:
        return f"not done after {time.monotonic() - began:.0f} s"
    try:
        told = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        told = {"failed": f"it ended with {done.returncode}"}
    if "failed" in told:
        print(done.stderr, file=sys.stderr)
        raise Broken(f"{trial.group} {trial.name} ({trial.way}): {told['failed']}")
    return told.get("skipped") or told["rows"]


def _environment() -> dict[str, str]:
    ours = ("LUMA", "AWS_", "WAVESPEED", "LLM_STATS", "RAILWAIL", "FAL_", "REPLICATE", "COMFY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _free_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)
