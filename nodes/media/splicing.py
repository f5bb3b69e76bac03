"""Films put together from stretches of clips: their pictures copied where they can be, encoded anew where not."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..generation.errors import Interrupted
from . import clips, copying, encoding, matching, retiming, sound

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from fractions import Fraction
    from pathlib import Path

    import numpy.typing as npt

    Frames = Generator[npt.NDArray[np.uint8], None, None]

_FADE: Final = 0.004
"""Seconds in which sound comes and goes at a cut: too short to be heard, long enough not to click."""
_BAND: Final = 64
"""Rows that are mixed at a time."""
STOPPED: Final = "Stopped while joining; the clips themselves stay where they are."


@dataclass(frozen=True)
class Part:
    """A clip of a film, and where in the film it lies. Neighbours may overlap: there both show the same."""

    path: Path
    line: clips.Timeline
    offset: int
    """The film's frame at which the clip's first one would be; below 0 where its start is cut off."""
    first: int
    """The clip's first frame that may be shown."""
    stop: int
    """The frame before which it ends."""
    places: tuple[int, ...] | None = None
    """Where the clip has another frame rate: its frame for each of `line`'s."""
    curve: matching.Curve | None = None
    """What becomes of its colours."""
    dissolve: int = 0
    """Frames, the last before the part ahead of it ends, over which it fades in."""

    @property
    def begin(self) -> int:
        """The film's frame that is its first."""
        return self.offset + self.first

    @property
    def end(self) -> int:
        """The film's frame before which it ends."""
        return self.offset + self.stop


@dataclass(frozen=True)
class Shown:
    """Frames of one part that a film shows."""

    part: int
    """Which one, from 0."""
    first: int
    """The part's frame."""
    count: int
    dissolve: int = 0
    """Of these frames the first ones, in which it fades in over the frames that follow what is shown before it."""


def shown(parts: Sequence[Part]) -> list[Shown]:
    """What `splice` shows of *parts*, in order of play: where its cuts are."""
    copied = _to_copy(parts)
    if copied is not None:
        # Copies begin and end where decoding allows it, so a repeated frame may be the later part's.
        found, number = [], 0
        for stretch in copied:
            while parts[number].line is not stretch.line:
                number += 1
            found.append(Shown(number, stretch.first, stretch.count))
        return found
    found, place = [], 0
    for number, part in enumerate(parts):
        if part.end <= place:
            continue
        following = _following(parts, number)
        stop = part.end - (following.dissolve if following is not None else 0)
        found.append(Shown(number, place - part.offset, stop - place, part.dissolve if found else 0))
        place = stop
    return found


def splice(
    parts: Sequence[Part],
    path: Path,
    *,
    size: tuple[int, int],
    stopped: Callable[[], bool] = clips.never,
    progress: Callable[[float], None] | None = None,
    words: str = STOPPED,
) -> bool:
    """One film of *parts* in order of play, in the memory of a few frames.

    Where parts overlap, the earlier one is heard and, unless the pictures can be copied only so, seen. The
    sound is cut at the very frames at which the parts follow each other, and is in step with them whichever
    part's pictures are taken.

    Args:
        parts: one or more; the first begins at frame 0, and none leaves a gap.
        path: the MP4 to write; see `encoding.write`.
        size: width and height of pictures that are encoded; parts of another size are resized, antialiased.
        stopped: asked before each frame.
        progress: told the fraction done, 0..1, after each frame.
        words: what the error says if `stopped` said so.

    Returns:
        Whether the pictures were copied: bit for bit what the clips hold.

    Raises:
        BrokenClip: a clip does not decode, where it is decoded.
        InvalidInput: an HDR clip that would have to be encoded, or a rate that no file has.
        Interrupted: `stopped` said so; nothing is written.
    """
    rate = encoding.as_rate(parts[0].line.frame_rate)
    in_turn = _in_turn(parts)
    done = _Done(parts[-1].end, stopped, progress, words)
    heard = _heard(in_turn, rate, done)
    copied = _to_copy(parts)
    if copied is not None:
        copying.write(copied, path, frame_rate=rate, sound=heard, before=done.before, after=done.after)
        return True
    encoding.write(
        _pictures(parts, size, done), path, frame_rate=rate, width=size[0], height=size[1], sound=heard
    )
    return False


@dataclass
class _Done:
    """How far the writing is."""

    total: int
    stopped: Callable[[], bool]
    progress: Callable[[float], None] | None
    words: str
    shown: int = 0

    def before(self) -> None:
        if self.stopped():
            raise Interrupted(self.words)

    def after(self) -> None:
        self.shown += 1
        if self.progress is not None:
            self.progress(min(self.shown / self.total, 1.0))


def _in_turn(parts: Sequence[Part]) -> list[copying.Stretch]:
    """Each part to its end, and the next one from there."""
    turns, place = [], 0
    for part in parts:
        first = place - part.offset
        if first < part.stop:
            turns.append(copying.Stretch(part.path, part.line, first, part.stop - first))
        place = max(place, part.end)
    return turns


def _to_copy(parts: Sequence[Part]) -> list[copying.Stretch] | None:
    """Stretches that can be copied and make up the same film; None if there are none.

    A copy begins where decoding can begin, and ends where nothing that is left needs what is left out. Where
    parts overlap, any frame of the overlap at which the one can end and the other begin will do.
    """
    if any(part.places is not None or part.curve is not None or part.dissolve for part in parts):
        return None
    indexes = copying.indexes([(part.path, part.line) for part in parts])
    if indexes is None:
        return None
    total = parts[-1].end
    hopeless: set[tuple[int, int]] = set()

    def follow(number: int, begin: int) -> list[copying.Stretch] | None:
        """The film from frame *begin* on, which is the first one that part *number* shows."""
        part, index = parts[number], indexes[number]
        if (number, begin) in hopeless:
            return None

        def until(end: int) -> copying.Stretch:
            return copying.Stretch(part.path, part.line, begin - part.offset, end - begin, index.delay)

        if part.end == total and part.stop in index.ends:
            return [until(total)]
        for later in range(number + 1, len(parts)):
            for end in range(part.end, max(parts[later].begin, begin + 1) - 1, -1):
                start = end - parts[later].offset
                possible = index.leads_to(end - part.offset, indexes[later], start)
                rest = follow(later, end) if possible else None
                if rest is not None:
                    return [until(end), *rest]
        hopeless.add((number, begin))
        return None

    found = (
        follow(number, 0)
        for number, part in enumerate(parts)
        if part.begin == 0 and part.first in indexes[number].starts
    )
    return next((stretches for stretches in found if stretches is not None), None)


def _pictures(
    parts: Sequence[Part], size: tuple[int, int], done: _Done
) -> Generator[npt.NDArray[np.uint8], None, None]:
    """The frames of the film: each part to its end, the next one from there, the ends dissolved."""
    place = 0
    coming: Frames | None = None
    with ExitStack() as files:
        for number, part in enumerate(parts):
            if part.end <= place:
                continue
            frames = coming or files.enter_context(closing(_frames(part, place - part.offset, size)))
            following = _following(parts, number)
            fading = following.dissolve if following is not None else 0
            for _, frame in zip(range(part.end - place - fading), frames, strict=False):
                done.before()
                yield frame
                done.after()
            coming = None
            if following is not None and fading:
                start = part.end - fading - following.offset
                coming = files.enter_context(closing(_frames(following, start, size)))
                for step, going, new in zip(range(1, fading + 1), frames, coming, strict=False):
                    done.before()
                    yield _mixed(going, new, step / (fading + 1))
                    done.after()
            frames.close()
            place = part.end


def _following(parts: Sequence[Part], number: int) -> Part | None:
    """The part that is shown after the one of that number."""
    return next((later for later in parts[number + 1 :] if later.end > parts[number].end), None)


def _frames(part: Part, first: int, size: tuple[int, int]) -> Frames:
    """The frames of a part from its *first* on, in the colours that it is to have."""
    paint = part.curve.painter() if part.curve is not None else None
    with closing(retiming.Reel(part.path, part.line, part.places).frames(first, size)) as shown:
        for _, frame in zip(range(part.stop - first), shown, strict=False):
            yield frame if paint is None else paint(frame)


def _mixed(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8], part: float) -> npt.NDArray[np.uint8]:
    """Of *other* so much, and the rest of *one*, in 256ths."""
    share = round(part * 256)
    levels: npt.NDArray[np.uint8] = np.empty_like(one)
    # In bands: whole frames of 16 bits would be the most of what a dissolve needs.
    for top in range(0, len(one), _BAND):
        band = slice(top, top + _BAND)
        mixed = one[band].astype(np.uint16) * np.uint16(256 - share)
        mixed += other[band].astype(np.uint16) * np.uint16(share)
        mixed += 128
        mixed >>= 8
        levels[band] = mixed
    return levels


def _heard(stretches: Sequence[copying.Stretch], rate: Fraction, done: _Done) -> sound.Sound | None:
    """The sound of the film, None if all of it is silent."""
    form = sound.film_form([sound.form_of(stretch.path) for stretch in stretches])
    if form is None:
        return None

    def blocks() -> Generator[sound.Samples, None, None]:
        frames = 0
        for stretch in stretches:
            place, frames = form.samples(frames, rate), frames + stretch.count
            count = form.samples(frames, rate) - place
            # Only where it is cut: a film begins and ends as its clips do.
            fades = (
                stretch is not stretches[0] or stretch.first > 0,
                (stretch is not stretches[-1] or stretch.first + stretch.count < stretch.line.frames),
            )
            with closing(sound.read(stretch.path, stretch.line, stretch.first, count, form)) as own:
                for block in _faded(own, count, round(_FADE * form.rate), *fades):
                    done.before()  # a single frame may last for hours
                    yield block

    return sound.Sound(form, blocks())


def _faded(
    blocks: Generator[sound.Samples, None, None],
    count: int,
    length: int,
    comes: bool,  # noqa: FBT001
    goes: bool,  # noqa: FBT001
) -> Generator[sound.Samples, None, None]:
    """*count* samples of sound that comes and goes over *length* of them."""
    place = 0
    for block in blocks:
        end = place + block.shape[1]
        if (comes and place < length) or (goes and end > count - length):
            at = np.arange(place, end, dtype=np.float32)
            gain = np.ones_like(at)
            if comes:
                gain = np.minimum(gain, (at + 0.5) / length)
            if goes:
                gain = np.minimum(gain, (count - at - 0.5) / length)
            block = block * gain.clip(0, 1)  # noqa: PLW2901
        yield block
        place = end
