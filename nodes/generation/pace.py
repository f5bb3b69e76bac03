"""How often a job is looked at: seldom while it cannot be done, often when it may be any moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .journal import Journal
from .offer import Provider

ENOUGH: Final = 5
"""So many jobs of a kind say more than what we believed before."""
BEFORE: Final = 8.0
"""Seconds between looks while nothing is expected."""
QUICKEST: Final = 0.5
OFTEN: Final = 1.8
"""Seconds between looks while the job may be done any moment: on average it is known 0.9 s later."""
LATE: Final = 5.0
"""Seconds to which the pause grows for a job that takes longer than any before."""
LONGER: Final = 1.6
"""How much longer a clip of 9 or 10 s takes than one of 5 s, before it was measured (Bedrock: 4-8 for 2-5 min)."""
_LOOKS: Final = 16
"""Looks spread over the time in which a job is expected."""


@dataclass(frozen=True)
class Pace:
    """When a job is expected, in seconds after it was accepted."""

    early: float
    """Few are done before."""
    typical: float
    late: float
    """Few are done after."""
    watched: bool = False
    """It was seen here, and is not what we believe of the provider."""

    def pause(self, waited: float) -> float:
        """Seconds until the next look at a job that was accepted *waited* seconds ago."""
        often = min(max((self.late - self.early) / _LOOKS, QUICKEST), OFTEN)
        if waited < self.early:
            # A first look soon: a refusal by moderation comes within seconds.
            return min(BEFORE, max(self.early - waited, often)) if waited else min(2.0, self.early)
        if waited < self.late:
            return often
        return min(often + (waited - self.late) / 10, LATE)


def learn(
    journal: Journal, provider: Provider, model: str, resolution: str, duration: int, operation: str = ""
) -> Pace:
    """What to expect of a job: from those like it that were watched here, else from what is known of the provider.

    Without *operation* those of every one are alike.
    """
    like = [
        row.ran_seconds
        for row in journal.running_times(provider.name, model)
        if row.ran_seconds is not None
        and (row.request.get("resolution"), row.request.get("duration")) == (resolution, duration)
        and operation in ("", row.operation)
    ]
    return expected(like, provider.typical_seconds * (LONGER if duration > 5 else 1.0))


def expected(watched: Sequence[float], typical: float) -> Pace:
    """The pace for jobs that took *watched* seconds, newest first; *typical* where these are too few."""
    if len(watched) < ENOUGH:
        return Pace(0.35 * typical, typical, 2.0 * typical)
    ordered = sorted(watched[:40])

    def share(part: float) -> float:
        return ordered[round(part * (len(ordered) - 1))]

    return Pace(0.9 * share(0.05), share(0.5), 1.15 * share(0.95), watched=True)
