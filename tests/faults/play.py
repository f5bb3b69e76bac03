"""A schedule on a stage: everything it says, then a day on which all goes well, then the reckoning."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from fakes import Reports, picture, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.database import Unconfirmed
from luma_ray.nodes.generation.finishing import Clip
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.library import Library
from luma_ray.nodes.generation.lifecycle import Lifecycle
from luma_ray.nodes.generation.offer import Limits
from luma_ray.nodes.generation.records import OPEN, OVER
from luma_ray.nodes.generation.request import GenerationRequest, Operation
from luma_ray.nodes.generation.submitting import key

from . import ground, truth
from .schedule import Event, Faults, Schedule, Shot
from .shop import KINDS, Shop, Sold, inspect
from .stage import Process, Stage, StageClock
from .truth import Sale, Untrue

PATIENT = 6 * 3600.0
"""Seconds of the stage's time for one press of Queue: its own patience, and that of those before it in line."""
KEY = "paper-key-1234567890"


def environment() -> None:
    """This process has the key of all shops."""
    os.environ["PAPER_KEY"] = KEY


@dataclass
class Play:
    """A schedule on a stage."""

    later: ClassVar[float] = 2 * 3600.0
    """Seconds after which all goes well, at the earliest."""
    schedule: Schedule
    folder: Path
    said: list[str] = field(default_factory=list)
    mistaken: list[tuple[str, float]] = field(default_factory=list)
    """Generations of which somebody said that they were not created, and when that was looked up."""

    def __post_init__(self) -> None:
        self.stage = Stage(self.schedule.turns)
        self.faults = Faults(self.schedule.faults)
        self.swept = False
        """Whether somebody threw clips away."""
        self.journal = ground.journal(self.folder, self.stage.date)
        self.library = Library(self.folder / "clips")
        self.open_shops()
        self.pair = [self.stage.process(), self.stage.process()]
        self.desks = [self.process(process) for process in self.pair]

    def open_shops(self) -> None:
        """The providers of this play."""
        jobs = iter(self.schedule.jobs)
        self.shops: list[Shop] = [
            kind(self.stage, self.faults, lambda: next(jobs, (12.0, "clip"))) for kind in KINDS
        ]
        for number, shop in enumerate(self.shops):
            rank = (number - self.schedule.dearest) % len(self.shops)
            shop.recorded = lambda job: bool(self.journal.by_job(job))
            shop.priced(Decimal("0.10") + rank * Decimal("0.05"), Limits(concurrent=self.schedule.concurrent))
        self.providers: Sequence[Any] = self.shops
        self.hosts: Sequence[Any] = []
        self.inspect: Callable[[Path], Any] = inspect
        self.keys = [KEY]

    def process(self, process: Process) -> Lifecycle:
        """The pack as *process* has it."""
        journal = ground.journal(self.folder, self.stage.date)
        self._staged(journal)
        return Lifecycle(
            journal=journal,
            library=self.library,
            credentials=Credentials(self.folder),
            providers=self.providers,
            hosts=self.hosts,
            inspect=self.inspect,
        )

    def _staged(self, journal: Journal) -> None:
        """Each transaction is a turn, and may fail."""
        transaction = journal.database.transaction

        @contextmanager
        def taking_turns(*, writes: bool = False) -> Iterator[Any]:
            self.stage.pause()
            fault = self.faults("journal")
            kind = Unconfirmed if fault.startswith("line") else errors.JournalUnavailable
            trouble = kind(f"The journal of purchases cannot be used: {fault}.")
            if fault == "locked":
                raise trouble
            with transaction(writes=writes) as connection:
                yield connection
                if fault in ("not committed", "line broken before"):
                    raise trouble
            if fault in ("answer lost", "line broken after") and writes:
                raise trouble

        journal.database.transaction = taking_turns  # type: ignore[method-assign]

    # -- who does what --------------------------------------------------------------------------------------

    def request(self, shot: Shot) -> GenerationRequest:
        """What is asked for."""
        if not shot.picture:
            return text(shot.prompt, take=shot.take)
        return text(shot.prompt, take=shot.take, operation=Operation.IMAGE_TO_VIDEO, first_frame=picture())

    def queue(self, shot: Shot, desk: Lifecycle, clock: StageClock) -> Any:
        """Somebody presses Queue."""
        request = self.request(shot)
        return self.asked(lambda report: desk.generate(request, shot.seller, clock=clock, report=report))

    def asked(self, ask: Callable[[Reports], Clip]) -> Any:
        """The clip or the error of *ask*, held against the books."""
        begun, reports = self.stage.now, Reports()
        before = set(self.books())
        try:
            result: Any = ask(reports)
        except errors.GenerationError as error:
            result = error
            self.said.append(str(error))
        self.said += [reports.words, *(result.notes if isinstance(result, Clip) else ())]
        took = self.stage.now - begun
        if took > PATIENT:
            raise Untrue(f"it took {took / 3600:.1f} hours: {result!r}")
        if isinstance(result, Clip):
            self.check_clip(result)
        else:
            self.check_bill(result, before)
        return result

    def check_clip(self, clip: Clip) -> None:
        """It is the one that was sold."""
        entry = clip.entry
        sold = next((sold for sold in self.sold if entry.job and sold.id == entry.job.id), None)
        if self.swept and not clip.path.exists():
            return  # somebody threw it away before it could be looked at
        if sold is None or clip.path.read_bytes() != sold.clip:
            raise Untrue(f"the clip of {entry.id} is not the one of its job")

    def check_bill(self, error: BaseException, before: set[str]) -> None:
        """What this thread ordered meanwhile, and is in no row that will bring it."""
        kept = {row.job.id for row in self.journal.entries() if row.job is not None}
        lost = [
            sold
            for sold in self.sold
            if sold.buyer == threading.get_ident()
            and sold.id not in before
            and sold.id not in kept
            and self.paid(sold)
        ]
        truth.check_bill(error, len(lost))

    @property
    def sold(self) -> list[Sold]:
        """All books."""
        return [sold for shop in self.shops for sold in shop.books]

    def paid(self, sold: Sold) -> bool:
        """Whether it is paid, and a clip or on its way to be one."""
        return sold.alive(self.stage.now)

    def look(self, desk: Lifecycle, clock: StageClock, *, hasty: bool) -> None:
        """The person goes through the open questions with the providers' pages open."""
        for row in desk.journal.entries(OPEN):
            there = self.on_page(desk, row)
            looked = self.stage.now
            try:
                if there:
                    desk.found(row.id, there[0].job, clock=clock)
                elif hasty:
                    self.mistaken.append((row.id, looked))
                    desk.not_created(row.id)
            except errors.GenerationError as error:
                self.said.append(str(error))

    def on_page(self, desk: Lifecycle, row: Any) -> list[Any]:
        """The jobs on the provider's page that may be the one of *row*."""
        kept = {(other.provider, other.job.id) for other in desk.journal.entries() if other.job is not None}
        frame = row.request["first_frame"]
        pictures = () if frame is None else (frame["image"],)
        return [
            sold
            for sold in self.sold
            if (sold.provider, sold.prompt, sold.pictures) == (row.provider, row.request["prompt"], pictures)
            and (sold.provider, sold.job) not in kept
            and self.paid(sold)
        ]

    # -- the play -------------------------------------------------------------------------------------------

    def perform(self) -> None:
        """Everything that the schedule says, then a day on which all goes well, then the reckoning."""
        for number, shot in enumerate(self.schedule.shots):
            self.stage.at(self.stage.now + shot.begins, lambda n=number, s=shot: self._begin(f"shot {n}", s))
        for event in self.schedule.events:
            self.stage.on_turn(event.turn, lambda e=event: self._happens(e))
        self._run(self.stage.now + self.later)
        self.faults.end()
        self.stage.calm()
        self.stage.start("the next day", self.stage.process(), self._next_day)
        self._run()
        self._reckon()

    def _run(self, until: float = 0.0) -> None:
        actors = self.stage.actors
        self.stage.run(until)
        for actor in actors:
            if isinstance(actor.error, Exception):
                raise actor.error

    def _begin(self, name: str, shot: Shot) -> None:
        process, desk = self.pair[shot.process], self.desks[shot.process]
        if not process.dead:
            self.stage.start(name, process, lambda clock: self.queue(shot, desk, clock))

    def _happens(self, event: Event) -> None:
        shot = self.schedule.shots[event.whom % len(self.schedule.shots)]
        match event.what:
            case "stop":
                named = [
                    a for a in self.stage.actors if a.name == f"shot {event.whom % len(self.schedule.shots)}"
                ]
                for actor in named:
                    actor.clock.stop.set()
            case "kill":
                number = event.whom % 2
                self.pair[number].dead = True
                self.pair[number] = self.stage.process()
                self.desks[number] = self.process(self.pair[number])
            case "ahead" | "back":
                days = {"ahead": 1, "back": -1}[event.what]
                self.stage.corrected += days * (86_400.0 if event.whom % 2 else 1000.0)
            case "queue again":
                self._begin("again", shot)
            case "collect":
                self._elsewhere("collect", lambda desk, clock: self._collect(desk, clock, event.whom))
            case "look" | "hasty look":
                hasty = event.what == "hasty look"
                self._elsewhere(event.what, lambda desk, clock: self.look(desk, clock, hasty=hasty))
            case "no file":
                self.swept = True
                for path in self.library.folder.rglob("*.mp4"):
                    if not path.name.startswith("."):
                        path.unlink()

    def _elsewhere(self, name: str, work: Callable[[Lifecycle, StageClock], None]) -> None:
        """In a process of its own, as the command line."""
        process = self.stage.process()
        desk = self.process(process)

        def guarded(clock: StageClock) -> None:
            try:
                work(desk, clock)
            except errors.JournalUnavailable as error:
                self.said.append(str(error))

        self.stage.start(name, process, guarded)

    def _collect(self, desk: Lifecycle, clock: StageClock, number: int) -> None:
        rows = desk.journal.entries()
        if rows:
            row = rows[number % len(rows)]
            self.asked(lambda report: desk.collect(row.id, clock=clock, report=report))

    def _next_day(self, clock: StageClock) -> None:
        """Everything is queued again until it is there; what is open is decided; what is left is collected."""
        desk = self.process(self.stage.process())
        for shot in self.schedule.shots:
            clip = self._until_there(shot, desk, clock)
            again = self.queue(shot, desk, clock)
            if not isinstance(again, Clip) or not again.recalled or again.entry.id != clip.entry.id:
                raise Untrue(f"what is here is not given for nothing: {again!r}")
        self.look(desk, clock, hasty=True)
        for row in desk.journal.entries(("submitted", "completed")):
            try:
                desk.collect(row.id, clock=clock, report=Reports())
            except errors.GenerationFailed:
                continue

    def _until_there(self, shot: Shot, desk: Lifecycle, clock: StageClock) -> Clip:
        told = []
        for _ in range(20):
            result = self.queue(shot, desk, clock)
            told.append(result)
            if isinstance(result, Clip):
                return result
            if isinstance(result, errors.SubmissionUncertain):
                self.look(desk, clock, hasty=True)
            elif not isinstance(result, (errors.GenerationFailed, errors.StillRunning)):
                raise Untrue(f"nothing is wrong any more, and still: {result!r}")
        raise Untrue(f"there is no end to it: {told!r}")

    def _reckon(self) -> None:
        """The books of all providers against the journal and the library."""
        rows = self.journal.entries()
        truth.check(rows, self.sales(), self.library, orphans=self.excused(rows))
        truth.check_said(self.said, self.keys)
        waiting = [row.id for row in rows if row.state not in ("completed", *OVER)]
        if waiting:
            raise Untrue(f"never settled: {waiting}")
        self.reckon_purchases(rows)

    def books(self) -> list[str]:
        """The ids of all jobs."""
        return [sale.job for sale in self.sales()]

    def sales(self) -> list[Sale]:
        """All books, as `truth` reads them."""
        return [sale for shop in self.shops for sale in shop.sales]

    def excused(self, rows: list[Any]) -> Counter[str]:
        """By prompt: paid jobs that nobody of us is to blame for."""
        return Counter(sold.prompt for sold in self.sold if self._excused(sold, rows))

    def _excused(self, sold: Sold, rows: list[Any]) -> bool:
        """Whether somebody said that it was not created, and it came later."""
        owners = [row.id for row in rows if key(row.id) == sold.key]
        return any(row in owners and looked <= sold.created for row, looked in self.mistaken)

    def reckon_purchases(self, rows: list[Any]) -> None:
        """Each was paid once."""
        purchases = {key(row.id): (row.fingerprint, row.take) for row in rows}
        named = {
            (self.request(shot).fingerprint, shot.take, shot.seller)
            for shot in self.schedule.shots
            if shot.seller != "auto"
        }
        paid: Counter[Any] = Counter()
        excused: Counter[Any] = Counter()
        for sold in self.sold:
            if not self.paid(sold):
                continue
            if sold.key not in purchases:
                raise Untrue(f"job {sold.id} is paid, and the journal never heard of its generation")
            purchase = purchases[sold.key]
            place = sold.provider if (*purchase, sold.provider) in named else "auto"
            paid[purchase, place] += 1
            excused[purchase, place] += self._excused(sold, rows)
        for purchase, count in paid.items():
            if count - excused[purchase] > 1:
                raise Untrue(f"{count} clips were paid for one: {purchase}")
