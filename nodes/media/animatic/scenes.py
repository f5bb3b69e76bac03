"""What an animatic shows over a photograph, or from one photograph to another: one function of the frame number."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from .camera import CameraPath, Pose, strayed
from .foreground import Doors, Shoulder
from .stage import MARGIN, Rgb, Stage, fitted

Scene = Callable[[int], Rgb]
"""Frame number → a new uint8 [height, width, 3]. Safe to call from several threads."""

_SHUTTER = 0.5  # of a frame's time
_BLUR_STEP = 0.006  # of the frame's width: the distance between two exposures of motion blur
_SOFTNESS = 0.6  # of a morph: what part of the turn one place takes


class Pace:
    """How far a shot has gone at a frame, 0 to 1."""

    def __init__(self, frames: int, seconds: float, *, loop: bool, moving: bool) -> None:
        """*moving*: the camera is on its way already, as after a cut into one take."""
        self.frames, self.seconds = frames, seconds
        self._loop = loop
        self._start = 0.0 if moving else min(0.8, seconds / 4)

    def second(self, frame: float) -> float:
        """The time of a frame; a loop's last frame is one step before its first."""
        return self.seconds * frame / (self.frames if self._loop else self.frames - 1)

    def way(self, frame: float) -> float:
        """0 at the first frame. A loop comes back; other shots set off gently and never stop before the cut."""
        second = self.second(frame)
        if self._loop:
            return (1 - math.cos(2 * math.pi * second / self.seconds)) / 2
        # The speed it cruises at is the same whether it set off or was moving: extensions go on evenly.
        if second < self._start:
            return second * second / (2 * self._start) / self.seconds
        return (second - self._start / 2) / self.seconds

    def shake(self, frame: float) -> float:
        """How much of the wobbles there is: they fade in."""
        return 1.0 if self._loop else eased(self.second(frame) / 0.6)


def eased(part: float) -> float:
    """0 to 1 without a jerk at either end."""
    part = min(max(part, 0.0), 1.0)
    return part**3 * (part * (6 * part - 15) + 10)


class Still:
    """A photograph, ready to be filmed with the camera moves of a shot."""

    def __init__(self, picture: Rgb, size: tuple[int, int], concepts: Sequence[str]) -> None:
        """Set it up.

        Raises:
            KeyError: a concept that is not in `CAMERA_MOVES`.
        """
        width, height = size
        self.fitted = fitted(picture, width, height)
        # The camera never gets to see more than its moves let it stray; a little more for the lookup's sake.
        margin = min(strayed(concepts) + 0.01, MARGIN)
        self.stage = Stage.around(picture, width, height, margin=margin, wraps="tiny_planet" in concepts)


class Travel:
    """A camera over one photograph. Frame 0 is the photograph as fitted."""

    def __init__(self, still: Still, concepts: Sequence[str], pace: Pace, *, loop: bool) -> None:
        self._fitted, self._stage = still.fitted, still.stage
        self._path = CameraPath(concepts, still.stage, seconds=pace.seconds, loop=loop)
        self._pace = pace
        self._foreground = foreground(self._path, still.fitted)

    def __call__(self, frame: int) -> Rgb:
        """The photograph as the camera sees it at *frame*."""
        if frame == 0:
            return np.array(self._fitted)
        rgb = exposed(self._stage, self._path, self._pose, frame)
        for thing in self._foreground:
            thing(rgb, self._pace.way(frame))
        return rgb

    def _pose(self, frame: float) -> Pose:
        return self._path.pose(self._pace.way(frame), self._pace.second(frame), self._pace.shake(frame))


class Morph:
    """From one photograph to another: one move of the camera carries through both, light parts turn first."""

    def __init__(self, first: Still, last: Still, concepts: Sequence[str], pace: Pace) -> None:
        self._ends = (first.fitted, last.fitted)
        self._stages = (first.stage, last.stage)
        self._paths = [CameraPath(concepts, stage, seconds=pace.seconds) for stage in self._stages]
        self._pace = pace
        self._foreground = foreground(self._paths[0], first.fitted, leaves=True)
        self._grain = max(1.0, min(first.fitted.shape[:2]) / 300)

    def __call__(self, frame: int) -> Rgb:
        """The first picture, the last, or what is between them at *frame*."""
        final = self._pace.frames - 1
        if frame in (0, final):
            return np.array(self._ends[frame == final])
        part = frame / final
        turned = min(max((part - 0.12) / 0.76, 0.0), 1.0)
        if any(isinstance(thing, Doors) for thing in self._foreground):
            turned = float(part >= 0.5)
        shown = [self._picture(end, frame) for end in (0, 1) if turned != 1 - end]
        rgb = shown[0] if len(shown) == 1 else self._mixed(shown, eased(turned))
        for thing in self._foreground:
            thing(rgb, eased(part))
        return rgb

    def _picture(self, end: int, frame: int) -> Rgb:
        return exposed(self._stages[end], self._paths[end], lambda at: self._pose(end, at), frame)

    def _pose(self, end: int, frame: float) -> Pose:
        part = frame / (self._pace.frames - 1)
        shake = math.sin(math.pi * min(max(part, 0.0), 1.0))
        path = self._paths[end]
        pose = path.pose(eased(part), self._pace.second(frame), shake)
        return pose + path.pose(1.0, shake=0.0) * -1.0 if end else pose

    def _mixed(self, shown: list[Rgb], turned: float) -> Rgb:
        """Where the second picture is lighter it comes first, where it is darker last, as lights go on and off."""
        before, after = (Image.fromarray(rgb) for rgb in shown)
        lighter = ImageChops.subtract(after.convert("L"), before.convert("L"), scale=2, offset=128)
        lighter = lighter.filter(ImageFilter.BoxBlur(self._grain))
        order = np.clip(0.5 - 0.75 * (np.arange(256) - 128) / 128, 0, 1)
        ramp = np.clip((turned * (1 + _SOFTNESS) - order) / _SOFTNESS, 0, 1)
        table = np.rint(255 * ramp * ramp * (3 - 2 * ramp))
        mask = lighter.point(table.astype(int).tolist())
        return np.array(Image.composite(after, before, mask))


class Arrival:
    """Ends on a photograph: the camera settles on it while it comes into focus."""

    def __init__(self, still: Still, concepts: Sequence[str], pace: Pace) -> None:
        self._fitted, self._stage = still.fitted, still.stage
        self._path = CameraPath(concepts, still.stage, seconds=pace.seconds)
        self._pace = pace
        self._foreground = foreground(self._path, still.fitted, leaves=True)
        self._softest = 0.05 * min(still.fitted.shape[:2])

    def __call__(self, frame: int) -> Rgb:
        """The photograph as far as it has come into focus at *frame*."""
        final = self._pace.frames - 1
        if frame == final:
            return np.array(self._fitted)
        rgb = exposed(self._stage, self._path, self._pose, frame)
        radius = self._softest * (1 - eased(frame / final / 0.85)) ** 1.5
        if radius > 0.3:
            rgb = softened(rgb, radius)
        for thing in self._foreground:
            thing(rgb, 0.5 + eased(frame / final) / 2)
        return rgb

    def _pose(self, frame: float) -> Pose:
        part = frame / (self._pace.frames - 1)
        settled = 1 - (1 - min(part, 1.0)) ** 2.5
        shake = 1 - eased(part)
        pose = self._path.pose(settled, self._pace.second(frame), shake)
        return pose + self._path.pose(1.0, shake=0.0) * -1.0


class Relay:
    """Scenes one after the other, each from its own frame on: over pictures that stand in between.

    A scene is set up when its first frame is asked for, and let go when the next but one begins: however
    many pictures there are, memory holds a few. Frames are asked for nearly in order.
    """

    def __init__(self, legs: Sequence[tuple[int, Callable[[], Scene]]]) -> None:
        """*legs*: the frame at which each scene begins, ascending, and how to make it; it counts from 0."""
        self._begins = [begin for begin, _ in legs]
        self._makes = [make for _, make in legs]
        self._made: dict[int, Scene] = {}
        self._making = Lock()

    def __call__(self, frame: int) -> Rgb:
        """The scene that is on at *frame*."""
        leg = bisect_right(self._begins, frame) - 1
        return self._scene(leg)(frame - self._begins[leg])

    def _scene(self, leg: int) -> Scene:
        with self._making:
            if leg not in self._made:
                self._made = {other: scene for other, scene in self._made.items() if other == leg - 1}
                self._made[leg] = self._makes[leg]()
            return self._made[leg]


def exposed(stage: Stage, path: CameraPath, pose: Callable[[float], Pose], frame: float) -> Rgb:
    """A frame with the blur that a film camera's shutter gives to fast moves."""
    opened, closed = (path.view(pose(frame + side * _SHUTTER / 2)) for side in (-1, 1))
    corners = np.array([[x, y, 1.0] for x in (-1, 1) for y in (-0.5, 0.5)]).T
    ends = [view[0] @ corners for view in (opened, closed)]
    distance = float(np.abs(ends[0][:2] / ends[0][2] - ends[1][:2] / ends[1][2]).max()) / 2
    exposures = min(1 + int(distance / _BLUR_STEP), 6)
    times = [frame + _SHUTTER * ((k + 0.5) / exposures - 0.5) for k in range(exposures)]
    return stage.seen([path.view(pose(time)) for time in times])


def softened(rgb: Rgb, radius: float) -> Rgb:
    """*rgb* out of focus. What is soft enough is softened at a part of its size, several times as fast."""
    picture = Image.fromarray(rgb)
    part = 1 if radius < 4 else 2 if radius < 8 else 4
    if part == 1:
        return np.array(picture.filter(ImageFilter.GaussianBlur(radius)))
    # Going there and back softens too.
    radius = math.sqrt(radius**2 - part**2 / 4) / part
    small = picture.reduce(part).filter(ImageFilter.GaussianBlur(radius))
    box = (0, 0, picture.width / part, picture.height / part)
    return np.array(small.resize(picture.size, Image.Resampling.BILINEAR, box=box))


def foreground(path: CameraPath, rgb: Rgb, *, leaves: bool = False) -> list[Doors | Shoulder]:
    """What stands between camera and picture, drawn by `thing(rgb, way)`; with *leaves* nothing does at way 1."""
    things: list[Doors | Shoulder] = []
    if path.has("shoulder"):
        things.append(Shoulder(rgb, leaves=leaves))
    if path.has("doors"):
        things.append(Doors(rgb))
    return things
