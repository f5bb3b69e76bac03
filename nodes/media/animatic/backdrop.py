"""The landscape behind a title card: quiet, drawn from numbers, different for every prompt."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .stage import Plane, Stage, canvas_side, unit

_Colour = tuple[int, int, int]

_HORIZON = 0.20  # camera units below the middle
_GRID = 0.42  # distance of the lines on the ground
_STARS = 260


class _Palette(NamedTuple):
    zenith: _Colour
    sky: _Colour
    glow: _Colour
    far: _Colour
    near: _Colour
    night: float
    """How far the stars are out, 0 to 1."""


_PALETTES = (
    _Palette((24, 32, 66), (116, 84, 122), (244, 168, 118), (84, 66, 104), (26, 26, 48), 0.35),  # dusk
    _Palette(
        (30, 62, 88), (108, 150, 160), (246, 224, 186), (72, 110, 124), (22, 46, 58), 0.0
    ),  # sea morning
    _Palette((12, 18, 40), (40, 62, 102), (170, 196, 232), (34, 50, 84), (10, 16, 32), 1.0),  # moonlight
    _Palette((74, 56, 66), (186, 122, 92), (252, 210, 148), (132, 84, 76), (52, 36, 42), 0.0),  # desert
    _Palette((18, 48, 52), (76, 124, 108), (226, 226, 164), (48, 88, 82), (14, 34, 36), 0.15),  # forest
    _Palette((52, 34, 66), (156, 92, 124), (250, 182, 172), (106, 66, 104), (36, 24, 48), 0.25),  # rose
    _Palette((44, 52, 62), (118, 128, 136), (226, 224, 214), (86, 94, 104), (30, 34, 42), 0.0),  # overcast
    _Palette((20, 28, 58), (52, 94, 118), (134, 226, 190), (38, 66, 92), (12, 20, 38), 0.8),  # northern light
)


def landscape(seed: bytes, width: int, height: int) -> tuple[Stage, _Colour]:
    """A stage for frames of *width* x *height*, and the colour of its light. The same seed, the same pixels."""
    random = np.random.default_rng(list(seed))
    palette = _PALETTES[int(random.integers(len(_PALETTES)))]
    columns, rows = canvas_side(width), canvas_side(height)
    scale = unit(width, height)
    x = ((np.arange(columns, dtype=np.float32) + 0.5 - columns / 2) / scale)[None, :]
    y = ((np.arange(rows, dtype=np.float32) + 0.5 - rows / 2) / scale)[:, None]
    half_width = width / 2 / scale
    sun_x, sun_y = float(random.uniform(0.15, 0.55)) * half_width, float(random.uniform(-0.26, 0.0))

    picture = _sky(palette, x, y, sun_x, sun_y)
    _stars(picture, palette.night, random, scale)
    for layer in range(3):
        depth = (layer + 1) / 3
        ridge = _ridge(random, x, layer)
        cover = np.clip((y - ridge) * scale + 0.5, 0, 1)
        haze = 0.55 * np.exp(-((x - sun_x) ** 2) / 0.5) * (1 - 0.6 * depth)
        colour = _mix(_mix(palette.sky, palette.far, depth**0.7), palette.near, 0.35 * depth)
        lit = colour + haze[..., None] * (np.array(palette.glow, np.float32) - colour) * 0.5
        picture += cover[..., None] * (lit - picture)
    _ground(picture, palette, x, y, scale, sun_x)
    # A little grain keeps the gradients from breaking into bands.
    picture += random.normal(0, 1.1, (rows, columns, 1)).astype(np.float32)
    canvas = np.rint(np.clip(picture, 0, 255)).astype(np.uint8)
    return Stage(canvas, width, height), palette.glow


def _sky(palette: _Palette, x: Plane, y: Plane, sun_x: float, sun_y: float) -> Plane:
    fall = np.clip((y + 1.1) / (1.1 + _HORIZON), 0, 1) ** 1.5
    column = (
        np.array(palette.zenith, np.float32) * (1 - fall[..., None])
        + np.array(palette.sky, np.float32) * fall[..., None]
    )
    away = np.hypot(x - sun_x, y - sun_y)
    light = 0.62 * np.exp(-((away / 0.5) ** 2)) + 0.3 * np.exp(-away / 0.55)
    light += 0.5 * np.clip((0.115 - away) / 0.006, 0, 1)
    sky: Plane = column + np.clip(light, 0, 0.97)[..., None] * (np.array(palette.glow, np.float32) - column)
    return sky


def _stars(picture: Plane, night: float, random: np.random.Generator, scale: float) -> None:
    rows, columns = picture.shape[:2]
    places = random.random((_STARS, 3))
    size = max(1, round(scale / 300))
    for across, down, bright in places[: int(_STARS * night)]:
        top, left = int(down**1.4 * rows * 0.5), int(across * (columns - size))
        star = picture[top : top + size, left : left + size]
        star += (235 - star) * 0.75 * bright**2


def _ridge(random: np.random.Generator, x: Plane, layer: int) -> Plane:
    """The height of a range of hills over the columns, [1, columns]; nearer ones are lower and broader."""
    tall = 0.20 - 0.055 * layer
    line = np.zeros_like(x)
    for octave in range(5):
        waves = (1.3 + 0.5 * layer) * 1.9**octave
        line += np.sin(x * waves + float(random.uniform(0, 6.28))) * np.float32(0.62**octave)
    ridge: Plane = np.float32(_HORIZON + 0.01) - tall * (0.55 + 0.45 * line / 1.9)
    return ridge


def _ground(picture: Plane, palette: _Palette, x: Plane, y: Plane, scale: float, sun_x: float) -> None:
    """A plain with the lines of a stage floor, so that every move of the camera shows."""
    top = int(np.searchsorted(y[:, 0], _HORIZON))
    below = y[top:] - np.float32(_HORIZON)
    cover = np.clip(below * scale + 0.5, 0, 1)
    down = np.clip(below / 0.9, 0, 1) ** 0.6
    colour = _mix(palette.far, palette.near, 0.25) * (1 - down[..., None]) + (
        np.array(palette.near, np.float32) * 0.8 * down[..., None]
    )
    light = 0.34 * np.exp(-(((x - sun_x) / (0.16 + 0.5 * below)) ** 2)) * np.exp(-below / 0.4)
    away = 1 / np.maximum(below, 1e-3)
    pixel = 1 / scale
    across = _line(x * away / _GRID / 2, pixel * away / _GRID / 2)
    along = _line(np.broadcast_to(away / _GRID / 2, (len(below), 1)), pixel * away**2 / _GRID / 2)
    lines = np.maximum(across, along) * np.clip(below / 0.25, 0, 1) * 0.22
    picture[top:] += cover[..., None] * (colour - picture[top:])
    glow = np.array(palette.glow, np.float32)
    picture[top:] += (cover * np.clip(light + lines, 0, 1))[..., None] * (glow - picture[top:])


def _line(place: Plane, pixel: Plane) -> Plane:
    """1 where *place* is a whole number, one to two pixels wide; nothing where lines would run together."""
    distance = np.abs(place - np.rint(place))
    line: Plane = np.clip(1.5 - distance / pixel, 0, 1) * np.clip(1.5 - 5 * pixel, 0, 1)
    return line


def _mix(one: _Colour | Plane, other: _Colour, part: float) -> Plane:
    mixed: Plane = np.asarray(one, np.float32) * (1 - part) + np.asarray(other, np.float32) * part
    return mixed
