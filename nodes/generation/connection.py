"""Connections: to a provider's own origin, and to whatever its replies point at, on the public internet only."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from .credentials import redact
from .errors import ProviderUnavailable

ALLOWED_HOSTS: Final = "LUMA_RAY_ALLOWED_HOSTS"
"""Environment variable with host:port pairs that the machine's owner trusts although they are not public."""
_LOOK: Final = 0.25
"""Seconds between two looks at whether a connection has had its time."""
_MOST_ADDRESSES: Final = 4
"""Of a name, tried one after the other."""
_INTERNET: Final = ipaddress.IPv6Network("2000::/3")
"""Where every public address of IPv6 is."""
_INSIDE: Final = tuple(
    # What Python takes for public in one version or another, and is not: IANA's registries of special addresses.
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"),  # the last is a cloud's own (Azure)
            *("2001::/23", "2001:db8::/32", "3fff::/20"),
        ),
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_OF_LIBRARIES: Final = (
    *("urllib3.connectionpool", "urllib3.util.retry"),
    *("botocore.auth", "botocore.awsrequest", "botocore.endpoint", "botocore.hooks", "botocore.httpsession"),
    *("botocore.parsers", "botocore.retryhandler"),
)
"""Loggers that write addresses, headers and bodies, where somebody asks for everything (DEBUG)."""
_TARGET: Final = re.compile(r"(/[^\s?\"']*)\?[^\s\"']+")


class _Discreet(logging.Filter):
    """Takes keys and signatures out of what libraries log; every other word stays."""

    def filter(self, record: logging.LogRecord) -> bool:
        told = record.getMessage()
        shown = _TARGET.sub(r"\1?<cut>", redact(told))
        if shown != told:
            record.msg, record.args = shown, ()
        return True


for _name in _OF_LIBRARIES:
    logging.getLogger(_name).addFilter(_Discreet())


class NotPublic(Exception):
    """The name led to an address inside somebody's network."""


class _Watch:
    """Breaks the connections made under it as soon as *over* says so, whatever they are waiting for."""

    def __init__(self, over: Callable[[], bool]) -> None:
        self._over = over
        self._ended = threading.Event()
        self._held: list[socket.socket] = []
        self._lock = threading.Lock()

    def hold(self, connection: socket.socket) -> None:
        """Look after a new connection. By a handle of its own: TLS takes the first one over."""
        with self._lock:
            self._held.append(connection.dup())

    def run(self) -> None:
        """Look until it has ended."""
        while not self._ended.wait(_LOOK):
            if self._over():
                self._each(lambda held: held.shutdown(socket.SHUT_RDWR))

    def end(self) -> None:
        self._ended.set()
        self._each(lambda held: held.close())

    def _each(self, act: Callable[[socket.socket], None]) -> None:
        with self._lock:
            for held in self._held:
                with suppress(OSError):
                    act(held)


_watch: ContextVar[_Watch | None] = ContextVar("luma_ray_watch", default=None)


@contextmanager
def watched(over: Callable[[], bool]) -> Iterator[None]:
    """Break the connections that are made inside on this thread, as soon as *over* says so.

    A time-out alone counts from byte to byte: a server that sends one every few seconds would hold a thread for days.
    Whoever waits gets an error of `requests`. *over* is asked on another thread.
    """
    watch = _Watch(over)
    before = _watch.set(watch)
    thread = threading.Thread(target=watch.run, name="ray-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        _watch.reset(before)
        watch.end()
        thread.join()


class _Connection(urllib3.connection.HTTPConnection):
    def _new_conn(self) -> Any:
        return _noted(super()._new_conn())


class _TlsConnection(urllib3.connection.HTTPSConnection):
    def _new_conn(self) -> Any:
        return _noted(super()._new_conn())


class _PublicConnection(_TlsConnection):
    """Goes to public addresses of a name, and looks again at the address it really reached (DNS rebinding)."""

    def _new_conn(self) -> Any:
        name = self._dns_host
        try:
            answers = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return self._checked(super()._new_conn())  # which says in its own way what is wrong with the name
        found = dict.fromkeys(str(answer[4][0]) for answer in answers)
        addresses = [address for address in found if public(address)][:_MOST_ADDRESSES]
        if not addresses:
            raise NotPublic
        try:
            for self._dns_host in addresses[:-1]:
                with suppress(urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
                    return self._checked(super()._new_conn())
            self._dns_host = addresses[-1]
            return self._checked(super()._new_conn())
        finally:
            self._dns_host = name

    def _checked(self, connection: socket.socket) -> socket.socket:
        try:
            reached, own = (str(end[0]) for end in (connection.getpeername(), connection.getsockname()))
        except OSError as error:
            connection.close()
            raise urllib3.exceptions.NewConnectionError(self, f"It ended at once: {error}") from None
        # What listens at this machine's own public address is as private as what listens on loopback.
        if not public(reached) or (reached == own and _address(own).is_global):
            connection.close()
            raise NotPublic
        return connection


def _noted(connection: socket.socket) -> socket.socket:
    watch = _watch.get()
    if watch is not None:
        watch.hold(connection)
    return connection


def _pool(kind: type[Any], connection: type[Any]) -> type[Any]:
    return type(f"_{connection.__name__}s", (kind,), {"ConnectionCls": connection})


_HTTP: Final = _pool(urllib3.connectionpool.HTTPConnectionPool, _Connection)
_HTTPS: Final = _pool(urllib3.connectionpool.HTTPSConnectionPool, _TlsConnection)
_PUBLIC: Final = _pool(urllib3.connectionpool.HTTPSConnectionPool, _PublicConnection)


class _Adapter(HTTPAdapter):
    """Connections that can be watched."""

    pools: dict[str, type[Any]] = {"http": _HTTP, "https": _HTTPS}  # noqa: RUF012 - as urllib3 wants them

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Through a proxy the proxy decides what is reached, as it must."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if manager.pool_classes_by_scheme == urllib3.poolmanager.pool_classes_by_scheme:  # SOCKS has its own
            manager.pool_classes_by_scheme = _Adapter.pools
        return manager


class _PublicAdapter(_Adapter):
    """Connections to public addresses, by TLS alone."""

    pools = {"https": _PUBLIC}  # noqa: RUF012 - as urllib3 wants them


class Session(requests.Session):
    """One that leaves redirects alone: even when told so, requests reads their whole body and parses the target."""

    def __init__(self) -> None:
        super().__init__()
        self.mount("https://", _Adapter())
        self.mount("http://", _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None whatever was answered."""

    def trust(self, origin: str) -> None:
        """Let it reach *origin* (`https://host:port`) wherever that is."""
        self.mount(f"{origin}/", _Adapter())


def public_session() -> Session:
    """One that reaches public addresses, and the hosts that the machine's owner trusts, and nothing else.

    What it is given still has to pass `allowed`. Raises NotPublic when a name leads into somebody's network.
    """
    session = Session()
    session.adapters.clear()
    session.mount("https://", _PublicAdapter())
    for host in trusted():
        session.trust(f"https://{host}")
        session.trust(f"http://{host}")
    return session


def allowed(url: str) -> bool:
    """Whether *url* may be followed at all: https, or a host that the machine's owner trusts."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return True
    return parts.scheme == "http" and parts.netloc.lower() in trusted()


def pieces(response: requests.Response, size: int) -> Iterator[bytes]:
    """The body as it came over the line, up to *size* bytes at a time. Raises as requests does.

    Not by `iter_content`: that unpacks what is compressed, however much it becomes, and reads the length of a chunk
    as long as it is.
    """
    try:
        while piece := response.raw.read(size, decode_content=False):
            yield piece
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.ConnectionError(error) from None


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return (parts.scheme, parts.hostname, parts.port)


def trusted() -> set[str]:
    """The `host:port` pairs that the machine's owner trusts."""
    return {item.strip().lower() for item in os.environ.get(ALLOWED_HOSTS, "").split(",") if item.strip()}


def public(address: str) -> bool:
    """Whether an IP address, and the IPv4 address that one of IPv6 may stand for, is on the public internet."""
    seen = _address(address)
    if isinstance(seen, ipaddress.IPv6Address):
        last = ipaddress.IPv4Address(int(seen) & 0xFFFFFFFF)
        leads_to = seen.ipv4_mapped or seen.sixtofour or (last if seen in _NAT64 else None)
        if leads_to is not None:
            return public(str(leads_to))
        if seen not in _INTERNET or (_through_isatap(seen) and not public(str(last))):
            return False
    return seen.is_global and not seen.is_multicast and not any(seen in network for network in _INSIDE)


def _through_isatap(address: ipaddress.IPv6Address) -> bool:
    return int(address) >> 32 & 0xFFFFFFFF in _ISATAP


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text.split("%", maxsplit=1)[0])


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
