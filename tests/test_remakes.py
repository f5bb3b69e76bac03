"""Films that are made over, reframed, upscaled or get sound: what each provider is sent, its own SDK beside ours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import luma_agents
import lumaai
import pydantic
import pytest
import replicate as official
import requests
from contracts import film
from emulators.fal import FalEmulator
from emulators.luma import LumaEmulator
from emulators.luma_agents import LumaAgentsEmulator
from emulators.replicate import ReplicateEmulator
from emulators.server import Fault
from emulators.wavespeed import WaveSpeedEmulator
from fakes import text
from luma_agents.types import generation_create_params
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.canvas import placed
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Unanswered
from luma_ray.nodes.generation.ray import ASPECT_RATIOS, MODES
from luma_ray.nodes.generation.request import AS_THE_SOURCE, GenerationReference, Operation, SourceVideo
from luma_ray.nodes.hosting.fal import Fal as FalStorage
from luma_ray.nodes.hosting.wavespeed import WaveSpeedStorage
from luma_ray.nodes.providers.comfy_router import ComfyRouter
from luma_ray.nodes.providers.fal import Fal
from luma_ray.nodes.providers.luma import Luma
from luma_ray.nodes.providers.luma_agents import LumaAgents
from luma_ray.nodes.providers.replicate import Replicate
from luma_ray.nodes.providers.wavespeed import WaveSpeed
from lumaai.types.generations import VideoModifyParams, VideoReframeParams
from purchase import KEY, URLS, A, Life, calls, client_for, led_to
from wavespeed import Client as WaveSpeedSdk

FILM = SourceVideo(1280, 720, 121 / 24, 3_000_000, "12" * 32, Path("/films/a.mp4"))
GIVEN = {**URLS, FILM.sha256: "https://films.test/a.mp4"}
OWN = GenerationReference(
    "ray-1", "luma", "00000000-0000-4000-8000-000000000001", width=960, height=540, seconds=5.0
)
PLACE = placed((1280, 720), "1:1", scale=0.5, across=0, down=0)
NUMBERS = {
    "grid_position_x": 0,
    "grid_position_y": 0,
    "x_start": 0,
    "x_end": 768,
    "y_start": 0,
    "y_end": 432,
}

ask = partial(text, model="ray-2", resolution=AS_THE_SOURCE, aspect_ratio=AS_THE_SOURCE, source=FILM)
modify = partial(ask, operation=Operation.MODIFY_VIDEO, mode="flex_1")
reframe = partial(ask, operation=Operation.REFRAME_VIDEO, aspect_ratio="1:1")


def of(offer_operation: Operation, provider: Any) -> list[Any]:
    return [offer for offer in provider.offers if offer.operation is offer_operation]


# -- Luma -----------------------------------------------------------------------------------------------------


def test_luma_is_sent_the_documented_body_of_each():
    luma = Luma()
    prompt = "a fox in the snow"
    assert luma.encode(modify(first_frame=A), GIVEN) == {
        "generation_type": "modify_video",
        "model": "ray-2",
        "mode": "flex_1",
        "media": {"url": "https://films.test/a.mp4"},
        "first_frame": {"url": URLS[A.sha256]},
        "prompt": prompt,
    }
    assert luma.encode(reframe(placement=PLACE), GIVEN) == {
        "generation_type": "reframe_video",
        "model": "ray-2",
        "aspect_ratio": "1:1",
        "media": {"url": "https://films.test/a.mp4"},
        "prompt": prompt,
        **NUMBERS,
        "resized_width": 768,
        "resized_height": 432,
    }
    upscale = ask(operation=Operation.UPSCALE_VIDEO, resolution="1080p", prompt="", source=OWN)
    assert luma.encode(upscale, {}) == {
        "generation_type": "upscale_video",
        "resolution": "1080p",
        "id": OWN.job_id,
    }
    audio = ask(operation=Operation.ADD_AUDIO, source=OWN, negative_prompt="voices")
    assert luma.encode(audio, {}) == {
        "generation_type": "add_audio",
        "prompt": prompt,
        "negative_prompt": "voices",
        "id": OWN.job_id,
    }


def test_a_prompt_that_is_empty_is_left_out_at_luma():
    assert "prompt" not in Luma().encode(modify(prompt=" "), GIVEN)


def test_every_mode_and_ratio_passes_lumas_types_and_lumas_sdk(monkeypatch):
    luma = Luma()
    with (
        LumaEmulator(credit_usd=1e4) as emulator,
        lumaai.LumaAI(auth_token=emulator.key, base_url=emulator.base_url, max_retries=0) as theirs,
    ):
        for model in ("ray-2", "ray-flash-2"):
            for mode in MODES:
                body = luma.encode(modify(model=model, mode=mode, first_frame=A), GIVEN)
                assert pydantic.TypeAdapter(VideoModifyParams).validate_python(body) == body
                assert theirs.generations.video.modify(**body).id
            for ratio in ASPECT_RATIOS:
                body = luma.encode(reframe(model=model, aspect_ratio=ratio, prompt=""), GIVEN)
                assert pydantic.TypeAdapter(VideoReframeParams).validate_python(body) == body
                assert theirs.generations.video.reframe(**body).id
        body = luma.encode(reframe(placement=PLACE), GIVEN)
        assert pydantic.TypeAdapter(VideoReframeParams).validate_python(body) == body
        assert theirs.generations.video.reframe(**body).id
        assert len(emulator.creates) == 2 * (len(MODES) + len(ASPECT_RATIOS)) + 1


def test_the_types_of_lumas_sdk_refuse_what_is_not_in_them():
    body = {**Luma().encode(modify(), GIVEN), "mode": "wild"}
    with pytest.raises(pydantic.ValidationError):
        pydantic.TypeAdapter(VideoModifyParams).validate_python(body)


def test_upscale_and_audio_go_to_the_address_of_the_clip_as_lumas_sdk_sends_them(monkeypatch):
    luma = Luma()
    _, submitted, _, outcome = calls(luma)
    with led_to(LumaEmulator(), monkeypatch) as emulator:
        job = submitted(emulator, text(model="ray-2", resolution="540p"))
        assert isinstance(outcome(emulator, job), Completed)
        own = replace(OWN, job_id=job.id)
        submitted(emulator, ask(operation=Operation.UPSCALE_VIDEO, resolution="1080p", prompt="", source=own))
        submitted(emulator, ask(operation=Operation.ADD_AUDIO, source=own))
        with lumaai.LumaAI(auth_token=emulator.key, base_url=emulator.base_url, max_retries=0) as theirs:
            theirs.generations.upscale(job.id, generation_type="upscale_video", resolution="1080p")
            theirs.generations.audio(job.id, generation_type="add_audio", prompt="a fox in the snow")
        sent = [(item.path, item.json) for item in emulator.requests if job.id in item.path and item.json]
        assert sent[:2] == sent[2:]
        assert "id" not in sent[0][1]


def test_a_film_that_was_modified_is_known_again_in_lumas_list_by_all_that_it_was_asked_for(monkeypatch):
    luma = Luma()
    _, submitted, _, _ = calls(luma)
    pictures = {**GIVEN, FILM.sha256: f"https://films.test/{FILM.sha256}.mp4"}
    with led_to(LumaEmulator(), monkeypatch) as emulator:
        asked = modify(first_frame=A)
        job = submitted(emulator, asked, pictures=pictures)
        client = client_for(luma, emulator)

        def found(request: Any) -> Any:
            since = emulator.creates[0].created_at
            return luma.reconcile(
                client, Unanswered(key=KEY, asked=request.describe(), since=since, known=[])
            )

        assert found(asked) == job
        for other in (
            modify(first_frame=A, mode="flex_2"),
            modify(first_frame=A, model="ray-flash-2"),
            modify(first_frame=A, prompt="a dog"),
            modify(),
            modify(first_frame=A, source=replace(FILM, sha256="34" * 32)),
            reframe(first_frame=A),
        ):
            assert found(other) is None


def test_a_reframe_in_another_place_is_another_one_in_lumas_list(monkeypatch):
    luma = Luma()
    _, submitted, _, _ = calls(luma)
    with led_to(LumaEmulator(), monkeypatch) as emulator:
        job = submitted(emulator, reframe(placement=PLACE), pictures=GIVEN)
        client = client_for(luma, emulator)
        since = emulator.creates[0].created_at
        elsewhere = placed((1280, 720), "1:1", scale=0.5, across=1, down=1)
        for request, expected in (
            (reframe(placement=PLACE), job),
            (reframe(placement=elsewhere), None),
            (reframe(), None),
            (reframe(placement=PLACE, aspect_ratio="16:9"), None),
        ):
            create = Unanswered(key=KEY, asked=request.describe(), since=since, known=[])
            assert luma.reconcile(client, create) == expected


# -- fal ------------------------------------------------------------------------------------------------------


def test_fal_is_sent_its_own_names_and_six_numbers():
    fal = Fal()
    assert fal.encode(modify(first_frame=A), GIVEN) == {
        "video_url": "https://films.test/a.mp4",
        "mode": "flex_1",
        "prompt": "a fox in the snow",
        "image_url": URLS[A.sha256],
    }
    assert fal.encode(reframe(prompt="", placement=PLACE), GIVEN) == {
        "video_url": "https://films.test/a.mp4",
        "aspect_ratio": "1:1",
        **NUMBERS,
    }


def test_the_endpoints_of_fal_are_those_of_the_model():
    endpoints = {(offer.model, offer.operation): offer.endpoint for offer in Fal.offers if offer.remaking}
    app = "fal-ai/luma-dream-machine"
    assert endpoints["ray-flash-2", Operation.REFRAME_VIDEO] == f"{app}/ray-2-flash/reframe"
    assert endpoints["ray-2", Operation.MODIFY_VIDEO] == f"{app}/ray-2/modify"


def test_what_fal_publishes_no_price_for_has_none():
    prices = {
        (offer.model, offer.operation): offer.price(reframe()) for offer in Fal.offers if offer.remaking
    }
    assert prices["ray-2", Operation.REFRAME_VIDEO] is None
    assert str(prices["ray-flash-2", Operation.REFRAME_VIDEO]) == "0.3026"


def test_fal_is_asked_for_an_edit_by_ray_3_2_in_its_own_words_and_at_its_own_queue(monkeypatch):
    fal = Fal()
    edit = modify(model="ray-3.2", resolution="720p", first_frame=A, mode="adhere_2")
    assert fal.encode(edit, GIVEN) == {
        "prompt": "a fox in the snow",
        "video_url": "https://films.test/a.mp4",
        "start_image_url": URLS[A.sha256],
        "resolution": "720p",
        "duration": "5s",
        "edit_strength": "adhere_2",
    }
    longer = replace(edit, source=replace(FILM, seconds=7.0))
    assert fal.encode(longer, GIVEN)["duration"] == "10s"
    (offer,) = (offer for offer in Fal.offers if offer.model == "ray-3.2")
    assert [str(offer.price(each)) for each in (edit, longer)] == ["1.08", "2.16"]
    assert offer.refusals(edit) == []
    assert "at most 10 s are taken" in offer.refusals(replace(edit, source=replace(FILM, seconds=12.0)))[0]
    with led_to(FalEmulator(), monkeypatch) as emulator:
        _, submitted, _, look = calls(fal)
        job = submitted(emulator, edit, pictures=GIVEN)
        assert emulator.requests[-1].path == "/queue/luma/agent/ray/v3.2/video-to-video"
        look(emulator, replace(job, details={"app": "luma/agent"}))
        assert f"/queue/luma/agent/requests/{job.id}/status" in [each.path for each in emulator.requests]


def test_an_edit_by_ray_3_2_at_fal_is_found_by_its_id_alone(monkeypatch):
    edit = modify(model="ray-3.2", resolution="720p", first_frame=A, mode="adhere_2")
    _, submitted, look, outcome = calls(Fal())
    with led_to(FalEmulator(), monkeypatch) as emulator:
        bare = Job(id=submitted(emulator, edit, pictures=GIVEN).id)
        ended = outcome(
            emulator, bare
        )  # with what the emulator cannot fetch: the answer of the app that knows it
        assert isinstance(ended, Failed)
        assert "could not read" in ended.reason
        assert emulator.requests[-1].path == f"/queue/luma/agent/requests/{bare.id}"
        another = Job(id=submitted(emulator, edit, pictures=GIVEN).id)
        assert Fal().cancel(client_for(Fal(), emulator), another) == "asked"
        assert emulator.requests[-1].path == f"/queue/luma/agent/requests/{another.id}/cancel"
        with pytest.raises(errors.Rejected):
            look(emulator, Job(id="nobody-knows-it"))


def test_an_edit_at_fal_whose_answer_was_lost_comes_home_by_the_id_that_a_person_saw(tmp_path, monkeypatch):
    edit = modify(model="ray-3.2", resolution="720p", mode="adhere_2", source=film())
    with led_to(FalEmulator(), monkeypatch) as emulator:
        life = Life(tmp_path, Fal(), FalStorage())
        emulator.fail_next(*emulator.create, Fault.lost_answer())
        with pytest.raises(errors.SubmissionUncertain):
            life.buy(edit)
        life.found(life.row().id, emulator.creates[0].id, clock=life.clock)
        assert life.buy(edit).path.is_file()
        assert len(emulator.creates) == 1


def test_comfy_router_is_asked_for_films_by_ray_3_2_as_luma_is_without_the_model():
    router = ComfyRouter()
    asked = router.encode(modify(model="ray-3.2", resolution="540p", first_frame=A), GIVEN)
    source = {"url": "https://films.test/a.mp4", "media_type": "video/mp4"}
    assert asked == {
        "type": "video_edit",
        "prompt": "a fox in the snow",
        "source": source,
        "video": {
            "resolution": "540p",
            "duration": "5s",
            "edit": {"strength": "flex_1"},
            "start_frame": {"url": URLS[A.sha256]},
        },
    }
    placed_ = router.encode(reframe(model="ray-3.2", resolution="720p", placement=PLACE), GIVEN)
    assert placed_["type"] == "video_reframe"
    assert placed_["video"]["source_position"] == {"x_norm": 0, "y_norm": 0, "w_norm": 0.5, "h_norm": 0.28125}
    prices = {
        offer.operation: str(offer.price(modify(model="ray-3.2", resolution="720p")))
        for offer in ComfyRouter.offers
        if offer.remaking
    }
    # 45.58 and 25.32 credits a second, of which 211 are a dollar.
    assert prices == {Operation.MODIFY_VIDEO: "1.0892", Operation.REFRAME_VIDEO: "0.6051"}
    longer = replace(FILM, seconds=7.0)  # asked for as 10 s, and counted so
    (edit,) = (offer for offer in ComfyRouter.offers if offer.operation is Operation.MODIFY_VIDEO)
    assert str(edit.price(modify(model="ray-3.2", resolution="720p", source=longer))) == "2.1602"
    sizes = {offer.operation: offer.resolutions for offer in ComfyRouter.offers if offer.remaking}
    assert "1080p" not in sizes[Operation.REFRAME_VIDEO]


# -- Replicate ------------------------------------------------------------------------------------------------


def test_every_mode_and_ratio_passes_replicates_own_sdk():
    replicate = Replicate()
    with ReplicateEmulator(credit_usd=1e4) as emulator, httpx.HTTPTransport() as transport:
        sdk = official.Client(api_token=emulator.key, base_url=emulator.origin, transport=transport)
        for request in (
            *(modify(mode=mode, first_frame=A) for mode in MODES),
            *(reframe(aspect_ratio=ratio) for ratio in ASPECT_RATIOS),
            reframe(placement=PLACE, prompt=""),
        ):
            body = replicate.encode(request, GIVEN)
            made = sdk.models.predictions.create(f"luma/{body['name']}", body["input"])
            assert made.model == f"luma/{body['name']}"


def test_a_film_is_put_into_replicates_files_whole_and_under_its_hash(monkeypatch):
    with led_to(ReplicateEmulator(), monkeypatch) as emulator:
        address = Replicate().upload_video(client_for(Replicate(), emulator), film())
        (file,) = emulator.files.values()
        assert file.content == film().path.read_bytes()
        assert file.content_type == "video/mp4"
        assert file.metadata == {"picture": film().sha256}
        assert address.endswith(file.id)


def test_a_film_is_known_again_among_replicates_jobs(tmp_path, monkeypatch):
    with led_to(ReplicateEmulator(), monkeypatch) as emulator:
        life = Life(tmp_path, Replicate())
        emulator.fail_next(*emulator.create, Fault.lost_answer())
        clip = life.buy(reframe(source=film(), placement=placed((320, 180), "1:1", scale=0.5)))
        assert clip.path.exists()
        assert len(emulator.creates) == 1


# -- WaveSpeedAI ----------------------------------------------------------------------------------------------


def test_wavespeed_takes_every_mode(monkeypatch):
    wavespeed = WaveSpeed()
    _, submitted, _, _ = calls(wavespeed)
    with led_to(WaveSpeedEmulator(credit_usd=1e4), monkeypatch) as emulator:
        for mode in MODES:
            submitted(emulator, modify(mode=mode, first_frame=A), pictures=GIVEN)
        theirs = WaveSpeedSdk(emulator.key, base_url=emulator.origin)
        theirs._submit("luma/modify-video", wavespeed.encode(modify(mode="adhere_1", first_frame=A), GIVEN))
        assert (
            emulator.creates[0].body
            == emulator.creates[-1].body
            == {
                "video": "https://films.test/a.mp4",
                "mode": "adhere_1",
                "prompt": "a fox in the snow",
                "first_frame": URLS[A.sha256],
            }
        )


def test_a_setting_that_wavespeed_refuses_is_not_sent_twice(monkeypatch):
    _, submitted, _, _ = calls(WaveSpeed())
    with led_to(WaveSpeedEmulator(), monkeypatch) as emulator:
        refusal = Fault.status(400, {"code": 1401, "message": "The parameter value is invalid: video"})
        emulator.fail_next(*emulator.create, refusal)
        with pytest.raises(errors.Rejected):
            submitted(emulator, modify(), pictures=GIVEN)
        assert len(emulator.requests) == 1


# -- Luma's current API ---------------------------------------------------------------------------------------

edit = partial(modify, model="ray-3.2", resolution="720p")
reframe_32 = partial(reframe, model="ray-3.2", resolution="720p")
FILE = {FILM.sha256: "00000000-0000-4000-8000-0000000000ff"}


def test_the_current_api_is_sent_a_file_and_how_far_to_go():
    agents = LumaAgents()
    assert agents.encode(edit(), FILE) == {
        "model": "ray-3.2",
        "type": "video_edit",
        "prompt": "a fox in the snow",
        "source": {"file_id": FILE[FILM.sha256]},
        "video": {"resolution": "720p", "duration": "5s", "edit": {"strength": "flex_1"}},
    }
    long = replace(FILM, seconds=12.0)
    assert agents.encode(edit(source=long), FILE)["video"]["duration"] == "10s"
    placed_body = agents.encode(reframe_32(placement=PLACE), FILE)
    assert placed_body["type"] == "video_reframe"
    assert placed_body["aspect_ratio"] == "1:1"
    assert placed_body["video"]["source_position"] == {
        "x_norm": 0.0,
        "y_norm": 0.0,
        "w_norm": 0.5,
        "h_norm": 0.28125,
    }


def test_a_clip_of_its_own_is_named_by_its_id():
    own = replace(OWN, provider="luma_agents")
    assert LumaAgents().encode(edit(source=own), {})["source"] == {"generation_id": own.job_id}


def test_every_mode_passes_the_types_and_the_sdk_of_the_current_api(monkeypatch):
    agents = LumaAgents()
    expected = pydantic.TypeAdapter(generation_create_params.GenerationCreateParams)
    with led_to(LumaAgentsEmulator(credit_usd=1e4), monkeypatch) as emulator:
        file = agents.upload_video(client_for(agents, emulator), film())
        given = {FILM.sha256: file, A.sha256: "data:image/png;base64,AAAA"}
        with luma_agents.Luma(max_retries=0) as theirs:
            for request in (
                *(edit(mode=mode) for mode in MODES),
                *(reframe_32(aspect_ratio=ratio) for ratio in ASPECT_RATIOS if ratio != "9:21"),
                reframe_32(placement=PLACE),
            ):
                body = agents.encode(request, given)
                assert expected.validate_python(body) == body
                assert theirs.generations.create(**body).id


def test_a_film_goes_through_the_files_of_the_current_api(monkeypatch):
    agents = LumaAgents()
    with led_to(LumaAgentsEmulator(), monkeypatch) as emulator:
        name = agents.upload_video(client_for(agents, emulator), film())
        file = emulator.files[name]
        assert file.content == film().path.read_bytes()
        assert file.about["mime_type"] == "video/mp4"
        assert file.about["expires_at"]
        assert not emulator.leaks


def test_a_file_that_the_current_api_does_not_take_ends_before_anything_is_bought(tmp_path, monkeypatch):
    agents = LumaAgents()
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no film")
    broken = replace(film(), path=path, size=7)
    with led_to(LumaAgentsEmulator(), monkeypatch) as emulator:
        with pytest.raises(errors.UploadFailed, match=r"could not be decoded\)\. No clip was bought"):
            agents.upload_video(client_for(agents, emulator), broken)
        assert emulator.creates == []


def test_a_film_for_the_current_api_is_uploaded_once_for_two_modes(tmp_path, monkeypatch):
    with led_to(LumaAgentsEmulator(), monkeypatch) as emulator:
        life = Life(tmp_path, LumaAgents())
        for mode in ("flex_1", "flex_2"):
            life.buy(edit(source=film(), mode=mode))
        assert len(emulator.files) == 1
        assert len(emulator.creates) == 2


# -- films in storages ----------------------------------------------------------------------------------------


def test_a_film_in_fals_storage_is_the_file_and_public(tmp_path, monkeypatch):
    from fakes import FakeClock
    from luma_ray.nodes.generation.credentials import Credentials

    with led_to(FalEmulator(), monkeypatch) as emulator:
        url = FalStorage().publish(film(), Credentials(tmp_path), FakeClock())
        assert emulator.fetched(url) == film().path.read_bytes()
        (upload,) = emulator.uploads.values()
        assert upload.content_type == "video/mp4"
        assert url.endswith(".mp4")


def test_a_film_in_wavespeeds_storage_is_the_file(tmp_path, monkeypatch):
    from fakes import FakeClock
    from luma_ray.nodes.generation.credentials import Credentials

    with led_to(WaveSpeedEmulator(), monkeypatch) as emulator:
        url = WaveSpeedStorage().publish(film(), Credentials(tmp_path), FakeClock())
        assert emulator.fetched(url) == film().path.read_bytes()


def test_a_film_that_is_gone_when_it_is_sent_is_said_to_be(tmp_path, monkeypatch):
    from fakes import FakeClock
    from luma_ray.nodes.generation.credentials import Credentials

    gone = replace(film(), path=tmp_path / "gone.mp4")
    with led_to(FalEmulator(), monkeypatch), pytest.raises(errors.UploadFailed, match="could not be read"):
        FalStorage().publish(gone, Credentials(tmp_path), FakeClock())
    with (
        led_to(ReplicateEmulator(), monkeypatch) as emulator,
        pytest.raises(errors.UploadFailed, match="could not be read"),
    ):
        Replicate().upload_video(client_for(Replicate(), emulator), gone)


# -- the emulators are strict ----------------------------------------------------------------------------------

WRONG = {
    # emulator: path, body, and what is wrong with it
    "replicate without a film": (ReplicateEmulator, "modify-video", {"mode": "flex_1"}, "video"),
    "replicate with another mode": (
        *(ReplicateEmulator, "modify-video"),
        {"video": "https://x.test/a.mp4", "mode": "wild"},
        "mode",
    ),
    "replicate with a size": (
        *(ReplicateEmulator, "reframe-video"),
        {"video": "https://x.test/a.mp4", "resized_width": 5},
        "resized_width",
    ),
    "replicate with half a pixel": (
        *(ReplicateEmulator, "reframe-video"),
        {"video": "https://x.test/a.mp4", "x_start": 0.5},
        "x_start",
    ),
    "wavespeed without a film": (WaveSpeedEmulator, "", {"mode": "flex_1"}, "video"),
    "wavespeed with another mode": (
        *(WaveSpeedEmulator, ""),
        {"video": "https://x.test/a.mp4", "mode": "wild"},
        "mode",
    ),
    "wavespeed with a size": (
        *(WaveSpeedEmulator, ""),
        {"video": "https://x.test/a.mp4", "size": "1280*720"},
        "size",
    ),
}


@pytest.mark.parametrize(("emulator", "name", "body", "words"), WRONG.values(), ids=WRONG)
def test_what_no_page_has_is_refused_and_not_charged(emulator, name, body, words):
    with emulator() as running:
        path = f"models/luma/{name}/predictions" if name else "luma/modify-video"
        answer = requests.post(
            f"{running.base_url}/{path}",
            json={"input": body} if name else body,
            headers={"Authorization": f"Bearer {running.key}"},
            timeout=5,
        )
        assert answer.status_code in (400, 422)
        assert words in answer.text
        assert running.creates == []
