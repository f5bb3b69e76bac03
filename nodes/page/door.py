"""Who may ask the pack's routes, and how they answer.

ComfyUI has no log-in: whoever reaches its address may use it. These routes hold the line that its own do not: other
web pages (CSRF), names that were pointed here (DNS rebinding) and other machines change no limit, save no key and
decide nothing. A key goes in and never comes out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from ..generation.credentials import redact
from ..generation.errors import GenerationError, InvalidInput

if TYPE_CHECKING:
    from ..studio import Studio

HEADER: Final = "X-Luma-Ray"
"""A page of another origin cannot send it without being asked for permission first, which is never given."""
TRUSTED: Final = "LUMA_RAY_TRUSTED_HOSTS"
"""Environment variable: names, separated by commas, under which this ComfyUI is reached on purpose."""
REMOTE: Final = "LUMA_RAY_REMOTE_SETTINGS"
"""Environment variable: 1 lets other machines change limits and keys too."""

Handler = Callable[[Any], Awaitable[Any]]
Work = Callable[["Studio", dict[str, Any]], Any]
"""Given the studio and what was asked, it gives JSON, or the path of a file."""


@dataclass(frozen=True)
class Route:
    """One thing that the page may ask."""

    method: Literal["GET", "POST"]
    """GET asks with a query and changes nothing; POST with a JSON object."""
    path: str
    work: Work
    anywhere: bool = False
    """For other machines too: it shows no key, changes no limit and decides nothing."""
    most_bytes: int = 20_000
    """Of what is sent."""


class Refused(Exception):
    """A request that is not served; the text is for the person, the number an HTTP status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def served(route: Route, studio: Callable[[], Studio]) -> Handler:
    """*route* as a handler: checked first, done on a thread, answered in JSON, errors in words."""
    from aiohttp import web

    async def handler(request: Any) -> Any:
        try:
            check(request, anywhere=route.anywhere)
            body = dict(request.query) if request.method == "GET" else await _body(request, route.most_bytes)
            answer = await asyncio.to_thread(lambda: route.work(studio(), body))
        except Refused as error:
            return web.json_response({"error": str(error)}, status=error.status)
        except GenerationError as error:
            return web.json_response({"error": redact(str(error))}, status=400)
        except OSError as error:
            words = f"It could not be written: {error.strerror or redact(str(error))}."
            return web.json_response({"error": words}, status=500)
        if isinstance(answer, Path):
            return web.FileResponse(answer, headers={"Cache-Control": "private, max-age=86400"})
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    return handler


def check(request: Any, *, anywhere: bool = False) -> None:
    """Raise Refused where *request* does not come from this ComfyUI's own page.

    Looked at: our header, that Host is no name that could be pointed here, that Origin is Host; of what changes
    something that it is JSON; and, but for what is harmless (*anywhere*), that it comes from this machine.
    """
    if request.headers.get(HEADER) != "1":
        raise Refused(403, f"This is for the page of ComfyUI itself (header {HEADER} is missing).")
    named = _hostname(f"//{request.headers.get('Host', '')}")
    if not _own(named):
        raise Refused(
            403,
            f"{named or 'This name'} is not a name of this machine. If ComfyUI is reached by it on purpose, set "
            f"{TRUSTED} to it in ComfyUI's environment.",
        )
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
        raise Refused(403, "This comes from another page.")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "This comes from another page.")
    if request.method != "GET" and request.content_type != "application/json":
        raise Refused(415, "JSON is expected.")
    # Behind a proxy on this machine everybody seems to be here.
    passed_on = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"))
    if not anywhere and (passed_on or not _local(request.remote)) and os.environ.get(REMOTE) != "1":
        raise Refused(
            403,
            "What concerns money and keys is decided on ComfyUI's own machine, in its page or with `luma-ray "
            "resume`, `luma-ray limits` and `luma-ray key`. "
            f"{REMOTE}=1 in ComfyUI's environment lets other machines do it too.",
        )


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def _own(name: str) -> bool:
    """Whether *name* cannot be somebody else's: an address, localhost, or what the owner trusts."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    if name in {each.strip().lower() for each in os.environ.get(TRUSTED, "").split(",") if each.strip()}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _local(address: str | None) -> bool:
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


async def _body(request: Any, most: int) -> dict[str, Any]:
    import json

    content = await request.content.read(most + 1)
    while len(content) <= most and not request.content.at_eof():
        content += await request.content.read(most + 1 - len(content))
    if len(content) > most:
        raise Refused(413, "That is too long.")
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(400, "That is not JSON.") from None
    if not isinstance(told, dict):
        raise Refused(400, "A JSON object is expected.")
    return told


def text(body: dict[str, Any], name: str) -> str:
    """The words under *name*. Raises InvalidInput where there are none."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"{name} is missing.")
    return value.strip()
