"""Reading what providers answer: the few things that more than one of them tells in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client


def text(value: Any) -> str:
    """*value*, which the contract says is text. Raises ValueError where it is none, or empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("text expected")
    return value


def queued(position: Any) -> str:
    """The state of a job in a queue, for people; *position* is how many are before it, where that is told."""
    waits = isinstance(position, int) and position > 0
    return f"queued, {position} before it" if waits else "queued"


def own_addresses(client: Client, reply: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Those of the addresses in *reply* that are the provider's own: a job is asked for there, with the key."""
    told = {name: reply.get(name) for name in names}
    return {name: url for name, url in told.items() if isinstance(url, str) and client.owns(url)}
