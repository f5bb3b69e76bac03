"""The Luma emulator against Luma's own SDK, and against everything that is not allowed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import lumaai
import pytest
import requests
from emulators import clips
from emulators.clips import difference, photograph
from emulators.luma import CONCEPTS, FAILURES, LumaEmulator
from emulators.server import Fault, FileHost
from loopback import authority, over_tls

TEXT = {"model": "ray-2", "prompt": "a lake at dawn"}
NOBODY = "123e4567-e89b-12d3-a456-426614174000"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def luma() -> Iterator[LumaEmulator]:
    with LumaEmulator() as emulator:
        yield emulator


@pytest.fixture
def sdk(luma: LumaEmulator) -> Iterator[lumaai.LumaAI]:
    with lumaai.LumaAI(auth_token=luma.key, base_url=luma.base_url, max_retries=0) as client:
        yield client


@pytest.fixture
def host() -> Iterator[FileHost]:
    with FileHost() as files:
        yield files


def put(host: FileHost, image: clips.Picture, name: str = "a.jpg") -> str:
    return host.put(name, clips.jpeg(image), "image/jpeg")


def post(luma: LumaEmulator, body: Any, path: str = "/generations", **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {luma.key}"}
    return requests.post(luma.base_url + path, json=body, headers=headers, timeout=5, **options)


def get(luma: LumaEmulator, path: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {luma.key}"}
    return requests.get(luma.base_url + path, headers=headers, timeout=5, allow_redirects=False)


def finished(luma: LumaEmulator, **body: Any) -> dict[str, Any]:
    """Create, and ask until it is done (twice)."""
    created = post(luma, {**TEXT, **body})
    assert created.status_code == 201, created.text
    path = f"/generations/{created.json()['id']}"
    get(luma, path)
    return get(luma, path).json()


def film(generation: dict[str, Any]) -> bytes:
    return requests.get(generation["assets"]["video"], timeout=5).content


class TestSdk:
    def test_a_text_generation_is_created_in_the_queue(self, sdk: lumaai.LumaAI) -> None:
        generation = sdk.generations.create(model="ray-2", prompt="a lake at dawn", duration="5s")
        assert generation.state == "queued"
        assert generation.model == "ray-2"
        assert generation.assets is None
        assert generation.request is not None
        assert generation.request.prompt == "a lake at dawn"

    def test_the_video_resource_creates_too(self, sdk: lumaai.LumaAI) -> None:
        generation = sdk.generations.video.create(model="ray-flash-2", prompt="a lake at dawn")
        assert generation.model == "ray-flash-2"

    def test_a_generation_dreams_and_completes_as_it_is_asked_about(self, sdk: lumaai.LumaAI) -> None:
        generation = sdk.generations.create(model="ray-2", prompt="a lake at dawn")
        states = [sdk.generations.get(generation.id).state for _ in range(3)]
        assert states == ["dreaming", "completed", "completed"]

    def test_a_start_frame_is_accepted_in_the_sdk_s_types(
        self, luma: LumaEmulator, sdk: lumaai.LumaAI, host: FileHost
    ) -> None:
        image = photograph(200)
        generation = sdk.generations.create(
            model="ray-2",
            prompt="a tiger walks",
            loop=True,
            aspect_ratio="16:9",
            concepts=[{"key": "push_in"}],
            keyframes={"frame0": {"type": "image", "url": put(host, image)}},
        )
        sdk.generations.get(generation.id)
        done = sdk.generations.get(generation.id)
        first, _, _ = clips.edges(requests.get(done.assets.video, timeout=5).content)
        assert difference(first, image) < 3

    def test_the_list_has_the_newest_first(self, sdk: lumaai.LumaAI) -> None:
        ids = [sdk.generations.create(model="ray-2", prompt=f"shot {n}").id for n in range(3)]
        page = sdk.generations.list(limit=2, offset=0)
        assert [generation.id for generation in page.generations] == [ids[2], ids[1]]
        assert (page.has_more, page.count, page.limit, page.offset) == (True, 2, 2, 0)

    def test_the_last_page_says_so(self, sdk: lumaai.LumaAI) -> None:
        ids = [sdk.generations.create(model="ray-2", prompt=f"shot {n}").id for n in range(3)]
        page = sdk.generations.list(limit=2, offset=2)
        assert [generation.id for generation in page.generations] == [ids[0]]
        assert page.has_more is False

    def test_a_deleted_generation_is_gone(self, sdk: lumaai.LumaAI) -> None:
        generation = sdk.generations.create(model="ray-2", prompt="a lake at dawn")
        sdk.generations.delete(generation.id)
        with pytest.raises(lumaai.NotFoundError):
            sdk.generations.get(generation.id)

    def test_credits_are_cents_and_charged_when_created(self, sdk: lumaai.LumaAI) -> None:
        sdk.generations.create(model="ray-2", prompt="a lake", resolution="720p", duration="9s")
        assert sdk.credits.get().credit_balance == 10_000 - 127

    def test_ping_answers_pong(self, sdk: lumaai.LumaAI) -> None:
        assert sdk.ping.check().message == "pong"

    def test_there_are_34_concepts(self, sdk: lumaai.LumaAI) -> None:
        concepts = sdk.generations.concepts.list()
        assert len(set(concepts)) == 34
        assert "dolly_zoom" in concepts

    def test_an_upscale_is_a_new_and_larger_generation(self, luma: LumaEmulator, sdk: lumaai.LumaAI) -> None:
        source = finished(luma, resolution="540p")
        larger = sdk.generations.upscale(source["id"], resolution="720p", generation_type="upscale_video")
        assert larger.id != source["id"]
        sdk.generations.get(larger.id)
        done = sdk.generations.get(larger.id)
        first, _, count = clips.edges(requests.get(done.assets.video, timeout=5).content)
        assert (first.width, first.height, count) == (320, 180, 121)

    def test_added_audio_is_a_new_generation_with_sound(self, luma: LumaEmulator, sdk: lumaai.LumaAI) -> None:
        source = finished(luma)
        loud = sdk.generations.audio(source["id"], prompt="rain", negative_prompt="voices")
        assert loud.id != source["id"]
        sdk.generations.get(loud.id)
        content = requests.get(sdk.generations.get(loud.id).assets.video, timeout=5).content
        with av.open(io.BytesIO(content)) as container:
            assert [stream.type for stream in container.streams] == ["video", "audio"]
            assert sum(1 for _ in container.decode(video=0)) == 121

    def test_a_modified_video_keeps_the_length_of_its_source(
        self, sdk: lumaai.LumaAI, host: FileHost
    ) -> None:
        source = clips.journey(1, (320, 180), 2)
        generation = sdk.generations.video.modify(
            generation_type="modify_video",
            model="ray-2",
            mode="adhere_1",
            prompt="in winter",
            media={"url": host.put("in.mp4", source, "video/mp4")},
        )
        sdk.generations.get(generation.id)
        done = sdk.generations.get(generation.id)
        assert clips.edges(requests.get(done.assets.video, timeout=5).content)[2] == 49

    def test_a_reframed_video_has_the_asked_canvas(self, sdk: lumaai.LumaAI, host: FileHost) -> None:
        source = clips.journey(1, (320, 180), 2)
        generation = sdk.generations.video.reframe(
            generation_type="reframe_video",
            model="ray-flash-2",
            aspect_ratio="9:16",
            media={"url": host.put("in.mp4", source, "video/mp4")},
            x_start=0,
        )
        sdk.generations.get(generation.id)
        done = sdk.generations.get(generation.id)
        first, _, _ = clips.edges(requests.get(done.assets.video, timeout=5).content)
        assert (first.width, first.height) == (1152 // 4, 2048 // 4)

    def test_a_wrong_key_is_the_sdk_s_authentication_error(self, luma: LumaEmulator) -> None:
        with (
            lumaai.LumaAI(auth_token="wrong", base_url=luma.base_url, max_retries=0) as client,
            pytest.raises(lumaai.AuthenticationError, match="Invalid API key is provided"),
        ):
            client.ping.check()

    def test_a_refused_body_is_the_sdk_s_error_of_its_status(self, sdk: lumaai.LumaAI) -> None:
        with pytest.raises(lumaai.UnprocessableEntityError):
            sdk.generations.create(model="ray-2", prompt="a lake", extra_body={"seed": 1})

    def test_an_unknown_model_is_the_sdk_s_bad_request(self, sdk: lumaai.LumaAI) -> None:
        with pytest.raises(lumaai.BadRequestError):
            sdk.generations.create(model="ray-1-6", prompt="a lake")  # type: ignore[arg-type]


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "where"),
        [
            ({"seed": 7}, ["body", "seed"]),
            ({"prompt": None}, ["body", "prompt"]),
            ({"prompt": 7}, ["body", "prompt"]),
            ({"loop": "true"}, ["body", "loop"]),
            ({"duration": 5}, ["body", "duration"]),
            ({"resolution": 720}, ["body", "resolution"]),
            ({"aspect_ratio": "2:1"}, ["body", "aspect_ratio"]),
            ({"concepts": ["push_in"]}, ["body", "concepts", 0]),
            ({"concepts": [{"key": "push_in", "weight": 1}]}, ["body", "concepts", 0, "weight"]),
            ({"callback_url": "not a url"}, ["body", "callback_url"]),
            ({"keyframes": {"frame2": None}}, ["body", "keyframes", "frame2"]),
            ({"keyframes": {"frame0": {"url": "https://a.example/b.jpg"}}}, ["body", "keyframes", "frame0"]),
            ({"keyframes": {"frame0": {"type": "image"}}}, ["body", "keyframes", "frame0", "url"]),
            (
                {"keyframes": {"frame0": {"type": "image", "url": "data:image/png;base64,AAAA"}}},
                ["body", "keyframes", "frame0", "url"],
            ),
            (
                {"keyframes": {"frame1": {"type": "generation", "id": "yesterday"}}},
                ["body", "keyframes", "frame1", "id"],
            ),
        ],
    )
    def test_a_body_of_the_wrong_shape_is_refused(
        self, luma: LumaEmulator, change: dict[str, Any], where: list[Any]
    ) -> None:
        answer = post(luma, {**TEXT, **change})
        assert answer.status_code == 422
        assert [problem["loc"] for problem in answer.json()["detail"]] == [where]

    @pytest.mark.parametrize(
        ("change", "detail"),
        [
            ({"model": "ray-1-6"}, "Model ray-1-6 is not supported"),
            ({"generation_type": "image"}, "Unknown request type"),
            ({"resolution": "1080"}, "Resolution 1080 is not supported"),
            ({"duration": "10s"}, "Duration 10s is not supported"),
            ({"concepts": [{"key": "barrel_roll"}]}, "Concept barrel_roll is not supported"),
            ({"prompt": ""}, "Prompt is required"),
            ({"prompt": "ab"}, "Prompt is too short, minimum length is 3 characters"),
            ({"prompt": "a" * 5001}, "Prompt is too long, maximum length is 5000 characters"),
            ({"keyframes": {}}, "No keyframes provided"),
            ({"keyframes": {"frame0": None, "frame1": None}}, "No keyframes provided"),
        ],
    )
    def test_what_luma_refuses_is_refused_in_its_words(
        self, luma: LumaEmulator, change: dict[str, Any], detail: str
    ) -> None:
        answer = post(luma, {**TEXT, **change})
        assert (answer.status_code, answer.json()) == (400, {"detail": detail})

    def test_a_refused_request_creates_and_charges_nothing(self, luma: LumaEmulator) -> None:
        post(luma, {**TEXT, "seed": 7})
        assert (luma.creates, luma.ledger) == ([], [])

    def test_a_missing_model_is_refused(self, luma: LumaEmulator) -> None:
        answer = post(luma, {"prompt": "a lake"})
        assert answer.json()["detail"][0]["loc"] == ["body", "model"]

    def test_a_body_that_is_not_an_object_is_refused(self, luma: LumaEmulator) -> None:
        assert post(luma, ["ray-2"]).status_code == 422

    def test_a_body_that_is_not_declared_as_json_is_refused(self, luma: LumaEmulator) -> None:
        headers = {"Authorization": f"Bearer {luma.key}"}
        url = f"{luma.base_url}/generations"
        answer = requests.post(url, data='{"model":"ray-2","prompt":"a lake"}', headers=headers, timeout=5)
        assert answer.status_code == 422

    def test_an_image_keyframe_makes_the_prompt_optional(self, luma: LumaEmulator, host: FileHost) -> None:
        frame = {"type": "image", "url": put(host, photograph(9))}
        answer = post(luma, {"model": "ray-2", "keyframes": {"frame0": frame}})
        assert answer.status_code == 201

    def test_a_generation_keyframe_does_not_make_the_prompt_optional(self, luma: LumaEmulator) -> None:
        frame = {"type": "generation", "id": finished(luma)["id"]}
        answer = post(luma, {"model": "ray-2", "keyframes": {"frame0": frame}})
        assert answer.json() == {"detail": "Prompt is required"}

    @pytest.mark.parametrize(
        ("frame0", "frame1", "what"),
        [
            ("image", "image", "keyframes"),
            (None, "image", "extend reverse"),
            (None, "generation", "extend reverse"),
            ("generation", "image", "interpolate video to image"),
            ("image", "generation", "interpolate image to video"),
            ("generation", "generation", "interpolate between two videos"),
        ],
    )
    def test_loop_is_refused_as_soon_as_there_is_an_end_frame(
        self, luma: LumaEmulator, frame0: str | None, frame1: str, what: str
    ) -> None:
        frames = {
            "image": {"type": "image", "url": "https://pictures.example/a.jpg"},
            "generation": {"type": "generation", "id": NOBODY},
            None: None,
        }
        keyframes = {"frame0": frames[frame0], "frame1": frames[frame1]}
        answer = post(luma, {**TEXT, "loop": True, "keyframes": keyframes})
        assert answer.json() == {"detail": f"Loop is not supported for {what}"}

    def test_an_unknown_generation_as_keyframe_is_refused(self, luma: LumaEmulator) -> None:
        frame = {"type": "generation", "id": NOBODY}
        assert post(luma, {**TEXT, "keyframes": {"frame0": frame}}).status_code == 400

    def test_an_unfinished_generation_as_keyframe_is_refused(self, luma: LumaEmulator) -> None:
        frame = {"type": "generation", "id": post(luma, TEXT).json()["id"]}
        answer = post(luma, {**TEXT, "keyframes": {"frame0": frame}})
        assert answer.status_code == 400
        assert "not completed" in answer.json()["detail"]

    def test_an_unfinished_generation_cannot_be_upscaled(self, luma: LumaEmulator) -> None:
        path = f"/generations/{post(luma, TEXT).json()['id']}/upscale"
        assert post(luma, {"resolution": "1080p"}, path).status_code == 400

    def test_a_generation_nobody_made_cannot_get_audio(self, luma: LumaEmulator) -> None:
        assert post(luma, {"prompt": "rain"}, f"/generations/{NOBODY}/audio").status_code == 404

    def test_modify_needs_its_mode(self, luma: LumaEmulator) -> None:
        media = {"url": "https://clips.example/a.mp4"}
        body = {"generation_type": "modify_video", "model": "ray-2", "media": media}
        answer = post(luma, body, "/generations/video/modify")
        assert answer.json()["detail"][0]["loc"] == ["body", "mode"]

    def test_reframe_takes_whole_pixels_only(self, luma: LumaEmulator) -> None:
        body = {
            "generation_type": "reframe_video",
            "model": "ray-2",
            "aspect_ratio": "1:1",
            "media": {"url": "https://clips.example/a.mp4"},
            "x_start": 0.5,
        }
        answer = post(luma, body, "/generations/video/reframe")
        assert answer.json()["detail"][0]["loc"] == ["body", "x_start"]

    def test_the_list_takes_no_other_parameters(self, luma: LumaEmulator) -> None:
        assert get(luma, "/generations?state=completed").status_code == 422

    @pytest.mark.parametrize(
        "header", [{}, {"Authorization": "luma-test-key"}, {"X-Api-Key": "luma-test-key"}]
    )
    def test_a_request_without_the_bearer_key_is_refused(
        self, luma: LumaEmulator, header: dict[str, str]
    ) -> None:
        answer = requests.get(f"{luma.base_url}/ping", headers=header, timeout=5)
        assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid API key is provided"})

    def test_what_is_not_documented_is_not_there(self, luma: LumaEmulator) -> None:
        assert post(luma, {}, f"/generations/{NOBODY}/cancel").status_code == 404

    def test_a_wrong_method_is_refused(self, luma: LumaEmulator) -> None:
        assert post(luma, {}, "/credits").status_code == 405

    def test_camera_motions_are_words_for_the_prompt(self, luma: LumaEmulator) -> None:
        assert "camera orbit left" in get(luma, "/generations/camera_motion/list").json()


class TestAccount:
    @pytest.mark.parametrize(("words", "reason"), FAILURES.items())
    def test_certain_words_make_a_generation_fail(self, luma: LumaEmulator, words: str, reason: str) -> None:
        generation = finished(luma, prompt=f"a lake, {words}")
        assert (generation["state"], generation["failure_reason"]) == ("failed", reason)
        assert generation["assets"] is None

    def test_a_failure_is_refunded_once(self, luma: LumaEmulator) -> None:
        generation = finished(luma, prompt="a blacklisted lake")
        get(luma, f"/generations/{generation['id']}")
        assert [entry.usd for entry in luma.ledger] == [-0.71, 0.71]
        assert luma.balance == luma.credit_usd

    def test_a_running_generation_shows_no_reason_yet(self, luma: LumaEmulator) -> None:
        path = f"/generations/{post(luma, {**TEXT, 'prompt': 'a doomed lake'}).json()['id']}"
        running = get(luma, path).json()
        assert (running["state"], running["failure_reason"]) == ("dreaming", None)

    def test_without_credits_nothing_is_created(self) -> None:
        with LumaEmulator(credit_usd=0.70) as luma:
            answer = post(luma, TEXT)
            assert (answer.status_code, luma.creates) == (402, [])

    def test_deleting_does_not_refund(self, luma: LumaEmulator) -> None:
        path = f"/generations/{post(luma, TEXT).json()['id']}"
        requests.delete(luma.base_url + path, headers={"Authorization": f"Bearer {luma.key}"}, timeout=5)
        assert luma.balance == 100 - 0.71

    def test_an_upscale_is_charged_by_the_second(self, luma: LumaEmulator) -> None:
        path = f"/generations/{finished(luma)['id']}/upscale"
        post(luma, {"resolution": "4k"}, path)
        assert luma.ledger[-1].usd == -0.11 * 5


class TestPictures:
    @pytest.mark.parametrize(("duration", "count"), [("5s", 121), ("9s", 217)])
    def test_a_clip_has_24_frames_a_second_and_one_more(
        self, luma: LumaEmulator, duration: str, count: int
    ) -> None:
        assert clips.edges(film(finished(luma, duration=duration)))[2] == count

    def test_a_clip_is_tagged_h264_at_24_frames_a_second(self, luma: LumaEmulator) -> None:
        with av.open(io.BytesIO(film(finished(luma)))) as container:
            video = container.streams.video[0]
            codec = video.codec_context
            assert (codec.name, codec.pix_fmt, video.average_rate) == ("h264", "yuv420p", 24)
            assert (codec.colorspace, codec.color_primaries, codec.color_trc) == (1, 1, 1)

    @pytest.mark.parametrize(
        ("ratio", "resolution", "size"),
        [
            ("16:9", "720p", (320, 180)),
            ("9:16", "720p", (180, 320)),
            ("1:1", "540p", (136, 136)),
            ("21:9", "1080p", (630, 270)),
        ],
    )
    def test_a_clip_has_a_quarter_of_the_asked_size(
        self, luma: LumaEmulator, ratio: str, resolution: str, size: tuple[int, int]
    ) -> None:
        first, _, _ = clips.edges(film(finished(luma, aspect_ratio=ratio, resolution=resolution)))
        assert (first.width, first.height) == size

    def test_a_clip_has_the_real_size_on_request(self) -> None:
        with LumaEmulator(full_size=True) as luma:
            first, _, _ = clips.edges(film(finished(luma, resolution="540p", aspect_ratio="1:1")))
            assert (first.width, first.height) == (540, 540)

    def test_two_generations_of_one_prompt_differ(self, luma: LumaEmulator) -> None:
        one, _, _ = clips.edges(film(finished(luma)))
        other, _, _ = clips.edges(film(finished(luma)))
        assert difference(one, other) > 10

    def test_a_text_clip_moves(self, luma: LumaEmulator) -> None:
        first, last, _ = clips.edges(film(finished(luma)))
        assert difference(first, last) > 10

    def test_a_looped_clip_ends_where_it_began(self, luma: LumaEmulator) -> None:
        first, last, _ = clips.edges(film(finished(luma, loop=True)))
        assert difference(first, last) < 3

    def test_the_thumbnail_is_a_jpeg_of_the_first_frame(self, luma: LumaEmulator) -> None:
        generation = finished(luma)
        answer = requests.get(generation["assets"]["image"], timeout=5)
        first, _, _ = clips.edges(film(generation))
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert difference(first, clips.picture(answer.content)) < 3

    def test_a_clip_goes_from_its_start_frame_to_its_end_frame(
        self, luma: LumaEmulator, host: FileHost
    ) -> None:
        one, other = photograph(20), photograph(230)
        keyframes = {
            "frame0": {"type": "image", "url": put(host, one, "a.jpg")},
            "frame1": {"type": "image", "url": put(host, other, "b.jpg")},
        }
        first, last, _ = clips.edges(film(finished(luma, keyframes=keyframes)))
        assert difference(first, one) < 3
        assert difference(last, other) < 3

    def test_an_end_frame_alone_is_where_the_clip_ends(self, luma: LumaEmulator, host: FileHost) -> None:
        image = photograph(120)
        keyframes = {"frame1": {"type": "image", "url": put(host, image)}}
        first, last, _ = clips.edges(film(finished(luma, keyframes=keyframes)))
        assert difference(last, image) < 3
        assert difference(first, image) > 10

    def test_the_ratio_of_a_clip_follows_its_picture(self, luma: LumaEmulator, host: FileHost) -> None:
        keyframes = {"frame0": {"type": "image", "url": put(host, photograph(9, 300, 300))}}
        first, _, _ = clips.edges(film(finished(luma, aspect_ratio="16:9", keyframes=keyframes)))
        assert first.width == first.height == 180

    def test_pictures_are_fetched_after_the_submission(self, luma: LumaEmulator, host: FileHost) -> None:
        keyframes = {"frame0": {"type": "image", "url": put(host, photograph(9))}}
        path = f"/generations/{post(luma, {**TEXT, 'keyframes': keyframes}).json()['id']}"
        assert host.requests == []
        get(luma, path)
        get(luma, path)
        assert [request.path for request in host.requests] == ["/a.jpg"]

    @pytest.mark.parametrize(
        "content",
        [b"", b"<html>Sign in</html>", clips.journey(1, (64, 64), 1)],
        ids=["empty", "page", "clip"],
    )
    def test_an_address_without_a_picture_fails_the_generation(
        self, luma: LumaEmulator, host: FileHost, content: bytes
    ) -> None:
        url = host.put("a.jpg", content, "image/jpeg")
        generation = finished(luma, keyframes={"frame0": {"type": "image", "url": url}})
        assert generation["failure_reason"] == "Failed to read user input frames"

    def test_an_address_that_answers_404_fails_the_generation(
        self, luma: LumaEmulator, host: FileHost
    ) -> None:
        frame = {"type": "image", "url": f"{host.origin}/missing.jpg"}
        assert finished(luma, keyframes={"frame0": frame})["state"] == "failed"

    def test_a_host_that_is_not_there_fails_the_generation(self, luma: LumaEmulator) -> None:
        with FileHost() as gone:
            url = put(gone, photograph(9))
        generation = finished(luma, keyframes={"frame0": {"type": "image", "url": url}})
        assert generation["failure_reason"] == "Failed to read user input frames"

    def test_a_source_clip_beyond_the_limit_fails_the_generation(
        self, luma: LumaEmulator, host: FileHost
    ) -> None:
        body = {
            "generation_type": "modify_video",
            "model": "ray-2",
            "mode": "flex_1",
            "media": {"url": host.put("in.mp4", clips.journey(1, (64, 64), 11), "video/mp4")},
        }
        path = f"/generations/{post(luma, body, '/generations/video/modify').json()['id']}"
        get(luma, path)
        assert get(luma, path).json()["state"] == "failed"


class TestExtend:
    def test_an_extension_starts_on_the_last_frame(self, luma: LumaEmulator) -> None:
        earlier = finished(luma)
        later = finished(luma, keyframes={"frame0": {"type": "generation", "id": earlier["id"]}})
        first, _, count = clips.edges(film(later))
        assert count == 121
        assert difference(first, clips.edges(film(earlier))[1]) < 3

    def test_an_extension_of_an_extension_keeps_the_size(self, luma: LumaEmulator) -> None:
        sizes, generation = [], finished(luma, resolution="540p")
        for _ in range(3):
            first, _, _ = clips.edges(film(generation))
            sizes.append((first.width, first.height))
            keyframes = {"frame0": {"type": "generation", "id": generation["id"]}}
            generation = finished(luma, resolution="540p", keyframes=keyframes)
        assert sizes == [(242, 136)] * 3

    def test_a_reverse_extension_ends_on_the_first_frame(self, luma: LumaEmulator) -> None:
        later = finished(luma)
        earlier = finished(luma, keyframes={"frame1": {"type": "generation", "id": later["id"]}})
        _, last, count = clips.edges(film(earlier))
        assert count == 121
        assert difference(last, clips.edges(film(later))[0]) < 3

    def test_a_whole_extension_holds_both_parts(self) -> None:
        with LumaEmulator(extend_returns="whole") as luma:
            earlier = finished(luma)
            keyframes = {"frame0": {"type": "generation", "id": earlier["id"]}}
            first, _, count = clips.edges(film(finished(luma, duration="9s", keyframes=keyframes)))
            assert count == 24 * (5 + 9) + 1
            assert difference(first, clips.edges(film(earlier))[0]) < 3

    def test_a_whole_reverse_extension_ends_with_the_earlier_clip(self) -> None:
        with LumaEmulator(extend_returns="whole") as luma:
            later = finished(luma)
            keyframes = {"frame1": {"type": "generation", "id": later["id"]}}
            _, last, count = clips.edges(film(finished(luma, keyframes=keyframes)))
            assert count == 24 * 10 + 1
            assert difference(last, clips.edges(film(later))[1]) < 3

    def test_an_interpolation_leads_from_one_clip_to_the_other(self, luma: LumaEmulator) -> None:
        one, other = finished(luma), finished(luma)
        keyframes = {
            "frame0": {"type": "generation", "id": one["id"]},
            "frame1": {"type": "generation", "id": other["id"]},
        }
        first, last, _ = clips.edges(film(finished(luma, keyframes=keyframes)))
        assert difference(first, clips.edges(film(one))[1]) < 3
        assert difference(last, clips.edges(film(other))[0]) < 3


class TestAssets:
    def test_an_asset_needs_no_key_and_tells_its_length(self, luma: LumaEmulator) -> None:
        answer = requests.get(finished(luma)["assets"]["video"], timeout=5)
        assert answer.status_code == 200
        assert int(answer.headers["Content-Length"]) == len(answer.content) > 1000
        assert luma.leaks == []

    def test_a_key_sent_to_an_asset_is_a_leak(self, luma: LumaEmulator) -> None:
        url = finished(luma)["assets"]["video"]
        requests.get(url, headers={"Authorization": f"Bearer {luma.key}"}, timeout=5)
        assert [request.path for request in luma.leaks] == [url.removeprefix(luma.origin)]

    def test_a_key_in_an_asset_s_query_is_a_leak(self, luma: LumaEmulator) -> None:
        requests.get(finished(luma)["assets"]["video"], params={"key": luma.key}, timeout=5)
        assert len(luma.leaks) == 1

    @pytest.mark.parametrize(
        ("asked", "part"), [("bytes=10-19", slice(10, 20)), ("bytes=-7", slice(-7, None))]
    )
    def test_a_range_of_an_asset_is_served(self, luma: LumaEmulator, asked: str, part: slice) -> None:
        generation = finished(luma)
        answer = requests.get(generation["assets"]["video"], headers={"Range": asked}, timeout=5)
        assert answer.status_code == 206
        assert answer.content == film(generation)[part]

    def test_a_range_behind_the_end_is_refused(self, luma: LumaEmulator) -> None:
        url = finished(luma)["assets"]["video"]
        answer = requests.get(url, headers={"Range": "bytes=99999999-"}, timeout=5)
        assert answer.status_code == 416

    def test_there_is_no_asset_before_the_end(self, luma: LumaEmulator) -> None:
        created = post(luma, TEXT).json()
        answer = requests.get(f"{luma.origin}/assets/{created['id']}.mp4", timeout=5)
        assert (created["assets"], answer.status_code) == (None, 404)


class TestFaults:
    def test_a_status_comes_before_anything_is_created(self, luma: LumaEmulator) -> None:
        luma.fail_next("POST", "/generations", Fault.status(503))
        assert post(luma, TEXT).status_code == 503
        assert luma.creates == []

    def test_a_status_can_hide_that_something_was_created(self, luma: LumaEmulator) -> None:
        luma.fail_next("POST", "/generations", Fault.status(500, handled=True))
        assert post(luma, TEXT).status_code == 500
        assert len(luma.creates) == 1

    def test_a_fault_happens_as_often_as_asked(self, luma: LumaEmulator) -> None:
        luma.fail_next("GET", "/ping", Fault.status(503), times=2)
        assert [get(luma, "/ping").status_code for _ in range(3)] == [503, 503, 200]

    def test_a_fault_can_let_some_requests_pass(self, luma: LumaEmulator) -> None:
        luma.fail_next("GET", "/ping", Fault.status(503), after=1)
        assert [get(luma, "/ping").status_code for _ in range(3)] == [200, 503, 200]

    def test_faults_of_one_route_happen_in_turn(self, luma: LumaEmulator) -> None:
        luma.fail_next("GET", "/ping", Fault.status(503))
        luma.fail_next("GET", "/ping", Fault.status(504))
        assert [get(luma, "/ping").status_code for _ in range(3)] == [503, 504, 200]

    def test_both_names_of_the_create_route_are_one(self, luma: LumaEmulator) -> None:
        luma.fail_next("POST", "/generations", Fault.status(503))
        assert post(luma, TEXT, "/generations/video").status_code == 503

    def test_a_lost_request_is_reset_and_creates_nothing(self, luma: LumaEmulator) -> None:
        luma.fail_next("POST", "/generations", Fault.lost_request())
        with pytest.raises(requests.ConnectionError, match="reset"):
            post(luma, TEXT)
        assert luma.creates == []

    def test_a_lost_answer_leaves_a_billed_generation(self, luma: LumaEmulator) -> None:
        luma.fail_next("POST", "/generations", Fault.lost_answer())
        with pytest.raises(requests.ConnectionError, match="without response"):
            post(luma, TEXT)
        assert [entry.usd for entry in luma.ledger] == [-0.71]
        assert luma.requests[-1].status is None

    def test_a_held_answer_arrives_when_the_event_is_set(self, luma: LumaEmulator) -> None:
        until, answers = threading.Event(), []
        luma.fail_next("POST", "/generations", Fault.hold(until))
        client = threading.Thread(target=lambda: answers.append(post(luma, TEXT).status_code))
        client.start()
        while not luma.creates:
            assert client.is_alive()
        assert answers == []
        until.set()
        client.join()
        assert answers == [201]

    def test_a_held_answer_does_not_keep_the_emulator_open(self) -> None:
        with LumaEmulator() as luma:
            luma.fail_next("GET", "/ping", Fault.hold(threading.Event()))
            with pytest.raises(requests.ReadTimeout):
                requests.get(
                    f"{luma.base_url}/ping", headers={"Authorization": f"Bearer {luma.key}"}, timeout=0.05
                )
        assert not any(thread.name == "LumaEmulator" for thread in threading.enumerate())

    def test_malformed_json_is_no_json(self, luma: LumaEmulator) -> None:
        luma.fail_next("POST", "/generations", Fault.malformed_json())
        answer = post(luma, TEXT)
        assert (answer.status_code, len(luma.creates)) == (201, 1)
        with pytest.raises(requests.JSONDecodeError):
            answer.json()

    def test_a_gateway_answers_with_a_page(self, luma: LumaEmulator) -> None:
        luma.fail_next("GET", "/credits", Fault.html(502))
        answer = get(luma, "/credits")
        assert answer.status_code == 502
        assert answer.headers["Content-Type"].startswith("text/html")

    def test_a_rate_limit_says_when_to_come_back(self, luma: LumaEmulator) -> None:
        luma.fail_next("POST", "/generations", Fault.rate_limit(7))
        answer = post(luma, TEXT)
        assert (answer.status_code, answer.headers["Retry-After"], luma.creates) == (429, "7", [])

    def test_a_redirect_leads_to_a_page(self, luma: LumaEmulator) -> None:
        luma.fail_next("POST", "/generations", Fault.redirect())
        answer = post(luma, TEXT)
        assert [old.status_code for old in answer.history] == [308]
        assert answer.text.startswith("<!doctype html>")
        assert luma.creates == []

    def test_a_truncated_asset_is_shorter_than_it_says(self, luma: LumaEmulator) -> None:
        url = finished(luma)["assets"]["video"]
        luma.fail_next("GET", "/assets/*", Fault.truncate())
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            requests.get(url, timeout=5)

    @pytest.mark.parametrize("status", [403, 404])
    def test_an_asset_can_be_withheld(self, luma: LumaEmulator, status: int) -> None:
        url = finished(luma)["assets"]["video"]
        luma.fail_next("GET", "/assets/{id}.mp4", Fault.status(status))
        assert requests.get(url, timeout=5).status_code == status
        assert requests.get(url, timeout=5).status_code == 200

    def test_a_state_can_be_a_word_nobody_knows(self, luma: LumaEmulator) -> None:
        path = f"/generations/{post(luma, TEXT).json()['id']}"
        luma.fail_next("GET", "/generations/{id}", Fault.fields(state="sleepwalking"))
        assert [get(luma, path).json()["state"] for _ in range(2)] == ["sleepwalking", "completed"]

    def test_a_completed_generation_can_lack_its_assets(self, luma: LumaEmulator) -> None:
        luma.fail_next("GET", "/generations/{id}", Fault.fields(assets=None), after=1)
        generation = finished(luma)
        assert (generation["state"], generation["assets"]) == ("completed", None)

    def test_a_fault_for_what_nobody_serves_is_a_mistake(self, luma: LumaEmulator) -> None:
        with pytest.raises(ValueError, match="nothing serves GET /generation"):
            luma.fail_next("GET", "/generation", Fault.status(503))

    def test_a_fault_that_never_happens_fails_the_test(self) -> None:
        with pytest.raises(AssertionError, match="never happened: GET /ping"), LumaEmulator() as luma:
            luma.fail_next("GET", "/ping", Fault.status(503))

    def test_a_mistake_inside_the_emulator_fails_the_test(self, capsys: pytest.CaptureFixture[str]) -> None:
        def trip(request: object) -> None:
            raise ZeroDivisionError

        luma = LumaEmulator()
        luma.start()
        luma.watch = trip
        get(luma, "/ping")
        with pytest.raises(ZeroDivisionError):
            luma.__exit__(None, None, None)
        assert "ZeroDivisionError" in capsys.readouterr().err


class TestRunning:
    def test_requests_are_recorded_as_they_came(self, luma: LumaEmulator) -> None:
        post(luma, TEXT)
        get(luma, "/generations?limit=5")
        created, listed = luma.requests
        assert (created.method, created.path, created.json, created.status) == (
            "POST",
            "/generations",
            TEXT,
            201,
        )
        assert created.headers["authorization"] == f"Bearer {luma.key}"
        assert (listed.path, listed.query) == ("/generations", {"limit": "5"})
        assert created.time <= listed.time

    def test_creation_times_come_from_the_given_clock(self) -> None:
        with LumaEmulator(now=lambda: 1_700_000_000.5) as luma:
            assert post(luma, TEXT).json()["created_at"] == "2023-11-14T22:13:20.500000Z"

    def test_more_polls_stay_in_the_queue_longer(self) -> None:
        with LumaEmulator(polls_until_done=3) as luma:
            path = f"/generations/{post(luma, TEXT).json()['id']}"
            states = [get(luma, path).json()["state"] for _ in range(3)]
            assert states == ["queued", "dreaming", "completed"]

    def test_by_the_clock_a_job_ends_without_being_asked_about(self) -> None:
        with LumaEmulator(job_seconds=0.05) as luma:
            post(luma, TEXT)
            deadline = time.monotonic() + 10
            while luma.creates[0].state != "completed":
                assert time.monotonic() < deadline
                get(luma, "/generations")
            assert luma.creates[0].polls == 0

    def test_closing_does_not_wait_for_running_jobs(self) -> None:
        with LumaEmulator(job_seconds=1000) as luma:
            post(luma, TEXT)
        assert luma.creates[0].state == "queued"

    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
    def test_closing_does_not_wait_for_connections_that_clients_keep(
        self, tmp_path: Path, secure: bool
    ) -> None:
        trusted = authority(tmp_path)
        luma = over_tls(LumaEmulator(), trusted) if secure else LumaEmulator()
        luma.start()
        closing = threading.Thread(target=luma.close, daemon=True)
        with requests.Session() as session:
            address = luma.origin.replace("http", "https") if secure else luma.origin
            assert session.get(f"{address}/dashboard", verify=str(trusted.bundle), timeout=5).ok
            closing.start()
            closing.join(5)
            assert not closing.is_alive()

    def test_the_environment_leads_to_the_emulator(
        self, luma: LumaEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in luma.environment().items():
            monkeypatch.setenv(name, value)
        with lumaai.LumaAI(max_retries=0) as client:
            assert client.generations.concepts.list() == CONCEPTS

    def test_the_script_serves_until_it_is_ended(self) -> None:
        script = Path(__file__).parent / "emulators" / "serve.py"
        command = [sys.executable, str(script), "luma", "--key", "luma-mine"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            try:
                lines = iter(process.stdout.readline, "\nCtrl-C ends it.\n")
                said = [next(lines) for _ in range(5)]
                settings = dict(line[7:].strip().split("=") for line in said if line.startswith("export "))
                base = settings["LUMAAI_BASE_URL"]
                answer = requests.get(
                    f"{base}/ping", headers={"Authorization": "Bearer luma-mine"}, timeout=5
                )
            finally:
                process.send_signal(signal.SIGINT)
                rest = process.stdout.read()
        assert answer.json() == {"message": "pong"}
        assert base.split("/")[2] == settings["LUMA_RAY_ALLOWED_HOSTS"]
        assert "GET    /ping 200" in rest
        assert "0 creates, $0.00 billed, 0 leaks" in rest
        assert process.returncode == 0
