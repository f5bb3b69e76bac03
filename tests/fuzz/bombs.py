"""Clips made to hurt: small files that claim to be enormous, and text that makes a player open something else."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import av
import films
import numpy as np

from .boxes import Box, changed, full, read
from .seeds import seeds

MANY = 40_000_000
"""Few enough for FFmpeg to make room for them: 2.8 GB."""
_SQUARE = 60_000


@cache
def bombs() -> dict[str, bytes]:
    """Files by what they claim."""
    mp4, sound, fragments = (seeds()[name] for name in ("mp4", "mp4, sound", "mp4, fragments"))
    return {
        "40 million frames of one byte": changed(mp4, _samples(MANY)),
        "the most samples there are": changed(mp4, _samples(0xFFFFFFFF)),
        "a table of sizes without its end": changed(
            mp4, _table(b"stsz", struct.pack(">III", 0, 0, 0x1FFFFFFF))
        ),
        "a table of times without its end": changed(mp4, _table(b"stts", struct.pack(">II", 0, 0x1FFFFFFF))),
        "one time for ever": changed(
            mp4, _table(b"stts", struct.pack(">IIII", 0, 1, 0xFFFFFFFF, 0xFFFFFFFF))
        ),
        "a table of keyframes without its end": changed(
            mp4, _table(b"stss", struct.pack(">II", 0, 0x3FFFFFFF))
        ),
        "a table of places without its end": changed(mp4, _table(b"stco", struct.pack(">II", 0, 0x3FFFFFFF))),
        "a fragment of 40 million frames": changed(fragments, _fragment(MANY)),
        "20000 edits of 10000 frames": changed(mp4, _edits(20_000, 10_000)),
        "3000 edits of 100000 frames": changed(mp4, _edits(3_000, 100_000)),
        "100000 short edits": changed(mp4, _edits(100_000, 24, length=1)),
        "sound in one endless chunk": changed(sound, _endless_sound),
        "200 megabytes in an index of 200 kilobytes": _compressed_index(200),
        "20000 tracks": changed(mp4, _tracks(20_000)),
        "500 tracks": changed(mp4, _tracks(500)),
        "1000 indexes": changed(mp4, lambda file: file.inside.extend(list(_all(file, b"moov")) * 1000)),
        "100000 boxes in each other": bytes(read(mp4).inside[0]) + _nested(100_000),
        "20000 descriptions": changed(mp4, _descriptions(20_000)),
        "a size that ends nowhere": changed(mp4, _sized(b"moov", 0xFFFFFFFF)),
        "sixty thousand pixels each way": changed(mp4, _dimensions(_SQUARE, _SQUARE)),
        "sixteen thousand pixels each way": changed(mp4, _dimensions(16_000, 16_000)),
        "an inch high and a mile wide": changed(mp4, _dimensions(65_520, 16)),
        "a mile high and an inch wide": changed(mp4, _dimensions(16, 65_520)),
        "a picture of 900 million pixels": _picture(30_000, 30_000),
        "an animation of four billion pixels": _animation(65_535, 65_535),
        "an animation of 250 million pixels": _animation(16_000, 16_000),
        "no time at all": changed(mp4, _scale(0, 0)),
        "a second that lasts for ever": changed(mp4, _scale(1, 0xFFFFFFFF)),
        "the shortest moments": changed(mp4, _scale(0xFFFFFFFF, 1)),
        "a codec that is none": changed(mp4, _codec(b"????")),
        "pictures said to be sound": changed(mp4, _kind(b"soun")),
        "sound said to be pictures": changed(sound, _kind(b"vide")),
        "another file by its path": elsewhere("/etc/passwd"),
        "another file by its address": elsewhere("/etc/passwd", kind=b"url "),
        "frames of two sizes": _two_sizes(),
        "nothing but a header": mp4[:40],
        "nothing": b"",
    }


def _all(file: Box, kind: bytes) -> Iterator[Box]:
    return file.find(kind)


def _table(kind: bytes, content: bytes) -> Callable[[Box], None]:
    def change(file: Box) -> None:
        for box in file.find(kind):
            box.payload = content

    return change


def _samples(count: int) -> Callable[[Box], None]:
    """All tables agree: one chunk of *count* samples of one byte."""

    def change(file: Box) -> None:
        _table(b"stsz", struct.pack(">III", 0, 1, count))(file)
        _table(b"stts", struct.pack(">IIII", 0, 1, count, 512))(file)
        _table(b"ctts", struct.pack(">IIII", 0, 1, count, 512))(file)
        _table(b"stsc", struct.pack(">IIIII", 0, 1, 1, count, 1))(file)

    return change


def _fragment(count: int) -> Callable[[Box], None]:
    def change(file: Box) -> None:
        first = next(file.find(b"trun"))
        first.payload = struct.pack(">III", 1, count, struct.unpack_from(">I", first.payload, 8)[0])

    return change


def _edits(count: int, frames: int, *, length: int = 0x7FFFFFFF) -> Callable[[Box], None]:
    def change(file: Box) -> None:
        _samples(frames)(file)
        edits = full(b"elst", struct.pack(">I", count) + struct.pack(">IIHH", length, 0, 1, 0) * count)
        for track in file.find(b"trak"):
            track.inside = [box for box in track.inside if box.kind != b"edts"]
            track.inside.insert(1, Box(b"edts", inside=[edits]))

    return change


def _endless_sound(file: Box) -> None:
    for track in file.find(b"trak"):
        if b"soun" in bytes(track):
            raw = struct.pack(">I4s6xHHHIHHHHI", 36, b"sowt", 1, 0, 0, 0, 1, 16, 0, 0, 48000 << 16)
            _table(b"stsd", struct.pack(">II", 0, 1) + raw)(track)
            _table(b"stsz", struct.pack(">III", 0, 2, 0x7FFFFFFF))(track)
            _table(b"stts", struct.pack(">IIII", 0, 1, 0x7FFFFFFF, 1))(track)
            _table(b"stsc", struct.pack(">IIIII", 0, 1, 1, 0x7FFFFFFF, 1))(track)
            _table(b"stco", struct.pack(">II20I", 0, 20, *([48] * 20)))(track)


def _compressed_index(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9)
    size = 8 + (mebibytes << 20)
    packed = packer.compress(struct.pack(">I4s", size, b"moov"))
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(mebibytes)) + packer.flush()
    index = Box(b"cmov", inside=[Box(b"dcom", b"zlib"), Box(b"cmvd", struct.pack(">I", size) + packed)])
    return bytes(read(seeds()["mp4"]).inside[0]) + bytes(Box(b"moov", inside=[index]))


def _tracks(count: int) -> Callable[[Box], None]:
    def change(file: Box) -> None:
        index = next(file.find(b"moov"))
        index.inside += [next(index.find(b"trak"))] * count

    return change


def _nested(depth: int) -> bytes:
    return b"".join(struct.pack(">I4s", 8 * (depth - level), b"moov") for level in range(depth))


def _descriptions(count: int) -> Callable[[Box], None]:
    def change(file: Box) -> None:
        for table in file.find(b"stsd"):
            table.payload = table.payload[:4] + struct.pack(">I", count) + table.payload[8:] * count

    return change


def _sized(kind: bytes, size: int) -> Callable[[Box], None]:
    def change(file: Box) -> None:
        for box in file.find(kind):
            box.size = size

    return change


def _dimensions(width: int, height: int) -> Callable[[Box], None]:
    """Another size in the description and in what the decoder itself is told."""

    def change(file: Box) -> None:
        for table in file.find(b"stsd"):
            copy = bytearray(table.payload)
            struct.pack_into(">HH", copy, 8 + 32, width & 0xFFFF, height & 0xFFFF)
            place = copy.index(b"avcC") - 4
            parameters = _parameters(width, height)
            picture = b"\x68\xce\x38\x80"
            setup = b"\x01\x42\x00\x33\xff\xe1" + struct.pack(">H", len(parameters)) + parameters
            setup += b"\x01" + struct.pack(">H", len(picture)) + picture
            copy[place:] = bytes(Box(b"avcC", setup))
            struct.pack_into(">I", copy, 8, len(copy) - 8)
            table.payload = bytes(copy)

    return change


def _parameters(width: int, height: int) -> bytes:
    """H.264's sequence parameters (baseline, level 5.1) for pictures of this size."""
    bits = "01000010" + "00000000" + "00110011"

    def number(value: int) -> str:
        binary = f"{value + 1:b}"
        return "0" * (len(binary) - 1) + binary

    bits += number(0)  # which set
    bits += number(0) + number(0) + number(0)  # frame numbers, order by them
    bits += number(4) + "0"  # reference frames, no gaps
    bits += number(width // 16 - 1) + number(height // 16 - 1)
    bits += "1" + "1" + "0" + "0" + "1"  # frames only, direct, no crop, no usability, and the end
    bits += "0" * (-len(bits) % 8)
    return b"\x67" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _picture(width: int, height: int) -> bytes:
    """One PNG of nothing, in a MOV."""
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(1 + width * 3)) for _ in range(min(height, 200))) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, packed, b"")))
    small = io.BytesIO()
    with av.open(small, "w", format="mov") as file:
        stream = file.add_stream("png", rate=24)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))

    def change(box: Box) -> None:
        for data in box.find(b"mdat"):
            data.payload = png
        _table(b"stsz", struct.pack(">III", 0, len(png), 1))(box)

    return changed(small.getvalue(), change)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _animation(width: int, height: int) -> bytes:
    """A GIF whose one frame fills its screen."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00;"


def _scale(scale: int, length: int) -> Callable[[Box], None]:
    """Time units a second, and how many units everything lasts."""

    def change(file: Box) -> None:
        for box in file.find(b"mvhd", b"mdhd"):
            copy = bytearray(box.payload)
            struct.pack_into(">II", copy, 12, scale, length)
            box.payload = bytes(copy)

    return change


def _codec(kind: bytes) -> Callable[[Box], None]:
    def change(file: Box) -> None:
        for table in file.find(b"stsd"):
            table.payload = table.payload[:12] + kind + table.payload[16:]

    return change


def _kind(kind: bytes) -> Callable[[Box], None]:
    def change(file: Box) -> None:
        for box in file.find(b"hdlr"):
            box.payload = box.payload[:8] + kind + box.payload[12:]

    return change


def elsewhere(path: str, kind: bytes = b"alis") -> bytes:
    """An MP4 that says that its pictures are in the file at *path*: in an alias of a Macintosh, or by address."""
    if kind == b"alis":
        name = path.encode().ljust(len(path) + len(path) % 2, b"\0")
        where = bytes(10) + b"\x01d" + bytes(26) + bytes(12) + b"\x01f" + bytes(62) + bytes(16)
        where += struct.pack(">hh", 1, 1) + bytes(16) + struct.pack(">HH", 2, len(name)) + name
        where += struct.pack(">hH", -1, 0) + bytes(64)
    else:
        where = f"file://{path}".encode() + b"\0"

    def change(file: Box) -> None:
        _table(b"dref", struct.pack(">II", 0, 1) + bytes(full(kind, where)))(file)

    return changed(seeds()["mp4"], change)


def _two_sizes() -> bytes:
    """A stream that changes its size in the middle."""
    parts = []
    for width, height in ((96, 64), (64, 96)):
        file = io.BytesIO()
        with av.open(file, "w", format="h264") as container:
            stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for rgb in films.scene(4, width, height):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            container.mux(stream.encode(None))
        parts.append(file.getvalue())
    return b"".join(parts)


def playlists(file: str, address: str) -> dict[str, bytes]:
    """Texts that FFmpeg, left to itself, takes for a film at *file* (a path) or at *address* (a URL)."""
    texts = {
        "HLS of a file": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{file}\n#EXT-X-ENDLIST\n",
        "HLS of a file by its address": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{file}\n",
        "HLS of an address": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{address}/a.ts\n#EXT-X-ENDLIST\n",
        "HLS with a key": (
            f'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="{address}/key"\n#EXTINF:2,\n{file}\n'
        ),
        "HLS with a map": f'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="{file}"\n#EXTINF:2,\n{file}\n',
        "HLS of HLS": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{address}/b.m3u8\n",
        "HLS of two files glued": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nconcat:{file}|{file}\n",
        "concat of a file": f"ffconcat version 1.0\nfile '{file}'\n",
        "concat of an address": f"ffconcat version 1.0\nfile '{address}/a.mp4'\n",
        "DASH": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
            f'bandwidth="1"><BaseURL>{address}/a.mp4</BaseURL><SegmentBase/></Representation></AdaptationSet></Period>'
            "</MPD>"
        ),
        "SDP": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {address[-4:]} RTP/AVP 96\n",
        "a redirection of RealMedia": f"{address}/a.rm\n",
        "Smooth Streaming": f'<SmoothStreamingMedia><StreamIndex Url="{address}/a"/></SmoothStreamingMedia>',
        "IMF": f'<?xml version="1.0"?><CompositionPlaylist><Id>{address}</Id></CompositionPlaylist>',
        "subtitles": "1\n00:00:00,000 --> 00:00:02,000\nHello\n",
        "a script of AviSynth": f'AviSource("{file}")\n',
        "a script of VapourSynth": f"import vapoursynth\nopen({file!r})\n",
        "lyrics": "[00:00.00]la la la\n",
        "metadata": ";FFMETADATA1\ntitle=x\n",
        "a list of chapters": f'CUESHEET\nFILE "{file}" WAVE\n',
    }
    return {name: text.encode() for name, text in texts.items()}
