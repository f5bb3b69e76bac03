"""The parts, in the order of the page."""

from __future__ import annotations

from . import colours, decoding, encoding, frames, graphs, journals, kinds, polling, previews, shots, starting

PARTS = (
    decoding.PART,
    frames.PART,
    colours.PART,
    kinds.PART,
    encoding.PART,
    previews.PART,
    graphs.PART,
    shots.PART,
    polling.PART,
    journals.PART,
    starting.PART,
)
