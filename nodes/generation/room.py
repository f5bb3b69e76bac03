"""Whether a provider takes one more clip now: by its limits, counted over all processes that share a journal."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from .offer import Limits
from .records import AHEAD, GENERATIONS, OPEN

RUNNING: Final = (*OPEN, "submitted")


class Full(Exception):
    """A provider takes no more at the moment; the text says why, as half a sentence."""


def check(
    connection: sa.Connection, provider: str, limits: Limits, *, running_since: float, now: float
) -> None:
    """Raise Full where *limits* allow no other clip. Jobs from before *running_since* are not watched any more."""

    def count(*conditions: sa.ColumnElement[bool]) -> int:
        rows = sa.select(sa.func.count()).select_from(GENERATIONS)
        past = GENERATIONS.c.created_at < now + AHEAD
        return int(connection.scalar(rows.where(GENERATIONS.c.provider == provider, past, *conditions)) or 0)

    if limits.concurrent is not None:
        running = count(
            GENERATIONS.c.state.in_(RUNNING),
            GENERATIONS.c.done_at.is_(None),
            GENERATIONS.c.created_at > running_since,
        )
        if running >= limits.concurrent:
            raise Full(f"{running} of {limits.concurrent} clips are being made there")
    if limits.per_minute is not None:
        made = count(GENERATIONS.c.created_at > now - 60)
        if made >= limits.per_minute:
            raise Full(f"{made} of {limits.per_minute} clips a minute were asked for")
