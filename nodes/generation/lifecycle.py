"""The life of a generation: recall, quote, upload, submit once, wait, download; and taking it up again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from . import budget, hosting, selection
from .client import Client, decoding
from .clock import Clock
from .credentials import Credentials, missing
from .errors import (
    BrokenClip,
    DownloadFailed,
    GenerationError,
    GenerationFailed,
    Interrupted,
    InvalidInput,
    JournalUnavailable,
    MissingCredentials,
    ProviderUnavailable,
    RateLimited,
    Rejected,
    StillRunning,
    SubmissionUncertain,
    UnexpectedReply,
)
from .journal import Entry, Journal
from .library import Library
from .offer import Completed, Failed, Job, Offer, Pending, Provider
from .request import GenerationRequest
from .selection import AUTO, Selection

DOWNLOAD_ATTEMPTS = 4
LOOKS = 3
"""How often a provider's list is searched for an unanswered create before the person is asked."""
STRANGE_ANSWERS = 5
"""So many unreadable answers in a row end a wait; the job stays collectable."""


class ClipFacts(Protocol):
    """What `media.clips.inspect` found in a file whose first and last frame decode."""

    @property
    def frames(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


class Report(Protocol):
    """Where progress goes: a few words and, where it is known, a fraction from 0 to 1."""

    def __call__(self, words: str, fraction: float | None = None) -> None: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A finished generation."""

    path: Path
    entry: Entry
    recalled: bool = False
    """It was in the library already; this call bought nothing."""
    notes: tuple[str, ...] = ()
    """What the person should know: why this provider, that it was recalled."""


class Lifecycle:
    """The only place where anything is bought, waited for or collected. Safe on any number of threads."""

    def __init__(
        self,
        *,
        journal: Journal,
        library: Library,
        credentials: Credentials,
        providers: Sequence[Provider],
        hosts: Sequence[hosting.Hosting],
        inspect: Callable[[Path], ClipFacts],
    ) -> None:
        self.journal = journal
        self.library = library
        self.credentials = credentials
        self.providers = tuple(providers)
        self.hosts = tuple(hosts)
        self._inspect = inspect
        self._running: dict[tuple[str, int, str], Future[Clip]] = {}
        self._lock = threading.Lock()
        self._settling = threading.Lock()

    def select(self, request: GenerationRequest, provider: str = AUTO) -> Selection:
        """Who would serve *request* now. Raises UnsupportedRequest, MissingCredentials."""
        return selection.select(self.providers, request, provider, self.credentials)

    def quote(self, request: GenerationRequest, provider: str = AUTO) -> budget.Quote:
        """What queueing *request* would cost now. Raises as `select` does."""
        bought = self._bought(request, provider)
        if bought is not None:
            seller = self.provider(bought.provider)
            return budget.Quote(provider=seller.name, model=bought.model, usd=bought.usd, recalled=True)
        chosen = self.select(request, provider)
        return budget.quote(chosen.provider, chosen.offer, request)

    def generate(
        self, request: GenerationRequest, provider: str = AUTO, *, clock: Clock, report: Report
    ) -> Clip:
        """The clip for *request*: the one already bought, else a new one, bought once.

        Two callers of the same request and take share one job. Raises everything in `errors`.
        """
        bought = self._bought(request, provider)
        chosen = None if bought is not None else self.select(request, provider)
        seller = bought.provider if bought is not None else chosen.provider.name  # type: ignore[union-attr]
        key = (request.fingerprint, request.take, seller)
        return self._shared(key, lambda: self._generate(request, seller, chosen, clock, report), clock)

    def resume(
        self,
        id: str,
        *,
        clock: Clock,
        report: Report,
        request: GenerationRequest | None = None,
    ) -> Clip:
        """Continue the generation called *id* from whatever state it is in, in any process, at any time."""
        entry = self.journal.get(id)
        if entry is None:
            raise InvalidInput(f"The journal has no generation {id!r}.")
        key = (entry.fingerprint, entry.take, entry.provider)
        return self._shared(key, lambda: self._continue(entry, request, clock, report), clock)

    def collect(self, id: str, provider: str = AUTO, *, clock: Clock, report: Report) -> Clip:
        """Bring back a paid clip by its journal id or by the provider's own id. Buys nothing."""
        wanted = id.strip()
        if self.journal.get(wanted) is not None:
            return self.resume(wanted, clock=clock, report=report)
        rows = [row for row in self.journal.by_job(wanted) if provider in (AUTO, row.provider)]
        if rows:
            return self.resume(rows[0].id, clock=clock, report=report)
        entry = self._adopt(wanted, provider, clock)
        return self.resume(entry.id, clock=clock, report=report)

    def not_created(self, id: str) -> Entry:
        """The person says that an uncertain create never arrived: it may be bought again.

        Raises InvalidInput when the generation is in any other state.
        """
        entry = self.journal.get(id)
        if entry is None or not (
            entry.state == "uncertain" or (entry.state == "submitting" and self.journal.abandoned(entry))
        ):
            raise InvalidInput(f"Generation {id} is not waiting for a decision; nothing was changed.")
        return self.journal.failed(id, "the person says that it was not created")

    def provider(self, name: str) -> Provider:
        """The provider called *name*. Raises InvalidInput."""
        for candidate in self.providers:
            if candidate.name == name:
                return candidate
        raise InvalidInput(f"There is no provider called {name!r} in this version of the pack.")

    def configured(self, provider: Provider) -> bool:
        """Whether this machine has what *provider* needs; local ones need nothing."""
        return not missing(provider.secrets, self.credentials)

    def _bought(self, request: GenerationRequest, provider: str) -> Entry | None:
        """The purchase of this request that already exists. A preview never stands in for a paid clip."""
        return self.journal.live(request.fingerprint, request.take, None if provider == AUTO else provider)

    def _shared(self, key: tuple[str, int, str], work: Callable[[], Clip], clock: Clock) -> Clip:
        """Run *work*, or wait for the thread of this process that already runs the same."""
        while True:
            with self._lock:
                running = self._running.get(key)
                if running is None:
                    mine = self._running[key] = Future()
            if running is None:
                return self._lead(key, mine, work)
            while not running.done():
                if clock.stopped:
                    raise Interrupted(
                        "Stopped waiting; another node of this graph still waits for the same clip."
                    )
                clock.sleep(0.1)
            error = running.exception()
            if error is None:
                return running.result()
            if not isinstance(error, Interrupted):
                raise error
            # The other one was stopped, we were not: take over from the journal.

    def _lead(self, key: tuple[str, int, str], mine: Future[Clip], work: Callable[[], Clip]) -> Clip:
        try:
            clip = work()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(clip)
            return clip
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _generate(
        self,
        request: GenerationRequest,
        seller: str,
        chosen: Selection | None,
        clock: Clock,
        report: Report,
    ) -> Clip:
        entry = self.journal.live(request.fingerprint, request.take, seller)
        if entry is not None:
            return self._continue(entry, request, clock, report)
        chosen = chosen or self.select(request, seller)
        provider, offer = chosen.provider, chosen.offer
        price = budget.quote(provider, offer, request)
        client = self._connect(provider, clock)
        pictures = self._upload(provider, client, request, clock, report)
        body = provider.encode(request, pictures)
        clock.check()
        entry, is_new = self.journal.claim(
            request, provider=provider.name, local=provider.local, estimate_usd=price.usd
        )
        if not is_new:
            return self._continue(entry, request, clock, report)
        report(f"sending to {provider.title} ({price.words})")
        entry = self._submit(provider, client, offer, body, entry, clock)
        clip = self._finish(provider, client, entry, request, clock, report)
        return replace(clip, notes=(*clip.notes, chosen.reason)) if chosen.reason else clip

    def _connect(self, provider: Provider, clock: Clock) -> Client:
        secrets = self.credentials.find(provider.secrets)
        if secrets is None:
            lacking = " and ".join(missing(provider.secrets, self.credentials))
            raise MissingCredentials(
                f"{provider.title} needs {lacking}, and there is none on this machine. Nothing new was billed; "
                "a clip that was already paid stays in the journal."
            )
        address = os.environ.get(provider.base_url_variable, "") or provider.base_url
        return Client(
            provider.title, address, lambda: provider.sign(secrets), clock, error_text=provider.error_text
        )

    def _upload(
        self,
        provider: Provider,
        client: Client,
        request: GenerationRequest,
        clock: Clock,
        report: Report,
    ) -> dict[str, str]:
        if provider.local or not request.stills:
            return {}
        place = None
        if provider.takes_urls_only:
            place = hosting.choose(self.hosts, self.credentials, provider.title)
        pictures: dict[str, str] = {}
        for still in request.stills:
            clock.check()
            if still.sha256 in pictures:
                continue
            report(f"uploading {still.width}x{still.height} to {place.title if place else provider.title}")
            if place is not None:
                pictures[still.sha256] = place.publish(still, self.credentials)
            else:
                pictures[still.sha256] = provider.upload(client, still)
        return pictures

    def _submit(
        self,
        provider: Provider,
        client: Client,
        offer: Offer,
        body: dict[str, Any],
        entry: Entry,
        clock: Clock,
    ) -> Entry:
        """The billable call. Between its answer and the row that holds the job, nothing waits or reports."""
        try:
            job = self._create(provider, client, offer, body)
        except (Rejected, ProviderUnavailable) as error:
            self.journal.failed(entry.id, str(error))
            raise
        except SubmissionUncertain as error:
            entry = self.journal.uncertain(entry.id, str(error))
            return self._settle(provider, client, entry, clock)
        except BaseException:
            self.journal.uncertain(entry.id, "stopped while the request was under way")
            raise
        try:
            return self.journal.submitted(entry.id, job)
        except GenerationError as error:
            raise type(error)(
                f"{error} The job is running and billed at {provider.title} as {job.id}: "
                f"keep this id, 'Ray Collect Generation' brings the clip back."
            ) from None

    def _create(self, provider: Provider, client: Client, offer: Offer, body: dict[str, Any]) -> Job:
        try:
            with decoding(provider.title):
                return provider.submit(client, offer, body)
        except UnexpectedReply as error:
            raise SubmissionUncertain(
                f"{error} The request was accepted, so it may have been created and billed."
            ) from None

    def _settle(self, provider: Provider, client: Client, entry: Entry, clock: Clock) -> Entry:
        """Find out what became of a create that was not answered. Never sends it again."""
        checked = ""
        for look in range(LOOKS if provider.reconciles else 0):
            if look:
                clock.sleep(3.0 * look)
            try:
                # One at a time: two unanswered twins must not both take the same job.
                with self._settling, decoding(provider.title):
                    known = self.journal.jobs(provider.name)
                    found = provider.reconcile(client, entry.request, entry.created_at, known)
                    if found is not None:
                        return self.journal.submitted(entry.id, found)
                checked = f" {provider.title}'s list of generations does not show it so far."
            except JournalUnavailable:
                raise
            except GenerationError as error:
                checked = f" {provider.title}'s list of generations could not be read: {error}"
            if clock.stopped:
                break
        raise SubmissionUncertain(
            f"{entry.note or 'The request was under way when its process ended; it may have been billed.'}"
            f"{checked} It is not sent again by itself. Press Queue later to look again; if "
            f"{provider.title}'s own page shows no such job, allow a new purchase with "
            f"`luma-ray resume {entry.id} --not-created`, or collect the job you see there with "
            f"'Ray Collect Generation' (generation {entry.id})."
        )

    def _continue(
        self, entry: Entry, request: GenerationRequest | None, clock: Clock, report: Report
    ) -> Clip:
        provider = self.provider(entry.provider)
        if entry.state == "completed":
            path = self.library.find(entry)
            if path is not None:
                return Clip(path=path, entry=entry, recalled=True)
            report("the clip's file is gone from the library; bringing it back")
        if entry.state in ("failed", "cancelled"):
            raise GenerationFailed(f"Generation {entry.id} ended without a clip: {entry.note}")
        if provider.local:
            return self._render_again(provider, entry, request, clock, report)
        client = self._connect(provider, clock)
        if entry.state == "submitting":
            entry = self._wait_for_submitter(entry, clock, report)
            if entry.state != "submitting":
                return self._continue(entry, request, clock, report)
            entry = self.journal.uncertain(entry.id, "")
        if entry.state == "uncertain":
            report(f"looking for an unanswered request at {provider.title}")
            entry = self._settle(provider, client, entry, clock)
        return self._finish(provider, client, entry, request, clock, report)

    def _wait_for_submitter(self, entry: Entry, clock: Clock, report: Report) -> Entry:
        """Another process is between its row and its answer: wait until it says, or is known to be gone."""
        while entry.state == "submitting" and not self.journal.abandoned(entry):
            if clock.stopped:
                raise Interrupted("Stopped waiting; another process is sending the same request.")
            report("another process is sending the same request")
            clock.sleep(0.5)
            entry = self.journal.get(entry.id) or entry
        return entry

    def _render_again(
        self,
        provider: Provider,
        entry: Entry,
        request: GenerationRequest | None,
        clock: Clock,
        report: Report,
    ) -> Clip:
        """A preview that never finished, or whose file is gone: free, so it is simply made once more."""
        if request is None:
            raise InvalidInput(
                f"Generation {entry.id} is a local preview without a finished file. Queue its graph again; "
                "it is free."
            )
        if entry.state == "submitting":
            entry = self.journal.submitted(entry.id, Job(id=entry.id))
        return self._finish(provider, self._connect(provider, clock), entry, request, clock, report)

    def _adopt(self, job_id: str, provider: str, clock: Clock) -> Entry:
        """Make a row for a job that was started elsewhere, once a provider has confirmed that it knows it."""
        paid = [candidate for candidate in self.providers if not candidate.local]
        asked = [
            candidate
            for candidate in (paid if provider == AUTO else [self.provider(provider)])
            if self.configured(candidate)
        ]
        for candidate in asked:
            job = Job(id=job_id)
            try:
                with decoding(candidate.title):
                    candidate.status(self._connect(candidate, clock), job)
            except Rejected:
                continue
            return self.journal.adopt(candidate.name, job)
        where = ", ".join(candidate.title for candidate in asked) or "no provider (no key on this machine)"
        raise InvalidInput(f"No generation {job_id!r} in the journal; asked {where}. Nothing was billed.")

    def _finish(
        self,
        provider: Provider,
        client: Client,
        entry: Entry,
        request: GenerationRequest | None,
        clock: Clock,
        report: Report,
    ) -> Clip:
        """From a job to a clip on disk."""
        if entry.job is None:
            raise UnexpectedReply(f"Generation {entry.id} has no job to ask for; its journal row is damaged.")
        name = self.library.name(entry)
        trouble = ""
        for attempt in range(DOWNLOAD_ATTEMPTS):
            if attempt:
                report(f"{trouble} Trying again.")
                clock.sleep(2.0**attempt)
            done = self._wait(provider, client, entry, entry.job, clock, report)
            with self.library.arriving(name) as arriving:
                try:
                    provider.download(
                        done,
                        arriving,
                        request=request,
                        clock=clock,
                        progress=lambda part: report(
                            "rendering the preview" if provider.local else "downloading", part
                        ),
                    )
                    facts = self._inspect(arriving)
                except (DownloadFailed, BrokenClip) as error:
                    trouble = str(error)
                    continue
                except Interrupted:
                    self._stopped(provider, client, entry)
                path = self.library.keep(arriving, name)
            entry = self.journal.completed(
                entry.id,
                clip=name,
                frames=facts.frames,
                width=facts.width,
                height=facts.height,
                seconds=facts.seconds,
                billed_usd=done.billed_usd,
            )
            return Clip(path=path, entry=entry)
        raise DownloadFailed(
            f"The clip is finished at {provider.title}, and its file did not arrive: {trouble} It is paid and "
            f"kept: queue again, or collect generation {entry.id} later."
        )

    def _wait(
        self, provider: Provider, client: Client, entry: Entry, job: Job, clock: Clock, report: Report
    ) -> Completed:
        started = clock.now()
        strange = 0
        while True:
            if clock.stopped:
                self._stopped(provider, client, entry)
            waited = clock.now() - started
            try:
                with decoding(provider.title):
                    status = provider.status(client, job)
                strange = 0
            except (ProviderUnavailable, RateLimited) as error:
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
                    f"{error} Asked about generation {entry.id} ({provider.title} job {job.id}), which stays "
                    "in the journal and can be collected later."
                ) from None
            match status:
                case Completed():
                    return status
                case Failed(reason=reason, billing=billing):
                    self.journal.failed(entry.id, reason)
                    raise GenerationFailed(f"{reason} {billing} (generation {entry.id})")
            if waited > provider.patience:
                raise StillRunning(
                    f"{provider.title} has not finished generation {entry.id} after {waited / 60:.0f} minutes. "
                    "Nothing is lost: queue again or collect it later."
                )
            typical = min(waited / provider.typical_seconds, 1) * 0.95
            report(f"{status.note or 'running'} at {provider.title}, {waited:.0f} s", typical)
            clock.sleep(pause(waited))

    def _stopped(self, provider: Provider, client: Client, entry: Entry) -> None:
        """The person stopped the wait: ask the provider to stop, keep the job, say the truth about the bill."""
        if provider.local:
            self.journal.cancelled(entry.id, "the preview was stopped")
            raise Interrupted("The preview was stopped; it is free.")
        try:
            outcome = provider.cancel(client, entry.job) if entry.job is not None else "impossible"
        except GenerationError:
            outcome = "impossible"
        if outcome == "confirmed":
            self.journal.cancelled(entry.id, "cancelled on request")
            raise Interrupted(f"{provider.title} confirmed the cancellation of generation {entry.id}.")
        asked = "was asked to stop, and may still bill it." if outcome == "asked" else provider.cancel_notice
        raise Interrupted(
            f"Stopped waiting for generation {entry.id}. {provider.title} {asked} Queue again to collect it, "
            "free of further charge."
        )


def pause(waited: float) -> float:
    """Seconds until the next look at a job that has been waited for *waited* seconds: 1 s, growing to 5 s."""
    return min(max(waited / 10, 1.0), 5.0)
