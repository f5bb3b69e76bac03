"""The durable record of purchases: one row a generation, written before the billable call."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from .database import DATABASE_URL, Database
from .errors import JournalUnavailable
from .offer import Job, Limits
from .records import CREATES, GENERATIONS, METADATA, OVER, STATES, UPLOADS, Entry, entry_of
from .request import GenerationRequest, Json

LEASE: Final = 720.0
"""Seconds a `submitting` row belongs to the process that wrote it; longer than a create can take."""
_PROCESS = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

NO_LIMITS: Final = Limits()
RUNNING: Final = ("submitting", "submitted", "uncertain")


class Full(Exception):
    """A provider takes no more at the moment; the text says why, as half a sentence."""


class Journal:
    """The generations of this machine, or of several workers that share a database.

    Safe between threads and processes. Every method raises JournalUnavailable when the database cannot be
    used; a generation that cannot be recorded is not bought.
    """

    def __init__(self, url: str | sa.URL, *, now: Callable[[], float] = time.time) -> None:
        self.database = Database(url, METADATA)
        self._now = now

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
        limits: Limits = NO_LIMITS,
        running_since: float = 0.0,
        create: tuple[str, Json] | None = None,
    ) -> tuple[Entry, bool]:
        """Write the row of a generation about to be submitted, durably.

        Returns the row and True; or, when this request and take is already bought there or being bought, the
        row that exists and False. *create* (endpoint, body) is kept until it is answered.

        Raises Full when the provider takes no more now, by its *limits*: counted over all processes that share
        this journal, among the rows made after *running_since* (whoever watched an older one is gone).
        """
        values = self._row(request.fingerprint, request.take, provider, local=local)
        values |= {
            "model": request.model,
            "operation": request.operation.value,
            "request": request.describe(),
            "estimate_usd": _text(estimate_usd),
        }
        return self._insert(values, limits=limits, running_since=running_since, create=create)

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
            also=sa.and_(GENERATIONS.c.state == "failed", GENERATIONS.c.job_id.is_(None)),
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

    def done(self, id: str, *, ran_seconds: float | None, reference: str = "") -> Entry:
        """The provider was first seen to have ended the job; its clip, if there is one, is not here yet."""
        given: dict[str, Any] = {"reference": reference} if reference else {}
        return self._change(id, ("submitted",), done_at=self._now(), ran_seconds=ran_seconds, **given)

    def withdraw(self, id: str) -> None:
        """Take back the row of a create that the provider did not accept and that will be sent again."""
        with self.database.transaction(writes=True) as connection:
            connection.execute(CREATES.delete().where(CREATES.c.generation == id))
            connection.execute(
                GENERATIONS.delete().where(GENERATIONS.c.id == id, GENERATIONS.c.state == "submitting")
            )

    def create_of(self, id: str) -> tuple[str, Json] | None:
        """The endpoint and the body of an unanswered create, where its provider takes it again."""
        query = sa.select(CREATES.c.endpoint, CREATES.c.body).where(CREATES.c.generation == id)
        with self.database.transaction() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.endpoint, row.body)

    def running_times(self, provider: str, model: str, limit: int = 400) -> list[Entry]:
        """The newest generations of *model* at *provider* that were watched from beginning to end."""
        return self._select(
            GENERATIONS.c.provider == provider,
            GENERATIONS.c.model == model,
            GENERATIONS.c.ran_seconds.is_not(None),
            limit=limit,
        )

    def uploaded(self, place: str, sha256: str, *, at_least: float) -> str | None:
        """Where a picture is at *place* already, for at least so many seconds more."""
        query = sa.select(UPLOADS.c.url).where(
            UPLOADS.c.place == place, UPLOADS.c.sha256 == sha256, UPLOADS.c.until > self._now() + at_least
        )
        with self.database.transaction() as connection:
            url = connection.scalar(query)
        return None if url is None else str(url)

    def remember_upload(self, place: str, sha256: str, url: str, *, life: float) -> None:
        """A picture is at *place*, for *life* seconds from now."""
        same = sa.and_(UPLOADS.c.place == place, UPLOADS.c.sha256 == sha256)
        with self.database.transaction(writes=True) as connection:
            connection.execute(UPLOADS.delete().where(sa.or_(same, UPLOADS.c.until < self._now())))
            row = {"place": place, "sha256": sha256, "url": url, "until": self._now() + life}
            connection.execute(UPLOADS.insert().values(row))

    def get(self, id: str) -> Entry | None:
        """The row called *id*."""
        return next(iter(self._select(GENERATIONS.c.id == id)), None)

    def by_job(self, job_id: str) -> list[Entry]:
        """The rows with this provider's job, newest first."""
        return self._select(GENERATIONS.c.job_id == job_id)

    def by_handle(self, handle: str) -> list[Entry]:
        """The rows whose clip the provider calls so, newest first."""
        return self._select(sa.or_(GENERATIONS.c.reference == handle, GENERATIONS.c.job_id == handle))

    def live(self, fingerprint: str, take: int, provider: str | None = None) -> Entry | None:
        """The purchase of this request and take that still counts: a finished one before one on its way.

        Without *provider*: at whichever paid provider.
        """
        at = GENERATIONS.c.provider == provider if provider else GENERATIONS.c.local.is_(False)
        rows = self._select(
            GENERATIONS.c.fingerprint == fingerprint,
            GENERATIONS.c.take == take,
            GENERATIONS.c.state.not_in(OVER),
            at,
        )
        return min(rows, key=lambda row: row.state != "completed", default=None)

    def entries(self, states: Sequence[str] = STATES, limit: int = 1000) -> list[Entry]:
        """The newest rows in one of *states*."""
        return self._select(GENERATIONS.c.state.in_(states), limit=limit)

    def jobs(self, provider: str) -> list[str]:
        """The ids of all jobs at *provider* that belong to a generation here."""
        query = sa.select(GENERATIONS.c.job_id).where(
            GENERATIONS.c.provider == provider, GENERATIONS.c.job_id.is_not(None)
        )
        with self.database.transaction() as connection:
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

    def _insert(
        self,
        values: dict[str, Any],
        *,
        limits: Limits = NO_LIMITS,
        running_since: float = 0.0,
        create: tuple[str, Json] | None = None,
    ) -> tuple[Entry, bool]:
        same_request = sa.and_(
            GENERATIONS.c.fingerprint == values["fingerprint"],
            GENERATIONS.c.take == values["take"],
            GENERATIONS.c.state.not_in(OVER),
        )
        same_job = GENERATIONS.c.job_id == values["job_id"] if "job_id" in values else sa.false()
        same = sa.select(GENERATIONS).where(
            GENERATIONS.c.provider == values["provider"], sa.or_(same_request, same_job)
        )
        for _ in range(3):
            with self.database.transaction(writes=True) as connection:
                existing = connection.execute(same).mappings().first()
                if existing is not None:
                    return entry_of(existing), False
                self._check_limits(connection, values["provider"], limits, running_since)
                try:
                    connection.execute(GENERATIONS.insert().values(values))
                    if create is not None:
                        endpoint, body = create
                        kept = {"generation": values["id"], "endpoint": endpoint, "body": body}
                        connection.execute(CREATES.insert().values(kept))
                except sa.exc.IntegrityError:
                    # Another worker on the same database was a moment earlier; its row is there now.
                    connection.rollback()
                    continue
            made = self.get(values["id"])
            if made is not None:
                return made, True
        raise JournalUnavailable(
            "The journal did not keep the record of this generation; nothing was sent or billed."
        )

    def _check_limits(
        self, connection: sa.Connection, provider: str, limits: Limits, running_since: float
    ) -> None:
        def count(*conditions: sa.ColumnElement[bool]) -> int:
            rows = sa.select(sa.func.count()).select_from(GENERATIONS)
            return int(connection.scalar(rows.where(GENERATIONS.c.provider == provider, *conditions)) or 0)

        if limits.concurrent is not None:
            running = count(
                GENERATIONS.c.state.in_(RUNNING),
                GENERATIONS.c.done_at.is_(None),
                GENERATIONS.c.created_at > running_since,
            )
            if running >= limits.concurrent:
                raise Full(f"{running} of {limits.concurrent} clips are being made there")
        if limits.per_minute is not None:
            made = count(GENERATIONS.c.created_at > self._now() - 60)
            if made >= limits.per_minute:
                raise Full(f"{made} of {limits.per_minute} clips a minute were asked for")

    def _change(
        self, id: str, expected: Sequence[str], *, also: sa.ColumnElement[bool] | None = None, **values: Any
    ) -> Entry:
        if "note" in values:
            values["note"] = _storable(values["note"])
        ready = GENERATIONS.c.state.in_(expected)
        change = (
            GENERATIONS.update()
            .where(GENERATIONS.c.id == id, ready if also is None else sa.or_(ready, also))
            .values(updated_at=self._now(), owner=_PROCESS, **values)
        )
        with self.database.transaction(writes=True) as connection:
            # Where another process was further ahead nothing is changed, and its row is returned.
            connection.execute(change)
            if values.get("state") in (*OVER, "submitted"):
                connection.execute(CREATES.delete().where(CREATES.c.generation == id))
            found = (
                connection.execute(sa.select(GENERATIONS).where(GENERATIONS.c.id == id)).mappings().first()
            )
        if found is None:
            raise JournalUnavailable(f"The journal has no generation {id}.")
        return entry_of(found)

    def _select(self, *conditions: sa.ColumnElement[bool], limit: int = 1000) -> list[Entry]:
        order = (GENERATIONS.c.created_at.desc(), GENERATIONS.c.id)
        query = sa.select(GENERATIONS).where(*conditions).order_by(*order).limit(limit)
        with self.database.transaction() as connection:
            return [entry_of(row) for row in connection.execute(query).mappings()]


def _storable(note: str) -> str:
    """*note*, which may quote a provider, as every database takes it: no half characters, no zero byte."""
    return note.encode("utf-8", "replace").decode().replace("\0", "")


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)


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
