"""Pairs of clips made for measuring seams: one photographed move in two parts, with everything known about both.

The pictures are the example photographs under a camera that moves, with grain; the later part has the colours of
another run of a model, its own noise and its own compression. So it is known how many frames it repeats, and how
each of its frames would look without the drift.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import films
import numpy as np
import numpy.typing as npt
from PIL import Image

Rgb = npt.NDArray[np.uint8]

PHOTOGRAPHS = Path(__file__).resolve().parent.parent / "example_workflows" / "inputs"
PLACES = ("coffee", "rocket", "deep-field")
MOVES = ("pan", "tilt", "push", "pull", "turn", "handheld", "ease", "walker")
SIZE = (320, 180)


@dataclass(frozen=True)
class Drift:
    """What a second run of a model does to colours: a curve for each channel, on levels 0..1."""

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Levels of 255."""

    def __call__(self, frame: Rgb) -> Rgb:
        """*frame* with the drift."""
        light = np.linspace(0, 1, 256)[:, None] ** np.array(self.gamma)
        levels = light * np.array(self.gain) * 255 + np.array(self.offset)
        curves = np.rint(levels.clip(0, 255)).astype(np.uint8)
        return np.stack([curves[frame[..., channel], channel] for channel in range(3)], axis=-1)


NONE = Drift()


@dataclass(frozen=True)
class Case:
    """One pair."""

    place: str = "coffee"
    move: str = "pan"
    speed: float = 2.0
    """Pixels a frame, or what comes near to it."""
    overlap: int = 1
    drift: Drift = NONE
    grain: float = 0.0
    """Levels; other grain in each clip."""
    flicker: float = 0.0
    """Of the light, from frame to frame; the same in frames that are repeated."""
    crf: tuple[int, int] = (20, 23)
    preset: tuple[str, str] = ("veryfast", "veryfast")
    frames: tuple[int, int] = (18, 20)
    seed: int = 0
    size: tuple[int, int] = SIZE
    contains: bool = False
    """The later clip begins with all of the earlier one."""

    @property
    def repeated(self) -> int:
        return self.frames[0] if self.contains else self.overlap


@dataclass(frozen=True)
class Pair:
    """The two files of a case."""

    case: Case
    earlier: Path
    later: Path
    undrifted: Path
    """The later clip as it would be without drift: the same grain, the same compression."""


def make(case: Case, folder: Path, name: str = "pair") -> Pair:
    """The clips of *case* as files in *folder*."""
    before, after = case.frames
    start = before - case.repeated
    scene = shots(case, start + after)

    def written(frames: list[Rgb], which: int, called: str) -> Path:
        rng = np.random.default_rng((case.seed, which))
        if case.grain:
            frames = [
                np.rint(frame + rng.normal(0, case.grain, frame.shape)).clip(0, 255).astype(np.uint8)
                for frame in frames
            ]
        options = {"crf": str(case.crf[which]), "preset": case.preset[which]}
        return films.encode(frames, folder / f"{name}-{called}.mp4", options=options)

    later = scene[start:]
    drifted = [case.drift(frame) for frame in later]
    undrifted = written(later, 1, "undrifted")
    return Pair(
        case,
        written(scene[:before], 0, "earlier"),
        written(drifted, 1, "later") if case.drift != NONE else undrifted,
        undrifted,
    )


def shots(case: Case, count: int) -> list[Rgb]:
    """The scene itself: *count* frames of the move."""
    land, (width, height) = _land(case.place), case.size
    light = np.random.default_rng(case.seed)
    phase = light.uniform(0, 6.3, 4)
    middle = np.array([land.width / 2, land.height / 2]) + light.uniform(-60, 60, 2)
    frames = []
    for number in range(count):
        x, y, scale, angle = _camera(case, number, count, phase)
        scale *= 320 / width
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        left, top = middle[0] + x, middle[1] + y
        affine = (
            cos, -sin, left - (width * cos - height * sin) / 2,
            sin, cos, top - (width * sin + height * cos) / 2,
        )  # fmt: skip
        shot = land.transform(case.size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
        if case.move == "walker":
            other = _land(PLACES[(PLACES.index(case.place) + 1) % 3])
            left = round(width * 0.1 + case.speed * 2 * number)
            patch = other.crop((900, 600, 900 + width // 4, 600 + height // 2))
            shot.paste(patch, (left, height // 3 + round(3 * np.sin(number / 2))))
        frame = np.asarray(shot)
        if case.flicker:
            frame = np.rint((frame * (1 + case.flicker * light.normal())).clip(0, 255)).astype(np.uint8)
        frames.append(frame)
    return frames


def _camera(case: Case, number: int, count: int, phase: Any) -> tuple[float, float, float, float]:
    """Place, scale and angle of the camera at a frame."""
    way = case.speed * (number - count / 2)
    match case.move:
        case "pan":
            return way, 0.2 * way, 1.0, 0.0
        case "tilt":
            return 0.1 * way, -way, 1.0, 0.0
        case "push":
            return 0.0, 0.0, float(np.exp(-way / 130)), 0.0
        case "pull":
            return 0.1 * way, 0.0, float(np.exp(way / 130)), 0.0
        case "turn":
            return 0.3 * way, 0.0, 0.9, way / 110
        case "handheld":
            shake = np.sin(number * np.array([0.7, 0.9, 0.4, 0.5]) + phase)
            return (
                0.3 * way + 2 * case.speed * shake[0],
                2 * case.speed * shake[1],
                1.0 + 0.004 * case.speed * shake[2],
                0.004 * case.speed * shake[3],
            )
        case "ease":
            part = number / count
            return case.speed * count * (part * part * (3 - 2 * part) - 0.5), 0.0, 1.0, 0.0
        case _:
            return 0.15 * way, 0.0, 1.0, 0.0


@cache
def _land(place: str) -> Image.Image:
    """A photograph, mirrored at its edges so that no move leaves it."""
    photograph = np.asarray(Image.open(PHOTOGRAPHS / f"luma-ray-{place}.jpg").convert("RGB"))
    photograph = photograph[: photograph.shape[0] // 2 * 2, : photograph.shape[1] // 2 * 2]
    down, across = photograph.shape[0] // 2, photograph.shape[1] // 2
    return Image.fromarray(np.pad(photograph, ((down, down), (across, across), (0, 0)), mode="symmetric"))


def drift(rng: random.Random, strength: float = 1.0) -> Drift:
    """A drift as models have it: a few per cent of gain and gamma, up to ten levels, another in each channel."""

    def three(most: float, common: float) -> tuple[float, float, float]:
        shared = rng.uniform(-common, common)
        return tuple(shared + rng.uniform(-most, most) for _ in range(3))  # type: ignore[return-value]

    gain = tuple(1 + strength * part for part in three(0.02, 0.03))
    gamma = tuple(1 + strength * part for part in three(0.02, 0.04))
    offset = tuple(strength * part for part in three(3, 7))
    return Drift(gain, gamma, offset)  # type: ignore[arg-type]


def cases(count: int, seed: int = 1) -> list[Case]:
    """That many different ones, always the same."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    made = []
    for number in range(count):
        case = Case(
            place=PLACES[number % 3],
            move=MOVES[number // 3 % len(MOVES)],
            speed=rng.choice((0.4, 0.7, 1, 2, 3, 5, 8, 12)),
            overlap=(0, 1, 2, 3, 5, 8, 12, 1, 0, 1)[number % 10],
            drift=drift(rng) if rng.random() < 0.75 else NONE,
            grain=rng.choice((0, 0, 1.5, 3, 5)),
            flicker=rng.choice((0, 0, 0, 0.015, 0.03)),
            crf=(rng.randint(18, 28), rng.randint(18, 28)),
            preset=(
                rng.choice(("ultrafast", "veryfast", "medium")),
                rng.choice(("veryfast", "fast", "medium")),
            ),
            seed=number,
        )
        if number % 20 == 19:
            case = replace(case, contains=True, frames=(18, 40), speed=max(case.speed, 1))
        made.append(case)
    return made
