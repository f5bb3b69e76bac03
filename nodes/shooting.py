"""A scene: all its shots made at the same time, each a purchase of its own, and joined into one film."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from . import plan, sheet
from .cutting import CuttingRoom
from .film import Film, summary
from .generation.budget import Quote, dollars
from .generation.clock import Clock
from .generation.errors import REFUSALS, GenerationError, Interrupted, SubmissionUncertain
from .generation.finishing import Clip
from .generation.lifecycle import Lifecycle
from .generation.request import GenerationRequest
from .generation.waiting import Report
from .marks import numbered
from .media import clips
from .screenplay import Scene, rendered, requests, shaped


def shoot(cutting: CuttingRoom, scene: Scene, *, clock: Clock, report: Report) -> Film:
    """See `Studio.scene`."""
    lifecycle, started = cutting.lifecycle, clock.now()
    settings, pictures, notes = shaped(rendered(scene.settings, scene.render), scene.keyframes)
    asked, provider = requests(scene.lines, settings, pictures), settings.provider
    idle = sheet.idle(scene.lines, sorted(pictures))
    if idle:
        notes = (*notes, f"{', '.join(f'K{each}' for each in idle)} in no shot")
    quotes = [_quoted(lifecycle, number, request, provider) for number, request in enumerate(asked, 1)]
    occasion = lifecycle.occasion
    plan.check(
        lifecycle,
        occasion.run,
        [
            plan.Shot(
                node=str(number),
                title=f"shot {number}",
                requests=(request,),
                provider=provider,
                marks=(numbered(occasion.shot, number),),
            )
            for number, request in enumerate(asked, 1)
        ],
    )
    said = (bill(quotes), ways(lifecycle, scene), *notes)
    report("; ".join(said))
    board = _Board(report, len(asked))

    def make(number: int) -> Clip:
        own = lifecycle.on(replace(occasion, shot=numbered(occasion.shot, number)))
        return own.generate(asked[number - 1], provider, clock=clock, report=board.of(number))

    made, failed = _together(make, len(asked), board)
    if failed:
        raise _told(failed, made, len(asked))
    in_order = [made[number] for number in range(1, len(asked) + 1)]
    parts = [clip.path for clip in in_order]
    path = parts[0] if len(parts) == 1 else cutting.join(parts, clock=clock, report=report)
    seconds = clips.inspect(path).seconds
    of_clips = dict.fromkeys(note for clip in in_order for note in clip.notes)
    return Film(
        path=path,
        generations=tuple(clip.entry.id for clip in in_order),
        summary=f"scene of {seconds:.1f} s, {len(in_order)} shots · {summary(in_order, clock.now() - started)}",
        notes=(*said, *of_clips),
        clips=tuple(in_order),
    )


def bill(quotes: Sequence[Quote]) -> str:
    """What is bought and what is not, in words: `shots 1, 3, 4 from the library; shot 2 new: $0.20 (fal)`."""
    here = [number for number, quote in enumerate(quotes, 1) if quote.recalled]
    new = [(number, quote) for number, quote in enumerate(quotes, 1) if not quote.recalled]
    words = [f"{_shots(here)} from the library"] if here else []
    if new:
        sellers = ", ".join(dict.fromkeys(quote.provider for _, quote in new))
        words.append(f"{_shots([number for number, _ in new])} new: {_total(new)} ({sellers})")
    return "; ".join(words)


def ways(lifecycle: Lifecycle, scene: Scene) -> str:
    """What the scene costs now in each way of making it, in words."""
    told = []
    for render in ("animatic", "draft", "final"):
        settings, pictures, _ = shaped(rendered(scene.settings, render), scene.keyframes)
        try:
            asked = requests(scene.lines, settings, pictures)
            new = [
                (number, quote)
                for number, request in enumerate(asked, 1)
                for quote in [lifecycle.quote(request, settings.provider)]
                if not quote.recalled
            ]
        except GenerationError:
            told.append(f"{render} not for sale")
            continue
        what = "" if render == "animatic" else f" ({settings.model} {settings.resolution})"
        told.append(f"{render}{what} {_total(new) if new else 'from the library'}")
    return "as " + " · ".join(told)


def _quoted(lifecycle: Lifecycle, number: int, request: GenerationRequest, provider: str) -> Quote:
    """What a shot would cost. What is wrong with it is said before anything is bought."""
    try:
        return lifecycle.quote(request, provider)
    except GenerationError as error:
        raise type(error)(f"Shot {number}: {error}") from None


class _Board:
    """What all shots report, as one line."""

    def __init__(self, report: Report, shots: int) -> None:
        self._report = report
        self._words: dict[int, str] = {}
        self._parts = [0.0] * shots
        self._lock = threading.Lock()

    def of(self, number: int) -> Report:
        """Where shot *number* reports."""

        def told(words: str, fraction: float | None = None) -> None:
            with self._lock:
                self._words[number] = words
                if fraction is not None:
                    self._parts[number - 1] = fraction
                self._show()

        return told

    def done(self, number: int, words: str) -> None:
        """Shot *number* has come to its end."""
        self.of(number)(words, 1.0)

    def _show(self) -> None:
        by_words: dict[str, list[int]] = {}
        for number, words in sorted(self._words.items()):
            by_words.setdefault(words, []).append(number)
        line = " · ".join(f"{_shots(numbers)}: {words}" for words, numbers in by_words.items())
        self._report(line, sum(self._parts) / len(self._parts))


def _together(
    make: Callable[[int], Clip], shots: int, board: _Board
) -> tuple[dict[int, Clip], dict[int, BaseException]]:
    """The clips of all shots, and what went wrong with the others: one that fails stops no other."""
    made: dict[int, Clip] = {}
    failed: dict[int, BaseException] = {}

    def one(number: int) -> None:
        try:
            made[number] = make(number)
        except BaseException as error:  # noqa: BLE001 - raised below, on the thread that waits
            failed[number] = error
        board.done(number, "here" if number in made else "did not come")

    # No executor: Python would not end before its threads do, and a job may take an hour.
    threads = [
        threading.Thread(
            target=one, args=(number,), name=f"{threading.current_thread().name}/{number}", daemon=True
        )
        for number in range(1, shots + 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made, failed


def _told(failed: Mapping[int, BaseException], made: Mapping[int, Clip], shots: int) -> BaseException:
    """One error for all that went wrong, with the truth about the rest."""
    for error in failed.values():
        if not isinstance(error, GenerationError):
            return error
    # The one that asks something of the person first: its node shows the question.
    in_order = sorted(
        failed.items(), key=lambda each: (not isinstance(each[1], SubmissionUncertain), each[0])
    )
    lead = in_order[0][1]
    alone = len(failed) == shots and len({type(error) for error in failed.values()}) == 1
    kind = type(lead)
    if isinstance(lead, REFUSALS) and not alone:
        kind = GenerationError
    if any(isinstance(error, Interrupted) for error in failed.values()):
        kind = Interrupted
    words = [f"Shot {number} of {shots}: {error}" for number, error in in_order]
    if made:
        verb = "is" if len(made) == 1 else "are"
        words.append(
            f"That is about {_shots(sorted(failed))} alone; {_shots(sorted(made))} {verb} made and kept."
        )
    words.append("Queue again, and only the rest is made.")
    return kind(" ".join(words))


def _shots(numbers: Sequence[int]) -> str:
    return f"shot{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _total(new: Sequence[tuple[int, Quote]]) -> str:
    known = sum((quote.usd for _, quote in new if quote.usd is not None), Decimal(0))
    unknown = sum(quote.usd is None for _, quote in new)
    if unknown == len(new):
        return "price unknown"
    return dollars(known) + (f" and {unknown} of unknown price" if unknown else "")
