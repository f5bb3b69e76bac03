"""The stand-in host behaves as ComfyUI 0.33 does, and reads workflows as its interface does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import comfy_host
import numpy as np
import pytest
import torch
from comfy_host import agreement, video
from comfy_host import node_api as io
from comfy_host.agreement import A, through
from comfy_host.workflow import to_prompt
from PIL import Image

RECORDING = Path(agreement.__file__).with_name("comfyui-0.33.json")
"""The real one's side: `python tests/comfy_host/agreement.py COMFYUI_DIR`, with ComfyUI's own interpreter."""


@pytest.fixture
def host(tmp_path):
    with comfy_host.install(tmp_path) as host:
        yield host


@pytest.fixture
def log(host):
    log: list[str] = []
    host.add_nodes(agreement.tiny_nodes(io, log))
    return log


@pytest.fixture(scope="session")
def recorded() -> dict[str, Any]:
    return json.loads(RECORDING.read_text())


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def transcript(host, prompt, log) -> dict[str, Any]:
    log.clear()
    result = host.queue(prompt)
    told = {"node_errors": result.node_errors, "status": result.status}
    if not log and result.node_errors:
        return told
    succeeded = result.status == "success"
    return {
        **told,
        "node_id": result.node_id,
        "message": "" if result.worker_dead else result.message,
        "log": list(log),
        "ui": as_json(result.ui) if succeeded else {},
        "worker_dead": result.worker_dead,
    }


@pytest.mark.parametrize("name", agreement.SCENARIOS)
def test_graphs_run_as_they_were_seen_to_run_in_comfyui(host, log, recorded, name):
    ours = [transcript(host, prompt, log) for prompt in agreement.SCENARIOS[name]]
    assert ours == recorded["scenarios"][name]


def test_the_surface_is_that_of_comfyui(host, recorded):
    from comfy_api import latest

    assert agreement.surface(latest) == recorded["surface"]


def test_a_node_is_told_as_comfyui_tells_it(host, recorded):
    assert as_json(agreement.sample(io).GET_NODE_INFO_V1()) == recorded["sample"]


@pytest.mark.parametrize("name", agreement.CORE)
def test_core_nodes_have_the_sockets_of_comfyui(host, recorded, name):
    assert agreement.sockets(host.object_info()[name]) == recorded["core"][name]


def test_the_recording_agrees_with_the_real_comfyui(recorded):
    directory = os.environ.get("COMFYUI_DIR")
    if not directory:
        pytest.skip("COMFYUI_DIR is not set")
    if '"0.33.' not in (Path(directory) / "comfyui_version.py").read_text():
        pytest.skip("COMFYUI_DIR is not a ComfyUI 0.33, which the stand-in plays")
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    # From ComfyUI's folder: some of its files are found relative to where it runs.
    run = subprocess.run(
        [python, agreement.__file__, directory], cwd=directory, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, f"Is COMFYUI_PYTHON the interpreter of that ComfyUI?\n{run.stderr[-2000:]}"
    assert json.loads(run.stdout) == recorded


def test_an_interrupt_from_outside_ends_a_node_that_looks_for_it(host, log):
    started = threading.Event()

    class Looking(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Looking", is_output_node=True)

        @classmethod
        def execute(cls):
            import comfy.model_management as management

            started.set()
            while not management.processing_interrupted():
                pass
            management.throw_exception_if_processing_interrupted()

    host.add_nodes([Looking])
    running = host.start({"1": {"class_type": "Looking", "inputs": {}}})
    assert started.wait(20)
    host.interrupt()
    result = running.result(20)
    assert (result.status, result.node_id) == ("interrupted", "1")


def test_no_except_exception_catches_an_interrupt(host):
    import comfy.model_management

    assert not issubclass(comfy.model_management.InterruptProcessingException, Exception)


def test_an_old_interrupt_is_forgotten_when_the_next_prompt_starts(host, log):
    host.interrupt()
    assert host.queue(A).status == "success"


def test_nothing_is_queued_after_a_leaked_cancelled_error(host, log):
    assert host.queue(through("Leak")).worker_dead
    with pytest.raises(RuntimeError, match="restarted"):
        host.queue(A)


def test_without_a_cache_everything_runs_again(tmp_path):
    with comfy_host.install(tmp_path, cache="none") as host:
        host.add_nodes(agreement.tiny_nodes(io, log := []))
        host.queue(A)
        host.queue(A)
    assert log.count("source 1 a") == 2


def test_values_are_given_by_node(host, log):
    result = host.queue(A)
    assert result.outputs["1"][0].shape == (1, 2, 2, 3)
    assert result.executed == ["1", "2"]


def test_handlers_see_the_whole_body_and_may_change_it(host, log):
    def mark(body):
        assert body["client_id"] == "me"
        body["prompt"]["1"]["inputs"]["value"] = 7
        return body

    host.server.add_on_prompt_handler(mark)
    host.queue(A, client_id="me")
    assert log[0] == "source 7 a"


def test_a_handler_that_fails_is_skipped(host, log):
    host.server.add_on_prompt_handler(lambda body: 1 / 0)
    assert host.queue(A).status == "success"


def test_progress_is_recorded_with_its_node(host):
    class Telling(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Telling", is_output_node=True, hidden=[io.Hidden.unique_id])

        @classmethod
        async def execute(cls):
            import comfy.utils
            from comfy_api.latest import ComfyAPI
            from server import PromptServer

            comfy.utils.ProgressBar(4).update(1)
            await ComfyAPI().execution.set_progress(2, 4)
            told = PromptServer.instance
            told.send_progress_text("half", cls.hidden.unique_id, told.client_id)

    host.add_nodes([Telling])
    host.queue({"5": {"class_type": "Telling", "inputs": {}}})
    told = [event for event in host.events if "progress" in event.name]
    assert [event.node_id for event in told] == ["5", "5", "5"]
    assert [event.data["value"] for event in told[:2]] == [1, 2]
    assert told[2].data == "half"


def test_a_progress_bar_raises_on_interrupt_and_takes_the_sign_away(host):
    import comfy.model_management as management
    import comfy.utils

    host.interrupt()
    with pytest.raises(management.InterruptProcessingException):
        comfy.utils.ProgressBar(1).update(1)
    assert not management.processing_interrupted()


def test_a_second_host_is_refused_while_one_is_installed(host, tmp_path):
    with pytest.raises(RuntimeError, match="comfy_api"):
        comfy_host.install(tmp_path)


def test_a_closed_host_leaves_nothing_behind(tmp_path):
    before = set(sys.modules)
    with comfy_host.install(tmp_path / "comfy") as host:
        host.load_pack(pack(tmp_path / "pack"))
    assert set(sys.modules) == before


def pack(root: Path, entrypoint: str = "async def", more: str = "") -> Path:
    """A pack of one node, in two modules."""
    (root / "nodes").mkdir(parents=True)
    (root / "nodes" / "__init__.py").touch()
    (root / "__init__.py").write_text(
        f"{entrypoint} comfy_entrypoint():\n    from .nodes.one import Pack\n    return Pack()\n{more}"
    )
    (root / "nodes" / "one.py").write_text(
        "from comfy_api.latest import ComfyExtension, io\n"
        "class One(io.ComfyNode):\n"
        "    @classmethod\n"
        "    def define_schema(cls):\n"
        "        return io.Schema(node_id='One', outputs=[io.Int.Output()])\n"
        "    @classmethod\n"
        "    def execute(cls):\n"
        "        return io.NodeOutput(1)\n"
        "class Pack(ComfyExtension):\n"
        "    async def on_load(self):\n"
        "        from server import PromptServer\n"
        "        PromptServer.instance.routes.get('/one')(lambda request: 1)\n"
        "    async def get_node_list(self):\n"
        "        return [One]\n"
    )
    return root


@pytest.mark.parametrize("entrypoint", ["async def", "def"])
def test_a_pack_is_loaded_under_its_path(host, tmp_path, entrypoint):
    nodes = comfy_host.load_pack(pack(tmp_path / "pack.v1", entrypoint), name="the-pack")
    assert nodes["One"].__module__ == f"{tmp_path}/pack_x_v1.nodes.one"
    assert host.object_info()["One"]["python_module"] == "custom_nodes.the-pack"
    assert ("GET", "/one") in host.server.routes


def test_a_pack_with_both_kinds_of_nodes_is_refused(host, tmp_path):
    with pytest.raises(TypeError, match="NODE_CLASS_MAPPINGS"):
        host.load_pack(pack(tmp_path / "pack", more="NODE_CLASS_MAPPINGS = {}\n"))


@pytest.mark.parametrize("make", [lambda: io.Schema(node_id="x", price=1), lambda: io.Int.Input("x", most=1)])
def test_an_unknown_keyword_is_a_type_error(make):
    with pytest.raises(TypeError):
        make()


def test_two_inputs_of_one_name_are_refused():
    class Doubled(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Doubled", inputs=[io.Int.Input("a"), io.Float.Input("a")])

        @classmethod
        def execute(cls):
            return None

    with pytest.raises(ValueError, match="unique"):
        Doubled.GET_SCHEMA()


def test_a_picture_goes_through_with_its_alpha_and_the_workflow_in_it(host):
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:, :3] = (255, 0, 51, 255)
    Image.fromarray(pixels).save(host.root / "input" / "a.png")
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "there/b"}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    result = host.queue(graph, extra_data={"extra_pnginfo": {"workflow": {"nodes": []}}})
    assert result.outputs["1"][0][0, 0, 0].tolist() == pytest.approx([1.0, 0.0, 0.2])
    assert result.outputs["1"][1][0, 0].tolist() == [0, 0, 0, 1, 1, 1]
    saved = result.ui["2"]["images"][0]
    assert saved == {"filename": "b_00001_.png", "subfolder": "there", "type": "output"}
    with Image.open(host.root / "output" / "there" / "b_00001_.png") as image:
        assert json.loads(image.text["workflow"]) == {"nodes": []}
    assert result.ui["3"]["images"][0]["type"] == "temp"


def test_a_batch_takes_the_size_of_its_first_picture(host):
    from comfy_host.core_nodes import ImageBatch

    batch = ImageBatch.execute(torch.zeros(1, 4, 6, 3), torch.ones(2, 8, 8, 3)).result[0]
    assert batch.shape == (3, 4, 6, 3)


def moving(count: int = 12) -> torch.Tensor:
    frames = torch.zeros(count, 32, 64, 3)
    for number in range(count):
        frames[number] = number / count
    return frames


def test_a_video_is_saved_with_the_prompt_and_plays_back(host):
    class Film(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Film", outputs=[io.Image.Output()])

        @classmethod
        def execute(cls):
            return io.NodeOutput(moving())

    host.add_nodes([Film])
    graph = {
        "1": {"class_type": "Film", "inputs": {}},
        "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 24.0}},
        "3": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["2", 0], "filename_prefix": "video/a", "format": "mp4", "codec": "auto"},
        },
    }
    result = host.queue(graph)
    shown = result.ui["3"]
    assert shown["animated"] == [True]
    film = video.VideoFromFile(str(host.root / "output" / "video" / shown["images"][0]["filename"]))
    played = film.get_components()
    assert played.frame_rate == 24
    assert film.get_dimensions() == (64, 32)
    assert torch.allclose(played.images, moving(), atol=0.03)
    assert json.loads(played.metadata["prompt"]) == result.prompt


@pytest.fixture
def film(tmp_path) -> video.VideoFromFile:
    tone = torch.sin(torch.arange(24000) * 0.06)[None, None].repeat(1, 2, 1)
    components = video.VideoComponents(moving(), Fraction(24), {"waveform": tone, "sample_rate": 48000})
    video.VideoFromComponents(components).save_to(str(tmp_path / "film.mp4"), metadata={"maker": "us"})
    return video.VideoFromFile(str(tmp_path / "film.mp4"))


def packets(path: Any) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_what_fits_is_copied_without_encoding_it_again(film, tmp_path):
    film.save_to(str(tmp_path / "copy.mp4"), metadata={"prompt": {"1": 2}})
    copy = video.VideoFromFile(str(tmp_path / "copy.mp4"))
    assert packets(copy.get_stream_source()) == packets(film.get_stream_source())
    tags = copy.get_components().metadata
    assert (json.loads(tags["maker"]), json.loads(tags["prompt"])) == ("us", {"1": 2})


def test_a_part_of_a_video_says_so_and_holds_only_its_frames(film, tmp_path):
    part = film.as_trimmed(0.25, 0.125)
    assert part.get_active_trim_window() == (0.25, 0.125)
    assert part.get_duration() == 0.125
    assert torch.allclose(part.get_components().images, moving()[6:9], atol=0.03)
    part.save_to(str(tmp_path / "part.mp4"))
    assert video.VideoFromFile(str(tmp_path / "part.mp4")).get_frame_count() == 3


def test_sound_comes_back(film):
    sound = film.get_components().audio
    assert sound["sample_rate"] == 48000
    assert sound["waveform"].shape[:2] == (1, 2)
    assert sound["waveform"].abs().max() > 0.5


def test_a_video_in_memory_is_streamed_as_a_file(film):
    frames = video.VideoFromComponents(video.VideoComponents(moving(), Fraction(24)))
    assert video.VideoFromFile(frames.get_stream_source()).get_frame_count() == 12


def test_a_file_name_cannot_leave_its_folder(host):
    import folder_paths

    with pytest.raises(ValueError, match="Invalid file path"):
        folder_paths.get_annotated_filepath("../secret")
    assert not folder_paths.exists_annotated_filepath("../output")
    with pytest.raises(ValueError, match="outside"):
        folder_paths.get_save_image_path("../secret", folder_paths.get_output_directory())


def test_a_marked_file_name_is_looked_for_in_its_folder(host):
    import folder_paths

    assert folder_paths.get_annotated_filepath("a.png [temp]") == str(host.root / "temp" / "a.png")


def test_saved_files_are_numbered(host):
    import folder_paths

    output = folder_paths.get_output_directory()
    (host.root / "output" / "clip_00004_.mp4").touch()
    assert folder_paths.get_save_image_path("clip_%width%", output, 64)[1:3] == ("clip_64", 1)
    assert folder_paths.get_save_image_path("clip", output)[2] == 5


def test_the_private_folder_is_one_that_the_server_does_not_serve(host):
    import folder_paths

    assert folder_paths.get_system_user_directory("luma_ray") == str(host.root / "user" / "__luma_ray")
    with pytest.raises(ValueError, match="luma-ray"):
        folder_paths.get_system_user_directory("luma-ray")


INFO = {
    "Load": {
        "input": {"required": {"image": [["a.png"], {"image_upload": True}]}, "optional": {"n": ["INT", {}]}}
    },
    "Seeded": {
        "input": {
            "required": {
                "seed": ["INT", {"default": 1}],
                "pick": ["COMBO", {"options": ["x", "y"], "control_after_generate": True}],
                "text": ["STRING", {"default": "none"}],
                "text2": ["STRING", {"forceInput": True}],
                "loop": ["BOOLEAN", {}],
            }
        }
    },
    "Mix": {
        "input": {"required": {"image": ["IMAGE"], "other": ["IMAGE", {}]}, "optional": {"share": ["FLOAT"]}}
    },
    "Many": {
        "input": {
            "required": {
                "format": [
                    "COMFY_DYNAMICCOMBO_V3",
                    {
                        "options": [
                            {"key": "auto", "inputs": {"required": {}}},
                            {
                                "key": "mp4",
                                "inputs": {
                                    "required": {"crf": ["FLOAT", {"default": 23.0}]},
                                    "optional": {"fast": ["BOOLEAN", {}]},
                                },
                            },
                        ]
                    },
                ],
                "name": ["STRING", {}],
            }
        }
    },
}


def node(
    id: int, kind: str, *values: Any, inputs: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A node as a workflow has it; *inputs* gives type and link of its sockets."""
    sockets = [{"name": name, "type": one, "link": link} for name, (one, link) in (inputs or {}).items()]
    return {"id": id, "type": kind, "inputs": sockets, "outputs": [], "widgets_values": list(values), **more}


def prompt_of(*nodes: dict[str, Any], links: list[Any] | None = None) -> dict[str, Any]:
    return to_prompt({"nodes": list(nodes), "links": links or []}, INFO)


def inputs_of(*nodes: dict[str, Any], links: list[Any] | None = None) -> dict[str, Any]:
    """The inputs of the last node."""
    return prompt_of(*nodes, links=links)[str(nodes[-1]["id"])]["inputs"]


def test_widget_values_are_read_by_position_past_those_that_only_the_interface_has():
    read = inputs_of(node(1, "Seeded", 5, "randomize", "y", "fixed", "", "hello", True))
    assert read == {"seed": 5, "pick": "y", "text": "hello", "loop": True}


def test_the_upload_button_has_a_value_of_its_own():
    assert inputs_of(node(1, "Load", "b.png", "image", 3)) == {"image": "b.png", "n": 3}


def test_widgets_beyond_the_saved_values_have_their_defaults():
    assert inputs_of(node(1, "Seeded", 5, "fixed")) == {"seed": 5, "pick": "x", "text": "none", "loop": False}


def test_a_linked_widget_keeps_its_place_among_the_values():
    linked = node(2, "Seeded", 5, "fixed", "y", "fixed", "", "hidden", True, inputs={"text": ("STRING", 1)})
    read = inputs_of(node(1, "Load"), linked, links=[[1, 1, 0, 2, 0, "STRING"]])
    assert (read["text"], read["loop"]) == (["1", 0], True)


def test_a_dynamic_combo_brings_the_widgets_of_its_option():
    assert inputs_of(node(1, "Many", "mp4", 20.0, True, "film")) == {
        "format": "mp4",
        "format.crf": 20.0,
        "format.fast": True,
        "name": "film",
    }
    assert inputs_of(node(1, "Many", "auto", "film")) == {"format": "auto", "name": "film"}


def test_a_list_is_not_taken_for_a_link():
    assert inputs_of(node(1, "Load", ["a", 1]))["image"] == {"__value__": ["a", 1]}


def mixed(first: int | None, second: int | None = None, **more: Any) -> dict[str, Any]:
    return node(9, "Mix", 0.5, inputs={"image": ("IMAGE", first), "other": ("IMAGE", second)}, **more)


@pytest.mark.parametrize(
    "link",
    [[4, 1, 0, 9, 0, "IMAGE"], {"id": 4, "origin_id": 1, "origin_slot": 0, "target_id": 9, "target_slot": 0}],
)
def test_links_are_read_in_both_forms(link):
    assert inputs_of(node(1, "Load"), mixed(4), links=[link]) == {"share": 0.5, "image": ["1", 0]}


def test_reroutes_are_left_out():
    links = [[1, 1, 0, 2, 0, "*"], [2, 2, 0, 9, 0, "IMAGE"]]
    read = prompt_of(node(1, "Load"), node(2, "Reroute", inputs={"": ("*", 1)}), mixed(2), links=links)
    assert list(read) == ["1", "9"]
    assert read["9"]["inputs"]["image"] == ["1", 0]


def test_a_muted_node_is_gone_with_its_links():
    read = prompt_of(node(1, "Load", mode=2), mixed(1), links=[[1, 1, 0, 9, 0, "IMAGE"]])
    assert list(read) == ["9"]
    assert "image" not in read["9"]["inputs"]


def test_a_bypassed_node_passes_on_the_input_of_the_same_place_and_type():
    bypassed = {**mixed(1, 2), "id": 3, "mode": 4}
    bypassed["outputs"] = [{"type": "MASK"}, {"type": "IMAGE"}]
    links = [[1, 1, 0, 3, 0, "IMAGE"], [2, 2, 0, 3, 1, "IMAGE"], [3, 3, 1, 9, 0, "IMAGE"]]
    read = prompt_of(node(1, "Load"), node(2, "Load"), bypassed, mixed(3), links=links)
    assert list(read) == ["1", "2", "9"]
    assert read["9"]["inputs"]["image"] == ["2", 0]


def test_a_bypassed_node_without_a_fitting_input_is_gone():
    bypassed = node(3, "Load", mode=4, outputs=[{"type": "IMAGE"}])
    assert "image" not in inputs_of(bypassed, mixed(1), links=[[1, 3, 0, 9, 0, "IMAGE"]])


def test_a_primitive_puts_its_value_into_the_widget():
    primitive = node(1, "PrimitiveNode", 0.25, "fixed")
    target = node(9, "Mix", 0.5, inputs={"share": ("FLOAT", 1)})
    assert prompt_of(primitive, target, links=[[1, 1, 0, 9, 0, "FLOAT"]]) == {
        "9": {"inputs": {"share": 0.25}, "class_type": "Mix", "_meta": {"title": "Mix"}}
    }


def test_notes_are_left_out():
    assert prompt_of(node(1, "Note", "words"), node(2, "MarkdownNote", "words")) == {}


def test_a_node_that_comfyui_does_not_have_is_named():
    with pytest.raises(ValueError, match="Node 3 is a Missing"):
        prompt_of(node(3, "Missing"))


def test_a_workflow_with_core_nodes_runs(host, log):
    Image.new("RGB", (4, 4), "red").save(host.root / "input" / "a.png")
    saved = node(2, "SaveVideo", "video/a", "auto", "auto", inputs={"video": ("VIDEO", 2)})
    made = node(3, "CreateVideo", 24.0, inputs={"images": ("IMAGE", 1)})
    links = [[1, 1, 0, 3, 0, "IMAGE"], [2, 3, 0, 2, 0, "VIDEO"]]
    workflow = {"nodes": [node(1, "LoadImage", "a.png", "image"), saved, made], "links": links}
    result = host.queue(to_prompt(workflow, host.object_info()))
    assert (result.status, result.message) == ("success", "")
    assert result.prompt["2"]["inputs"]["format.codec"] == "auto"
    assert (host.root / "output" / "video" / "a_00001_.mp4").stat().st_size > 0
