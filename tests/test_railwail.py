"""OpenAI's call for video in every dialect, and Railwail, which is one gateway with it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pydantic
import pytest
import requests
from emulators.railwail import RailwailEmulator, error
from emulators.server import Fault, FileHost
from fakes import text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.client import decoding
from luma_ray.nodes.generation.credentials import Secret
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Offer, Pending
from luma_ray.nodes.generation.openai_video import Dialect, OpenAIVideo
from luma_ray.nodes.generation.request import GenerationReference, Operation
from luma_ray.nodes.media import clips
from luma_ray.nodes.providers.railwail import Railwail
from openai.types import ImageInputReferenceParam, VideoSize
from purchase import A, B, Life, calls, led_to, photograph, refused

RAILWAIL = Railwail()
URLS = {A.sha256: "data:image/png;base64,AAAA"}
AT_ONCE = ("data", "output_url", "url")
EARLIER = GenerationReference(id="ray-0", provider="railwail", job_id="video_0")

client_for, submit, look, _ = calls(RAILWAIL)
submitted = partial(submit, pictures=URLS)
image_to_video = partial(text, operation=Operation.IMAGE_TO_VIDEO, first_frame=A)


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., RailwailEmulator]]:
    """Starts emulators; the pack is set up to use the last one."""
    with ExitStack() as started:

        def start(dialect: str = "openai") -> RailwailEmulator:
            return started.enter_context(led_to(RailwailEmulator(dialect=dialect), monkeypatch))

        yield start


@pytest.fixture
def gateway(gateways: Callable[..., RailwailEmulator]) -> RailwailEmulator:
    return gateways()


@pytest.fixture
def life(tmp_path) -> Life:
    return Life(tmp_path, RAILWAIL)


def told(gateway: RailwailEmulator, **fields: Any) -> Any:
    """What is understood of an answer about a job with these fields."""
    job = submitted(gateway, text())
    gateway.fail_next(*gateway.poll, Fault.fields(**fields))
    return look(gateway, job)


# -- what is sent -------------------------------------------------------------------------------------------

PLAIN = {"model": "luma-ray-flash", "prompt": "a fox in the snow", "seconds": "5", "size": "1280x720"}


def test_a_prompt_is_sent_in_openais_fields():
    assert RAILWAIL.encode(text(), {}) == PLAIN


def test_an_upright_clip_is_an_upright_size():
    assert RAILWAIL.encode(text(aspect_ratio="9:16"), {}) == {**PLAIN, "size": "720x1280"}


def test_a_first_frame_is_openais_input_reference():
    expected = {**PLAIN, "input_reference": {"image_url": URLS[A.sha256]}}
    assert RAILWAIL.encode(image_to_video(), URLS) == expected


def test_the_take_is_ours_and_not_sent():
    assert RAILWAIL.encode(text(take=7), {}) == PLAIN


def test_sizes_and_the_first_frame_are_in_openais_own_types():
    for ratio in ("16:9", "9:16"):
        body = RAILWAIL.encode(image_to_video(aspect_ratio=ratio), URLS)
        assert pydantic.TypeAdapter(VideoSize).validate_python(body["size"])
        sent = body["input_reference"]
        assert pydantic.TypeAdapter(ImageInputReferenceParam).validate_python(sent) == sent


def test_a_picture_goes_along_as_it_is_and_nothing_is_sent_for_it(gateway):
    url = RAILWAIL.upload(client_for(gateway), A)
    assert url == f"data:image/png;base64,{base64.b64encode(b'picture').decode()}"
    assert gateway.requests == []


class Other(OpenAIVideo):
    """A gateway that spells everything differently."""

    name = "other"
    title = "Other"
    about = "for tests"
    docs = ""
    base_url = "https://other.test/v1"
    secrets = ("OTHER_KEY",)
    takes_urls_only = True
    dialect = Dialect(
        models={"ray-2": "luma/ray-2"},
        sizes={("1080p", "1:1"): "1080x1080"},
        seconds="number",
        first_frame=("image_url",),
    )
    offers = (
        Offer(
            model="ray-2",
            operation=Operation.IMAGE_TO_VIDEO,
            endpoint="videos",
            durations=(9,),
            resolutions=("1080p",),
            aspect_ratios=("1:1",),
            keyframes=frozenset({("image", "none")}),
        ),
    )


def test_another_gateway_is_its_data_and_its_dialect():
    request = image_to_video(model="ray-2", resolution="1080p", aspect_ratio="1:1", duration=9)
    assert Other().encode(request, {A.sha256: "https://h.test/a.png"}) == {
        "model": "luma/ray-2",
        "prompt": "a fox in the snow",
        "seconds": 9,
        "size": "1080x1080",
        "image_url": "https://h.test/a.png",
    }
    assert Other().sign({"OTHER_KEY": Secret("other-key-0123")}) == {"Authorization": "Bearer other-key-0123"}
    assert "Other does not document" in Other().billing({"cost": {"credits": 5}})


# -- what is refused here, with nothing sent ----------------------------------------------------------------

REFUSED = {
    "Ray 2": (text(model="ray-2"), "no ray-2"),
    "nine seconds": (text(duration=9), "no 9 s (5 s only)"),
    "1080p": (text(resolution="1080p"), "no 1080p (720p only)"),
    "a square": (text(aspect_ratio="1:1"), "no 1:1 (16:9, 9:16 only)"),
    "a loop": (text(loop=True), "no loop"),
    "a concept": (text(concepts=("push_in",)), "no camera concept"),
    "no prompt": (image_to_video(prompt=""), "the prompt is empty"),
    "an end frame": (text(operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=A, last_frame=B), "keyframes"),
    "an earlier generation": (text(operation=Operation.EXTEND_VIDEO, first_frame=EARLIER), "extend video"),
}


@pytest.mark.parametrize(("request_", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_only_claimed_is_refused_before_anything_is_sent(gateway, life, request_, words):
    assert words in refused(life, gateway, request_)


def test_it_is_experimental_in_one_sentence_and_has_no_price():
    assert RAILWAIL.experimental.count(". ") == 0
    assert RAILWAIL.experimental.endswith(".")
    assert RAILWAIL.label == "Railwail (experimental)"
    assert {offer.price(text()) for offer in RAILWAIL.offers} == {None}


# -- what a create becomes ----------------------------------------------------------------------------------


def test_a_video_object_is_kept_by_its_id(gateway):
    job = submitted(gateway, text())
    assert job == Job(id=gateway.creates[0].id, details={"at": "videos"})


def test_a_job_object_is_asked_about_among_the_jobs(gateways):
    gateway = gateways("job")
    job = submitted(gateway, text())
    assert job == Job(id=gateway.creates[0].id, details={"at": "jobs"})
    assert [type(look(gateway, job)) for _ in range(2)] == [Pending, Completed]


@pytest.mark.parametrize("dialect", AT_ONCE)
def test_an_address_that_is_all_there_is_is_kept_with_its_signature(gateways, dialect):
    gateway = gateways(dialect)
    job = submitted(gateway, text())
    assert "?signature=secret-" in job.details["url"]
    assert requests.get(job.details["url"], timeout=5).ok
    asked = len(gateway.requests)
    assert look(gateway, job) == Completed(url=job.details["url"])
    assert len(gateway.requests) == asked


def test_the_same_address_makes_the_same_job_and_another_another():
    class Answering:
        def __init__(self, url: str) -> None:
            self.url = url

        def create(self, path: str, body: Any, hold: float = 0) -> Any:
            return {"url": self.url}

    one, same, other = (
        RAILWAIL.submit(Answering(url), RAILWAIL.offers[0], {}, "key").id
        for url in ("https://h.test/a.mp4", "https://h.test/a.mp4", "https://h.test/b.mp4")
    )
    assert one == same
    assert one != other
    assert one.startswith("clip-")


class Answers:
    """A gateway in one answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def create(self, path: str, body: Any, hold: float = 0) -> Any:
        return self.answer


URL = "https://h.test/a.mp4?sig=1"


@pytest.mark.parametrize(
    ("answer", "job"),
    [
        ({"id": "v", "object": "video", "status": "queued"}, Job(id="v", details={"at": "videos"})),
        # It can be asked again, so its signed address is not wanted.
        ({"id": "v", "object": "video", "url": URL}, Job(id="v", details={"at": "videos"})),
        ({"id": "j", "object": "job", "output_url": URL}, Job(id="j", details={"at": "jobs"})),
        ({"id": "x", "url": URL}, Job(id="x", details={"url": URL})),
        ({"id": 5, "created": 1, "data": [{"url": URL}]}, Job(id="clip-7f40", details={"url": URL})),
        ({"id": "x", "status": "queued", "data": []}, Job(id="x", details={"at": "videos"})),
        ({"id": "x", "object": "generation"}, Job(id="x", details={"at": "videos"})),
        ({"output_url": None, "url": URL}, Job(id="clip-7f40", details={"url": URL})),
    ],
)
def test_what_is_kept_of_an_answer_is_what_leads_back_to_the_clip(answer, job):
    made = RAILWAIL.submit(Answers(answer), RAILWAIL.offers[0], {}, "key")
    assert made.details == job.details
    assert made.id == job.id or made.id.startswith("clip-") == job.id.startswith("clip-")


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, "ok", {"object": "video"}, {"id": "", "object": "job"}, {"id": 5}, {"url": 5}, {"data": [5]},
     {"data": [{}]}, {"error": {"message": "no", "code": "x"}}],
)  # fmt: skip
def test_an_answer_that_leads_nowhere_is_outside_the_contract(answer):
    with pytest.raises(errors.UnexpectedReply), decoding("Railwail"):
        RAILWAIL.submit(Answers(answer), RAILWAIL.offers[0], {}, "key")


# -- what is said about a job -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "progress", "note"),
    [
        ("queued", 0, "queued"),
        ("pending", None, "pending"),
        ("in_progress", 40, "in progress, 40 %"),
        ("processing", 33.4, "processing, 33 %"),
        ("in_progress", True, "in progress"),
        ("in_progress", 400, "in progress"),
        ("in_progress", "half", "in progress"),
    ],
)
def test_words_for_not_yet(gateway, word, progress, note):
    assert told(gateway, status=word, progress=progress) == Pending(note=note)


@pytest.mark.parametrize("word", ["completed", "succeeded"])
def test_a_finished_video_without_an_address_is_fetched_from_the_api_with_the_key(gateway, word):
    done = told(gateway, status=word)
    assert done == Completed(url=f"{gateway.base_url}/videos/{gateway.creates[0].id}/content", signed=True)


@pytest.mark.parametrize("fields", [{"url": URL}, {"output_url": URL}, {"data": [{"url": URL}]}])
def test_a_finished_video_with_an_address_is_fetched_there_without_the_key(gateway, fields):
    assert told(gateway, status="completed", **fields) == Completed(url=URL)


def test_an_address_inside_the_api_wants_the_key_and_one_beside_it_does_not(gateway):
    inside, beside = f"{gateway.base_url}/files/1", f"{gateway.origin}/assets/1.mp4"
    assert told(gateway, status="completed", url=inside) == Completed(url=inside, signed=True)
    assert told(gateway, status="completed", url=beside) == Completed(url=beside)
    assert told(gateway, status="completed", url="/assets/1.mp4") == Completed(url=beside)
    elsewhere = f"https://evil.test{inside.removeprefix(gateway.origin)}"
    assert told(gateway, status="completed", url=elsewhere) == Completed(url=elsewhere)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "failed", "error": {"code": "x", "message": "No cheese."}}, "failed at Railwail: No cheese."),
        ({"status": "failed", "error": "Out of cheese"}, "failed at Railwail: Out of cheese."),
        ({"status": "failed", "error": None}, "failed at Railwail: no reason given."),
        ({"status": "failed", "error": {"message": 5}}, "failed at Railwail: no reason given."),
        ({"status": "failed", "error": {"message": f"cannot read {URL}"}}, "a.mp4?<cut>."),
        ({"status": "failed", "error": {"code": "moderation_blocked", "message": "x"}}, "safety check rejected"),
        ({"status": "failed", "error": {"code": "content_policy_violation"}}, "safety check rejected"),
        ({"status": "cancelled"}, "was cancelled at Railwail."),
        ({"status": "canceled"}, "was cancelled at Railwail."),
        ({"status": "expired"}, "expired at Railwail"),
    ],
)  # fmt: skip
def test_words_for_the_end_without_a_clip(gateway, fields, reason):
    ended = told(gateway, **fields)
    assert isinstance(ended, Failed)
    assert reason in ended.reason
    assert (
        ended.billing == "Railwail does not document whether it bills a failed job; its usage page shows it."
    )


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        ({"credits": 0}, "Railwail charged 0 credits for it."),
        ({"credits": 12.5}, "Railwail charged 12.5 credits for it."),
        ({"credits": None}, "does not document"),
        ({"credits": True}, "does not document"),
        (None, "does not document"),
    ],
)
def test_a_job_object_tells_what_its_failure_cost(gateways, cost, words):
    assert words in told(gateways("job"), status="failed", cost=cost).billing


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        ("openai", {"status": "paused"}),
        ("openai", {"status": None}),
        ("openai", {"status": {}}),
        ("openai", {"status": "completed", "url": 5}),
        ("job", {"status": "paused"}),
        ("job", {"status": "completed", "output_url": None}),
    ],
)
def test_an_answer_outside_the_contract_is_unexpected_never_a_failure_of_the_job(gateways, dialect, fields):
    with pytest.raises(errors.UnexpectedReply, match="outside its documented contract"):
        told(gateways(dialect), **fields)


def test_a_job_known_by_its_id_alone_is_found_in_either_place(gateways):
    for dialect, asked in (("openai", ["/videos"]), ("job", ["/videos", "/jobs"])):
        gateway = gateways(dialect)
        job = Job(id=submitted(gateway, text()).id)
        gateway.requests.clear()
        assert isinstance(look(gateway, job), Pending)
        assert [request.path.rpartition("/")[0] for request in gateway.requests] == asked


def test_an_id_that_nobody_knows_is_refused(gateway):
    with pytest.raises(errors.Rejected, match=r"\(404\)"):
        look(gateway, Job(id="nobody"))


@pytest.mark.parametrize("details", [{}, {"at": "videos"}])
def test_a_wrong_key_is_told_as_such_and_not_asked_with_again(gateway, details):
    gateway.fail_next("GET", "/videos/{id}", gateway.refusing("unauthorized"))
    with pytest.raises(errors.Unauthorized):
        look(gateway, Job(id="video_1", details=details))
    assert len(gateway.requests) == 1


@pytest.mark.parametrize("strange", ["../credits", "a?wait=0", "a#b", "//evil.test/x"])
def test_an_id_that_a_person_typed_stays_an_id(gateway, strange):
    with pytest.raises(errors.Rejected, match=r"\(404\)"):
        look(gateway, Job(id=strange))
    assert [request.path.count("/") for request in gateway.requests] == [2, 2]


# -- what errors mean for a purchase ------------------------------------------------------------------------

NOT_BILLED = {
    "bad_request": (400, errors.Rejected, r"\(400\): words\. Nothing was billed"),
    "invalid_api_key": (401, errors.Unauthorized, "does not accept the key"),
    "insufficient_credits": (402, errors.InsufficientCredits, "not enough credits"),
    "rate_limit_exceeded": (429, errors.RateLimited, "fewer requests"),
    "insufficient_quota": (429, errors.InsufficientCredits, "not enough credits: words. Nothing was billed"),
    "model_not_found": (404, errors.ModelNotServed, r"not serve this model.*\(404\): words\. Nothing was billed"),
    "content_policy_violation": (400, errors.ContentRefused, "safety check rejected.*Nothing was billed"),
    "moderation_blocked": (403, errors.ContentRefused, "safety check rejected.*Nothing was billed"),
}  # fmt: skip


@pytest.mark.parametrize("code", NOT_BILLED)
def test_a_refusal_is_told_by_its_code_and_nothing_was_bought(gateway, code):
    status, kind, words = NOT_BILLED[code]
    gateway.fail_next(*gateway.create, Fault(lambda _: error(status, code, "words"), handled=False))
    with pytest.raises(errors.GenerationError, match=words) as caught:
        submitted(gateway, text())
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "fault", [None, Fault.html(404), Fault.status(404, []), Fault.status(405, {"error": "Method Not Allowed"})],
    ids=["404", "page", "list", "405"],
)  # fmt: skip
def test_a_gateway_without_the_call_is_told_as_such_and_nothing_else_is_tried(gateways, fault):
    gateway = gateways("absent" if fault is None else "openai")
    if fault is not None:
        gateway.fail_next(*gateway.create, fault)
    with pytest.raises(errors.Rejected) as caught:
        submitted(gateway, text())
    assert "has no call for video at the address this pack uses" in str(caught.value)
    assert "Nothing was created or billed" in str(caught.value)
    assert "RAILWAIL_BASE_URL=https://api.railwail.com/v1" in str(caught.value)
    assert [(request.method, request.path) for request in gateway.requests] == [("POST", "/videos")]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(500, {"error": {"message": "x", "code": "model_not_found"}}),
        Fault.html(502),
        Fault.status(504),
    ],
    ids=["500", "502", "504"],
)
def test_an_error_of_the_server_may_have_been_billed_whatever_its_code(gateway, fault):
    gateway.fail_next(*gateway.create, fault)
    with pytest.raises(errors.SubmissionUncertain, match="may have been created and billed"):
        submitted(gateway, text())


def test_404_about_a_job_is_not_about_the_call(gateway):
    with pytest.raises(errors.Rejected) as caught:
        look(gateway, Job(id="nobody", details={"at": "videos"}))
    assert "no call for video" not in str(caught.value)


# -- whole lives --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["openai", "job", *AT_ONCE])
def test_from_a_prompt_to_a_clip_on_disk_in_every_dialect(gateways, life, dialect):
    gateway = gateways(dialect)
    clip = life.buy(text())
    row = life.row()
    assert (row.state, row.estimate_usd, row.billed_usd) == ("completed", None, None)
    assert clips.inspect(clip.path).frames == 121
    assert len(gateway.creates) == 1
    assert gateway.leaks == []


@pytest.mark.parametrize("dialect", ["openai", "job", *AT_ONCE])
def test_a_picture_goes_along_with_the_create_in_every_dialect(gateways, life, dialect):
    gateway = gateways(dialect)
    life.buy(image_to_video(first_frame=photograph(40)))
    (made,) = gateway.creates
    assert (made.first.width, made.first.height) == (320, 180)


@pytest.mark.parametrize("dialect", ["openai", "job", *AT_ONCE])
def test_a_paid_job_is_collected_by_another_session_in_every_dialect(gateways, life, tmp_path, dialect):
    gateway = gateways(dialect)
    gateway.fail_next(*gateway.asset, Fault.lost_request(), times=4)
    with pytest.raises(errors.DownloadFailed, match="paid and kept"):
        life.buy(text())
    assert life.row().state == "submitted"
    clip = Life(tmp_path, RAILWAIL).buy(text())
    assert clips.inspect(clip.path).frames == 121
    assert [request.method for request in gateway.requests].count("POST") == 1


def test_a_stopped_wait_says_that_the_job_goes_on_and_is_billed(gateway, life):
    life.clock.on_sleep = life.clock.stop.set
    with pytest.raises(
        errors.Interrupted, match="has no way to cancel a job: it finishes there and is billed"
    ):
        life.buy(text())
    assert life.row().state == "submitted"


def test_a_lost_answer_that_had_the_clip_in_it_is_not_asked_for_again(gateways, life):
    gateway = gateways("url")
    gateway.fail_next(*gateway.create, Fault.lost_answer())
    for _ in range(2):
        with pytest.raises(errors.SubmissionUncertain, match="may have been created and billed"):
            life.buy(text())
    assert [request.method for request in gateway.requests] == ["POST"]
    assert life.row().state == "uncertain"


@pytest.mark.parametrize("dialect", ["openai", "job"])
def test_the_person_can_name_the_job_of_a_lost_answer_and_gets_the_clip(gateways, life, dialect):
    gateway = gateways(dialect)
    gateway.fail_next(*gateway.create, Fault.lost_answer())
    with pytest.raises(errors.SubmissionUncertain):
        life.buy(text())
    life.found(life.row().id, gateway.creates[0].id, clock=life.clock)
    assert clips.inspect(life.buy(text()).path).frames == 121
    assert len(gateway.creates) == 1


def test_an_answer_that_leads_nowhere_is_a_purchase_in_doubt(gateway, life):
    gateway.fail_next(*gateway.create, Fault.fields(id=None))
    with pytest.raises(errors.SubmissionUncertain, match="may have been created and billed"):
        life.buy(text())
    assert life.row().state == "uncertain"


def test_an_expired_link_of_a_job_is_asked_for_again(gateways, life):
    gateway = gateways("job")
    gateway.fail_next(*gateway.asset, Fault.html(403))
    life.buy(text())
    assert "answered 403" in life.reports.words


def test_an_expired_link_that_is_all_there_is_is_told_and_the_row_is_kept(gateways, life):
    gateway = gateways("url")
    gateway.fail_next(*gateway.asset, Fault.html(403), times=4)
    with pytest.raises(errors.DownloadFailed, match="paid and kept"):
        life.buy(text())
    assert life.row().state == "submitted"


def test_the_clip_behind_the_key_is_fetched_from_the_gateway_s_own_origin_only(gateway, life):
    with FileHost() as elsewhere:
        gateway.fail_next(*gateway.asset, Fault.redirect(f"{elsewhere.origin}/clip.mp4"))
        life.buy(text())
        assert elsewhere.requests == []
    content = [request for request in gateway.requests if request.path.endswith("/content")]
    assert {request.headers["Authorization"] for request in content} == {f"Bearer {gateway.key}"}
    assert gateway.key.encode() not in life.written()


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        ("openai", r"safety check rejected.*does not document whether it bills"),
        ("job", r"safety check rejected.*Railwail charged 0 credits"),
    ],
)
def test_moderation_after_the_create_says_what_is_known_about_the_bill(gateways, life, dialect, words):
    gateways(dialect)
    with pytest.raises(errors.GenerationFailed, match=words):
        life.buy(text(prompt="an indecent fox"))


def test_moderation_of_a_gateway_that_answers_at_once_is_a_refusal(gateways, life):
    gateways("url")
    with pytest.raises(errors.ContentRefused, match="Nothing was billed"):
        life.buy(text(prompt="an indecent fox"))
    assert life.row().state == "failed"


def test_it_is_called_experimental_where_an_artist_reads(gateway, life):
    life.buy(text())
    assert "sending to Railwail (experimental)" in life.reports.words
