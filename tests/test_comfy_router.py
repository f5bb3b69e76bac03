"""Comfy Router: what is sent, what is refused here, what is understood, its storage, and whole lives of clips."""

from __future__ import annotations

import itertools
import json
import uuid
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from emulators.comfy_router import DAY, ComfyRouterEmulator, problem, refusing
from emulators.server import Fault, FileHost
from fakes import FakeClock, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.budget import quote
from luma_ray.nodes.generation.client import decoding
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending
from luma_ray.nodes.generation.ray import ASPECT_RATIOS
from luma_ray.nodes.generation.request import GenerationReference, Operation
from luma_ray.nodes.generation.selection import refusals
from luma_ray.nodes.media import clips
from luma_ray.nodes.providers.comfy_router import ComfyRouter
from purchase import KEY, URLS, A, B, Life, calls, led_to, photograph, refused

COMFY = ComfyRouter()
RESOLUTIONS = ("540p", "720p", "1080p", "4k")
CLIPS = ("123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174001")
ONE, OTHER = (
    GenerationReference(id=f"ray-{clip[-1]}", provider="comfy_router", job_id=clip) for clip in CLIPS
)
CREATE, POLL, RESULT = ComfyRouterEmulator.create, ComfyRouterEmulator.poll, ComfyRouterEmulator.result
ADDRESSES = ("status_url", "response_url", "cancel_url")


client_for, submitted, look, outcome = calls(COMFY)
ask = partial(text, model="ray-2", resolution="540p")
image_to_video = partial(ask, operation=Operation.IMAGE_TO_VIDEO, first_frame=A)
keyframes = partial(ask, operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=A, last_frame=B)
extend = partial(ask, operation=Operation.EXTEND_VIDEO, first_frame=ONE)
interpolate = partial(ask, operation=Operation.INTERPOLATE_VIDEO, first_frame=ONE, last_frame=OTHER)


@pytest.fixture
def router(monkeypatch):
    with led_to(ComfyRouterEmulator(), monkeypatch) as emulator:
        yield emulator


def lived(folder: Any) -> Life:
    """A lifecycle whose journal goes by its clock, because what Router remembers of a key ends with a day."""
    return Life(folder, COMFY, clock=FakeClock())


@pytest.fixture
def life(tmp_path) -> Life:
    return lived(tmp_path)


# -- what is sent -------------------------------------------------------------------------------------------

WITHOUT_FRAMES = {
    "prompt": "a fox in the snow",
    "aspect_ratio": "16:9",
    "resolution": "540p",
    "duration": "5s",
    "loop": False,
}
PICTURES = ({"type": "image", "url": URLS[A.sha256]}, {"type": "image", "url": URLS[B.sha256]})
FILMS = ({"type": "generation", "id": CLIPS[0]}, {"type": "generation", "id": CLIPS[1]})
RECIPES = {
    "text": (ask(), None),
    "start frame": (image_to_video(), {"frame0": PICTURES[0]}),
    "end frame": (keyframes(first_frame=None), {"frame1": PICTURES[1]}),
    "start and end": (keyframes(), {"frame0": PICTURES[0], "frame1": PICTURES[1]}),
    "extend": (extend(), {"frame0": FILMS[0]}),
    "extend backward": (extend(first_frame=None, last_frame=ONE), {"frame1": FILMS[0]}),
    "extend to an end frame": (extend(last_frame=B), {"frame0": FILMS[0], "frame1": PICTURES[1]}),
    "backward from a start frame": (
        extend(first_frame=A, last_frame=ONE),
        {"frame0": PICTURES[0], "frame1": FILMS[0]},
    ),
    "interpolate": (interpolate(), {"frame0": FILMS[0], "frame1": FILMS[1]}),
}


@pytest.mark.parametrize(("request_", "frames"), RECIPES.values(), ids=RECIPES)
def test_each_recipe_is_lumas_own_body_without_the_model(request_, frames):
    expected = WITHOUT_FRAMES if frames is None else {**WITHOUT_FRAMES, "keyframes": frames}
    assert COMFY.encode(request_, URLS) == expected


@pytest.mark.parametrize(
    ("others", "sent"),
    [
        ({"loop": True}, {"loop": True}),
        ({"duration": 9}, {"duration": "9s"}),
        ({"resolution": "4k"}, {"resolution": "4k"}),
        ({"model": "ray-flash-2"}, {}),
        ({"aspect_ratio": "9:21"}, {"aspect_ratio": "9:21"}),
        ({"prompt": " a fox 🦊 "}, {"prompt": " a fox 🦊 "}),
        ({"take": 7}, {}),
    ],
)
def test_each_setting_becomes_its_field(others, sent):
    assert COMFY.encode(ask(**others), {}) == {**WITHOUT_FRAMES, **sent}


def test_a_submit_goes_into_the_queue_of_its_model_with_the_key_of_the_purchase(router):
    job = submitted(router, ask(model="ray-flash-2"))
    (request,) = router.requests
    assert (request.method, request.target) == ("POST", "/v2/models/luma/ray-flash-2/requests")
    assert request.headers["Idempotency-Key"] == KEY
    assert request.headers["X-API-Key"] == router.key
    assert "Authorization" not in request.headers
    assert request.json == WITHOUT_FRAMES
    queue = "v2/models/luma/ray-flash-2/requests"
    address = f"{router.base_url}/{queue}/{job.id}"
    assert job == Job(
        id=router.creates[0].id,
        details={
            "queue": queue,
            "status_url": f"{address}/status",
            "response_url": address,
            "cancel_url": f"{address}/cancel",
        },
    )


def test_every_combination_on_offer_passes_the_schema_and_is_run():
    combinations = itertools.product(("ray-2", "ray-flash-2"), ASPECT_RATIOS, RESOLUTIONS, (5, 9))
    with ComfyRouterEmulator(credit_usd=10_000) as router:
        for index, (model, ratio, resolution, seconds) in enumerate(combinations):
            request = ask(model=model, aspect_ratio=ratio, resolution=resolution, duration=seconds)
            submitted(router, request, key=f"key {index}")
        assert len(router.creates) == 2 * 7 * 4 * 2
        assert not router._refused


@pytest.mark.parametrize("request_", [recipe[0] for recipe in RECIPES.values()], ids=RECIPES)
def test_every_recipe_is_one_that_luma_takes(router, request_):
    made = []
    for number in range(2):
        outcome(router, submitted(router, ask(), key=f"earlier {number}"))
        made.append(router.clip_id(router.creates[-1]))
    given = dict(zip(CLIPS, made, strict=True))
    ours = replace(
        request_,
        **{
            name: replace(frame, job_id=given[frame.job_id])
            for name, frame in zip(("first_frame", "last_frame"), request_.keyframes, strict=True)
            if isinstance(frame, GenerationReference)
        },
    )
    submitted(router, ours)
    assert router.creates[-1].id not in router._refused


def test_an_address_elsewhere_is_left_out_and_the_documented_one_is_used(router):
    router.fail_next(*CREATE, Fault.fields(status_url="https://evil.test/status", cancel_url=None))
    job = submitted(router, ask())
    assert set(job.details) == {"queue", "response_url"}
    look(router, job)
    assert router.requests[-1].target == f"/v2/models/luma/ray-2/requests/{job.id}/status"


def test_an_address_of_another_day_is_not_asked_where_the_router_has_moved(router):
    job = submitted(router, ask())
    moved = replace(job, details={**job.details, "status_url": "https://api.comfy.org/v2/elsewhere"})
    assert look(router, moved) == Pending(note="generating")


# -- what is refused here, with nothing sent ----------------------------------------------------------------

REFUSED = {
    "no prompt": (ask(prompt=""), "the prompt is empty, and it is required"),
    "no prompt with a picture": (image_to_video(prompt=" "), "the prompt is empty, and it is required"),
    "a short prompt": (ask(prompt="ab"), "at least 3"),
    "a long prompt": (ask(prompt="x" * 5001), "at most 5000"),
    "loop with both frames": (keyframes(loop=True), "no loop"),
    "loop with an end frame": (keyframes(first_frame=None, loop=True), "no loop"),
    "loop backward": (extend(first_frame=None, last_frame=ONE, loop=True), "no loop"),
    "loop between two clips": (interpolate(loop=True), "no loop"),
    "no keyframes": (keyframes(first_frame=None, last_frame=None), "a first or last frame is needed"),
    "another model": (ask(model="ray-3.2"), "no ray-3.2"),
    "ten seconds": (ask(duration=10), "no 10 s (5 s, 9 s only)"),
    "a resolution": (ask(resolution="360p"), "no 360p (540p, 720p, 1080p, 4k only)"),
    "a concept": (ask(concepts=("push_in",)), "no camera concept 'push_in'"),
    "enhancing": (ask(enhance_prompt=True), "no prompt enhancement"),
    "another provider's clip": (extend(first_frame=replace(ONE, provider="luma")), "a clip made at luma"),
}


@pytest.mark.parametrize(("request_", "words"), REFUSED.values(), ids=REFUSED)
def test_what_would_fail_there_is_refused_before_anything_is_sent(router, life, request_, words):
    assert words in refused(life, router, request_)


@pytest.mark.parametrize(
    "frame", [{}, {"first_frame": A}, {"first_frame": ONE}], ids=["text", "picture", "clip"]
)
def test_a_loop_is_sold_where_there_is_no_last_frame(frame):
    operation = {0: Operation.TEXT_TO_VIDEO}.get(len(frame), Operation.IMAGE_TO_VIDEO)
    operation = Operation.EXTEND_VIDEO if frame.get("first_frame") is ONE else operation
    assert refusals(COMFY, ask(operation=operation, loop=True, **frame))[1] == []


# -- what is answered ---------------------------------------------------------------------------------------


def test_a_job_is_waited_for_through_its_states_and_its_place_in_the_queue(monkeypatch):
    with ComfyRouterEmulator(polls_until_done=4) as router:
        jobs = [submitted(router, ask(), key=f"key {number}") for number in range(3)]
        states = [look(router, jobs[2]) for _ in range(3)]
        assert [state.note for state in states] == ["queued, 2 before it", "generating", "generating"]
        look(router, jobs[0])
        assert look(router, jobs[0]) == Pending(note="generating")
        assert look(router, jobs[1]) == Pending(note="queued")
        work = router.creates[2]
        done = look(router, jobs[2])
        assert done == Completed(
            url=f"{router.origin}/assets/{work.id}.mp4?signature=secret-1", reference=router.clip_id(work)
        )


def test_the_name_of_the_clip_for_an_extend_is_lumas_and_not_the_queues(router):
    done = outcome(router, submitted(router, ask()))
    assert done.reference == router.clip_id(router.creates[0])
    assert done.reference != router.creates[0].id


def test_a_result_without_an_id_is_a_clip_all_the_same(router):
    job = submitted(router, ask())
    look(router, job)
    router.fail_next(*RESULT, Fault.fields(id=None))
    done = look(router, job)
    assert isinstance(done, Completed)
    assert done.reference == ""


@pytest.mark.parametrize("model", ["ray-2", "ray-flash-2"])
def test_a_job_known_by_its_id_alone_is_found_under_either_model(router, model):
    job = Job(id=submitted(router, ask(model=model)).id)
    assert isinstance(outcome(router, job), Completed)
    assert COMFY.cancel(client_for(router), job) == "impossible"


def test_a_job_that_nobody_knows_is_refused_as_such(router):
    with pytest.raises(errors.Rejected, match=r"knows no such request \(404\)"):
        look(router, Job(id=str(uuid.uuid4())))
    assert len(router.requests) == 3


@pytest.mark.parametrize("strange", ["../x", "a/status", "a?b=c", "a#b", "//evil.test/x"])
def test_an_id_that_a_person_typed_stays_an_id(router, strange):
    with pytest.raises(errors.Rejected, match="404"):
        look(router, Job(id=strange))
    for request in router.requests:
        assert request.path.startswith(("/v2/models/luma/ray-", "/v2/models/luma_2/ray-3.2/"))
        assert request.path.count("/") == 7


FAILURES = {
    "indecent": ("Luma's safety check, asked by Comfy Router, stopped it", "Reword", "is not documented"),
    "doomed": ("Luma failed on the job that Comfy Router gave it", "Try again", "refunds failed generations"),
}


@pytest.mark.parametrize("words", FAILURES)
def test_a_failure_says_what_happened_what_to_do_and_what_it_costs(router, words):
    failed = outcome(router, submitted(router, ask(prompt=f"something {words}")))
    assert isinstance(failed, Failed)
    what, advice, billing = FAILURES[words]
    assert failed.reason.startswith(what)
    assert advice in failed.reason
    assert billing in failed.billing


def test_lumas_reason_is_told_where_router_hands_it_on(router):
    failed = outcome(router, submitted(router, extend()))
    assert failed.reason == (
        "Luma did not take the request from Comfy Router: luma rejected the request: Generation "
        f"{CLIPS[0]} is not completed. Change it."
    )
    assert router.balance == 100.0


def test_lumas_reason_is_added_where_the_sentence_of_router_lacks_it(router):
    job = submitted(router, extend())
    look(router, job)
    said = problem("invalid_input", "luma rejected the request", upstream=400, upstream_detail="Too dark")
    router.fail_next(*RESULT, Fault(lambda _: said, handled=False))
    assert "luma rejected the request (Too dark). Change it." in look(router, job).reason


def test_a_picture_that_luma_cannot_read_is_told(router):
    with FileHost() as host:
        offer, _ = refusals(COMFY, image_to_video())
        body = COMFY.encode(image_to_video(), {A.sha256: f"{host.origin}/nothing.png"})
        job = COMFY.submit(client_for(router), offer, body, KEY)
        assert "Failed to read user input frames" in outcome(router, job).reason


@pytest.mark.parametrize(
    ("kind", "told", "billing"),
    [
        ("queue_timeout", "was never started. Queue it again.", "Nothing was billed."),
        ("cancelled", "was cancelled at Comfy Router", "still waited in the queue"),
        ("provider_timeout", "did not finish the job in the time", "may have finished and billed it"),
        ("something_new", "Comfy Router ended the job (something_new). Try again.", "should cost nothing"),
    ],
)
def test_every_way_to_end_is_a_failure_even_when_its_reason_cannot_be_read(router, kind, told, billing):
    job = submitted(router, ask())
    router.fail_next(*POLL, Fault.fields(status="COMPLETED", error_type=kind))
    router.fail_next(*RESULT, Fault.html(502))
    failed = look(router, job)
    assert told in failed.reason
    assert billing in failed.billing
    assert [request.path.rpartition("/")[2] for request in router.requests[1:]] == ["status", job.id]


def test_a_request_that_waited_too_long_was_not_billed():
    with ComfyRouterEmulator(polls_until_done=9) as router:
        job = submitted(router, ask())
        router.time_out(router.creates[0])
        failed = look(router, job)
        assert "waited too long" in failed.reason
        assert failed.billing == "Nothing was billed."
        assert router.balance == 100.0


def test_a_failed_generation_as_the_result_is_a_failure_and_its_reason_is_told_without_links(router):
    job = submitted(router, ask())
    look(router, job)
    reason = "cannot read https://b.test/a.png?X-Amz-Signature=abc."
    router.fail_next(*RESULT, Fault.fields(state="failed", failure_reason=reason, assets={}))
    failed = look(router, job)
    assert "cannot read https://b.test/a.png?<cut>. Try again." in failed.reason


def test_a_result_that_is_not_there_yet_is_waited_for():
    with ComfyRouterEmulator(polls_until_done=4) as router:
        job = submitted(router, ask())
        router.fail_next(*POLL, Fault.fields(status="COMPLETED"))
        assert look(router, job) == Pending(note="generating")
        assert isinstance(outcome(router, job), Completed)


@pytest.mark.parametrize("where", ["status_url", "response_url"])
def test_after_a_day_it_is_said_that_the_clip_is_gone(monkeypatch, where):
    moment = [1_800_000_000.0]
    with ComfyRouterEmulator(now=lambda: moment[0]) as router:
        job = submitted(router, ask())
        outcome(router, job)
        if where == "response_url":
            told = {"X-Comfy-Request-Id": "a-request"}
            gone = Fault.status(410, {"detail": "past its retention"}, headers=told)
            router.fail_next(*RESULT, gone)
        else:
            moment[0] += DAY
        failed = look(router, job)
        assert "keeps a finished request for 24 hours" in failed.reason
        assert "making it again is a new purchase" in failed.billing


@pytest.mark.parametrize(
    "fields",
    [{"status": "PAUSED"}, {"status": None}, {"status": 3}, {"status": "completed"}],
)
def test_an_unknown_status_is_unexpected_never_a_failure_of_the_job(router, fields):
    job = submitted(router, ask())
    router.fail_next(*POLL, Fault.fields(**fields))
    with pytest.raises(errors.UnexpectedReply, match="outside its documented contract"):
        look(router, job)


@pytest.mark.parametrize(
    "fields",
    [{"assets": None}, {"assets": {}}, {"assets": {"video": None}}, {"assets": {"progress_video": "https://a.test"}}],
)  # fmt: skip
def test_a_result_without_a_clip_is_unexpected_never_a_failure_of_the_job(router, fields):
    job = submitted(router, ask())
    look(router, job)
    router.fail_next(*RESULT, Fault.fields(**fields))
    with pytest.raises(errors.UnexpectedReply):
        look(router, job)


@pytest.mark.parametrize("answer", [{"request_id": None}, {"request_id": ""}, {"request_id": 5}])
def test_a_submit_answered_without_an_id_is_outside_the_contract(router, answer):
    router.fail_next(*CREATE, Fault.fields(**answer))
    with pytest.raises(errors.UnexpectedReply):
        submitted(router, ask())


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_on_the_way_to_a_good_result_is_asked_again(router, status):
    job = submitted(router, ask())
    look(router, job)
    router.fail_next(*RESULT, refusing("provider_error", status))
    assert isinstance(look(router, job), Completed)


# -- refusals of a submit -----------------------------------------------------------------------------------

REFUSALS = {
    "not enabled": (
        refusing("not_enabled"),
        errors.ModelNotServed,
        r"has not switched on .* of this key \(403\): Emulated not_enabled\. The key is good and nothing was billed",
    ),
    "forbidden": (refusing("forbidden"), errors.ModelNotServed, r"may not use this model.*Nothing was billed"),
    "retired": (refusing("model_not_found"), errors.ModelNotServed, r"does not serve this model now \(404\)"),
    "content": (
        refusing("content_policy_violation"),
        errors.ContentRefused,
        r"do not allow this \(400\).*nothing was billed",
    ),
    "money": (refusing("insufficient_credits"), errors.InsufficientCredits, "Nothing was billed"),
    "a wrong key": (refusing("unauthorized"), errors.Unauthorized, r"\(401\).*Nothing was billed"),
    "a 403 of somebody else": (Fault.status(403, {"detail": "no"}), errors.Unauthorized, r"\(403\)"),
    "the window": (refusing("rate_limited", retry_after=7), errors.RateLimited, "Emulated rate_limited"),
    "a full queue": (refusing("queue_backlog_full"), errors.RateLimited, "Emulated queue_backlog_full"),
    "no room": (
        refusing("service_unavailable", retry_after=4),
        errors.RateLimited,
        r"no room for the request just now \(503\).*Nothing was billed",
    ),
    "a 503 of a proxy": (Fault.html(503), errors.SubmissionUncertain, "may have been created and billed"),
    "unavailable": (
        refusing("service_unavailable"),
        errors.SubmissionUncertain,
        r"error 503.*may have been created and billed\. Comfy's support finds it as [0-9a-f-]{36}\.",
    ),
    "a deadline": (refusing("deadline_exceeded", retry_after=2), errors.SubmissionUncertain, "error 504"),
    "an error inside": (refusing("internal_error"), errors.SubmissionUncertain, "error 500"),
    "the same at this moment": (
        refusing("concurrency_limit_exceeded", 409, retry_after=2),
        errors.SubmissionUncertain,
        r"still taking in the same request \(409\)",
    ),
    "another under the key": (
        refusing("invalid_input", 409),
        errors.SubmissionUncertain,
        r"knows the key of this purchase and does not repeat its answer \(409\)",
    ),
    "a shape": (refusing("invalid_input"), errors.Rejected, r"refused the request \(400\).*Nothing was billed"),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "kind", "words"), REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_says_whether_there_may_be_a_job(router, fault, kind, words):
    router.fail_next(*CREATE, fault)
    with pytest.raises(kind, match=words) as caught:
        submitted(router, ask())
    assert type(caught.value) is kind


@pytest.mark.parametrize(("bucket", "seconds"), [("rate_limited", 7), ("service_unavailable", 4)])
def test_the_time_that_router_asks_to_wait_is_kept(router, bucket, seconds):
    router.fail_next(*CREATE, refusing(bucket, retry_after=seconds))
    with pytest.raises(errors.RateLimited) as caught:
        submitted(router, ask())
    assert caught.value.retry_after == seconds


def test_what_is_wrong_with_the_fields_is_told_by_their_names(router):
    body = {**COMFY.encode(ask(), {}), "model": "ray-2", "aspect_ratio": "2:1"}
    with pytest.raises(errors.Rejected, match=r"\(422\): aspect_ratio: .*; model: .*\. Nothing was billed"):
        COMFY.submit(client_for(router), COMFY.offers[0], body, KEY)


def test_an_error_in_another_shape_than_documented_is_an_error_all_the_same(router):
    for content in ([], "no", None, {"detail": [5]}, {"detail": {"a": 1}}, {"error": "x"}):
        router.fail_next(*CREATE, Fault.status(400, content))
        with pytest.raises(errors.Rejected, match=r"\(400\)"):
            submitted(router, ask())


def test_the_words_of_the_older_services_at_comfy_are_told_too(router):
    router.fail_next(*CREATE, Fault.status(400, {"message": "Unknown account"}))
    with pytest.raises(errors.Rejected, match="Unknown account"):
        submitted(router, ask())


# -- keys, cancelling ---------------------------------------------------------------------------------------


def test_the_same_key_gives_the_job_that_exists(router):
    assert submitted(router, ask()) == submitted(router, ask())
    assert len(router.creates) == 1
    assert len(router.ledger) == 1


def test_a_key_is_used_again_only_while_router_surely_remembers_it():
    assert 0 < COMFY.resend_life < DAY


def test_what_waits_is_asked_to_stop():
    with ComfyRouterEmulator(polls_until_done=9) as router:
        job = submitted(router, ask())
        assert COMFY.cancel(client_for(router), job) == "asked"
        failed = look(router, job)
        assert "cancelled at Comfy Router: The request was cancelled." in failed.reason
        assert router.balance == 100.0


@pytest.mark.parametrize("status", [409, 400])
def test_what_is_over_cannot_be_stopped(status):
    with ComfyRouterEmulator(late_cancel=status) as router:
        job = submitted(router, ask())
        outcome(router, job)
        assert COMFY.cancel(client_for(router), job) == "impossible"


# -- prices -------------------------------------------------------------------------------------------------

PRICES = {
    ("ray-2", 5): ("0.57", "1.02", "2.27", "9.11"),
    ("ray-2", 9): ("1.03", "1.83", "4.10", "16.40"),
    ("ray-flash-2", 5): ("0.20", "0.34", "0.79", "3.13"),
    ("ray-flash-2", 9): ("0.36", "0.61", "1.42", "5.65"),
}


@pytest.mark.parametrize(
    ("model", "seconds", "resolution", "usd"),
    [
        (model, seconds, resolution, usd)
        for (model, seconds), row in PRICES.items()
        for resolution, usd in zip(RESOLUTIONS, row, strict=True)
    ],
)
def test_every_price_is_quoted_estimated_and_charged_the_same(router, model, seconds, resolution, usd):
    request = ask(model=model, duration=seconds, resolution=resolution)
    offer, _ = refusals(COMFY, request)
    published = quote(COMFY, offer, request)
    assert published.usd == Decimal(usd)
    assert published.source.unverified
    assert COMFY.price(client_for(router), offer, request) == Decimal(usd)
    submitted(router, request)
    assert Decimal(str(router.ledger[0].usd)) == -Decimal(usd)


def test_asking_for_a_price_sends_neither_the_prompt_nor_the_pictures(router):
    request = keyframes(model="ray-flash-2", aspect_ratio="1:1", duration=9, loop=False)
    offer, _ = refusals(COMFY, request)
    COMFY.price(client_for(router), offer, request)
    (asked,) = router.requests
    assert asked.target == "/v2/models/luma/ray-flash-2/estimate"
    assert asked.json == {
        "prompt": "What does this cost?",
        "aspect_ratio": "1:1",
        "resolution": "540p",
        "duration": "9s",
        "loop": False,
    }


ESTIMATES = {
    "a range": ({"source": "estimated", "min_amount": "0.10", "max_amount": "0.45"}, Decimal("0.45")),
    "nothing": ({"source": "unknown", "reason": "not_quotable"}, None),
    "a new word": ({"source": "guessed", "amount": "0.10"}, None),
    "other money": ({"currency": "EUR"}, None),
    "a price of nothing": ({"amount": "0"}, None),
}


@pytest.mark.parametrize(("fields", "usd"), ESTIMATES.values(), ids=ESTIMATES)
def test_an_estimate_is_a_price_only_where_it_is_one(router, fields, usd):
    router.fail_next(*router.estimate, Fault.fields(**fields))
    offer, _ = refusals(COMFY, ask())
    assert COMFY.price(client_for(router), offer, ask()) == usd


@pytest.mark.parametrize("amount", [None, 0.57, "", "1e3", "-1", "free", "NaN"])
def test_an_amount_that_is_no_amount_is_outside_the_contract(router, amount):
    router.fail_next(*router.estimate, Fault.fields(amount=amount))
    offer, _ = refusals(COMFY, ask())
    with pytest.raises(errors.UnexpectedReply), decoding(COMFY.title):
        COMFY.price(client_for(router), offer, ask())


def test_where_estimates_are_not_switched_on_the_published_price_is_quoted(monkeypatch, tmp_path):
    with led_to(ComfyRouterEmulator(quotes=False), monkeypatch):
        told = lived(tmp_path).quote(ask(), "comfy_router")
        assert (told.usd, told.live) == (Decimal("0.57"), False)


def test_where_router_estimates_that_is_quoted(router, life):
    router.fail_next(*router.estimate, Fault.fields(amount="0.60"))
    told = life.quote(ask(), "comfy_router")
    assert (told.usd, told.live) == (Decimal("0.60"), True)


# -- pictures -----------------------------------------------------------------------------------------------


def test_a_picture_goes_to_comfys_storage_without_the_key(router):
    still = photograph(40)
    url = COMFY.upload(client_for(router), still)
    grant, put = router.requests
    assert grant.json == {"file_name": f"{still.sha256[:32]}.png", "content_type": "image/png"}
    assert (put.method, put.headers["Content-Type"]) == ("PUT", "image/png")
    assert put.body == still.encode("image/png")
    assert url.startswith(f"{router.origin}/storage/")
    assert router.leaks == []


def test_a_lossy_picture_is_told_as_what_it_is(router):
    still = replace(photograph(40), media_type="image/jpeg")
    COMFY.upload(client_for(router), still)
    grant, put = router.requests
    assert grant.json == {"file_name": f"{still.sha256[:32]}.jpg", "content_type": "image/jpeg"}
    assert (put.body, put.headers["Content-Type"]) == (still.encode("image/jpeg"), "image/jpeg")


@pytest.mark.parametrize(
    "place", [("POST", "/customers/storage"), ("PUT", "/storage/*")], ids=["the grant", "the file"]
)
@pytest.mark.parametrize(
    "fault",
    [Fault.html(502), Fault.status(400, {"message": "no"}), Fault.lost_request()],
    ids=["gateway", "refused", "lost"],
)
def test_a_storage_that_does_not_work_is_told_and_nothing_was_bought(router, place, fault):
    router.fail_next(*place, fault)
    with pytest.raises(errors.UploadFailed, match=r"No clip was bought, nothing was billed\.$") as caught:
        COMFY.upload(client_for(router), photograph(40))
    assert "Signature" not in str(caught.value)


def test_a_wrong_key_is_a_wrong_key_at_the_storage_too(router):
    with pytest.raises(errors.Unauthorized):
        COMFY.upload(client_for(router, key="comfyui-wrong"), photograph(40))


def test_a_grant_that_leads_into_somebodys_network_is_not_followed(router):
    router.fail_next("POST", "/customers/storage", Fault.fields(upload_url="http://169.254.169.254/x"))
    with pytest.raises(errors.UploadFailed, match="not https"):
        COMFY.upload(client_for(router), photograph(40))


# -- whole lives --------------------------------------------------------------------------------------------


def creates(router: ComfyRouterEmulator) -> list[Any]:
    return [request for request in router.requests if request.path.endswith("/requests")]


def test_from_a_prompt_to_a_clip_on_disk(router, life):
    clip = life.buy(ask())
    row = life.row()
    assert clips.inspect(clip.path).frames == row.frames == 121
    assert (row.state, row.estimate_usd) == ("completed", Decimal("0.57"))
    assert row.job.id == router.creates[0].id
    assert router.leaks == []
    assert "generating at Comfy Router" in life.reports.words


def test_without_a_key_the_names_of_the_documented_variable_are_told(router, life, monkeypatch):
    monkeypatch.delenv("COMFY_API_KEY")
    with pytest.raises(errors.MissingCredentials, match="COMFY_API_KEY"):
        life.buy(ask())
    assert router.requests == []


def test_a_picture_used_by_two_shots_is_uploaded_once(router, life):
    still = photograph(40)
    life.buy(keyframes(first_frame=still, last_frame=photograph(220)))
    life.buy(image_to_video(first_frame=still))
    assert len(router.files) == 2
    assert [work.first.width for work in router.creates] == [320, 320]
    assert router.leaks == []


def test_a_clip_is_extended_by_the_name_that_luma_gave_it(router, life):
    first = life.buy(ask())
    entry = life.journal.get(first.entry.id)
    assert entry.handle == router.clip_id(router.creates[0])
    reference = GenerationReference(id=entry.id, provider="comfy_router", job_id=entry.handle)
    second = life.buy(extend(first_frame=reference))
    assert router.creates[1].first is router.creates[0]
    assert clips.inspect(second.path).frames == 121


@pytest.mark.parametrize(
    "fault",
    [Fault.lost_answer(), Fault.status(500, handled=True), Fault.html(502, handled=True), Fault.malformed_json(),
     Fault.truncate(), Fault.fields(request_id=None)],
    ids=["lost", "500", "gateway", "cut JSON", "cut off", "no id"],
)  # fmt: skip
def test_whatever_spoils_the_answer_the_key_finds_the_job_and_it_is_bought_once(router, life, fault):
    router.fail_next(*CREATE, fault)
    clip = life.buy(ask())
    assert [work.id for work in router.creates] == [clip.entry.job.id]
    assert len(router.ledger) == 1
    first, second = creates(router)
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_a_request_that_got_lost_is_sent_again_under_its_key_and_bought_once(router, life):
    router.fail_next(*CREATE, Fault.lost_request())
    clip = life.buy(ask())
    assert [work.id for work in router.creates] == [clip.entry.job.id]


@pytest.mark.parametrize(
    "fault",
    [refusing("concurrency_limit_exceeded", 409, retry_after=2), refusing("service_unavailable"),
     refusing("internal_error"), refusing("deadline_exceeded", retry_after=2)],
    ids=["busy", "503", "500", "504"],
)  # fmt: skip
def test_where_router_says_to_send_it_again_that_is_done(router, life, fault):
    router.fail_next(*CREATE, Fault.lost_answer())
    router.fail_next(*CREATE, fault)
    clip = life.buy(ask())
    assert [work.id for work in router.creates] == [clip.entry.job.id]
    assert len(creates(router)) == 3


def test_an_unanswered_purchase_is_finished_by_another_session(router, life, tmp_path):
    router.fail_next(*CREATE, Fault.lost_answer(), times=None)
    with pytest.raises(errors.SubmissionUncertain):
        life.buy(ask())
    assert life.row().state == "uncertain"
    router.faults.clear()
    clip = lived(tmp_path).buy(ask())
    assert [work.id for work in router.creates] == [clip.entry.job.id]
    assert len(router.ledger) == 1


def test_after_a_day_an_unanswered_purchase_is_left_to_the_person(router, life):
    router.fail_next(*CREATE, Fault.lost_answer(), times=None)
    with pytest.raises(errors.SubmissionUncertain):
        life.buy(ask())
    router.faults.clear()
    life.clock.sleep(DAY)
    sent = len(creates(router))
    with pytest.raises(errors.SubmissionUncertain):
        life.buy(ask())
    assert len(creates(router)) == sent


def test_a_key_that_router_does_not_answer_for_is_never_taken_for_a_refusal(router, life):
    router.fail_next(*CREATE, Fault.lost_answer())
    router.fail_next(*CREATE, refusing("invalid_input", 409), times=None)
    with pytest.raises(errors.SubmissionUncertain):
        life.buy(ask())
    assert life.row().state == "uncertain"
    router.faults.clear()


def test_where_there_is_no_room_it_waits_and_sends_it_then(router, life):
    router.fail_next(*CREATE, refusing("queue_backlog_full"))
    router.fail_next(*CREATE, refusing("service_unavailable", retry_after=4))
    life.buy(ask())
    assert len(router.creates) == 1
    assert life.row().state == "completed"


def test_an_account_without_the_queue_is_told_and_nothing_is_kept(monkeypatch, tmp_path):
    with led_to(ComfyRouterEmulator(enabled=False), monkeypatch) as router:
        life = lived(tmp_path)
        with pytest.raises(errors.ModelNotServed, match="has not switched on the queue"):
            life.buy(ask())
        assert life.row().state == "failed"
        assert router.ledger == []


def test_a_safety_refusal_ends_the_purchase_and_says_what_is_known_of_the_bill(router, life):
    with pytest.raises(errors.GenerationFailed, match=r"safety check.*Whether Comfy charges"):
        life.buy(ask(prompt="indecent words in the snow"))
    assert life.row().state == "failed"


def test_a_clip_whose_address_expired_for_good_is_told_as_paid_and_kept(monkeypatch, tmp_path):
    with led_to(ComfyRouterEmulator(renews_links=False), monkeypatch) as router:
        life = lived(tmp_path)
        life.clock.on_sleep = router.expire_links
        router.fail_next("GET", "/assets/*", Fault.status(403))
        with pytest.raises(errors.DownloadFailed, match="paid and kept"):
            life.buy(ask())
        assert life.row().state == "submitted"


def test_collecting_after_a_day_says_that_it_is_gone(monkeypatch, tmp_path):
    moment = [1_800_000_000.0]
    with led_to(ComfyRouterEmulator(now=lambda: moment[0]), monkeypatch) as router:
        job = submitted(router, ask())
        outcome(router, job)
        moment[0] += DAY
        life = lived(tmp_path)
        with pytest.raises(errors.GenerationFailed, match="keeps a finished request for 24 hours"):
            life.bring(job.id)


def test_stopping_asks_router_to_stop_and_the_row_can_be_looked_at_later(monkeypatch, tmp_path):
    with led_to(ComfyRouterEmulator(polls_until_done=9), monkeypatch) as router:
        life = lived(tmp_path)
        life.clock.on_sleep = life.clock.stop.set
        with pytest.raises(errors.Interrupted, match="was asked to stop"):
            life.buy(ask())
        assert router.requests[-1].method == "PUT"
        again = lived(tmp_path)
        with pytest.raises(errors.GenerationFailed, match="cancelled at Comfy Router"):
            again.buy(ask())
        assert router.balance == 100.0


def test_the_key_goes_to_comfy_and_nowhere_else(router, life):
    router.fail_next(*CREATE, Fault.lost_answer())
    life.buy(image_to_video(first_frame=photograph(40)))
    assert router.leaks == []
    assert router.key.encode() not in life.written()
    assert router.key not in life.reports.words
    assert router.key not in json.dumps([str(row) for row in life.journal.entries()])
