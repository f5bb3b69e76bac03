"""From a job to a clip on disk: waited for, brought here whole, checked, recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from .client import Client
from .clock import Clock
from .errors import BrokenClip, DownloadFailed, Interrupted, UnexpectedReply
from .journal import Journal
from .library import Library
from .offer import Completed, Provider
from .records import Entry
from .request import GenerationRequest
from .waiting import Report, kept, stop, wait

DOWNLOAD_ATTEMPTS: Final = 4


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
    ) -> Clip:
        """Wait for the job of *entry* and bring its clip here. Raises what `waiting.wait` does, DownloadFailed."""
        if entry.job is None:
            raise UnexpectedReply(f"Generation {entry.id} has no job to ask for; its journal row is damaged.")
        trouble = ""
        for attempt in range(DOWNLOAD_ATTEMPTS):
            if attempt:
                report(f"{trouble} Trying again.")
                clock.sleep(2.0**attempt)
            done = wait(provider, client, self._journal, entry, entry.job, clock=clock, report=report)
            try:
                path, entry = self._keep(provider, client, done, entry, request, clock, report)
            except (DownloadFailed, BrokenClip) as error:
                trouble = str(error)
            except Interrupted:
                if provider.local:
                    stop(provider, client, self._journal, entry)
                raise Interrupted(
                    f"Stopped while the finished clip of generation {entry.id} was being downloaded. It is paid and "
                    "kept: queue again to bring it here, free of further charge."
                ) from None
            else:
                return Clip(path=path, entry=entry)
        if provider.local:
            raise DownloadFailed(
                f"The preview could not be made: {trouble} It is free (generation {entry.id})."
            )
        raise DownloadFailed(
            f"The clip is finished at {client.title}, and its file did not arrive: {trouble} It is paid and "
            f"kept: queue again, or collect generation {entry.id} later.{kept(provider)}"
        )

    def _keep(
        self,
        provider: Provider,
        client: Client,
        done: Completed,
        entry: Entry,
        request: GenerationRequest | None,
        clock: Clock,
        report: Report,
    ) -> tuple[Path, Entry]:
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
        entry = self._journal.completed(
            entry.id,
            clip=name,
            frames=facts.frames,
            width=facts.width,
            height=facts.height,
            seconds=facts.seconds,
            billed_usd=done.billed_usd,
        )
        return path, entry
