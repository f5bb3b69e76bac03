"""fal's emulator against fal's own Python client, and against everything that is not allowed.

The client speaks https to fixed hosts only, so its connections are led to the emulator below httpx: an address
at queue.fal.run, rest.fal.ai or v3.fal.media becomes the path of the same host on loopback.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import contracts
import fal_client
import httpx
import pytest
import requests
from emulators import clips
from emulators.clips import difference, photograph
from emulators.fal import ERROR_STATUS, FalEmulator
from emulators.server import Fault, FileHost

RAY_2 = "fal-ai/luma-dream-machine/ray-2"
FLASH = "fal-ai/luma-dream-machine/ray-2-flash"
APP = "fal-ai/luma-dream-machine"
TEXT = {"prompt": "a lake at dawn"}
NOBODY = "80e732af-660e-45cd-bd63-580e4f2a94cc"
HOSTS = {"queue.fal.run": "/queue", "rest.fal.ai": "/rest", "v3.fal.media": "/cdn"}
WEEK = '{"expiration_duration_seconds": 604800}'


@pytest.fixture
def fal() -> Iterator[FalEmulator]:
    with FalEmulator() as emulator:
        yield emulator


@pytest.fixture
def sdk(fal: FalEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[fal_client.SyncClient]:
    handle = httpx.HTTPTransport.handle_request
    used = set()

    def led_here(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        used.add(self)
        if request.url.host in HOSTS:
            path = HOSTS[request.url.host].encode() + request.url.raw_path
            request.url = httpx.URL(fal.origin).copy_with(raw_path=path)
        return handle(self, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", led_here)
    yield fal_client.SyncClient(key=fal.key)
    for transport in used:
        transport.close()  # the client has no way to be closed


@pytest.fixture
def host() -> Iterator[FileHost]:
    with FileHost() as files:
        yield files


def put(host: FileHost, image: clips.Picture, name: str = "a.jpg") -> str:
    return host.put(name, clips.jpeg(image), "image/jpeg")


def ask(
    fal: FalEmulator, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> requests.Response:
    signed = {"Authorization": f"Key {fal.key}", **(headers or {})}
    return requests.request(method, fal.origin + path, json=body, headers=signed, timeout=5)


def submit(fal: FalEmulator, endpoint: str = RAY_2, **body: Any) -> dict[str, Any]:
    answer = ask(fal, "POST", f"/queue/{endpoint}", {**TEXT, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def result(fal: FalEmulator, endpoint: str = RAY_2, **body: Any) -> requests.Response:
    """What comes of a request, asked about until it is done (twice)."""
    job = submit(fal, endpoint, **body)
    statuses = [ask(fal, "GET", job["status_url"].removeprefix(fal.origin)) for _ in range(2)]
    assert statuses[-1].json()["status"] == "COMPLETED"
    return ask(fal, "GET", job["response_url"].removeprefix(fal.origin))


def film(answer: requests.Response) -> bytes:
    return requests.get(answer.json()["video"]["url"], timeout=5).content


class TestSdk:
    def test_a_request_is_queued_runs_and_completes_as_it_is_asked_about(self, sdk):
        handle = sdk.submit(RAY_2, TEXT)
        states = [type(handle.status()) for _ in range(3)]
        assert states == [fal_client.InProgress, fal_client.Completed, fal_client.Completed]

    @pytest.mark.parametrize(
        ("endpoint", "extra"),
        [
            ("ray-2-flash/reframe", {"aspect_ratio": "9:16", "x_start": 0, "x_end": 768}),
            ("ray-2-flash/modify", {"mode": "reimagine_3", "prompt": "as a painting"}),
            ("ray-2/modify", {"image_url": None}),
        ],
    )
    def test_a_film_is_made_into_another_one_of_the_same_length(self, sdk, endpoint, extra):
        with FileHost() as files:
            address = files.put("film.mp4", contracts.film().path.read_bytes(), "video/mp4")
            body = {
                "video_url": address,
                **{name: value for name, value in extra.items() if value is not None},
            }
            video = sdk.submit(f"fal-ai/luma-dream-machine/{endpoint}", body).get(interval=0)["video"]
        assert clips.edges(requests.get(video["url"], timeout=5).content)[2] == 121

    @pytest.mark.parametrize(
        ("endpoint", "body", "named"),
        [
            ("modify", {}, "video_url"),
            ("modify", {"video_url": "https://x.test/a.mp4", "mode": "wild"}, "mode"),
            ("reframe", {"video_url": "https://x.test/a.mp4"}, "aspect_ratio"),
            ("reframe", {"video_url": "https://x.test/a.mp4", "aspect_ratio": "1:1", "y_end": 0.5}, "y_end"),
            (
                "reframe",
                {"video_url": "https://x.test/a.mp4", "aspect_ratio": "1:1", "resized_width": 5},
                "resized",
            ),
        ],
    )
    def test_what_a_model_that_changes_films_does_not_take_is_told_in_the_result(
        self, sdk, endpoint, body, named
    ):
        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            sdk.submit(f"fal-ai/luma-dream-machine/ray-2-flash/{endpoint}", body).get(interval=0)
        assert named in caught.value.response.text

    def test_the_result_is_a_video_that_decodes(self, sdk):
        video = sdk.submit(FLASH, TEXT).get(interval=0)["video"]
        content = requests.get(video["url"], timeout=5).content
        _, _, count = clips.edges(content)
        assert count == 121
        assert video["file_size"] == len(content)
        assert (video["content_type"], video["file_name"]) == ("video/mp4", "output.mp4")

    def test_subscribing_reports_each_state_and_gives_the_result(self, sdk):
        seen: list[Any] = []
        done = sdk.subscribe(RAY_2, TEXT, interval=0, with_logs=True, on_queue_update=seen.append)
        assert [type(state) for state in seen] == [fal_client.InProgress, fal_client.Completed]
        assert [entry["message"] for entry in seen[0].logs] == ["Generating"]
        assert seen[1].metrics["inference_time"] > 0
        assert done["video"]["url"].endswith("signature=secret-1")

    def test_the_place_in_the_queue_counts_the_requests_before(self):
        with FalEmulator(polls_until_done=6) as fal:
            jobs = [submit(fal) for _ in range(3)]
            assert [job["queue_position"] for job in jobs] == [0, 1, 2]
            answer = ask(fal, "GET", jobs[2]["status_url"].removeprefix(fal.origin))
            assert answer.status_code == 202
            assert answer.json()["status"] == "IN_QUEUE"
            assert answer.json()["queue_position"] == 2

    def test_a_request_is_found_again_by_its_id_alone(self, sdk):
        job_id = sdk.submit(f"{FLASH}/image-to-video", TEXT).request_id
        assert isinstance(sdk.status(FLASH, job_id), fal_client.InProgress)
        assert sdk.get_handle(FLASH, job_id).get(interval=0)["video"]["url"]

    def test_the_returned_addresses_are_the_ones_the_client_builds(self, fal, sdk):
        handle = sdk.submit(f"{RAY_2}/image-to-video", TEXT)
        built = sdk.get_handle(f"{RAY_2}/image-to-video", handle.request_id)
        for name in ("status_url", "response_url", "cancel_url"):
            path = getattr(built, name).removeprefix("https://queue.fal.run")
            assert getattr(handle, name) == f"{fal.origin}/queue{path}"

    def test_every_header_and_the_webhook_of_the_client_are_taken(self, fal, sdk):
        sdk.submit(
            RAY_2,
            TEXT,
            hint="here",
            priority="low",
            start_timeout=30,
            webhook_url="https://example.test/hook",
            headers={"X-Fal-Object-Lifecycle-Preference": WEEK},
        )
        assert len(fal.creates) == 1

    def test_a_queued_request_is_cancelled_and_costs_nothing(self, fal, sdk):
        handle = sdk.submit(RAY_2, TEXT)
        handle.cancel()
        status = handle.status()
        assert status.error_type == "client_cancelled"
        assert fal.balance == fal.credit_usd

    def test_a_running_request_gets_the_signal_and_runs_on(self, fal, sdk):
        handle = sdk.submit(RAY_2, TEXT)
        handle.status()
        handle.cancel()
        assert handle.get(interval=0)["video"]["url"]
        assert fal.balance == pytest.approx(fal.credit_usd - 0.50)

    def test_a_finished_request_cannot_be_cancelled(self, fal, sdk):
        handle = sdk.submit(RAY_2, TEXT)
        handle.get(interval=0)
        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            handle.cancel()
        assert caught.value.status_code == 400
        assert caught.value.response.json() == {"status": "ALREADY_COMPLETED"}

    def test_cancelling_what_nobody_knows_is_not_found(self, sdk):
        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            sdk.cancel(RAY_2, NOBODY)
        assert caught.value.status_code == 404
        assert caught.value.response.json() == {"status": "NOT_FOUND"}

    def test_the_client_reads_the_error_of_a_model(self, sdk):
        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            sdk.submit(RAY_2, {"prompt": "an indecent lake"}).get(interval=0)
        assert caught.value.status_code == 422
        (problem,) = caught.value.response.json()["detail"]
        assert problem["type"] == "content_policy_violation"
        assert problem["loc"] == ["body", "prompt"]

    def test_the_client_reads_the_error_of_the_platform_in_status_and_result(self, sdk):
        handle = sdk.submit(RAY_2, {"prompt": "a doomed lake"})
        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            handle.get(interval=0)
        assert (caught.value.status_code, caught.value.error_type) == (500, "runner_server_error")
        status = handle.status()
        assert status.error == caught.value.message
        assert status.error_type == "runner_server_error"

    def test_a_wrong_key_is_refused(self, fal, sdk):
        with pytest.raises(fal_client.FalClientHTTPError, match="No user found") as caught:
            fal_client.SyncClient(key="wrong").submit(RAY_2, TEXT)
        assert caught.value.status_code == 401
        assert fal.creates == []

    def test_a_locked_account_is_refused(self, fal, sdk):
        fal.credit_usd = 0.30
        with pytest.raises(fal_client.FalClientHTTPError, match="Exhausted balance") as caught:
            sdk.submit(RAY_2, TEXT)
        assert caught.value.status_code == 403

    def test_a_word_that_is_no_status_is_none_for_the_client_either(self, fal, sdk):
        handle = sdk.submit(RAY_2, TEXT)
        fal.fail_next(*fal.poll, fal.unknown_status())
        with pytest.raises(ValueError, match="Unknown status: PAUSED"):
            handle.status()

    @pytest.mark.parametrize("repository", ["fal", "fal_v3"])
    def test_a_picture_is_uploaded_and_starts_a_clip(self, fal, sdk, repository):
        image = photograph(200)
        url = sdk.upload(clips.jpeg(image), "image/jpeg", "a b.jpg", repository=repository)
        assert requests.get(url, timeout=5).headers["Content-Type"] == "image/jpeg"
        answer = result(fal, f"{RAY_2}/image-to-video", image_url=url)
        assert difference(image, clips.edges(film(answer))[0]) < 12

    def test_the_client_itself_sends_its_key_to_the_signed_address(self, fal, sdk):
        """Another reason why this pack does not use it."""
        sdk.upload(b"picture", "image/png", repository="fal")
        assert [request.method for request in fal.leaks] == ["PUT"]

    @pytest.mark.parametrize("repository", ["fal", "fal_v3"])
    def test_an_upload_is_kept_as_long_as_its_header_says(self, fal, sdk, repository):
        week = fal_client.StorageSettings(expires_in="7d")
        url = sdk.upload(b"picture", "image/png", repository=repository, lifecycle=week)
        assert next(iter(fal.uploads.values())).seconds == 7 * 86400
        assert requests.get(url, timeout=5).content == b"picture"
        fal.now = lambda: time.time() + 7 * 86400 + 60
        assert requests.get(url, timeout=5).status_code == 404

    def test_an_upload_without_that_header_is_kept(self, fal, sdk):
        url = sdk.upload(b"picture", "image/png", repository="fal")
        fal.now = lambda: time.time() + 1000 * 86400
        assert requests.get(url, timeout=5).status_code == 200


class TestPictures:
    def test_first_and_last_picture_are_first_and_last_frame(self, fal, host):
        first, last = photograph(20), photograph(230)
        answer = result(
            fal,
            f"{RAY_2}/image-to-video",
            image_url=put(host, first, "a.jpg"),
            end_image_url=put(host, last, "b.jpg"),
        )
        begin, end, _ = clips.edges(film(answer))
        assert difference(first, begin) < 12
        assert difference(last, end) < 12

    def test_a_last_picture_alone_is_taken(self, fal, host):
        last = photograph(230)
        answer = result(fal, f"{RAY_2}/image-to-video", end_image_url=put(host, last))
        assert difference(last, clips.edges(film(answer))[1]) < 12

    def test_a_data_uri_is_as_good_as_an_address(self, fal):
        image = photograph(120)
        inline = "data:image/jpeg;base64," + base64.b64encode(clips.jpeg(image)).decode()
        answer = result(fal, f"{FLASH}/image-to-video", image_url=inline)
        assert difference(image, clips.edges(film(answer))[0]) < 12

    def test_a_loop_ends_where_it_begins(self, fal, host):
        answer = result(fal, f"{RAY_2}/image-to-video", image_url=put(host, photograph(20)), loop=True)
        begin, end, _ = clips.edges(film(answer))
        assert difference(begin, end) < 4

    @pytest.mark.parametrize(
        ("resolution", "ratio", "size"),
        [("540p", "16:9", (242, 136)), ("720p", "9:16", (180, 320)), ("1080p", "21:9", (630, 270))],
    )
    def test_resolution_and_ratio_make_the_size(self, fal, resolution, ratio, size):
        first, _, _ = clips.edges(film(result(fal, resolution=resolution, aspect_ratio=ratio)))
        assert (first.width, first.height) == size

    @pytest.mark.parametrize("name", ["image_url", "end_image_url"])
    def test_a_picture_that_is_not_there_fails_the_request_and_is_refunded(self, fal, host, name):
        answer = result(fal, f"{RAY_2}/image-to-video", **{name: f"{host.origin}/nothing.png"})
        assert answer.status_code == 422
        (problem,) = answer.json()["detail"]
        assert (problem["type"], problem["loc"]) == ("file_download_error", ["body", name])
        assert fal.balance == fal.credit_usd


REFUSED = {
    "no prompt": ({"prompt": None}, ["body", "prompt"], "string_type"),
    "a field nobody knows": ({"seed": 1}, ["body", "seed"], "extra_forbidden"),
    "a picture for text to video": ({"image_url": "https://a.test/a.png"}, ["body", "image_url"], None),
    "a square": ({"aspect_ratio": "1:1"}, ["body", "aspect_ratio"], "enum"),
    "ten seconds": ({"duration": "10s"}, ["body", "duration"], "enum"),
    "a number of seconds": ({"duration": 5}, ["body", "duration"], "enum"),
    "4k": ({"resolution": "4k"}, ["body", "resolution"], "enum"),
    "a loop in words": ({"loop": "yes"}, ["body", "loop"], "bool_type"),
    "two letters": ({"prompt": "ab"}, ["body", "prompt"], "string_too_short"),
}


class TestRefusals:
    @pytest.mark.parametrize(("change", "where", "kind"), REFUSED.values(), ids=REFUSED)
    def test_the_queue_takes_it_and_the_runner_refuses_it_unpaid(self, fal, change, where, kind):
        answer = result(fal, **change)
        assert answer.status_code == 422
        (problem,) = answer.json()["detail"]
        assert problem["loc"] == where
        assert kind is None or problem["type"] == kind
        assert fal.balance == fal.credit_usd

    @pytest.mark.parametrize(
        "value",
        ["data:image/png;base64,AAAA", "data:image/png,AAAA", "data:image/png;base64,?", "ftp://a.test/a", 7],
    )
    def test_what_is_no_picture_is_refused(self, fal, value):
        answer = result(fal, f"{RAY_2}/image-to-video", image_url=value)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "image_url"]

    def test_a_loop_to_a_last_picture_is_refused(self, fal, host):
        url = put(host, photograph(20))
        answer = result(fal, f"{RAY_2}/image-to-video", image_url=url, end_image_url=url, loop=True)
        assert answer.json()["detail"][0]["loc"] == ["body", "loop"]

    def test_a_body_that_is_no_object_is_refused(self, fal):
        answer = ask(fal, "POST", f"/queue/{RAY_2}", ["a lake"])
        asked = answer.json()["status_url"].removeprefix(fal.origin)
        for _ in range(2):
            ask(fal, "GET", asked)
        assert ask(fal, "GET", asked.removesuffix("/status")).status_code == 422

    @pytest.mark.parametrize("endpoint", [f"{APP}/ray-3", f"{RAY_2}/upscale"])
    def test_an_endpoint_that_is_not_served_is_found_missing_by_the_runner(self, fal, endpoint):
        assert result(fal, endpoint).status_code == 404
        assert fal.balance == fal.credit_usd

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Fal-Request-Timeout": "soon"},
            {"X-Fal-Request-Timeout": "0"},
            {"X-Fal-Queue-Priority": "high"},
            {"X-Fal-Object-Lifecycle-Preference": "7d"},
            {"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": "7d"}'},
            {"X-Fal-Object-Lifecycle-Preference": '{"days": 7}'},
        ],
    )
    def test_headers_with_other_values_are_refused_at_once(self, fal, headers):
        answer = ask(fal, "POST", f"/queue/{RAY_2}", TEXT, headers)
        assert answer.status_code == 400
        assert answer.json()["error_type"] == answer.headers["X-Fal-Error-Type"] == "bad_request"
        assert fal.creates == []

    @pytest.mark.parametrize("query", ["?webhook=https://a.test/", "?fal_webhook=nowhere"])
    def test_another_query_is_refused(self, fal, query):
        assert ask(fal, "POST", f"/queue/{RAY_2}{query}", TEXT).status_code == 400

    @pytest.mark.parametrize(
        "authorization", ["", "Bearer {key}", "Key wrong", "{key}"], ids=["none", "bearer", "wrong", "bare"]
    )
    def test_any_other_authorization_is_refused_everywhere(self, fal, authorization):
        headers = {"Authorization": authorization.format(key=fal.key)}
        for method, path in (
            ("POST", f"/queue/{RAY_2}"),
            ("GET", f"/queue/{APP}/requests/{NOBODY}/status"),
            ("GET", f"/queue/{APP}/requests/{NOBODY}"),
            ("PUT", f"/queue/{APP}/requests/{NOBODY}/cancel"),
            ("POST", "/rest/storage/upload/initiate?storage_type=gcs"),
            ("POST", "/rest/storage/auth/token?storage_type=fal-cdn-v3"),
            ("POST", "/cdn/files/upload"),
        ):
            assert ask(fal, method, path, TEXT, headers).status_code == 401

    def test_the_key_itself_does_not_open_the_cdn(self, fal):
        assert ask(fal, "POST", "/cdn/files/upload").status_code == 401

    @pytest.mark.parametrize("path", ["", "/status"])
    def test_addresses_with_the_endpoint_in_them_lead_nowhere(self, fal, path):
        job = submit(fal)
        assert ask(fal, "GET", f"/queue/{RAY_2}/requests/{job['request_id']}{path}").status_code == 404

    @pytest.mark.parametrize("path", ["", "/status"])
    def test_a_request_that_nobody_made_is_not_found(self, fal, path):
        assert ask(fal, "GET", f"/queue/{APP}/requests/{NOBODY}{path}").status_code == 404

    def test_a_result_is_not_there_before_the_end(self, fal):
        job = submit(fal)
        assert ask(fal, "GET", job["response_url"].removeprefix(fal.origin)).status_code == 400

    def test_cancelling_wants_a_put(self, fal):
        job = submit(fal)
        assert ask(fal, "POST", job["cancel_url"].removeprefix(fal.origin)).status_code == 405
        assert ask(fal, "DELETE", job["cancel_url"].removeprefix(fal.origin)).status_code == 405


class TestStorage:
    def begun(self, fal: FalEmulator, **headers: str) -> dict[str, str]:
        body = {"file_name": "a.png", "content_type": "image/png"}
        answer = ask(fal, "POST", "/rest/storage/upload/initiate?storage_type=fal-cdn-v3", body, headers)
        assert answer.status_code == 200
        return answer.json()

    @pytest.mark.parametrize(
        ("query", "body"),
        [
            ("?storage_type=s3", {"file_name": "a", "content_type": "b"}),
            ("", {"file_name": "a", "content_type": "b"}),
            ("?storage_type=gcs", {"file_name": "a"}),
            ("?storage_type=gcs", {"file_name": "a", "content_type": 1}),
            ("?storage_type=gcs", {"file_name": "a", "content_type": "b", "size": 1}),
        ],
    )
    def test_another_body_or_store_is_refused(self, fal, query, body):
        assert ask(fal, "POST", f"/rest/storage/upload/initiate{query}", body).status_code == 422

    def test_the_file_must_come_as_it_was_announced_and_signed(self, fal):
        place = self.begun(fal)
        for url, kind in (
            (place["upload_url"], "image/jpeg"),
            (place["upload_url"] + "0", "image/png"),
            (place["upload_url"].partition("?")[0], "image/png"),
        ):
            answer = requests.put(url, b"picture", headers={"Content-Type": kind}, timeout=5)
            assert answer.status_code == 403
        assert requests.get(place["file_url"], timeout=5).status_code == 404

    def test_a_key_at_the_signed_address_is_noticed(self, fal):
        place = self.begun(fal)
        headers = {"Content-Type": "image/png", "Authorization": f"Key {fal.key}"}
        requests.put(place["upload_url"], b"picture", headers=headers, timeout=5)
        assert len(fal.leaks) == 1

    def test_an_empty_account_cannot_upload(self, fal):
        fal.credit_usd = -0.18
        answer = ask(fal, "POST", "/rest/storage/upload/initiate?storage_type=gcs", {})
        assert (answer.status_code, "User is locked" in answer.text) == (403, True)

    def test_a_lifetime_that_is_none_is_refused(self, fal):
        headers = {"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 0}'}
        body = {"file_name": "a.png", "content_type": "image/png"}
        path = "/rest/storage/upload/initiate?storage_type=gcs"
        assert ask(fal, "POST", path, body, headers).status_code == 400


class TestAccount:
    @pytest.mark.parametrize(
        ("endpoint", "body", "usd"),
        [
            (FLASH, {}, 0.20),
            (FLASH, {"resolution": "720p"}, 0.40),
            (FLASH, {"resolution": "1080p", "duration": "9s"}, 1.60),
            (RAY_2, {"resolution": "540p"}, 0.50),
            (RAY_2, {"resolution": "720p", "duration": "9s"}, 2.00),
            (f"{RAY_2}/image-to-video", {"resolution": "1080p"}, 2.00),
        ],
    )
    def test_each_request_is_charged_its_price(self, fal, endpoint, body, usd):
        submit(fal, endpoint, **body)
        assert [entry.usd for entry in fal.ledger] == [pytest.approx(-usd)]

    def test_what_the_platform_fails_is_given_back(self, fal):
        assert result(fal, prompt="a doomed lake").status_code == 500
        assert fal.balance == fal.credit_usd

    def test_what_moderation_stops_stays_charged(self, fal):
        assert result(fal, prompt="an indecent lake").status_code == 422
        assert fal.balance == pytest.approx(fal.credit_usd - 0.50)

    def test_a_job_is_refunded_once_however_often_it_is_asked_about(self, fal):
        job = submit(fal, prompt="a doomed lake")
        for _ in range(5):
            ask(fal, "GET", job["status_url"].removeprefix(fal.origin))
        assert len(fal.ledger) == 2


class TestUniform:
    @pytest.mark.parametrize(
        ("kind", "status", "words"),
        [
            ("unauthorized", 401, "No user found"),
            ("no money", 403, "User is locked"),
            ("rate limit", 429, "concurrent_requests_limit"),
            ("moderation", 422, "content_policy_violation"),
            ("server error", 500, "internal_error"),
        ],
    )
    def test_each_trouble_refuses_a_create_and_charges_nothing(self, fal, kind, status, words):
        fal.fail_next(*fal.create, fal.refusing(kind))
        answer = ask(fal, "POST", f"/queue/{FLASH}/image-to-video", TEXT)
        assert answer.status_code == status
        assert words in answer.text
        assert fal.creates == []
        if kind == "rate limit":
            assert answer.headers["Retry-After"] == "7"

    def test_expired_links_are_refused_and_the_next_one_works(self, fal):
        answer = result(fal)
        fal.expire_links()
        assert requests.get(answer.json()["video"]["url"], timeout=5).status_code == 403
        again = ask(fal, "GET", f"/queue/{APP}/requests/{fal.creates[0].id}")
        assert requests.get(again.json()["video"]["url"], timeout=5).status_code == 200

    def test_the_client_itself_buys_twice_after_a_lost_answer(self, fal, sdk):
        """Why this pack does not use it: it repeats a create, which has no idempotency key."""
        fal.fail_next(*fal.create, Fault.lost_answer())
        sdk.submit(RAY_2, TEXT)
        assert len(fal.creates) == 2

    def test_every_error_type_of_the_documentation_has_its_status(self):
        assert len(ERROR_STATUS) == 13

    def test_jobs_can_get_on_by_the_clock(self):
        with FalEmulator(job_seconds=0.05) as fal:
            job = submit(fal)
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                status = ask(fal, "GET", job["status_url"].removeprefix(fal.origin)).json()
                if status["status"] == "COMPLETED":
                    break
            assert status["status"] == "COMPLETED"

    def test_the_summary_says_what_was_billed(self, fal):
        submit(fal)
        assert fal.summary() == "1 creates, $0.50 billed, 0 leaks of the key"
