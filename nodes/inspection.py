"""What can be said of the pictures of a shot before it costs anything."""

from __future__ import annotations

from typing import Final

from .film import Frames, Settings, framed, request_for
from .generation.budget import dollars
from .generation.errors import GenerationError
from .generation.lifecycle import Lifecycle
from .generation.ray import frame_size
from .generation.request import Operation, StillImage
from .generation.selection import refusals
from .media import alignment, images

SOFT: Final = 1.25
"""Times by which a picture is enlarged, from which that is seen."""


def inspect(lifecycle: Lifecycle, settings: Settings, frames: Frames) -> tuple[Frames, tuple[str, ...]]:
    """The pictures as they would be used, and a report on them, a sentence a line. Sends and buys nothing.

    Their size and shape against the clip's, what is cropped, how far apart they are, and who would make it for how
    much.
    """
    named = [
        (name, still) for name, still in (("first_frame", frames.first), ("last_frame", frames.last)) if still
    ]
    lines = [
        f"{name}: {still.width}x{still.height}, {images.shape_in_words(_shape(still))}"
        for name, still in named
    ]
    used, settings, notes = framed(settings, frames)
    lines += notes or ("nothing is cropped",)
    for name, still in (("first_frame", used.first), ("last_frame", used.last)):
        if still is not None:
            width, height = frame_size(settings.resolution, still.width / still.height)
            times = width / still.width
            if times > SOFT:
                lines.append(
                    f"{name} is enlarged {times:.1f} times to {width}x{height}: the clip may begin or end soft"
                )
    if used.first is not None and used.last is not None:
        lines.append(
            f"the pictures are {alignment.between(images.pixels(used.first), images.pixels(used.last)).words}"
        )
    if used.last is not None:
        request = request_for(settings, Operation.KEYFRAMES_TO_VIDEO, used.first, used.last)
    else:
        request = request_for(settings, Operation.IMAGE_TO_VIDEO, used.first)
    for provider in lifecycle.sellers.providers:
        if provider.local or not lifecycle.sellers.configured(provider):
            continue
        _, reasons = refusals(provider, request)
        lines += [f"{provider.name} does not make it: {'; '.join(reasons)}"] if reasons else []
    try:
        quote = lifecycle.quote(request, settings.provider)
        lines.append(
            f"made by {quote.provider}: {'in the library' if quote.recalled else dollars(quote.usd)}"
        )
    except GenerationError as error:
        lines.append(str(error))
    return used, tuple(lines)


def _shape(still: StillImage) -> str:
    return f"{still.width}:{still.height}"
