"""Railwail's emulator: the OpenAI dialect against OpenAI's own client, and what is documented by plain requests."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, get_args

import openai
import pytest
import requests
from emulators import clips
from emulators.clips import difference, photograph
from emulators.railwail import Dialect, RailwailEmulator
from emulators.server import Fault, FileHost

BODY = {"model": "luma-ray-flash", "prompt": "a lake at dawn", "seconds": "5", "size": "1280x720"}
DIALECTS = get_args(Dialect)
AT_ONCE = ("data", "output_url", "url")
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


@pytest.fixture
def gateway() -> Iterator[RailwailEmulator]:
    with RailwailEmulator() as emulator:
        yield emulator


@pytest.fixture
def jobs() -> Iterator[RailwailEmulator]:
    with RailwailEmulator(dialect="job") as emulator:
        yield emulator


@pytest.fixture
def sdk(gateway: RailwailEmulator) -> Iterator[Any]:
    with openai.OpenAI(api_key=gateway.key, base_url=gateway.base_url, max_retries=0) as client:
        yield client


@pytest.fixture
def host() -> Iterator[FileHost]:
    with FileHost() as files:
        yield files


def inline(image: clips.Picture) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(clips.jpeg(image)).decode()}"


def send(gateway: RailwailEmulator, method: str, path: str, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {gateway.key}", **options.pop("headers", {})}
    return requests.request(method, gateway.base_url + path, headers=headers, timeout=5, **options)


def post(gateway: RailwailEmulator, **others: Any) -> requests.Response:
    return send(gateway, "POST", "/videos", json={**BODY, **others})


def refusal(answer: requests.Response) -> tuple[int, str]:
    told = answer.json()["error"]
    assert set(told) == {"message", "type", "code"}
    return answer.status_code, told["code"]


def first_frame(clip: bytes) -> clips.Picture:
    first, _, count = clips.edges(clip)
    assert count == 121
    return first


# -- OpenAI's own client ------------------------------------------------------------------------------------


def test_openais_client_creates_asks_and_downloads(gateway, sdk):
    made = sdk.videos.create(**BODY)
    assert (made.object, made.status, made.progress, made.error) == ("video", "queued", 0, None)
    assert (made.seconds, made.size, made.model) == ("5", "1280x720", "luma-ray-flash")
    states = [sdk.videos.retrieve(made.id).status for _ in range(2)]
    assert states == ["in_progress", "completed"]
    content = sdk.videos.download_content(made.id).read()
    first, _, count = clips.edges(content)
    assert (first.width / first.height, count) == (pytest.approx(16 / 9, rel=0.02), 121)
    assert len(gateway.ledger) == 1


def test_openais_client_waits_until_it_is_done(gateway, sdk):
    done = sdk.videos.create_and_poll(**{**BODY, "size": "720x1280"}, poll_interval_ms=1)
    assert (done.status, done.progress) == ("completed", 100)
    assert done.completed_at is not None
    assert gateway.creates[0].aspect_ratio == "9:16"


def test_openais_client_sends_a_file_as_the_first_frame(sdk):
    picture = photograph(200)
    reference = ("start.jpg", clips.jpeg(picture), "image/jpeg")
    done = sdk.videos.create_and_poll(**BODY, input_reference=reference, poll_interval_ms=1)
    assert difference(first_frame(sdk.videos.download_content(done.id).read()), picture) < 4


@pytest.mark.parametrize("by_address", [True, False], ids=["address", "data"])
def test_openais_client_sends_the_first_frame_by_url(sdk, host, by_address):
    picture = photograph(200)
    url = host.put("a.jpg", clips.jpeg(picture), "image/jpeg") if by_address else inline(picture)
    # Its types allow this object, and the client itself (3.54.0) takes it for a broken file: so it goes round it.
    made = sdk.videos.create(**BODY, extra_body={"input_reference": {"image_url": url}})
    done = sdk.videos.poll(made.id, poll_interval_ms=1)
    assert difference(first_frame(sdk.videos.download_content(done.id).read()), picture) < 4


def test_openais_client_lists_the_newest_first_in_pages(sdk):
    ids = [sdk.videos.create(**BODY).id for _ in range(3)]
    assert [video.id for video in sdk.videos.list(limit=2)] == ids[::-1]
    assert [video.id for video in sdk.videos.list(order="asc")] == ids
    assert [video.id for video in sdk.videos.list(after=ids[1]).data] == [ids[0]]


def test_openais_client_deletes_what_is_done(sdk):
    made = sdk.videos.create(**BODY)
    with pytest.raises(openai.BadRequestError):
        sdk.videos.delete(made.id)
    sdk.videos.poll(made.id, poll_interval_ms=1)
    assert sdk.videos.delete(made.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        sdk.videos.retrieve(made.id)


@pytest.mark.parametrize(
    ("prompt", "code"), [("an indecent lake", "moderation_blocked"), ("a doomed lake", "internal_error")]
)
def test_openais_client_reads_why_a_video_failed(gateway, sdk, prompt, code):
    failed = sdk.videos.create_and_poll(**{**BODY, "prompt": prompt}, poll_interval_ms=1)
    assert (failed.status, failed.error.code) == ("failed", code)
    assert sum(entry.usd for entry in gateway.ledger) == 0


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("unauthorized", openai.AuthenticationError, "invalid_api_key"),
        ("no money", openai.APIStatusError, "insufficient_credits"),
        ("rate limit", openai.RateLimitError, "rate_limit_exceeded"),
        ("moderation", openai.BadRequestError, "content_policy_violation"),
        ("server error", openai.InternalServerError, "internal_error"),
    ],
)
def test_openais_client_reads_each_trouble_and_nothing_is_created(gateway, sdk, kind, error, code):
    gateway.fail_next(*gateway.create, gateway.refusing(kind))
    with pytest.raises(error) as caught:
        sdk.videos.create(**BODY)
    assert caught.value.code == code
    assert gateway.creates == []
    assert caught.value.response.headers.get("Retry-After") == ("7" if kind == "rate limit" else None)


def test_openais_client_with_a_wrong_key_is_refused(gateway):
    with (
        openai.OpenAI(api_key="rw_live_wrong", base_url=gateway.base_url, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.videos.create(**BODY)


# -- what is documented -------------------------------------------------------------------------------------


def test_a_job_gets_on_in_the_documented_words(jobs):
    made = post(jobs).json()
    assert (made["object"], made["status"], made["output_url"]) == ("job", "queued", None)
    seen = [send(jobs, "GET", f"/jobs/{made['id']}").json() for _ in range(2)]
    assert [item["status"] for item in seen] == ["processing", "completed"]
    assert set(seen[1]) == {
        "id", "object", "status", "model", "input", "output", "output_url", "cost", "timing", "error",
    }  # fmt: skip
    assert seen[1]["model"] == {"slug": "luma-ray-flash"}
    assert len(clips.edges(requests.get(seen[1]["output_url"], timeout=5).content)) == 3
    assert jobs.leaks == []


def test_a_job_that_failed_cost_no_credits(jobs):
    made = post(jobs, prompt="a doomed lake").json()
    for _ in range(2):
        told = send(jobs, "GET", f"/jobs/{made['id']}").json()
    assert (told["status"], told["cost"], told["error"]["code"]) == (
        "failed",
        {"credits": 0},
        "internal_error",
    )


def test_a_cancelled_job_says_so_in_each_dialect(gateway, jobs):
    for emulator, place, word in ((gateway, "videos", "failed"), (jobs, "jobs", "cancelled")):
        made = post(emulator).json()
        emulator.cancel(emulator.creates[0], refund=True)
        assert send(emulator, "GET", f"/{place}/{made['id']}").json()["status"] == word


def test_the_model_is_listed_with_its_price_in_credits(gateway):
    (model,) = send(gateway, "GET", "/models?category=video").json()["data"]
    assert (model["slug"], model["pricing"]) == ("luma-ray-flash", {"credit_cost_fixed": 50})
    assert send(gateway, "GET", "/models?category=image").json()["data"] == []
    assert send(gateway, "GET", "/models/luma-ray-flash").json() == model
    assert refusal(send(gateway, "GET", "/models/sora-2")) == (404, "not_found")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_job_nobody_knows_is_not_found(dialect):
    with RailwailEmulator(dialect=dialect) as gateway:
        for path in ("/jobs/nobody", "/videos/nobody", "/videos/nobody/content"):
            assert refusal(send(gateway, "GET", path)) == (404, "not_found")


def test_every_answer_tells_the_limits(gateway):
    for answer in (post(gateway), send(gateway, "GET", "/jobs/nobody"), send(gateway, "PUT", "/videos")):
        names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
        assert all(answer.headers[name].isdecimal() for name in names)


# -- the other dialects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", AT_ONCE)
def test_a_gateway_that_holds_the_create_answers_with_the_address_alone(dialect):
    with RailwailEmulator(dialect=dialect) as gateway:
        told = post(gateway).json()
        address = told["data"][0]["url"] if dialect == "data" else told[dialect]
        assert "id" not in told
        assert requests.get(address, timeout=5).ok
        gateway.expire_links()
        assert requests.get(address, timeout=5).status_code == 403


@pytest.mark.parametrize(("prompt", "status"), [("an indecent lake", 400), ("a doomed lake", 500)])
def test_a_gateway_that_holds_the_create_refuses_what_failed(prompt, status):
    with RailwailEmulator(dialect="url") as gateway:
        assert post(gateway, prompt=prompt).status_code == status
        assert sum(entry.usd for entry in gateway.ledger) == 0


def test_a_gateway_without_the_call_has_no_such_address():
    with RailwailEmulator(dialect="absent") as gateway:
        assert refusal(post(gateway)) == (404, "not_found")
        assert gateway.creates == []


# -- what is refused ----------------------------------------------------------------------------------------

REFUSED = {
    "no prompt": {"prompt": None},
    "an empty prompt": {"prompt": " "},
    "seconds as a number": {"seconds": 5},
    "eight seconds": {"seconds": "8"},
    "a size": {"size": "1920x1080"},
    "a resolution": {"resolution": "720p"},
    "an end frame": {"last_frame": "https://h.test/a.png"},
    "a reference in text": {"input_reference": "https://h.test/a.png"},
    "an empty reference": {"input_reference": {}},
    "a reference of two kinds": {"input_reference": {"image_url": "https://h.test/a.png", "file_id": "f"}},
    "a file nobody knows": {"input_reference": {"file_id": "file_1"}},
    "a path": {"input_reference": {"image_url": "/etc/passwd"}},
    "data that is no picture": {"input_reference": {"image_url": "data:image/png;base64,AAAA"}},
    "data that is no base64": {"input_reference": {"image_url": "data:image/png;base64,$$$"}},
}


@pytest.mark.parametrize("others", REFUSED.values(), ids=REFUSED)
def test_a_body_outside_openais_types_is_refused_and_free(gateway, others):
    assert refusal(post(gateway, **others)) == (400, "bad_request")
    assert gateway.ledger == []


def test_a_file_that_is_no_picture_is_refused(gateway):
    form = {name: (None, value) for name, value in BODY.items()}
    answer = send(
        gateway, "POST", "/videos", files={**form, "input_reference": ("a.png", b"text", "image/png")}
    )
    assert refusal(answer) == (400, "bad_request")


def test_a_body_of_another_kind_is_refused(gateway):
    assert refusal(send(gateway, "POST", "/videos", data=BODY)) == (400, "bad_request")


def test_another_model_is_not_found(gateway):
    assert refusal(post(gateway, model="sora-2")) == (404, "model_not_found")


def test_an_empty_account_is_told_so():
    with RailwailEmulator(credit_usd=0.1) as gateway:
        assert refusal(post(gateway)) == (402, "insufficient_credits")
        assert gateway.creates == []


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer no"}, {"Authorization": "", "X-API-Key": "k"}])
def test_without_the_key_as_a_bearer_token_nothing_is_answered(gateway, headers):
    assert refusal(send(gateway, "POST", "/videos", json=BODY, headers=headers)) == (401, "invalid_api_key")


def test_the_content_wants_the_key_and_a_finished_clip(gateway):
    made = post(gateway).json()
    content = f"/videos/{made['id']}/content"
    assert refusal(send(gateway, "GET", content)) == (404, "not_found")
    for _ in range(2):
        send(gateway, "GET", f"/videos/{made['id']}")
    assert send(gateway, "GET", content).headers["Content-Type"] == "video/mp4"
    assert requests.get(gateway.base_url + content, timeout=5).status_code == 401
    assert refusal(send(gateway, "GET", f"{content}?variant=spritesheet")) == (400, "bad_request")


# -- what every emulator has --------------------------------------------------------------------------------


def test_a_picture_that_is_not_there_fails_the_job(gateway, host):
    made = post(gateway, input_reference={"image_url": f"{host.origin}/nothing.png"}).json()
    for _ in range(2):
        told = send(gateway, "GET", f"/videos/{made['id']}").json()
    assert (told["status"], told["error"]["code"]) == ("failed", "bad_request")


@pytest.mark.parametrize("dialect", ["openai", "job"])
def test_an_unknown_status_can_be_had_where_the_dialect_is_asked(dialect):
    with RailwailEmulator(dialect=dialect) as gateway:
        made = post(gateway).json()
        gateway.fail_next(*gateway.poll, gateway.unknown_status())
        place = "videos" if dialect == "openai" else "jobs"
        assert send(gateway, "GET", f"/{place}/{made['id']}").json()["status"] == "paused"


@pytest.mark.parametrize("dialect", AT_ONCE)
def test_a_create_whose_answer_is_lost_is_charged_all_the_same(dialect):
    with RailwailEmulator(dialect=dialect) as gateway:
        gateway.fail_next(*gateway.create, Fault.lost_answer())
        with pytest.raises(requests.ConnectionError):
            post(gateway)
        assert [entry.usd for entry in gateway.ledger] == [-0.5]


def test_the_environment_leads_here(gateway):
    assert gateway.environment() == {
        "RAILWAIL_BASE_URL": gateway.base_url,
        "RAILWAIL_API_KEY": gateway.key,
        "LUMA_RAY_ALLOWED_HOSTS": gateway.netloc,
    }
