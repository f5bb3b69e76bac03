"""The life of a generation: recall, quote, upload, submit once, wait, download; and taking it up again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import budget, hosting, selection, tripwire
from .client import decoding
from .clock import Clock
from .connecting import Connections
from .credentials import Credentials
from .errors import (
    GenerationError,
    GenerationFailed,
    Interrupted,
    InvalidInput,
    ProviderUnavailable,
    RateLimited,
    Rejected,
)
from .finishing import Clip, ClipFacts, Finishing
from .journal import NO_OCCASION, Journal, Taken
from .ledger import Ledger
from .library import Library
from .limiter import Limiter
from .offer import Job, Offer, Provider
from .pace import learn
from .pictures import Pictures
from .prices import Prices
from .records import COLLECTED, OPEN, OVER, Entry, Occasion
from .request import GenerationRequest
from .selection import AUTO, Selection
from .sharing import Sharing
from .spending import OverLimit, Reserve, SpendingLimits, over
from .submitting import UNRECORDED, settle, submit
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


@dataclass(frozen=True)
class _Asking:
    """Somebody who wants a clip, on one thread."""

    request: GenerationRequest | None
    """None where only an id is known."""
    seller: str
    """Name of a provider, or "auto": whoever sold it already, else the cheapest."""
    clock: Clock
    report: Report
    sends: bool = True
    alone: Callable[[], bool] = lambda: True
    """Whether nobody else in this process waits for the same clip."""


_Key = tuple[str, int, str]


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
        limits: Callable[[], SpendingLimits] = SpendingLimits,
    ) -> None:
        self.journal = journal
        self.ledger = Ledger(journal)
        self.limits = limits
        """What the machine's owner allows to be spent, as it is now."""
        self.occasion = NO_OCCASION
        self.library = library
        self.credentials = credentials
        self.sellers = Connections(providers, credentials)
        self.hosts = tuple(hosts)
        self.uploads = Uploads(Pictures(journal), hosts, credentials)
        self.prices = Prices(self.sellers.asking)
        self._limiter = Limiter(journal, credentials.setting)
        self._finishing = Finishing(journal, library, inspect)
        self._sharing: Sharing[Clip] = Sharing()

    def on(self, occasion: Occasion) -> Lifecycle:
        """This lifecycle, for what is asked for on *occasion*."""
        other = copy.copy(self)
        other.occasion = occasion
        return other

    def select(self, request: GenerationRequest, provider: str = AUTO) -> Selection:
        """Who would serve *request* now. Raises UnsupportedRequest, MissingCredentials."""
        return selection.select(self.sellers.providers, request, provider, self.credentials, _Here(self))

    def quote(self, request: GenerationRequest, provider: str = AUTO) -> budget.Quote:
        """What queueing *request* would cost now. Raises as `select` does."""
        bought = self.bought(request, provider)
        if bought is not None:
            return budget.Quote(
                provider=bought.provider,
                model=bought.model,
                usd=bought.usd,
                # To settle an open question the create may go out once more, and may be the first to arrive.
                recalled=bought.state not in OPEN,
            )
        chosen = self.select(request, provider)
        return self.prices.quote(chosen.provider, chosen.offer, request, Clock())

    def generate(
        self,
        request: GenerationRequest,
        provider: str = AUTO,
        *,
        clock: Clock,
        report: Report,
    ) -> Clip:
        """The clip for *request*: the one already bought, else a new one, bought once.

        Two callers of the same request and take share one job. Raises everything in `errors`.
        """
        tripwire.check(request.words, self.credentials)
        bought = self.bought(request, provider)
        if bought is not None:
            chosen, seller = None, self.sellers.provider(bought.provider)
        else:
            chosen = self.select(request, provider)
            seller = chosen.provider
        asking = _Asking(request, seller.name if seller.local else provider, clock, report)
        # With "auto" the cheapest may be another one for the next who asks, and it is still the same purchase.
        sellers = [seller.name] if seller.local or provider != AUTO else [AUTO, seller.name]
        keys = [(request.fingerprint, request.take, name) for name in sellers]
        clip = self._once(keys, asking, lambda asked: self._generate(asked, chosen))
        return replace(clip, notes=(*clip.notes, *self._notes(clip, chosen, request)))

    def _notes(self, clip: Clip, chosen: Selection | None, request: GenerationRequest) -> list[str]:
        """What the person should know of a clip that was bought now."""
        if chosen is None or clip.entry.provider != chosen.provider.name:
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
        sends: bool = True,
    ) -> Clip:
        """Continue the generation called *id* from whatever state it is in, in any process, at any time.

        *sends*: to settle an unanswered create it may go out once more, where that cannot make a second job.
        """
        entry = self.journal.get(id)
        if entry is None:
            raise InvalidInput(f"The journal has no generation {id!r}.")
        keys = [(entry.fingerprint, entry.take, entry.provider)]
        asking = _Asking(request, entry.provider, clock, report, sends=sends)
        return self._once(keys, asking, lambda asked: self._resumed(entry, asked))

    def _resumed(self, entry: Entry, asking: _Asking) -> Clip:
        clip = self._continue(entry, asking)
        if clip is None:
            raise ProviderUnavailable(
                f"{self.sellers.provider(entry.provider).title} takes no more requests at the moment, so generation "
                f"{entry.id} was not made. Nothing was billed: queue its graph again."
            )
        return clip

    def collect(self, id: str, provider: str = AUTO, *, clock: Clock, report: Report) -> Clip:
        """Bring back a paid clip by its journal id or by the provider's own id. Buys nothing."""
        wanted = self._typed("id", id)
        if self.journal.get(wanted) is not None:
            return self.resume(wanted, clock=clock, report=report, sends=False)
        rows = [row for row in self.journal.by_job(wanted) if provider in (AUTO, row.provider)]
        if rows:
            return self.resume(rows[0].id, clock=clock, report=report, sends=False)
        entry = self._adopt(wanted, provider, clock)
        return self.resume(entry.id, clock=clock, report=report, sends=False)

    def _typed(self, name: str, id: str) -> str:
        """An id that somebody typed: no key, and nothing that leads elsewhere in the path of an address."""
        wanted = id.strip()
        tripwire.check({name: wanted}, self.credentials)
        if not wanted.strip("."):
            raise InvalidInput(f"That is no {name} of a generation. Nothing was asked or billed.")
        return wanted

    def found(self, id: str, job_id: str, *, clock: Clock) -> Entry:
        """The person says which of the provider's jobs an uncertain create became, and the provider knows it.

        Raises InvalidInput: no open question, a job of another generation, or one that the provider denies.
        """
        entry, job = self._undecided(id), Job(id=self._typed("job", job_id))
        provider = self.sellers.provider(entry.provider)
        others = InvalidInput(
            f"Job {job.id} belongs to another generation already; if nothing else was created, "
            f"`luma-ray resume {id} --not-created` says so. Nothing was changed."
        )
        rows = [row for row in self.journal.by_job(job.id) if row.provider == entry.provider]
        if any(row.operation != COLLECTED for row in rows):
            raise others
        try:
            with decoding(provider.title):
                provider.status(self.sellers.client(provider, clock), job)
        except Rejected as error:
            raise InvalidInput(
                f"{provider.title} does not know job {job.id}: {error} Nothing was changed."
            ) from None
        try:
            entry = self.journal.submitted(id, job)
        except Taken:
            raise others from None
        if entry.job is None or entry.job.id != job.id:
            raise self._decided(id)
        return entry

    def not_created(self, id: str) -> Entry:
        """The person says that an uncertain create never arrived: it may be bought again.

        Raises InvalidInput when the generation is in any other state.
        """
        entry = self.journal.given_up(self._undecided(id), "the person says that it was not created")
        if entry.state != "failed":
            raise self._decided(id)
        return entry

    def _undecided(self, id: str) -> Entry:
        entry = self.journal.get(id)
        if entry is not None and entry.state == "submitting" and self.journal.abandoned(entry):
            entry = self.journal.taken_over(entry)
        if entry is not None and entry.state == "uncertain" and id not in UNRECORDED:
            return entry
        raise self._decided(id)

    def _decided(self, id: str) -> InvalidInput:
        return InvalidInput(f"Generation {id} is not waiting for a decision; nothing was changed.")

    def bought(self, request: GenerationRequest, provider: str = AUTO) -> Entry | None:
        """The purchase of this request that already exists. A preview never stands in for a paid clip."""
        return self.journal.live(request.fingerprint, request.take, None if provider == AUTO else provider)

    def _once(self, keys: Sequence[_Key], asking: _Asking, work: Callable[[_Asking], Clip]) -> Clip:
        """The clip of *work*; where another thread of this process makes it, nothing is bought here."""
        made_here: list[Clip] = []

        def awaited() -> bool:
            return any(self._sharing.awaited(key) for key in keys)

        def made(keys: Sequence[_Key]) -> Clip:
            if keys:
                return self._sharing.run(keys[0], lambda: made(keys[1:]), asking.clock, another)
            made_here.append(work(replace(asking, alone=lambda: not awaited())))
            return made_here[0]

        def another() -> None:
            asking.report("another node is making the same clip; waiting for it")

        clip = made(keys)
        return clip if made_here else replace(clip, recalled=True)

    def _generate(self, asking: _Asking, chosen: Selection | None) -> Clip:
        request, clock, report = asking.request, asking.clock, asking.report
        if request is None:
            raise TypeError("a generation is made from a request")
        bought = self.bought(request, asking.seller)
        while bought is not None:
            clip = self._continue(bought, asking)
            if clip is not None:
                return clip
            bought = self.bought(request, asking.seller)
        chosen = chosen or self.select(request, asking.seller)
        provider, offer = chosen.provider, chosen.offer
        client = self.sellers.client(provider, clock)
        price = self.prices.quote(provider, offer, request, clock)
        reserve = self._affordable(provider, price, request, self.occasion)
        placed = self.uploads.pictures(provider, offer, client, request, clock=clock, report=report)
        body = provider.encode(request, placed.pictures)
        refusals = 0
        while True:
            clock.check()
            report(f"sending to {client.title} ({price.words})")
            try:
                entry, is_new = self._limiter.claim(
                    *(provider, offer, body, request),
                    account=client.account,
                    estimate_usd=price.usd,
                    anywhere=asking.seller == AUTO,
                    occasion=self.occasion,
                    reserve=reserve,
                    clock=clock,
                    report=report,
                )
            except OverLimit as error:
                raise over(error.crossing, _asked(provider, price, reserve, request)) from None
            if is_new:
                try:
                    entry = submit(provider, client, offer, body, self.journal, entry, clock)
                except RateLimited as error:
                    self._limiter.refused(provider, error, refusals, clock)
                    refusals += 1
                    continue
                except Rejected:
                    self.uploads.forget(provider, client.account, request)
                    raise
            clip = self._continue(entry, asking, recalled=not is_new)
            if clip is not None:
                return replace(clip, notes=(*clip.notes, *placed.notes)) if is_new else clip

    def _affordable(
        self, provider: Provider, price: budget.Quote, request: GenerationRequest, occasion: Occasion
    ) -> Reserve | None:
        """What *request* counts, while nothing is uploaded. Raises LimitReached where it is too much."""
        if provider.local:
            return None
        usd = budget.counted(price, self.sellers.providers, request)
        reserve = Reserve(usd=usd, limits=self.limits(), run=occasion.run)
        crossing = self.ledger.crossed({provider.name: usd}, usd, reserve.limits, reserve.run)
        if crossing is not None:
            raise over(crossing, _asked(provider, price, reserve, request))
        return reserve

    def _continue(self, entry: Entry, asking: _Asking, *, recalled: bool = True) -> Clip | None:
        """The clip of *entry*, from whatever state it is in. None: it was taken back, and nothing was bought.

        *recalled* is what the clip says of itself where it was complete before.
        """
        clock, report = asking.clock, asking.report
        provider = self.sellers.provider(entry.provider)
        if entry.state == "completed":
            path = self.library.find(entry)
            if path is not None:
                return Clip(path=path, entry=entry, recalled=recalled)
            report("the clip's file is gone from the library; bringing it back")
        if provider.local:
            entry = self._rendered_again(entry, asking.request)
        client = self.sellers.client(provider, clock) if entry.state not in OVER else None
        while entry.state in OPEN and client is not None:
            if entry.state == "submitting":
                told = self._wait_for_submitter(entry, clock, report)
                if told is None:
                    return None
                entry = self.journal.taken_over(told) if told.state == "submitting" else told
            else:
                report(f"looking for an unanswered request at {provider.title}")
                entry = settle(provider, client, self.journal, entry, clock, sends=asking.sends)
        if entry.state in OVER or client is None:
            raise GenerationFailed(f"Generation {entry.id} ended without a clip: {entry.note}")
        if entry.state == "completed" and self.library.find(entry) is not None:
            return self._continue(entry, asking, recalled=recalled)
        paid_before = entry.state == "completed"
        try:
            clip = self._finishing.clip(
                provider, client, entry, asking.request, clock, report, alone=asking.alone
            )
        except GenerationFailed:
            if asking.request is not None:
                self.uploads.forget(provider, client.account, asking.request)
            raise
        return replace(clip, recalled=paid_before)

    def _wait_for_submitter(self, entry: Entry, clock: Clock, report: Report) -> Entry | None:
        """Another process is between its row and its answer: wait until it says, or is known to be gone.

        None: it took its row back.
        """
        row: Entry | None = entry
        while row is not None and row.state == "submitting" and not self.journal.abandoned(row):
            if clock.stopped:
                raise Interrupted("Stopped waiting; another process is sending the same request.")
            report("another process is sending the same request")
            clock.sleep(0.5)
            row = self.journal.get(row.id)
        return row

    def _rendered_again(self, entry: Entry, request: GenerationRequest | None) -> Entry:
        """A preview that never finished, or whose file is gone: free, so it is simply made once more."""
        if request is None:
            raise InvalidInput(
                f"Generation {entry.id} is a local preview without a finished file. Queue its graph again; "
                "it is free."
            )
        return self.journal.submitted(entry.id, Job(id=entry.id)) if entry.state in OPEN else entry

    def _adopt(self, job_id: str, provider: str, clock: Clock) -> Entry:
        """Make a row for a job that was started elsewhere, once a provider has confirmed that it knows it."""
        paid = [candidate for candidate in self.sellers.providers if not candidate.local]
        asked = [
            candidate
            for candidate in (paid if provider == AUTO else [self.sellers.provider(provider)])
            if self.sellers.configured(candidate)
        ]
        silent = []
        for candidate in asked:
            job = Job(id=job_id)
            try:
                with decoding(candidate.title):
                    candidate.status(self.sellers.client(candidate, clock), job)
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


def _asked(
    provider: Provider, price: budget.Quote, reserve: Reserve | None, request: GenerationRequest
) -> str:
    """What *request* would cost, as a sentence."""
    what = f"{request.told}, from {provider.title}"
    if price.usd is None and reserve is not None:
        return (
            f"{what} has no published price and counts as the dearest known: {budget.dollars(reserve.usd)}."
        )
    return f"{what} costs {price.words}."
