"""Cut lists that editors open: read again by their own rules and by OpenTimelineIO."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from fractions import Fraction

import opentimelineio as otio
import pytest
from luma_ray.nodes.handoff import edl, fcpxml
from luma_ray.nodes.handoff.timeline import Event, Timeline, timecode

DISSOLVED = Timeline(
    name="dissolved",
    events=(
        Event(name="one", file="clips/one.mp4", frames=121, start=0, stop=108),
        Event(
            name="two",
            file="clips/two.mp4",
            frames=121,
            start=0,
            stop=120,
            dissolve=13,
            remarks=("colours matched as in the film",),
        ),
        Event(name="three", file="clips/three.mp4", frames=121, start=1, stop=121),
    ),
    frame_rate=Fraction(24),
    width=1280,
    height=720,
)
FILM = Timeline(
    name="A walk & <more>",
    events=(
        Event(name="01 a fox", file="clips/01 a fox.mp4", frames=121, start=0, stop=121),
        Event(name="02 Füchse", file="clips/02_F%C3.mp4", frames=121, start=1, stop=121, has_audio=True),
        Event(name="03", file="clips/03.mp4", frames=217, start=1, stop=217),
    ),
    frame_rate=Fraction(24),
    width=1280,
    height=720,
)


@pytest.mark.parametrize(
    ("frame", "rate", "code"),
    [
        (0, 24, "00:00:00:00"),
        (23, 24, "00:00:00:23"),
        (24 * 3661 + 5, 24, "01:01:01:05"),
        (30, Fraction(30000, 1001), "00:00:01:00"),
        (24, Fraction(24000, 1001), "00:00:01:00"),
    ],
)
def test_time_codes_count_whole_frames(frame, rate, code):
    assert timecode(frame, Fraction(rate)) == code


def test_an_edl_names_every_cut_in_four_time_codes():
    lines = edl.written(FILM).split("\r\n")
    assert lines[:2] == ["TITLE: A walk & <more>", "FCM: NON-DROP FRAME"]
    events = [line for line in lines if re.match(r"\d{3}  ", line)]
    assert events == [
        "001  AX       V     C        00:00:00:00 00:00:05:01 01:00:00:00 01:00:05:01",
        "002  AX       B     C        00:00:00:01 00:00:05:01 01:00:05:01 01:00:10:01",
        "003  AX       V     C        00:00:00:01 00:00:09:01 01:00:10:01 01:00:19:01",
    ]
    assert "* FROM CLIP NAME: 02 F_chse" in lines
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_an_edl_is_read_by_opentimelineio():
    read = otio.adapters.read_from_string(edl.written(FILM), "cmx_3600", rate=24)
    clips = list(read.tracks[0].find_clips())
    assert [clip.name for clip in clips] == ["01 a fox", "02 F_chse", "03"]
    assert [clip.source_range.duration.to_frames() for clip in clips] == [121, 120, 216]
    assert [clip.source_range.start_time.to_frames() for clip in clips] == [0, 1, 1]


def test_an_edl_holds_999_events():
    event = Event(name="x", file="x.mp4", frames=2, start=0, stop=2)
    many = Timeline(name="x", events=[event] * 1000, frame_rate=Fraction(24), width=2, height=2)
    with pytest.raises(ValueError, match="999"):
        edl.written(many)


ALLOWED = {
    "fcpxml": ({"version"}, {"resources", "library"}),
    "resources": (set(), {"format", "asset", "effect"}),
    "effect": ({"id", "name", "uid"}, set()),
    "format": ({"id", "frameDuration", "width", "height", "colorSpace"}, set()),
    "asset": (
        {
            *("id", "name", "start", "duration", "hasVideo", "format"),
            *("hasAudio", "audioSources", "audioChannels", "audioRate"),
        },
        {"media-rep"},
    ),
    "media-rep": ({"kind", "src"}, set()),
    "library": (set(), {"event"}),
    "event": ({"name"}, {"project"}),
    "project": ({"name"}, {"sequence"}),
    "sequence": ({"format", "duration", "tcStart", "tcFormat", "audioLayout", "audioRate"}, {"spine"}),
    "spine": (set(), {"asset-clip", "transition"}),
    "transition": ({"name", "offset", "duration"}, {"filter-video"}),
    "filter-video": ({"ref", "name"}, set()),
    "asset-clip": ({"ref", "offset", "name", "start", "duration", "tcFormat"}, {"note"}),
    "note": (set(), set()),
}
"""What version 1.9 allows of what is used here: attributes and elements inside."""
REQUIRED = {
    "format": {"id"},
    "asset": {"id"},
    "media-rep": {"src"},
    "sequence": {"format"},
    "asset-clip": {"ref"},
    "effect": {"id", "uid"},
    "transition": {"duration"},
    "filter-video": {"ref"},
}


def document(film=FILM):
    return ET.fromstring(fcpxml.written(film))  # noqa: S314 - our own


def seconds(told):
    assert re.fullmatch(r"\d+(/\d+)?s", told)
    return Fraction(told.removesuffix("s"))


@pytest.mark.parametrize("film", [FILM, DISSOLVED], ids=lambda film: film.name)
def test_an_fcpxml_keeps_to_the_rules_of_its_version(film):
    text = fcpxml.written(film)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n')
    root = document(film)
    ids, refs = [], []
    for element in root.iter():
        attributes, inside = ALLOWED[element.tag]
        assert set(element.attrib) <= attributes, element.tag
        assert REQUIRED.get(element.tag, set()) <= set(element.attrib)
        assert {child.tag for child in element} <= inside
        ids += [element.attrib["id"]] if "id" in element.attrib else []
        refs += [element.attrib[name] for name in ("ref", "format") if name in element.attrib]
        for name in ("duration", "offset", "start", "tcStart", "frameDuration"):
            if name in element.attrib:
                assert (seconds(element.attrib[name]) * 24).denominator == 1  # whole frames
    assert len(ids) == len(set(ids))
    assert set(refs) <= set(ids)


def test_clips_of_an_fcpxml_follow_each_other_without_a_gap():
    root = document()
    clips = root.findall(".//asset-clip")
    place = Fraction(0)
    for clip, event in zip(clips, FILM.events, strict=True):
        assert seconds(clip.attrib["offset"]) == place
        assert (seconds(clip.attrib["start"]), seconds(clip.attrib["duration"])) == (
            Fraction(event.start, 24),
            Fraction(event.length, 24),
        )
        place += seconds(clip.attrib["duration"])
    assert seconds(root.find(".//sequence").attrib["duration"]) == place


def test_a_dissolve_lies_over_the_cut_of_an_fcpxml_and_both_clips_have_frames_for_it():
    spine = document(DISSOLVED).find(".//spine")
    assert [each.tag for each in spine] == ["asset-clip", "transition", "asset-clip", "asset-clip"]
    one, crossing, two, _ = spine
    times = [
        tuple(seconds(each.attrib[name]) * 24 for name in ("offset", "duration"))
        for each in (one, crossing, two)
    ]
    # The film of one ends at 108, where the other begins to come: 13 frames later it is there alone.
    assert times == [(0, 114), (108, 13), (114, 114)]
    assert seconds(two.attrib["start"]) * 24 == 6
    assert two.find("note").text == "colours matched as in the film"
    assert DISSOLVED.events[0].frames >= 114 + 7


def test_a_dissolve_of_an_edl_names_both_clips_and_is_read_again():
    text = edl.written(DISSOLVED)
    events = [line for line in text.split("\r\n") if re.match(r"\d{3}  ", line)]
    assert events == [
        "001  AX       V     C        00:00:00:00 00:00:04:12 01:00:00:00 01:00:04:12",
        "002  AX       V     C        00:00:04:12 00:00:04:12 01:00:04:12 01:00:04:12",
        "002  AX       V     D    013 00:00:00:00 00:00:05:00 01:00:04:12 01:00:09:12",
        "003  AX       V     C        00:00:00:01 00:00:05:01 01:00:09:12 01:00:14:12",
    ]
    assert "* COMMENT: colours matched as in the film" in text
    track = otio.adapters.read_from_string(text, "cmx_3600", rate=24).tracks[0]
    (crossing,) = (each for each in track if isinstance(each, otio.schema.Transition))
    assert (crossing.in_offset + crossing.out_offset).to_frames() == 13
    assert track.duration().to_frames() == DISSOLVED.frames


def test_files_are_named_from_the_folder_on_and_escaped():
    root = document()
    assert [each.attrib["src"] for each in root.iter("media-rep")] == [
        "clips/01%20a%20fox.mp4",
        "clips/02_F%25C3.mp4",
        "clips/03.mp4",
    ]


def test_an_fcpxml_is_read_by_opentimelineio():
    read = otio.adapters.read_from_string(fcpxml.written(FILM), "fcpx_xml")
    clips = list(read.find_children(descended_from_type=otio.schema.Clip))
    assert [clip.name for clip in clips] == [event.name for event in FILM.events]
    assert [clip.source_range.duration.to_frames() for clip in clips] == [121, 120, 216]
