"""Pictures to where a provider reads them: each once, however many shots use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import hosting
from .client import Client, decoding
from .clock import Clock
from .credentials import Credentials
from .errors import HostingRequired
from .journal import Journal
from .offer import Provider
from .request import GenerationRequest, StillImage
from .sharing import Sharing
from .waiting import Report


class Uploads:
    """What is uploaded where. Safe on any number of threads."""

    def __init__(self, journal: Journal, hosts: Sequence[hosting.Hosting], credentials: Credentials) -> None:
        self._journal = journal
        self._hosts = tuple(hosts)
        self._credentials = credentials
        self._sharing: Sharing[str] = Sharing()

    def told(self, provider: Provider, request: GenerationRequest) -> str:
        """Where the pictures of *request* are for *provider* and how long, for the person; empty for none."""
        if provider.local or not (provider.takes_urls_only and request.stills):
            return ""
        try:
            place = self._place(provider)
        except HostingRequired:
            return ""
        hours = place.life / 3600
        long = f"{hours / 24:.0f} days" if hours > 48 else f"{hours:.0f} h"
        return f"pictures at {place.title}, for {long}"

    def possible(self, provider: Provider, request: GenerationRequest) -> bool:
        """Whether the pictures of *request* can be brought to *provider* from this machine. Sends nothing."""
        if not (provider.takes_urls_only and request.stills):
            return True
        try:
            self._place(provider)
        except HostingRequired:
            return False
        return True

    def pictures(
        self,
        provider: Provider,
        client: Client,
        request: GenerationRequest,
        *,
        clock: Clock,
        report: Report,
    ) -> dict[str, str]:
        """For each picture's sha256 what goes into `Provider.encode`.

        Raises HostingRequired before anything is sent, UploadFailed, Interrupted.
        """
        if provider.local or not request.stills:
            return {}
        place = self._place(provider) if provider.takes_urls_only else None
        given: dict[str, str] = {}
        for still in request.stills:
            clock.check()
            if still.sha256 in given:
                continue
            where = place.title if place is not None else provider.title

            def put(still: StillImage = still, where: str = where) -> str:
                report(f"uploading {still.width}x{still.height} to {where}")
                if place is not None:
                    return place.publish(still, self._credentials, clock)
                with decoding(provider.label):
                    return provider.upload(client, still)

            if place is not None:
                name, life = place.name, 0.0 if place.finds_again else place.life
            else:
                name, life = provider.name, provider.upload_life
            given[still.sha256] = self._once(name, still, life, put, clock, report) if life else put()
        return given

    def _once(
        self,
        name: str,
        still: StillImage,
        life: float,
        put: Callable[[], str],
        clock: Clock,
        report: Report,
    ) -> str:
        # A job may wait in a provider's queue before it reads the picture.
        at_least = min(3600.0, life / 2)

        def uploaded() -> str:
            url = self._journal.uploaded(name, still.sha256, at_least=at_least)
            if url is None:
                url = put()
                self._journal.remember_upload(name, still.sha256, url, life=life)
            return url

        return self._sharing.run(
            (name, still.sha256),
            uploaded,
            clock,
            lambda: report("another shot is uploading the same picture"),
        )

    def _place(self, provider: Provider) -> hosting.Hosting:
        return hosting.choose(self._hosts, self._credentials, provider.title, provider.hosting)
