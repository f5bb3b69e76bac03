"""What a queued graph would buy, read from its prompt before any shot is made: all of it is affordable, or none.

The pictures of a shot are not known yet, only that there are some: what is known of them later, and every price, is
checked again as each shot is bought. Only that check holds against a hostile prompt; this one is for the artist, who
wants to hear "too much" before the first of six shots and not at the fifth.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil
from typing import Any, Final

from . import marks, plan_films, screenplay, sheet
from .film import MATCH_FIRST_FRAME, Settings, request_for
from .generation import budget
from .generation.budget import Quote
from .generation.errors import GenerationError, LimitReached
from .generation.lifecycle import Lifecycle
from .generation.ray import DURATIONS, FRAMES_PER_SECOND, LONGEST_FILM, MODELS, RESOLUTIONS
from .generation.request import AS_THE_SOURCE, GenerationRequest, MiddleFrame, Operation, StillImage
from .generation.selection import AUTO
from .generation.spending import over
from .marks import Prompt, linked

BUYING: Final = {
    "RayTextToVideo": Operation.TEXT_TO_VIDEO,
    "RayImageToVideo": Operation.IMAGE_TO_VIDEO,
    "RayKeyframesToVideo": Operation.KEYFRAMES_TO_VIDEO,
    "RayExtendVideo": Operation.EXTEND_VIDEO,
    "RayModifyVideo": Operation.MODIFY_VIDEO,
    "RayReframeVideo": Operation.REFRAME_VIDEO,
    "RayUpscaleVideo": Operation.UPSCALE_VIDEO,
    "RayAddAudio": Operation.ADD_AUDIO,
    "RayInterpolateVideo": Operation.INTERPOLATE_VIDEO,
}
"""The nodes that buy clips."""
SINGLE: Final = frozenset(BUYING) - {"RayExtendVideo"}
"""Those that make one clip."""
_KEYFRAME: Final = "keyframes.K"
"""What the inputs of a scene's pictures are called, before their numbers."""
_WORDS: Final = "a shot whose words are not known yet"
_MOST: Final = 48
"""Combinations of linked widgets that are looked at."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A node that may buy clips."""

    node: str
    title: str
    requests: tuple[GenerationRequest, ...]
    """What one clip of it may be: several where a widget is linked, so that its value is not known yet."""
    provider: str
    marks: tuple[str, ...]
    """For each clip of it a mark, see `Occasion.shot`."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What would become of a shot that is queued now."""

    shot: Shot
    clips: int
    """Those that are not here yet."""
    quotes: tuple[tuple[Quote, Decimal], ...]
    """What one of them would cost and count, for each that it may be and that would be bought."""
    refusal: GenerationError | None = None
    """Why a clip that it may be would be refused."""
    again: int = 0
    """Clips that another shot before it buys already."""

    @property
    def dearest(self) -> tuple[Quote, Decimal] | None:
        """The most that one clip may cost; None where none is bought."""
        return max(self.quotes, key=lambda each: each[1], default=None) if self.clips else None


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """A shot with what its clips would cost."""

    shot: Shot
    clips: int
    """Those that would be bought now."""
    provider: str
    usd: Decimal
    """What one of them counts."""


def shots(prompt: Prompt, wanted: Collection[str] | None = None) -> list[Shot]:
    """The shots of *prompt*, in its order; with *wanted* only those among these nodes."""
    found: list[Shot] = []
    for node_id, node in prompt.items():
        if wanted is not None and node_id not in wanted:
            continue
        if node.get("class_type") == "RayScene":
            with suppress(GenerationError):  # the node says what is wrong
                found += scene(prompt, node_id)
        elif node.get("class_type") == "RayTakes":
            found += _takes(prompt, node_id, node)
        operation = BUYING.get(str(node.get("class_type")))
        if operation is None:
            continue
        given = node.get("inputs", {})
        clips = _clips(prompt, given) if operation is Operation.EXTEND_VIDEO else 1
        found.append(
            Shot(
                node=node_id,
                title=_title(node),
                requests=tuple(itertools.islice(_requests(prompt, operation, given), _MOST)),
                provider=_seller(given),
                marks=marks.first(marks.mark(prompt, node_id), clips),
            )
        )
    return found


def marks_of(prompt: Prompt, node_id: str) -> tuple[str, ...]:
    """The marks of the clips of one node, in order; none where they are not known before it runs."""
    return tuple(each for shot in shots(prompt, {node_id}) for each in shot.marks)


def outlook(lifecycle: Lifecycle, planned: Sequence[Shot]) -> list[Outlook]:
    """What would become of each shot. Two that are the same are one purchase, told of at the first."""
    owned = lifecycle.ledger.owned({each for shot in planned for each in shot.marks})
    told: list[Outlook] = []
    before: set[str] = set()
    for shot in planned:
        quotes, refusal = [], None
        for request in shot.requests:
            try:
                quoted = lifecycle.quote(request, shot.provider)
            except GenerationError as error:
                refusal = refusal or error
                continue
            lacking = lifecycle.uploads.lacking(lifecycle.sellers.provider(quoted.provider), request)
            if lacking is not None and not quoted.recalled:
                refusal = refusal or lacking
            elif not quoted.recalled:
                quotes.append((quoted, budget.counted(quoted, lifecycle.sellers.providers, request)))
        missing = {each for each in shot.marks if each not in owned}
        again = missing & before
        told.append(
            Outlook(
                shot=shot,
                clips=len(missing - again),
                quotes=tuple(quotes),
                refusal=refusal,
                again=len(again),
            )
        )
        if quotes:
            before |= missing
    return told


def quote(lifecycle: Lifecycle, planned: Sequence[Shot]) -> list[Quoted]:
    """What would be bought now and for how much. A shot that would be refused costs nothing: its node says why."""
    return quoted_of(outlook(lifecycle, planned))


def quoted_of(told: Sequence[Outlook]) -> list[Quoted]:
    """Those of *told* that are bought."""
    return [
        Quoted(shot=each.shot, clips=each.clips, provider=each.dearest[0].provider, usd=each.dearest[1])
        for each in told
        if each.dearest is not None
    ]


def check(lifecycle: Lifecycle, run: str, planned: Sequence[Shot]) -> None:
    """Raise LimitReached where all of *planned* together would cross one of the owner's limits.

    Names every shot with its price, and what would be cheaper. Nothing was uploaded or sent.
    """
    check_quoted(lifecycle, run, quote(lifecycle, planned))


def check_quoted(lifecycle: Lifecycle, run: str, told: Sequence[Quoted]) -> None:
    """As `check`, of shots whose prices are known."""
    quoted = [each for each in told if each.usd]
    if not quoted:
        return
    more: dict[str, Decimal] = {}
    for each in quoted:
        more[each.provider] = more.get(each.provider, Decimal(0)) + each.usd * each.clips
    dearest = max(each.usd for each in quoted)
    crossing = lifecycle.ledger.crossed(more, dearest, lifecycle.limits(), run)
    if crossing is None:
        return
    total = sum(more.values(), Decimal(0))
    what = "; ".join(_line(each) for each in quoted)
    number = sum(each.clips for each in quoted)
    asked = f"This run would buy {number} clip{'s' * (number > 1)} for {budget.dollars(total)}: {what}."
    cheaper = _cheaper(lifecycle, quoted, total)
    error = over(crossing, asked)
    raise LimitReached(f"{error}{cheaper}") from None


def _line(quoted: Quoted) -> str:
    request = quoted.shot.requests[0]
    times = f"{quoted.clips} x " if quoted.clips > 1 else ""
    size = "" if request.resolution == AS_THE_SOURCE else f" {request.resolution}"
    return (
        f"{quoted.shot.title} (node {quoted.shot.node}) {times}{budget.dollars(quoted.usd)}, {request.model}"
        f"{size} {request.duration} s at {quoted.provider}"
    )


def _cheaper(lifecycle: Lifecycle, quoted: Sequence[Quoted], total: Decimal) -> str:
    """What the same shots cost in a cheaper way, as a sentence; empty where nobody sells one."""
    ways = []
    for words, changes in (
        ("as ray-flash-2", {"model": "ray-flash-2"}),
        ("at 540p", {"resolution": "540p"}),
        ("as ray-flash-2 at 540p", {"model": "ray-flash-2", "resolution": "540p"}),
    ):
        together = Decimal(0)
        for each in quoted:
            first = each.shot.requests[0]
            request = replace(
                first,
                model=changes.get("model", first.model),
                resolution=changes.get("resolution", first.resolution),
            )
            prices = list(_price(lifecycle, request, each.shot.provider)) or list(
                _price(lifecycle, request, AUTO)
            )
            if not prices:
                break
            together += prices[0][1] * each.clips
        else:
            if together < total:
                ways.append(f"{words} {budget.dollars(together)}")
    return f" Cheaper: {', '.join(ways)}." if ways else ""


def _price(lifecycle: Lifecycle, request: GenerationRequest, provider: str) -> Iterator[tuple[str, Decimal]]:
    """Who would make *request* and what it counts; nothing where it is owned or refused."""
    try:
        quoted = lifecycle.quote(request, provider)
    except GenerationError:
        return
    if not quoted.recalled:
        yield quoted.provider, budget.counted(quoted, lifecycle.sellers.providers, request)


def _seller(given: Mapping[str, Any]) -> str:
    return given["provider"] if isinstance(given.get("provider"), str) else AUTO


def _title(node: Mapping[str, Any]) -> str:
    return str((node.get("_meta") or {}).get("title") or node["class_type"])


def scene(prompt: Prompt, node_id: str) -> list[Shot]:
    """The shots of a scene whose sheet stands in its widget. Raises what is wrong with it."""
    node = prompt[node_id]
    given = node.get("inputs", {})
    text, way, pictures = given.get("sheet"), given.get("render"), pictures_of(given)
    lines = sheet.read(text if isinstance(text, str) else "")
    places = sheet.places(lines, sorted(pictures))
    each_way = [
        screenplay.requests(
            lines,
            screenplay.rendered(settings, way if isinstance(way, str) else "final"),
            dict.fromkeys(pictures, _STILL),
        )
        for settings in _settings(
            prompt, Operation.KEYFRAMES_TO_VIDEO, {**given, "prompt": _style(given), "loop": False}
        )
    ]
    grown = [name for name in given if name.startswith(_KEYFRAME)]
    common = {name: value for name, value in given.items() if name not in ("sheet", "take", *grown)}
    leading = pictures.get(min(pictures, default=0))
    found = []
    for number, (line, place, requests) in enumerate(
        zip(lines, places, zip(*each_way, strict=True), strict=True), 1
    ):
        first, last = (None if each is None else pictures[each] for each in place)
        # Of what is its own: another line of the sheet, or another take of another shot, leaves it as it is.
        told = {**common, "line": replace(line, keyframes=None, take=None).text, "take": requests[0].take}
        found.append(
            Shot(
                node=node_id,
                title=f"{_title(node)}, shot {number}",
                requests=tuple(itertools.islice(requests, _MOST)),
                provider="animatic" if way == "animatic" else _seller(given),
                marks=(
                    marks.mark_with(
                        prompt, node_id, {**told, "first": first, "last": last, "leading": leading}
                    ),
                ),
            )
        )
    return found


def pictures_of(given: Mapping[str, Any]) -> dict[int, Any]:
    """The links to the connected keyframes of a scene, by their numbers."""
    return {
        int(name.removeprefix(_KEYFRAME)): value
        for name, value in given.items()
        if name.startswith(_KEYFRAME)
        and name[len(_KEYFRAME) :].isdecimal()
        and len(name) < 16
        and linked(value)
    }


def _style(given: Mapping[str, Any]) -> str:
    """The words that every shot of a scene begins with."""
    return style if isinstance(style := given.get("style"), str) else ""


def _takes(prompt: Prompt, node_id: str, node: Mapping[str, Any]) -> Iterator[Shot]:
    """The takes that a node asks for: all of them, or the chosen one."""
    from .variations import MOST_TAKES

    given = node.get("inputs", {})
    count, choose, first = (
        given.get(name, default) for name, default in (("takes", 4), ("choose", 0), ("take", 1))
    )
    if linked(given.get("last_frame")):
        operation = Operation.KEYFRAMES_TO_VIDEO
    else:
        operation = Operation.IMAGE_TO_VIDEO if linked(given.get("first_frame")) else Operation.TEXT_TO_VIDEO
    count, first = (each if isinstance(each, int) else MOST_TAKES for each in (count, first))
    count = min(count, MOST_TAKES)  # the prompt may be one that ComfyUI did not look at yet
    wanted = [choose] if isinstance(choose, int) and choose else range(1, count + 1)
    common = {name: value for name, value in given.items() if name not in ("takes", "choose", "take")}
    for number in wanted:
        yield Shot(
            node=node_id,
            title=f"{_title(node)}, take {number}",
            requests=tuple(
                replace(request, take=first + number - 1)
                for request in itertools.islice(_requests(prompt, operation, given), _MOST)
            ),
            provider=_seller(given),
            marks=(marks.mark_with(prompt, node_id, {**common, "take": first + number - 1}),),
        )


def _requests(prompt: Prompt, operation: Operation, given: Mapping[str, Any]) -> Iterator[GenerationRequest]:
    """What a clip of a node may be, as far as its widgets tell."""
    words = given.get("prompt", "")
    told = words if isinstance(words, str) and words.strip() else _WORDS
    first, last = linked(given.get("first_frame")), linked(given.get("last_frame"))
    for settings in _settings(prompt, operation, {**given, "prompt": told}):
        match operation:
            case _ if operation.remakes:
                yield from plan_films.remakes(prompt, operation, settings, given)
            case Operation.INTERPOLATE_VIDEO:
                yield from plan_films.interpolations(prompt, settings, given)
            case Operation.TEXT_TO_VIDEO:
                yield request_for(settings, operation)
            case Operation.KEYFRAMES_TO_VIDEO if last or linked(given.get("keyframes")):
                middle = (MiddleFrame(FRAMES_PER_SECOND, _STILL),) if linked(given.get("keyframes")) else ()
                yield request_for(
                    settings, operation, _STILL if first else None, _STILL if last else None, middle
                )
            case Operation.EXTEND_VIDEO if given.get("direction") == "backward":
                # As long as the provider's own extend costs what a clip costs, which it does everywhere so far.
                yield request_for(settings, Operation.KEYFRAMES_TO_VIDEO, last_frame=_STILL)
            case _:
                yield request_for(settings, Operation.IMAGE_TO_VIDEO, first_frame=_STILL)


def _settings(prompt: Prompt, operation: Operation, given: Mapping[str, Any]) -> Iterator[Settings]:
    """What the widgets of a node may say, for each value of those that are linked."""

    def told(name: str, choices: Sequence[Any], otherwise: Any) -> Sequence[Any]:
        value = given.get(name, otherwise)
        return choices if linked(value) else [value]

    ratio, take = given.get("aspect_ratio", "16:9"), given.get("take", 1)
    for model, resolution, duration in itertools.product(
        told("model", MODELS, Settings.model),
        told("resolution", RESOLUTIONS, Settings.resolution),
        told("duration", [f"{seconds} s" for seconds in DURATIONS], "5 s"),
    ):
        yield Settings(
            prompt=given["prompt"],
            model=str(model),
            resolution=str(resolution),
            duration=_seconds(duration),
            aspect_ratio=ratio if isinstance(ratio, str) and ratio != MATCH_FIRST_FRAME else "16:9",
            loop=given.get("loop") is True and operation is not Operation.EXTEND_VIDEO,
            take=take if isinstance(take, int) else 1,
            concepts=_concepts(prompt, given.get("concepts")),
            enhance_prompt=given.get("enhance_prompt") is True,
        )


def _concepts(prompt: Prompt, value: Any) -> tuple[str, ...]:
    """The camera moves that lead to a node, as far as they stand in widgets."""
    found: list[str] = []
    seen: set[str] = set()
    while isinstance(value, list) and linked(value) and str(value[0]) not in seen:
        seen.add(str(value[0]))
        inputs = (prompt.get(str(value[0])) or {}).get("inputs", {})
        moves = [each for name, each in sorted(inputs.items()) if name.startswith("concept_")]
        found = [each for each in moves if isinstance(each, str) and each != "none"] + found
        value = inputs.get("concepts")
    return tuple(dict.fromkeys(found))


def _clips(prompt: Prompt, given: Mapping[str, Any]) -> int:
    """How many clips an extend adds at most: the film before it is as long as its node says, or one clip."""
    length, duration = given.get("length", 15), _seconds(given.get("duration"))
    have, source = 5, given.get("generation")
    if isinstance(source, list) and linked(source):
        before = (prompt.get(str(source[0])) or {}).get("inputs", {})
        told = before.get("length", _seconds(before.get("duration")))
        have = max(told, 0) if isinstance(told, int) else 5
    missing = min(length if isinstance(length, int) else 30, LONGEST_FILM) - have
    return max(ceil((missing - 0.25) / duration), 1)


def _seconds(told: Any) -> int:
    words = str(told).removesuffix(" s")
    return int(words) if words.isdecimal() and len(words) < 4 and int(words) else 5


def _no_picture(media_type: str) -> bytes:
    raise ValueError(f"a picture that is not made yet was asked for as {media_type}")


_STILL: Final = StillImage(width=1280, height=720, sha256="0" * 64, encode=_no_picture)
"""In place of a picture that another node has still to make."""
