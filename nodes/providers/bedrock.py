"""Luma Ray 2 on Amazon Bedrock: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-luma.html.

Contract: that page, the model card of Ray2 and botocore's service model of bedrock-runtime, read 2026-11-20.
Where the clip lies, prices and the quota of one: third parties, the same day. The words of refused access, of
payment and of a bucket that cannot be written: see `generation.amazon`. Not verified by a live call.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ..generation import amazon, errors
from ..generation.credentials import redact
from ..generation.offer import (
    Account,
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

LINK_LIFE: Final = 15 * 60
"""Seconds for which the link to a clip works; each look at the job makes a new one."""
LARGEST_PICTURE: Final = 7_000_000
"""Bytes. Two of them in base64 keep a request below 25 MB, which is inferred: no limit is published."""

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


class Bedrock(Provider):
    """Ray 2 in your own AWS account: signed in as AWS's tools are, the clips in your own bucket."""

    name = "bedrock"
    title = "Amazon Bedrock"
    key_from = "your AWS account; a bucket of yours in us-west-2"
    docs = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-luma.html"
    wants = (
        "It signs in as AWS's own tools do: environment, profile, SSO or role. LUMA_RAY_BEDROCK_OUTPUT names the "
        "bucket for its clips, such as s3://my-bucket/luma-ray, in ComfyUI's environment. It needs boto3."
    )
    chooses_account = (amazon.REGION, "AWS_PROFILE")
    # No `secrets`: AWS's own chain finds the credentials (environment, profiles, SSO, roles).
    settings = (amazon.OUTPUT,)
    reconciles = True
    keeps = float("inf")  # the clip is in the owner's bucket
    # AWS does not say how long it remembers a token; the list of invocations is looked at first anyway.
    resend_life = 3600
    limits = Limits(concurrent=1, source=_QUOTA_SOURCE)
    typical_seconds = 150  # "2-5 minutes for 5-second videos" (AWS); a third party saw 72 s
    cancel_notice = "has no way to cancel: the job is finished and billed, its clip lands in your bucket."
    offers = tuple(
        Offer(
            model="ray-2",
            operation=operation,
            endpoint=amazon.MODEL,
            durations=(5, 9),
            resolutions=tuple(_USD_A_SECOND),
            aspect_ratios=ASPECT_RATIOS,
            keyframes=frozenset(kinds),
            loops=_LOOPS & kinds,
            prompt_length=(1, 5000),
            image_sides=(512, 4096),
            image_bytes=LARGEST_PICTURE,
            prices={(size, length): usd * length for size, usd in _USD_A_SECOND.items() for length in (5, 9)},
            price_source=_PRICE_SOURCE,
        )
        for operation, kinds in _KEYFRAMES.items()
    )

    def upload(self, client: Client, still: StillImage) -> str:  # noqa: ARG002
        """The picture as a data: URI, because Bedrock takes it along."""
        return f"data:{still.media_type};base64,{base64.b64encode(still.file).decode()}"

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
        region, place = (
            client.setting(amazon.REGION) or amazon.ONLY_REGION,
            client.setting(amazon.OUTPUT).rstrip("/"),
        )
        _look_at(client, region, place)
        with amazon.connected(client, "bedrock-runtime", region, paid=True, billing=_UNBILLED) as bedrock:
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
                f"{client.title} has no job {job.id!r}; its ids begin with arn:aws:bedrock:{amazon.ONLY_REGION}:"
            )
        with amazon.connected(client, "bedrock-runtime", named[1]) as bedrock:
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

    def check(self, client: Client) -> Account:
        """A look at the bucket, and ListAsyncInvokes of one."""
        region = client.setting(amazon.REGION) or amazon.ONLY_REGION
        _look_at(client, region, client.setting(amazon.OUTPUT).rstrip("/"))
        with amazon.connected(client, "bedrock-runtime", region) as bedrock:
            bedrock.list_async_invokes(maxResults=1)
        return Account(
            note="Whether the account may use Ray 2, and the bucket be written, only a clip tells."
        )

    def reconcile(self, client: Client, create: Unanswered) -> Job | None:
        """Look through ListAsyncInvokes, the newest first, for the token that went with the create."""
        whole = {"PageSize": 100, "MaxItems": _MOST_LISTED}
        with amazon.connected(
            client, "bedrock-runtime", client.setting(amazon.REGION) or amazon.ONLY_REGION
        ) as bedrock:
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
            f"{amazon.OUTPUT} does not name a place in S3: it must look like s3://my-bucket/luma-ray.{_UNBILLED}"
        )
    bucket, _ = _split(place)
    with amazon.connected(client, "s3", region, billing=_UNBILLED) as s3:
        try:
            told = s3.head_bucket(Bucket=bucket)
        except s3.exceptions.ClientError as error:
            if amazon.code(error) == 404:
                raise errors.ProviderUnavailable(
                    f"There is no bucket {bucket!r}: create it in {region}, or correct {amazon.OUTPUT}.{_UNBILLED}"
                ) from None
            if amazon.code(error) in (400, 403):
                return  # perhaps only the right to list is missing; the create will tell
            raise
    found = told["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", region)
    if found != region:
        raise errors.ProviderUnavailable(
            f"The bucket {bucket!r} is in {found}, and Bedrock is asked in {region}: they must be the same. Name "
            f"another bucket in {amazon.OUTPUT}, or correct {amazon.REGION}.{_UNBILLED}"
        )


def _completed(client: Client, region: str, number: str, told: Json, submitted: str) -> Status:
    place = told["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].rstrip("/")
    try:
        with amazon.connected(client, "s3", region) as s3:
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
            if amazon.code(error) not in (403, 404):
                raise
            hidden |= amazon.code(error) == 403  # who may not list is told this of what is not there, too
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
        reason = f"Bedrock could not write the clip ({said}). {amazon.BUCKET_ADVICE}"
    else:  # AWS's page names one cause only: the bucket
        reason = f"The job failed on Bedrock ({said or 'no reason given'}). {amazon.BUCKET_ADVICE}"
    return Failed(reason=reason, billing=_FAILED_BILLING)
