"""The LLM Stats gateway: what is sent, what is refused here, what is understood, and whole lives of clips."""

from __future__ import annotations

import itertools
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from emulators.llm_stats import LlmStatsEmulator, error
from emulators.server import Fault
from fakes import FakeClock, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending
from luma_ray.nodes.generation.ray import ASPECT_RATIOS
from luma_ray.nodes.generation.request import GenerationReference, Operation
from luma_ray.nodes.generation.selection import refusals
from luma_ray.nodes.hosting.s3 import S3
from luma_ray.nodes.media import clips
from luma_ray.nodes.providers.llm_stats import LlmStats
from purchase import URLS, A, B, Life, calls, led_to, photograph, refused

LLM_STATS = LlmStats()
EARLIER = GenerationReference(id="ray-0", provider="llm_stats", job_id="gen_0")

_, submitted, look, _ = calls(LLM_STATS)
image_to_video = partial(text, operation=Operation.IMAGE_TO_VIDEO, first_frame=A)


@pytest.fixture
def gateway(monkeypatch):
    with led_to(LlmStatsEmulator(), monkeypatch) as emulator:
        yield emulator


@pytest.fixture
def life(tmp_path) -> Life:
    return Life(tmp_path, LLM_STATS, S3())


def told(gateway: LlmStatsEmulator, **fields: Any) -> Any:
    """What is understood of an answer about a job with these fields."""
    job = submitted(gateway, text())
    gateway.fail_next(*gateway.poll, Fault.fields(**fields))
    return look(gateway, job)


# -- what is sent -------------------------------------------------------------------------------------------

PLAIN = {"prompt": "a fox in the snow", "aspect_ratio": "16:9", "duration": 5, "resolution": "720p"}


def test_a_prompt_is_sent_as_the_whole_body_that_is_documented():
    assert LLM_STATS.encode(text(), {}) == {"model": "ray-flash-2", "input": PLAIN, "wait": 0}


def test_a_first_frame_is_the_only_image():
    assert LLM_STATS.encode(image_to_video(), URLS)["input"] == {**PLAIN, "images": [URLS[A.sha256]]}


@pytest.mark.parametrize(
    "others", [{"duration": 9}, {"resolution": "1080p"}, {"aspect_ratio": "9:21"}, {"prompt": " a fox 🦊 "}]
)
def test_each_setting_becomes_its_field(others):
    assert LLM_STATS.encode(text(**others), {})["input"] == {**PLAIN, **others}


def test_the_take_is_ours_and_not_sent():
    assert LLM_STATS.encode(text(take=7), {}) == LLM_STATS.encode(text(), {})


def test_every_combination_on_offer_passes_the_strict_gateway_at_the_price_that_was_quoted():
    with LlmStatsEmulator(credit_usd=1000) as gateway:
        for ratio, resolution, seconds in itertools.product(ASPECT_RATIOS, ("720p", "1080p"), (5, 9)):
            request = text(aspect_ratio=ratio, resolution=resolution, duration=seconds)
            submitted(gateway, request)
            made = gateway.creates[-1]
            assert (made.aspect_ratio, made.resolution, made.seconds) == (ratio, resolution, seconds)
            quoted = refusals(LLM_STATS, request)[0].price(request)
            assert quoted == Decimal(str(made.usd))


def test_the_create_is_not_held_so_that_the_id_comes_back_before_anything_can_happen():
    # By the clock: were the create held, its answer would say that the job is done.
    with LlmStatsEmulator(job_seconds=0.2) as gateway:
        job = submitted(gateway, text())
        assert gateway.creates[0].state == "queued"
        assert job == Job(id=gateway.creates[0].id)


def test_a_question_is_held_by_the_gateway():
    with LlmStatsEmulator(job_seconds=0.3) as gateway:
        job = submitted(gateway, text())
        assert isinstance(look(gateway, job), Completed)
        assert gateway.requests[-1].query == {"wait": "25"}
        assert LLM_STATS.long_poll == 25


# -- what is refused here, with nothing sent ----------------------------------------------------------------

REFUSED = {
    "Ray 2": (text(model="ray-2"), "no ray-2"),
    "ten seconds": (text(duration=10), "no 10 s (5 s, 9 s only)"),
    "540p": (text(resolution="540p"), "no 540p (720p, 1080p only)"),
    "4k": (text(resolution="4k"), "no 4k"),
    "a loop": (text(loop=True), "no loop"),
    "a concept": (text(concepts=("push_in",)), "no camera concept 'push_in'"),
    "no prompt": (image_to_video(prompt=" "), "the prompt is empty"),
    "a long prompt": (text(prompt="x" * 8001), "at most 8000"),
    "an end frame": (
        text(operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=A, last_frame=B),
        "keyframes to video",
    ),
    "an earlier generation": (text(operation=Operation.EXTEND_VIDEO, first_frame=EARLIER), "extend video"),
}


@pytest.mark.parametrize(("request_", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_documented_is_refused_before_anything_is_sent(gateway, life, request_, words):
    assert words in refused(life, gateway, request_)


# -- what the gateway answers -------------------------------------------------------------------------------


def test_a_job_is_waited_for_through_its_words(gateway):
    assert told(gateway, status="queued", output=None) == Pending(note="queued")
    assert told(gateway, status="running", output=None) == Pending(note="running")


def test_a_finished_job_gives_its_clip_and_what_was_billed(gateway):
    job = submitted(gateway, text(resolution="1080p", duration=9))
    done = look(gateway, job)
    assert done == Completed(url=done.url, billed_usd=Decimal("2.7"))
    assert done.url.startswith(f"{gateway.origin}/assets/{job.id}.mp4?signature=")


def test_each_look_at_a_finished_job_gives_a_new_link(gateway):
    job = submitted(gateway, text())
    one, other = (look(gateway, job) for _ in range(2))
    assert one.url != other.url


@pytest.mark.parametrize(
    "usage", [None, {}, {"cost_usd": None}, {"cost_usd": "1"}, {"cost_usd": True}, {"cost_usd": -1}, "1"]
)
def test_a_finished_clip_is_taken_also_where_its_cost_is_not_told(gateway, usage):
    assert told(gateway, usage=usage).billed_usd is None


@pytest.mark.parametrize(
    ("error_", "words"),
    [
        ({"code": "content_policy", "message": "No."}, "safety check"),
        ({"code": "provider_unavailable", "message": "x"}, "Every service that LLM Stats tried"),
        ({"code": "provider_timeout", "message": "x"}, "took too long"),
        ({"code": "internal_error", "message": "x"}, "LLM Stats itself failed"),
        ({"code": "invalid_input", "message": "No image there."}, "failed at LLM Stats: No image there."),
        ({"code": "new_code", "message": "Out of cheese"}, "failed at LLM Stats: Out of cheese."),
        ({"code": "new_code"}, "no reason given"),
        ({"code": "new_code", "message": {"a": 1}}, "no reason given"),
        ("cheese", "no reason given"),
        (None, "no reason given"),
        ({"code": "x", "message": "cannot read https://b.test/a.png?X-Amz-Signature=abc"}, "a.png?<cut>."),
    ],
)  # fmt: skip
def test_a_failed_job_says_why_in_words(gateway, error_, words):
    failed = told(gateway, status="failed", error=error_, usage={"cost_usd": 0})
    assert isinstance(failed, Failed)
    assert words in failed.reason
    assert failed.billing == "LLM Stats billed nothing for it."


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        ({"cost_usd": 0.0}, "LLM Stats billed nothing for it."),
        ({"cost_usd": 0.25}, "LLM Stats billed $0.25 for it."),
        (None, "LLM Stats does not say whether it billed this; its dashboard does."),
    ],
)
def test_what_a_failure_cost_is_what_the_gateway_says(gateway, usage, words):
    assert told(gateway, status="failed", usage=usage).billing == words
    cancelled = told(gateway, status="cancelled", usage=usage)
    assert (cancelled.reason, cancelled.billing) == ("The job was cancelled at LLM Stats.", words)


VIDEO = {"type": "video", "url": "https://x.test/a.mp4"}


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "paused"},
        {"status": None},
        {"status": ["completed"]},
        {"status": "completed", "output": None},
        {"status": "completed", "output": {"media": []}},
        {"status": "completed", "output": {"media": [{"type": "image", "url": "https://x.test/a.png"}]}},
        {"status": "completed", "output": {"media": [{**VIDEO, "url": ""}]}},
        {"status": "completed", "output": {"media": [VIDEO, VIDEO]}},
    ],
)
def test_an_answer_outside_the_contract_is_unexpected_never_a_failure_of_the_job(gateway, fields):
    with pytest.raises(errors.UnexpectedReply, match="outside its documented contract"):
        told(gateway, **fields)


@pytest.mark.parametrize("strange", ["../credits", "a?wait=0", "a#b", "//evil.test/x"])
def test_an_id_that_a_person_typed_stays_an_id(gateway, strange):
    with pytest.raises(errors.Rejected, match=r"\(404\)"):
        look(gateway, Job(id=strange))
    assert gateway.requests[0].target.startswith("/v1/generations/")
    assert gateway.requests[0].path.count("/") == 2


# -- what its errors mean for a purchase ---------------------------------------------------------------------

NOT_BILLED = {
    "invalid_input": (
        errors.Rejected,
        r"refused the request \(400\): words \(input\.seed\)\. Nothing was billed",
    ),
    "unauthenticated": (errors.Unauthorized, "does not accept the key"),
    "insufficient_quota": (errors.InsufficientCredits, "not enough credits"),
    "model_unavailable": (
        errors.ModelNotServed,
        r"does not serve this model.*The key is good\. Nothing was billed",
    ),
    "not_found": (errors.Rejected, r"\(404\)"),
    "content_policy": (errors.ContentRefused, r"safety check.*Nothing was billed\. Change them"),
    "rate_limited": (errors.RateLimited, "fewer requests"),
    "provider_unavailable": (errors.ProviderUnavailable, r"\(502\).*nothing was billed"),
    "provider_timeout": (errors.ProviderUnavailable, r"\(504\).*safe to send again.*nothing was billed"),
}


@pytest.mark.parametrize("code", NOT_BILLED)
def test_every_documented_code_but_one_means_that_nothing_was_bought(gateway, code):
    kind, words = NOT_BILLED[code]
    gateway.fail_next(*gateway.create, Fault(lambda _: error(code, "words.", "input.seed"), handled=False))
    with pytest.raises(errors.GenerationError, match=words) as caught:
        submitted(gateway, text())
    assert type(caught.value) is kind
    asks = code in ("rate_limited", "provider_unavailable", "provider_timeout")
    assert getattr(caught.value, "retry_after", None) == (7 if asks else None)


def test_a_bug_on_their_side_may_have_been_billed_and_names_the_request_for_support(gateway):
    gateway.fail_next(*gateway.create, gateway.refusing("server error"))
    with pytest.raises(
        errors.SubmissionUncertain, match=r"may have been\s+created and billed.*request req_\w+\."
    ):
        submitted(gateway, text())


@pytest.mark.parametrize(
    "fault",
    [
        Fault.html(502),
        Fault.status(502, {"error": {"code": "other", "message": "x"}}),
        Fault.status(504, {"error": "provider_timeout"}),
        Fault.status(504, {"error": {"code": "provider_unavailable", "message": "x"}}),
        Fault.status(503),
    ],
    ids=["page", "another code", "no envelope", "another status", "503"],
)
def test_the_same_status_from_anybody_else_may_have_been_billed(gateway, fault):
    gateway.fail_next(*gateway.create, fault)
    with pytest.raises(errors.SubmissionUncertain):
        submitted(gateway, text())


@pytest.mark.parametrize("header", ["", "a b", "x" * 200, "https://h.test/?key=1"])
def test_a_request_id_that_looks_like_none_is_not_repeated(gateway, header):
    content = {"error": {"code": "internal_error", "message": "words"}}
    gateway.fail_next(*gateway.create, Fault.status(500, content, headers={"X-Request-Id": header}))
    with pytest.raises(errors.SubmissionUncertain) as caught:
        submitted(gateway, text())
    assert "support" not in str(caught.value)


def test_403_with_another_code_is_about_the_key(gateway):
    gateway.fail_next(*gateway.create, Fault.status(403, {"error": {"code": "forbidden", "message": "no"}}))
    with pytest.raises(errors.Unauthorized):
        submitted(gateway, text())


@pytest.mark.parametrize(
    "code", ["provider_unavailable", "provider_timeout", "internal_error", "rate_limited"]
)
def test_what_passes_is_asked_again_while_a_job_runs(gateway, code):
    job = submitted(gateway, text())
    gateway.fail_next(*gateway.poll, Fault(lambda _: error(code, "words"), handled=False), times=2)
    assert isinstance(look(gateway, job), Completed)
    assert len(gateway.requests) == 4


@pytest.mark.parametrize("answer", [{"id": None}, {"id": ""}, {"id": 5}])
def test_a_create_answered_without_an_id_is_outside_the_contract(gateway, answer):
    gateway.fail_next(*gateway.create, Fault.fields(**answer))
    with pytest.raises(errors.UnexpectedReply):
        submitted(gateway, text())


# -- whole lives --------------------------------------------------------------------------------------------


def test_from_a_prompt_to_a_clip_on_disk_with_its_quote_and_its_bill(gateway, life):
    clip = life.buy(text())
    row = life.row()
    assert (row.state, row.estimate_usd, row.billed_usd) == ("completed", Decimal("1.00"), Decimal("1"))
    assert row.job.id == gateway.creates[0].id
    assert clips.inspect(clip.path).frames == 121
    assert gateway.leaks == []
    assert "($1.00" in life.reports.words


def test_a_picture_goes_by_way_of_a_bucket_that_the_gateway_really_reads(gateway, life, bucket):
    still = photograph(40)
    life.buy(image_to_video(first_frame=still))
    (made,) = gateway.creates
    assert made.first.width == 320
    assert {item.key for item in bucket.objects.all()} == {f"luma-ray/{still.sha256}.png"}


def test_without_hosting_a_picture_is_refused_before_anything_is_spent(gateway, life):
    with pytest.raises(errors.HostingRequired, match="LUMA_RAY_S3_BUCKET"):
        life.buy(image_to_video(first_frame=photograph(40)))
    assert gateway.requests == []
    assert life.journal.entries() == []


def test_the_person_can_name_the_job_of_a_lost_answer_and_gets_the_clip(gateway, life):
    gateway.fail_next(*gateway.create, Fault.lost_answer())
    with pytest.raises(errors.SubmissionUncertain):
        life.buy(text())
    life.found(life.row().id, gateway.creates[0].id, clock=life.clock)
    assert clips.inspect(life.buy(text()).path).frames == 121
    assert len(gateway.creates) == 1


def test_a_refusal_by_all_services_may_be_bought_again_at_once(gateway, life):
    timeout = Fault(lambda _: error("provider_timeout", "words"), handled=False)
    gateway.fail_next(*gateway.create, timeout)
    with pytest.raises(errors.ProviderUnavailable):
        life.buy(text())
    assert life.row().state == "failed"
    life.buy(text())
    assert len(gateway.creates) == 1


def test_a_clip_is_collected_hours_later_by_its_id_alone(gateway, life):
    later = FakeClock()
    gateway.now = later.now
    job = submitted(gateway, text())
    look(gateway, job)
    later.sleep(5 * 3600)
    clip = life.bring(job.id)
    assert clips.inspect(clip.path).frames == 121
    assert len(gateway.creates) == 1


def test_moderation_after_the_create_says_what_it_cost(gateway, life):
    with pytest.raises(errors.GenerationFailed, match=r"safety check.*LLM Stats billed nothing for it\."):
        life.buy(text(prompt="an indecent fox"))
    assert sum(entry.usd for entry in gateway.ledger) == 0


def test_a_stopped_wait_says_that_the_job_goes_on_and_is_billed(gateway, life):
    gateway.fail_next(*gateway.poll, Fault.fields(status="running", output=None), times=None)
    life.clock.on_sleep = life.clock.stop.set
    with pytest.raises(errors.Interrupted, match="LLM Stats cannot cancel a job"):
        life.buy(text())
    gateway.faults.clear()
    assert clips.inspect(Life(life.folder, LLM_STATS).buy(text()).path).frames == 121
    assert len(gateway.creates) == 1


def test_the_key_goes_to_the_gateway_and_nowhere_else(gateway, life):
    life.buy(text())
    assert {request.headers.get("Authorization") for request in gateway.requests} == {
        f"Bearer {gateway.key}",
        None,
    }
    assert gateway.leaks == []
    assert gateway.key.encode() not in life.written()
