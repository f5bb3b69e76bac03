"""The sound of an animatic that is asked for sound: a soft note each second. A place for sound, and not the sound."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from fractions import Fraction
from typing import Final

import numpy as np

from ..sound import Form, Samples

_LOUDNESS: Final = 0.06
"""Of full scale: -24 dB, which is heard and startles nobody."""
_LOWEST: Final = 196.0
"""Hertz: a G. The words choose one of the twelve notes from there on."""
_STEPS: Final = (0, 7, 4, 7)
"""Semitones above it, second by second: a chord, so that it does not sound like an alarm."""


def tone(words: str, frames: int, frame_rate: Fraction, form: Form) -> Generator[Samples, None, None]:
    """As many samples as *frames* last, a second at a time. The same words, the same notes."""
    ground = _LOWEST * 2 ** (hashlib.sha256(words.encode("utf-8", "replace")).digest()[0] % 12 / 12)
    left, second = form.samples(frames, frame_rate), 0
    while left > 0:
        note = _note(ground * 2 ** (_STEPS[second % len(_STEPS)] / 12), form)[:, :left]
        yield note
        left -= note.shape[1]
        second += 1


def _note(hertz: float, form: Form) -> Samples:
    """A second that begins and ends in silence."""
    time = np.arange(form.rate, dtype=np.float32) / form.rate
    swell = (1 - np.exp(-60 * time)) * np.exp(-4 * time) * (1 - time)
    wave = np.sin(2 * np.pi * hertz * time) + 0.3 * np.sin(4 * np.pi * hertz * time)
    return np.tile((_LOUDNESS * swell * wave).astype(np.float32), (form.channels, 1))
