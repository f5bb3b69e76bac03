r"""The scene sheet: a scene as text, one line a shot, so that it can be written, shared and compared.

    # A walk by the sea
    5 s | crane_up | a fox runs over the dunes
    9 s | push_in, low_angle | K1 > K2 | take 2 | the fox reaches the water,
        and the tide comes in

The fields of a line are divided by | and stand in any order. What is no length, camera move, keyframes, take or loop
is the prompt; indented lines go on with it. Lines that begin with # are remarks.

A field that begins with \ is the prompt, whatever it says: `\pov` is no camera move, and `\#1` no remark. There \|
is a bar, \n a new line and \\ a backslash; a prompt without one at its beginning is read as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from .generation.errors import InvalidInput
from .generation.ray import CONCEPTS

MOST_SHOTS: Final = 24
"""Of one scene: two minutes and more."""
MOST_KEYFRAMES: Final = 25
"""One more than shots: K0 to K24."""

_SECONDS: Final = re.compile(r"(\d{1,9})\s*s(?:ec(?:onds?)?)?", re.IGNORECASE)
_TAKE: Final = re.compile(r"take\s*(\d{1,9})", re.IGNORECASE)
_KEYFRAMES: Final = re.compile(r"(?:K(\d{1,9}))?\s*(?:(?:>|->|→)\s*(?:K(\d{1,9}))?)?", re.IGNORECASE)
_NO_KEYFRAMES: Final = ("-", "text", "no keyframes")
_SEVERAL: Final = {
    "seconds": "lengths",
    "take": "takes",
    "keyframes": "keyframes fields",
    "loop": "loops",
    "concepts": "camera fields",
    "prompt": "prompts: a prompt holds no |, and camera moves are named as in Ray Camera Concepts",
}
_ESCAPES: Final = {"\\": "\\\\", "|": "\\|", "\n": "\\n", "\r": "\\r"}
_ESCAPED: Final = re.compile(r"\\([\\|nr])")
_FIELD: Final = re.compile(r"\s*(?:(\\(?:\\[\\|nr]|[^|])*)|([^|]*))(?:\||\Z)")
"""A field that begins with a backslash, or another one."""
_LINES: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
Kind = Literal["shot", "more", "remark"]


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
        if self.prompt:
            fields.append(self.prompt if _is_prompt(self.prompt) else _escaped(self.prompt))
        return " | ".join(fields)


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
    return "".join(f"{line.text or _escaped('')}\n" for line in lines)


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


def kinds(text: str) -> Iterator[tuple[Kind, str]]:
    """Each line as it was written, its end included, and what it is.

    "shot" begins one, "more" is indented and goes on with it, "remark" is a remark or an empty line.
    """
    begun = False
    for line in _LINES.findall(text):
        content = line.strip()
        if not content or content.startswith("#"):
            yield "remark", line
        elif begun and line[0].isspace():
            yield "more", line
        else:
            begun = True
            yield "shot", line


def meaning(field: str) -> tuple[str, Any]:
    """What a field of a line says: a name of `Line`, and its value."""
    if field.startswith("\\"):
        return "prompt", _unescaped(field)
    seconds, take, keyframes = (each.fullmatch(field) for each in (_SECONDS, _TAKE, _KEYFRAMES))
    if seconds:
        return "seconds", int(seconds[1])
    if take:
        return "take", int(take[1])
    if field.lower() in _NO_KEYFRAMES:
        return "keyframes", (None, None)
    if keyframes:
        start, end = (None if each is None else int(each) for each in keyframes.groups())
        return "keyframes", (start, end)
    if field.lower() == "loop":
        return "loop", True
    concepts = _concepts(field)
    return ("concepts", concepts) if concepts else ("prompt", field)


def _shots(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of each shot with the number of the first; indented ones belong to the one above them."""
    shot: tuple[int, list[str]] | None = None
    for number, (kind, line) in enumerate(kinds(text), 1):
        if kind == "more" and shot is not None:
            shot[1].append(line.strip())
        elif kind == "shot":
            if shot is not None:
                yield shot
            shot = number, [line.strip()]
    if shot is not None:
        yield shot


def _line(number: int, content: str) -> Line:
    told: dict[str, Any] = {}
    for name, value in map(meaning, _fields(content)):
        if name in told:
            raise InvalidInput(
                f"Line {number} of the scene sheet has two {_SEVERAL[name]}. Nothing was billed."
            )
        if name == "take" and not value:
            raise InvalidInput(
                f"Line {number} of the scene sheet: takes are counted from 1. Nothing was billed."
            )
        told[name] = value
    return Line(**{"prompt": "", **told})


def _fields(content: str) -> Iterator[str]:
    """The fields of a line that are not empty."""
    place = 0
    while place < len(content):
        found = _FIELD.match(content, place)
        if found is None:  # every text is a field
            return
        field = (found[1] or found[2] or "").strip()
        if field:
            yield field
        place = found.end()


def field_end(line: str, begin: int) -> int:
    """Where the bar is that ends the field which begins at *begin*; -1 for the last one."""
    found = _FIELD.match(line, begin)
    end = found.end() if found is not None else begin
    return end - 1 if end > begin and line[end - 1] == "|" else -1


def _is_prompt(words: str) -> bool:
    """Whether *words* are read as the prompt that they are, without a backslash before them."""
    if not words or words[0] in "#\\" or words != words.strip() or any(each in words for each in "|\n\r"):
        return False
    return meaning(words)[0] == "prompt"


def _escaped(words: str) -> str:
    return "\\" + "".join(_ESCAPES.get(each, each) for each in words)


def _unescaped(field: str) -> str:
    plain = {"n": "\n", "r": "\r"}
    return _ESCAPED.sub(lambda found: plain.get(found[1], found[1]), field[1:])


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
