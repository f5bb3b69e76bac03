"""Reading what providers answer: the few things that more than one of them tells in the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .client import Client

_REQUEST_IDS: Final = (
    "X-Request-Id",
    "Request-Id",
    "X-Fal-Request-Id",
    "X-Comfy-Request-Id",
    "X-Amzn-RequestId",
)


def text(value: Any) -> str:
    """*value*, which the contract says is text. Raises ValueError where it is none, or empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("text expected")
    return value


def about(reply: Mapping[str, Any], id: str, name: str = "id") -> None:
    """Raise ValueError where *reply* is about another job than *id*: something in between mixed answers up."""
    told = reply.get(name)
    if isinstance(told, str) and told != id:
        raise ValueError("an answer about another job")


def queued(position: Any) -> str:
    """The state of a job in a queue, for people; *position* is how many are before it, where that is told."""
    waits = isinstance(position, int) and position > 0
    return f"queued, {position} before it" if waits else "queued"


def own_addresses(client: Client, reply: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Those of the addresses in *reply* that are the provider's own: a job is asked for there, with the key."""
    told = {name: reply.get(name) for name in names}
    return {name: url for name, url in told.items() if isinstance(url, str) and client.owns(url)}


def request_id(headers: Mapping[str, str]) -> str:
    """The number that a provider gave to a request, in one of the headers that are used for it."""
    told = next((headers[name] for name in _REQUEST_IDS if name in headers), "")
    return told if re.fullmatch(r"[\w.:=/+-]{1,100}", told, re.ASCII) else ""
