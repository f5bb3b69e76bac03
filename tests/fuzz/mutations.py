"""Files that are almost whole: each number gives the same mutation on every machine with the same FFmpeg."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from copy import deepcopy

from .boxes import Box, changed, read, written

Change = Callable[[random.Random, bytes, dict[str, bytes]], bytes]

EXTREMES = (0, 1, 2, 7, 8, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
_TABLES = (
    *(
        b"stsz",
        b"stts",
        b"stsc",
        b"stco",
        b"ctts",
        b"elst",
        b"stss",
        b"trun",
        b"stsd",
        b"dref",
        b"sgpd",
        b"sbgp",
    ),
)
_CODECS = (
    b"hvc1",
    b"av01",
    b"vp09",
    b"mp4v",
    b"mjpg",
    b"png ",
    b"tiff",
    b"jp2 ",
    b"rle ",
    b"gif ",
    b"raw ",
    b"apcn",
)
_HEADERS = (
    b"mvhd",
    b"tkhd",
    b"mdhd",
    b"mehd",
    b"trex",
    b"tfhd",
    b"tfdt",
    b"mfhd",
    b"hdlr",
    b"elst",
    b"colr",
    b"pasp",
)


def mutated(number: int, seeds: dict[str, bytes]) -> tuple[str, bytes]:
    """Mutation *number*: what it is, and the file."""
    rng = random.Random(f"luma-ray {number}")  # noqa: S311 - reproducible, not secret
    name = rng.choice(list(seeds))
    data = seeds[name]
    kinds = list(EVERYWHERE.items()) + (list(IN_BOXES.items()) * 2 if name.startswith(("mp4", "mov")) else [])
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind, change = rng.choice(kinds)
        data = change(rng, data, seeds) or b"\0"
        done.append(kind)
    return f"{name}: {', '.join(done)}", data


def _flip(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    copy = bytearray(data)
    for _ in range(rng.choice((1, 2, 4, 16, 64))):
        copy[rng.randrange(len(copy))] ^= 1 << rng.randrange(8)
    return bytes(copy)


def _flip_in_front(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    copy = bytearray(data)
    for _ in range(rng.choice((1, 2, 8))):
        copy[rng.randrange(min(len(copy), 1500))] = rng.randrange(256)
    return bytes(copy)


def _cut(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    return data[: rng.randrange(len(data))]


def _blank(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    begin = rng.randrange(len(data))
    length = rng.choice((4, 16, 256, 4096))
    return (
        data[:begin]
        + rng.choice((b"\0", b"\xff"))[:1] * min(length, len(data) - begin)
        + data[begin + length :]
    )


def _number(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    copy = bytearray(data)
    if len(copy) >= 4:
        struct.pack_into(">I", copy, rng.randrange(len(copy) - 3), rng.choice(EXTREMES))
    return bytes(copy)


def _splice(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    other = rng.choice(list(seeds.values()))
    begin, end = sorted(rng.randrange(len(other)) for _ in range(2))
    place = rng.randrange(len(data))
    return data[:place] + other[begin:end] + data[place + rng.choice((0, end - begin)) :]


def _repeat(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    begin, end = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:end] + data[begin:end] * rng.choice((1, 2, 20)) + data[end:]


EVERYWHERE: dict[str, Change] = {
    "bits flipped": _flip,
    "bytes changed in front": _flip_in_front,
    "cut off": _cut,
    "blanked": _blank,
    "a number changed": _number,
    "spliced": _splice,
    "repeated": _repeat,
}


def _boxes(file: Box) -> list[Box]:
    found = []
    for box in file.inside:
        found.append(box)
        found += _boxes(box)
    return found


def _parents(file: Box) -> list[Box]:
    """Boxes with something in them; a file that is no box any more becomes one."""
    if not file.inside:
        file.inside.append(Box(b"free"))
    return [box for box in (file, *_boxes(file)) if box.inside]


def _size(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    file = read(data)
    box = rng.choice(_boxes(file) or [file])
    box.size = rng.choice((*EXTREMES, 8 + len(box.payload) + rng.randrange(-8, 9)))
    return written(file)


def _doubled(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    def change(file: Box) -> None:
        parent = rng.choice(_parents(file))
        for _ in range(rng.choice((1, 1, 3, 40))):
            parent.inside.insert(rng.randrange(len(parent.inside) + 1), deepcopy(rng.choice(parent.inside)))

    return changed(data, change)


def _dropped(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    def change(file: Box) -> None:
        parent = rng.choice(_parents(file))
        parent.inside.pop(rng.randrange(len(parent.inside)))

    return changed(data, change)


def _moved_elsewhere(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    def change(file: Box) -> None:
        box = rng.choice(_boxes(file) or [Box(b"free")])
        target = rng.choice(_parents(file))
        target.inside.insert(rng.randrange(len(target.inside) + 1), deepcopy(box))

    return changed(data, change)


def _count(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    """A table that claims another length, or other lengths and places of what is in it."""

    def change(file: Box) -> None:
        tables = list(file.find(*_TABLES))
        if not tables:
            return
        table = rng.choice(tables)
        words = len(table.payload) // 4
        if words:
            copy = bytearray(table.payload)
            place = rng.choice((1, 1, 2, rng.randrange(words))) % words
            struct.pack_into(">I", copy, 4 * place, rng.choice((*EXTREMES, rng.randrange(1 << 20))))
            table.payload = bytes(copy)

    return changed(data, change)


def _header(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    """Time scales, durations, sizes and matrices beyond reason."""

    def change(file: Box) -> None:
        headers = list(file.find(*_HEADERS))
        if not headers:
            return
        header = rng.choice(headers)
        copy = bytearray(header.payload)
        for _ in range(rng.choice((1, 1, 2, 4))):
            if len(copy) >= 4:
                struct.pack_into(">I", copy, rng.randrange(len(copy) // 4) * 4, rng.choice(EXTREMES))
        header.payload = bytes(copy)

    return changed(data, change)


def _description(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    """Another codec, another size, another configuration of the decoder."""

    def change(file: Box) -> None:
        for table in file.find(b"stsd"):
            copy = bytearray(table.payload)
            for _ in range(rng.choice((1, 2, 8)) if len(copy) > 16 else 0):
                place = rng.randrange(8, len(copy))
                copy[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            if rng.random() < 0.3:
                copy[12:16] = rng.choice(_CODECS)
            table.payload = bytes(copy)

    return changed(data, change)


def _units(rng: random.Random, data: bytes, seeds: dict[str, bytes]) -> bytes:
    """In the pictures themselves: lengths of units, their kinds, their bits."""
    place = data.find(b"mdat")
    if place < 0 or place + 8 >= len(data):
        return _flip(rng, data, seeds)
    copy = bytearray(data)
    for _ in range(rng.choice((1, 3, 30))):
        where = rng.randrange(place + 4, len(copy))
        copy[where] = rng.randrange(256)
    return bytes(copy)


IN_BOXES: dict[str, Change] = {
    "a box of another size": _size,
    "a box twice": _doubled,
    "a box missing": _dropped,
    "a box elsewhere": _moved_elsewhere,
    "a table of another length": _count,
    "a header beyond reason": _header,
    "another description": _description,
    "pictures changed": _units,
}
