"""Final Cut Pro XML 1.9, which Final Cut Pro 10.4.9 and later, DaVinci Resolve and others read.

After Apple's document type definition FCPXMLv1_9.dtd (read 2026-11-21): times are fractions of a second that are
whole frames, files are named from the folder of the document on.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from fractions import Fraction
from typing import Any, Final
from urllib.parse import quote

from .timeline import Timeline

VERSION: Final = "1.9"
_BT709: Final = "1-1-1 (Rec. 709)"
_DISSOLVE: Final = "Cross Dissolve"
_DISSOLVE_ID: Final = "FxPlug:4731E73A-8DAC-4113-9A30-AE85B1761265"
"""What Final Cut Pro calls it in its own documents."""


def written(timeline: Timeline) -> str:
    """The document."""
    frame = 1 / timeline.frame_rate
    root = ET.Element("fcpxml", version=VERSION)
    resources = ET.SubElement(root, "resources")
    ET.SubElement(
        resources,
        "format",
        id="r1",
        frameDuration=_time(frame),
        width=str(timeline.width),
        height=str(timeline.height),
        colorSpace=_BT709,
    )
    for number, event in enumerate(timeline.events, 2):
        sound: dict[str, Any] = (
            {
                "hasAudio": "1",
                "audioSources": "1",
                "audioChannels": "2",
                "audioRate": str(timeline.audio_rate),
            }
            if event.has_audio
            else {}
        )
        asset = ET.SubElement(
            resources,
            "asset",
            id=f"r{number}",
            name=event.name,
            start="0s",
            duration=_time(event.frames * frame),
            hasVideo="1",
            format="r1",
            **sound,
        )
        ET.SubElement(asset, "media-rep", kind="original-media", src=quote(event.file, safe="/"))
    dissolves = any(event.dissolve for event in timeline.events)
    if dissolves:
        ET.SubElement(resources, "effect", id="r0", name=_DISSOLVE, uid=_DISSOLVE_ID)
    library = ET.SubElement(root, "library")
    project = ET.SubElement(
        ET.SubElement(library, "event", name=timeline.name), "project", name=timeline.name
    )
    sound = {"audioLayout": "stereo", "audioRate": "48k"} if timeline.has_audio else {}
    sequence = ET.SubElement(
        project,
        "sequence",
        format="r1",
        duration=_time(timeline.frames * frame),
        tcStart="0s",
        tcFormat="NDF",
        **sound,
    )
    spine = ET.SubElement(sequence, "spine")
    placed = list(timeline.placed())
    for number, (place, event) in enumerate(placed):
        # A transition lies over the cut between two clips, which is in its middle.
        early = event.dissolve // 2
        late = placed[number + 1][1].dissolve // 2 if number + 1 < len(placed) else 0
        if event.dissolve:
            crossing = ET.SubElement(
                spine,
                "transition",
                name=_DISSOLVE,
                offset=_time(place * frame),
                duration=_time(event.dissolve * frame),
            )
            ET.SubElement(crossing, "filter-video", ref="r0", name=_DISSOLVE)
        clip = ET.SubElement(
            spine,
            "asset-clip",
            ref=f"r{number + 2}",
            offset=_time((place + early) * frame),
            name=event.name,
            start=_time((event.start + early) * frame),
            duration=_time((event.length - early + late) * frame),
            tcFormat="NDF",
        )
        if event.remarks:
            ET.SubElement(clip, "note").text = "; ".join(event.remarks)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{ET.tostring(root, encoding="unicode")}\n'


def _time(seconds: Fraction) -> str:
    """Seconds as the format writes them: `5s`, `121/24s`."""
    return (
        f"{seconds.numerator}s" if seconds.denominator == 1 else f"{seconds.numerator}/{seconds.denominator}s"
    )
