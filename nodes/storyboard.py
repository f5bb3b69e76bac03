"""A scene before and between its runs: which shots are here, which are new and for how much, how they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from . import plan, sheet, together
from .cutting import Cut, CuttingRoom
from .generation.budget import Quote
from .generation.credentials import redact
from .generation.errors import InvalidInput, LimitReached
from .generation.lifecycle import Lifecycle
from .generation.records import OPEN, Entry
from .looking import looking
from .marks import Prompt, linked

NODE: Final = "RayScene"
State = Literal["here", "preview", "running", "asking", "away", "same", "new", "free", "refused"]
STATES: Final[Mapping[State, str]] = {
    "here": "from the library",
    "preview": "a preview, free",
    "running": "bought, and on its way",
    "asking": "perhaps bought: no answer came",
    "away": "bought; its file is gone and is brought back",
    "same": "the same as one before",
    "new": "new",
    "free": "not made yet, free",
    "refused": "cannot be made so",
}
"""What becomes of a shot when the scene is queued, in words."""
_NEXT_RUN: Final = "the next press of Queue"
"""In place of a run, for limits of one: nothing of it is spent."""
_TAKES: Final = 4
"""Takes before the chosen one that are looked for."""
_DEEPEST: Final = 8
_PASSED_ON: Final = ("image", "images", "pixels", "frames", "frame")
"""Inputs by which nodes that change a picture get it."""


@dataclass(frozen=True, kw_only=True)
class Take:
    """One take of a shot."""

    number: int
    state: State
    words: str
    quote: Quote | None
    """What it would cost; None where it costs nothing more, or cannot be made."""
    entry: Entry | None
    """Its generation, where there is one."""
    clip: Path | None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One shot."""

    number: int
    line: sheet.Line
    start: int
    """Second of the film, as far as the sheet tells."""
    seconds: int
    pictures: tuple[int | None, int | None]
    chosen: Take
    takes: tuple[Take, ...]
    """Those that are known, and the next one; the chosen one is among them."""
    seam: str
    """How it goes on from the shot before it; empty for the first."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A scene."""

    panels: tuple[Panel, ...]
    pictures: Mapping[int, dict[str, str] | None]
    """The connected keyframes, with the file that one comes from where that is known."""
    film: Path | None
    """All shots joined, if that was done already."""
    limit: str
    """Why it may not be queued as it is; empty where it may."""

    @property
    def bill(self) -> str:
        """What is bought and what is not: `shots 1, 3 from the library; shot 2 new: $0.20 (fal)`."""
        words = []
        for state, said in STATES.items():
            numbers = [panel.number for panel in self.panels if panel.chosen.state == state]
            if not numbers:
                continue
            named = f"shot{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
            sellers = ", ".join(dict.fromkeys(quote.provider for quote in self._new))
            words.append(f"{named} new: {self.price} ({sellers})" if state == "new" else f"{named} {said}")
        return "; ".join(words)

    @property
    def price(self) -> str:
        """What is bought when it is queued, in words; empty for nothing."""
        return together.total(self._new) if self._new else ""

    @property
    def _new(self) -> list[Quote]:
        return [panel.chosen.quote for panel in self.panels if panel.chosen.quote is not None]


def board(lifecycle: Lifecycle, prompt: Prompt, node_id: str) -> Board:
    """The scene of a node in a graph as it would be queued. Buys nothing. Raises what is wrong with its sheet."""
    node = prompt.get(node_id)
    if node is None or node.get("class_type") != NODE:
        raise InvalidInput("That is no Ray Scene.")
    given = node.get("inputs", {})
    text = given.get("sheet")
    if not isinstance(text, str):
        raise InvalidInput(
            "The sheet of this scene comes from another node: what it says is known when it runs."
        )
    lines = sheet.read(text)
    links = plan.pictures_of(given)
    places = sheet.places(lines, sorted(links))
    planned = plan.scene(prompt, node_id)
    chosen = [shot.requests[0].take for shot in planned]
    takes = _Takes(lifecycle, prompt, node_id, lines, chosen)
    panels: list[Panel] = []
    start, asked = 0, set[str]()
    for index, (line, shot) in enumerate(zip(lines, planned, strict=True)):
        request = shot.requests[0]
        known = [takes.of(index, number) for number in takes.numbers(index)]
        own = next(take for take in known if take.number == request.take)
        if shot.marks[0] in asked and own.state in ("new", "free"):
            own = replace(own, state="same", words=STATES["same"], quote=None)
        asked.update(shot.marks)
        panels.append(
            Panel(
                number=index + 1,
                line=line,
                start=start,
                seconds=request.duration,
                pictures=places[index],
                chosen=own,
                takes=tuple(known),
                seam=_meeting(places[index - 1], places[index]) if index else "",
            )
        )
        start += request.duration
    return _joined(
        CuttingRoom(lifecycle),
        Board(
            panels=tuple(panels),
            pictures={number: _file(prompt, link) for number, link in sorted(links.items())},
            film=None,
            limit=_limit(takes.lifecycle, planned),
        ),
        _cut(given),
    )


def _cut(given: Mapping[str, Any]) -> Cut:
    """How the film of a scene is cut, as far as its widgets tell."""
    match = given.get("colour_match", "off")
    return Cut(match=match) if match in ("auto", "on") else Cut()


def _meeting(before: tuple[int | None, int | None], after: tuple[int | None, int | None]) -> str:
    """How two shots meet, as far as their pictures tell."""
    if before[1] is not None and before[1] == after[0]:
        return f"goes on from K{after[0]}; the frame that both have is shown once"
    return "a cut, joined plainly"


def _joined(cutting: CuttingRoom, board: Board, cut: Cut) -> Board:
    """*board* with what was found at its seams, where its clips were joined already."""
    parts = [panel.chosen.clip for panel in board.panels]
    there = [part for part in parts if part is not None]
    if len(there) < len(parts):
        return board
    film = there[0] if len(there) == 1 else cutting.joined(there, cut)
    if film is None:
        return board
    found = cutting.seam_lines(film)
    if len(found) != len(parts) - 1:
        return replace(board, film=film)
    panels = [
        replace(panel, seam=found[index - 1] if index else "") for index, panel in enumerate(board.panels)
    ]
    return replace(board, film=film, panels=tuple(panels))


def _limit(lifecycle: Lifecycle, planned: Sequence[plan.Shot]) -> str:
    try:
        plan.check(lifecycle, _NEXT_RUN, planned)
    except LimitReached as error:
        return redact(str(error))
    return ""


def _file(prompt: Prompt, link: Any) -> dict[str, str] | None:
    """The file of ComfyUI's that a picture is loaded from, perhaps through nodes that change it."""
    for _ in range(_DEEPEST):
        if not linked(link):
            return None
        node = prompt.get(str(link[0])) or {}
        given = node.get("inputs", {})
        name = given.get("image")
        if isinstance(name, str) and str(node.get("class_type")).startswith("LoadImage"):
            return place_of(name)
        link = next((given[each] for each in _PASSED_ON if linked(given.get(each))), None)
    return None


def place_of(name: str) -> dict[str, str]:
    """A file as ComfyUI's loading nodes name it, `folder/picture.png [output]`, as its page asks for it."""
    kind = "input"
    for each in ("input", "output", "temp"):
        if name.endswith(f" [{each}]"):
            kind, name = each, name.removesuffix(f" [{each}]")
    folder, _, file = name.rpartition("/")
    return {"filename": file, "subfolder": folder, "type": kind}


class _Takes:
    """The takes of the shots of a scene: which are here, and what the others cost."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        prompt: Prompt,
        node_id: str,
        lines: Sequence[sheet.Line],
        chosen: Sequence[int],
    ) -> None:
        self._chosen = chosen
        self._planned: dict[int, list[plan.Shot]] = {}
        for number in {each for index in range(len(chosen)) for each in self._looked_for(index)}:
            node = prompt[node_id]
            text = sheet.written([replace(line, take=number) for line in lines])
            other = {**node, "inputs": {**node["inputs"], "sheet": text}}
            self._planned[number] = plan.scene({**prompt, node_id: other}, node_id)
        every = [shot for shots in self._planned.values() for shot in shots]
        self.lifecycle = looking(lifecycle, {each.fingerprint for shot in every for each in shot.requests})
        """It asks nobody: prices as far as they are known."""
        self._outlook = {
            number: plan.outlook(self.lifecycle, shots) for number, shots in self._planned.items()
        }
        self._entries = lifecycle.ledger.of_shots({mark for shot in every for mark in shot.marks})

    def _looked_for(self, index: int) -> range:
        return range(max(1, self._chosen[index] - _TAKES), self._chosen[index] + 2)

    def numbers(self, index: int) -> list[int]:
        """The takes of a shot: those that are known, the chosen one, and the next."""
        chosen = self._chosen[index]
        return [
            number
            for number in self._looked_for(index)
            if number >= chosen or self._entry(self._planned[number][index]) is not None
        ]

    def _entry(self, shot: plan.Shot) -> Entry | None:
        found = self._entries.get(shot.marks[0])
        if found is not None and not found.local:
            return found
        request = shot.requests[0]
        if len(shot.requests) == 1 and not request.stills:
            # Nothing of it is still to come: it is known by what it asks for, wherever it was asked.
            found = self.lifecycle.bought(request, shot.provider) or found
        return found

    def of(self, index: int, number: int) -> Take:
        """One take of a shot as it is now."""
        shot = self._planned[number][index]
        entry = self._entry(shot)
        clip = self.lifecycle.library.find(entry) if entry is not None else None
        if entry is not None and not entry.local:
            if entry.state in OPEN:
                state: State = "asking"
            elif entry.state == "completed":
                state = "here" if clip is not None else "away"
            else:
                state = "running"
            return Take(number=number, state=state, words=STATES[state], quote=None, entry=entry, clip=clip)
        told = self._outlook[number][index]
        if not told.quotes:
            state = "refused" if told.refusal is not None else "preview" if entry and entry.local else "here"
            words = redact(str(told.refusal)) if told.refusal is not None else STATES[state]
            return Take(number=number, state=state, words=words, quote=None, entry=entry, clip=clip)
        dearest = max(told.quotes, key=lambda each: each[1])[0]
        if self.lifecycle.sellers.provider(dearest.provider).local:
            state = "preview" if clip is not None else "free"
            return Take(number=number, state=state, words=STATES[state], quote=None, entry=entry, clip=clip)
        words = f"{STATES['new']}, {dearest.words} at {dearest.provider}"
        return Take(number=number, state="new", words=words, quote=dearest, entry=entry, clip=clip)
