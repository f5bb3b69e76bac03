"""Clips made to hurt: whatever a file claims to be, it is opened, or it is broken, soon and in little memory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import films
import pytest
from emulators.server import FileHost
from fuzz import hunt as hunting
from fuzz.bombs import bombs, elsewhere, playlists
from fuzz.boxes import Box, changed, full, read, written
from fuzz.hunt import SECONDS, Looker, hunt
from fuzz.mutations import mutated
from fuzz.seeds import seeds
from luma_ray.nodes.generation.errors import BrokenClip, InvalidInput
from luma_ray.nodes.media import claims, clips, encoding, frames, opening, seams

MUTATIONS = int(os.environ.get("LUMA_RAY_MUTATIONS", "200"))
"""How many mutated files are tried; `python tests/fuzz/hunt.py --count 5000` tries more."""
ALLOWED = {"opened", "BrokenClip", "InvalidInput"}
LARGEST_BOMB = 256
"""MiB that even the worst of the small files below makes the pack take."""
OPENED_ALL_THE_SAME = {
    # What claims nonsense beside its pictures, and has them: a film is not thrown away for its header.
    "one time for ever",
    "a size that ends nowhere",
    "an inch high and a mile wide",
    "a mile high and an inch wide",
    "no time at all",
    "a second that lasts for ever",
    "the shortest moments",
    "sound said to be pictures",
    "another file by its address",
    "frames of two sizes",
}

posix = pytest.mark.skipif(os.name != "posix", reason="limits on memory and pipes with names are of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in /proc")


@pytest.fixture(scope="module")
def looker(tmp_path_factory):
    """A process with limited memory that opens what it is given in every way the pack does."""
    with Looker(tmp_path_factory.mktemp("looks")) as looker:
        yield looker


@pytest.fixture
def file(tmp_path):
    """Writes a file and gives its path."""

    def write(data: bytes, name: str = "clip.mp4") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def looked(looker, path):
    results = looker.look(path)
    kinds = {outcome for outcome, _, _ in results.values()}
    return (
        kinds,
        max(took for _, took, _ in results.values()),
        max(memory for _, _, memory in results.values()),
    )


# -- files that claim to be enormous --------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("name", bombs())
def test_a_bomb_does_not_go_off(looker, file, name):
    kinds, took, memory = looked(looker, file(bombs()[name]))
    assert kinds <= ALLOWED, kinds
    assert name in OPENED_ALL_THE_SAME or "opened" not in kinds
    assert took < SECONDS
    assert memory < LARGEST_BOMB


@linux
def test_all_that_is_opened_all_the_same_is_a_bomb_of_ours():
    assert set(bombs()) > OPENED_ALL_THE_SAME


@linux
def test_mutated_files_are_opened_or_broken(tmp_path, capsys):
    found = hunt(
        ((f"{n} ({kind})", data) for n in range(MUTATIONS) for kind, data in [mutated(n, seeds())]), tmp_path
    )
    with capsys.disabled():
        print(f"\n{found.table()}")
    assert found.broken == []
    assert found.files == MUTATIONS
    assert set(found.outcomes) <= ALLOWED
    # The mutations are worth something: many files break, and many are read in spite of them.
    assert MUTATIONS / 5 < found.refused < MUTATIONS * 4 / 5


@linux
@pytest.mark.parametrize("number", [3058, 5023, 6308, 9768, 11751])
def test_what_once_broke_something_does_not_break_it_again(looker, file, number):
    kinds, took, memory = looked(looker, file(mutated(number, seeds())[1]))
    assert kinds <= ALLOWED
    assert took < SECONDS
    assert memory < LARGEST_BOMB


@linux
@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        ("os.kill(os.getpid(), 11)", "CRASHED with -11"),
        ("sys.exit(3)", "CRASHED with 3"),
        ("time.sleep(600)", "HUNG"),
        ("print(json.dumps({'inspect': ['ESCAPED builtins.KeyError: 1', 0.1, 5]}), flush=True)", "ESCAPED"),
        ("print(json.dumps({'inspect': ['opened', 99.0, 5]}), flush=True)", "99.0 s"),
        ("print(json.dumps({'inspect': ['opened', 0.1, 9999]}), flush=True)", "9999 MiB"),
    ],
)
def test_a_hunt_notices_what_must_not_happen(tmp_path, monkeypatch, ending, outcome):
    script = tmp_path / "looks.py"
    script.write_text(
        f"import json, os, sys, time\nprint('ready', flush=True)\nfor line in sys.stdin:\n    {ending}\n"
    )
    monkeypatch.setattr(hunting, "LOOKS", script)
    told = []
    found = hunt([("a file", b"x")], tmp_path, seconds=0.1, kept=tmp_path / "kept", told=told.append)
    assert len(found.broken) == 1
    assert "a file" in found.broken[0]
    assert outcome in found.broken[0]
    assert told == found.broken
    assert (tmp_path / "kept" / "1.mp4").read_bytes() == b"x"


@linux
def test_a_process_that_died_is_begun_anew(tmp_path, monkeypatch):
    script = tmp_path / "looks.py"
    script.write_text(
        "import json, os, sys\nprint('ready', flush=True)\nfor line in sys.stdin:\n"
        "    os.kill(os.getpid(), 11) if 'bad' in line else None\n"
        "    print(json.dumps({'inspect': ['opened', 0.1, 1]}), flush=True)\n"
    )
    monkeypatch.setattr(hunting, "LOOKS", script)
    with Looker(tmp_path) as looker:
        assert looker.look(Path("bad"))["process"][0] == "CRASHED with -11"
        assert looker.look(Path("good"))["inspect"][0] == "opened"


def test_the_same_number_is_the_same_mutation():
    assert [mutated(number, seeds()) for number in range(20)] == [
        mutated(number, seeds()) for number in range(20)
    ]
    assert len({data for _, data in (mutated(number, seeds()) for number in range(100))}) > 95


# -- text that makes a player open something else -------------------------------------------------------------------


@linux
def test_no_playlist_reaches_another_file_or_an_address(looker, file, tmp_path):
    # A pipe that nobody writes to: whoever opens it waits for ever, and is found out.
    pipe = tmp_path / "secret.ts"
    os.mkfifo(pipe)
    with FileHost() as files:
        found = {
            name: looked(looker, file(text))[0] for name, text in playlists(str(pipe), files.origin).items()
        }
        assert found == {name: {"BrokenClip"} for name in found}
        assert files.requests == []


class Reader:
    """Notices whoever opens a pipe to read from it."""

    def __init__(self, pipe: Path) -> None:
        os.mkfifo(pipe)
        self._pipe = pipe
        self.came = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        handle = os.open(self._pipe, os.O_WRONLY)
        self.came.set()
        os.close(handle)

    def end(self) -> bool:
        """Whether anybody came."""
        came = self.came.is_set()
        handle = os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK)
        self._thread.join(20)
        os.close(handle)
        return came


@posix
@pytest.mark.parametrize("kind", [b"alis", b"url "])
def test_no_reference_in_an_mp4_reaches_another_file(file, tmp_path, kind):
    reader = Reader(tmp_path / "secret")
    path = file(elsewhere(str(tmp_path / "secret"), kind))
    for look in (clips.inspect, clips.timeline, frames.decode, frames.first_frame, frames.last_frame):
        with contextlib.suppress(BrokenClip):
            look(path)
    assert reader.end() is False


@posix
def test_left_to_itself_ffmpeg_can_be_made_to_follow_one(file, tmp_path):
    """Or the test above would prove nothing."""
    reader = Reader(tmp_path / "secret")
    path = file(elsewhere(str(tmp_path / "secret")))
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}):
        pass
    assert reader.end() is True


def test_left_to_itself_ffmpeg_would_follow_a_playlist(file, tmp_path):
    """Or the test above would prove nothing."""
    film = file(seeds()["mpegts"], "film.ts")
    playlist = file(playlists(str(film), "")["HLS of a file"], "clip.m3u8")
    with av.open(str(playlist), options={"protocol_whitelist": "file"}) as container:
        assert container.format.name == "hls"
        assert next(container.decode(video=0)).width == 64
    with pytest.raises(BrokenClip):
        clips.inspect(playlist)


def test_left_to_itself_ffmpeg_would_ask_an_address(file):
    with FileHost() as files:
        playlist = file(playlists("", files.origin)["HLS of an address"], "clip.m3u8")
        with pytest.raises(av.error.FFmpegError):
            av.open(str(playlist), options={"protocol_whitelist": "file,http,tcp"})
        asked = len(files.requests)
        assert asked > 0
        with pytest.raises(BrokenClip):
            clips.inspect(playlist)
        assert len(files.requests) == asked


def test_a_file_is_read_as_what_it_begins_like_and_as_nothing_else(file):
    # Else a file could show `claims` one face and FFmpeg another.
    assert opening._options(file(seeds()["mp4"]))["format_whitelist"] == "mov"
    for name in ("matroska", "webm", "mpegts", "avi", "gif", "h264"):
        assert "mov" not in opening._options(file(seeds()[name]))["format_whitelist"].split(",")


def test_only_files_are_opened(file):
    assert opening._options(file(b""))["protocol_whitelist"] == "file"


@pytest.mark.parametrize("codec", ["cinepak", "rpza", "msvideo1"])
def test_a_decoder_that_is_not_on_the_list_is_not_tried(tmp_path, codec):
    container = "avi" if codec == "msvideo1" else "mov"
    pixels = {"cinepak": "rgb24", "rpza": "rgb555le", "msvideo1": "rgb555le"}[codec]
    path = films.encode(
        films.scene(3, 64, 48), tmp_path / "clip", container=container, codec=codec, pixel_format=pixels
    )
    with av.open(str(path)) as left_to_itself:
        assert next(left_to_itself.decode(video=0)).width == 64
    with pytest.raises(BrokenClip):
        clips.inspect(path)


# -- what is no file ------------------------------------------------------------------------------------------------


@posix
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(BrokenClip, match="it is not a file"):
        clips.inspect(tmp_path / "clip.mp4")


@posix
def test_a_device_is_no_clip(tmp_path):
    (tmp_path / "clip.mp4").symlink_to("/dev/zero")
    with pytest.raises(BrokenClip, match="it is not a file"):
        clips.inspect(tmp_path / "clip.mp4")


@posix
def test_a_socket_is_no_clip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("clip.mp4")
        with pytest.raises(BrokenClip, match="it is not a file"):
            clips.inspect(tmp_path / "clip.mp4")


@posix
def test_links_in_a_circle_are_no_clip(tmp_path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "b.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    with pytest.raises(BrokenClip):
        clips.inspect(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    "name", ["a\0b.mp4", "x" * 5000, "http://127.0.0.1:9/a.mp4", "concat:a.mp4|b.mp4", "pipe:0", "-"]
)
def test_a_name_that_is_no_file_is_no_clip(tmp_path, name):
    for path in (tmp_path / name, Path(name)):
        with pytest.raises(BrokenClip):
            clips.inspect(path)


@pytest.mark.parametrize(
    "name", ["file:clip.mp4", "concat:x.mp4", "%d.mp4", "a b'\"$(x).mp4", "-i.mp4", "ünï🦊.mp4"]
)
def test_a_file_of_any_name_is_opened_as_that_file(tmp_path, monkeypatch, name):
    if os.name == "nt" and set(name) & set(':"'):
        pytest.skip("Windows has no such names")
    (tmp_path / name).write_bytes(seeds()["mp4"])
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, Path(name)):
        assert clips.inspect(path).frames == 24


# -- what a film may claim ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in seeds() if name.startswith(("mp4", "mov"))])
def test_films_as_they_are_weigh_nothing(file, name):
    path = file(seeds()[name])
    assert claims.is_mp4(path)
    claims.weigh(path)


@pytest.mark.parametrize("name", [name for name in seeds() if not name.startswith(("mp4", "mov"))])
def test_other_films_are_no_mp4(file, name):
    assert not claims.is_mp4(file(seeds()[name]))


def uncompressed_sound(seconds: int, chunks: int) -> bytes:
    """An hour of sound as cameras write it: every sample counted."""
    samples = 48000 * seconds

    def change(root: Box) -> None:
        for track in root.find(b"trak"):
            if b"soun" in bytes(track):
                for box in track.find(b"stsz"):
                    box.payload = struct.pack(">III", 0, 2, samples)
                for box in track.find(b"stts"):
                    box.payload = struct.pack(">IIII", 0, 1, samples, 1)
                for box in track.find(b"stsc"):
                    box.payload = struct.pack(">IIIII", 0, 1, 1, samples // chunks, 1)
                for box in track.find(b"stco"):
                    box.payload = struct.pack(f">II{chunks}I", 0, chunks, *([48] * chunks))

    return changed(seeds()["mp4, sound"], change)


def test_three_hours_of_uncompressed_sound_are_sound(file):
    claims.weigh(file(uncompressed_sound(3 * 3600, 3 * 3600)))


def test_uncompressed_sound_in_one_chunk_of_a_day_is_none(file):
    with pytest.raises(BrokenClip, match="claims"):
        claims.weigh(file(uncompressed_sound(24 * 3600, 1)))


def long_film(count: int, edits: int = 1) -> bytes:
    def change(root: Box) -> None:
        for box in root.find(b"stsz"):
            box.payload = struct.pack(">III", 0, 1, count)
        for track in root.find(b"trak"):
            track.inside = [box for box in track.inside if box.kind != b"edts"]
            listed = struct.pack(">I", edits) + struct.pack(">IIHH", 1000, 0, 1, 0) * edits
            track.inside.insert(1, Box(b"edts", inside=[full(b"elst", listed)]))

    return changed(seeds()["mp4"], change)


@pytest.mark.parametrize(
    ("count", "edits"), [(claims.MOST_SAMPLES, 1), (claims.MOST_SHOWN // 2, 2), (24, 1000)]
)
def test_the_longest_film_is_a_film(file, count, edits):
    claims.weigh(file(long_film(count, edits)))


@pytest.mark.parametrize(
    ("count", "edits"), [(claims.MOST_SAMPLES + 1, 1), (claims.MOST_SHOWN // 2 + 1, 2), (1, 1001), (0, 1001)]
)
def test_one_frame_more_is_none(file, count, edits):
    with pytest.raises(BrokenClip, match="claims"):
        claims.weigh(file(long_film(count, edits)))


def test_what_stands_in_the_pictures_is_not_taken_for_a_claim(file):
    data = seeds()["mp4, index last"]
    at = data.index(b"mdat") + 400
    claim = struct.pack(">I4sIII", 20, b"stsz", 0, 1, 0xFFFFFFFF) + struct.pack(">I4s", 8, b"cmov")
    path = file(data[:at] + claim + data[at + len(claim) :])
    claims.weigh(path)
    assert clips.timeline(path).frames == 24


@pytest.mark.parametrize("kind", [b"free", b"hoov"])
def test_an_index_that_is_hidden_where_ffmpeg_looks_all_the_same_is_weighed(file, kind):
    root = read(bombs()["40 million frames of one byte"])
    for box in root.inside:
        if box.kind == b"moov":
            box.kind = kind
    with pytest.raises(BrokenClip, match="claims"):
        claims.weigh(file(written(root)))


def test_an_index_behind_pictures_of_more_than_four_gigabytes_is_weighed(tmp_path):
    index = next(box for box in read(bombs()["40 million frames of one byte"]).inside if box.kind == b"moov")
    path = tmp_path / "clip.mp4"
    with path.open("wb") as out:  # a file with a hole: it takes no room on the disk
        out.write(struct.pack(">I4s", 1, b"mdat") + struct.pack(">Q", 5 << 30))
        out.seek(5 << 30)
        out.write(bytes(index))
    with pytest.raises(BrokenClip, match="claims"):
        claims.weigh(path)


def test_an_index_of_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "clip.mp4"
    with path.open("wb") as out:
        out.write(struct.pack(">I4s", 1, b"moov") + struct.pack(">Q", 5 << 30))
        out.seek((5 << 30) - 1)
        out.write(b"\0")
    with pytest.raises(BrokenClip, match="more than 64 MiB"):
        claims.weigh(path)


# -- limits that a small file does not reach ------------------------------------------------------------------------


def test_a_clip_that_takes_too_long_to_look_through_is_broken(file, monkeypatch):
    monkeypatch.setattr(opening, "LONGEST_LOOK", -1.0)
    for look in (clips.inspect, clips.arrived, frames.last_frame):
        with pytest.raises(BrokenClip, match="could not be looked through"):
            look(file(seeds()["mp4"]))


def test_a_clip_of_too_many_frames_is_broken(file, monkeypatch):
    monkeypatch.setattr(clips, "MOST_FRAMES", 23)
    with pytest.raises(BrokenClip, match="more than 23 frames"):
        clips.inspect(file(seeds()["mp4"]))


def black(path: Path, width: int, height: int) -> Path:
    frame = films.np.zeros((height, width, 3), films.np.uint8)
    encoding.write(iter([frame]), path, frame_rate=24, width=width, height=height, crf=51)
    return path


def test_a_picture_of_8k_is_decoded_and_a_larger_one_is_not(tmp_path):
    assert clips.inspect(black(tmp_path / "clip.mp4", 7680, 4320)).width == 7680
    assert 7680 * 4320 <= opening.MOST_PIXELS < 8192 * 8192


def test_what_a_provider_gives_is_no_larger_than_what_ray_makes(tmp_path):
    assert clips.arrived(black(tmp_path / "clip.mp4", 5120, 2160)).width == 5120
    large = black(tmp_path / "large.mp4", 7680, 2304)
    assert clips.inspect(large).width == 7680
    with pytest.raises(BrokenClip):
        clips.arrived(large)


@linux
@pytest.mark.skipif(MUTATIONS < 1000, reason="it takes a minute and 5 GB: LUMA_RAY_MUTATIONS=1000 tries it")
@pytest.mark.parametrize(
    ("look", "size", "gigabytes"), [("arrived", (4096, 4096), 2.5), ("inspect", (7680, 4320), 4.5)]
)
def test_the_dearest_clip_that_can_be_made_costs_what_is_stated(tmp_path, look, size, gigabytes):
    """16 frames to look back at, three channels of ten bits: what H.264 has of the dearest, in a small file."""
    if (frames.free_memory() or 0) < 8e9:
        pytest.skip("there is too little memory to try it")
    path = tmp_path / "dear.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=24, options={"preset": "ultrafast", "x264-params": DEAR})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p10le"
        frame = av.VideoFrame(*size, "yuv444p10le")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for number in range(20):
            frame.pts, frame.time_base = number, Fraction(1, 24)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    assert path.stat().st_size < 200_000
    measured = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "fuzz" / "looks.py"), "0", str(small(tmp_path)), look],
        input=f"{path}\n",
        capture_output=True,
        text=True,
        timeout=300,
    )
    outcome, _, mebibytes = json.loads(measured.stdout.splitlines()[-1])[look]
    assert outcome == "opened", measured.stderr
    assert 0.4 * gigabytes < mebibytes / 1024 < gigabytes


DEAR = "ref=16:rc-lookahead=0:keyint=1000:bframes=0"


def small(folder: Path) -> Path:
    path = folder / "small.mp4"
    path.write_bytes(seeds()["mp4"])
    return path


def test_a_clip_that_changes_its_size_is_told_as_one(file):
    with pytest.raises(BrokenClip, match="changes its size"):
        frames.decode(file(bombs()["frames of two sizes"], "clip.h264"))


def more_than_it_says(monkeypatch, path) -> None:
    """Let a clip count fewer frames than it has."""
    line = clips.timeline(path)
    short = clips.Timeline(4, line.frame_rate, line.seconds, line.has_audio, (), ())
    monkeypatch.setattr(clips, "timeline", lambda path, **_: short)


def test_frames_beyond_those_that_were_promised_are_decoded_where_there_is_memory(file, monkeypatch):
    path = file(seeds()["mp4"])
    more_than_it_says(monkeypatch, path)
    assert frames.decode(path).shape[0] == 24


@pytest.mark.parametrize("free", [0, frames._SPARE + 4 * 96 * 64 * 12])
def test_frames_beyond_those_that_were_promised_are_no_way_to_all_memory(file, monkeypatch, free):
    path = file(seeds()["mp4"])
    more_than_it_says(monkeypatch, path)
    answers = iter([None, *[free] * 50] if not free else [free, *[frames._SPARE] * 50])
    monkeypatch.setattr(frames, "free_memory", lambda: next(answers))
    with pytest.raises(InvalidInput, match="more frames than it says"):
        frames.decode(path)


def test_memory_that_the_system_does_not_give_is_a_sentence(file, monkeypatch):
    def refused(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(frames.np, "empty", refused)
    with pytest.raises(InvalidInput, match="of memory"):
        frames.decode(file(seeds()["mp4"]))


@pytest.mark.parametrize("rate", [Fraction(0), Fraction(-1), Fraction(1, 10**6), Fraction(10**9), 1001])
def test_a_film_at_a_rate_that_is_none_is_not_written(tmp_path, rate):
    with pytest.raises(InvalidInput, match="frames a second cannot be made"):
        encoding.write(iter(films.scene(2, 64, 48)), tmp_path / "a.mp4", frame_rate=rate, width=64, height=48)
    assert list(tmp_path.iterdir()) == []


def test_a_film_in_a_size_that_h264_does_not_have_is_not_written(tmp_path):
    wide = films.np.zeros((16, 20_000, 3), films.np.uint8)
    with pytest.raises(InvalidInput, match="cannot be encoded"):
        encoding.write(iter([wide]), tmp_path / "a.mp4", frame_rate=24, width=20_000, height=16)
    assert list(tmp_path.iterdir()) == []


def test_hostile_clips_are_opened_on_many_threads_at_once(file):
    """PyAV is not entered twice with one file; what belongs to one clip stays out of the others."""
    paths = [
        file(data, f"{number}.mp4")
        for number, data in enumerate([*list(bombs().values())[:8], seeds()["mp4"]])
    ]
    wrong = []

    def look(path: Path) -> None:
        try:
            facts = clips.inspect(path)
        except BrokenClip:
            if path == paths[-1]:
                wrong.append(path)
        else:
            if facts.frames != 24:
                wrong.append(path)

    threads = [threading.Thread(target=look, args=(path,)) for path in paths * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_a_seam_with_a_hostile_clip_is_a_broken_clip(file):
    good = file(seeds()["mp4"], "good.mp4")
    for name in ("40 million frames of one byte", "nothing", "a codec that is none"):
        bad = file(bombs()[name], "bad.mp4")
        for parts in ([good, bad], [bad, good]):
            with pytest.raises(BrokenClip):
                seams.join(parts, good.with_name("film.mp4"))
    assert not good.with_name("film.mp4").exists()
    assert json.dumps(sorted(path.name for path in good.parent.iterdir())) == '["bad.mp4", "good.mp4"]'
