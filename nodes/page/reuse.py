"""A generation as a node that would ask for it again: what the journal knows of it, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..generation.records import Entry

NODES: Final = {
    "text_to_video": "RayTextToVideo",
    "image_to_video": "RayImageToVideo",
    "keyframes_to_video": "RayKeyframesToVideo",
    "extend_video": "RayExtendVideo",
    "interpolate_video": "RayInterpolateVideo",
    "modify_video": "RayModifyVideo",
    "reframe_video": "RayReframeVideo",
    "upscale_video": "RayUpscaleVideo",
    "add_audio": "RayAddAudio",
}
_PLAIN: Final = ("prompt", "model", "aspect_ratio", "resolution", "loop", "mode", "negative_prompt")
"""Widgets that are called as the journal calls them. A node sets those that it has."""
_FRAMES: Final = {"first_frame": "the first frame", "last_frame": "the last frame"}


def reuse(entry: Entry, known: Callable[[str], Entry | None]) -> dict[str, Any] | None:
    """The node and its widgets; None where nobody knows what was asked for.

    *known* finds the generation whose clip a provider calls so. Pictures and films are not kept, only their hashes:
    what was linked and cannot be found again is told in `missing`, in words.
    """
    asked, node = entry.request, NODES.get(entry.operation)
    if node is None or not asked:
        return None
    widgets = {name: asked[name] for name in _PLAIN if asked.get(name) is not None}
    widgets |= {"provider": entry.provider, "take": entry.take}
    widgets["enhance_prompt"] = bool(asked.get("enhance_prompt"))
    if asked.get("duration"):
        widgets["duration"] = f"{asked['duration']} s"
    generations: list[dict[str, str]] = []
    missing: list[str] = []

    def linked(input: str, told: Any, words: str) -> Entry | None:
        found = known(str(told["job"])) if isinstance(told, dict) and "job" in told else None
        if found is not None:
            generations.append({"input": input, "id": found.id})
        elif told:
            missing.append(words)
        return found

    if entry.operation == "extend_video":
        backward = not asked.get("first_frame")
        edge = linked("generation", asked.get("last_frame" if backward else "first_frame"), "the film")
        widgets |= {"direction": "backward" if backward else "forward", "output": "new part"}
        if edge is not None and edge.seconds:
            widgets["length"] = round(edge.seconds) + int(asked.get("duration") or 5)
    elif entry.operation == "interpolate_video":
        linked("before", asked.get("first_frame"), "the clip before")
        linked("after", asked.get("last_frame"), "the clip after")
    else:
        linked("generation", asked.get("source"), "the film")
        missing += [words for name, words in _FRAMES.items() if asked.get(name)]
        if asked.get("middle_frames"):
            missing.append("the pictures in between")
    if asked.get("placement"):
        missing.append("the film's place in the picture")
    concepts = [str(each) for each in asked.get("concepts") or ()]
    return {
        "node": node,
        "widgets": widgets,
        "concepts": concepts,
        "generations": generations,
        "missing": missing,
    }
