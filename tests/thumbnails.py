"""The pictures of the example workflows, made of frames of their films: `python tests/thumbnails.py NAME ...`.

Each named example is run offline in the stand-in host, as a newcomer would run it, and frames of what it saves are
laid out in the size that ComfyUI's template dialog shows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import comfy_host
import conftest  # noqa: F401 - the pack under its name
import numpy as np
from luma_ray.nodes.media import clips, sound
from luma_ray.nodes.media.contact_sheet import sample
from PIL import Image, ImageDraw, ImageOps

EXAMPLES = Path(__file__).resolve().parent.parent / "example_workflows"
SIZE = (640, 360)
GAP = 8
PAPER = (24, 26, 32)
INK = (120, 200, 255)
ONE = ("upscale-to-1080p", "choose-a-take")
"""Examples of which one frame tells all."""
LARGEST = 60_000
"""Bytes: the pictures go with every installation."""


def run(name: str) -> tuple[Path, list[Path]]:
    """The film that an example saves, and the films that it is made from, in a folder that stays."""
    folder = Path(tempfile.mkdtemp())
    with comfy_host.install(folder) as host:
        comfy_host.load_pack(EXAMPLES.parent)
        workflow = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
        prompt = comfy_host.to_prompt(workflow, host.object_info())
        before = time.perf_counter()
        result = host.queue(prompt)
        if result.status != "success":
            raise SystemExit(f"{name}: {result.message}")
        print(f"{name}: {time.perf_counter() - before:.1f} s")
        (save,) = (node for node in prompt.values() if node["class_type"] == "SaveVideo")
        last = save["inputs"]["video"][0]
        sources = [link[0] for link in prompt[last]["inputs"].values() if isinstance(link, list)]
        made = [film(result.outputs[node][1]) for node in sources if len(result.outputs[node]) > 3]
        return film(result.outputs[last][1]), made


def film(video: Any) -> Path:
    return Path(video.get_stream_source())


def grid(frames: Sequence[Any], across: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """*frames* in rows of *across*, each filling its place: what is too much is cut off, never the mark."""
    sheet = Image.new("RGB", size, PAPER)
    wide, tall = size[0] // across, size[1] // -(-len(frames) // across)
    for number, frame in enumerate(frames):
        row, column = divmod(number, across)
        small = ImageOps.fit(Image.fromarray(frame), (wide, tall), Image.Resampling.LANCZOS, centering=(1, 0))
        sheet.paste(small, (column * wide, row * tall))
    return sheet


def wave(path: Path, height: int) -> Image.Image:
    """The sound of a film, loudness over time."""
    waveform = sound.audio(path)["waveform"][0].abs().amax(0).numpy()
    columns = np.array_split(waveform, (SIZE[0] - 2 * GAP) // 3)
    loud = np.array([column.max() for column in columns])
    strip = Image.new("RGB", (SIZE[0], height), PAPER)
    pen = ImageDraw.Draw(strip)
    for number, level in enumerate(loud / max(loud.max(), 1e-6)):
        half = max(1, round(level * (height / 2 - 6)))
        left = GAP + 3 * number
        pen.rectangle((left, height // 2 - half, left + 1, height // 2 + half), fill=INK)
    return strip


def sheet(name: str) -> Image.Image:
    """The picture of an example, by what there is to see of it."""
    path, made = run(name)
    if name == "modify-video":
        before, after = sample(made[0], 3), sample(path, 3)
        return grid([before[0], after[0], before[2], after[2]], 2)
    if name in ONE:
        return grid(sample(path, 3)[1:2], 1)
    if name == "add-audio":
        picture = grid(sample(path, 3)[1:2], 1)
        picture.paste(wave(path, 96), (0, SIZE[1] - 96))
        return picture
    if name == "interpolate-two-clips":
        moments = sample(path, 9)
        return grid([moments[1], moments[3], moments[4], moments[7]], 2)
    seconds = clips.inspect(path).seconds
    return grid(sample(path, 9), 3) if seconds > 20 else grid(sample(path, 4), 2)


def main(names: list[str]) -> None:
    """Make them."""
    os.environ["LUMA_RAY_COLLECT"] = "off"
    for name in names:
        picture, quality = sheet(name), 90
        target = EXAMPLES / f"{name}.jpg"
        picture.save(target, quality=quality, optimize=True)
        while target.stat().st_size > LARGEST:
            quality -= 4
            picture.save(target, quality=quality, optimize=True)
        print(f"{target.name}: {target.stat().st_size} bytes at quality {quality}")


if __name__ == "__main__":
    main(sys.argv[1:])
