"""A PostgreSQL of the tests' own, gone with their session, and a line to it that breaks where a test wants it to."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "hunter2-of-the-database"
"""In every URL, to be looked for where it must not be; the server lets everybody in."""
COMMIT = "COMMIT\0"
"""As it goes over a line; without its end it is also in "READ COMMITTED"."""
PLACES = (
    "usr/lib/postgresql/*/bin",  # Debian
    "usr/pgsql-*/bin",  # Red Hat
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)
STARTS = 30.0
"""Seconds that a server may take to start, or to stop."""
MEMORY = Path("/dev/shm")
ROOM = 1 << 29
"""Bytes that have to be free there."""
SERVED = """
folder=$1; shift
"$@" </dev/null &
read -r _
kill -QUIT $!
wait
rm -rf "$folder"
"""
"""Runs a server until nobody holds the other end of its input any more: also when the tests are killed."""


def programs() -> Path | None:
    """The folder of PostgreSQL's server programs: what is on the path, else the newest that is installed."""
    initdb = shutil.which("initdb")
    places = [Path(initdb).resolve().parent] if initdb else []
    for place in PLACES:
        places += sorted(Path("/").glob(place), key=_version, reverse=True)
    return next((place for place in places if (place / "postgres").exists()), None)


def missing() -> str:
    """Why there can be no server on this machine; empty where there can."""
    if sys.platform == "win32":
        return "the tests' PostgreSQL is reached by a Unix socket"
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed"
    return "" if programs() else "no PostgreSQL server binaries on this machine"


def _version(place: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(place))]


class Server:
    """PostgreSQL on a socket in a temporary folder. It forgets what the power would have to be cut for."""

    def __init__(self) -> None:
        # Its path is short, since that of a socket has a hundred characters.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-pg-", dir=MEMORY if _room() else None))
        self.log = self.folder / "log"
        self._names = (f"t{number}" for number in count(1))
        who = _somebody(self.folder) if os.geteuid() == 0 else {}
        data = self.folder / "data"
        place = programs()
        assert place is not None, missing()
        terms = ["-A", "trust", "-U", "ray", "-E", "UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [place / "initdb", f"--pgdata={data}", *terms],
            capture_output=True,
            text=True,
            cwd=self.folder,
            **who,
        )
        assert made.returncode == 0, made.stderr
        settings = {
            "fsync": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            "max_wal_size": "64MB",
        }
        told = [f"-c{name}={value}" for name, value in settings.items()]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", SERVED, "sh", self.folder, place / "postgres", "-D", data, *told],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder.parent,
                start_new_session=True,  # what ends the tests at the keyboard does not end it before them
                **who,
            )
        self.admin = self._awaited()
        """A connection of the owner's, outside of what is tested."""

    def _awaited(self) -> Any:
        import psycopg

        until = time.monotonic() + STARTS
        while True:
            try:
                return psycopg.connect(host=str(self.folder), user="ray", dbname="postgres", autocommit=True)
            except psycopg.OperationalError:
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.02)

    def stop(self) -> None:
        """End it, and remove all there is of it."""
        self.admin.close()
        self.process.stdin.close()
        self.process.wait(STARTS)

    def journal(self, *, database: str = "postgres", **settings: str) -> str:
        """The URL of a new and empty place for a journal; *settings* are the server's for who connects with it."""
        name = next(self._names)
        with self.connected(database) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return self.url(database=database, search_path=name, **settings)

    def url(self, *, database: str = "postgres", user: str = "ray", **settings: str) -> str:
        """A URL with a password, as the environment would name it."""
        import sqlalchemy as sa  # not before a server is asked for: conftest imports this module

        told = " ".join(f"-c{name}={value}".replace(" ", r"\ ") for name, value in settings.items())
        return sa.URL.create(
            "postgresql+psycopg",
            username=user,
            password=PASSWORD,
            database=database,
            query={"host": str(self.folder), "options": told},
        ).render_as_string(hide_password=False)

    def database(self, *terms: str) -> str:
        """The name of a new database, made with *terms*."""
        name = next(self._names)
        self.admin.execute(f"CREATE DATABASE {name} {' '.join(terms)}")
        return name

    def connected(self, database: str = "postgres") -> Any:
        """Another connection of the owner's."""
        import psycopg

        return psycopg.connect(host=str(self.folder), user="ray", dbname=database, autocommit=True)

    def clients(self) -> list[int]:
        """The server's numbers of those who use journals now."""
        found = "SELECT pid FROM pg_stat_activity WHERE application_name = 'luma-ray'"
        return [pid for (pid,) in self.admin.execute(found)]

    def hang_up(self) -> None:
        """End the connections of all who use journals, whatever they are doing."""
        gone = set(self.clients())
        self.admin.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [list(gone)])
        while gone & set(self.clients()):
            time.sleep(0.005)


def _room() -> bool:
    """Whether there is memory for it in place of a disk: nothing of it is to last."""
    return MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM


def _somebody(folder: Path) -> dict[str, Any]:
    """An account without rights, which a PostgreSQL insists on, and which *folder* is given to."""
    import pwd

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            os.chown(folder, account.pw_uid, account.pw_gid)
            return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return pytest.skip("no account that a PostgreSQL could run as on this machine")


class Line:
    """A port on loopback that leads to the server, until something happens on the way.

    `breaks` is taken up once, by the next client that says its words:

    - "lost": the server never hears them, and both hear that the other is gone;
    - "unanswered": the server does what they say, and its answer is lost;
    - "silent": nobody hears anything any more.
    """

    def __init__(self, server: Server) -> None:
        self._server = str(server.folder / ".s.PGSQL.5432")
        self._breaks: tuple[bytes, str] | None = None
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self.deaf = False
        """Whether who connects hears nothing at all."""
        self.broken = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._begin()

    def through(self, url: str) -> str:
        """*url*, by way of this line."""
        import sqlalchemy as sa

        made = sa.make_url(url)
        led = made.set(host="127.0.0.1", port=self.port).difference_update_query(["host"])
        return led.render_as_string(hide_password=False)

    def breaks(self, words: str, how: str) -> None:
        """What happens to the next client that says *words*."""
        self.broken.clear()
        self._breaks = (words.encode(), how)

    def down(self) -> None:
        """As a server that is being restarted: nobody answers, and who was connected is not any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or the thread that accepts would keep it open
        self._listener.close()
        self._hang_up()

    def up(self) -> None:
        """It is there again, on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._begin()

    def close(self) -> None:
        """End everything."""
        self.down()

    def _hang_up(self) -> None:
        with self._lock:
            ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _begin(self) -> None:
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                with self._lock:
                    self._ends += [client, server]
                if self.deaf:
                    continue
                server.connect(self._server)
                lost = threading.Event()
                for pump in (self._to_server, self._to_client):
                    threading.Thread(target=pump, args=[client, server, lost], daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while said := client.recv(65536):
                how = self._broken_by(said)
                if how == "silent":
                    lost.set()
                    return
                if how == "lost":
                    break
                if how == "unanswered":
                    lost.set()
                server.sendall(said)
        if not lost.is_set():
            _ended(client, server)

    def _to_client(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while (said := server.recv(65536)) and not lost.is_set():
                client.sendall(said)
        _ended(client, server)

    def _broken_by(self, said: bytes) -> str:
        with self._lock:
            if self._breaks is None or self._breaks[0] not in said:
                return ""
            (_, how), self._breaks = self._breaks, None
        self.broken.set()
        return how


def _ended(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
