"""Every fault at every step of a purchase, at providers of every kind; as a script it prints the table.

python tests/faults/table.py            what `make test` goes through
python tests/faults/table.py --all      everything
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import conftest  # noqa: F401 - the pack under its name

from emulators.server import FileHost
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.finishing import Clip

from faults.ground import empty
from faults.wire import Ask, Plan, nothing
from faults.world import EARLIER, World, opened

STEPS = {
    "luma": ("create", "first poll", "later poll", "download", "list"),
    "comfy_router": (
        *("price", "upload", "create", "re-send", "first poll", "later poll", "result", "download", "cancel"),
    ),
    "replicate": ("upload", "create", "first poll", "later poll", "download", "cancel", "list"),
    "wavespeed": (
        *("price", "upload", "create", "first poll", "later poll", "bill", "download", "cancel", "list"),
    ),
    "fal": ("create", "first poll", "later poll", "result", "download", "cancel"),
    "luma_agents": ("create", "first poll", "later poll", "download"),
    "llm_stats": ("create", "first poll", "later poll", "download"),
    "railwail": ("create", "first poll", "later poll", "download"),
}
"""The steps of a purchase, by provider. The first four are of all kinds: one with a list, one with keys, one that
confirms a cancellation, and one whose errors come in envelopes and whose list says nothing."""

NETWORK = (
    "refused",
    "reset unread",
    "reset before",
    "reset after",
    "closed after",
    "silent before",
    "silent after",
    "cut in head",
    "reset in answer",
    "silent in answer",
    "cut",
    "cut without length",
    "length too short",
    "length too long",
    "broken chunks",
    "not really compressed",
    "garbage",
    "drip: 40",
    "delivered late",
    "delivered twice",
)
GATEWAY = tuple(
    f"answered: {told}"
    for told in (
        *("400", "400 quoting", "401", "402", "403", "404", "404 page", "408, handled", "409", "410", "422"),
        *("429", "429 soon", "429 next year"),
        *(
            "500",
            "500, handled",
            "502 page",
            "502 page, handled",
            "503 soon",
            "503 soon, handled",
            "504 page, handled",
        ),
        *("200 page", "200 page, handled", "302 elsewhere", "307 elsewhere"),
        *("nothing, handled", "null, handled", "a list, handled", "a number"),
    )
)
STALE = ("answered for another", "answered for another after", "answered for a failed one")
"""Answers that were right for an earlier purchase, from something that mixes them up."""
WHOLE = (("luma", "create"), ("comfy_router", "create"), ("comfy_router", "re-send"))
"""Where it is decided about money, in each of the ways that there are to decide it: `make test` goes through all."""
BRIEF = (
    *("refused", "reset before", "reset after", "silent after", "cut", "length too short"),
    *("delivered late", "delivered twice", "answered: 404", "answered: 400 quoting", "answered: 429 soon"),
    *("answered: 500, handled", "answered: 503 soon, handled", "answered: 200 page"),
    *("answered: 302 elsewhere", "stopped before", "a day back after"),
)
"""One of each sort, which `make test` tries where another provider does the same."""
BRIEFLY = (
    *(("luma", "download"), ("luma", "list"), ("comfy_router", "upload"), ("comfy_router", "result")),
    *(("comfy_router", "cancel"), ("replicate", "create"), ("replicate", "cancel"), ("replicate", "list")),
    *(("wavespeed", "create"), ("wavespeed", "bill"), ("fal", "create"), ("railwail", "first poll")),
)
PERSON = ("stopped before", "stopped after")
DATE = ("a day ahead before", "a day ahead after", "a day back before", "a day back after")
FAULTS = (*NETWORK, *GATEWAY, *STALE, *PERSON, *DATE)
PROMPT = "a fox in the snow"
LASTING = 6
"""Times in a row for a fault that does not pass at once: more than a read, or a strange answer, is repeated."""
ENDS = {
    "clip": "=",
    "collected": ">",
    "bought": "$",
    "found": "?",
    "not created": "!",
    "no such thing": "-",
    "violation": "X",
}
LEGEND = """\
=  the clip came in spite of it        >  told; queueing again brings the clip, free
$  told, and nothing is paid, or it was cancelled; queueing again buys it, once
?  asked; the job is on the provider's page, and taken over        !  asked; it is not there, and bought once
-  this fault is none at this step     X  something that has to hold does not"""


@dataclass(frozen=True)
class Cell:
    """One fault at one step at one provider."""

    provider: str
    step: str
    fault: str
    times: int = 1

    @property
    def id(self) -> str:
        lasting = "" if self.times == 1 else f"-{self.times}x"
        return f"{self.provider}-{self.step}-{self.fault}{lasting}"

    @property
    def everyday(self) -> bool:
        """Whether `make test` goes through it."""
        if self.fault in STALE:
            return self.step in ("first poll", "cancel")
        if (self.provider, self.step) in WHOLE:
            return self.times == 1
        lasting = self.step in ("download", "result") and self.fault.startswith(("answered", "cut", "length"))
        brief = (self.provider, self.step) in BRIEFLY and self.fault in BRIEF
        return brief and self.times == (LASTING if lasting else 1)


def cells() -> Iterator[Cell]:
    """All that make sense."""
    for provider, steps in STEPS.items():
        for step in steps:
            for fault in FAULTS:
                if fault in STALE and not _tells_whose(provider, step, fault):
                    continue
                yield Cell(provider, step, fault)
                if fault.startswith((*NETWORK, *GATEWAY)) and not fault.startswith(("delivered", "drip")):
                    yield Cell(provider, step, fault, LASTING)


def _tells_whose(provider: str, step: str, fault: str) -> bool:
    """Whether an answer at this step says whose it is. Nobody can tell one clip's file from another's, nor Luma's own
    answer that Comfy and fal hand on: it knows nothing of their queues."""
    if fault == "answered for a failed one":
        return step in ("first poll", "later poll")
    return step in ("create", "re-send", "first poll", "later poll", "cancel")


@dataclass
class _Trouble:
    """A plan: the fault of a cell, each time its step comes, as often as it lasts."""

    cell: Cell
    world: World
    happened: int = 0
    others: Plan = nothing
    """What happens to other requests."""
    after: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self, ask: Ask) -> str:
        if not self._concerns(ask) or self.happened >= self.cell.times:
            return self.others(ask)
        self.happened += 1
        if self.cell.fault == "delivered twice" and ask.step == "create" and not has_keys(self.cell):
            self.world.doubled[PROMPT] += 1
        name, _, when = self.cell.fault.rpartition(" ")
        acts: dict[str, Callable[[], None]] = {
            "stopped": self.world.clock.stop.set,
            "a day ahead": lambda: self.world.clock.correct(24 * 3600.0),
            "a day back": lambda: self.world.clock.correct(-24 * 3600.0),
        }
        if name in acts:
            if when == "before":
                acts[name]()
            else:
                self.after.append(acts[name])
            return ""
        fault = self.cell.fault.replace("a failed one", "another")
        return f"{fault}: {ask.step}" if self.cell.fault in STALE else fault

    def answered(self, ask: Ask) -> None:
        while self.after:
            self.after.pop()()

    def _concerns(self, ask: Ask) -> bool:
        step, least = {
            "first poll": ("poll", 1),
            "later poll": ("poll", 2),
            "re-send": ("create", 2),
        }.get(self.cell.step, (self.cell.step, 1))
        return ask.step == step and ask.number - self.world.earlier.get(ask.step, 0) >= least


def play(cell: Cell, folder: Path, files: FileHost) -> str:
    """Go through one cell; returns how it ended, by a name of `ENDS`. Raises Untrue."""
    options: dict[str, Any] = {}
    if (cell.provider, cell.step) == ("wavespeed", "list"):
        options = {"shows_inputs": "inputs"}
    if (cell.provider, cell.step) == ("wavespeed", "cancel"):
        options = {"polls_until_done": 5}  # it looks once more before it cancels
    with opened(cell.provider, folder, files, **options) as world:
        request = world.request(PROMPT, picture=cell.step == "upload")
        if cell.fault in STALE:
            _earlier(cell, world)
        trouble = _Trouble(cell, world, others=_leading_to(cell, world))
        world.wire.plan, world.wire.after = trouble, trouble.answered
        if cell.step == "cancel":
            _stop_after_first_poll(world)
        first = world.queue(request)
        world.wire.after = lambda ask: None
        world.clock.on_sleep = lambda: None
        if not trouble.happened:
            return "no such thing"
        if isinstance(first, Clip):
            world.check_end(request, first)
            return "clip"
        clip, how = world.settled(request)
        world.check_end(request, clip)
        return next((word for word in how if word in ("found", "not created")), how[-1])


def has_keys(cell: Cell) -> bool:
    """Whether this provider makes one job of a create that comes twice."""
    return cell.provider == "comfy_router"


def _leading_to(cell: Cell, world: World) -> Plan:
    """What must go wrong before, for the step to come at all: an answer to the create that is lost."""
    if cell.step not in ("list", "re-send"):
        return nothing

    def lost(ask: Ask) -> str:
        first = ask.step == "create" and ask.number - world.earlier.get("create", 0) == 1
        return "closed after" if first else ""

    return lost


def _stop_after_first_poll(world: World) -> None:
    def stop() -> None:
        if world.wire.counts["poll"] > world.earlier.get("poll", 0):
            world.clock.stop.set()

    world.clock.on_sleep = stop


def _earlier(cell: Cell, world: World) -> None:
    """Another purchase, whose answers come again later; at "cancel" one that was cancelled."""
    if cell.step == "cancel":
        _stop_after_first_poll(world)
    failing = cell.fault == "answered for a failed one"
    result = world.queue(world.request("a doomed fox" if failing else EARLIER))
    world.clock.on_sleep = lambda: None
    world.clock.stop.clear()
    expected = errors.Interrupted if cell.step == "cancel" else errors.GenerationFailed if failing else Clip
    assert isinstance(result, expected), result
    for exchange in world.proxy.exchanges:
        method, path, _ = exchange.asked.line.split()
        step = world.wire.step(method, path.partition("?")[0])
        if exchange.answered and step:
            world.proxy.stale[step] = exchange.answered[-1]
    world.earlier = dict(world.wire.counts)


def main(arguments: list[str]) -> int:
    """Print the table."""
    chosen = [cell for cell in cells() if "--all" in arguments or cell.everyday]
    only = [name for name in arguments if not name.startswith("-")]
    results: dict[Cell, str] = {}
    wrong: dict[Cell, str] = {}
    begun = time.monotonic()
    with FileHost() as files:
        for cell in chosen:
            if only and not any(name in cell.id for name in only):
                continue
            with empty() as folder:
                try:
                    results[cell] = play(cell, folder, files)
                except Exception as error:  # noqa: BLE001 - shown in the table
                    results[cell], wrong[cell] = "violation", f"{type(error).__name__}: {error}"
    for provider, steps in STEPS.items():
        _print(provider, steps, results)
    print(f"\n{LEGEND}\n")
    counts = Counter(results.values())
    print(", ".join(f"{counts[name]} {name} ({sign})" for name, sign in ENDS.items()))
    print(f"{len(results)} cells in {time.monotonic() - begun:.0f} s")
    for cell, words in wrong.items():
        print(f"X {cell.id}: {words[:400]}")
    return 1 if wrong else 0


def _print(provider: str, steps: tuple[str, ...], results: dict[Cell, str]) -> None:
    print(f"\n{provider:<34} " + " ".join(f"{step:>11}" for step in steps))
    for fault in FAULTS:
        signs = []
        for step in steps:
            once = results.get(Cell(provider, step, fault))
            long = results.get(Cell(provider, step, fault, LASTING))
            signs.append(" ".join(ENDS[end] if end else " " for end in (once, long)))
        if any(sign.strip() for sign in signs):
            print(f"{fault:<34} " + " ".join(f"{sign:>11}" for sign in signs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
