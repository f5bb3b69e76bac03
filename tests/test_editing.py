"""Clips made from clips, end to end: at Luma's emulator with films in a bucket, and offline with the animatic."""

from __future__ import annotations

from pathlib import Path

import films
import numpy as np
import pytest
import torch
from emulators import clips as drawn
from emulators.server import Fault
from luma_ray.nodes.chain import Source
from luma_ray.nodes.editing import Place
from luma_ray.nodes.film import Settings
from luma_ray.nodes.generation import errors
from luma_ray.nodes.media import clips, encoding, images, sound

AUTO = Settings(prompt="as a painting", resolution="auto")
FOX = Settings(prompt="a fox in the snow", resolution="540p")


@pytest.fixture
def film(tmp_path):
    """An MP4 of somebody's own, 2 s long."""
    path = tmp_path / "mine.mp4"
    encoding.write(films.scene(48, 160, 90), path, frame_rate=24, width=160, height=90)
    return path


@pytest.fixture
def at_luma(luma, bucket):
    return luma


@pytest.fixture
def agents(monkeypatch):
    from emulators.luma_agents import LumaAgentsEmulator

    with LumaAgentsEmulator() as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


def still(red=200, width=320, height=180):
    return images.still(images.tensor(drawn.photograph(red, width, height).pixels), name="first_frame")


def sent(luma):
    """The bodies of the creates that made one clip into another."""
    return [
        request.json
        for request in luma.requests
        if request.method == "POST" and request.path != "/generations/video"
    ]


# -- at Luma --------------------------------------------------------------------------------------------------


def test_a_film_of_ones_own_is_modified_and_comes_back_as_long_as_it_was(work, at_luma, film):
    made = work.modify_video(AUTO, Source(video=film), mode="adhere_2", first_frame=still())
    (body,) = sent(at_luma)
    assert body["mode"] == "adhere_2"
    assert body["model"] == "ray-flash-2"
    assert body["media"]["url"].split("?")[0].endswith(".mp4")
    assert body["first_frame"]["url"].split("?")[0].endswith(".png")
    assert clips.inspect(made.path).frames == 48
    assert made.summary == "ray-flash-2 · 2 s · 160x90 · luma · 5 s · $0.00"


def test_the_same_film_and_mode_are_bought_once_and_a_new_take_once_more(work, at_luma, film):
    for take, creates in ((1, 1), (1, 1), (2, 2), (1, 2)):
        settings = Settings(prompt="as a painting", resolution="auto", take=take)
        work.modify_video(settings, Source(video=film), mode="flex_1")
        assert len(at_luma.creates) == creates


def test_the_film_is_uploaded_once_for_two_modes(work, at_luma, bucket, film):
    for mode in ("flex_1", "flex_2"):
        work.modify_video(AUTO, Source(video=film), mode=mode)
    (stored,) = bucket.objects.all()
    assert stored.key.endswith(".mp4")
    assert stored.get()["Body"].read() == film.read_bytes()
    assert stored.get()["ContentType"] == "video/mp4"


def test_a_clip_of_ray_is_modified_from_its_file(work, at_luma):
    made = work.text_to_video(FOX)
    work.modify_video(AUTO, Source(generations=made.generations), mode="flex_1")
    assert len(sent(at_luma)) == 1


def test_a_reframe_in_the_middle_sends_no_numbers_and_elsewhere_all_eight(work, at_luma, film):
    settings = Settings(aspect_ratio="9:16", resolution="auto")
    work.reframe_video(settings, Source(video=film))
    work.reframe_video(settings, Source(video=film), place=Place(scale=0.5, across=0, down=0))
    middle, corner = sent(at_luma)
    assert set(middle) == {"generation_type", "model", "aspect_ratio", "media"}
    assert {name: corner[name] for name in ("grid_position_x", "x_start", "x_end", "y_start", "y_end")} == {
        "grid_position_x": 0,
        "x_start": 0,
        "x_end": 576,
        "y_start": 0,
        "y_end": 324,
    }
    assert (corner["resized_width"], corner["resized_height"]) == (576, 324)


def test_a_clip_is_upscaled_by_its_id_without_being_uploaded(work, luma):
    fox = work.text_to_video(FOX)
    made = work.upscale_video(Settings(resolution="1080p"), fox.generations)
    assert sent(luma) == [{"generation_type": "upscale_video", "resolution": "1080p"}]
    assert luma.requests[-1].method == "GET"
    parent = luma.creates[0].id
    assert f"/generations/{parent}/upscale" in {request.path for request in luma.requests}
    assert clips.inspect(made.path).frames == 121
    assert made.generations != fox.generations
    assert "$0.45" in made.summary  # 5 s at $0.09


def test_a_clip_gets_sound_and_its_video_keeps_it(work, luma):
    fox = work.text_to_video(FOX)
    made = work.add_audio(Settings(prompt="wind"), fox.generations, negative_prompt="voices")
    assert sent(luma) == [{"generation_type": "add_audio", "prompt": "wind", "negative_prompt": "voices"}]
    assert clips.inspect(made.path).has_audio


def test_a_clip_that_was_extended_can_be_upscaled_as_what_came_out(work, luma):
    """The id that goes into the address is that of the clip which is connected, not of the first one."""
    fox = work.text_to_video(FOX)
    larger = work.upscale_video(Settings(resolution="720p"), fox.generations)
    work.add_audio(Settings(prompt="wind"), larger.generations)
    assert f"/generations/{luma.creates[1].id}/audio" in {request.path for request in luma.requests}


def test_between_two_clips_lies_a_third_and_the_whole_film_is_joined(work, luma):
    fox, den = work.text_to_video(FOX), work.text_to_video(Settings(prompt="a den", resolution="540p"))
    bridge = work.interpolate_video(FOX, fox.generations, den.generations)
    assert clips.inspect(bridge.path).frames == 121
    frames = luma.creates[2].body["keyframes"]
    assert [frames[name]["id"] for name in ("frame0", "frame1")] == [create.id for create in luma.creates[:2]]
    whole = work.interpolate_video(FOX, fox.generations, den.generations, whole=True)
    assert len(luma.creates) == 3
    assert whole.generations == (*fox.generations, *bridge.generations, *den.generations)
    assert clips.inspect(whole.path).frames == 361


def test_a_clip_of_the_current_api_is_made_over_by_its_id_and_not_uploaded(work, agents):
    fox = work.text_to_video(Settings(prompt="a fox", model="ray-3.2", resolution="360p"))
    settings = Settings(prompt="as a painting", model="ray-3.2", resolution="360p")
    for _ in range(2):
        work.modify_video(settings, Source(generations=fox.generations), mode="flex_1")
    first, second = agents.creates
    assert second.body["source"] == {"generation_id": first.id}
    assert agents.files == {}


def test_a_film_for_the_current_api_goes_through_its_files(work, agents, film):
    settings = Settings(prompt="as a painting", model="ray-3.2", resolution="360p", aspect_ratio="1:1")
    made = work.reframe_video(settings, Source(video=film), place=Place(scale=0.5))
    (create,) = agents.creates
    assert create.body["source"] == {"file_id": next(iter(agents.files))}
    assert create.body["video"]["source_position"]["w_norm"] == 0.5
    assert clips.inspect(made.path).frames == 48


# -- what is refused while nothing is sent ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "model", "words"),
    [
        (24 * 11, "ray-2", "11.0 s long, at most 10 s"),
        (24 * 16, "ray-flash-2", "16.0 s long, at most 15 s"),
    ],
)
def test_a_film_that_is_too_long_is_refused_before_anything_is_uploaded(
    work, at_luma, bucket, tmp_path, frames, model, words
):
    path = tmp_path / "long.mp4"
    black = np.zeros((16, 16, 3), np.uint8)
    encoding.write((black for _ in range(frames)), path, frame_rate=24, width=16, height=16)
    settings = Settings(prompt="as a painting", resolution="auto", model=model, provider="luma")
    with pytest.raises(errors.UnsupportedRequest, match=words):
        work.modify_video(settings, Source(video=path), mode="flex_1")
    assert at_luma.requests == []
    assert list(bucket.objects.all()) == []


def test_a_film_that_would_be_refused_is_not_converted_first(work, at_luma, tmp_path):
    path = tmp_path / "long.mp4"
    black = [np.zeros((16, 16, 3), np.uint8)] * (24 * 11)
    films.encode(black, path, codec="mpeg4")
    settings = Settings(prompt="as a painting", resolution="auto", model="ray-2", provider="luma")
    with pytest.raises(errors.UnsupportedRequest, match="at most 10 s"):
        work.modify_video(settings, Source(video=path), mode="flex_1")
    assert not list((tmp_path / "clips").rglob("source_*"))


def test_a_film_in_another_codec_is_converted_once_and_the_node_says_so(work, at_luma, tmp_path):
    path = tmp_path / "old.mp4"
    films.encode(films.scene(24, 160, 90), path, codec="mpeg4")
    for mode in ("flex_1", "flex_2"):
        made = work.modify_video(AUTO, Source(video=path), mode=mode)
        assert any("mpeg4" in note for note in made.notes)
    assert len(list((tmp_path / "clips" / "films").glob("source_*.mp4"))) == 1
    before = len(at_luma.requests)
    work.modify_video(AUTO, Source(video=path), mode="flex_1")
    assert len(at_luma.requests) == before


def test_without_a_hosting_the_way_to_set_one_up_is_told_before_anything_is_sent(work, luma, film):
    settings = Settings(prompt="as a painting", resolution="auto", provider="luma")
    with pytest.raises(errors.HostingRequired, match="LUMA_RAY_S3_BUCKET"):
        work.modify_video(settings, Source(video=film), mode="flex_1")
    assert luma.requests == []


def test_a_clip_is_not_upscaled_to_what_it_is(work, luma):
    # The emulator's clips have a quarter of the real size; this one is as large as it says.
    luma.full_size = True
    fox = work.text_to_video(Settings(prompt="a fox", resolution="720p"))
    with pytest.raises(errors.UnsupportedRequest, match="the clip has 1280x720 already"):
        work.upscale_video(Settings(resolution="720p"), fox.generations)


def test_a_clip_of_another_provider_is_not_upscaled_at_luma(work, luma):
    preview = work.text_to_video(Settings(prompt="a fox", resolution="360p", provider="animatic"))
    with pytest.raises(errors.UnsupportedRequest, match="a clip made at animatic"):
        work.upscale_video(Settings(resolution="1080p", provider="luma"), preview.generations)
    assert luma.requests == []


@pytest.mark.parametrize("source", [Source(), Source(generations=("ray-1",), video=Path("a.mp4"))])
def test_one_film_is_needed_and_not_two(work, source):
    with pytest.raises(errors.InvalidInput, match="needs one film"):
        work.modify_video(AUTO, source, mode="flex_1")


def test_a_joined_film_is_not_taken_for_one_clip(work):
    with pytest.raises(errors.InvalidInput, match="made of 2 clips"):
        work.upscale_video(Settings(resolution="1080p"), ("ray-1", "ray-2"))


def test_clips_of_two_providers_are_not_interpolated(work, luma):
    fox = work.text_to_video(FOX)
    preview = work.text_to_video(Settings(prompt="a fox", resolution="360p", provider="animatic"))
    with pytest.raises(errors.InvalidInput, match="Ray Keyframes to Video"):
        work.interpolate_video(FOX, fox.generations, preview.generations)


def test_a_place_outside_the_picture_is_refused(work, film):
    with pytest.raises(errors.InvalidInput, match="the size is 5%"):
        work.reframe_video(Settings(resolution="auto"), Source(video=film), place=Place(scale=0.05))


# -- money ----------------------------------------------------------------------------------------------------


def test_an_unanswered_modify_is_found_in_lumas_list_and_not_paid_twice(work, at_luma, film):
    at_luma.fail_next("POST", "/generations/video/modify", Fault.lost_answer())
    made = work.modify_video(AUTO, Source(video=film), mode="flex_1")
    assert len(at_luma.creates) == 1
    assert made.generations


def test_an_unanswered_modify_is_not_mistaken_for_another_one(work, at_luma, film):
    """Another mode of the same film, made elsewhere with the same account, is no gift."""
    work.modify_video(AUTO, Source(video=film), mode="flex_2")
    at_luma.fail_next("POST", "/generations/video/modify", Fault.lost_request())
    with pytest.raises((errors.SubmissionUncertain, errors.ProviderUnavailable)):
        work.modify_video(AUTO, Source(video=film), mode="flex_1")
    assert len(at_luma.creates) == 1


def test_an_unanswered_upscale_waits_for_the_person_because_no_list_says_of_which_clip_it_is(work, luma):
    fox = work.text_to_video(FOX)
    luma.fail_next("POST", "/generations/{id}/upscale", Fault.lost_answer())
    with pytest.raises(errors.SubmissionUncertain, match="--not-created"):
        work.upscale_video(Settings(resolution="1080p"), fox.generations)
    with pytest.raises(errors.SubmissionUncertain):
        work.upscale_video(Settings(resolution="1080p"), fox.generations)
    assert len(luma.creates) == 2


def test_a_limit_on_a_clip_holds_for_a_film_that_is_made_over(work, at_luma, bucket, film, monkeypatch):
    from dataclasses import replace
    from decimal import Decimal

    limits = work.studio.lifecycle.limits
    work.studio.lifecycle.limits = lambda: replace(limits(), per_generation=Decimal("0.001"))
    with pytest.raises(errors.LimitReached, match="modify video with ray-flash-2, 2 s, from Luma costs"):
        work.modify_video(
            Settings(prompt="x" * 5, resolution="auto", provider="luma"), Source(video=film), mode="flex_1"
        )
    assert at_luma.requests == []
    assert list(bucket.objects.all()) == []


# -- offline --------------------------------------------------------------------------------------------------


def middle(path):
    return np.stack(list(clips.read(path)))[24].astype(int)


def test_the_preview_of_a_modify_has_every_frame_in_other_colours_and_is_marked(work, film):
    close, loose = (
        work.modify_video(AUTO, Source(video=film), mode=mode) for mode in ("adhere_1", "reimagine_3")
    )
    for made in (close, loose):
        assert clips.inspect(made.path).frames == 48
        assert made.summary.startswith("PREVIEW · 2 s · 160x90")
    apart = [np.abs(middle(made.path) - middle(film)).mean() for made in (close, loose)]
    assert 3 < apart[0] < apart[1]


def test_the_preview_of_a_modify_takes_its_colours_from_the_first_frame(work, film):
    made = work.modify_video(AUTO, Source(video=film), mode="reimagine_3", first_frame=still(red=255))
    picture = middle(made.path)
    assert (
        abs(picture.mean(axis=(0, 1)) - np.array(drawn.photograph(255).pixels.mean(axis=(0, 1)))).max() < 60
    )


def test_the_preview_of_a_reframe_shows_the_whole_film_in_its_place(work, film):
    made = work.reframe_video(
        Settings(aspect_ratio="1:1", resolution="360p"), Source(video=film), place=Place(scale=0.5, down=1)
    )
    picture = middle(made.path)
    assert picture.shape == (360, 360, 3)
    # 180 x 101 pixels at the bottom, in the middle.
    place = images.tensor(picture[259:360, 90:270].astype(np.uint8))
    scaled = torch.nn.functional.interpolate(
        images.tensor(middle(film).astype(np.uint8)).permute(0, 3, 1, 2), size=(101, 180), mode="area"
    )
    assert (place.permute(0, 3, 1, 2) - scaled).abs().mean() < 0.05
    assert picture[60:240, 20:80].mean() < 0.8 * middle(film).mean()


def test_the_preview_of_an_upscale_has_the_size_that_was_asked_for(work):
    fox = work.text_to_video(Settings(prompt="a fox", resolution="360p"))
    made = work.upscale_video(Settings(resolution="720p"), fox.generations)
    facts = clips.inspect(made.path)
    assert (facts.width, facts.height, facts.frames) == (1280, 720, 121)


def test_the_preview_of_an_interpolation_leads_from_one_clip_to_the_other(work):
    fox, den = (
        work.text_to_video(Settings(prompt=prompt, resolution="360p")) for prompt in ("a fox", "a den")
    )
    made = work.interpolate_video(
        Settings(prompt="on and on", resolution="360p", aspect_ratio="auto"), fox.generations, den.generations
    )
    shown = list(clips.read(made.path))
    ends = list(clips.read(fox.path))[-1], next(iter(clips.read(den.path)))
    for one, other in zip((shown[0], shown[-1]), ends, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 6


def test_the_preview_of_sound_is_a_soft_note_each_second(work):
    fox = work.text_to_video(Settings(prompt="a fox", resolution="360p"))
    wind, rain = (work.add_audio(Settings(prompt=words), fox.generations) for words in ("wind", "rain"))
    heard = [sound.audio(made.path)["waveform"][0, 0].numpy() for made in (wind, rain)]
    assert abs(len(heard[0]) / 48000 - 121 / 24) < 0.05
    assert 0.01 < np.abs(heard[0]).max() < 0.2
    # It rises after each full second, and has faded before the next.
    assert all(np.abs(heard[0][48000 * second + 40000 :][:7000]).max() < 0.01 for second in range(4))
    assert np.abs(heard[0] - heard[1]).max() > 0.01, "other words, other notes"
    assert clips.inspect(wind.path).frames == 121


def test_the_preview_of_a_reframe_keeps_the_sound_of_the_film(work):
    fox = work.text_to_video(Settings(prompt="a fox", resolution="360p"))
    wind = work.add_audio(Settings(prompt="wind"), fox.generations)
    made = work.reframe_video(
        Settings(aspect_ratio="9:16", resolution="360p"), Source(generations=wind.generations)
    )
    before, after = (sound.audio(film.path)["waveform"][0, 0].numpy() for film in (wind, made))
    assert np.abs(before - after).mean() < 0.005
    assert np.abs(after).max() > 0.01


def test_a_preview_of_a_preview_has_one_mark_and_not_two(work):
    fox = work.text_to_video(Settings(prompt="a fox", resolution="360p"))
    made = work.reframe_video(
        Settings(aspect_ratio="9:16", resolution="360p"), Source(generations=fox.generations)
    )
    from luma_ray.nodes.media.animatic.mark import PreviewMark

    picture = next(iter(clips.read(made.path)))
    place = picture[219:421]  # the film stands there; its own mark would be at its top right
    mark = PreviewMark(place.shape[1], place.shape[0])
    assert PreviewMark(picture.shape[1], picture.shape[0]).is_on(picture)
    assert not mark.is_on(place)
