"""Threads of several processes that take turns: one at a time, in an order that is decided, in a time of its own.

Whoever waits lets others go on; when all wait, time passes to where the first of them wakes. So what a schedule found
once it finds again, and hours of waiting take no time.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from luma_ray.nodes.generation import journal as journals
from luma_ray.nodes.generation import submitting
from luma_ray.nodes.generation.clock import Clock
from luma_ray.nodes.generation.offer import Job

BEGIN = 1_800_000_000.0
GLANCE, GLANCES = 1.0, 6
"""Whoever sleeps no longer than so many seconds, so many times in a row, waits for another, and need not wake before
that one did something."""
MOST_TURNS = 20_000
"""Turns after which a schedule will never end."""


class Killed(BaseException):
    """The process of this thread is no more."""


class Endless(AssertionError):
    """Something goes on for ever."""


@dataclass
class Process:
    """What the pack keeps once a process, see `journal` and `owner`."""

    number: int
    dead: bool = False
    sending: set[str] = field(default_factory=set)
    settling: bool = False
    unrecorded: dict[str, Job] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """As `owner.OWN`."""
        return f"stage:{self.number}:process"


class StageClock(Clock):
    """The clock of one thread on a stage."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def now(self) -> float:
        return self._stage.date()

    def elapsed(self) -> float:
        return self._stage.now

    def sleep(self, seconds: float) -> None:
        self._stage.pause(max(seconds, 0.0), interruptible=True)


class Actor:
    """One thread of one process."""

    def __init__(self, stage: Stage, name: str, process: Process, work: Callable[[StageClock], Any]) -> None:
        self.name = name
        self.process = process
        self.clock = StageClock(stage)
        self.wake = stage.now
        self.interruptible = False
        self.glances = 0
        self.idle = False
        """Whether it only looks now and then what became of others."""
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.go = _closed()
        self._stage = stage
        self.thread = threading.Thread(target=self._run, args=(work,), name=name)
        self.thread.start()

    def ready(self, now: float) -> bool:
        """Whether it has something to do now."""
        return self.wake <= now or self.process.dead or (self.interruptible and self.clock.stopped)

    def urgent(self, now: float) -> bool:
        """Whether that does not wait for others."""
        return not self.idle or self.process.dead or self.clock.stopped

    def _run(self, work: Callable[[StageClock], Any]) -> None:
        self.go.acquire()
        self._stage.cast[threading.get_ident()] = self
        try:
            self._stage.alive(self)
            self.result = work(self.clock)
        except BaseException as error:  # noqa: BLE001 - kept for whoever asks
            self.error = error
        finally:
            self.done = True
            del self._stage.cast[threading.get_ident()]
            self._stage.back.release()


class Stage:
    """Where actors take turns. *turns* is a seed; with 0 it is always the first's who can go on."""

    def __init__(self, turns: int = 0) -> None:
        self.now = BEGIN
        self.corrected = 0.0
        """Seconds by which this machine's date is wrong."""
        self.turn = 0
        self.cast: dict[int, Actor] = {}
        self.actors: list[Actor] = []
        self.processes: list[Process] = []
        self.back = _closed()
        self._dice = random.Random(turns) if turns else None  # noqa: S311 - an order, not a secret
        self._order = itertools.count()
        self._timed: list[tuple[float, int, Callable[[], None]]] = []
        self._stepped: dict[int, list[Callable[[], None]]] = {}

    def date(self) -> float:
        """What this machine believes the time to be, seconds since the epoch."""
        return self.now + self.corrected

    def process(self) -> Process:
        """A new process."""
        self.processes.append(Process(len(self.processes) + 1))
        return self.processes[-1]

    def start(self, name: str, process: Process, work: Callable[[StageClock], Any]) -> Actor:
        """Let *work* begin at its first turn."""
        actor = Actor(self, name, process, work)
        self.actors.append(actor)
        return actor

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Let something happen at a time."""
        self._timed.append((moment, next(self._order), act))

    def on_turn(self, number: int, act: Callable[[], None]) -> None:
        """Let something happen before a turn."""
        self._stepped.setdefault(number, []).append(act)

    def calm(self) -> None:
        """Nothing that was to happen before a turn happens any more."""
        self._stepped.clear()

    def pause(self, seconds: float = 0.0, *, interruptible: bool = False) -> None:
        """Called by an actor: let the others go on for so long."""
        actor = self.cast.get(threading.get_ident())
        if actor is None:
            return
        actor.wake, actor.interruptible = self.now + seconds, interruptible
        if seconds > GLANCE:
            actor.glances = 0
        elif interruptible:
            actor.glances += 1
        actor.idle = interruptible and actor.glances > GLANCES
        if self._goes_on(actor):
            self._count(actor)
            self.now = max(self.now, actor.wake)
        else:
            self.back.release()
            actor.go.acquire()
        self.alive(actor)

    def alive(self, actor: Actor) -> None:
        """Raise Killed where the actor's process is no more."""
        if actor.process.dead:
            raise Killed

    def _goes_on(self, actor: Actor) -> bool:
        """Whether the next turn is certainly its own: then no thread needs to be woken for it."""
        others = [other for other in self.actors if not other.done and other is not actor]
        return (
            not actor.idle
            and self.turn not in self._stepped
            and all(moment > actor.wake for moment, _, _ in self._timed)
            and all(other.wake > actor.wake and not other.ready(self.now) for other in others)
        )

    def run(self, until: float = 0.0) -> None:
        """Until all have ended, and everything that was to happen has, but not before *until*."""
        with self._as_processes():
            try:
                while self._timed or any(not actor.done for actor in self.actors):
                    self._turn()
            finally:
                self._end()
        self.now = max(self.now, until)

    def _turn(self) -> None:
        if not self._act():
            actors = [actor for actor in self.actors if not actor.done]
            ready = [actor for actor in actors if actor.ready(self.now)]
            busy = [actor for actor in actors if not actor.idle]
            if ready and (not busy or any(actor.urgent(self.now) for actor in ready)):
                self._let(ready[self._choice(len(ready))])
            else:
                next_ = [actor.wake for actor in busy or actors] + [moment for moment, _, _ in self._timed]
                self.now = max(self.now, min(next_))
                for actor in actors:
                    actor.idle = False

    def _act(self) -> bool:
        """What happens by itself now, if anything does."""
        due = [item for item in self._timed if item[0] <= self.now]
        acts = self._stepped.pop(self.turn, [])
        if due:
            first = min(due)
            self._timed.remove(first)
            acts.append(first[2])
        for act in acts:
            act()
        return bool(acts)

    def _choice(self, number: int) -> int:
        return self._dice.randrange(number) if self._dice and number > 1 else 0

    def _let(self, actor: Actor) -> None:
        self._count(actor)
        process = actor.process
        journals.OWN, journals._sending = process.owner, process.sending
        submitting.UNRECORDED = process.unrecorded
        self._playing = process
        actor.go.release()
        self.back.acquire()

    def _count(self, actor: Actor) -> None:
        self.turn += 1
        if self.turn > MOST_TURNS:
            raise Endless(f"{actor.name} and {len(self.actors) - 1} others after {self.turn} turns")

    def _end(self) -> None:
        """Nobody stays behind, also where something went wrong."""
        for actor in self.actors:
            actor.process.dead = True
            while not actor.done:
                actor.go.release()
                self.back.acquire()
            actor.thread.join()
        self.actors = []

    @contextmanager
    def _as_processes(self) -> Iterator[None]:
        def gone(owner: str) -> bool:
            return any(process.dead for process in self.processes if process.owner == owner)

        with (
            mock.patch.object(journals, "OWN", "stage:0:process"),
            mock.patch.object(journals, "_sending", set()),
            mock.patch.object(journals, "gone", gone),
            mock.patch.object(submitting, "UNRECORDED", {}),
            mock.patch.object(submitting, "_settling", _Lock(self)),
        ):
            yield


def _closed() -> threading.Lock:
    """A gate: whoever comes waits until another opens it, for one."""
    gate = threading.Lock()
    gate.acquire()
    return gate


class _Lock:
    """In place of a lock that is held while others take turns: one in each process."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        process = self._stage._playing
        while process.settling:
            self._stage.pause(0.01)
        process.settling = True

    def __exit__(self, *_: object) -> None:
        self._stage._playing.settling = False
