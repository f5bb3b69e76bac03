"""Keys that nobody has, planted where keys are, and a search for them in everything that is left behind."""

from __future__ import annotations

import base64
import gzip
import random
import sqlite3
import string
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import av
import av.error
from PIL import Image, UnidentifiedImageError

PIECE = 14
"""Characters of a key that are as good as the whole of it."""


def canary(name: str) -> str:
    """A key for the variable called *name*: by its shape nothing tells that it is one."""
    rng = random.Random(f"canary {name}")  # noqa: S311 - the same in every process
    return "".join(rng.choice(string.ascii_letters + string.digits) for _ in range(40))


@dataclass(frozen=True)
class Row:
    """One place that was searched."""

    place: str
    things: int
    bytes: int


@dataclass
class Search:
    """A search for the values of *keys* (by their names), however they are written."""

    keys: Mapping[str, str]
    rows: list[Row] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    """Key, way of writing and place of everything that was found. Never the key itself."""

    def __post_init__(self) -> None:
        self._needles = [
            (name, way, needle) for name, value in self.keys.items() for way, needle in needles(value)
        ]

    def look(self, place: str, content: bytes | str) -> None:
        """Look through *content*, one thing at *place*."""
        self.things(place, [(place, content)])

    def things(self, place: str, contents: Iterable[tuple[str, bytes | str]]) -> None:
        """Look through several things (name, content) at *place*."""
        count = size = 0
        for name, content in contents:
            data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
            count += 1
            size += len(data)
            self.found += [f"{key} ({way}) in {name}" for key, way, needle in self._needles if needle in data]
        self.rows.append(Row(place, count, size))

    def folder(self, place: str, folder: Path, *, but: Iterable[Path] = ()) -> None:
        """Look through every file below *folder* (but those), as it lies there and unpacked where it is packed."""
        left_out = {path.resolve() for path in but}
        files = [
            path for path in sorted(folder.rglob("*")) if path.is_file() and path.resolve() not in left_out
        ]
        self.things(place, (thing for path in files for thing in inside(path)))
        self.things(f"{place}: names", ((str(path), str(path)) for path in sorted(folder.rglob("*"))))

    def table(self) -> str:
        """Place, things and bytes, for people."""
        width = max(len(row.place) for row in self.rows)
        lines = [f"{'place':{width}} {'things':>7} {'bytes':>12}"]
        lines += [f"{row.place:{width}} {row.things:7} {row.bytes:12,}" for row in self.rows]
        things, size = (
            sum(counts) for counts in zip(*((row.things, row.bytes) for row in self.rows), strict=True)
        )
        total = f"{'in all':{width}} {things:7} {size:12,}"
        ways = len({way for _, way, _ in self._needles})
        return "\n".join(
            [*lines, total, f"{len(self.keys)} keys, each in {ways} ways: {len(self.found)} found"]
        )


def needles(value: str) -> Iterable[tuple[str, bytes]]:
    """How *value* may be written (way, bytes): the beginning and the end of it are enough."""
    ends = {"beginning": value[:PIECE], "end": value[-PIECE:]}
    for which, part in ends.items():
        raw = part.encode()
        yield f"plain, {which}", raw
        yield f"small letters, {which}", part.lower().encode()
        yield f"percent-encoded, {which}", quote(part, safe="").encode()
        yield f"every letter percent-encoded, {which}", "".join(f"%{byte:02x}" for byte in raw).encode()
        yield f"hexadecimal, {which}", raw.hex().encode()
        yield f"hexadecimal capitals, {which}", raw.hex().upper().encode()
        yield f"escaped, {which}", "".join(f"\\u{ord(letter):04x}" for letter in part).encode()
        yield f"UTF-16, {which}", part.encode("utf-16-le")
        yield f"backwards, {which}", raw[::-1]
        for shift in range(3):
            code = base64.b64encode(bytes(shift) + raw).decode()
            # Letters that the bytes around have a part in are left out.
            certain = code[(0, 2, 3)[shift] : (shift + len(raw)) * 8 // 6]
            yield f"base64 at {shift}, {which}", certain.encode()
            yield (
                f"base64 for addresses at {shift}, {which}",
                certain.replace("+", "-").replace("/", "_").encode(),
            )


def inside(path: Path) -> Iterable[tuple[str, bytes | str]]:
    """A file as it lies there, and what it keeps packed."""
    data = path.read_bytes()
    yield str(path), data
    if data.startswith(b"SQLite format 3\0"):
        # A row may lie in pieces in the file, and its last change in the log beside it.
        with closing(sqlite3.connect(path)) as database:
            yield f"{path} (rows)", "\n".join(database.iterdump())
    elif data.startswith(b"\x1f\x8b"):
        yield f"{path} (unpacked)", gzip.decompress(data)
    with suppress(UnidentifiedImageError, OSError), Image.open(path) as picture:
        yield f"{path} (metadata)", repr(picture.info)
    with suppress(av.error.FFmpegError), av.open(str(path), metadata_errors="replace") as film:
        yield f"{path} (metadata)", repr([film.metadata, *(stream.metadata for stream in film.streams)])
