"""Waiting for a job: looking at it now and then until it is done, has failed, or the person has had enough."""

from __future__ import annotations

from typing import Final, NoReturn, Protocol

from .client import Client, decoding
from .clock import Clock
from .errors import (
    GenerationError,
    GenerationFailed,
    Interrupted,
    ProviderUnavailable,
    RateLimited,
    Rejected,
    StillRunning,
    UnexpectedReply,
)
from .journal import Journal
from .offer import Completed, Failed, Job, Pending, Provider
from .pace import Pace, learn
from .records import Entry

LONGEST_PAUSE: Final = 300.0
"""Seconds that are waited at a provider's word before it is asked again."""
DAY: Final = 24 * 3600.0
WATCHED: Final = 15.0
"""Seconds since the last look at a job, for the time it was done to count as known."""
STRANGE_ANSWERS: Final = 5
"""So many unreadable answers in a row end a wait; the job stays collectable."""


class Report(Protocol):
    """Where progress goes: a few words and, where it is known, a fraction from 0 to 1."""

    def __call__(self, words: str, fraction: float | None = None) -> None: ...  # noqa: D102


def wait(
    provider: Provider,
    client: Client,
    journal: Journal,
    entry: Entry,
    job: Job,
    *,
    clock: Clock,
    report: Report,
) -> Completed:
    """Look at *job* until it is done.

    Raises: GenerationFailed (recorded), StillRunning, Interrupted, UnexpectedReply and Rejected (all four leave
    the row as it is: the clip can be collected later).
    """
    started = clock.now()
    accepted = min(entry.submitted_at or started, started)
    asked = entry.request
    expected = (
        Pace(0, 0, 0)
        if provider.local
        else learn(journal, provider, entry.model, asked.get("resolution", ""), asked.get("duration", 5))
    )
    if not provider.local and started - accepted < 1:
        clock.sleep(0 if provider.long_poll else expected.pause(0))
    strange = 0
    last_look: float | None = None
    while True:
        if clock.stopped:
            stop(provider, client, journal, entry)
        asked_to_wait = 0.0
        looked = clock.now()
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
                    f"{error} The job is kept: collect generation {entry.id} later.{kept(provider)}"
                ) from None
            status = Pending(note="an unreadable answer; asking again")
        except Rejected as error:
            raise type(error)(
                f"{error} Asked about generation {entry.id} ({client.title} job {job.id}), which stays in the "
                f"journal and can be collected later.{kept(provider)}"
            ) from None
        now = clock.now()
        match status:
            case Completed():
                if not provider.local and entry.done_at is None:
                    watched = last_look is not None and now - last_look < WATCHED + provider.long_poll
                    journal.done(
                        entry.id,
                        ran_seconds=now - accepted if watched else None,
                        reference=status.reference,
                    )
                return status
            case Failed(reason=reason, billing=billing):
                journal.failed(entry.id, reason)
                raise GenerationFailed(f"{reason} {billing} (generation {entry.id})")
        if now - started > provider.patience:
            raise StillRunning(
                f"{client.title} has not finished generation {entry.id} after {(now - started) / 60:.0f} minutes. "
                f"Nothing is lost: queue again or collect it later.{kept(provider)}"
            )
        waited = now - accepted
        fraction = min(waited / max(expected.typical, 1), 1) * 0.95
        usual = f" of about {expected.typical:.0f} s" if waited < expected.late else ""
        report(f"{status.note or 'running'} at {client.title}, {waited:.0f} s{usual}", fraction)
        last_look = now
        if now - looked >= provider.long_poll / 2 > 0 and not asked_to_wait:
            continue  # it was held for as long as it may be
        clock.sleep(max(expected.pause(waited), asked_to_wait))


def stop(provider: Provider, client: Client, journal: Journal, entry: Entry) -> NoReturn:
    """The person stopped the wait: ask the provider to stop, keep the job, say the truth about the bill."""
    if provider.local:
        journal.cancelled(entry.id, "the preview was stopped")
        raise Interrupted("The preview was stopped; it is free.")
    try:
        with decoding(client.title):
            outcome = provider.cancel(client, entry.job) if entry.job is not None else "impossible"
    except GenerationError:
        outcome = "impossible"
    if outcome == "confirmed":
        journal.cancelled(entry.id, "cancelled on request")
        raise Interrupted(
            " ".join(
                [
                    f"{client.title} confirmed the cancellation of generation {entry.id}.",
                    provider.cancelled_bill,
                ]
            ).rstrip()
        )
    asked = "was asked to stop, and may still bill it." if outcome == "asked" else provider.cancel_notice
    raise Interrupted(
        f"Stopped waiting for generation {entry.id}. {client.title} {asked} Queue again to collect it, free of "
        f"further charge.{kept(provider)}"
    )


def kept(provider: Provider) -> str:
    """How long there is time, in words, where the provider throws finished clips away soon."""
    if not 0 < provider.keeps <= DAY:
        return ""
    hours = provider.keeps / 3600
    return f" {provider.title} keeps a finished clip for {hours:.0f} hour{'s' * (hours >= 1.5)} only."
