"""`luma-ray modify-video` and its likes: clips made from clips, from a terminal."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .chain import Source
from .editing import Place
from .film import Settings
from .generation.canvas import SMALLEST
from .generation.ray import ASPECT_RATIOS, DURATIONS, MODELS, MODES, RESOLUTIONS
from .generation.request import AS_THE_SOURCE
from .generation.selection import AUTO
from .providers import PROVIDERS

if TYPE_CHECKING:
    from .film import Film
    from .generation.request import StillImage
    from .studio import Studio

Command = Callable[[str, Callable[..., Any], str], argparse.ArgumentParser]
Made = Callable[[argparse.Namespace, Callable[..., "Film"]], tuple[Any, str]]


def add(command: Command, studio: Callable[[], Studio], made: Made) -> None:
    """Add the commands. *made* runs an operation and tells of its film, as those of `cli` do."""

    def modify_video(options: argparse.Namespace) -> tuple[Any, str]:
        first = _still(options.first_frame)
        return made(
            options,
            lambda clock, report: studio().modify_video(
                _settings(options),
                _source(options),
                mode=options.mode,
                first_frame=first,
                clock=clock,
                report=report,
            ),
        )

    def reframe_video(options: argparse.Namespace) -> tuple[Any, str]:
        first = _still(options.first_frame)
        place = Place(scale=options.size / 100, across=options.across / 100, down=options.down / 100)
        return made(
            options,
            lambda clock, report: studio().reframe_video(
                _settings(options),
                _source(options),
                place=place,
                first_frame=first,
                clock=clock,
                report=report,
            ),
        )

    def upscale_video(options: argparse.Namespace) -> tuple[Any, str]:
        return made(
            options,
            lambda clock, report: studio().upscale_video(
                _settings(options), (options.generation,), clock=clock, report=report
            ),
        )

    def add_audio(options: argparse.Namespace) -> tuple[Any, str]:
        return made(
            options,
            lambda clock, report: studio().add_audio(
                _settings(options),
                (options.generation,),
                negative_prompt=options.negative_prompt,
                clock=clock,
                report=report,
            ),
        )

    def interpolate_video(options: argparse.Namespace) -> tuple[Any, str]:
        return made(
            options,
            lambda clock, report: studio().interpolate_video(
                _settings(options),
                tuple(options.before),
                tuple(options.after),
                whole=options.output == "whole film",
                clock=clock,
                report=report,
            ),
        )

    modify = command("modify-video", modify_video, "a film made over: its moves stay")
    _film(modify)
    modify.add_argument("--mode", default=MODES[3], choices=MODES, help="how far it may leave the film")
    reframe = command("reframe-video", reframe_video, "a film in another ratio, nothing cut off")
    _film(reframe)
    reframe.add_argument("--aspect-ratio", required=True, choices=ASPECT_RATIOS)
    for name, default, words in (
        ("size", 100, f"percent of the largest that fits, {SMALLEST:.0%} to 100%".replace("%", " %%")),
        ("across", 50, "percent: 0 at the left edge, 100 at the right"),
        ("down", 50, "percent: 0 at the top, 100 at the bottom"),
    ):
        reframe.add_argument(f"--{name}", type=int, default=default, help=words)
    upscale = command("upscale-video", upscale_video, "a clip with more pixels")
    _clip(upscale)
    upscale.add_argument("--resolution", default="1080p", choices=RESOLUTIONS[2:])
    audio = command("add-audio", add_audio, "a clip with sound")
    _clip(audio)
    audio.add_argument("--prompt", default="")
    audio.add_argument("--negative-prompt", default="", help="what is not heard")
    between = command(
        "interpolate-video", interpolate_video, "a clip from the end of one to another's beginning"
    )
    _always(between)
    between.add_argument("--prompt", default="")
    between.add_argument("--before", nargs="+", required=True, help="ids of the film that it leads from")
    between.add_argument("--after", nargs="+", required=True, help="ids of the film that it leads to")
    between.add_argument("--model", default=Settings.model, choices=MODELS)
    between.add_argument("--aspect-ratio", default="auto", choices=["auto", *ASPECT_RATIOS])
    between.add_argument("--resolution", default=Settings.resolution, choices=RESOLUTIONS)
    between.add_argument("--duration", type=int, default=Settings.duration, choices=DURATIONS, help="seconds")
    between.add_argument("--output", choices=("new part", "whole film"), default="new part")


def _always(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--provider", default=AUTO, choices=[AUTO, *(p.name for p in PROVIDERS)])
    parser.add_argument("--take", type=int, default=1, help="a new take is a new purchase")
    parser.add_argument("--out", type=Path, help="copy the film to this file")


def _film(parser: argparse.ArgumentParser) -> None:
    _always(parser)
    parser.add_argument("--prompt", default="")
    parser.add_argument("--model", default=Settings.model, choices=MODELS)
    parser.add_argument("--resolution", default=AS_THE_SOURCE, choices=[AS_THE_SOURCE, *RESOLUTIONS])
    parser.add_argument("--first-frame", type=Path, help="picture file: the first frame as it shall look")
    film = parser.add_mutually_exclusive_group(required=True)
    film.add_argument("--generation", nargs="+", default=[], help="ids of the film's clips, in order of play")
    film.add_argument("--video", type=Path, help="or any video file")


def _clip(parser: argparse.ArgumentParser) -> None:
    _always(parser)
    parser.add_argument("--generation", required=True, help="id of the clip")


def _settings(options: argparse.Namespace) -> Settings:
    given = {name: getattr(options, name) for name in Settings.__dataclass_fields__ if hasattr(options, name)}
    return Settings(**{"resolution": AS_THE_SOURCE, **given})


def _source(options: argparse.Namespace) -> Source:
    return Source(generations=tuple(options.generation), video=options.video)


def _still(path: Path | None) -> StillImage | None:
    from .media import images

    return None if path is None else images.read(path)
