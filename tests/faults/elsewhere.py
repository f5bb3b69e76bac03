"""Purchases in processes of their own, which end or run out of disk at any moment.

`Elsewhere` keeps one process that has imported everything; each purchase is a fork of it, and so takes milliseconds.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
_LONGEST = 60.0
"""Real seconds for one purchase."""


@dataclass(frozen=True)
class Order:
    """One purchase in a process of its own."""

    provider: str
    folder: str
    environment: Mapping[str, str]
    now: float
    prompt: str
    picture: bool = False
    fate: str = ""
    """killed: at the event *at*. full: from it on no file can grow."""
    at: int = -1
    processes: int = 1
    """So many at the same moment."""


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    code: int
    """As of `subprocess`: negative for a signal."""
    events: Sequence[str] = ()
    """What it did that others can see: connections, transactions, files, words for the person."""
    clip: str = ""
    error: str = ""


class Elsewhere:
    """Use it with `with`."""

    def __enter__(self) -> Elsewhere:  # noqa: PYI034 - Python 3.10 has no Self
        self._parent = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            cwd=TESTS,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.close()
        self._parent.wait(10)
        self._parent.stdout.close()

    def buy(self, order: Order) -> list[Outcome]:
        """Let it happen, and wait until all processes have ended."""
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps(asdict(order)) + "\n")
        self._parent.stdin.flush()
        return [Outcome(**told) for told in json.loads(self._parent.stdout.readline())]


# -- in the other process ---------------------------------------------------------------------------------------


@dataclass
class _Fate:
    """What is noted, and what happens then."""

    order: Order
    events: list[str] = field(default_factory=list)

    def __call__(self, event: str) -> None:
        if len(self.events) == self.order.at:
            self.meet()
        self.events.append(event)

    def meet(self) -> None:
        if self.order.fate == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.order.fate == "full":
            import resource

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails, as on a full disk
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))

    def audit(self, event: str, given: tuple[Any, ...]) -> None:
        """For `sys.addaudithook`."""
        named = {"socket.connect": "connect", "sqlite3.connect": "journal", "os.rename": "rename"}.get(
            event, ""
        )
        if event == "open" and isinstance(given[0], str) and ".arriving-" in given[0]:
            named = "open"
        if named:
            self(named)


def _bought(order: Order, number: int) -> None:
    """In a fork: buy, and leave word of it."""
    from fakes import FakeClock
    from luma_ray.nodes.generation import journal, owner
    from luma_ray.nodes.generation.credentials import Credentials
    from luma_ray.nodes.generation.errors import GenerationError
    from luma_ray.nodes.generation.journal import Journal
    from luma_ray.nodes.generation.library import Library
    from luma_ray.nodes.generation.lifecycle import Lifecycle
    from luma_ray.nodes.media import clips

    from faults.world import BY_NAME, a_clip

    own = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    owner.OWN = journal.OWN = own  # as if this process had imported them
    os.environ.update(order.environment)
    fate, clock, folder = _Fate(order), FakeClock(order.now), Path(order.folder)
    lifecycle = Lifecycle(
        journal=Journal(f"sqlite:///{folder / 'journal.db'}", now=clock.now),
        library=Library(folder / "clips"),
        credentials=Credentials(folder),
        providers=[BY_NAME[order.provider]],
        hosts=[],
        inspect=clips.inspect,
    )
    request = a_clip(BY_NAME[order.provider], order.prompt, picture=order.picture)
    sys.addaudithook(fate.audit)
    told: dict[str, Any] = {}
    try:
        clip = lifecycle.generate(
            request, order.provider, clock=clock, report=lambda words, fraction=None: fate("report")
        )
        told["clip"] = str(clip.path)
    except GenerationError as error:
        told["error"] = f"{type(error).__name__}: {error}"
    events = list(fate.events)
    if order.fate == "full":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    (folder / f"outcome-{number}.json").write_text(json.dumps({**told, "events": events}))


def _forked(order: Order) -> list[dict[str, Any]]:
    ready, go = os.pipe()
    children = []
    for number in range(order.processes):
        child = os.fork()
        if not child:
            code = 70
            try:
                os.close(go)
                os.read(ready, 1)  # until all are there
                _bought(order, number)
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
                raise
            finally:
                os._exit(code)
        children.append(child)
    os.close(ready)
    os.close(go)
    outcomes = []
    until = time.monotonic() + _LONGEST
    for number, child in enumerate(children):
        status: int | None = None
        while status is None:
            ended, told = os.waitpid(child, os.WNOHANG)
            if ended:
                status = os.waitstatus_to_exitcode(told)
            elif time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
            else:
                time.sleep(0.002)
        word = Path(order.folder) / f"outcome-{number}.json"
        outcomes.append({"code": status, **(json.loads(word.read_text()) if word.exists() else {})})
        word.unlink(missing_ok=True)
    return outcomes


def main() -> None:
    """Serve orders, one a line."""
    sys.path.insert(0, str(TESTS))
    import conftest  # noqa: F401 - the pack under its name
    import contracts  # noqa: F401 - and everything else that a purchase needs

    import faults.world  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(_forked(Order(**json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
