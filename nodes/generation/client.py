"""JSON over HTTP with one provider: reads are repeated, creates never, keys go to its own origin only."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests

from .answers import request_id
from .clock import Clock
from .connection import (
    NotPublic,
    Session,
    allowed,
    certainly_not_sent,
    certificates,
    network_reason,
    origin,
    public_session,
    watched,
)
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
    UploadFailed,
)
from .forms import Field, Form, opened, unreadable
from .request import Json

TIMEOUT: Final = (10.0, 60.0)
"""Seconds to connect and to wait for the next byte."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""A JSON answer larger than this is not one of ours."""
READ_ATTEMPTS: Final = 4
LONGEST_PAUSE: Final = 60.0
"""Seconds; a Retry-After beyond it is not obeyed within one read, the caller comes back later."""
_TRANSIENT: Final = frozenset({408, 425, 500, 502, 503, 504})
UPLOAD_TIMEOUT: Final = (10.0, 120.0)
LONGEST_ANSWER: Final = 60.0
"""Seconds in which an answer that has begun must be here whole: a time-out alone counts from byte to byte."""
_ODD: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, ArithmeticError)
"""What unpacking an answer raises where it has another shape."""
_UNREADABLE: Final = (ValueError, RecursionError)
"""What `json.loads` raises; the second for brackets nested thousands deep."""


class _TooLarge(requests.RequestException):
    """An answer beyond `MOST_BYTES`."""


@dataclass(frozen=True)
class Answer:
    """An answer that is not success, for a provider that explains its own errors."""

    status: int
    headers: Mapping[str, str]
    content: Any
    """The decoded JSON; None where it is none."""
    paid: bool
    """Whether it answers a create."""
    words: str
    """The provider's own words in it, shortened and without secrets, led by ": "; or empty."""
    retry_after: float | None
    """Seconds it asks to wait."""


class Client:
    """What `Provider.submit` and `Provider.status` talk through. One per generation, on one thread."""

    def __init__(
        self,
        title: str,
        base_url: str,
        sign: Callable[[], Mapping[str, str]],
        clock: Clock,
        error_text: Callable[[Any], str] = lambda _: "",
        *,
        explain: Callable[[Answer], GenerationError | None] = lambda _: None,
        setting: Callable[[str], str] = lambda _: "",
        account: str = "",
        read: float | None = None,
    ) -> None:
        self.title = title
        self.base_url = base_url.rstrip("/") + "/"
        if base_url and not _usable(self.base_url):
            # Now, while nothing is bought: found when the create goes out, it would look like a lost answer.
            raise ProviderUnavailable(
                f"The address set for {title} is not an http or https URL; correct the environment variable that "
                "holds it. Nothing was sent or billed."
            )
        self.setting = setting
        """What the machine's owner set under a name (environment or key file); empty where nothing is."""
        self.account = account
        """A mark for the account that is asked, see `Credentials.account`."""
        self.request_id = ""
        """The provider's own number of its last answer to a create, by which its support finds it."""
        self.clock = clock
        self._timeout = (TIMEOUT[0], TIMEOUT[1] if read is None else read)
        self._sign = sign
        self._error_text = error_text
        self._explain = explain

    def owns(self, url: str) -> bool:
        """Whether *url* is at the provider's own origin, so that it may be asked with the key."""
        try:
            return origin(urljoin(self.base_url, url)) == origin(self.base_url)
        except ValueError:
            return False

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        hold: float = 0,
        attempts: int = READ_ATTEMPTS,
    ) -> Any:
        """Read JSON. Repeated when there is no answer, on 408, 425, 429 and 5xx; Retry-After is obeyed.

        *path* is relative to the base URL, or a URL of its origin. *hold* is how long the provider may keep the
        answer back (a long poll), seconds.

        Raises: ProviderUnavailable, Rejected and its kinds, UnexpectedReply.
        """
        for attempt in range(attempts):
            pause = 0.5 * 2**attempt * (1 + random.random() / 2)  # noqa: S311 - jitter, not a secret
            try:
                return self._read("GET", path, params=params, headers=headers, hold=hold)
            except (RateLimited, ProviderUnavailable) as error:
                if error.retry_after is not None:
                    pause = max(pause, error.retry_after)
                last: GenerationError = error
            if self.clock.stopped or pause > LONGEST_PAUSE:
                break
            if attempt + 1 < attempts:
                self.clock.sleep(pause)
        raise last

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        files: Mapping[str, Field] | None = None,
    ) -> Any:
        """Anything else that costs nothing: asking for a price or a list by POST, an upload, a cancellation. Once.

        *files* (field: name, content, media type) are sent as a form, with *body* as its other fields. Gives the
        decoded JSON, None for an empty answer. Raises as `get`.
        """
        return self._read(method, path, body=body, headers=headers, files=files)

    def create(
        self, path: str, body: Json, *, headers: Mapping[str, str] | None = None, hold: float = 0
    ) -> Any:
        """Send a billable request, once. *hold*: how long an answer may take that comes with the clip, seconds.

        Raises: Rejected and its kinds (not billed), ProviderUnavailable (it never left this machine, not
        billed), SubmissionUncertain (sent, and no usable answer: it may be billed).
        """
        try:
            response, content = self._send("POST", path, body=body, headers=headers, hold=hold)
        except requests.RequestException as error:
            if certainly_not_sent(error):
                raise ProviderUnavailable(
                    f"{self.title} could not be reached ({network_reason(error)}). Nothing was sent or billed."
                ) from None
            raise SubmissionUncertain(
                f"The request went out to {self.title}, and the connection ended before an answer came "
                f"({network_reason(error)}). It may have been created and billed."
            ) from None
        self.request_id = request_id(response.headers)
        if response.status_code >= 300:
            raise self._failure(response, content, paid=True)
        try:
            return json.loads(content)
        except _UNREADABLE:
            raise SubmissionUncertain(
                f"{self.title} answered a paid request with something that is not JSON. "
                "It may have been created and billed."
            ) from None

    def send_file(
        self, url: str, content: bytes | Path, headers: Mapping[str, str] | None = None, method: str = "PUT"
    ) -> None:
        """Put *content* (a path: what is in that file) where a reply said, with these headers and without any key.

        Raises UploadFailed, whose text never holds the URL: it is signed.
        """
        host, what = _host(url), "film" if isinstance(content, Path) else "picture"
        if not host or not allowed(url):
            raise UploadFailed(
                f"{self.title} gave an address for the {what} that is not https ({host or 'no host'}); nothing was "
                "sent there, nothing was billed."
            )
        try:
            with public_session() as session, opened(content) as body:
                response = session.request(
                    method,
                    url,
                    data=body,
                    headers=dict(headers or {}),
                    auth=lambda prepared: prepared,  # nothing of ~/.netrc either
                    timeout=UPLOAD_TIMEOUT,
                    allow_redirects=False,
                    stream=True,
                    verify=certificates(),
                )
                response.close()
        except NotPublic:
            raise UploadFailed(
                f"{self.title} gave an address for the {what} that is not on the public internet ({host}); nothing "
                "was sent there, nothing was billed."
            ) from None
        except requests.RequestException as error:
            raise UploadFailed(
                f"The {what} could not be sent to {host} ({network_reason(error)}). Nothing was billed."
            ) from None
        except OSError as error:
            raise unreadable(error) from None
        if not 200 <= response.status_code < 300:
            raise UploadFailed(
                f"{host} did not take the {what} ({response.status_code}). Nothing was billed."
            )

    def signature(self) -> Mapping[str, str]:
        """The headers that prove who asks. Raises Unauthorized for a key that cannot be one."""
        headers = self._sign()
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise Unauthorized(
                f"The key for {self.title} holds a character that no key has (a line break, a dash or quotation "
                "mark from a word processor). Nothing was sent or billed. Copy it again."
            )
        return headers

    def error(
        self, status: int, words: str = "", *, paid: bool, retry_after: float | None = None
    ) -> GenerationError:
        """The error for an answer that says *status*, in HTTP or inside an envelope; *words* are the provider's.

        *paid*: it answers a create.
        """
        text = _shortened(words)
        if not paid and status in _TRANSIENT:
            return ProviderUnavailable(
                f"{self.title} answered with error {status}{text}.", retry_after=retry_after
            )
        # 303 is how a server says that it did what was asked and shows the result elsewhere.
        if paid and (status >= 500 or status in (303, 408)):
            return SubmissionUncertain(
                f"{self.title} answered with error {status} to a paid request{text}. "
                "It may have been created and billed."
            )
        return self._refusal(status, text, " Nothing was billed." if paid else "", retry_after)

    def _read(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        files: Mapping[str, Field] | None = None,
        hold: float = 0,
    ) -> Any:
        try:
            response, content = self._send(
                method, path, params=params, body=body, headers=headers, files=files, hold=hold
            )
        except _TooLarge:
            raise UnexpectedReply(f"{self.title} answered with more than {MOST_BYTES >> 20} MiB.") from None
        except requests.RequestException as error:
            raise ProviderUnavailable(f"{self.title} did not answer ({network_reason(error)}).") from None
        if response.status_code >= 300:
            raise self._failure(response, content, paid=False)
        if method != "GET" and not content.strip():
            return None
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
        headers: Mapping[str, str] | None = None,
        files: Mapping[str, Field] | None = None,
        hold: float = 0,
    ) -> tuple[requests.Response, bytes]:
        url = urljoin(self.base_url, path)
        if not self.owns(url):
            raise UnexpectedReply(
                f"{self.title} pointed at another host ({_host(url)}); its key is not sent there."
            )
        connect, read = UPLOAD_TIMEOUT if files else self._timeout
        form = Form(files, body or {}) if files else None
        if form is not None:
            headers, hold = {**(headers or {}), "Content-Type": form.content_type}, form.patience
        # A new connection each time: on one that was kept, a create can meet a closing peer, and then
        # nobody knows whether it arrived.
        deadline = self.clock.elapsed() + connect + read + hold + LONGEST_ANSWER
        with watched(lambda: self.clock.elapsed() > deadline), Session() as session, closing(form or session):
            response = session.request(
                method,
                url,
                params=params,
                json=None if form else body,
                data=form,
                headers={"Accept": "application/json", **(headers or {}), **self.signature()},
                auth=lambda prepared: prepared,  # or ~/.netrc would replace our Authorization
                timeout=(connect, read + hold),
                allow_redirects=False,
                stream=True,
                verify=certificates(),
            )
            with response:
                return response, _limited(response)

    def _failure(self, response: requests.Response, content: bytes, *, paid: bool) -> GenerationError:
        """The error for an answer that is not success: the provider's own explanation, else by its status."""
        status, retry_after = response.status_code, self._retry_after(response)
        try:
            decoded = json.loads(content)
        except _UNREADABLE:
            decoded = None
        words = self._words(decoded)
        answer = Answer(status, response.headers, decoded, paid, _shortened(words), retry_after)
        try:
            explained = self._explain(answer)
        except _ODD:
            explained = None  # an error in another shape than documented
        error = explained or self.error(status, words, paid=paid, retry_after=retry_after)
        error.status = status if decoded is not None else 0
        return error

    def _refusal(self, status: int, words: str, billing: str, retry_after: float | None) -> GenerationError:
        match status:
            case 401 | 403:
                return Unauthorized(
                    f"{self.title} does not accept the key ({status}){words}. Check that it is the key for this "
                    f"API and that it is still active.{billing}"
                )
            case 402:
                return InsufficientCredits(
                    f"The account at {self.title} has not enough credits{words}.{billing}"
                )
            case 429:
                return RateLimited(
                    f"Rate Limit Exceeded: {self.title} wants fewer requests at a time{words}.{billing}",
                    retry_after=retry_after,
                )
            case _ if 300 <= status < 400:
                return Rejected(
                    f"{self.title} answered with a redirect ({status}): this address no longer serves its API."
                    f"{billing}"
                )
            case _:
                return Rejected(f"{self.title} refused the request ({status}){words}.{billing}")

    def _words(self, decoded: Any) -> str:
        try:
            return " ".join(self._error_text(decoded).split())
        except _ODD:
            return ""

    def _retry_after(self, response: requests.Response) -> float | None:
        """Seconds that the answer asks to wait, told as a number or as a date."""
        told = response.headers.get("Retry-After", "")
        try:
            seconds = float(told)
        except ValueError:
            try:
                date = parsedate_to_datetime(told)
                # A date of HTTP is in GMT, also in its old form that does not say so.
                date = date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)
                seconds = date.timestamp() - self.clock.now()
            except (ValueError, TypeError):  # Python 3.10's parser raises the second on some nonsense
                return None
        return max(seconds, 0.0) if math.isfinite(seconds) else None


def _usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        return parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address, a name too long to be looked up
        return False


def _shortened(words: str) -> str:
    """What a provider said, as the end of our sentence: ": its words" without secrets, or nothing."""
    text = redact(" ".join(words.split()))[:300].rstrip(".")
    return f": {text}" if text else ""


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _limited(response: requests.Response) -> bytes:
    content = b""
    for piece in response.iter_content(65536):
        content += piece
        if len(content) > MOST_BYTES:
            raise _TooLarge
    return content


@contextmanager
def decoding(title: str) -> Iterator[None]:
    """Turn the errors of unpacking an answer into `UnexpectedReply`, whose text holds nothing of the answer."""
    try:
        yield
    except _ODD as error:
        raise UnexpectedReply(
            f"{title} answered outside its documented contract ({type(error).__name__})."
        ) from None
