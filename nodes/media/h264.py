"""As much of H.264's syntax as copying pictures needs (ITU-T H.264, 7.3; ISO/IEC 14496-15, 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

IDR: Final = 5
"""A picture from which decoding can start, as a kind of NAL unit."""
PARAMETERS: Final = (7, 8, 13, 15)
"""Kinds of NAL units that say how pictures are encoded."""
_WITH_CHROMA: Final = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
"""Profiles that tell their chroma format."""
_PREFIX: Final = 64
"""Bytes of a slice that are looked at: its header begins with what is wanted."""


def kind(unit: memoryview) -> int:
    """What a NAL unit holds."""
    return int(unit[0]) & 31


@dataclass(frozen=True)
class Headers:
    """The parameters that stand in front of all pictures of a stream."""

    content: bytes
    """The whole of them, as MP4 and Matroska keep them (avcC)."""
    prefix: int
    """Bytes that tell a NAL unit's length, in front of it."""
    frame_number_bits: int
    fields: bool
    """Whether pictures may be fields."""
    planes: bool
    """Whether colours are encoded apart."""

    @classmethod
    def read(cls, content: bytes) -> Headers | None:
        """The headers in an avcC, None if they are not understood."""
        if len(content) < 10 or content[0] != 1 or content[5] & 31 != 1 or content[8] & 31 != PARAMETERS[0]:
            return None
        length = int.from_bytes(content[6:8], "big")
        try:
            bits = _Bits(content[8 : 8 + length])
            bits.number(8)
            profile = bits.number(8)
            bits.number(16)
            bits.count()
            planes = False
            if profile in _WITH_CHROMA:
                planes = bits.count() == 3 and bool(bits.number(1))
                bits.count(), bits.count(), bits.number(1)
                if bits.number(1):
                    return None  # matrices of its own
            frame_number_bits = bits.count() + 4
            _skip_order(bits)
            bits.count(), bits.number(1), bits.count(), bits.count()
            return cls(content, (content[4] & 3) + 1, frame_number_bits, not bits.number(1), planes)
        except EOFError:
            return None

    def units(self, packet: memoryview) -> Iterator[memoryview]:
        """The NAL units of a packet. Raises ValueError where it is not made of such."""
        place = 0
        while place < len(packet):
            start = place + self.prefix
            place = start + int.from_bytes(packet[place:start], "big")
            if start >= place or place > len(packet):
                raise ValueError("a NAL unit ends outside of its packet")
            yield packet[start:place]

    def idr_id(self, unit: memoryview) -> int:
        """What tells an IDR picture from another one next to it. Raises ValueError."""
        try:
            bits = _Bits(bytes(unit[:_PREFIX]))
            bits.number(8)
            bits.count(), bits.count(), bits.count()
            bits.number(2 * self.planes + self.frame_number_bits)
            if self.fields and bits.number(1):
                bits.number(1)
            return bits.count()
        except EOFError:
            raise ValueError("a slice ends in its header") from None


class _Bits:
    """The bits of a NAL unit one after the other. Raises EOFError behind the last."""

    def __init__(self, unit: bytes) -> None:
        plain = unit.replace(b"\0\0\3", b"\0\0")
        self._left = len(plain) * 8
        self._value = int.from_bytes(plain, "big")

    def number(self, length: int) -> int:
        """An unsigned number of so many bits."""
        self._left -= length
        if self._left < 0:
            raise EOFError
        return self._value >> self._left & ((1 << length) - 1)

    def count(self) -> int:
        """A number as ue(v) encodes it."""
        zeros = 0
        while not self.number(1):
            zeros += 1
        return (1 << zeros) - 1 + self.number(zeros)


def _skip_order(bits: _Bits) -> None:
    """How the order of showing is told; se(v) is as long as ue(v)."""
    way = bits.count()
    if way == 0:
        bits.count()
    elif way == 1:
        bits.number(1)
        bits.count(), bits.count()
        for _ in range(bits.count()):
            bits.count()
