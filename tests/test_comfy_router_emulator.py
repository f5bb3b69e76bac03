"""The emulator of Comfy Router, through Comfy's own SDK where that has a call for it, else through plain requests."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import comfy_sdk
import numpy as np
import pytest
import requests
from comfy_sdk import router_exceptions as theirs
from comfy_sdk.retry import NO_RETRY, RetryPolicy
from emulators import clips
from emulators.comfy_router import BUCKETS, DAY, USD, ComfyRouterEmulator, refusing
from emulators.server import Fault, FileHost

FLASH = "luma/ray-flash-2"
BODY = {"prompt": "a fox in the snow", "aspect_ratio": "16:9", "duration": "5s", "resolution": "540p"}
GREEN = clips.jpeg(clips.Picture(64, 36, bytes((0, 200, 0)) * (64 * 36)))


@pytest.fixture
def router() -> Iterator[ComfyRouterEmulator]:
    with ComfyRouterEmulator() as emulator:
        yield emulator


@pytest.fixture
def pictures() -> Iterator[FileHost]:
    with FileHost() as host:
        yield host


@pytest.fixture
def sdk(router, monkeypatch) -> Iterator[comfy_sdk.Comfy]:
    """Comfy's SDK, led to the emulator by its own two environment variables, that looks again at once."""
    with connected(router, monkeypatch) as client:
        yield client


def connected(
    router: ComfyRouterEmulator, monkeypatch: pytest.MonkeyPatch, policy: RetryPolicy = NO_RETRY
) -> comfy_sdk.Comfy:
    for name, value in router.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("comfy_sdk._core.backoff_schedule", lambda *a, **k: iter(lambda: 0.0, None))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return comfy_sdk.Comfy(retry=policy)


def ask(
    router: ComfyRouterEmulator,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: str = "",
    **headers: str,
) -> requests.Response:
    told = {"X-API-Key": router.key, **({"Idempotency-Key": key} if key else {}), **headers}
    return requests.request(method, router.base_url + path, json=body, headers=told, timeout=10)


def submit(router: ComfyRouterEmulator, model: str = "ray-flash-2", /, **others: Any) -> requests.Response:
    key = others.pop("key", "")
    return ask(router, "POST", f"/v2/models/luma/{model}/requests", {**BODY, **others}, key=key)


def follow(router: ComfyRouterEmulator, handle: dict[str, Any]) -> dict[str, Any]:
    """The last answer about a request's state."""
    for _ in range(9):
        state: dict[str, Any] = requests.get(
            handle["status_url"], headers={"X-API-Key": router.key}, timeout=10
        ).json()
        if state["status"] == "COMPLETED":
            return state
    raise AssertionError("never done")


def collect(router: ComfyRouterEmulator, handle: dict[str, Any]) -> requests.Response:
    follow(router, handle)
    return requests.get(handle["response_url"], headers={"X-API-Key": router.key}, timeout=20)


def made(router: ComfyRouterEmulator, **others: Any) -> str:
    """Luma's id of a finished clip."""
    return collect(router, submit(router, **others).json()).json()["id"]


# -- through the SDK ----------------------------------------------------------------------------------------


def test_a_queued_request_goes_through_the_states_that_the_sdk_knows(sdk, router):
    handle = sdk.models.submit(FLASH, BODY)
    assert handle.request_id == router.creates[0].id
    states = [update.status for update in handle.iter_events()]
    assert states[-1] == "COMPLETED"
    assert set(states) <= {"IN_QUEUE", "IN_PROGRESS", "COMPLETED"}
    result = handle.get()
    assert result["state"] == "completed"
    assert result["model"] == "ray-flash-2"
    clip = requests.get(result["assets"]["video"], timeout=20).content
    assert clips.edges(clip)[2] == 24 * 5 + 1
    assert router.leaks == []


def test_luma_calls_the_clip_by_another_id_than_comfys_queue_the_request(sdk, router):
    handle = sdk.models.submit(FLASH, BODY)
    assert handle.get()["id"] != handle.request_id
    assert handle.get()["id"] == router.clip_id(router.creates[0])


def test_the_position_in_the_queue_is_told_while_it_waits(monkeypatch):
    with (
        ComfyRouterEmulator(polls_until_done=4) as router,
        connected(router, monkeypatch) as sdk,
    ):
        handles = [sdk.models.submit(FLASH, BODY) for _ in range(3)]
        update = handles[2].status()
        assert (update.status, update.queue_position, update.retry_after) == ("IN_QUEUE", 2, 3)
        handles[2].status()
        update = handles[2].status()
        assert (update.status, update.queue_position, update.retry_after) == ("IN_PROGRESS", None, 2)


def test_the_sdk_rebuilds_a_handle_from_two_ids(sdk):
    handle = sdk.models.submit("luma/ray-2", BODY)
    again = sdk.models.handle("luma/ray-2", handle.request_id)
    assert again.get() is not None
    with pytest.raises(theirs.RequestNotFound):
        sdk.models.handle(FLASH, handle.request_id).status()


def test_a_synchronous_run_gives_the_finished_clip_and_its_price(sdk, router):
    result = sdk.models.run_detailed(FLASH, {**BODY, "resolution": "720p"})
    assert result.output["assets"]["video"].startswith(router.origin)
    assert result.credits_used == "71.74"
    assert not result.replayed
    assert (
        router.requests[0].headers["Authorization"] == f"Bearer {router.key}"
    )  # the SDK's way; both are good


def test_a_synchronous_run_under_the_same_key_is_replayed_and_not_charged_again(sdk, router):
    key = str(uuid.uuid4())
    first = sdk.models.run_detailed(FLASH, BODY, idempotency_key=key)
    again = sdk.models.run_detailed(FLASH, BODY, idempotency_key=key)
    assert again.replayed
    assert again.output == first.output
    assert len(router.ledger) == 1


def test_a_run_that_is_held_too_long_is_collected_under_its_key(monkeypatch):
    with (
        ComfyRouterEmulator(hold_seconds=0, polls_until_done=3) as router,
        connected(router, monkeypatch, RetryPolicy()) as sdk,
    ):
        # The SDK itself sends again after deadline_exceeded with Retry-After.
        assert sdk.models.run_detailed(FLASH, BODY).replayed
        assert [request.status for request in router.requests] == [504, 504, 200]
        assert len(router.ledger) == 1


def test_a_run_without_a_key_that_is_held_too_long_is_not_collectable():
    with ComfyRouterEmulator(hold_seconds=0) as router:
        answer = ask(router, "POST", "/v2/models/luma/ray-2", BODY)
        assert answer.status_code == 504
        assert "Retry-After" not in answer.headers


def test_a_queued_request_under_the_same_key_is_the_same_request(sdk, router):
    key = str(uuid.uuid4())
    handles = [sdk.models.submit(FLASH, BODY, idempotency_key=key) for _ in range(3)]
    assert len({handle.request_id for handle in handles}) == 1
    assert len(router.creates) == 1
    assert len(router.ledger) == 1


def test_the_sdk_cancels_what_waits_and_it_costs_nothing(monkeypatch):
    with (
        ComfyRouterEmulator(polls_until_done=9) as router,
        connected(router, monkeypatch) as sdk,
    ):
        handle = sdk.models.submit(FLASH, BODY)
        assert handle.cancel().status == "CANCELLATION_REQUESTED"
        with pytest.raises(theirs.Cancelled):
            handle.get()
        assert router.balance == 100.0


def test_what_luma_has_begun_stays_charged_when_it_is_cancelled(sdk, router):
    handle = sdk.models.submit(FLASH, BODY)
    assert handle.status().status == "IN_PROGRESS"
    handle.cancel()
    assert router.balance == pytest.approx(100 - 0.20)


@pytest.mark.parametrize("status", [409, 400])
def test_a_cancel_that_comes_too_late_says_so(status):
    with ComfyRouterEmulator(late_cancel=status) as router:
        handle = submit(router).json()
        collect(router, handle)
        answer = requests.put(handle["cancel_url"], headers={"X-API-Key": router.key}, timeout=10)
        assert answer.status_code == status
        assert answer.json() == {"request_id": handle["request_id"], "status": "ALREADY_COMPLETED"}


def test_the_sdk_knows_the_late_cancel(sdk):
    handle = sdk.models.submit(FLASH, BODY)
    handle.get()
    with pytest.raises(comfy_sdk.AlreadyCompleted):
        handle.cancel()


def test_a_request_that_waited_too_long_was_never_run(monkeypatch):
    with ComfyRouterEmulator(polls_until_done=9) as router, connected(router, monkeypatch) as sdk:
        handle = sdk.models.submit(FLASH, BODY)
        router.time_out(router.creates[0])
        with pytest.raises(theirs.QueueTimeout):
            handle.get()
        assert router.balance == 100.0


@pytest.mark.parametrize(
    ("prompt", "error"),
    [("indecent", theirs.ContentPolicyViolation), ("doomed", theirs.ProviderError)],
)
def test_failures_are_completions_with_an_error_type_and_given_back(sdk, router, prompt, error):
    handle = sdk.models.submit(FLASH, {**BODY, "prompt": f"something {prompt}"})
    with pytest.raises(error):
        handle.get()
    assert router.balance == 100.0
    with pytest.raises(error):
        sdk.models.run(FLASH, {**BODY, "prompt": f"something {prompt}"})


def test_the_catalogue_lists_both_models(sdk):
    assert [model.id for model in sdk.models.list()] == ["luma/ray-2", "luma/ray-flash-2"]
    page = sdk.models.list(limit=1).page()
    assert (len(page.data), page.has_more, page.limit) == (1, True, 1)
    assert [model.id for model in sdk.models.list(limit=1)] == ["luma/ray-2", "luma/ray-flash-2"]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_every_documented_refusal_is_one_that_the_sdk_names(sdk, router, bucket):
    router.fail_next(*router.create, refusing(bucket))
    with pytest.raises(theirs.exception_for(bucket)) as caught:
        sdk.models.submit(FLASH, BODY)
    assert caught.value.error_type == bucket
    assert caught.value.request_id
    assert router.creates == []


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("unauthorized", theirs.Unauthorized, 401),
        ("no money", theirs.InsufficientCredits, 402),
        ("rate limit", theirs.RateLimited, 429),
        ("moderation", theirs.ContentPolicyViolation, 400),
        ("server error", theirs.InternalError, 500),
    ],
)
def test_each_trouble_is_told_as_the_sdk_understands_it(sdk, router, kind, error, status):
    router.fail_next(*router.create, router.refusing(kind))
    with pytest.raises(error) as caught:
        sdk.models.submit(FLASH, BODY)
    assert caught.value.http_status == status
    assert caught.value.retry_after == (7 if kind == "rate limit" else None)
    assert router.ledger == []


def test_a_wrong_key_is_refused_and_the_header_of_comfy_wins(router):
    path = "/v2/models/luma/ray-2/requests"
    assert ask(router, "POST", path, BODY, **{"X-API-Key": "wrong"}).status_code == 401
    # "if both headers are present, X-API-Key wins"
    bearer = {"Authorization": f"Bearer {router.key}"}
    assert ask(router, "POST", path, BODY, **bearer, **{"X-API-Key": "wrong"}).status_code == 401
    assert requests.post(router.base_url + path, json=BODY, headers=bearer, timeout=10).status_code == 201
    assert requests.post(router.base_url + path, json=BODY, timeout=10).status_code == 401


def test_too_little_money_is_refused_and_frees_the_key():
    with ComfyRouterEmulator(credit_usd=0.1) as router:
        answer = submit(router, key="one")
        assert answer.status_code == 402
        assert answer.headers["X-Comfy-Error-Type"] == answer.json()["error_type"] == "insufficient_credits"
        router.credit_usd = 100
        assert submit(router, key="one").status_code == 201


def test_an_account_without_the_router_is_told_so_everywhere():
    with ComfyRouterEmulator(enabled=False) as router:
        for method, path in (
            ("GET", "/v2/models"),
            ("GET", "/v2/models/luma/ray-2"),
            ("POST", "/v2/models/luma/ray-2"),
            ("POST", "/v2/models/luma/ray-2/requests"),
            ("POST", "/v2/models/luma/ray-2/estimate"),
        ):
            answer = ask(router, method, path, BODY if method == "POST" else None)
            assert (answer.status_code, answer.headers["X-Comfy-Error-Type"]) == (403, "not_enabled")


@pytest.mark.parametrize("model", ["luma/ray-1-6", "luma/ray-3.2", "fal/ray-2"])
def test_a_model_that_is_not_there_is_refused(router, model):
    answer = ask(router, "POST", f"/v2/models/{model}/requests", BODY)
    assert answer.status_code == 404
    assert answer.headers["X-Comfy-Error-Type"] == "model_not_found"
    assert "luma/ray-2" in answer.json()["detail"]


# -- prices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "duration", "resolution", "usd"),
    [
        (model, duration, resolution, usd)
        for (model, duration), row in USD.items()
        for resolution, usd in zip(("540p", "720p", "1080p", "4k"), row, strict=True)
    ],
)
def test_each_estimate_is_what_is_charged(router, model, duration, resolution, usd):
    body = {**BODY, "duration": duration, "resolution": resolution}
    told = ask(router, "POST", f"/v2/models/luma/{model}/estimate", body).json()
    assert (told["source"], told["currency"], told["amount"]) == ("exact", "USD", f"{usd:.2f}")
    assert router.ledger == []
    answer = submit(router, model, duration=duration, resolution=resolution).json()
    assert answer["estimate"]["amount"] == told["amount"]
    assert router.ledger[0].usd == -usd


def test_estimates_can_be_switched_off():
    with ComfyRouterEmulator(quotes=False) as router:
        answer = ask(router, "POST", "/v2/models/luma/ray-2/estimate", BODY)
        assert (answer.status_code, answer.headers["X-Comfy-Error-Type"]) == (403, "not_enabled")
        assert "estimate" not in submit(router).json()


def test_what_has_no_price_is_estimated_as_unknown(router):
    told = ask(router, "POST", "/v2/models/luma/ray-2/estimate", {**BODY, "resolution": "8k"}).json()
    assert (told["source"], told["reason"]) == ("unknown", "unpriced_model")
    assert "amount" not in told


# -- what Router refuses before Luma is asked ---------------------------------------------------------------

INVALID = {
    "no prompt": ({"prompt": None}, ["body", "prompt"]),
    "a number as prompt": ({"prompt": 5}, ["body", "prompt"]),
    "a ratio": ({"aspect_ratio": "2:1"}, ["body", "aspect_ratio"]),
    "seconds as a number": ({"duration": 5}, ["body", "duration"]),
    "a resolution as a number": ({"resolution": 720}, ["body", "resolution"]),
    "loop as a word": ({"loop": "true"}, ["body", "loop"]),
    "loop as null": ({"loop": None}, ["body", "loop"]),
    "a type": ({"generation_type": "image"}, ["body", "generation_type"]),
    "the model": ({"model": "ray-flash-2"}, ["body", "model"]),
    "another model": ({"model": "ray-2"}, ["body", "model"]),
    "keyframes as a list": ({"keyframes": []}, ["body", "keyframes"]),
    "a keyframe as an address": ({"keyframes": {"frame0": "https://a.test/a.png"}}, ["body", "keyframes", "frame0"]),
    "a keyframe as null": ({"keyframes": {"frame0": None}}, ["body", "keyframes", "frame0"]),
    "a video as keyframe": (
        {"keyframes": {"frame0": {"type": "video", "url": "https://a.test/a.mp4"}}},
        ["body", "keyframes", "frame0", "type"],
    ),
    "a picture in the body": (
        {"keyframes": {"frame0": {"type": "image", "url": "data:image/png;base64,AAAA"}}},
        ["body", "keyframes", "frame0", "url"],
    ),
    "a clip by number": (
        {"keyframes": {"frame1": {"type": "generation", "id": "7"}}},
        ["body", "keyframes", "frame1", "id"],
    ),
    "a callback": ({"callback_url": "nowhere"}, ["body", "callback_url"]),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "where"), INVALID.values(), ids=INVALID)
def test_what_the_schema_does_not_allow_is_refused_by_field_and_costs_nothing(router, fields, where):
    answer = submit(router, key="one", **fields)
    assert answer.status_code == 422
    assert where in [item["loc"] for item in answer.json()["detail"]]
    assert "error_type" not in answer.json()
    assert answer.headers["X-Comfy-Error-Type"] == "invalid_input"
    assert router.creates == []
    assert submit(router, key="one").status_code == 201  # the key was not used up


@pytest.mark.parametrize("name", BODY)
def test_each_required_field_is_required(router, name):
    body = {field: value for field, value in BODY.items() if field != name}
    answer = ask(router, "POST", "/v2/models/luma/ray-2/requests", body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == [{"loc": ["body", name], "msg": "Field required", "type": "missing"}]


@pytest.mark.parametrize("body", [[], "text", 5])
def test_a_body_that_is_no_object_is_refused_as_such(router, body):
    answer = ask(router, "POST", "/v2/models/luma/ray-2/requests", body)
    assert answer.status_code == 422
    assert [(item["loc"], item["type"]) for item in answer.json()["detail"]] == [(["body"], "dict_type")]


def test_a_body_that_is_not_json_is_refused(router):
    path = f"{router.base_url}/v2/models/luma/ray-2/requests"
    for data, kind in ((b"{", "application/json"), (b"{}", "text/plain")):
        headers = {"X-API-Key": router.key, "Content-Type": kind}
        answer = requests.post(path, data=data, headers=headers, timeout=10)
        assert (answer.status_code, answer.headers["X-Comfy-Error-Type"]) == (400, "invalid_input")


def test_unknown_fields_are_refused_here_only_where_the_caller_asks_for_that(router):
    path = "/v2/models/luma/ray-2/requests"
    answer = ask(router, "POST", f"{path}?reject_unknown_fields=true", {**BODY, "seed": 1})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "seed"]
    assert ask(router, "POST", path, {**BODY, "seed": 1}).status_code == 201


def test_other_parameters_are_refused(router):
    answer = ask(router, "POST", "/v2/models/luma/ray-2/requests?model_provider=fal", BODY)
    assert answer.status_code == 400


# -- what Luma refuses, which shows only afterwards ---------------------------------------------------------

IMAGE = {"type": "image", "url": "https://pictures.test/a.png"}
NOBODY = {"type": "generation", "id": str(uuid.UUID(int=7))}
REFUSED_BY_LUMA = {
    "a field": ({"seed": 1}, "seed: Extra inputs are not permitted"),
    "concepts": ({"concepts": [{"key": "push_in"}]}, "concepts: Extra inputs are not permitted"),
    "seconds": ({"duration": "10s"}, "Duration 10s is not supported"),
    "pixels": ({"resolution": "8k"}, "Resolution 8k is not supported"),
    "no keyframes": ({"keyframes": {}}, "No keyframes provided"),
    "an empty prompt": ({"prompt": " "}, "Prompt is required"),
    "a short prompt": ({"prompt": "ab"}, "Prompt is too short, minimum length is 3 characters"),
    "a long prompt": ({"prompt": "x" * 5001}, "Prompt is too long, maximum length is 5000 characters"),
    "loop to an end": ({"loop": True, "keyframes": {"frame1": IMAGE}}, "Loop is not supported for keyframes"),
    "a clip of nobody": ({"keyframes": {"frame0": NOBODY}}, f"Generation {NOBODY['id']} is not completed"),
}


@pytest.mark.parametrize(("fields", "words"), REFUSED_BY_LUMA.values(), ids=REFUSED_BY_LUMA)
def test_what_luma_refuses_is_accepted_and_fails_without_a_charge(router, fields, words):
    handle = submit(router, **fields).json()
    assert follow(router, handle)["error_type"] == "invalid_input"
    answer = collect(router, handle)
    assert answer.status_code == 400
    assert answer.json()["upstream_detail"] == answer.headers["X-Comfy-Upstream-Detail"] == words
    assert answer.headers["X-Comfy-Upstream-Status"] == "400"
    assert router.balance == 100.0


# -- keyframes ----------------------------------------------------------------------------------------------


def test_a_picture_by_address_becomes_the_first_frame(router, pictures):
    frame = {"type": "image", "url": pictures.put("green.jpg", GREEN, "image/jpeg")}
    handle = submit(router, keyframes={"frame0": frame}).json()
    clip = requests.get(collect(router, handle).json()["assets"]["video"], timeout=20).content
    assert np.abs(clips.edges(clip)[0].pixels.mean((0, 1)) - (0, 200, 0)).max() < 12


def test_a_clip_by_lumas_id_is_continued(router):
    earlier = made(router)
    handle = submit(router, keyframes={"frame0": {"type": "generation", "id": earlier}}).json()
    collect(router, handle)
    first, second = router.creates
    end, start = clips.edges(router.film(first))[1], clips.edges(router.film(second))[0]
    assert clips.difference(end, start) < 6


def test_the_id_of_the_request_is_not_the_id_of_the_clip(router):
    made(router)
    frame = {"type": "generation", "id": router.creates[0].id}
    assert follow(router, submit(router, keyframes={"frame0": frame}).json())["error_type"] == "invalid_input"


def test_a_picture_that_cannot_be_fetched_is_a_failure_of_luma(router, pictures):
    frame = {"type": "image", "url": f"{pictures.origin}/nothing.png"}
    handle = submit(router, keyframes={"frame0": frame}).json()
    answer = collect(router, handle)
    assert (answer.status_code, answer.json()["error_type"]) == (502, "provider_error")
    assert "Failed to read user input frames" in answer.json()["detail"]


# -- keys ---------------------------------------------------------------------------------------------------


def test_a_replayed_handle_is_marked_and_has_no_new_estimate(router):
    first, again = submit(router, key="one"), submit(router, key="one")
    assert (first.status_code, again.status_code) == (201, 201)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    handle = first.json()
    assert handle.pop("estimate")
    assert again.json() == handle


@pytest.mark.parametrize(
    ("model", "fields"), [("ray-2", {}), ("ray-flash-2", {"prompt": "another one"})], ids=["path", "body"]
)
def test_a_key_belongs_to_one_request_alone(router, model, fields):
    submit(router, key="one")
    answer = submit(router, model, key="one", **fields)
    assert (answer.status_code, answer.headers["X-Comfy-Error-Type"]) == (409, "invalid_input")
    assert "Retry-After" not in answer.headers
    assert len(router.creates) == 1


def test_a_key_of_the_queue_is_none_of_the_synchronous_call(router):
    submit(router, key="one")
    assert ask(router, "POST", "/v2/models/luma/ray-flash-2", BODY, key="one").status_code == 409


def test_a_key_is_forgotten_after_a_day():
    moment = [1_800_000_000.0]
    with ComfyRouterEmulator(now=lambda: moment[0]) as router:
        submit(router, key="one")
        moment[0] += DAY - 1
        submit(router, key="one")
        assert len(router.creates) == 1
        moment[0] += 2
        submit(router, key="one")
        assert len(router.creates) == 2


def test_a_call_that_still_runs_under_the_key_is_waited_for(router):
    run = ("POST", "/v2/models/luma/ray-2", BODY)
    began, go_on, look = threading.Event(), threading.Event(), router.looked_at

    def slow(id: str, **options: Any) -> Any:
        began.set()
        go_on.wait(5)
        return look(id, **options)

    router.looked_at = slow
    answers: list[requests.Response] = []
    first = threading.Thread(target=lambda: answers.append(ask(router, *run, key="one")))
    first.start()
    assert began.wait(5)
    busy = ask(router, *run, key="one")
    go_on.set()
    first.join()
    assert (busy.status_code, busy.headers["X-Comfy-Error-Type"]) == (409, "concurrency_limit_exceeded")
    assert busy.headers["Retry-After"] == "2"
    assert answers[0].status_code == 200
    assert ask(router, *run, key="one").headers["Idempotent-Replayed"] == "true"
    assert len(router.ledger) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(router, key):
    answer = ask(router, "POST", "/v2/models/luma/ray-2/requests", BODY, **{"Idempotency-Key": key})
    assert answer.status_code == 400


# -- after the end ------------------------------------------------------------------------------------------


def test_a_result_that_is_asked_for_too_early_is_the_state(router):
    handle = submit(router).json()
    answer = requests.get(handle["response_url"], headers={"X-API-Key": router.key}, timeout=10)
    assert answer.status_code == 202
    assert answer.json()["status"] == "IN_PROGRESS"
    assert answer.headers["Retry-After"] == "2"


def test_a_finished_request_is_kept_for_a_day():
    moment = [1_800_000_000.0]
    with ComfyRouterEmulator(now=lambda: moment[0]) as router:
        handle = submit(router).json()
        assert collect(router, handle).status_code == 200
        moment[0] += DAY
        for url in (handle["status_url"], handle["response_url"]):
            assert requests.get(url, headers={"X-API-Key": router.key}, timeout=10).status_code == 410


def test_links_expire_and_the_next_read_has_one_that_works(router):
    handle = submit(router).json()
    stale = collect(router, handle).json()["assets"]["video"]
    router.expire_links()
    assert requests.get(stale, timeout=10).status_code == 403
    assert requests.get(collect(router, handle).json()["assets"]["video"], timeout=20).status_code == 200


def test_links_can_also_stay_expired():
    with ComfyRouterEmulator(renews_links=False) as router:
        handle = submit(router).json()
        stale = collect(router, handle).json()["assets"]["video"]
        router.expire_links()
        assert collect(router, handle).json()["assets"]["video"] == stale
        assert requests.get(stale, timeout=10).status_code == 403


def test_an_unknown_state_is_none_that_the_documentation_has(sdk, router):
    handle = sdk.models.submit(FLASH, BODY)
    router.fail_next(*router.poll, router.unknown_status())
    assert handle.status().status not in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")


def test_a_lost_answer_was_charged_all_the_same_and_the_key_finds_it(router):
    router.fail_next(*router.create, Fault.lost_answer())
    with pytest.raises(requests.ConnectionError):
        submit(router, key="one")
    assert len(router.ledger) == 1
    assert submit(router, key="one").json()["request_id"] == router.creates[0].id
    assert len(router.ledger) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/models/luma/ray-2/requests/1"),
        ("DELETE", "/v2/models/luma/ray-2/requests/1"),
        ("POST", "/v2/models/luma/ray-2/requests/1/cancel"),
        ("GET", "/customers/storage"),
        ("GET", "/v1/models"),
    ],
)
def test_other_routes_and_methods_are_not_served(router, method, path):
    assert ask(router, method, path, BODY).status_code in (404, 405)


def test_every_answer_carries_an_id_for_support(router):
    handle = submit(router)
    ids = [
        handle.headers["X-Comfy-Request-Id"],
        ask(router, "GET", f"/v2/models/luma/ray-flash-2/requests/{uuid.uuid4()}").headers["X-Comfy-Request-Id"],
        submit(router, prompt=None).headers["X-Comfy-Request-Id"],
        collect(router, handle.json()).headers["X-Comfy-Request-Id"],
    ]  # fmt: skip
    assert len(set(ids)) == 4
    # "it carries the id of one HTTP call and addresses nothing"
    assert handle.json()["request_id"] not in ids


# -- storage ------------------------------------------------------------------------------------------------


def grant(router: ComfyRouterEmulator, **body: Any) -> requests.Response:
    return ask(router, "POST", "/customers/storage", {"file_name": "a.jpg", **body})


def test_a_picture_is_put_there_without_the_key_and_read_by_luma(router):
    told = grant(router, content_type="image/jpeg").json()
    put = requests.put(told["upload_url"], GREEN, headers={"Content-Type": "image/jpeg"}, timeout=10)
    assert put.status_code == 200
    assert requests.get(told["download_url"], timeout=10).content == GREEN
    frame = {"type": "image", "url": told["download_url"]}
    assert collect(router, submit(router, keyframes={"frame0": frame}).json()).status_code == 200
    assert router.leaks == []


def test_the_key_is_noticed_where_it_does_not_belong(router):
    told = grant(router, content_type="image/jpeg").json()
    requests.put(
        told["upload_url"],
        GREEN,
        headers={"Content-Type": "image/jpeg", "X-API-Key": router.key},
        timeout=10,
    )
    assert len(router.leaks) == 1


def test_a_picture_of_another_type_than_was_said_is_refused(router):
    told = grant(router, content_type="image/png").json()
    assert requests.put(told["upload_url"], GREEN, timeout=10).status_code == 403
    wrong = {"Content-Type": "image/jpeg"}
    assert requests.put(told["upload_url"], GREEN, headers=wrong, timeout=10).status_code == 403
    assert requests.get(told["download_url"], timeout=10).status_code == 404


def test_the_two_links_are_not_each_other_and_end():
    moment = [1_800_000_000.0]
    with ComfyRouterEmulator(now=lambda: moment[0]) as router:
        told = grant(router, content_type="image/jpeg").json()
        kind = {"Content-Type": "image/jpeg"}
        assert requests.put(told["download_url"], GREEN, headers=kind, timeout=10).status_code == 403
        assert requests.put(told["upload_url"], GREEN, headers=kind, timeout=10).status_code == 200
        assert requests.get(told["upload_url"], timeout=10).status_code == 403
        moment[0] += 3600
        assert requests.put(told["upload_url"], GREEN, headers=kind, timeout=10).status_code == 403
        assert requests.get(told["download_url"], timeout=10).status_code == 200
        moment[0] += DAY
        assert requests.get(told["download_url"], timeout=10).status_code == 403


@pytest.mark.parametrize("body", [{"file_name": None}, {"file_name": 5}, {"size": 3}, {"content_type": 1}])
def test_the_storage_takes_two_fields(router, body):
    assert grant(router, **body).status_code == 400
