"""The main job, offline and free: four films, what each would cost, and a contact sheet to look at."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from . import tables, terminal
from .film import Film, Frames, Settings, request_for
from .generation.budget import dollars, quote
from .generation.request import GenerationRequest, Operation
from .generation.selection import refusals
from .media import clips, images
from .media.contact_sheet import contact_sheet, sample
from .providers import PROVIDERS
from .studio import Studio

PICTURES: Final = Path(__file__).resolve().parent.parent / "example_workflows" / "inputs"
_MODEL: Final = "ray-flash-2"


@dataclass(frozen=True)
class Made:
    """One film of the demo."""

    name: str
    film: Film
    requests: tuple[GenerationRequest, ...]
    """What the same film would ask of a paid provider, for the prices."""
    took: float
    """Seconds."""


def demo(folder: Path) -> tuple[Any, str]:
    """Make the four films in *folder*; returns what was made, as data and as a table."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="luma-ray-demo-") as scratch:
        studio = Studio(Path(scratch) / "private", Path(scratch) / "clips")
        made = [_copied(each, folder) for each in _films(studio)]
    sheet = contact_sheet(
        [(each.name.replace("-", " "), sample(each.film.path, 6)) for each in made],
        folder / "contact_sheet.png",
    )
    return _told(made, sheet)


def _films(studio: Studio) -> list[Made]:
    rocket = images.read(PICTURES / "luma-ray-rocket.jpg")
    coffee = images.read(PICTURES / "luma-ray-coffee.jpg")
    deep_field = images.read(PICTURES / "luma-ray-deep-field.jpg")

    def settings(prompt: str, **others: Any) -> Settings:
        return Settings(prompt=prompt, provider="animatic", model=_MODEL, **others)

    def priced(settings: Settings) -> Settings:
        return replace(settings, aspect_ratio="4:3")  # the ratio that "auto" finds for the photograph

    dawn = settings(
        "A lighthouse at dawn, waves break on the rocks, gulls cross the frame", concepts=("crane_up",)
    )
    steam = settings(
        "Steam rises from the cup, morning light moves over the table",
        aspect_ratio="auto",
        concepts=("push_in",),
    )
    launch = settings("From the launch pad into deep space", aspect_ratio="16:9")
    on = settings(
        "The camera goes around the table as the room fills", aspect_ratio="auto", concepts=("orbit_left",)
    )
    image = _make(
        "image-to-video",
        lambda clock, report: studio.image_to_video(steam, coffee, clock=clock, report=report),
        request_for(priced(steam), Operation.IMAGE_TO_VIDEO, first_frame=coffee),
    )
    return [
        _make(
            "text-to-video",
            lambda clock, report: studio.text_to_video(dawn, clock=clock, report=report),
            request_for(dawn, Operation.TEXT_TO_VIDEO),
        ),
        image,
        _make(
            "keyframes-to-video",
            lambda clock, report: studio.keyframes_to_video(
                launch, Frames(first=rocket, last=deep_field), clock=clock, report=report
            ),
            request_for(launch, Operation.KEYFRAMES_TO_VIDEO, first_frame=rocket, last_frame=deep_field),
        ),
        _make(
            "extend-to-15-s",
            lambda clock, report: studio.extend_video(
                on, generations=image.film.generations, length=15, clock=clock, report=report
            ),
            # Priced as what every provider can do: the first clip, and two more from the film's last picture.
            request_for(priced(steam), Operation.IMAGE_TO_VIDEO, first_frame=coffee),
            request_for(priced(on), Operation.IMAGE_TO_VIDEO, first_frame=coffee),
            request_for(priced(on), Operation.IMAGE_TO_VIDEO, first_frame=coffee),
        ),
    ]


def _make(name: str, work: Any, *requests: GenerationRequest) -> Made:
    started = time.monotonic()
    film = terminal.run(work, name)
    return Made(name, film, requests, time.monotonic() - started)


def _copied(made: Made, folder: Path) -> Made:
    path = Path(shutil.copyfile(made.film.path, folder / f"{made.name}.mp4"))
    return Made(
        made.name, Film(path=path, generations=(), summary=made.film.summary), made.requests, made.took
    )


def _told(made: list[Made], sheet: Path) -> tuple[Any, str]:
    paid = [provider for provider in PROVIDERS if not provider.local]
    header = ("file", "seconds", "frames", "size", "took", *(f"{p.name} ({_MODEL})" for p in paid))
    rows = []
    for each in made:
        facts = clips.inspect(each.film.path)
        prices = [_price(provider, each.requests) for provider in paid]
        rows.append(
            (
                str(each.film.path),
                f"{facts.seconds:.2f}",
                str(facts.frames),
                f"{facts.width}x{facts.height}",
                f"{each.took:.1f} s",
                *prices,
            )
        )
    words = tables.text(header, rows)
    words += f"\n\nThese are free previews of the shots, not Ray's picture. To look at: {sheet}"
    return {
        "films": [dict(zip(header, row, strict=True)) for row in rows],
        "contact_sheet": str(sheet),
    }, words


def _price(provider: Any, requests: tuple[GenerationRequest, ...]) -> str:
    total = None
    for request in requests:
        offer, reasons = refusals(provider, request)
        if offer is None or reasons:
            return "not sold"
        usd = quote(provider, offer, request).usd
        if usd is None:
            return "price unknown"
        total = usd if total is None else total + usd
    return dollars(total)
