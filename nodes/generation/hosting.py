"""A public URL for a local picture, where a provider takes nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from .credentials import Credentials
from .errors import HostingRequired
from .request import StillImage


class Hosting(ABC):
    """One place that pictures can be put, reachable by a provider for as long as a job may queue."""

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[tuple[str, ...]]
    """Names (environment or key file) that must be set for it to be used."""
    how: ClassVar[str]
    """How to set it up, as one sentence."""

    def ready(self, credentials: Credentials) -> bool:
        """Whether it is configured on this machine. Sends nothing."""
        return all(credentials.source(name) != "missing" for name in self.settings)

    @abstractmethod
    def publish(self, still: StillImage, credentials: Credentials) -> str:
        """Put the picture there, once per content, and return its URL. Raises UploadFailed."""


def choose(hosts: Sequence[Hosting], credentials: Credentials, provider: str) -> Hosting:
    """The first hosting that is configured. Raises HostingRequired, naming every way to set one up."""
    for hosting in hosts:
        if hosting.ready(credentials):
            return hosting
    ways = " ".join(f"{hosting.title}: {hosting.how}" for hosting in hosts)
    raise HostingRequired(
        f"{provider} takes pictures only from a public URL, and no hosting for them is set up on this machine. "
        f"Nothing was sent or billed. Set up one of these and press Queue again. {ways} "
        "Or choose a provider that takes pictures directly."
    )
