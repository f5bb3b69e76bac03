"""The durable record of purchases: one row a generation, written before the billable call."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa

from .credentials import redact
from .database import opened, patiently
from .errors import JournalUnavailable
from .offer import Job
from .request import GenerationRequest, Json

State = Literal["submitting", "submitted", "completed", "failed", "uncertain", "cancelled"]
STATES: Final = ("submitting", "submitted", "completed", "failed", "uncertain", "cancelled")
OVER: Final = ("failed", "cancelled")
"""States after which the same request and take may be bought again."""
DATABASE_URL: Final = "LUMA_RAY_DATABASE_URL"
"""Environment variable: one database for several ComfyUI workers instead of the local file."""
LEASE: Final = 180.0
"""Seconds a `submitting` row belongs to the process that wrote it; longer than a create can take."""
_METADATA = sa.MetaData()
_GENERATIONS = sa.Table(
    "generations",
    _METADATA,
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
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("submitted_at", sa.Float),
    sa.Column("completed_at", sa.Float),
    sa.Column("updated_at", sa.Float, nullable=False),
)
# Two processes that ask for the same clip at the same moment: the database lets one of them buy it.
sa.Index(
    "one_purchase",
    _GENERATIONS.c.fingerprint,
    _GENERATIONS.c.take,
    _GENERATIONS.c.provider,
    unique=True,
    sqlite_where=_GENERATIONS.c.state.not_in(OVER),
    postgresql_where=_GENERATIONS.c.state.not_in(OVER),
)
# A job belongs to one generation, whoever finds it.
sa.Index("one_job", _GENERATIONS.c.provider, _GENERATIONS.c.job_id, unique=True)

_PROCESS = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


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
    created_at: float
    submitted_at: float | None
    completed_at: float | None
    updated_at: float

    @property
    def usd(self) -> Decimal | None:
        """What it cost, as far as anybody said: the bill, else the estimate."""
        return self.billed_usd if self.billed_usd is not None else self.estimate_usd


class Journal:
    """The generations of this machine, or of several workers that share a database.

    Safe between threads and processes. Every method raises JournalUnavailable when the database cannot be
    used; a generation that cannot be recorded is not bought.
    """

    def __init__(self, url: str | sa.URL, *, now: Callable[[], float] = time.time) -> None:
        self.url = url
        self._now = now
        self._engine: sa.Engine | None = None
        self._opening = threading.Lock()

    @classmethod
    def at(cls, folder: Path) -> Journal:
        """The journal in *folder*, or the database that the environment names."""
        # Not as text: in a folder called "100%" or "a?b" a URL would mean another file.
        local = sa.URL.create("sqlite", database=str(folder / "journal.db"))
        return cls(os.environ.get(DATABASE_URL) or local)

    def claim(
        self,
        request: GenerationRequest,
        *,
        provider: str,
        local: bool,
        estimate_usd: Decimal | None,
    ) -> tuple[Entry, bool]:
        """Write the row of a generation about to be submitted, durably.

        Returns the row and True; or, when this request and take is already bought there or being bought, the
        row that exists and False.
        """
        values = self._row(request.fingerprint, request.take, provider, local=local)
        values |= {
            "model": request.model,
            "operation": request.operation.value,
            "request": request.describe(),
            "estimate_usd": _text(estimate_usd),
        }
        return self._insert(values)

    def adopt(self, provider: str, job: Job) -> Entry:
        """A row for a job that this journal never saw, so that its clip can be collected."""
        values = self._row(f"collected:{provider}:{job.id}", 1, provider, local=False)
        values |= {
            "state": "submitted",
            "model": "unknown",
            "operation": "collected",
            "request": {},
            "job_id": job.id,
            "job": {"id": job.id, "details": job.details},
            "submitted_at": self._now(),
        }
        return self._insert(values)[0]

    def submitted(self, id: str, job: Job) -> Entry:
        """The provider has the job: from here on any process can collect it.

        Also when somebody gave it up meanwhile: an answer that comes late is still a job that is paid.
        """
        return self._change(
            id,
            ("submitting", "uncertain"),
            also=sa.and_(_GENERATIONS.c.state == "failed", _GENERATIONS.c.job_id.is_(None)),
            state="submitted",
            note="",
            job_id=job.id,
            job={"id": job.id, "details": job.details},
            submitted_at=self._now(),
        )

    def uncertain(self, id: str, note: str) -> Entry:
        """The create may or may not have arrived."""
        return self._change(id, ("submitting", "uncertain"), state="uncertain", note=note)

    def failed(self, id: str, note: str) -> Entry:
        """It ended without a clip."""
        return self._change(id, ("submitting", "uncertain", "submitted"), state="failed", note=note)

    def cancelled(self, id: str, note: str) -> Entry:
        """The provider confirmed that it stopped."""
        return self._change(id, ("submitting", "submitted"), state="cancelled", note=note)

    def completed(
        self,
        id: str,
        *,
        clip: str,
        frames: int,
        width: int,
        height: int,
        seconds: float,
        billed_usd: Decimal | None,
    ) -> Entry:
        """The clip is on disk under its final name and decodes."""
        billed: dict[str, Any] = {} if billed_usd is None else {"billed_usd": str(billed_usd)}
        return self._change(
            id,
            ("submitted", "completed"),
            state="completed",
            note="",
            clip=clip,
            frames=frames,
            width=width,
            height=height,
            seconds=seconds,
            completed_at=self._now(),
            **billed,
        )

    def get(self, id: str) -> Entry | None:
        """The row called *id*."""
        return next(iter(self._select(_GENERATIONS.c.id == id)), None)

    def by_job(self, job_id: str) -> list[Entry]:
        """The rows with this provider's job, newest first."""
        return self._select(_GENERATIONS.c.job_id == job_id)

    def live(self, fingerprint: str, take: int, provider: str | None = None) -> Entry | None:
        """The purchase of this request and take that still counts: a finished one before one on its way.

        Without *provider*: at whichever paid provider.
        """
        at = _GENERATIONS.c.provider == provider if provider else _GENERATIONS.c.local.is_(False)
        rows = self._select(
            _GENERATIONS.c.fingerprint == fingerprint,
            _GENERATIONS.c.take == take,
            _GENERATIONS.c.state.not_in(OVER),
            at,
        )
        return min(rows, key=lambda row: row.state != "completed", default=None)

    def entries(self, states: Sequence[str] = STATES, limit: int = 1000) -> list[Entry]:
        """The newest rows in one of *states*."""
        return self._select(_GENERATIONS.c.state.in_(states), limit=limit)

    def jobs(self, provider: str) -> list[str]:
        """The ids of all jobs at *provider* that belong to a generation here."""
        query = sa.select(_GENERATIONS.c.job_id).where(
            _GENERATIONS.c.provider == provider, _GENERATIONS.c.job_id.is_not(None)
        )
        with self._transaction() as connection:
            return [str(job_id) for (job_id,) in connection.execute(query)]

    def abandoned(self, entry: Entry) -> bool:
        """Whether the process that was submitting *entry* is gone, so nobody will write what came of it."""
        if self._now() - entry.updated_at > LEASE:
            return True  # our own too: its thread ended without being able to write what came of it
        host, pid, token = entry.owner.rsplit(":", 2)
        own_host, own_pid, own_token = _PROCESS.rsplit(":", 2)
        if token == own_token or host != own_host:
            return False
        return pid == own_pid or not _alive(int(pid))

    def _row(self, fingerprint: str, take: int, provider: str, *, local: bool) -> dict[str, Any]:
        now = self._now()
        return {
            "id": f"ray-{time.strftime('%y%m%d', time.gmtime(now))}-{secrets.token_hex(5)}",
            "state": "submitting",
            "provider": provider,
            "fingerprint": fingerprint,
            "take": take,
            "local": local,
            "note": "",
            "owner": _PROCESS,
            "created_at": now,
            "updated_at": now,
        }

    def _insert(self, values: dict[str, Any]) -> tuple[Entry, bool]:
        same_request = sa.and_(
            _GENERATIONS.c.fingerprint == values["fingerprint"],
            _GENERATIONS.c.take == values["take"],
            _GENERATIONS.c.state.not_in(OVER),
        )
        same_job = _GENERATIONS.c.job_id == values["job_id"] if "job_id" in values else sa.false()
        same = sa.select(_GENERATIONS).where(
            _GENERATIONS.c.provider == values["provider"], sa.or_(same_request, same_job)
        )
        for _ in range(3):
            with self._transaction(writes=True) as connection:
                existing = connection.execute(same).mappings().first()
                if existing is not None:
                    return _entry(existing), False
                try:
                    connection.execute(_GENERATIONS.insert().values(values))
                except sa.exc.IntegrityError:
                    # Another worker on the same database was a moment earlier; its row is there now.
                    connection.rollback()
                    continue
            entry = self.get(values["id"])
            if entry is not None:
                return entry, True
        raise JournalUnavailable(
            "The journal did not keep the record of this generation; nothing was sent or billed."
        )

    def _change(
        self, id: str, expected: Sequence[str], *, also: sa.ColumnElement[bool] | None = None, **values: Any
    ) -> Entry:
        if "note" in values:
            values["note"] = _storable(values["note"])
        ready = _GENERATIONS.c.state.in_(expected)
        change = (
            _GENERATIONS.update()
            .where(_GENERATIONS.c.id == id, ready if also is None else sa.or_(ready, also))
            .values(updated_at=self._now(), owner=_PROCESS, **values)
        )
        with self._transaction(writes=True) as connection:
            # Where another process was further ahead nothing is changed, and its row is returned.
            connection.execute(change)
            found = (
                connection.execute(sa.select(_GENERATIONS).where(_GENERATIONS.c.id == id)).mappings().first()
            )
        if found is None:
            raise JournalUnavailable(f"The journal has no generation {id}.")
        return _entry(found)

    def _select(self, *conditions: sa.ColumnElement[bool], limit: int = 1000) -> list[Entry]:
        order = (_GENERATIONS.c.created_at.desc(), _GENERATIONS.c.id)
        query = sa.select(_GENERATIONS).where(*conditions).order_by(*order).limit(limit)
        with self._transaction() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[sa.Connection]:
        try:
            engine = self._opened().execution_options(writes=writes)
            with ExitStack() as stack:
                # Only the beginning is repeated: nothing has been done by then.
                yield patiently(lambda: stack.enter_context(engine.begin()))
        except (sa.exc.SQLAlchemyError, OSError) as error:
            cause = redact(str(getattr(error, "orig", None) or error))
            raise JournalUnavailable(
                f"The journal of purchases ({_place(self.url)}) cannot be used: {cause}. "
                "Without it nothing is bought."
            ) from None

    def _opened(self) -> sa.Engine:
        with self._opening:
            if self._engine is None:
                try:
                    self._engine = opened(self.url, _METADATA)
                except ImportError as error:
                    raise JournalUnavailable(
                        f"{DATABASE_URL} names a database that needs the Python package {error.name!r}, and it "
                        "is not installed. Without the journal nothing is bought."
                    ) from None
                except (sa.exc.ArgumentError, ValueError):  # their texts quote the URL with its password
                    raise JournalUnavailable(
                        f"{DATABASE_URL} is not a database URL as SQLAlchemy knows them, or its driver is "
                        "unknown. Without the journal nothing is bought."
                    ) from None
            return self._engine


def _entry(row: Any) -> Entry:
    values = {name: row[name] for name in Entry.__dataclass_fields__}
    job = values["job"]
    values["job"] = Job(id=job["id"], details=job["details"]) if job else None
    for name in ("estimate_usd", "billed_usd"):
        values[name] = Decimal(values[name]) if values[name] is not None else None
    return Entry(**values)


def _storable(note: str) -> str:
    """*note*, which may quote a provider, as every database takes it: no half characters, no zero byte."""
    return note.encode("utf-8", "replace").decode().replace("\0", "")


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)


def _place(url: str | sa.URL) -> str:
    """The database for people: no password."""
    return sa.make_url(url).render_as_string(hide_password=True)


def _alive(pid: int) -> bool:
    """Whether a process of this machine runs; True where it cannot be told without touching it."""
    if sys.platform == "win32":
        return True  # os.kill would end it; the lease decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
