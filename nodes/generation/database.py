"""The journal's database: how a file is opened that several processes write, so that what is written is safe."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

BUSY: Final = 30.0
"""Seconds for which a journal that other processes hold is tried again."""


def opened(named: str | sa.URL, tables: sa.MetaData) -> sa.Engine:
    """The database *named*, with its tables, made where it is new. Raises what SQLAlchemy raises."""
    url = sa.make_url(named)
    if url.get_backend_name() != "sqlite":
        engine = sa.create_engine(url, pool_pre_ping=True)
        tables.create_all(engine)
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
        tables.create_all(patiently(lambda: stack.enter_context(writer.begin())))
    return engine


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
