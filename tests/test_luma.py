"""Luma's Dream Machine API: what is sent, what is refused here, what is understood, and whole lives of clips."""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from functools import partial
from typing import Any

import lumaai
import pydantic
import pytest
from emulators.luma import FAILURES, LumaEmulator
from emulators.server import Fault, FileHost
from fakes import text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.budget import quote
from luma_ray.nodes.generation.client import decoding
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending, Unanswered
from luma_ray.nodes.generation.ray import ASPECT_RATIOS, CONCEPTS
from luma_ray.nodes.generation.request import GenerationReference, GenerationRequest, Operation
from luma_ray.nodes.generation.selection import refusals
from luma_ray.nodes.hosting import HOSTS
from luma_ray.nodes.media import clips
from luma_ray.nodes.providers.luma import Luma
from lumaai.types import GenerationCreateParams
from purchase import URLS, A, B, Life, calls, photograph, refused

RESOLUTIONS = ("540p", "720p", "1080p", "4k")
LUMA = Luma()
JOBS = ("123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174001")
ONE, OTHER = (GenerationReference(id=f"ray-{job[-1]}", provider="luma", job_id=job) for job in JOBS)

client_for, submitted, look, outcome = calls(LUMA)
ask = partial(text, model="ray-2", resolution="540p")
image_to_video = partial(ask, operation=Operation.IMAGE_TO_VIDEO, first_frame=A)
keyframes = partial(ask, operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=A, last_frame=B)
extend = partial(ask, operation=Operation.EXTEND_VIDEO, first_frame=ONE)
interpolate = partial(ask, operation=Operation.INTERPOLATE_VIDEO, first_frame=ONE, last_frame=OTHER)


@pytest.fixture
def life(tmp_path) -> Life:
    return Life(tmp_path, LUMA, *HOSTS)


def lost(asked: dict[str, Any], since: float, known: Any) -> Unanswered:
    return Unanswered(key="key", asked=asked, since=since, known=known)


def finished(luma: LumaEmulator, **others: Any) -> GenerationReference:
    """An earlier generation that this emulator really has."""
    job = submitted(luma, ask(**others))
    assert isinstance(outcome(luma, job), Completed)
    return GenerationReference(id="ray-0", provider="luma", job_id=job.id)


# -- what is sent -------------------------------------------------------------------------------------------

WITHOUT_FRAMES = {
    "generation_type": "video",
    "model": "ray-2",
    "prompt": "a fox in the snow",
    "aspect_ratio": "16:9",
    "resolution": "540p",
    "duration": "5s",
    "loop": False,
}
IMAGES = ({"type": "image", "url": URLS[A.sha256]}, {"type": "image", "url": URLS[B.sha256]})
CLIPS = ({"type": "generation", "id": JOBS[0]}, {"type": "generation", "id": JOBS[1]})
RECIPES = {
    "text": (ask(), None),
    "start frame": (image_to_video(), {"frame0": IMAGES[0]}),
    "end frame": (keyframes(first_frame=None), {"frame1": IMAGES[1]}),
    "start and end": (keyframes(), {"frame0": IMAGES[0], "frame1": IMAGES[1]}),
    "extend": (extend(), {"frame0": CLIPS[0]}),
    "extend backward": (extend(first_frame=None, last_frame=ONE), {"frame1": CLIPS[0]}),
    "extend to an end frame": (extend(last_frame=B), {"frame0": CLIPS[0], "frame1": IMAGES[1]}),
    "backward from a start frame": (
        extend(first_frame=A, last_frame=ONE),
        {"frame0": IMAGES[0], "frame1": CLIPS[0]},
    ),
    "interpolate": (interpolate(), {"frame0": CLIPS[0], "frame1": CLIPS[1]}),
}


@pytest.mark.parametrize(("request_", "frames"), RECIPES.values(), ids=RECIPES)
def test_the_keyframes_go_where_luma_wants_them(request_, frames):
    expected = WITHOUT_FRAMES if frames is None else {**WITHOUT_FRAMES, "keyframes": frames}
    assert LUMA.encode(request_, URLS) == expected


@pytest.mark.parametrize(
    ("others", "sent"),
    [
        ({"loop": True}, {"loop": True}),
        ({"concepts": ("push_in", "pan_left")}, {"concepts": [{"key": "push_in"}, {"key": "pan_left"}]}),
        ({"duration": 9}, {"duration": "9s"}),
        ({"resolution": "4k"}, {"resolution": "4k"}),
        ({"model": "ray-flash-2"}, {"model": "ray-flash-2"}),
        ({"aspect_ratio": "9:21"}, {"aspect_ratio": "9:21"}),
        ({"prompt": " a fox 🦊 "}, {"prompt": " a fox 🦊 "}),
    ],
)
def test_each_setting_becomes_its_field(others, sent):
    assert LUMA.encode(ask(**others), {}) == {**WITHOUT_FRAMES, **sent}


def test_an_empty_prompt_is_left_out():
    assert "prompt" not in LUMA.encode(image_to_video(prompt=" \n"), URLS)


def test_the_take_is_ours_and_not_sent():
    assert LUMA.encode(ask(take=7), {}) == LUMA.encode(ask(), {})


EVERYTHING = [
    ask(model=model, aspect_ratio=ratio, resolution=resolution, duration=seconds)
    for model, ratio, resolution, seconds in itertools.product(
        ("ray-2", "ray-flash-2"), ASPECT_RATIOS, RESOLUTIONS, (5, 9)
    )
]


def test_every_combination_on_offer_passes_lumas_types_and_lumas_sdk():
    expected = pydantic.TypeAdapter(GenerationCreateParams, config=None)
    with LumaEmulator(credit_usd=1e4) as luma, sdk(luma) as theirs:
        for request in EVERYTHING:
            body = LUMA.encode(request, {})
            assert expected.validate_python(body) == body
            made = theirs.generations.create(**body)
            assert made.model == request.model
        assert [generation.body for generation in luma.creates] == [LUMA.encode(r, {}) for r in EVERYTHING]


def sdk(luma: LumaEmulator) -> lumaai.LumaAI:
    return lumaai.LumaAI(auth_token=luma.key, base_url=luma.base_url, max_retries=0)


def test_every_keyframe_recipe_passes_lumas_types_and_lumas_sdk(luma):
    one, other = finished(luma), finished(luma)
    expected = pydantic.TypeAdapter(GenerationCreateParams)
    with sdk(luma) as theirs:
        for request, _ in RECIPES.values():
            ours = replace(
                request,
                **{
                    name: {ONE.job_id: one, OTHER.job_id: other}[frame.job_id]
                    for name, frame in (
                        ("first_frame", request.first_frame),
                        ("last_frame", request.last_frame),
                    )
                    if isinstance(frame, GenerationReference)
                },
            )
            body = LUMA.encode(ours, URLS)
            assert expected.validate_python(body) == body
            assert theirs.generations.create(**body).id
    assert len(luma.creates) == 2 + len(RECIPES)


def test_every_concept_and_the_loop_pass_lumas_sdk(luma):
    with sdk(luma) as theirs:
        for loop in (True, False):
            assert theirs.generations.create(**LUMA.encode(ask(concepts=CONCEPTS, loop=loop), {})).id


def test_the_types_of_the_sdk_refuse_what_is_not_in_them():
    # Or the tests above would prove nothing.
    body = {**LUMA.encode(keyframes(), URLS), "aspect_ratio": "2:1"}
    with pytest.raises(pydantic.ValidationError):
        pydantic.TypeAdapter(GenerationCreateParams).validate_python(body)


def test_our_own_submit_is_understood_by_the_emulator(luma):
    job = submitted(luma, keyframes(concepts=("push_in",)))
    (create,) = luma.creates
    assert job == Job(id=create.id)
    assert luma.requests[0].headers["Authorization"] == f"Bearer {luma.key}"
    assert luma.requests[0].path == "/generations/video"


# -- what is refused here, with nothing sent ----------------------------------------------------------------

REFUSED = {
    "no prompt": (ask(prompt=""), "the prompt is empty"),
    "no prompt with a clip": (extend(prompt=""), "the prompt is empty"),
    "a short prompt": (ask(prompt="ab"), "at least 3"),
    "a long prompt": (ask(prompt="x" * 5001), "at most 5000"),
    "loop with both frames": (keyframes(loop=True), "no loop"),
    "loop with an end frame": (keyframes(first_frame=None, loop=True), "no loop"),
    "loop backward": (extend(first_frame=None, last_frame=ONE, loop=True), "no loop"),
    "loop from clip to picture": (extend(last_frame=B, loop=True), "no loop"),
    "loop from picture to clip": (extend(first_frame=A, last_frame=ONE, loop=True), "no loop"),
    "loop between two clips": (interpolate(loop=True), "no loop"),
    "no keyframes": (keyframes(first_frame=None, last_frame=None), "a first or last frame is needed"),
    "a retired model": (ask(model="ray-1-6"), "no ray-1-6 for text to video (ray-2, ray-flash-2 only)"),
    "ten seconds": (ask(duration=10), "no 10 s (5 s, 9 s only)"),
    "a resolution": (ask(resolution="480p"), "no 480p (540p, 720p, 1080p, 4k only)"),
    "a ratio": (ask(aspect_ratio="2:1"), "no 2:1"),
    "a concept": (ask(concepts=("wobble",)), "no camera concept 'wobble'"),
    "another provider's clip": (extend(first_frame=replace(ONE, provider="fal")), "a clip made at fal"),
}


@pytest.mark.parametrize(("request_", "words"), REFUSED.values(), ids=REFUSED)
def test_what_luma_would_refuse_is_refused_before_anything_is_sent(luma, life, request_, words):
    assert words in refused(life, luma, request_)


@pytest.mark.parametrize(
    "request_", [recipe[0] for recipe in RECIPES.values()] + [ask(loop=True)], ids=[*RECIPES, "loop"]
)
def test_what_luma_takes_is_not_refused(request_):
    assert refusals(LUMA, request_)[1] == []


# -- what Luma answers --------------------------------------------------------------------------------------


def test_a_job_is_waited_for_through_its_states(luma):
    job = submitted(luma, ask())
    first, second = (look(luma, job) for _ in range(2))
    assert first == Pending(note="dreaming")
    assert second == Completed(url=f"{luma.origin}/assets/{job.id}.mp4")


TRANSLATED = {
    "blacklisted": "word on Luma's list",
    "unreadable": "Luma could not fetch the image URL",
    "indecent picture": "rejected one of the pictures",
    "indecent words": "rejected the prompt",
    "indecent result": "rejected the prompt or a picture",
    "suspicious host": "could not fetch the image URL to check the picture",
    "incomprehensible": "could not process the prompt",
    "undispatchable": "could not start the job",
    "doomed": "Luma's model failed",
    "unanswerable": "failed while reporting",
}


@pytest.mark.parametrize("words", FAILURES)
def test_every_failure_is_told_in_our_words_with_what_becomes_of_the_money(luma, words):
    failed = outcome(luma, submitted(luma, ask(prompt=f"something {words}")))
    assert isinstance(failed, Failed)
    assert TRANSLATED[words] in failed.reason
    assert FAILURES[words] not in failed.reason
    assert failed.billing == "Luma refunds failed generations in full."


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("Out of cheese.", "Luma's job failed: Out of cheese."),
        ("JOB FAILED.", "Luma's model failed on this job. Try again, or change the prompt."),
        (None, "Luma's job failed: no reason given."),
        ("", "Luma's job failed: no reason given."),
        ({"code": 5}, "Luma's job failed: no reason given."),
        (
            "cannot read https://b.test/a.png?X-Amz-Signature=abc",
            "Luma's job failed: cannot read https://b.test/a.png?<cut>.",
        ),
    ],
)
def test_a_failure_that_is_not_documented_is_a_failure_all_the_same(luma, reason, told):
    job = submitted(luma, ask())
    luma.fail_next("GET", "/generations/{id}", Fault.fields(state="failed", failure_reason=reason))
    assert look(luma, job).reason == told


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "paused"},
        {"state": None},
        {"state": 3},
        {"state": "completed", "assets": None},
        {"state": "completed", "assets": {}},
        {"state": "completed", "assets": {"video": None}},
        {"state": "completed", "assets": {"video": ""}},
    ],
)
def test_an_answer_outside_the_contract_is_unexpected_never_a_failure_of_the_job(luma, fields):
    job = submitted(luma, ask())
    luma.fail_next("GET", "/generations/{id}", Fault.fields(**fields))
    with pytest.raises(errors.UnexpectedReply, match="outside its documented contract"):
        look(luma, job)


@pytest.mark.parametrize("answer", [{"id": None}, {"id": ""}, {"id": 5}])
def test_a_create_answered_without_an_id_is_outside_the_contract(luma, answer):
    luma.fail_next("POST", "/generations/video", Fault.fields(**answer))
    with pytest.raises(errors.UnexpectedReply):
        submitted(luma, ask())


@pytest.mark.parametrize("strange", ["../credits", "concepts/list", "a?b=c", "a#b", "//evil.test/x"])
def test_an_id_that_a_person_typed_stays_an_id(luma, strange):
    with pytest.raises(errors.Rejected, match="404"):
        look(luma, Job(id=strange))
    assert luma.requests[0].target.startswith("/dream-machine/v1/generations/")
    assert luma.requests[0].path.count("/") == 2


def test_both_shapes_of_lumas_errors_are_told(luma):
    client = client_for(luma)
    with pytest.raises(
        errors.Rejected, match=r"\(400\): Prompt is too short, minimum length is 3 characters\."
    ):
        client.create("generations/video", {"model": "ray-2", "prompt": "a"})
    with pytest.raises(errors.Rejected, match=r"\(422\): Field required; Extra inputs are not permitted\."):
        client.create("generations/video", {"seed": 1})


def test_a_wrong_key_is_told_as_such(luma):
    with pytest.raises(errors.Unauthorized, match="Invalid API key is provided"):
        client_for(luma, key="luma-wrong").create("generations/video", {})


# -- prices -------------------------------------------------------------------------------------------------

PRICES = {
    ("ray-2", 5): ("0.40", "0.71", "0.86", "0.96"),
    ("ray-2", 9): ("0.72", "1.27", "1.54", "1.72"),
    ("ray-flash-2", 5): ("0.14", "0.24", "0.39", "0.49"),
    ("ray-flash-2", 9): ("0.25", "0.44", "0.71", "0.89"),
}


@pytest.mark.parametrize(
    ("model", "seconds", "resolution", "usd"),
    [
        (model, seconds, resolution, usd)
        for (model, seconds), row in PRICES.items()
        for resolution, usd in zip(RESOLUTIONS, row, strict=True)
    ],
)
def test_every_price_is_quoted_and_is_what_the_emulator_charges(luma, model, seconds, resolution, usd):
    request = ask(model=model, duration=seconds, resolution=resolution)
    offer, _ = refusals(LUMA, request)
    told = quote(LUMA, offer, request)
    assert told.usd == Decimal(usd)
    assert told.source.unverified
    submitted(luma, request)
    assert luma.ledger[0].usd == -float(told.usd)


# -- finding an unanswered create ---------------------------------------------------------------------------

NOW = 1_800_000_000.0


class Pages:
    """Luma's list, given out page by page."""

    def __init__(self, *pages: list[dict[str, Any]], endless: bool = False) -> None:
        self.pages = list(pages)
        self.endless = endless
        self.asked: list[dict[str, Any]] = []

    def get(self, path: str, params: dict[str, Any]) -> Any:
        assert path == "generations"
        self.asked.append(params)
        page = self.pages[min(len(self.asked), len(self.pages)) - 1]
        return {"generations": page, "has_more": self.endless or len(self.asked) < len(self.pages)}


def listed(
    request: GenerationRequest, id: str = JOBS[0], created: float | str | None = NOW, **echo: Any
) -> dict[str, Any]:
    """A generation as Luma lists it."""
    if isinstance(created, float):
        created = datetime.fromtimestamp(created, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    item = {
        "id": id,
        "generation_type": "video",
        "state": "dreaming",
        "created_at": created,
        "model": request.model,
        "request": LUMA.encode(request, URLS) | echo,
    }
    return {name: value for name, value in item.items() if value is not None}


def found(
    request: GenerationRequest, *pages: list[Any], known: tuple[str, ...] = (), **options: Any
) -> str | None:
    job = LUMA.reconcile(Pages(*pages, **options), lost(request.describe(), NOW, known))
    return None if job is None else job.id


@pytest.mark.parametrize("request_", [recipe[0] for recipe in RECIPES.values()], ids=RECIPES)
def test_an_unanswered_create_is_found_in_the_list(request_):
    assert found(request_, [listed(request_)]) == JOBS[0]


def test_an_unanswered_create_is_found_at_the_emulator(luma):
    request = ask(concepts=("push_in",), duration=9)
    submitted(luma, ask(prompt="something else"))
    wanted = submitted(luma, request)
    submitted(luma, replace(request, duration=5))
    since = luma.creates[1].created_at
    assert LUMA.reconcile(client_for(luma), lost(request.describe(), since, [])) == wanted


def test_a_create_that_never_arrived_is_not_found():
    assert found(ask(), []) is None


OTHERS = {
    "prompt": ask(prompt="a hare in the snow"),
    "model": ask(model="ray-flash-2"),
    "ratio": ask(aspect_ratio="1:1"),
    "resolution": ask(resolution="720p"),
    "duration": ask(duration=9),
    "loop": ask(loop=True),
    "concepts": ask(concepts=("static",)),
    "a picture": image_to_video(),
    "a clip": extend(),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_request_is_not_taken_for_ours(other):
    assert found(ask(), [listed(other)]) is None
    # An echo without concepts says nothing about them; Luma may not repeat them.
    assert found(other, [listed(ask(), concepts=[])]) is None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (image_to_video(), extend()),
        (extend(), extend(first_frame=OTHER)),
        (extend(), extend(first_frame=None, last_frame=ONE)),
        (image_to_video(), keyframes()),
        (image_to_video(), keyframes(first_frame=None, last_frame=A)),
    ],
    ids=["clip for picture", "another clip", "the other end", "one more", "picture at the other end"],
)
def test_other_keyframes_are_not_taken_for_ours(ours, theirs):
    assert found(ours, [listed(theirs)]) is None
    assert found(theirs, [listed(ours)]) is None


def test_pictures_are_told_apart_where_the_link_names_their_content():
    def at_our_host(sha: str) -> dict[str, Any]:
        picture = {"type": "image", "url": f"https://b.test/luma-ray/{sha}.png?X-Amz-Date=1"}
        return listed(image_to_video(), keyframes={"frame0": picture})

    assert found(image_to_video(), [at_our_host("ef" * 32)]) is None
    assert found(image_to_video(), [at_our_host("ab" * 32)]) == JOBS[0]


def test_jobs_of_other_generations_are_left_to_them():
    page = [listed(ask(), JOBS[1]), listed(ask(), JOBS[0])]
    assert found(ask(), page, known=(JOBS[0],)) == JOBS[1]
    assert found(ask(), page, known=JOBS) is None


@pytest.mark.parametrize(
    ("away", "seen"), [(-3000, False), (-299, True), (0, True), (3599, True), (3700, False)]
)
def test_only_what_was_created_about_then_can_be_ours(away, seen):
    assert (found(ask(), [listed(ask(), created=NOW + away)]) is not None) is seen


def test_of_several_that_match_the_nearest_in_time_is_ours():
    page = [
        listed(ask(), "later", NOW + 50),
        listed(ask(), "ours", NOW + 1),
        listed(ask(), "before", NOW - 200),
    ]
    assert found(ask(), page) == "ours"


@pytest.mark.parametrize(
    "created",
    ["2027-01-15T08:00:00Z", "2027-01-15T08:00:00.123Z", "2027-01-15T08:00:00.123456+00:00",
     "2027-01-15T10:00:00+02:00", "2027-01-15T08:00:00"],
)  # fmt: skip
@pytest.mark.skipif(sys.platform == "win32", reason="time zones are not set like this there")
def test_the_spellings_of_a_time_mean_the_same_moment(created, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert found(ask(), [listed(ask(), created=created)]) == JOBS[0]
        assert (
            LUMA.reconcile(Pages([listed(ask(), created=created)]), lost(ask().describe(), NOW + 9000, []))
            is None
        )
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("created", [None, "", "yesterday", 5])
def test_a_job_without_a_readable_time_may_be_ours(created):
    assert found(ask(), [listed(ask(), created=created)]) == JOBS[0]


def test_a_job_with_a_time_comes_before_one_without():
    assert found(ask(), [listed(ask(), "timeless", None), listed(ask(), "ours", NOW + 100)]) == "ours"


def test_fields_that_luma_does_not_tell_do_not_count_against_it():
    item = listed(ask())
    item["request"] = {"prompt": ask().prompt}
    item.pop("model")
    assert found(ask(), [item]) == JOBS[0]


def test_a_job_without_a_prompt_is_not_taken_for_one_with():
    item = listed(ask())
    item.pop("request")
    assert found(ask(), [item]) is None


def test_a_job_without_an_id_is_passed_over():
    nameless = listed(ask())
    nameless.pop("id")
    assert found(ask(), [nameless, listed(ask())]) == JOBS[0]


@pytest.mark.parametrize("kind", ["modify_video", "reframe_video", "upscale_video", "add_audio", "image"])
def test_another_kind_of_job_with_the_same_prompt_is_not_ours(kind):
    item = listed(ask())
    item["request"] = {"generation_type": kind, "prompt": ask().prompt}
    assert found(ask(), [item]) is None


def test_later_pages_are_looked_through():
    filler = [
        listed(ask(prompt="filler"), f"filler-{number}", NOW + 60 - number / 10) for number in range(100)
    ]
    pages = Pages(filler, filler, [listed(ask(), created=NOW)])
    assert LUMA.reconcile(pages, lost(ask().describe(), NOW, [])).id == JOBS[0]
    assert pages.asked == [{"limit": 100, "offset": offset} for offset in (0, 100, 200)]


def test_pages_older_than_the_create_are_not_asked_for():
    old = [listed(ask(prompt="old"), "old-1", NOW - 10), listed(ask(prompt="old"), "old-2", NOW - 900)]
    pages = Pages(old, [listed(ask())])
    assert LUMA.reconcile(pages, lost(ask().describe(), NOW, [])) is None
    assert len(pages.asked) == 1


def test_a_list_that_begins_with_the_oldest_is_looked_through_too():
    old = [listed(ask(prompt="old"), f"old-{number}", NOW - 90_000 + number) for number in range(100)]
    assert found(ask(), old, [listed(ask())]) == JOBS[0]


def test_a_list_without_end_is_left_at_some_point():
    pages = Pages([listed(ask(prompt="filler"))], endless=True)
    assert LUMA.reconcile(pages, lost(ask().describe(), NOW, [])) is None
    assert len(pages.asked) <= 50


def test_a_page_of_the_emulator_is_not_the_whole_list():
    with LumaEmulator(credit_usd=1e4) as luma:
        wanted = submitted(luma, ask())
        since = luma.creates[0].created_at
        for _ in range(120):
            submitted(luma, ask(prompt="filler"))
        assert LUMA.reconcile(client_for(luma), lost(ask().describe(), since, [])) == wanted


@pytest.mark.parametrize(
    "answer", [{"generations": None}, {}, [], {"generations": [5]}, {"generations": ["x"]}]
)
def test_a_list_outside_the_contract_is_unexpected(answer):
    class Odd:
        def get(self, path: str, params: Any) -> Any:
            return answer

    with pytest.raises(errors.UnexpectedReply), decoding("Luma"):
        LUMA.reconcile(Odd(), lost(ask().describe(), NOW, []))


def test_a_list_that_cannot_be_read_is_not_an_empty_list(luma):
    luma.fail_next("GET", "/generations", Fault.status(500), times=4)
    with pytest.raises(errors.ProviderUnavailable):
        LUMA.reconcile(client_for(luma), lost(ask().describe(), NOW, []))


# -- whole lives --------------------------------------------------------------------------------------------


def test_from_a_prompt_to_a_clip_on_disk(luma, life):
    clip = life.buy(ask())
    facts = clips.inspect(clip.path)
    row = life.row()
    assert (facts.frames, facts.width, facts.height) == (row.frames, row.width, row.height)
    assert (row.state, row.estimate_usd) == ("completed", Decimal("0.40"))
    assert row.job.id == luma.creates[0].id
    assert len(luma.creates) == 1
    assert luma.leaks == []
    assert "dreaming at Luma" in life.reports.words


def test_the_clip_is_recalled_in_another_session_without_a_word_to_luma(luma, life, tmp_path):
    first = life.buy(ask())
    luma.requests.clear()
    again = Life(tmp_path, LUMA).buy(ask())
    assert (again.path, again.recalled) == (first.path, True)
    assert luma.requests == []


def test_two_keyframes_go_through_a_bucket_that_luma_really_reads(luma, life, bucket):
    first, last = photograph(40), photograph(220)
    clip = life.buy(keyframes(first_frame=first, last_frame=last))
    (create,) = luma.creates
    assert set(create.pictures) == {"frame0", "frame1"}
    assert create.pictures["frame0"].width == 320
    assert {item.key for item in bucket.objects.all()} == {f"luma-ray/{s.sha256}.png" for s in (first, last)}
    assert clips.inspect(clip.path).frames == life.row().frames
    stored = str(life.row())
    assert "X-Amz-Signature" not in stored
    assert "http" not in stored


def test_the_same_picture_at_both_ends_is_put_there_once(luma, life, bucket):
    still = photograph(40)
    life.buy(keyframes(first_frame=still, last_frame=still))
    assert len(list(bucket.objects.all())) == 1
    assert life.reports.words.count("uploading") == 1


def test_without_hosting_a_picture_is_refused_before_anything_is_spent(luma, life):
    with pytest.raises(errors.HostingRequired, match="LUMA_RAY_S3_BUCKET"):
        life.buy(image_to_video(first_frame=photograph(40)))
    assert luma.requests == []
    assert life.journal.entries() == []


def test_a_bucket_that_does_not_work_is_told_before_anything_is_spent(luma, life, bucket, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "not-there")
    with pytest.raises(errors.UploadFailed, match="NoSuchBucket"):
        life.buy(image_to_video(first_frame=photograph(40)))
    assert luma.requests == []
    assert life.journal.entries() == []


def test_a_picture_that_luma_cannot_fetch_is_told_as_such_and_refunded(luma, life, bucket):
    still = photograph(40)

    def forget() -> None:
        bucket.objects.delete()

    life.clock.on_sleep = forget
    luma.pace = replace(luma.pace, polls=4)
    with pytest.raises(errors.GenerationFailed, match="could not fetch the image URL"):
        life.buy(image_to_video(first_frame=still))
    assert sum(entry.usd for entry in luma.ledger) == 0


def test_a_clip_is_extended_by_its_generation(luma, life):
    first = life.buy(ask())
    reference = GenerationReference(id=first.entry.id, provider="luma", job_id=first.entry.job.id)
    second = life.buy(extend(first_frame=reference))
    assert luma.creates[1].parents == [luma.creates[0]]
    assert clips.inspect(second.path).frames > 100


@pytest.mark.parametrize(
    "fault",
    [Fault.status(500, handled=True), Fault.truncate(), Fault.fields(id=None)],
    ids=["500", "cut off", "no id"],
)
def test_whatever_spoils_the_answer_the_job_is_found_and_bought_once(luma, life, fault):
    luma.fail_next("POST", "/generations/video", fault)
    clip = life.buy(ask())
    assert [generation.id for generation in luma.creates] == [clip.entry.job.id]
    assert [request.method for request in luma.requests].count("POST") == 1


def test_a_request_that_got_lost_is_uncertain_and_not_sent_again(luma, life):
    luma.fail_next("POST", "/generations/video", Fault.lost_request())
    for _ in range(2):
        with pytest.raises(errors.SubmissionUncertain, match="list of generations does not show it"):
            life.buy(ask())
    assert luma.creates == []
    assert [request.method for request in luma.requests].count("POST") == 1
    assert life.row().state == "uncertain"


def test_of_two_takes_with_dropped_answers_each_gets_a_job_of_its_own(luma, life):
    luma.fail_next("POST", "/generations/video", Fault.lost_answer(), times=2)
    one, two = (life.buy(ask(take=take)) for take in (1, 2))
    assert {one.entry.job.id, two.entry.job.id} == {generation.id for generation in luma.creates}
    assert len(luma.creates) == 2


def test_a_safety_refusal_is_a_sentence_and_the_money_comes_back(luma, life):
    with pytest.raises(
        errors.GenerationFailed, match=r"safety check rejected the prompt.*refunds .* in full"
    ):
        life.buy(ask(prompt="indecent words in the snow"))
    assert [entry.usd for entry in luma.ledger] == [-0.40, 0.40]
    assert life.row().state == "failed"


def test_after_a_failure_the_same_request_may_be_bought_again(luma, life):
    luma.fail_next("GET", "/generations/{id}", Fault.fields(state="failed", failure_reason="Job failed"))
    with pytest.raises(errors.GenerationFailed):
        life.buy(ask())
    assert life.buy(ask()).entry.job.id == luma.creates[1].id


def test_an_expired_address_is_asked_for_again(luma, life):
    luma.fail_next("GET", "/assets/{id}.mp4", Fault.status(403))
    clip = life.buy(ask())
    paths = [request.path.split("/")[1] for request in luma.requests if request.method == "GET"]
    assert paths == ["generations", "generations", "assets", "generations", "assets"]
    assert clip.path.is_file()
    assert "answered 403" in life.reports.words


@pytest.mark.parametrize(
    "fault", [Fault.truncate(), Fault.lost_request(), Fault.html(200)], ids=["cut", "lost", "page"]
)
def test_a_spoiled_download_is_repeated_and_only_the_whole_clip_is_kept(luma, life, fault):
    luma.fail_next("GET", "/assets/{id}.mp4", fault, times=2)
    clip = life.buy(ask())
    assert clip.path.read_bytes() == luma.film(luma.creates[0])
    assert [path.name for path in clip.path.parent.iterdir()] == [clip.path.name]
    assert len(luma.creates) == 1


def test_a_file_that_is_no_video_is_not_kept(luma, life):
    broken = Fault(lambda reply: replace(reply, body=b"not a video" * 1000), handled=True)
    luma.fail_next("GET", "/assets/{id}.mp4", broken, times=4)
    with pytest.raises(errors.DownloadFailed, match="paid and kept"):
        life.buy(ask())
    assert life.row().state == "submitted"
    assert [path for path in life.library.folder.rglob("*") if path.is_file()] == []


def test_the_key_goes_to_luma_and_nowhere_else(luma, life, bucket):
    with FileHost() as elsewhere:
        luma.fail_next("GET", "/generations", Fault.redirect(elsewhere.origin))
        luma.fail_next("POST", "/generations/video", Fault.lost_answer())
        life.buy(image_to_video(first_frame=photograph(40)))
        assert elsewhere.requests == []
    assert luma.leaks == []
    assert luma.key.encode() not in life.written()
    assert luma.key not in life.reports.words


def test_an_api_that_moved_away_is_told_and_nothing_was_billed(luma, life):
    luma.fail_next("POST", "/generations/video", Fault.redirect())
    with pytest.raises(errors.Rejected, match=r"redirect \(308\).*Nothing was billed"):
        life.buy(ask())
    assert life.row().state == "failed"
