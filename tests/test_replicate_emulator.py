"""The Replicate emulator against Replicate's own SDK, and against everything that is not allowed."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import replicate
import requests
from emulators import clips
from emulators.clips import difference, photograph
from emulators.replicate import CENTS_A_SECOND, CONCEPTS, ERRORS, ReplicateEmulator
from emulators.server import Fault, FileHost
from fakes import FakeClock
from replicate.exceptions import ModelError, ReplicateError

FLASH = "luma/ray-flash-2-540p"
PATH = f"/models/{FLASH}/predictions"
TEXT = {"prompt": "a lake at dawn"}
NOBODY = "gm3qorzdhgbfurvjtvhg6dckhu"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def emulator(clock: FakeClock) -> Iterator[ReplicateEmulator]:
    with ReplicateEmulator(now=clock.now) as running:
        yield running


@contextmanager
def client(emulator: ReplicateEmulator, token: str) -> Iterator[replicate.Client]:
    """The SDK over a connection that is closed at the end; the SDK itself never closes one."""
    with httpx.HTTPTransport() as transport:
        made = replicate.Client(api_token=token, base_url=emulator.origin, transport=transport)
        made.poll_interval = 0
        yield made


@pytest.fixture
def sdk(emulator: ReplicateEmulator) -> Iterator[replicate.Client]:
    with client(emulator, emulator.key) as made:
        yield made


def jpeg(red: int) -> bytes:
    return clips.jpeg(photograph(red))


def inline(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def ask(emulator: ReplicateEmulator, method: str, path: str, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {emulator.key}", **options.pop("headers", {})}
    return requests.request(method, emulator.base_url + path, headers=headers, timeout=5, **options)


def post(emulator: ReplicateEmulator, input: Any, path: str = PATH, **options: Any) -> requests.Response:
    return ask(emulator, "POST", path, json={"input": input}, **options)


def look(emulator: ReplicateEmulator, id: str) -> dict[str, Any]:
    return ask(emulator, "GET", f"/predictions/{id}").json()


def finished(emulator: ReplicateEmulator, **input: Any) -> dict[str, Any]:
    """Create, and ask until it is done (twice)."""
    created = post(emulator, {**TEXT, **input})
    assert created.status_code == 201, created.text
    look(emulator, created.json()["id"])
    return look(emulator, created.json()["id"])


class TestSdk:
    def test_a_prediction_starts_and_succeeds_as_it_is_asked_about(self, sdk):
        prediction = sdk.models.predictions.create(FLASH, TEXT)
        states = [prediction.status]
        for _ in range(2):
            prediction.reload()
            states.append(prediction.status)
        assert states == ["starting", "processing", "succeeded"]
        assert prediction.model == FLASH
        assert prediction.version == "hidden"
        assert prediction.input == TEXT

    def test_the_output_is_the_address_of_a_clip(self, sdk):
        prediction = sdk.predictions.create(model=FLASH, input={**TEXT, "duration": 5, "aspect_ratio": "1:1"})
        prediction.wait()
        clip = requests.get(prediction.output, timeout=5).content
        first, _, count = clips.edges(clip)
        assert count == 121
        assert first.width == first.height

    def test_run_waits_for_the_output(self, sdk):
        assert sdk.run(FLASH, TEXT, use_file_output=False).endswith("signature=secret-1")

    @pytest.mark.parametrize("name", CENTS_A_SECOND)
    def test_every_model_is_served_at_its_price(self, sdk, emulator, name):
        sdk.models.predictions.create(f"luma/{name}", {**TEXT, "duration": 9})
        assert emulator.ledger[0].usd == pytest.approx(-CENTS_A_SECOND[name] * 9 / 100)
        assert f"{emulator.creates[0].model}-{emulator.creates[0].resolution}" == name

    @pytest.mark.parametrize("name", ["luma/ray-2", "luma/ray-flash-2", "luma/ray-2-flash", "fal/ray-2-540p"])
    def test_models_that_are_not_there_are_not_found(self, sdk, emulator, name):
        with pytest.raises(ReplicateError) as caught:
            sdk.models.predictions.create(name, TEXT)
        assert caught.value.status == 404
        assert emulator.ledger == []

    def test_a_file_is_uploaded_by_the_sdk_and_read_by_the_model_without_the_token(self, sdk, emulator):
        picture = jpeg(200)
        prediction = sdk.predictions.create(model=FLASH, input={**TEXT, "start_image": io.BytesIO(picture)})
        prediction.wait()
        first, _, _ = clips.edges(requests.get(prediction.output, timeout=5).content)
        assert difference(first, clips.picture(picture)) < 6
        assert prediction.input["start_image"].startswith(f"{emulator.base_url}/files/")
        assert emulator.leaks == []

    def test_files_are_created_got_listed_and_deleted(self, sdk):
        made = sdk.files.create(
            io.BytesIO(b"picture"), filename="a.png", content_type="image/png", metadata={"picture": "ab"}
        )
        assert (made.name, made.content_type, made.size) == ("a.png", "image/png", 7)
        assert made.metadata == {"picture": "ab"}
        assert sdk.files.get(made.id) == made
        assert sdk.files.list() == [made]
        assert sdk.files.delete(made.id) is True
        assert sdk.files.list() == []
        with pytest.raises(ReplicateError, match="File not found"):
            sdk.files.get(made.id)

    def test_a_job_that_runs_is_canceled_and_stays_charged(self, sdk, emulator):
        prediction = sdk.predictions.create(model=FLASH, input=TEXT)
        prediction.reload()
        prediction.cancel()
        assert prediction.status == "canceled"
        assert [entry.usd for entry in emulator.ledger] == [-0.165]

    def test_a_job_that_is_done_is_not_canceled(self, sdk):
        prediction = sdk.predictions.create(model=FLASH, input=TEXT)
        prediction.wait()
        prediction.cancel()
        assert prediction.status == "succeeded"

    def test_the_list_begins_with_the_newest_and_goes_on_at_its_cursors(self, sdk, emulator):
        made = [sdk.predictions.create(model=FLASH, input=TEXT).id for _ in range(103)]
        first = sdk.predictions.list()
        second = sdk.predictions.list(first.next)
        assert [item.id for item in [*first, *second]] == made[::-1]
        assert (len(first), first.previous, second.next) == (100, None, None)
        assert [item.id for item in sdk.predictions.list(second.previous)] == [item.id for item in first]
        assert first[0].input == TEXT

    def test_a_failure_is_a_model_error(self, sdk):
        with pytest.raises(ModelError, match="flagged as sensitive"):
            sdk.run(FLASH, {"prompt": "an indecent lake"})

    @pytest.mark.parametrize(
        ("kind", "status", "title"),
        [
            ("unauthorized", 401, "Unauthenticated"),
            ("no money", 402, "Insufficient credit"),
            ("rate limit", 429, None),
            ("moderation", 422, "Content flagged"),
            ("server error", 500, "Internal server error"),
        ],
    )
    def test_every_trouble_is_an_error_of_the_sdk_and_costs_nothing(self, sdk, emulator, kind, status, title):
        emulator.fail_next(*emulator.create, emulator.refusing(kind))
        with pytest.raises(ReplicateError) as caught:
            sdk.predictions.create(model=FLASH, input=TEXT)
        assert (caught.value.status, caught.value.title) == (status, title)
        assert emulator.ledger == []

    def test_a_wrong_token_is_refused(self, emulator):
        with (
            client(emulator, "r8_wrong") as stranger,
            pytest.raises(ReplicateError, match="valid authentication token"),
        ):
            stranger.accounts.current()

    def test_the_account_is_told(self, sdk):
        assert sdk.accounts.current().type == "user"


class TestCreate:
    @pytest.mark.parametrize(
        ("input", "kind", "field", "words"),
        [
            ({}, "required", "input", "prompt is required"),
            ({"prompt": 5}, "invalid_type", "input.prompt", "Expected: string"),
            ({**TEXT, "duration": 10}, "enum", "input.duration", "must be one of the following: 5, 9"),
            ({**TEXT, "duration": "5"}, "enum", "input.duration", "must be one of"),
            ({**TEXT, "duration": True}, "enum", "input.duration", "must be one of"),
            ({**TEXT, "aspect_ratio": "2:1"}, "enum", "input.aspect_ratio", '"16:9"'),
            ({**TEXT, "loop": "yes"}, "invalid_type", "input.loop", "Expected: boolean"),
            ({**TEXT, "concepts": "push_in"}, "invalid_type", "input.concepts", "Expected: array"),
            ({**TEXT, "concepts": ["wobble"]}, "enum", "input.concepts.0", "must be one of"),
            ({**TEXT, "start_image": "a.png"}, "format", "input.start_image", "uri"),
            ({**TEXT, "end_image": None}, "format", "input.end_image", "uri"),
            ({**TEXT, "resolution": "720p"}, "additional_property_not_allowed", "input", "resolution"),
        ],
    )
    def test_an_input_outside_the_schema_is_refused_in_replicates_words(
        self, emulator, input, kind, field, words
    ):
        answer = post(emulator, input)
        body = answer.json()
        assert (answer.status_code, body["status"], body["title"]) == (422, 422, "Input validation failed")
        (told,) = body["invalid_fields"]
        assert (told["type"], told["field"]) == (kind, field)
        assert words in told["description"]
        assert body["detail"] == f"- {field}: {told['description']}\n"
        assert emulator.ledger == []

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "- input is required"),
            ({"input": TEXT, "version": "x"}, "- Additional property version is not allowed"),
            ({"input": []}, "Expected: object"),
            ([], "Expected: object"),
            ({"input": TEXT, "webhook": "http://plain.test/"}, "- webhook: "),
            ({"input": TEXT, "webhook_events_filter": ["end"]}, "- webhook_events_filter.0: "),
        ],
    )
    def test_a_body_outside_the_schema_is_refused(self, emulator, body, words):
        answer = ask(emulator, "POST", PATH, json=body)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]

    def test_what_is_not_json_is_refused(self, emulator):
        assert ask(emulator, "POST", PATH, data=json.dumps({"input": TEXT})).status_code == 400

    def test_everything_documented_is_taken_at_once(self, emulator):
        picture = inline(jpeg(30))
        full = {
            **TEXT,
            "duration": 9,
            "aspect_ratio": "9:21",
            "loop": True,
            "concepts": CONCEPTS,
            "start_image": picture,
            "end_image": picture,
        }
        body = {"input": full, "webhook": "https://hooks.test/", "webhook_events_filter": ["completed"]}
        answer = ask(emulator, "POST", PATH, json=body)
        assert (answer.status_code, answer.json()["status"]) == (201, "starting")
        assert answer.json()["input"] == full

    def test_the_deprecated_names_of_the_pictures_still_work(self, emulator):
        picture = jpeg(30)
        done = finished(emulator, start_image_url=inline(picture))
        first, _, _ = clips.edges(requests.get(done["output"], timeout=5).content)
        assert difference(first, clips.picture(picture)) < 6

    @pytest.mark.parametrize(
        ("told", "status", "state"),
        [("wait=4", 202, "processing"), ("wait=5", 201, "succeeded"), ("wait", 201, "succeeded")],
    )
    def test_a_create_that_waits_answers_with_what_there_is_then(self, emulator, told, status, state):
        answer = post(emulator, TEXT, headers={"Prefer": told})
        assert (answer.status_code, answer.json()["status"]) == (status, state)

    @pytest.mark.parametrize("told", ["wait=0", "wait=61", "wait=5s", "respond-async"])
    def test_another_wait_is_refused(self, emulator, told):
        assert post(emulator, TEXT, headers={"Prefer": told}).status_code == 422
        assert emulator.ledger == []

    @pytest.mark.parametrize("told", ["4", "0m", "soon", "10 m"])
    def test_a_deadline_that_is_no_duration_of_5_seconds_is_refused(self, emulator, told):
        assert post(emulator, TEXT, headers={"Cancel-After": told}).status_code == 422

    def test_a_job_that_has_not_started_at_its_deadline_is_aborted_and_free(self, emulator, clock):
        made = post(emulator, TEXT, headers={"Cancel-After": "1m30s"}).json()
        clock.sleep(90)
        ended = look(emulator, made["id"])
        assert (ended["status"], ended["output"]) == ("aborted", None)
        assert sum(entry.usd for entry in emulator.ledger) == 0
        assert ended["deadline"] == ended["completed_at"]

    def test_a_job_that_runs_at_its_deadline_is_canceled_and_charged(self, emulator, clock):
        made = post(emulator, TEXT, headers={"Cancel-After": "90"}).json()
        clock.sleep(89)
        assert look(emulator, made["id"])["status"] == "processing"
        clock.sleep(1)
        assert look(emulator, made["id"])["status"] == "canceled"
        assert len(emulator.ledger) == 1

    def test_a_job_cancelled_before_it_started_is_aborted_and_free(self, emulator):
        made = post(emulator, TEXT).json()
        assert ask(emulator, "POST", f"/predictions/{made['id']}/cancel").json()["status"] == "aborted"
        assert sum(entry.usd for entry in emulator.ledger) == 0

    def test_an_account_without_money_buys_nothing(self):
        with ReplicateEmulator(credit_usd=0.2) as emulator:
            assert post(emulator, TEXT).status_code == 201
            answer = post(emulator, TEXT)
            assert (answer.status_code, answer.json()["title"]) == (402, "Insufficient credit")
            assert len(emulator.ledger) == 1

    def test_a_picture_at_a_public_address_is_fetched_without_the_token(self, emulator):
        picture = jpeg(120)
        with FileHost() as host:
            done = finished(emulator, end_image=host.put("b.jpg", picture, "image/jpeg"))
            assert host.leaks == []
            assert len(host.requests) == 1
        _, last, _ = clips.edges(requests.get(done["output"], timeout=5).content)
        assert difference(last, clips.picture(picture)) < 6

    @pytest.mark.parametrize(
        "place",
        ["data:image/png;base64,bm8gcGljdHVyZQ==", "data:image/png;base64,&", "{api}/files/" + NOBODY],
    )
    def test_a_picture_that_cannot_be_read_fails_the_job_and_is_free(self, emulator, place):
        done = finished(emulator, start_image=place.replace("{api}", emulator.base_url))
        assert (done["status"], done["error"]) == ("failed", ERRORS["unreadable"])
        assert sum(entry.usd for entry in emulator.ledger) == 0


class TestPredictions:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_prediction_nobody_knows_is_not_found(self, emulator, method):
        path = f"/predictions/{NOBODY}" + ("/cancel" if method == "POST" else "")
        answer = ask(emulator, method, path)
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "The requested resource could not be found.",
        )

    @pytest.mark.parametrize(
        ("prompt", "error"),
        [("an indecent lake", ERRORS["moderation"]), ("a doomed lake", ERRORS["failed"])],
    )
    def test_a_failure_is_told_and_free(self, emulator, prompt, error):
        done = finished(emulator, prompt=prompt)
        assert (done["status"], done["error"], done["output"]) == ("failed", error, None)
        assert sum(entry.usd for entry in emulator.ledger) == 0

    def test_the_times_are_told_as_they_pass(self, emulator, clock):
        made = post(emulator, TEXT).json()["id"]
        clock.sleep(10)
        running = look(emulator, made)
        clock.sleep(30)
        done = look(emulator, made)
        assert "started_at" in running
        assert "completed_at" not in running
        assert running["metrics"] == {}
        assert done["metrics"] == {"predict_time": 30, "total_time": 40}
        assert done["created_at"] == "2027-01-15T08:00:00.000000Z"

    def test_an_hour_after_its_end_input_and_output_are_gone(self, emulator, clock):
        clock.sleep(4000)
        done = finished(emulator)
        clock.sleep(3599)
        assert look(emulator, done["id"])["data_removed"] is False
        assert requests.get(done["output"], timeout=5).status_code == 200
        clock.sleep(1)
        gone = look(emulator, done["id"])
        assert (gone["data_removed"], gone["output"], gone["input"]) == (True, None, {})
        assert gone["status"] == "succeeded"
        assert requests.get(done["output"], timeout=5).status_code == 404

    def test_data_can_be_removed_at_once_but_not_of_what_still_runs(self, emulator):
        done, running = finished(emulator), post(emulator, TEXT).json()
        emulator.remove_data()
        assert look(emulator, done["id"])["data_removed"] is True
        assert look(emulator, running["id"])["input"] == TEXT

    def test_the_list_is_bounded_by_time(self, emulator, clock):
        made = []
        for _ in range(3):
            made.append(post(emulator, TEXT).json())
            clock.sleep(60)
        bounds = {"created_after": made[1]["created_at"], "created_before": made[2]["created_at"]}
        listed = ask(emulator, "GET", "/predictions", params=bounds).json()
        assert [item["id"] for item in listed["results"]] == [made[1]["id"]]

    def test_the_bounds_stay_on_the_next_page(self, emulator, clock):
        post(emulator, TEXT)
        clock.sleep(60)
        for _ in range(101):
            post(emulator, TEXT)
        since = {"created_after": "2027-01-15T08:00:30+00:00"}
        page = ask(emulator, "GET", "/predictions", params=since).json()
        following = page["next"].removeprefix(emulator.base_url)
        assert len(ask(emulator, "GET", following).json()["results"]) == 1

    def test_what_was_made_on_the_website_can_be_listed_alone(self, emulator):
        post(emulator, TEXT)
        made = post(emulator, TEXT).json()["id"]
        emulator.course(emulator.creates[1]).source = "web"
        listed = ask(emulator, "GET", "/predictions", params={"source": "web"}).json()["results"]
        assert [(item["id"], item["source"]) for item in listed] == [(made, "web")]

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("limit=5", 400),
            ("created_after=yesterday", 422),
            ("created_after=2027-01-15T08:00:00", 422),
            ("source=api", 422),
            ("cursor=x", 404),
        ],
    )
    def test_other_questions_to_the_list_are_refused(self, emulator, query, status):
        assert ask(emulator, "GET", f"/predictions?{query}").status_code == status

    def test_the_prediction_has_every_field_that_the_schema_requires(self, emulator):
        required = {"id", "model", "version", "input", "output", "data_removed", "error", "status"}
        made = post(emulator, TEXT).json()
        assert required | {"created_at", "urls"} <= set(made)
        assert set(made["urls"]) == {"web", "get", "cancel"}
        assert ask(emulator, "GET", made["urls"]["get"].removeprefix(emulator.base_url)).status_code == 200


class TestFiles:
    def upload(self, emulator: ReplicateEmulator, **options: Any) -> requests.Response:
        return ask(emulator, "POST", "/files", **options)

    def test_a_file_needs_the_token(self, emulator):
        made = self.upload(emulator, files={"content": ("a.png", b"x", "image/png")}).json()
        assert requests.get(made["urls"]["get"], timeout=5).status_code == 401

    def test_a_file_expires(self, emulator, clock):
        made = self.upload(emulator, files={"content": ("a.jpg", jpeg(9), "image/jpeg")}).json()
        assert (made["created_at"], made["expires_at"]) == (
            "2027-01-15T08:00:00.000000Z",
            "2027-01-15T09:00:00.000000Z",
        )
        clock.sleep(3600)
        assert ask(emulator, "GET", f"/files/{made['id']}").status_code == 404
        assert finished(emulator, start_image=made["urls"]["get"])["error"] == ERRORS["unreadable"]

    @pytest.mark.parametrize(
        ("options", "status"),
        [
            ({"json": {"content": "x"}}, 415),
            ({"files": {"file": ("a.png", b"x", "image/png")}}, 400),
            ({"files": {"content": ("a.png", b"x"), "purpose": ("", b"x")}}, 400),
            ({"files": {"content": ("a" * 256, b"x")}}, 400),
            ({"files": {"content": ("a.png", b"x")}, "data": {"metadata": "{"}}, 400),
        ],
    )
    def test_another_form_is_refused(self, emulator, options, status):
        assert self.upload(emulator, **options).status_code == status
        assert emulator.files == {}

    def test_a_file_that_is_too_large_is_refused(self, emulator):
        emulator.largest_file = 10
        answer = self.upload(emulator, files={"content": ("a.png", b"x" * 10)})
        assert (answer.status_code, answer.json()) == (
            413,
            {"detail": "Files must be less than 100MB in size"},
        )
        assert answer.headers["Content-Type"] == "application/problem+json"


class TestUniform:
    def test_a_lost_answer_is_charged_all_the_same(self, emulator):
        emulator.fail_next(*emulator.create, Fault.lost_answer())
        with pytest.raises(requests.ConnectionError):
            post(emulator, TEXT)
        assert len(emulator.ledger) == 1
        listed = ask(emulator, "GET", "/predictions").json()["results"]
        assert listed[0]["id"] == emulator.creates[0].id

    def test_an_unknown_status_is_one_answer_long(self, emulator):
        made = post(emulator, TEXT).json()["id"]
        emulator.fail_next(*emulator.poll, emulator.unknown_status())
        assert look(emulator, made)["status"] == "hibernating"
        assert look(emulator, made)["status"] == "succeeded"

    def test_links_expire_and_are_given_out_again(self, emulator):
        done = finished(emulator)
        emulator.expire_links()
        assert requests.get(done["output"], timeout=5).status_code == 403
        again = look(emulator, done["id"])["output"]
        assert requests.get(again, timeout=5).headers["Content-Type"] == "video/mp4"

    def test_a_rate_limit_says_how_long_to_wait(self, emulator):
        emulator.fail_next(*emulator.create, emulator.refusing("rate limit"))
        assert post(emulator, TEXT).headers["Retry-After"] == "7"

    @pytest.mark.parametrize("scheme", ["Bearer", "Token"])
    def test_both_documented_schemes_are_taken(self, emulator, scheme):
        headers = {"Authorization": f"{scheme} {emulator.key}"}
        assert ask(emulator, "GET", "/account", headers=headers).status_code == 200

    @pytest.mark.parametrize("value", ["", "{key}", "Basic {key}", "Bearer r8_other"])
    def test_another_authorization_is_refused(self, emulator, value):
        answer = post(emulator, TEXT, headers={"Authorization": value.replace("{key}", emulator.key)})
        assert (answer.status_code, answer.json()["title"]) == (401, "Unauthenticated")

    def test_a_token_sent_to_a_clip_is_a_leak(self, emulator):
        done = finished(emulator)
        requests.get(done["output"], headers={"Authorization": f"Bearer {emulator.key}"}, timeout=5)
        assert len(emulator.leaks) == 1

    @pytest.mark.parametrize("path", ["/nothing", "/predictions/x/y/z", "/models/luma"])
    def test_other_paths_are_not_there(self, emulator, path):
        assert ask(emulator, "GET", path).status_code == 404

    def test_by_the_clock_a_job_gets_on_without_questions(self):
        with ReplicateEmulator(job_seconds=0.05) as emulator:
            made = post(emulator, TEXT, headers={"Prefer": "wait=5"})
            assert (made.status_code, made.json()["status"]) == (201, "succeeded")
