"""The WaveSpeedAI emulator against the `wavespeed` SDK, and against everything that is not allowed."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
import requests
from emulators import clips
from emulators.clips import difference, photograph
from emulators.server import Fault, FileHost
from emulators.wavespeed import KEPT, MODELS, WaveSpeedEmulator
from fakes import FakeClock
from wavespeed import Client

TEXT = {"prompt": "a lake at dawn", "size": "1280*720", "duration": 5}
FLASH = "luma/ray-2-flash-t2v"
NO_REPLY = "did not return a response"


@pytest.fixture
def wavespeed() -> Iterator[WaveSpeedEmulator]:
    with WaveSpeedEmulator() as emulator:
        yield emulator


@pytest.fixture
def host() -> Iterator[FileHost]:
    with FileHost() as files:
        yield files


def sdk(emulator: WaveSpeedEmulator, key: str = "", retries: int = 0) -> Client:
    """The SDK takes its address as an argument only, and `/api/v3` is its own."""
    return Client(
        key or emulator.key, base_url=emulator.origin, max_connection_retries=retries, retry_interval=0.001
    )


def call(emulator: WaveSpeedEmulator, method: str, path: str, body: Any = None, **options: Any) -> Any:
    headers = {"Authorization": f"Bearer {emulator.key}", **options.pop("headers", {})}
    return requests.request(
        method, emulator.base_url + path, json=body, headers=headers, timeout=5, **options
    )


def data(answer: requests.Response) -> Any:
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert (content["code"], content["message"]) == (200, "success")
    return content["data"]


def create(emulator: WaveSpeedEmulator, model: str = FLASH, **others: Any) -> Any:
    return data(call(emulator, "POST", f"/{model}", {**TEXT, **others}))


def result(emulator: WaveSpeedEmulator, id: str) -> Any:
    return data(call(emulator, "GET", f"/predictions/{id}/result"))


def finished(emulator: WaveSpeedEmulator, model: str = FLASH, **others: Any) -> Any:
    made = create(emulator, model, **others)["id"]
    return [result(emulator, made) for _ in range(2)][-1]


def refusal(answer: requests.Response) -> tuple[int, int, str]:
    content = answer.json()
    assert set(content) == {"code", "message"}
    return answer.status_code, content["code"], content["message"]


def film(address: str) -> bytes:
    return requests.get(address, timeout=5).content


# -- with the SDK -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [name for name in MODELS if name.endswith("t2v")])
def test_the_sdk_runs_a_model_to_its_clip(wavespeed, model):
    made = sdk(wavespeed).run(f"luma/{model}", TEXT, poll_interval=0)
    _, _, count = clips.edges(film(made["outputs"][0]))
    assert count == 5 * 24 + 1
    assert [work.model for work in wavespeed.creates] == [f"luma/{model}"]


@pytest.mark.parametrize("model", [name for name in MODELS if name.endswith("i2v")])
def test_the_sdk_uploads_a_picture_and_makes_it_the_first_frame(wavespeed, model):
    image = photograph(200)
    file = io.BytesIO(clips.jpeg(image))
    file.name = "start.jpg"
    client = sdk(wavespeed)
    address = client.upload(file)
    assert requests.get(address, timeout=5).headers["Content-Type"] == "image/jpeg"
    made = client.run(f"luma/{model}", {**TEXT, "image": address}, poll_interval=0)
    first, _, _ = clips.edges(film(made["outputs"][0]))
    assert difference(first, image) < 3
    assert wavespeed.leaks == []


def test_the_sdk_uploads_a_file_from_disk(wavespeed, tmp_path):
    path = tmp_path / "start.jpg"
    path.write_bytes(clips.jpeg(photograph(90)))
    assert film(sdk(wavespeed).upload(str(path))) == path.read_bytes()


def test_the_sdk_waits_in_one_request_with_sync_mode(wavespeed):
    made = sdk(wavespeed).run(FLASH, TEXT, enable_sync_mode=True)
    assert clips.edges(film(made["outputs"][0]))
    assert [request.method for request in wavespeed.requests] == ["POST", "GET"]


def test_the_sdk_understands_a_sync_mode_that_timed_out():
    with WaveSpeedEmulator(polls_until_done=50) as emulator:
        told = sdk(emulator).run_no_throw(FLASH, TEXT, enable_sync_mode=True)
        assert told["status"] == "processing"
        assert told["task_id"] == emulator.creates[0].id


def test_the_sdk_reads_a_task_by_its_id(wavespeed):
    made = create(wavespeed)["id"]
    told = sdk(wavespeed).get_result(made)["data"]
    assert (told["id"], told["status"]) == (made, "processing")


@pytest.mark.parametrize("ending", ["failed", "cancelled", "timeout", "deleted"])
def test_the_sdk_takes_every_other_word_for_the_end(ending):
    with (
        WaveSpeedEmulator(ending=ending) as emulator,
        pytest.raises(RuntimeError, match=f"Prediction {ending}"),
    ):
        sdk(emulator).run(FLASH, TEXT, poll_interval=0)


def test_the_sdk_tells_why_a_task_failed(wavespeed):
    told = sdk(wavespeed).run_no_throw(FLASH, {**TEXT, "prompt": "an indecent lake"}, poll_interval=0)
    assert told["status"] == "failed"
    assert "sensitive information" in told["error"]
    assert told["task_id"] == wavespeed.creates[0].id


def test_the_sdk_reports_a_wrong_key(wavespeed):
    with pytest.raises(RuntimeError, match=r"HTTP 401: .*Invalid authentication"):
        sdk(wavespeed, key="wsk_wrong").run(FLASH, TEXT)


def test_the_sdk_reports_what_is_refused(wavespeed):
    with pytest.raises(RuntimeError, match=r"HTTP 400: .*1401.*duration"):
        sdk(wavespeed).run(FLASH, {**TEXT, "duration": "5"})
    assert wavespeed.creates == []


def test_the_sdk_takes_an_answer_without_a_task_for_a_refusal_also_in_an_envelope():
    with (
        WaveSpeedEmulator(errors="envelope") as emulator,
        pytest.raises(RuntimeError, match="No request ID"),
    ):
        sdk(emulator).run(FLASH, {**TEXT, "duration": 9})


def test_the_sdk_repeats_a_question_that_failed_and_never_a_create(wavespeed):
    wavespeed.fail_next("GET", "/predictions/{id}/result", Fault.status(503))
    assert sdk(wavespeed, retries=2).run(FLASH, TEXT, poll_interval=0)["outputs"]
    wavespeed.fail_next("POST", "/luma/*", Fault.lost_answer())
    with pytest.raises(RuntimeError, match=NO_REPLY):
        sdk(wavespeed, retries=2).run(FLASH, TEXT)
    assert len(wavespeed.creates) == 2
    assert [entry.usd for entry in wavespeed.ledger] == [-0.20, -0.20]


def test_the_sdk_reports_an_upload_that_is_not_there():
    with (
        WaveSpeedEmulator(tickets=False) as emulator,
        pytest.raises(RuntimeError, match="Failed to create upload: HTTP 404"),
    ):
        sdk(emulator).upload(io.BytesIO(b"a picture"))


# -- tasks --------------------------------------------------------------------------------------------------


def test_a_task_is_created_in_the_documented_form(wavespeed):
    made = create(wavespeed)
    assert made["created_at"].endswith("268Z")
    assert made == {
        "id": made["id"],
        "model": FLASH,
        "outputs": [],
        "urls": {"get": f"{wavespeed.base_url}/predictions/{made['id']}/result"},
        "has_nsfw_contents": [],
        "status": "created",
        "created_at": made["created_at"],
        "error": "",
        "executionTime": 0,
        "timings": {"inference": 0},
    }


def test_a_task_is_processed_and_completed_as_it_is_asked_about(wavespeed):
    made = create(wavespeed)["id"]
    assert [result(wavespeed, made)["status"] for _ in range(3)] == ["processing", "completed", "completed"]


def test_a_task_is_also_found_without_the_last_part_of_its_address(wavespeed):
    made = create(wavespeed)["id"]
    assert data(call(wavespeed, "GET", f"/predictions/{made}"))["status"] == "processing"


def test_only_the_prompt_is_required(wavespeed):
    data(call(wavespeed, "POST", f"/{FLASH}", {"prompt": "a lake"}))
    (work,) = wavespeed.creates
    assert (work.seconds, work.aspect_ratio, work.resolution) == (5, "16:9", "720p")


@pytest.mark.parametrize(("size", "shape"), [("1280*720", (320, 180)), ("720*1280", (180, 320))])
def test_the_clip_has_the_size_asked_for_whatever_the_shape_of_the_picture(wavespeed, host, size, shape):
    address = host.put("a.jpg", clips.jpeg(photograph(10, 200, 200)), "image/jpeg")
    done = finished(wavespeed, "luma/ray-2-i2v", size=size, image=address)
    first, _, _ = clips.edges(film(done["outputs"][0]))
    assert (first.width, first.height) == shape


@pytest.mark.parametrize(
    ("model", "seconds", "usd"),
    [
        ("ray-2-flash-t2v", 5, 0.2),
        ("ray-2-flash-t2v", 10, 0.4),
        ("ray-2-t2v", 5, 0.4),
        ("ray-2-t2v", 10, 0.8),
    ],
)
def test_a_task_costs_what_the_price_says(wavespeed, model, seconds, usd):
    create(wavespeed, f"luma/{model}", duration=seconds)
    asked = {"model_id": f"luma/{model}", "inputs": {"duration": seconds}}
    price = data(call(wavespeed, "POST", "/model/price", asked))
    assert [entry.usd for entry in wavespeed.ledger] == [-usd]
    assert price == {
        "model_id": f"luma/{model}",
        "price": usd,
        "discounted_price": usd,
        "discount_rate": 0.0,
        "currency": "USD",
    }


def test_a_discount_is_in_the_price_and_on_the_bill():
    with WaveSpeedEmulator(discount=0.1) as emulator:
        create(emulator)
        price = data(call(emulator, "POST", "/model/price", {"model_id": FLASH, "inputs": {}}))
        assert (price["price"], price["discounted_price"]) == (0.2, 0.18)
        assert [entry.usd for entry in emulator.ledger] == [-0.18]


@pytest.mark.parametrize("ending", ["failed", "cancelled", "timeout", "deleted"])
@pytest.mark.parametrize("refunds", [True, False])
def test_a_task_can_end_in_every_word_with_or_without_its_money(ending, refunds):
    with WaveSpeedEmulator(ending=ending, refunds=refunds) as emulator:
        done = finished(emulator)
        assert (done["status"], done["outputs"]) == (ending, [])
        assert done["error"]
        assert sum(entry.usd for entry in emulator.ledger) == pytest.approx(0 if refunds else -0.2)


@pytest.mark.parametrize(
    ("prompt", "code"), [("an indecent lake", 1200), ("a doomed lake", 1405)], ids=["moderation", "failure"]
)
def test_the_prompt_decides_how_a_task_fails(wavespeed, prompt, code):
    done = finished(wavespeed, prompt=prompt)
    assert (done["status"], done["code"]) == ("failed", code)


def test_a_reason_of_its_own_goes_before_the_ending_that_was_set():
    with WaveSpeedEmulator(ending="timeout") as emulator:
        assert finished(emulator, prompt="an indecent lake")["status"] == "failed"


def test_a_picture_that_cannot_be_fetched_fails_the_task(wavespeed, host):
    done = finished(wavespeed, "luma/ray-2-flash-i2v", image=f"{host.origin}/nothing.png")
    assert (done["status"], done["code"]) == ("failed", 1402)
    assert done["error"] == "Failed to download image from the provided URL."


def test_an_output_can_come_as_base64(wavespeed):
    done = finished(wavespeed, enable_base64_output=True)
    assert clips.edges(base64.b64decode(done["outputs"][0]))


# -- what is refused ----------------------------------------------------------------------------------------

REFUSED = {
    "no prompt": ({"prompt": None}, 1400, "prompt"),
    "an empty prompt": ({"prompt": ""}, 1400, "prompt"),
    "a prompt of another type": ({"prompt": 5}, 1401, "prompt"),
    "nine seconds": ({"duration": 9}, 1401, "duration"),
    "a string": ({"duration": "5"}, 1401, "duration"),
    "a truth": ({"duration": True}, 1401, "duration"),
    "another size": ({"size": "1280x720"}, 1401, "size"),
    "a seed": ({"seed": 1}, 1401, "seed"),
    "a picture without its model": ({"image": "https://a.test/a.png"}, 1401, "image"),
    "an optimizer that is not a truth": (
        {"enable_prompt_optimizer": "true"},
        1401,
        "enable_prompt_optimizer",
    ),
}


@pytest.mark.parametrize(("change", "code", "words"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("errors", ["status", "envelope"])
def test_what_is_wrong_is_refused_by_status_or_in_the_envelope_and_costs_nothing(errors, change, code, words):
    body = {name: value for name, value in {**TEXT, **change}.items() if value is not None}
    with WaveSpeedEmulator(errors=errors) as emulator:
        status, told, message = refusal(call(emulator, "POST", f"/{FLASH}", body))
        assert (status, told) == (400 if errors == "status" else 200, code)
        assert words in message
        assert (emulator.creates, emulator.ledger) == ([], [])


@pytest.mark.parametrize("image", [None, "data:image/png;base64,AAAA", "AAAA", 5])
def test_a_picture_comes_by_address_only(wavespeed, image):
    body = {**TEXT, **({"image": image} if image is not None else {})}
    status, code, _ = refusal(call(wavespeed, "POST", "/luma/ray-2-i2v", body))
    assert (status, code) == (400, 1400 if image is None else 1401)


def test_older_pages_have_the_duration_as_a_string():
    with WaveSpeedEmulator(durations="string") as emulator:
        assert refusal(call(emulator, "POST", f"/{FLASH}", TEXT))[1] == 1401
        create(emulator, duration="10")
        assert [work.seconds for work in emulator.creates] == [10]


def test_current_pages_have_no_prompt_optimizer(wavespeed):
    create(wavespeed, enable_prompt_optimizer=True)
    with WaveSpeedEmulator(optimizer=False) as emulator:
        answer = call(emulator, "POST", f"/{FLASH}", {**TEXT, "enable_prompt_optimizer": True})
        assert refusal(answer)[:2] == (400, 1401)


@pytest.mark.parametrize("model", ["luma/ray-2", "luma/ray-3-t2v"])
def test_a_model_that_is_not_there_is_not_found(wavespeed, model):
    assert refusal(call(wavespeed, "POST", f"/{model}", TEXT))[:2] == (404, 404)


@pytest.mark.parametrize("path", ["/predictions/nobody/result", "/predictions/nobody"])
def test_a_task_nobody_knows_is_not_found(wavespeed, path):
    assert refusal(call(wavespeed, "GET", path)) == (404, 404, "Task not found")


@pytest.mark.parametrize("headers", [{"Authorization": "Key x"}, {"Authorization": "Bearer x"}])
def test_another_key_or_scheme_is_refused_everywhere(wavespeed, headers):
    for method, path in (("POST", f"/{FLASH}"), ("GET", "/balance"), ("GET", "/predictions/x/result")):
        assert refusal(call(wavespeed, method, path, TEXT, headers=headers))[:2] == (401, 401)


def test_a_body_that_is_no_json_is_refused(wavespeed):
    answer = call(wavespeed, "POST", f"/{FLASH}", data="prompt=a", headers={"Content-Type": "text/plain"})
    assert refusal(answer)[:2] == (415, 1401)


@pytest.mark.parametrize("query", ["?webhook=ftp://a.test", "?sync=1"])
def test_a_query_that_is_no_webhook_is_refused(wavespeed, query):
    assert refusal(call(wavespeed, "POST", f"/{FLASH}{query}", TEXT))[1] == 1401
    data(call(wavespeed, "POST", f"/{FLASH}?webhook=https://a.test/hook", TEXT))


# -- deleting and listing -----------------------------------------------------------------------------------


def test_a_running_task_that_is_deleted_ends_so_and_is_refunded_in_part(wavespeed):
    made = create(wavespeed)["id"]
    assert data(call(wavespeed, "DELETE", f"/predictions/{made}")) == {"id": made, "status": "deleted"}
    assert [result(wavespeed, made)["status"] for _ in range(3)] == ["deleted"] * 3
    assert sum(entry.usd for entry in wavespeed.ledger) == pytest.approx(-0.1)


def test_a_finished_task_that_is_deleted_keeps_its_outputs_and_is_listed_no_more(wavespeed):
    done = finished(wavespeed)
    data(call(wavespeed, "POST", "/predictions/delete", {"ids": [done["id"]]}))
    assert clips.edges(film(done["outputs"][0]))
    assert listed(wavespeed) == []
    assert [entry.usd for entry in wavespeed.ledger] == [-0.2]


def test_deleting_what_nobody_knows_is_not_found(wavespeed):
    assert refusal(call(wavespeed, "DELETE", "/predictions/nobody"))[:2] == (404, 404)


def listed(emulator: WaveSpeedEmulator, **filters: Any) -> list[Any]:
    return data(call(emulator, "POST", "/predictions", {"page": 1, "page_size": 100, **filters}))["items"]


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def test_the_list_has_the_newest_first_in_pages(wavespeed):
    made = [create(wavespeed)["id"] for _ in range(3)]
    pages = [data(call(wavespeed, "POST", "/predictions", {"page": page, "page_size": 2})) for page in (1, 2)]
    assert [[item["id"] for item in page["items"]] for page in pages] == [[made[2], made[1]], [made[0]]]
    assert [page["page"] for page in pages] == [1, 2]


def test_the_list_filters_by_model_status_and_time():
    clock = FakeClock(now=time.time())
    with WaveSpeedEmulator(now=clock.now) as emulator:
        began = clock.now()
        one = finished(emulator)["id"]
        clock.sleep(100)
        other = create(emulator, "luma/ray-2-t2v")["id"]
        assert [item["id"] for item in listed(emulator, model=FLASH)] == [one]
        assert [item["id"] for item in listed(emulator, status="created")] == [other]
        assert [item["id"] for item in listed(emulator, created_after=moment(began + 50))] == [other]
        assert [item["id"] for item in listed(emulator, created_before=moment(began + 50))] == [one]
        clock.sleep(KEPT + 1)
        assert listed(emulator) == []
        assert refusal(call(emulator, "GET", f"/predictions/{one}/result"))[0] == 404


def test_the_list_does_not_show_what_was_asked_unless_told(wavespeed):
    create(wavespeed)
    (item,) = listed(wavespeed)
    assert "prompt" not in str(item)
    assert "input" not in item
    assert "inputs" not in item
    for name in ("input", "inputs"):
        with WaveSpeedEmulator(shows_inputs=name) as emulator:
            create(emulator)
            assert listed(emulator)[0][name] == TEXT


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1400),
        ({"page": 1}, 1400),
        ({"page": 0, "page_size": 10}, 1401),
        ({"page": 1, "page_size": 101}, 1401),
        ({"page": 1, "page_size": 10, "status": "pending"}, 1401),
        ({"page": 1, "page_size": 10, "created_after": "yesterday"}, 1401),
        ({"page": 1, "page_size": 10, "created_after": "2026-11-21T00:00:00"}, 1401),
    ],
)
def test_the_list_refuses_what_is_not_documented(wavespeed, body, code):
    assert refusal(call(wavespeed, "POST", "/predictions", body))[1] == code


# -- the account --------------------------------------------------------------------------------------------


def test_the_balance_goes_down_with_each_task(wavespeed):
    create(wavespeed)
    assert data(call(wavespeed, "GET", "/balance")) == {"balance": 99.8}


def test_billing_records_tell_what_a_task_cost_and_what_came_back(wavespeed):
    done = finished(wavespeed, prompt="a doomed lake")
    create(wavespeed)
    asked = {"page": 1, "page_size": 10, "prediction_uuids": [done["id"]]}
    told = data(call(wavespeed, "POST", "/billings/search", asked))
    assert told["total"] == 2
    assert [(item["billing_type"], item["price"]) for item in told["items"]] == [
        ("deduct", 0.2),
        ("refund", 0.2),
    ]
    assert {item["prediction"]["uuid"] for item in told["items"]} == {done["id"]}


def test_every_model_is_described_with_its_fields_and_price(wavespeed):
    models = {model["model_id"]: model for model in data(call(wavespeed, "GET", "/models"))}
    assert set(models) == {f"luma/{model}" for model in MODELS}
    (schema,) = models["luma/ray-2-flash-i2v"]["api_schema"]["api_schemas"]
    assert schema["api_path"] == "/api/v3/luma/ray-2-flash-i2v"
    assert schema["request_schema"]["required"] == ["image", "prompt"]
    assert models[FLASH]["base_price"] == 0.2


def test_the_price_of_a_model_nobody_knows_is_not_found(wavespeed):
    body = {"model_id": "luma/ray-9", "inputs": {}}
    assert refusal(call(wavespeed, "POST", "/model/price", body))[0] == 404
    assert refusal(call(wavespeed, "POST", "/model/price", {"model_id": FLASH}))[1] == 1400


# -- uploads ------------------------------------------------------------------------------------------------


def ticket(emulator: WaveSpeedEmulator, size: int = 9, **others: Any) -> Any:
    body = {"filename": "a.png", "size": size, "content_type": "image/png", **others}
    return data(call(emulator, "POST", "/media/uploads", body))


def test_a_ticket_leads_to_a_file_that_everybody_can_read(wavespeed):
    told = ticket(wavespeed)
    assert requests.get(told["download_url"], timeout=5).status_code == 404
    upload = told["upload"]
    assert upload["method"] == "PUT"
    answer = requests.put(upload["url"], b"a picture", headers=upload["headers"], timeout=5)
    assert answer.status_code == 200
    assert film(told["download_url"]) == b"a picture"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda headers: {"Content-Type": headers["Content-Type"]},
        lambda headers: {**headers, "Content-Type": "image/jpeg"},
        lambda headers: {**headers, "x-amz-acl": "public-read"},
    ],
    ids=["one less", "another type", "one more"],
)
def test_the_storage_wants_exactly_the_headers_of_the_ticket(wavespeed, spoil):
    told = ticket(wavespeed)
    headers = spoil(told["upload"]["headers"])
    assert requests.put(told["upload"]["url"], b"a picture", headers=headers, timeout=5).status_code == 403
    assert requests.get(told["download_url"], timeout=5).status_code == 404


def test_the_storage_notices_the_key_and_does_not_want_it(wavespeed):
    upload = ticket(wavespeed)["upload"]
    headers = {**upload["headers"], "Authorization": f"Bearer {wavespeed.key}"}
    assert requests.put(upload["url"], b"a picture", headers=headers, timeout=5).status_code == 403
    assert len(wavespeed.leaks) == 1


def test_the_storage_takes_as_many_bytes_as_were_announced(wavespeed):
    upload = ticket(wavespeed)["upload"]
    assert requests.put(upload["url"], b"other", headers=upload["headers"], timeout=5).status_code == 403


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"size": "9"}, 400, 1401),
        ({"size": 0}, 400, 1401),
        ({"size": 20_000_001}, 413, 413),
        ({"md5": "x"}, 400, 1401),
        ({"filename": None}, 400, 1401),
    ],
)
def test_a_ticket_is_refused_as_documented(wavespeed, change, status, code):
    body = {"filename": "a.png", "size": 9, "content_type": "image/png", **change}
    assert refusal(call(wavespeed, "POST", "/media/uploads", body))[:2] == (status, code)


def test_the_older_upload_takes_a_form_and_keeps_every_byte(wavespeed):
    content = b"--\r\n\r\nbinary\r\n\x00\xff--"
    told = data(
        call(wavespeed, "POST", "/media/upload/binary", files={"file": ("a.png", content, "image/png")})
    )
    assert told == {
        "type": "image",
        "download_url": told["download_url"],
        "filename": "a.png",
        "size": len(content),
    }
    assert film(told["download_url"]) == content


@pytest.mark.parametrize(
    ("files", "code"),
    [({"image": ("a.png", b"x", "image/png")}, 1400), ({"file": ("a.txt", b"x", "text/plain")}, 1401)],
)
def test_the_older_upload_refuses_other_fields_and_other_files(wavespeed, files, code):
    assert refusal(call(wavespeed, "POST", "/media/upload/binary", files=files))[1] == code


def test_either_way_to_upload_can_be_gone():
    with WaveSpeedEmulator(tickets=False, forms=False) as emulator:
        body = {"filename": "a.png", "size": 9}
        assert call(emulator, "POST", "/media/uploads", body).status_code == 404
        files = {"file": ("a.png", b"x", "image/png")}
        assert call(emulator, "POST", "/media/upload/binary", files=files).status_code == 404


def test_an_upload_is_kept_for_seven_days():
    clock = FakeClock()
    with WaveSpeedEmulator(now=clock.now) as emulator:
        told = ticket(emulator)
        requests.put(told["upload"]["url"], b"a picture", headers=told["upload"]["headers"], timeout=5)
        clock.sleep(KEPT - 1)
        assert requests.get(told["download_url"], timeout=5).status_code == 200
        clock.sleep(2)
        assert requests.get(told["download_url"], timeout=5).status_code == 404


# -- the uniform interface ----------------------------------------------------------------------------------

TROUBLES = {
    "unauthorized": (401, 401),
    "no money": (402, 402),
    "rate limit": (429, 429),
    "moderation": (400, 1200),
    "server error": (500, 5000),
}


@pytest.mark.parametrize(("kind", "told"), TROUBLES.items(), ids=TROUBLES)
@pytest.mark.parametrize("errors", ["status", "envelope"])
def test_every_trouble_is_told_in_its_words_and_charges_nothing(errors, kind, told):
    with WaveSpeedEmulator(errors=errors) as emulator:
        emulator.fail_next(*emulator.create, emulator.refusing(kind))
        answer = call(emulator, "POST", f"/{FLASH}", TEXT)
        assert refusal(answer)[:2] == (told if errors == "status" else (200, told[1]))
        assert answer.headers.get("Retry-After") == ("7" if kind == "rate limit" else None)
        assert (emulator.creates, emulator.ledger) == ([], [])


def test_an_account_without_money_buys_nothing():
    with WaveSpeedEmulator(credit_usd=0.1) as emulator:
        assert refusal(call(emulator, "POST", f"/{FLASH}", TEXT))[0] == 402
        assert emulator.creates == []


def test_an_unknown_status_is_a_word_nobody_documents(wavespeed):
    made = create(wavespeed)["id"]
    wavespeed.fail_next(*wavespeed.poll, wavespeed.unknown_status())
    assert result(wavespeed, made)["status"] == "paused"


def test_a_link_can_expire_and_the_next_answer_has_a_new_one(wavespeed):
    done = finished(wavespeed)
    wavespeed.expire_links()
    assert requests.get(done["outputs"][0], timeout=5).status_code == 403
    assert clips.edges(film(result(wavespeed, done["id"])["outputs"][0]))


def test_a_lost_answer_was_charged_and_is_listed(wavespeed):
    wavespeed.fail_next(*wavespeed.create, Fault.lost_answer())
    with pytest.raises(requests.ConnectionError):
        call(wavespeed, "POST", f"/{FLASH}", TEXT)
    assert [entry.usd for entry in wavespeed.ledger] == [-0.2]
    assert [item["id"] for item in listed(wavespeed)] == [wavespeed.creates[0].id]


@pytest.mark.parametrize("ending", ["completed", "timeout"])
def test_tasks_get_on_by_the_clock_where_no_questions_are_counted(ending):
    with WaveSpeedEmulator(job_seconds=0.05, ending=ending) as emulator:
        made = create(emulator)["id"]
        end = time.monotonic() + 5
        while (done := result(emulator, made))["status"] != ending:
            assert time.monotonic() < end, done
            time.sleep(0.02)


def test_the_environment_leads_to_it(wavespeed):
    assert wavespeed.environment() == {
        "WAVESPEED_BASE_URL": wavespeed.origin,
        "WAVESPEED_API_KEY": wavespeed.key,
        "LUMA_RAY_ALLOWED_HOSTS": wavespeed.netloc,
    }
    assert wavespeed.summary() == "0 creates, $0.00 billed, 0 leaks of the key"
