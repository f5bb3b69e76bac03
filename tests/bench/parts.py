"""The parts, in the order of the page."""

from __future__ import annotations

from . import colours, decoding, encoding, frames, previews

PARTS = (decoding.PART, frames.PART, colours.PART, encoding.PART, previews.PART)
