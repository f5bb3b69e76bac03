from __future__ import annotations

import av
import films
import numpy as np
import pytest
import torch
from luma_ray.nodes.generation.errors import BrokenClip, Interrupted, InvalidInput
from luma_ray.nodes.media import clips, encoding, frames, seams, sound
from luma_ray.nodes.media.sound import Form

MILLISECOND = 24 / 1000
"""In frames."""
ROAD = films.scene(120, 96, 64, speed=3)


@pytest.fixture
def clip(tmp_path):
    """A file of these frames; each call another one."""
    names = iter(range(1000))

    def make(pictures, *, suffix="mp4", **options):
        return films.encode(pictures, tmp_path / f"{next(names)}.{suffix}", **options)

    return make


def heard(path):
    """Frames in whose middles it clicks, as another reader has it."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        blocks = []
        for frame in file.decode(stream):
            blocks.append(frame.to_ndarray())
            if len(blocks) == 1:
                begin = frame.pts * stream.time_base
        place = round(begin * stream.rate)
    waveform = np.concatenate(blocks, axis=1)
    return [each + place * 24 / stream.rate for each in films.heard_at(waveform, stream.rate)]


def close(places, frames_, within=MILLISECOND):
    assert len(places) == len(frames_), places
    assert np.abs(np.array(places) - np.array(frames_) - 0.5).max() < within


# -- AUDIO --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("mp4", "aac", 48000),
        ("mp4", "aac", 44100),
        ("mp4", "aac", 24000),
        ("mp4", "libmp3lame", 44100),
        ("mp4", "libopus", 48000),
        ("mp4", "flac", 48000),
        ("mov", "pcm_s16le", 96000),
        ("matroska", "libopus", 48000),
        ("matroska", "aac", 44100),
        ("mpegts", "aac", 48000),
        ("avi", "pcm_s16le", 48000),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_audio_is_as_long_as_the_pictures_and_in_step_with_them(clip, container, codec, rate, channels):
    given = films.clicks(48, [3, 20, 41], rate=rate, channels=channels)
    path = clip(ROAD[:48], container=container, sound=given, sound_rate=rate, sound_codec=codec)
    audio = sound.audio(path)
    waveform = audio["waveform"]
    assert (waveform.dtype, audio["sample_rate"]) == (torch.float32, rate)
    assert waveform.shape == (1, channels, 2 * rate)
    close(films.heard_at(waveform[0].numpy(), rate), [3, 20, 41])


@pytest.mark.parametrize(
    ("start", "count", "clicks", "seconds"),
    [
        (0, 24, [3, 20], 1),
        (10, None, [10, 31], 38 / 24),
        (12, 24, [8], 1),
        (40, 24, [1], 8 / 24),
    ],
)
def test_the_sound_of_a_part_is_in_step_with_it(clip, start, count, clicks, seconds):
    audio = sound.audio(clip(ROAD[:48], sound=films.clicks(48, [3, 20, 41])), start=start, frames=count)
    assert audio["waveform"].shape == (1, 2, round(seconds * 48000))
    close(films.heard_at(audio["waveform"][0].numpy(), 48000), clicks)


def test_the_sound_of_frames_that_are_not_there_is_refused(clip):
    path = clip(ROAD[:24])
    with pytest.raises(InvalidInput, match="Frame 24 was asked for"):
        sound.audio(path, start=24)


def test_sound_that_begins_late_is_preceded_by_silence(clip):
    path = clip(ROAD[:48], sound=films.clicks(24, [2]), sound_from=0.5)
    close(films.heard_at(sound.audio(path)["waveform"][0].numpy(), 48000), [14])


def test_sound_that_begins_before_the_first_picture_is_cut_off(clip):
    path = clip(ROAD[:48], times=list(range(12, 60)), sound=films.clicks(60, [5, 20]))
    assert clips.timeline(path).times[0] > 0
    close(films.heard_at(sound.audio(path)["waveform"][0].numpy(), 48000), [8])


def test_of_a_clip_with_uneven_times_the_sound_from_a_frame_on_is_from_when_it_is_shown(clip):
    path = clip(ROAD[:30], times=[*range(20), *range(30, 40)], sound=films.clicks(40, [5, 32]))
    line = clips.timeline(path)
    heard_then = np.concatenate(list(sound.read(path, line, 20, 20_000, Form(48000, 2))), axis=1)
    close(films.heard_at(heard_then, 48000), [2])


def test_sound_that_goes_on_after_the_last_picture_is_cut(clip):
    path = clip(ROAD[:12], sound=films.clicks(48, [5, 30]))
    waveform = sound.audio(path)["waveform"]
    assert waveform.shape == (1, 2, 24000)
    close(films.heard_at(waveform[0].numpy(), 48000), [5])


def test_sound_with_a_hole_in_it_stays_in_step_after_the_hole(tmp_path, clip):
    whole = clip(ROAD[:48], sound=films.clicks(48, [4, 40]), suffix="mkv", container="matroska")
    path = tmp_path / "hole.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        copies = {each: target.add_stream_from_template(each, opaque=True) for each in source.streams}
        for packet in source.demux():
            if packet.dts is None or (
                packet.stream.type == "audio" and 0.5 < packet.pts * packet.time_base < 1
            ):
                continue
            packet.stream = copies[packet.stream]
            target.mux(packet)
    close(films.heard_at(sound.audio(path)["waveform"][0].numpy(), 48000), [4, 40])


def test_damaged_sound_is_silent_and_what_follows_stays_in_step(tmp_path, clip):
    path = clip(ROAD[:48], sound=films.clicks(48, [4, 40]))
    with av.open(str(path)) as file:
        places = [
            (p.pos, p.size) for p in file.demux(file.streams.audio[0]) if p.size and 20000 < p.pts < 60000
        ]
    data = bytearray(path.read_bytes())
    for place, size in places:
        data[place : place + size] = b"\xff" * size
    path.write_bytes(data)
    waveform = sound.audio(path)["waveform"][0].numpy()
    assert np.abs(waveform).max() <= 1
    close([each for each in films.heard_at(waveform, 48000) if not 9 < each < 31], [4, 40])


def test_a_clip_without_sound_is_silent_for_its_length(clip):
    audio = sound.audio(clip(ROAD[:36]))
    assert audio["sample_rate"] == 48000
    assert audio["waveform"].shape == (1, 2, 72000)
    assert not audio["waveform"].any()


def test_a_decoder_that_is_not_on_the_list_is_not_tried(clip):
    path = clip(ROAD[:24], sound=films.clicks(24, [5]), sound_codec="mp2", container="matroska")
    with av.open(str(path)) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) > 24_000  # FFmpeg itself would
    assert sound.form_of(path) is None
    assert not sound.audio(path)["waveform"].any()


def test_the_first_sound_that_can_be_decoded_is_taken(tmp_path, clip):
    """Phones put a track in front, or behind, that no one else knows."""
    strange = clip(ROAD[:24], sound=films.clicks(24, [5]), sound_codec="mp2", container="matroska")
    known = clip(ROAD[:24], sound=films.clicks(24, [9]), container="matroska")
    path = tmp_path / "both.mkv"
    with av.open(str(strange)) as one, av.open(str(known)) as other, av.open(str(path), "w") as target:
        packets = []
        for source, streams in ((one, one.streams), (other, other.streams.audio)):
            copies = {each: target.add_stream_from_template(each, opaque=True) for each in streams}
            for packet in source.demux(*copies):
                if packet.dts is not None:
                    packet.stream = copies[packet.stream]
                    packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            target.mux(packet)
    with av.open(str(path)) as file:
        assert [stream.codec_context.name for stream in file.streams.audio] == ["mp2", "aac"]
    close(films.heard_at(sound.audio(path)["waveform"][0].numpy(), 48000), [9])


def test_more_than_two_channels_are_mixed_to_two(tmp_path):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        voice = file.add_stream("aac", rate=48000)
        voice.codec_context.layout = "5.1"
        for rgb in ROAD[:12]:
            file.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        file.mux(video.encode(None))
        samples = np.zeros((6, 24000), np.float32)
        samples[2] = films.clicks(12, [6])[0]  # the centre alone
        block = av.AudioFrame.from_ndarray(samples, format="fltp", layout="5.1")
        block.sample_rate, block.pts = 48000, 0
        file.mux(voice.encode(block))
        file.mux(voice.encode(None))
    waveform = sound.audio(path)["waveform"][0].numpy()
    assert waveform.shape == (2, 24000)
    np.testing.assert_allclose(waveform[0], waveform[1], atol=1e-3)
    close(films.heard_at(waveform, 48000), [6])


def test_one_channel_becomes_two_without_becoming_quieter(clip):
    given = films.clicks(24, [8], channels=1)
    path = clip(ROAD[:24], sound=given, sound_codec="flac")
    line = clips.timeline(path)
    both = np.concatenate(list(sound.read(path, line, 0, 48000, Form(48000, 2))), axis=1)
    assert both.shape == (2, 48000)
    assert np.abs(both).max() == pytest.approx(0.9, abs=0.001)


@pytest.mark.parametrize("first", [0, 1, 30, 71, 119])
def test_sound_from_any_frame_on_is_what_the_whole_has_there(clip, first):
    # A chord: of noise, AAC stores no more than how loud it is.
    at = np.arange(240_000) / 48000
    chord = sum(0.2 * np.sin(2 * np.pi * pitch * at) for pitch in (261.6, 329.6, 392.0))
    path = clip(ROAD, sound=np.stack([chord, -chord]).astype(np.float32))
    line = clips.timeline(path)
    whole = sound.audio(path)["waveform"][0].numpy()
    part = np.concatenate(list(sound.read(path, line, first, 2000, Form(48000, 2))), axis=1)
    np.testing.assert_allclose(part, whole[:, first * 2000 : first * 2000 + 2000], atol=1e-6)


def test_sound_deep_in_a_film_is_found_without_decoding_what_is_before(clip, monkeypatch):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 240_000)).astype(np.float32)
    path = clip(ROAD, sound=noise)
    line = clips.timeline(path)
    decoded = []
    monkeypatch.setattr(sound, "_values", lambda frame: decoded.append(frame.pts) or frame.to_ndarray())
    for _ in sound.read(path, line, 110, 2000, Form(48000, 2)):
        pass
    assert min(decoded) > 3 * 48000


def test_a_stopped_decoding_of_sound_ends(clip):
    with pytest.raises(Interrupted):
        sound.audio(clip(ROAD[:12], sound=films.clicks(12, [3])), stopped=lambda: True)


def test_more_sound_than_memory_is_refused_in_words(clip, monkeypatch):
    monkeypatch.setattr(frames, "free_memory", lambda: 100)
    with pytest.raises(InvalidInput, match=r"sound of .* is 0 s long and needs 0\.0 GB .* trim the video"):
        sound.audio(clip(ROAD[:6]))


def test_what_is_no_clip_has_no_sound(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_text("<html>")
    with pytest.raises(BrokenClip):
        sound.audio(path)


# -- joins --------------------------------------------------------------------------------------------------

ENCODED = {"preset": "veryfast"}
"""Pictures that lean on later ones: a join of such clips has to encode."""


def joined(tmp_path, *parts):
    film = tmp_path / "film.mp4"
    found = seams.join(parts, film)
    return film, [seam.dropped for seam in found]


@pytest.mark.parametrize("options", [None, ENCODED], ids=["copied", "encoded"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"sound_rate": 48000}, {"sound_rate": 48000}),
        ({"sound_rate": 44100}, {"sound_rate": 44100}),
        ({"sound_rate": 44100}, {"sound_rate": 48000}),
        ({"sound_rate": 48000}, {"sound_rate": 24000, "channels": 1}),
        ({"sound_rate": 44100, "channels": 1}, {"sound_rate": 44100, "channels": 1}),
    ],
)
def test_after_a_join_every_click_is_in_its_frame(clip, tmp_path, first, second, options):
    def part(pictures, at, *, sound_rate, channels=2):
        given = films.clicks(len(pictures), at, rate=sound_rate, channels=channels)
        return clip(pictures, sound=given, sound_rate=sound_rate, options=options)

    parts = [
        part(ROAD[:40], [0, 7, 39], **first),
        part(ROAD[39:80], [0, 10, 40], **second),  # its first frame is dropped
        part(ROAD[80:], [0, 39], **first),
    ]
    film, dropped = joined(tmp_path, *parts)
    assert dropped == [1, 0]
    close(heard(film), [0, 7, 39, 49, 79, 80, 119])
    facts = clips.inspect(film)
    assert (facts.frames, facts.has_audio) == (120, True)


def test_sound_stays_in_step_over_many_joins(clip, tmp_path):
    """Neither frames nor AAC's blocks are whole numbers of each other: what is rounded must not add up."""
    parts = [
        clip(ROAD[n : n + 9], sound=films.clicks(9, [4], rate=44100), sound_rate=44100)
        for n in range(0, 117, 9)
    ]
    film, dropped = joined(tmp_path, *parts)
    assert set(dropped) == {0}
    close(heard(film), [n + 4 for n in range(0, 117, 9)], within=MILLISECOND / 16)


def test_a_part_without_sound_is_silent_and_the_next_stays_in_step(clip, tmp_path):
    parts = [
        clip(ROAD[:30]),
        clip(ROAD[30:60], sound=films.clicks(30, [5])),
        clip(ROAD[60:90]),
        clip(ROAD[90:], sound=films.clicks(30, [5], channels=1)),
    ]
    film, _ = joined(tmp_path, *parts)
    close(heard(film), [35, 95])


def test_a_film_of_silent_parts_has_no_sound(clip, tmp_path):
    film, _ = joined(tmp_path, clip(ROAD[:30]), clip(ROAD[30:60]))
    assert not clips.inspect(film).has_audio


def test_of_a_part_that_contains_the_one_before_only_the_new_sound_is_heard(clip, tmp_path):
    film, dropped = joined(
        tmp_path,
        clip(ROAD[:40], sound=films.clicks(40, [10])),
        clip(ROAD[:80], sound=films.clicks(80, [20, 60])),
    )
    assert dropped == [40]
    close(heard(film), [10, 60])


def test_sound_that_outlasts_its_pictures_does_not_push_the_next_part(clip, tmp_path):
    film, _ = joined(
        tmp_path,
        clip(ROAD[:30], sound=films.clicks(60, [5, 45])),
        clip(ROAD[30:60], sound=films.clicks(30, [9])),
    )
    close(heard(film), [5, 39])


def test_a_cut_does_not_click(clip, tmp_path):
    """Two tones that are cut at their loudest: a step from 0.8 to -0.8 without fades."""
    loud = np.full((2, 60_000), 0.8, np.float32)
    film, _ = joined(
        tmp_path,
        clip(ROAD[:30], sound=loud, sound_codec="flac"),
        clip(ROAD[30:60], sound=-loud, sound_codec="flac"),
    )
    waveform = sound.audio(film)["waveform"][0].numpy()
    at = 60_000
    assert np.abs(np.diff(waveform[0, at - 1000 : at + 1000])).max() < 0.05
    # And it is short: 6 ms away everything is as loud as it was.
    assert waveform[0, at - 300] == pytest.approx(0.8, abs=0.05)
    assert waveform[0, at + 300] == pytest.approx(-0.8, abs=0.05)


def test_the_beginning_and_the_end_of_a_film_do_not_fade(clip, tmp_path):
    loud = np.full((2, 60_000), 0.8, np.float32)
    parts = [clip(ROAD[n : n + 30], sound=loud, sound_codec="flac") for n in (0, 30)]
    film, _ = joined(tmp_path, *parts)
    waveform = sound.audio(film)["waveform"][0].numpy()
    assert np.abs(waveform[0, :200] - 0.8).max() < 0.15
    assert np.abs(waveform[0, -200:] - 0.8).max() < 0.15


def test_a_film_has_one_aac_track_that_ends_with_the_pictures(clip, tmp_path):
    film, _ = joined(tmp_path, *[clip(ROAD[n : n + 30], sound=films.clicks(30, [5])) for n in (0, 30)])
    with av.open(str(film)) as file:
        (track,) = file.streams.audio
        assert (track.codec_context.name, track.rate, track.layout.name) == ("aac", 48000, "stereo")
        assert track.duration * track.time_base == pytest.approx(60 / 24, abs=0.001)
        assert track.start_time == file.streams.video[0].start_time == 0


def test_the_same_parts_give_the_same_bytes(clip, tmp_path):
    parts = [
        clip(ROAD[n : n + 30], sound=films.clicks(30, [5]), options=ENCODED if n else None) for n in (0, 29)
    ]
    made = []
    for name in ("one.mp4", "two.mp4"):
        seams.join(parts, tmp_path / name)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]


# -- AUDIO to sound -----------------------------------------------------------------------------------------


def given(waveform, rate):
    return {"waveform": torch.from_numpy(waveform)[None], "sample_rate": rate}


@pytest.mark.parametrize(("rate", "channels"), [(48000, 2), (44100, 1), (16000, 1), (96000, 2), (48000, 6)])
def test_audio_is_written_beside_frames_in_step(tmp_path, rate, channels):
    path = tmp_path / "film.mp4"
    audio = given(films.clicks(48, [3, 40], rate=rate, channels=channels), rate)
    encoding.write(
        iter(ROAD[:48]), path, frame_rate=24, width=96, height=64, sound=sound.of_audio(audio, 48, 24)
    )
    close(heard(path), [3, 40])
    assert clips.inspect(path).frames == 48


@pytest.mark.parametrize("length", [10, 200])
def test_audio_of_another_length_than_the_frames_is_cut_or_followed_by_silence(tmp_path, length):
    path = tmp_path / "film.mp4"
    voice = sound.of_audio(given(films.clicks(length, [3]), 48000), 48, 24)
    encoding.write(iter(ROAD[:48]), path, frame_rate=24, width=96, height=64, sound=voice)
    with av.open(str(path)) as file:
        assert float(file.streams.audio[0].duration * file.streams.audio[0].time_base) == pytest.approx(2)


@pytest.mark.parametrize("nothing", [None, {}, {"waveform": torch.zeros(1, 2, 0), "sample_rate": 44100}])
def test_no_audio_is_no_sound(nothing):
    assert sound.of_audio(nothing, 48, 24) is None
