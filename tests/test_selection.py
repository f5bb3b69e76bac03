"""Who serves a request: the one named, or the cheapest with a key; refusals with every reason at once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from fakes import Paper, picture, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.budget import dollars, quote
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.offer import Offer
from luma_ray.nodes.generation.request import (
    AS_THE_SOURCE,
    GenerationReference,
    GenerationRequest,
    MiddleFrame,
    Operation,
    SourceVideo,
)
from luma_ray.nodes.generation.selection import refusals, select
from luma_ray.nodes.providers import PROVIDERS
from luma_ray.nodes.providers.animatic import Animatic
from luma_ray.nodes.providers.luma import Luma

IMAGE = picture()
CLIP = GenerationReference(id="ray-1", provider="luma", job_id="123e4567-e89b-12d3-a456-426614174000")
OFFER = Offer(
    model="ray-2",
    operation=Operation.TEXT_TO_VIDEO,
    endpoint="",
    durations=(5,),
    resolutions=("720p",),
    aspect_ratios=("16:9",),
    keyframes=frozenset({("none", "none")}),
    prices={("720p", 5): Decimal("0.50")},
)


def seller(name: str, usd: str | None, *, local: bool = False, offer: Offer = OFFER) -> Paper:
    """A provider with one offer at this price, whose key is called NAME_KEY."""
    prices = {} if usd is None else {("720p", 5): Decimal(usd)}
    made = type(name.title(), (Paper,), {"name": name, "title": name.title(), "local": local})()
    made.secrets = () if local else (f"{name.upper()}_KEY",)
    made.offers = (replace(offer, prices=prices),)
    return made


@pytest.fixture
def credentials(tmp_path) -> Credentials:
    return Credentials(tmp_path)


@pytest.fixture
def keys(monkeypatch):
    def give(*names: str) -> None:
        for name in names:
            monkeypatch.setenv(f"{name.upper()}_KEY", "a-key-of-some-length")

    return give


def ask(**others) -> GenerationRequest:
    return text(**{"model": "ray-2", **others})


# -- the provider named -------------------------------------------------------------------------------------


def test_the_provider_named_serves_although_another_is_cheaper(credentials, keys):
    keys("dear", "cheap")
    chosen = select([seller("cheap", "0.10"), seller("dear", "0.90")], ask(), "dear", credentials)
    assert (chosen.provider.name, chosen.reason) == ("dear", "")


def test_the_provider_named_never_falls_back_when_its_key_is_missing(credentials, keys):
    keys("cheap")
    providers = [seller("cheap", "0.10"), seller("dear", "0.90"), seller("preview", "0", local=True)]
    with pytest.raises(errors.MissingCredentials, match=r"Dear needs DEAR_KEY.*Nothing was sent or billed"):
        select(providers, ask(), "dear", credentials)


def test_the_provider_named_never_falls_back_when_it_cannot(credentials, keys):
    keys("one", "other")
    small = replace(OFFER, resolutions=("540p",))
    providers = [seller("one", "0.10", offer=small), seller("other", "0.10")]
    with pytest.raises(errors.UnsupportedRequest, match="One cannot do this text to video: no 720p"):
        select(providers, ask(), "one", credentials)


def test_a_refusal_names_who_would_do_it_even_without_a_key(credentials):
    small = replace(OFFER, resolutions=("540p",))
    providers = [
        seller("one", "0.10", offer=small),
        seller("other", "0.10"),
        seller("third", "0.10", offer=small),
        seller("preview", "0", local=True),
    ]
    with pytest.raises(errors.UnsupportedRequest, match=r"only\)\. other would do it\. Nothing was sent"):
        select(providers, ask(), "one", credentials)


def test_a_refusal_that_nobody_can_help_names_nobody(credentials):
    with pytest.raises(errors.UnsupportedRequest) as caught:
        select([seller("one", "1"), seller("other", "1")], ask(duration=9), "one", credentials)
    assert "would do it" not in str(caught.value)


def test_a_provider_that_does_not_exist_is_refused_with_those_that_do(credentials):
    with pytest.raises(
        errors.UnsupportedRequest, match=r"no provider called 'lumo'; there are luma, .*animatic"
    ):
        select(PROVIDERS, ask(), "lumo", credentials)


def test_every_reason_is_told_at_once(credentials, keys):
    keys("one")
    everything = ask(
        prompt="",
        duration=9,
        resolution="4k",
        aspect_ratio="9:21",
        loop=True,
        concepts=("push_in", "static"),
        first_frame=IMAGE,
    )
    with pytest.raises(errors.UnsupportedRequest) as caught:
        select([seller("one", "1")], everything, "one", credentials)
    assert str(caught.value) == (
        "One cannot do this text to video: no picture as first frame; no 9 s (5 s only); no 4k (720p only); "
        "no 9:21 (16:9 only); no loop; no camera concept 'push_in'; no camera concept 'static'; "
        "the prompt is empty, and it is required. Nothing was sent or billed."
    )


def test_the_reasons_of_the_offer_that_fits_best_are_told():
    far, near = replace(OFFER, resolutions=("4k",), durations=(9,)), replace(OFFER, resolutions=("540p",))
    both = seller("one", None)
    both.offers = (far, near)
    offer, reasons = refusals(both, ask())
    assert (offer, reasons) == (near, ["no 720p (540p only)"])


def test_an_operation_that_nobody_sells_is_one_reason():
    assert refusals(seller("one", "1"), ask(operation=Operation.EXTEND_VIDEO)) == (None, ["no extend video"])


def test_a_model_that_is_not_sold_is_one_reason():
    _, reasons = refusals(seller("one", "1"), ask(model="ray-3.2"))
    assert reasons == ["no ray-3.2 for text to video (ray-2 only)"]


# -- auto ---------------------------------------------------------------------------------------------------


def test_auto_takes_the_cheapest_with_a_key(credentials, keys):
    keys("dear", "cheap")
    providers = [seller("dear", "0.90"), seller("cheap", "0.10"), seller("cheapest", "0.01")]
    assert select(providers, ask(), "auto", credentials).provider.name == "cheap"


def test_auto_takes_the_first_of_equals(credentials, keys):
    keys("one", "other")
    providers = [seller("one", "0.10"), seller("other", "0.10")]
    assert select(providers, ask(), "auto", credentials).provider.name == "one"


def test_auto_prefers_a_known_price_to_an_unknown_one(credentials, keys):
    keys("secretive", "open")
    providers = [seller("secretive", None), seller("open", "999")]
    assert select(providers, ask(), "auto", credentials).provider.name == "open"


def test_auto_takes_an_unknown_price_where_there_is_no_other(credentials, keys):
    keys("secretive")
    chosen = select([seller("secretive", None), seller("open", "1")], ask(), "auto", credentials)
    assert chosen.provider.name == "secretive"


def test_auto_without_any_key_takes_the_preview_and_says_so(credentials):
    chosen = select([seller("one", "1"), seller("preview", "0", local=True)], ask(), "auto", credentials)
    assert chosen.provider.name == "preview"
    assert chosen.reason == "No key here: a free local preview, not Luma Ray."


def test_the_preview_named_says_what_it_is_and_blames_no_key_where_there_is_one(credentials, keys):
    providers = [seller("one", "1"), seller("preview", "0", local=True)]
    chosen = select(providers, ask(), "preview", credentials)
    assert chosen.reason == "No key here: a free local preview, not Luma Ray."
    keys("one")
    assert select(providers, ask(), "preview", credentials).reason == "A free local preview, not Luma Ray."


def test_auto_with_a_key_never_takes_the_preview(credentials, keys):
    keys("one")
    chosen = select([seller("preview", "0", local=True), seller("one", "1")], ask(), "auto", credentials)
    assert (chosen.provider.name, chosen.reason) == ("one", "")


def test_auto_refuses_with_the_reasons_of_everyone_who_has_a_key(credentials, keys):
    keys("one", "other")
    providers = [
        seller("one", "1", offer=replace(OFFER, resolutions=("540p",))),
        seller("other", "1", offer=replace(OFFER, durations=(9,), aspect_ratios=("1:1",))),
        seller("keyless", "1"),
        seller("preview", "0", local=True),
    ]
    with pytest.raises(errors.UnsupportedRequest) as caught:
        select(providers, ask(), "auto", credentials)
    assert "one: no 720p (540p only); other: no 5 s (9 s only), no 16:9 (1:1 only)." in str(caught.value)
    assert "With a key of its own, keyless would do it." in str(caught.value)
    assert "Nothing was sent or billed" in str(caught.value)
    assert str(caught.value).startswith("No provider with a key on this machine does this text to video. ")
    assert str(caught.value).endswith(" The free preview is there as provider 'preview'.")


def test_auto_names_the_preview_only_where_it_would_do_it(credentials, keys):
    keys("one")
    small = replace(OFFER, resolutions=("540p",))
    providers = [
        seller("one", "1", offer=small),
        seller("keyless", "1"),
        seller("preview", "0", local=True, offer=small),
    ]
    with pytest.raises(errors.UnsupportedRequest) as caught:
        select(providers, ask(), "auto", credentials)
    assert str(caught.value).endswith(" With a key of its own, keyless would do it.")
    assert "preview" not in str(caught.value)


def test_auto_does_not_blame_a_missing_key_for_what_nobody_does(credentials, keys):
    keys("one")
    providers = [seller("one", "1"), seller("keyless", "1"), seller("preview", "0", local=True)]
    with pytest.raises(errors.UnsupportedRequest) as caught:
        select(providers, ask(duration=9), "auto", credentials)
    assert str(caught.value) == (
        "No provider does this text to video. one: no 9 s (5 s only). Nothing was sent or billed."
    )


def test_auto_without_a_key_refuses_what_the_preview_cannot_do(credentials):
    with pytest.raises(
        errors.UnsupportedRequest, match=r"No key.*animatic: no 4k \(360p, 540p, 720p, 1080p only\)"
    ):
        select(PROVIDERS, ask(resolution="4k"), "auto", credentials)


def test_a_provider_with_two_keys_needs_both(credentials, monkeypatch):
    both = seller("one", "1")
    both.secrets = ("ONE_ID", "ONE_SECRET")
    monkeypatch.setenv("ONE_ID", "an-id-of-some-length")
    with pytest.raises(errors.MissingCredentials, match="needs ONE_SECRET:"):
        select([both], ask(), "one", credentials)


# -- what offers refuse -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "reasons"),
    [
        ("", ["the prompt is empty, and it is required unless a picture is given"]),
        (" \n\t", ["the prompt is empty, and it is required unless a picture is given"]),
        ("ab", ["the prompt has 2 characters, at least 3 are needed"]),
        (" a ", ["the prompt has 1 characters, at least 3 are needed"]),
        ("abc", []),
        ("🦊🦊🦊", []),
        ("x" * 5000, []),
        ("x" * 5001, ["the prompt has 5001 characters, at most 5000 are taken"]),
        ("x" * 4999 + "  ", ["the prompt has 5001 characters, at most 5000 are taken"]),
    ],
)
def test_lumas_rules_for_prompts(prompt, reasons):
    assert refusals(Luma(), ask(prompt=prompt))[1] == reasons


def test_a_picture_lifts_the_need_for_a_prompt():
    assert refusals(Luma(), ask(operation=Operation.IMAGE_TO_VIDEO, prompt=" ", first_frame=IMAGE))[1] == []


def test_a_picture_does_not_make_a_short_prompt_longer():
    short = ask(operation=Operation.IMAGE_TO_VIDEO, prompt="ab", first_frame=IMAGE)
    assert refusals(Luma(), short)[1] == ["the prompt has 2 characters, at least 3 are needed"]


def test_an_earlier_generation_does_not_lift_the_need_for_a_prompt():
    request = ask(operation=Operation.EXTEND_VIDEO, prompt="", first_frame=CLIP)
    assert refusals(Luma(), request)[1] == [
        "the prompt is empty, and it is required unless a picture is given"
    ]


@pytest.mark.parametrize(
    ("operation", "first", "last", "reasons"),
    [
        (Operation.TEXT_TO_VIDEO, None, None, []),
        (Operation.IMAGE_TO_VIDEO, IMAGE, None, []),
        (Operation.EXTEND_VIDEO, CLIP, None, []),
        (Operation.KEYFRAMES_TO_VIDEO, IMAGE, IMAGE, ["no loop"]),
        (Operation.KEYFRAMES_TO_VIDEO, None, IMAGE, ["no loop"]),
        (Operation.EXTEND_VIDEO, None, CLIP, ["no loop together with a last frame"]),
        (Operation.EXTEND_VIDEO, CLIP, IMAGE, ["no loop together with a last frame"]),
        (Operation.EXTEND_VIDEO, IMAGE, CLIP, ["no loop together with a last frame"]),
        (Operation.INTERPOLATE_VIDEO, CLIP, CLIP, ["no loop"]),
    ],
)
def test_luma_loops_only_where_there_is_no_last_frame(operation, first, last, reasons):
    request = ask(operation=operation, first_frame=first, last_frame=last, loop=True)
    assert refusals(Luma(), request)[1] == reasons


def test_a_loop_that_only_a_prompt_allows_is_refused_with_a_picture():
    offer = replace(
        OFFER, keyframes=OFFER.keyframes | {("image", "none")}, loops=frozenset({("none", "none")})
    )
    assert offer.refusals(ask(first_frame=IMAGE, loop=True)) == ["no loop together with a first frame"]
    assert offer.refusals(ask(loop=True)) == []


def test_a_loop_that_needs_a_picture_is_refused_without():
    offer = replace(
        OFFER, keyframes=OFFER.keyframes | {("image", "none")}, loops=frozenset({("image", "none")})
    )
    assert offer.refusals(ask(loop=True)) == ["no loop together with a prompt alone"]


@pytest.mark.parametrize(
    ("operation", "first", "last", "reason"),
    [
        (Operation.TEXT_TO_VIDEO, IMAGE, None, "no picture as first frame"),
        (Operation.IMAGE_TO_VIDEO, None, None, "a first or last frame is needed"),
        (Operation.IMAGE_TO_VIDEO, IMAGE, IMAGE, "no picture as first frame with picture as last frame"),
        (Operation.IMAGE_TO_VIDEO, CLIP, None, "no earlier generation as first frame"),
        (Operation.KEYFRAMES_TO_VIDEO, IMAGE, None, "no picture as first frame"),
        (Operation.EXTEND_VIDEO, IMAGE, None, "no picture as first frame"),
        (Operation.EXTEND_VIDEO, None, None, "a first or last frame is needed"),
    ],
)
def test_keyframes_of_another_operation_are_refused(operation, first, last, reason):
    assert refusals(Luma(), ask(operation=operation, first_frame=first, last_frame=last))[1] == [reason]


def test_a_concept_that_luma_does_not_know_is_refused_by_name():
    assert refusals(Luma(), ask(concepts=("push_in", "wobble")))[1] == ["no camera concept 'wobble'"]


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((299, 800), "the first frame is 299x800 pixels, each side must have at least 300"),
        ((800, 299), "the first frame is 800x299 pixels, each side must have at least 300"),
        ((800, 4097), "the first frame is 800x4097 pixels, each side may have at most 4096"),
        ((300, 4096), None),
    ],
)
def test_pictures_outside_a_providers_limits_are_refused(size, reason):
    offer = replace(OFFER, keyframes=frozenset({("image", "none")}), image_sides=(300, 4096))
    request = ask(first_frame=picture("ab" * 32, *size))
    assert offer.refusals(request) == ([] if reason is None else [reason])


def test_both_pictures_are_looked_at():
    offer = replace(OFFER, keyframes=frozenset({("image", "image")}), image_sides=(300, 4096))
    tiny = picture("ab" * 32, 8, 8)
    reasons = offer.refusals(ask(first_frame=tiny, last_frame=tiny))
    assert [reason.split(" is ")[0] for reason in reasons] == ["the first frame", "the last frame"]


def test_a_clip_of_another_provider_is_refused():
    request = ask(operation=Operation.EXTEND_VIDEO, first_frame=replace(CLIP, provider="wavespeed"))
    reasons = ["it cannot use a clip made at wavespeed (only the provider that made it knows it)"]
    assert refusals(Luma(), request)[1] == reasons


def test_the_preview_refuses_a_clip_made_at_luma():
    request = ask(operation=Operation.EXTEND_VIDEO, first_frame=CLIP)
    assert refusals(Animatic(), request)[1] == [
        "it cannot use a clip made at luma (only the provider that made it knows it)"
    ]


# -- pictures in between that cannot stand where they are ----------------------------------------------------


def between(*seconds: float, **others) -> GenerationRequest:
    """A clip of 5 s with keyframes at these seconds."""
    middle = tuple(MiddleFrame(round(second * 24), IMAGE) for second in seconds)
    return ask(operation=Operation.KEYFRAMES_TO_VIDEO, model="ray-3.2", **{"middle_frames": middle, **others})


@pytest.mark.parametrize("name", ["auto", "luma_agents", "luma", "animatic"])
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (between(6), "The keyframe at 6.00 s is after the end of the clip (5 s): move it."),
        (between(10, duration=9), "The keyframe at 10.00 s is after the end of the clip (9 s): move it."),
        (between(-1), "The keyframe at -1.00 s is before the beginning of the clip: move it."),
        (between(0, first_frame=IMAGE), "There is a first_frame already: move the keyframe at 0.00 s."),
        (between(5, last_frame=IMAGE), "There is a last_frame already: move the keyframe at 5.00 s."),
        (between(1.5, 1.5, 1.5), "There is more than one keyframe at 1.50 s: move one of them."),
        (between(2, 1), "The keyframes are not in order of time."),
        (
            between(0, 5.5, first_frame=IMAGE),
            (
                "There is a first_frame already: move the keyframe at 0.00 s; "
                "the keyframe at 5.50 s is after the end of the clip (5 s): move it."
            ),
        ),
    ],
)
def test_what_no_provider_could_make_is_a_fault_of_the_request(
    credentials, monkeypatch, name, request_, words
):
    """Whoever is asked, with a key or without: first it is said what to change, in the artist's seconds."""
    for with_key in (False, True):
        if with_key:
            monkeypatch.setenv("LUMA_AGENTS_API_KEY", "luma-api-of-some-length")
        with pytest.raises(errors.InvalidInput) as caught:
            select(PROVIDERS, request_, name, credentials)
        assert str(caught.value) == f"{words} Nothing was sent or billed."


@pytest.mark.parametrize(
    "request_",
    [between(0, 5), between(1 / 24, 119 / 24, first_frame=IMAGE, last_frame=IMAGE), between(10, duration=10)],
)
def test_keyframes_may_stand_on_the_ends_that_no_other_picture_has(credentials, request_):
    assert select(PROVIDERS, request_, "animatic", credentials).provider.name == "animatic"


def test_a_keyframe_of_the_wrong_size_is_named_by_its_second():
    offer = replace(OFFER, keyframes=frozenset({("none", "none")}), middle_frames=1, image_sides=(300, 4096))
    tiny = MiddleFrame(84, picture("ab" * 32, 8, 8))
    assert offer.refusals(ask(middle_frames=(tiny,))) == [
        "the keyframe at 3.50 s is 8x8 pixels, each side must have at least 300"
    ]


# -- prices -------------------------------------------------------------------------------------------------


def test_a_price_that_is_not_published_is_unknown_not_free():
    unknown = quote(seller("one", None), replace(OFFER, prices={}), ask())
    assert (unknown.usd, unknown.words) == (None, "price unknown")


def test_the_preview_is_free():
    assert quote(seller("preview", None, local=True), OFFER, ask()).words == "free"


@pytest.mark.parametrize(
    ("usd", "words"), [(None, "price unknown"), (0, "free"), ("0.2", "$0.20"), ("1.72", "$1.72")]
)
def test_money_is_told_in_dollars(usd, words):
    assert dollars(None if usd is None else Decimal(usd)) == words


def test_where_the_model_is_not_sold_here_the_error_names_those_that_are(tmp_path, monkeypatch):
    """A film, with a key of a provider that does not sell the model that is chosen at first."""
    film = SourceVideo(1280, 720, 121 / 24, 3_000_000, "12" * 32, Path("/films/a.mp4"))
    request = GenerationRequest(
        operation=Operation.MODIFY_VIDEO,
        model="ray-flash-2",
        prompt="a fox in the snow",
        aspect_ratio=AS_THE_SOURCE,
        resolution=AS_THE_SOURCE,
        duration=5,
        mode="flex_1",
        source=film,
    )
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_0123456789")
    for name in ("auto", "replicate"):
        with pytest.raises(errors.UnsupportedRequest) as told:
            select(PROVIDERS, request, name, Credentials(tmp_path))
        assert "It would be made with model ray-2 (replicate, " in str(told.value)
        assert "Nothing was sent or billed." in str(told.value)
    monkeypatch.delenv("REPLICATE_API_TOKEN")
    monkeypatch.setenv("LUMA_AGENTS_API_KEY", "luma-api-0123456789")
    words = r"with model ray-3\.2 and resolution 720p \(luma_agents, \$1\.08\)"
    with pytest.raises(errors.UnsupportedRequest, match=words):
        select(PROVIDERS, request, "auto", Credentials(tmp_path))
