"""The life of a generation: recall, quote, upload, submit once, wait, download; and taking it up again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from . import budget, hosting, selection
from .client import Client, decoding
from .clock import Clock
from .credentials import Credentials, missing
from .errors import (
    BrokenClip,
    DownloadFailed,
    GenerationFailed,
    Interrupted,
    InvalidInput,
    MissingCredentials,
    Rejected,
    UnexpectedReply,
)
from .journal import Entry, Journal
from .library import Library
from .offer import Completed, Job, Provider
from .request import GenerationRequest
from .selection import AUTO, Selection
from .sharing import Sharing
from .submitting import settle, submit
from .waiting import Report, stop, wait

DOWNLOAD_ATTEMPTS = 4


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
        self._sharing: Sharing[Clip] = Sharing()

    def select(self, request: GenerationRequest, provider: str = AUTO) -> Selection:
        """Who would serve *request* now. Raises UnsupportedRequest, MissingCredentials."""
        return selection.select(self.providers, request, provider, self.credentials)

    def quote(self, request: GenerationRequest, provider: str = AUTO) -> budget.Quote:
        """What queueing *request* would cost now. Raises as `select` does."""
        bought = self.bought(request, provider)
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
        bought = self.bought(request, provider)
        chosen = self.select(request, provider) if bought is None else None
        seller = (
            chosen.provider.name
            if chosen is not None
            else bought.provider
            if bought is not None
            else provider
        )
        key = (request.fingerprint, request.take, seller)
        clip = self._once(key, lambda: self._generate(request, seller, chosen, clock, report), clock, report)
        reason = chosen.reason if chosen is not None else ""
        return replace(clip, notes=(*clip.notes, reason)) if reason else clip

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
        return self._once(key, lambda: self._continue(entry, request, clock, report), clock, report)

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

    def found(self, id: str, job_id: str, *, clock: Clock) -> Entry:
        """The person says which of the provider's jobs an uncertain create became, and the provider knows it.

        Raises InvalidInput: no open question, a job of another generation, or one that the provider denies.
        """
        entry, job = self._undecided(id), Job(id=job_id.strip())
        provider = self.provider(entry.provider)
        if any(row.provider == entry.provider for row in self.journal.by_job(job.id)):
            raise InvalidInput(
                f"Job {job.id} belongs to another generation already; if nothing else was created, "
                f"`luma-ray resume {id} --not-created` says so. Nothing was changed."
            )
        try:
            with decoding(provider.title):
                provider.status(self._connect(provider, clock), job)
        except Rejected as error:
            raise InvalidInput(
                f"{provider.title} does not know job {job.id}: {error} Nothing was changed."
            ) from None
        return self.journal.submitted(id, job)

    def not_created(self, id: str) -> Entry:
        """The person says that an uncertain create never arrived: it may be bought again.

        Raises InvalidInput when the generation is in any other state.
        """
        self._undecided(id)
        return self.journal.failed(id, "the person says that it was not created")

    def provider(self, name: str) -> Provider:
        """The provider called *name*. Raises InvalidInput."""
        for candidate in self.providers:
            if candidate.name == name:
                return candidate
        raise InvalidInput(f"There is no provider called {name!r} in this version of the pack.")

    def configured(self, provider: Provider) -> bool:
        """Whether this machine has what *provider* needs; local ones need nothing."""
        return not missing(provider.needs, self.credentials)

    def _undecided(self, id: str) -> Entry:
        entry = self.journal.get(id)
        if entry is not None and (
            entry.state == "uncertain" or (entry.state == "submitting" and self.journal.abandoned(entry))
        ):
            return entry
        raise InvalidInput(f"Generation {id} is not waiting for a decision; nothing was changed.")

    def bought(self, request: GenerationRequest, provider: str = AUTO) -> Entry | None:
        """The purchase of this request that already exists. A preview never stands in for a paid clip."""
        return self.journal.live(request.fingerprint, request.take, None if provider == AUTO else provider)

    def _once(
        self, key: tuple[str, int, str], work: Callable[[], Clip], clock: Clock, report: Report
    ) -> Clip:
        """The clip of *work*; where another thread of this process makes it, nothing is bought here."""
        made_here: list[Clip] = []

        def noted() -> Clip:
            made_here.append(work())
            return made_here[0]

        clip = self._sharing.run(
            key, noted, clock, lambda: report("another node is making the same clip; waiting for it")
        )
        return clip if made_here else replace(clip, recalled=True)

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
        report(f"sending to {provider.title} ({price.words})")
        entry, is_new = self.journal.claim(
            request, provider=provider.name, local=provider.local, estimate_usd=price.usd
        )
        if not is_new:
            return self._continue(entry, request, clock, report)
        entry = submit(provider, client, offer, body, self.journal, entry, clock)
        return self._finish(provider, client, entry, request, clock, report)

    def _connect(self, provider: Provider, clock: Clock) -> Client:
        secrets = self.credentials.find(provider.secrets)
        lacking = missing(provider.needs, self.credentials)
        if secrets is None or lacking:
            raise MissingCredentials(
                f"{provider.label} needs {' and '.join(lacking)}, and there is none on this machine. Nothing "
                "new was billed; a clip that was already paid stays in the journal."
            )
        address = self.credentials.setting(provider.base_url_variable) or provider.base_url
        return Client(
            provider.label,
            address,
            lambda: provider.sign(secrets),
            clock,
            provider.error_text,
            explain=provider.explain,
            setting=self.credentials.setting,
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
            place = hosting.choose(self.hosts, self.credentials, provider.title, provider.hosting)
        pictures: dict[str, str] = {}
        for still in request.stills:
            clock.check()
            if still.sha256 in pictures:
                continue
            report(f"uploading {still.width}x{still.height} to {place.title if place else provider.title}")
            if place is not None:
                pictures[still.sha256] = place.publish(still, self.credentials, clock)
            else:
                pictures[still.sha256] = provider.upload(client, still)
        return pictures

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
        paid_before = entry.state == "completed"
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
            entry = settle(provider, client, self.journal, entry, clock)
        clip = self._finish(provider, client, entry, request, clock, report)
        return replace(clip, recalled=paid_before)

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
        trouble = ""
        for attempt in range(DOWNLOAD_ATTEMPTS):
            if attempt:
                report(f"{trouble} Trying again.")
                clock.sleep(2.0**attempt)
            done = wait(provider, client, self.journal, entry, entry.job, clock=clock, report=report)
            try:
                path, entry = self._keep(provider, client, done, entry, request, clock, report)
            except (DownloadFailed, BrokenClip) as error:
                trouble = str(error)
            except Interrupted:
                if provider.local:
                    stop(provider, client, self.journal, entry)
                raise Interrupted(
                    f"Stopped while the finished clip of generation {entry.id} was being downloaded. It is paid and "
                    "kept: queue again to bring it here, free of further charge."
                ) from None
            else:
                return Clip(path=path, entry=entry)
        if provider.local:
            raise DownloadFailed(
                f"The preview could not be made: {trouble} It is free (generation {entry.id})."
            )
        raise DownloadFailed(
            f"The clip is finished at {provider.title}, and its file did not arrive: {trouble} It is paid and "
            f"kept: queue again, or collect generation {entry.id} later."
        )

    def _keep(
        self,
        provider: Provider,
        client: Client,
        done: Completed,
        entry: Entry,
        request: GenerationRequest | None,
        clock: Clock,
        report: Report,
    ) -> tuple[Path, Entry]:
        """Bring the clip of a finished job into the library, whole and checked, and record it."""
        doing = "rendering the preview" if provider.local else "downloading"
        name = self.library.name(entry)
        try:
            with self.library.arriving(name) as arriving:
                provider.download(
                    client,
                    done,
                    arriving,
                    request=request,
                    clock=clock,
                    progress=lambda part: report(doing, part),
                )
                facts = self._inspect(arriving)
                path = self.library.keep(arriving, name)
        except OSError as error:
            raise DownloadFailed(
                f"The clip could not be kept in {self.library.folder} ({error.strerror or type(error).__name__})."
            ) from None
        entry = self.journal.completed(
            entry.id,
            clip=name,
            frames=facts.frames,
            width=facts.width,
            height=facts.height,
            seconds=facts.seconds,
            billed_usd=done.billed_usd,
        )
        return path, entry
