"""Amazon's services through boto3, signed in as AWS's own tools are, with its errors in our words.

Contract: botocore's service models and its documentation of credentials, read 2026-11-20. The words of refused
access, of payment and of a bucket that cannot be written: public reports, 2026-11-21.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from . import errors
from .connection import certainly_not_sent, certificates, network_reason
from .credentials import redact

if TYPE_CHECKING:
    from .client import Client

OUTPUT: Final = "LUMA_RAY_BEDROCK_OUTPUT"
"""Name of the setting that says where Bedrock writes, such as `s3://my-bucket/luma-ray`."""
REGION: Final = "LUMA_RAY_BEDROCK_REGION"
ONLY_REGION: Final = "us-west-2"
MODEL: Final = "luma.ray-v2:0"
BUCKET_ADVICE: Final = (
    f"Check that the bucket in {OUTPUT} exists, that it is in {ONLY_REGION} like the model, and that the credentials "
    "may put objects there."
)

_SIGN_IN: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in ComfyUI's environment, or name a profile of ~/.aws with "
    "AWS_PROFILE ('aws configure' and 'aws configure sso' make one)"
)
_SET_UP: Final = {
    # error of boto3 or one it is derived from, raised before anything leaves this machine: what to do
    "NoCredentialsError": f"There are no AWS credentials on this machine: {_SIGN_IN}.",
    "ProfileNotFound": "{said}: correct AWS_PROFILE, or make the profile with 'aws configure'.",
    "SSOError": "The AWS sign-in has expired ({said}). Run 'aws sso login', then queue again.",
    "TokenRetrievalError": "The AWS sign-in has expired ({said}). Run 'aws sso login', then queue again.",
    "BotoCoreError": "AWS cannot be asked as it is set up on this machine ({said}).",
}
_RIGHTS: Final = (
    f"These AWS credentials may not do this ({{said}}). They need bedrock:InvokeModel on {MODEL} and on "
    "async-invoke/*, bedrock:GetAsyncInvoke, bedrock:ListAsyncInvokes, and s3:PutObject, s3:GetObject and "
    "s3:ListBucket on the bucket."
)
_REFUSALS: Final[tuple[tuple[type[errors.Rejected], str, str], ...]] = (
    # ours for it, a pattern in "error of AWS: its words", what to do; the first that fits
    (errors.Unauthorized, "^(ExpiredToken|RequestExpired|TokenRefresh)|^AccessDenied.*token has expired",
     "The AWS sign-in has expired ({said}). Run 'aws sso login', or renew the keys and start ComfyUI again."),
    (errors.Unauthorized, "^InvalidSignature.*(expired|not yet current)",
     "The clock of this machine is wrong, so AWS does not accept what it signs ({said}). Set it."),
    (errors.Unauthorized, "^(InvalidSignature|IncompleteSignature)",
     "AWS_SECRET_ACCESS_KEY does not fit its access key ({said}). Copy it again."),
    (errors.Unauthorized, "^(UnrecognizedClient|InvalidClientToken|MissingAuthenticationToken)",
     "AWS does not know the access key ({said}). It must be whole and active; ASIA... needs AWS_SESSION_TOKEN too."),
    (errors.InsufficientCredits, "^AccessDenied.*payment",
     "The AWS account has no valid way to pay ({said}). Correct it under Billing in the AWS console."),
    (errors.ModelNotServed, "^AccessDenied.*(marketplace|access to the model|model access)",
     "This AWS account has no access to Ray 2 ({said}). Request Ray2 once in Bedrock's model catalog."),
    (errors.Unauthorized, "^AccessDenied.*(api key|bearer)",
     "Bedrock does not accept the API key in AWS_BEARER_TOKEN_BEDROCK ({said}). Make a new one."),
    (errors.Unauthorized, "^AccessDenied", _RIGHTS),
    (errors.ModelNotServed, "^Validation.*operation not allowed",
     "AWS has not released this account for Bedrock's models ({said}). Ask AWS Support to do so."),
    (errors.ModelNotServed, "^Validation.*model identifier",
     f"There is no Ray 2 in this region ({{said}}). It is in {ONLY_REGION} only: correct {REGION}."),
    (errors.ModelNotServed, "^ResourceNotFound",
     "Bedrock does not serve Ray 2 to this account, or not any more ({said})."),
    (errors.ContentRefused, "^Validation.*(content filter|moderation)",
     "The safety check on Bedrock refused the prompt or a picture ({said})."),
    (errors.Rejected, "^Validation.*(output config|s3 uri|bucket)",
     f"Bedrock cannot write to the bucket ({{said}}). {BUCKET_ADVICE}"),
    (errors.RateLimited, "^(Throttling|ServiceQuotaExceeded|TooManyRequests)",
     "Amazon Bedrock wants fewer requests at a time ({said}). Most accounts may run one generation at once."),
)  # fmt: skip


@contextmanager
def connected(
    client: Client, service: str, region: str, *, paid: bool = False, billing: str = ""
) -> Iterator[Any]:
    """A boto3 client of its own that sends everything once; what it raises comes out as our errors."""
    try:
        from botocore import exceptions, parsers  # the part of boto3 that is needed
    except ImportError:
        raise errors.Unauthorized(
            f"{client.title} needs boto3: run 'pip install boto3' in ComfyUI's Python.{billing}"
        ) from None
    problems = (exceptions.BotoCoreError, exceptions.ClientError, parsers.ResponseParserError)
    made = None
    try:
        try:
            made = _made(service, region, billing)
        except (ValueError, AttributeError) as error:  # an address that is no URL; an old boto3
            raise errors.Unauthorized(
                f"boto3 cannot be used like this ({redact(str(error))}). Correct {REGION} or AWS_ENDPOINT_URL_..., "
                f"or run 'pip install --upgrade boto3' in ComfyUI's Python.{billing}"
            ) from None
        yield made
    except problems as error:
        raise _explained(client, error, paid=paid, billing=billing) from None
    finally:
        if made is not None:
            made.close()


@cache
def _models() -> Any:
    """What boto3 knows of the services: reading it takes longer than asking them."""
    from botocore.loaders import create_loader

    return create_loader()


def _made(service: str, region: str, billing: str) -> Any:
    from botocore.config import Config
    from botocore.session import Session

    session: Any = Session()  # of its own too: one is not safe on several threads
    session.register_component("data_loader", _models())
    if service == "s3" and os.environ.get("AWS_BEARER_TOKEN_BEDROCK") and session.get_credentials() is None:
        raise errors.Unauthorized(
            "The API key in AWS_BEARER_TOKEN_BEDROCK opens Bedrock, but not S3, where the clips land. For that, "
            f"{_SIGN_IN}.{billing}"
        )
    elsewhere = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    bundle = certificates()
    connected = session.create_client(
        service,
        region_name=region,
        verify=None if bundle is True or os.environ.get("AWS_CA_BUNDLE") else bundle,
        config=Config(
            signature_version="s3v4" if service == "s3" else None,
            # Left to itself, boto3 signs links to Amazon's global host, which sends readers of a young bucket on
            # to its region, where the signature is wrong; and 127.0.0.1 has no subdomains for buckets.
            s3={"addressing_style": "path" if elsewhere else "virtual"},
            connect_timeout=10,
            read_timeout=60,
            # what is asked again, and when, is for the core to say
            retries={"total_max_attempts": 1, "mode": "standard"},
        ),
    )
    # an old boto3 has no such operation, which must be known before anything is bought
    return connected if service == "s3" or connected.start_async_invoke else None


def _explained(client: Client, error: Any, *, paid: bool, billing: str) -> errors.GenerationError:
    from botocore import exceptions as known

    if isinstance(error, known.ClientError):
        return _refusal(client, error, paid=paid, billing=billing)
    network = (known.HTTPClientError, known.ConnectionError)
    if isinstance(error, known.BotoCoreError) and not isinstance(error, network):
        words = next(_SET_UP[kind.__name__] for kind in type(error).mro() if kind.__name__ in _SET_UP)
        return errors.Unauthorized(f"{words.format(said=shortened(str(error)))}{billing}")
    cause = getattr(error, "kwargs", {}).get("error")
    late = isinstance(error, (known.ReadTimeoutError, known.ConnectTimeoutError))
    reason = "it took too long" if late else network_reason(cause) if cause else "its answer cannot be read"
    # As in `connection.certainly_not_sent`: of TLS and of proxies only these two come before the request.
    early = isinstance(error, (known.EndpointConnectionError, known.ConnectTimeoutError))
    early = early or bool(re.search("CERTIFICATE_VERIFY_FAILED|Tunnel connection failed", f"{error} {cause}"))
    if not paid or early or (cause is not None and certainly_not_sent(cause)):
        return errors.ProviderUnavailable(f"{client.title} could not be reached ({reason}).{billing}")
    return errors.SubmissionUncertain(
        f"The request went out to {client.title}, and the connection ended before an answer came ({reason}). It may "
        "have been created and billed."
    )


def _refusal(client: Client, error: Any, *, paid: bool, billing: str) -> errors.GenerationError:
    told = error.response.get("Error", {})
    said = shortened(told.get("Message") or "")
    kind = str(told.get("Code", "")).removesuffix("Exception")
    if error.operation_name in ("AssumeRole", "AssumeRoleWithWebIdentity", "GetRoleCredentials"):
        return errors.Unauthorized(f"AWS hands out no credentials ({error.operation_name}: {said}).{billing}")
    if kind == "Conflict" and paid:
        return errors.SubmissionUncertain(
            f"{client.title} knows this request already, with other details ({said}). It may have been created and "
            "billed."
        )
    wait = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    pause = float(wait) if wait.isdecimal() else None
    for ours, pattern, words in _REFUSALS:
        if re.search(pattern, f"{kind}: {said}", re.IGNORECASE):
            text = f"{words.format(said=said)}{billing}"
            return errors.RateLimited(text, retry_after=pause) if ours is errors.RateLimited else ours(text)
    return client.error(code(error), said, paid=paid, retry_after=pause)


def code(error: Any) -> int:
    """The HTTP status of an answer of AWS; 0 for none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def shortened(words: str) -> str:
    """What AWS said, short and without secrets."""
    said = redact(" ".join(words.split()))[:300].rstrip(".")
    return "no reason given" if not said or "<" in said[:20] else said
