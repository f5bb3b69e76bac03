"""Ray Frames: the frames of a film that are wanted, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfy_api.latest import io

from . import footage, host, inputs


class RayFrames(io.ComfyNode):
    """Frames of a video or a generation; the first and the last one without decoding the rest."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""

        def number(id: str, default: int, least: int, most: int, tooltip: str) -> Any:
            return inputs.widget(io.Int, id, default=default, min=least, max=most, tooltip=tooltip)

        return inputs.schema(
            node_id="RayFrames",
            display_name="Ray Frames",
            category=inputs.CATEGORY,
            description=(
                "Frames of a film as images: a range, every n-th, in another size. Decodes only what is linked."
            ),
            search_aliases=[
                "video to frames",
                "video to images",
                "get frames",
                "extract frames",
                "last frame",
                "first frame",
                "load video",
                "decode",
                "split video",
            ],
            inputs=[
                number("start", 0, 0, 1_000_000, "The first frame wanted; 0 is the clip's first."),
                number("count", 0, 0, 1_000_000, "How many frames to give; 0: all that follow."),
                number("step", 1, 1, 1000, "Every n-th frame."),
                number("width", 0, 0, 16384, "Pixels; 0: as it is, or in proportion to the height."),
                number("height", 0, 0, 16384, "Pixels; 0: as it is, or in proportion to the width."),
                inputs.Generation.Input("generation", optional=True, tooltip="A film from a Ray node."),
                io.Video.Input("video", optional=True, tooltip="Or any video."),
            ],
            outputs=[
                io.Image.Output("frames", tooltip="The frames chosen [frames, height, width, 3]."),
                io.Image.Output("first_frame", tooltip="The film's first frame."),
                io.Image.Output("last_frame", tooltip="The film's last frame."),
                io.Audio.Output("audio", tooltip="The sound of the frames chosen; silence if there is none."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    async def execute(
        cls,
        start: int,
        count: int,
        step: int,
        width: int,
        height: int,
        generation: tuple[str, ...] = (),
        video: Any = None,
    ) -> Any:
        """Decode what is linked."""
        wanted = host.linked(cls)

        def work(clock: Any, report: Any) -> tuple[Any, Any, Any, Any]:
            from .media import frames, sound

            path: Path = footage.one_film(generation or (), video, clock, report)
            chosen = None
            if 0 in wanted:
                chosen = frames.decode(
                    path,
                    start=start,
                    count=count or None,
                    step=step,
                    size=_size(path, width, height),
                    stopped=lambda: clock.stopped,
                    progress=lambda fraction: report("decoding frames", fraction),
                )
            first = frames.first_frame(path, stopped=lambda: clock.stopped) if 1 in wanted else None
            last = frames.last_frame(path, stopped=lambda: clock.stopped) if 2 in wanted else None
            heard = None
            if 3 in wanted:
                stretch = count * step if count else None
                heard = sound.audio(path, start=start, frames=stretch, stopped=lambda: clock.stopped)
            return chosen, first, last, heard

        return io.NodeOutput(*await host.run(cls, work))


def _size(path: Path, width: int, height: int) -> tuple[int, int] | None:
    """Width and height to resize to; a side of 0 follows the other, both 0 keep the film's size."""
    from .media import clips

    if not width and not height:
        return None
    has_width, has_height = clips.shown_size(path)
    return width or round(height * has_width / has_height), height or round(width * has_height / has_width)
