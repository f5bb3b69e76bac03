"""The animatic, by the MP4s it renders: decoded again with PyAV and looked at pixel by pixel."""

from __future__ import annotations

import itertools
import tracemalloc
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from luma_ray.nodes.generation.ray import CONCEPTS, FRAMES_PER_SECOND, frame_count
from luma_ray.nodes.media import clips
from luma_ray.nodes.media.animatic import (
    CAMERA_MOVES,
    RenderStopped,
    Shot,
    render,
)
from luma_ray.nodes.media.animatic.mark import PreviewMark
from luma_ray.nodes.media.animatic.scenes import softened
from luma_ray.nodes.media.animatic.stage import Stage, unit
from luma_ray.nodes.media.animatic.text import drawable, set_into
from PIL import Image, ImageOps

WIDTH, HEIGHT = 320, 180
SMALL = {"width": 192, "height": 108}
COMPRESSION = 3.0
"""Levels by which a frame of so small a clip differs from what was encoded; keyframes by half of it."""


def photograph(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Soft shapes in mild colours over the whole range of light, not alike at any two places."""
    random = np.random.default_rng(seed)
    layers = [
        Image.fromarray(random.integers(0, 256, (9, 16), np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        for _ in range(4)
    ]
    light, *tints = (np.asarray(ImageOps.autocontrast(layer), np.float64) for layer in layers)
    return np.rint(np.stack([0.7 * light + 0.3 * tint for tint in tints], axis=-1)).astype(np.uint8)


def shot(**settings: object) -> Shot:
    return Shot(**{"prompt": "a red kite", "width": WIDTH, "height": HEIGHT, "duration": 2, **settings})


def go_on(part: float) -> None:
    pass


def never() -> bool:
    return False


def filmed(wanted: Shot) -> list[np.ndarray]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        render(wanted, path, progress=go_on, stopped=never)
        return list(clips.read(path))


def away(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference in 8-bit levels, without the corner of the mark."""
    return float(np.abs(one.astype(np.float64) - other)[unmarked(one)].mean())


@cache
def corner(height: int, width: int) -> tuple[slice, slice]:
    """Where the mark is, and as far around it as compression carries it."""
    marked = np.zeros((height, width, 3), np.uint8)
    PreviewMark(width, height).put_on(marked)
    rows, columns = marked.any(axis=-1).nonzero()
    return slice(max(0, rows.min() - 8), rows.max() + 9), slice(max(0, columns.min() - 8), columns.max() + 9)


def unmarked(frame: np.ndarray) -> np.ndarray:
    bare = np.ones(frame.shape[:2], bool)
    bare[corner(*bare.shape)] = False
    return bare


@cache
def moved(concept: str) -> list[np.ndarray]:
    return filmed(shot(first_frame=photograph(1), concepts=(concept,), duration=1, **SMALL))


# The file


@pytest.mark.parametrize(("seconds", "frames"), [(5, 121), (9, 217), (10, 241)])
def test_a_clip_has_24_frames_a_second_and_one_more(seconds, frames):
    assert frame_count(seconds) == frames


def test_the_file_holds_exactly_the_frames_in_even_steps(tmp_path):
    render(shot(duration=3), tmp_path / "clip.mp4", progress=go_on, stopped=never)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        times = [frame.pts * stream.time_base for frame in container.decode(stream)]
        assert stream.average_rate == FRAMES_PER_SECOND
    assert [time * FRAMES_PER_SECOND for time in times] == list(range(frame_count(3)))


def test_the_file_is_h264_and_says_that_it_is_bt709_in_limited_range(tmp_path):
    render(shot(), tmp_path / "clip.mp4", progress=go_on, stopped=never)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        context = container.streams.video[0].codec_context
        next(container.decode(video=0))
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width, context.height) == (WIDTH, HEIGHT)
        assert [
            int(tag)
            for tag in (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        ] == [1, 1, 1, 1]


def test_decoding_can_start_at_every_second(tmp_path):
    render(shot(duration=3), tmp_path / "clip.mp4", progress=go_on, stopped=never)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        keys = [packet.pts * packet.time_base for packet in container.demux(video=0) if packet.is_keyframe]
    gaps = np.diff([float(key) for key in keys])
    assert keys[0] == 0
    assert len(keys) >= 3
    assert gaps.max() <= 1.0


def test_the_index_comes_before_the_pictures(tmp_path):
    render(shot(), tmp_path / "clip.mp4", progress=go_on, stopped=never)
    content = (tmp_path / "clip.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_same_shot_gives_the_same_file(tmp_path):
    # x264 itself is not repeatable to the bit where the height is no multiple of 16.
    wanted = shot(first_frame=photograph(1), concepts=("handheld", "orbit_left"), height=192)
    for name in ("one.mp4", "two.mp4"):
        render(wanted, tmp_path / name, progress=go_on, stopped=never)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


@pytest.mark.parametrize(("width", "height"), [(64, 64), (180, 320), (420, 180), (96, 540)])
@pytest.mark.parametrize("kind", ["text", "image", "both", "last"])
def test_frames_of_any_even_size_are_rendered(width, height, kind):
    pictures = {
        "text": {},
        "image": {"first_frame": photograph(1)},
        "both": {"first_frame": photograph(1), "last_frame": photograph(2)},
        "last": {"last_frame": photograph(2)},
    }[kind]
    frames = filmed(shot(width=width, height=height, duration=1, **pictures))
    assert (len(frames), frames[0].shape) == (frame_count(1), (height, width, 3))


# Beginning and end


@pytest.mark.parametrize("size", [(320, 180), (500, 700), (901, 300), (100, 56)])
def test_the_first_frame_is_the_photograph_cropped_to_the_middle(size):
    picture = photograph(3, *size)
    expected = np.asarray(
        ImageOps.fit(Image.fromarray(picture), (WIDTH, HEIGHT), Image.Resampling.LANCZOS), np.float64
    )
    frame = filmed(shot(first_frame=picture, concepts=("push_in",)))[0]
    assert away(frame, expected) < 1.5


def test_colours_are_stored_as_bt709_in_limited_range(tmp_path):
    colours = np.array(list(itertools.product((20, 128, 235), repeat=3)), np.uint8)
    patches = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    places = [(20 + 52 * (n // 9), 4 + 35 * (n % 9)) for n in range(27)]
    for (top, left), colour in zip(places, colours, strict=True):
        patches[top : top + 48, left : left + 32] = colour
    render(shot(first_frame=patches, concepts=("static",)), tmp_path / "a.mp4", progress=go_on, stopped=never)
    with av.open(str(tmp_path / "a.mp4")) as container:
        planes = next(container.decode(video=0)).to_ndarray().astype(np.float64)
    luma, (cb, cr) = planes[:HEIGHT], planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    # By the book, so that the pack's own conversions are not judged by themselves.
    weights = np.array([0.2126, 0.7152, 0.0722])
    y = colours @ weights / 255
    wanted = np.stack(
        [
            16 + 219 * y,
            128 + 224 * (colours[:, 2] / 255 - y) / 1.8556,
            128 + 224 * (colours[:, 0] / 255 - y) / 1.5748,
        ]
    )
    stored = np.array(
        [
            [luma[top + 12 : top + 36, left + 8 : left + 24].mean() for top, left in places],
            *(
                [
                    plane[top // 2 + 6 : top // 2 + 18, left // 2 + 4 : left // 2 + 12].mean()
                    for top, left in places
                ]
                for plane in (cb, cr)
            ),
        ]
    )
    clear = [n for n, (top, left) in enumerate(places) if not (top < 48 and left > 200)]
    error = (stored - wanted)[:, clear]
    assert np.abs(error.mean(axis=1)).max() < 0.5
    assert np.abs(error).mean() < 1.0


def test_the_first_frame_is_neither_lighter_nor_darker_than_the_photograph():
    picture = photograph(4)
    frame = filmed(shot(first_frame=picture, concepts=("static",)))[0]
    bias = (frame.astype(np.float64) - picture)[unmarked(frame)].mean(axis=0)
    assert np.abs(bias).max() < 0.5


def test_a_morph_starts_on_its_first_photograph_and_ends_on_its_last():
    first, last = photograph(1), photograph(2)
    frames = filmed(shot(first_frame=first, last_frame=last, concepts=("pan_left",)))
    assert away(frames[0], first) < 1.5
    assert away(frames[-1], last) < COMPRESSION


def test_a_morph_is_no_plain_crossfade():
    first, last = photograph(1), photograph(2)
    frames = filmed(shot(first_frame=first, last_frame=last))
    faded = (first.astype(np.float64) + last) / 2
    assert away(frames[len(frames) // 2], faded) > 10


@pytest.mark.parametrize(
    ("concepts", "most"),
    [((), 7), (("tiny_planet",), 9), (("over_the_shoulder",), 7), (("elevator_doors",), 16)],
)
def test_a_morph_has_no_jump(concepts, most):
    frames = filmed(
        shot(first_frame=photograph(1), last_frame=photograph(2), concepts=concepts, duration=5, **SMALL)
    )
    steps = [away(a, b) for a, b in itertools.pairwise(frames)]
    assert max(steps[0], steps[-1]) < COMPRESSION
    assert max(steps) < most


@pytest.mark.parametrize(
    "concept", ["push_in", "tiny_planet", "over_the_shoulder", "elevator_doors", "handheld"]
)
def test_with_only_a_last_frame_the_shot_settles_on_it(concept):
    last = photograph(2)
    frames = filmed(shot(last_frame=last, concepts=(concept,), duration=5, width=192, height=108))
    fitted = np.asarray(Image.fromarray(last).resize((192, 108), Image.Resampling.LANCZOS))
    assert away(frames[-1], fitted) < COMPRESSION
    assert away(frames[-2], frames[-1]) < COMPRESSION
    assert away(frames[0], fitted) > 8


@pytest.mark.parametrize(
    "concept", ["push_in", "orbit_left", "handheld", "bolt_cam", "elevator_doors", "pov"]
)
def test_a_loop_over_a_photograph_closes(concept):
    frames = filmed(shot(first_frame=photograph(1), concepts=(concept,), loop=True, **SMALL))
    steps = [away(a, b) for a, b in itertools.pairwise(frames)]
    assert away(frames[-1], frames[0]) <= max(steps) + 0.3
    assert max(away(frame, frames[0]) for frame in frames) > 4


def test_a_loop_over_a_title_card_closes():
    frames = filmed(shot(loop=True, concepts=("truck_left",)))
    steps = [away(a, b) for a, b in itertools.pairwise(frames)]
    assert away(frames[-1], frames[0]) <= max(steps) + 0.3


def test_an_extension_begins_where_the_clip_ended_and_moves_on_at_once():
    clip = filmed(shot(first_frame=photograph(1), concepts=("push_in",)))
    more = filmed(shot(first_frame=clip[-1], concepts=("push_in",), follows=True))
    pace = away(clip[-9], clip[-1])
    assert away(clip[-1], more[0]) < 1.5
    assert 0.7 * pace < away(more[0], more[8]) < 1.4 * pace


def test_a_shot_that_follows_nothing_sets_off_gently():
    frames = filmed(shot(first_frame=photograph(1), concepts=("push_in",)))
    assert away(frames[0], frames[6]) < 0.6 * away(frames[-7], frames[-1])


def test_after_a_title_card_the_next_card_takes_over_without_a_jump():
    before = filmed(shot(prompt="a lighthouse at dawn"))[-1]
    frames = filmed(shot(prompt="night falls", first_frame=before, follows=True, turns_card=True))
    plain = filmed(shot(prompt="night falls"))
    assert away(frames[0], before) < COMPRESSION
    assert max(away(one, other) for one, other in itertools.pairwise(frames)) < away(before, plain[0]) / 4
    assert away(frames[-1], plain[-1]) < COMPRESSION


def test_a_card_that_leads_up_to_another_ends_on_it():
    after = filmed(shot(prompt="a lighthouse at dawn"))[0]
    frames = filmed(shot(prompt="the night before", last_frame=after, turns_card=True))
    assert away(frames[-1], after) < COMPRESSION
    assert away(frames[0], filmed(shot(prompt="the night before"))[0]) < COMPRESSION


# The camera


def test_every_concept_of_ray_has_a_move():
    assert set(CAMERA_MOVES) == set(CONCEPTS)


def test_a_static_camera_stays_where_it_is():
    frames = moved("static")
    assert max(away(frame, frames[0]) for frame in frames) < COMPRESSION


def test_without_a_concept_the_camera_pushes_in_a_little():
    frames = filmed(shot(first_frame=photograph(1)))
    assert away(frames[-1], frames[0]) > 3


def test_no_two_concepts_look_alike():
    alike = [
        (one, other)
        for one, other in itertools.combinations(sorted(CAMERA_MOVES), 2)
        if max(away(a, b) for a, b in zip(moved(one)[::4], moved(other)[::4], strict=True)) < 2.5
    ]
    assert alike == []


@pytest.mark.parametrize("kind", ["pan", "truck", "roll", "orbit"])
def test_left_is_the_mirror_image_of_right(kind):
    picture = photograph(1)
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    left = filmed(shot(first_frame=picture, concepts=(f"{kind}_left",)))[-1]
    right = filmed(shot(first_frame=mirrored, concepts=(f"{kind}_right",)))[-1][:, ::-1]
    both_bare = unmarked(left) & unmarked(left)[:, ::-1]
    assert np.abs(left.astype(np.float64) - right)[both_bare].mean() < 2
    assert away(left, picture) > 8


def spot(frame: np.ndarray) -> tuple[float, float]:
    """Middle of the bright disc, in frame widths from the middle: right and down are positive."""
    light = np.clip(frame.mean(axis=-1) - 100, 0, None) * unmarked(frame)
    rows, columns = np.indices(light.shape)
    height, width = light.shape
    x, y = (float((light * place).sum() / light.sum()) for place in (columns, rows))
    return (x - (width - 1) / 2) / width, (y - (height - 1) / 2) / width


def disc() -> np.ndarray:
    rows, columns = np.indices((HEIGHT, WIDTH))
    inside = np.hypot(columns - (WIDTH - 1) / 2, rows - (HEIGHT - 1) / 2) < 14
    return np.repeat(np.where(inside, 230, 30).astype(np.uint8)[..., None], 3, axis=-1)


@pytest.mark.parametrize(
    ("concept", "x", "y"),
    [
        ("pan_left", 1, 0),
        ("pan_right", -1, 0),
        ("truck_left", 1, 0),
        ("truck_right", -1, 0),
        ("tilt_up", 0, 1),
        ("tilt_down", 0, -1),
        ("pedestal_up", 0, 1),
        ("pedestal_down", 0, -1),
        ("crane_up", 0, 1),
        ("crane_down", 0, -1),
    ],
)
def test_the_picture_goes_the_other_way_than_the_camera(concept, x, y):
    moved_x, moved_y = spot(filmed(shot(first_frame=disc(), concepts=(concept,)))[-1])
    assert (round(moved_x / 0.02) > 0) - (round(moved_x / 0.02) < 0) == x
    assert (round(moved_y / 0.02) > 0) - (round(moved_y / 0.02) < 0) == y


@pytest.mark.parametrize(
    ("concept", "larger"),
    [("push_in", True), ("zoom_in", True), ("bolt_cam", True), ("pull_out", False), ("zoom_out", False)],
)
def test_what_the_camera_goes_closer_to_grows(concept, larger):
    frames = filmed(shot(first_frame=disc(), concepts=(concept,)))
    first, last = (
        float((frame.mean(axis=-1) > 130)[unmarked(frame)].sum()) for frame in (frames[0], frames[-1])
    )
    assert (last > 1.15 * first) if larger else (last < 0.87 * first)


def test_concepts_add_up():
    x, y = spot(filmed(shot(first_frame=disc(), concepts=("pan_left", "tilt_down")))[-1])
    assert x > 0.02
    assert y < -0.02


def test_no_move_shows_anything_black_beyond_the_picture():
    bright = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    dark = {}
    for concept in sorted(set(CAMERA_MOVES) - {"elevator_doors", "over_the_shoulder"}):
        frames = filmed(shot(first_frame=bright, concepts=(concept,), duration=1, **SMALL))
        darkest = min(float(frame[unmarked(frame)].min()) for frame in frames)
        if darkest < 190:
            dark[concept] = darkest
    assert dark == {}


@pytest.mark.parametrize("concept", ["pan_left", "truck_left", "orbit_left"])
def test_the_camera_goes_closer_rather_than_past_the_edge_of_the_picture(concept):
    lined = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    lined[:, :6] = 220
    last = filmed(shot(first_frame=lined, concepts=(concept,), duration=5))[-1]
    light = np.nonzero(last.mean(axis=(0, 2)) > 60)[0]
    assert light.max(initial=0) < 0.09 * WIDTH


def test_lift_doors_close_and_open_again():
    bright = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    frames = filmed(shot(first_frame=bright, concepts=("elevator_doors",)))
    seen = [float((frame.min(axis=-1) > 235)[unmarked(frame)].mean()) for frame in frames]
    assert seen[0] > 0.99
    assert min(seen) < 0.05
    assert seen[-1] > 0.99


def test_an_unknown_concept_is_an_error(tmp_path):
    with pytest.raises(KeyError, match="moonwalk"):
        render(shot(concepts=("moonwalk",)), tmp_path / "clip.mp4", progress=go_on, stopped=never)


# Looking at a photograph


def straight_on(x: float = 0.0) -> list[tuple[np.ndarray, list]]:
    """A view that changes nothing but goes *x* pixels to the right."""
    homography = np.eye(3)
    homography[0, 2] = x / unit(WIDTH, HEIGHT)
    return [(homography, [])]


def test_a_photograph_seen_straight_on_is_itself_to_the_pixel():
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    shown = Stage.around(noise, WIDTH, HEIGHT).seen(straight_on())
    inside = (slice(12, -12), slice(12, -12))  # what lies beyond the edge blends in a little
    assert np.array_equal(shown[inside], noise[inside])


@pytest.mark.parametrize("shift", [0.25, 0.5, 0.75])
def test_fine_detail_keeps_its_contrast_wherever_it_falls_between_the_pixels(shift):
    """Else a slow move makes it flicker."""
    waves = 127.5 + 100 * np.sin(np.arange(WIDTH) * np.pi / 2 + 0.3)
    picture = np.repeat(np.tile(np.rint(waves).astype(np.uint8), (HEIGHT, 1))[..., None], 3, axis=-1)
    shown = Stage.around(picture, WIDTH, HEIGHT).seen(straight_on(shift))[90, 100:200, 0].astype(float)
    wanted = 127.5 + 100 * np.sin((np.arange(100, 200) + shift) * np.pi / 2 + 0.3)
    assert np.abs(shown - wanted).max() < 12


def test_a_blurred_frame_is_the_mean_of_its_exposures():
    stage = Stage.around(photograph(1), WIDTH, HEIGHT)
    views = straight_on(-3.0) + straight_on(0.0) + straight_on(3.0)
    mean = np.mean([stage.seen([view]) for view in views], axis=0)
    assert np.abs(stage.seen(views) - mean).max() <= 1


def test_what_comes_into_focus_does_so_without_a_jump():
    picture = photograph(1)
    radii = np.arange(0.3, 12, 0.1).tolist()
    frames = [softened(picture, radius).astype(float) for radius in radii]
    steps = [np.abs(a - b).mean() for a, b in itertools.pairwise(frames)]
    assert max(steps) < 0.6


# The mark


@pytest.mark.parametrize(
    "pictures",
    [{}, {"first_frame": photograph(1)}, {"first_frame": photograph(1), "last_frame": photograph(2)}],
    ids=["text", "image", "both"],
)
def test_every_frame_carries_the_mark(pictures):
    mark = PreviewMark(WIDTH, HEIGHT)
    frames = filmed(shot(**pictures))
    assert all(mark.is_on(frame) for frame in frames)


@pytest.mark.parametrize("seed", range(5))
def test_a_photograph_is_not_taken_for_a_marked_one(seed):
    assert not PreviewMark(WIDTH, HEIGHT).is_on(photograph(seed))


def test_marks_do_not_pile_up_when_clips_are_extended():
    picture, area = photograph(1), corner(HEIGHT, WIDTH)
    once = filmed(shot(first_frame=picture, concepts=("static",)))[-1]
    frame = once
    for _ in range(3):
        frame = filmed(shot(first_frame=frame, concepts=("static",), follows=True, duration=1))[-1]
    assert np.abs(frame[area].astype(np.float64) - once[area]).mean() < 6


def test_an_old_mark_does_not_drift_out_from_under_the_new_one():
    plain = np.full((HEIGHT, WIDTH, 3), 140, np.uint8)
    marked = filmed(shot(first_frame=plain, concepts=("static",)))[-1]
    frames = filmed(shot(first_frame=marked, concepts=("pan_right",), follows=True))
    assert max(np.abs(frame[unmarked(frame)] - 140.0).max() for frame in frames) < 16


# The title card


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " \n\t ",
        "x",
        "é" * 5000,
        "word " * 1000,
        "雨の夜、紙の舟",
        "🚀🎬 launch",
        "a\x00b\ud800\u202ec\ufffe",
        "مرحبا",
    ],
    ids=["empty", "blank", "one letter", "one long word", "very long", "japanese", "emoji", "odd", "arabic"],
)
def test_a_card_is_made_of_any_prompt(prompt):
    assert len(filmed(shot(prompt=prompt, duration=1, **SMALL))) == frame_count(1)


def test_the_prompt_can_be_read_against_its_backdrop():
    card = filmed(shot(prompt="IIIIIIIIII IIIIIIIIII", width=960, height=540, duration=1))[0]
    text = card[180:400, 90:600].mean(axis=-1)
    assert text.max() > 235
    assert np.percentile(text, 10) < 130


def test_other_prompts_give_other_cards():
    cards = [filmed(shot(prompt=prompt, duration=1))[0] for prompt in ("a red kite", "a blue boat")]
    assert away(*cards) > 3


def test_a_card_shows_that_time_passes_even_with_a_static_camera():
    frames = filmed(shot(concepts=("static",)))
    foot = slice(int(HEIGHT * 0.86), HEIGHT)
    assert all(
        np.abs(a[foot].astype(int) - b[foot]).max() > 20
        for a, b in zip(frames[::12], frames[12::12], strict=False)
    )


def test_the_camera_moves_behind_the_card():
    still, moving = (filmed(shot(prompt="", concepts=(concept,)))[-1] for concept in ("static", "crane_up"))
    assert away(still, moving) > 3


def test_a_script_that_the_font_lacks_is_said_rather_than_drawn_as_boxes():
    assert (
        drawable("雨の夜、紙の舟")
        == "A prompt of 7 characters, in a script that this preview has no type for"
    )


def test_single_characters_that_the_font_lacks_are_left_out():
    assert drawable("Lift-off\n🚀 at  dawn") == "Lift-off at dawn"


def test_a_long_prompt_ends_in_an_ellipsis_within_its_field():
    block = set_into("a very long story " * 300, 400, 200, largest=40, smallest=16)
    assert block.lines[-1].endswith("…")
    assert len(block.lines) * block.leading <= 200


def test_a_short_prompt_is_set_as_large_as_allowed():
    assert set_into("Rain", 400, 200, largest=40, smallest=16).size == 40


# Rendering


def test_stopping_leaves_no_file_behind(tmp_path):
    parts = []
    with pytest.raises(RenderStopped):
        render(shot(), tmp_path / "clip.mp4", progress=parts.append, stopped=lambda: len(parts) >= 5)
    assert len(parts) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_shot_that_is_stopped_before_it_begins_paints_nothing(tmp_path):
    parts = []
    with pytest.raises(RenderStopped):
        render(shot(), tmp_path / "clip.mp4", progress=parts.append, stopped=lambda: True)
    assert parts == []


def test_progress_rises_to_one(tmp_path):
    parts = []
    render(shot(), tmp_path / "clip.mp4", progress=parts.append, stopped=never)
    assert parts == sorted(parts)
    assert parts[0] < 0.1
    assert parts[-1] == 1.0
    assert len(parts) > frame_count(2)


def test_memory_does_not_grow_with_the_length(tmp_path):
    def peak(seconds: int) -> int:
        wanted = shot(first_frame=photograph(1), last_frame=photograph(2), duration=seconds)
        tracemalloc.start()
        try:
            render(wanted, tmp_path / "clip.mp4", progress=go_on, stopped=never)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(6) < peak(2) + 5 * WIDTH * HEIGHT * 3


def test_memory_does_not_grow_with_the_pictures_in_between(tmp_path):
    def peak(pictures: int) -> int:
        middle = tuple((2 + 3 * n, photograph(n)) for n in range(pictures))
        tracemalloc.start()
        try:
            render(shot(middle_frames=middle), tmp_path / "clip.mp4", progress=go_on, stopped=never)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(15) < peak(5) + 15 * WIDTH * HEIGHT * 3
