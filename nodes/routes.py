"""The routes of the pack's page in ComfyUI's web server, and the news it is told."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any, Final

from . import collecting, host
from .page import door, keys, library, limits, previews, prices, questions, reframe, scene

PREFIX: Final = "/luma_ray"
_FOLDER: Final = Path(__file__).parent.parent.name
"""The pack's folder as ComfyUI found it, which may be a link: so it serves what is in web/."""
MOST_UNTOLD: Final = 20
"""Events kept for the first page that is opened after them."""


def register(server: Any) -> collecting.Collector:
    """Add the routes to ComfyUI's *server*, and give what collects in the background."""
    untold: collections.deque[dict[str, Any]] = collections.deque(maxlen=MOST_UNTOLD)

    def tell(event: str, about: dict[str, Any]) -> None:
        server.send_sync(f"luma_ray.{event}", about)
        if not getattr(server, "sockets", None):  # no page is open
            untold.append({**about, "event": event})

    collector = collecting.Collector(lambda: host.studio().lifecycle, tell)
    news = door.Route(
        "POST", "news", lambda *_: [untold.popleft() for _ in range(len(untold))], anywhere=True
    )
    told = (news, *questions.routes(collector), *previews.routes(host.previews))
    kept = library.routes(host.output_folder)
    made = (*scene.routes(host.placed), *reframe.routes(host.placed))
    for route in (*told, *kept, *made, *limits.ROUTES, *keys.ROUTES, *prices.ROUTES):
        add = server.routes.get if route.method == "GET" else server.routes.post
        add(f"{PREFIX}/{route.path}")(door.served(route, host.studio))
    app = getattr(server, "app", None)
    if app is not None:
        app.on_response_prepare.append(_fresh)
    return collector


async def _fresh(request: Any, response: Any) -> None:
    """Have our .mjs files looked after at each use, as ComfyUI does for .js: an update must not mix old and new."""
    if request.path.startswith(f"/extensions/{_FOLDER}/") and request.path.endswith(".mjs"):
        response.headers.setdefault("Cache-Control", "no-cache")
