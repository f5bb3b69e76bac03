"""A proxy on loopback that does to each request what the request's own `X-Fault` header says.

It decides nothing itself, so that many threads can use it and a schedule still knows what happened to whom. `wire.py`
writes the header. Without one the request goes through and its answer comes back as it is.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HEADER = b"x-fault"
_LONGEST_REAL = 10.0
"""Seconds after which a connection that nobody ends is a mistake in a test."""

PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body><h1>Welcome to the hotel</h1></body></html>"


@dataclass
class Message:
    """One request or answer: its first line with the headers, and its body."""

    head: bytes = b""
    body: bytes = b""

    @property
    def line(self) -> str:
        """The first line."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    def header(self, name: bytes) -> bytes:
        """The value of a header; empty where it is not there."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name:
                return value.strip()
        return b""

    def without(self, *names: bytes) -> Message:
        """The same without these headers."""
        first, *rest = self.head.split(b"\r\n")
        kept = [line for line in rest if line.partition(b":")[0].strip().lower() not in names]
        return Message(b"\r\n".join([first, *kept]), self.body)

    def adding(self, name: bytes, value: bytes) -> Message:
        """The same with one more header."""
        return Message(self.head + b"\r\n" + name + b": " + value, self.body)

    @property
    def raw(self) -> bytes:
        """As it goes over the line."""
        return self.head + b"\r\n\r\n" + self.body


def answer(status: int, body: bytes, kind: str = "application/json", **headers: str) -> Message:
    """An answer of the proxy's own making."""
    lines = [f"HTTP/1.1 {status} Because", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Message("\r\n".join([*lines, "Connection: close"]).encode(), body)


@dataclass
class Exchange:
    """One request at the proxy and what came back from the emulator."""

    fault: str
    asked: Message
    answered: list[Message] = field(default_factory=list)


class Proxy:
    """The proxy. *upstream* is the emulator's port; start it with `with`."""

    def __init__(self, upstream: Callable[[], int]) -> None:
        self.upstream = upstream
        self.exchanges: list[Exchange] = []
        """Everything that passed."""
        self.late: list[Message] = []
        """Requests that are on their way still, while the client believes that they are lost."""
        self.stale: dict[str, Message] = {}
        """For "answered for another": an old answer, by the word behind the fault's colon."""
        self.dripping: Callable[[], None] = lambda: None
        """Called before each piece of an answer that comes in pieces: time passes meanwhile."""
        self.errors: list[BaseException] = []
        self._listening = socket.socket()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Proxy:  # noqa: PYI034 - Python 3.10 has no Self
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(128)
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with suppress(OSError):  # wakes the thread that accepts
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()
        assert not self.errors, self.errors

    @property
    def origin(self) -> str:
        """Such as `http://127.0.0.1:9000`."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    @property
    def netloc(self) -> str:
        """The same without its scheme."""
        return urlsplit(self.origin).netloc

    def deliver(self) -> int:
        """Let the requests that are on their way arrive. Returns how many there were."""
        with self._lock:
            late, self.late = self.late, []
        for message in late:
            self._forward(message)
        return len(late)

    # -- connections --------------------------------------------------------------------------------------

    def _start(self, work: Callable[..., None], *given: object) -> None:
        thread = threading.Thread(target=work, args=given, name="fault proxy")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_LONGEST_REAL)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with closing(connection):
            try:
                self._exchange(connection)
            except (ConnectionError, TimeoutError):
                pass  # a client that went away is no error
            except BaseException as error:  # noqa: BLE001 - raised again where the proxy is closed
                self.errors.append(error)

    def _exchange(self, connection: socket.socket) -> None:
        head = _peeked(connection)
        if not head:
            return
        fault = Message(head).header(HEADER).decode()
        if fault == "reset unread":
            _reset(connection)
            return
        asked = _received(connection).without(HEADER, b"connection").adding(b"Connection", b"close")
        exchange = Exchange(fault, asked)
        with self._lock:
            self.exchanges.append(exchange)
        name, _, detail = fault.partition(": ")
        act = getattr(self, "_" + name.replace(" ", "_"), None)
        if act is None:
            raise ValueError(f"no such fault: {fault}")
        act(connection, exchange, detail)

    def _forward(self, asked: Message) -> Message:
        with socket.create_connection(("127.0.0.1", self.upstream()), timeout=_LONGEST_REAL) as onward:
            onward.sendall(asked.raw)
            return _received(onward)

    def _through(self, exchange: Exchange) -> Message:
        reply = self._forward(exchange.asked).without(b"connection").adding(b"Connection", b"close")
        exchange.answered.append(reply)
        return reply

    # -- faults: what happens before an answer --------------------------------------------------------------

    def _(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        connection.sendall(self._through(exchange).raw)

    def _reset_before(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        _reset(connection)

    def _reset_after(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        self._through(exchange)
        _reset(connection)

    def _closed_after(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        self._through(exchange)

    def _silent_before(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        self._hold(connection)

    def _silent_after(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        self._through(exchange)
        self._hold(connection)

    def _delivered_late(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        with self._lock:
            self.late.append(exchange.asked)
        _reset(connection)

    def _delivered_twice(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        self._through(exchange)
        connection.sendall(self._through(exchange).raw)

    # -- faults: an answer that is none of the provider's ---------------------------------------------------

    def _answered(self, connection: socket.socket, exchange: Exchange, detail: str) -> None:
        """By a gateway that did not ask the provider, or (", handled") lost the provider's answer."""
        told, _, handled = detail.partition(", ")
        if handled:
            self._through(exchange)
        connection.sendall(gateway(told, exchange.asked).raw)

    def _answered_for_another(self, connection: socket.socket, exchange: Exchange, step: str) -> None:
        connection.sendall(self.stale[step].raw)

    def _answered_for_another_after(self, connection: socket.socket, exchange: Exchange, step: str) -> None:
        self._through(exchange)
        connection.sendall(self.stale[step].raw)

    def _garbage(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        self._through(exchange)
        connection.sendall(bytes(range(256)) * 4 + b"\r\n\r\n")

    # -- faults: an answer that does not arrive whole -------------------------------------------------------

    def _reset_in_answer(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        _send_half(connection, self._through(exchange))
        _let_read(connection)
        _reset(connection)

    def _cut(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        _send_half(connection, self._through(exchange))

    def _cut_in_head(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        connection.sendall(self._through(exchange).head[:20])

    def _cut_without_length(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        _send_half(connection, self._through(exchange).without(b"content-length"))

    def _length_too_short(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        reply = self._through(exchange)
        half = str(len(reply.body) // 2).encode()
        connection.sendall(reply.without(b"content-length").adding(b"Content-Length", half).raw)

    def _length_too_long(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        reply = self._through(exchange)
        more = str(len(reply.body) + 1000).encode()
        connection.sendall(reply.without(b"content-length").adding(b"Content-Length", more).raw)

    def _two_lengths(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        reply = self._through(exchange)
        both = b"%d, %d" % (len(reply.body), len(reply.body) + 1)
        connection.sendall(reply.without(b"content-length").adding(b"Content-Length", both).raw)

    def _broken_chunks(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        reply = self._through(exchange).without(b"content-length").adding(b"Transfer-Encoding", b"chunked")
        half = reply.body[: len(reply.body) // 2]
        connection.sendall(reply.head + b"\r\n\r\n" + b"%x\r\n%s\r\nno number\r\n" % (len(half), half))

    def _not_really_compressed(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        connection.sendall(self._through(exchange).adding(b"Content-Encoding", b"gzip").raw)

    def _silent_in_answer(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        _send_half(connection, self._through(exchange))
        self._hold(connection)

    def _drip(self, connection: socket.socket, exchange: Exchange, pieces: str) -> None:
        """The answer in so many pieces, with time between them."""
        reply = self._through(exchange)
        size = max(len(reply.body) // int(pieces), 1)
        connection.sendall(reply.head + b"\r\n\r\n")
        for begin in range(0, len(reply.body), size):
            self.dripping()
            connection.sendall(reply.body[begin : begin + size])
            _let_read(connection)

    def _drip_for_ever(self, connection: socket.socket, exchange: Exchange, _: str) -> None:
        """A body that is announced as large and comes byte by byte, until the client has had enough."""
        reply = self._through(exchange).without(b"content-length").adding(b"Content-Length", b"1000000000")
        connection.sendall(reply.head + b"\r\n\r\n")
        until = time.monotonic() + _LONGEST_REAL
        for byte in itertools.cycle(reply.body):
            if time.monotonic() > until or self._closing.is_set():
                return
            self.dripping()
            connection.sendall(bytes([byte]))
            time.sleep(0.005)

    def _hold(self, connection: socket.socket) -> None:
        """Say nothing until the client has had enough."""
        until = time.monotonic() + _LONGEST_REAL
        connection.settimeout(0.01)
        while time.monotonic() < until and not self._closing.is_set():
            try:
                if not connection.recv(65536):
                    return
            except TimeoutError:
                continue
        if not self._closing.is_set():
            raise AssertionError("a client waits longer than any test should")


def gateway(told: str, asked: Message) -> Message:
    """What something between the pack and the provider answers in its place, by a short name."""
    status, _, kind = told.partition(" ")
    if not status.isdecimal():
        return answer(200, {"nothing": b"", "null": b"null", "a list": b"[]", "a number": b"7"}[told])
    code = int(status)
    match kind:
        case "page":
            return answer(code, PAGE, "text/html; charset=utf-8")
        case "elsewhere":
            return Message(answer(code, PAGE, "text/html", Location="http://127.0.0.1:9/login").head, PAGE)
        case "soon":
            return answer(code, b'{"detail": "later"}', Retry_After="7")
        case "next year":
            return answer(code, b'{"detail": "later"}', Retry_After="31536000")
        case "quoting":
            return answer(code, quoting(asked))
        case "":
            return answer(code, b'{"detail": "Because", "message": "Because", "title": "Because"}')
    raise ValueError(f"no such answer: {told}")


def quoting(asked: Message) -> bytes:
    """An error that quotes the key it was asked with, and signed addresses: some services do."""
    keys = [asked.header(name).decode() for name in (b"authorization", b"x-api-key", b"x-luma-api-key")]
    quoted = " ".join(key for key in keys if key)
    words = f"{quoted} may not; https://storage.test/a.mp4?signature=secret-7 either"
    escaped = words.replace('"', "'")
    return (f'{{"detail": "{escaped}", "message": "{escaped}", "title": "{escaped}", "code": 400}}').encode()


def _peeked(connection: socket.socket) -> bytes:
    """The request's head, which stays unread: a reset now is one of a peer that never looked."""
    while True:
        seen = connection.recv(65536, socket.MSG_PEEK)
        head, end, _ = seen.partition(b"\r\n\r\n")
        if end or not seen:
            return head if end else b""
        time.sleep(0.0005)


def _received(connection: socket.socket) -> Message:
    """One whole message: its body ends where its length says, or with the connection."""
    content = b""
    while b"\r\n\r\n" not in content:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionResetError("it ended before its head was whole")
        content += piece
    head, _, rest = content.partition(b"\r\n\r\n")
    message = Message(head)
    bare = message.line.startswith("HTTP/") and message.line.split()[1] in ("204", "304")
    length = message.header(b"content-length")
    pieces = [rest]
    left = 0 if bare else int(length or 0) - len(rest)
    while left > 0:
        piece = connection.recv(min(left, 1 << 20))
        if not piece:
            raise ConnectionResetError("it ended before its body was whole")
        pieces.append(piece)
        left -= len(piece)
    return Message(head, b"".join(pieces))


def _send_half(connection: socket.socket, reply: Message) -> None:
    connection.sendall(reply.head + b"\r\n\r\n" + reply.body[: len(reply.body) // 2])


def _let_read(connection: socket.socket) -> None:
    """Give what was sent the time to arrive: a reset throws away what the peer has not read."""
    time.sleep(0.001)


def _reset(connection: socket.socket) -> None:
    """End without a farewell: no lingering, so the peer gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
