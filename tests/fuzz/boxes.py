"""MP4 files as the boxes they are made of: read, changed, and written with whatever sizes a liar would put there."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

CONTAINERS = frozenset(
    {
        b"moov",
        b"trak",
        b"mdia",
        b"minf",
        b"stbl",
        b"edts",
        b"dinf",
        b"udta",
        b"mvex",
        b"moof",
        b"traf",
        b"mfra",
    }
)


@dataclass
class Box:
    """One box: a container of others, or some bytes."""

    kind: bytes
    payload: bytes = b""
    inside: list[Box] = field(default_factory=list)
    size: int | None = None
    """What the header claims, where that is not the truth."""

    def __bytes__(self) -> bytes:
        content = self.payload + b"".join(map(bytes, self.inside))
        size = 8 + len(content) if self.size is None else self.size
        return struct.pack(">I4s", size & 0xFFFFFFFF, self.kind) + content

    def find(self, *kinds: bytes) -> Iterator[Box]:
        """Every box of these kinds below this one."""
        for box in self.inside:
            if box.kind in kinds:
                yield box
            yield from box.find(*kinds)


def read(data: bytes) -> Box:
    """A file as a box without a header of its own; what is no box any more is the payload of the last one."""
    return Box(b"", inside=_read(data))


def _read(data: bytes) -> list[Box]:
    found = []
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        end = place + size if size >= 8 else len(data)
        content = data[place + 8 : end]
        if kind in CONTAINERS:
            found.append(Box(kind, inside=_read(content)))
        else:
            found.append(Box(kind, content))
        place = end
    return found


def written(file: Box) -> bytes:
    """The file, with the places of its chunks moved along where `moov` stands before the data and grew or shrank."""
    return b"".join(map(bytes, file.inside))


def full(kind: bytes, content: bytes = b"", *, version: int = 0, flags: int = 0) -> Box:
    """A box that begins with a version and flags."""
    return Box(kind, struct.pack(">I", version << 24 | flags) + content)


def moved(file: Box, by: int) -> None:
    """Add *by* to the places of all chunks."""
    for box in file.find(b"stco"):
        end = len(box.payload) // 4 * 4
        places = struct.unpack(f">{max(end - 8, 0) // 4}I", box.payload[8:end])
        ahead = struct.pack(f">{len(places)}I", *((place + by) & 0xFFFFFFFF for place in places))
        box.payload = box.payload[:8] + ahead + box.payload[end:]


def changed(data: bytes, change: object) -> bytes:
    """*data* after *change* (a function of its root box) with chunks where they are now."""
    file = read(data)
    before = _data_at(data)
    change(file)  # type: ignore[operator]
    after = _data_at(written(file))
    if before is not None and after is not None:
        moved(file, after - before)
    return written(file)


def _data_at(data: bytes) -> int | None:
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"mdat":
            return place
        if size < 8:
            return None
        place += size
    return None
