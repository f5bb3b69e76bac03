"""Schedules with the real providers on their emulators: every request goes through the proxy, and is a turn."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from emulators.server import FileHost
from hypothesis import strategies as st
from luma_ray.nodes.generation.connection import ALLOWED_HOSTS
from luma_ray.nodes.generation.finishing import Clip
from luma_ray.nodes.generation.request import GenerationRequest
from luma_ray.nodes.media import clips

from .play import Play
from .schedule import EVENTS, Schedule, Shot
from .table import GATEWAY, NETWORK
from .truth import Sale, Untrue
from .wire import Ask
from .world import World, opened

SELLERS = ("luma", "comfy_router", "replicate", "wavespeed")
LATE = 700.0
"""Seconds after which a request that is delivered late arrives."""
_QUICK = [fault for fault in (*NETWORK, *GATEWAY) if not fault.startswith(("silent", "answered: 410"))]
"""Without those that take real time; nor what says of a job that it is gone, see `tests/test_faults_found.py`."""


def _going_wrong(fine: int, most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(("",) * (fine * len(_QUICK)) + tuple(_QUICK)), max_size=most)


SHOTS = st.builds(
    Shot,
    prompt=st.sampled_from(["a fox", "a heron"]),
    picture=st.sampled_from([False, False, True]),
    take=st.sampled_from([1, 1, 2]),
    seller=st.sampled_from(SELLERS),
    process=st.integers(0, 1),
    begins=st.sampled_from([0.0, 0.0, 1.0, 61.0]),
)
SCHEDULES = st.builds(
    Schedule,
    shots=st.lists(SHOTS, min_size=1, max_size=3).map(tuple),
    faults=st.fixed_dictionaries(
        {"create": _going_wrong(1, 6)},
        optional={
            "poll": _going_wrong(1, 8),
            "result": _going_wrong(1, 4),
            "download": _going_wrong(1, 5),
            "list": _going_wrong(1, 5),
            "cancel": _going_wrong(1, 2),
            "upload": _going_wrong(1, 3),
            "price": _going_wrong(1, 2),
        },
    ),
    events=st.lists(EVENTS.filter(lambda event: event.what != "hasty look"), max_size=3).map(tuple),
    turns=st.integers(0, 9999),
)


class StreetPlay(Play):
    """A schedule over *worlds*, by the name of their provider."""

    later = 1200.0  # Replicate throws a finished clip away after an hour

    def __init__(self, schedule: Schedule, folder: Path, worlds: dict[str, World]) -> None:
        self.worlds = worlds
        self.doubled: Counter[str] = Counter()
        super().__init__(schedule, folder)

    def open_shops(self) -> None:
        self.providers = [world.provider for world in self.worlds.values()]
        self.hosts = [host for world in self.worlds.values() for host in world.hosts]
        self.inspect = clips.inspect
        self.keys = [world.emulator.key for world in self.worlds.values()]
        for world in self.worlds.values():
            world.emulator.now = lambda: self.stage.now
            world.wire.plan = lambda ask, world=world: self._passes(world, ask)
            world.wire.after = lambda ask: self.stage.pause(0.2)

    def _passes(self, world: World, ask: Ask) -> str:
        self.stage.pause()
        fault = self.faults(ask.step)
        if fault == "delivered twice" and ask.step == "create" and not world.provider.resend_life:
            self.doubled[world.provider.name] += 1
        if fault == "delivered late":
            self.stage.at(self.stage.now + LATE, world.proxy.deliver)
        return fault

    def request(self, shot: Shot) -> GenerationRequest:
        prompt = f"{shot.prompt} {'seen' if shot.picture else 'told'} at {shot.seller}"
        return self.worlds[shot.seller].request(prompt, picture=shot.picture, take=shot.take)

    def sales(self) -> list[Sale]:
        return [sale for world in self.worlds.values() for sale in world.sales()]

    @property
    def sold(self) -> list[Any]:
        return self.sales()

    def check_clip(self, clip: Clip) -> None:
        entry = clip.entry
        sale = next((sale for sale in self.sales() if entry.job and sale.job == entry.job.id), None)
        if self.swept and not clip.path.exists():
            return
        if sale is None or clip.path.read_bytes() != sale.clip:
            raise Untrue(f"the clip of {entry.id} is not the one of its job")

    def check_bill(self, error: BaseException, before: set[str]) -> None:
        """Nothing: whose order it was, an emulator cannot know while others order, too."""

    def on_page(self, desk: Any, row: Any) -> list[Any]:
        kept = {other.job.id for other in desk.journal.entries() if other.job is not None}
        return [
            sale
            for sale in self.sales()
            if (sale.provider, sale.prompt) == (row.provider, row.request["prompt"])
            and sale.job not in kept
            and sale.alive
        ]

    def excused(self, rows: Sequence[Any]) -> Counter[str]:
        return Counter({sale.prompt: self.doubled[sale.provider] for sale in self.sales()})

    def reckon_purchases(self, rows: Sequence[Any]) -> None:
        asked = Counter(
            prompt for prompt, _ in {(self.request(shot).prompt, shot.take) for shot in self.schedule.shots}
        )
        paid = Counter(sale.prompt for sale in self.sales() if sale.alive)
        for sale in self.sales():
            most = asked[sale.prompt] + self.doubled[sale.provider]
            if paid[sale.prompt] > most:
                raise Untrue(f"{paid[sale.prompt]} clips were paid for {asked[sale.prompt]}: {sale.prompt}")


@contextmanager
def street(folder: Path, files: FileHost, sellers: Sequence[str]) -> Iterator[dict[str, World]]:
    """A world for each of *sellers*."""
    with ExitStack() as stack:
        worlds = {}
        for name in sellers:
            (folder / name).mkdir()
            worlds[name] = stack.enter_context(opened(name, folder / name, files))
        netlocs = [world.proxy.netloc for world in worlds.values()]
        trusted = ",".join([*netlocs, files.origin.removeprefix("http://")])
        stack.enter_context(mock.patch.dict(os.environ, {ALLOWED_HOSTS: trusted}))
        yield worlds


def perform(schedule: Schedule, folder: Path, files: FileHost) -> StreetPlay:
    """Play *schedule* among the providers that are in it."""
    sellers = sorted({shot.seller for shot in schedule.shots})
    with street(folder, files, sellers) as worlds:
        play = StreetPlay(schedule, folder, worlds)
        play.perform()
        return play
