"""Pictures as the place takes them where they are sent: smaller where they are too large, and never silently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

from .errors import UploadFailed
from .offer import Offer, keyframe_at
from .request import GenerationRequest, StillImage

LOSSLESS: Final = ("image/png", "image/webp")
_ROUNDS: Final = 8
"""Times that a file which is still too large is made of a smaller picture."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a picture may be where it is sent. None: nothing is documented, and nothing is assumed."""

    title: str
    """Whose limits they are, for people."""
    sides: tuple[int, int] | None = None
    """Smallest and largest side, pixels."""
    bytes: int | None = None
    """Largest file."""
    lossless_bytes: int | None = None
    """Largest file that is not lossy."""
    media_types: tuple[str, ...] = ("image/png", "image/jpeg")
    """What is tried, in this order."""


def limits_of(offer: Offer, title: str) -> Limits:
    """What *offer* says of pictures, in the name of its provider."""
    return Limits(
        title=title,
        sides=offer.image_sides,
        bytes=offer.image_bytes,
        lossless_bytes=offer.image_lossless_bytes,
        media_types=offer.image_types,
    )


@dataclass(frozen=True)
class Fitted:
    """A picture as it is sent."""

    still: StillImage
    how: str = ""
    """What became of it and why, as the rest of a line that begins with its name; empty: it goes as it is."""


def fitted(still: StillImage, *limits: Limits) -> Fitted:
    """The picture within all *limits*: scaled down only if it must be, lossy only if it must be.

    Raises UploadFailed where that cannot be done.
    """
    sent, why = still, []
    for limit in limits:
        if limit.sides is None or max(sent.width, sent.height) <= limit.sides[1]:
            continue
        sent = _scaled(sent, limit.sides[1] / max(sent.width, sent.height), limits)
        why.append(f"{limit.title} takes sides of up to {limit.sides[1]}")
    sent, heavy = _light(still, sent, limits)
    why += heavy
    if sent is still:
        return Fitted(still)
    if sent.sha256 != still.sha256:
        sent = replace(sent, reduced_from=still.sha256)
    became = f"{still.width}x{still.height} sent as {sent.width}x{sent.height}"
    if (sent.width, sent.height) == (still.width, still.height):
        became = "sent as"
    kind = {"image/jpeg": " JPEG", "image/webp": " WebP without loss"}.get(sent.media_type, "")
    return Fitted(sent, f"{became}{kind} ({'; '.join(why)})")


def named(request: GenerationRequest) -> Iterator[tuple[str, StillImage]]:
    """The pictures of *request* in order of time, by the names of their inputs."""
    if isinstance(request.first_frame, StillImage):
        yield "first_frame", request.first_frame
    for frame in request.middle_frames:
        yield keyframe_at(frame.index), frame.still
    if isinstance(request.last_frame, StillImage):
        yield "last_frame", request.last_frame


def _light(
    original: StillImage, still: StillImage, limits: tuple[Limits, ...]
) -> tuple[StillImage, list[str]]:
    """*still* as a file that is not too large, and whose limits forbade a better one; smaller from *original*."""
    kinds = [kind for kind in limits[0].media_types if all(kind in limit.media_types for limit in limits)]
    why: list[str] = []
    for kind in kinds:
        found = _too_large(still, kind, limits)
        if found is None:
            return (still if kind == still.media_type else replace(still, media_type=kind)), why
        if found not in why:
            why.append(found)
    smaller, kind, factor = still, kinds[-1], still.width / original.width
    for _ in range(_ROUNDS):
        most = min(limit.bytes for limit in limits if limit.bytes is not None)
        # A little less than what is to be expected, so that one round is mostly enough.
        factor *= min(sqrt(most / len(smaller.encode(kind))) * 0.97, 0.95)
        smaller = _scaled(original, factor, limits)
        if _too_large(smaller, kind, limits) is None:
            return replace(smaller, media_type=kind), why
    raise _impossible(still, limits)


def _too_large(still: StillImage, kind: str, limits: tuple[Limits, ...]) -> str | None:
    """Whose limit a file of *kind* would break, in words."""
    for limit in limits:
        most = [limit.bytes, limit.lossless_bytes] if kind in LOSSLESS else [limit.bytes]
        told = [each for each in most if each is not None]
        if told and not _surely_below(min(told), still, kind) and len(still.encode(kind)) > min(told):
            lossless = "lossless files" if min(told) == limit.lossless_bytes else "files"
            return f"{limit.title} takes {lossless} of up to {min(told) / 1e6:.3g} MB"
    return None


def _surely_below(most: int, still: StillImage, kind: str) -> bool:
    """Whether even pixels that nothing compresses make no file that large: then it need not be made to know."""
    return kind in LOSSLESS and still.width * still.height * 3 * 1.01 + 4096 < most


def _scaled(still: StillImage, factor: float, limits: tuple[Limits, ...]) -> StillImage:
    width, height = max(round(still.width * factor), 1), max(round(still.height * factor), 1)
    least = max((limit.sides[0] for limit in limits if limit.sides is not None), default=1)
    if still.resized is None or min(width, height) < least:
        raise _impossible(still, limits)
    return still.resized(width, height)


def _impossible(still: StillImage, limits: tuple[Limits, ...]) -> UploadFailed:
    told = [
        f"{limit.title} takes "
        + " and ".join(
            words
            for words in (
                f"sides of {limit.sides[0]} to {limit.sides[1]} pixels" if limit.sides else "",
                f"files of up to {limit.bytes / 1e6:.3g} MB" if limit.bytes else "",
            )
            if words
        )
        for limit in limits
        if limit.sides or limit.bytes
    ]
    return UploadFailed(
        f"A picture of {still.width}x{still.height} pixels cannot be made to fit: {'; '.join(told)}. Crop it or make "
        "it smaller. Nothing was sent or billed."
    )
