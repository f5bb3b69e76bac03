"""The nodes as ComfyUI runs them: in the stand-in host, against Luma's emulator and with the animatic."""

from __future__ import annotations

import json
import threading
import time
from fractions import Fraction
from pathlib import Path

import comfy_host
import films
import numpy as np
import pytest
import torch
from emulators.server import Fault

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).parent / "golden_nodes.json"


class Graph:
    """A host with the pack in it, and prompts written short."""

    def __init__(self, host):
        self.host = host
        self.nodes = comfy_host.load_pack(ROOT)
        self.info = host.object_info()

    def node(self, class_type, **inputs):
        return comfy_host.default_node(self.info, class_type, **inputs)

    def queue(self, **nodes):
        return self.host.queue(nodes)

    def said(self, node_id):
        """What stands on a node."""
        return [
            event.data
            for event in self.host.events
            if event.name == "progress_text" and event.node_id == node_id
        ]

    def rows(self):
        import sqlite3

        with sqlite3.connect(self.host.root / "user" / "__luma_ray" / "journal.db") as journal:
            rows = journal.execute("select state, job_id from generations order by created_at").fetchall()
        journal.close()
        return rows


@pytest.fixture
def graph(tmp_path):
    with comfy_host.install(tmp_path / "comfyui") as host:
        yield Graph(host)


@pytest.fixture
def at_luma(graph, luma):
    luma.pace = type(luma.pace)(1)
    return graph


def sink(graph, source, output=1):
    """Something that makes ComfyUI execute *source*."""
    if output == 1:
        return graph.node("SaveVideo", video=[source, 1], format="auto")
    return graph.node("PreviewImage", images=[source, output])


def test_ids_inputs_and_their_order_are_those_that_were_published(graph):
    """A workflow stores widget values by position: whatever is renamed, moved or removed breaks films."""
    published = json.loads(GOLDEN.read_text("utf-8"))
    now = {
        node_id: {
            "inputs": [name for group in ("required", "optional") for name in info["input"].get(group, {})],
            "outputs": list(zip(info["output"], info["output_name"], strict=True)),
            "display_name": info["display_name"],
        }
        for node_id, info in json.loads(json.dumps(graph.info)).items()
        if node_id in graph.nodes
    }
    assert json.loads(json.dumps(now)) == published


def test_every_node_explains_itself(graph):
    for node_id in graph.nodes:
        info = graph.info[node_id]
        assert info["description"]
        assert info["category"] == "video/Luma Ray"
        assert (ROOT / "web" / "docs" / node_id / "en.md").is_file()
        for group in info["input"].values():
            for name, spec in group.items():
                if isinstance(spec, list) and name not in ("unique_id", "prompt", "extra_pnginfo"):
                    assert spec[1].get("tooltip"), (node_id, name)


def test_text_becomes_a_video_and_the_price_stands_on_the_node(at_luma, luma):
    result = at_luma.queue(**{"1": at_luma.node("RayTextToVideo", prompt="a fox"), "2": sink(at_luma, "1")})
    assert result.status == "success", result.message
    assert at_luma.said("1")[-1].startswith("ray-flash-2 · 5 s · 720p · luma")
    assert "$0.24" in at_luma.said("1")[-1]
    assert len(luma.creates) == 1


def test_the_clip_plays_on_the_node_from_the_output_folder(graph):
    result = graph.queue(
        **{"1": graph.node("RayTextToVideo", prompt="a fox", resolution="540p"), "2": sink(graph, "1")}
    )
    (shown,) = result.ui["1"]["images"]
    assert shown["type"] == "output"
    assert (graph.host.root / "output" / shown["subfolder"] / shown["filename"]).is_file()
    assert graph.said("1")[-1].startswith("PREVIEW")


def test_a_clip_kept_elsewhere_still_plays_on_the_node(graph, monkeypatch, tmp_path):
    monkeypatch.setenv("LUMA_RAY_LIBRARY", str(tmp_path / "my clips"))
    result = graph.queue(
        **{"1": graph.node("RayTextToVideo", prompt="a fox", resolution="540p"), "2": sink(graph, "1")}
    )
    (shown,) = result.ui["1"]["images"]
    assert shown["type"] == "temp"
    assert (graph.host.root / "temp" / shown["subfolder"] / shown["filename"]).is_file()
    assert list((tmp_path / "my clips").rglob("*.mp4"))


def test_frames_are_decoded_only_when_linked_and_linking_them_later_buys_nothing(at_luma, luma):
    fox = at_luma.node("RayTextToVideo", prompt="a fox", resolution="540p")
    result = at_luma.queue(**{"1": fox, "2": sink(at_luma, "1")})
    assert result.outputs["1"][0] is None
    assert result.outputs["1"][2] is None
    result = at_luma.queue(
        **{"1": fox, "2": sink(at_luma, "1"), "3": sink(at_luma, "1", 0), "4": sink(at_luma, "1", 2)}
    )
    frames, _, last, _, audio = result.outputs["1"]
    assert frames.dtype == torch.float32
    assert frames.shape[0] == 121
    assert frames.shape[-1] == 3
    assert torch.equal(last, frames[-1:])
    assert audio is None
    assert len(luma.creates) == 1


def test_sound_is_decoded_only_when_linked_and_a_silent_clip_gives_silence(at_luma, luma):
    """Nodes that save, show or mix AUDIO fail on None, and Ray's clips have no sound."""
    fox = at_luma.node("RayTextToVideo", prompt="a fox", resolution="540p")
    result = at_luma.queue(**{"1": fox, "2": sink(at_luma, "1")})
    assert result.outputs["1"][4] is None
    listener = listening(at_luma)
    result = at_luma.queue(
        **{"1": fox, "2": sink(at_luma, "1"), "3": {**listener, "inputs": {"audio": ["1", 4]}}}
    )
    assert result.status == "success", result.message
    frames, _, last, _, audio = result.outputs["1"]
    assert frames is last is None
    assert audio["waveform"].shape == (1, 2, 242_000)
    assert audio["sample_rate"] == 48_000
    assert not audio["waveform"].any()
    assert len(luma.creates) == 1


def listening(graph):
    """A node that takes AUDIO and makes ComfyUI execute what gives it."""
    io = sys_io()

    class Listening(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="Listening", inputs=[io.Audio.Input("audio")], outputs=[], is_output_node=True
            )

        @classmethod
        def execute(cls, audio):
            return io.NodeOutput()

    graph.host.add_nodes([Listening])
    return {"class_type": "Listening", "inputs": {}}


def test_without_the_prompt_handler_everything_is_decoded(graph, monkeypatch):
    graph.host.server.on_prompt_handlers.clear()
    fox = graph.node("RayTextToVideo", prompt="a fox", resolution="540p")
    result = graph.queue(**{"1": fox, "2": sink(graph, "1"), "3": sink(graph, "1", 2)})
    assert result.status == "success", result.message
    assert result.outputs["1"][0].shape[0] == 121


def test_the_shots_of_one_graph_run_at_the_same_time(at_luma, luma):
    """Each job is answered only after all four were created: one after the other would never end."""
    all_there = threading.Event()
    luma.watch = lambda request: all_there.set() if len(luma.creates) == 4 else None
    luma.fail_next("GET", "/generations/{id}", Fault.hold(all_there), times=4)
    shots = {
        str(n): at_luma.node("RayTextToVideo", prompt=f"shot {n}", resolution="540p") for n in range(1, 5)
    }
    joined = at_luma.node("RayJoinClips", **{f"generation_{n}": [str(n), 3] for n in range(1, 5)})
    result = at_luma.queue(**shots, **{"5": joined, "6": sink(at_luma, "5")})
    assert result.status == "success", result.message
    assert len(result.outputs["5"][3]) == 4
    assert [f"seam {number}:" in str(at_luma.said("5")[-1]) for number in (1, 2, 3, 4)] == [True] * 3 + [
        False
    ]


def test_two_nodes_that_ask_for_the_same_clip_buy_it_once(at_luma, luma):
    fox = at_luma.node("RayTextToVideo", prompt="a fox", resolution="540p")
    result = at_luma.queue(**{"1": fox, "2": dict(fox), "3": sink(at_luma, "1"), "4": sink(at_luma, "2")})
    assert result.status == "success", result.message
    assert len(luma.creates) == 1


@pytest.fixture
def asked(luma):
    """Set when a job was asked about; jobs stay unfinished until the pace is changed."""
    luma.pace = type(luma.pace)(10**9)
    event = threading.Event()
    luma.watch = lambda request: event.set() if request.method == "GET" else None
    return event


def test_an_interrupt_ends_the_wait_within_a_second_and_keeps_the_job(graph, luma, asked):
    fox = graph.node("RayTextToVideo", prompt="a fox", resolution="540p")
    running = graph.host.start({"1": fox, "2": sink(graph, "1")})
    assert asked.wait(20)
    stopped_at = time.monotonic()
    graph.host.interrupt()
    result = running.result(20)
    assert time.monotonic() - stopped_at < 3  # a second, and room for a busy machine
    assert result.status == "interrupted"
    assert "Queue again to collect it" in graph.said("1")[-1]
    assert graph.rows()[0][0] == "submitted"
    luma.pace = type(luma.pace)(1)
    again = graph.queue(**{"1": fox, "2": sink(graph, "1")})
    assert again.status == "success", again.message
    assert len(luma.creates) == 1


def test_a_failed_sibling_leaves_the_paid_job_collectable_and_the_queue_alive(graph, luma, asked):
    class Failing(sys_io().ComfyNode):
        @classmethod
        def define_schema(cls):
            io = sys_io()
            return io.Schema(node_id="Failing", inputs=[], outputs=[io.Image.Output("images")])

        @classmethod
        async def execute(cls):
            import asyncio

            while not asked.is_set():
                await asyncio.sleep(0.01)
            raise ValueError("somebody else's trouble")

    graph.host.add_nodes([Failing])
    fox = graph.node("RayTextToVideo", prompt="a fox", resolution="540p")
    failing = {"class_type": "Failing", "inputs": {}}
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    result = graph.queue(**{"1": fox, "2": sink(graph, "1"), "3": failing, "4": preview})
    assert result.status == "error"
    assert "somebody else's trouble" in result.message
    assert not result.worker_dead
    luma.pace = type(luma.pace)(1)
    again = graph.queue(**{"1": fox, "2": sink(graph, "1")})
    assert again.status == "success", again.message
    assert len(luma.creates) == 1


def test_a_refusal_is_one_sentence_on_the_node_and_nothing_was_sent(at_luma, luma):
    result = at_luma.queue(
        **{"1": at_luma.node("RayTextToVideo", prompt="", loop=True), "2": sink(at_luma, "1")}
    )
    assert result.status == "error"
    assert "the prompt is empty" in result.message
    assert "Nothing was sent or billed" in at_luma.said("1")[-1]
    assert luma.requests == []


def pictures(graph, tensor):
    """A node that gives *tensor*."""
    io = sys_io()

    class Pictures(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Pictures", inputs=[], outputs=[io.Image.Output("images")])

        @classmethod
        def execute(cls):
            return io.NodeOutput(tensor)

    graph.host.add_nodes([Pictures])
    return {"class_type": "Pictures", "inputs": {}}


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(5, 64, 64, 3), "holds 5 images, and one frame is meant"),
        (torch.full((1, 64, 64, 4), 0.5), "transparent"),
        (torch.full((1, 64, 64, 3), float("nan")), "not numbers"),
        (torch.zeros(1, 8, 8, 3), "8x8 pixels"),
    ],
)
def test_a_picture_that_cannot_be_used_gets_a_sentence_before_anything_is_sent(
    at_luma, luma, image, words, monkeypatch
):
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "a-bucket")
    provider = "animatic" if image.shape[1] == 8 else "luma"
    node = at_luma.node("RayImageToVideo", prompt="a fox", provider=provider, first_frame=["1", 0])
    result = at_luma.queue(**{"1": pictures(at_luma, image), "2": node, "3": sink(at_luma, "2")})
    assert result.status == "error"
    assert words in result.message
    assert luma.requests == []


def test_inputs_are_not_changed(graph):
    image = torch.rand(1, 90, 160, 3)
    before = image.clone()
    node = graph.node("RayImageToVideo", first_frame=["1", 0], resolution="540p")
    result = graph.queue(**{"1": pictures(graph, image), "2": node, "3": sink(graph, "2")})
    assert result.status == "success", result.message
    assert torch.equal(image, before)


def test_frames_gives_a_range_in_another_size_and_the_ends_alone(graph):
    fox = graph.node("RayTextToVideo", prompt="a fox", resolution="540p")
    chosen = graph.node("RayFrames", generation=["1", 3], start=10, count=3, step=5, width=96)
    result = graph.queue(**{"1": fox, "2": chosen, "3": sink(graph, "2", 0), "4": sink(graph, "2", 2)})
    frames, first, last, audio = result.outputs["2"]
    assert audio is None
    assert frames.shape == (3, 54, 96, 3)
    assert first is None
    assert last.shape == (1, 540, 960, 3)


def test_extend_takes_a_video_from_any_node(graph, tmp_path):
    from luma_ray.nodes.media import encoding

    path = tmp_path / "mine.mp4"
    moving = (np.full((90, 160, 3), level, np.uint8) for level in range(60, 85))
    encoding.write(moving, path, frame_rate=Fraction(24), width=160, height=90)
    io = sys_io()

    class Video(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Video", inputs=[], outputs=[io.Video.Output("video")])

        @classmethod
        def execute(cls):
            from comfy_api.latest import InputImpl

            return io.NodeOutput(InputImpl.VideoFromFile(str(path)))

    graph.host.add_nodes([Video])
    longer = graph.node("RayExtendVideo", prompt="it goes on", length=6, resolution="540p", video=["1", 0])
    result = graph.queue(
        **{"1": {"class_type": "Video", "inputs": {}}, "2": longer, "3": sink(graph, "2", 0)}
    )
    assert result.status == "success", result.message
    assert result.outputs["2"][0].shape == (145, 90, 160, 3)


def test_extend_takes_frames_from_any_node(graph):
    frames = torch.linspace(0.2, 0.6, 25).reshape(25, 1, 1, 1).expand(25, 90, 160, 3)
    longer = graph.node("RayExtendVideo", prompt="it goes on", length=6, resolution="540p", frames=["1", 0])
    result = graph.queue(**{"1": pictures(graph, frames), "2": longer, "3": sink(graph, "2", 0)})
    assert result.status == "success", result.message
    assert result.outputs["2"][0].shape == (145, 90, 160, 3)


def videos(graph, make):
    """A node that gives the VIDEO of *make*."""
    io = sys_io()

    class Videos(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Videos", inputs=[], outputs=[io.Video.Output("video")])

        @classmethod
        def execute(cls):
            return io.NodeOutput(make())

    graph.host.add_nodes([Videos])
    return {"class_type": "Videos", "inputs": {}}


def from_frames(count=60, height=90, width=160, rate=24):
    """A VIDEO in memory, as Create Video gives it: blocks that move, and grain."""
    from comfy_api.latest import InputImpl, Types

    dice = torch.Generator().manual_seed(1)
    blocks = torch.rand(1, height // 12 + 1, width // 12 + 1, 3, generator=dice)
    blocks = blocks.repeat_interleave(12, 1).repeat_interleave(12, 2)[:, :height, :width]
    moving = torch.cat([blocks.roll(3 * step, 2) for step in range(count)])
    moving = (moving + 0.05 * torch.rand(moving.shape, generator=dice)).clamp(0, 1)
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=moving, frame_rate=Fraction(rate)))


def heard_in(path):
    """Frames in whose middles the file clicks."""
    import av

    with av.open(str(path)) as file:
        waveform = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
        return films.heard_at(waveform, file.streams.audio[0].rate)


def extended(graph, make):
    """The film that Ray Extend Video makes of a VIDEO, as Save Video saved it, and the node's audio."""
    longer = graph.node("RayExtendVideo", prompt="it goes on", length=7, resolution="540p", video=["1", 0])
    listener = {**listening(graph), "inputs": {"audio": ["2", 4]}}
    result = graph.queue(**{"1": videos(graph, make), "2": longer, "3": sink(graph, "2"), "4": listener})
    assert result.status == "success", result.message
    (saved,) = result.ui["3"]["images"]
    return graph.host.root / "output" / saved["subfolder"] / saved["filename"], result.outputs["2"][4]


def test_the_sound_of_a_video_that_is_extended_is_in_the_saved_film_and_in_audio(graph, tmp_path):
    from comfy_api.latest import InputImpl

    path = films.encode(
        films.scene(49, 160, 90), tmp_path / "mine.mp4", sound=films.clicks(49, [3, 48], channels=1)
    )
    film, audio = extended(graph, lambda: InputImpl.VideoFromFile(str(path)))
    assert heard_in(film) == pytest.approx([3.5, 48.5], abs=0.024)
    waveform = audio["waveform"]
    assert waveform.shape == (1, 1, 169 * 2000)
    assert films.heard_at(waveform[0].numpy(), 48_000) == pytest.approx([3.5, 48.5], abs=0.024)


def test_a_trimmed_video_that_is_extended_keeps_the_sound_of_its_part(graph, tmp_path):
    from comfy_api.latest import InputImpl

    path = films.encode(films.scene(96, 160, 90), tmp_path / "mine.mp4", sound=films.clicks(96, [3, 40, 80]))
    film, _ = extended(graph, lambda: InputImpl.VideoFromFile(str(path), start_time=1, duration=2))
    assert heard_in(film) == pytest.approx([16.5], abs=0.024)


def test_a_video_made_of_frames_and_sound_keeps_it_when_extended(graph):
    from comfy_api.latest import InputImpl, Types

    images = torch.from_numpy(np.stack(films.scene(48, 160, 90))).float() / 255
    sound = torch.from_numpy(films.clicks(48, [5, 30], rate=44_100))[None]
    components = Types.VideoComponents(
        images=images, frame_rate=Fraction(24), audio={"waveform": sound, "sample_rate": 44_100}
    )
    film, audio = extended(graph, lambda: InputImpl.VideoFromComponents(components))
    assert heard_in(film) == pytest.approx([5.5, 30.5], abs=0.024)
    assert audio["sample_rate"] == 44_100


def test_other_sound_beside_the_same_frames_is_another_file_and_no_other_purchase(graph):
    from comfy_api.latest import InputImpl, Types

    images = torch.from_numpy(np.stack(films.scene(48, 160, 90))).float() / 255
    found = []
    for at in ([5], [9]):
        sound = torch.from_numpy(films.clicks(48, at))[None]
        components = Types.VideoComponents(
            images=images, frame_rate=Fraction(24), audio={"waveform": sound, "sample_rate": 48_000}
        )
        graph.host.cache.clear()
        found += heard_in(extended(graph, lambda held=components: InputImpl.VideoFromComponents(held))[0])
    assert found == pytest.approx([5.5, 9.5], abs=0.024)
    assert len(graph.rows()) == 1


@pytest.mark.parametrize("trimmed", [False, True])
def test_the_same_video_extended_after_a_restart_is_the_same_purchase(graph, tmp_path, trimmed):
    """What ComfyUI's own writer makes of a VIDEO differs each time, and so would the picture at its end."""
    import shutil

    from comfy_api.latest import InputImpl

    path = str(tmp_path / "mine.mp4")
    large = from_frames(60, 360, 600)
    large.save_to(path)
    make = lambda: InputImpl.VideoFromFile(path, duration=2) if trimmed else large  # noqa: E731
    longer = graph.node("RayExtendVideo", prompt="it goes on", length=6, resolution="540p", video=["1", 0])
    for _ in range(3):
        result = graph.queue(**{"1": videos(graph, make), "2": longer, "3": sink(graph, "2")})
        assert result.status == "success", result.message
        graph.host.cache.clear()
        shutil.rmtree(graph.host.root / "temp")
    assert len(graph.rows()) == 1


def test_a_trimmed_video_gives_only_its_part(graph, tmp_path):
    from comfy_api.latest import InputImpl
    from luma_ray.nodes.media import encoding

    path = tmp_path / "mine.mp4"
    levels = (np.full((90, 160, 3), level, np.uint8) for level in range(60, 132))
    encoding.write(levels, path, frame_rate=Fraction(24), width=160, height=90)
    part = videos(graph, lambda: InputImpl.VideoFromFile(str(path), start_time=1, duration=0.5))
    result = graph.queue(
        **{"1": part, "2": graph.node("RayFrames", video=["1", 0]), "3": sink(graph, "2", 0)}
    )
    frames = result.outputs["2"][0]
    assert frames.shape == (12, 90, 160, 3)
    assert abs(frames[0].mean().item() * 255 - 84) < 2
    beyond = videos(graph, lambda: InputImpl.VideoFromFile(str(path), start_time=9, duration=1))
    graph.host.cache.clear()
    result = graph.queue(
        **{"1": beyond, "2": graph.node("RayFrames", video=["1", 0]), "3": sink(graph, "2", 0)}
    )
    assert "nothing is left" in result.message


def test_a_video_in_memory_may_have_odd_sides(graph):
    odd = videos(graph, lambda: from_frames(3, 91, 161))
    result = graph.queue(**{"1": odd, "2": graph.node("RayFrames", video=["1", 0]), "3": sink(graph, "2", 0)})
    assert result.status == "success", result.message
    assert result.outputs["2"][0].shape == (3, 90, 160, 3)


@pytest.mark.parametrize("content", ["a film", "nonsense"])
def test_a_video_file_in_memory_is_read_or_refused_in_words(graph, tmp_path, content):
    import io as memory

    from comfy_api.latest import InputImpl

    path = tmp_path / "mine.mp4"
    from_frames(3).save_to(str(path))
    data = path.read_bytes() if content == "a film" else b"nonsense"
    video = videos(graph, lambda: InputImpl.VideoFromFile(memory.BytesIO(data)))
    result = graph.queue(
        **{"1": video, "2": graph.node("RayFrames", video=["1", 0]), "3": sink(graph, "2", 0)}
    )
    if content == "a film":
        assert result.outputs["2"][0].shape == (3, 90, 160, 3)
    else:
        assert "cannot be decoded" in result.message


def test_frames_of_the_same_bytes_in_another_shape_are_another_film(graph):
    for height, width in ((90, 160), (160, 90)):
        black = torch.zeros(25, height, width, 3)
        longer = graph.node(
            "RayExtendVideo", prompt="it goes on", length=6, resolution="540p", frames=["1", 0]
        )
        result = graph.queue(**{"1": pictures(graph, black), "2": longer, "3": sink(graph, "2", 0)})
        assert result.outputs["2"][0].shape[1:3] == (height, width)
        graph.host.cache.clear()


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (torch.zeros(25, 90, 160), "frames has"),
        ([torch.zeros(1, 90, 160, 3)], "frames is not an image but list"),
        (torch.zeros(2, 90, 160, 3, dtype=torch.int64), "frames holds int64 values"),
    ],
)
def test_frames_that_are_none_get_a_sentence(graph, frames, words):
    longer = graph.node("RayExtendVideo", prompt="it goes on", length=6, resolution="540p", frames=["1", 0])
    result = graph.queue(**{"1": pictures(graph, frames), "2": longer, "3": sink(graph, "2")})
    assert words in result.message


def test_frames_of_half_precision_are_frames(graph):
    half = torch.zeros(25, 90, 160, 3, dtype=torch.bfloat16)
    longer = graph.node("RayExtendVideo", prompt="it goes on", length=6, resolution="540p", frames=["1", 0])
    result = graph.queue(**{"1": pictures(graph, half), "2": longer, "3": sink(graph, "2")})
    assert result.status == "success", result.message


def test_a_clip_is_copied_for_the_node_on_the_worker_thread(graph, monkeypatch, tmp_path):
    """A library on another disk: the copy must not hold up the other nodes of the graph."""
    import shutil

    monkeypatch.setenv("LUMA_RAY_LIBRARY", str(tmp_path / "another disk"))
    monkeypatch.setattr(Path, "hardlink_to", lambda self, target: (_ for _ in ()).throw(OSError(18, "no")))
    threads = []
    copyfile = shutil.copyfile

    def copied(*files):
        threads.append(threading.current_thread().name)
        return copyfile(*files)

    monkeypatch.setattr(shutil, "copyfile", copied)
    fox = graph.node("RayTextToVideo", prompt="a fox", resolution="540p")
    result = graph.queue(**{"1": fox, "2": sink(graph, "1")})
    assert result.status == "success", result.message
    assert threads == ["ray-1"]


def host_module():
    import sys

    (name,) = [name for name in sys.modules if name.endswith("nodes.host") and not name.startswith("luma")]
    return sys.modules[name]


def test_the_first_nodes_of_a_graph_share_one_studio(graph, monkeypatch):
    """Two would know nothing of each other's running generations."""
    host, made = host_module(), []
    both = threading.Barrier(2, timeout=0.5)

    def opened(*folders):
        from contextlib import suppress

        with suppress(threading.BrokenBarrierError):
            both.wait()
        made.append(folders)
        return object()

    import functools

    monkeypatch.setattr(host, "_studio_at", functools.lru_cache(opened))
    threads = [threading.Thread(target=host.studio) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_an_iterator_that_ends_unexpectedly_ends_the_node(graph):
    """asyncio's futures take no StopIteration: the node would wait for ever."""
    import asyncio
    from types import SimpleNamespace

    node = SimpleNamespace(hidden=SimpleNamespace(unique_id="1", prompt={}))
    work = asyncio.wait_for(host_module().run(node, lambda clock, report: next(iter(()))), 3)
    with pytest.raises(RuntimeError, match="ended unexpectedly"):
        asyncio.run(work)


def test_a_file_that_another_node_made_and_reads_is_used(graph, monkeypatch):
    """Windows replaces no file that is open."""
    host = host_module()

    def refused(unfinished, path):
        path.write_bytes(b"of the other node")
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "replace", refused)
    path = host.temporary("a", lambda unfinished: unfinished.write_bytes(b"ours"))
    assert path.read_bytes() == b"of the other node"
    assert [file.name for file in path.parent.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    "broken",
    [
        "no node",
        {"class_type": "RayTextToVideo", "inputs": None},
        {"class_type": "RayTextToVideo"},
        {"class_type": ["RayTextToVideo"], "inputs": {}},
    ],
)
def test_a_broken_node_does_not_keep_the_others_from_being_marked(graph, broken):
    prompt = {
        "1": broken,
        "12:5": {"class_type": "RayTextToVideo", "inputs": {}},
        "3": {
            "class_type": "SaveVideo",
            "inputs": {"images": ["12:5", 0], "video": ["12:5", 1], "list": {"__value__": ["12:5", 2]}},
        },
    }
    (handler,) = graph.host.server.on_prompt_handlers
    assert handler({"prompt": prompt})["prompt"]["12:5"]["inputs"] == {"_linked": "0"}


def test_concepts_chain_and_reach_the_provider_each_once(at_luma, luma):
    one = at_luma.node("RayCameraConcepts", concept_1="push_in", concept_2="tilt_up")
    two = at_luma.node("RayCameraConcepts", concept_1="push_in", concept_2="static", concepts=["1", 0])
    fox = at_luma.node("RayTextToVideo", prompt="a fox", concepts=["2", 0])
    at_luma.queue(**{"1": one, "2": two, "3": fox, "4": sink(at_luma, "3")})
    (create,) = [request.json for request in luma.requests if request.method == "POST"]
    assert [concept["key"] for concept in create["concepts"]] == ["push_in", "tilt_up", "static"]


@pytest.fixture
def agents(monkeypatch):
    """Luma's current API, and only its key."""
    from emulators.luma_agents import LumaAgentsEmulator

    with LumaAgentsEmulator(polls_until_done=1) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


def keyframes(graph, *seconds):
    """A chain of keyframes, all of one picture, and the node that takes them."""
    nodes = {"picture": pictures(graph, torch.full((1, 288, 512, 3), 0.25))}
    for number, second in enumerate(seconds):
        before = {"keyframes": [f"k{number - 1}", 0]} if number else {}
        nodes[f"k{number}"] = graph.node("RayKeyframe", image=["picture", 0], seconds=float(second), **before)
    nodes["film"] = graph.node(
        "RayKeyframesToVideo",
        prompt="from one to the other",
        model="ray-3.2",
        resolution="360p",
        keyframes=[f"k{len(seconds) - 1}", 0],
    )
    return {**nodes, "save": sink(graph, "film")}


def test_keyframes_reach_the_provider_in_order_of_time(graph, agents):
    result = graph.queue(**keyframes(graph, 4, 0.5, 2.25))
    assert result.status == "success", result.message
    (create,) = agents.creates
    assert create.body["video"]["keyframe_indexes"] == [12, 54, 96]
    assert len(create.body["video"]["keyframes"]) == 3


def test_keyframes_work_offline_too(graph):
    result = graph.queue(**keyframes(graph, 1, 4))
    assert result.status == "success", result.message
    assert any("PREVIEW" in str(said) for said in graph.said("film"))


def test_two_keyframes_on_one_frame_are_refused_in_words(graph):
    result = graph.queue(**keyframes(graph, 1, 1.01))
    assert result.status == "error"
    assert "Two keyframes stand at 1.00 s (frame 24)" in result.message


def test_a_keyframe_behind_the_end_of_the_clip_is_refused_before_anything_is_sent(graph, agents):
    result = graph.queue(**keyframes(graph, 1, 9))
    assert result.status == "error"
    assert "The keyframe at 9.00 s is after the end of the clip (5 s): move it." in result.message
    assert agents.requests == []


def test_a_prompt_is_enhanced_only_where_it_is_asked_for(graph, monkeypatch):
    from emulators.wavespeed import WaveSpeedEmulator

    with WaveSpeedEmulator(polls_until_done=1) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        for enhance, take in ((False, 1), (True, 2)):
            fox = graph.node("RayTextToVideo", prompt="a fox", enhance_prompt=enhance, take=take)
            result = graph.queue(**{"1": fox, "2": sink(graph, "1")})
            assert result.status == "success", result.message
        bodies = [work.body for work in emulator.creates]
    assert [body.get("enable_prompt_optimizer", False) for body in bodies] == [False, True]


def test_collect_brings_back_a_clip_that_was_made_elsewhere(at_luma, luma):
    import requests

    made = requests.post(
        f"{luma.base_url}/generations/video",
        json={"model": "ray-2", "prompt": "made elsewhere"},
        headers={"Authorization": f"Bearer {luma.key}"},
        timeout=10,
    ).json()
    collect = at_luma.node("RayCollectGeneration", id=made["id"])
    result = at_luma.queue(**{"1": collect, "2": sink(at_luma, "1")})
    assert result.status == "success", result.message
    assert len(luma.creates) == 1


def test_no_key_is_in_anything_that_comfyui_shows_or_keeps(at_luma, luma):
    luma.fail_next("POST", "/generations/video", Fault.status(401, {"detail": f"bad key {luma.key}"}))
    fox = at_luma.node("RayTextToVideo", prompt="a fox", resolution="540p")
    failed = at_luma.queue(**{"1": fox, "2": sink(at_luma, "1")})
    assert failed.status == "error"
    done = at_luma.queue(**{"1": fox, "2": sink(at_luma, "1")})
    assert done.status == "success", done.message
    shown = repr((at_luma.host.events, failed, failed.exception, done))
    assert luma.key not in shown
    for file in at_luma.host.root.rglob("*"):
        if file.is_file():
            assert luma.key.encode() not in file.read_bytes(), file


def sys_io():
    from comfy_api.latest import io

    return io


def test_the_seconds_on_a_node_go_on_between_two_looks_at_its_job(graph, monkeypatch):
    host, at = host_module(), 100.0
    monkeypatch.setattr(host.time, "monotonic", lambda: at)
    progress = host.Progress()
    progress("part 2 of 3: running at Luma, 12 s of about 30 s", 0.4)
    at = 107.9
    assert progress.now() == ("part 2 of 3: running at Luma, 19 s of about 30 s", 0.4)
    progress("uploading 1280x720 to Luma")
    at = 120.0
    assert progress.now() == ("uploading 1280x720 to Luma", None)
