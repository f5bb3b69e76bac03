"""The scene sheet: a scene as text, one line a shot, so that it can be written, shared and compared.

    # A walk by the sea
    5 s | crane_up | a fox runs over the dunes
    9 s | push_in, low_angle | K1 > K2 | take 2 | the fox reaches the water,
        and the tide comes in

The fields of a line are divided by | and stand in any order. What is no length, camera move, keyframes, take or loop
is the prompt; indented lines go on with it. Lines that begin with # are remarks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .generation.errors import InvalidInput
from .generation.ray import CONCEPTS

MOST_SHOTS: Final = 24
"""Of one scene: two minutes and more."""
MOST_KEYFRAMES: Final = 25
"""One more than shots: K0 to K24."""

_SECONDS: Final = re.compile(r"(\d+)\s*s(?:ec(?:onds?)?)?", re.IGNORECASE)
_TAKE: Final = re.compile(r"take\s*(\d+)", re.IGNORECASE)
_KEYFRAMES: Final = re.compile(r"(?:K(\d+))?\s*(?:(?:>|->|→)\s*(?:K(\d+))?)?", re.IGNORECASE)
_NO_KEYFRAMES: Final = ("-", "text", "no keyframes")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One shot of a sheet."""

    prompt: str
    seconds: int | None = None
    """None: as long as the node says."""
    concepts: tuple[str, ...] = ()
    keyframes: tuple[int | None, int | None] | None = None
    """Numbers of the pictures it starts and ends on; None: the ones that follow from its place."""
    take: int | None = None
    """None: the take of the node."""
    loop: bool = False

    @property
    def text(self) -> str:
        """The line as it is written in a sheet."""
        fields = [f"{self.seconds} s"] if self.seconds is not None else []
        if self.concepts:
            fields.append(", ".join(self.concepts))
        if self.keyframes is not None:
            fields.append(_written(self.keyframes))
        if self.take is not None:
            fields.append(f"take {self.take}")
        if self.loop:
            fields.append("loop")
        return " | ".join([*fields, self.prompt] if self.prompt else fields)


def read(text: str) -> tuple[Line, ...]:
    """The shots of a sheet. Raises InvalidInput, which names the line."""
    shots = list(_shots(text))
    if not shots:
        raise InvalidInput(
            "The scene sheet is empty: write one line a shot, such as `5 s | push_in | a fox in the snow`. "
            "Nothing was billed."
        )
    if len(shots) > MOST_SHOTS:
        raise InvalidInput(
            f"The scene has {len(shots)} shots, and {MOST_SHOTS} are the most: divide it. Nothing was billed."
        )
    return tuple(_line(number, " ".join(parts)) for number, parts in shots)


def written(lines: Sequence[Line]) -> str:
    """The sheet of these shots; `read` gives them back."""
    return "".join(f"{line.text}\n" for line in lines)


def places(lines: Sequence[Line], known: Sequence[int]) -> list[tuple[int | None, int | None]]:
    """For each shot the numbers of the pictures it starts and ends on.

    Shot 1 goes from K0 to K1, shot 2 from K1 to K2 and so on, as far as these are among *known*, unless its line
    says otherwise. Raises InvalidInput for one that is named and not known.
    """
    there = set(known)
    found: list[tuple[int | None, int | None]] = []
    for number, line in enumerate(lines, 1):
        if line.keyframes is None:
            start, end = number - 1, number
            found.append((start if start in there else None, end if end in there else None))
            continue
        for wanted in line.keyframes:
            if wanted is not None and wanted not in there:
                have = ", ".join(f"K{each}" for each in sorted(there)) or "none"
                raise InvalidInput(
                    f"Shot {number} asks for K{wanted}, and the connected keyframes are: {have}. Nothing was billed."
                )
        found.append(line.keyframes)
    return found


def idle(lines: Sequence[Line], known: Sequence[int]) -> list[int]:
    """The pictures that no shot uses."""
    used = {place for pair in places(lines, known) for place in pair}
    return [number for number in known if number not in used]


def _shots(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of each shot with the number of the first; indented ones belong to the one above them."""
    shot: tuple[int, list[str]] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if line[:1].isspace() and shot is not None:
            shot[1].append(content)
            continue
        if shot is not None:
            yield shot
        shot = number, [content]
    if shot is not None:
        yield shot


def _line(number: int, content: str) -> Line:
    told: dict[str, object] = {}

    def tell(name: str, value: object, what: str) -> None:
        if name in told:
            raise InvalidInput(f"Line {number} of the scene sheet has two {what}. Nothing was billed.")
        told[name] = value

    for field in (each.strip() for each in content.split("|")):
        if not field:
            continue
        seconds, take, keyframes = (
            _SECONDS.fullmatch(field),
            _TAKE.fullmatch(field),
            _KEYFRAMES.fullmatch(field),
        )
        concepts = _concepts(field)
        if seconds:
            tell("seconds", int(seconds[1]), "lengths")
        elif take:
            if not int(take[1]):
                raise InvalidInput(
                    f"Line {number} of the scene sheet: takes are counted from 1. Nothing was billed."
                )
            tell("take", int(take[1]), "takes")
        elif field.lower() in _NO_KEYFRAMES:
            tell("keyframes", (None, None), "keyframes fields")
        elif keyframes:
            start, end = (None if each is None else int(each) for each in keyframes.groups())
            tell("keyframes", (start, end), "keyframes fields")
        elif field.lower() == "loop":
            tell("loop", True, "loops")  # noqa: FBT003
        elif concepts:
            tell("concepts", concepts, "camera fields")
        else:
            tell(
                "prompt",
                field,
                "prompts: a prompt holds no |, and camera moves are named as in Ray Camera Concepts",
            )
    return Line(**{"prompt": "", **told})  # type: ignore[arg-type]


def _concepts(field: str) -> tuple[str, ...]:
    """The camera moves of a field that holds nothing else."""
    named = [re.sub(r"[\s-]+", "_", each.strip().lower()) for each in re.split(r"[,+]", field)]
    return tuple(dict.fromkeys(named)) if all(each in CONCEPTS for each in named) else ()


def _written(keyframes: tuple[int | None, int | None]) -> str:
    start, end = keyframes
    if start is None and end is None:
        return "-"
    words = f"K{start}" if start is not None else ""
    return f"{words} > K{end}".strip() if end is not None else words
