"""The rows of the journal: its tables, and a generation as one row tells it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

import sqlalchemy as sa

from .offer import Job
from .request import Json

State = Literal["submitting", "submitted", "completed", "failed", "uncertain", "cancelled"]
STATES: Final = ("submitting", "submitted", "completed", "failed", "uncertain", "cancelled")
OVER: Final = ("failed", "cancelled")
"""States after which the same request and take may be bought again."""
OPEN: Final = ("submitting", "uncertain")
"""States of a create that has no answer so far."""
AHEAD: Final = 60.0
"""Seconds; a row that is further in the future was written while a clock was wrong."""
COLLECTED: Final = "collected"
"""In place of the operation, in the row of a job that was brought here by its id alone."""
METADATA = sa.MetaData()
GENERATIONS = sa.Table(
    "generations",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("state", sa.String, sa.CheckConstraint(f"state in {STATES}"), nullable=False),
    sa.Column("provider", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("operation", sa.String, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("take", sa.Integer, nullable=False),
    sa.Column("local", sa.Boolean, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("job_id", sa.String, index=True),
    sa.Column("job", sa.JSON),
    sa.Column("estimate_usd", sa.String),
    sa.Column("billed_usd", sa.String),
    sa.Column("note", sa.String, nullable=False, default=""),
    sa.Column("clip", sa.String),
    sa.Column("frames", sa.Integer),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("seconds", sa.Float),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("reference", sa.String),
    sa.Column("ran_seconds", sa.Float),
    sa.Column("done_at", sa.Float),
    sa.Column("run", sa.String),
    sa.Column("workflow", sa.String),
    sa.Column("shot", sa.String),
    sa.Column("counts", sa.BigInteger),
    sa.Column("request_id", sa.String),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("submitted_at", sa.Float),
    sa.Column("completed_at", sa.Float),
    sa.Column("removed_at", sa.Float),
    sa.Column("updated_at", sa.Float, nullable=False),
)
CREATES = sa.Table(
    "creates",
    METADATA,
    sa.Column("generation", sa.String, primary_key=True),
    sa.Column("endpoint", sa.String, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("account", sa.String),
)
"""What was sent, for providers that take an unanswered create again under the same key; until it is answered."""
UPLOADS = sa.Table(
    "uploads",
    METADATA,
    sa.Column("place", sa.String, primary_key=True),
    sa.Column("sha256", sa.String, primary_key=True),
    sa.Column("url", sa.String, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)
"""Pictures that are at a provider or a hosting already, and until when (seconds since the epoch)."""

# Written out: SQLite does not see that a list of parameters is the condition of its index, and reads every row.
LIVE: Final = GENERATIONS.c.state.not_in(sa.bindparam("over", OVER, expanding=True, literal_execute=True))
"""Rows that are a purchase or may still be one."""

# Two processes that ask for the same clip at the same moment: the database lets one of them buy it.
sa.Index(
    "one_purchase",
    GENERATIONS.c.fingerprint,
    GENERATIONS.c.take,
    GENERATIONS.c.provider,
    unique=True,
    sqlite_where=GENERATIONS.c.state.not_in(OVER),
    postgresql_where=GENERATIONS.c.state.not_in(OVER),
)
# Lists begin with the newest, and what counts towards a day is what was made since it began.
sa.Index("by_time", GENERATIONS.c.created_at)
# A job belongs to one generation, whoever finds it.
sa.Index("one_job", GENERATIONS.c.provider, GENERATIONS.c.job_id, unique=True)


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """On what occasion a generation is asked for; empty where nobody said."""

    run: str = ""
    """One press of Queue, or one command."""
    workflow: str = ""
    shot: str = ""
    """A mark for the node that asks, with everything that leads to it."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A create as it went out."""

    endpoint: str
    body: Json
    account: str
    """A mark for the account that it went out from, see `Credentials.account`."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row: a generation as the journal knows it. Times are seconds since the epoch."""

    id: str
    state: State
    provider: str
    model: str
    operation: str
    fingerprint: str
    take: int
    local: bool
    request: Json
    job: Job | None
    estimate_usd: Decimal | None
    billed_usd: Decimal | None
    note: str
    clip: str | None
    """Path of the clip below the library's folder."""
    frames: int | None
    width: int | None
    height: int | None
    seconds: float | None
    owner: str
    reference: str | None
    """The id by which the provider's later requests call the clip, where it is not the job's."""
    ran_seconds: float | None
    """From the answer to the create until it was done, where that was watched all the time."""
    done_at: float | None
    """When it was first seen done at the provider, with or without a clip."""
    run: str | None
    """Which press of Queue, or command, asked for it."""
    workflow: str | None
    shot: str | None
    """A mark for the node that asked, with everything that leads to it."""
    counts: int | None
    """What it counts towards the limits on spending, millionths of a dollar."""
    request_id: str | None
    """The provider's own number of the answer to the create, for its support."""
    created_at: float
    submitted_at: float | None
    completed_at: float | None
    removed_at: float | None
    """When its owner deleted the file of the clip here; nothing where the file came back, or was never deleted."""
    updated_at: float

    @property
    def handle(self) -> str:
        """What the provider calls the clip in requests that build on it."""
        return self.reference or (self.job.id if self.job is not None else "")

    @property
    def usd(self) -> Decimal | None:
        """What it cost, as far as anybody said: the bill, else the estimate."""
        return self.billed_usd if self.billed_usd is not None else self.estimate_usd


FINDINGS: Final = (
    *("clip", "frames", "width", "height", "seconds", "billed_usd"),
    *("reference", "ran_seconds", "done_at", "completed_at", "removed_at"),
)
"""Columns with what was found out of a job since it was accepted."""


def entry_of(row: Any) -> Entry:
    """A row as it comes from the database."""
    values = {name: row[name] for name in Entry.__dataclass_fields__}
    job = values["job"]
    values["job"] = Job(id=job["id"], details=job["details"]) if job else None
    for name in ("estimate_usd", "billed_usd"):
        values[name] = Decimal(values[name]) if values[name] is not None else None
    return Entry(**values)
