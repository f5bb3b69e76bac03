"""WaveSpeedAI: what is sent, what is understood, its storage for pictures, and whole lives of clips."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pytest
import requests
from emulators import clips as pictures
from emulators.server import Fault, FileHost, json_reply
from emulators.wavespeed import WaveSpeedEmulator, altered
from fakes import FakeClock, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.hosting import choose
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending, Unanswered
from luma_ray.nodes.generation.request import GenerationRequest, Operation
from luma_ray.nodes.generation.selection import refusals
from luma_ray.nodes.hosting.s3 import S3
from luma_ray.nodes.hosting.wavespeed import WaveSpeedStorage
from luma_ray.nodes.media import images
from luma_ray.nodes.providers.wavespeed import WaveSpeed
from purchase import URLS, A, Life, calls, led_to, photograph, refused
from wavespeed import Client as Sdk

WAVESPEED, STORAGE = WaveSpeed(), WaveSpeedStorage()
FLASH = "luma/ray-2-flash-t2v"

client_for, submitted, look, outcome = calls(WAVESPEED)
ask = partial(text, model="ray-flash-2")
image_to_video = partial(ask, operation=Operation.IMAGE_TO_VIDEO, first_frame=A)


@pytest.fixture
def wavespeed(monkeypatch):
    with led_to(WaveSpeedEmulator(), monkeypatch) as emulator:
        yield emulator


@pytest.fixture
def life(tmp_path) -> Life:
    return Life(tmp_path, WAVESPEED, STORAGE)


def answering(content: Any, status: int = 200) -> Fault:
    """An answer with nothing done."""
    return Fault(lambda _: json_reply(content, status), handled=False)


def posted(emulator: WaveSpeedEmulator, path: str) -> list[Any]:
    return [request.json for request in emulator.requests if (request.method, request.path) == ("POST", path)]


# -- what is sent -------------------------------------------------------------------------------------------

BODY = {"prompt": "a fox in the snow", "size": "1280*720", "duration": 5}


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        (ask(), {}),
        (ask(duration=10), {"duration": 10}),
        (ask(aspect_ratio="9:16"), {"size": "720*1280"}),
        (ask(model="ray-2"), {}),
        (ask(prompt=" a fox 🦊 "), {"prompt": " a fox 🦊 "}),
        (ask(enhance_prompt=True), {"enable_prompt_optimizer": True}),
        (ask(take=7), {}),
        (image_to_video(), {"image": URLS[A.sha256]}),
    ],
    ids=["text", "ten seconds", "upright", "ray-2", "prompt", "enhanced", "take", "picture"],
)
def test_each_setting_becomes_its_field(request_, sent):
    assert WAVESPEED.encode(request_, URLS) == {**BODY, **sent}


@pytest.mark.parametrize(
    ("model", "operation", "path"),
    [
        ("ray-2", Operation.TEXT_TO_VIDEO, "/luma/ray-2-t2v"),
        ("ray-2", Operation.IMAGE_TO_VIDEO, "/luma/ray-2-i2v"),
        ("ray-flash-2", Operation.TEXT_TO_VIDEO, "/luma/ray-2-flash-t2v"),
        ("ray-flash-2", Operation.IMAGE_TO_VIDEO, "/luma/ray-2-flash-i2v"),
    ],
)
def test_each_model_has_its_own_address(wavespeed, model, operation, path):
    frame = A if operation is Operation.IMAGE_TO_VIDEO else None
    job = submitted(wavespeed, ask(model=model, operation=operation, first_frame=frame))
    (request,) = wavespeed.requests
    assert request.path == path
    assert request.headers["Authorization"] == f"Bearer {wavespeed.key}"
    assert job.id == wavespeed.creates[0].id


def test_every_combination_on_offer_is_taken_from_the_sdk_as_well(wavespeed):
    client = Sdk(wavespeed.key, base_url=wavespeed.origin)
    ratios, seconds, flags = ("16:9", "9:16"), (5, 10), (False, True)
    clips = [offer for offer in WAVESPEED.offers if offer.remaking is None]
    combinations = itertools.product(clips, ratios, seconds, flags)
    for offer, ratio, duration, enhance in combinations:
        frame = A if offer.operation is Operation.IMAGE_TO_VIDEO else None
        request = GenerationRequest(
            operation=offer.operation,
            model=offer.model,
            prompt="a fox",
            aspect_ratio=ratio,
            duration=duration,
            first_frame=frame,
            enhance_prompt=enhance,
        )
        assert offer.refusals(request) == []
        client._submit(offer.endpoint, WAVESPEED.encode(request, URLS))
    assert len(wavespeed.creates) == 32


REFUSED = {
    "nine seconds": (ask(duration=9), "no 9 s (5 s, 10 s only)"),
    "a resolution": (ask(resolution="1080p"), "no 1080p (720p only)"),
    "a ratio": (ask(aspect_ratio="1:1"), "no 1:1 (16:9, 9:16 only)"),
    "a loop": (ask(loop=True), "no loop"),
    "a concept": (ask(concepts=("push_in",)), "no camera concept 'push_in'"),
    "no prompt with a picture": (image_to_video(prompt=""), "the prompt is empty, and it is required"),
    "a last frame": (image_to_video(last_frame=A), "picture as last frame"),
}


@pytest.mark.parametrize(("request_", "words"), REFUSED.values(), ids=REFUSED)
def test_what_it_does_not_sell_is_refused_before_anything_is_sent(wavespeed, life, request_, words):
    assert words in refused(life, wavespeed, request_)


def test_the_prices_on_offer_are_those_of_the_emulator_and_ray_2_says_that_it_is_unverified():
    known = {(offer.model, *key): usd for offer in WAVESPEED.offers for key, usd in offer.prices.items()}
    assert known == {
        ("ray-2", "720p", 5): Decimal("0.40"),
        ("ray-flash-2", "720p", 5): Decimal("0.20"),
        ("ray-flash-2", "720p", 10): Decimal("0.40"),
    }
    sources = {offer.model: offer.price_source for offer in WAVESPEED.offers if offer.prices}
    unverified = {model: source.unverified for model, source in sources.items()}
    assert unverified == {"ray-2": True, "ray-flash-2": False}


# -- the create ---------------------------------------------------------------------------------------------


def test_the_address_to_ask_is_kept_where_it_is_of_the_same_origin(wavespeed):
    job = submitted(wavespeed, ask())
    assert job.details == {"get": f"{wavespeed.base_url}/predictions/{job.id}/result"}


@pytest.mark.parametrize(
    "urls", [{"get": "https://evil.test/x"}, {"get": "//evil.test/x"}, {"get": None}, {}, None]
)
def test_another_address_is_left_out_and_the_documented_path_asked(wavespeed, urls):
    wavespeed.fail_next("POST", "/luma/*", altered(urls=urls))
    job = submitted(wavespeed, ask())
    assert job.details == {}
    assert isinstance(outcome(wavespeed, job), Completed)
    assert {request.path for request in wavespeed.requests if request.method == "GET"} == {
        f"/predictions/{job.id}/result"
    }


def test_the_address_that_was_returned_is_the_one_that_is_asked(wavespeed):
    job = submitted(wavespeed, ask())
    other = Job(id=job.id, details={"get": f"{wavespeed.base_url}/predictions/{job.id}"})
    look(wavespeed, other)
    assert wavespeed.requests[-1].path == f"/predictions/{job.id}"


def test_an_address_kept_from_another_origin_is_not_asked(wavespeed):
    made = submitted(wavespeed, ask())
    moved = Job(id=made.id, details={"get": "https://api.wavespeed.ai/api/v3/predictions/x/result"})
    assert isinstance(outcome(wavespeed, moved), Completed)


@pytest.mark.parametrize("errors_", ["status", "envelope"])
@pytest.mark.parametrize("seconds", [5, 10])
def test_the_duration_goes_as_a_string_where_the_integer_was_refused_with_1401(errors_, seconds):
    with WaveSpeedEmulator(durations="string", errors=errors_) as emulator:
        submitted(emulator, ask(duration=seconds))
        sent = [body["duration"] for body in posted(emulator, f"/{FLASH}")]
        assert sent == [seconds, str(seconds)]
        assert [work.seconds for work in emulator.creates] == [seconds]
        assert len(emulator.ledger) == 1


def test_the_integer_goes_alone_where_it_is_taken(wavespeed):
    submitted(wavespeed, ask())
    assert [body["duration"] for body in posted(wavespeed, f"/{FLASH}")] == [5]


@pytest.mark.parametrize("code", [400, 1200, 1400, 1402, 402, 404, 429])
def test_no_other_refusal_is_sent_again(wavespeed, code):
    wavespeed.fail_next("POST", "/luma/*", answering({"code": code, "message": "duration"}, 400))
    with pytest.raises(errors.Rejected):
        submitted(wavespeed, ask())
    assert len(posted(wavespeed, f"/{FLASH}")) == 1


def test_a_1401_with_a_task_in_it_is_a_task_and_not_sent_again(wavespeed):
    failed = {"id": "made", "status": "failed", "code": 1401, "error": "duration is invalid"}
    wavespeed.fail_next(
        "POST", "/luma/*", answering({"code": 1401, "message": "duration is invalid", "data": failed})
    )
    assert submitted(wavespeed, ask()).id == "made"
    assert len(posted(wavespeed, f"/{FLASH}")) == 1


def test_a_1401_that_stays_is_told_in_the_first_words_with_nothing_billed(wavespeed):
    refused = [answering({"code": 1401, "message": f"size is wrong {time}"}, 400) for time in (1, 2)]
    for fault in refused:
        wavespeed.fail_next("POST", "/luma/*", fault)
    with pytest.raises(errors.Rejected) as caught:
        submitted(wavespeed, ask())
    assert str(caught.value) == "WaveSpeedAI does not take a setting: size is wrong 1. Nothing was billed."


def test_what_spoils_the_second_try_is_told_as_what_it_is():
    with WaveSpeedEmulator(durations="string") as emulator:
        emulator.fail_next("POST", "/luma/*", Fault.lost_answer(), after=1)
        with pytest.raises(errors.SubmissionUncertain):
            submitted(emulator, ask())
        assert len(emulator.creates) == 1


def test_an_optimizer_that_is_gone_is_named():
    with (
        WaveSpeedEmulator(optimizer=False) as emulator,
        pytest.raises(errors.Rejected, match=r"enable_prompt_optimizer.*switch the enhancing .* off\.$"),
    ):
        submitted(emulator, ask(enhance_prompt=True))


def test_an_optimizer_goes_along_with_a_duration_as_a_string():
    with WaveSpeedEmulator(durations="string") as emulator:
        submitted(emulator, ask(enhance_prompt=True))
        assert emulator.creates[0].body == {**BODY, "duration": "5", "enable_prompt_optimizer": True}


TROUBLES = {
    "unauthorized": (errors.Unauthorized, "does not accept the key"),
    "no money": (errors.InsufficientCredits, "Top it up at wavespeed.ai"),
    "rate limit": (errors.RateLimited, "wants fewer requests"),
    "moderation": (errors.ContentRefused, "content check"),
    "server error": (errors.SubmissionUncertain, "may have been created and billed"),
}


@pytest.mark.parametrize(("kind", "told"), TROUBLES.items(), ids=TROUBLES)
@pytest.mark.parametrize("errors_", ["status", "envelope"])
def test_every_refusal_means_the_same_as_a_status_and_inside_an_envelope(errors_, kind, told):
    with WaveSpeedEmulator(errors=errors_) as emulator:
        emulator.fail_next(*emulator.create, emulator.refusing(kind))
        with pytest.raises(told[0], match=told[1]) as caught:
            submitted(emulator, ask())
        assert "Nothing was billed" in str(caught.value) or kind == "server error"


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (400, {"code": 400, "message": "Insufficient credits."}, errors.InsufficientCredits),
        (400, {"code": 400, "message": "Please top up your account."}, errors.InsufficientCredits),
        (403, {"code": 403, "message": "Insufficient balance"}, errors.InsufficientCredits),
        (403, {"code": 403, "message": "Role viewer may not", "error_code": "ROLE"}, errors.Unauthorized),
        (429, {"code": 429, "message": "Too many requests, top up for a higher level"}, errors.RateLimited),
        (500, {"code": 500, "message": "Insufficient balance to start"}, errors.SubmissionUncertain),
        (200, {"code": 402, "message": "Insufficient balance"}, errors.InsufficientCredits),
        (200, {"code": 429, "message": "top up for a higher level"}, errors.RateLimited),
        (200, {"code": 5000, "message": "Insufficient balance"}, errors.SubmissionUncertain),
        (500, {"code": 1401, "message": "duration"}, errors.SubmissionUncertain),
        (500, {"code": 1200, "message": "sensitive"}, errors.SubmissionUncertain),
        (404, {"code": 404, "message": "Model not found"}, errors.ModelNotServed),
        (200, {"code": 404, "message": "Model not found"}, errors.ModelNotServed),
        (400, {"code": 1402, "message": "no media"}, errors.Rejected),
        (200, {"code": 1400, "message": "prompt is missing"}, errors.Rejected),
        (200, {"code": 1403, "message": "The task could not be completed"}, errors.SubmissionUncertain),
        (200, {"code": 5003, "message": "The service is temporarily unavailable"}, errors.SubmissionUncertain),
        (200, {"code": "odd", "message": "x"}, errors.UnexpectedReply),
        (200, {"code": 200, "message": "success", "data": {}}, errors.UnexpectedReply),
        (200, {"code": 200, "message": "success", "data": None}, errors.UnexpectedReply),
        (200, [], errors.UnexpectedReply),
    ],
)  # fmt: skip
def test_what_a_refusal_is_decides_its_code_and_its_words(wavespeed, status, content, error):
    wavespeed.fail_next("POST", "/luma/*", answering(content, status))
    with pytest.raises(errors.GenerationError) as caught:
        submitted(wavespeed, ask())
    assert type(caught.value) is error


def test_the_name_of_an_error_is_told_with_its_message(wavespeed):
    content = {"code": 403, "message": "This key was created by a viewer", "error_code": "ROLE_DENIED"}
    wavespeed.fail_next("POST", "/luma/*", answering(content, 403))
    with pytest.raises(errors.Unauthorized, match=r"created by a viewer \[ROLE_DENIED\]"):
        submitted(wavespeed, ask())


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("code", [1400, 1401, 402, 404, 429])
def test_what_it_quotes_in_a_refusal_holds_no_key_and_no_signature(wavespeed, status, code):
    said = f"cannot use https://b.test/a.png?X-Amz-Signature=abc with {wavespeed.key}"
    for _ in range(1 + (code == 1401)):
        wavespeed.fail_next("POST", "/luma/*", answering({"code": code, "message": said}, status))
    with pytest.raises(errors.Rejected) as caught:
        submitted(wavespeed, ask())
    assert "https://b.test/a.png?<cut> with <key>" in str(caught.value)


# -- what it answers ----------------------------------------------------------------------------------------


def test_a_job_is_waited_for_through_its_states(wavespeed):
    job = submitted(wavespeed, ask())
    first, second = (look(wavespeed, job) for _ in range(2))
    assert first == Pending(note="processing")
    assert second.url.startswith(f"{wavespeed.origin}/assets/{job.id}.mp4")
    assert second.billed_usd == Decimal("0.2")


@pytest.mark.parametrize("word", ["created", "processing", "pending"])
def test_every_word_for_running_is_waited_for(wavespeed, word):
    job = submitted(wavespeed, ask())
    wavespeed.fail_next(*wavespeed.poll, altered(status=word))
    assert look(wavespeed, job) == Pending(note=word)


ENDINGS = {
    "failed": "WaveSpeedAI's job failed: The task execution failed. Try again, or change the prompt.",
    "cancelled": "WaveSpeedAI cancelled the job",
    "timeout": "took too long",
    "deleted": "was deleted at WaveSpeedAI",
}


@pytest.mark.parametrize(("ending", "told"), ENDINGS.items(), ids=ENDINGS)
def test_every_other_end_is_a_failure_with_what_became_of_the_money(ending, told):
    with WaveSpeedEmulator(ending=ending) as emulator:
        failed = outcome(emulator, submitted(emulator, ask()))
    assert isinstance(failed, Failed)
    assert told in failed.reason
    assert failed.billing == "WaveSpeedAI's billing records show that it was refunded."


def test_a_failure_that_is_not_refunded_is_told_with_its_price():
    with WaveSpeedEmulator(refunds=False) as emulator:
        failed = outcome(emulator, submitted(emulator, ask(prompt="a doomed fox")))
    assert failed.billing == "WaveSpeedAI's billing records show $0.20 for it so far."


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(403, {"code": 403, "message": "Role viewer may not"}),
        Fault.status(500),
        Fault.lost_request(),
        Fault.html(200),
        answering({"code": 200, "message": "success", "data": {"items": []}}),
        answering({"code": 200, "message": "success", "data": {"items": [{"price": "x"}]}}),
        answering({"code": 5000, "message": "x"}),
    ],
    ids=["role", "500", "lost", "page", "nothing", "strange", "envelope"],
)
def test_where_the_bill_cannot_be_seen_the_job_is_told_all_the_same(wavespeed, fault):
    done, failed = submitted(wavespeed, ask()), submitted(wavespeed, ask(prompt="a doomed fox"))
    wavespeed.fail_next("POST", "/billings/search", fault, times=2)
    assert outcome(wavespeed, done).billed_usd is None
    assert outcome(wavespeed, failed).billing == (
        "Whether it is billed is not documented: your billing records at wavespeed.ai tell."
    )


def test_the_bill_of_another_job_is_not_taken_for_ours(wavespeed):
    job = submitted(wavespeed, ask())
    other = {"billing_type": "deduct", "price": 9, "prediction": {"uuid": "other"}}
    fault = answering({"code": 200, "message": "success", "data": {"items": [other]}})
    wavespeed.fail_next("POST", "/billings/search", fault)
    assert outcome(wavespeed, job).billed_usd is None


@pytest.mark.parametrize("sign", [1, -1])
def test_a_bill_is_read_with_either_sign(wavespeed, sign):
    job = submitted(wavespeed, ask())
    ours = {"prediction": {"uuid": job.id}}
    items = [
        {"billing_type": "deduct", "price": -0.4 * sign, **ours},
        {"billing_type": "refund", "price": 0.1 * sign, **ours},
    ]
    fault = answering({"code": 200, "message": "success", "data": {"items": items}})
    wavespeed.fail_next("POST", "/billings/search", fault)
    assert outcome(wavespeed, job).billed_usd == Decimal("0.3")


FAILURES = {
    1200: "content check found something sensitive",
    1400: "job failed: what it says",
    1401: "job failed: what it says",
    1402: "could not fetch the picture's URL",
    1403: "job failed: what it says",
    1405: "job failed: what it says",
    5000: "internal error",
    5003: "not available",
    5004: "took too long",
    None: "job failed: what it says",
    9999: "job failed: what it says",
}


@pytest.mark.parametrize(("code", "told"), FAILURES.items(), ids=str)
def test_every_code_of_a_failed_task_has_a_sentence(wavespeed, code, told):
    job = submitted(wavespeed, ask())
    wavespeed.fail_next(*wavespeed.poll, altered(status="failed", code=code, error="what it says."))
    reason = outcome(wavespeed, job).reason
    assert told in reason
    assert reason.endswith(".")
    assert ".." not in reason


def test_a_failure_without_words_is_told_and_one_with_a_signed_url_keeps_it_back(wavespeed):
    job = submitted(wavespeed, ask())
    for error, told in (
        (None, "no reason given"),
        ("cannot read https://b.test/a.png?X-Amz-Signature=abc", "https://b.test/a.png?<cut>"),
    ):
        wavespeed.fail_next(*wavespeed.poll, altered(status="failed", code=1403, error=error))
        assert told in outcome(wavespeed, job).reason


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "paused"},
        {"status": None},
        {"status": ["failed"]},
        {"status": "completed", "outputs": []},
        {"status": "completed", "outputs": None},
        {"status": "completed", "outputs": [None]},
        {"status": "completed", "outputs": [{"other": 1}]},
    ],
)
def test_an_answer_outside_the_contract_is_unexpected_never_a_failure_of_the_job(wavespeed, fields):
    job = submitted(wavespeed, ask())
    wavespeed.fail_next(*wavespeed.poll, altered(**fields))
    with pytest.raises(errors.UnexpectedReply):
        look(wavespeed, job)


def test_an_output_may_be_an_object(wavespeed):
    job = submitted(wavespeed, ask())
    wavespeed.fail_next(*wavespeed.poll, altered(status="completed", outputs=[{"url": "https://a.test/b"}]))
    assert look(wavespeed, job).url == "https://a.test/b"


@pytest.mark.parametrize("code", [500, 503, 5000, 5003, 5004])
def test_a_question_answered_with_trouble_inside_the_envelope_is_asked_again_later(wavespeed, code):
    job = submitted(wavespeed, ask())
    wavespeed.fail_next(*wavespeed.poll, answering({"code": code, "message": "x"}))
    with pytest.raises(errors.ProviderUnavailable):
        look(wavespeed, job)


@pytest.mark.parametrize("errors_", ["status", "envelope"])
def test_a_job_nobody_knows_is_refused(errors_):
    with WaveSpeedEmulator(errors=errors_) as emulator, pytest.raises(errors.Rejected, match="404"):
        look(emulator, Job(id="nobody"))


@pytest.mark.parametrize("strange", ["../balance", "a/b", "a?b=c", "a#b", "//evil.test/x"])
def test_an_id_that_a_person_typed_stays_an_id(wavespeed, strange):
    with pytest.raises(errors.Rejected, match="404"):
        look(wavespeed, Job(id=strange))
    assert wavespeed.requests[0].path.startswith("/predictions/")
    assert wavespeed.requests[0].path.count("/") == 3


# -- the price ----------------------------------------------------------------------------------------------


def price(emulator: WaveSpeedEmulator, request: GenerationRequest) -> Any:
    (offer, _) = refusals(WAVESPEED, request)
    return WAVESPEED.price(client_for(emulator), offer, request)


@pytest.mark.parametrize(
    ("request_", "usd"),
    [
        (ask(), "0.2"),
        (ask(duration=10), "0.4"),
        (ask(model="ray-2"), "0.4"),
        (ask(model="ray-2", duration=10), "0.8"),
        (image_to_video(), "0.2"),
    ],
)
def test_the_price_is_asked_live(wavespeed, request_, usd):
    assert price(wavespeed, request_) == Decimal(usd)


def test_the_price_is_what_this_account_pays():
    with WaveSpeedEmulator(discount=0.25) as emulator:
        assert price(emulator, ask(duration=10)) == Decimal("0.3")


def test_prompt_and_picture_stay_here_when_the_price_is_asked(wavespeed):
    price(wavespeed, image_to_video(enhance_prompt=True))
    assert posted(wavespeed, "/model/price") == [
        {
            "model_id": "luma/ray-2-flash-i2v",
            "inputs": {"size": "1280*720", "duration": 5, "enable_prompt_optimizer": True},
        }
    ]


@pytest.mark.parametrize(
    ("told", "usd"),
    [
        ({"price": 0.2, "discounted_price": 0}, Decimal("0.2")),
        ({"price": 0.2}, Decimal("0.2")),
        ({"discounted_price": 0.1}, Decimal("0.1")),
        ({"price": 0.2, "currency": "EUR"}, None),
        ({"price": True}, None),
        ({"price": "0.2"}, None),
        ({}, None),
    ],
)
def test_a_price_that_is_none_is_not_made_up(wavespeed, told, usd):
    wavespeed.fail_next("POST", "/model/price", answering({"code": 200, "message": "success", "data": told}))
    assert price(wavespeed, ask()) == usd


# -- stopping -----------------------------------------------------------------------------------------------


def test_a_running_job_is_asked_to_stop(wavespeed):
    job = submitted(wavespeed, ask())
    assert WAVESPEED.cancel(client_for(wavespeed), job) == "asked"
    assert "deleted" in outcome(wavespeed, job).reason
    assert outcome(wavespeed, job).billing == "WaveSpeedAI's billing records show $0.10 for it so far."


def test_a_finished_clip_is_not_deleted(wavespeed):
    job = submitted(wavespeed, ask())
    outcome(wavespeed, job)
    assert WAVESPEED.cancel(client_for(wavespeed), job) == "impossible"
    assert "DELETE" not in [request.method for request in wavespeed.requests]


@pytest.mark.parametrize(
    "fault",
    [
        answering({"code": 200, "message": "success", "data": {"id": "x", "status": "processing"}}),
        answering({"code": 403, "message": "Not authorized to delete"}, 403),
        answering({"code": 403, "message": "Not authorized to delete"}),
        answering({"code": 200, "message": "success", "data": None}),
        Fault.lost_request(),
    ],
    ids=["runs on", "403", "in the envelope", "nothing", "lost"],
)
def test_a_job_that_could_not_be_stopped_is_not_said_to_be(wavespeed, fault):
    job = submitted(wavespeed, ask())
    wavespeed.fail_next("DELETE", "/predictions/{id}", fault)
    with suppress(errors.GenerationError):  # which the lifecycle takes for the same
        assert WAVESPEED.cancel(client_for(wavespeed), job) == "impossible"
    assert isinstance(outcome(wavespeed, job), Completed)


# -- an unanswered create -----------------------------------------------------------------------------------


def found(emulator: WaveSpeedEmulator, request: GenerationRequest, since: float = 0, known: Any = ()) -> Any:
    lost = Unanswered(
        key="key", asked=request.describe(), since=since or emulator.creates[0].created_at, known=list(known)
    )
    return WAVESPEED.reconcile(client_for(emulator), lost)


def test_a_list_that_does_not_show_what_was_asked_decides_nothing(wavespeed):
    job = submitted(wavespeed, ask())
    with pytest.raises(errors.UnexpectedReply, match=f"not known here: {job.id}"):
        found(wavespeed, ask())
    (asked,) = posted(wavespeed, "/predictions")
    assert (asked["model"], asked["page_size"]) == (FLASH, 100)


@pytest.fixture(params=["inputs", "input"])
def showing(request):
    """A list as WaveSpeedAI's CLI reads it."""
    with WaveSpeedEmulator(shows_inputs=request.param) as emulator:
        yield emulator


def test_where_the_list_shows_it_the_one_match_is_taken(showing):
    submitted(showing, ask(prompt="another fox"))
    job = submitted(showing, ask())
    submitted(showing, ask(model="ray-2"))
    assert found(showing, ask()) == Job(id=job.id)


DIFFERENT = {
    "prompt": ask(prompt="another fox"),
    "duration": ask(duration=10),
    "ratio": ask(aspect_ratio="9:16"),
    "model": ask(model="ray-2"),
    "optimizer": ask(enhance_prompt=True),
    "operation": image_to_video(),
}


@pytest.mark.parametrize("other", DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_in_anything_is_another_s(other):
    with WaveSpeedEmulator(shows_inputs="inputs") as emulator:
        submitted(emulator, other)
        assert found(emulator, ask()) is None
        assert found(emulator, other, known=[emulator.creates[0].id]) is None


def test_of_two_that_match_neither_is_taken():
    with WaveSpeedEmulator(shows_inputs="inputs") as emulator:
        one, other = submitted(emulator, ask()), submitted(emulator, ask())
        with pytest.raises(errors.UnexpectedReply, match="which job this is"):
            found(emulator, ask())
        assert found(emulator, ask(), known=[one.id]) == Job(id=other.id)


def test_a_task_of_another_time_is_not_ours():
    clock = FakeClock()
    with WaveSpeedEmulator(shows_inputs="inputs", now=clock.now) as emulator:
        submitted(emulator, ask())
        assert found(emulator, ask(), since=clock.now() + 301) is None
        assert found(emulator, ask(), since=clock.now() - 3601) is None
        assert found(emulator, ask(), since=clock.now() + 299) is not None


@pytest.mark.parametrize("told", ["2020-01-01T00:00:00.123456789Z", "yesterday", None])
def test_the_time_is_looked_at_also_where_the_list_was_not_filtered(told):
    with WaveSpeedEmulator(shows_inputs="inputs") as emulator:
        submitted(emulator, ask())
        item = {"id": "old", "model": FLASH, "created_at": told, "inputs": BODY}
        listed = {"code": 200, "message": "success", "data": {"page": 1, "items": [item]}}
        emulator.fail_next("POST", "/predictions", answering(listed))
        assert found(emulator, ask()) is None


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        (f"https://bucket.test/luma-ray/{'ab' * 32}.png?X-Amz-Signature=x", True),
        (f"https://media.test/{'ab' * 16}.png", True),
        ("https://media.test/1752740578864245722_XP0WTPNJ.png", False),
        (f"https://media.test/{'cd' * 16}.png", False),
    ],
)
def test_a_picture_is_ours_where_its_address_holds_the_name_we_gave_it(address, ours):
    with WaveSpeedEmulator(shows_inputs="inputs") as emulator:
        job = submitted(emulator, image_to_video(), pictures={A.sha256: address})
        assert found(emulator, image_to_video()) == (Job(id=job.id) if ours else None)


def test_the_list_is_read_to_its_end():
    with WaveSpeedEmulator(shows_inputs="inputs", credit_usd=1e6) as emulator:
        job = submitted(emulator, ask())
        for _ in range(100):
            submitted(emulator, ask(prompt="another fox"))
        assert found(emulator, ask()) == Job(id=job.id)
        assert [body["page"] for body in posted(emulator, "/predictions")] == [1, 2]


def test_a_list_that_cannot_be_read_is_not_an_empty_list(wavespeed):
    submitted(wavespeed, ask())
    wavespeed.fail_next("POST", "/predictions", Fault.status(500))
    with pytest.raises(errors.ProviderUnavailable):
        found(wavespeed, ask())


# -- the storage --------------------------------------------------------------------------------------------


def publish(folder: Any, still: Any = None) -> str:
    return STORAGE.publish(still or photograph(40), Credentials(folder), FakeClock())


def test_a_picture_is_put_there_in_two_steps_and_read_without_a_key(wavespeed, tmp_path):
    still = photograph(40)
    address = publish(tmp_path, still)
    reply = requests.get(address, timeout=5)
    assert reply.headers["Content-Type"] == "image/png"
    assert reply.content == still.encode("image/png")
    assert pictures.picture(reply.content).width == 320
    ticket, put = wavespeed.requests[:2]
    assert (ticket.path, put.method) == ("/media/uploads", "PUT")
    assert ticket.json == {
        "filename": f"{still.sha256[:32]}.png",
        "size": len(reply.content),
        "content_type": "image/png",
    }
    assert "Authorization" not in put.headers
    assert wavespeed.leaks == []


OLDER = {
    "no tickets": Fault.status(404),
    "server error": Fault.status(500),
    "a refusal in the envelope": answering({"code": 5003, "message": "x"}),
    "strange": answering({"code": 200, "message": "success", "data": {}}),
    "no address": altered(download_url=""),
    "a storage that is not public": altered(
        upload={"method": "PUT", "url": "http://10.0.0.1/x", "headers": {}}
    ),
    "lost": Fault.lost_request(),
}


@pytest.mark.parametrize("fault", OLDER.values(), ids=OLDER)
def test_where_that_does_not_work_the_older_way_is_taken(wavespeed, tmp_path, fault):
    wavespeed.fail_next("POST", "/media/uploads", fault)
    still = photograph(40)
    assert requests.get(publish(tmp_path, still), timeout=5).content == still.encode("image/png")
    assert [request.path for request in wavespeed.requests][1] == "/media/upload/binary"
    assert wavespeed.leaks == []


def test_a_ticket_for_another_method_than_put_is_not_used(wavespeed, tmp_path):
    ticket = {"method": "POST", "url": f"{wavespeed.origin}/storage/x/y", "headers": {}}
    wavespeed.fail_next("POST", "/media/uploads", altered(upload=ticket))
    publish(tmp_path)
    assert [request.path for request in wavespeed.requests] == ["/media/uploads", "/media/upload/binary"]


def test_a_storage_that_refuses_the_picture_leads_to_the_older_way(wavespeed, tmp_path):
    wavespeed.fail_next("PUT", "/storage/*", Fault.status(403))
    assert publish(tmp_path).startswith(wavespeed.origin)
    assert [request.method for request in wavespeed.requests] == ["POST", "PUT", "POST"]


def test_either_way_alone_is_enough(monkeypatch, tmp_path):
    for options in ({"tickets": False}, {"forms": False}):
        with led_to(WaveSpeedEmulator(**options), monkeypatch):
            assert requests.get(publish(tmp_path), timeout=5).status_code == 200


def test_without_any_way_both_reasons_are_told_and_nothing_was_billed(monkeypatch, tmp_path):
    with led_to(WaveSpeedEmulator(tickets=False), monkeypatch) as emulator:
        emulator.fail_next(
            "POST", "/media/upload/binary", answering({"code": 413, "message": "File too large"}, 413)
        )
        with pytest.raises(errors.UploadFailed) as caught:
            publish(tmp_path)
    told = str(caught.value)
    assert "(404)" in told
    assert "(413): File too large" in told
    assert told.endswith("No clip was bought, nothing was billed.")
    assert "http" not in told


@pytest.mark.parametrize("errors_", ["status", "envelope"])
def test_a_wrong_key_is_told_at_once(monkeypatch, tmp_path, errors_):
    with led_to(WaveSpeedEmulator(errors=errors_), monkeypatch) as emulator:
        monkeypatch.setenv("WAVESPEED_API_KEY", "wsk_wrong-0123456789")
        with pytest.raises(errors.UploadFailed, match="does not accept the key"):
            publish(tmp_path)
        assert len(emulator.requests) == 1


def test_the_storage_is_ready_with_the_key_alone_and_says_how(tmp_path, monkeypatch):
    credentials = Credentials(tmp_path)
    assert not STORAGE.ready(credentials)
    with pytest.raises(errors.HostingRequired, match=r"WAVESPEED_API_KEY .*7 days"):
        choose([STORAGE], credentials, "Luma")
    monkeypatch.setenv("WAVESPEED_API_KEY", "wsk_0123456789")
    assert choose([STORAGE], credentials, "Luma") is STORAGE


def test_wavespeed_uses_its_own_storage_where_a_bucket_is_set_up_too(tmp_path, monkeypatch):
    monkeypatch.setenv("WAVESPEED_API_KEY", "wsk_0123456789")
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "pictures")
    chosen = choose([S3(), STORAGE], Credentials(tmp_path), WAVESPEED.title, WAVESPEED.hosting)
    assert chosen is STORAGE


# -- whole lives --------------------------------------------------------------------------------------------


def test_from_a_prompt_to_a_clip_on_disk_with_its_live_price_and_its_bill(monkeypatch, life):
    with led_to(WaveSpeedEmulator(discount=0.1), monkeypatch) as emulator:
        clip = life.buy(ask(model="ray-2", duration=10))
        assert clip.path.read_bytes() == emulator.film(emulator.creates[0])
        row = life.row()
        assert (row.state, row.estimate_usd, row.billed_usd) == (
            "completed",
            Decimal("0.72"),
            Decimal("0.72"),
        )
        assert row.job.id == emulator.creates[0].id
        assert emulator.leaks == []
    assert "processing at WaveSpeedAI" in life.reports.words


def test_a_picture_goes_through_its_storage_and_becomes_the_first_frame(wavespeed, life):
    still = photograph(200)
    clip = life.buy(image_to_video(first_frame=still))
    first, _, _ = pictures.edges(clip.path.read_bytes())
    sent = pictures.covering(pictures.picture(still.encode("image/png")), (first.width, first.height))
    assert pictures.difference(first, sent) < 3
    assert "uploading 320x180 to WaveSpeedAI's storage" in life.reports.words
    assert wavespeed.leaks == []
    assert "http" not in str({**vars(life.row()), "job": None})


def test_a_picture_over_the_20_mb_of_its_storage_goes_as_jpeg_and_the_node_says_so(wavespeed, life):
    grain = np.random.default_rng(0).integers(0, 200, (2000, 3800, 3), np.uint8)
    life.buy(image_to_video(first_frame=images.still(images.tensor(grain), name="first_frame")))
    (upload,) = wavespeed.uploads.values()
    assert upload.content_type == "image/jpeg"
    assert upload.size < 20_000_000
    assert "first_frame sent as JPEG (WaveSpeedAI's storage takes files of up to 20 MB)" in life.reports.words


def test_a_picture_is_uploaded_once_for_many_clips(wavespeed, life):
    for take in (1, 2):
        life.buy(image_to_video(first_frame=photograph(200), take=take))
    assert len(posted(wavespeed, "/media/uploads")) == 1
    assert len(wavespeed.creates) == 2


def test_where_only_strings_are_taken_a_clip_is_bought_once(monkeypatch, life):
    with led_to(WaveSpeedEmulator(durations="string", errors="envelope"), monkeypatch) as emulator:
        life.buy(ask())
        assert len(emulator.creates) == 1
        assert life.row().state == "completed"


def test_a_lost_answer_is_found_again_where_the_list_shows_what_was_asked(monkeypatch, life):
    with led_to(WaveSpeedEmulator(shows_inputs="inputs"), monkeypatch) as emulator:
        emulator.fail_next(*emulator.create, Fault.lost_answer())
        clip = life.buy(ask())
        assert [work.id for work in emulator.creates] == [clip.entry.job.id]
        assert len(emulator.ledger) == 1


def test_a_job_that_the_person_finds_on_the_page_is_taken_over(wavespeed, life):
    wavespeed.fail_next(*wavespeed.create, Fault.lost_answer())
    with pytest.raises(errors.SubmissionUncertain):
        life.buy(ask())
    life.found(life.row().id, wavespeed.creates[0].id, clock=life.clock)
    assert life.buy(ask()).path.is_file()
    assert len(wavespeed.creates) == 1


def test_a_stopped_wait_asks_the_job_to_stop_and_tells_that_it_may_be_billed(wavespeed, life):
    wavespeed.pace = replace(wavespeed.pace, polls=50)

    def stop() -> None:
        if wavespeed.creates:
            life.clock.stop.set()

    life.clock.on_sleep = stop
    with pytest.raises(errors.Interrupted, match="was asked to stop, and may still bill it"):
        life.buy(ask())
    assert [request.method for request in wavespeed.requests].count("DELETE") == 1
    life.clock.stop.clear()
    with pytest.raises(errors.GenerationFailed, match=r"deleted at WaveSpeedAI.*show \$0\.10 for it"):
        life.buy(ask())


def test_a_picture_that_expired_in_the_storage_is_told_as_such(wavespeed, life):
    life.clock.on_sleep = wavespeed.uploads.clear
    wavespeed.pace = replace(wavespeed.pace, polls=4)
    with pytest.raises(errors.GenerationFailed, match=r"could not fetch the picture's URL.*refunded"):
        life.buy(image_to_video(first_frame=photograph(40)))


def test_the_key_goes_to_wavespeed_and_nowhere_else(wavespeed, life):
    with FileHost() as elsewhere:
        moved = altered(urls={"get": f"{elsewhere.origin}/predictions/x"})
        wavespeed.fail_next(*wavespeed.create, moved)
        life.buy(image_to_video(first_frame=photograph(40)))
        assert elsewhere.requests == []
    assert wavespeed.leaks == []
    assert wavespeed.key.encode() not in life.written()
    assert wavespeed.key not in life.reports.words
