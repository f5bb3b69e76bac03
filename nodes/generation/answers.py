"""Reading what providers answer: the few things that more than one of them tells in the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from .errors import InsufficientCredits, RateLimited, Rejected, Unauthorized

if TYPE_CHECKING:
    from .client import Client

_REQUEST_IDS: Final = (
    "X-Request-Id",
    "Request-Id",
    "X-Fal-Request-Id",
    "X-Comfy-Request-Id",
    "X-Amzn-RequestId",
)
TRIES: Final = 2
"""Attempts at a question for whose answer somebody waits in front of a button."""
NOBODYS: Final = "00000000-0000-0000-0000-000000000000"
"""The id of a job that never was."""
NOTED: Final = "That it tells a good key alone of a job that does not exist, as it did now, is inferred."
"""Of an account that was tried in this way."""


def text(value: Any) -> str:
    """*value*, which the contract says is text. Raises ValueError where it is none, or empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("text expected")
    return value


def amount(value: Any) -> Decimal:
    """*value*, which the contract says is a number. Raises ValueError."""
    told = Decimal(str(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if told is None or not told.is_finite():
        raise ValueError("number expected")
    return told


def about(reply: Mapping[str, Any], id: str, name: str = "id") -> None:
    """Raise ValueError where *reply* is about another job than *id*: something in between mixed answers up."""
    told = reply.get(name)
    if isinstance(told, str) and told != id:
        raise ValueError("an answer about another job")


def denied(client: Client, path: str) -> None:
    """Ask about a job that never was, so as to try the key: that there is none is told to a good key (inferred).

    Raises as `Client.get` for everything that is said of the key, the account or the service.
    """
    try:
        client.get(path, attempts=TRIES)
    except (Unauthorized, InsufficientCredits, RateLimited):
        raise
    except Rejected as error:
        if error.status not in (400, 404, 410, 422):
            raise


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
