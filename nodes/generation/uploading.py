"""Pictures to where a provider reads them: each once, however many shots use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from . import hosting
from .client import Client, decoding
from .clock import Clock
from .credentials import Credentials
from .errors import HostingRequired, JournalUnavailable
from .offer import Provider
from .pictures import Pictures
from .request import GenerationRequest, StillImage
from .sharing import Sharing
from .waiting import Report


class Uploads:
    """What is uploaded where. Safe on any number of threads."""

    def __init__(
        self, pictures: Pictures, hosts: Sequence[hosting.Hosting], credentials: Credentials
    ) -> None:
        self._pictures = pictures
        self._hosts = tuple(hosts)
        self._credentials = credentials
        self._sharing: Sharing[str] = Sharing()

    def told(self, provider: Provider, request: GenerationRequest) -> str:
        """Where the pictures of *request* are for *provider* and how long, for the person; empty for none."""
        if provider.local or not request.stills:
            return ""
        if not provider.takes_urls_only:
            # `upload_life` is how long we use a link again, which is no promise of when the picture is deleted.
            stored = f"pictures at {provider.title}, which does not say for how long"
            return stored if provider.upload_life else ""
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

            name, life = self._shelf(provider, place, client.account)
            given[still.sha256] = self._once(name, still, life, put, clock, report) if life else put()
        return given

    def forget(self, provider: Provider, account: str, request: GenerationRequest) -> None:
        """Something went wrong with a clip from these pictures, perhaps with them: the next one uploads them anew."""
        with suppress(JournalUnavailable, HostingRequired):
            if provider.local or not request.stills:
                return
            place = self._place(provider) if provider.takes_urls_only else None
            name, _ = self._shelf(provider, place, account)
            for still in request.stills:
                self._pictures.forget(name, still.sha256)

    def _shelf(self, provider: Provider, place: hosting.Hosting | None, account: str) -> tuple[str, float]:
        """What uploads there are remembered under, and for how long; another account has none of them."""
        if place is None:
            return f"{provider.name} {account}", provider.upload_life
        own = self._credentials.account(place.identity)
        return f"{place.name} {own}", 0.0 if place.finds_again else place.life

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
            url = self._pictures.find(name, still.sha256, at_least=at_least)
            if url is None:
                url = put()
                self._pictures.remember(name, still.sha256, url, life=life)
            return url

        return self._sharing.run(
            (name, still.sha256),
            uploaded,
            clock,
            lambda: report("another shot is uploading the same picture"),
        )

    def _place(self, provider: Provider) -> hosting.Hosting:
        return hosting.choose(self._hosts, self._credentials, provider.title, provider.hosting)
