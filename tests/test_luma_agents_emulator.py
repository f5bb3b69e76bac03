"""The emulator of Luma's current API against Luma's own SDK, and against everything that is not allowed."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any, get_args

import luma_agents
import pytest
import requests
from emulators import clips
from emulators.clips import difference, photograph
from emulators.luma_agents import FAILURES, LARGEST_IMAGE, USD, LumaAgentsEmulator
from emulators.server import Fault, FileHost
from luma_agents.types import GenerationFailureCode, VideoDuration, VideoResolution

TEXT = {"model": "ray-3.2", "type": "video", "prompt": "a lake at dawn"}
NOBODY = "123e4567-e89b-12d3-a456-426614174000"


@pytest.fixture
def luma() -> Iterator[LumaAgentsEmulator]:
    with LumaAgentsEmulator() as emulator:
        yield emulator


@pytest.fixture
def sdk(luma: LumaAgentsEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[luma_agents.Luma]:
    """Led here by the variables alone, as the pack is."""
    for name, value in luma.environment().items():
        monkeypatch.setenv(name, value)
    with luma_agents.Luma(max_retries=0) as client:
        yield client


@pytest.fixture
def host() -> Iterator[FileHost]:
    with FileHost() as files:
        yield files


def inline(image: clips.Picture | bytes) -> dict[str, str]:
    content = image if isinstance(image, bytes) else clips.jpeg(image)
    return {"data": base64.b64encode(content).decode(), "media_type": "image/jpeg"}


def ask(luma: LumaAgentsEmulator, method: str, path: str, body: Any = None, **headers: str) -> Any:
    signed = {"Authorization": f"Bearer {luma.key}", **headers}
    return requests.request(method, luma.base_url + path, json=body, headers=signed, timeout=5)


def post(luma: LumaAgentsEmulator, **body: Any) -> requests.Response:
    return ask(luma, "POST", "/generations", {**TEXT, **body})


PARTS = ("x_norm", "y_norm", "w_norm", "h_norm")
UUID = "00000000-0000-4000-8000-0000000000aa"


def refusal(luma: LumaAgentsEmulator, **body: Any) -> tuple[int, str]:
    """Status and words of a create that is refused; nothing is charged for it."""
    answer = post(luma, **body)
    assert answer.status_code >= 400, answer.text
    assert (luma.creates, luma.ledger) == ([], [])
    return answer.status_code, answer.json()["detail"]


def finished(luma: LumaAgentsEmulator, **body: Any) -> dict[str, Any]:
    """Create, and ask until it is done (twice)."""
    created = post(luma, **body)
    assert created.status_code == 201, created.text
    path = f"/generations/{created.json()['id']}"
    ask(luma, "GET", path)
    return ask(luma, "GET", path).json()


def film(generation: dict[str, Any]) -> bytes:
    (output,) = generation["output"]
    answer = requests.get(output["url"], timeout=5)
    assert answer.status_code == 200
    return answer.content


class TestSdk:
    def test_a_film_is_created_in_the_queue(self, sdk: luma_agents.Luma) -> None:
        generation = sdk.generations.create(
            prompt="a lake at dawn",
            model="ray-3.2",
            type="video",
            aspect_ratio="9:16",
            video={"resolution": "360p", "duration": "10s"},
            user_id="artist-1",
        )
        assert (generation.state, generation.type, generation.model) == ("queued", "video", "ray-3.2")
        assert generation.output == []

    def test_a_film_is_processed_and_completes_as_it_is_asked_about(self, sdk: luma_agents.Luma) -> None:
        generation = sdk.generations.create(prompt="a lake at dawn", model="ray-3.2", type="video")
        states = [sdk.generations.get(generation.id).state for _ in range(3)]
        assert states == ["processing", "completed", "completed"]

    def test_a_completed_film_is_at_a_presigned_address(
        self, luma: LumaAgentsEmulator, sdk: luma_agents.Luma
    ) -> None:
        generation = sdk.generations.create(prompt="a lake at dawn", model="ray-3.2", type="video")
        sdk.generations.get(generation.id)
        (output,) = sdk.generations.get(generation.id).output
        assert output.type == "video"
        assert "X-Amz-Expires=3600" in output.url
        assert clips.edges(requests.get(output.url, timeout=5).content)[2] == 121
        assert luma.leaks == []

    def test_two_anchors_in_the_sdk_s_types_are_the_ends_of_the_film(self, sdk: luma_agents.Luma) -> None:
        first, last = photograph(220), photograph(30)
        generation = sdk.generations.create(
            prompt="a tiger walks",
            model="ray-3.2",
            type="video",
            video={"start_frame": inline(first), "end_frame": inline(last), "loop": False},
        )
        sdk.generations.get(generation.id)
        done = sdk.generations.get(generation.id)
        start, end, _ = clips.edges(requests.get(done.output[0].url, timeout=5).content)
        assert difference(start, first) < 3
        assert difference(end, last) < 3

    def test_indexed_keyframes_in_the_sdk_s_types_make_ten_seconds(
        self, luma: LumaAgentsEmulator, sdk: luma_agents.Luma
    ) -> None:
        pictures = [photograph(red) for red in (200, 120, 40)]
        sdk.generations.create(
            prompt="a tiger walks",
            model="ray-3.2",
            type="video",
            video={
                "duration": "10s",
                "keyframes": [inline(image) for image in pictures],
                "keyframe_indexes": [0, 96, 240],
            },
        )
        (work,) = luma.creates
        assert (work.seconds, work.usd) == (10, 0.90)
        assert difference(work.first, pictures[0]) < 3
        assert difference(work.last, pictures[2]) < 3

    def test_a_failed_film_carries_code_and_reason(self, sdk: luma_agents.Luma) -> None:
        generation = sdk.generations.create(prompt="an indecent lake", model="ray-3.2", type="video")
        sdk.generations.get(generation.id)
        failed = sdk.generations.get(generation.id)
        assert (failed.state, failed.failure_code, failed.output) == ("failed", "content_moderated", [])
        assert "flagged by our content moderation" in failed.failure_reason

    def test_every_failure_code_of_the_sdk_can_happen(self) -> None:
        assert {code for code, _ in FAILURES.values()} == set(get_args(GenerationFailureCode))

    def test_everything_the_sdk_offers_has_a_price(self) -> None:
        assert set(USD) == set(get_args(VideoResolution))
        assert {duration for row in USD.values() for duration in row} == set(get_args(VideoDuration))

    def test_a_wrong_key_is_the_sdk_s_authentication_error(self, luma: LumaAgentsEmulator) -> None:
        with (
            luma_agents.Luma(auth_token="luma-api-other", base_url=luma.base_url, max_retries=0) as client,
            pytest.raises(luma_agents.AuthenticationError, match="Invalid API key"),
        ):
            client.generations.get(NOBODY)

    def test_an_unknown_generation_is_the_sdk_s_not_found(self, sdk: luma_agents.Luma) -> None:
        with pytest.raises(luma_agents.NotFoundError, match="Generation not found"):
            sdk.generations.get(NOBODY)

    def test_a_bad_request_is_the_sdk_s_bad_request(self, sdk: luma_agents.Luma) -> None:
        with pytest.raises(luma_agents.BadRequestError, match="between 1 and 6000"):
            sdk.generations.create(prompt="", model="ray-3.2", type="video")

    def test_a_contradiction_is_the_sdk_s_unprocessable_entity(self, sdk: luma_agents.Luma) -> None:
        with pytest.raises(luma_agents.UnprocessableEntityError, match="loop"):
            sdk.generations.create(
                prompt="a lake", model="ray-3.2", type="video", video={"loop": True, "duration": "10s"}
            )

    def test_with_its_default_the_sdk_creates_again_after_a_lost_answer_and_pays_twice(
        self, luma: LumaAgentsEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        luma.fail_next("POST", "/generations", Fault.lost_answer())
        with luma_agents.Luma(auth_token=luma.key, base_url=luma.base_url) as client:
            generation = client.generations.create(prompt="a lake", model="ray-3.2", type="video")
        assert [work.id for work in luma.creates].index(generation.id) == 1
        assert sum(entry.usd for entry in luma.ledger) == pytest.approx(-0.60)
        headers = [request.headers for request in luma.requests]
        assert not any("idempotency" in name.lower() for sent in headers for name in sent)

    def test_a_rate_limit_tells_the_sdk_how_long_to_wait(
        self, luma: LumaAgentsEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        luma.fail_next("POST", "/generations", luma.refusing("rate limit"))
        with luma_agents.Luma(auth_token=luma.key, base_url=luma.base_url) as client:
            client.generations.create(prompt="a lake", model="ray-3.2", type="video")
        assert slept == [7]
        assert len(luma.creates) == 1


class TestFiles:
    def upload(self, sdk: luma_agents.Luma, content: bytes, **about: Any) -> luma_agents.types.File:
        made = sdk.files.create(mime_type="image/jpeg", size_bytes=len(content), **about)
        assert (made.state, made.upload.method, made.file.id) == ("pending", "PUT", made.id)
        put = requests.put(made.upload.url, data=content, headers=made.upload.headers, timeout=5)
        assert put.status_code == 200
        assert sdk.files.complete(made.id).state == "pending"
        return sdk.files.get(made.id)

    def test_an_uploaded_picture_is_ready_and_starts_a_film(
        self, luma: LumaAgentsEmulator, sdk: luma_agents.Luma
    ) -> None:
        image = photograph(200)
        file = self.upload(sdk, clips.jpeg(image), purpose="input", filename="a.jpg")
        assert (file.state, file.filename, file.mime_type) == ("ready", "a.jpg", "image/jpeg")
        sdk.generations.create(
            prompt="a lake", model="ray-3.2", type="video", video={"start_frame": {"file_id": file.id}}
        )
        assert difference(luma.creates[0].first, image) < 3
        assert luma.leaks == []

    def test_bytes_that_are_no_picture_fail_to_ingest(self, sdk: luma_agents.Luma) -> None:
        file = self.upload(sdk, b"not a picture")
        assert file.state == "failed"
        assert file.failure_reason

    def test_a_file_that_is_not_ready_starts_no_film(
        self, luma: LumaAgentsEmulator, sdk: luma_agents.Luma
    ) -> None:
        made = sdk.files.create(mime_type="image/jpeg", size_bytes=7)
        assert refusal(luma, video={"start_frame": {"file_id": made.id}})[0] == 422

    def test_missing_bytes_are_told_when_the_upload_is_completed(self, sdk: luma_agents.Luma) -> None:
        made = sdk.files.create(mime_type="image/jpeg", size_bytes=7)
        with pytest.raises(luma_agents.UnprocessableEntityError):
            sdk.files.complete(made.id)

    def test_the_upload_address_takes_its_own_signature_only(self, sdk: luma_agents.Luma) -> None:
        made = sdk.files.create(mime_type="image/jpeg", size_bytes=7)
        unsigned = made.upload.url.partition("?")[0]
        assert requests.put(unsigned, data=b"picture", timeout=5).status_code == 403

    def test_a_key_sent_with_the_bytes_is_a_leak(
        self, luma: LumaAgentsEmulator, sdk: luma_agents.Luma
    ) -> None:
        made = sdk.files.create(mime_type="image/jpeg", size_bytes=7)
        headers = {**made.upload.headers, "Authorization": f"Bearer {luma.key}"}
        requests.put(made.upload.url, data=b"picture", headers=headers, timeout=5)
        assert len(luma.leaks) == 1

    def test_the_list_has_the_newest_first_in_pages(self, sdk: luma_agents.Luma) -> None:
        ids = [sdk.files.create(mime_type="image/png", size_bytes=n + 1).id for n in range(3)]
        page = sdk.files.list(limit=2)
        rest = sdk.files.list(limit=2, cursor=page.next_cursor)
        assert [file.id for file in [*page.data, *rest.data]] == ids[::-1]
        assert (page.has_more, rest.has_more, rest.next_cursor) == (True, False, None)

    def test_the_list_can_be_narrowed(self, sdk: luma_agents.Luma) -> None:
        sdk.files.create(mime_type="image/png", size_bytes=1, purpose="input")
        guide = sdk.files.create(mime_type="image/png", size_bytes=1, purpose="reference")
        assert [file.id for file in sdk.files.list(purpose="reference").data] == [guide.id]
        assert sdk.files.list(state="ready").data == []

    def test_a_deleted_file_is_gone(self, sdk: luma_agents.Luma) -> None:
        made = sdk.files.create(mime_type="image/png", size_bytes=1)
        sdk.files.delete(made.id)
        with pytest.raises(luma_agents.NotFoundError):
            sdk.files.get(made.id)

    @pytest.mark.parametrize(
        "body",
        [{"mime_type": "image/png"}, {"mime_type": "image/png", "size_bytes": 0},
         {"mime_type": "image/png", "size_bytes": 1, "colour": "red"},
         {"mime_type": "image/png", "size_bytes": 1, "purpose": "fun"},
         {"mime_type": "image/png", "size_bytes": 1, "expires_at": "soon"}],
        ids=["no size", "no bytes", "unknown field", "unknown purpose", "no time"],
    )  # fmt: skip
    def test_an_upload_outside_the_contract_is_refused(
        self, luma: LumaAgentsEmulator, body: dict[str, Any]
    ) -> None:
        assert ask(luma, "POST", "/files", body).status_code == 400

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=all", "cursor=x", "offset=2"])
    def test_a_question_about_the_list_outside_the_contract_is_refused(
        self, luma: LumaAgentsEmulator, query: str
    ) -> None:
        assert ask(luma, "GET", f"/files?{query}").status_code == 400


class TestRefusals:
    @pytest.mark.parametrize("length", [0, 6001])
    def test_the_prompt_has_1_to_6000_characters(self, luma: LumaAgentsEmulator, length: int) -> None:
        assert refusal(luma, prompt="x" * length) == (400, "Prompt must be between 1 and 6000 characters")

    def test_6000_characters_are_taken(self, luma: LumaAgentsEmulator) -> None:
        assert post(luma, prompt="x" * 6000).status_code == 201

    def test_a_model_of_the_older_api_is_unknown(self, luma: LumaAgentsEmulator) -> None:
        assert refusal(luma, model="ray-2") == (400, "Unknown model: ray-2")

    def test_without_a_model_it_is_one_for_images(self, luma: LumaAgentsEmulator) -> None:
        answer = ask(luma, "POST", "/generations", {"type": "video", "prompt": "a lake"})
        assert answer.json() == {"detail": "Type 'video' is not supported for model 'uni-1'"}

    def test_without_a_type_it_is_an_image(self, luma: LumaAgentsEmulator) -> None:
        answer = ask(luma, "POST", "/generations", {"model": "ray-3.2", "prompt": "a lake"})
        assert answer.json() == {"detail": "Type 'image' is not supported for model 'ray-3.2'"}

    @pytest.mark.parametrize("kind", ["video_edit", "video_reframe"])
    def test_a_film_to_change_is_required(self, luma: LumaAgentsEmulator, kind: str) -> None:
        assert refusal(luma, type=kind) == (400, "source: Field required")

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"type": "video_reframe"}, "aspect_ratio is required"),
            ({"type": "video_reframe", "aspect_ratio": "9:21"}, "Invalid aspect_ratio '9:21'"),
            (
                {"type": "video_reframe", "aspect_ratio": "1:1", "video": {"edit": {"strength": "flex_1"}}},
                "video.edit is only valid for type 'video_edit'",
            ),
            (
                {"type": "video_reframe", "aspect_ratio": "1:1", "video": {"resolution": "1080p"}},
                "coming soon",
            ),
            (
                {"type": "video_edit", "video": {"source_position": dict.fromkeys(PARTS, 0.5)}},
                "video.source_position is only valid for type 'video_reframe'",
            ),
            (
                {
                    "type": "video_reframe",
                    "aspect_ratio": "1:1",
                    "video": {"source_position": {**dict.fromkeys(PARTS, 0.5), "w_norm": 2.5}},
                },
                "up to 2.0",
            ),
            (
                {"type": "video_reframe", "aspect_ratio": "1:1", "video": {"source_position": {"x_norm": 0}}},
                "video.source_position.y_norm",
            ),
            ({"type": "video_edit", "video": {"edit": {"strength": "wild"}}}, "video.edit.strength"),
            ({"type": "video_edit", "video": {"loop": True}}, "video.loop"),
            (
                {"type": "video_edit", "source": {"file_id": UUID, "url": "https://x.test/a.mp4"}},
                "exactly one",
            ),
            ({"type": "video_edit", "source": {"file_id": UUID}}, "file is not ready"),
            ({"type": "video_edit", "source": {"generation_id": UUID}}, "generation not found"),
            ({"type": "video_edit", "source": {"url": "https://x.test/a.mp4"}}, "'media_type' is required"),
            ({"type": "video_edit", "source": {"data": "???", "media_type": "video/mp4"}}, "invalid base64"),
        ],
    )
    def test_what_does_not_go_with_a_film_that_is_changed_is_refused(
        self, luma: LumaAgentsEmulator, body: dict[str, Any], words: str
    ) -> None:
        film = {"source": {"url": "https://x.test/a.mp4", "media_type": "video/mp4"}}
        status, said = refusal(luma, **{**film, **body})
        assert status in (400, 422)
        assert words in said

    @pytest.mark.parametrize("ratio", ["9:21", "2:1"])
    def test_a_ratio_that_is_not_ray_s_is_refused_with_the_list(
        self, luma: LumaAgentsEmulator, ratio: str
    ) -> None:
        words = f"Invalid aspect_ratio '{ratio}'. Valid: 16:9, 1:1, 21:9, 3:4, 4:3, 9:16"
        assert refusal(luma, aspect_ratio=ratio) == (400, words)

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            ({"seed": 1}, "seed"),
            ({"negative_prompt": "rain"}, "negative_prompt"),
            ({"source": {"url": "https://x.test/a.mp4"}}, "source"),
            ({"image_ref": []}, "image_ref"),
            ({"prompt": None}, "prompt"),
            ({"user_id": 7}, "user_id"),
            ({"video": []}, "Input should be an object"),
            ({"video": {"resolution": "4k"}}, "video.resolution"),
            ({"video": {"duration": "9s"}}, "video.duration"),
            ({"video": {"duration": 5}}, "video.duration"),
            ({"video": {"loop": "yes"}}, "video.loop"),
            ({"video": {"edit": {}}}, "video.edit"),
            ({"video": {"concepts": []}}, "video.concepts"),
            ({"video": {"keyframes": [], "keyframe_indexes": ["0"]}}, "video.keyframe_indexes.0"),
            ({"video": {"start_frame": "https://x.test/a.png"}}, "video.start_frame"),
            ({"video": {"start_frame": {"uri": "https://x.test/a.png"}}}, "video.start_frame.uri"),
            ({"video": {"start_frame": {"url": "data:image/png;base64,AA=="}}}, "video.start_frame.url"),
            ({"video": {"start_frame": {"generation_id": "seven"}}}, "video.start_frame.generation_id"),
        ],
    )
    def test_a_body_outside_the_contract_is_refused_by_name(
        self, luma: LumaAgentsEmulator, body: dict[str, Any], place: str
    ) -> None:
        status, words = refusal(luma, **body)
        assert status == 400
        assert place in words

    def test_null_is_as_good_as_nothing_where_the_sdk_says_so(self, luma: LumaAgentsEmulator) -> None:
        nothing = {"aspect_ratio": None, "user_id": None, "video": {"loop": None, "start_frame": None}}
        assert post(luma, **nothing).status_code == 201

    def test_a_body_that_is_no_json_is_refused(self, luma: LumaAgentsEmulator) -> None:
        headers = {"Authorization": f"Bearer {luma.key}"}
        answer = requests.post(f"{luma.base_url}/generations", data="prompt=x", headers=headers, timeout=5)
        assert answer.status_code == 400

    def test_a_reference_is_one_thing_and_not_two(self, luma: LumaAgentsEmulator) -> None:
        both = {**inline(photograph(1)), "generation_id": NOBODY}
        status, words = refusal(luma, video={"start_frame": both})
        assert (status, words.partition(":")[0]) == (400, "video.start_frame")
        assert words.endswith("not both")

    def test_a_reference_is_something(self, luma: LumaAgentsEmulator) -> None:
        status, words = refusal(luma, video={"keyframes": [{}], "keyframe_indexes": [0]})
        assert (status, words.partition(":")[0]) == (400, "video.keyframes[0]")

    def test_inline_data_has_a_media_type(self, luma: LumaAgentsEmulator) -> None:
        reference = {"data": inline(photograph(1))["data"]}
        words = "video.end_frame: 'media_type' is required with 'data'"
        assert refusal(luma, video={"end_frame": reference}) == (400, words)

    def test_inline_data_is_base64(self, luma: LumaAgentsEmulator) -> None:
        reference = {"data": "not-valid-base64!!!", "media_type": "image/png"}
        words = "video.start_frame: invalid base64 data"
        assert refusal(luma, video={"start_frame": reference}) == (422, words)

    def test_a_film_is_no_picture(self, luma: LumaAgentsEmulator) -> None:
        reference = {**inline(photograph(1)), "media_type": "video/mp4"}
        assert refusal(luma, video={"start_frame": reference})[0] == 422

    def test_a_picture_has_at_most_8000_pixels_a_side(self, luma: LumaAgentsEmulator) -> None:
        status, words = refusal(luma, video={"start_frame": inline(photograph(1, 8010, 16))})
        assert (status, words) == (413, "video.start_frame: image exceeds 8000 px per side")

    def test_a_picture_has_at_most_50_mb(
        self, luma: LumaAgentsEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert LARGEST_IMAGE == 50 * 1024 * 1024
        monkeypatch.setattr("emulators.luma_agents.LARGEST_IMAGE", 1024)
        heavy = inline(bytes(1025))
        words = "video.start_frame: image exceeds 50 MB limit"
        assert refusal(luma, video={"start_frame": heavy}) == (413, words)

    def test_a_picture_by_address_is_fetched_at_once(self, luma: LumaAgentsEmulator, host: FileHost) -> None:
        image = photograph(200)
        address = host.put("a.jpg", clips.jpeg(image), "image/jpeg")
        assert post(luma, video={"start_frame": {"url": address}}).status_code == 201
        assert difference(luma.creates[0].first, image) < 3

    def test_an_address_without_a_picture_is_told_with_its_status(
        self, luma: LumaAgentsEmulator, host: FileHost
    ) -> None:
        words = "video.start_frame: failed to fetch URL (HTTP 404)"
        assert refusal(luma, video={"start_frame": {"url": f"{host.origin}/b.jpg"}}) == (422, words)

    def test_an_address_of_something_else_is_refused(self, luma: LumaAgentsEmulator, host: FileHost) -> None:
        address = host.put("a.pdf", b"%PDF-1.7", "application/pdf")
        words = "video.start_frame: content-type is not an image"
        assert refusal(luma, video={"start_frame": {"url": address}}) == (422, words)

    def test_an_address_is_https(self, luma: LumaAgentsEmulator) -> None:
        reference = {"url": "http://pictures.test/a.jpg"}
        assert refusal(luma, video={"start_frame": reference}) == (
            422,
            "video.start_frame: failed to fetch URL",
        )

    def test_bytes_that_are_no_picture_fail_the_job(self, luma: LumaAgentsEmulator) -> None:
        failed = finished(luma, video={"start_frame": inline(b"not a picture")})
        assert (failed["state"], failed["failure_code"]) == ("failed", "corrupt_input")


class TestCombinations:
    FRAME = inline(photograph(90))

    @pytest.mark.parametrize(
        "video",
        [
            {"loop": True, "duration": "10s"},
            {"loop": True, "end_frame": FRAME},
            {"loop": True, "hdr": True},
            {"loop": True, "keyframes": [FRAME], "keyframe_indexes": [0]},
            {"duration": "10s", "start_frame": FRAME},
            {"duration": "10s", "end_frame": FRAME},
            {"start_frame": FRAME, "keyframes": [FRAME], "keyframe_indexes": [0]},
            {"end_frame": FRAME, "keyframes": [FRAME], "keyframe_indexes": [0]},
            {"keyframes": [FRAME]},
            {"keyframe_indexes": [0]},
            {"keyframes": [], "keyframe_indexes": []},
            {"keyframes": [FRAME] * 65, "keyframe_indexes": list(range(65))},
            {"keyframes": [FRAME, FRAME], "keyframe_indexes": [0]},
            {"keyframes": [FRAME, FRAME], "keyframe_indexes": [7, 7]},
            {"keyframes": [FRAME], "keyframe_indexes": [-1]},
            {"keyframes": [FRAME], "keyframe_indexes": [121]},
            {"duration": "10s", "keyframes": [FRAME], "keyframe_indexes": [241]},
            {"exr_export": True},
            {"hdr": True, "resolution": "540p"},
            {"hdr": True},
        ],
        ids=" ".join,
    )
    def test_what_the_guide_excludes_is_refused(
        self, luma: LumaAgentsEmulator, video: dict[str, Any]
    ) -> None:
        assert refusal(luma, video=video)[0] == 422

    @pytest.mark.parametrize(
        "video",
        [
            {"loop": True},
            {"loop": True, "start_frame": FRAME},
            {"loop": False, "duration": "10s"},
            {"end_frame": FRAME},
            {"keyframes": [FRAME], "keyframe_indexes": [60]},
            {"duration": "10s", "keyframes": [FRAME, FRAME], "keyframe_indexes": [240, 0]},
            {"keyframes": [FRAME] * 64, "keyframe_indexes": list(range(64))},
        ],
        ids=" ".join,
    )
    def test_what_the_guide_allows_is_taken(self, luma: LumaAgentsEmulator, video: dict[str, Any]) -> None:
        assert post(luma, video=video).status_code == 201

    def test_of_keyframes_out_of_order_the_first_one_in_time_starts(self, luma: LumaAgentsEmulator) -> None:
        late, early = photograph(10), photograph(240)
        post(luma, video={"keyframes": [inline(late), inline(early)], "keyframe_indexes": [120, 0]})
        assert difference(luma.creates[0].first, early) < 3
        assert difference(luma.creates[0].last, late) < 3

    def test_a_single_keyframe_at_the_end_ends_the_film(self, luma: LumaAgentsEmulator) -> None:
        post(luma, video={"keyframes": [self.FRAME], "keyframe_indexes": [120]})
        assert luma.creates[0].first is None
        assert luma.creates[0].last is not None

    def test_a_loop_ends_where_it_began(self, luma: LumaAgentsEmulator) -> None:
        first, last, _ = clips.edges(film(finished(luma, video={"loop": True, "resolution": "360p"})))
        assert difference(first, last) < 3


class TestExtension:
    def extension(self, luma: LumaAgentsEmulator, name: str, id: str, **video: Any) -> requests.Response:
        return post(luma, video={name: {"generation_id": id}, **video})

    def test_forward_it_goes_on_from_the_last_frame(self, luma: LumaAgentsEmulator) -> None:
        earlier = finished(luma)
        later = finished(luma, video={"start_frame": {"generation_id": earlier["id"]}})
        first, _, count = clips.edges(film(later))
        assert count == 121
        assert difference(first, clips.edges(film(earlier))[1]) < 3

    def test_backward_it_ends_on_the_first_frame(self, luma: LumaAgentsEmulator) -> None:
        later = finished(luma)
        earlier = finished(luma, video={"end_frame": {"generation_id": later["id"]}})
        _, last, _ = clips.edges(film(earlier))
        assert difference(last, clips.edges(film(later))[0]) < 3

    def test_forward_it_may_loop(self, luma: LumaAgentsEmulator) -> None:
        earlier = finished(luma)
        assert self.extension(luma, "start_frame", earlier["id"], loop=True).status_code == 201

    @pytest.mark.parametrize(
        ("name", "video"),
        [
            ("end_frame", {"loop": True}),
            ("start_frame", {"duration": "10s"}),
            ("start_frame", {"resolution": "360p"}),
            ("start_frame", {"end_frame": inline(photograph(1))}),
            ("end_frame", {"start_frame": inline(photograph(1))}),
        ],
        ids=["backward loop", "10 s", "360p", "and an end frame", "and a start frame"],
    )
    def test_what_the_guide_excludes_is_refused(
        self, luma: LumaAgentsEmulator, name: str, video: dict[str, Any]
    ) -> None:
        earlier = finished(luma)
        assert self.extension(luma, name, earlier["id"], **video).status_code == 422
        assert len(luma.creates) == 1

    def test_it_needs_a_generation_that_is_known(self, luma: LumaAgentsEmulator) -> None:
        assert self.extension(luma, "start_frame", NOBODY).status_code == 422

    def test_it_needs_a_generation_that_is_completed(self, luma: LumaAgentsEmulator) -> None:
        running = post(luma).json()
        assert self.extension(luma, "start_frame", running["id"]).status_code == 422

    def test_a_film_is_no_guide_frame(self, luma: LumaAgentsEmulator) -> None:
        earlier = finished(luma)
        video = {"keyframes": [{"generation_id": earlier["id"]}], "keyframe_indexes": [0]}
        assert post(luma, video=video).status_code == 422


class TestMoney:
    @pytest.mark.parametrize("resolution", USD)
    @pytest.mark.parametrize("duration", ["5s", "10s"])
    def test_a_film_costs_what_the_guide_says(
        self, luma: LumaAgentsEmulator, resolution: str, duration: str
    ) -> None:
        post(luma, video={"resolution": resolution, "duration": duration})
        assert [entry.usd for entry in luma.ledger] == [-USD[resolution][duration]]

    def test_without_options_it_is_720p_and_5_s(self, luma: LumaAgentsEmulator) -> None:
        post(luma)
        assert (luma.creates[0].resolution, luma.creates[0].seconds) == ("720p", 5)

    @pytest.mark.parametrize(("word", "code"), [(word, code) for word, (code, _) in FAILURES.items()])
    def test_a_failure_is_refunded_by_its_code(self, luma: LumaAgentsEmulator, word: str, code: str) -> None:
        failed = finished(luma, prompt=f"a {word} lake")
        assert (failed["state"], failed["failure_code"], failed["output"]) == ("failed", code, [])
        assert failed["failure_reason"]
        billed = {"content_moderated": 0, "generation_failed": 0, "output_not_found": 0}
        partly = {"budget_exhausted": 0.15}
        assert -sum(entry.usd for entry in luma.ledger) == {**billed, **partly}.get(code, 0.30)

    def test_an_empty_account_creates_nothing(self) -> None:
        with LumaAgentsEmulator(credit_usd=0.29) as luma:
            assert refusal(luma) == (402, "Insufficient balance. Please add funds to continue.")


class TestAnswers:
    def test_the_object_has_every_documented_field(self, luma: LumaAgentsEmulator) -> None:
        created = post(luma).json()
        assert created == {
            "id": luma.creates[0].id,
            "type": "video",
            "state": "queued",
            "model": "ray-3.2",
            "created_at": created["created_at"],
            "output": [],
            "failure_reason": None,
            "failure_code": None,
        }
        assert created["created_at"].endswith("Z")

    def test_every_answer_names_the_request_and_the_version(self, luma: LumaAgentsEmulator) -> None:
        answers = [post(luma), post(luma, prompt=""), ask(luma, "GET", f"/generations/{NOBODY}")]
        assert {answer.headers["X-API-Version"] for answer in answers} == {"2026-04-01"}
        assert len({answer.headers["X-Request-Id"] for answer in answers}) == 3

    def test_a_request_id_is_echoed(self, luma: LumaAgentsEmulator) -> None:
        answer = ask(luma, "GET", f"/generations/{NOBODY}", **{"X-Request-Id": "mine"})
        assert answer.headers["X-Request-Id"] == "mine"

    @pytest.mark.parametrize("id", [NOBODY, "not-a-uuid"])
    def test_an_unknown_generation_is_not_found(self, luma: LumaAgentsEmulator, id: str) -> None:
        answer = ask(luma, "GET", f"/generations/{id}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Generation not found"})

    @pytest.mark.parametrize(
        ("header", "words"),
        [
            ({}, "Missing or invalid API key"),
            ({"Authorization": "luma-api-test-0123456789"}, "Missing or invalid API key"),
            ({"Authorization": "Bearer luma-mine"}, "Missing or invalid API key"),
            ({"Authorization": "Bearer luma-api-other"}, "Invalid API key"),
        ],
        ids=["none", "no scheme", "a key of the older API", "somebody else's"],
    )
    def test_a_wrong_key_is_told_apart(
        self, luma: LumaAgentsEmulator, header: dict[str, str], words: str
    ) -> None:
        answer = requests.post(f"{luma.base_url}/generations", json=TEXT, headers=header, timeout=5)
        assert (answer.status_code, answer.json()) == (401, {"detail": words})
        assert luma.creates == []

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/generations"), ("DELETE", f"/generations/{NOBODY}"), ("POST", "/generations/video"),
         ("PUT", f"/generations/{NOBODY}/cancel"), ("GET", "/credits"), ("GET", "/ping")],
    )  # fmt: skip
    def test_there_is_no_list_no_cancel_and_nothing_of_the_older_api(
        self, luma: LumaAgentsEmulator, method: str, path: str
    ) -> None:
        assert ask(luma, method, path).status_code in (404, 405)

    def test_the_minute_s_limit_is_told_in_headers(self) -> None:
        moment = 1_700_000_000.0
        with LumaAgentsEmulator(requests_a_minute=2, now=lambda: moment) as luma:
            created = post(luma)
            assert created.headers["X-RateLimit-Remaining"] == "1"
            post(luma)
            refused = post(luma)
            assert (refused.status_code, refused.json()) == (429, {"detail": "Rate limit exceeded"})
            assert refused.headers["Retry-After"] == "60"
            assert refused.headers["X-RateLimit-Reset"] == str(int(moment) + 60)
            moment += 60
            assert post(luma).status_code == 201
            assert len(luma.creates) == 3

    def test_too_many_jobs_at_a_time_wait_a_minute(self) -> None:
        with LumaAgentsEmulator(concurrent_jobs=1) as luma:
            finished(luma)
            post(luma)
            refused = post(luma)
            assert (refused.status_code, refused.json()) == (429, {"detail": "Too many concurrent jobs"})
            assert refused.headers["Retry-After"] == "60"
            assert "X-RateLimit-Limit" not in refused.headers
            assert len(luma.creates) == 2

    def test_a_link_lives_an_hour_and_asking_again_mints_a_new_one(self) -> None:
        moment = 1_700_000_000.0
        with LumaAgentsEmulator(now=lambda: moment) as luma:
            done = finished(luma)
            address = done["output"][0]["url"]
            moment += 3601
            assert requests.get(address, timeout=5).status_code == 403
            assert film(ask(luma, "GET", f"/generations/{done['id']}").json())

    def test_a_link_without_its_signature_leads_nowhere(self, luma: LumaAgentsEmulator) -> None:
        address = finished(luma)["output"][0]["url"].partition("?")[0]
        assert requests.get(address, timeout=5).status_code == 404


class TestUniformInterface:
    @pytest.mark.parametrize(
        ("kind", "status", "words"),
        [
            ("unauthorized", 401, "API key has been revoked"),
            ("no money", 402, "Insufficient balance"),
            ("rate limit", 429, "Rate limit exceeded"),
            ("moderation", 422, "content moderation"),
            ("server error", 502, "Upstream service unavailable"),
        ],
    )
    def test_each_trouble_refuses_a_create_and_charges_nothing(
        self, luma: LumaAgentsEmulator, kind: Any, status: int, words: str
    ) -> None:
        luma.fail_next(*luma.create, luma.refusing(kind))
        told, detail = refusal(luma)
        assert told == status
        assert words in detail

    def test_a_rate_limit_asks_to_wait_seven_seconds(self, luma: LumaAgentsEmulator) -> None:
        luma.fail_next(*luma.create, luma.refusing("rate limit"))
        assert post(luma).headers["Retry-After"] == "7"

    def test_an_unknown_status_is_in_no_documentation(self, luma: LumaAgentsEmulator) -> None:
        luma.fail_next(*luma.poll, luma.unknown_status())
        path = f"/generations/{post(luma).json()['id']}"
        assert [ask(luma, "GET", path).json()["state"] for _ in range(2)] == ["dreaming", "completed"]

    def test_expired_links_stay_so_until_new_ones_are_given(self, luma: LumaAgentsEmulator) -> None:
        done = finished(luma)
        luma.expire_links()
        assert requests.get(done["output"][0]["url"], timeout=5).status_code == 403
        assert film(ask(luma, "GET", f"/generations/{done['id']}").json())

    def test_a_key_sent_to_the_clip_is_a_leak(self, luma: LumaAgentsEmulator) -> None:
        address = finished(luma)["output"][0]["url"]
        requests.get(address, headers={"Authorization": f"Bearer {luma.key}"}, timeout=5)
        assert len(luma.leaks) == 1
