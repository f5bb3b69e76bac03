"""From a job to a clip on disk: waited for, brought here whole, checked, recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from .budget import sensible
from .client import Client
from .clock import Clock
from .errors import BrokenClip, DownloadFailed, Interrupted, JournalUnavailable, UnexpectedReply
from .journal import Journal
from .library import Library
from .offer import Completed, Provider
from .records import Entry
from .request import GenerationRequest
from .waiting import Report, kept, stop, wait

DOWNLOAD_ATTEMPTS: Final = 4


def _done() -> bool:
    """In place of `alone`: a job that is done is not cancelled, whoever waits for it."""
    return False


class ClipFacts(Protocol):
    """What `media.clips.inspect` found in a file whose first and last frame decode."""

    @property
    def frames(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A finished generation."""

    path: Path
    entry: Entry
    recalled: bool = False
    """It was in the library already; this call bought nothing."""
    notes: tuple[str, ...] = ()
    """What the person should know: why this provider, that it was recalled."""


class Finishing:
    """The second half of every generation, whoever began it."""

    def __init__(self, journal: Journal, library: Library, inspect: Callable[[Path], ClipFacts]) -> None:
        self._journal = journal
        self._library = library
        self._inspect = inspect

    def clip(
        self,
        provider: Provider,
        client: Client,
        entry: Entry,
        request: GenerationRequest | None,
        clock: Clock,
        report: Report,
        alone: Callable[[], bool],
    ) -> Clip:
        """Wait for the job of *entry* and bring its clip here. Raises what `waiting.wait` does, DownloadFailed."""
        if entry.job is None:
            raise UnexpectedReply(f"Generation {entry.id} has no job to ask for; its journal row is damaged.")
        arrived = self._arrived(entry)
        if arrived is not None:
            return arrived
        trouble = ""
        for attempt in range(DOWNLOAD_ATTEMPTS):
            try:
                if attempt:
                    report(f"{trouble} Trying again.")
                    clock.sleep(2.0**attempt)
                    clock.check()
                done = wait(
                    *(provider, client, self._journal, entry, entry.job),
                    clock=clock,
                    report=report,
                    alone=alone if not attempt else _done,
                )
            except Interrupted:
                if attempt:
                    self._stopped(provider, client, entry, clock)
                raise
            try:
                return self._keep(provider, client, done, entry, request, clock, report)
            except (DownloadFailed, BrokenClip) as error:
                trouble = str(error)
            except Interrupted:
                self._stopped(provider, client, entry, clock)
        if provider.local:
            raise DownloadFailed(
                f"The preview could not be made: {trouble} It is free (generation {entry.id})."
            )
        time_left = kept(provider, self._now(entry), clock.now())
        raise DownloadFailed(
            f"The clip is finished at {client.title}, and its file did not arrive: {trouble} It is paid and "
            f"kept: queue again, or collect generation {entry.id} later.{time_left}"
        )

    def _now(self, entry: Entry) -> Entry:
        """The row as it is now: since *entry* was read the job may have been seen done."""
        try:
            return self._journal.get(entry.id) or entry
        except JournalUnavailable:
            return entry

    def _stopped(self, provider: Provider, client: Client, entry: Entry, clock: Clock) -> NoReturn:
        """The person stopped a job that is done: it is not cancelled any more."""
        if provider.local:
            stop(provider, client, self._journal, entry, clock=clock)
        raise Interrupted(
            f"Stopped while the finished clip of generation {entry.id} was being downloaded. It is paid and kept: "
            "queue again to bring it here, free of further charge.",
            job="kept",
        ) from None

    def _arrived(self, entry: Entry) -> Clip | None:
        """The clip, where a process brought it here and ended before it could say so."""
        path = self._library.path(self._library.name(entry))
        if entry.state != "submitted" or path is None:
            return None
        try:
            return self._recorded(entry, path, self._inspect(path), None)
        except (BrokenClip, OSError):
            return None

    def _recorded(self, entry: Entry, path: Path, facts: ClipFacts, billed: Decimal | None) -> Clip:
        found: dict[str, Any] = {
            "clip": self._library.name(entry),
            **{name: getattr(facts, name) for name in ("frames", "width", "height", "seconds")},
            "billed_usd": sensible(billed),
        }
        try:
            return Clip(path=path, entry=self._journal.completed(entry.id, **found))
        except JournalUnavailable as error:
            # The file is what was paid for. The next who asks finds it and records it.
            unrecorded = f"The clip is here, and the journal could not record that: {error}"
            return Clip(path=path, entry=replace(entry, state="completed", **found), notes=(unrecorded,))

    def _keep(
        self,
        provider: Provider,
        client: Client,
        done: Completed,
        entry: Entry,
        request: GenerationRequest | None,
        clock: Clock,
        report: Report,
    ) -> Clip:
        """Bring the clip of a finished job into the library, whole and checked, and record it."""
        doing = "rendering the preview" if provider.local else "downloading"
        name = self._library.name(entry)
        try:
            with self._library.arriving(name) as arriving:
                provider.download(
                    client,
                    done,
                    arriving,
                    request=request,
                    clock=clock,
                    progress=lambda part: report(doing, part),
                )
                facts = self._inspect(arriving)
                path = self._library.keep(arriving, name)
        except OSError as error:
            raise DownloadFailed(
                f"The clip could not be kept in {self._library.folder} ({error.strerror or type(error).__name__})."
            ) from None
        return self._recorded(entry, path, facts, done.billed_usd)
