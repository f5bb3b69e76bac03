"""A shot, rendered: its scene painted frame by frame, marked PREVIEW, encoded as it comes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...generation.ray import FRAMES_PER_SECOND, frame_count
from .. import encoding
from .card import Card, CardTurn
from .mark import PreviewMark
from .scenes import Arrival, Morph, Pace, Relay, Scene, Still, Travel

_CRF, _PRESET = (
    21,
    "superfast",
)  # as good as 20 with "veryfast", in two thirds of the time for a tenth more bytes
_PAINTERS = max(1, min(2, os.cpu_count() or 1))  # more than two outrun the encoder
_AHEAD = 2  # frames painted while another is encoded, for each painter


class RenderStopped(Exception):
    """The rendering was asked to stop; no file is left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """What to render."""

    prompt: str
    width: int
    """Pixels, even."""
    height: int
    """Pixels, even."""
    duration: int
    """Seconds."""
    model: str = "ray-2"
    """Only shown on the card."""
    concepts: tuple[str, ...] = ()
    """Keys of `CAMERA_MOVES`; several add up."""
    loop: bool = False
    """The last frame flows into the first. Not where a last frame is asked for."""
    first_frame: npt.NDArray[np.uint8] | None = None
    """[height, width, 3] of any size: covers the frame, the middle is kept."""
    last_frame: npt.NDArray[np.uint8] | None = None
    """Like `first_frame`."""
    middle_frames: tuple[tuple[int, npt.NDArray[np.uint8]], ...] = ()
    """Pictures between them: frame number, ascending, and picture. Not with `loop`."""
    follows: bool = False
    """`first_frame` is the last frame of an earlier clip: the camera is moving already."""
    turns_card: bool = False
    """The one picture given is of a title card: the clip turns between it and the card of this prompt."""


def render(shot: Shot, path: Path, *, progress: Callable[[float], None], stopped: Callable[[], bool]) -> None:
    """Render *shot* to an MP4: H.264, yuv420p, bt709, 24 frames a second, `frame_count` frames.

    The same shot gives the same frames. Memory does not grow with the duration.

    Args:
        shot: what to render.
        path: where to; its folder must exist. The file gets its name when it is whole.
        progress: called with the part done, ascending, at last with 1.0.
        stopped: asked before every frame.

    Raises:
        RenderStopped: *stopped* said so.
        KeyError: a concept that is not in `CAMERA_MOVES`.
    """
    with closing(_frames(shot, progress, stopped)) as frames:
        encoding.write(
            frames,
            path,
            frame_rate=FRAMES_PER_SECOND,
            width=shot.width,
            height=shot.height,
            crf=_CRF,
            preset=_PRESET,
        )
    progress(1.0)


def _frames(
    shot: Shot, progress: Callable[[float], None], stopped: Callable[[], bool]
) -> Generator[npt.NDArray[np.uint8], None, None]:
    """The frames in order, painted in threads a few ahead of whoever takes them."""
    count = frame_count(shot.duration)
    mark = PreviewMark(shot.width, shot.height)
    scene = _scene(shot, count)

    def painted(number: int) -> npt.NDArray[np.uint8]:
        rgb = scene(number)
        mark.put_on(rgb)
        return rgb

    painters = ThreadPoolExecutor(_PAINTERS, thread_name_prefix="animatic")
    ahead: deque[Future[npt.NDArray[np.uint8]]] = deque()
    try:
        for number in range(count + _AHEAD * _PAINTERS):
            if stopped():
                raise RenderStopped(f"Stopped after {max(0, number - len(ahead))} of {count} frames.")
            if number < count:
                ahead.append(painters.submit(painted, number))
            if number >= _AHEAD * _PAINTERS:
                yield ahead.popleft().result()
                progress((number - _AHEAD * _PAINTERS + 1) / (count + 1))
    finally:
        painters.shutdown(cancel_futures=True)


def _scene(shot: Shot, count: int) -> Scene:
    first, last = (_bare(picture) for picture in (shot.first_frame, shot.last_frame))
    if shot.middle_frames:
        return _relay(shot, first, last, count)
    loop = shot.loop and last is None
    pace = Pace(count, shot.duration, loop=loop, moving=shot.follows)
    size = (shot.width, shot.height)

    def still(picture: npt.NDArray[np.uint8]) -> Still:
        return Still(picture, size, shot.concepts)

    if shot.turns_card and (first is None) != (last is None):
        card = Card(shot.prompt, shot.model, size, shot.concepts, pace, loop=False)
        return CardTurn(card, size, count, first=first, last=last)
    if first is not None and last is not None:
        with ThreadPoolExecutor(_PAINTERS) as setting_up:
            one, other = setting_up.map(still, (first, last))
        return Morph(one, other, shot.concepts, pace)
    if first is not None:
        return Travel(still(first), shot.concepts, pace, loop=loop)
    if last is not None:
        return Arrival(still(last), shot.concepts, pace)
    return Card(shot.prompt, shot.model, size, shot.concepts, pace, loop=loop)


def _relay(
    shot: Shot, first: npt.NDArray[np.uint8] | None, last: npt.NDArray[np.uint8] | None, count: int
) -> Scene:
    """From each picture to the next; before the first one it comes into focus, after the last one it goes on."""
    stops = [(index, _bare(picture)) for index, picture in shot.middle_frames]
    if first is not None:
        stops.insert(0, (0, first))
    if last is not None:
        stops.append((count - 1, last))
    pictures = [(index, picture) for index, picture in stops if picture is not None]
    begins = [index for index, _ in pictures]

    @lru_cache(maxsize=2)
    def still(number: int) -> Still:
        return Still(pictures[number][1], (shot.width, shot.height), shot.concepts)

    def pace(begin: int, end: int, *, moving: bool) -> Pace:
        return Pace(end - begin + 1, (end - begin) / FRAMES_PER_SECOND, loop=False, moving=moving)

    def arrival() -> Scene:
        return Arrival(still(0), shot.concepts, pace(0, begins[0], moving=False))

    def morph(number: int) -> Scene:
        begin, end = begins[number : number + 2]
        return Morph(still(number), still(number + 1), shot.concepts, pace(begin, end, moving=True))

    def departure() -> Scene:
        going = pace(begins[-1], count - 1, moving=len(begins) > 1)
        return Travel(still(len(begins) - 1), shot.concepts, going, loop=False)

    legs: list[tuple[int, Callable[[], Scene]]] = []
    if begins[0] > 0:
        legs.append((0, arrival))
    legs += [(begin, partial(morph, number)) for number, begin in enumerate(begins[:-1])]
    if begins[-1] < count - 1:
        legs.append((begins[-1], departure))
    return Relay(legs)


def _bare(picture: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.uint8] | None:
    """The picture without the mark of an earlier animatic, which would drift out from under the new one."""
    if picture is None:
        return None
    mark = PreviewMark(picture.shape[1], picture.shape[0])
    return mark.taken_off(picture) if mark.is_on(picture) else picture
