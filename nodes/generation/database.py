"""The journal's database: how a file is opened that several processes write, so that what is written is safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from .credentials import redact
from .errors import JournalUnavailable

DATABASE_URL: Final = "LUMA_RAY_DATABASE_URL"
"""Environment variable: one database for several ComfyUI workers instead of the local file."""

BUSY: Final = 30.0
"""Seconds for which a journal that other processes hold is tried again."""

_WRITERS: Final = 0x4C756D61
"""Name of the lock that writers of a shared PostgreSQL hold."""


class Database:
    """The tables in one database, opened when they are first used. Safe between threads and processes.

    Raises JournalUnavailable when it cannot be used.
    """

    def __init__(self, url: str | sa.URL, tables: sa.MetaData) -> None:
        self.url = url
        self._tables = tables
        self._engine: sa.Engine | None = None
        self._opening = threading.Lock()

    @contextmanager
    def transaction(self, *, writes: bool = False) -> Iterator[sa.Connection]:
        """One step for every process that shares the database. A reader may not write in it."""
        try:
            engine = self._opened().execution_options(writes=writes)
            with ExitStack() as stack:
                # Only the beginning is repeated: nothing has been done by then.
                yield patiently(lambda: stack.enter_context(engine.begin()))
        except (sa.exc.SQLAlchemyError, OSError) as error:
            cause = redact(str(getattr(error, "orig", None) or error))
            raise JournalUnavailable(
                f"The journal of purchases ({_place(self.url)}) cannot be used: {cause}. "
                "Without it nothing is bought."
            ) from None

    def _opened(self) -> sa.Engine:
        with self._opening:
            if self._engine is None:
                try:
                    self._engine = opened(self.url, self._tables)
                except ImportError as error:
                    raise JournalUnavailable(
                        f"{DATABASE_URL} names a database that needs the Python package {error.name!r}, and it "
                        "is not installed. Without the journal nothing is bought."
                    ) from None
                except (sa.exc.ArgumentError, ValueError):  # their texts quote the URL with its password
                    raise JournalUnavailable(
                        f"{DATABASE_URL} is not a database URL as SQLAlchemy knows them, or its driver is "
                        "unknown. Without the journal nothing is bought."
                    ) from None
            return self._engine


def opened(named: str | sa.URL, tables: sa.MetaData) -> sa.Engine:
    """The database *named*, with its tables, made where it is new. Raises what SQLAlchemy raises."""
    url = sa.make_url(named)
    if url.get_backend_name() != "sqlite":
        engine = sa.create_engine(url, pool_pre_ping=True)

        @sa.event.listens_for(engine, "begin")
        def _one_writer(connection: sa.Connection) -> None:
            # What a writer reads stays true until it has written: counting and inserting are one step.
            if url.get_backend_name() == "postgresql" and connection.get_execution_options().get("writes"):
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")

        with engine.execution_options(writes=True).begin() as connection:
            _bring_up(tables, connection)
        return engine
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A connection per transaction: threads never share one, and none is left open when ComfyUI ends.
    engine = sa.create_engine(url, poolclass=NullPool)

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # sqlite3's own BEGIN comes too late for `writes` below
        for pragma in ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes the lock before it reads, so check-then-insert is one step for every process.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
        if not writes:
            # BEGIN alone looks at nothing: whatever is locked shows here, where it can be waited for.
            connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1")

    with ExitStack() as stack:
        writer = engine.execution_options(writes=True)
        _bring_up(tables, patiently(lambda: stack.enter_context(writer.begin())))
    return engine


def _bring_up(tables: sa.MetaData, connection: sa.Connection) -> None:
    """Make the tables that are missing, and in those of an older version the columns that are."""
    tables.create_all(connection)
    there = sa.inspect(connection)
    for table in tables.sorted_tables:
        known = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")


def patiently(begin: Callable[[], sa.Connection]) -> sa.Connection:
    """A transaction that has begun, however busy the file is.

    SQLite's own busy_timeout does not cover the change to WAL in a new file, nor the moment in which the last
    connection of another process closes: both answer "locked" at once. Without this a job that was just paid
    could not be recorded.
    """
    until = time.monotonic() + BUSY
    while True:
        try:
            return begin()
        except sa.exc.OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _place(url: str | sa.URL) -> str:
    """The database for people: no password."""
    return sa.make_url(url).render_as_string(hide_password=True)
