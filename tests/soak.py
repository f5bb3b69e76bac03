"""Schedules of faults by the thousand, with the seed of each batch, so that what fails can be played again.

python tests/soak.py                        2,000 in memory and 250 through the proxies, from a seed of its own
python tests/soak.py --schedules 20000      more of them
python tests/soak.py --seed 4711            the same as when 4711 was printed
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conftest  # noqa: F401 - the pack under its name
from emulators.server import FileHost
from faults import play, schedule, street
from faults.ground import empty
from hypothesis import HealthCheck, given, seed, settings

BATCH = 250


class Soak:
    """What was gone through so far."""

    def __init__(self, files: FileHost) -> None:
        self.files = files
        self.played = 0
        self.met: Counter[str] = Counter()
        self.states: Counter[str] = Counter()

    def in_memory(self, chosen: schedule.Schedule, folder: Path) -> None:
        """One schedule among providers that keep books."""
        performed = play.Play(chosen, folder)
        performed.perform()
        self.note(performed)

    def in_the_street(self, chosen: schedule.Schedule, folder: Path) -> None:
        """One among real providers, through the proxies."""
        self.note(street.perform(chosen, folder, self.files))

    def note(self, performed: play.Play) -> None:
        """It held."""
        self.played += 1
        self.met.update(performed.faults.met)
        self.states.update(row.state for row in performed.journal.entries())

    def batch(
        self, name: str, number: int, examples: int, schedules: Any, perform: Callable[..., None]
    ) -> None:
        """So many schedules from one seed. Raises what does not hold, with the smallest schedule that shows it."""

        def one(chosen: schedule.Schedule) -> None:
            with empty() as folder:
                perform(chosen, folder)

        chosen_settings = settings(
            max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        begun = time.monotonic()
        print(f"{name}, seed {number}: ", end="", flush=True)
        seed(number)(chosen_settings(given(schedules)(one)))()
        print(f"{examples} schedules hold, {time.monotonic() - begun:.0f} s", flush=True)


def main() -> int:
    """Go through all batches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schedules", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    told = parser.parse_args()
    play.environment()
    begun = time.monotonic()
    with FileHost() as files:
        soak = Soak(files)
        for begin in range(0, told.schedules, BATCH):
            number, examples = told.seed + begin, min(BATCH, told.schedules - begin)
            soak.batch("in memory", number, examples, schedule.SCHEDULES, soak.in_memory)
            soak.batch("through proxies", number, max(examples // 8, 1), street.SCHEDULES, soak.in_the_street)
    print(f"\n{soak.played} schedules in {time.monotonic() - begun:.0f} s, seed {told.seed}; at their ends:")
    print(", ".join(f"{count} {state}" for state, count in soak.states.most_common()))
    print(f"{sum(soak.met.values())} faults of {len(soak.met)} kinds met somebody:")
    print(", ".join(f"{name} ({count})" for name, count in soak.met.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
