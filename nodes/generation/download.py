"""Bring a finished clip here: without credentials, over https, from public addresses, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from .clock import Clock
from .connection import ALLOWED_HOSTS, NotPublic, allowed, certificates, origin, public_session
from .errors import DownloadFailed, Interrupted, ProviderUnavailable

MOST_BYTES: Final = 2 * 1024**3
LONGEST: Final = 20 * 60
"""Seconds for one clip."""
_MOST_REDIRECTS: Final = 4
_TIMEOUT: Final = (10.0, 30.0)
_PIECE: Final = 1 << 16
"""Bytes between two looks at the stop sign; on a slow line more would be seconds."""


def download(
    url: str,
    path: Path,
    *,
    clock: Clock,
    progress: Callable[[float], None],
    signature: Mapping[str, str] | None = None,
) -> None:
    """Write what is at *url* to *path*, from the start each time.

    *progress* gets fractions from 0 to 1. *signature* is for a clip that a provider serves from its own origin
    with its key: these headers go to the origin of *url* and to no other, also after a redirect.

    Raises DownloadFailed (the text holds the host, never the signed URL) and Interrupted.
    """
    try:
        _download(url, path, clock, progress, signature or {})
    except NotPublic:
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


def _download(
    url: str, path: Path, clock: Clock, progress: Callable[[float], None], signature: Mapping[str, str]
) -> None:
    deadline = clock.now() + LONGEST
    with public_session() as session, _follow(session, url, signature) as response:
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


def _follow(session: requests.Session, url: str, signature: Mapping[str, str]) -> requests.Response:
    """Open *url*, following a few redirects, each checked like the first address."""
    own = origin(url)
    if signature:
        # The owner chose this server; it may stand in the owner's own network.
        session.mount(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/", HTTPAdapter())
    for _ in range(_MOST_REDIRECTS):
        signed = signature if origin(url) == own else {}
        if not signed:
            _check(url)
        verify = certificates()
        response = session.get(
            url,
            # netrc must not add credentials, and compressed transfer would make the length a lie
            auth=lambda prepared: prepared,
            headers={"Accept-Encoding": "identity", **signed},
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


def _check(url: str) -> None:
    if allowed(url):
        return
    parts = urlsplit(url)
    raise DownloadFailed(
        f"The clip's address ({parts.scheme}://{parts.hostname}) is not https; not fetched. "
        f"The owner of this machine can trust a host with {ALLOWED_HOSTS}."
    )


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
