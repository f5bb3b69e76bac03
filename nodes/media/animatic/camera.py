"""The animatic's camera: what each of Ray's camera concepts does, and where the camera is at a frame.

The picture hangs in front of the camera on a plane that leans towards it at the bottom, as ground does. So a
push and a zoom, a truck and a pan differ on a flat photograph as they do in a room: who moves sees the near
part move more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType

import numpy as np

from .lens import bulge, planet
from .stage import MARGIN, Bend, Homography, Stage

_FOCAL = 1.6  # in camera units: about 45 degrees from left to right at 16:9
_LEAN = 0.16  # how much nearer the plane is one camera unit further down
_SPAN = 5.0  # seconds in which a move travels its whole way
_STRAY = 0.05  # `strayed` for moves that go closer rather than look past the edge


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the camera is, from where it began. Angles in radians; distance to the picture is 1."""

    right: float = 0.0
    up: float = 0.0
    push: float = 0.0
    """ln of how many times nearer it is."""
    zoom: float = 0.0
    """ln of how many times longer the lens is."""
    yaw: float = 0.0
    """Looking to the right."""
    pitch: float = 0.0
    """Looking up."""
    roll: float = 0.0
    """Clockwise."""
    bulge: float = 0.0
    planet: float = 0.0

    def __add__(self, other: Pose) -> Pose:
        return Pose(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, factor: float) -> Pose:
        return Pose(*(getattr(self, f.name) * factor for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Wobble:
    """A steady swing of one part of the pose."""

    part: str
    size: float
    hertz: float
    phase: float = 0.0


def _steady(way: float) -> float:
    return way


def _bolt(way: float) -> float:
    """A breath, a rush, a breath."""
    part = min(max((way - 0.12) / 0.5, 0.0), 1.0)
    return 0.04 * way + 0.96 * part**3 * (part * (6 * part - 15) + 10)


@dataclass(frozen=True, slots=True)
class Move:
    """What one concept does to the camera on its way from 0 to 1."""

    to: Pose = field(default_factory=Pose)
    pace: Callable[[float], float] = _steady
    wobbles: tuple[Wobble, ...] = ()
    reveals: bool = False
    """It shows what lies beyond the picture's edges; other moves go closer rather than look there."""
    doors: bool = False
    shoulder: bool = False


def _shaky(size: float) -> tuple[Wobble, ...]:
    """The small swings of a held camera; frequencies without a common beat, so that it never repeats."""
    return (
        Wobble("yaw", 0.011 * size, 0.61, 0.4),
        Wobble("yaw", 0.005 * size, 1.73, 2.1),
        Wobble("pitch", 0.009 * size, 0.83, 1.3),
        Wobble("pitch", 0.004 * size, 2.21, 0.2),
        Wobble("right", 0.010 * size, 0.37, 2.6),
        Wobble("roll", 0.010 * size, 0.47, 0.9),
        Wobble("roll", 0.003 * size, 1.51, 1.7),
    )


_STEPS = (
    Wobble("up", 0.020, 1.9, -math.pi / 2),
    Wobble("right", 0.016, 0.95),
    Wobble("roll", 0.009, 0.95, 0.3),
    Wobble("pitch", 0.005, 1.9, 0.6),
)

CAMERA_MOVES: Mapping[str, Move] = MappingProxyType(
    {
        "static": Move(),
        "handheld": Move(Pose(push=0.03), wobbles=_shaky(1.0)),
        "push_in": Move(Pose(push=0.30)),
        "pull_out": Move(Pose(push=-0.30), reveals=True),
        "zoom_in": Move(Pose(zoom=0.42)),
        "zoom_out": Move(Pose(zoom=-0.34), reveals=True),
        "dolly_zoom": Move(Pose(push=0.42, zoom=-0.44, bulge=0.55)),
        "pan_left": Move(Pose(yaw=-0.24)),
        "pan_right": Move(Pose(yaw=0.24)),
        "tilt_up": Move(Pose(pitch=0.19)),
        "tilt_down": Move(Pose(pitch=-0.19)),
        "roll_left": Move(Pose(roll=-0.21)),
        "roll_right": Move(Pose(roll=0.21)),
        "truck_left": Move(Pose(right=-0.24)),
        "truck_right": Move(Pose(right=0.24)),
        "pedestal_up": Move(Pose(up=0.17)),
        "pedestal_down": Move(Pose(up=-0.17)),
        "crane_up": Move(Pose(up=0.34, pitch=-0.19, push=-0.06)),
        "crane_down": Move(Pose(up=-0.34, pitch=0.19, push=0.06)),
        "orbit_left": Move(Pose(right=-0.38, yaw=0.34)),
        "orbit_right": Move(Pose(right=0.38, yaw=-0.34)),
        "bolt_cam": Move(Pose(push=0.85, yaw=0.10, roll=-0.13), pace=_bolt),
        "aerial": Move(Pose(up=0.26, pitch=-0.12, push=-0.20), reveals=True),
        "aerial_drone": Move(
            Pose(up=0.16, pitch=-0.10, push=0.34, roll=0.06), wobbles=(Wobble("roll", 0.028, 0.21),)
        ),
        "overhead": Move(Pose(up=0.80, pitch=-0.68, push=-0.04)),
        "high_angle": Move(Pose(up=0.48, pitch=-0.42)),
        "eye_level": Move(Pose(push=0.10, right=0.05)),
        "low_angle": Move(Pose(up=-0.48, pitch=0.42)),
        "ground_level": Move(Pose(up=-0.40, pitch=0.16, push=0.22)),
        "pov": Move(Pose(push=0.34), wobbles=_STEPS),
        "over_the_shoulder": Move(Pose(right=0.06, yaw=-0.03, push=0.08), shoulder=True),
        "selfie": Move(Pose(bulge=0.26, yaw=0.04, roll=-0.03), wobbles=_shaky(0.8)),
        "tiny_planet": Move(Pose(planet=1.0), reveals=True),
        "elevator_doors": Move(Pose(push=0.14), doors=True),
    }
)
"""Ray's camera concepts and what the animatic does for each."""

_UNASKED = Move(Pose(push=0.12))


def strayed(concepts: Iterable[str]) -> float:
    """How far past the picture's edge the camera may look, as a part of the frame's side.

    Raises:
        KeyError: a concept that is not in `CAMERA_MOVES`.
    """
    return MARGIN if any(CAMERA_MOVES[concept].reveals for concept in concepts) else _STRAY


class CameraPath:
    """Where the camera of a shot is, by how far the shot has gone. Several concepts add up."""

    def __init__(self, concepts: Sequence[str], stage: Stage, *, seconds: float, loop: bool = False) -> None:
        """*seconds*: how long the shot is; *loop*: wobbles come round.

        Raises:
            KeyError: a concept that is not in `CAMERA_MOVES`.
        """
        self.moves: Sequence[Move] = [CAMERA_MOVES[concept] for concept in concepts] or [_UNASKED]
        self._half_width, self._half_height = half = stage.half
        self._seconds, self._loop = seconds, loop
        # A longer shot goes further, though not as much further as it is longer: the picture ends.
        self._way = (seconds / _SPAN) ** 0.6
        stray = strayed(concepts)
        self._limits = np.array(
            [[side * max(real, 1 + 2 * stray)] for side, real in zip(half, stage.reach, strict=True)]
        )
        self._corners = np.array([[x * half[0], y * half[1], 1.0] for x in (-1, 1) for y in (-1, 1)]).T
        self._lean = np.array([0.0, _LEAN, 1.0])

    def has(self, trait: str) -> bool:
        """Whether any of the shot's moves has it: `doors`, `shoulder`."""
        return any(getattr(move, trait) for move in self.moves)

    def pose(self, way: float, second: float = 0.0, shake: float = 1.0) -> Pose:
        """The pose at *way*, 0 (where it began) to 1; *shake* scales the wobbles, taken at *second*."""
        pose = Pose()
        for move in self.moves:
            pose += move.to * (move.pace(way) * (1.0 if move.to.planet else self._way))
            for wobble in move.wobbles:
                pose += Pose(**{wobble.part: shake * self._swing(wobble, second)})
        return pose

    def _swing(self, wobble: Wobble, second: float) -> float:
        hertz = wobble.hertz
        if self._loop:
            hertz = max(1, round(hertz * self._seconds)) / self._seconds
        angle = 2 * math.pi * hertz * second
        return wobble.size * (math.sin(angle + wobble.phase) - math.sin(wobble.phase))

    def view(self, pose: Pose) -> tuple[Homography, list[Bend]]:
        """From the frame to the picture, in camera units; and the lenses in front."""
        bends = []
        # On the way to a picture poses are negative; a lens bends alike in both directions.
        if abs(pose.bulge) > 1e-6:
            bends.append(bulge(abs(pose.bulge)))
        if abs(pose.planet) > 1e-6:
            bends.append(planet(min(abs(pose.planet), 1.0), self._half_width, self._half_height))
        homography = self._homography(pose)
        nearer = self._nearer(homography)
        return homography @ np.diag([1 / nearer, 1 / nearer, 1.0]), bends

    def _homography(self, pose: Pose) -> Homography:
        place = np.array([pose.right, -pose.up, 1 - math.exp(-pose.push)])
        turned = _about_y(pose.yaw) @ _about_x(pose.pitch) @ _about_z(pose.roll)
        onto_plane = np.outer(place, self._lean) + (1 - self._lean @ place) * np.eye(3)
        focal = _FOCAL * math.exp(pose.zoom)
        matrix = np.diag([_FOCAL, _FOCAL, 1.0]) @ onto_plane @ turned @ np.diag([1 / focal, 1 / focal, 1.0])
        homography: Homography = matrix / matrix[2, 2]
        return homography

    def _nearer(self, homography: Homography) -> float:
        """By how much to go closer so that the frame's corners stay within reach of the picture."""

        def inside(nearer: float) -> bool:
            seen = homography @ (self._corners / [[nearer], [nearer], [1.0]])
            return bool((seen[2] > 0).all() and (np.abs(seen[:2]) <= self._limits * seen[2]).all())

        if inside(1.0):
            return 1.0
        low, high = 1.0, 8.0
        for _ in range(24):
            middle = (low + high) / 2
            low, high = (low, middle) if inside(middle) else (middle, high)
        return high


def _about_x(angle: float) -> Homography:
    """Looks up."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_y(angle: float) -> Homography:
    """Looks to the right."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _about_z(angle: float) -> Homography:
    """Leans to the right."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
