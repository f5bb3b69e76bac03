"""Levels that each way from a file to frames is off, against an exact conversion in floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from . import loading
from .plan import OURS, Bench, Column, Part, Skip, Trial, in_comfyui

COMFYUI = "ComfyUI's `get_components`"
WAYS = {
    OURS: "ours",
    "PyAV": "pyav",
    "OpenCV, VideoHelperSuite": "opencv",
    "torchcodec": "torchcodec",
}
TAGGED, FULL_RANGE = "HD, bt709, tagged", "HD, bt709, full range"
CLIPS = {
    # words: matrix, tag, full range, width, height
    TAGGED: ("bt709", "bt709", False, 1280, 720),
    "HD, bt709, untagged": ("bt709", None, False, 1280, 720),
    "SD, bt601, untagged": ("bt601", None, False, 640, 360),
    FULL_RANGE: ("bt709", "bt709", True, 1280, 720),
}


def way(name: str, path: str, exact: str) -> tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]:
    """The way called *name*, and how far it is from *exact*, an array of levels."""
    import numpy as np

    true = np.load(exact)

    def off(frames: Any) -> dict[str, float]:
        errors = frames.numpy() * 255 - true
        bias = errors.mean(axis=(0, 1, 2))
        return {
            "mean": float(np.abs(errors).mean()),
            "most": float(np.abs(errors).max()),
            "bias": float(bias[np.abs(bias).argmax()]),
        }

    return getattr(loading, name)(path), off


def plan(bench: Bench) -> Iterator[Trial | Skip]:
    """Every way for each clip."""
    import films
    import numpy as np

    for words, (matrix, tag, full_range, width, height) in CLIPS.items():
        name = words.replace(", ", "-").replace(" ", "-")
        path, exact = bench.folder / f"{name}.mp4", bench.folder / f"{name}.npy"
        pictures = [films.planes(width, height, seed) for seed in range(2)]
        films.encode_planes(pictures, path, tag=tag, full_range=full_range)
        np.save(exact, np.stack([films.exact_rgb(p, matrix, full_range=full_range) for p in pictures]))
        trial = partial(_options, path, exact)
        for row, called in WAYS.items():
            yield Trial(way="bench.colours:way", name=row, group=words, options=trial(called))
        yield in_comfyui(way="bench.colours:way", name=COMFYUI, group=words, options=trial("comfyui"))


def _options(path: Path, exact: Path, name: str) -> dict[str, str]:
    return {"name": name, "path": str(path), "exact": str(exact)}


PART = Part(
    name="colour",
    title="Colours",
    about=(
        "Levels of 255 between the frames and an exact conversion in floats, chroma sited to the left, of clips "
        "whose YUV values are known. *bias*: the mean of the channel that is off the most; it adds up where clips go "
        "through it again and again."
    ),
    columns=(
        Column("mean error", "mean"),
        Column("bias", "bias"),
        Column("largest error", "most", digits=1),
    ),
    plan=plan,
    rounds=1,
)
