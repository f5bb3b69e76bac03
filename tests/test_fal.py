"""fal.ai: what is sent, what is refused here, what is understood, its storage, and whole lives of clips."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import requests
from emulators.fal import APP, ASPECT_RATIOS, FalEmulator
from emulators.server import Fault, FileHost
from fakes import FakeClock, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.hosting import choose
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending
from luma_ray.nodes.generation.request import GenerationReference, Operation, StillImage
from luma_ray.nodes.generation.selection import refusals
from luma_ray.nodes.hosting.fal import Fal as FalStorage
from luma_ray.nodes.hosting.s3 import S3
from luma_ray.nodes.media import clips
from luma_ray.nodes.providers.fal import Fal
from purchase import KEY, URLS, A, B, Life, calls, led_to, photograph, refused

FAL, STORAGE = Fal(), FalStorage()
NOBODY = "80e732af-660e-45cd-bd63-580e4f2a94cc"
STATUS, RESULT = f"{APP}/requests/{{id}}/status", f"{APP}/requests/{{id}}"
ADDRESSES = ("status_url", "response_url", "cancel_url")
WEEK = {"expiration_duration_seconds": 7 * 86400}
client_for, submitted, look, outcome = calls(FAL)
ask = partial(text, model="ray-2", resolution="540p")
image_to_video = partial(ask, operation=Operation.IMAGE_TO_VIDEO, first_frame=A)
keyframes = partial(ask, operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=A, last_frame=B)


@pytest.fixture
def fal(monkeypatch):
    with led_to(FalEmulator(), monkeypatch) as emulator:
        yield emulator


@pytest.fixture
def life(tmp_path) -> Life:
    return Life(tmp_path, FAL, STORAGE)


def model_error(kind: str, words: str, where: tuple[str, ...] = ("body",)) -> dict[str, Any]:
    return {"detail": [{"loc": list(where), "msg": words, "type": kind, "url": "", "input": None}]}


# -- what is sent -------------------------------------------------------------------------------------------

WITHOUT_FRAMES = {
    "prompt": "a fox in the snow",
    "aspect_ratio": "16:9",
    "resolution": "540p",
    "duration": "5s",
    "loop": False,
}
FIRST, LAST = {"image_url": URLS[A.sha256]}, {"end_image_url": URLS[B.sha256]}
RECIPES = {
    "text": (ask(), "", {}),
    "start frame": (image_to_video(), "/image-to-video", FIRST),
    "end frame": (keyframes(first_frame=None), "/image-to-video", LAST),
    "start and end": (keyframes(), "/image-to-video", {**FIRST, **LAST}),
}


@pytest.mark.parametrize(("request_", "path", "frames"), RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize(("model", "theirs"), [("ray-2", "ray-2"), ("ray-flash-2", "ray-2-flash")])
def test_each_request_goes_to_its_endpoint_with_exactly_its_fields(
    fal, request_, path, frames, model, theirs
):
    job = submitted(fal, replace(request_, model=model))
    (sent,) = fal.requests
    assert (sent.method, sent.target) == ("POST", f"{APP}/{theirs}{path}")
    assert sent.json == {**WITHOUT_FRAMES, **frames}
    assert sent.headers["Authorization"] == f"Key {fal.key}"
    assert job.id == fal.creates[0].id


@pytest.mark.parametrize(
    ("others", "sent"),
    [
        ({"loop": True}, {"loop": True}),
        ({"duration": 9}, {"duration": "9s"}),
        ({"resolution": "1080p"}, {"resolution": "1080p"}),
        ({"aspect_ratio": "9:21"}, {"aspect_ratio": "9:21"}),
        ({"prompt": " a fox 🦊 "}, {"prompt": " a fox 🦊 "}),
        ({"model": "ray-flash-2"}, {}),
        ({"take": 7}, {}),
    ],
)
def test_each_setting_becomes_its_field(others, sent):
    assert FAL.encode(ask(**others), {}) == {**WITHOUT_FRAMES, **sent}


def test_everything_on_offer_is_well_formed_for_fal():
    with FalEmulator(credit_usd=1000) as fal:
        for offer, seconds, resolution, ratio, loop in itertools.product(
            [offer for offer in FAL.offers if offer.remaking is None],
            (5, 9),
            ("540p", "720p", "1080p"),
            ASPECT_RATIOS,
            (False, True),
        ):
            for kinds in sorted(offer.loops if loop else offer.keyframes):
                first, last = (
                    still if kind == "image" else None for still, kind in zip((A, B), kinds, strict=True)
                )
                request = ask(
                    operation=offer.operation,
                    model=offer.model,
                    duration=seconds,
                    resolution=resolution,
                    aspect_ratio=ratio,
                    loop=loop,
                    first_frame=first,
                    last_frame=last,
                )
                assert offer.refusals(request) == []
                FAL.submit(client_for(fal), offer, FAL.encode(request, URLS), KEY)
        # what a runner would refuse is not charged
        assert all(work.usd > 0 for work in fal.creates)
        assert len(fal.creates) == 2 * 36 * (4 + 2)


def test_a_clip_is_kept_in_public_for_a_week(fal):
    submitted(fal, ask())
    assert json.loads(fal.requests[0].headers["X-Fal-Object-Lifecycle-Preference"]) == WEEK
    assert FAL.keeps == WEEK["expiration_duration_seconds"]


# -- what is refused here, with nothing sent ----------------------------------------------------------------

REFUSED = {
    "no prompt": (image_to_video(prompt=""), "the prompt is empty"),
    "a short prompt": (ask(prompt="ab"), "at least 3"),
    "loop with both frames": (keyframes(loop=True), "no loop"),
    "loop with an end frame": (keyframes(first_frame=None, loop=True), "no loop"),
    "no keyframes": (keyframes(first_frame=None, last_frame=None), "a first or last frame is needed"),
    "ten seconds": (ask(duration=10), "no 10 s (5 s, 9 s only)"),
    "4k": (ask(resolution="4k"), "no 4k (540p, 720p, 1080p only)"),
    "a square": (ask(aspect_ratio="1:1"), "no 1:1"),
    "a concept": (ask(concepts=("push_in",)), "no camera concept 'push_in'"),
    "an enhanced prompt": (ask(enhance_prompt=True), "no prompt enhancement"),
    "another model": (ask(model="ray-3.2"), "no ray-3.2"),
    "an extension": (
        ask(
            operation=Operation.EXTEND_VIDEO,
            first_frame=GenerationReference(id="ray-0", provider="fal", job_id=NOBODY),
        ),
        "no extend video",
    ),
}


@pytest.mark.parametrize(("request_", "words"), REFUSED.values(), ids=REFUSED)
def test_what_fal_does_not_take_is_refused_before_anything_is_sent(fal, life, request_, words):
    assert words in refused(life, fal, request_)


# -- the job and its addresses ------------------------------------------------------------------------------


def test_the_addresses_that_fal_returns_are_kept_and_used(fal):
    job = submitted(fal, image_to_video())
    address = f"{fal.origin}{APP}/requests/{job.id}"
    assert job.details == dict(
        zip(ADDRESSES, (f"{address}/status", address, f"{address}/cancel"), strict=True)
    )
    moved = {name: url.replace("fal-ai", "elsewhere") for name, url in job.details.items()}
    with pytest.raises(errors.Rejected):
        look(fal, Job(id=job.id, details=moved))
    assert fal.requests[-1].target == f"{APP.replace('fal-ai', 'elsewhere')}/requests/{job.id}/status"


@pytest.mark.parametrize(
    "url", ["https://queue.fal.run/x", "http://evil.test/status", "//evil.test/x", "http://[", None, 5]
)
def test_an_address_of_another_origin_is_neither_kept_nor_asked(fal, url):
    fal.fail_next(*fal.create, Fault.fields(**dict.fromkeys(ADDRESSES, url)))
    with FileHost() as elsewhere:
        job = submitted(fal, ask())
        assert job.details == {}
        assert isinstance(outcome(fal, job), Completed)
        kept_by_an_older_version = Job(id=job.id, details=dict.fromkeys(ADDRESSES, elsewhere.origin))
        assert isinstance(look(fal, kept_by_an_older_version), Completed)
        FAL.cancel(client_for(fal), kept_by_an_older_version)
        assert elsewhere.requests == []


def test_a_job_known_by_its_id_alone_is_asked_about_and_cancelled(fal):
    job = Job(id=submitted(fal, image_to_video(model="ray-flash-2")).id)
    assert FAL.cancel(client_for(fal), job) == "asked"
    assert fal.requests[-1].target == f"{APP}/requests/{job.id}/cancel"
    assert isinstance(look(fal, job), Failed)


@pytest.mark.parametrize("strange", ["../ray-2", "a?b=c", "a#b", "//evil.test/x", "a/status"])
def test_an_id_that_a_person_typed_stays_an_id(fal, strange):
    with pytest.raises(errors.Rejected, match="404"):
        look(fal, Job(id=strange))
    assert fal.requests[0].target.startswith(f"{APP}/requests/")
    assert fal.requests[0].path.count("/") == 6
    assert "?" not in fal.requests[0].target


@pytest.mark.parametrize("answer", [{"request_id": None}, {"request_id": ""}, {"request_id": 5}])
def test_a_create_answered_without_an_id_is_outside_the_contract(fal, answer):
    fal.fail_next(*fal.create, Fault.fields(**answer))
    with pytest.raises(errors.UnexpectedReply):
        submitted(fal, ask())


# -- what fal answers ---------------------------------------------------------------------------------------


def test_a_job_is_waited_for_through_its_states():
    with FalEmulator(polls_until_done=6) as fal:
        jobs = [submitted(fal, ask()) for _ in range(4)]
        assert look(fal, jobs[3]) == Pending(note="queued, 3 before it")
        assert look(fal, jobs[0]) == Pending(note="queued")
        seen = [look(fal, jobs[0]) for _ in range(5)]
        assert seen[1] == Pending(note="generating")
        assert seen[-1].url.startswith(f"{fal.origin}/assets/{jobs[0].id}.mp4")
        assert seen[-1] == Completed(url=seen[-1].url)


@pytest.mark.parametrize("position", [None, "3", -1, [3]])
def test_a_place_in_the_queue_that_is_none_is_left_out(fal, position):
    job = submitted(fal, ask())
    fal.fail_next("GET", STATUS, Fault.fields(status="IN_QUEUE", queue_position=position))
    assert look(fal, job) == Pending(note="queued")


@pytest.mark.parametrize(
    "fields", [{"status": "PAUSED"}, {"status": "FAILED"}, {"status": None}, {"status": ["COMPLETED"]}]
)
def test_a_word_that_is_not_documented_is_unexpected_never_a_failure_of_the_job(fal, fields):
    job = submitted(fal, ask())
    fal.fail_next("GET", STATUS, Fault.fields(**fields))
    with pytest.raises(errors.UnexpectedReply):
        look(fal, job)
    assert isinstance(outcome(fal, job), Completed)


@pytest.mark.parametrize("video", [None, {}, {"url": None}, {"url": ""}, "https://a.test/a.mp4"])
def test_a_result_without_a_clip_is_unexpected_never_a_failure_of_the_job(fal, video):
    job = submitted(fal, ask())
    look(fal, job)
    fal.fail_next("GET", RESULT, Fault.fields(video=video))
    with pytest.raises(errors.UnexpectedReply):
        look(fal, job)


MODEL_ERRORS = {
    "moderation": (
        422,
        model_error("content_policy_violation", "It was flagged.", ("body", "prompt")),
        "The safety check at fal.ai stopped it: the prompt: It was flagged. Reword it or change the picture.",
    ),
    "a picture of somebody": (
        422,
        model_error("content_policy_violation", "It was flagged.", ("body", "image_url")),
        "stopped it: the first frame: It was flagged",
    ),
    "a picture that is gone": (
        422,
        model_error("file_download_error", "Failed to download.", ("body", "end_image_url")),
        "could not read a picture: the last frame: Failed to download",
    ),
    "a picture that is none": (
        422,
        model_error("image_load_error", "Failed to load.", ("body", "image_url")),
        "could not read a picture: the first frame: Failed to load",
    ),
    "Luma itself": (
        400,
        model_error("downstream_service_error", "Job failed."),
        "The model at fal.ai refused the request: Job failed.",
    ),
    "a field": (
        422,
        model_error("enum", "Input should be '5s' or '9s'", ("body", "duration")),
        "refused the request: duration: Input should be '5s' or '9s'.",
    ),
    "an endpoint that is gone": (
        404,
        {"detail": "Path /ray-2 not found"},
        "does not serve this model now: Path /ray-2 not found. Choose another provider.",
    ),
}


@pytest.mark.parametrize(("status", "content", "words"), MODEL_ERRORS.values(), ids=MODEL_ERRORS)
@pytest.mark.parametrize("told", [{}, {"error": "Invalid status code: 422"}], ids=["", "told in the status"])
def test_what_the_model_says_of_a_request_is_how_the_job_failed(fal, status, content, words, told):
    job = submitted(fal, ask())
    look(fal, job)
    fal.fail_next("GET", STATUS, Fault.fields(**told))
    fal.fail_next("GET", RESULT, Fault.status(status, content))
    failed = look(fal, job)
    assert words in failed.reason
    assert "may be charged" in failed.billing
    assert failed.reason.endswith(".")


SERVER_ERRORS = {
    "of the model": (500, {"detail": "Internal Server Error"}, "error 500: Internal Server Error"),
    "in a list": (
        500,
        model_error("internal_server_error", "It broke."),
        "error 500: It broke",
    ),
    "a time-out of the model": (504, model_error("generation_timeout", "Too slow."), "error 504: Too slow"),
}


@pytest.mark.parametrize(("status", "content", "words"), SERVER_ERRORS.values(), ids=SERVER_ERRORS)
def test_a_server_error_that_stays_is_how_the_job_failed_and_is_not_billed(fal, status, content, words):
    job = submitted(fal, ask())
    look(fal, job)
    # With the mark that all answers of fal carry.
    marked = Fault.status(status, content, headers={"X-Fal-Request-Id": job.id})
    fal.fail_next("GET", RESULT, marked, times=4)
    failed = look(fal, job)
    assert words in failed.reason
    assert failed.billing == "fal does not bill errors of its servers."


PASSING = {
    "gateway": Fault.html(502),
    "a page": Fault.html(500),
    "504": Fault.status(504, {"detail": "Gateway Timeout"}),
    "the platform": Fault.status(500, {"detail": "Internal", "error_type": "internal_error"}),
    "no answer": Fault.lost_request(),
    "too many": Fault.rate_limit(1),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_at_the_result_of_a_good_job_is_asked_again(fal, fault):
    job = submitted(fal, ask())
    look(fal, job)
    fal.fail_next("GET", RESULT, fault, times=3)
    assert isinstance(look(fal, job), Completed)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.html(504), errors.ProviderUnavailable),
        (Fault.status(500, {"detail": "I", "error_type": "internal_error"}), errors.ProviderUnavailable),
        (Fault.status(401, {"detail": "No user found for Key ID and Secret"}), errors.Unauthorized),
        (Fault.status(403, {"detail": "User is locked. Reason: Exhausted balance."}), errors.InsufficientCredits),
        (Fault.status(404, {"detail": "Request not found"}), errors.Rejected),
        (Fault.status(400, {"detail": "Request is still in progress"}), errors.Rejected),
    ],
    ids=["gateway", "platform", "key", "locked", "expired", "too early"],
)  # fmt: skip
def test_what_says_nothing_of_the_job_is_no_failure_of_the_job(fal, fault, kind):
    job = submitted(fal, ask())
    look(fal, job)
    fal.fail_next("GET", RESULT, fault, times=4 if kind is errors.ProviderUnavailable else 1)
    with pytest.raises(kind) as caught:
        look(fal, job)
    assert "Nothing was billed" not in str(caught.value)
    assert isinstance(look(fal, job), Completed)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            {"error": "Runner disconnected.", "error_type": "runner_disconnected"},
            "fal.ai could not run the job: Runner disconnected (runner_disconnected). It had tried by itself",
        ),
        ({"error_type": "startup_timeout"}, "could not run the job: startup_timeout."),
    ],
)
def test_what_the_platform_gave_up_is_told_in_its_words_and_not_billed(fal, told, words):
    job = submitted(fal, ask())
    look(fal, job)
    fal.fail_next("GET", STATUS, Fault.fields(**told))
    # once: that a job which was given up has no result is no reason to wait
    fal.fail_next("GET", RESULT, Fault.status(503, {"detail": "Unavailable"}))
    failed = look(fal, job)
    assert words in failed.reason
    assert failed.billing == "fal does not bill errors of its servers."


def test_a_failure_whose_result_cannot_be_read_is_told_in_the_words_of_the_status(fal):
    job = submitted(fal, ask())
    look(fal, job)
    fal.fail_next("GET", STATUS, Fault.fields(error="Invalid status code: 422"))
    fal.fail_next("GET", RESULT, Fault.html(502), times=4)
    failed = look(fal, job)
    assert "could not run the job: Invalid status code: 422." in failed.reason
    assert "may be charged" in failed.billing


def test_a_clip_that_is_there_counts_more_than_an_error_in_the_status(fal):
    job = submitted(fal, ask())
    look(fal, job)
    fal.fail_next("GET", STATUS, Fault.fields(error="Runner disconnected"))
    assert isinstance(look(fal, job), Completed)


@pytest.mark.parametrize(
    ("prompt", "words", "billing"),
    [
        ("an indecent fox", "the prompt: The content could not be processed", "may be charged"),
        (
            "a doomed fox",
            "Runner encountered an internal server error (runner_server_error)",
            "does not bill",
        ),
    ],
)
def test_a_job_that_fails_says_why_and_what_becomes_of_the_money(fal, prompt, words, billing):
    failed = outcome(fal, submitted(fal, ask(prompt=prompt)))
    assert words in failed.reason
    assert billing in failed.billing


# -- creates that are refused -------------------------------------------------------------------------------

CREATES = {
    "locked for money": (403, "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/x.",
                         errors.InsufficientCredits, "for want of money: User is locked"),
    "locked until paid": (403, "User is locked. Reason: TOP_UP.", errors.InsufficientCredits, "TOP_UP"),
    "locked by fal": (403, "User is locked. Reason: Admin lock. Please contact support@fal.ai",
                      errors.Unauthorized, "only its support opens it: User is locked"),
    "a key without the right": (403, "Forbidden", errors.Unauthorized, "Check that it is the key"),
    "a wrong key": (401, "No user found for Key ID and Secret", errors.Unauthorized, "No user found"),
    "a model that is gone": (404, 'Application "luma-dream-machine" not found', errors.ModelNotServed, "now: App"),
    "content": (422, model_error("content_policy_violation", "Flagged.", ("body", "prompt"))["detail"],
                errors.ContentRefused, "rules on content do not allow this: the prompt: Flagged. Nothing was"),
    "a field": (422, model_error("enum", "Input should be 5s", ("body", "duration"))["detail"],
                errors.Rejected, r"\(422\): duration: Input should be 5s"),
    "a header": (400, "Invalid timeout header", errors.Rejected, r"\(400\): Invalid timeout header"),
}  # fmt: skip


@pytest.mark.parametrize(("status", "detail", "kind", "words"), CREATES.values(), ids=CREATES)
def test_a_refused_create_is_told_as_what_it_is_and_not_billed(fal, status, detail, kind, words):
    fal.fail_next(*fal.create, Fault.status(status, {"detail": detail}))
    with pytest.raises(errors.Rejected, match=words) as caught:
        submitted(fal, ask())
    assert type(caught.value) is kind
    assert "Nothing was billed." in str(caught.value)


def test_too_many_requests_say_how_long_to_wait(fal):
    fal.fail_next(*fal.create, fal.refusing("rate limit"))
    with pytest.raises(errors.RateLimited) as caught:
        submitted(fal, ask())
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("fault", [Fault.status(500, {"detail": "Internal"}), Fault.html(502)])
def test_a_server_error_to_a_create_leaves_it_open_whether_there_is_a_job(fal, fault):
    fal.fail_next(*fal.create, fault)
    with pytest.raises(errors.SubmissionUncertain):
        submitted(fal, ask())


# -- cancelling ---------------------------------------------------------------------------------------------


def test_a_job_in_the_queue_leaves_it_and_is_found_cancelled(fal):
    job = submitted(fal, ask())
    assert FAL.cancel(client_for(fal), job) == "asked"
    assert look(fal, job) == Failed(
        reason="The job was cancelled at fal.ai.", billing="fal bills finished clips only."
    )
    assert fal.balance == fal.credit_usd


def test_a_running_job_is_asked_to_stop_and_may_finish(fal):
    job = submitted(fal, ask())
    look(fal, job)
    assert FAL.cancel(client_for(fal), job) == "asked"
    assert isinstance(look(fal, job), Completed)


def test_a_finished_job_is_not_cancelled(fal):
    job = submitted(fal, ask())
    outcome(fal, job)
    assert FAL.cancel(client_for(fal), job) == "impossible"
    assert isinstance(look(fal, job), Completed)


def test_a_job_nobody_knows_is_not_cancelled(fal):
    assert FAL.cancel(client_for(fal), Job(id=NOBODY)) == "impossible"


def test_a_cancellation_answered_without_a_body_was_asked(fal):
    job = submitted(fal, ask())
    fal.fail_next("PUT", f"{APP}/requests/{{id}}/cancel", Fault(lambda reply: type(reply)(202), handled=True))
    assert FAL.cancel(client_for(fal), job) == "asked"


# -- prices -------------------------------------------------------------------------------------------------

PRICES = {
    ("ray-2", 5): ("0.50", "1.00", "2.00"),
    ("ray-2", 9): ("1.00", "2.00", "4.00"),
    ("ray-flash-2", 5): ("0.20", "0.40", "0.80"),
    ("ray-flash-2", 9): ("0.40", "0.80", "1.60"),
}


@pytest.mark.parametrize(("model", "seconds"), PRICES)
@pytest.mark.parametrize("column", range(3))
def test_every_price_is_quoted_and_is_what_the_emulator_charges(fal, model, seconds, column):
    request = ask(model=model, duration=seconds, resolution=("540p", "720p", "1080p")[column])
    offer, _ = refusals(FAL, request)
    usd = offer.price(request)
    assert usd == Decimal(PRICES[model, seconds][column])
    submitted(fal, request)
    assert fal.ledger[0].usd == -float(usd)
    # fal's own word for the one, only others' for the other
    assert offer.price_source.unverified == (model == "ray-2")


# -- the storage --------------------------------------------------------------------------------------------


def still(content: bytes = b"\x89PNG the pixels", sha256: str = "ab" * 32) -> StillImage:
    return StillImage(width=4, height=2, sha256=sha256, encode=lambda media_type: content)


def published(fal: FalEmulator, tmp_path: Any) -> str:
    return STORAGE.publish(still(), Credentials(tmp_path), FakeClock())


def test_a_picture_is_announced_and_put_where_fal_says_without_the_key(fal, tmp_path):
    url = published(fal, tmp_path)
    announced, put = fal.requests
    assert announced.target == "/rest/storage/upload/initiate?storage_type=fal-cdn-v3"
    assert announced.json == {"file_name": f"{('ab' * 32)[:32]}.png", "content_type": "image/png"}
    assert announced.headers["Authorization"] == f"Key {fal.key}"
    assert (put.method, put.body) == ("PUT", b"\x89PNG the pixels")
    assert put.headers["Content-Type"] == "image/png"
    assert "Authorization" not in put.headers
    assert fal.leaks == []
    assert requests.get(url, timeout=5).content == b"\x89PNG the pixels"


def test_a_picture_is_kept_for_a_week_and_no_longer(fal, tmp_path):
    url = published(fal, tmp_path)
    for name in ("X-Fal-Object-Lifecycle-Preference", "X-Fal-Object-Lifecycle"):
        assert json.loads(fal.requests[0].headers[name]) == WEEK
    assert STORAGE.life == WEEK["expiration_duration_seconds"]
    (upload,) = fal.uploads.values()
    fal.now = lambda: upload.created + STORAGE.life - 60
    assert requests.get(url, timeout=5).status_code == 200
    fal.now = lambda: upload.created + STORAGE.life + 60
    assert requests.get(url, timeout=5).status_code == 404


def test_the_storage_is_ready_with_the_key_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("FAL_KEY", raising=False)
    credentials = Credentials(tmp_path)
    assert not STORAGE.ready(credentials)
    with pytest.raises(errors.HostingRequired, match=r"fal\.ai storage: set FAL_KEY"):
        choose([STORAGE], credentials, "Luma")
    credentials.save("FAL_KEY", "id:secret")
    assert STORAGE.ready(credentials)


def test_fal_prefers_its_own_storage_to_any_other(tmp_path, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "pictures")
    monkeypatch.setenv("FAL_KEY", "id:secret")
    assert choose([S3(), STORAGE], Credentials(tmp_path), FAL.title, FAL.hosting) is STORAGE


STORAGE_FAULTS = {
    "locked": ("POST", Fault.status(403, {"detail": "User is locked. Reason: Exhausted balance."}),
               "fal.ai has locked the account: User is locked. Reason: Exhausted balance. No clip was bought"),
    "a wrong key": ("POST", Fault.status(401, {"detail": "No user found"}), "does not accept the key"),
    "a shape": ("POST", Fault.status(422, model_error("missing", "Field required")), "Field required"),
    "a server error": ("POST", Fault.status(500), "answered with error 500"),
    "a page": ("POST", Fault.html(200), "not JSON"),
    "no place": ("POST", Fault.fields(upload_url=None), "not https (no host)"),
    "no address": ("POST", Fault.fields(file_url=None), "outside its documented contract"),
    "an address of a file": ("POST", Fault.fields(file_url="file:///a.png"), "outside its documented contract"),
    "a place inside": ("POST", Fault.fields(upload_url="http://10.0.0.1/a"), "not https"),
    "put refused": ("PUT", Fault.status(403), "did not take the picture (403)"),
    "put broken": ("PUT", Fault.lost_request(), "could not be sent"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "fault", "words"), STORAGE_FAULTS.values(), ids=STORAGE_FAULTS)
def test_a_storage_that_does_not_work_is_told_and_nothing_was_billed(fal, tmp_path, method, fault, words):
    pattern = "/rest/storage/upload/initiate" if method == "POST" else "/uploads/*"
    fal.fail_next(method, pattern, fault)
    with pytest.raises(errors.UploadFailed) as caught:
        published(fal, tmp_path)
    assert words in str(caught.value)
    assert "othing was billed" in str(caught.value)
    assert fal.key not in str(caught.value)
    assert "signature" not in str(caught.value)


# -- whole lives --------------------------------------------------------------------------------------------


def test_from_a_prompt_to_a_clip_on_disk(fal, life):
    clip = life.buy(ask())
    row = life.row()
    assert clips.inspect(clip.path).frames == row.frames == 121
    assert (row.state, row.estimate_usd) == ("completed", Decimal("0.50"))
    assert row.job.id == fal.creates[0].id
    assert clip.path.read_bytes() == fal.film(fal.creates[0])
    assert "generating at fal.ai" in life.reports.words


def test_two_keyframes_go_through_fals_own_storage(fal, life):
    life.buy(keyframes(first_frame=photograph(40), last_frame=photograph(220)))
    (create,) = fal.creates
    assert (create.first.width, create.last.width) == (320, 320)
    assert "uploading 320x180 to fal.ai storage" in life.reports.words
    assert len(fal.uploads) == 2


def test_the_same_picture_is_put_there_once(fal, life):
    image = photograph(40)
    life.buy(keyframes(first_frame=image, last_frame=image))
    life.buy(image_to_video(first_frame=image))
    assert len(fal.uploads) == 1


def test_a_locked_account_is_told_at_the_picture_before_anything_is_bought(fal, life):
    fal.credit_usd = -0.18
    with pytest.raises(errors.UploadFailed, match=r"locked the account.*fal\.ai/dashboard/billing"):
        life.buy(image_to_video(first_frame=photograph(40)))
    assert fal.creates == []
    assert life.journal.entries() == []


def test_a_locked_account_is_told_at_a_prompt_too(fal, life):
    fal.credit_usd = 0
    with pytest.raises(errors.InsufficientCredits, match=r"fal\.ai/dashboard/billing\. Nothing was billed"):
        life.buy(ask())
    assert life.row().state == "failed"


@pytest.mark.parametrize(
    "fault", [Fault.status(500, handled=True), Fault.fields(request_id=None)], ids=["500", "no id"]
)
def test_whatever_spoils_the_answer_nothing_is_sent_again_and_the_person_decides(fal, life, fault):
    fal.fail_next(*fal.create, fault)
    for _ in range(2):
        with pytest.raises(errors.SubmissionUncertain, match="may have been created and billed"):
            life.buy(ask())
    assert len(fal.creates) == 1
    assert life.row().state == "uncertain"
    life.found(life.row().id, fal.creates[0].id, clock=life.clock)
    assert life.buy(ask()).path.is_file()
    assert len(fal.creates) == 1


def test_a_safety_refusal_is_a_sentence_about_the_prompt_and_the_money(fal, life):
    with pytest.raises(errors.GenerationFailed, match=r"safety check .* the prompt: .*may be charged"):
        life.buy(ask(prompt="indecent words in the snow"))
    assert life.row().state == "failed"


def test_after_a_failure_of_fals_the_same_request_may_be_bought_again(fal, life):
    fal.fail_next("GET", STATUS, Fault.fields(status="COMPLETED", error_type="runner_disconnected"))
    with pytest.raises(errors.GenerationFailed, match="does not bill"):
        life.buy(ask())
    assert life.buy(ask()).entry.job.id == fal.creates[1].id


def test_a_stopped_wait_asks_fal_to_stop_and_the_clip_can_still_be_collected(fal, life):
    life.clock.on_sleep = life.clock.stop.set
    with pytest.raises(errors.Interrupted, match=r"fal\.ai was asked to stop"):
        life.buy(ask())
    assert [request.method for request in fal.requests].count("PUT") == 1
    life.clock = FakeClock()
    assert life.buy(ask()).path.is_file()
    assert len(fal.creates) == 1


def test_an_id_that_fal_does_not_know_is_told(fal, life):
    with pytest.raises(errors.InvalidInput, match=r"asked fal\.ai"):
        life.bring(NOBODY)


def test_the_key_goes_to_fal_and_nowhere_else(fal, life):
    with FileHost() as elsewhere:
        fal.fail_next(*fal.create, Fault.fields(**dict.fromkeys(ADDRESSES, f"{elsewhere.origin}/x")))
        fal.fail_next("GET", STATUS, Fault.redirect(elsewhere.origin))
        with pytest.raises(errors.Rejected, match="redirect"):
            life.buy(image_to_video(first_frame=photograph(40)))
        life.buy(image_to_video(first_frame=photograph(40)))
        assert elsewhere.requests == []
    assert fal.leaks == []
    assert fal.key.encode() not in life.written()
    assert fal.key not in life.reports.words
