from __future__ import annotations

import films
import kinds
import numpy as np
import pytest
import torch
from luma_ray.nodes.media import clips, frames

SHOWN = [kind for kind in kinds.KINDS if kind.refusal is None]
REFUSED = [kind for kind in kinds.KINDS if kind.refusal is not None]
PARTS = [(0, 1, 7), (11, None, 2), (3, 4, 7), (29, 1, 1), (1, None, 13)]


def named(kind):
    return kind.name


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Makes a file of a kind once."""
    folder, made = tmp_path_factory.mktemp("kinds"), {}

    def make(kind):
        if not kind.available:
            pytest.skip(f"FFmpeg has no {kind.codec} here")
        if kind.name not in made:
            made[kind.name] = kinds.make(kind, folder / f"{len(made)}.{kind.container}")
        return made[kind.name]

    return make


def test_there_are_kinds_enough():
    assert len(SHOWN) >= 12
    assert len({kind.name for kind in kinds.KINDS}) == len(kinds.KINDS)


@pytest.mark.parametrize("kind", SHOWN, ids=named)
def test_every_kind_of_file_gives_its_exact_colours(tmp_path, kind):
    if not kind.available:
        pytest.skip(f"FFmpeg has no {kind.codec} here")
    row = kinds.row(kind, tmp_path / f"clip.{kind.container}")
    assert row.refusal is None
    assert row.frames > 0
    assert row.mean_error <= (0.3 if films.CHROMA_SITED else 0.6)
    assert row.bias <= 0.05


@pytest.mark.parametrize("kind", REFUSED, ids=named)
def test_what_cannot_become_frames_is_refused_with_its_name_and_a_reason(tmp_path, kind):
    row = kinds.row(kind, tmp_path / f"clip.{kind.container}")
    assert row.frames == 0
    assert f"clip.{kind.container} " in row.refusal
    assert kind.refusal in row.refusal


@pytest.mark.parametrize("kind", SHOWN, ids=named)
def test_a_part_of_any_kind_is_that_part_of_the_whole(file, kind):
    path = file(kind)
    whole = frames.decode(path)
    for start, count, step in PARTS:
        if start < len(whole):
            part = frames.decode(path, start=start, count=count, step=step)
            assert torch.equal(part, whole[start::step][:count]), (start, count, step)
    assert torch.equal(frames.first_frame(path), whole[:1])
    assert torch.equal(frames.last_frame(path), whole[-1:])


@pytest.mark.parametrize("kind", SHOWN, ids=named)
def test_facts_agree_with_what_is_decoded(file, kind):
    path = file(kind)
    facts = clips.inspect(path)
    count, height, width, _ = frames.decode(path).shape
    assert (facts.frames, facts.width, facts.height) == (count, width, height)
    np.testing.assert_array_equal(next(clips.read(path)).shape, (height, width, 3))
