"""Replicate: what is sent, what is refused here, what is understood, and whole lives of clips."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pytest
import replicate as official
from emulators.replicate import CENTS_A_SECOND, ERRORS, ReplicateEmulator
from emulators.server import Fault, FileHost
from fakes import text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending, Unanswered
from luma_ray.nodes.generation.ray import ASPECT_RATIOS, CONCEPTS
from luma_ray.nodes.generation.request import GenerationReference, GenerationRequest, Operation
from luma_ray.nodes.generation.selection import refusals
from luma_ray.nodes.media import clips
from luma_ray.nodes.providers.replicate import Replicate
from purchase import KEY, A, B, Life, calls, led_to, photograph, refused

REPLICATE = Replicate()
URLS = {still.sha256: f"https://api.replicate.com/v1/files/{still.sha256[:4]}" for still in (A, B)}
REMOTE = GenerationReference(id="ray-1", provider="replicate", job_id="gm3q")
NOW = 1_800_000_000.0
CREATE = "/models/{owner}/{name}/predictions"
POLL = "/predictions/{id}"
CANCEL = "/predictions/{id}/cancel"

client_for, submit, look, outcome = calls(REPLICATE)
submitted = partial(submit, pictures=URLS)
ask = partial(text, model="ray-flash-2", resolution="540p")
image_to_video = partial(ask, operation=Operation.IMAGE_TO_VIDEO, first_frame=A)
keyframes = partial(ask, operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=A, last_frame=B)


@pytest.fixture
def emulator(monkeypatch):
    with led_to(ReplicateEmulator(), monkeypatch) as running:
        yield running


@pytest.fixture
def life(tmp_path) -> Life:
    return Life(tmp_path, REPLICATE)


# -- what is sent -------------------------------------------------------------------------------------------

PLAIN = {"prompt": "a fox in the snow", "duration": 5, "aspect_ratio": "16:9", "loop": False}
FIRST, LAST = {"start_image": URLS[A.sha256]}, {"end_image": URLS[B.sha256]}


@pytest.mark.parametrize(
    ("request_", "frames"),
    [
        (ask(), {}),
        (image_to_video(), FIRST),
        (keyframes(), {**FIRST, **LAST}),
        (keyframes(first_frame=None), LAST),
    ],
    ids=["text", "start frame", "start and end", "end frame"],
)
def test_the_pictures_go_where_replicate_wants_them(request_, frames):
    assert REPLICATE.encode(request_, URLS) == {"name": "ray-flash-2-540p", "input": {**PLAIN, **frames}}


@pytest.mark.parametrize(
    ("others", "sent"),
    [
        ({"loop": True}, {"loop": True}),
        ({"concepts": ("push_in", "pan_left")}, {"concepts": ["push_in", "pan_left"]}),
        ({"duration": 9}, {"duration": 9}),
        ({"aspect_ratio": "9:21"}, {"aspect_ratio": "9:21"}),
        ({"prompt": " a fox 🦊 "}, {"prompt": " a fox 🦊 "}),
    ],
)
def test_each_setting_becomes_its_field(others, sent):
    assert REPLICATE.encode(ask(**others), {})["input"] == {**PLAIN, **sent}


def test_the_take_is_ours_and_not_sent():
    assert REPLICATE.encode(ask(take=7), {}) == REPLICATE.encode(ask(), {})


def test_model_and_resolution_make_the_name_and_nothing_but_the_input_is_sent(emulator):
    job = submitted(emulator, ask(model="ray-2", resolution="720p"))
    (create,) = emulator.requests
    assert create.target == "/v1/models/luma/ray-2-720p/predictions"
    assert create.json == {"input": PLAIN}
    assert create.headers["Authorization"] == f"Bearer {emulator.key}"
    assert job.id == emulator.creates[0].id


def test_the_create_is_not_held_so_that_its_id_is_known_at_once(emulator):
    submitted(emulator, ask())
    assert "Prefer" not in emulator.requests[0].headers
    assert emulator.creates[0].polls == 0


def test_every_combination_on_offer_passes_replicates_own_sdk():
    everything = [
        ask(model=model, resolution=resolution, duration=seconds, aspect_ratio=ratio, concepts=CONCEPTS)
        for model, resolution, seconds, ratio in itertools.product(
            ("ray-2", "ray-flash-2"), ("540p", "720p"), (5, 9), ASPECT_RATIOS
        )
    ]
    with ReplicateEmulator(credit_usd=1000) as emulator, httpx.HTTPTransport() as transport:
        sdk = official.Client(api_token=emulator.key, base_url=emulator.origin, transport=transport)
        for request in [*everything, ask(loop=True), image_to_video(), keyframes()]:
            body = REPLICATE.encode(request, URLS)
            made = sdk.models.predictions.create(f"luma/{body['name']}", body["input"])
            assert (made.model, made.input) == (f"luma/{body['name']}", body["input"])
            assert float(refusals(REPLICATE, request)[0].price(request)) == emulator.creates[-1].usd


@pytest.mark.parametrize("name", CENTS_A_SECOND)
def test_the_price_is_so_much_a_second(name):
    model, _, resolution = name.rpartition("-")
    request = ask(model=model, resolution=resolution, duration=9)
    assert refusals(REPLICATE, request)[0].price(request) == Decimal(str(CENTS_A_SECOND[name])) * 9 / 100


# -- what is refused here, with nothing sent ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ask(prompt=""), "the prompt is empty"),
        (image_to_video(prompt=" "), "the prompt is empty"),
        (ask(prompt="ab"), "at least 3"),
        (ask(duration=10), "no 10 s (5 s, 9 s only)"),
        (ask(resolution="1080p"), "no 1080p (540p, 720p only)"),
        (ask(aspect_ratio="2:1"), "no 2:1"),
        (ask(model="ray-3.2"), "no ray-3.2 for text to video (ray-2, ray-flash-2 only)"),
        (ask(concepts=("wobble",)), "no camera concept 'wobble'"),
        (ask(enhance_prompt=True), "no prompt enhancement"),
        (keyframes(loop=True), "no loop"),
        (keyframes(first_frame=None, loop=True), "no loop"),
        (ask(operation=Operation.EXTEND_VIDEO, first_frame=REMOTE), "no extend video"),
    ],
)
def test_what_replicate_does_not_sell_is_refused_before_anything_is_sent(emulator, life, request_, words):
    assert words in refused(life, emulator, request_)


# -- what Replicate answers ---------------------------------------------------------------------------------


def test_a_job_is_waited_for_through_its_states(emulator):
    job = submitted(emulator, ask())
    emulator.pace = replace(emulator.pace, polls=4)
    assert [look(emulator, job) for _ in range(3)] == [Pending(note="starting")] + 2 * [
        Pending(note="processing")
    ]
    assert look(emulator, job).url.startswith(f"{emulator.origin}/assets/{job.id}.mp4")


def test_the_returned_addresses_are_asked(emulator):
    job = submitted(emulator, ask())
    url = f"{emulator.base_url}/predictions/{job.id}"
    assert job.details == {"get": url, "cancel": f"{url}/cancel"}
    for kind in ("get", "cancel"):
        other = replace(job, details={kind: f"{emulator.base_url}/elsewhere/{kind}"})
        with pytest.raises(errors.Rejected):
            (REPLICATE.status if kind == "get" else REPLICATE.cancel)(client_for(emulator), other)
    assert [request.path for request in emulator.requests[1:]] == ["/elsewhere/get", "/elsewhere/cancel"]


@pytest.mark.parametrize(
    "urls",
    [{"get": "https://evil.test/v1/predictions/x", "cancel": 5}, {}, None, "x", ["get"]],
)
def test_addresses_elsewhere_are_not_kept_and_the_id_always_is(emulator, urls):
    emulator.fail_next("POST", CREATE, Fault.fields(urls=urls))
    job = submitted(emulator, ask())
    assert job == Job(id=emulator.creates[0].id)
    assert look(emulator, job) == Pending(note="processing")


def test_kept_addresses_of_another_server_are_not_asked(emulator):
    job = submitted(emulator, ask())
    with FileHost() as elsewhere:
        moved = replace(job, details={"get": f"{elsewhere.origin}/x", "cancel": f"{elsewhere.origin}/x"})
        assert isinstance(look(emulator, moved), Pending)
        assert REPLICATE.cancel(client_for(emulator), moved) == "confirmed"
        assert elsewhere.requests == []


def test_a_job_known_by_its_id_alone_is_found(emulator):
    job = Job(id=submitted(emulator, ask()).id)
    assert isinstance(look(emulator, job), Pending)
    assert REPLICATE.cancel(client_for(emulator), job) == "confirmed"


@pytest.mark.parametrize("strange", ["../account", "x/cancel", "a?b=c", "a#b", "//evil.test/x"])
def test_an_id_that_a_person_typed_stays_an_id(emulator, strange):
    with pytest.raises(errors.Rejected, match="404"):
        look(emulator, Job(id=strange))
    assert emulator.requests[0].path.count("/") == 2
    assert emulator.requests[0].target.startswith("/v1/predictions/")


@pytest.mark.parametrize("base", ["/v1", "/v1/", "", "/"])
def test_the_variable_may_mean_what_either_of_replicates_sdks_takes_it_for(emulator, base):
    client = client_for(emulator, base_url=emulator.origin + base)
    offer, _ = refusals(REPLICATE, ask())
    job = REPLICATE.submit(client, offer, REPLICATE.encode(ask(), {}), KEY)
    for _ in range(2):
        status = REPLICATE.status(client, Job(id=job.id))
    assert isinstance(status, Completed)
    assert status.signed is False


def test_a_clip_among_the_files_of_the_api_is_fetched_with_the_token(emulator):
    job = submitted(emulator, ask())
    emulator.fail_next("GET", POLL, Fault.fields(status="succeeded", output=f"{emulator.base_url}/files/x"))
    assert look(emulator, job) == Completed(url=f"{emulator.base_url}/files/x", signed=True)


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("indecent", "The safety check at Replicate or Luma rejected the prompt"),
        ("doomed", "Replicate's job failed: Generation failed: job failed."),
    ],
)
def test_a_failure_is_told_in_our_words_with_what_becomes_of_the_money(emulator, prompt, reason):
    failed = outcome(emulator, submitted(emulator, ask(prompt=f"something {prompt}")))
    assert isinstance(failed, Failed)
    assert failed.reason.startswith(reason)
    assert "should cost nothing" in failed.billing
    assert "replicate.com/account/billing" in failed.billing


def test_a_picture_that_could_not_be_read_is_told_as_such(emulator):
    failed = outcome(
        emulator, submitted(emulator, image_to_video(), pictures={A.sha256: f"{emulator.origin}/no"})
    )
    assert "could not read the picture" in failed.reason


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("Out of cheese (E1000).", "Replicate's job failed: Out of cheese (E1000)."),
        (None, "Replicate's job failed: no reason given."),
        ({"code": 5}, "Replicate's job failed: no reason given."),
        ("Frame moderation failed", "Luma's safety check rejected the prompt or a picture. Change them."),
        ("see https://b.test/a?sig=abc", "Replicate's job failed: see https://b.test/a?<cut>."),
    ],
)
def test_a_failure_that_is_not_documented_is_a_failure_all_the_same(emulator, error, told):
    job = submitted(emulator, ask())
    emulator.fail_next("GET", POLL, Fault.fields(status="failed", error=error))
    assert look(emulator, job).reason == told


def test_a_job_cancelled_while_it_ran_is_billed_for_that_time(emulator):
    job = submitted(emulator, ask())
    look(emulator, job)
    assert REPLICATE.cancel(client_for(emulator), job) == "confirmed"
    failed = look(emulator, job)
    assert "cancelled at Replicate while it ran" in failed.reason
    assert failed.billing == "Replicate bills such a job for the time it ran."
    assert len(emulator.ledger) == 1


def test_a_job_stopped_before_it_started_is_free(emulator):
    job = submitted(emulator, ask())
    assert REPLICATE.cancel(client_for(emulator), job) == "confirmed"
    failed = look(emulator, job)
    assert "before it started" in failed.reason
    assert "does not bill" in failed.billing
    assert sum(entry.usd for entry in emulator.ledger) == 0


def test_a_job_that_goes_on_after_the_request_was_asked_only(emulator):
    job = submitted(emulator, ask())
    emulator.fail_next("POST", CANCEL, Fault.fields(status="processing"))
    assert REPLICATE.cancel(client_for(emulator), job) == "asked"


def test_a_finished_job_cannot_be_cancelled(emulator):
    job = submitted(emulator, ask())
    outcome(emulator, job)
    assert REPLICATE.cancel(client_for(emulator), job) == "impossible"


@pytest.mark.parametrize(
    "completed_at",
    ["2026-11-21T14:04:30.5Z", "2026-11-21T14:04:30.123456789Z", "2026-11-21T15:04:30+01:00"],
)
def test_a_clip_whose_hour_has_passed_is_told_as_billed_and_gone(emulator, completed_at):
    job = submitted(emulator, ask())
    outcome(emulator, job)
    emulator.remove_data()
    emulator.fail_next("GET", POLL, Fault.fields(completed_at=completed_at))
    failed = look(emulator, job)
    assert "its clip is gone: Replicate deletes it after an hour" in failed.reason
    assert "until about 2026-11-21 15:04 UTC" in failed.reason
    assert failed.billing == "It was billed. Queue again to buy a new one."


def test_a_clip_that_is_gone_without_a_time_is_told_too(emulator):
    job = submitted(emulator, ask())
    fault = Fault.fields(status="succeeded", output=None, data_removed=True, completed_at=None)
    emulator.fail_next("GET", POLL, fault)
    assert look(emulator, job).reason.endswith("after an hour.")


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "hibernating"},
        {"status": None},
        {"status": "succeeded", "output": None},
        {"status": "succeeded", "output": ""},
        {"status": "succeeded", "output": ["https://replicate.delivery/a.mp4"]},
    ],
)
def test_an_answer_outside_the_contract_is_unexpected_never_a_failure_of_the_job(emulator, fields):
    job = submitted(emulator, ask())
    emulator.fail_next("GET", POLL, Fault.fields(**fields))
    with pytest.raises(errors.UnexpectedReply, match="outside its documented contract"):
        look(emulator, job)


@pytest.mark.parametrize("answer", [{"id": None}, {"id": ""}, {"id": 5}])
def test_a_create_answered_without_an_id_is_outside_the_contract(emulator, answer):
    emulator.fail_next("POST", CREATE, Fault.fields(**answer))
    with pytest.raises(errors.UnexpectedReply):
        submitted(emulator, ask())


# -- what Replicate refuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("unauthorized", errors.Unauthorized, r"\(401\): You did not pass a valid authentication token\."),
        ("no money", errors.InsufficientCredits, r"is used up \(402\)\. Nothing was billed\. Buy some at"),
        ("rate limit", errors.RateLimited, r"resets in ~7s\. Nothing was billed\."),
        ("moderation", errors.ContentRefused, r"refused the prompt or a picture \(422\).*Nothing was billed"),
        ("server error", errors.SubmissionUncertain, r"error 500 .*may have been created and billed"),
    ],
)
def test_a_refused_create_is_the_right_error_with_the_truth_about_the_bill(emulator, kind, error, words):
    emulator.fail_next(*emulator.create, emulator.refusing(kind))
    with pytest.raises(error, match=words):
        submitted(emulator, ask())


def test_a_job_that_nobody_knows_is_no_missing_model_and_says_nothing_about_a_bill(emulator):
    with pytest.raises(errors.Rejected, match=r"\(404\): The requested resource") as caught:
        look(emulator, Job(id="gm3qorzdhgbfurvjtvhg6dckhu"))
    assert type(caught.value) is errors.Rejected
    assert "billed" not in str(caught.value)


def test_every_line_of_a_422_is_told(emulator):
    with pytest.raises(
        errors.Rejected,
        match=r"\(422\): input: prompt is required; input: Additional property x is not allowed\. Nothing",
    ):
        client_for(emulator).create("models/luma/ray-2-540p/predictions", {"input": {"x": 1}})


def test_a_model_that_is_gone_is_told_as_such(emulator):
    with pytest.raises(errors.ModelNotServed, match=r"\(404\).*Nothing was billed.*another provider"):
        client_for(emulator).create("models/luma/ray-1/predictions", {"input": PLAIN})


def test_another_402_keeps_replicates_words(emulator):
    body = {"title": "Monthly spend limit reached", "detail": "Raise it in the settings.", "status": 402}
    emulator.fail_next("POST", CREATE, Fault.status(402, body))
    with pytest.raises(errors.InsufficientCredits, match="Raise it in the settings"):
        submitted(emulator, ask())


@pytest.mark.parametrize(
    ("headers", "detail", "seconds"),
    [
        ({"Retry-After": "7"}, "Your rate limit resets in ~30s.", 7),
        ({}, "Request was throttled. Your rate limit resets in ~30s.", 30),
        ({}, "Request was throttled.", None),
    ],
)
def test_how_long_to_wait_is_taken_from_the_header_or_from_the_words(emulator, headers, detail, seconds):
    emulator.fail_next("POST", CREATE, Fault.status(429, {"detail": detail}, headers=headers))
    with pytest.raises(errors.RateLimited, match="Nothing was billed") as caught:
        submitted(emulator, ask())
    assert caught.value.retry_after == seconds


def test_a_throttled_look_says_nothing_about_the_bill(emulator):
    job = submitted(emulator, ask())
    fault = Fault.status(429, {"detail": "Request was throttled. Your rate limit resets in ~90s."})
    emulator.fail_next("GET", POLL, fault)
    with pytest.raises(errors.RateLimited) as caught:
        look(emulator, job)
    assert caught.value.retry_after == 90
    assert "billed" not in str(caught.value)


# -- pictures -----------------------------------------------------------------------------------------------


def test_a_picture_is_uploaded_as_a_file_that_carries_the_hash_of_its_pixels(emulator):
    still = photograph(40)
    url = REPLICATE.upload(client_for(emulator), still)
    (file,) = emulator.files.values()
    assert url == f"{emulator.base_url}/files/{file.id}"
    assert file.content == still.encode("image/png")
    assert (file.name, file.content_type) == (f"{still.sha256[:32]}.png", "image/png")
    assert file.metadata == {"picture": still.sha256}


def test_a_smaller_picture_carries_the_hash_of_the_one_that_was_asked_for(emulator):
    still = replace(photograph(40), media_type="image/jpeg", reduced_from="ef" * 32)
    REPLICATE.upload(client_for(emulator), still)
    (file,) = emulator.files.values()
    assert file.content == still.encode("image/jpeg")
    assert (file.name, file.content_type) == (f"{'ef' * 16}.jpg", "image/jpeg")
    assert file.metadata == {"picture": "ef" * 32}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.status(413, {"detail": "Files must be less than 100MB in size"}), "Files must be less"),
        (Fault.status(500, {"detail": "no"}), "error 500"),
        (Fault.status(401, {"detail": "no token"}), "does not accept the key"),
        (Fault.lost_answer(), "did not answer"),
    ],
)
def test_a_failed_upload_costs_nothing_and_buys_nothing(emulator, life, fault, words):
    emulator.fail_next("POST", "/files", fault)
    with pytest.raises(errors.UploadFailed, match=r"No clip was bought, nothing was billed\.") as caught:
        life.buy(image_to_video(first_frame=photograph(40)))
    assert words in str(caught.value)
    assert emulator.creates == []
    assert life.journal.entries() == []


# -- finding an unanswered create ---------------------------------------------------------------------------


def lost(request: GenerationRequest, since: float = NOW, known: Any = ()) -> Unanswered:
    return Unanswered(key="key", asked=request.describe(), since=since, known=known)


class Pages:
    """Lists of jobs, one page an answer, and uploaded files; what is asked for is recorded."""

    base_url = "https://api.replicate.com/v1/"

    def __init__(self, *pages: list[Any], files: Any = None, endless: bool = False) -> None:
        self.pages, self.files, self.endless = list(pages), files or {}, endless
        self.asked: list[Any] = []

    def get(self, path: str, params: Any = None) -> Any:
        if path.startswith("files/"):
            if path[6:] not in self.files:
                raise errors.Rejected("404")
            return {"metadata": self.files[path[6:]]}
        self.asked.append((path, params))
        page = self.pages.pop(0) if not self.endless else self.pages[0]
        more = self.endless or bool(self.pages)
        following = "https://elsewhere.test/v1/predictions?cursor=abc%3D&created_after=x" if more else None
        return {"results": page, "next": following, "previous": None}


def listed(request: GenerationRequest, id: str = "job", created: float = NOW, **others: Any) -> Any:
    body = REPLICATE.encode(request, URLS)
    return {
        "id": id,
        "model": f"luma/{body['name']}",
        "input": body["input"],
        "data_removed": False,
        "source": "api",
        "created_at": f"2027-01-15T08:{(created - NOW) // 60:02.0f}:{(created - NOW) % 60:02.0f}.000000Z",
        **others,
    }


FILES = {still.sha256[:4]: {"picture": still.sha256} for still in (A, B)}


def found(create: Unanswered, *pages: list[Any], **options: Any) -> str | None:
    job = REPLICATE.reconcile(Pages(*pages, **options), create)
    return None if job is None else job.id


@pytest.mark.parametrize(
    "request_",
    [
        ask(),
        ask(loop=True, concepts=("push_in",), duration=9),
        image_to_video(),
        keyframes(),
        keyframes(first_frame=None),
    ],
)
def test_an_unanswered_create_is_found_by_all_that_was_sent(request_):
    assert found(lost(request_), [listed(request_)], files=FILES) == "job"


@pytest.mark.parametrize(
    "other",
    [
        ask(prompt="a fox in the rain"),
        ask(duration=9),
        ask(aspect_ratio="1:1"),
        ask(resolution="720p"),
        ask(model="ray-2"),
        ask(loop=True),
        ask(concepts=("push_in",)),
        image_to_video(),
    ],
)
def test_a_job_that_differs_in_anything_is_not_taken(other):
    assert found(lost(ask()), [listed(other)], files=FILES) is None


@pytest.mark.parametrize(
    "other", [ask(), image_to_video(first_frame=B), keyframes(), keyframes(first_frame=None, last_frame=A)]
)
def test_a_job_with_other_pictures_is_not_taken(other):
    assert found(lost(image_to_video()), [listed(other)], files=FILES) is None


@pytest.mark.parametrize(
    "extra", [{"start_image_url": "https://pictures.test/a.png"}, {"seed": 5}, {"duration": "5"}]
)
def test_an_input_that_we_never_send_is_not_ours(extra):
    item = listed(ask())
    item["input"] = {**item["input"], **extra}
    assert found(lost(ask()), [item]) is None


def test_fields_that_are_filled_with_nothing_change_nothing():
    item = listed(ask())
    item["input"] = {**item["input"], "concepts": [], "start_image": None, "end_image": None}
    assert found(lost(ask()), [item]) == "job"


def test_jobs_of_other_generations_and_of_the_website_are_not_taken():
    page = [listed(ask(), "known"), listed(ask(), "web", source="web"), listed(ask(), "ours")]
    assert found(lost(ask(), known=["known"]), page) == "ours"
    assert found(lost(ask(), known=["known", "ours"]), page) is None


def test_of_several_the_one_closest_in_time_is_taken():
    page = [listed(ask(), name, NOW + away) for name, away in (("after", 90), ("closest", 48), ("before", 0))]
    assert found(lost(ask(), since=NOW + 50), page) == "closest"


@pytest.mark.parametrize("url", ["https://pictures.test/a.png", "data:image/png;base64,AAAA/files/abab"])
def test_a_picture_that_cannot_be_compared_is_said_and_not_taken(url):
    item = listed(image_to_video())
    item["input"]["start_image"] = url
    with pytest.raises(errors.UnexpectedReply, match=r"job job was created about then.*may be this one"):
        found(lost(image_to_video()), [item], files=FILES)


def test_a_picture_whose_file_is_gone_is_said_and_not_taken():
    with pytest.raises(errors.UnexpectedReply, match="may be this one"):
        found(lost(image_to_video()), [listed(image_to_video())])


def test_a_job_whose_input_is_deleted_is_said_and_not_taken():
    gone = listed(ask(), "gone", input={}, data_removed=True)
    with pytest.raises(errors.UnexpectedReply, match="job gone was created about then"):
        found(lost(ask()), [gone])
    assert found(lost(ask()), [gone, listed(ask(), "certain")]) == "certain"
    assert found(lost(ask(), known=["gone"]), [gone]) is None
    assert found(lost(ask(model="ray-2")), [gone]) is None


def test_only_the_time_around_the_create_is_asked_for_and_later_pages_at_the_own_address():
    pages = Pages([], [], [listed(ask())])
    assert REPLICATE.reconcile(pages, lost(ask())) == Job(id="job")
    about = {"created_after": "2027-01-15T07:55:00Z", "created_before": "2027-01-15T08:15:00Z"}
    following = {"cursor": "abc=", "created_after": "x"}
    assert pages.asked == [("predictions", about), ("predictions", following), ("predictions", following)]


def test_a_list_without_end_is_left_at_some_point():
    pages = Pages([listed(ask(prompt="filler"))], endless=True)
    assert REPLICATE.reconcile(pages, lost(ask())) is None
    assert len(pages.asked) <= 50


def test_the_emulators_list_is_looked_through_page_by_page(emulator):
    wanted = submitted(emulator, ask())
    for _ in range(120):
        submitted(emulator, ask(prompt="filler"))
    create = lost(ask(), since=emulator.creates[0].created_at)
    assert REPLICATE.reconcile(client_for(emulator), create) == Job(id=wanted.id)


def test_a_list_that_cannot_be_read_is_not_an_empty_list(emulator):
    emulator.fail_next("GET", "/predictions", Fault.status(500), times=4)
    with pytest.raises(errors.ProviderUnavailable):
        REPLICATE.reconcile(client_for(emulator), lost(ask()))


# -- whole lives --------------------------------------------------------------------------------------------


def test_from_a_prompt_to_a_clip_on_disk(emulator, life):
    clip = life.buy(ask())
    facts, row = clips.inspect(clip.path), life.row()
    assert (facts.frames, facts.width, facts.height) == (row.frames, row.width, row.height)
    assert (row.state, row.estimate_usd) == ("completed", Decimal("0.165"))
    assert row.job.id == emulator.creates[0].id
    assert emulator.leaks == []
    assert "processing at Replicate" in life.reports.words


def test_two_keyframes_are_uploaded_and_really_read(emulator, life):
    life.buy(keyframes(first_frame=photograph(40), last_frame=photograph(220)))
    (create,) = emulator.creates
    assert create.first.pixels[0, 0, 0] == 40
    assert create.last.pixels[0, 0, 0] == 220


def test_a_picture_used_again_is_not_uploaded_again(emulator, life):
    still = photograph(40)
    for take in (1, 2):
        life.buy(image_to_video(first_frame=still, take=take))
    assert len(emulator.files) == 1
    assert len(emulator.creates) == 2


def test_a_dropped_answer_is_found_among_jobs_that_differ_in_their_picture_only(emulator, life):
    red, dark = photograph(200), photograph(10)
    strangers = Life(life.folder / "another machine", REPLICATE)
    emulator.fail_next("POST", CREATE, Fault.lost_answer(), after=1)
    strangers.buy(image_to_video(first_frame=dark))
    clip = life.buy(image_to_video(first_frame=red))
    assert len(emulator.creates) == 2
    assert clip.entry.job.id == emulator.creates[1].id


def test_a_dropped_answer_that_is_looked_for_too_late_is_never_bought_twice(emulator, life):
    emulator.fail_next("POST", CREATE, Fault.lost_answer())
    emulator.fail_next("GET", "/predictions", Fault.status(500), times=12)
    with pytest.raises(errors.SubmissionUncertain, match="does not settle it"):
        life.buy(ask())
    emulator.course(emulator.creates[0]).removed = True
    with pytest.raises(errors.SubmissionUncertain) as caught:
        life.buy(ask())
    assert f"job {emulator.creates[0].id} was created about then" in str(caught.value)
    assert len(emulator.creates) == 1


def test_moderation_is_told_and_the_same_request_may_be_bought_again(emulator, life):
    emulator.fail_next("GET", POLL, Fault.fields(status="failed", error=ERRORS["moderation"]))
    with pytest.raises(errors.GenerationFailed, match=r"safety check .* should cost nothing"):
        life.buy(ask())
    assert life.row().state == "failed"
    assert life.buy(ask()).entry.job.id == emulator.creates[1].id


def test_a_clip_that_is_collected_too_late_is_told_as_billed_and_gone(emulator, life):
    job = submitted(emulator, ask())
    outcome(emulator, job)
    emulator.remove_data()
    with pytest.raises(errors.GenerationFailed, match=r"its clip is gone.*until about .* UTC.*It was billed"):
        life.bring(job.id)


def test_who_waits_too_long_is_told_how_long_the_clip_is_kept(emulator, life):
    emulator.pace = replace(emulator.pace, polls=10**6)
    with pytest.raises(errors.StillRunning, match="keeps a finished clip for 1 hour only"):
        life.buy(ask())
    assert life.row().state == "submitted"


def test_who_stops_a_job_stops_it_at_replicate(emulator, life):
    life.clock.on_sleep = life.clock.stop.set
    with pytest.raises(errors.Interrupted, match="Replicate confirmed the cancellation"):
        life.buy(ask())
    assert emulator.creates[0].state == "cancelled"
    assert life.row().state == "cancelled"


def test_the_token_goes_to_replicate_and_nowhere_else(emulator, life):
    with FileHost() as elsewhere:
        emulator.fail_next("GET", "/predictions", Fault.redirect(elsewhere.origin))
        emulator.fail_next("POST", CREATE, Fault.lost_answer())
        life.buy(image_to_video(first_frame=photograph(40)))
        assert elsewhere.requests == []
    assert emulator.leaks == []
    assert emulator.key.encode() not in life.written()
    assert emulator.key not in life.reports.words
    assert "signature=secret" not in json.dumps(life.row().job.details)
