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
from .journal import Entry, Journal
from .offer import Completed, Failed, Job, Pending, Provider

LONGEST_PAUSE: Final = 300.0
"""Seconds that are waited at a provider's word before it is asked again."""
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
    strange = 0
    while True:
        if clock.stopped:
            stop(provider, client, journal, entry)
        waited = clock.now() - started
        asked_to_wait = 0.0
        try:
            with decoding(provider.title):
                status = provider.status(client, job)
            strange = 0
        except (ProviderUnavailable, RateLimited) as error:
            asked_to_wait = min(getattr(error, "retry_after", None) or 0.0, LONGEST_PAUSE)
            status = Pending(note=f"{error} The job goes on; still asking")
        except UnexpectedReply as error:
            strange += 1
            if strange >= STRANGE_ANSWERS:
                raise UnexpectedReply(
                    f"{error} The job is kept: collect generation {entry.id} later."
                ) from None
            status = Pending(note="an unreadable answer; asking again")
        except Rejected as error:
            raise type(error)(
                f"{error} Asked about generation {entry.id} ({provider.title} job {job.id}), which stays in the "
                "journal and can be collected later."
            ) from None
        match status:
            case Completed():
                return status
            case Failed(reason=reason, billing=billing):
                journal.failed(entry.id, reason)
                raise GenerationFailed(f"{reason} {billing} (generation {entry.id})")
        if waited > provider.patience:
            raise StillRunning(
                f"{provider.title} has not finished generation {entry.id} after {waited / 60:.0f} minutes. "
                "Nothing is lost: queue again or collect it later."
            )
        fraction = min(waited / provider.typical_seconds, 1) * 0.95
        report(f"{status.note or 'running'} at {provider.title}, {waited:.0f} s", fraction)
        clock.sleep(max(pause(waited), asked_to_wait))


def stop(provider: Provider, client: Client, journal: Journal, entry: Entry) -> NoReturn:
    """The person stopped the wait: ask the provider to stop, keep the job, say the truth about the bill."""
    if provider.local:
        journal.cancelled(entry.id, "the preview was stopped")
        raise Interrupted("The preview was stopped; it is free.")
    try:
        outcome = provider.cancel(client, entry.job) if entry.job is not None else "impossible"
    except GenerationError:
        outcome = "impossible"
    if outcome == "confirmed":
        journal.cancelled(entry.id, "cancelled on request")
        raise Interrupted(f"{provider.title} confirmed the cancellation of generation {entry.id}.")
    asked = "was asked to stop, and may still bill it." if outcome == "asked" else provider.cancel_notice
    raise Interrupted(
        f"Stopped waiting for generation {entry.id}. {provider.title} {asked} Queue again to collect it, free of "
        "further charge."
    )


def pause(waited: float) -> float:
    """Seconds until the next look at a job that has been waited for *waited* seconds: 1 s, growing to 5 s."""
    return min(max(waited / 10, 1.0), 5.0)
