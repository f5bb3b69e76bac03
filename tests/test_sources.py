"""Films on their way to a provider: what is sent as it is, what is copied, what is encoded anew."""

from __future__ import annotations

import threading
from fractions import Fraction

import av
import films
import numpy as np
import pytest
from luma_ray.nodes.generation import errors
from luma_ray.nodes.media import clips, encoding, sources

FRAMES = films.scene(12, 64, 48)


def never():
    return False


@pytest.fixture
def mp4(tmp_path):
    path = tmp_path / "film.mp4"
    encoding.write(FRAMES, path, frame_rate=24, width=64, height=48)
    return path


def tagged(source, path, container="mp4", **tags):
    """The same packets in another file, with tags."""
    options = {"movflags": "use_metadata_tags"} if container in ("mp4", "mov") else {}
    with av.open(str(source)) as given, av.open(str(path), "w", format=container, options=options) as made:
        made.metadata.update(tags)
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return path


def converted(looked, tmp_path):
    path = tmp_path / "sent.mp4"
    sources.convert(looked, path, stopped=never)
    return path


def metadata(path):
    with av.open(str(path)) as container:
        return dict(container.metadata)


def test_our_own_mp4_is_sent_as_it_is(mp4):
    looked = sources.look(mp4, never)
    assert looked.change == ""
    assert (looked.video.width, looked.video.height, looked.video.seconds) == (64, 48, 0.5)
    assert looked.video.size == mp4.stat().st_size
    assert looked.video.path == mp4


def test_the_workflow_that_comfyui_writes_into_a_video_is_not_sent_along(mp4, tmp_path):
    """It holds the prompts of the whole graph, and the link to the film is public."""
    path = tagged(mp4, tmp_path / "saved.mp4", workflow='{"nodes": []}', prompt="secret idea")
    assert b"secret idea" in path.read_bytes()
    looked = sources.look(path, never)
    assert looked.change == "with the workflow or other notes in it"
    sent = converted(looked, tmp_path)
    assert b"secret idea" not in sent.read_bytes()
    assert b"nodes" not in sent.read_bytes()
    same = zip(clips.read(mp4), clips.read(sent), strict=True)
    assert all(np.array_equal(one, other) for one, other in same), "the pictures are copied, not encoded anew"


def test_another_container_is_copied_into_an_mp4_without_loss(mp4, tmp_path):
    looked = sources.look(tagged(mp4, tmp_path / "film.mkv", "matroska"), never)
    assert looked.change == "not an MP4"
    sent = converted(looked, tmp_path)
    assert sources.look(sent, never).change == ""
    assert all(np.array_equal(a, b) for a, b in zip(clips.read(mp4), clips.read(sent), strict=True))


def test_quicktimes_own_container_is_not_taken_for_an_mp4(mp4, tmp_path):
    assert sources.look(tagged(mp4, tmp_path / "film.mov", "mov"), never).change == "not an MP4"


@pytest.mark.parametrize(
    ("codec", "pixels", "name"), [("mpeg4", "yuv420p", "mpeg4"), ("libx264", "yuv444p", "h264 yuv444p")]
)
def test_another_codec_is_encoded_anew_with_every_frame_at_its_rate(tmp_path, codec, pixels, name):
    path = tmp_path / "film.mp4"
    films.encode(FRAMES, path, codec=codec, pixel_format=pixels)
    looked = sources.look(path, never)
    assert looked.change.startswith(name)
    sent = converted(looked, tmp_path)
    facts, before = clips.inspect(sent), clips.inspect(path)
    assert (facts.frames, facts.frame_rate) == (before.frames, before.frame_rate)
    assert sources.look(sent, never).change == ""
    apart = [
        np.abs(one.astype(int) - other).mean()
        for one, other in zip(clips.read(path), clips.read(sent), strict=True)
    ]
    assert max(apart) < 4


def test_sound_that_an_mp4_holds_is_copied_along(tmp_path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w", format="matroska") as made:
        video = made.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = made.add_stream("aac", rate=48000, layout="mono")
        for number, rgb in enumerate(FRAMES):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            made.mux(video.encode(frame))
        tone = np.sin(np.arange(24000) / 20).astype(np.float32)[None]
        note = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        note.sample_rate = 48000
        made.mux(sound.encode(note))
        for stream in (video, sound):
            made.mux(stream.encode(None))
    looked = sources.look(path, never)
    assert clips.inspect(converted(looked, tmp_path)).has_audio


def test_the_same_file_is_the_same_source_wherever_it_lies(mp4, tmp_path):
    elsewhere = tmp_path / "elsewhere.mp4"
    elsewhere.write_bytes(mp4.read_bytes())
    one, other = sources.look(mp4, never).video, sources.look(elsewhere, never).video
    assert one == other
    assert one.identity() == other.identity()


def test_what_is_sent_instead_of_a_file_is_known_before_it_is_made(mp4, tmp_path):
    """So a film that was bought already is found again without converting anything."""
    path = tagged(mp4, tmp_path / "film.mkv", "matroska")
    first = sources.look(path, never)
    assert first.video.sha256 != sources.look(mp4, never).video.sha256
    assert first.video.sha256 == sources.look(path, never).video.sha256


def test_a_file_that_is_no_film_is_said_to_be_none(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(errors.BrokenClip):
        sources.look(path, never)


def test_looking_and_converting_end_when_the_person_stops(mp4, tmp_path):
    stop = threading.Event()
    looked = sources.look(tagged(mp4, tmp_path / "film.mkv", "matroska"), stop.is_set)
    stop.set()
    with pytest.raises(errors.Interrupted):
        sources.look(mp4, stop.is_set)
    with pytest.raises(errors.Interrupted):
        sources.convert(looked, tmp_path / "sent.mp4", stopped=stop.is_set)
