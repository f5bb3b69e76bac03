"""What a tab says in its console and asks of servers, and whose script it was."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Said:
    """One line of the console."""

    level: str
    """error, warning, info, log or debug."""
    text: str
    places: tuple[str, ...] = ()
    """The scripts, or the address, that it comes from; the innermost first."""

    def comes_from(self, part: str) -> bool:
        return any(part in place for place in self.places)


@dataclass(frozen=True)
class Request:
    """One request of the page."""

    method: str
    url: str
    kind: str
    """Such as Fetch, Script, Image, Document."""
    body: str
    """What is sent, where it is text."""
    places: tuple[str, ...] = ()
    """The scripts that asked for it; the innermost first."""

    @property
    def stays_here(self) -> bool:
        """Whether it goes to this machine, or nowhere."""
        return (
            re.match(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|(data|blob|about):", self.url) is not None
        )


@dataclass
class Records:
    """Of one tab, since it was opened or since `clear`."""

    console: list[Said] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def clear(self) -> None:
        self.console.clear()
        self.requests.clear()

    def take(self, event: str, told: dict[str, Any]) -> None:
        """Keep what an event of the browser tells."""
        match event:
            case "Runtime.consoleAPICalled":
                level = {"assert": "error"}.get(told["type"], told["type"])
                words = " ".join(map(_words, told["args"]))
                self.console.append(Said(level, words, _places(told.get("stackTrace"))))
            case "Runtime.exceptionThrown":
                thrown = told["exceptionDetails"]
                words = thrown.get("exception", {}).get("description") or thrown.get("text", "")
                places = _places(thrown.get("stackTrace")) or tuple(filter(None, [thrown.get("url")]))
                self.console.append(Said("error", words, places))
            case "Log.entryAdded":
                entry = told["entry"]
                places = (entry.get("url", ""), *_places(entry.get("stackTrace")))
                self.console.append(Said(entry["level"], entry["text"], tuple(filter(None, places))))
            case "Network.requestWillBeSent":
                asked, initiator = told["request"], told.get("initiator", {})
                places = (*_places(initiator.get("stack")), *filter(None, [initiator.get("url")]))
                self.requests.append(
                    Request(
                        asked["method"], asked["url"], told.get("type", ""), asked.get("postData", ""), places
                    )
                )
            case "Network.webSocketCreated":
                places = _places(told.get("initiator", {}).get("stack"))
                self.requests.append(Request("GET", told["url"], "WebSocket", "", places))


def _places(stack: dict[str, Any] | None) -> tuple[str, ...]:
    found: list[str] = []
    while stack:
        found += [frame["url"] for frame in stack["callFrames"] if frame["url"]]
        stack = stack.get("parent")
    return tuple(dict.fromkeys(found))


def _words(told: dict[str, Any]) -> str:
    if "value" in told:
        return str(told["value"])
    preview = told.get("preview", {})
    parts = [f"{each['name']}: {each.get('value', '')}" for each in preview.get("properties", [])]
    return str(told.get("description") or told.get("unserializableValue") or "") + (
        f" {{{', '.join(parts)}}}" if parts and told.get("subtype") != "error" else ""
    )
