"""Amazon Bedrock: what is sent, what is refused here, every way AWS says no, and whole lives of clips."""

from __future__ import annotations

import io
import itertools
import json
import socket
import sys
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.loaders
import numpy as np
import purchase
import pytest
import requests
import urllib3
from botocore.httpsession import URLLib3Session
from emulators.bedrock import ACCESS_KEY_ID, BUCKET, BedrockEmulator, Bucket
from emulators.server import Fault, Reply, Request
from fakes import FakeClock, picture, text
from loopback import authority, over_tls
from luma_ray.nodes.generation import amazon as module
from luma_ray.nodes.generation import errors, fitting
from luma_ray.nodes.generation.client import Client, decoding
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending, Unanswered
from luma_ray.nodes.generation.ray import ASPECT_RATIOS
from luma_ray.nodes.generation.request import GenerationReference, GenerationRequest, Operation
from luma_ray.nodes.generation.selection import refusals
from luma_ray.nodes.media import clips, images
from luma_ray.nodes.providers.bedrock import LARGEST_PICTURE, LINK_LIFE, Bedrock
from purchase import KEY, A, B, Life, led_to

BEDROCK = Bedrock()
URIS = {A.sha256: "data:image/png;base64,QUFB", B.sha256: "data:image/jpeg;base64,QkJC"}
ask = partial(text, model="ray-2", resolution="540p")
image_to_video = partial(ask, operation=Operation.IMAGE_TO_VIDEO, first_frame=A)
keyframes = partial(ask, operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=A, last_frame=B)
photograph = partial(purchase.photograph, width=640, height=512)
"""As small as Bedrock takes them."""
PLACE = f"s3://{BUCKET}/luma-ray"
NOBODY = "arn:aws:bedrock:us-west-2:123456789012:async-invoke/abcdefghijkl"
NOT_BILLED = "Nothing was billed"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bedrock(monkeypatch, clock):
    with led_to(BedrockEmulator(now=clock.now), monkeypatch) as emulator:
        yield emulator


@pytest.fixture
def client(tmp_path, clock) -> Client:
    return Client(BEDROCK.title, "", dict, clock, setting=Credentials(tmp_path).setting)


@pytest.fixture
def life(tmp_path, clock) -> Life:
    return Life(tmp_path, BEDROCK, clock=clock)


def submitted(client: Client, request: GenerationRequest | None = None, key: str = KEY) -> Job:
    request = request or ask()
    offer, reasons = refusals(BEDROCK, request)
    assert reasons == []
    pictures = {still.sha256: BEDROCK.upload(client, still) for still in request.stills}
    return BEDROCK.submit(client, offer, BEDROCK.encode(request, pictures), key)


def outcome(client: Client, job: Job) -> Any:
    for _ in range(5):
        status = BEDROCK.status(client, job)
        if not isinstance(status, Pending):
            return status
    raise AssertionError("never done")


def posts(bedrock: BedrockEmulator) -> list[Any]:
    return [request.json for request in bedrock.requests if request.method == "POST"]


def clip_key(bedrock: BedrockEmulator) -> str:
    (key,) = (key for key in bedrock.buckets[BUCKET].objects if key.endswith(".mp4"))
    return key


# -- what is sent -------------------------------------------------------------------------------------------

WITHOUT_FRAMES = {
    "prompt": "a fox in the snow",
    "aspect_ratio": "16:9",
    "duration": "5s",
    "resolution": "540p",
    "loop": False,
}
FIRST = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUFB"}}
LAST = {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "QkJC"}}


@pytest.mark.parametrize(
    ("request_", "frames"),
    [
        (ask(), {}),
        (image_to_video(), {"keyframes": {"frame0": FIRST}}),
        (keyframes(first_frame=None), {"keyframes": {"frame1": LAST}}),
        (keyframes(), {"keyframes": {"frame0": FIRST, "frame1": LAST}}),
    ],
    ids=["text", "first frame", "last frame", "both"],
)
def test_the_frames_go_where_bedrock_wants_them(request_, frames):
    assert BEDROCK.encode(request_, URIS) == {**WITHOUT_FRAMES, **frames}


@pytest.mark.parametrize(
    ("others", "sent"),
    [
        ({"loop": True}, {"loop": True}),
        ({"duration": 9}, {"duration": "9s"}),
        ({"resolution": "720p"}, {"resolution": "720p"}),
        ({"aspect_ratio": "9:21"}, {"aspect_ratio": "9:21"}),
        ({"prompt": " a fox 🦊 "}, {"prompt": " a fox 🦊 "}),
        ({"take": 7}, {}),
    ],
)
def test_each_setting_becomes_its_field(others, sent):
    assert BEDROCK.encode(ask(**others), {}) == {**WITHOUT_FRAMES, **sent}


def test_the_whole_create_is_what_the_service_model_says(bedrock, client):
    job = submitted(client, ask(prompt="a fox"))
    assert posts(bedrock) == [
        {
            "modelId": "luma.ray-v2:0",
            "modelInput": {**WITHOUT_FRAMES, "prompt": "a fox"},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": PLACE}},
            "clientRequestToken": KEY,
        }
    ]
    assert job == Job(id=bedrock.creates[0].id, details={"output": PLACE})


def test_everything_that_is_offered_is_taken(bedrock, client):
    bedrock.credit_usd = 1000
    for ratio, resolution, seconds in itertools.product(ASPECT_RATIOS, ("540p", "720p"), (5, 9)):
        submitted(client, ask(aspect_ratio=ratio, resolution=resolution, duration=seconds), key=f"{ratio}{seconds}"
                  f"{resolution}")  # fmt: skip
    assert len(bedrock.creates) == 28


def test_pictures_arrive_as_they_are(bedrock, client):
    first, last = photograph(40), photograph(220)
    submitted(client, keyframes(first_frame=first, last_frame=last))
    (work,) = bedrock.creates
    assert np.array_equal(work.first.pixels, images.pixels(first))
    assert np.array_equal(work.last.pixels, images.pixels(last))


def fitted_for(width: int, height: int, noise: int) -> fitting.Fitted:
    """A picture of rather more noise than a photograph has, as Bedrock gets it."""
    pixels = np.random.default_rng(noise).integers(0, noise, (height, width, 3), np.uint8)
    still = images.still(images.tensor(pixels), name="first_frame")
    offer, reasons = refusals(BEDROCK, image_to_video(first_frame=still))
    assert reasons == []
    return fitting.fitted(still, fitting.limits_of(offer, BEDROCK.title))


def test_a_picture_whose_png_is_too_large_goes_as_a_jpeg_of_its_size(client):
    sent = fitted_for(2000, 1600, 120)
    told = BEDROCK.upload(client, sent.still)
    assert told.startswith("data:image/jpeg;base64,")
    assert len(told) * 3 / 4 < LARGEST_PICTURE
    assert sent.how == "sent as JPEG (Amazon Bedrock takes files of up to 7 MB)"


def test_a_picture_with_a_side_that_is_too_long_goes_scaled_down_and_still_without_loss(client):
    sent = fitted_for(6000, 800, 2)
    assert (sent.still.width, sent.still.height, sent.still.media_type) == (4096, 546, "image/png")
    assert sent.how == "6000x800 sent as 4096x546 (Amazon Bedrock takes sides of up to 4096)"


def test_a_picture_with_too_long_sides_is_bought_with_scaled_down_and_the_clip_says_so(bedrock, life):
    frame = photograph(40, width=5000, height=3000)
    clip = life.buy(image_to_video(first_frame=frame))
    (work,) = bedrock.creates
    assert work.first.pixels.shape == (2458, 4096, 3)
    note = "first_frame 5000x3000 sent as 4096x2458 (Amazon Bedrock takes sides of up to 4096)"
    assert note in life.reports.words
    assert note in clip.notes


def test_a_picture_that_would_be_too_narrow_once_it_is_short_enough_is_refused(client):
    pixels = np.zeros((600, 6000, 3), np.uint8)
    still = images.still(images.tensor(pixels), name="first_frame")
    assert refusals(BEDROCK, image_to_video(first_frame=still))[1] == [
        "the first frame is 6000x600 pixels, and with sides of up to 4096 the shorter would be below 512"
    ]


# -- what is sold -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resolution", "seconds", "usd"),
    [("540p", 5, "3.75"), ("540p", 9, "6.75"), ("720p", 5, "7.50"), ("720p", 9, "13.50")],
)
def test_the_price_is_the_one_by_the_second_and_not_aws_s_own_word(resolution, seconds, usd):
    for offer in BEDROCK.offers:
        assert offer.price(ask(resolution=resolution, duration=seconds)) == Decimal(usd)
        assert offer.price_source.unverified


def test_the_price_is_what_the_emulator_charges(bedrock, client):
    for number, (resolution, seconds) in enumerate(itertools.product(("540p", "720p"), (5, 9))):
        request = ask(resolution=resolution, duration=seconds)
        submitted(client, request, key=str(number))
        assert Decimal(str(-bedrock.ledger[-1].usd)) == BEDROCK.offers[0].price(request)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ask(model="ray-flash-2"), "no ray-flash-2"),
        (ask(duration=10), "no 10 s"),
        (ask(resolution="1080p"), "no 1080p"),
        (ask(concepts=("push_in",)), "no camera concept"),
        (ask(prompt=" "), "prompt is empty"),
        (image_to_video(prompt=""), "prompt is empty"),
        (ask(prompt="x" * 5001), "at most 5000"),
        (keyframes(loop=True), "no loop"),
        (image_to_video(first_frame=picture(width=511, height=720)), "at least 512"),
        (image_to_video(first_frame=picture(width=4097, height=720)), "at most 4096"),
        (
            image_to_video(first_frame=GenerationReference(id="ray-1", provider="bedrock", job_id=NOBODY)),
            "no earlier generation",
        ),
    ],
)
def test_what_bedrock_does_not_sell_is_refused_here(request_, words):
    assert words in " ".join(refusals(BEDROCK, request_)[1])


def test_it_is_configured_by_the_place_for_the_clips_alone():
    assert BEDROCK.needs == ("LUMA_RAY_BEDROCK_OUTPUT",)


# -- the bucket, looked at before anything is bought ---------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["pictures-and-clips", "https://b.s3.amazonaws.com/a", "s3://Upper/a", "s3://"]
)
def test_a_place_that_is_none_is_refused(bedrock, client, monkeypatch, place):
    monkeypatch.setenv("LUMA_RAY_BEDROCK_OUTPUT", place)
    with pytest.raises(errors.ProviderUnavailable, match=rf"must look like s3://.*{NOT_BILLED}"):
        submitted(client)
    assert bedrock.requests == []


def test_a_place_may_end_in_a_slash(bedrock, client, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_BEDROCK_OUTPUT", f"{PLACE}/")
    assert submitted(client).details == {"output": PLACE}


def test_a_bucket_that_is_not_there_is_told_before_anything_is_bought(bedrock, client, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_BEDROCK_OUTPUT", "s3://not-there/a")
    with pytest.raises(errors.ProviderUnavailable, match=rf"no bucket 'not-there'.*us-west-2.*{NOT_BILLED}"):
        submitted(client)
    assert posts(bedrock) == []


def test_a_bucket_in_another_region_is_told_before_anything_is_bought(bedrock, client, monkeypatch):
    bedrock.buckets["far-away"] = Bucket("eu-central-1")
    monkeypatch.setenv("LUMA_RAY_BEDROCK_OUTPUT", "s3://far-away/a")
    with pytest.raises(errors.ProviderUnavailable, match=rf"in eu-central-1, .* in us-west-2.*{NOT_BILLED}"):
        submitted(client)
    assert posts(bedrock) == []


def test_who_may_not_list_the_bucket_may_still_buy(bedrock, client):
    bedrock.denied.add("s3:ListBucket")
    assert submitted(client).id == bedrock.creates[0].id


def test_an_s3_that_does_not_answer_is_no_purchase(bedrock, client):
    bedrock.fail_next("HEAD", f"/{BUCKET}", Fault.lost_answer())
    with pytest.raises(errors.ProviderUnavailable, match=NOT_BILLED):
        submitted(client)
    assert posts(bedrock) == []


def test_the_region_can_be_set_and_is_asked(bedrock, client, monkeypatch):
    bedrock.buckets["far-away"] = Bucket("eu-central-1")
    monkeypatch.setenv("LUMA_RAY_BEDROCK_OUTPUT", "s3://far-away")
    monkeypatch.setenv("LUMA_RAY_BEDROCK_REGION", "eu-central-1")
    with pytest.raises(
        errors.ModelNotServed, match=rf"us-west-2 only: correct LUMA_RAY_BEDROCK_REGION.*{NOT_BILLED}"
    ):
        submitted(client)


def test_a_region_that_cannot_be_one_is_told(bedrock, client, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_BEDROCK_REGION", "us west")
    with pytest.raises(errors.Unauthorized, match=rf"Correct LUMA_RAY_BEDROCK_REGION.*{NOT_BILLED}"):
        submitted(client)


# -- how AWS says no ----------------------------------------------------------------------------------------

REFUSALS = {
    "throttled": ("ThrottlingException", "Too many requests", errors.RateLimited, "one generation at once"),
    "over the quota": ("ServiceQuotaExceededException", "quota", errors.RateLimited, "one generation at once"),
    "no access to the model": (
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
        errors.ModelNotServed,
        "Request Ray2 once in Bedrock's model catalog",
    ),
    "no right to subscribe": (
        "AccessDeniedException",
        "Model access is denied: IAM user or role is not authorized to perform aws-marketplace:Subscribe",
        errors.ModelNotServed,
        "model catalog",
    ),
    "no card": (
        "AccessDeniedException",
        "Model access is denied due to INVALID_PAYMENT_INSTRUMENT:A valid payment instrument must be provided.",
        errors.InsufficientCredits,
        "under Billing in the AWS console",
    ),
    "no right": (
        "AccessDeniedException",
        "User: arn:aws:iam::1:user/a is not authorized to perform: bedrock:InvokeModel",
        errors.Unauthorized,
        "They need bedrock:InvokeModel on luma.ray-v2:0",
    ),
    "a bad API key": (
        "AccessDeniedException",
        "Authentication failed: Please make sure your API Key is valid.",
        errors.Unauthorized,
        "AWS_BEARER_TOKEN_BEDROCK",
    ),
    "an old API key": ("AccessDeniedException", "Bearer Token has expired", errors.Unauthorized, "has expired"),
    "account not released": (
        "ValidationException", "Operation not allowed", errors.ModelNotServed, "Ask AWS Support",
    ),
    "filtered": (
        "ValidationException",
        "This request has been blocked by our content filters.",
        errors.ContentRefused,
        "safety check",
    ),
    "bucket": (
        "ValidationException", "Invalid Output Config/Credentials", errors.Rejected, "Check that the bucket in",
    ),
    "malformed": ("ValidationException", "Malformed input request: #/x", errors.Rejected, "Malformed input"),
    "end of life": (
        "ResourceNotFoundException",
        "This model version has reached the end of its life.",
        errors.ModelNotServed,
        "not any more",
    ),
    "expired": (
        "ExpiredTokenException",
        "The security token included in the request is expired",
        errors.Unauthorized,
        "aws sso login",
    ),
    "unknown key": (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        errors.Unauthorized,
        "AWS_SESSION_TOKEN",
    ),
    "wrong secret": (
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided.",
        errors.Unauthorized,
        "AWS_SECRET_ACCESS_KEY does not fit",
    ),
    "wrong clock": (
        "InvalidSignatureException",
        "Signature expired: 20261121T000000Z is now earlier than 20261121T010000Z",
        errors.Unauthorized,
        "clock of this machine is wrong",
    ),
    "something new": ("ModelErrorException", "", errors.Rejected, "refused the request"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "message", "error", "words"), REFUSALS.values(), ids=REFUSALS)
def test_every_refusal_of_a_create_says_what_to_do_and_that_nothing_was_billed(
    bedrock, client, kind, message, error, words, monkeypatch
):
    monkeypatch.setitem(sys.modules["emulators.bedrock"].STATUS, "ModelErrorException", 424)
    bedrock.fail_next(*bedrock.create, bedrock.saying(kind, message))
    with pytest.raises(error) as caught:
        submitted(client)
    said = str(caught.value)
    assert type(caught.value) is error
    assert words in said
    assert NOT_BILLED in said
    assert message.rstrip(".") in said
    assert len(posts(bedrock)) == 1
    assert bedrock.ledger == []


def test_the_emulator_knows_every_kind_of_refusal_that_is_translated(bedrock):
    told = {kind for kind, *_ in REFUSALS.values()} - {"ModelErrorException"}
    declared = {"ConflictException", "InternalServerException", "ServiceUnavailableException"}
    known = set(sys.modules["emulators.bedrock"].STATUS)
    assert known - told - declared == {"MissingAuthenticationTokenException"}


def test_a_refused_question_about_a_job_says_nothing_about_the_bill(bedrock, client):
    job = submitted(client)
    bedrock.denied.add("bedrock:GetAsyncInvoke")
    with pytest.raises(errors.Unauthorized, match="bedrock:GetAsyncInvoke") as caught:
        BEDROCK.status(client, job)
    assert "billed" not in str(caught.value)


def test_how_long_to_wait_is_told_where_aws_says_it(bedrock, client):
    bedrock.fail_next(*bedrock.create, bedrock.refusing("rate limit"))
    with pytest.raises(errors.RateLimited) as caught:
        submitted(client)
    assert caught.value.retry_after == 7
    bedrock.fail_next(*bedrock.create, bedrock.saying("ThrottlingException", "slow down"))
    with pytest.raises(errors.RateLimited) as caught:
        submitted(client)
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault.lost_answer(),
        Fault.lost_request(),
        Fault.status(500),
        Fault.html(503),
        Fault.malformed_json(),
        Fault.html(200),
        Fault.fields(invocationArn="somewhere"),
    ],
    ids=["closed", "reset", "500", "gateway", "half an answer", "web page", "no ARN"],
)
def test_a_create_without_a_usable_answer_is_uncertain_and_sent_once(bedrock, client, fault):
    bedrock.fail_next(*bedrock.create, fault)
    with pytest.raises((errors.SubmissionUncertain, errors.UnexpectedReply)), decoding(BEDROCK.title):
        submitted(client)
    assert len(posts(bedrock)) == 1


def test_a_token_that_was_used_for_something_else_is_uncertain(bedrock, client):
    submitted(client)
    with pytest.raises(errors.SubmissionUncertain, match="knows this request already"):
        submitted(client, ask(prompt="another fox"))
    assert len(bedrock.creates) == 1


def test_a_page_instead_of_an_error_is_not_repeated_to_the_person(bedrock, client):
    job = submitted(client)
    bedrock.fail_next(*bedrock.poll, Fault.html(404))
    with pytest.raises(errors.Rejected) as caught:
        BEDROCK.status(client, job)
    assert "<" not in str(caught.value)


# -- the network --------------------------------------------------------------------------------------------


def nowhere() -> str:
    """An address of this machine at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_create_that_met_no_server_was_certainly_not_sent(bedrock, client, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", nowhere())
    with pytest.raises(errors.ProviderUnavailable, match=rf"connection was refused.*{NOT_BILLED}"):
        submitted(client)


def test_a_name_that_is_not_known_was_certainly_not_sent_to(bedrock, client, monkeypatch):
    def unknown(host, *rest, real=socket.getaddrinfo, **others):
        if host == "bedrock.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *rest, **others)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://bedrock.test")
    with pytest.raises(errors.ProviderUnavailable, match=rf"name could not be resolved.*{NOT_BILLED}"):
        submitted(client)


def test_a_server_that_cannot_be_verified_was_certainly_not_sent_to(bedrock, client, monkeypatch, tmp_path):
    with over_tls(BedrockEmulator(), authority(tmp_path)) as stranger:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", stranger.origin.replace("http", "https"))
        with pytest.raises(errors.ProviderUnavailable, match=NOT_BILLED):
            submitted(client)
        assert stranger.requests == []


POOL = urllib3.HTTPConnectionPool("127.0.0.1")
BREAKS = {
    # what urllib3 raises, and whether the request may have arrived
    "no answer in time": (urllib3.exceptions.ReadTimeoutError(POOL, "/", "Read timed out."), True),
    "no connection in time": (urllib3.exceptions.ConnectTimeoutError(POOL, "timed out"), False),
    "certificate": (urllib3.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), False),
    "TLS later": (urllib3.exceptions.SSLError("[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]"), True),
    "no proxy": (
        urllib3.exceptions.ProxyError(
            "Unable to connect to proxy", urllib3.exceptions.NewConnectionError(POOL, "refused")
        ),
        False,
    ),
    "proxy says no": (
        urllib3.exceptions.ProxyError("Unable to connect", OSError("Tunnel connection failed: 407")),
        False,
    ),
    "break behind a proxy": (
        urllib3.exceptions.ProxyError("Cannot connect to proxy.", OSError("reset by peer")),
        True,
    ),
    "break": (urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError()), True),
    "something else": (RuntimeError("unheard of"), True),
}


@pytest.mark.parametrize(("error", "may_have_arrived"), BREAKS.values(), ids=BREAKS)
def test_a_broken_create_is_uncertain_only_where_it_may_have_arrived(
    bedrock, client, monkeypatch, error, may_have_arrived
):
    def broken(self, method, *rest, real=urllib3.HTTPConnectionPool.urlopen, **others):
        if method == "POST":
            raise error
        return real(self, method, *rest, **others)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", broken)
    expected = errors.SubmissionUncertain if may_have_arrived else errors.ProviderUnavailable
    with pytest.raises(expected, match="may have been created" if may_have_arrived else NOT_BILLED):
        submitted(client)


def test_every_client_of_boto3_is_closed_also_after_an_error(bedrock, client, monkeypatch):
    closed = []

    def close(self, real=URLLib3Session.close):
        closed.append(self)
        real(self)

    monkeypatch.setattr(URLLib3Session, "close", close)
    outcome(client, submitted(client))
    bedrock.fail_next(*bedrock.poll, Fault.lost_answer())
    with pytest.raises(errors.ProviderUnavailable):
        BEDROCK.status(client, Job(id=NOBODY))
    # the bucket, the create, two looks at the job, the clip, and the look that failed
    assert len(closed) == 6


def test_a_question_that_broke_is_only_asked_again_later(bedrock, client):
    job = submitted(client)
    bedrock.fail_next(*bedrock.poll, Fault.lost_answer())
    with pytest.raises(errors.ProviderUnavailable, match="could not be reached"):
        BEDROCK.status(client, job)


# -- credentials --------------------------------------------------------------------------------------------


def without_keys(monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)


def test_without_credentials_the_ways_to_sign_in_are_named(bedrock, client, monkeypatch):
    without_keys(monkeypatch)
    with pytest.raises(errors.Unauthorized, match=rf"no AWS credentials.*AWS_PROFILE.*{NOT_BILLED}"):
        submitted(client)
    with pytest.raises(errors.Unauthorized, match="no AWS credentials"):
        BEDROCK.status(client, Job(id=NOBODY))
    assert bedrock.requests == []


def test_half_of_the_credentials_is_told(bedrock, client, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(errors.Unauthorized, match=rf"missing: AWS_SECRET_ACCESS_KEY.*{NOT_BILLED}"):
        submitted(client)


def test_a_profile_that_does_not_exist_is_named(bedrock, client, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "studio")
    with pytest.raises(errors.Unauthorized, match=rf"profile \(studio\).*correct AWS_PROFILE.*{NOT_BILLED}"):
        submitted(client)


def test_credentials_of_a_profile_are_used(bedrock, client, monkeypatch, tmp_path):
    without_keys(monkeypatch)
    file = tmp_path / "credentials"
    file.write_text(f"[studio]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {bedrock.key}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "studio")
    assert submitted(client).id == bedrock.creates[0].id


def test_a_single_sign_on_that_is_over_is_told_with_the_command(bedrock, client, monkeypatch, tmp_path):
    without_keys(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "config"
    file.write_text(
        "[profile studio]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = artist\n"
        "[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://example.test/start\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "studio")
    with pytest.raises(errors.Unauthorized, match=rf"sign-in has expired.*aws sso login.*{NOT_BILLED}"):
        submitted(client)
    assert bedrock.requests == []


def test_a_role_that_aws_does_not_hand_out_is_told_as_such(bedrock, client, monkeypatch, tmp_path):
    file = tmp_path / "config"
    file.write_text(
        "[profile studio]\nrole_arn = arn:aws:iam::123456789012:role/artist\nsource_profile = me\n"
        f"[profile me]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {bedrock.key}\n"
    )
    without_keys(monkeypatch)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "studio")
    with TokenService() as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.origin)
        with pytest.raises(
            errors.Unauthorized, match=rf"hands out no credentials \(AssumeRole: .*{NOT_BILLED}"
        ):
            submitted(client)
    assert posts(bedrock) == []


class TokenService(BedrockEmulator):
    """A security token service that gives nobody a role."""

    def exchange(self, request: Request) -> Reply:
        body = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
            "<Code>AccessDenied</Code><Message>User is not authorized to perform: sts:AssumeRole</Message></Error>"
            "</ErrorResponse>"
        )
        return Reply(403, body.encode(), {"Content-Type": "text/xml"})


@pytest.fixture
def with_bearer(bedrock, monkeypatch, tmp_path):
    """Bedrock's API key beside the emulator's S3; boto3 sends it over TLS only."""
    trusted = authority(tmp_path)
    with over_tls(BedrockEmulator(), trusted) as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", emulator.origin.replace("http", "https"))
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted.bundle))
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", emulator.bearer)
        yield emulator


def test_with_the_api_key_of_bedrock_alone_nothing_is_bought(with_bearer, client, monkeypatch):
    without_keys(monkeypatch)
    with pytest.raises(errors.Unauthorized) as caught:
        submitted(client)
    said = str(caught.value)
    assert "AWS_BEARER_TOKEN_BEDROCK opens Bedrock, but not S3" in said
    assert "AWS_ACCESS_KEY_ID" in said
    assert NOT_BILLED in said
    assert with_bearer.requests == []


def test_with_the_api_key_and_credentials_for_s3_the_key_is_used(with_bearer, client):
    submitted(client)
    (create,) = with_bearer.requests
    assert create.headers["Authorization"] == f"Bearer {with_bearer.bearer}"


def test_a_finished_clip_that_the_api_key_cannot_fetch_is_told_with_its_place(
    with_bearer, client, monkeypatch
):
    job = submitted(client)
    without_keys(monkeypatch)
    with pytest.raises(errors.Unauthorized, match=rf"finished and lies in {PLACE}/.*not S3"):
        outcome(client, job)


# -- boto3 itself -------------------------------------------------------------------------------------------


@pytest.fixture
def without_boto3(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("boto3", "botocore")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("boto3", "botocore"):
        monkeypatch.setitem(sys.modules, name, None)


def test_without_boto3_one_sentence_says_how_to_get_it(bedrock, client, without_boto3):
    with pytest.raises(errors.Unauthorized, match=rf"needs boto3: run 'pip install boto3'.*{NOT_BILLED}"):
        submitted(client)
    with pytest.raises(errors.Unauthorized, match="pip install boto3"):
        BEDROCK.status(client, Job(id=NOBODY))
    assert bedrock.requests == []


def test_a_boto3_that_is_too_old_is_told_before_anything_is_bought(bedrock, client, monkeypatch):
    class Old(botocore.loaders.Loader):
        def load_service_model(self, service_name, *rest, **others):
            model = dict(super().load_service_model(service_name, *rest, **others))
            model["operations"] = {
                name: operation
                for name, operation in model.get("operations", {}).items()
                if "Async" not in name
            }
            return model

    module._models.cache_clear()
    monkeypatch.setattr(botocore.loaders, "create_loader", Old)
    try:
        with pytest.raises(errors.Unauthorized, match=rf"pip install --upgrade boto3.*{NOT_BILLED}"):
            submitted(client)
    finally:
        module._models.cache_clear()
    assert posts(bedrock) == []


def test_an_address_in_the_environment_that_is_none_is_told(bedrock, client, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "bedrock")
    with pytest.raises(errors.Unauthorized, match=rf"AWS_ENDPOINT_URL_.*{NOT_BILLED}"):
        submitted(client)


def test_no_setting_of_boto3_makes_it_send_a_create_twice(bedrock, client, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    bedrock.fail_next(*bedrock.create, bedrock.refusing("rate limit"))
    with pytest.raises(errors.RateLimited):
        submitted(client)
    assert len(posts(bedrock)) == 1


# -- how a job is doing -------------------------------------------------------------------------------------


def test_a_job_is_pending_and_then_completed(bedrock, client):
    job = submitted(client)
    assert BEDROCK.status(client, job) == Pending(note="in progress")
    assert isinstance(BEDROCK.status(client, job), Completed)


@pytest.mark.parametrize("layout", ["folder", "prefix"])
@pytest.mark.parametrize("details", [{"output": PLACE}, {}], ids=["ours", "by its id alone"])
def test_the_clip_is_found_wherever_bedrock_says_that_it_is(bedrock, client, layout, details):
    bedrock.layout = layout
    done = outcome(client, replace(submitted(client), details=details))
    assert requests.get(done.url, timeout=5).content == bedrock.film(bedrock.creates[0])


def test_a_place_that_names_the_file_itself_is_taken_by_its_word(bedrock, client):
    job = submitted(client)
    outcome(client, job)
    stored = bedrock.buckets[BUCKET].objects
    stored["films/the fox.mp4"] = stored.pop(clip_key(bedrock))
    place = {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/films/the fox.mp4"}}
    bedrock.fail_next(*bedrock.poll, Fault.fields(outputDataConfig=place))
    done = BEDROCK.status(client, Job(id=job.id))
    assert requests.get(done.url, timeout=5).content == bedrock.film(bedrock.creates[0])


def test_where_the_place_says_nothing_the_submitted_prefix_is_searched(bedrock, client):
    job = submitted(client)
    outcome(client, job)
    place = {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}"}}
    bedrock.fail_next(*bedrock.poll, Fault.fields(outputDataConfig=place))
    assert isinstance(BEDROCK.status(client, job), Completed)


@pytest.mark.parametrize("layout", ["folder", "prefix"])
def test_a_video_by_another_name_in_the_folder_is_found(bedrock, client, layout):
    bedrock.layout = layout
    job = submitted(client)
    outcome(client, job)
    stored = bedrock.buckets[BUCKET].objects
    key = clip_key(bedrock)
    stored[key.replace("output", "video-0")] = stored.pop(key)
    done = BEDROCK.status(client, job)
    assert "video-0.mp4" in done.url


def test_the_clip_of_another_job_in_the_same_bucket_is_not_ours(bedrock, client):
    bedrock.layout = "prefix"
    outcome(client, submitted(client, key="another"))
    job = submitted(client)
    assert bedrock.creates[1].id.rpartition("/")[2] in outcome(client, job).url


def test_the_link_is_good_for_a_quarter_of_an_hour_and_new_each_time(bedrock, client, clock):
    job = submitted(client)
    url = outcome(client, job).url
    told = parse_qs(urlsplit(url).query)
    assert told["X-Amz-Expires"] == [str(LINK_LIFE)] == ["900"]
    assert told["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert bedrock.key not in url
    bedrock.expire_links()
    assert requests.get(url, timeout=5).status_code == 403
    assert requests.get(BEDROCK.status(client, job).url, timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("bucket", "host"),
    [
        ("plain-bucket", "plain-bucket.s3.us-west-2.amazonaws.com"),
        ("bucket.with.dots", "s3.us-west-2.amazonaws.com"),  # no certificate covers its subdomains
    ],
)
def test_links_to_amazon_lead_to_the_bucket_s_own_region(bedrock, client, monkeypatch, bucket, host):
    def answered(self, method, *rest, real=urllib3.HTTPConnectionPool.urlopen, **others):
        if self.scheme == "https":
            return urllib3.HTTPResponse(io.BytesIO(), status=200, preload_content=False)
        return real(self, method, *rest, **others)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", answered)
    job = submitted(client)
    outcome(client, job)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    place = {"s3OutputDataConfig": {"s3Uri": f"s3://{bucket}/a"}}
    bedrock.fail_next(*bedrock.poll, Fault.fields(outputDataConfig=place))
    url = BEDROCK.status(client, job).url
    assert (urlsplit(url).scheme, urlsplit(url).hostname) == ("https", host)


def test_a_clip_that_may_not_be_read_is_told_with_its_place_and_the_rights(bedrock, client):
    bedrock.denied.add("s3:GetObject")
    with pytest.raises(errors.Unauthorized) as caught:
        outcome(client, submitted(client))
    said = str(caught.value)
    assert f"lies in {PLACE}/" in said
    assert f"s3:GetObject and s3:ListBucket on '{BUCKET}'" in said
    assert "free of further charge" in said


@pytest.mark.parametrize("layout", ["folder", "prefix"])
@pytest.mark.parametrize("details", [{"output": PLACE}, {}], ids=["ours", "by its id alone"])
def test_who_may_not_list_finds_the_clip_where_it_is_expected(bedrock, client, layout, details):
    bedrock.denied.add("s3:ListBucket")
    bedrock.layout = layout
    assert isinstance(outcome(client, replace(submitted(client), details=details)), Completed)


def test_right_after_the_end_a_missing_file_is_waited_for(bedrock, client, clock):
    job = submitted(client)
    outcome(client, job)
    bedrock.buckets[BUCKET].objects.clear()
    assert BEDROCK.status(client, job) == Pending(note="finished, its file is not in the bucket yet")


def test_later_a_missing_file_is_told_with_its_place(bedrock, client, clock):
    job = submitted(client)
    outcome(client, job)
    bedrock.buckets[BUCKET].objects.clear()
    clock.sleep(600)
    with pytest.raises(errors.DownloadFailed, match=rf"no video of it in {PLACE}/.*free of further charge"):
        BEDROCK.status(client, job)


FAILURES = {
    "moderation": ("The generated video has been blocked by our content filters.", "safety check"),
    "frame": ("Frame moderation failed", "safety check"),
    "bucket": ("Invalid Output Config/Credentials", "Check that the bucket in LUMA_RAY_BEDROCK_OUTPUT"),
    "other": ("The model could not complete the invocation.", "failed on Bedrock (The model could not"),
    "silent": ("", "no reason given"),
}


@pytest.mark.parametrize(("message", "words"), FAILURES.values(), ids=FAILURES)
def test_a_failed_job_is_told_in_words_and_the_bill_honestly(bedrock, client, message, words):
    job = submitted(client)
    bedrock.fail_next(*bedrock.poll, Fault.fields(status="Failed", failureMessage=message))
    status = BEDROCK.status(client, job)
    assert isinstance(status, Failed)
    assert words in status.reason
    assert message.rstrip(".") in status.reason
    assert "does not document whether it bills failed jobs" in status.billing


def test_a_bucket_that_vanishes_while_the_job_runs_is_told(bedrock, client):
    job = submitted(client)
    bedrock.buckets.clear()
    assert "Check that the bucket" in outcome(client, job).reason


def test_a_job_that_bedrock_does_not_know_is_rejected(bedrock, client):
    with pytest.raises(errors.Rejected, match="does not exist"):
        BEDROCK.status(client, Job(id=NOBODY))


@pytest.mark.parametrize("id", ["", "abc", "123e4567-e89b-12d3-a456-426614174000", NOBODY + "/../x"])
def test_the_id_of_another_provider_s_job_is_rejected_without_asking(bedrock, client, id):
    with pytest.raises(errors.Rejected, match="its ids begin with arn:aws:bedrock"):
        BEDROCK.status(client, Job(id=id))
    assert bedrock.requests == []


def test_a_job_is_asked_about_in_the_region_where_it_runs(bedrock, client, monkeypatch):
    job = submitted(client)
    monkeypatch.setenv("LUMA_RAY_BEDROCK_REGION", "eu-central-1")
    assert isinstance(outcome(client, job), Completed)


def test_there_is_no_way_to_cancel_and_that_is_said(client):
    assert BEDROCK.cancel(client, Job(id=NOBODY)) == "impossible"
    assert "no way to cancel" in BEDROCK.cancel_notice
    assert "billed" in BEDROCK.cancel_notice


# -- an unanswered create -----------------------------------------------------------------------------------


def lost(key: str = KEY) -> Unanswered:
    return Unanswered(key=key, asked=ask().describe(), since=0.0, known=[])


def test_an_unanswered_create_is_found_by_its_token(bedrock, client):
    jobs = [submitted(client, key=f"{KEY[:-1]}{number}") for number in range(3)]
    assert BEDROCK.reconcile(client, lost(f"{KEY[:-1]}1")).id == jobs[1].id


def test_equal_jobs_with_other_tokens_are_not_ours(bedrock, client):
    submitted(client, key="another")
    assert BEDROCK.reconcile(client, lost()) is None


def test_the_list_is_read_page_by_page(bedrock, client):
    bedrock.credit_usd = 1000
    submitted(client)
    work = bedrock.creates[0]
    for number in range(230):
        bedrock.creates.append(replace(work, id=f"{NOBODY[:-3]}{number:03}", key="", number=2 + number))
    assert BEDROCK.reconcile(client, lost()).id == work.id
    assert sum("async-invoke?" in request.target for request in bedrock.requests) == 3


def test_a_list_that_cannot_be_read_is_not_an_empty_list(bedrock, client):
    bedrock.denied.add("bedrock:ListAsyncInvokes")
    with pytest.raises(errors.Unauthorized, match="bedrock:ListAsyncInvokes"):
        BEDROCK.reconcile(client, lost())
    bedrock.denied.clear()
    bedrock.fail_next("GET", "/async-invoke", Fault.html(200))
    with pytest.raises(errors.UnexpectedReply), decoding(BEDROCK.title):
        BEDROCK.reconcile(client, lost())


# -- whole lives --------------------------------------------------------------------------------------------


def test_from_two_pictures_to_a_clip_on_disk(bedrock, life):
    clip = life.buy(keyframes(first_frame=photograph(40), last_frame=photograph(220)))
    facts, row = clips.inspect(clip.path), life.row()
    assert (facts.frames, row.state, row.estimate_usd) == (121, "completed", Decimal("3.75"))
    assert row.job.id == bedrock.creates[0].id
    assert bedrock.leaks == []
    assert "in progress at Amazon Bedrock" in life.reports.words


def test_nothing_signed_and_no_key_is_kept(bedrock, life):
    life.buy(image_to_video(first_frame=photograph(40)))
    kept = life.written()
    assert b"X-Amz-Signature" not in kept
    for secret in (bedrock.key, ACCESS_KEY_ID):
        assert secret.encode() not in kept
        assert secret not in life.reports.words


def test_without_a_place_for_the_clips_nothing_is_bought(bedrock, life, monkeypatch):
    monkeypatch.delenv("LUMA_RAY_BEDROCK_OUTPUT")
    with pytest.raises(errors.MissingCredentials, match="LUMA_RAY_BEDROCK_OUTPUT"):
        life.buy(ask())
    assert bedrock.requests == []


def test_a_lost_answer_is_found_in_the_list_and_bought_once(bedrock, life):
    bedrock.fail_next(*bedrock.create, Fault.lost_answer())
    clip = life.buy(ask())
    assert [work.id for work in bedrock.creates] == [clip.entry.job.id]
    assert len(posts(bedrock)) == 1


def test_a_request_that_got_lost_is_sent_again_with_the_same_token(bedrock, life):
    bedrock.fail_next(*bedrock.create, Fault.lost_request())
    life.buy(ask())
    first, second = posts(bedrock)
    assert first == second
    assert len(bedrock.ledger) == 1


def test_where_the_list_is_forbidden_the_same_token_still_makes_one_job(bedrock, life):
    bedrock.denied.add("bedrock:ListAsyncInvokes")
    bedrock.fail_next(*bedrock.create, Fault.lost_answer())
    clip = life.buy(ask())
    first, second = posts(bedrock)
    assert first["clientRequestToken"] == second["clientRequestToken"]
    assert [work.id for work in bedrock.creates] == [clip.entry.job.id]


def test_a_bucket_that_vanished_before_the_second_try_does_not_deny_the_first(bedrock, life, monkeypatch):
    bedrock.denied.add("bedrock:ListAsyncInvokes")
    bedrock.fail_next(*bedrock.create, Fault.lost_answer())
    life.clock.on_sleep = bedrock.buckets.clear
    bedrock.watch = lambda request: request.method == "POST" and bedrock.buckets.clear()
    with pytest.raises(errors.SubmissionUncertain):
        life.buy(ask())
    assert life.row().state == "uncertain"
    bedrock.denied.clear()
    bedrock.buckets[BUCKET] = Bucket()
    bedrock.watch, life.clock.on_sleep = (lambda request: None), (lambda: None)
    assert life.buy(ask()).entry.job.id == bedrock.creates[0].id
    assert len(bedrock.ledger) == 1


def test_another_process_takes_the_job_up_after_a_crash(bedrock, life, tmp_path, clock):
    bedrock.pace = replace(bedrock.pace, polls=4)

    def crash() -> None:
        raise KeyboardInterrupt

    clock.on_sleep = crash
    with pytest.raises(KeyboardInterrupt):
        life.buy(ask())
    clock.on_sleep = lambda: None
    clip = Life(tmp_path, BEDROCK, clock=clock).buy(ask())
    assert clip.entry.job.id == bedrock.creates[0].id
    assert len(posts(bedrock)) == 1


def test_a_quota_that_somebody_else_uses_up_is_waited_for(bedrock, life, client):
    bedrock.concurrent = 1
    other = submitted(client, ask(prompt="somebody else's"))
    life.clock.on_sleep = lambda: BEDROCK.status(client, other)
    life.buy(ask())
    assert len(bedrock.creates) == 2
    assert "waiting in line for Amazon Bedrock" in life.reports.words


def test_stopping_says_that_the_job_goes_on_and_it_is_collected_later(bedrock, life, tmp_path, clock):
    bedrock.pace = replace(bedrock.pace, polls=4)
    clock.on_sleep = clock.stop.set
    with pytest.raises(errors.Interrupted, match="has no way to cancel: the job is finished and billed"):
        life.buy(ask())
    clock.stop.clear()
    clock.on_sleep = lambda: None
    assert Life(tmp_path, BEDROCK, clock=clock).buy(ask()).path.is_file()
    assert len(bedrock.creates) == 1


def test_a_clip_that_aws_keeps_to_itself_stays_collectable(bedrock, life):
    bedrock.denied.add("s3:GetObject")
    with pytest.raises(errors.Unauthorized, match=r"lies in s3://.*can be collected later"):
        life.buy(ask())
    assert life.row().state == "submitted"
    bedrock.denied.clear()
    assert life.buy(ask()).path.is_file()
    assert len(bedrock.creates) == 1


def test_a_refused_create_may_be_bought_again_when_it_is_mended(bedrock, life):
    bedrock.fail_next(
        *bedrock.create, bedrock.saying("AccessDeniedException", "You don't have access to the model")
    )
    with pytest.raises(errors.ModelNotServed):
        life.buy(ask())
    assert life.row().state == "failed"
    assert life.buy(ask()).path.is_file()
    assert json.dumps(posts(bedrock)[0]["modelInput"]) == json.dumps(posts(bedrock)[1]["modelInput"])
    assert posts(bedrock)[0]["clientRequestToken"] != posts(bedrock)[1]["clientRequestToken"]
