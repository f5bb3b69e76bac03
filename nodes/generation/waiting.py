"""Waiting for a job: looking at it now and then until it is done, has failed, or the person has had enough."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, NoReturn, Protocol

from .budget import sensible
from .client import Client, decoding
from .clock import Clock
from .errors import (
    GenerationError,
    GenerationFailed,
    Interrupted,
    JournalUnavailable,
    ProviderUnavailable,
    RateLimited,
    Rejected,
    StillRunning,
    UnexpectedReply,
)
from .journal import Journal
from .offer import Completed, Failed, Job, Pending, Provider
from .pace import Pace, expected, learn
from .records import Entry

LONGEST_PAUSE: Final = 300.0
"""Seconds that are waited at a provider's word before it is asked again."""
DAY: Final = 24 * 3600.0
WATCHED: Final = 15.0
"""Seconds since the last look at a job, for the time it was done to count as known."""
STRANGE_ANSWERS: Final = 5
"""So many unreadable answers in a row end a wait; the job stays collectable."""
_WAITED: Final = re.compile(r"(?<=, )\d+(?= s\b)")


class Report(Protocol):
    """Where progress goes: a few words and, where it is known, a fraction from 0 to 1."""

    def __call__(self, words: str, fraction: float | None = None) -> None: ...  # noqa: D102


def later(words: str, seconds: float) -> str:
    """What `wait` reported, as it reads *seconds* afterwards: a job is looked at less often than a clock moves on."""
    return _WAITED.sub(lambda waited: f"{int(waited[0]) + int(seconds)}", words)


def wait(
    provider: Provider,
    client: Client,
    journal: Journal,
    entry: Entry,
    job: Job,
    *,
    clock: Clock,
    report: Report,
    alone: Callable[[], bool],
) -> Completed:
    """Look at *job* until it is done.

    *alone* says whether nobody else here waits for it: only then a stop is one of the job, too.

    Raises: GenerationFailed (recorded), StillRunning, Interrupted, UnexpectedReply and Rejected (all four leave
    the row as it is: the clip can be collected later).
    """
    started = clock.elapsed()
    before = max(clock.now() - (entry.submitted_at or clock.now()), 0.0)
    pace = _expected(provider, journal, entry)
    if not provider.local and before < 1:
        clock.sleep(0 if provider.long_poll else pace.pause(0))
    strange = 0
    last_look: float | None = None
    while True:
        if clock.stopped:
            stop(provider, client, journal, entry, clock=clock, alone=alone())
        asked_to_wait = 0.0
        looked = clock.elapsed()
        try:
            with decoding(client.title):
                status = provider.status(client, job)
            strange = 0
        except (ProviderUnavailable, RateLimited) as error:
            asked_to_wait = min(error.retry_after or 0.0, LONGEST_PAUSE)
            status = Pending(note=f"{error} The job goes on; still asking")
        except UnexpectedReply as error:
            strange += 1
            if strange >= STRANGE_ANSWERS:
                raise UnexpectedReply(
                    f"{error} The job is kept: collect generation {entry.id} later."
                    f"{kept(provider, entry, clock.now())}"
                ) from None
            status = Pending(note="an unreadable answer; asking again")
        except Rejected as error:
            raise type(error)(
                f"{error} Asked about generation {entry.id} ({client.title} job {job.id}), which stays in the "
                f"journal and can be collected later.{kept(provider, entry, clock.now())}{_gone(entry)}"
            ) from None
        now = clock.elapsed()
        waited = now - started + before
        match status:
            case Completed():
                if not provider.local:
                    watched = last_look is not None and now - last_look < WATCHED + provider.long_poll
                    with suppress(JournalUnavailable):  # it only says how long such jobs take
                        ran = waited if watched else None
                        journal.done(entry.id, ran_seconds=ran, reference=status.reference)
                return status
            case Failed(reason=reason, billing=billing):
                with suppress(JournalUnavailable):  # then the next who asks records it
                    journal.failed(entry.id, reason, billed_usd=sensible(status.billed_usd))
                raise GenerationFailed(
                    f"{reason} {billing} (generation {entry.id}){_gone(entry)}{_late(provider, entry, clock)}"
                )
        if now - started > provider.patience:
            raise StillRunning(
                f"{client.title} has not finished generation {entry.id} after {(now - started) / 60:.0f} minutes. "
                f"Nothing is lost: queue again or collect it later.{kept(provider, entry, clock.now())}"
            )
        fraction = min(waited / max(pace.typical, 1), 1) * 0.95
        usual = " of about" if waited < pace.late else ", longer than the usual"
        usual = f"{usual} {pace.typical:.0f} s" if pace.watched else ""
        report(f"{status.note or 'running'} at {client.title}, {waited:.0f} s{usual}", fraction)
        last_look = now
        if now - looked >= provider.long_poll / 2 > 0 and not asked_to_wait:
            continue  # it was held for as long as it may be
        clock.sleep(max(pace.pause(waited), asked_to_wait))


def _expected(provider: Provider, journal: Journal, entry: Entry) -> Pace:
    if provider.local:
        return Pace(0, 0, 0)
    resolution, seconds = entry.request.get("resolution", ""), entry.request.get("duration", 5)
    try:
        return learn(journal, provider, entry.model, resolution, seconds, entry.operation)
    except JournalUnavailable:
        return expected([], provider.typical_seconds)


def _gone(entry: Entry) -> str:
    """What else there is to say where a clip was here before."""
    if entry.state != "completed":
        return ""
    return (
        " Its clip was here, and its file is gone. Put the file back, or choose another take: a new purchase."
    )


def _late(provider: Provider, entry: Entry, clock: Clock) -> str:
    """Of a job that was seen done and whose clip never came: until when it could be had."""
    return kept(provider, entry, clock.now()) if entry.done_at is not None else ""


def stop(
    provider: Provider,
    client: Client,
    journal: Journal,
    entry: Entry,
    *,
    clock: Clock,
    alone: bool = True,
) -> NoReturn:
    """The person stopped the wait: ask the provider to stop, keep the job, say the truth about the bill."""
    if not alone:
        raise Interrupted("Stopped waiting; another node still waits for the same clip.")
    if provider.local:
        journal.cancelled(entry.id, "the preview was stopped")
        raise Interrupted("The preview was stopped; it is free.")
    try:
        with decoding(client.title):
            outcome = provider.cancel(client, entry.job) if entry.job is not None else "impossible"
    except GenerationError:
        outcome = "impossible"
    if outcome == "confirmed":
        with suppress(JournalUnavailable):  # then the next who asks hears it from the provider
            journal.cancelled(entry.id, "cancelled on request")
        raise Interrupted(
            " ".join(
                [
                    f"{client.title} confirmed the cancellation of generation {entry.id}.",
                    provider.cancelled_bill,
                ]
            ).rstrip(),
            job="cancelled",
        )
    asked = "was asked to stop, and may still bill it." if outcome == "asked" else provider.cancel_notice
    raise Interrupted(
        f"Stopped waiting for generation {entry.id}. {client.title} {asked} Queue again to collect it, free of "
        f"further charge.{kept(provider, entry, clock.now())}",
        job="kept",
    )


def kept(provider: Provider, entry: Entry, now: float) -> str:
    """How long there is time to fetch a clip, in words, where the provider throws finished ones away.

    After that time: until when it could be had, and what helps to ask for the money back.
    """
    begun = entry.done_at or entry.submitted_at
    if not 0 < provider.keeps < float("inf") or begun is None:
        return ""
    until = begun + provider.keeps
    if entry.done_at is not None and now > until:
        return (
            f" {provider.title} kept the clip until about {_moment(until)}. If it was billed and never came, "
            f"`luma-ray receipt {entry.id}` has what {provider.title} wants to know of who asks for the money back."
        )
    if provider.keeps > DAY:
        return ""
    hours = provider.keeps / 3600
    return f" {provider.title} keeps a finished clip for {hours:.0f} hour{'s' * (hours >= 1.5)} only."


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 - the owner's own clock
