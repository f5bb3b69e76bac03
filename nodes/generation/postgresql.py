"""A PostgreSQL that several ComfyUI workers share: how it is reached, and for how long it is waited for."""

from __future__ import annotations

import importlib.util
import socket
import threading
from contextlib import suppress
from typing import Any, Final

import sqlalchemy as sa

from .errors import JournalUnavailable

CONNECT: Final = 10
"""Whole seconds for a server to take a connection and sign it in."""
BUSY: Final = 30.0
"""Seconds for which one worker waits for what another one holds."""
STATEMENT: Final = 40.0
"""Seconds after which the server itself gives up one statement."""
IDLE: Final = 20.0
"""Seconds after which the server ends a worker that stopped in the middle of a step, as a sleeping laptop does.

Less than BUSY: those who wait for what it holds still get it.
"""
ANSWER: Final = 60.0
"""Seconds after which a server that does not even give up is left: nothing else ends the wait for one that hangs."""
MOST: Final = 8
"""Connections of one process at a time: a PostgreSQL as it comes has a hundred for everybody."""
KEPT: Final = 2
"""Of these, how many stay open for the next step; a new one takes ten times as long as a step."""
OLD: Final = 60
"""Seconds after which one is not used any more: routers forget lines on which nothing was said for minutes."""

_WRITERS: Final = 0x4C756D61
"""Name of the lock that writers hold."""
_LIBPQ: Final = ("psycopg", "psycopg2")
"""Drivers that take the settings of PostgreSQL's own library."""
_WHOLE: Final = ("UTF8", "SQL_ASCII")
"""Encodings that hold every text: the second takes bytes as they come."""


def named(url: sa.URL) -> sa.URL:
    """*url* as database services hand it out, without a driver, with the one that is there."""
    if url.drivername not in ("postgres", "postgresql"):
        return url
    old = importlib.util.find_spec("psycopg") is None and importlib.util.find_spec("psycopg2") is not None
    return url.set(drivername="postgresql+psycopg2" if old else "postgresql+psycopg")


def connected(url: sa.URL) -> sa.Engine:
    """The database at *url*. Raises what SQLAlchemy raises, and ImportError where the driver is missing."""
    settings: dict[str, Any] = {}
    if url.get_driver_name() in _LIBPQ:
        usual: dict[str, Any] = {"connect_timeout": CONNECT, "application_name": "luma-ray"}
        settings = {name: value for name, value in usual.items() if name not in url.query}
        settings["client_encoding"] = "utf8"  # or a database without an encoding answers in bytes
    if url.get_driver_name() == "psycopg":
        settings["prepare_threshold"] = None  # what is prepared may be lost in a pooler
    engine = sa.create_engine(
        url,
        pool_size=KEPT,
        max_overflow=MOST - KEPT,
        pool_timeout=BUSY,
        pool_recycle=OLD,
        pool_use_lifo=True,
        # Whatever the server's own default is: a writer has to see what was written while it waited for the lock.
        isolation_level="READ COMMITTED",
        connect_args=settings,
    )

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        options["watch"].begin(connection.connection.dbapi_connection)
        connection.exec_driver_sql(_terms())
        if options["writes"]:
            # What a writer reads stays true until it has written: counting and inserting are one step.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")

    return engine


def options(*, writes: bool) -> dict[str, Any]:
    """How a step is taken: a reader sees one moment, as it does in SQLite, and cannot write."""
    return {} if writes else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def check(connection: sa.Connection) -> None:
    """Raise JournalUnavailable where something could not be recorded after it was paid."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding not in _WHOLE:
        raise JournalUnavailable(
            f"The database for the journal of purchases is encoded as {encoding}, which does not hold every text. "
            "Make one with ENCODING 'UTF8'. Without the journal nothing is bought."
        )


def passing(error: sa.exc.OperationalError, *, writes: bool) -> bool:
    """Whether a step that could not begin may begin in a moment.

    A connection that was closed meanwhile is no reason to fail. A reader whose server is gone had better say so; a
    writer may have paid for what it writes, and servers are restarted.
    """
    return writes or error.connection_invalidated


def _terms() -> str:
    """For this step only: a connection may be somebody else's afterwards, where a pooler stands in between."""
    seconds = {
        "lock_timeout": BUSY,
        "statement_timeout": STATEMENT,
        "idle_in_transaction_session_timeout": IDLE,
    }
    terms = [f"set_config('{name}', '{value * 1000:.0f}ms', true)" for name, value in seconds.items()]
    # What is recorded is on the server's disk, also where the owner of the server asks for less by default.
    durable = (
        "current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true)"
    )
    return f"SELECT {', '.join(terms)}, CASE WHEN {durable} END"


class Watch:
    """Cuts the line to a server that says nothing at all: no driver ends such a wait by itself."""

    def __init__(self) -> None:
        self.cut = False
        """Whether it came to that."""
        self._line: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self._ending = threading.Lock()

    def begin(self, connection: Any) -> None:
        """From now on *connection*, of whatever driver, has ANSWER seconds."""
        self.end()
        with suppress(Exception):  # a driver without it; a line that is dead, which the first statement says
            # Our own number for the socket: the driver's may be another file's by the time it is needed.
            self._line = socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
            self._timer = threading.Timer(ANSWER, self._cut)
            self._timer.daemon = True
            with suppress(RuntimeError):  # Python is ending, and begins no thread any more
                self._timer.start()

    def _cut(self) -> None:
        with self._ending:
            if self._line is not None:
                self.cut = True
                with suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """The connection is used no more."""
        if self._timer is not None:
            self._timer.cancel()
        with self._ending:
            if self._line is not None:
                self._line.close()
            self._line = None
