"""Luma Ray 2 on Amazon Bedrock: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-luma.html.

Contract: that page, the model card of Ray2 and botocore's service model of bedrock-runtime, read 2026-11-20.
Where the clip lies, prices and the quota of one: third parties, the same day. The words of refused access, of
payment and of a bucket that cannot be written: public reports, 2026-11-21. Not verified by a live call.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..generation import errors
from ..generation.connection import certainly_not_sent, certificates, network_reason
from ..generation.credentials import redact
from ..generation.offer import (
    Completed,
    Failed,
    Job,
    Limits,
    Offer,
    Pending,
    Provider,
    Source,
    Status,
    Unanswered,
)
from ..generation.ray import ASPECT_RATIOS
from ..generation.request import GenerationRequest, Json, Operation, StillImage

if TYPE_CHECKING:
    from ..generation.client import Client

OUTPUT: Final = "LUMA_RAY_BEDROCK_OUTPUT"
"""Name of the setting that says where Bedrock writes, such as `s3://my-bucket/luma-ray`."""
REGION: Final = "LUMA_RAY_BEDROCK_REGION"
ONLY_REGION: Final = "us-west-2"
LINK_LIFE: Final = 15 * 60
"""Seconds for which the link to a clip works; each look at the job makes a new one."""
LARGEST_PICTURE: Final = 7_000_000
"""Bytes. Two of them in base64 keep a request below 25 MB, which is inferred: no limit is published."""

_MODEL: Final = "luma.ray-v2:0"
_PRICE_SOURCE: Final = Source(where="third-party copies of AWS's prices", day="2026-11-20", unverified=True)
_QUOTA_SOURCE: Final = Source(where="third-party reports", day="2026-11-20", unverified=True)
_USD_A_SECOND: Final = {"540p": Decimal("0.75"), "720p": Decimal("1.50")}
_KEYFRAMES: Final = {
    Operation.TEXT_TO_VIDEO: {("none", "none")},
    Operation.IMAGE_TO_VIDEO: {("image", "none")},
    Operation.KEYFRAMES_TO_VIDEO: {("image", "image"), ("none", "image")},
}
# A loop is documented beside a prompt. That a first frame allows it and a last frame does not is inferred from
# Luma's own API of the same model.
_LOOPS: Final = frozenset({("none", "none"), ("image", "none")})

_ARN: Final = re.compile(r"arn:aws[a-z-]*:bedrock:([a-z0-9-]{1,20}):[0-9]{12}:async-invoke/([a-z0-9]{12})")
_PLACE: Final = re.compile(r"s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?")
_MOST_LISTED: Final = 2000  # invocations; an end for a list that has none
_JUST_ENDED: Final = 120
"""Seconds after the end of a job during which its file may still be on its way (inferred)."""

_UNBILLED: Final = " Nothing was billed."
_FAILED_BILLING: Final = "AWS does not document whether it bills failed jobs; see Luma AI in Cost Explorer."
_BUCKET_ADVICE: Final = (
    f"Check that the bucket in {OUTPUT} exists, that it is in {ONLY_REGION} like the model, and that the credentials "
    "may put objects there."
)


class Bedrock(Provider):
    """Ray 2 in your own AWS account: signed in as AWS's tools are, the clips in your own bucket."""

    name = "bedrock"
    title = "Amazon Bedrock"
    about = "Ray 2 in your own AWS account, clips in your own S3 bucket; the dearest one here, needs boto3"
    docs = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-luma.html"
    chooses_account = (REGION, "AWS_PROFILE")
    # No `secrets`: AWS's own chain finds the credentials (environment, profiles, SSO, roles).
    settings = (OUTPUT,)
    reconciles = True
    # AWS does not say how long it remembers a token; the list of invocations is looked at first anyway.
    resend_life = 3600
    limits = Limits(concurrent=1, source=_QUOTA_SOURCE)
    typical_seconds = 150  # "2-5 minutes for 5-second videos" (AWS); a third party saw 72 s
    cancel_notice = "has no way to cancel: the job is finished and billed, its clip lands in your bucket."
    offers = tuple(
        Offer(
            model="ray-2",
            operation=operation,
            endpoint=_MODEL,
            durations=(5, 9),
            resolutions=tuple(_USD_A_SECOND),
            aspect_ratios=ASPECT_RATIOS,
            keyframes=frozenset(kinds),
            loops=_LOOPS & kinds,
            prompt_length=(1, 5000),
            image_sides=(512, 4096),
            prices={(size, length): usd * length for size, usd in _USD_A_SECOND.items() for length in (5, 9)},
            price_source=_PRICE_SOURCE,
        )
        for operation, kinds in _KEYFRAMES.items()
    )

    def upload(self, client: Client, still: StillImage) -> str:
        """The picture as a data: URI, because Bedrock takes it along: PNG, where that is too large JPEG."""
        for media_type in ("image/png", "image/jpeg"):
            content = still.encode(media_type)
            if len(content) <= LARGEST_PICTURE:
                return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
        raise errors.UploadFailed(
            f"{client.title} takes pictures of up to {LARGEST_PICTURE / 1e6:.0f} MB, and this one of {still.width}x"
            f"{still.height} pixels has {len(content) / 1e6:.0f} even as a JPEG. Nothing was sent or billed."
        )

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """The model's input, with every field: AWS documents no defaults."""
        body: Json = {
            "prompt": request.prompt,
            "aspect_ratio": request.aspect_ratio,
            "duration": f"{request.duration}s",
            "resolution": request.resolution,
            "loop": request.loop,
        }
        for name, frame in zip(("frame0", "frame1"), request.keyframes, strict=True):
            if isinstance(frame, StillImage):
                media_type, _, data = pictures[frame.sha256].removeprefix("data:").partition(";base64,")
                source = {"type": "base64", "media_type": media_type, "data": data}
                body.setdefault("keyframes", {})[name] = {"type": "image", "source": source}
        return body

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:
        """StartAsyncInvoke, after a free look at the bucket: AWS itself finds out when the job has failed."""
        region, place = client.setting(REGION) or ONLY_REGION, client.setting(OUTPUT).rstrip("/")
        _look_at(client, region, place)
        with _amazon(client, "bedrock-runtime", region, paid=True, billing=_UNBILLED) as bedrock:
            told = bedrock.start_async_invoke(
                modelId=offer.endpoint,
                modelInput=body,
                outputDataConfig={"s3OutputDataConfig": {"s3Uri": place}},
                clientRequestToken=key,
            )
        return Job(id=_arn(told), details={"output": place})

    def status(self, client: Client, job: Job) -> Status:
        """GetAsyncInvoke; for a finished job also where its clip is, by a link that is good for a while."""
        named = _ARN.fullmatch(job.id)
        if named is None:
            raise errors.Rejected(
                f"{client.title} has no job {job.id!r}; its ids begin with arn:aws:bedrock:{ONLY_REGION}:"
            )
        with _amazon(client, "bedrock-runtime", named[1]) as bedrock:
            told = bedrock.get_async_invoke(invocationArn=job.id)
        match told["status"]:
            case "InProgress":
                return Pending(note="in progress")
            case "Completed":
                return _completed(client, named[1], named[2], told, job.details.get("output", ""))
            case "Failed":
                return _failed(told.get("failureMessage", ""))
            case unknown:
                raise ValueError(f"unknown status {unknown!r}")

    def reconcile(self, client: Client, create: Unanswered) -> Job | None:
        """Look through ListAsyncInvokes, the newest first, for the token that went with the create."""
        whole = {"PageSize": 100, "MaxItems": _MOST_LISTED}
        with _amazon(client, "bedrock-runtime", client.setting(REGION) or ONLY_REGION) as bedrock:
            pages = bedrock.get_paginator("list_async_invokes").paginate(
                sortBy="SubmissionTime", sortOrder="Descending", PaginationConfig=whole
            )
            for page in pages:
                for item in page["asyncInvokeSummaries"]:
                    if item.get("clientRequestToken") == create.key:
                        return Job(id=_arn(item))
        return None


def _arn(told: Any) -> str:
    arn = told["invocationArn"]
    if not _ARN.fullmatch(arn):
        raise ValueError("an invocation's ARN expected")
    return str(arn)


# -- the bucket -----------------------------------------------------------------------------------------------


def _look_at(client: Client, region: str, place: str) -> None:
    """Raise what is certainly wrong with the bucket, before anything is bought.

    As ProviderUnavailable: of a create that is sent again, Rejected would say that the first one made no job.
    """
    if not _PLACE.fullmatch(place):
        raise errors.ProviderUnavailable(
            f"{OUTPUT} does not name a place in S3: it must look like s3://my-bucket/luma-ray.{_UNBILLED}"
        )
    bucket, _ = _split(place)
    with _amazon(client, "s3", region, billing=_UNBILLED) as s3:
        try:
            told = s3.head_bucket(Bucket=bucket)
        except s3.exceptions.ClientError as error:
            if _code(error) == 404:
                raise errors.ProviderUnavailable(
                    f"There is no bucket {bucket!r}: create it in {region}, or correct {OUTPUT}.{_UNBILLED}"
                ) from None
            if _code(error) in (400, 403):
                return  # perhaps only the right to list is missing; the create will tell
            raise
    found = told["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", region)
    if found != region:
        raise errors.ProviderUnavailable(
            f"The bucket {bucket!r} is in {found}, and Bedrock is asked in {region}: they must be the same. Name "
            f"another bucket in {OUTPUT}, or correct {REGION}.{_UNBILLED}"
        )


def _completed(client: Client, region: str, number: str, told: Json, submitted: str) -> Status:
    place = told["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].rstrip("/")
    try:
        with _amazon(client, "s3", region) as s3:
            found = _found(s3, place, submitted, number)
            if found is not None:
                where = {"Bucket": found[0], "Key": found[1]}
                link = s3.generate_presigned_url("get_object", Params=where, ExpiresIn=LINK_LIFE)
                return Completed(url=link)
    except errors.Unauthorized as error:
        raise errors.Unauthorized(f"The clip is finished and lies in {place}. {error}") from None
    if "endTime" in told and client.clock.now() - told["endTime"].timestamp() < _JUST_ENDED:
        return Pending(note="finished, its file is not in the bucket yet")
    raise errors.DownloadFailed(
        f"The clip is finished, and there is no video of it in {place}: it was moved or deleted there. Put it "
        "back and collect it again, free of further charge."
    )


def _found(s3: Any, place: str, submitted: str, number: str) -> tuple[str, str] | None:
    """Bucket and key of the clip. Where it lies is documented nowhere; third parties saw the first of these."""
    names = [place] if place.endswith(".mp4") else [f"{place}/output.mp4", f"{place}/{number}/output.mp4"]
    names += [f"{submitted}/{number}/output.mp4"] if submitted else []
    hidden = False
    for bucket, key in dict.fromkeys(map(_split, names)):
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except s3.exceptions.ClientError as error:
            if _code(error) not in (403, 404):
                raise
            hidden |= _code(error) == 403  # who may not list is told this of what is not there, too
        else:
            return bucket, key
    bucket, prefix = _split(place if number in place else f"{place}/{number}")
    if hidden:
        raise errors.Unauthorized(
            f"These AWS credentials may not read it: they need s3:GetObject and s3:ListBucket on {bucket!r}. Give "
            "them these and collect the clip again, free of further charge."
        )
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return next(((bucket, item["Key"]) for item in listed if item["Key"].endswith(".mp4")), None)


def _split(place: str) -> tuple[str, str]:
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return bucket, key


def _failed(message: str) -> Failed:
    said = redact(" ".join(message.split())).rstrip(".")
    if re.search("moderat|content filter|content polic|blocked|safety", said, re.IGNORECASE):
        reason = f"The safety check on Bedrock rejected the prompt, a picture or the result ({said})."
    elif re.search("bucket|s3|output config|access denied|permission", said, re.IGNORECASE):
        reason = f"Bedrock could not write the clip ({said}). {_BUCKET_ADVICE}"
    else:  # AWS's page names one cause only: the bucket
        reason = f"The job failed on Bedrock ({said or 'no reason given'}). {_BUCKET_ADVICE}"
    return Failed(reason=reason, billing=_FAILED_BILLING)


# -- boto3, and its errors in our words -----------------------------------------------------------------------

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
    f"These AWS credentials may not do this ({{said}}). They need bedrock:InvokeModel on {_MODEL} and on "
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
     f"Bedrock cannot write to the bucket ({{said}}). {_BUCKET_ADVICE}"),
    (errors.RateLimited, "^(Throttling|ServiceQuotaExceeded|TooManyRequests)",
     "Amazon Bedrock wants fewer requests at a time ({said}). Most accounts may run one generation at once."),
)  # fmt: skip


@contextmanager
def _amazon(
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
    connected = None
    try:
        try:
            connected = _connected(service, region, billing)
        except (ValueError, AttributeError) as error:  # an address that is no URL; an old boto3
            raise errors.Unauthorized(
                f"boto3 cannot be used like this ({redact(str(error))}). Correct {REGION} or AWS_ENDPOINT_URL_..., "
                f"or run 'pip install --upgrade boto3' in ComfyUI's Python.{billing}"
            ) from None
        yield connected
    except problems as error:
        raise _explained(client, error, paid=paid, billing=billing) from None
    finally:
        if connected is not None:
            connected.close()


@cache
def _models() -> Any:
    """What boto3 knows of the services: reading it takes longer than asking them."""
    from botocore.loaders import create_loader

    return create_loader()


def _connected(service: str, region: str, billing: str) -> Any:
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
        return errors.Unauthorized(f"{words.format(said=_shortened(str(error)))}{billing}")
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
    said = _shortened(told.get("Message") or "")
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
    return client.error(_code(error), said, paid=paid, retry_after=pause)


def _code(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _shortened(words: str) -> str:
    said = redact(" ".join(words.split()))[:300].rstrip(".")
    return "no reason given" if not said or "<" in said[:20] else said
