"""Bring a finished clip here: without credentials, over https, from public addresses, whole or not at all."""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from .client import Session, certificates
from .clock import Clock
from .errors import DownloadFailed, Interrupted, ProviderUnavailable

ALLOWED_HOSTS: Final = "LUMA_RAY_ALLOWED_HOSTS"
"""Environment variable with host:port pairs that the machine's owner trusts although they are not public."""
MOST_BYTES: Final = 2 * 1024**3
LONGEST: Final = 20 * 60
"""Seconds for one clip."""
_MOST_REDIRECTS: Final = 4
_TIMEOUT: Final = (10.0, 30.0)
_PIECE: Final = 1 << 16
"""Bytes between two looks at the stop sign; on a slow line more would be seconds."""
_IPV4_INSIDE: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""IPv6 addresses that lead on to the IPv4 address in their last four bytes."""


class _NotPublic(Exception):
    """The name led to an address inside somebody's network."""


class _PublicConnection(urllib3.connection.HTTPSConnection):
    """Looks at the address it really reached, so a name that changes its mind (DNS rebinding) gains nothing."""

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        if not _public(connection.getpeername()[0].split("%")[0]):
            connection.close()
            raise _NotPublic
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


def download(url: str, path: Path, *, clock: Clock, progress: Callable[[float], None]) -> None:
    """Write what is at *url* to *path*, from the start each time.

    *progress* gets fractions from 0 to 1. Raises DownloadFailed (the text holds the host, never the signed
    URL) and Interrupted.
    """
    try:
        _download(url, path, clock, progress)
    except _NotPublic:
        raise DownloadFailed(
            "The clip's address leads to a machine that is not on the public internet; not fetched. "
            f"The owner of this machine can trust a host with {ALLOWED_HOSTS}."
        ) from None
    except ProviderUnavailable as error:
        raise DownloadFailed(str(error)) from None
    except (requests.RequestException, ValueError) as error:  # the second: what is given is no address at all
        raise DownloadFailed(f"The download from {_host(url)} broke off ({type(error).__name__}).") from None
    except OSError as error:
        free = shutil.disk_usage(path.parent).free if path.parent.exists() else 0
        raise DownloadFailed(
            f"The clip could not be written ({error.strerror}; {free / 1e9:.1f} GB free)."
        ) from None


def _download(url: str, path: Path, clock: Clock, progress: Callable[[float], None]) -> None:
    deadline = clock.now() + LONGEST
    with Session() as session:
        session.mount("https://", _PublicAdapter())
        for host in _trusted():
            session.mount(f"https://{host}/", HTTPAdapter())
        with _follow(session, url) as response:
            expected = _content_length(response)
            received = 0
            with path.open("wb") as file:
                for piece in response.iter_content(_PIECE):
                    file.write(piece)
                    received += len(piece)
                    if received > MOST_BYTES:
                        raise DownloadFailed(f"The clip is larger than {MOST_BYTES >> 30} GiB; not fetched.")
                    if clock.stopped:
                        raise Interrupted("Stopped while the finished clip was being downloaded.")
                    if clock.now() > deadline:
                        raise DownloadFailed(f"The download took longer than {LONGEST // 60} minutes.")
                    if expected:
                        progress(min(received / expected, 1.0))
                file.flush()
                os.fsync(file.fileno())
    if received == 0 or (expected is not None and received != expected):
        raise DownloadFailed(f"The download ended after {received} of {expected or 'some'} bytes.")


def _follow(session: requests.Session, url: str) -> requests.Response:
    """Open *url*, following a few redirects, each checked like the first address."""
    for _ in range(_MOST_REDIRECTS):
        _allow(url)
        verify = certificates()
        response = session.get(
            url,
            # netrc must not add credentials, and compressed transfer would make the length a lie
            auth=lambda prepared: prepared,
            headers={"Accept-Encoding": "identity"},
            timeout=_TIMEOUT,
            allow_redirects=False,
            stream=True,
            verify=verify,
        )
        if response.is_redirect:
            response.close()
            url = urljoin(url, response.headers["Location"])
            continue
        if response.status_code != 200:
            code = response.status_code
            response.close()
            raise DownloadFailed(f"{_host(url)} answered {code} instead of the clip.")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.close()
            raise DownloadFailed(f"{_host(url)} answered with a web page instead of the clip.")
        return response
    raise DownloadFailed("The clip's address redirects too often.")


def _allow(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.netloc.lower() in _trusted():
        return
    raise DownloadFailed(
        f"The clip's address ({parts.scheme}://{parts.hostname}) is not https; not fetched. "
        f"The owner of this machine can trust a host with {ALLOWED_HOSTS}."
    )


def _trusted() -> set[str]:
    return {item.strip().lower() for item in os.environ.get(ALLOWED_HOSTS, "").split(",") if item.strip()}


def _public(address: str) -> bool:
    """Whether an IP address, and the IPv4 address that one of IPv6 may stand for, is on the public internet."""
    seen = ipaddress.ip_address(address)
    if isinstance(seen, ipaddress.IPv6Address):
        if seen.is_site_local:
            return False
        inside = any(seen in network for network in _IPV4_INSIDE)
        last = ipaddress.IPv4Address(int(seen) & 0xFFFFFFFF) if inside else None
        seen = seen.ipv4_mapped or seen.sixtofour or last or seen
    return seen.is_global and not seen.is_multicast


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "nowhere"
    except ValueError:
        return "nowhere"


def _content_length(response: requests.Response) -> int | None:
    try:
        return int(response.headers["Content-Length"])
    except (KeyError, ValueError):
        return None
