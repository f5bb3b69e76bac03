"""HTTP for the pack's own page in ComfyUI: open questions, collecting, limits and keys.

ComfyUI has no log-in: whoever reaches its address may use it. These routes hold the line that its own do not: other
web pages (CSRF), names that were pointed here (DNS rebinding) and other machines change no limit, save no key and
decide nothing. A key goes in and never comes out.
"""

from __future__ import annotations

import asyncio
import collections
import ipaddress
import os
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from . import bookkeeping, collecting, host
from .generation.clock import Clock
from .generation.credentials import redact
from .generation.errors import GenerationError, InvalidInput
from .generation.spending import PROVIDER_SCOPES, SCOPES
from .hosting import HOSTS
from .providers import PROVIDERS

if TYPE_CHECKING:
    from .studio import Studio

PREFIX: Final = "/luma_ray"
HEADER: Final = "X-Luma-Ray"
"""A page of another origin cannot send it without being asked for permission first, which is never given."""
TRUSTED: Final = "LUMA_RAY_TRUSTED_HOSTS"
"""Environment variable: names, separated by commas, under which this ComfyUI is reached on purpose."""
REMOTE: Final = "LUMA_RAY_REMOTE_SETTINGS"
"""Environment variable: 1 lets other machines change limits and keys too."""
MOST_BYTES: Final = 20_000
MOST_UNTOLD: Final = 20
"""Events kept for the first page that is opened after them."""

Handler = Callable[[Any], Awaitable[Any]]
Work = Callable[["Studio", dict[str, Any]], Any]


class Refused(Exception):
    """A request that is not served; the text is for the person, the number an HTTP status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def register(server: Any) -> collecting.Collector:
    """Add the routes to ComfyUI's *server*, and give what collects in the background."""
    untold: collections.deque[dict[str, Any]] = collections.deque(maxlen=MOST_UNTOLD)

    def tell(event: str, about: dict[str, Any]) -> None:
        server.send_sync(f"luma_ray.{event}", about)
        if not getattr(server, "sockets", None):  # no page is open
            untold.append({**about, "event": event})

    def news(_: Studio, __: dict[str, Any]) -> Any:
        return [untold.popleft() for _ in range(len(untold))]

    collector = collecting.Collector(lambda: host.studio().lifecycle, tell)

    def collect(studio: Studio, body: dict[str, Any]) -> Any:
        rows = collecting.unfinished(studio.lifecycle)
        ids = {row.id for row in rows} if body.get("id") is None else {_text(body, "id")}
        found = [row.id for row in rows if row.id in ids]
        _in_background(lambda: collector.collect(Clock(), found))
        return {"collecting": found}

    for method, path, work, anywhere in (
        ("GET", "unfinished", lambda studio, _: [collecting.shown(row) for row in _open(studio)], True),
        ("POST", "collect", collect, True),  # buys nothing
        ("POST", "news", news, True),
        ("POST", "not_created", _not_created, False),
        ("POST", "found", _found, False),
        ("GET", "limits", lambda studio, _: _limits(studio), True),
        ("POST", "limits", _change_limits, False),
        ("GET", "keys", lambda studio, _: _keys(studio), False),
        ("POST", "keys", _save_key, False),
    ):
        add = server.routes.get if method == "GET" else server.routes.post
        add(f"{PREFIX}/{path}")(_served(work, anywhere=anywhere))
    return collector


def _served(work: Work, *, anywhere: bool) -> Handler:
    """*work* as a handler: checked first, done on a thread, answered in JSON, errors in words.

    *anywhere*: for other machines too.
    """
    from aiohttp import web

    async def handler(request: Any) -> Any:
        try:
            check(request, anywhere=anywhere)
            body = await _body(request) if request.method == "POST" else {}
            answer = await asyncio.to_thread(lambda: work(host.studio(), body))
        except Refused as error:
            return web.json_response({"error": str(error)}, status=error.status)
        except GenerationError as error:
            return web.json_response({"error": redact(str(error))}, status=400)
        except OSError as error:
            words = f"It could not be written: {error.strerror or redact(str(error))}."
            return web.json_response({"error": words}, status=500)
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


async def _body(request: Any) -> dict[str, Any]:
    import json

    content = await request.content.read(MOST_BYTES + 1)
    while len(content) <= MOST_BYTES and not request.content.at_eof():
        content += await request.content.read(MOST_BYTES + 1 - len(content))
    if len(content) > MOST_BYTES:
        raise Refused(413, "That is too long.")
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(400, "That is not JSON.") from None
    if not isinstance(told, dict):
        raise Refused(400, "A JSON object is expected.")
    return told


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"{name} is missing.")
    return value.strip()


def _open(studio: Studio) -> list[Any]:
    return collecting.unfinished(studio.lifecycle)


def _not_created(studio: Studio, body: dict[str, Any]) -> Any:
    return collecting.shown(studio.lifecycle.not_created(_text(body, "id")))


def _found(studio: Studio, body: dict[str, Any]) -> Any:
    return collecting.shown(studio.lifecycle.found(_text(body, "id"), _text(body, "job"), clock=Clock()))


def _limits(studio: Studio) -> Any:
    paid = [each.name for each in PROVIDERS if not each.local]
    rows = bookkeeping.allowance(studio.lifecycle.ledger, studio.limits.load(), paid)
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _change_limits(studio: Studio, body: dict[str, Any]) -> Any:
    provider = _text(body, "provider") if body.get("provider") else ""
    if provider and provider not in {each.name for each in PROVIDERS}:
        raise InvalidInput("There is no such provider.")
    known = PROVIDER_SCOPES if provider else SCOPES
    changes = {}
    for name, told in body.items():
        if name == "provider":
            continue
        if name not in known:
            raise InvalidInput(f"{', '.join(known)} can be limited here.")
        try:
            changes[name] = None if told is None else Decimal(str(told))
        except InvalidOperation:
            raise InvalidInput("A limit is an amount in dollars, or nothing for none.") from None
    try:
        studio.limits.change(changes, provider)
    except ValueError:
        raise InvalidInput("A limit is an amount in dollars, 0 or more.") from None
    return _limits(studio)


def _keys(studio: Studio) -> Any:
    """Which keys are there, from where, and their last four characters. Never more of one."""
    rows = []
    for title, names, secrets in _needs():
        for name in names:
            secret = studio.credentials.get(name) if name in secrets else None
            hint = secret.hint if secret is not None else ""
            source = studio.credentials.source(name)
            # A bucket is where pictures and clips go: it is named on the machine, not from a page.
            editable = name in secrets and source != "environment"
            rows.append({"for": title, "name": name, "source": source, "hint": hint, "editable": editable})
    return rows


def _save_key(studio: Studio, body: dict[str, Any]) -> Any:
    name, value = _text(body, "name"), body.get("value", "")
    if name not in {each for _, _, secrets in _needs() for each in secrets}:
        raise InvalidInput("No provider has a key of that name.")
    if not isinstance(value, str) or len(value) > 4096 or not value.isprintable():
        raise InvalidInput("A key is one line of text.")
    studio.credentials.save(name, value)
    return {"name": name, "source": studio.credentials.source(name)}


def _needs() -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Who needs which names on this machine, and which of these are secret."""
    sellers = [(each.title, each.needs, each.secrets) for each in PROVIDERS if each.needs]
    taken = {name for _, names, _ in sellers for name in names}
    hosts = [(each.title, tuple(n for n in each.settings if n not in taken), ()) for each in HOSTS]
    return [*sellers, *((title, names, secrets) for title, names, secrets in hosts if names)]


def _in_background(work: Callable[[], None]) -> None:
    import threading

    threading.Thread(target=work, name="ray-collecting", daemon=True).start()
