"""A clip to frames: the pack, the floors, and what else there is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from . import footage
from .plan import OURS, Bench, Column, Part, Skip, Trial, in_comfyui, times

DECODE, WRITE = "floor: decode alone, two threads", "floor: write the frames once"
COMFYUI = "ComfyUI's `get_components`"
OTHERS = {
    # name: the way, and the most memory it takes, in times of its output
    "PyAV, list and stack": ("pyav", 2.4),
    "OpenCV, list and stack": ("opencv", 2.4),
    "as VideoHelperSuite does it": ("suite", 1.3),
    "torchcodec": ("torchcodec", 1.5),
}


def plan(bench: Bench) -> Iterator[Trial | Skip]:
    """Every way for each size."""
    for size in (
        (footage.TINY,) if bench.tiny else (footage.HD,) if bench.quick else (footage.HD, footage.FULL_HD)
    ):
        given = {"path": str(footage.clip(bench.folder, size))}
        shared = {"group": size.name, "rounds": 3 if size is footage.FULL_HD else 0}
        trial = partial(Trial, **shared, options=given)
        whole = 1.1 * size.output
        yield trial(way="bench.loading:ours", name=OURS, needs=whole)
        yield trial(way="bench.loading:decoding", name=DECODE)
        shape = [size.frames, size.height, size.width, 3]
        yield trial(way="bench.loading:writing", name=WRITE, options={"shape": shape}, needs=whole)
        yield in_comfyui(way="bench.loading:comfyui", name=COMFYUI, **shared, options=given, needs=2 * whole)
        for name, (way, times_output) in OTHERS.items():
            yield trial(way=f"bench.loading:{way}", name=name, needs=times_output * size.output)
        if size is not footage.FULL_HD:
            half = {**given, "size": [size.width // 2, size.height // 2]}
            yield trial(way="bench.loading:ours", name="Luma Ray, half the size", options=half)
            second = {**given, "step": 2}
            yield trial(way="bench.loading:ours", name="Luma Ray, every second frame", options=second)


PART = Part(
    name="decode",
    title="A clip to frames",
    about=(
        "H.264 (x264 at fast, crf 18, bt709, 24 frames a second) of a camera move over a photograph with grain, to "
        "float32 [frames, height, width, 3]. *of ours*: how many times the pack's own time. *memory*: times the "
        "bytes of the frames that come out. The floors are what no way can be faster than: the decoding alone, and "
        "the writing of the result alone."
    ),
    columns=(
        *times(),
        Column("of ours", "wall", against=OURS),
        Column("of ours, min", "wall", "min", against=OURS),
        Column("of ours, max", "wall", "max", against=OURS),
        Column("of decode alone", "wall", against=DECODE),
        Column("CPU, s", "cpu"),
        Column("memory", "memory", over="output"),
    ),
    plan=plan,
    rounds=5,
)
