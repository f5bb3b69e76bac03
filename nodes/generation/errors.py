"""Everything that can go wrong with a generation, and what it cost.

GenerationError
├── InvalidInput              an image, a prompt or a file cannot be used        nothing sent, nothing billed
├── UnsupportedRequest        no provider asked sells this combination            nothing sent, nothing billed
├── MissingCredentials        no key on this machine                              nothing sent, nothing billed
├── HostingRequired           the provider wants a public URL and none can be made  nothing sent, nothing billed
├── LimitReached              a limit of the machine's owner would be crossed      nothing sent, nothing billed
├── UploadFailed              an image could not be put where the provider reads   nothing billed
├── Rejected                  the provider refused the request                    nothing billed
│   ├── Unauthorized            401, 403
│   ├── InsufficientCredits     402
│   ├── ContentRefused          its rules on content: moderation before the job
│   ├── ModelNotServed          the account, or the service now, does not have the model
│   └── RateLimited             429
├── ProviderUnavailable       no answer, and certainly no job                     nothing billed
├── UnexpectedReply           an answer that is not in the provider's contract    the job, if there is one, is kept
├── SubmissionUncertain       the create went out, no usable answer came          maybe billed
│   └── Unrecorded              it was accepted, and the journal does not say so  billed, collectable by its job
├── GenerationFailed          the job ran and failed                              by the provider's terms
├── StillRunning              not done at our deadline                            billed, collectable
├── Interrupted               the person stopped the wait                         collectable if it was submitted
├── DownloadFailed            the clip is done, its file did not arrive           billed, collectable
├── BrokenClip                a video file that does not decode                   whatever made it
└── JournalUnavailable        the record of purchases cannot be written           nothing sent, nothing billed
"""

from __future__ import annotations

from typing import Final, Literal

Fate = Literal["", "cancelled", "kept"]
"""Of a job whose wait was stopped: cancelled; kept, which is made and paid all the same; nothing for what is free."""


class GenerationError(Exception):
    """Root of the tree. The text is for the person at the canvas; it holds no key and no signed URL."""

    status: int = 0
    """Of the answer in JSON that it was made of, by HTTP; 0 where there was none."""


class InvalidInput(GenerationError):
    """An image, a prompt or a file cannot be used as it is. Nothing was sent or billed."""


class UnsupportedRequest(GenerationError):
    """No provider that was asked sells this. Names every reason at once. Nothing was sent or billed."""


class MissingCredentials(GenerationError):
    """The named provider has no key on this machine. Nothing was sent or billed."""


class HostingRequired(GenerationError):
    """The provider takes images only by public URL and no hosting is set up. Nothing was sent or billed."""


class LimitReached(GenerationError):
    """It would cost more than the owner of the machine allows. Nothing was sent or billed."""


class UploadFailed(GenerationError):
    """An image could not be put where the provider can read it. Nothing was billed."""


class Rejected(GenerationError):
    """The provider answered that it does not accept the request. Nothing was billed."""


class Unauthorized(Rejected):
    """The key is wrong, or not allowed to do this (401, 403)."""


class InsufficientCredits(Rejected):
    """The account has too little money (402)."""


class ContentRefused(Rejected):
    """The provider's rules on content do not allow the prompt or a picture. Nothing was billed."""


class ModelNotServed(Rejected):
    """The provider does not serve this model, or not to this account. Nothing was billed."""


class RateLimited(Rejected):
    """Too many requests (429)."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the provider asks to wait; None when it does not say."""


class ProviderUnavailable(GenerationError):
    """No answer to a read, or a create that certainly did not become a job. Nothing was billed for it."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the provider asks to wait; None when it does not say."""


class UnexpectedReply(GenerationError):
    """An answer outside the provider's documented contract. A job that exists is kept in the journal."""


class SubmissionUncertain(GenerationError):
    """A create was sent and no usable answer came back: it may have been billed. Never sent again by itself."""


class Unrecorded(SubmissionUncertain):
    """A job was accepted, and its row could not take it. The text holds its id, which brings the clip back."""


class GenerationFailed(GenerationError):
    """The job ran and failed at the provider; the text says why and what it means for the bill."""


class StillRunning(GenerationError):
    """Not finished at our deadline. Nothing is lost: the job stays in the journal and is collected later."""


class Interrupted(GenerationError):
    """The person stopped waiting. The text says what happens to the job and its bill."""

    def __init__(self, message: str, *, job: Fate = "") -> None:
        super().__init__(message)
        self.job = job


class DownloadFailed(GenerationError):
    """The clip exists at the provider, and its file did not arrive whole. It stays collectable."""


class BrokenClip(GenerationError):
    """A video file that cannot be decoded; the text says what is wrong and where the file is."""


class JournalUnavailable(GenerationError):
    """The journal cannot be written, so nothing is bought. Nothing was sent or billed."""


REFUSALS: Final = (InvalidInput, UnsupportedRequest, MissingCredentials, HostingRequired, LimitReached)
"""Errors that say that nothing was sent."""
