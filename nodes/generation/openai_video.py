"""The OpenAI-shaped call for video that gateways copy, for all of them: a gateway is a subclass with its data.

Contract: the types of the `openai` SDK 3.52.0 (POST /videos, GET /videos/{id}, GET /videos/{id}/content), read
2026-11-20. Gateways keep the call and differ in what they answer: an OpenAI video object, a job object to ask about
under /jobs, or the finished clip's address at once. All three are understood here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import quote, urljoin

from .answers import about, text
from .credentials import redact
from .errors import ContentRefused, GenerationError, InsufficientCredits, ModelNotServed, Rejected
from .offer import Completed, Failed, Job, Offer, Pending, Provider, Status
from .request import GenerationRequest, Json, StillImage

if TYPE_CHECKING:
    from .client import Answer, Client
    from .credentials import Secret

_PLACES: Final = {"video": "videos", "job": "jobs"}
"""Where an object is asked about, by what it says that it is."""
_RUNNING: Final = ("queued", "pending", "in_progress", "processing")
_DONE: Final = ("completed", "succeeded")
_ENDED: Final = {
    "failed": "The job failed at {title}: {said}.",
    "cancelled": "The job was cancelled at {title}.",
    "canceled": "The job was cancelled at {title}.",
    "expired": "The job expired at {title} before its clip was fetched.",
}
_MODERATION: Final = ("content_policy_violation", "moderation_blocked")
"""OpenAI's codes for it."""


SYNCHRONOUS: Final = 540.0
"""Seconds that a gateway may take which answers with the finished clip."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one gateway spells the call."""

    models: Mapping[str, str]
    """Its names of the models, by ours."""
    sizes: Mapping[tuple[str, str], str]
    """`size` for (resolution, aspect ratio)."""
    seconds: Literal["text", "number"] = "text"
    """OpenAI's own is text: "8"."""
    first_frame: tuple[str, ...] = ("input_reference", "image_url")
    """The field for the first frame's URL, from the outside in."""


class OpenAIVideo(Provider):
    """A gateway with OpenAI's call for video. A subclass says its name, address, key, offers and dialect.

    Pictures go along as data: URLs, which OpenAI's types allow; where a gateway wants web addresses, the subclass
    sets `takes_urls_only`. The endpoint of its offers is `videos`.
    """

    dialect: ClassVar[Dialect]
    no_such_call: ClassVar[str] = ""
    """What to do where the gateway has no such call, as a sentence."""
    cancel_notice = "has no way to cancel a job: it finishes there and is billed."

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Bearer authentication."""
        return {"Authorization": f"Bearer {secrets[self.secrets[0]].reveal()}"}

    def error_text(self, reply: Any) -> str:
        """`error.message`; of a gateway that keeps it simpler, `error` itself."""
        error = reply["error"]
        return str(error if isinstance(error, str) else error["message"])

    def explain(self, answer: Answer) -> GenerationError | None:
        """Creates only: what OpenAI's codes mean, and what a call that is not there means."""
        if not answer.paid or answer.status >= 500:
            return None
        code = _code(answer.content)
        if code == "model_not_found":
            return ModelNotServed(
                f"{self.label} does not serve this model, or not to this account ({answer.status}){answer.words}. "
                "Nothing was billed. Choose another model or provider."
            )
        if code in _MODERATION:
            return ContentRefused(
                f"{self.label}'s safety check rejected the prompt or the picture ({answer.status}){answer.words}. "
                "Nothing was billed. Change them."
            )
        if code == "insufficient_quota":  # with 429, so it would pass for too many requests
            return InsufficientCredits(
                f"The account at {self.label} has not enough credits{answer.words}. Nothing was billed."
            )
        if answer.status in (404, 405):
            return Rejected(
                f"{self.label} has no call for video at the address this pack uses: it answered {answer.status} to "
                f"POST /videos{answer.words}. Nothing was created or billed. {self.no_such_call}".rstrip()
            )
        return None

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """The create body."""
        seconds = request.duration
        body: Json = {
            "model": self.dialect.models[request.model],
            "prompt": request.prompt,
            "seconds": str(seconds) if self.dialect.seconds == "text" else seconds,
            "size": self.dialect.sizes[request.resolution, request.aspect_ratio],
        }
        if isinstance(request.first_frame, StillImage):
            field, *inside = self.dialect.first_frame
            value: Any = pictures[request.first_frame.sha256]
            for name in reversed(inside):
                value = {name: value}
            body[field] = value
        return body

    def upload(self, client: Client, still: StillImage) -> str:  # noqa: ARG002
        """The picture itself, as a data: URL; nothing is sent yet."""
        return f"data:{still.media_type};base64,{base64.b64encode(still.file).decode('ascii')}"

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:  # noqa: ARG002
        """POST /videos. OpenAI documents no idempotency for it, so no key goes along.

        An object that can be asked about again is kept by its id alone. Where the answer is the clip's address and
        nothing else, that address is the only thing that leads to a paid clip: it is kept whole, also when it is
        signed, because without its signature it would be worth nothing.
        """
        reply = client.create(offer.endpoint, body, hold=SYNCHRONOUS)
        told, address = reply.get("id"), _address(reply)
        if reply.get("object") in _PLACES:
            return Job(id=text(told), details={"at": _PLACES[reply["object"]]})
        if address is None:
            # Of no known kind; REST's habit is to ask about it where it was created.
            return Job(id=text(told), details={"at": "videos"})
        made_up = f"clip-{hashlib.sha256(address.encode()).hexdigest()[:16]}"
        return Job(id=told if isinstance(told, str) and told else made_up, details={"url": address})

    def status(self, client: Client, job: Job) -> Status:
        """GET /videos/{id} or /jobs/{id}; nothing is asked about a clip that was there at once."""
        kept = job.details.get("url")
        if kept:
            return self._completed(client, kept)
        place, reply = self._look(client, job)
        about(reply, job.id)
        match reply["status"]:
            case word if word in _RUNNING:
                return Pending(note=_note(word, reply.get("progress")))
            case word if word in _DONE:
                address = _address(reply)
                if address is None and place == "videos":
                    address = f"videos/{quote(job.id, safe='')}/content"
                return self._completed(client, text(address))
            case word if word in _ENDED:
                return Failed(reason=self._reason(word, reply), billing=self.billing(reply))
            case unknown:
                raise ValueError(f"unknown status {unknown!r}")

    def billing(self, reply: Any) -> str:  # noqa: ARG002
        """What *reply*, about a job that ended without a clip, means for the bill, as a sentence."""
        return f"{self.title} does not document whether it bills a failed job; its usage page shows it."

    def _look(self, client: Client, job: Job) -> tuple[str, Any]:
        """Where the job is and what is said about it there. A job known by its id alone can be in either place."""
        places = [job.details["at"]] if "at" in job.details else list(_PLACES.values())
        for place in places[:-1]:
            try:
                return place, client.get(f"{place}/{quote(job.id, safe='')}")
            except Rejected as error:
                if type(error) is not Rejected:  # a wrong key is wrong in every place
                    raise
        return places[-1], client.get(f"{places[-1]}/{quote(job.id, safe='')}")

    def _completed(self, client: Client, address: str) -> Completed:
        """Done. What is part of the API itself wants the key; a file elsewhere, on the same host too, does not."""
        url = urljoin(client.base_url, address)
        return Completed(url=url, signed=client.owns(url) and url.startswith(client.base_url))

    def _reason(self, word: str, reply: Any) -> str:
        error = reply.get("error")
        if _code(reply) in _MODERATION:
            return f"{self.title}'s safety check rejected the prompt, the picture or the clip. Change them."
        said = error.get("message") if isinstance(error, dict) else error
        # It may quote the picture's signed URL.
        said = redact(said.strip().rstrip(".")) if isinstance(said, str) else ""
        return _ENDED[word].format(title=self.title, said=said or "no reason given")


def _address(reply: Any) -> str | None:
    """The finished clip's address: `output_url`, `url`, or `url` of the first item of `data`."""
    data = reply.get("data")
    inner = data[0].get("url") if isinstance(data, list) and data else None
    found = next((item for item in (reply.get("output_url"), reply.get("url"), inner) if item), None)
    return found if found is None else text(found)


def _code(content: Any) -> str:
    error = content.get("error") if isinstance(content, dict) else None
    return str(error.get("code")) if isinstance(error, dict) else ""


def _note(word: str, progress: Any) -> str:
    known = isinstance(progress, (int, float)) and not isinstance(progress, bool) and 0 < progress <= 100
    return f"{word.replace('_', ' ')}, {progress:.0f} %" if known else word.replace("_", " ")
