"""JSON over HTTP with one provider: reads are repeated, creates never, keys go to its own origin only."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from .clock import Clock
from .credentials import redact
from .errors import (
    GenerationError,
    InsufficientCredits,
    ProviderUnavailable,
    RateLimited,
    Rejected,
    SubmissionUncertain,
    Unauthorized,
    UnexpectedReply,
)
from .request import Json

TIMEOUT: Final = (10.0, 60.0)
"""Seconds to connect and to wait for the next byte."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""A JSON answer larger than this is not one of ours."""
READ_ATTEMPTS: Final = 4
LONGEST_PAUSE: Final = 60.0
"""Seconds; a Retry-After beyond it is not obeyed within one read, the caller comes back later."""
_TRANSIENT: Final = frozenset({408, 425, 500, 502, 503, 504})
_UNREADABLE: Final = (ValueError, RecursionError)
"""What `json.loads` raises; the second for brackets nested thousands deep."""


class _Busy(ProviderUnavailable):
    """An error that passes, with the seconds after which the provider wants to be asked again."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _TooLarge(requests.RequestException):
    """An answer beyond `MOST_BYTES`."""


class Session(requests.Session):
    """One that leaves redirects alone: even when told so, requests reads their whole body and parses the target."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None whatever was answered."""


class Client:
    """What `Provider.submit` and `Provider.status` talk through. One per generation, on one thread."""

    def __init__(
        self,
        title: str,
        base_url: str,
        sign: Callable[[], Mapping[str, str]],
        clock: Clock,
        error_text: Callable[[Any], str] = lambda _: "",
    ) -> None:
        self.title = title
        self.base_url = base_url.rstrip("/") + "/"
        if base_url and not _usable(self.base_url):
            # Now, while nothing is bought: found only when the create goes out, it would look like a lost answer.
            raise ProviderUnavailable(
                f"The address set for {title} is not an http or https URL; correct the environment variable that "
                "holds it. Nothing was sent or billed."
            )
        self._sign = sign
        self._clock = clock
        self._error_text = error_text

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """Read JSON. Repeated when there is no answer, on 408, 425, 429 and 5xx; Retry-After is obeyed.

        *path* is relative to the base URL, without a query.

        Raises: ProviderUnavailable, Rejected and its kinds, UnexpectedReply.
        """
        for attempt in range(READ_ATTEMPTS):
            pause = 0.5 * 2**attempt * (1 + random.random() / 2)  # noqa: S311 - jitter, not a secret
            try:
                return self._read(path, params)
            except (RateLimited, _Busy) as error:
                if error.retry_after is not None:
                    pause = max(pause, error.retry_after)
                last: GenerationError = error
            except ProviderUnavailable as error:
                last = error
            if self._clock.stopped or pause > LONGEST_PAUSE:
                break
            if attempt + 1 < READ_ATTEMPTS:
                self._clock.sleep(pause)
        raise last

    def create(self, path: str, body: Json) -> Any:
        """Send a billable request, once.

        Raises: Rejected and its kinds (not billed), ProviderUnavailable (it never left this machine, not
        billed), SubmissionUncertain (sent, and no usable answer: it may be billed).
        """
        try:
            response, content = self._send("POST", path, body=body)
        except requests.RequestException as error:
            if certainly_not_sent(error):
                raise ProviderUnavailable(
                    f"{self.title} could not be reached ({_network_reason(error)}). Nothing was sent or billed."
                ) from None
            raise SubmissionUncertain(
                f"The request went out to {self.title}, and the connection ended before an answer came "
                f"({_network_reason(error)}). It may have been created and billed."
            ) from None
        code = response.status_code
        # 303 is how a server says that it did what was asked and shows the result elsewhere.
        if code >= 500 or code in (303, 408):
            raise SubmissionUncertain(
                f"{self.title} answered with error {code} to a paid request{self._words(content)}. "
                "It may have been created and billed."
            )
        if code >= 300:
            raise self._refusal(response, content, " Nothing was billed.")
        try:
            return json.loads(content)
        except _UNREADABLE:
            raise SubmissionUncertain(
                f"{self.title} answered a paid request with something that is not JSON. "
                "It may have been created and billed."
            ) from None

    def _read(self, path: str, params: Mapping[str, str | int] | None) -> Any:
        try:
            response, content = self._send("GET", path, params=params)
        except _TooLarge:
            raise UnexpectedReply(f"{self.title} answered with more than {MOST_BYTES >> 20} MiB.") from None
        except requests.RequestException as error:
            raise ProviderUnavailable(f"{self.title} did not answer ({_network_reason(error)}).") from None
        if response.status_code in _TRANSIENT:
            raise _Busy(
                f"{self.title} answered with error {response.status_code}{self._words(content)}.",
                retry_after=self._retry_after(response),
            )
        if response.status_code >= 300:
            raise self._refusal(response, content, "")
        try:
            return json.loads(content)
        except _UNREADABLE:
            raise UnexpectedReply(f"{self.title} answered with something that is not JSON.") from None

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Json | None = None,
    ) -> tuple[requests.Response, bytes]:
        url = urljoin(self.base_url, path)
        if _origin(url) != _origin(self.base_url):
            raise UnexpectedReply(
                f"{self.title} pointed at another host ({urlsplit(url).hostname}); its key is not sent there."
            )
        verify = certificates()
        # A new connection each time: on one that was kept, a create can meet a closing peer, and then
        # nobody knows whether it arrived.
        with Session() as session:
            response = session.request(
                method,
                url,
                params=params,
                json=body,
                headers={"Accept": "application/json", **self._signature()},
                auth=lambda prepared: prepared,  # or ~/.netrc would replace our Authorization
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
                verify=verify,
            )
            with response:
                return response, _limited(response)

    def _signature(self) -> Mapping[str, str]:
        headers = self._sign()
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise Unauthorized(
                f"The key for {self.title} holds a character that no key has (a line break, a dash or quotation "
                "mark from a word processor). Nothing was sent or billed. Copy it again."
            )
        return headers

    def _refusal(self, response: requests.Response, content: bytes, billing: str) -> GenerationError:
        code, words = response.status_code, self._words(content)
        match code:
            case 401 | 403:
                return Unauthorized(
                    f"{self.title} does not accept the key ({code}){words}. Check that it is the key for this "
                    f"API and that it is still active.{billing}"
                )
            case 402:
                return InsufficientCredits(
                    f"The account at {self.title} has not enough credits{words}.{billing}"
                )
            case 429:
                return RateLimited(
                    f"Rate Limit Exceeded: {self.title} wants fewer requests at a time{words}.{billing}",
                    retry_after=self._retry_after(response),
                )
            case _ if code < 400:
                return Rejected(
                    f"{self.title} answered with a redirect ({code}): this address no longer serves its API."
                    f"{billing}"
                )
            case _:
                return Rejected(f"{self.title} refused the request ({code}){words}.{billing}")

    def _words(self, content: bytes) -> str:
        try:
            words = self._error_text(json.loads(content)).split()
        except (*_UNREADABLE, KeyError, TypeError, AttributeError, IndexError):
            return ""
        text = redact(" ".join(words))[:300].rstrip(".")
        return f": {text}" if text else ""

    def _retry_after(self, response: requests.Response) -> float | None:
        """Seconds that the answer asks to wait, told as a number or as a date."""
        told = response.headers.get("Retry-After", "")
        try:
            seconds = float(told)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(told).timestamp() - self._clock.now()
            except (ValueError, TypeError):  # Python 3.10's parser raises the second on some nonsense
                return None
        return max(seconds, 0.0) if math.isfinite(seconds) else None


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


def _usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        return parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address, a name too long to be looked up
        return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """*error*, what it wraps and what it was raised from.

    Not its `__context__`: that is whatever the caller was handling meanwhile, another failure perhaps.
    """
    seen: list[BaseException] = [error]
    for item in seen:
        yield item
        linked = [item.__cause__, getattr(item, "reason", None), *item.args]
        seen += [link for link in linked if isinstance(link, BaseException) and link not in seen]


def _network_reason(error: requests.RequestException) -> str:
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


def _limited(response: requests.Response) -> bytes:
    content = b""
    for piece in response.iter_content(65536):
        content += piece
        if len(content) > MOST_BYTES:
            raise _TooLarge
    return content


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return (parts.scheme, parts.hostname, parts.port)


@contextmanager
def decoding(title: str) -> Iterator[None]:
    """Turn the errors of unpacking an answer into `UnexpectedReply`, whose text holds nothing of the answer."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UnexpectedReply(
            f"{title} answered outside its documented contract ({type(error).__name__})."
        ) from None
