"""Pictures in WaveSpeedAI's own storage: https://wavespeed.ai/docs/upload-files-api, kept for 7 days.

Contract: the `wavespeed` SDK 2.0.5 for the upload in two steps, WaveSpeedAI's docs for the older one by form; read
2026-11-20 and 2026-11-21. Not verified by a live call. The pages name 20 MB for a picture and 300 MB for any file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..generation.client import Client, decoding
from ..generation.errors import GenerationError, InsufficientCredits, Unauthorized, UploadFailed
from ..generation.hosting import WebHosting

if TYPE_CHECKING:
    from ..generation.credentials import Secret


class WaveSpeedStorage(WebHosting):
    """For WaveSpeedAI's own models and for every other provider that takes public URLs only."""

    name = "wavespeed"
    title = "WaveSpeedAI's storage"
    settings = ("WAVESPEED_API_KEY",)
    how = (
        "set WAVESPEED_API_KEY (from wavespeed.ai/accesskey): pictures are kept there for 7 days, readable by "
        "everybody who has their link."
    )
    life = 7 * 24 * 3600
    largest_picture = 20_000_000
    base_url = "https://api.wavespeed.ai"
    base_url_variable = "WAVESPEED_BASE_URL"

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Bearer authentication."""
        return {"Authorization": f"Bearer {secrets['WAVESPEED_API_KEY'].reveal()}"}

    def error_text(self, reply: Any) -> str:
        """The `message` of an envelope."""
        return str(reply["message"])

    def store(self, client: Client, content: bytes | Path, media_type: str, name: str) -> str:
        """In two steps, as the SDK does; where that does not work, by the older form."""
        try:
            with decoding(self.title):
                return self._by_ticket(client, content, media_type, name)
        except (Unauthorized, InsufficientCredits):
            raise
        except GenerationError as error:
            if isinstance(content, Path):
                raise  # a form would hold the whole film in memory
            first = error
        try:
            with decoding(self.title):
                return self._by_form(client, content, media_type, name)
        except GenerationError as second:
            raise UploadFailed(
                f"The picture could not be put at {self.title}: {first} And by its older way: {second} No clip was "
                "bought, nothing was billed."
            ) from None

    def _by_ticket(self, client: Client, content: bytes | Path, media_type: str, name: str) -> str:
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        asked = {"filename": name, "size": size, "content_type": media_type}
        ticket = self._data(client, client.call("POST", "api/v3/media/uploads", asked))
        upload, address = ticket["upload"], _address(ticket)
        if upload["method"].upper() != "PUT":
            raise ValueError("another method than PUT")
        client.send_file(upload["url"], content, upload.get("headers"))
        return address

    def _by_form(self, client: Client, content: bytes | Path, media_type: str, name: str) -> str:
        file = {"file": (name, content, media_type)}
        return _address(self._data(client, client.call("POST", "api/v3/media/upload/binary", files=file)))

    def _data(self, client: Client, reply: Any) -> Any:
        if reply["code"] == 200:
            return reply["data"]
        raise client.error(reply["code"], self.error_text(reply), paid=False)


def _address(data: Any) -> str:
    address = data["download_url"]
    if not isinstance(address, str) or not address.startswith(("https://", "http://")):
        raise ValueError("no public URL")
    return address
