"""Bring a finished clip here: without credentials, over https, from public addresses, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests

from .clock import Clock
from .connection import (
    ALLOWED_HOSTS,
    NotPublic,
    Session,
    allowed,
    certificates,
    origin,
    pieces,
    public_session,
    watched,
)
from .errors import DownloadFailed, Interrupted, ProviderUnavailable

MOST_BYTES: Final = 2 * 1024**3
LONGEST: Final = 20 * 60
"""Seconds for one clip."""
_MOST_REDIRECTS: Final = 4
_TIMEOUT: Final = (10.0, 30.0)
_PIECE: Final = 1 << 16
"""Bytes between two looks at the stop sign; on a slow line more would be seconds."""
_PACKED: Final = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})
_NO_CLIP: Final = {b"<": "a web page", b"{": "a message", b"[": "a message", b"#": "a playlist"}
"""What text that stands in for a clip begins with; no video file does."""


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
    deadline = clock.elapsed() + LONGEST
    if not isinstance(url, str):
        raise DownloadFailed("The provider's answer holds no address of the clip.")
    try:
        with watched(lambda: clock.stopped or clock.elapsed() > deadline):
            _download(url, path, clock, deadline, progress, _Headers(signature or {}))
    except NotPublic:
        raise DownloadFailed(
            "The clip's address leads to a machine that is not on the public internet; not fetched. "
            f"The owner of this machine can trust a host with {ALLOWED_HOSTS}."
        ) from None
    except ProviderUnavailable as error:
        raise DownloadFailed(str(error)) from None
    except (requests.RequestException, ValueError) as error:  # the second: what is given is no address at all
        _go_on(clock, deadline)
        raise DownloadFailed(f"The download from {_host(url)} broke off ({type(error).__name__}).") from None
    except OSError as error:
        free = shutil.disk_usage(path.parent).free if path.parent.exists() else 0
        raise DownloadFailed(
            f"The clip could not be written ({error.strerror}; {free / 1e9:.1f} GB free)."
        ) from None


class _Headers(dict[str, str]):
    """Headers with a key in them; a traceback that shows local variables shows none of it."""

    def __repr__(self) -> str:
        return f"<{len(self)} headers>"


def _download(
    url: str,
    path: Path,
    clock: Clock,
    deadline: float,
    progress: Callable[[float], None],
    signature: _Headers,
) -> None:
    with public_session() as session, _follow(session, url, signature) as response:
        expected = _content_length(response)
        if expected is not None and expected > MOST_BYTES:
            raise DownloadFailed(f"The clip is larger than {MOST_BYTES >> 30} GiB; not fetched.")
        received = 0
        with path.open("wb") as file:
            for piece in pieces(response, _PIECE):
                if not received:
                    _check_beginning(piece, url)
                file.write(piece)
                received += len(piece)
                if received > MOST_BYTES:
                    raise DownloadFailed(f"The clip is larger than {MOST_BYTES >> 30} GiB; not fetched.")
                _go_on(clock, deadline)
                if expected:
                    progress(min(received / expected, 1.0))
            file.flush()
            os.fsync(file.fileno())
    _go_on(clock, deadline)
    if received == 0 or (expected is not None and received != expected):
        raise DownloadFailed(f"The download ended after {received} of {expected or 'some'} bytes.")


def _go_on(clock: Clock, deadline: float) -> None:
    if clock.stopped:
        raise Interrupted("Stopped while the finished clip was being downloaded.")
    if clock.elapsed() > deadline:
        raise DownloadFailed(f"The download took longer than {LONGEST // 60} minutes.")


def _follow(session: Session, url: str, signature: _Headers) -> requests.Response:
    """Open *url*, following a few redirects, each checked like the first address."""
    own = origin(url)
    if signature:
        # The owner chose this server; it may stand in the owner's own network.
        session.trust(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}")
    for _ in range(_MOST_REDIRECTS):
        signed = signature if origin(url) == own else _Headers()
        if not signed:
            _check(url)
        verify = certificates()
        response = session.get(
            url,
            # netrc must not add credentials, and compressed transfer would make the length a lie
            auth=lambda prepared: prepared,
            headers=_Headers({"Accept-Encoding": "identity", **signed}),
            timeout=_TIMEOUT,
            allow_redirects=False,
            stream=True,
            verify=verify,
        )
        if response.is_redirect:
            response.close()
            url = urljoin(url, response.headers["Location"])
            continue
        refusal = _refusal(response)
        if refusal:
            response.close()
            raise DownloadFailed(f"{_host(url)} answered {refusal} instead of the clip.")
        return response
    raise DownloadFailed("The clip's address redirects too often.")


def _refusal(response: requests.Response) -> str:
    """What came that cannot be a clip, in words; empty where it may be one."""
    if response.status_code != 200:
        return str(response.status_code)
    if response.headers.get("Content-Type", "").strip().lower().startswith("text/html"):
        return "with a web page"
    length = response.headers.get("Content-Length", "").strip()
    if length and not (length.isascii() and length.isdecimal() and len(length) < 20):
        return "with a length that is no number"
    packed = {coding.strip().lower() for coding in response.headers.get("Content-Encoding", "").split(",")}
    return "with something packed" if packed & _PACKED else ""


def _check_beginning(piece: bytes, url: str) -> None:
    """No gigabytes are fetched of what is text."""
    beginning = piece.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if beginning in _NO_CLIP:
        raise DownloadFailed(f"{_host(url)} answered with {_NO_CLIP[beginning]} instead of the clip.")


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
    told = response.headers.get("Content-Length", "").strip()
    return int(told) if told else None
