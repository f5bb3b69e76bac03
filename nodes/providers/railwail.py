"""Railwail: https://railwail.com/en/docs.

Documented (read 2026-11-20: docs/api/{models,jobs,image-generation}, docs/guides/{error-codes,rate-limits},
models/luma-ray-flash): GET /jobs/{id}, its status words, errors and limits, and the model's slug. Inferred, because
no page shows how a video is asked for: POST /videos in OpenAI's shape, which a post on Railwail's blog names, with
`seconds`, `size` and the first frame as OpenAI spells them. Not verified by a live call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..generation.answers import NOBODYS, NOTED, denied
from ..generation.offer import Account, Limits, Offer, Source
from ..generation.openai_video import Dialect, OpenAIVideo
from ..generation.request import Operation

if TYPE_CHECKING:
    from ..generation.client import Client

# The two that OpenAI's types and 720p have in common.
_SIZES: Final = {("720p", "16:9"): "1280x720", ("720p", "9:16"): "720x1280"}


class Railwail(OpenAIVideo):
    """A gateway paid in credits; keys (rw_live_...) from the dashboard of railwail.com."""

    name = "railwail"
    title = "Railwail"
    key_from = "the dashboard of railwail.com"
    docs = "https://railwail.com/en/docs/api/jobs"
    base_url = "https://railwail.com/api/v1"
    base_url_variable = "RAILWAIL_BASE_URL"
    secrets = ("RAILWAIL_API_KEY",)
    experimental = (
        "Railwail documents no call for video: the one used here is a guess from its blog, so a clip may be refused, "
        "or paid for and answered in a way that this pack does not understand."
    )
    no_such_call = (
        "Railwail's documentation names two addresses; RAILWAIL_BASE_URL=https://api.railwail.com/v1 tries the other "
        "one."
    )
    dialect = Dialect(models={"ray-flash-2": "luma-ray-flash"}, sizes=_SIZES)
    limits = Limits(
        per_minute=10,
        source=Source(where="railwail.com/en/docs/guides/rate-limits (free; 60 when paid)", day="2026-11-20"),
    )
    # An end frame and clips of up to 20 s are claimed on the model's page, and no field for them is known.
    offers = tuple(
        Offer(
            model="ray-flash-2",
            operation=operation,
            endpoint="videos",
            durations=(5,),
            resolutions=("720p",),
            aspect_ratios=tuple(ratio for _, ratio in _SIZES),
            keyframes=frozenset({kinds}),
        )
        for operation, kinds in (
            (Operation.TEXT_TO_VIDEO, ("none", "none")),
            (Operation.IMAGE_TO_VIDEO, ("image", "none")),
        )
    )

    def check(self, client: Client) -> Account:
        """GET /jobs/{id} of a job that never was. Whether the list of models wants a key at all is not documented."""
        denied(client, f"jobs/{NOBODYS}")
        return Account(note=NOTED)

    def billing(self, reply: Any) -> str:
        """A job object tells its cost in credits."""
        cost = reply.get("cost")
        credits_ = cost.get("credits") if isinstance(cost, dict) else None
        if isinstance(credits_, (int, float)) and not isinstance(credits_, bool):
            return f"Railwail charged {credits_:g} credits for it."
        return super().billing(reply)
