"""The billable call: sent once, recorded at once, and looked up where its answer was lost.

It is sent again only to a provider that promises to make one job of one key.
"""

from __future__ import annotations

import threading
import uuid
from typing import Final

from .client import Client, decoding
from .clock import Clock
from .errors import (
    GenerationError,
    InsufficientCredits,
    JournalUnavailable,
    ModelNotServed,
    ProviderUnavailable,
    RateLimited,
    Rejected,
    SubmissionUncertain,
    Unauthorized,
    UnexpectedReply,
)
from .journal import Journal
from .offer import Job, Offer, Provider, Unanswered
from .records import Entry
from .request import Json

LOOKS: Final = 3
"""How often a provider's list is searched for an unanswered create before the person is asked."""

_SILENT: Final = (
    *(RateLimited, Unauthorized, InsufficientCredits, ModelNotServed),
    *(ProviderUnavailable, SubmissionUncertain),
)
"""Answers to a create sent again that say nothing of the first one, which may have taken the last money."""
RESENDS: Final = 3
"""How often an unanswered create goes out again under its key in one attempt to settle it."""
_KEYS: Final = uuid.UUID("6c756d61-2d72-6179-8000-637265617465")

_settling = threading.Lock()


def key(id: str) -> str:
    """The idempotency key of the generation called *id*: the same in every process."""
    return str(uuid.uuid5(_KEYS, id))


def submit(
    provider: Provider,
    client: Client,
    offer: Offer,
    body: Json,
    journal: Journal,
    entry: Entry,
    clock: Clock,
) -> Entry:
    """Send the create of *entry*. Between its answer and the row that holds the job, nothing waits or reports.

    Raises: Rejected and ProviderUnavailable (nothing billed, recorded as failed), RateLimited (nothing billed, the
    row is withdrawn), SubmissionUncertain.
    """
    try:
        job = _create(provider, client, offer, body, key(entry.id))
    except RateLimited:
        journal.withdraw(entry.id)
        raise
    except (Rejected, ProviderUnavailable) as error:
        journal.failed(entry.id, str(error))
        raise
    except SubmissionUncertain as error:
        return settle(provider, client, journal, _uncertain(journal, entry, str(error)), clock)
    except BaseException:
        _uncertain(journal, entry, "It was stopped while the request was under way; it may have been billed.")
        raise
    return _accepted(client, journal, entry, job)


def settle(provider: Provider, client: Client, journal: Journal, entry: Entry, clock: Clock) -> Entry:
    """Find out what became of a create that was not answered: in the provider's list, or by its idempotency key.

    Raises SubmissionUncertain (the person decides), Rejected (no job exists, recorded as failed).
    """
    checked, found = _looked_up(provider, client, journal, entry, clock)
    found = found or _sent_again(provider, client, journal, entry, clock)
    if found is not None:
        return found
    raise SubmissionUncertain(
        f"{entry.note or 'The request was under way when its process ended; it may have been billed.'}"
        f"{checked} It is not sent again by itself: press Queue later to look again. Or look at "
        f"{provider.title}'s own page: if the job is there, `luma-ray resume {entry.id} --job ITS_ID` takes it "
        f"over; if it is not, `luma-ray resume {entry.id} --not-created` allows a new purchase, and so does another "
        f"take (generation {entry.id})."
    )


def _looked_up(
    provider: Provider, client: Client, journal: Journal, entry: Entry, clock: Clock
) -> tuple[str, Entry | None]:
    """What the provider's list of jobs says, in words, and the row if the job is in it."""
    checked = ""
    looks = 0 if not provider.reconciles else 1 if provider.resend_life else LOOKS
    for look in range(looks):
        if look:
            clock.sleep(3.0 * look)
        try:
            # One at a time: two unanswered twins must not both take the same job.
            with _settling, decoding(client.title):
                known = journal.jobs(provider.name)
                job = provider.reconcile(
                    client,
                    Unanswered(key=key(entry.id), asked=entry.request, since=entry.created_at, known=known),
                )
                if job is not None:
                    return checked, journal.submitted(entry.id, job)
            checked = f" {provider.title}'s list of generations does not show it so far."
        except JournalUnavailable:
            raise
        except GenerationError as error:
            checked = f" {provider.title}'s list of generations does not settle it: {error}"
        if clock.stopped:
            break
    return checked, None


def _sent_again(
    provider: Provider, client: Client, journal: Journal, entry: Entry, clock: Clock
) -> Entry | None:
    """The same create under the same key, where the provider promises to give the job that exists; else None."""
    fresh = clock.now() - entry.created_at < provider.resend_life
    kept = journal.create_of(entry.id) if fresh else None
    if kept is None:
        return None
    endpoint, body = kept
    offer = next((offer for offer in provider.offers if offer.endpoint == endpoint), None)
    for attempt in range(RESENDS if offer is not None else 0):
        if attempt:
            clock.sleep(3.0 * attempt)
        if clock.stopped or offer is None:
            break
        try:
            job = _create(provider, client, offer, body, key(entry.id))
        except _SILENT:
            continue
        except Rejected as error:
            journal.failed(entry.id, str(error))
            raise
        return _accepted(client, journal, entry, job)
    return None


def _accepted(client: Client, journal: Journal, entry: Entry, job: Job) -> Entry:
    try:
        return journal.submitted(entry.id, job)
    except JournalUnavailable as error:
        raise SubmissionUncertain(
            f"{client.title} accepted the request and bills it as job {job.id}, and the journal could not record "
            f"that ({error}) Keep this id: 'Ray Collect Generation' brings the clip back with it (generation "
            f"{entry.id})."
        ) from None


def _create(provider: Provider, client: Client, offer: Offer, body: Json, key: str) -> Job:
    try:
        with decoding(client.title):
            return provider.submit(client, offer, body, key)
    except UnexpectedReply as error:
        raise SubmissionUncertain(
            f"{error} The request was accepted, so it may have been created and billed."
        ) from None


def _uncertain(journal: Journal, entry: Entry, note: str) -> Entry:
    try:
        return journal.uncertain(entry.id, note)
    except JournalUnavailable as error:
        # The row stays `submitting`, which every later process takes for what it is: unanswered.
        raise SubmissionUncertain(f"{note} The journal could not record that: {error}") from None
