"""Pictures and films to where a provider reads them: each once, however many shots use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from . import hosting
from .client import Client, decoding
from .clock import Clock
from .credentials import Credentials
from .errors import HostingRequired, JournalUnavailable
from .fitting import Fitted, Limits, fitted, limits_of, named
from .offer import Offer, Provider
from .pictures import Pictures
from .request import GenerationRequest, SourceVideo, StillImage
from .sharing import Sharing
from .waiting import Report


@dataclass(frozen=True)
class Placed:
    """The pictures of a request where their provider reads them."""

    pictures: dict[str, str]
    """For each picture's sha256 what goes into `Provider.encode`."""
    notes: tuple[str, ...] = ()
    """Which of them are not sent as they are, and why: for the person."""


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
        if provider.local or not request.uploads:
            return ""
        what = "pictures" if request.stills else "film"
        if not provider.takes_urls_only:
            # `upload_life` is how long we use a link again, which is no promise of when the picture is deleted.
            stored = f"{what} at {provider.title}, which does not say for how long"
            return stored if provider.upload_life else ""
        try:
            place = self._place(provider)
        except HostingRequired:
            return ""
        hours = place.life / 3600
        long = f"{hours / 24:.0f} days" if hours > 48 else f"{hours:.0f} h"
        return f"{what} at {place.title}, for {long}"

    def possible(self, provider: Provider, request: GenerationRequest) -> bool:
        """Whether the pictures of *request* can be brought to *provider* from this machine. Sends nothing."""
        return self.lacking(provider, request) is None

    def lacking(self, provider: Provider, request: GenerationRequest) -> HostingRequired | None:
        """Why the pictures of *request* cannot be brought to *provider* from this machine; None where they can."""
        if not (provider.takes_urls_only and request.uploads):
            return None
        try:
            self._place(provider)
        except HostingRequired as error:
            return error
        return None

    def pictures(
        self,
        provider: Provider,
        offer: Offer,
        client: Client,
        request: GenerationRequest,
        *,
        clock: Clock,
        report: Report,
    ) -> Placed:
        """Bring the pictures of *request* to where *provider* reads them, each as large as it is taken there.

        And its film, which goes as it is.

        Raises HostingRequired before anything is sent, UploadFailed, Interrupted.
        """
        if provider.local or not request.uploads:
            return Placed({})
        place = self._place(provider) if provider.takes_urls_only else None
        limits = [limits_of(offer, provider.title)]
        if place is not None:
            limits.append(Limits(title=place.title, bytes=place.largest_picture))
        sent: dict[str, Fitted] = {}
        told: dict[str, list[str]] = {}
        for name, still in named(request):
            clock.check()
            if still.sha256 not in sent:
                sent[still.sha256] = fitted(still, *limits)
            if sent[still.sha256].how:
                told.setdefault(sent[still.sha256].how, []).append(name)
        notes = tuple(f"{', '.join(names)} {how}" for how, names in told.items())
        for note in notes:
            report(note)
        where = place.title if place is not None else provider.title
        shelf, life = self._shelf(provider, place, client.account)
        given: dict[str, str] = {}
        for sha256, each in sent.items():
            clock.check()

            def put(still: StillImage = each.still) -> str:
                report(f"uploading {still.width}x{still.height} to {where}")
                if place is not None:
                    return place.publish(still, self._credentials, clock)
                with decoding(provider.label):
                    return provider.upload(client, still)

            # What goes along inside the request is made anew for each, of the same file.
            alone = not life and place is None
            given[sha256] = (
                put() if alone else self._once(shelf, _form(sha256, each), life, put, clock, report)
            )
        film = request.source
        if isinstance(film, SourceVideo):

            def put_film(film: SourceVideo = film) -> str:
                report(f"uploading {film.width}x{film.height}, {film.size / 1e6:.0f} MB, to {where}")
                if place is not None:
                    return place.publish(film, self._credentials, clock)
                with decoding(provider.label):
                    return provider.upload_video(client, film)

            clock.check()
            life = life if place is not None else provider.video_life or life
            given[film.sha256] = self._once(shelf, film.sha256, life, put_film, clock, report)
        return Placed(given, notes)

    def forget(self, provider: Provider, account: str, request: GenerationRequest) -> None:
        """Something went wrong with a clip from these pictures, perhaps with them: the next one uploads them anew."""
        with suppress(JournalUnavailable, HostingRequired):
            if provider.local or not request.uploads:
                return
            place = self._place(provider) if provider.takes_urls_only else None
            name, _ = self._shelf(provider, place, account)
            for upload in request.uploads:
                self._pictures.forget(name, upload.sha256)

    def _shelf(self, provider: Provider, place: hosting.Hosting | None, account: str) -> tuple[str, float]:
        """What uploads there are remembered under, and for how long; another account has none of them."""
        if place is None:
            return f"{provider.name} {account}", provider.upload_life
        own = self._credentials.account(place.identity)
        return f"{place.name} {own}", 0.0 if place.finds_again else place.life

    def _once(
        self,
        shelf: str,
        form: str,
        life: float,
        put: Callable[[], str],
        clock: Clock,
        report: Report,
    ) -> str:
        # A job may wait in a provider's queue before it reads the picture.
        at_least = min(3600.0, life / 2)

        def uploaded() -> str:
            url = self._pictures.find(shelf, form, at_least=at_least)
            if url is None:
                url = put()
                self._pictures.remember(shelf, form, url, life=life)
            return url

        return self._sharing.run(
            (shelf, form),
            # A place that sees by itself what is there has nothing to be remembered, and still cannot see what
            # is on its way: shots that start together wait for the first of them.
            uploaded if life else put,
            clock,
            lambda: report("another shot is uploading the same file"),
        )

    def _place(self, provider: Provider) -> hosting.Hosting:
        return hosting.choose(self._hosts, self._credentials, provider.title, provider.hosting)


def _form(sha256: str, sent: Fitted) -> str:
    """What a picture in the form in which it is sent is remembered by."""
    return f"{sha256} {sent.still.width}x{sent.still.height} {sent.still.media_type}" if sent.how else sha256
