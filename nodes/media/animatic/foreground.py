"""Things in front of an animatic's picture: lift doors, and somebody's shoulder."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .stage import Rgb


class Doors:
    """Lift doors that close over the picture and open again: open at way 0 and from 0.85 on."""

    def __init__(self, rgb: Rgb) -> None:
        """*rgb* [height, width, 3] lends the steel its tint."""
        height, width = rgb.shape[:2]
        columns = width // 2
        grain = np.random.default_rng(7).normal(0, 1, (1, columns, 1)) + np.random.default_rng(8).normal(
            0, 0.35, (height, columns, 1)
        )
        x = np.linspace(0, 1, columns)[None, :, None]
        y = np.linspace(0, 1, height)[:, None, None]
        sheen = 92 + 46 * np.exp(-(((x - 0.38 + 0.12 * y) / 0.16) ** 2)) - 26 * y
        steel = (sheen + 2.2 * grain) * (0.8 + 0.2 * rgb.mean(axis=(0, 1)) / max(float(rgb.mean()), 1.0))
        edge = max(2, width // 160)
        steel[:, -edge:] *= 0.45
        steel[:, -edge - max(1, edge // 3) : -edge] += 50
        self._left = np.rint(np.clip(steel, 0, 255)).astype(np.uint8)
        self._right = np.ascontiguousarray(self._left[:, ::-1])

    def __call__(self, rgb: Rgb, way: float) -> None:
        """Draw the doors as they stand at *way*."""
        shut = min(max(way / 0.36, 0.0), 1.0) if way < 0.5 else min(max((0.85 - way) / 0.35, 0.0), 1.0)
        width, columns = rgb.shape[1], self._left.shape[1]
        shown = round(columns * shut * shut * (3 - 2 * shut))
        if not shown:
            return
        rgb[:, :shown] = self._left[:, columns - shown :]
        rgb[:, width - shown :] = self._right[:, :shown]
        # The slit between them is in their shade.
        shade = min(width // 40, width // 2 - shown)
        if shade > 0:
            fall = np.linspace(0.45, 1.0, shade)[None, :, None]
            for part in (
                rgb[:, shown : shown + shade],
                rgb[:, width - shown - shade : width - shown][:, ::-1],
            ):
                part[:] = np.rint(part * fall)


class Shoulder:
    """Somebody's head and shoulder, out of focus and dark, coming in from the left."""

    def __init__(self, rgb: Rgb, *, leaves: bool) -> None:
        """*rgb* [height, width, 3] lends its shadows their tint; *leaves*: gone again at way 1."""
        height, width = rgb.shape[:2]
        short = min(height, width)
        drawn = Image.new("L", (width, height))
        draw = ImageDraw.Draw(drawn)
        middle, floor = 0.16 * width, float(height)
        head = 0.21 * short
        top = 0.27 * height
        draw.ellipse((middle - head * 0.8, top, middle + head * 0.8, top + head * 2.1), fill=255)
        draw.rectangle((middle - head * 0.42, top + head, middle + head * 0.42, floor), fill=255)
        draw.ellipse(
            (middle - head * 2.6, top + head * 2.25, middle + head * 2.0, top + head * 6.5), fill=255
        )
        soft = drawn.filter(ImageFilter.GaussianBlur(short / 45))
        self._cover = np.asarray(soft, np.float32)[..., None] * np.float32(0.94 / 255)
        self._colour = (rgb.mean(axis=(0, 1)) * 0.10 + 6).astype(np.float32)
        self._reach = min(width, int(np.asarray(drawn).any(axis=0).nonzero()[0].max()) + short // 10)
        self._leaves = leaves

    def __call__(self, rgb: Rgb, way: float) -> None:
        """Draw it as far into the frame as it is at *way*."""
        come = min(min(way, 1 - way) if self._leaves else way, 0.35) / 0.35
        columns = round(self._reach * come * come * (3 - 2 * come))
        cover = self._cover[:, self._reach - columns : self._reach]
        part = rgb[:, :columns]
        part[:] = np.rint(part * (1 - cover) + self._colour * cover)
