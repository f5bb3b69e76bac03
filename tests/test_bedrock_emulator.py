"""The Bedrock emulator against boto3, and against everything that is not allowed."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError
from emulators import clips
from emulators.bedrock import (
    ACCESS_KEY_ID,
    ASPECT_RATIOS,
    BUCKET,
    REGION,
    BedrockEmulator,
    Bucket,
    Stored,
)
from emulators.clips import difference
from emulators.jobs import Trouble
from emulators.server import Fault
from loopback import authority, over_tls

photograph = partial(clips.photograph, width=640, height=512)
"""As small as Bedrock takes them."""
OUTPUT = f"s3://{BUCKET}/luma-ray"
TOKEN = "a3c47b33-e69b-4247-a4d0-048c803815d1"


@pytest.fixture
def bedrock(monkeypatch: pytest.MonkeyPatch) -> Iterator[BedrockEmulator]:
    with BedrockEmulator() as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


@pytest.fixture(scope="module")
def session() -> boto3.session.Session:
    """One for all tests with good keys: reading the service models takes longer than a test."""
    return boto3.session.Session(ACCESS_KEY_ID, BedrockEmulator.default_key)


@pytest.fixture
def runtime(bedrock: BedrockEmulator, session: boto3.session.Session) -> Any:
    return client("bedrock-runtime", session=session)


@pytest.fixture
def s3(bedrock: BedrockEmulator, session: boto3.session.Session) -> Any:
    return client("s3", session=session)


def client(service: str, region: str = REGION, session: boto3.session.Session | None = None) -> Any:
    """boto3's client, led to the emulator by the environment and by nothing else."""
    config = Config(signature_version="s3v4" if service == "s3" else None, retries={"total_max_attempts": 1})
    return (session or boto3.session.Session()).client(service, region_name=region, config=config)


@pytest.fixture
def with_bearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BedrockEmulator]:
    """The emulator behind TLS, and its API key alone: boto3 sends that over nothing else."""
    trusted = authority(tmp_path)
    with over_tls(BedrockEmulator(), trusted) as emulator:
        for service in ("BEDROCK_RUNTIME", "S3"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", emulator.origin.replace("http", "https"))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(trusted.bundle))
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", emulator.bearer)
        yield emulator


def start(runtime: Any, model_input: Any = None, *, place: str = OUTPUT, **others: Any) -> str:
    return runtime.start_async_invoke(
        modelId="luma.ray-v2:0",
        modelInput={"prompt": "a lake at dawn"} if model_input is None else model_input,
        outputDataConfig={"s3OutputDataConfig": {"s3Uri": place}},
        **others,
    )["invocationArn"]


def finished(runtime: Any, *arguments: Any, **others: Any) -> dict[str, Any]:
    """Start, and ask until it is done (twice)."""
    arn = start(runtime, *arguments, **others)
    runtime.get_async_invoke(invocationArn=arn)
    return runtime.get_async_invoke(invocationArn=arn)


def place_of(invocation: dict[str, Any]) -> str:
    return invocation["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]


def key_of(invocation: dict[str, Any], name: str = "output.mp4") -> str:
    return f"{place_of(invocation).removeprefix(f's3://{BUCKET}/')}/{name}"


def frame(picture: clips.Picture, media_type: str = "image/jpeg") -> dict[str, Any]:
    data = base64.b64encode(clips.jpeg(picture)).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def refused(call: Any, *arguments: Any, **others: Any) -> tuple[str, str, int]:
    """Kind, message and status of the error that boto3 reads."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **others)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def raw(
    bedrock: BedrockEmulator, method: str, path: str, body: Any = None, **headers: str
) -> requests.Response:
    """A signed request that boto3 would not let through."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = AWSRequest(
        method,
        bedrock.origin + path,
        data=content,
        headers={"Content-Type": "application/json", **{n.replace("_", "-"): v for n, v in headers.items()}},
    )
    SigV4Auth(Credentials(ACCESS_KEY_ID, bedrock.key), "bedrock", REGION).add_auth(request)
    return requests.request(
        method, request.url, data=content, headers=dict(request.headers), timeout=5, allow_redirects=False
    )


ENVELOPE = {
    "modelId": "luma.ray-v2:0",
    "modelInput": {"prompt": "a lake at dawn"},
    "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": OUTPUT}},
}


class TestInvocations:
    def test_a_start_gives_the_arn_of_an_invocation_in_its_region(self, runtime: Any) -> None:
        assert start(runtime).startswith("arn:aws:bedrock:us-west-2:123456789012:async-invoke/")

    def test_an_invocation_is_in_progress_and_then_completed(self, runtime: Any) -> None:
        arn = start(runtime)
        states = [runtime.get_async_invoke(invocationArn=arn)["status"] for _ in range(3)]
        assert states == ["InProgress", "Completed", "Completed"]

    def test_a_completed_invocation_says_everything_that_the_service_model_lists(self, runtime: Any) -> None:
        invocation = finished(runtime, clientRequestToken=TOKEN)
        invocation.pop("ResponseMetadata")
        assert invocation.keys() == {
            "invocationArn", "modelArn", "clientRequestToken", "status", "submitTime", "lastModifiedTime",
            "endTime", "outputDataConfig",
        }  # fmt: skip
        assert invocation["clientRequestToken"] == TOKEN
        assert isinstance(invocation["endTime"], datetime)
        assert invocation["modelArn"].endswith("foundation-model/luma.ray-v2:0")

    def test_the_clip_and_a_manifest_lie_in_a_folder_named_after_the_invocation(
        self, runtime: Any, s3: Any
    ) -> None:
        invocation = finished(runtime)
        id = invocation["invocationArn"].rpartition("/")[2]  # noqa: A001
        listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert [item["Key"] for item in listed] == [
            f"luma-ray/{id}/manifest.json",
            f"luma-ray/{id}/output.mp4",
        ]
        assert place_of(invocation) == f"{OUTPUT}/{id}"

    def test_before_the_end_nothing_lies_there(self, runtime: Any, s3: Any) -> None:
        arn = start(runtime)
        runtime.get_async_invoke(invocationArn=arn)
        assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)

    @pytest.mark.parametrize("place", [f"s3://{BUCKET}", f"s3://{BUCKET}/", f"s3://{BUCKET}/a/b/"])
    def test_a_prefix_may_be_missing_or_end_in_a_slash(self, runtime: Any, s3: Any, place: str) -> None:
        invocation = finished(runtime, place=place)
        assert place_of(invocation).startswith(place.rstrip("/") + "/")
        assert s3.head_object(Bucket=BUCKET, Key=key_of(invocation))["ContentLength"] > 1000

    def test_the_other_layout_repeats_the_prefix_as_it_was_submitted(
        self, bedrock: BedrockEmulator, runtime: Any
    ) -> None:
        bedrock.layout = "prefix"
        assert place_of(finished(runtime)) == OUTPUT
        assert any(key.endswith("/output.mp4") for key in bedrock.buckets[BUCKET].objects)

    @pytest.mark.parametrize(("seconds", "frames"), [("5s", 121), ("9s", 217)])
    def test_the_clip_has_24_frames_a_second(self, runtime: Any, s3: Any, seconds: str, frames: int) -> None:
        invocation = finished(
            runtime, {"prompt": "a lake", "duration": seconds, "resolution": "540p", "aspect_ratio": "1:1"}
        )
        content = s3.get_object(Bucket=BUCKET, Key=key_of(invocation))["Body"].read()
        first, _, count = clips.edges(content)
        assert (count, first.width, first.height) == (frames, 136, 136)

    def test_the_clip_runs_from_the_first_frame_to_the_last(self, runtime: Any, s3: Any) -> None:
        frames = {"frame0": frame(photograph(40)), "frame1": frame(photograph(220))}
        invocation = finished(runtime, {"prompt": "dawn", "keyframes": frames, "resolution": "540p"})
        content = s3.get_object(Bucket=BUCKET, Key=key_of(invocation))["Body"].read()
        first, last, _ = clips.edges(content)
        assert abs(first.pixels[..., 0].mean() - 40) < 6
        assert abs(last.pixels[..., 0].mean() - 220) < 6

    def test_a_looped_clip_ends_as_it_began(self, runtime: Any, s3: Any) -> None:
        invocation = finished(runtime, {"prompt": "waves", "loop": True, "resolution": "540p"})
        content = s3.get_object(Bucket=BUCKET, Key=key_of(invocation))["Body"].read()
        first, last, _ = clips.edges(content)
        assert difference(first, last) < 3

    @pytest.mark.parametrize(
        ("chosen", "usd"),
        [
            ({}, 7.50),
            ({"resolution": "540p"}, 3.75),
            ({"duration": "9s"}, 13.50),
            ({"resolution": "540p", "duration": "9s"}, 6.75),
        ],
    )
    def test_an_invocation_is_charged_by_the_second(
        self, bedrock: BedrockEmulator, runtime: Any, chosen: dict[str, str], usd: float
    ) -> None:
        start(runtime, {"prompt": "a lake", **chosen})
        assert [entry.usd for entry in bedrock.ledger] == [-usd]

    def test_a_moderated_prompt_is_a_failed_invocation_with_a_message(
        self, bedrock: BedrockEmulator, runtime: Any
    ) -> None:
        invocation = finished(runtime, {"prompt": "something indecent"})
        assert invocation["status"] == "Failed"
        assert "blocked by our content filters" in invocation["failureMessage"]
        assert bedrock.buckets[BUCKET].objects == {}

    def test_a_failure_is_not_charged_in_the_end(self, bedrock: BedrockEmulator, runtime: Any) -> None:
        assert finished(runtime, {"prompt": "doomed"})["status"] == "Failed"
        assert sum(entry.usd for entry in bedrock.ledger) == 0

    def test_a_bearer_key_starts_and_asks_without_a_signature(self, with_bearer: BedrockEmulator) -> None:
        assert finished(client("bedrock-runtime"))["status"] == "Completed"
        assert with_bearer.requests[0].headers["Authorization"] == f"Bearer {with_bearer.bearer}"


class TestIdempotency:
    def test_the_same_token_and_parameters_give_the_same_invocation_once_charged(
        self, bedrock: BedrockEmulator, runtime: Any
    ) -> None:
        arns = {start(runtime, clientRequestToken=TOKEN) for _ in range(3)}
        assert len(arns) == len(bedrock.creates) == len(bedrock.ledger) == 1

    def test_the_same_token_with_other_parameters_is_a_conflict(self, runtime: Any) -> None:
        start(runtime, clientRequestToken=TOKEN)
        kind, _, status = refused(start, runtime, {"prompt": "a hill"}, clientRequestToken=TOKEN)
        assert (kind, status) == ("ConflictException", 400)

    def test_another_place_for_the_output_is_other_parameters(self, runtime: Any) -> None:
        start(runtime, clientRequestToken=TOKEN)
        kind, *_ = refused(start, runtime, place=f"s3://{BUCKET}/elsewhere", clientRequestToken=TOKEN)
        assert kind == "ConflictException"

    def test_without_a_token_boto3_makes_one_up_and_each_call_is_an_invocation(
        self, bedrock: BedrockEmulator, runtime: Any
    ) -> None:
        assert start(runtime) != start(runtime)
        assert all(work.key for work in bedrock.creates)

    def test_ten_equal_requests_at_once_are_one_invocation(
        self, bedrock: BedrockEmulator, runtime: Any
    ) -> None:
        gate = threading.Barrier(10)

        def at_once(_: int) -> str:
            gate.wait(5)
            return start(runtime, clientRequestToken=TOKEN)

        with ThreadPoolExecutor(10) as pool:
            assert len(set(pool.map(at_once, range(10)))) == 1
        assert len(bedrock.creates) == 1

    def test_a_start_whose_answer_got_lost_is_found_again_by_its_token(
        self, bedrock: BedrockEmulator, runtime: Any
    ) -> None:
        bedrock.fail_next(*bedrock.create, Fault.lost_answer())
        with pytest.raises(ConnectionClosedError):
            start(runtime, clientRequestToken=TOKEN)
        assert len(bedrock.ledger) == 1
        assert start(runtime, clientRequestToken=TOKEN) == bedrock.creates[0].id
        assert len(bedrock.ledger) == 1


class TestList:
    def test_the_newest_is_first_and_the_token_is_told(self, runtime: Any) -> None:
        arns = [start(runtime, clientRequestToken=f"token-{number}") for number in range(3)]
        listed = runtime.list_async_invokes()["asyncInvokeSummaries"]
        assert [item["invocationArn"] for item in listed] == arns[::-1]
        assert [item["clientRequestToken"] for item in listed] == ["token-2", "token-1", "token-0"]

    def test_boto3_s_paginator_finds_them_all(self, runtime: Any) -> None:
        arns = {start(runtime) for _ in range(5)}
        pages = runtime.get_paginator("list_async_invokes").paginate(
            maxResults=2, sortBy="SubmissionTime", sortOrder="Ascending"
        )
        pages = list(pages)
        assert [len(page["asyncInvokeSummaries"]) for page in pages] == [2, 2, 1]
        assert {item["invocationArn"] for page in pages for item in page["asyncInvokeSummaries"]} == arns

    def test_it_can_be_narrowed_by_status_and_by_time(self, runtime: Any) -> None:
        done = finished(runtime)["invocationArn"]
        running = start(runtime)

        def listed(**narrowed: Any) -> list[str]:
            page = runtime.list_async_invokes(**narrowed)
            return [item["invocationArn"] for item in page["asyncInvokeSummaries"]]

        now = datetime.now(timezone.utc)
        assert listed(statusEquals="Completed") == [done]
        assert listed(statusEquals="InProgress") == [running]
        assert listed(submitTimeAfter=now + timedelta(hours=1)) == []
        assert len(listed(submitTimeBefore=now + timedelta(hours=1))) == 2

    def test_asking_for_the_list_does_not_move_an_invocation(self, runtime: Any) -> None:
        start(runtime)
        for _ in range(5):
            (item,) = runtime.list_async_invokes()["asyncInvokeSummaries"]
        assert item["status"] == "InProgress"

    @pytest.mark.parametrize(
        "query",
        ["maxResults=0", "maxResults=1001", "sortBy=Name", "statusEquals=Done", "nextToken=x", "page=2"],
    )
    def test_a_query_outside_the_service_model_is_refused(self, bedrock: BedrockEmulator, query: str) -> None:
        reply = raw(bedrock, "GET", f"/async-invoke?{query}")
        assert (reply.status_code, reply.json()["__type"]) == (400, "ValidationException")


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"seed": 1}, "#: extraneous key [seed] is not permitted"),
            ({"prompt": None}, "#/prompt"),
            ({"prompt": ""}, "minLength: 1"),
            ({"prompt": "x" * 5001}, "maxLength: 5000"),
            ({"duration": 5}, "#/duration"),
            ({"duration": "10s"}, "#/duration"),
            ({"resolution": "1080p"}, "#/resolution"),
            ({"aspect_ratio": "2:1"}, "#/aspect_ratio"),
            ({"loop": "true"}, "#/loop"),
            ({"keyframes": {}}, "#/keyframes"),
            ({"keyframes": {"frame2": frame(photograph(1))}}, "extraneous key [frame2]"),
            ({"keyframes": {"frame0": {"type": "generation", "id": "x"}}}, "#/keyframes/frame0"),
            (
                {"keyframes": {"frame0": {"type": "image", "url": "https://a.example/b.png"}}},
                "[source] not found",
            ),
            ({"keyframes": {"frame0": frame(photograph(1), "image/webp")}}, "media_type"),
            ({"keyframes": {"frame0": frame(photograph(1), "image/png")}}, "image/png expected"),
            ({"keyframes": {"frame0": frame(photograph(1, height=510))}}, "640x510"),
            ({"keyframes": {"frame1": frame(photograph(1, width=4098))}}, "4098x512"),
            ({"loop": True, "keyframes": {"frame1": frame(photograph(1))}}, "Loop is not supported"),
        ],
    )
    def test_an_input_that_the_model_does_not_take_is_a_validation_exception(
        self, bedrock: BedrockEmulator, runtime: Any, change: dict[str, Any], words: str
    ) -> None:
        kind, message, status = refused(start, runtime, {"prompt": "a lake", **change})
        assert (kind, status) == ("ValidationException", 400)
        assert words in message
        assert bedrock.ledger == []

    @pytest.mark.parametrize("data", ["not base64!", base64.b64encode(b"not a picture").decode(), ""])
    def test_a_picture_must_be_one(self, runtime: Any, data: str) -> None:
        spoilt = frame(photograph(1))
        spoilt["source"]["data"] = data
        _, message, _ = refused(start, runtime, {"prompt": "a lake", "keyframes": {"frame0": spoilt}})
        assert "not an image" in message

    def test_the_prompt_is_required(self, runtime: Any) -> None:
        assert "required key [prompt] not found" in refused(start, runtime, {"loop": False})[1]

    def test_the_input_as_a_string_of_json_is_refused(self, bedrock: BedrockEmulator) -> None:
        reply = raw(bedrock, "POST", "/async-invoke", {**ENVELOPE, "modelInput": '{"prompt": "a lake"}'})
        assert reply.status_code == 400
        assert "expected type: JSONObject, found: String" in reply.json()["message"]

    @pytest.mark.parametrize(
        "change",
        [
            {"modelId": ""},
            {"modelId": None},
            {"seed": 1},
            {"clientRequestToken": "with space"},
            {"clientRequestToken": "x" * 257},
            {"outputDataConfig": {}},
            {"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "https://bucket.s3.amazonaws.com"}}},
            {"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://Capital/a"}}},
            {"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/{'x' * 1024}"}}},
            {"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": OUTPUT, "kmsKeyId": "key"}}},
            {"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": OUTPUT, "bucketOwner": "12"}}},
            {"tags": [{"key": "a"}]},
            {"tags": [{"key": "a", "value": "b"}] * 201},
        ],
    )
    def test_an_envelope_outside_the_service_model_is_refused(
        self, bedrock: BedrockEmulator, change: dict[str, Any]
    ) -> None:
        reply = raw(bedrock, "POST", "/async-invoke", {**ENVELOPE, **change})
        assert (reply.status_code, reply.json()["__type"]) == (400, "ValidationException")
        assert reply.headers["x-amzn-errortype"].startswith("ValidationException:")
        assert bedrock.creates == []

    def test_a_whole_envelope_is_taken(self, bedrock: BedrockEmulator) -> None:
        place = {"s3Uri": OUTPUT, "bucketOwner": "123456789012"}
        whole = {
            **ENVELOPE,
            "modelInput": {
                "prompt": "a lake", "aspect_ratio": "9:21", "loop": True, "duration": "9s", "resolution": "540p",
                "keyframes": {"frame0": frame(photograph(1))},
            },
            "outputDataConfig": {"s3OutputDataConfig": place},
            "clientRequestToken": TOKEN,
            "tags": [{"key": "film", "value": "the lake"}],
        }  # fmt: skip
        assert raw(bedrock, "POST", "/async-invoke", whole).status_code == 200
        assert bedrock.creates[0].aspect_ratio == "9:21"

    @pytest.mark.parametrize("ratio", ASPECT_RATIOS)
    def test_all_seven_ratios_are_taken(self, runtime: Any, ratio: str) -> None:
        assert start(runtime, {"prompt": "a lake", "aspect_ratio": ratio})

    @pytest.mark.parametrize("body", [b"{", b"", b"[]"])
    def test_a_body_that_is_no_object_is_refused(self, bedrock: BedrockEmulator, body: bytes) -> None:
        assert raw(bedrock, "POST", "/async-invoke", body).status_code == 400

    def test_another_model_is_not_there(self, bedrock: BedrockEmulator) -> None:
        reply = raw(bedrock, "POST", "/async-invoke", {**ENVELOPE, "modelId": "luma.ray-flash-v2:0"})
        assert reply.json()["message"] == "The provided model identifier is invalid."

    @pytest.mark.usefixtures("bedrock")
    def test_in_another_region_the_model_is_not_there(self) -> None:
        kind, message, _ = refused(start, client("bedrock-runtime", "us-east-1"))
        assert (kind, message) == ("ValidationException", "The provided model identifier is invalid.")

    def test_an_invocation_that_nobody_knows_is_a_validation_exception(self, runtime: Any) -> None:
        arn = f"arn:aws:bedrock:{REGION}:123456789012:async-invoke/abcdefghijkl"
        assert refused(runtime.get_async_invoke, invocationArn=arn)[0] == "ValidationException"

    def test_what_is_no_arn_is_a_validation_exception(self, runtime: Any) -> None:
        kind, message, _ = refused(runtime.get_async_invoke, invocationArn="abcdefghijkl")
        assert kind == "ValidationException"
        assert "invocationArn" in message

    def test_the_invocation_of_one_region_is_not_known_in_another(self, runtime: Any) -> None:
        arn = start(runtime)
        elsewhere = client("bedrock-runtime", "us-east-1")
        assert refused(elsewhere.get_async_invoke, invocationArn=arn)[0] == "ValidationException"

    def test_there_is_no_way_to_cancel(self, bedrock: BedrockEmulator, runtime: Any) -> None:
        arn = start(runtime)
        assert not hasattr(runtime, "cancel_async_invoke")
        assert (
            raw(bedrock, "DELETE", f"/async-invoke/{arn.replace(':', '%3A').replace('/', '%2F')}").status_code
            == 405
        )


class TestQuota:
    @pytest.mark.parametrize(
        ("kind", "status"), [("ThrottlingException", 429), ("ServiceQuotaExceededException", 400)]
    )
    def test_one_running_invocation_is_the_quota_when_asked_for(
        self, bedrock: BedrockEmulator, runtime: Any, kind: Any, status: int
    ) -> None:
        bedrock.concurrent, bedrock.over_quota = 1, kind
        start(runtime, clientRequestToken=TOKEN)
        refusal = refused(start, runtime)
        assert (refusal[0], refusal[2]) == (kind, status)
        assert len(bedrock.ledger) == 1
        assert start(runtime, clientRequestToken=TOKEN) == bedrock.creates[0].id

    def test_after_the_end_there_is_room_again(self, bedrock: BedrockEmulator, runtime: Any) -> None:
        bedrock.concurrent = 1
        finished(runtime)
        assert start(runtime)


class TestCredentials:
    def test_a_wrong_access_key_is_unknown(
        self, bedrock: BedrockEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE0000")
        kind, _, status = refused(start, client("bedrock-runtime"))
        assert (kind, status) == ("UnrecognizedClientException", 403)
        assert refused(client("s3").list_objects_v2, Bucket=BUCKET)[0] == "InvalidAccessKeyId"

    def test_a_wrong_secret_makes_a_wrong_signature(
        self, bedrock: BedrockEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        assert refused(start, client("bedrock-runtime"))[0] == "InvalidSignatureException"
        assert refused(client("s3").list_objects_v2, Bucket=BUCKET)[0] == "SignatureDoesNotMatch"

    def test_a_changed_body_spoils_the_signature(self, bedrock: BedrockEmulator) -> None:
        content = json.dumps(ENVELOPE).encode()
        request = AWSRequest("POST", f"{bedrock.origin}/async-invoke", data=content)
        SigV4Auth(Credentials(ACCESS_KEY_ID, bedrock.key), "bedrock", REGION).add_auth(request)
        reply = requests.post(request.url, data=content + b" ", headers=dict(request.headers), timeout=5)
        assert reply.json()["__type"] == "InvalidSignatureException"

    def test_without_credentials_nothing_is_answered(self, bedrock: BedrockEmulator) -> None:
        reply = requests.post(f"{bedrock.origin}/async-invoke", json=ENVELOPE, timeout=5)
        assert (reply.status_code, reply.json()["__type"]) == (403, "MissingAuthenticationTokenException")
        assert requests.get(f"{bedrock.origin}/{BUCKET}?list-type=2", timeout=5).status_code == 403

    def test_a_wrong_bearer_key_is_denied(
        self, with_bearer: BedrockEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "wrong")
        kind, message, status = refused(start, client("bedrock-runtime"))
        assert (kind, status) == ("AccessDeniedException", 403)
        assert "API Key" in message

    def test_the_bearer_key_opens_no_bucket(self, bedrock: BedrockEmulator) -> None:
        headers = {"Authorization": f"Bearer {bedrock.bearer}"}
        reply = requests.get(f"{bedrock.origin}/{BUCKET}?list-type=2", headers=headers, timeout=5)
        assert reply.status_code == 400

    @pytest.mark.parametrize(
        "action", ["bedrock:InvokeModel", "bedrock:GetAsyncInvoke", "bedrock:ListAsyncInvokes"]
    )
    def test_an_action_that_iam_does_not_allow_is_denied_by_name(
        self, bedrock: BedrockEmulator, runtime: Any, action: str
    ) -> None:
        arn = start(runtime)
        bedrock.denied.add(action)
        calls = {
            "bedrock:InvokeModel": lambda: start(runtime),
            "bedrock:GetAsyncInvoke": lambda: runtime.get_async_invoke(invocationArn=arn),
            "bedrock:ListAsyncInvokes": runtime.list_async_invokes,
        }
        kind, message, _ = refused(calls[action])
        assert kind == "AccessDeniedException"
        assert f"not authorized to perform: {action}" in message


class TestBuckets:
    @pytest.mark.parametrize("place", ["s3://not-there/luma-ray", "s3://elsewhere/luma-ray"])
    def test_a_bucket_that_is_missing_or_in_another_region_fails_the_invocation(
        self, bedrock: BedrockEmulator, runtime: Any, place: str
    ) -> None:
        bedrock.buckets["elsewhere"] = Bucket("us-east-1")
        invocation = finished(runtime, place=place)
        assert (invocation["status"], invocation["failureMessage"]) == (
            "Failed", "Invalid Output Config/Credentials"
        )  # fmt: skip

    def test_where_buckets_are_checked_at_once_the_start_is_refused(
        self, bedrock: BedrockEmulator, runtime: Any
    ) -> None:
        bedrock.checks_bucket = "at once"
        kind, message, _ = refused(start, runtime, place="s3://not-there")
        assert (kind, message) == ("ValidationException", "Invalid Output Config/Credentials")
        assert bedrock.ledger == []

    def test_a_caller_who_may_not_put_objects_gets_a_failed_invocation(
        self, bedrock: BedrockEmulator, runtime: Any
    ) -> None:
        bedrock.denied.add("s3:PutObject")
        assert finished(runtime)["status"] == "Failed"

    def test_a_part_of_an_object_can_be_had(self, bedrock: BedrockEmulator, s3: Any) -> None:
        bedrock.buckets[BUCKET].objects["a b/ü.txt"] = Stored(b"0123456789", "text/plain", 0.0)
        part = s3.get_object(Bucket=BUCKET, Key="a b/ü.txt", Range="bytes=2-4")
        assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")
        kind, _, status = refused(s3.get_object, Bucket=BUCKET, Key="a b/ü.txt", Range="bytes=20-")
        assert (kind, status) == ("InvalidRange", 416)

    def test_what_is_known_of_an_object_can_be_asked_without_it(
        self, bedrock: BedrockEmulator, s3: Any
    ) -> None:
        bedrock.buckets[BUCKET].objects["a.txt"] = Stored(b"0123456789", "text/plain", 1_800_000_000.0)
        told = s3.head_object(Bucket=BUCKET, Key="a.txt")
        assert (told["ContentLength"], told["ContentType"]) == (10, "text/plain")
        assert told["LastModified"].timestamp() == 1_800_000_000
        assert told["ETag"].strip('"') == "781e5e245d69b566979b86e28d23f2c7"

    def test_a_list_goes_on_where_it_was_cut(self, bedrock: BedrockEmulator, s3: Any) -> None:
        names = [f"luma-ray/a&b {number}.mp4" for number in range(5)]
        for name in [*names, "other/c.mp4"]:
            bedrock.buckets[BUCKET].objects[name] = Stored(b"x", "text/plain", 0.0)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="luma-ray/", MaxKeys=2)
        pages = list(pages)
        assert [item["Key"] for page in pages for item in page["Contents"]] == names
        assert [page["IsTruncated"] for page in pages] == [True, True, False]

    def test_what_is_not_there_is_404(self, s3: Any) -> None:
        assert refused(s3.get_object, Bucket=BUCKET, Key="x")[::2] == ("NoSuchKey", 404)
        assert refused(s3.head_object, Bucket=BUCKET, Key="x")[::2] == ("404", 404)
        assert refused(s3.list_objects_v2, Bucket="not-there")[::2] == ("NoSuchBucket", 404)
        assert refused(s3.head_bucket, Bucket="not-there")[::2] == ("404", 404)

    def test_who_may_not_list_is_not_told_what_is_there(self, bedrock: BedrockEmulator, s3: Any) -> None:
        bedrock.denied.add("s3:ListBucket")
        assert refused(s3.get_object, Bucket=BUCKET, Key="x")[::2] == ("AccessDenied", 403)
        assert refused(s3.list_objects_v2, Bucket=BUCKET)[::2] == ("AccessDenied", 403)

    def test_a_bucket_elsewhere_redirects_and_boto3_finds_it(self, bedrock: BedrockEmulator, s3: Any) -> None:
        bedrock.buckets["elsewhere"] = Bucket("us-east-1", {"a": Stored(b"x", "text/plain", 0.0)})
        told = s3.head_bucket(Bucket="elsewhere")
        assert told["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "us-east-1"
        assert [request.status for request in bedrock.requests] == [301, 200]


class TestLinks:
    def link(self, s3: Any, key: str, seconds: int = 60, **others: str) -> str:
        place = {"Bucket": BUCKET, "Key": key, **others}
        return s3.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)

    def test_anybody_with_the_link_gets_the_clip(
        self, bedrock: BedrockEmulator, runtime: Any, s3: Any
    ) -> None:
        invocation = finished(runtime)
        reply = requests.get(self.link(s3, key_of(invocation)), timeout=5)
        assert reply.content == bedrock.film(bedrock.creates[0])
        assert reply.headers["Content-Type"] == "application/octet-stream"
        assert bedrock.leaks == []

    def test_the_link_is_good_for_getting_and_for_nothing_else(self, runtime: Any, s3: Any) -> None:
        url = self.link(s3, key_of(finished(runtime)))
        assert requests.head(url, timeout=5).status_code == 403
        assert requests.get(url.replace("output.mp4", "manifest.json"), timeout=5).status_code == 403
        assert requests.get(url, headers={"Range": "bytes=0-3"}, timeout=5).status_code == 206

    def test_a_link_ends_by_itself(self, runtime: Any, s3: Any) -> None:
        url = self.link(s3, key_of(finished(runtime)), seconds=-1)
        assert "Request has expired" in requests.get(url, timeout=5).text

    def test_links_can_be_made_stale_and_the_next_ones_work(
        self, bedrock: BedrockEmulator, runtime: Any, s3: Any
    ) -> None:
        invocation = finished(runtime)
        url = self.link(s3, key_of(invocation))
        bedrock.expire_links()
        assert requests.get(url, timeout=5).status_code == 403
        runtime.get_async_invoke(invocationArn=invocation["invocationArn"])
        assert requests.get(self.link(s3, key_of(invocation)), timeout=5).status_code == 200

    def test_a_key_beside_the_link_is_a_leak(self, bedrock: BedrockEmulator, runtime: Any, s3: Any) -> None:
        url = self.link(s3, key_of(finished(runtime)))
        reply = requests.get(url, headers={"Authorization": f"Bearer {bedrock.bearer}"}, timeout=5)
        assert reply.status_code == 400
        assert len(bedrock.leaks) == 1

    def test_the_secret_on_its_way_is_a_leak(self, bedrock: BedrockEmulator) -> None:
        requests.get(f"{bedrock.origin}/{BUCKET}/x?secret={bedrock.key}", timeout=5)
        assert len(bedrock.leaks) == 1


class TestTrouble:
    @pytest.mark.parametrize(
        ("kind", "code", "status"),
        [
            ("unauthorized", "UnrecognizedClientException", 403),
            ("no money", "AccessDeniedException", 403),
            ("rate limit", "ThrottlingException", 429),
            ("moderation", "ValidationException", 400),
            ("server error", "InternalServerException", 500),
        ],
    )
    def test_each_trouble_is_an_error_of_the_service_and_charges_nothing(
        self, bedrock: BedrockEmulator, runtime: Any, kind: Trouble, code: str, status: int
    ) -> None:
        bedrock.fail_next(*bedrock.create, bedrock.refusing(kind))
        assert refused(start, runtime)[::2] == (code, status)
        assert bedrock.ledger == []

    def test_an_account_whose_money_is_spent_is_told_so(self, bedrock: BedrockEmulator, runtime: Any) -> None:
        bedrock.credit_usd = 7.0
        assert "INVALID_PAYMENT_INSTRUMENT" in refused(start, runtime)[1]

    def test_any_other_error_can_be_programmed(self, bedrock: BedrockEmulator, runtime: Any) -> None:
        bedrock.fail_next(*bedrock.create, bedrock.saying("ExpiredTokenException", "The token has expired"))
        assert refused(start, runtime) == ("ExpiredTokenException", "The token has expired", 403)

    def test_an_unknown_status_can_be_programmed(self, bedrock: BedrockEmulator, runtime: Any) -> None:
        arn = start(runtime)
        bedrock.fail_next(*bedrock.poll, bedrock.unknown_status())
        assert runtime.get_async_invoke(invocationArn=arn)["status"] == "Paused"

    def test_the_download_can_be_troubled(self, bedrock: BedrockEmulator, runtime: Any, s3: Any) -> None:
        invocation = finished(runtime)
        bedrock.fail_next(*bedrock.asset, Fault.status(503))
        assert refused(s3.get_object, Bucket=BUCKET, Key=key_of(invocation))[2] == 503

    def test_a_job_by_the_clock_completes_by_itself(self, bedrock: BedrockEmulator, runtime: Any) -> None:
        bedrock.pace = replace(bedrock.pace, seconds=0.1)
        start(runtime)
        for thread in list(bedrock._threads[1:]):
            thread.join(5)
        (item,) = runtime.list_async_invokes()["asyncInvokeSummaries"]
        assert item["status"] == "Completed"
        assert len(bedrock.buckets[BUCKET].objects) == 2
