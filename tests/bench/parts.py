"""The parts, in the order of the page."""

from __future__ import annotations

from . import decoding

PARTS = (decoding.PART,)
