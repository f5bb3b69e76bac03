"""The operations end to end: against Luma's emulator, and offline with the animatic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from emulators.server import Fault
from fakes import FakeClock
from luma_ray.nodes.film import Frames, Settings, framed, request_for
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.request import MiddleFrame, Operation
from luma_ray.nodes.media import clips, encoding, frames, images, seams
from luma_ray.nodes.sheet import read
from PIL import Image
from studios import Work

FOX = Settings(prompt="a fox in the snow", resolution="540p")


def still(width=320, height=180, seed=1):
    values = np.random.default_rng(seed).random((1, height // 20, width // 20, 3), dtype=np.float32)
    image = torch.from_numpy(values.repeat(20, 1).repeat(20, 2))
    return images.still(image, name="first_frame")


def test_a_prompt_becomes_a_clip_with_its_price_on_one_line(work, luma):
    film = work.text_to_video(FOX)
    assert clips.inspect(film.path).frames == 121
    assert film.summary == "ray-flash-2 · 5 s · 540p · luma · 5 s · $0.14"
    assert len(luma.creates) == 1


def test_an_extend_at_luma_uses_its_own_extend_and_joins_without_a_repeated_frame(work, luma):
    first = work.text_to_video(FOX)
    film = work.extend_video(
        Settings(prompt="it runs", resolution="540p"), generations=first.generations, length=15
    )
    assert clips.inspect(film.path).frames == 361
    assert len(film.generations) == 3
    assert [create["request"]["keyframes"]["frame0"]["type"] for create in bodies(luma)[1:]] == [
        "generation"
    ] * 2
    assert "own extend" in " ".join(film.notes)


def test_an_extend_whose_answer_holds_the_whole_film_is_not_joined_twice(tmp_path, monkeypatch):
    from emulators.luma import LumaEmulator

    with LumaEmulator(extend_returns="whole") as luma:
        for name, value in luma.environment().items():
            monkeypatch.setenv(name, value)
        work = Work(tmp_path)
        first = work.text_to_video(FOX)
        film = work.extend_video(
            Settings(prompt="it runs", resolution="540p"), generations=first.generations, length=10
        )
    assert clips.inspect(film.path).frames == 241


def test_backward_puts_the_new_part_before_the_film(work, luma):
    first = work.text_to_video(FOX)
    film = work.extend_video(
        Settings(prompt="before", resolution="540p"),
        generations=first.generations,
        length=10,
        direction="backward",
    )
    assert film.generations[-1] == first.generations[0]
    assert clips.inspect(film.path).frames == 241
    assert close(frames.last_frame(film.path), frames.last_frame(first.path))


def test_stopping_a_chain_keeps_its_parts_and_queueing_again_buys_only_the_rest(work, luma):
    first = work.text_to_video(FOX)
    more = Settings(prompt="it runs", resolution="540p")
    work.extend_video(more, generations=first.generations, length=10)
    work.extend_video(more, generations=first.generations, length=15)
    assert len(luma.creates) == 3


def test_a_film_from_anywhere_is_continued_from_its_last_picture(work, tmp_path):
    source = tmp_path / "mine.mp4"
    moving = (np.full((90, 160, 3), level, np.uint8) for level in range(60, 181))
    encoding.write(moving, source, frame_rate=24, width=160, height=90)
    film = work.extend_video(Settings(prompt="it goes on", resolution="540p"), video=source, length=10)
    assert clips.inspect(film.path).frames == 241
    assert "last frame as a picture" in " ".join(film.notes)


def test_new_part_gives_the_new_clips_alone(work, luma):
    first = work.text_to_video(FOX)
    film = work.extend_video(
        Settings(prompt="it goes on", resolution="540p"),
        generations=first.generations,
        length=10,
        part="new part",
    )
    assert clips.inspect(film.path).frames == 121
    assert set(film.generations).isdisjoint(first.generations)


@pytest.mark.parametrize(
    ("length", "words", "changes"),
    [
        (5, "is 5.0 s long already", {}),
        (301, "extended to 300 s", {}),
        (299, "300 s is the most", {"duration": 9}),
        (40, "A film of 40 s cannot loop", {"loop": True}),
    ],
)
def test_a_length_that_cannot_be_is_refused_before_anything_is_bought(work, luma, length, words, changes):
    first = work.text_to_video(FOX)
    with pytest.raises(errors.InvalidInput, match=words):
        work.extend_video(replace(FOX, **changes), generations=first.generations, length=length)
    assert len(luma.creates) == 1


def test_a_length_that_does_not_come_out_even_is_said(work, luma):
    first = work.text_to_video(FOX)
    film = work.extend_video(FOX, generations=first.generations, length=12)
    assert any("15.0 s long, not 12 s" in note for note in film.notes)


def test_beyond_30_s_a_film_goes_on_from_its_last_picture(work, luma, bucket):
    luma.pace = type(luma.pace)(1)
    first = work.text_to_video(replace(FOX, duration=9))
    film = work.extend_video(replace(FOX, duration=9), generations=first.generations, length=36)
    kinds = [create["request"]["keyframes"]["frame0"]["type"] for create in bodies(luma)[1:]]
    assert kinds == ["generation", "generation", "image"]
    assert clips.inspect(film.path).seconds == pytest.approx(36, abs=0.2)


def test_each_part_has_a_prompt_of_its_own_and_a_new_take_makes_it_and_what_follows_anew(work, luma):
    luma.pace = type(luma.pace)(1)
    first = work.text_to_video(FOX)

    def extended(text):
        return work.extend_video(FOX, generations=first.generations, length=15, lines=read(text))

    extended("it runs | push_in\nit sleeps")
    assert [create["request"]["prompt"] for create in bodies(luma)[1:]] == ["it runs", "it sleeps"]
    assert bodies(luma)[1]["request"]["concepts"] == [{"key": "push_in"}]
    extended("it runs | push_in\nit sleeps")
    assert len(luma.creates) == 3
    extended("it runs | push_in\nit sleeps | take 2")
    assert len(luma.creates) == 4
    extended("it runs | push_in | take 2\nit sleeps")
    assert len(luma.creates) == 6
    film = extended("it runs | push_in\nit sleeps\nit wakes")
    assert any("2 of 3 lines of parts are used" in note for note in film.notes)


def test_a_part_has_no_length_of_its_own(work, luma):
    first = work.text_to_video(FOX)
    with pytest.raises(errors.InvalidInput, match="Part 2 has a length and keyframes of its own"):
        work.extend_video(FOX, generations=first.generations, length=15, lines=read("a\nb | 5 s | K0 > K1"))
    assert len(luma.creates) == 1


def test_a_film_of_another_frame_rate_is_refused_before_anything_is_bought(work, luma, tmp_path):
    source = tmp_path / "mine.mp4"
    encoding.write(
        (np.zeros((90, 160, 3), np.uint8) for _ in range(31)), source, frame_rate=30, width=160, height=90
    )
    with pytest.raises(errors.InvalidInput, match="30 frames a second and Ray makes 24"):
        work.extend_video(FOX, video=source, length=10)
    assert luma.creates == []


def test_a_film_of_nearly_24_frames_a_second_is_told_so(work, luma, tmp_path):
    source = tmp_path / "mine.mp4"
    pictures = (np.zeros((90, 160, 3), np.uint8) for _ in range(31))
    encoding.write(pictures, source, frame_rate=Fraction(24000, 1001), width=160, height=90)
    with pytest.raises(errors.InvalidInput, match=r"has 23\.976 frames a second and Ray makes 24"):
        work.extend_video(FOX, video=source, length=10)
    assert luma.creates == []


def test_a_refusal_in_the_middle_of_a_chain_says_that_the_parts_before_it_are_kept(work, luma):
    first = work.text_to_video(FOX)
    submitted = []

    def watch(request):
        if request.method == "POST" and not submitted:
            submitted.append(request)
            broke = Fault.status(402, {"detail": "Insufficient credits"})
            luma.fail_next("POST", "/generations/video", broke)

    luma.watch = watch
    more = Settings(prompt="it runs", resolution="540p")
    with pytest.raises(
        errors.InsufficientCredits, match=r"Part 2 of 2: .* about this part alone; part 1 is made"
    ):
        work.extend_video(more, generations=first.generations, length=15)
    work.extend_video(more, generations=first.generations, length=15)
    assert len(luma.creates) == 3


@pytest.mark.parametrize("error", [errors.InvalidInput, errors.HostingRequired, errors.Interrupted])
def test_what_ends_a_chain_after_a_purchase_is_no_refusal_that_cost_nothing(work, luma, error, monkeypatch):
    first = work.text_to_video(FOX)
    generate, made = work.studio.lifecycle.generate, []

    def once(*given, **others):
        if made:
            raise error("Nothing was billed.")
        made.append(generate(*given, **others))
        return made[0]

    monkeypatch.setattr(work.studio.lifecycle, "generate", once)
    with pytest.raises(errors.GenerationError, match="part 1 is made and kept") as told:
        work.extend_video(FOX, generations=first.generations, length=15)
    assert isinstance(told.value, errors.Interrupted) == (error is errors.Interrupted)
    assert not isinstance(told.value, (errors.InvalidInput, errors.HostingRequired))


def test_a_new_clip_of_another_shape_ends_the_chain_before_more_are_bought(work, luma, monkeypatch):
    first = work.text_to_video(FOX)
    inspect = clips.inspect
    original = inspect(first.path)

    def inspected(path):
        facts = inspect(path)
        return (
            facts
            if path == first.path or path.name.startswith(".")
            else replace(facts, width=540, height=540)
        )

    monkeypatch.setattr(clips, "inspect", inspected)
    with pytest.raises(errors.GenerationError, match=f"{original.width}x{original.height}.*540x540") as told:
        work.extend_video(
            Settings(prompt="it goes on", resolution="540p"), generations=first.generations, length=15
        )
    assert not isinstance(told.value, errors.InvalidInput)
    assert len(luma.creates) == 2
    (kept,) = [
        entry.id for entry in work.studio.lifecycle.journal.entries() if entry.id not in first.generations
    ]
    assert kept in str(told.value)


def test_a_full_disk_while_joining_is_a_sentence_and_the_clips_stay(work, luma, monkeypatch):
    first = work.text_to_video(FOX)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(seams, "join", full)
        with pytest.raises(errors.GenerationError, match=r"No space left on device.*Its clips are kept"):
            work.extend_video(FOX, generations=first.generations, length=10)
    work.extend_video(FOX, generations=first.generations, length=10)
    assert len(luma.creates) == 2


def test_clips_that_could_not_be_joined_are_refused_before_anything_is_bought(work, luma):
    first = work.text_to_video(FOX)
    tall = Settings(prompt="it goes on", resolution="540p", aspect_ratio="9:16")
    with pytest.raises(errors.InvalidInput, match="9:16 clips cannot be joined"):
        work.extend_video(tall, generations=first.generations, length=10)
    assert len(luma.creates) == 1


def test_pictures_without_hosting_are_refused_before_anything_is_sent(work, luma):
    with pytest.raises(errors.HostingRequired, match="LUMA_RAY_S3_BUCKET"):
        work.image_to_video(FOX, still())
    assert luma.requests == []
    assert work.studio.lifecycle.journal.entries() == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fal", "pictures at fal.ai storage, for 7 days"),
        ("luma", "pictures at fal.ai storage, for 7 days"),
        ("replicate", "pictures at Replicate, which does not say for how long"),
        ("comfy_router", "pictures at Comfy Router, which does not say for how long"),
        ("luma_agents", ""),
        ("bedrock", ""),
        ("animatic", ""),
    ],
)
def test_where_pictures_are_stored_is_told_and_for_how_long_where_that_is_known(
    work, monkeypatch, name, words
):
    monkeypatch.setenv("FAL_KEY", "a-key-of-some-length")
    lifecycle = work.studio.lifecycle
    request = request_for(FOX, Operation.IMAGE_TO_VIDEO, first_frame=still())
    assert lifecycle.uploads.told(lifecycle.sellers.provider(name), request) == words
    words_alone = request_for(FOX, Operation.TEXT_TO_VIDEO)
    assert lifecycle.uploads.told(lifecycle.sellers.provider(name), words_alone) == ""


def test_keyframes_of_two_shapes_are_cropped_to_one_and_it_is_said():
    pictures = Frames(first=still(320, 180), last=still(200, 200))
    framed_, settings, notes = framed(Settings(aspect_ratio="auto"), pictures)
    assert (framed_.first.width, framed_.first.height) == (320, 180)
    assert abs(framed_.last.width / framed_.last.height - 16 / 9) < 0.02
    assert settings.aspect_ratio == "16:9"
    assert notes == ("cropped to 16:9: 88 of 200 rows off last_frame",)


def test_keyframes_need_at_least_one_picture(work):
    with pytest.raises(errors.InvalidInput, match="connect one"):
        work.keyframes_to_video(FOX, Frames())


def test_only_a_first_frame_is_image_to_video(work):
    film = work.keyframes_to_video(FOX, Frames(first=still()))
    assert work.studio.lifecycle.journal.get(film.generations[0]).operation == "image_to_video"


def test_pictures_in_between_take_the_shape_of_the_first_one():
    pictures = Frames(middle=(MiddleFrame(24, still(320, 180)), MiddleFrame(48, still(200, 200))))
    shaped, settings, notes = framed(Settings(aspect_ratio="auto"), pictures)
    assert [round(frame.still.width / frame.still.height, 1) for frame in shaped.middle] == [1.8, 1.8]
    assert settings.aspect_ratio == "16:9"
    assert notes == ("cropped to 16:9: 88 of 200 rows off keyframe at 2.00 s",)


def test_what_was_cropped_is_one_short_line_however_many_pictures_there_are():
    pictures = Frames(
        first=still(300, 200), middle=(MiddleFrame(36, still(320, 180)),), last=still(300, 200, seed=2)
    )
    _, _, notes = framed(Settings(aspect_ratio="16:9"), pictures)
    assert notes == ("cropped to 16:9: 32 of 200 rows off first_frame, last_frame",)
    _, _, notes = framed(Settings(aspect_ratio="1:1"), pictures)
    (note,) = notes
    assert note == (
        "cropped to 1:1: 100 of 300 columns off first_frame, last_frame; "
        "140 of 320 columns off keyframe at 1.50 s"
    )


def test_what_was_cropped_to_follow_a_picture_names_its_shape():
    _, _, notes = framed(Settings(aspect_ratio="auto"), Frames(first=still(300, 200), last=still(200, 200)))
    assert notes == ("cropped to 3:2: 67 of 200 rows off last_frame",)


def test_a_clip_passes_its_pictures_in_between_offline_too(work):
    one, two = still(seed=1), still(seed=2)
    film = work.keyframes_to_video(
        Settings(prompt="from one to the other", resolution="360p", aspect_ratio="16:9"),
        Frames(first=one, middle=(MiddleFrame(60, two),)),
    )
    shown = list(clips.read(film.path))
    assert len(shown) == 121
    for number, wanted in ((0, one), (60, two)):
        seen = shown[number][60:300, 40:600].astype(float)  # without the mark
        expected = np.asarray(
            Image.fromarray(images.pixels(wanted)).resize((640, 360), Image.BICUBIC), dtype=float
        )[60:300, 40:600]
        assert np.abs(seen - expected).mean() < 12, number


def test_without_a_key_everything_runs_offline_and_says_that_it_is_a_preview(work):
    film = work.image_to_video(FOX, still())
    assert film.summary.startswith("PREVIEW")
    assert film.notes == ("No key here: a free local preview, not Luma Ray.",)
    assert clips.inspect(film.path).frames == 121


def test_what_matters_most_stands_first_on_the_node_where_three_lines_are_seen(work):
    square = work.image_to_video(replace(FOX, aspect_ratio="1:1"), still())
    preview, cropped = (
        "No key here: a free local preview, not Luma Ray.",
        "140 of 320 columns off first_frame",
    )
    assert square.lines == (square.summary, preview, f"cropped to 1:1: {cropped}")
    longer = work.extend_video(replace(FOX, aspect_ratio="auto"), generations=square.generations, length=10)
    assert longer.lines[1] == preview
    assert sorted(longer.lines[1:]) == sorted(longer.notes)
    assert len(longer.notes) > 1


def test_the_offline_extend_goes_on_without_a_jump(work):
    first = work.image_to_video(FOX, still())
    film = work.extend_video(
        Settings(prompt="it goes on", resolution="540p", aspect_ratio="auto"),
        generations=first.generations,
        length=10,
    )
    assert clips.inspect(film.path).frames == 241
    seam = frames.decode(film.path, start=118, count=6)
    steps = (seam[1:] - seam[:-1]).abs().mean(dim=(1, 2, 3))
    assert steps.max() < 4 * max(steps.median().item(), 0.002)


def test_a_preview_never_stands_in_for_a_paid_clip(work, luma, monkeypatch):
    monkeypatch.delenv("LUMAAI_API_KEY")
    preview = work.text_to_video(FOX)
    monkeypatch.setenv("LUMAAI_API_KEY", luma.environment()["LUMAAI_API_KEY"])
    paid = work.text_to_video(FOX)
    assert preview.summary.startswith("PREVIEW")
    assert paid.summary.startswith("ray-flash-2")


def bodies(luma):
    return [{"request": request.json} for request in luma.requests if request.method == "POST"]


def close(one, other):
    return (one - other).abs().mean() < 0.02


def test_a_film_that_could_not_close_is_refused_before_anything_is_bought(work, luma, tmp_path):
    source = tmp_path / "mine.mp4"
    moving = (np.full((90, 160, 3), level, np.uint8) for level in range(60, 181))
    encoding.write(moving, source, frame_rate=24, width=160, height=90)
    closing = Settings(prompt="it goes on", resolution="540p", aspect_ratio="auto", loop=True)
    with pytest.raises(errors.InvalidInput, match="cannot loop"):
        work.extend_video(closing, video=source, length=10)
    assert luma.requests == []


def test_a_loop_is_asked_for_with_the_last_part_alone(work, luma):
    first = work.text_to_video(FOX)
    closing = Settings(prompt="it goes on", resolution="540p", loop=True)
    work.extend_video(closing, generations=first.generations, length=15)
    assert [create["request"]["loop"] for create in bodies(luma)] == [False, False, True]


def test_an_extension_that_was_bought_is_recalled_when_its_key_is_gone(work, luma, monkeypatch):
    first = work.text_to_video(FOX)
    more = Settings(prompt="it runs", resolution="540p", aspect_ratio="auto")
    bought = work.extend_video(more, generations=first.generations, length=10)
    monkeypatch.delenv("LUMAAI_API_KEY")
    again = work.extend_video(more, generations=first.generations, length=10)
    assert again.generations == bought.generations


def test_a_continuation_that_was_bought_is_not_bought_again_as_an_extension(work, luma, bucket):
    """As when Luma's key was missing at first and another provider went on from the last picture."""
    first = work.text_to_video(FOX)
    more = Settings(prompt="it runs", resolution="540p", aspect_ratio="auto")
    last = images.still(frames.last_frame(first.path), name="last_frame")
    continued = work.image_to_video(more, last)
    film = work.extend_video(more, generations=first.generations, length=10)
    assert film.generations == (*first.generations, *continued.generations)
    assert len(luma.creates) == 2


def test_our_clips_are_joined_once_and_without_encoding_them_again(work):
    small = Settings(model="ray-3.2", resolution="360p")
    made = [work.text_to_video(replace(small, prompt=prompt)) for prompt in ("a fox", "an owl at night")]
    cutting = work.studio.cutting
    ids = made[0].generations + made[1].generations
    film = cutting.film_path(ids, clock=FakeClock(), report=work.reports)
    both = [picture for each in made for picture in clips.read(each.path)]
    joined = list(clips.read(film))
    assert len(joined) == len(both) == 242
    assert all(np.array_equal(one, other) for one, other in zip(joined, both, strict=True))
    changed = film.stat().st_mtime_ns
    assert cutting.film_path(ids, clock=FakeClock(), report=work.reports) == film
    assert film.stat().st_mtime_ns == changed
