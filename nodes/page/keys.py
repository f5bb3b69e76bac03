"""Keys: which are there, and a new one in. A key goes in and never comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..generation.errors import InvalidInput
from ..hosting import HOSTS
from ..providers import PROVIDERS
from .door import Route, text

if TYPE_CHECKING:
    from ..studio import Studio


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
    name, value = text(body, "name"), body.get("value", "")
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


ROUTES = (
    Route("GET", "keys", lambda studio, _: _keys(studio)),
    Route("POST", "keys", _save_key),
)
