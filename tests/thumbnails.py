"""The pictures of the example workflows, made of frames of their films: `python tests/thumbnails.py NAME ...`.

Each named example is run offline in the stand-in host, as a newcomer would run it, and frames of what it saves are
laid out in the size that ComfyUI's template dialog shows.
"""

from __future__ import annotations

import json
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
from PIL import Image, ImageDraw

EXAMPLES = Path(__file__).resolve().parent.parent / "example_workflows"
SIZE = (640, 360)
GAP = 8
PAPER = (24, 26, 32)
INK = (120, 200, 255)
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


def grid(frames: Sequence[Any], across: int, height: int = SIZE[1]) -> Image.Image:
    """*frames* in rows of *across*, each as large as it fits, in the middle of the sheet."""
    sheet = Image.new("RGB", (SIZE[0], height), PAPER)
    rows = -(-len(frames) // across)
    tall, wide = frames[0].shape[:2]
    scale = min((SIZE[0] - GAP * (across + 1)) / across / wide, (height - GAP * (rows + 1)) / rows / tall)
    width, each = round(wide * scale), round(tall * scale)
    left = (SIZE[0] - across * width - GAP * (across - 1)) // 2
    top = (height - rows * each - GAP * (rows - 1)) // 2
    for number, frame in enumerate(frames):
        small = Image.fromarray(frame).resize((width, each), Image.Resampling.LANCZOS)
        row, column = divmod(number, across)
        sheet.paste(small, (left + column * (width + GAP), top + row * (each + GAP)))
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
    facts = clips.inspect(path)
    if name == "modify-video":
        before, after = sample(made[0], 3)[:2], sample(path, 3)[:2]
        return grid([before[0], after[0], before[1], after[1]], 2)
    if name == "upscale-to-1080p":
        return enlarged(sample(made[0], 3)[1], sample(path, 3)[1])
    if facts.seconds > 20:
        return grid(sample(path, 9), 3)
    if name == "add-audio":
        picture = Image.new("RGB", SIZE, PAPER)
        picture.paste(grid(sample(path, 6)[::2], 3, 130), (0, 50))
        picture.paste(wave(path, 130), (0, 180))
        return picture
    if name == "choose-a-take":
        return grid(sample(path, 3)[1:2], 1)
    return (
        grid(sample(path, 4), 2)
        if facts.seconds < 10
        else grid(sample(path, 6), 2 if facts.seconds < 9 else 3)
    )


def enlarged(small: Any, large: Any) -> Image.Image:
    """The same place of two pictures, as many pixels of each as there are."""
    height = SIZE[1] - 2 * GAP
    width = (SIZE[0] - 3 * GAP) // 2
    picture = Image.new("RGB", SIZE, PAPER)
    scale = large.shape[0] / small.shape[0]
    down, right = large.shape[0] // 3, large.shape[1] // 3
    part = large[down : down + height, right : right + width]
    same = Image.fromarray(small).crop(
        (
            round(right / scale),
            round(down / scale),
            round((right + width) / scale),
            round((down + height) / scale),
        )
    )
    picture.paste(same.resize((width, height), Image.Resampling.NEAREST), (GAP, GAP))
    picture.paste(Image.fromarray(part), (2 * GAP + width, GAP))
    return picture


def main(names: list[str]) -> None:
    """Make them."""
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
