"""The durable record of purchases: one row a generation, written before the billable call."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from .database import DATABASE_URL, Database, again
from .errors import JournalUnavailable
from .offer import Job, Limits
from .owner import OWN, gone
from .records import (
    AHEAD,
    COLLECTED,
    CREATES,
    FINDINGS,
    GENERATIONS,
    LIVE,
    METADATA,
    OPEN,
    OVER,
    STATES,
    Entry,
    Occasion,
    Sent,
    entry_of,
)
from .request import GenerationRequest
from .room import RUNNING
from .room import check as check_room
from .spending import Reserve, micro
from .spending import check as check_spending

LEASE: Final = 720.0
"""Seconds a `submitting` row belongs to the process that wrote it; longer than a create can take."""
_sending: set[str] = set()
"""Ids of the rows whose create is under way in this process."""

NO_LIMITS: Final = Limits()
NO_OCCASION: Final = Occasion()
_ANY: Final = sa.true()


class Taken(Exception):
    """A job, or a purchase, belongs to another generation; the text is its id."""


class Journal:
    """The generations of this machine, or of several workers that share a database.

    Safe between threads and processes. Every method raises JournalUnavailable when the database cannot be
    used; a generation that cannot be recorded is not bought.
    """

    def __init__(self, url: str | sa.URL, *, now: Callable[[], float] = time.time) -> None:
        self.database = Database(url, METADATA)
        self.now = now

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
        anywhere: bool = False,
        create: Sent | None = None,
        occasion: Occasion = NO_OCCASION,
        reserve: Reserve | None = None,
    ) -> tuple[Entry, bool]:
        """Write the row of a generation about to be submitted, durably.

        Returns the row and True; or, when this request and take is already bought there or being bought, the
        row that exists and False. With *anywhere* one that is bought at any paid provider counts. *create* is
        kept until it is answered.

        Raises Full when the provider takes no more now, by its *limits*: counted over all processes that share
        this journal, among the rows made after *running_since* (whoever watched an older one is gone); OverLimit
        when *reserve* does not fit into the owner's limits, counted in the same way.
        """
        values = self._row(request.fingerprint, request.take, provider, local=local)
        values |= {
            "model": request.model,
            "operation": request.operation.value,
            "request": request.describe(),
            "estimate_usd": _text(estimate_usd),
            "run": occasion.run,
            "workflow": occasion.workflow,
            "shot": occasion.shot,
            "counts": None if reserve is None else micro(reserve.usd),
        }

        def allowed(connection: sa.Connection) -> None:
            if reserve is not None:
                check_spending(connection, provider, reserve, self.now())
            check_room(connection, provider, limits, running_since=running_since, now=self.now())

        return self._insert(values, allowed=allowed, anywhere=anywhere, create=create)

    def adopt(self, provider: str, job: Job) -> Entry:
        """A row for a job that this journal never saw, so that its clip can be collected."""
        values = self._row(f"collected:{provider}:{job.id}", 1, provider, local=False)
        values |= {
            "state": "submitted",
            "model": "unknown",
            "operation": COLLECTED,
            "request": {},
            "job_id": job.id,
            "job": {"id": job.id, "details": job.details},
            "submitted_at": self.now(),
        }
        return self._insert(values)[0]

    @again
    def submitted(self, id: str, job: Job, *, request_id: str = "") -> Entry:
        """The provider has the job: from here on any process can collect it.

        Also when somebody gave it up meanwhile: an answer that comes late is still a job that is paid. A row under
        which the job was collected by hand becomes one with this.

        Raises Taken: the job is another generation's, or this one was given up and bought anew.
        """
        rows = sa.select(GENERATIONS)
        with self._changing(id) as connection:
            own = connection.execute(rows.where(GENERATIONS.c.id == id)).mappings().first()
            if own is None:
                raise JournalUnavailable(f"The journal has no generation {id}.")
            if own["state"] not in OPEN and not (own["state"] == "failed" and own["job_id"] is None):
                return entry_of(own)  # another process was further ahead
            others = rows.where(GENERATIONS.c.provider == own["provider"], GENERATIONS.c.id != id)
            found: dict[str, Any] = {"state": "submitted"}
            holder = connection.execute(others.where(GENERATIONS.c.job_id == job.id)).mappings().first()
            if holder is not None and holder["operation"] != COLLECTED:
                raise Taken(holder["id"])
            anew = others.where(
                GENERATIONS.c.fingerprint == own["fingerprint"],
                GENERATIONS.c.take == own["take"],
                LIVE,
            )
            newer = connection.execute(anew).mappings().first()
            if newer is not None:
                raise Taken(newer["id"])
            if holder is not None:
                found = {name: holder[name] for name in ("state", *FINDINGS)}
                connection.execute(GENERATIONS.delete().where(GENERATIONS.c.id == holder["id"]))
            kept = {"id": job.id, "details": job.details}
            connection.execute(
                GENERATIONS.update()
                .where(GENERATIONS.c.id == id)
                .values(
                    note="",
                    job_id=job.id,
                    job=kept,
                    request_id=request_id or None,
                    # One that was given up counted nothing; it is paid after all.
                    counts=own["counts"] or None,
                    submitted_at=self.now(),
                    **{"updated_at": self.now(), "owner": OWN, **found},
                )
            )
            connection.execute(CREATES.delete().where(CREATES.c.generation == id))
            return entry_of(connection.execute(rows.where(GENERATIONS.c.id == id)).mappings().one())

    def uncertain(self, id: str, note: str) -> Entry:
        """The create may or may not have arrived."""
        return self._change(id, OPEN, state="uncertain", note=note)

    def refused(self, id: str, note: str) -> Entry:
        """The create became no job, so it counts nothing. One that another process found stays as it is."""
        return self._change(id, OPEN, state="failed", note=note, counts=0)

    def taken_over(self, entry: Entry) -> Entry:
        """Nobody will say what came of the create of *entry*, see `abandoned`; unless somebody just did."""
        return self._change(entry.id, ("submitting",), only=_unchanged(entry), state="uncertain")

    def given_up(self, entry: Entry, note: str) -> Entry:
        """The person says that the create of *entry* became no job; unless its row changed meanwhile."""
        return self._change(
            entry.id, ("uncertain",), only=_unchanged(entry), state="failed", note=note, counts=0
        )

    def failed(self, id: str, note: str, *, billed_usd: Decimal | None = None) -> Entry:
        """The job ended without a clip. It counts in full where its provider does not say what it billed."""
        return self._change(id, RUNNING, state="failed", note=note, **_bill(billed_usd))

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
            completed_at=self.now(),
            removed_at=None,
            **_bill(billed_usd),
        )

    def done(self, id: str, *, ran_seconds: float | None, reference: str = "") -> Entry:
        """The provider was first seen to have ended the job; its clip, if there is one, is not here yet."""
        given: dict[str, Any] = {"reference": reference} if reference else {}
        first = GENERATIONS.c.done_at.is_(None)
        return self._change(
            id, ("submitted",), only=first, done_at=self.now(), ran_seconds=ran_seconds, **given
        )

    @again
    def withdraw(self, id: str) -> None:
        """Take back the row of a create that the provider did not accept and that will be sent again."""
        with self._changing(id) as connection:
            gone = connection.execute(
                GENERATIONS.delete().where(GENERATIONS.c.id == id, GENERATIONS.c.state == "submitting")
            )
            if gone.rowcount:
                connection.execute(CREATES.delete().where(CREATES.c.generation == id))

    def send_again(self, id: str, *, account: str, life: float) -> Sent | None:
        """What an unanswered create said, to be sent again now by this process alone: its row is `submitting` again.

        None where it must not be: it was settled meanwhile, went out more than *life* seconds ago (it is forgotten
        then) or at a time that is still to come, or from another *account*, to which its key is new.
        """
        asked = (
            sa.select(GENERATIONS.c.created_at, CREATES)
            .join_from(GENERATIONS, CREATES, CREATES.c.generation == GENERATIONS.c.id)
            .where(GENERATIONS.c.id == id, GENERATIONS.c.state == "uncertain")
        )
        with self.database.transaction(writes=True) as connection:
            row = connection.execute(asked).mappings().first()
            if row is None:
                return None
            age = self.now() - row["created_at"]
            if age >= life:
                connection.execute(CREATES.delete().where(CREATES.c.generation == id))
            if age < -AHEAD or age >= life or row["account"] != account:
                return None
            connection.execute(
                GENERATIONS.update()
                .where(GENERATIONS.c.id == id)
                .values(state="submitting", owner=OWN, updated_at=self.now())
            )
            _sending.add(id)
        return Sent(endpoint=row["endpoint"], body=row["body"], account=row["account"])

    def running_times(self, provider: str, model: str, limit: int = 400) -> list[Entry]:
        """The newest generations of *model* at *provider* that were watched from beginning to end."""
        return self._select(
            GENERATIONS.c.provider == provider,
            GENERATIONS.c.model == model,
            GENERATIONS.c.ran_seconds.is_not(None),
            limit=limit,
        )

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
            LIVE,
            at,
        )
        return min(rows, key=lambda row: row.state != "completed", default=None)

    def entries(self, states: Sequence[str] = STATES, limit: int = 1000) -> list[Entry]:
        """The newest rows in one of *states*."""
        return self._select(GENERATIONS.c.state.in_(states), limit=limit)

    @again
    def jobs(self, provider: str) -> list[str]:
        """The ids of all jobs at *provider* that belong to a generation here."""
        query = sa.select(GENERATIONS.c.job_id).where(
            GENERATIONS.c.provider == provider, GENERATIONS.c.job_id.is_not(None)
        )
        with self.database.transaction() as connection:
            return [str(job_id) for (job_id,) in connection.execute(query)]

    def abandoned(self, entry: Entry) -> bool:
        """Whether the process that was submitting *entry* is gone, so nobody will write what came of it."""
        age = self.now() - entry.updated_at
        if age > LEASE or age < -LEASE:
            return True  # our own too, and one from a clock that was wrong
        if entry.owner == OWN:
            return entry.id not in _sending  # its thread ended without being able to write what came of it
        return gone(entry.owner)

    def _row(self, fingerprint: str, take: int, provider: str, *, local: bool) -> dict[str, Any]:
        return {
            "id": f"ray-{time.strftime('%y%m%d', time.gmtime(self.now()))}-{secrets.token_hex(5)}",
            "state": "submitting",
            "provider": provider,
            "fingerprint": fingerprint,
            "take": take,
            "local": local,
            "note": "",
            "owner": OWN,
        }

    @again
    def _insert(
        self,
        values: dict[str, Any],
        *,
        allowed: Callable[[sa.Connection], None] = lambda _: None,
        anywhere: bool = False,
        create: Sent | None = None,
    ) -> tuple[Entry, bool]:
        there = GENERATIONS.c.provider == values["provider"]
        same_request = sa.and_(
            GENERATIONS.c.local.is_(False) if anywhere else there,
            GENERATIONS.c.fingerprint == values["fingerprint"],
            GENERATIONS.c.take == values["take"],
            LIVE,
        )
        same_job = (
            sa.and_(there, GENERATIONS.c.job_id == values["job_id"]) if "job_id" in values else sa.false()
        )
        same = (
            sa.select(GENERATIONS)
            .where(sa.or_(same_request, same_job))
            .order_by(GENERATIONS.c.id != values["id"], GENERATIONS.c.state != "completed")
        )
        own = sa.select(GENERATIONS).where(GENERATIONS.c.id == values["id"])
        # Writers come one after the other, so nobody else's row can come in between.
        with self.database.transaction(writes=True) as connection:
            existing = connection.execute(same).mappings().first()
            if existing is not None and existing["id"] != values["id"]:
                return entry_of(existing), False
            if existing is None:  # else it was made, and the answer to that was lost
                allowed(connection)
                now = self.now()  # not before: the journal may have been held by others for a while
                connection.execute(GENERATIONS.insert().values(created_at=now, updated_at=now, **values))
                if create is not None:
                    kept = {"endpoint": create.endpoint, "body": create.body, "account": create.account}
                    connection.execute(CREATES.insert().values(generation=values["id"], **kept))
            made = entry_of(connection.execute(own).mappings().one())
        if made.state == "submitting":
            _sending.add(made.id)
        return made, True

    @contextmanager
    def _changing(self, id: str) -> Iterator[sa.Connection]:
        """A step in the life of the row called *id*, after which no create of it is under way here."""
        try:
            with self.database.transaction(writes=True) as connection:
                yield connection
        finally:
            _sending.discard(id)

    @again
    def _change(
        self, id: str, expected: Sequence[str], *, only: sa.ColumnElement[bool] = _ANY, **values: Any
    ) -> Entry:
        if "note" in values:
            values["note"] = _storable(values["note"])
        change = (
            GENERATIONS.update()
            .where(GENERATIONS.c.id == id, GENERATIONS.c.state.in_(expected), only)
            .values(updated_at=self.now(), owner=OWN, **values)
        )
        with self._changing(id) as connection:
            # Where another process was further ahead nothing is changed, and its row is returned.
            changed = connection.execute(change).rowcount
            if changed and values.get("state") in OVER:
                connection.execute(CREATES.delete().where(CREATES.c.generation == id))
            found = (
                connection.execute(sa.select(GENERATIONS).where(GENERATIONS.c.id == id)).mappings().first()
            )
        if found is None:
            raise JournalUnavailable(f"The journal has no generation {id}.")
        return entry_of(found)

    @again
    def _select(self, *conditions: sa.ColumnElement[bool], limit: int = 1000) -> list[Entry]:
        order = (GENERATIONS.c.created_at.desc(), GENERATIONS.c.id)
        query = sa.select(GENERATIONS).where(*conditions).order_by(*order).limit(limit)
        with self.database.transaction() as connection:
            return [entry_of(row) for row in connection.execute(query).mappings()]


def _unchanged(entry: Entry) -> sa.ColumnElement[bool]:
    return GENERATIONS.c.updated_at == entry.updated_at


def _storable(note: str) -> str:
    """*note*, which may quote a provider, as every database takes it: no half characters, no zero byte."""
    return note.encode("utf-8", "replace").decode().replace("\0", "")


def _bill(usd: Decimal | None) -> dict[str, Any]:
    """What a provider told that it billed, as columns; none where it did not tell."""
    return {} if usd is None else {"billed_usd": str(usd), "counts": micro(usd)}


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)
