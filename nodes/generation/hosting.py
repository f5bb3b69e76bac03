"""A public URL for a local picture or film, where a provider takes nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .client import Client, decoding
from .clock import Clock
from .credentials import Credentials, Secret
from .errors import GenerationError, HostingRequired, UploadFailed
from .request import SourceVideo, Upload

if TYPE_CHECKING:
    from .client import Answer


class Hosting(ABC):
    """One place that pictures can be put, reachable by a provider for as long as a job may queue."""

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[tuple[str, ...]]
    """Names (environment or key file) that must be set for it to be used."""
    how: ClassVar[str]
    """How to set it up, as one sentence."""
    life: ClassVar[float]
    """Seconds for which a URL works after `publish`."""
    largest_picture: ClassVar[int | None] = None
    """Bytes of a file; None where no limit is documented."""
    finds_again: ClassVar[bool] = False
    """`publish` itself sees that a picture is there already, so its URLs need not be remembered."""

    @property
    def identity(self) -> tuple[str, ...]:
        """Names of everything that decides where a picture is put."""
        return self.settings

    def ready(self, credentials: Credentials) -> bool:
        """Whether it is configured on this machine. Sends nothing."""
        return all(credentials.source(name) != "missing" for name in self.settings)

    @abstractmethod
    def publish(self, upload: Upload, credentials: Credentials, clock: Clock) -> str:
        """Put the picture or film there, once per content, and return its URL. Raises UploadFailed.

        A film goes from its file, a piece at a time: it is never whole in memory.
        """


class WebHosting(Hosting):
    """A hosting spoken to over HTTP with a key: `settings` are its secrets."""

    base_url: ClassVar[str]
    base_url_variable: ClassVar[str]

    @property
    def identity(self) -> tuple[str, ...]:
        """Names of everything that decides where a picture is put."""
        return (*self.settings, self.base_url_variable)

    @abstractmethod
    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Headers that prove who asks."""

    def error_text(self, reply: Any) -> str:
        """The service's own words in the body of an error answer, or an empty string."""
        return ""

    def explain(self, answer: Answer) -> GenerationError | None:
        """The error for an answer whose status alone would be misunderstood; None: as the status says."""
        return None

    @abstractmethod
    def store(self, client: Client, content: bytes | Path, media_type: str, name: str) -> str:
        """Put a file called *name* there and return its URL. *content* is a path where it is a film."""

    def publish(self, upload: Upload, credentials: Credentials, clock: Clock) -> str:
        """Put the picture or film there and return its URL. Raises UploadFailed."""
        secrets = credentials.find(self.settings) or {}
        try:
            client = Client(
                self.title,
                credentials.setting(self.base_url_variable) or self.base_url,
                lambda: self.sign(secrets),
                clock,
                self.error_text,
                explain=self.explain,
                setting=credentials.setting,
            )
            with decoding(self.title):
                name = f"{upload.original[:32]}.{upload.suffix}"
                content = upload.path if isinstance(upload, SourceVideo) else upload.file
                return self.store(client, content, upload.media_type, name)
        except UploadFailed:
            raise
        except GenerationError as error:
            what = "film" if isinstance(upload, SourceVideo) else "picture"
            raise UploadFailed(
                f"The {what} could not be put at {self.title}: {error} No clip was bought, nothing was billed."
            ) from None


def choose(hosts: Sequence[Hosting], credentials: Credentials, provider: str, preferred: str = "") -> Hosting:
    """The hosting called *preferred* if it is configured, else the first that is.

    Raises HostingRequired, naming every way to set one up.
    """
    ready = [hosting for hosting in hosts if hosting.ready(credentials)]
    for hosting in sorted(ready, key=lambda hosting: hosting.name != preferred):
        return hosting
    ways = " ".join(f"{hosting.title}: {hosting.how}" for hosting in hosts)
    raise HostingRequired(
        f"{provider} takes pictures only from a public URL, films too, and no hosting for them is set up on this "
        f"machine. Nothing was sent or billed. Set up one of these and press Queue again. {ways} "
        "Or choose a provider that takes pictures directly."
    )
