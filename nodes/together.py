"""Several clips at the same time, each a purchase of its own: quoted together, reported as one, told of as one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from . import plan
from .generation.budget import Quote, dollars
from .generation.clock import Clock
from .generation.errors import REFUSALS, Fate, GenerationError, Interrupted, SubmissionUncertain
from .generation.finishing import Clip
from .generation.lifecycle import Lifecycle
from .generation.request import GenerationRequest
from .generation.waiting import Report
from .marks import first


class Together:
    """The clips of several requests to one provider (or "auto"), made side by side.

    Raises as `Lifecycle.quote` does, for the first that is wrong, and LimitReached for all of them together: nothing
    is bought then.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        requests: Sequence[GenerationRequest],
        provider: str,
        *,
        word: str,
        marks: Sequence[str] = (),
    ) -> None:
        """*word* is what one of them is called: a shot, a take; *marks* are theirs, see `Occasion.shot`."""
        self._lifecycle, self._requests, self._provider, self._word = lifecycle, requests, provider, word
        self._occasion = own = lifecycle.occasion
        self._marks = marks if len(marks) == len(requests) else first(own.shot, len(requests))
        asked: set[tuple[str, int]] = set()
        self._again: set[int] = set()
        """Those that ask for what one before them asks for: one purchase for both."""
        for number, request in enumerate(requests, 1):
            wanted = request.fingerprint, request.take
            if wanted in asked:
                self._again.add(number)
            asked.add(wanted)
        self.quotes = [self._quoted(number) for number in range(1, len(requests) + 1)]
        planned = [
            plan.Shot(
                node=str(number),
                title=f"{word} {number}",
                requests=(request,),
                provider=provider,
                marks=(self._marks[number - 1],),
            )
            for number, request in enumerate(requests, 1)
            if number not in self._again
        ]
        plan.check(lifecycle, self._occasion.run, planned)

    @property
    def bill(self) -> str:
        """What is bought and what is not: `shots 1, 3, 4 from the library; shot 2 new: $0.20 (fal)`."""
        here = [number for number, quote in enumerate(self.quotes, 1) if quote.recalled]
        new = [
            number
            for number, quote in enumerate(self.quotes, 1)
            if not quote.recalled and number not in self._again
        ]
        words = [f"{self._named(here)} from the library"] if here else []
        if new:
            quotes = [self.quotes[number - 1] for number in new]
            sellers = ", ".join(dict.fromkeys(quote.provider for quote in quotes))
            words.append(f"{self._named(new)} new: {total(quotes)} ({sellers})")
        again = [number for number in sorted(self._again) if not self.quotes[number - 1].recalled]
        if again:
            words.append(f"{self._named(again)} the same as one before")
        return "; ".join(words)

    def make(self, *, clock: Clock, report: Report) -> list[Clip]:
        """All clips, in the order of their requests. One that fails stops no other, and is raised at the end."""
        numbers = range(1, len(self._requests) + 1)
        board = _Board(report, self._named, len(numbers))
        made: dict[int, Clip] = {}
        failed: dict[int, BaseException] = {}

        def one(number: int) -> None:
            own = self._lifecycle.on(replace(self._occasion, shot=self._marks[number - 1]))
            try:
                made[number] = own.generate(
                    self._requests[number - 1], self._provider, clock=clock, report=board.of(number)
                )
            except BaseException as error:  # noqa: BLE001 - raised below, on the thread that waits
                failed[number] = error
            board.of(number)("here" if number in made else "did not come", 1.0)

        # No executor: Python would not end before its threads do, and a job may take an hour.
        parent = threading.current_thread().name
        threads = [
            threading.Thread(target=one, args=(number,), name=f"{parent}/{number}", daemon=True)
            for number in numbers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise self._told(failed, made)
        return [made[number] for number in numbers]

    def _quoted(self, number: int) -> Quote:
        """What one would cost. What is wrong with it is said before anything is bought."""
        try:
            return self._lifecycle.quote(self._requests[number - 1], self._provider)
        except GenerationError as error:
            if len(self._requests) == 1:
                raise
            raise type(error)(f"{self._word.capitalize()} {number}: {error}") from None

    def _named(self, numbers: Sequence[int]) -> str:
        return f"{self._word}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"

    def _told(self, failed: Mapping[int, BaseException], made: Mapping[int, Clip]) -> BaseException:
        """One error for all that went wrong, with the truth about the rest."""
        for error in failed.values():
            if not isinstance(error, GenerationError):
                return error
        # The one that asks something of the person first: its node shows the question.
        in_order = sorted(
            failed.items(), key=lambda each: (not isinstance(each[1], SubmissionUncertain), each[0])
        )
        if len(self._requests) == 1:
            return in_order[0][1]
        kind = type(in_order[0][1])
        alike = not made and len({type(error) for error in failed.values()}) == 1
        if issubclass(kind, REFUSALS) and not alike:
            kind = GenerationError
        if any(isinstance(error, Interrupted) for error in failed.values()):
            kind = Interrupted
        words = [
            f"{self._word.capitalize()} {number} of {len(self._requests)}: {error}"
            for number, error in in_order
        ]
        if made:
            verb = "is" if len(made) == 1 else "are"
            others = f"{self._named(sorted(made))} {verb} made and kept"
            words.append(f"That is about {self._named(sorted(failed))} alone; {others}.")
        words.append("Queue again, and only the rest is made.")
        if kind is Interrupted:
            fates = {error.job for error in failed.values() if isinstance(error, Interrupted)}
            fate: Fate = "kept" if "kept" in fates else "cancelled" if "cancelled" in fates else ""
            return Interrupted(" ".join(words), job=fate)
        return kind(" ".join(words))


def total(quotes: Sequence[Quote]) -> str:
    """What all of them cost, in words."""
    known = sum((quote.usd for quote in quotes if quote.usd is not None), Decimal(0))
    unknown = sum(quote.usd is None for quote in quotes)
    if unknown == len(quotes):
        return "price unknown"
    return dollars(known) + (f" and {unknown} of unknown price" if unknown else "")


class _Board:
    """What all of them report, as one line."""

    def __init__(self, report: Report, named: Callable[[Sequence[int]], str], count: int) -> None:
        self._report, self._named = report, named
        self._words: dict[int, str] = {}
        self._parts = [0.0] * count
        self._lock = threading.Lock()

    def of(self, number: int) -> Report:
        """Where one of them reports."""

        def told(words: str, fraction: float | None = None) -> None:
            with self._lock:
                self._words[number] = words
                if fraction is not None:
                    self._parts[number - 1] = fraction
                self._show()

        return told

    def _show(self) -> None:
        by_words: dict[str, list[int]] = {}
        for number, words in sorted(self._words.items()):
            by_words.setdefault(words, []).append(number)
        if len(self._parts) == 1:
            line = self._words[1]
        else:
            line = " · ".join(f"{self._named(numbers)}: {words}" for words, numbers in by_words.items())
        self._report(line, sum(self._parts) / len(self._parts))
