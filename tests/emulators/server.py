"""What every emulator shares: a threaded loopback HTTP server, routes, faults, a record of all requests."""

from __future__ import annotations

import email
import email.policy
import json
import re
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from requests.structures import CaseInsensitiveDict


class Part(NamedTuple):
    """One field of a form."""

    file: str | None
    """The name of the file that it is; None where it is none."""
    media_type: str
    content: bytes


@dataclass
class Request:
    """One request as it arrived."""

    method: str
    path: str
    """Without the query, and without the prefix of the API."""
    target: str
    """As sent: whole path and query."""
    query: dict[str, str]
    headers: CaseInsensitiveDict[str]
    body: bytes
    time: float
    """Seconds since the epoch, by the emulator's clock."""
    status: int | None = None
    """What was answered; None while, or because, no answer went out."""

    @property
    def json(self) -> Any:
        """The decoded body; None where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def is_json(self) -> bool:
        """Whether the body is said to be JSON."""
        return self.headers.get("Content-Type", "").startswith("application/json")

    @property
    def form(self) -> dict[str, Part] | None:
        """The fields of a multipart/form-data body by their names; None where it is none."""
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            return None
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        message = email.message_from_bytes(head + self.body, policy=email.policy.HTTP)
        if not message.is_multipart():
            return None
        return {
            str(part.get_param("name", header="Content-Disposition")): Part(
                part.get_filename(), part.get_content_type(), part.get_payload(decode=True)
            )
            for part in message.iter_parts()
        }


@dataclass(frozen=True)
class Reply:
    """One answer, and how the connection spoils it."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None
    """Bytes of the body that really go out; None for all of them."""
    line: Literal["whole", "silent", "reset"] = "whole"
    """silent: closed without an answer. reset: broken off, as by a crash or a firewall."""
    until: threading.Event | None = None
    """The answer waits for this event (or for the end of the emulator)."""


class Refusal(Exception):
    """Raised by a handler to answer with something else than success."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status, reply.body)
        self.reply = reply


def json_reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer in JSON."""
    return Reply(
        status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})}
    )


def html_reply(status: int = 200) -> Reply:
    """What proxies and moved services answer instead of JSON."""
    page = f"<!doctype html><html><head><title>{status}</title></head><body><h1>Hello</h1></body></html>"
    return Reply(status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


def file_reply(request: Request, content: bytes, media_type: str) -> Reply:
    """A file, or the part of it that a Range header asks for."""
    headers = {"Content-Type": media_type, "Accept-Ranges": "bytes"}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    if not asked or asked.groups() == ("", ""):
        return Reply(200, content, headers)
    first, last = asked.groups()
    begin = int(first) if first else max(len(content) - int(last), 0)
    end = min(int(last), len(content) - 1) if first and last else len(content) - 1
    if begin > end:
        return Reply(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
    return Reply(206, content[begin : end + 1], headers)


def utc(moment: float, *, digits: Literal["seconds", "microseconds"] = "seconds") -> str:
    """Seconds since the epoch in ISO 8601, with a Z."""
    told = datetime.fromtimestamp(moment, timezone.utc).replace(tzinfo=None)
    return f"{told.isoformat(timespec=digits)}Z"


def time_told(words: str) -> datetime:
    """What a time in ISO 8601 says. Raises ValueError."""
    return datetime.fromisoformat(words.replace("Z", "+00:00"))  # Python 3.10 does not read the Z


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with one request. Made by the class methods.

    *handled* tells whether the emulator did what was asked (created and charged the job) all the same.
    """

    change: Callable[[Reply], Reply]
    handled: bool

    @classmethod
    def status(
        cls,
        code: int,
        content: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        handled: bool = False,
    ) -> Fault:
        """Answer *code* with *content* as JSON."""
        content = {"detail": f"Emulated error {code}"} if content is None else content
        return cls(lambda _: json_reply(content, code, headers), handled)

    @classmethod
    def rate_limit(cls, retry_after: float | str | None = None) -> Fault:
        """Answer 429, with a Retry-After header if one is given. Nothing was done."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return cls.status(429, {"detail": "Rate limit exceeded"}, headers=headers)

    @classmethod
    def lost_request(cls) -> Fault:
        """Reset the connection before anything was done."""
        return cls(lambda reply: replace(reply, line="reset"), handled=False)

    @classmethod
    def lost_answer(cls) -> Fault:
        """Do what was asked and close the connection without a word."""
        return cls(lambda reply: replace(reply, line="silent"), handled=True)

    @classmethod
    def hold(cls, until: threading.Event) -> Fault:
        """Do what was asked and keep the answer back until the event is set."""
        return cls(lambda reply: replace(reply, until=until), handled=True)

    @classmethod
    def malformed_json(cls) -> Fault:
        """Do what was asked; the JSON of the answer ends in the middle (its Content-Length agrees)."""
        return cls(lambda reply: replace(reply, body=reply.body[: len(reply.body) // 2]), handled=True)

    @classmethod
    def html(cls, status: int = 502, *, handled: bool = False) -> Fault:
        """Answer with a web page, as gateways do."""
        return cls(lambda _: html_reply(status), handled)

    @classmethod
    def redirect(cls, location: str = "/dashboard", status: int = 308) -> Fault:
        """Point elsewhere; by default to a web page on the emulator itself. Nothing was done."""
        return cls(lambda _: replace(html_reply(status), headers={"Location": location}), handled=False)

    @classmethod
    def truncate(cls, share: float = 0.5) -> Fault:
        """Announce the whole length, send only this share of the body, and close."""
        return cls(lambda reply: replace(reply, sent=int(len(reply.body) * share)), handled=True)

    @classmethod
    def fields(cls, **fields: Any) -> Fault:
        """Replace top-level fields of the JSON answer: an unknown state, missing results."""

        def change(reply: Reply) -> Reply:
            return replace(reply, body=json.dumps({**json.loads(reply.body), **fields}).encode())

        return cls(change, handled=True)


@dataclass
class Programmed:
    """A fault waiting for its request."""

    method: str
    pattern: str
    fault: Fault
    times: int | None
    after: int


@dataclass(frozen=True)
class Route:
    """Which function answers which requests.

    *paths* are templates such as `/jobs/{id}`; all of them mean the same. Routes of the API stand under the
    emulator's prefix and want its key; *public* ones (finished files) stand at the root and want none.
    """

    method: str
    paths: tuple[str, ...]
    answer: Callable[..., Reply]
    public: bool = False

    def match(self, path: str) -> dict[str, str] | None:
        """The named parts of *path*, or None where the route does not serve it."""
        for template in self.paths:
            found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), path)
            if found:
                return found.groupdict()
        return None

    def suits(self, pattern: str) -> bool:
        """Whether a fault for *pattern* (a template, a path, or a glob) can ever meet this route."""
        return self.match(pattern) is not None or any(fnmatchcase(path, pattern) for path in self.paths)


@dataclass(frozen=True)
class Pace:
    """How a job gets on: by the questions asked about it (tests), or by the clock (the runnable server)."""

    polls: int = 2
    seconds: float | None = None

    def progress(self, polls: int, age: float) -> float:
        """From 0 (accepted) to 1 (done), after *polls* questions and *age* seconds."""
        if self.seconds is None:
            return min(polls / self.polls, 1.0)
        return min(age / self.seconds, 1.0) if self.seconds else 1.0


class Emulator:
    """A provider on 127.0.0.1. Start it with `with`, or with `start` and `close`.

    A fault that was programmed and never met its request, and an error inside the emulator, fail the test
    when the `with` block ends without another exception.
    """

    prefix = ""
    default_key = ""

    def __init__(
        self,
        *,
        port: int = 0,
        key: str | None = None,
        polls_until_done: int = 2,
        job_seconds: float | None = None,
        full_size: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        if polls_until_done < 1:
            raise ValueError("a job is never done before it was asked about")
        self.key = self.default_key if key is None else key
        self.pace = Pace(polls_until_done, job_seconds)
        self.full_size = full_size
        """Whether clips have the real size; small ones are quicker."""
        self.now = now
        self.requests: list[Request] = []
        self.leaks: list[Request] = []
        """Requests that carried the key, or an Authorization header, to a public file."""
        self.faults: list[Programmed] = []
        self.errors: list[BaseException] = []
        self.watch: Callable[[Request], None] = lambda request: None
        """Called with each request after its answer."""
        self.closing = threading.Event()
        self.tls: ssl.SSLContext | None = None
        """With which certificate it speaks TLS; set before the start. Addresses still begin with http."""
        self._port = port
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._threads: list[threading.Thread] = []
        page = Route("GET", ("/dashboard",), lambda request: html_reply(), public=True)
        self._routes = [page, replace(page, method="POST"), *self.routes()]

    def routes(self) -> list[Route]:
        """What the provider serves; for a subclass to say."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """The variables that lead the pack to this emulator; for a subclass to say."""
        raise NotImplementedError

    def summary(self) -> str:
        """One line for a person at the end; for a subclass to say."""
        raise NotImplementedError

    def authorized(self, request: Request) -> bool:
        """Whether the request carries the key."""
        return request.headers.get("Authorization") == f"Bearer {self.key}"

    def unauthorized(self) -> Reply:
        """The answer to a request without the key."""
        return json_reply({"detail": "Invalid API key"}, 401)

    def fail_next(
        self, method: str, pattern: str, fault: Fault, *, times: int | None = 1, after: int = 0
    ) -> None:
        """Let *fault* happen to the next *times* (None: all) such requests, after *after* good ones.

        *pattern* is a path below the prefix, a template (`/generations/{id}`) or a glob (`/assets/*`).
        Several faults for the same requests happen one after the other.
        """
        if not any(route.method == method and route.suits(pattern) for route in self._routes):
            raise ValueError(f"nothing serves {method} {pattern}")
        with self._lock:
            self.faults.append(Programmed(method, pattern, fault, times, after))

    @property
    def origin(self) -> str:
        """Such as `http://127.0.0.1:9000`."""
        assert self._server is not None, "not started"
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self.origin + self.prefix

    def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._server = _Server(("127.0.0.1", self._port), _Handler, bind_and_activate=True)
        self._server.emulator = self
        self._threads.append(threading.Thread(target=self._server.serve, name=type(self).__name__))
        self._threads[0].start()

    def close(self) -> None:
        """Break off what is open, and wait until every thread has ended."""
        self.closing.set()
        if self._server is not None:
            self._server.wake()
            self._threads[0].join()
            self._server.hang_up()
            self._server.server_close()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is not None:
            return
        if self.errors:
            raise self.errors[0]
        unmet = [f"{item.method} {item.pattern}" for item in self.faults if item.times]
        assert not unmet, f"faults that never happened: {', '.join(unmet)}"

    def background(self, work: Callable[[], None]) -> None:
        """Run *work* on a thread of its own; `closing` tells it to end."""

        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - raised again where the emulator is closed
                traceback.print_exc()
                self.errors.append(error)

        thread = threading.Thread(target=guarded, name=f"{type(self).__name__} job")
        self._threads.append(thread)
        thread.start()

    def minute(self, limit: int) -> dict[str, str]:
        """What headers tell of a limit of so many requests in a minute, which is not enforced here."""
        begun = self.now() // 60 * 60
        recent = sum(item.time >= begun for item in self.requests)
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(limit - recent, 0)),
            "X-RateLimit-Reset": f"{begun + 60:.0f}",
        }

    def exchange(self, request: Request) -> Reply:
        """Record the request, and answer it or let its fault happen."""
        serving = self._serving(request)
        found = next((item for item in serving if item[0].method == request.method), None)
        with self._lock:
            self.requests.append(request)
            fault = self._take_fault(request, found[0] if found else None)
        if fault is not None and not fault.handled:
            return fault.change(Reply())
        if found is None and serving:
            reply = json_reply({"detail": "Method Not Allowed"}, 405)
        else:
            reply = self._answer(request, found)
        return reply if fault is None else fault.change(reply)

    def _serving(self, request: Request) -> list[tuple[Route, dict[str, str]]]:
        """The routes at the request's path, whatever their methods."""
        path = urlsplit(request.target).path
        in_api = path.startswith(self.prefix + "/")
        found = []
        for route in self._routes:
            if not (route.public or in_api):
                continue
            # a public route stands at the root, also where the API has a prefix
            parts = route.match(path if route.public else request.path)
            if parts is not None:
                found.append((route, parts))
        return found

    def _take_fault(self, request: Request, route: Route | None) -> Fault | None:
        for item in self.faults:
            named = route is not None and item.pattern in route.paths
            if item.method != request.method or not (named or fnmatchcase(request.path, item.pattern)):
                continue
            if item.after:
                item.after -= 1
                return None
            if item.times is not None:
                item.times -= 1
                if item.times == 0:
                    self.faults.remove(item)
            return item.fault
        return None

    def _answer(self, request: Request, found: tuple[Route, dict[str, str]] | None) -> Reply:
        if found is not None and found[0].public:
            carried = "\n".join([request.target, *request.headers.values()])
            if "Authorization" in request.headers or (self.key and self.key in carried):
                self.leaks.append(request)
        elif not self.authorized(request):
            return self.unauthorized()
        if found is None:
            return json_reply({"detail": "Not Found"}, 404)
        route, parts = found
        try:
            return route.answer(request, **parts)
        except Refusal as refusal:
            return refusal.reply


class FileHost(Emulator):
    """A place on the web for pictures and clips that a provider shall fetch."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.files: dict[str, tuple[bytes, str]] = {}

    def put(self, name: str, content: bytes, media_type: str) -> str:
        """Serve *content*; returns its URL."""
        self.files[name] = content, media_type
        return f"{self.origin}/{name}"

    def routes(self) -> list[Route]:
        """The files."""
        return [Route("GET", ("/{name}",), self._file, public=True)]

    def _file(self, request: Request, name: str) -> Reply:
        if name not in self.files:
            return html_reply(404)
        return file_reply(request, *self.files[name])


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    """So that closing joins every connection's thread."""
    request_queue_size = 128
    emulator: Emulator

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*args, **kwargs)

    def server_bind(self) -> None:
        # not HTTPServer's: that one asks the name service who 127.0.0.1 is, which can take seconds
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def serve(self) -> None:
        """Take connections until the emulator is closing."""
        # not serve_forever: that one looks every so often whether it shall end, and closing waits for it
        while not self.emulator.closing.is_set():
            self.handle_request()

    def wake(self) -> None:
        """Let `serve` see that the emulator is closing."""
        with suppress(OSError):  # it has ended already
            socket.create_connection(self.server_address).close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.emulator.tls is not None:
            # shaking hands is left to the connection's own thread
            connection = self.emulator.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        self.connections.add(connection)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return not self.emulator.closing.is_set()

    def close_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().close_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        for connection in list(self.connections):
            with suppress(OSError):  # the client was quicker
                # not TLS's own shutdown: that one takes the state away from the thread that reads
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is None or isinstance(error, (ConnectionError, ssl.SSLError)):
            return  # a client that went away, or does not trust the certificate, is no error
        super().handle_error(request, client_address)  # prints it, in case the test fails for another reason
        self.emulator.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def answer(self) -> None:
        emulator = self.server.emulator
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path.removeprefix(emulator.prefix),
            target=self.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers=CaseInsensitiveDict(self.headers.items()),
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            time=emulator.now(),
        )
        reply = emulator.exchange(request)
        while reply.until is not None and not reply.until.is_set() and not emulator.closing.is_set():
            reply.until.wait(0.02)
        if reply.line == "whole":
            request.status = reply.status  # before sending: the client may look at it at once
            self._send(reply)
        else:
            self._break_off(reply)
        emulator.watch(request)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = answer  # noqa: N815 - http.server's names

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        if reply.sent is not None:
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: reply.sent])

    def _break_off(self, reply: Reply) -> None:
        self.close_connection = True
        if reply.line == "reset":
            # no lingering and no shutdown first: the peer gets a reset, not an orderly end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: `Emulator.requests` is the log."""
