"""The title card of an animatic made from text alone: the prompt over a landscape that the camera moves through."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .backdrop import landscape
from .camera import CameraPath, Pose
from .scenes import Pace, exposed, foreground
from .stage import Rgb, fitted
from .text import drawable, set_into, shortened

_WHITE = (250, 247, 240)
_TURN = 22  # frames in which one card turns into another
_COMET = 0.16  # length of a loop's light on the time bar


class Card:
    """A title card: backdrop, prompt, the shot's facts, a time code and a time bar."""

    def __init__(
        self,
        prompt: str,
        model: str,
        size: tuple[int, int],
        concepts: Sequence[str],
        pace: Pace,
        *,
        loop: bool,
    ) -> None:
        width, height = size
        seed = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()
        self._stage, glow = landscape(seed, width, height)
        self._path = CameraPath(concepts, self._stage, seconds=pace.seconds, loop=loop)
        self._pace, self._loop = pace, loop
        self._foreground = foreground(self._path, self._stage.seen([self._path.view(Pose())]))
        seconds = round(pace.seconds)
        words = [model, f"{seconds} s", f"{min(size)}p", *(c.replace("_", " ") for c in concepts)]
        layer = _Layout(size, glow)
        layer.brackets()
        layer.prompt(drawable(prompt))
        layer.facts(" · ".join([*words, "loop"] if loop else words))
        self._layer, self._cover = layer.finished(seconds)
        self._bar, self._clock = _TimeBar(layer), _Clock(layer)

    def __call__(self, frame: int) -> Rgb:
        """The card at *frame*."""
        rgb = exposed(self._stage, self._path, self._pose, frame)
        for thing in self._foreground:
            thing(rgb, self._pace.way(frame))
        picture = Image.fromarray(rgb)
        picture.paste(self._layer, mask=self._cover)
        rgb = np.array(picture)
        part = self._pace.second(frame) / self._pace.seconds
        self._bar.draw(rgb, part, loop=self._loop)
        self._clock.draw(rgb, frame)
        return rgb

    def _pose(self, frame: float) -> Pose:
        return self._path.pose(self._pace.way(frame), self._pace.second(frame), self._pace.shake(frame))


class CardTurn:
    """From the last frame of one card to the next card, or from a card to the first frame of the one after."""

    def __init__(
        self, card: Card, size: tuple[int, int], count: int, *, first: Rgb | None, last: Rgb | None
    ) -> None:
        self._card, self._count = card, count
        self._first = fitted(first, *size) if first is not None else None
        self._last = fitted(last, *size) if last is not None else None

    def __call__(self, frame: int) -> Rgb:
        """The card at *frame*, and near the given picture that picture."""
        from_edge = frame if self._first is not None else self._count - 1 - frame
        edge = self._first if self._first is not None else self._last
        part = min(from_edge / _TURN, 1.0)
        if edge is None or part >= 1:
            return self._card(frame)
        if part == 0:
            return np.array(edge)
        part = part * part * (3 - 2 * part)
        return np.array(Image.blend(Image.fromarray(edge), Image.fromarray(self._card(frame)), part))


class _Layout:
    """What stands still on the card, drawn once; and where the rest goes."""

    def __init__(self, size: tuple[int, int], glow: tuple[int, int, int]) -> None:
        self.width, self.height = size
        self.short = min(size)
        self.margin = round(0.06 * self.short)
        self.glow = glow
        self.bar_y = self.height - round(0.112 * self.short)
        self.small = max(7.0, 0.032 * self.short)
        self.clock_width = round(self.small * 6.2)
        self._ink = Image.new("RGBA", size, (*_WHITE, 0))
        self._draw = ImageDraw.Draw(self._ink)

    def brackets(self) -> None:
        """Three corners of the frame; the PREVIEW mark is in the fourth."""
        inset, arm = round(0.022 * self.short), round(0.055 * self.short)
        thick = max(1, round(self.short / 400))
        right, bottom = self.width - 1 - inset, self.height - 1 - inset
        for x, dx, y, dy in ((inset, 1, inset, 1), (inset, 1, bottom, -1), (right, -1, bottom, -1)):
            self._bar_between(x, y, x + dx * arm, y + dy * (thick - 1))
            self._bar_between(x, y, x + dx * (thick - 1), y + dy * arm)

    def _bar_between(self, x: int, y: int, other_x: int, other_y: int) -> None:
        box = (min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y))
        self._draw.rectangle(box, fill=(*_WHITE, 130))

    def prompt(self, text: str) -> None:
        top, bottom = round(0.15 * self.short), self.bar_y - round(0.07 * self.short)
        left = self.margin + round(0.03 * self.width)
        wide = min(self.width - 2 * left, 2.1 * self.short)
        block = set_into(
            text,
            wide,
            bottom - top,
            largest=max(9.0, 0.092 * self.short),
            smallest=max(7.0, 0.036 * self.short),
        )
        font = ImageFont.load_default(block.size)
        used = len(block.lines) * block.leading
        y = top + (bottom - top - used) / 2
        rule = max(2, round(self.short / 240))
        rule_y = round(y - 0.045 * self.short)
        if block.lines:
            self._draw.rectangle(
                (left, rule_y, left + round(0.1 * self.short), rule_y + rule - 1), fill=(*self.glow, 255)
            )
        for number, line in enumerate(block.lines):
            self._draw.text((left, y + number * block.leading), line, fill=(*_WHITE, 255), font=font)

    def facts(self, line: str) -> None:
        text = shortened(line, self.small, self.width - 2 * self.margin - self.clock_width * 1.1)
        place = (self.margin, self.bar_y + 0.022 * self.short)
        self._draw.text(place, text, fill=(*_WHITE, 225), font=ImageFont.load_default(self.small))

    def finished(self, seconds: int) -> tuple[Image.Image, Image.Image]:
        """Colours, and how far they cover the backdrop; below the ink a soft shade, so that it always reads."""
        across = self.width - 2 * self.margin
        tick, thick = max(2, round(self.short / 110)), max(1, round(self.short / 540))
        for second in range(seconds + 1):
            x = self.margin + round((across - 1) * second / seconds)
            self._draw.rectangle((x, self.bar_y - tick, x + thick - 1, self.bar_y - 1), fill=(*_WHITE, 150))
        ink = np.asarray(self._ink, np.float32)
        opacity = ink[..., 3:] / 255
        # Shades are soft, so they are made at a quarter of the size.
        small = Image.fromarray(np.asarray(self._ink)[..., 3]).reduce(4)
        shade = np.zeros((self.height, self.width), np.float32)
        for radius, strength in ((0.006, 0.75), (0.05, 1.5)):
            soft = small.filter(ImageFilter.GaussianBlur(max(0.6, radius * self.short / 4)))
            soft = soft.resize((self.width, self.height), Image.Resampling.BICUBIC)
            shade = np.maximum(shade, np.minimum(np.asarray(soft, np.float32) / 255 * strength, 0.5))
        floor = np.clip((np.arange(self.height) / self.height - 0.72) / 0.28, 0, 1)[:, None] ** 1.3 * 0.5
        shade = (1 - (1 - shade) * (1 - floor))[..., None].astype(np.float32)
        cover = opacity + (1 - opacity) * shade
        colours = ink[..., :3] * opacity / np.maximum(cover, 1e-6)
        return (
            Image.fromarray(np.rint(colours).astype(np.uint8)),
            Image.fromarray(np.rint(255 * cover[..., 0]).astype(np.uint8)),
        )


class _TimeBar:
    """A line across the card that fills up; in a loop a light runs along it and comes in again on the left."""

    def __init__(self, layout: _Layout) -> None:
        thick = max(2, round(layout.short / 270))
        self._rows = slice(layout.bar_y, layout.bar_y + thick)
        self._columns = slice(layout.margin, layout.width - layout.margin)
        self._count = layout.width - 2 * layout.margin
        self._colour = np.array(layout.glow, np.float32) * 0.45 + np.array(_WHITE, np.float32) * 0.55

    def draw(self, rgb: Rgb, part: float, *, loop: bool) -> None:
        x = (np.arange(self._count, dtype=np.float32) + 0.5) / self._count
        if loop:
            behind = (part - x) % 1.0
            light = np.clip(1 - behind / _COMET, 0, 1) ** 1.5
            # One pixel of edge in front, so that it moves smoothly.
            light = np.maximum(light, np.clip(1 - (1 - behind) * self._count, 0, 1))
        else:
            light = np.clip((part - x) * self._count + 0.5, 0, 1)
        opacity = (0.25 + 0.75 * light)[None, :, None]
        bar = rgb[self._rows, self._columns]
        bar[:] = np.rint(bar * (1 - opacity) + self._colour * opacity)


class _Clock:
    """Seconds and frames at the end of the time bar: 02:11 is 11 frames after the second second."""

    def __init__(self, layout: _Layout) -> None:
        font = ImageFont.load_default(layout.small)
        self._cell = round(max(font.getlength(c) for c in "0123456789"))
        rows = round(layout.small * 1.5)
        self._figures: dict[str, npt.NDArray[np.float32]] = {}
        for figure in "0123456789:":
            cell = Image.new("L", (self._cell, rows))
            left = (self._cell - font.getlength(figure)) / 2
            ImageDraw.Draw(cell).text((left, 0), figure, fill=225, font=font)
            self._figures[figure] = np.asarray(cell, np.float32)[..., None] / np.float32(255)
        self._top = round(layout.bar_y + 0.022 * layout.short)
        self._right = layout.width - layout.margin

    def draw(self, rgb: Rgb, frame: int) -> None:
        text = f"{frame // 24:02d}:{frame % 24:02d}"
        left = self._right - self._cell * len(text)
        for place, figure in enumerate(text):
            cover = self._figures[figure]
            x = left + place * self._cell
            part = rgb[self._top : self._top + cover.shape[0], x : x + self._cell]
            part[:] = np.rint(part * (1 - cover[: part.shape[0]]) + np.array(_WHITE) * cover[: part.shape[0]])
