"""Luma's current API: what is sent, what is refused here, what is understood, and whole lives of clips."""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from functools import partial
from typing import Any

import luma_agents
import numpy as np
import pytest
from emulators.luma_agents import FAILURES, USD, LumaAgentsEmulator
from emulators.server import Fault
from fakes import picture, text
from luma_agents.types import VideoOptionsParam
from luma_ray.nodes.generation import errors, fitting
from luma_ray.nodes.generation.client import decoding
from luma_ray.nodes.generation.credentials import Secret
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending
from luma_ray.nodes.generation.request import (
    GenerationReference,
    GenerationRequest,
    MiddleFrame,
    Operation,
    StillImage,
)
from luma_ray.nodes.generation.selection import refusals
from luma_ray.nodes.media import clips, images
from luma_ray.nodes.providers.luma_agents import LumaAgents
from purchase import KEY, A, B, Life, calls, led_to, photograph

LUMA = LumaAgents()
C = picture("ef" * 32)
PICTURES = {still.sha256: f"data:image/png;base64,{still.sha256[:4]}" for still in (A, B, C)}
IN_A, IN_B, IN_C = ({"data": still.sha256[:4], "media_type": "image/png"} for still in (A, B, C))
JOB = "123e4567-e89b-12d3-a456-426614174000"
ONE = GenerationReference(id="ray-0", provider="luma_agents", job_id=JOB)

client_for, submitted, look, outcome = calls(LUMA)
ask = partial(text, model="ray-3.2", resolution="540p")
image_to_video = partial(ask, operation=Operation.IMAGE_TO_VIDEO, first_frame=A)
extend = partial(ask, operation=Operation.EXTEND_VIDEO, first_frame=ONE)


@pytest.fixture
def luma(monkeypatch):
    with led_to(LumaAgentsEmulator(), monkeypatch) as emulator:
        yield emulator


@pytest.fixture
def life(tmp_path) -> Life:
    return Life(tmp_path, LUMA)


def keyframes(*middle: tuple[int, StillImage], **others: Any) -> GenerationRequest:
    between = tuple(MiddleFrame(index, still) for index, still in middle)
    ends = {"first_frame": A, "last_frame": B, "middle_frames": between}
    return ask(**{"operation": Operation.KEYFRAMES_TO_VIDEO, **ends, **others})


def reasons(request: GenerationRequest) -> str:
    return "; ".join(refusals(LUMA, request)[1])


def create(luma: LumaAgentsEmulator, key: str = "", **body: Any) -> Job:
    (offer, _) = refusals(LUMA, ask())
    with decoding(LUMA.label):
        return LUMA.submit(client_for(luma, key=key), offer, {**LUMA.encode(ask(), {}), **body}, KEY)


def finished(luma: LumaAgentsEmulator) -> str:
    """The id of an earlier generation that this emulator really has."""
    job = submitted(luma, ask())
    assert isinstance(outcome(luma, job), Completed)
    return job.id


def answered(luma: LumaAgentsEmulator, **fields: Any) -> Any:
    """What is understood of a poll with these fields in its answer."""
    job = submitted(luma, ask())
    luma.fail_next(*luma.poll, Fault.fields(**fields))
    return look(luma, job)


# -- what is sent -------------------------------------------------------------------------------------------

RECIPES = {
    "text": (ask(), {}),
    "a loop": (ask(loop=True), {"loop": True}),
    "10 s of text": (ask(duration=10), {}),
    "start frame": (image_to_video(), {"start_frame": IN_A}),
    "a loop from a start frame": (image_to_video(loop=True), {"start_frame": IN_A, "loop": True}),
    "10 s from a start frame": (
        image_to_video(duration=10),
        {"keyframes": [IN_A], "keyframe_indexes": [0]},
    ),
    "end frame": (keyframes(first_frame=None), {"end_frame": IN_B}),
    "10 s to an end frame": (
        keyframes(first_frame=None, duration=10),
        {"keyframes": [IN_B], "keyframe_indexes": [240]},
    ),
    "start and end": (keyframes(), {"start_frame": IN_A, "end_frame": IN_B}),
    "10 s from start to end": (
        keyframes(duration=10),
        {"keyframes": [IN_A, IN_B], "keyframe_indexes": [0, 240]},
    ),
    "pictures between": (
        keyframes((30, C), (90, A)),
        {"keyframes": [IN_A, IN_C, IN_A, IN_B], "keyframe_indexes": [0, 30, 90, 120]},
    ),
    "pictures between in 10 s, without a first": (
        keyframes((200, C), first_frame=None, duration=10),
        {"keyframes": [IN_C, IN_B], "keyframe_indexes": [200, 240]},
    ),
    "a start and a picture later": (
        keyframes((60, C), last_frame=None),
        {"keyframes": [IN_A, IN_C], "keyframe_indexes": [0, 60]},
    ),
    "extend": (extend(), {"start_frame": {"generation_id": JOB}}),
    "extend in a loop": (extend(loop=True), {"start_frame": {"generation_id": JOB}, "loop": True}),
    "extend backward": (
        extend(first_frame=None, last_frame=ONE),
        {"end_frame": {"generation_id": JOB}},
    ),
}


@pytest.mark.parametrize(("request_", "video"), RECIPES.values(), ids=RECIPES)
def test_the_body_is_exactly_what_the_api_documents(request_, video):
    body = {
        "model": "ray-3.2",
        "type": "video",
        "prompt": "a fox in the snow",
        "video": {"resolution": "540p", "duration": f"{request_.duration}s", **video},
    }
    if request_.operation is Operation.TEXT_TO_VIDEO:
        body["aspect_ratio"] = "16:9"
    assert LUMA.encode(request_, PICTURES) == body
    assert reasons(request_) == ""


@pytest.mark.parametrize("request_", [request for request, _ in RECIPES.values()], ids=RECIPES)
def test_luma_s_sdk_sends_the_same_and_it_is_taken(luma, request_):
    body = json.loads(json.dumps(LUMA.encode(request_, PICTURES)).replace(JOB, finished(luma)))
    assert set(body["video"]) <= set(VideoOptionsParam.__annotations__)
    with luma_agents.Luma(max_retries=0) as sdk:
        generation = sdk.generations.create(**body)
    assert generation.state == "queued"
    assert luma.requests[-1].json == body


def test_the_chosen_ratio_goes_along_with_a_prompt_alone():
    assert LUMA.encode(ask(aspect_ratio="21:9"), {})["aspect_ratio"] == "21:9"
    assert "aspect_ratio" not in LUMA.encode(image_to_video(aspect_ratio="21:9"), PICTURES)


def test_a_picture_travels_inside_the_request():
    still = photograph(40)
    told = LUMA.upload(None, still)
    assert base64.b64decode(told.removeprefix("data:image/png;base64,")) == still.encode("image/png")


def test_a_picture_of_more_than_4_mb_travels_as_jpeg_and_that_is_said():
    pixels = np.random.default_rng(0).integers(0, 150, (1200, 1600, 3), np.uint8)
    still = images.still(images.tensor(pixels), name="first_frame")
    (offer, *_) = (each for each in LUMA.offers if ("image", "none") in each.keyframes)
    sent = fitting.fitted(still, fitting.limits_of(offer, LUMA.title))
    assert sent.how == f"sent as JPEG ({LUMA.title} takes lossless files of up to 4 MB)"
    told = LUMA.upload(None, sent.still)
    assert told == f"data:image/jpeg;base64,{base64.b64encode(still.encode('image/jpeg')).decode()}"
    body = LUMA.encode(image_to_video(first_frame=still), {still.sha256: told})
    assert body["video"]["start_frame"]["media_type"] == "image/jpeg"


def test_the_key_is_a_bearer():
    secrets = {"LUMA_AGENTS_API_KEY": Secret("luma-api-1")}
    assert LUMA.sign(secrets) == {"Authorization": "Bearer luma-api-1"}


def test_the_names_of_key_and_address_are_the_sdk_s(luma):
    with luma_agents.Luma(max_retries=0) as sdk:
        assert sdk.auth_token == luma.environment()[LUMA.secrets[0]]
        assert str(sdk.base_url).rstrip("/") == luma.environment()[LUMA.base_url_variable]


def test_the_default_address_is_the_sdk_s():
    with luma_agents.Luma(auth_token="luma-api-1") as sdk:
        assert str(sdk.base_url).rstrip("/") == LUMA.base_url


# -- what is refused here -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (ask(model="ray-2"), "ray-2"),
        (ask(duration=9), "no 9 s (5 s, 10 s only)"),
        (ask(resolution="4k"), "no 4k"),
        (ask(aspect_ratio="9:21"), "no 9:21"),
        (ask(prompt=""), "the prompt is empty, and it is required"),
        (image_to_video(prompt=""), "the prompt is empty, and it is required"),
        (ask(prompt="x" * 6001), "at most 6000"),
        (ask(concepts=("push_in",)), "no camera concept 'push_in'"),
        (ask(enhance_prompt=True), "no prompt enhancement"),
        (ask(loop=True, duration=10), "no loop"),
        (image_to_video(loop=True, duration=10), "no loop"),
        (keyframes(loop=True), "no loop"),
        (keyframes((60, C), loop=True), "no loop"),
        (image_to_video(first_frame=picture(width=8001)), "each side may have at most 8000"),
        (keyframes((60, picture("01" * 32, height=8001))), "the keyframe at 2.50 s is 1280x8001 pixels"),
        (keyframes(*((index + 1, C) for index in range(63))), "no 63 pictures between"),
        (image_to_video(middle_frames=(MiddleFrame(60, C),)), "no 1 pictures between"),
        (extend(duration=10), "no 10 s (5 s only)"),
        (extend(resolution="360p"), "no 360p"),
        (extend(first_frame=None, last_frame=ONE, loop=True), "no loop together with a last frame"),
        (extend(last_frame=B), "no earlier generation as first frame with picture as last frame"),
        (extend(first_frame=A, last_frame=ONE), "no picture as first frame with earlier generation"),
        (extend(last_frame=ONE), "no earlier generation as first frame with earlier generation"),
    ],
)  # fmt: skip
def test_what_luma_would_refuse_is_refused_before_anything_is_sent(request_, reason):
    assert reason in reasons(request_)


def test_62_pictures_fit_between_the_two_ends():
    assert reasons(keyframes(*((index + 1, C) for index in range(62)))) == ""


@pytest.mark.parametrize("resolution", USD)
@pytest.mark.parametrize("duration", [5, 10])
def test_the_price_is_the_published_one(resolution, duration):
    for request in (
        ask(resolution=resolution, duration=duration),
        image_to_video(resolution=resolution, duration=duration),
        keyframes((60, C), resolution=resolution, duration=duration),
    ):
        offer, none = refusals(LUMA, request)
        assert none == []
        assert offer.price(request) == Decimal(f"{USD[resolution][f'{duration}s']:.2f}")


def test_an_extension_costs_as_much_as_five_seconds():
    offer, _ = refusals(LUMA, extend(resolution="1080p"))
    assert offer.price(extend(resolution="1080p")) == Decimal("1.20")


def test_a_price_that_was_not_read_at_luma_itself_says_so():
    assert all(offer.price_source.unverified for offer in LUMA.offers)


# -- what is understood -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "processing"])
def test_a_film_that_is_not_done_is_waited_for(luma, state):
    assert answered(luma, state=state) == Pending(note=state)


def test_of_the_outputs_the_film_is_taken(luma):
    outputs = [
        {"type": "exr", "url": "https://x.test/a.exr"},
        {"type": "video", "url": "https://x.test/a.mp4"},
    ]
    assert answered(luma, state="completed", output=outputs) == Completed(url="https://x.test/a.mp4")


@pytest.mark.parametrize(
    "fields",
    [{"state": "dreaming"}, {"state": None}, {"state": "completed", "output": []},
     {"state": "completed", "output": None}, {"state": "completed", "output": [{"type": "video"}]},
     {"state": "completed", "output": [{"type": "video", "url": 7}]},
     {"state": "completed", "output": [{"type": "exr", "url": "https://x.test/a.exr"}]}],
    ids=["unknown state", "no state", "no output", "null", "no address", "odd address", "no film"],
)  # fmt: skip
def test_an_answer_outside_the_contract_keeps_the_job(luma, fields):
    with pytest.raises(errors.UnexpectedReply):
        answered(luma, **fields)


def test_a_film_known_by_its_id_alone_can_be_asked_about(luma):
    submitted(luma, ask())
    assert look(luma, Job(id=luma.creates[0].id)) == Pending(note="processing")


@pytest.mark.parametrize(("code", "reason"), FAILURES.values(), ids=[code for code, _ in FAILURES.values()])
def test_every_failure_code_is_a_sentence_with_luma_s_words_and_what_it_means_for_the_bill(
    luma, code, reason
):
    failed = answered(luma, state="failed", failure_code=code, failure_reason=reason)
    assert re.fullmatch(r"(A|Luma|The)\b.{20,}\.", failed.reason)
    assert reason.rstrip(".") in failed.reason
    assert code not in failed.reason
    refunded = {"content_moderated", "generation_failed", "output_not_found"}
    said = "refunds" if code in refunded else "part" if code == "budget_exhausted" else "does not say"
    assert said in failed.billing


def test_moderation_says_what_to_change(luma):
    failed = answered(luma, state="failed", failure_code="content_moderated", failure_reason=None)
    assert failed == Failed(
        reason="Luma's moderation stopped it: the prompt, a picture or the finished clip. Change the prompt or the "
        "picture.",
        billing="Luma refunds a generation that fails in this way.",
        billed_usd=Decimal(0),
    )


@pytest.mark.parametrize("code", ["singularity", None, 7, ["content_moderated"]])
def test_an_unknown_failure_is_told_in_luma_s_words(luma, code):
    failed = answered(luma, state="failed", failure_code=code, failure_reason="The moon was full.")
    assert failed.reason == "Luma's job failed (The moon was full)."
    assert "does not say" in failed.billing


def test_a_failure_without_words_is_still_told(luma):
    assert (
        answered(luma, state="failed", failure_code=None, failure_reason=None).reason == "Luma's job failed."
    )


def test_a_failure_does_not_repeat_a_signed_address(luma):
    reason = "could not read https://pictures.test/a.png?X-Amz-Signature=0123456789abcdef0123456789abcdef"
    failed = answered(luma, state="failed", failure_code="corrupt_input", failure_reason=reason)
    assert "0123456789abcdef" not in failed.reason


# -- errors of a create -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("unauthorized", errors.Unauthorized, "does not accept the key .401.: API key has been revoked"),
        ("no money", errors.InsufficientCredits, "not enough credits: Insufficient balance"),
        ("rate limit", errors.RateLimited, "Rate limit exceeded"),
        ("moderation", errors.ContentRefused, "moderation refused the prompt or a picture"),
        ("server error", errors.ProviderUnavailable, "Nothing was created or billed"),
    ],
)  # fmt: skip
def test_a_refused_create_is_told_by_its_kind_and_was_not_billed(luma, kind, error, words):
    luma.fail_next(*luma.create, luma.refusing(kind))
    with pytest.raises(error, match=words) as caught:
        create(luma)
    assert "billed" in str(caught.value)
    assert luma.ledger == []


def test_the_wait_that_luma_asks_for_is_kept(luma):
    luma.fail_next(*luma.create, luma.refusing("rate limit"))
    with pytest.raises(errors.RateLimited) as caught:
        create(luma)
    assert caught.value.retry_after == 7


def test_a_key_of_the_older_api_is_told_apart(luma):
    with pytest.raises(errors.Unauthorized, match=r"begin with luma-api-.*Dream Machine.*Nothing was billed"):
        create(luma, key="luma-0123456789")


def test_a_question_with_such_a_key_says_nothing_of_bills(luma):
    with pytest.raises(errors.Unauthorized, match="begin with luma-api-") as caught:
        LUMA.status(client_for(luma, key="luma-0123456789"), Job(id=JOB))
    assert "billed" not in str(caught.value)


def test_a_suspended_account_is_not_taken_for_a_wrong_key(luma):
    luma.fail_next(*luma.create, Fault.status(403, {"detail": "API client is suspended"}))
    with pytest.raises(errors.Unauthorized, match=r"closed this account's access.*is suspended.*support"):
        create(luma)


@pytest.mark.parametrize("model", ["ray-4", "uni-1"])
def test_a_model_that_is_not_served_is_told_as_such(luma, model):
    with pytest.raises(errors.ModelNotServed, match=r"does not serve this model.*Nothing was billed"):
        create(luma, model=model)


def test_a_refused_picture_is_named_in_luma_s_words(luma):
    video = {"start_frame": {"data": "!", "media_type": "image/png"}}
    with pytest.raises(errors.Rejected, match=r"start_frame: invalid base64 data. Nothing was billed"):
        create(luma, video=video)


@pytest.mark.parametrize(
    ("status", "detail"),
    [(502, "Upstream service unavailable"), (502, "source: fetch proxy unavailable"),
     (503, "Media URL ingestion is unavailable")],
)  # fmt: skip
def test_a_documented_outage_created_nothing(luma, status, detail):
    luma.fail_next(*luma.create, Fault.status(status, {"detail": detail}))
    with pytest.raises(errors.ProviderUnavailable, match="Nothing was created or billed"):
        create(luma)


@pytest.mark.parametrize(
    "fault",
    [Fault.status(500, {"detail": "Upstream service unavailable"}), Fault.status(504), Fault.html(502),
     Fault.html(503), Fault.status(502, {"error": "unavailable"}), Fault.malformed_json(), Fault.lost_answer()],
    ids=["500", "504", "a gateway's page", "another", "another shape", "cut JSON", "no answer"],
)  # fmt: skip
def test_anything_else_may_have_been_created_and_billed(luma, fault):
    luma.fail_next(*luma.create, fault)
    with pytest.raises(errors.SubmissionUncertain, match="may have been created and billed"):
        create(luma)


def test_an_answer_without_an_id_is_no_job(luma):
    luma.fail_next(*luma.create, Fault.fields(id=None))
    with pytest.raises(errors.UnexpectedReply):
        create(luma)


def test_an_outage_while_asking_is_asked_again(luma):
    job = submitted(luma, ask())
    luma.fail_next(*luma.poll, Fault.status(502, {"detail": "Upstream service unavailable"}), times=2)
    assert look(luma, job) == Pending(note="processing")


def test_there_is_no_cancelling_and_nothing_to_look_lost_creates_up_in(luma):
    assert LUMA.cancel(client_for(luma), Job(id=JOB)) == "impossible"
    assert (LUMA.reconciles, LUMA.resend_life) == (False, 0)
    assert luma.requests == []


# -- whole lives --------------------------------------------------------------------------------------------


def test_from_a_prompt_to_a_clip_on_disk(luma, life):
    clip = life.buy(ask())
    row = life.row()
    assert clips.inspect(clip.path).frames == row.frames == 121
    assert (row.state, row.estimate_usd, row.job.id) == ("completed", Decimal("0.15"), luma.creates[0].id)
    assert len(luma.creates) == 1
    assert luma.leaks == []
    assert "processing at Luma Agents" in life.reports.words


def test_ten_seconds_through_three_pictures_need_no_hosting(luma, life):
    first, middle, last = photograph(40), photograph(130), photograph(220)
    request = keyframes((96, middle), first_frame=first, last_frame=last, duration=10, resolution="360p")
    clip = life.buy(request)
    (work,) = luma.creates
    sent = [base64.b64decode(frame["data"]) for frame in work.body["video"]["keyframes"]]
    assert sent == [still.encode("image/png") for still in (first, middle, last)]
    assert work.body["video"]["keyframe_indexes"] == [0, 96, 240]
    assert clips.inspect(clip.path).frames == 241
    assert [request.method for request in luma.requests].count("POST") == 1


def test_a_picture_is_in_no_file_but_the_clip(luma, life, tmp_path):
    still = photograph(40)
    clip = life.buy(image_to_video(first_frame=still))
    encoded = base64.b64encode(still.encode("image/png"))[100:200]
    others = [path for path in tmp_path.rglob("*") if path.is_file() and path != clip.path]
    assert others
    assert not any(encoded in path.read_bytes() for path in others)


@pytest.mark.parametrize("backward", [False, True])
def test_a_clip_is_extended_by_its_generation(luma, life, backward):
    first = life.buy(ask())
    reference = GenerationReference(id=first.entry.id, provider="luma_agents", job_id=first.entry.job.id)
    ends = {"first_frame": None, "last_frame": reference} if backward else {"first_frame": reference}
    second = life.buy(extend(**ends))
    work = luma.creates[1]
    assert (work.last if backward else work.first) is luma.creates[0]
    assert clips.inspect(second.path).frames == 121


def test_a_lost_job_that_the_person_found_is_collected(luma, life):
    luma.fail_next(*luma.create, Fault.lost_answer())
    with pytest.raises(errors.SubmissionUncertain):
        life.buy(ask())
    life.found(life.row().id, luma.creates[0].id, clock=life.clock)
    clip = life.buy(ask())
    assert clip.path.is_file()
    assert len(luma.creates) == 1


def test_a_documented_outage_leaves_the_request_free_to_be_bought(luma, life):
    luma.fail_next(*luma.create, luma.refusing("server error"))
    with pytest.raises(errors.ProviderUnavailable):
        life.buy(ask())
    assert life.row().state == "failed"
    assert life.buy(ask()).path.is_file()
    assert len(luma.creates) == 1


def test_a_full_queue_is_waited_for_as_long_as_luma_says(luma, life):
    busy = Fault.status(429, {"detail": "Too many concurrent jobs"}, headers={"Retry-After": "60"})
    luma.fail_next(*luma.create, busy)
    life.buy(ask())
    assert sum(life.clock.slept) >= 60
    assert len(luma.creates) == 1


@pytest.mark.parametrize(
    ("word", "words", "kept"),
    [("indecent", r"moderation stopped it.*flagged.*refunds", 0), ("penniless", r"ran out of money.*part", 0.075),
     ("enormous", r"too large.*does not say whether it charges", 0.15)],
)  # fmt: skip
def test_a_failed_job_says_what_happened_and_what_it_cost(luma, life, word, words, kept):
    with pytest.raises(errors.GenerationFailed, match=words):
        life.buy(ask(prompt=f"{word} foxes in the snow"))
    assert -sum(entry.usd for entry in luma.ledger) == pytest.approx(kept)
    assert life.row().state == "failed"


def test_an_expired_link_is_asked_for_again(luma, life):
    luma.fail_next(*luma.asset, Fault.status(403))
    clip = life.buy(ask())
    assert clip.path.read_bytes() == luma.film(luma.creates[0])
    assert luma.creates[0].links == 2
    assert len(luma.creates) == 1


def test_the_key_and_the_signed_link_are_written_nowhere(luma, life):
    life.buy(ask())
    assert luma.key.encode() not in life.written()
    assert b"signature" not in life.written()
    assert luma.key not in life.reports.words
    assert luma.leaks == []
