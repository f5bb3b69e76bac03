"""The billable call: sent once, recorded at once, and looked up where its answer was lost.

It is sent again only to a provider that promises to make one job of one key.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from typing import Final

from .client import Client, decoding
from .clock import Clock
from .errors import (
    ContentRefused,
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
    Unrecorded,
)
from .journal import Journal, Taken
from .offer import Job, Offer, Provider, Unanswered
from .records import OPEN, OVER, Entry
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
UNRECORDED: dict[str, Job] = {}
"""Jobs that were accepted and that no row could take yet, by generation: this process alone knows them."""


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

    Returns the row, which another process may have brought further meanwhile.

    Raises: Rejected and ProviderUnavailable (nothing billed, recorded as failed), RateLimited (nothing billed, the
    row is withdrawn), SubmissionUncertain.
    """
    try:
        job = _create(provider, client, offer, body, key(entry.id))
    except RateLimited:
        with suppress(JournalUnavailable):
            journal.withdraw(entry.id)
        raise
    except (Rejected, ProviderUnavailable) as error:
        return _refused(journal, entry, error)
    except SubmissionUncertain as error:
        return settle(provider, client, journal, _uncertain(journal, entry, str(error)), clock)
    except BaseException:
        _uncertain(journal, entry, "It was stopped while the request was under way; it may have been billed.")
        raise
    return _accepted(client, journal, entry, job)


def settle(
    provider: Provider, client: Client, journal: Journal, entry: Entry, clock: Clock, *, sends: bool = True
) -> Entry:
    """Find out what became of a create that was not answered: in the provider's list, or by its idempotency key.

    Returns the row, in whatever state another process brought it to, if one was quicker.

    Raises SubmissionUncertain (the person decides), ContentRefused (no job exists, recorded as failed).
    """
    job = UNRECORDED.get(entry.id)
    if job is not None:
        return _accepted(client, journal, entry, job)
    checked, found = _looked_up(provider, client, journal, entry, clock)
    if found is None and sends:
        found = _sent_again(provider, client, journal, entry, clock)
    found = found or _settled(journal, entry)
    if found is not None:
        return found
    raise SubmissionUncertain(
        f"{entry.note or 'The request was under way when its process ended; it may have been billed.'}"
        f"{checked} It is not sent again by itself: press Queue later to look again. Or look at "
        f"{provider.title}'s own page, and say with the buttons on the node what is there, or in a terminal: if the "
        f"job is there, `luma-ray resume {entry.id} --job ITS_ID` takes it over; if it is not, `luma-ray resume "
        f"{entry.id} --not-created` allows a new purchase, and so does another take (generation {entry.id})."
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
            settled = _settled(journal, entry)
            if settled is not None:
                return checked, settled
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
        except Taken:
            checked = f" What {provider.title}'s list of generations shows belongs to another one."
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
    for attempt in range(RESENDS if provider.resend_life else 0):
        if attempt:
            clock.sleep(3.0 * attempt)
        if clock.stopped:
            break
        sent = journal.send_again(entry.id, account=client.account, life=provider.resend_life)
        offer = next((o for o in provider.offers if sent is not None and o.endpoint == sent.endpoint), None)
        if sent is None:
            break
        if offer is None:  # what an older version of the pack sold
            _uncertain(journal, entry, entry.note)
            break
        try:
            job = _create(provider, client, offer, sent.body, key(entry.id))
        except _SILENT:
            _uncertain(journal, entry, entry.note)
        except ContentRefused as error:
            return _refused(journal, entry, error)
        except Rejected:
            # Perhaps the word of something in between (a gateway's 404, a hotel's sign-in page): it does not deny
            # the first sending, which may be paid.
            refused = "Asked again under its key it was refused, which says nothing of the first time."
            note = entry.note if refused in entry.note else f"{entry.note} {refused}".strip()
            entry = _uncertain(journal, entry, note)
            break
        except BaseException:
            _uncertain(journal, entry, entry.note)
            raise
        else:
            return _accepted(client, journal, entry, job)
    return None


def _settled(journal: Journal, entry: Entry) -> Entry | None:
    """The row of *entry* if its question was answered meanwhile, by another process or the person."""
    row = journal.get(entry.id)
    return None if row is None or row.state in OPEN else row


def _accepted(client: Client, journal: Journal, entry: Entry, job: Job) -> Entry:
    """The row with its job. Raises Unrecorded with the job's id where it cannot be recorded there."""
    accepted = f"{client.title} accepted the request and bills it as job {job.id}, and"
    collect = f"'Ray Collect Generation' brings the clip back with it (generation {entry.id})."
    UNRECORDED[entry.id] = job
    try:
        row = journal.submitted(entry.id, job, request_id=client.request_id)
    except Taken as taken:
        UNRECORDED.pop(entry.id, None)
        with suppress(JournalUnavailable):
            journal.adopt(entry.provider, job)
        raise Unrecorded(
            f"{accepted} meanwhile that became generation {taken}. Nothing is lost: with this id {collect}"
        ) from None
    except JournalUnavailable as error:
        raise Unrecorded(
            f"{accepted} the journal could not record that ({error}) Keep this id: {collect}"
        ) from None
    UNRECORDED.pop(entry.id, None)
    return row


def _refused(journal: Journal, entry: Entry, error: GenerationError) -> Entry:
    """Raise *error*, recorded; unless another process found the job that it denies."""
    with suppress(JournalUnavailable):
        row = journal.refused(entry.id, str(error))
        if row.state not in OVER:
            return row
    raise error


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
