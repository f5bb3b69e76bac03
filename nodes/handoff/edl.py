"""CMX 3600 edit decision lists: the oldest format, which every editor reads.

Written as SMPTE 258M and the readers of today have it (OpenTimelineIO's adapter, read 2026-11-21): events numbered
from 001, a reel name of up to eight characters, four time codes, and the clip's name in a remark below.
"""

from __future__ import annotations

from typing import Final

from .timeline import Timeline, timecode

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
    for number, (place, event) in enumerate(timeline.placed(), 1):
        channel = "B" if event.has_audio else "V"
        times = (event.start, event.frames, first + place, first + place + event.length)
        codes = " ".join(timecode(time, rate) for time in times)
        lines += [
            f"{number:03}  {_REEL:8} {channel:5} C        {codes}",
            f"* FROM CLIP NAME: {_ascii(event.name)}",
            f"* SOURCE FILE: {_ascii(event.file)}",
            "",
        ]
    return "\r\n".join(lines)


def _ascii(words: str) -> str:
    """One line of what a list may hold."""
    return "".join(each if " " <= each <= "~" else "_" for each in words)
