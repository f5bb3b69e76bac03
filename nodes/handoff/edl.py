"""CMX 3600 edit decision lists: the oldest format, which every editor reads.

Written as SMPTE 258M and the readers of today have it (OpenTimelineIO's adapter, read 2026-11-21): events numbered
from 001, a reel name of up to eight characters, four time codes, and the clip's name in a remark below.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from .timeline import Event, Timeline, timecode

HOUR: Final = 3600
"""Seconds at which programmes begin by custom."""
MOST_EVENTS: Final = 999
_REEL: Final = "AX"
"""What a list calls a source that is a file and no tape."""


def written(timeline: Timeline) -> str:
    """The list, with Windows line ends, as editors write it. Raises ValueError for more than 999 events."""
    if len(timeline.events) > MOST_EVENTS:
        raise ValueError(f"{len(timeline.events)} events, and a list holds {MOST_EVENTS}")
    rate = timeline.frame_rate
    first = HOUR * round(rate)
    lines = [f"TITLE: {_ascii(timeline.name)}", "FCM: NON-DROP FRAME", ""]
    before = None
    for number, (place, event) in enumerate(timeline.placed(), 1):
        if before is not None and event.dissolve:
            # Where a list dissolves, it names the clip that goes, at the frame at which that begins, and then the
            # one that comes.
            goes = (before.stop, before.stop, first + place, first + place)
            lines += [_edit(number, before, "C", goes, rate)]
        comes = (event.start, event.stop, first + place, first + place + event.length)
        kind = f"D    {event.dissolve:03}" if event.dissolve else "C"
        lines += [_edit(number, event, kind, comes, rate)]
        if before is not None and event.dissolve:
            lines += [f"* FROM CLIP NAME: {_ascii(before.name)}", f"* TO CLIP NAME: {_ascii(event.name)}"]
        else:
            lines += [f"* FROM CLIP NAME: {_ascii(event.name)}"]
        lines += [f"* SOURCE FILE: {_ascii(event.file)}"]
        lines += [f"* COMMENT: {_ascii(remark)}" for remark in event.remarks]
        lines += [""]
        before = event
    return "\r\n".join(lines)


def _edit(number: int, event: Event, kind: str, times: tuple[int, ...], rate: Fraction) -> str:
    """One line of an event: its four time codes are where it is in its file, and where in the film."""
    channel = "B" if event.has_audio else "V"
    codes = " ".join(timecode(time, rate) for time in times)
    return f"{number:03}  {_REEL:8} {channel:5} {kind:8} {codes}"


def _ascii(words: str) -> str:
    """One line of what a list may hold."""
    return "".join(each if " " <= each <= "~" else "_" for each in words)
