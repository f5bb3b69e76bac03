"""The life of a generation: recall, quote, upload, submit once, wait, download; and taking it up again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from . import budget, hosting, selection
from .client import TIMEOUT, Client, decoding
from .clock import Clock
from .credentials import Credentials, missing
from .errors import (
    GenerationError,
    GenerationFailed,
    Interrupted,
    InvalidInput,
    MissingCredentials,
    RateLimited,
    Rejected,
)
from .finishing import Clip, ClipFacts, Finishing
from .journal import Journal
from .library import Library
from .limiter import Limiter
from .offer import Job, Offer, Provider
from .pace import learn
from .prices import Prices
from .records import Entry
from .request import GenerationRequest
from .selection import AUTO, Selection
from .sharing import Sharing
from .submitting import settle, submit
from .uploading import Uploads
from .waiting import Report


class _Here:
    """What this machine knows about its providers: `selection.Facts` from the journal, the network, the hostings."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def quote(self, provider: Provider, offer: Offer, request: GenerationRequest) -> budget.Quote:
        return self._lifecycle.prices.quote(provider, offer, request, Clock())

    def seconds(self, provider: Provider, request: GenerationRequest) -> float:
        journal = self._lifecycle.journal
        return learn(journal, provider, request.model, request.resolution, request.duration).typical

    def reachable(self, provider: Provider, request: GenerationRequest) -> bool:
        return self._lifecycle.uploads.possible(provider, request)


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
        self.uploads = Uploads(journal, hosts, credentials)
        self.prices = Prices(self._asking)
        self._limiter = Limiter(journal, credentials.setting)
        self._finishing = Finishing(journal, library, inspect)
        self._sharing: Sharing[Clip] = Sharing()

    def select(self, request: GenerationRequest, provider: str = AUTO) -> Selection:
        """Who would serve *request* now. Raises UnsupportedRequest, MissingCredentials."""
        return selection.select(self.providers, request, provider, self.credentials, _Here(self))

    def quote(self, request: GenerationRequest, provider: str = AUTO) -> budget.Quote:
        """What queueing *request* would cost now. Raises as `select` does."""
        bought = self.bought(request, provider)
        if bought is not None:
            seller = self.provider(bought.provider)
            return budget.Quote(provider=seller.name, model=bought.model, usd=bought.usd, recalled=True)
        chosen = self.select(request, provider)
        return self.prices.quote(chosen.provider, chosen.offer, request, Clock())

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
        return replace(clip, notes=(*clip.notes, *self._notes(chosen, request)))

    def _notes(self, chosen: Selection | None, request: GenerationRequest) -> list[str]:
        """What the person should know of a clip that was bought now."""
        if chosen is None:
            return []
        provider = chosen.provider
        warning = (
            f"{provider.title} is experimental: {provider.experimental}" if provider.experimental else ""
        )
        return [note for note in (chosen.reason, warning, self.uploads.told(provider, request)) if note]

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
        bought = self.journal.live(request.fingerprint, request.take, seller)
        if bought is not None:
            return self._continue(bought, request, clock, report)
        chosen = chosen or self.select(request, seller)
        provider, offer = chosen.provider, chosen.offer
        client = self._connect(provider, clock)
        price = self.prices.quote(provider, offer, request, clock)
        pictures = self.uploads.pictures(provider, client, request, clock=clock, report=report)
        body = provider.encode(request, pictures)
        for refusals in count():
            clock.check()
            report(f"sending to {client.title} ({price.words})")
            entry, is_new = self._limiter.claim(
                provider, offer, body, request, estimate_usd=price.usd, clock=clock, report=report
            )
            if not is_new:
                return self._continue(entry, request, clock, report)
            try:
                entry = submit(provider, client, offer, body, self.journal, entry, clock)
                break
            except RateLimited as error:
                self._limiter.refused(provider, error, refusals, clock)
        return self._finishing.clip(provider, client, entry, request, clock, report)

    def _asking(self, provider: Provider, clock: Clock) -> Client:
        """For questions that an artist waits for before anything happens: a slow answer is no answer."""
        return self._connect(provider, clock, read=5.0)

    def _connect(self, provider: Provider, clock: Clock, *, read: float = TIMEOUT[1]) -> Client:
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
            read=read,
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
        clip = self._finishing.clip(provider, client, entry, request, clock, report)
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
        return self._finishing.clip(provider, self._connect(provider, clock), entry, request, clock, report)

    def _adopt(self, job_id: str, provider: str, clock: Clock) -> Entry:
        """Make a row for a job that was started elsewhere, once a provider has confirmed that it knows it."""
        paid = [candidate for candidate in self.providers if not candidate.local]
        asked = [
            candidate
            for candidate in (paid if provider == AUTO else [self.provider(provider)])
            if self.configured(candidate)
        ]
        silent = []
        for candidate in asked:
            job = Job(id=job_id)
            try:
                with decoding(candidate.title):
                    candidate.status(self._connect(candidate, clock), job)
            except Rejected:
                continue
            except GenerationError as error:
                if provider != AUTO:
                    raise
                silent.append(f"{candidate.title} could not tell: {error}")
                continue
            return self.journal.adopt(candidate.name, job)
        where = ", ".join(candidate.title for candidate in asked) or "no provider (no key on this machine)"
        raise InvalidInput(
            " ".join(
                [f"No generation {job_id!r} in the journal; asked {where}. Nothing was billed.", *silent]
            )
        )
