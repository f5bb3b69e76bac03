"""The emulator of the LLM Stats gateway against its documentation: it has no client to check it with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from emulators import clips
from emulators.clips import difference, photograph
from emulators.llm_stats import CODES, LlmStatsEmulator, error
from emulators.server import FileHost
from fakes import FakeClock

TEXT = {"prompt": "a lake at dawn", "aspect_ratio": "16:9", "duration": 5, "resolution": "720p"}


@pytest.fixture
def gateway() -> Iterator[LlmStatsEmulator]:
    with LlmStatsEmulator() as emulator:
        yield emulator


@pytest.fixture
def host() -> Iterator[FileHost]:
    with FileHost() as files:
        yield files


def post(gateway: LlmStatsEmulator, body: Any, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {gateway.key}"}
    return requests.post(gateway.base_url + "/generations", json=body, headers=headers, timeout=5, **options)


def create(gateway: LlmStatsEmulator, *, wait: Any = 0, **given: Any) -> Any:
    made = post(gateway, {"model": "ray-flash-2", "input": {**TEXT, **given}, "wait": wait})
    assert made.status_code == 200, made.text
    return made.json()


def get(gateway: LlmStatsEmulator, id: str, query: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {gateway.key}"}
    return requests.get(f"{gateway.base_url}/generations/{id}{query}", headers=headers, timeout=5)


def finished(gateway: LlmStatsEmulator, **given: Any) -> Any:
    return get(gateway, create(gateway, **given)["id"], "?wait=60").json()


def film(generation: Any) -> bytes:
    return requests.get(generation["output"]["media"][0]["url"], timeout=5).content


def refusal(answer: requests.Response) -> tuple[int, str, str | None]:
    told = answer.json()["error"]
    assert set(told) == {"code", "message", "param"}
    return answer.status_code, told["code"], told["param"]


# -- the resource -------------------------------------------------------------------------------------------


def test_fire_and_forget_answers_queued_at_once(gateway):
    assert (
        create(gateway, wait=0).items()
        >= {
            "object": "generation",
            "status": "queued",
            "model": "ray-flash-2",
            "completed_at": None,
            "output": None,
            "usage": None,
            "error": None,
        }.items()
    )


@pytest.mark.parametrize("wait", ["auto", 60, 30.5])
def test_a_create_that_waits_may_answer_with_the_finished_clip(gateway, wait):
    assert create(gateway, wait=wait)["status"] == "completed"


def test_a_create_without_wait_waits_as_long_as_the_gateway_likes(gateway):
    answer = post(gateway, {"model": "ray-flash-2", "input": TEXT})
    assert answer.json()["status"] == "completed"


def test_a_generation_runs_and_completes_as_it_is_asked_about(gateway):
    made = create(gateway)["id"]
    assert [get(gateway, made).json()["status"] for _ in range(3)] == ["running", "completed", "completed"]


def test_a_completed_generation_has_its_clip_and_its_cost(gateway):
    done = finished(gateway, duration=9, resolution="1080p")
    (media,) = done["output"]["media"]
    assert done["usage"] == {"cost_usd": 2.7}
    assert done["completed_at"] >= done["created_at"]
    assert (media["type"], media["format"], media["duration_seconds"]) == ("video", "mp4", 9)
    first, _, count = clips.edges(film(done))
    assert (first.width, first.height, count) == (media["width"], media["height"], 9 * 24 + 1)


@pytest.mark.parametrize(
    ("seconds", "resolution", "usd"),
    [(5, "720p", 1.0), (5, "1080p", 1.5), (9, "720p", 1.8), ("9", "1080p", 2.7)],
)
def test_a_generation_costs_what_the_model_s_page_says(gateway, seconds, resolution, usd):
    create(gateway, duration=seconds, resolution=resolution)
    assert [entry.usd for entry in gateway.ledger] == [-usd]


def test_the_first_image_is_the_first_frame_and_the_second_changes_nothing(gateway, host):
    start, other = photograph(200), photograph(40)
    urls = [
        host.put(f"{name}.jpg", clips.jpeg(item), "image/jpeg")
        for name, item in {"a": start, "b": other}.items()
    ]
    first, _, _ = clips.edges(film(finished(gateway, images=urls)))
    assert difference(first, start) < 4
    assert [request.path for request in host.requests] == ["/a.jpg"]
    assert "Authorization" not in host.requests[0].headers


def test_a_ratio_that_the_model_does_not_have_is_capped_to_the_nearest(gateway):
    create(gateway, aspect_ratio="1920:1081")
    assert gateway.creates[0].aspect_ratio == "16:9"


def test_a_poll_by_the_clock_is_held_until_the_end():
    with LlmStatsEmulator(job_seconds=0.3) as gateway:
        made = create(gateway)["id"]
        began = time.monotonic()
        assert get(gateway, made, "?wait=60").json()["status"] == "completed"
        assert 0.2 < time.monotonic() - began < 5


# -- links --------------------------------------------------------------------------------------------------


def test_each_question_gives_a_fresh_link(gateway):
    done = finished(gateway)
    again = get(gateway, done["id"]).json()
    links = [item["output"]["media"][0]["url"] for item in (done, again)]
    assert links[0] != links[1]
    assert [requests.get(link, timeout=5).status_code for link in links] == [200, 200]
    assert again["completed_at"] == done["completed_at"]


def test_a_link_ends_after_an_hour_and_the_generation_does_not():
    clock = FakeClock()
    with LlmStatsEmulator(now=clock.now) as gateway:
        done = finished(gateway)
        clock.sleep(3599)
        assert requests.get(done["output"]["media"][0]["url"], timeout=5).status_code == 200
        clock.sleep(5 * 3600)
        assert requests.get(done["output"]["media"][0]["url"], timeout=5).status_code == 403
        assert len(film(get(gateway, done["id"]).json())) > 1000


def test_links_can_be_made_stale_at_once(gateway):
    done = finished(gateway)
    gateway.expire_links()
    assert requests.get(done["output"]["media"][0]["url"], timeout=5).status_code == 403
    assert requests.get(get(gateway, done["id"]).json()["output"]["media"][0]["url"], timeout=5).ok


def test_a_clip_needs_a_signature_and_no_key(gateway):
    done = finished(gateway)
    url = done["output"]["media"][0]["url"]
    assert requests.get(url.partition("?")[0], timeout=5).status_code == 403
    assert requests.get(url.replace("secret-", "secret-9"), timeout=5).status_code == 403
    assert gateway.leaks == []
    requests.get(url, headers={"Authorization": f"Bearer {gateway.key}"}, timeout=5)
    assert len(gateway.leaks) == 1


# -- what is refused ----------------------------------------------------------------------------------------

REFUSED = {
    "no model": ({"input": TEXT}, "model"),
    "no input": ({"model": "ray-flash-2"}, "input"),
    "a model that is no text": ({"model": 5, "input": TEXT}, "model"),
    "a list": ([], None),
    "a key at the top": ({"model": "ray-flash-2", "input": TEXT, "webhook": "x"}, "webhook"),
    "a wait too long": ({"model": "ray-flash-2", "input": TEXT, "wait": 61}, "wait"),
    "a wait in words": ({"model": "ray-flash-2", "input": TEXT, "wait": "long"}, "wait"),
    "a wait of true": ({"model": "ray-flash-2", "input": TEXT, "wait": True}, "wait"),
    "eleven at once": ({"model": "ray-flash-2", "input": TEXT, "n": 11}, "n"),
}
REFUSED_INPUT = {
    "no prompt": ({"prompt": None}, "input.prompt"),
    "an empty prompt": ({"prompt": ""}, "input.prompt"),
    "a prompt too long": ({"prompt": "x" * 8001}, "input.prompt"),
    "an end frame": ({"end_image": "https://h.test/a.png"}, "input.end_image"),
    "a loop": ({"loop": False}, "input.loop"),
    "nine images": ({"images": ["https://h.test/a.png"] * 9}, "input.images"),
    "an image that is no list": ({"images": "https://h.test/a.png"}, "input.images"),
    "an image by data": ({"images": ["data:image/png;base64,AAAA"]}, "input.images.0"),
    "a ratio in words": ({"aspect_ratio": "wide"}, "input.aspect_ratio"),
    "a ratio without area": ({"aspect_ratio": "16:0"}, "input.aspect_ratio"),
    "a size in words": ({"size": "large"}, "input.size"),
    "seconds with a unit": ({"duration": "5s"}, "input.duration"),
    "ten seconds": ({"duration": 10}, "input.duration"),
    "a resolution without a price": ({"resolution": "540p"}, "input.resolution"),
    "a seed in words": ({"seed": "five"}, "input.seed"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "param"), REFUSED.values(), ids=REFUSED)
def test_a_body_outside_the_contract_is_invalid_and_free(gateway, body, param):
    assert refusal(post(gateway, body)) == (400, "invalid_input", param)
    assert gateway.creates == []
    assert gateway.ledger == []


@pytest.mark.parametrize(("given", "param"), REFUSED_INPUT.values(), ids=REFUSED_INPUT)
def test_an_input_outside_the_contract_is_invalid_and_free(gateway, given, param):
    answer = post(gateway, {"model": "ray-flash-2", "input": {**TEXT, **given}})
    assert refusal(answer) == (400, "invalid_input", param)
    assert gateway.ledger == []


def test_all_documented_fields_are_accepted_together(gateway):
    answer = post(
        gateway,
        {
            "model": "ray-flash-2",
            "n": 2,
            "wait": 0,
            "input": {**TEXT, "images": [], "size": "1280x720", "seed": 5, "negative_prompt": "fog"},
        },
    )
    assert answer.status_code == 200


def test_another_model_is_not_enabled(gateway):
    assert refusal(post(gateway, {"model": "ray-2", "input": TEXT})) == (403, "model_unavailable", "model")


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Key ze_test-0123456789abcdef"},
                {"X-API-Key": "ze_test-0123456789abcdef"}]
)  # fmt: skip
def test_without_the_key_as_a_bearer_token_nothing_is_answered(gateway, headers):
    body = {"model": "ray-flash-2", "input": TEXT}
    answer = requests.post(gateway.base_url + "/generations", json=body, headers=headers, timeout=5)
    assert refusal(answer) == (401, "unauthenticated", None)
    assert gateway.creates == []


def test_a_form_is_not_taken_for_json(gateway):
    headers = {"Authorization": f"Bearer {gateway.key}"}
    answer = requests.post(gateway.base_url + "/generations", data={"model": "x"}, headers=headers, timeout=5)
    assert refusal(answer) == (400, "invalid_input", None)


def test_an_unknown_generation_is_not_found(gateway):
    assert refusal(get(gateway, "gen_nobody")) == (404, "not_found", "id")


@pytest.mark.parametrize("query", ["?wait=61", "?wait=auto", "?wait=-1", "?limit=5"])
def test_a_question_outside_the_contract_is_invalid(gateway, query):
    made = create(gateway)["id"]
    assert refusal(get(gateway, made, query))[:2] == (400, "invalid_input")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/generations", 405), ("DELETE", "/generations/gen_1", 405), ("POST", "/videos", 404)],
)
def test_calls_that_are_not_documented_are_refused_in_the_same_envelope(gateway, method, path, status):
    headers = {"Authorization": f"Bearer {gateway.key}"}
    answer = requests.request(method, gateway.base_url + path, headers=headers, timeout=5)
    assert refusal(answer)[:2] == (status, "not_found")


def test_an_empty_account_is_told_so():
    with LlmStatsEmulator(credit_usd=0.5) as gateway:
        assert refusal(post(gateway, {"model": "ray-flash-2", "input": TEXT}))[:2] == (
            402,
            "insufficient_quota",
        )
        assert gateway.creates == []


# -- jobs that fail, and everything that every emulator has ---------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "code"), [("an indecent lake", "content_policy"), ("a doomed lake", "provider_unavailable")]
)
def test_a_job_that_fails_says_why_and_costs_nothing(gateway, prompt, code):
    failed = finished(gateway, prompt=prompt)
    assert (failed["status"], failed["error"]["code"]) == ("failed", code)
    assert set(failed["error"]) == {"code", "message"}
    assert failed["usage"] == {"cost_usd": 0.0}
    assert failed["output"] is None
    assert sum(entry.usd for entry in gateway.ledger) == 0


def test_a_picture_that_is_not_there_fails_the_job(gateway, host):
    failed = finished(gateway, images=[f"{host.origin}/nothing.png"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "invalid_input")


def test_a_cancelled_job_is_terminal(gateway):
    made = create(gateway)["id"]
    gateway.cancel(gateway.creates[0], refund=True)
    told = get(gateway, made).json()
    assert (told["status"], told["usage"], told["error"]) == ("cancelled", {"cost_usd": 0.0}, None)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("unauthorized", 401, "unauthenticated"),
        ("no money", 402, "insufficient_quota"),
        ("rate limit", 429, "rate_limited"),
        ("moderation", 422, "content_policy"),
        ("server error", 500, "internal_error"),
    ],
)
def test_each_trouble_is_told_as_documented_and_creates_nothing(gateway, kind, status, code):
    gateway.fail_next(*gateway.create, gateway.refusing(kind))
    answer = post(gateway, {"model": "ray-flash-2", "input": TEXT})
    assert refusal(answer)[:2] == (status, code)
    assert answer.headers.get("Retry-After") == ("7" if kind == "rate limit" else None)
    assert gateway.creates == []


@pytest.mark.parametrize("code", CODES)
def test_every_documented_code_has_its_status_and_asks_to_wait_where_documented(code):
    reply = error(code, "words")
    assert reply.status == CODES[code]
    assert ("Retry-After" in reply.headers) is (reply.status in (429, 502, 504))


def test_every_answer_carries_the_limits_and_an_id_and_a_file_does_not(gateway):
    done = finished(gateway)
    for answer in (get(gateway, done["id"]), get(gateway, "gen_nobody")):
        names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id")
        assert all(answer.headers.get(name) for name in names)
    assert "X-Request-Id" not in requests.get(done["output"]["media"][0]["url"], timeout=5).headers


def test_an_answer_that_is_not_final_asks_to_wait_and_not_to_be_kept(gateway):
    made = create(gateway)["id"]
    running, done = get(gateway, made), get(gateway, made)
    assert (running.headers["Cache-Control"], running.headers["Retry-After"]) == ("no-store", "2")
    assert (done.headers["Cache-Control"], done.headers.get("Retry-After")) == ("private, max-age=60", None)


def test_an_unknown_status_can_be_had(gateway):
    made = create(gateway)["id"]
    gateway.fail_next(*gateway.poll, gateway.unknown_status())
    assert get(gateway, made).json()["status"] == "paused"


def test_a_repeated_create_is_a_second_purchase_whatever_key_it_carries(gateway):
    headers = {"Authorization": f"Bearer {gateway.key}", "Idempotency-Key": "same"}
    body = {"model": "ray-flash-2", "input": TEXT, "wait": 0}
    for _ in range(2):
        requests.post(gateway.base_url + "/generations", json=body, headers=headers, timeout=5)
    assert len(gateway.creates) == 2


def test_the_environment_leads_here(gateway):
    assert gateway.environment() == {
        "LLM_STATS_BASE_URL": gateway.base_url,
        "LLM_STATS_API_KEY": gateway.key,
        "LUMA_RAY_ALLOWED_HOSTS": gateway.netloc,
    }
