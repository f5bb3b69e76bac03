"""Keys: which are there, a new one in, and whether it works. A key goes in and never comes out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..generation.client import decoding
from ..generation.clock import Clock
from ..generation.credentials import redact
from ..generation.errors import GenerationError, InvalidInput
from ..hosting import HOSTS
from ..providers import PROVIDERS
from .door import Route, text

if TYPE_CHECKING:
    from ..generation.credentials import Credentials
    from ..generation.hosting import Hosting
    from ..generation.offer import Account, Provider
    from ..studio import Studio

PAID: Final = tuple(each for each in PROVIDERS if not each.local)
_PASTED: Final = " \t\r\n\u00a0\u200b\u2060\ufeff"
"""What comes along with a key that is copied out of a page or a mail."""
_ADDRESS: Final = re.compile(r"https?://[^\s\"']+")


def _keys(studio: Studio) -> Any:
    """A card for each provider and each place for pictures. Of a key its last four characters, never more."""
    credentials = studio.credentials
    taken = {name for provider in PAID for name in provider.needs}
    return [
        *(_seller(provider, studio) for provider in PAID),
        *(_place(host, credentials) for host in HOSTS if not taken.issuperset(host.settings)),
    ]


def _seller(provider: Provider, studio: Studio) -> dict[str, Any]:
    return {
        "name": provider.name,
        "title": provider.title,
        "sells": True,
        "configured": studio.lifecycle.sellers.configured(provider),
        "experimental": provider.experimental,
        "from": provider.key_from,
        "keys": [_named(name, provider.secrets, studio.credentials) for name in provider.needs],
        "wants": [words for words in (provider.wants, _pictures(provider, studio.credentials)) if words],
        "tells": provider.tells,
    }


def _place(host: Hosting, credentials: Credentials) -> dict[str, Any]:
    return {
        "name": f"for pictures: {host.name}",
        "title": f"Pictures: {host.title}",
        "sells": False,
        "configured": host.ready(credentials),
        "experimental": "",
        "from": "",
        "keys": [_named(name, (), credentials) for name in host.settings],
        "wants": [f"To use it, {host.how}"],
        "tells": False,
    }


def _named(name: str, secrets: tuple[str, ...], credentials: Credentials) -> dict[str, Any]:
    secret = credentials.get(name) if name in secrets else None
    source = credentials.source(name)
    return {
        "name": name,
        "source": source,
        "hint": secret.hint if secret is not None else "",
        # A bucket is where pictures and clips go: it is named on the machine, not from a page.
        "secret": name in secrets,
        "editable": name in secrets and source != "environment",
    }


def _pictures(provider: Provider, credentials: Credentials) -> str:
    """What *provider* wants for pictures besides its key, as a sentence; empty where that is nothing."""
    own = next((host for host in HOSTS if host.name == provider.hosting), None)
    if not provider.takes_urls_only or (own is not None and set(own.settings) <= set(provider.secrets)):
        return ""
    ready = next((host.title for host in HOSTS if host.ready(credentials)), "")
    if ready:
        return f"It takes pictures by a public link: they are put at {ready}."
    places = ", ".join(host.title for host in HOSTS)
    return f"It takes pictures by a public link, and no place for them is set up yet. One of these will do: {places}."


def _save_key(studio: Studio, body: dict[str, Any]) -> Any:
    name, value = text(body, "name"), body.get("value", "")
    if name not in {each for provider in PAID for each in provider.secrets}:
        raise InvalidInput("No provider has a key of that name.")
    value = value.strip(_PASTED) if isinstance(value, str) else value
    if not isinstance(value, str) or len(value) > 4096 or not value.isprintable():
        raise InvalidInput("A key is one line of text.")
    if not value.isascii():
        raise InvalidInput(
            "There is a character in it that no key has, such as a dash or a quotation mark from a word processor. "
            "Copy it again from the provider's page."
        )
    studio.credentials.save(name, value)
    return {"name": name, "source": studio.credentials.source(name)}


def _test_key(studio: Studio, body: dict[str, Any]) -> Any:
    """Whether the key of a provider works, by a question that costs nothing; in words, whatever comes."""
    wanted = text(body, "provider")
    provider = next((each for each in PAID if each.name == wanted), None)
    if provider is None:
        raise InvalidInput("There is no such provider.")
    if not provider.tells:
        return _told("It cannot be tested without spending: nothing that is free is documented.")
    clock = Clock()
    try:
        client = studio.lifecycle.sellers.asking(provider, clock)
        with decoding(provider.title):
            account = provider.check(client)
    except GenerationError as error:
        return _told(str(error), works=False)
    return _told(_words(account), account, works=True)


def _words(account: Account | None) -> str:
    balance = account.balance_usd if account is not None else None
    words = ["The key works."]
    if balance is not None:
        words.append(f"Balance: ${balance:.2f}.")
        if balance <= 0:
            words.append("Nothing can be bought with that: top it up on the provider's page.")
    if account is not None and account.note:
        words.append(account.note)
    return " ".join(words)


def _told(words: str, account: Account | None = None, *, works: bool | None = None) -> dict[str, Any]:
    balance = account.balance_usd if account is not None else None
    return {
        "works": works,
        "words": _ADDRESS.sub(_host, redact(words)),
        "balance": None if balance is None else f"{balance:f}",
    }


def _host(address: re.Match[str]) -> str:
    """Of an address in a provider's own words its host: the rest is none of the page's."""
    try:
        return urlsplit(address[0]).hostname or "an address"
    except ValueError:
        return "an address"


ROUTES = (
    Route("GET", "keys", lambda studio, _: _keys(studio)),
    Route("POST", "keys", _save_key),
    Route("POST", "test_key", _test_key),
)
