"""Amazon Bedrock's asynchronous invocations of Luma Ray 2, and as much of Amazon S3 as their output needs.

Sources (read 2026-11-20 and 21): botocore 1.44.5's service model of bedrock-runtime; docs.aws.amazon.com:
Bedrock user guide (Luma AI models, model card of Ray2, API error codes), Nova user guide (errors of video
generation), S3 API reference and Signature Version 4. Prices and the place of the output: third parties.
Both services stand on one origin, as AWS_ENDPOINT_URL_... lets them. The signature of each request is checked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import string
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from . import clips
from .clips import Picture
from .jobs import Failure, JobEmulator, Trouble, Work
from .server import Fault, Refusal, Reply, Request, Route, file_reply, json_reply, time_told, utc
from .shapes import Problem, Rule, Where, fields, flag, items, one_of, text

MODEL = "luma.ray-v2:0"
REGION = "us-west-2"
"""The only one that has the model."""
ACCOUNT = "123456789012"
ACCESS_KEY_ID = "AKIABEDROCKEMULATOR0"
BUCKET = "pictures-and-clips"

ASPECT_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
SECONDS = {"5s": 5, "9s": 9}
USD_A_SECOND = {"540p": 0.75, "720p": 1.50}
SMALLEST_SIDE, LARGEST_SIDE = 512, 4096
MOST_BYTES = 25_000_000
"""Of a request; inferred, no limit is published."""
# Only `prompt` is required, and no page says what the others are then: inferred from the page's examples.
DEFAULTS = {"aspect_ratio": "16:9", "duration": "5s", "resolution": "720p", "loop": False}

STATUS = {
    "AccessDeniedException": 403,
    "ThrottlingException": 429,
    "ServiceQuotaExceededException": 400,
    "ValidationException": 400,
    "ConflictException": 400,
    "ResourceNotFoundException": 404,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
    "UnrecognizedClientException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "ExpiredTokenException": 403,
}
"""HTTP status of each error: the first eight from the service model, the others common to AWS's services."""

MODERATED = "The generated video has been blocked by our content filters."
"""A sentence of Amazon's own video model; what Luma's says is not documented."""
NOT_WRITTEN = "Invalid Output Config/Credentials"
"""What people saw of Amazon's own video model when its bucket could not be written; for Luma's inferred."""

_ARN = re.compile(r"arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:async-invoke/[a-z0-9]{12}")
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>[^,]+), ?SignedHeaders=(?P<headers>[a-z0-9;-]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


# -- the shape of a request -----------------------------------------------------------------------------------


def _matching(pattern: str, longest: int) -> Rule:
    """A string of 1 to *longest* characters, all of it as *pattern*."""

    def rule(value: Any, where: Where) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield from text(value, where)
        elif not 1 <= len(value) <= longest:
            yield Problem(where, "length", f"Member must have length between 1 and {longest}")
        elif not re.fullmatch(pattern, value):
            yield Problem(where, "pattern", f"Member must satisfy regular expression pattern: {pattern}")

    return rule


def _tags(value: Any, where: Where) -> Iterator[Problem]:
    allowed = r"[a-zA-Z0-9\s._:/=+@-]*"
    yield from items(fields({"key": _matching(allowed, 128), "value": text}))(value, where)
    if isinstance(value, list) and len(value) > 200:
        yield Problem(where, "length", "Member must have length less than or equal to 200")


def _anything(value: Any, where: Where) -> Iterator[Problem]:
    """A document of the model; see MODEL_INPUT."""
    return iter(())


ENVELOPE = fields(
    {
        "modelId": _matching(r"[a-zA-Z_\.\-/0-9:]+", 256),
        "modelInput": _anything,
        "outputDataConfig": fields(
            {
                "s3OutputDataConfig": fields(
                    {"s3Uri": _matching(r"s3://[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9](/.*)?", 1024)},
                    {
                        "kmsKeyId": _matching(
                            r"arn:aws(-[^:]+)?:kms:[a-zA-Z0-9-]*:[0-9]{12}:"
                            r"((key/[a-zA-Z0-9-]{36})|(alias/[a-zA-Z0-9-_/]+))",
                            2048,
                        ),
                        "bucketOwner": _matching("[0-9]{12}", 12),
                    },
                )
            }
        ),
    },
    {"clientRequestToken": _matching("[!-~]*", 256), "tags": _tags},
)


def _prompt(value: Any, where: Where) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield from text(value, where)
    elif not 1 <= len(value) <= 5000:
        yield Problem(where, "length", "expected minLength: 1, maxLength: 5000")


_KEYFRAME = fields(
    {
        "type": one_of("image"),
        "source": fields(
            {"type": one_of("base64"), "media_type": one_of("image/jpeg", "image/png"), "data": text}
        ),
    }
)


def _keyframes(value: Any, where: Where) -> Iterator[Problem]:
    yield from fields(optional={"frame0": _KEYFRAME, "frame1": _KEYFRAME})(value, where)
    if value == {}:
        yield Problem(where, "empty", "at least one of frame0, frame1 is needed")  # inferred


MODEL_INPUT = fields(
    {"prompt": _prompt},
    {
        "aspect_ratio": one_of(*ASPECT_RATIOS),
        "loop": flag,
        "duration": one_of(*SECONDS),
        "resolution": one_of(*USD_A_SECOND),
        "keyframes": _keyframes,
    },
)


# -- credentials ----------------------------------------------------------------------------------------------


class Scope(NamedTuple):
    """Whose signature it is, and what it is good for."""

    key_id: str
    day: str
    region: str
    service: str
    end: str


@dataclass(frozen=True)
class Signature:
    """A Signature Version 4, from the Authorization header or, in a presigned link, from the query."""

    scope: Scope
    stamp: str
    headers: tuple[str, ...]
    value: str
    expires: int | None = None
    """Seconds a presigned link is good for; None for a signed request."""

    @classmethod
    def of(cls, request: Request) -> Signature | None:
        """The signature of *request*; None where it has none that can be read."""
        told = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if told:
            parts = told["credential"].split("/")
            stamp, named, value, expires = (
                request.headers.get("X-Amz-Date", ""),
                told["headers"],
                told["signature"],
                None,
            )
        elif request.query.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256":
            query = request.query
            parts = query.get("X-Amz-Credential", "").split("/")
            stamp, named = query.get("X-Amz-Date", ""), query.get("X-Amz-SignedHeaders", "")
            value, lasting = query.get("X-Amz-Signature", ""), query.get("X-Amz-Expires", "")
            expires = int(lasting) if lasting.isdecimal() else 0
        else:
            return None
        if len(parts) != 5 or not re.fullmatch(r"\d{8}T\d{6}Z", stamp):
            return None
        return cls(Scope(*parts), stamp, tuple(named.split(";")), value, expires)

    @property
    def age(self) -> float:
        """Seconds since it was made, by the real clock: that is the one clients sign by."""
        made = datetime.strptime(self.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        return time.time() - made.timestamp()

    def fits(self, request: Request, secret: str) -> bool:
        """Whether *secret* signs *request* like this."""
        parts = urlsplit(request.target)
        query = sorted(
            pair.partition("=")[::2]
            for pair in parts.query.split("&")
            if pair and not pair.startswith("X-Amz-Signature=")
        )
        if self.expires is not None:
            payload = "UNSIGNED-PAYLOAD"
        else:
            payload = request.headers.get("X-Amz-Content-SHA256") or hashlib.sha256(request.body).hexdigest()
        canonical = "\n".join(
            [
                request.method,
                # the path is encoded once more for every service but S3
                parts.path if self.scope.service == "s3" else quote(parts.path, safe="/~"),
                "&".join(f"{name}={value}" for name, value in query),
                *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in self.headers),
                "",
                ";".join(self.headers),
                payload,
            ]
        )
        key = f"AWS4{secret}".encode()
        for word in self.scope[1:]:
            key = hmac.digest(key, word.encode(), "sha256")
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        signed = "\n".join(["AWS4-HMAC-SHA256", self.stamp, "/".join(self.scope[1:]), hashed])
        return hmac.compare_digest(hmac.new(key, signed.encode(), "sha256").hexdigest(), self.value)


# -- the bucket -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """One object."""

    content: bytes
    media_type: str
    at: float

    @property
    def etag(self) -> str:
        """Its hash, as S3 quotes it."""
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'


@dataclass
class Bucket:
    """One bucket."""

    region: str = REGION
    objects: dict[str, Stored] = field(default_factory=dict)
    """By key."""


def s3_error(code: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Refusal:
    """An error as S3 words it."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>"
        "<RequestId>EMULATED</RequestId><HostId>emulated</HostId></Error>"
    )
    return Refusal(
        Reply(status, body.encode(), {"Content-Type": "application/xml", **_REQUEST_ID, **(headers or {})})
    )


_REQUEST_ID = {"x-amz-request-id": "EMULATED00000000"}


def bedrock_error(kind: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """An error as Bedrock words it: its kind stands in a header and in the body."""
    told = {
        "x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/",
        **(headers or {}),
    }
    return json_reply({"__type": kind, "message": message}, STATUS[kind], told)


def refuse(kind: str, message: str) -> Refusal:
    """`bedrock_error`, to be raised."""
    return Refusal(bedrock_error(kind, message))


class BedrockEmulator(JobEmulator):
    """The two services, one account and its buckets.

    *layout* is what GetAsyncInvoke says about the place of the output: the "folder" of this invocation, or the
    "prefix" as it was submitted; people saw both. The files are in `{prefix}/{id}/` in either case.
    *concurrent* is the account's quota of running invocations, *over_quota* the error beyond it.
    *checks_bucket* says when a bucket that cannot be written is found out: "late" is a Failed invocation (which
    the Luma page documents), "at once" a refused one (seen with Amazon's own video model).
    """

    prefix = ""
    default_key = "bedrock-secret-access-key-of-the-emulator"
    create = ("POST", "/async-invoke")
    poll = ("GET", "/async-invoke/{arn}")
    asset = ("GET", "/*/output.mp4")

    def __init__(
        self,
        *,
        layout: Literal["folder", "prefix"] = "folder",
        concurrent: int | None = None,
        over_quota: Literal["ThrottlingException", "ServiceQuotaExceededException"] = "ThrottlingException",
        checks_bucket: Literal["late", "at once"] = "late",
        bearer: str = "bedrock-api-key-of-the-emulator",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.layout = layout
        self.concurrent = concurrent
        self.over_quota = over_quota
        self.checks_bucket = checks_bucket
        self.bearer = bearer
        """The API key that Bedrock takes instead of a signature; S3 does not."""
        self.buckets = {BUCKET: Bucket()}
        self.denied: set[str] = set()
        """Actions of IAM that the caller may not do, such as "s3:ListBucket"."""
        self._ended: dict[str, float] = {}
        """When each invocation ended, by its ARN."""

    def routes(self) -> list[Route]:
        """Bedrock's three operations, and S3 with the bucket in the path."""
        return [
            Route("POST", ("/async-invoke",), self._bedrock("bedrock:InvokeModel", self._start)),
            Route("GET", ("/async-invoke",), self._bedrock("bedrock:ListAsyncInvokes", self._list)),
            Route("GET", ("/async-invoke/{arn}",), self._bedrock("bedrock:GetAsyncInvoke", self._get)),
            Route("HEAD", ("/{bucket}",), self._s3("s3:ListBucket", self._head_bucket)),
            Route("GET", ("/{bucket}",), self._s3("s3:ListBucket", self._list_objects)),
            Route("HEAD", ("/{bucket}/(?P<key>.+)",), self._s3("s3:GetObject", self._object)),
            Route("GET", ("/{bucket}/(?P<key>.+)",), self._s3("s3:GetObject", self._object)),
        ]

    def environment(self) -> dict[str, str]:
        """The variables that lead the pack here."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": self.key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.origin,
            "AWS_ENDPOINT_URL_S3": self.origin,
            "LUMA_RAY_BEDROCK_OUTPUT": f"s3://{BUCKET}/luma-ray",
            "LUMA_RAY_ALLOWED_HOSTS": self.netloc,
        }

    def authorized(self, request: Request) -> bool:
        """Always: each of the two services judges credentials itself, in its own words."""
        return True

    def unauthorized(self) -> Reply:
        """What Bedrock says of an access key that does not exist."""
        return bedrock_error(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )

    def not_found(self) -> Reply:
        """GetAsyncInvoke declares no ResourceNotFoundException, so this kind is inferred, and its words too."""
        return bedrock_error("ValidationException", "The provided invocation ARN does not exist.")

    def trouble(self, kind: Trouble) -> Reply:
        """Bedrock's refusals."""
        match kind:
            case "unauthorized":
                return self.unauthorized()
            case "no money":
                # AWS bills afterwards; this is what an account without a valid card is told (seen by people).
                return bedrock_error(
                    "AccessDeniedException",
                    "Model access is denied due to INVALID_PAYMENT_INSTRUMENT:A valid payment instrument must be "
                    "provided. Your AWS Marketplace subscription for this model cannot be completed at this time. "
                    "If you recently fixed this issue, try again after 2 minutes.",
                )
            case "rate limit":
                # AWS documents no Retry-After; the header is HTTP's own.
                return bedrock_error(
                    "ThrottlingException",
                    "Too many requests, please wait before trying again.",
                    {"Retry-After": "7"},
                )
            case "moderation":
                # documented for Amazon's own video model
                return bedrock_error(
                    "ValidationException",
                    "This request has been blocked by our content filters. Please adjust your text prompt to "
                    "submit a new request.",
                )
            case "server error":
                return bedrock_error(
                    "InternalServerException",
                    "The system encountered an unexpected error during processing. Try your request again.",
                )

    def unknown_status(self) -> Fault:
        """A fourth word beside InProgress, Completed and Failed."""
        return Fault.fields(status="Paused")

    def saying(self, kind: str, message: str) -> Fault:
        """Any other error of Bedrock as a fault; nothing is created or charged."""
        return Fault(lambda _: bedrock_error(kind, message), handled=False)

    # -- Bedrock ------------------------------------------------------------------------------------------

    def _bedrock(self, action: str, answer: Callable[..., Reply]) -> Callable[..., Reply]:
        """*answer* for those who may do *action*."""

        def checked(request: Request, **parts: str) -> Reply:
            region = self._bedrock_region(request)
            if action in self.denied:
                raise refuse(
                    "AccessDeniedException",
                    f"User: arn:aws:iam::{ACCOUNT}:user/artist is not authorized to perform: {action} on resource: "
                    f"arn:aws:bedrock:{region}::foundation-model/{MODEL} because no identity-based policy allows "
                    f"the {action} action",
                )
            return answer(request, region=region, **parts)

        return checked

    def _bedrock_region(self, request: Request) -> str:
        """The region whose endpoint is asked, after a look at the credentials."""
        self._note_leaks(request)
        told = request.headers.get("Authorization", "")
        if told.startswith("Bearer "):
            if told != f"Bearer {self.bearer}":
                raise refuse(
                    "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid."
                )
            return REGION
        signature = Signature.of(request)
        if signature is None or signature.expires is not None:
            raise refuse("MissingAuthenticationTokenException", "Missing Authentication Token")
        if signature.scope.key_id != ACCESS_KEY_ID:
            raise Refusal(self.unauthorized())
        if signature.scope.service != "bedrock":
            raise refuse(
                "InvalidSignatureException", "Credential should be scoped to correct service: 'bedrock'."
            )
        if signature.age > 300:
            raise refuse(
                "InvalidSignatureException", f"Signature expired: {signature.stamp} is now earlier than now"
            )
        if not signature.fits(request, self.key):
            raise refuse(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS "
                "Secret Access Key and signing method. Consult the service documentation for details.",
            )
        return signature.scope.region

    def _note_leaks(self, request: Request) -> None:
        """A secret access key signs; it never travels."""
        carried = "\n".join(
            [request.target, *request.headers.values(), request.body.decode(errors="replace")]
        )
        if self.key in carried:
            self.leaks.append(request)

    def _start(self, request: Request, region: str) -> Reply:
        if len(request.body) > MOST_BYTES:
            raise refuse("ValidationException", "Input is too long for requested model.")
        body = _envelope(request)
        if body["modelId"].rpartition("/")[2] != MODEL or region != REGION:
            raise refuse("ValidationException", "The provided model identifier is invalid.")
        asked = {**DEFAULTS, **_model_input(body["modelInput"])}
        pictures = _pictures(asked)
        place = body["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
        token = body.get("clientRequestToken", "")
        # one lock for look and create: two equal requests at the same moment are one invocation
        with self._account:
            earlier = self.by_key(token)
            if earlier is not None:
                if earlier.body != body:
                    raise refuse(
                        "ConflictException", "The client request token was used with other parameters."
                    )  # wording inferred
                return json_reply({"invocationArn": earlier.id})
            if self.concurrent is not None and sum(not work.done for work in self.creates) >= self.concurrent:
                raise refuse(self.over_quota, "Too many requests, please wait before trying again.")
            if self.checks_bucket == "at once" and not self._writable(place):
                raise refuse("ValidationException", NOT_WRITTEN)
            work = self.accept(
                id=f"arn:aws:bedrock:{region}:{ACCOUNT}:async-invoke/{_new_id()}",
                body=body,
                model=MODEL,
                resolution=asked["resolution"],
                aspect_ratio=asked["aspect_ratio"],
                seconds=SECONDS[asked["duration"]],
                usd=USD_A_SECOND[asked["resolution"]] * SECONDS[asked["duration"]],
                prompt=asked["prompt"],
                loop=asked["loop"],
                first=pictures.get("frame0"),
                last=pictures.get("frame1"),
                key=token,
            )
        return json_reply({"invocationArn": work.id})

    def _get(self, request: Request, region: str, arn: str) -> Reply:
        named = unquote(arn)
        if not _ARN.fullmatch(named):
            raise refuse(
                "ValidationException",
                f"1 validation error detected: Value '{named}' at 'invocationArn' failed to satisfy constraint: "
                f"Member must satisfy regular expression pattern: {_ARN.pattern}",
            )
        if named.split(":")[3] != region:
            raise Refusal(self.not_found())
        work = self.looked_at(named)
        if work.state == "completed":
            work.links += 1  # what is presigned from here on is a new link
        return json_reply(self._view(work))

    def _list(self, request: Request, region: str) -> Reply:
        query = _listing(request.query)
        descending = query.get("sortOrder", "Descending") == "Descending"  # the default is inferred
        after, before = (_time(query.get(name)) for name in ("submitTimeAfter", "submitTimeBefore"))
        with self._account:
            found = [
                work
                for work in self.creates
                if region == REGION
                and (after is None or work.created_at > after)
                and (before is None or work.created_at < before)
                and query.get("statusEquals") in (None, _status(work))
            ]
        found.sort(key=lambda work: (work.created_at, work.number), reverse=descending)
        begin = int(query["nextToken"].removeprefix("page-")) if "nextToken" in query else 0
        end = begin + int(query.get("maxResults", "100"))  # the default is inferred
        page: dict[str, Any] = {"asyncInvokeSummaries": [self._view(work) for work in found[begin:end]]}
        if end < len(found):
            page["nextToken"] = f"page-{end}"
        return json_reply(page)

    def _view(self, work: Work) -> dict[str, Any]:
        """An invocation as GetAsyncInvoke and ListAsyncInvokes show it."""
        place = dict(work.body["outputDataConfig"]["s3OutputDataConfig"])
        if self.layout == "folder":
            bucket, folder = _folder(work)
            place["s3Uri"] = f"s3://{bucket}/{folder}"
        ended = self._ended.get(work.id)
        view = {
            "invocationArn": work.id,
            "modelArn": f"arn:aws:bedrock:{REGION}::foundation-model/{MODEL}",
            "status": _status(work),
            "submitTime": utc(work.created_at),
            "lastModifiedTime": utc(ended or work.created_at),
            "outputDataConfig": {"s3OutputDataConfig": place},
        }
        if work.key:
            view["clientRequestToken"] = work.key
        if ended is not None:
            view["endTime"] = utc(ended)
        if work.state == "failed":
            view["failureMessage"] = {
                "moderation": MODERATED,
                "unreadable": NOT_WRITTEN,
            }.get(work.failure, "The model could not complete the invocation.")
        return view

    # -- the life of an invocation ------------------------------------------------------------------------

    def _fetch(self, work: Work) -> Failure:
        """Pictures come along; what may be out of reach is the bucket."""
        place = work.body["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
        return "" if self._writable(place) else "unreadable"

    def _move(self, work: Work) -> None:
        """As for every job; at the end the files are written."""
        if work.done:
            return
        super()._move(work)
        if not work.done:
            return
        self._ended[work.id] = self.now()
        if work.state == "completed":
            name, folder = _folder(work)
            # nobody has published what the manifest says
            manifest = json.dumps({"invocationArn": work.id, "output": "output.mp4"}).encode()
            self.buckets[name].objects |= {
                f"{folder}/manifest.json": Stored(manifest, "application/json", self.now()),
                f"{folder}/output.mp4": Stored(self.film(work), "application/octet-stream", self.now()),
            }

    def _writable(self, place: str) -> bool:
        bucket = self.buckets.get(urlsplit(place).netloc)
        return bucket is not None and bucket.region == REGION and "s3:PutObject" not in self.denied

    # -- S3 -----------------------------------------------------------------------------------------------

    def _s3(self, action: str, answer: Callable[..., Reply]) -> Callable[..., Reply]:
        """*answer* for those who may do *action*, about a bucket that is in the region that was asked."""

        def checked(request: Request, bucket: str, **parts: str) -> Reply:
            signature = self._s3_signature(request)
            found = self.buckets.get(bucket)
            if found is None:
                raise s3_error("NoSuchBucket", "The specified bucket does not exist", 404)
            where = {"x-amz-bucket-region": found.region}
            if signature.scope.region != found.region:
                raise s3_error(
                    "PermanentRedirect",
                    "The bucket you are attempting to access must be addressed using the specified endpoint. "
                    "Please send all future requests to this endpoint.",
                    301,
                    where,
                )
            if action in self.denied:
                raise s3_error("AccessDenied", f"User is not authorized to perform: {action}", 403, where)
            if signature.expires is not None:
                self._refuse_stale(bucket, parts.get("key", ""))
            return answer(request, bucket=found, **{name: unquote(part) for name, part in parts.items()})

        return checked

    def _s3_signature(self, request: Request) -> Signature:
        """The signature of the request, if it is good."""
        self._note_leaks(request)
        signature = Signature.of(request)
        if "X-Amz-Signature" in request.query and "Authorization" in request.headers:
            self.leaks.append(request)
            raise s3_error("InvalidArgument", "Only one auth mechanism allowed", 400)
        if signature is None:
            if request.headers.get("Authorization", "").startswith("Bearer "):
                raise s3_error("InvalidArgument", "Unsupported Authorization Type", 400)
            raise s3_error("AccessDenied", "Access Denied", 403)
        if signature.scope.key_id != ACCESS_KEY_ID:
            raise s3_error(
                "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403
            )
        if signature.scope.service != "s3" or not signature.fits(request, self.key):
            raise s3_error(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and "
                "signing method.",
                403,
            )
        if signature.age > (900 if signature.expires is None else signature.expires):
            raise s3_error("AccessDenied", "Request has expired", 403)
        return signature

    def _refuse_stale(self, bucket: str, key: str) -> None:
        """Links that `expire_links` ended: those made before the invocation was asked about again."""
        for work in self.creates:
            name, folder = _folder(work)
            if name == bucket and unquote(key).startswith(f"{folder}/") and 0 < work.links <= work.stale:
                raise s3_error("AccessDenied", "Request has expired", 403)

    def _head_bucket(self, request: Request, bucket: Bucket) -> Reply:
        return Reply(200, b"", {"x-amz-bucket-region": bucket.region, **_REQUEST_ID})

    def _object(self, request: Request, bucket: Bucket, key: str) -> Reply:
        stored = bucket.objects.get(key)
        if stored is None:
            # who may not list is not told what is there
            if "s3:ListBucket" in self.denied:
                raise s3_error("AccessDenied", "Access Denied", 403)
            raise s3_error("NoSuchKey", "The specified key does not exist.", 404)
        reply = file_reply(request, stored.content, stored.media_type)
        if reply.status == 416:
            raise s3_error("InvalidRange", "The requested range is not satisfiable", 416)
        made = datetime.fromtimestamp(stored.at, timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {**reply.headers, "ETag": stored.etag, "Last-Modified": made, **_REQUEST_ID}
        return Reply(reply.status, reply.body, headers)

    def _list_objects(self, request: Request, bucket: Bucket) -> Reply:
        known = {"list-type", "prefix", "max-keys", "continuation-token", "encoding-type"}
        if request.query.get("list-type") != "2" or request.query.keys() - known:
            raise s3_error("NotImplemented", "Only ListObjectsV2 without delimiter is emulated", 501)
        prefix = request.query.get("prefix", "")
        most = min(int(request.query.get("max-keys", "1000")), 1000)
        # opaque for the client, which does not decode it even in a list of encoded keys
        after = bytes.fromhex(request.query.get("continuation-token", "")).decode()
        keys = sorted(key for key in bucket.objects if key.startswith(prefix) and key > after)
        encoded = quote if request.query.get("encoding-type") == "url" else escape
        shown = "".join(
            f"<Contents><Key>{encoded(key)}</Key><LastModified>{utc(stored.at)}</LastModified>"
            f"<ETag>{escape(stored.etag)}</ETag><Size>{len(stored.content)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in keys[:most]
            for stored in [bucket.objects[key]]
        )
        more = len(keys) > most
        token = (
            f"<NextContinuationToken>{keys[most - 1].encode().hex()}</NextContinuationToken>" if more else ""
        )
        encoding = "<EncodingType>url</EncodingType>" if encoded is quote else ""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Prefix>{encoded(prefix)}</Prefix><KeyCount>{len(keys[:most])}</KeyCount><MaxKeys>{most}</MaxKeys>"
            f"{encoding}<IsTruncated>{str(more).lower()}</IsTruncated>{token}{shown}</ListBucketResult>"
        )
        return Reply(200, body.encode(), {"Content-Type": "application/xml", **_REQUEST_ID})


# -- a request, looked at -------------------------------------------------------------------------------------


def _envelope(request: Request) -> dict[str, Any]:
    """The body, if it has the shape of the service model."""
    if request.json is None or not request.is_json:
        raise refuse("ValidationException", "The request body is not valid JSON.")  # wording inferred
    # That fields which are not in the model are refused is inferred.
    problems = [
        f"Value at '{'.'.join(map(str, item.where))}' failed to satisfy constraint: {item.text}"
        for item in ENVELOPE(request.json, ())
    ]
    if problems:
        some = "error" if len(problems) == 1 else "errors"
        raise refuse(
            "ValidationException", f"{len(problems)} validation {some} detected: {'; '.join(problems)}"
        )
    body: dict[str, Any] = request.json
    return body


def _model_input(value: Any) -> dict[str, Any]:
    """What goes to the model, if the model takes it; worded as Bedrock words it for all models."""
    if not isinstance(value, dict):
        found = "String" if isinstance(value, str) else type(value).__name__
        raise _malformed(f"#: expected type: JSONObject, found: {found}")
    for problem in MODEL_INPUT(value, ()):
        at = "#" + "".join(f"/{part}" for part in problem.where)
        parent, _, name = at.rpartition("/")
        match problem.kind:
            case "extra_forbidden":
                raise _malformed(f"{parent}: extraneous key [{name}] is not permitted")
            case "missing":
                raise _malformed(f"{parent}: required key [{name}] not found")
            case _:
                raise _malformed(f"{at}: {problem.text}")
    # Luma's own API refuses this, and Bedrock's pages show no example of it: inferred.
    if value.get("loop") and "frame1" in value.get("keyframes", {}):
        raise _malformed("#/loop: Loop is not supported for keyframes")
    return value


def _malformed(what: str) -> Refusal:
    return refuse(
        "ValidationException", f"Malformed input request: {what}, please reformat your input and try again."
    )


def _pictures(asked: Mapping[str, Any]) -> dict[str, Picture]:
    """The keyframes, decoded. How Bedrock words these refusals is inferred."""
    pictures = {}
    for name, frame in asked.get("keyframes", {}).items():
        source, at = frame["source"], f"#/keyframes/{name}/source"
        try:
            content = clips.unpacked(source["data"])
            picture = clips.picture(content)
        except clips.Unreadable:
            raise _malformed(f"{at}/data: not an image in base64") from None
        kind = (
            "image/png"
            if content.startswith(b"\x89PNG")
            else "image/jpeg"
            if content[:2] == b"\xff\xd8"
            else ""
        )
        if kind != source["media_type"]:
            raise _malformed(f"{at}/media_type: {source['media_type']} expected")
        sides = (picture.width, picture.height)
        if min(sides) < SMALLEST_SIDE or max(sides) > LARGEST_SIDE:
            raise _malformed(
                f"{at}/data: {sides[0]}x{sides[1]}, must be between {SMALLEST_SIDE}x{SMALLEST_SIDE} and "
                f"{LARGEST_SIDE}x{LARGEST_SIDE} pixels"
            )
        pictures[name] = picture
    return pictures


def _listing(query: Mapping[str, str]) -> Mapping[str, str]:
    """The query of ListAsyncInvokes, checked by the service model. The words are inferred."""
    rules = {
        "submitTimeAfter": r".+",
        "submitTimeBefore": r".+",
        "statusEquals": "InProgress|Completed|Failed",
        "maxResults": "[1-9][0-9]{0,2}|1000",
        "nextToken": r"page-\d+",
        "sortBy": "SubmissionTime",
        "sortOrder": "Ascending|Descending",
    }
    for name, value in query.items():
        if name not in rules or not re.fullmatch(rules[name], value):
            raise refuse(
                "ValidationException",
                f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint",
            )
    return query


def _time(told: str | None) -> float | None:
    if told is None:
        return None
    try:
        return time_told(told).timestamp()
    except ValueError:
        raise refuse("ValidationException", f"Value '{told}' is not a timestamp") from None


def _status(work: Work) -> str:
    return {"completed": "Completed", "failed": "Failed"}.get(work.state, "InProgress")


def _folder(work: Work) -> tuple[str, str]:
    """Bucket and folder of the output: the submitted prefix and the 12 characters of the ARN."""
    parts = urlsplit(work.body["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
    return parts.netloc, f"{parts.path.strip('/')}/{work.id.rpartition('/')[2]}".lstrip("/")


def _new_id() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))
