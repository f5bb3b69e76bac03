"""The nodes that change a clip, as ComfyUI runs them: films of every origin, offline and at Luma's emulator."""

from __future__ import annotations

import io as memory
from fractions import Fraction
from pathlib import Path

import comfy_host
import films
import numpy as np
import pytest
import torch
from luma_ray.nodes.media import clips, encoding
from test_nodes import Graph, at_luma, graph, sink, sys_io  # noqa: F401 - two of them are fixtures

SCENE = films.scene(48, 160, 90)


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "mine.mp4"
    encoding.write(SCENE, path, frame_rate=24, width=160, height=90)
    return path


@pytest.fixture
def forgetful(tmp_path, luma):
    """A ComfyUI whose cache keeps nothing, at Luma's emulator: what is recalled, we recall."""
    luma.pace = type(luma.pace)(1)
    with comfy_host.install(tmp_path / "comfyui", cache="none") as host:
        yield Graph(host)


def given(graph, make):  # noqa: F811
    """A node that gives the VIDEO which *make* makes."""
    io = sys_io()

    class GivenVideo(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="GivenVideo", outputs=[io.Video.Output("video")])

        @classmethod
        def execute(cls):
            return io.NodeOutput(make())

    graph.host.add_nodes([GivenVideo])
    return {"class_type": "GivenVideo", "inputs": {}}


def pictures(graph, count):  # noqa: F811
    """A node that gives a batch of frames."""
    io = sys_io()

    class GivenFrames(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="GivenFrames", outputs=[io.Image.Output("frames")])

        @classmethod
        def execute(cls):
            return io.NodeOutput(torch.from_numpy(np.stack(SCENE[:count]).astype(np.float32) / 255))

    graph.host.add_nodes([GivenFrames])
    return {"class_type": "GivenFrames", "inputs": {}}


def fox(graph, **others):  # noqa: F811
    return graph.node("RayTextToVideo", prompt="a fox", **{"resolution": "360p", **others})


def shown(result, node):
    """What is in the film that *node* gave."""
    return clips.inspect(Path(result.outputs[node][1].get_stream_source()))


def test_a_clip_is_reframed_offline_without_any_key(graph):  # noqa: F811
    reframe = graph.node("RayReframeVideo", aspect_ratio="9:16", resolution="360p", generation=["1", 3])
    result = graph.queue(**{"1": fox(graph), "2": reframe, "3": sink(graph, "2")})
    assert result.status == "success", result.message
    facts = shown(result, "2")
    assert (facts.width, facts.height, facts.frames) == (360, 640, 121)
    assert graph.said("2")[-1].startswith("PREVIEW · 5 s · 360p")


@pytest.mark.parametrize(
    ("origin", "frames"), [("a file", 48), ("trimmed", 12), ("in memory", 48), ("of frames", 48)]
)
def test_a_video_of_any_origin_is_made_over(forgetful, luma, bucket, film, origin, frames):
    from comfy_api.latest import InputImpl, Types

    make = {
        "a file": lambda: InputImpl.VideoFromFile(str(film)),
        "trimmed": lambda: InputImpl.VideoFromFile(str(film), start_time=1, duration=0.5),
        "in memory": lambda: InputImpl.VideoFromFile(memory.BytesIO(film.read_bytes())),
        "of frames": lambda: InputImpl.VideoFromComponents(
            Types.VideoComponents(
                images=torch.from_numpy(np.stack(SCENE).astype(np.float32) / 255), frame_rate=Fraction(24)
            )
        ),
    }[origin]
    modify = forgetful.node("RayModifyVideo", prompt="as a painting", video=["1", 0])
    prompt = {"1": given(forgetful, make), "2": modify, "3": sink(forgetful, "2")}
    for _ in range(2):
        result = forgetful.queue(**prompt)
        assert result.status == "success", result.message
        assert shown(result, "2").frames == frames
    assert len(luma.creates) == 1
    (stored,) = bucket.objects.all()
    if origin in ("a file", "in memory"):
        assert stored.get()["Body"].read() == film.read_bytes()


def test_a_batch_of_frames_is_a_film_too(at_luma, luma, bucket):  # noqa: F811
    modify = at_luma.node("RayModifyVideo", prompt="as a painting", mode="reimagine_1", frames=["1", 0])
    result = at_luma.queue(**{"1": pictures(at_luma, 24), "2": modify, "3": sink(at_luma, "2")})
    assert result.status == "success", result.message
    assert shown(result, "2").frames == 24
    assert luma.creates[0].body["mode"] == "reimagine_1"


def test_one_film_is_needed_and_not_two_or_none(graph):  # noqa: F811
    for connected in ({}, {"generation": ["1", 3], "frames": ["1", 0]}):
        reframe = graph.node("RayReframeVideo", **connected)
        result = graph.queue(**{"1": fox(graph), "2": reframe, "3": sink(graph, "2")})
        assert result.status == "error"
        assert "connect a generation, a video or frames, and only one of them" in result.message


def test_a_chain_of_them_is_bought_once_and_its_sound_arrives(forgetful, luma):
    graph = forgetful  # noqa: F811
    prompt = {
        "1": fox(graph, resolution="540p"),
        "2": graph.node("RayUpscaleVideo", resolution="1080p", generation=["1", 3]),
        "3": graph.node("RayAddAudio", prompt="wind", negative_prompt="voices", generation=["2", 3]),
        "4": sink(graph, "3"),
    }
    for _ in range(2):
        result = graph.queue(**prompt)
        assert result.status == "success", result.message
    assert [create.kind for create in luma.creates] == ["video", "upscale_video", "add_audio"]
    assert shown(result, "3").has_audio
    assert graph.said("3")[-1].startswith("ray-flash-2 · 5 s")


def test_sound_has_a_preview_that_says_that_it_is_one(graph):  # noqa: F811
    audio = graph.node("RayAddAudio", generation=["1", 3])
    result = graph.queue(**{"1": fox(graph), "2": audio, "3": sink(graph, "2")})
    assert result.status == "success", result.message
    assert shown(result, "2").has_audio
    assert graph.said("2")[-1].startswith("PREVIEW")


def test_a_clip_between_two_is_joined_where_that_is_asked_for(at_luma, luma):  # noqa: F811
    between = at_luma.node(
        *("RayInterpolateVideo",),
        prompt="on and on",
        resolution="540p",
        output="whole film",
        before=["1", 3],
        after=["2", 3],
    )
    result = at_luma.queue(
        **{
            "1": fox(at_luma, resolution="540p"),
            "2": fox(at_luma, resolution="540p", take=2),
            "3": between,
            "4": sink(at_luma, "3"),
        }
    )
    assert result.status == "success", result.message
    assert shown(result, "3").frames == 361
    assert len(result.outputs["3"][3]) == 3


@pytest.mark.parametrize("name", ["prompt", "negative_prompt"])
def test_a_key_in_either_text_is_refused_as_the_graph_is_queued(graph, monkeypatch, name):  # noqa: F811
    monkeypatch.setenv("LUMAAI_API_KEY", "luma-0123456789abcdef-0123456789abcdef")
    words = {"prompt": "wind", name: "luma-0123456789abcdef-0123456789abcdef"}
    audio = graph.node("RayAddAudio", **words, generation=["1", 3])
    result = graph.queue(**{"1": fox(graph), "2": audio, "3": sink(graph, "2")})
    assert result.status != "success"
    assert "0123456789abcdef" not in f"{result.message}{result.node_errors}"
    assert "Take it out of the workflow" in f"{result.message}{result.node_errors}"
    assert graph.said("1") == []
