"""Connections: to a provider's own origin, and to whatever its replies point at, on the public internet only."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from .errors import ProviderUnavailable

ALLOWED_HOSTS: Final = "LUMA_RAY_ALLOWED_HOSTS"
"""Environment variable with host:port pairs that the machine's owner trusts although they are not public."""
_IPV4_INSIDE: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""IPv6 addresses that lead on to the IPv4 address in their last four bytes."""


class Session(requests.Session):
    """One that leaves redirects alone: even when told so, requests reads their whole body and parses the target."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None whatever was answered."""


class NotPublic(Exception):
    """The name led to an address inside somebody's network."""


class _PublicConnection(urllib3.connection.HTTPSConnection):
    """Looks at the address it really reached, so a name that changes its mind (DNS rebinding) gains nothing."""

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        if not public(connection.getpeername()[0].split("%")[0]):
            connection.close()
            raise NotPublic
        return connection


class _PublicPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicAdapter(HTTPAdapter):
    """Connections of its own to public addresses; through a proxy the proxy decides, as it must."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            **urllib3.poolmanager.pool_classes_by_scheme,
            "https": _PublicPool,
        }


def public_session() -> Session:
    """One that reaches public addresses, and the hosts that the machine's owner trusts, and nothing else.

    What it is given still has to pass `allowed`. Raises NotPublic when a name leads into somebody's network.
    """
    session = Session()
    session.mount("https://", _PublicAdapter())
    for host in trusted():
        session.mount(f"https://{host}/", HTTPAdapter())
    return session


def allowed(url: str) -> bool:
    """Whether *url* may be followed at all: https, or a host that the machine's owner trusts."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return True
    return parts.scheme == "http" and parts.netloc.lower() in trusted()


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return (parts.scheme, parts.hostname, parts.port)


def trusted() -> set[str]:
    """The `host:port` pairs that the machine's owner trusts."""
    return {item.strip().lower() for item in os.environ.get(ALLOWED_HOSTS, "").split(",") if item.strip()}


def public(address: str) -> bool:
    """Whether an IP address, and the IPv4 address that one of IPv6 may stand for, is on the public internet."""
    seen = ipaddress.ip_address(address)
    if isinstance(seen, ipaddress.IPv6Address):
        if seen.is_site_local:
            return False
        inside = any(seen in network for network in _IPV4_INSIDE)
        last = ipaddress.IPv4Address(int(seen) & 0xFFFFFFFF) if inside else None
        seen = seen.ipv4_mapped or seen.sixtofour or last or seen
    return seen.is_global and not seen.is_multicast


def certificates() -> bool | str:
    """What `requests` should verify servers with: it reads its own two variables, and not SSL_CERT_FILE.

    Raises ProviderUnavailable when the environment names a file that is not there.
    """
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        bundle = os.environ.get(variable)
        if bundle and not Path(bundle).exists():
            raise ProviderUnavailable(
                f"The environment variable {variable} names {bundle}, and there is no such file: no server can be "
                "verified. Nothing was sent or billed."
            )
        if bundle:
            return bundle
    return True


def certainly_not_sent(error: requests.RequestException) -> bool:
    """Whether *error* happened before the request could leave: no name, no connection, no certificate."""
    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.InvalidSchema)):
        return True
    if isinstance(error, requests.exceptions.SSLError):
        # Only this one: every other error of TLS can also come after the request went out.
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
    if isinstance(error, requests.exceptions.ProxyError) and "Tunnel connection failed" in str(error):
        return (
            True  # urllib3 says "proxy" of every break behind one, also of those after the request went out
        )
    return any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """*error*, what it wraps and what it was raised from.

    Not its `__context__`: that is whatever the caller was handling meanwhile, another failure perhaps.
    """
    seen: list[BaseException] = [error]
    for item in seen:
        yield item
        linked = [item.__cause__, getattr(item, "reason", None), *item.args]
        seen += [link for link in linked if isinstance(link, BaseException) and link not in seen]


def network_reason(error: requests.RequestException) -> str:
    """A few words for the person; the exception's own text holds the whole URL."""
    names = {type(cause).__name__ for cause in _causes(error)}
    if "NameResolutionError" in names or "gaierror" in names:
        return "its name could not be resolved"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not connect"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate could not be verified"
    if isinstance(error, requests.exceptions.Timeout):
        return "it took too long"
    if "ConnectionRefusedError" in names:
        return "the connection was refused"
    return "the connection broke"
