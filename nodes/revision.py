"""A scene sheet changed in one place: a field, a shot moved, one more, one less.

What is not asked about stays as it was written, and no remark is ever lost. A remark directly above a shot goes with
it; the remarks at the head of a sheet are the sheet's. Shots keep their pictures where their place changes: their
clips are theirs, and nothing has to be bought anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from . import sheet
from .generation.errors import InvalidInput
from .generation.ray import CONCEPTS
from .sheet import Kind, Line

MOST_TAKES: Final = 9999
"""As the node's own widget."""
_ORDER: Final = ("seconds", "concepts", "keyframes", "take", "loop", "prompt")
"""Of the fields of a line, as `Line.text` writes them."""
_AFTER: Final = "Nothing was changed."


@dataclass(frozen=True, kw_only=True)
class Revised:
    """A sheet after a change."""

    text: str
    shot: int
    """The number of the shot that was changed, as it is now; of one that is gone, of its neighbour."""
    words: str
    """What changed, as a sentence."""


@dataclass
class _Shot:
    """The lines of one shot, with the remarks that go with it."""

    above: list[str] = field(default_factory=list)
    lines: list[tuple[Kind, str]] = field(default_factory=list)

    @property
    def raw(self) -> list[str]:
        return [*self.above, *(line for _, line in self.lines)]


_Part = _Shot | list[str]
_Pair = tuple[int | None, int | None]


@dataclass(frozen=True)
class _Field:
    """A field of a shot, and where it stands: rows of its lines and columns, the end excluded."""

    name: str
    first: tuple[int, int]
    last: tuple[int, int]


def changed(text: str, shot: int, name: str, value: Any) -> Revised:
    """*text* with one field of one shot changed. Raises InvalidInput.

    *name* and *value* are those of `Line`; a value of none (None, "", (), False) takes the field away.
    """
    lines = sheet.read(text)
    _known(shot, lines)
    value = _valued(name, value)
    wanted = [*lines[: shot - 1], replace(lines[shot - 1], **{name: value}), *lines[shot:]]
    parts = _parts(text)
    _set(_shots(parts)[shot - 1], name, value)
    told = _checked(_joined(parts, text), wanted, name, value)
    return Revised(text=told, shot=shot, words=f"Shot {shot}: {_said(name, value)}.")


def moved(text: str, shot: int, to: int, known: Sequence[int] = ()) -> Revised:
    """*text* with a shot at another place; *known* are the numbers of the connected pictures."""
    lines = list(sheet.read(text))
    _known(shot, lines)
    _known(to, lines)
    parts = _parts(text)
    shots, pictures = _shots(parts), _pictures(lines, known)
    shots.insert(to - 1, shots.pop(shot - 1))
    lines.insert(to - 1, lines.pop(shot - 1))
    pictures.insert(to - 1, pictures.pop(shot - 1))
    order = iter(shots)
    parts = _apart([next(order) if isinstance(part, _Shot) else part for part in parts])
    _flush(shots)
    kept = _kept(shots, lines, pictures, known)
    told = _checked(_joined(parts, text), lines)
    words = "Its pictures go with it." if kept else ""
    return Revised(text=told, shot=to, words=f"Shot {shot} is shot {to} now. {words}".strip())


def removed(text: str, shot: int, known: Sequence[int] = ()) -> Revised:
    """*text* without a shot. Its remarks stay."""
    lines = list(sheet.read(text))
    _known(shot, lines)
    if len(lines) == 1:
        raise InvalidInput(f"It is the only shot of the scene. {_AFTER}")
    parts, pictures = _parts(text), _pictures(lines, known)
    shots = _shots(parts)
    gone = shots.pop(shot - 1)
    del lines[shot - 1], pictures[shot - 1]
    remarks = [*gone.above, *(line for kind, line in gone.lines if kind == "remark")]
    parts = _apart([remarks if part is gone else part for part in parts])
    _kept(shots, lines, pictures, known)
    told = _checked(_joined(parts, text), lines)
    return Revised(text=told, shot=min(shot, len(lines)), words=f"Shot {shot} is removed.")


def added(text: str, after: int, seconds: int, known: Sequence[int] = ()) -> Revised:
    """*text* with one more shot, without words so far; *after* 0 it is the first.

    Where the next shot has pictures, it begins on the picture that the one before it ends on.
    """
    lines = list(sheet.read(text))
    if after:
        _known(after, lines)
    if len(lines) == sheet.MOST_SHOTS:
        raise InvalidInput(f"A scene has {sheet.MOST_SHOTS} shots at most. {_AFTER}")
    parts, pictures = _parts(text), _pictures(lines, known)
    shots = _shots(parts)
    new = Line(prompt="", seconds=_valued("seconds", seconds))
    if after and lines[after - 1].seconds is not None:
        new = replace(new, seconds=lines[after - 1].seconds)
    if known and after < len(lines):
        new = replace(new, keyframes=(pictures[after - 1][1] if after else None, None))
    made, anchor = _Shot(lines=[("shot", f"{new.text}\n")]), shots[max(after - 1, 0)]
    parts.insert(next(at for at, part in enumerate(parts) if part is anchor) + bool(after), made)
    shots.insert(after, made)
    lines.insert(after, new)
    pictures.insert(after, _pictures(lines, known)[after])
    _flush(shots)
    _kept(shots, lines, pictures, known)
    told = _checked(_joined(parts, text), lines)
    return Revised(text=told, shot=after + 1, words=f"Shot {after + 1} is new. It needs words.")


def revised(text: str, told: Mapping[str, Any], known: Sequence[int] = ()) -> Revised:
    """*text* after the change that *told* describes, as the page sends it. Raises InvalidInput."""
    numbers = {name: told.get(name, 0) for name in ("shot", "to", "after", "seconds")}
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in numbers.values()):
        raise InvalidInput(f"A shot is called by its number. {_AFTER}")
    match told.get("change"):
        case "field":
            return changed(text, numbers["shot"], str(told.get("name")), told.get("value"))
        case "move":
            return moved(text, numbers["shot"], numbers["to"], known)
        case "remove":
            return removed(text, numbers["shot"], known)
        case "add":
            return added(text, numbers["after"], numbers["seconds"], known)
    raise InvalidInput(f"That is no change of a scene sheet. {_AFTER}")


def _known(shot: int, lines: Sequence[Line]) -> None:
    if not 1 <= shot <= len(lines):
        raise InvalidInput(f"The scene has no shot {shot}. {_AFTER}")


def _valued(name: str, value: Any) -> Any:
    """*value* as `Line` has it. Raises InvalidInput."""
    number = isinstance(value, int) and not isinstance(value, bool)
    match name:
        case "prompt" if isinstance(value, str) or value is None:
            words = " ".join((value or "").split())
            if "|" in words:
                raise InvalidInput(f"A prompt holds no |, which divides the fields of a line. {_AFTER}")
            return words
        case "seconds" if value is None or (number and 1 <= value <= 60):
            return value
        case "take" if value is None or (number and 1 <= value <= MOST_TAKES):
            return value
        case "loop" if isinstance(value, bool):
            return value
        case "concepts" if isinstance(value, (list, tuple)) and all(each in CONCEPTS for each in value):
            return tuple(dict.fromkeys(value))
        case "keyframes" if value is None:
            return None
        case "keyframes" if isinstance(value, (list, tuple)) and len(value) == 2:
            if all(
                each is None or (type(each) is int and 0 <= each < sheet.MOST_KEYFRAMES) for each in value
            ):
                return tuple(value)
    raise InvalidInput(f"That is no value for the {name[:20]} of a shot. {_AFTER}")


def _said(name: str, value: Any) -> str:
    words = _text(name, value)
    if name == "prompt":
        return "new words" if words else "no words"
    if name == "take":
        return words or "the take of the node"
    if name == "concepts":
        return words or "no camera move of its own"
    if name == "keyframes":
        return ("no pictures" if words == "-" else words) or "the pictures of its place"
    if name == "loop":
        return "it loops" if value else "it does not loop"
    return words or "as long as the node says"


def _text(name: str, value: Any) -> str:
    """A field as it is written; empty for none."""
    return Line(**{"prompt": "", name: value}).text if value else ""


# -- the text -------------------------------------------------------------------------------------------------


def _parts(text: str) -> list[_Part]:
    """Everything of a sheet in its order: shots, and the lines between them."""
    parts: list[_Part] = []
    loose: list[str] = []
    """Remarks and empty lines since the last line of a shot."""
    for kind, line in sheet.kinds(text):
        if kind == "remark":
            loose.append(line)
            continue
        if kind == "more":
            # Within a shot: they stand between its lines.
            current = parts[-1]
            assert isinstance(current, _Shot)  # noqa: S101 - `kinds` begins every shot with "shot"
            current.lines += [("remark", each) for each in loose]
            current.lines.append((kind, line))
        else:
            apart, above = _parted(loose, first=not parts)
            if apart:
                parts.append(apart)
            parts.append(_Shot(above=above, lines=[(kind, line)]))
        loose = []
    if loose:
        parts.append(loose)
    return parts


def _parted(loose: list[str], *, first: bool) -> tuple[list[str], list[str]]:
    """Lines above a shot: those that stand for themselves, and the remarks that go with the shot."""
    above = list(itertools.takewhile(lambda line: bool(line.strip()), reversed(loose)))[::-1]
    if first and len(above) == len(loose):  # the head of the sheet
        above = []
    return loose[: len(loose) - len(above)], above


def _apart(parts: list[_Part]) -> list[_Part]:
    """Where the first shot has remarks that go with it, an empty line between them and the head of the sheet."""
    first = next(index for index, part in enumerate(parts) if isinstance(part, _Shot))
    shot, head = parts[first], [line for part in parts[:first] if isinstance(part, list) for line in part]
    if isinstance(shot, _Shot) and shot.above and not (head and not head[-1].strip()):
        parts.insert(first, ["\n"])
    return parts


def _shots(parts: Sequence[_Part]) -> list[_Shot]:
    return [part for part in parts if isinstance(part, _Shot)]


def _joined(parts: Sequence[_Part], before: str) -> str:
    """The text again; it ends with a line break where it did *before*."""
    lines = [line for part in parts for line in (part.raw if isinstance(part, _Shot) else part)]
    whole = [line if _ended(line) else f"{line}\n" for line in lines]
    if whole and not (before and _ended(before.splitlines(keepends=True)[-1])):
        whole[-1] = whole[-1].splitlines()[0]
    return "".join(whole)


def _ended(line: str) -> bool:
    return line.splitlines()[:1] != [line]


def _checked(text: str, wanted: Sequence[Line], name: str = "", value: Any = None) -> str:
    """*text*, where it says what is *wanted*; raises InvalidInput where a field would be read as another."""
    try:
        there: Sequence[Line] = sheet.read(text)
    except InvalidInput:
        there = ()
    if tuple(there) != tuple(wanted):
        what = f" {_text(name, value)!r} would be read as something else than its {name}." if name else ""
        raise InvalidInput(f"This cannot be written into the sheet.{what} {_AFTER}")
    return text


def _flush(shots: Sequence[_Shot]) -> None:
    """Every shot but the first begins at the margin: indented it would go on with the one above it."""
    for shot in shots[1:]:
        kind, line = shot.lines[0]
        shot.lines[0] = kind, line.lstrip()


def _pictures(lines: Sequence[Line], known: Sequence[int]) -> list[_Pair]:
    """The pictures of each shot; those that a line names are its own, connected or not."""
    implied = sheet.places([replace(line, keyframes=None) for line in lines], known)
    return [
        line.keyframes if line.keyframes is not None else own
        for line, own in zip(lines, implied, strict=True)
    ]


def _kept(
    shots: Sequence[_Shot],
    lines: list[Line],
    pictures: Sequence[_Pair],
    known: Sequence[int],
) -> bool:
    """Write into each shot the pictures that it had, where its place would give it others. Whether any was."""
    found = False
    for index, now in enumerate(_pictures(lines, known)):
        if now != pictures[index]:
            _set(shots[index], "keyframes", pictures[index])
            lines[index] = replace(lines[index], keyframes=pictures[index])
            found = True
    return found


# -- the fields of a shot -------------------------------------------------------------------------------------


def _set(shot: _Shot, name: str, value: Any) -> None:
    fields, words = _fields(shot), _text(name, value)
    own = next((each for each in fields if each.name == name), None)
    rank = _ORDER.index(name)
    before = [each for each in fields if _ORDER.index(each.name) < rank]
    if own is not None and words:
        _replace(shot, own.first, own.last, words)
    elif own is not None:
        _take_out(shot, own, alone=len(fields) == 1)
    elif words and before:
        _replace(shot, before[-1].last, before[-1].last, f" | {words}")
    elif words and fields:
        _replace(shot, fields[0].first, fields[0].first, f"{words} | ")
    elif words:
        kind, line = shot.lines[0]
        shot.lines[0] = kind, line.replace(line.strip(), words)


def _fields(shot: _Shot) -> list[_Field]:
    """The fields of a shot in their order. One may go on in the next line."""
    pieces: list[list[tuple[int, int, int]]] = [[]]
    for row, (kind, line) in enumerate(shot.lines):
        if kind == "remark":
            continue
        begin = 0
        while True:
            bar = sheet.field_end(line, begin)
            end = bar if bar >= 0 else len(line)
            core = line[begin:end]
            if core.strip():
                start = begin + len(core) - len(core.lstrip())
                pieces[-1].append((row, start, begin + len(core.rstrip())))
            if bar < 0:
                break
            pieces.append([])
            begin = bar + 1
    found = []
    for each in pieces:
        if each:
            words = " ".join(shot.lines[row][1][start:end] for row, start, end in each)
            first, last = (each[0][0], each[0][1]), (each[-1][0], each[-1][2])
            found.append(_Field(sheet.meaning(words)[0], first, last))
    return found


def _replace(shot: _Shot, first: tuple[int, int], last: tuple[int, int], words: str) -> None:
    """Put *words* in place of what stands from *first* to *last*; remarks in between come after it."""
    kind, line = shot.lines[first[0]]
    tail = shot.lines[last[0]][1][last[1] :]
    remarks = [each for each in shot.lines[first[0] : last[0]] if each[0] == "remark"]
    shot.lines[first[0] : last[0] + 1] = [(kind, f"{line[: first[1]]}{words}{tail}"), *remarks]


def _take_out(shot: _Shot, own: _Field, *, alone: bool) -> None:
    """Take a field out, with one of the bars beside it."""
    if alone:
        raise InvalidInput(f"Nothing else stands in the line of this shot: remove the shot. {_AFTER}")
    _replace(shot, own.first, own.last, "")
    row, column = own.first
    kind, line = shot.lines[row]
    head, tail = line[:column], line[column:]
    if tail.lstrip(" \t").startswith("|"):
        line = head + tail.lstrip(" \t")[1:].lstrip(" \t")
    elif head.rstrip(" \t").endswith("|"):
        line = head.rstrip(" \t")[:-1].rstrip(" \t") + tail
    if line.strip():
        shot.lines[row] = kind, line
    else:
        del shot.lines[row]
    # What begins a shot is its first line that says something, at the margin.
    first = next(index for index, (kind, _) in enumerate(shot.lines) if kind != "remark")
    shot.above += [line for _, line in shot.lines[:first]]
    shot.lines[:first] = []
    shot.lines[0] = "shot", shot.lines[0][1].lstrip()
