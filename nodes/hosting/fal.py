"""Pictures in fal.ai's storage: public to whoever has the address, for a week.

Contract: `POST /storage/upload/initiate`, then PUT to the signed address that it gives: `fal-client` 1.0.3 and
`@fal-ai/client` 1.10.1, read 2026-11-20; fal.ai/docs (File Access Controls), read 2026-11-21. Not verified by a
live call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..generation.errors import GenerationError, InsufficientCredits
from ..generation.hosting import WebHosting

if TYPE_CHECKING:
    from ..generation.client import Answer, Client
    from ..generation.credentials import Secret

LIFE: Final = 7 * 24 * 3600
"""Seconds. Longer than a job waits in any queue. fal's own default is for ever, unless the account says otherwise,
and at an address that anybody can read; a week later the artist's picture is gone from there."""
_KEPT: Final = json.dumps({"expiration_duration_seconds": LIFE})


class Fal(WebHosting):
    """fal's own storage; any provider can read what is there."""

    name = "fal"
    title = "fal.ai storage"
    settings = ("FAL_KEY",)
    how = "set FAL_KEY to a key from fal.ai/dashboard/keys; whoever has a picture's address can see it, for a week."
    life = LIFE
    base_url = "https://rest.fal.ai"
    base_url_variable = "FAL_STORAGE_URL"

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """`Key`, not Bearer."""
        return {"Authorization": f"Key {secrets['FAL_KEY'].reveal()}"}

    def error_text(self, reply: Any) -> str:
        """`detail` is a sentence, or a list of objects."""
        detail = reply["detail"]
        return detail if isinstance(detail, str) else "; ".join(str(item["msg"]) for item in detail)

    def explain(self, answer: Answer) -> GenerationError | None:
        """Storage is closed to an account without money; in these words as fal-ai/fal#1147 (2026-08-15) quotes it."""
        if answer.status == 403 and "user is locked" in answer.words.lower():
            return InsufficientCredits(f"fal.ai has locked the account{answer.words}.")
        return None

    def store(self, client: Client, content: bytes | Path, media_type: str, name: str) -> str:
        """Ask for a place, then put the file there, without the key."""
        place = client.call(
            "POST",
            "storage/upload/initiate?storage_type=fal-cdn-v3",
            {"file_name": name, "content_type": media_type},
            # The first is documented; the clients of fal also send, and one of them only, the second.
            headers={"X-Fal-Object-Lifecycle-Preference": _KEPT, "X-Fal-Object-Lifecycle": _KEPT},
        )
        upload, url = place["upload_url"], place["file_url"]
        if not url.startswith(("https://", "http://")):
            raise ValueError("an address expected")
        client.send_file(upload, content, {"Content-Type": media_type})
        return str(url)
