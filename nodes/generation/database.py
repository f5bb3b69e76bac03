"""The journal's database: opened so that several processes write it, and that what is written is safe."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from . import postgresql
from .credentials import redact
from .errors import JournalUnavailable

DATABASE_URL: Final = "LUMA_RAY_DATABASE_URL"
"""Environment variable: one database for several ComfyUI workers instead of the local file."""

BUSY: Final = 30.0
"""Seconds for which a journal that others hold, or whose server is being restarted, is tried again."""


class Unconfirmed(JournalUnavailable):
    """The line to the server broke off in the middle of a step: whether it was taken, nobody here can say."""


_P = ParamSpec("_P")
_T = TypeVar("_T")


def again(step: Callable[_P, _T]) -> Callable[_P, _T]:
    """*step*, which may be taken twice and says the same both times: where the line breaks in its middle, it is."""

    @wraps(step)
    def taken(*given: _P.args, **named: _P.kwargs) -> _T:
        until = time.monotonic() + BUSY
        for _ in range(2):
            try:
                return step(*given, **named)
            except Unconfirmed:
                if time.monotonic() > until:
                    raise
        return step(*given, **named)

    return taken


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
        """One step for every process that shares the database. A reader may not write in it.

        Raises Unconfirmed where the step may have been taken all the same.
        """
        watch = postgresql.Watch()
        try:
            with ExitStack() as stack:
                stack.callback(watch.end)
                engine = self._opened(watch)
                # Only the beginning is repeated: nothing has been done by then.
                yield patiently(
                    lambda: stack.enter_context(_begun(engine, watch, writes=writes)),
                    partial(postgresql.passing, writes=writes) if _shared(engine) else _locked,
                )
        except (sa.exc.SQLAlchemyError, OSError, UnicodeError) as error:
            raise self._unusable(error, watch) from None

    def _unusable(self, error: Exception, watch: postgresql.Watch) -> JournalUnavailable:
        cause = redact(" ".join(str(getattr(error, "orig", None) or error).split())).rstrip(".")
        for secret in _secrets(sa.make_url(self.url)):
            cause = cause.replace(secret, "***")
        if watch.cut:
            cause = f"it did not answer for {postgresql.ANSWER:.0f} seconds"
        elif isinstance(error, sa.exc.TimeoutError):
            cause = "other generations of this process keep it busy"
        broken = getattr(error, "connection_invalidated", False)
        return (Unconfirmed if broken else JournalUnavailable)(
            f"The journal of purchases ({_place(self.url)}) cannot be used: {cause}. Without it nothing is bought."
        )

    def _opened(self, watch: postgresql.Watch) -> sa.Engine:
        # Not for ever: each who waits here would try for as long again as the one before.
        if not self._opening.acquire(timeout=BUSY):
            raise JournalUnavailable(
                f"The journal of purchases ({_place(self.url)}) could not be opened. Without it nothing is bought."
            )
        try:
            if self._engine is None:
                try:
                    self._engine = opened(self.url, self._tables, watch)
                    weakref.finalize(self, self._engine.dispose)
                except ImportError as error:
                    package = "psycopg[binary]" if error.name in (None, "psycopg") else error.name
                    raise JournalUnavailable(
                        f"{DATABASE_URL} names a database that needs the Python package {package!r}, and it "
                        "is not installed. Without the journal nothing is bought."
                    ) from None
                except (sa.exc.ArgumentError, ValueError):  # their texts quote the URL with its password
                    raise JournalUnavailable(
                        f"{DATABASE_URL} is not a database URL as SQLAlchemy knows them, or its driver is "
                        "unknown. Without the journal nothing is bought."
                    ) from None
            return self._engine
        finally:
            self._opening.release()


def opened(named: str | sa.URL, tables: sa.MetaData, watch: postgresql.Watch) -> sa.Engine:
    """The database *named*, with its tables, made where it is new. Raises what SQLAlchemy raises."""
    url = postgresql.named(sa.make_url(named))
    kind = url.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise JournalUnavailable(
            f"{DATABASE_URL} names a database of the kind {kind!r}, and the journal is kept in PostgreSQL or SQLite "
            "only. Without it nothing is bought."
        ) from None
    engine = postgresql.connected(url) if kind == "postgresql" else _file(url)
    with ExitStack() as failing:
        failing.callback(engine.dispose)
        with ExitStack() as stack:
            connection = patiently(lambda: stack.enter_context(_begun(engine, watch, writes=True)))
            if kind == "postgresql":
                postgresql.check(connection)
            _bring_up(tables, connection)
        failing.pop_all()
    return engine


def _file(url: sa.URL) -> sa.Engine:
    """A file of SQLite's."""
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

    return engine


def _shared(engine: sa.Engine) -> bool:
    return engine.dialect.name == "postgresql"


@contextmanager
def _begun(engine: sa.Engine, watch: postgresql.Watch, *, writes: bool) -> Iterator[sa.Connection]:
    """A transaction on a connection of its own."""
    options = postgresql.options(writes=writes) if _shared(engine) else {}
    options |= {"writes": writes, "watch": watch}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def _bring_up(tables: sa.MetaData, connection: sa.Connection) -> None:
    """Make the tables that are missing, and in those of an older version the columns and indexes that are."""
    tables.create_all(connection)
    there = sa.inspect(connection)
    for table in tables.sorted_tables:
        known = {column["name"] for column in there.get_columns(table.name)}
        fast = {index["name"] for index in there.get_indexes(table.name)}
        for column in table.columns:
            if column.name not in known:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")
        for index in table.indexes:
            if index.name not in fast and not index.unique:
                index.create(connection)


def _locked(error: sa.exc.OperationalError) -> bool:
    return "locked" in str(error.orig)


def patiently(
    begin: Callable[[], sa.Connection],
    passing: Callable[[sa.exc.OperationalError], bool] = _locked,
) -> sa.Connection:
    """A transaction that has begun, however busy the database is: what is *passing* is waited for.

    SQLite's own busy_timeout does not cover the change to WAL in a new file, nor the moment in which the last
    connection of another process closes: both answer "locked" at once. Without this a job that was just paid
    could not be recorded.
    """
    until, pause = time.monotonic() + BUSY, 0.02
    while True:
        try:
            return begin()
        except sa.exc.OperationalError as error:
            if not passing(error) or time.monotonic() > until:
                raise
            time.sleep(pause)
            pause = min(1.5 * pause, 0.2)


def _place(url: str | sa.URL) -> str:
    """The database for people."""
    told = sa.make_url(url).set(query={})
    # Where a password with an @ was not written as %40, the rest of it is taken for the host's name.
    return told.set(host=told.host and told.host.rpartition("@")[2]).render_as_string(hide_password=True)


def _secrets(url: sa.URL) -> list[str]:
    """What a driver may quote of *url* and nobody may read: also a password that stands in a wrong place."""
    values = [
        str(value) for name, value in url.query.items() if name not in ("host", "hostaddr", "port", "dbname")
    ]
    names = [name for name in url.query if not name.replace("_", "").isalpha()]
    return [
        secret for secret in (url.password, (url.host or "").rpartition("@")[0], *values, *names) if secret
    ]
