"""Lines of text for title cards, in the one font that comes with Pillow."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageFont

_MEASURED_AT = 100.0
_LEADING = 1.3
_ELLIPSIS = "…"
_SHOWN_AT_LEAST = 0.6  # of a prompt's characters; else it is better described than shown with holes


@dataclass(frozen=True, slots=True)
class Block:
    """Text set into lines."""

    lines: tuple[str, ...]
    size: float
    """Pixels of the type."""
    leading: float
    """Pixels from line to line."""


def drawable(text: str) -> str:
    """*text* on one line, without what the font has no picture of (other scripts, emoji, control characters).

    A text that is mostly in another script is described instead.
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    missing = _missing(frozenset(plain))
    kept = "".join("" if c in missing else c for c in plain)
    letters = sum(not c.isspace() for c in plain)
    if letters and sum(not c.isspace() for c in kept) < _SHOWN_AT_LEAST * letters:
        return f"A prompt of {len(plain)} characters, in a script that this preview has no type for"
    return " ".join(kept.split())


def shortened(text: str, size: float, width: float) -> str:
    """*text* cut with an ellipsis so that it is no wider than *width* pixels at *size*."""
    font = ImageFont.load_default(size)
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle].rstrip() + _ELLIPSIS) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + _ELLIPSIS


def set_into(text: str, width: float, height: float, *, largest: float, smallest: float) -> Block:
    """*text* as large as fits into *width* x *height* pixels; at the smallest size the end is cut off."""
    words = _words(text)
    size = largest
    while size > smallest:
        lines = _wrapped(words, width / size)
        if len(lines) * size * _LEADING <= height and all(w <= width / size for _, w in words):
            break
        size = max(smallest, size * 0.95)
    lines = _wrapped(words, width / size)
    most = max(1, int(height / (size * _LEADING)))
    if len(lines) > most:
        rest = " ".join(lines[most - 1 :])[:400]
        return Block((*lines[: most - 1], shortened(rest + _ELLIPSIS, size, width)), size, size * _LEADING)
    # The same number of lines, of more even length.
    narrow = width
    while narrow > 0.5 * width and len(_wrapped(words, narrow * 0.97 / size)) == len(lines):
        narrow *= 0.97
    return Block(tuple(_wrapped(words, narrow / size)), size, size * _LEADING)


def _words(text: str) -> list[tuple[str, float]]:
    """Each word with its width in units of the type size."""
    font = ImageFont.load_default(_MEASURED_AT)
    widths: dict[str, float] = {}
    for word in text.split():
        if word not in widths:
            # Hinting makes small type a little wider than large type.
            widths[word] = font.getlength(word) / _MEASURED_AT * 1.02
    return [(word, widths[word]) for word in text.split()]


def _wrapped(words: list[tuple[str, float]], width: float) -> list[str]:
    space = 0.27
    lines: list[str] = []
    line: list[str] = []
    used = 0.0
    for whole, whole_length in words:
        word, length = whole, whole_length
        if line and used + space + length > width:
            lines.append(" ".join(line))
            line, used = [], 0.0
        while length > width and len(word) > 1:
            part = max(1, int(len(word) * width / length))
            lines.append(word[:part])
            word, length = word[part:], length * (1 - part / len(word))
        used += length + (space if line else 0.0)
        line.append(word)
    return [*lines, " ".join(line)] if line else lines


def _missing(characters: frozenset[str]) -> set[str]:
    """Those that the font draws as the box that stands for no character."""
    font = ImageFont.load_default(24)
    if not isinstance(font, ImageFont.FreeTypeFont):
        return {c for c in characters if ord(c) > 255}
    box = _picture(font, "\U0010fffe")
    return {c for c in characters if not c.isspace() and _picture(font, c) == box}


def _picture(font: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
