"""What an MP4 claims to hold, weighed before FFmpeg believes it.

Five kilobytes can claim forty million frames, an edit that shows them a thousand times, or an index that unpacks to
two gigabytes; FFmpeg makes room for all of it as it opens the file (measured with FFmpeg 8: 2.8 GB for such a file).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import BinaryIO, Final

from ..generation.errors import BrokenClip

MOST_SAMPLES: Final = 2**21
"""Of all tracks together: twelve hours of a film with its sound."""
MOST_TRACKS: Final = 64
MOST_EDITS: Final = 1000
MOST_SHOWN: Final = 2**21
"""Samples of a track times the pieces that its edit list shows."""
MOST_BYTES: Final = 2**26
"""Of everything but the pictures and the sound."""

_FIRST: Final = frozenset(
    {
        b"ftyp",
        b"moov",
        b"mdat",
        b"free",
        b"skip",
        b"wide",
        b"pnot",
        b"uuid",
        b"styp",
        b"moof",
        b"sidx",
        b"junk",
    }
)
"""What MP4 and its relatives begin with."""
_DATA: Final = frozenset({b"mdat", b"skip", b"junk"})
"""Boxes in which FFmpeg looks for nothing."""
_HIDING: Final = frozenset({b"free", b"hoov"})
"""Boxes that FFmpeg takes for an index if they look like one inside."""
_PER_PACKET: Final = 1024
"""Samples of uncompressed sound that FFmpeg reads at once."""
_MOST_TABLES: Final = 4
"""Tables of one kind in a track; there is one."""


def is_mp4(path: Path) -> bool:
    """Whether the file begins like MP4 or QuickTime. Raises OSError."""
    with path.open("rb") as file:
        return file.read(8)[4:] in _FIRST


def weigh(path: Path) -> None:
    """Raise BrokenClip if the MP4 claims more than any film has. Raises OSError."""
    with path.open("rb") as file:
        index = b"".join(_index(file, path))
    if b"cmov" in index:
        raise BrokenClip(f"{path} has a compressed index, as only very old films have; convert it first.")
    # What stands behind a track's beginning belongs to it until the next one begins, wherever that may be.
    begins = [found.start() for found in islice(re.finditer(b"trak", index), MOST_TRACKS + 1)]
    if len(begins) > MOST_TRACKS:
        raise BrokenClip(f"{path} claims more than {MOST_TRACKS} tracks, and that is the most that is read.")
    parts = [index[begin:end] for begin, end in pairwise([0, *begins, len(index)])]
    samples = 0
    for part in parts:
        own = _samples(part)
        samples += own
        edits = max(_counts(part, b"elst", 4), default=1)
        if edits > MOST_EDITS or own * edits > MOST_SHOWN:
            raise BrokenClip(
                f"{path} claims that its {own} frames are shown in {edits} pieces: too many for any film."
            )
    samples += sum(_counts(index, b"trun", 4))
    if samples > MOST_SAMPLES:
        raise BrokenClip(f"{path} claims {samples} frames, and {MOST_SAMPLES} are the most that are read.")


def _index(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Every box in which FFmpeg looks for something, headers and all; what it takes for data is passed over."""
    end = file.seek(0, 2)
    place = taken = 0
    while place + 8 <= end:
        file.seek(place)
        head = file.read(24)
        size, kind = struct.unpack_from(">I4s", head)
        if size == 1 and len(head) >= 16:
            size = struct.unpack_from(">Q", head, 8)[0]
        elif size == 0:
            size = end - place
        if size < 8:
            return  # FFmpeg reads no further either
        size = min(size, end - place)
        hidden = kind in _HIDING and not {b"mvhd", b"cmov"} & {head[12:16], head[20:24]}
        if kind not in _DATA and not hidden:
            taken += size
            if taken > MOST_BYTES:
                raise BrokenClip(
                    f"{path} has more than {MOST_BYTES >> 20} MiB beside its pictures and its sound."
                )
            file.seek(place)
            yield file.read(size)
        place += size


def _samples(track: bytes) -> int:
    """How many entries FFmpeg would make for what a track claims."""
    claimed = max(chain(_counts(track, b"stsz", 8), _counts(track, b"stz2", 8)), default=0)
    if not _is_uncompressed_sound(track):
        return claimed
    # Only this is read in pieces of many samples, chunk by chunk.
    if sum(1 for _ in _places(track, b"stsc")) > _MOST_TABLES:
        return MOST_SAMPLES + 1
    chunks = max(chain(_counts(track, b"stco", 4), _counts(track, b"co64", 4)), default=0)
    longest = max(_per_chunk(track), default=0)
    return chunks * (longest // _PER_PACKET + 1)


def _is_uncompressed_sound(track: bytes) -> bool:
    kinds = {track[place + 12 : place + 16] for place in _places(track, b"hdlr")}
    times = [_words(track, place, 4, 3) for place in _places(track, b"stts")]
    return (
        b"soun" in kinds
        and b"vide" not in kinds
        and bool(times)
        and all(count == 1 and each == 1 for count, _, each in times)
    )


def _per_chunk(track: bytes) -> Iterator[int]:
    for place in islice(_places(track, b"stsc"), _MOST_TABLES):
        begin = place + 12
        count = min(_words(track, place, 4, 1)[0], (len(track) - begin) // 12)
        yield from (
            each for _, each, _ in struct.iter_unpack(">3I", track[begin : begin + 12 * max(count, 0)])
        )


def _counts(part: bytes, kind: bytes, offset: int) -> Iterator[int]:
    """The number that stands *offset* bytes into each box of this *kind*."""
    return (_words(part, place, offset, 1)[0] for place in _places(part, kind))


def _places(part: bytes, kind: bytes) -> Iterator[int]:
    """Where the kind of each such box stands. Searched for, not walked to: FFmpeg finds boxes at odd places too."""
    return (found.start() for found in re.finditer(kind, part))


def _words(part: bytes, place: int, offset: int, count: int) -> tuple[int, ...]:
    """*count* numbers, *offset* bytes behind the kind of the box at *place*; zeros where the file ends."""
    begin = place + 4 + offset
    return struct.unpack(f">{count}I", part[begin : begin + 4 * count].ljust(4 * count, b"\0"))
