"""Keys in the page: a card for each provider, what it still wants, and a test that spends nothing."""

from __future__ import annotations

import importlib
from base64 import b64encode
from decimal import Decimal

import pytest
from comfy_page import opened
from contracts import PAID, emulator_of
from emulators.fal import FalEmulator
from emulators.server import Fault
from luma_ray.nodes.generation.answers import amount
from luma_ray.nodes.generation.offer import Provider

KEY = "a-key-of-another-account-0123456789"
TRIED = {
    # what is asked to try a key: method and pattern, of the emulator
    "luma": ("GET", "/credits"),
    "luma_agents": ("GET", "/files"),
    "bedrock": ("GET", "/async-invoke"),
    "comfy_router": ("GET", "/v2/models"),
    "fal": FalEmulator.poll,
    "llm_stats": ("GET", "/generations/{id}"),
    "railwail": ("GET", "/jobs/{id}"),
    "replicate": ("GET", "/account"),
    "wavespeed": ("GET", "/balance"),
}
BY_KEY = [provider for provider in PAID if provider.secrets]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUMA_RAY_COLLECT", "off")
        with opened(tmp_path_factory.mktemp("keys")) as page:
            yield page


@pytest.fixture(autouse=True)
def _no_key_is_saved(page):
    yield
    page.studio.credentials.path.unlink(missing_ok=True)


@pytest.fixture
def shop(monkeypatch):
    """The emulator of a provider, and this process set up to use it."""
    running = []

    def start(provider, **options):
        emulator = emulator_of(provider, **options)
        emulator.start()
        running.append(emulator)
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        return emulator

    yield start
    for emulator in running:
        emulator.close()
        assert emulator.errors == []


def named(name):
    return next(provider for provider in PAID if provider.name == name)


def tried(page, name):
    answer = page.post("test_key", {"provider": name})
    assert answer.status_code == 200, answer.text
    return answer.json()


def cards(page):
    return {card["name"]: card for card in page.get("keys").json()}


def fails(emulator, name, fault):
    method, path = TRIED[name]
    emulator.fail_next(method, path, fault, times=None)


# -- the test of a key ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PAID, ids=lambda provider: provider.name)
def test_a_good_key_is_told_so_and_nothing_is_bought_or_changed(page, shop, provider):
    emulator = shop(provider)
    told = tried(page, provider.name)
    assert (told["works"], told["words"][:14]) == (True, "The key works.")
    assert emulator.requests, "the provider was not asked"
    assert {request.method for request in emulator.requests} <= {"GET", "HEAD"}
    assert (emulator.creates, emulator.ledger) == ([], [])


@pytest.mark.parametrize("provider", BY_KEY, ids=lambda provider: provider.name)
def test_a_wrong_key_is_told_so_in_words_without_it(page, shop, provider, monkeypatch):
    emulator = shop(provider)
    monkeypatch.setenv(provider.secrets[0], KEY)
    told = tried(page, provider.name)
    assert told["works"] is False
    assert "does not accept the key (401)" in told["words"]
    assert KEY not in told["words"]
    assert emulator.creates == []


def test_wrong_credentials_of_aws_are_told_so(page, shop, monkeypatch):
    shop(named("bedrock"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    told = tried(page, "bedrock")
    assert told["works"] is False
    assert "AWS" in told["words"]
    assert KEY not in told["words"]


@pytest.mark.parametrize("provider", BY_KEY, ids=lambda provider: provider.name)
def test_a_provider_that_cannot_be_reached_is_told_without_its_address(page, shop, provider, monkeypatch):
    shop(provider)
    monkeypatch.setenv(provider.base_url_variable, "http://127.0.0.1:9/secret-path/v1")
    told = tried(page, provider.name)
    assert told["works"] is False
    assert "did not answer (the connection was refused)" in told["words"]
    assert "127.0.0.1" not in told["words"]
    assert "secret-path" not in told["words"]


@pytest.mark.parametrize(
    ("name", "usd", "words"),
    [("luma", 12.34, "Balance: $12.34."), ("wavespeed", 0.0, "Balance: $0.00. Nothing can be bought")],
)
def test_the_balance_is_told_where_the_provider_tells_it(page, shop, name, usd, words):
    shop(named(name), credit_usd=usd)
    told = tried(page, name)
    assert words in told["words"]
    assert Decimal(told["balance"]) == Decimal(str(usd))


def test_a_balance_that_is_no_number_is_an_answer_outside_the_contract(page, shop):
    fails(shop(named("luma")), "luma", Fault.fields(credit_balance="lots"))
    told = tried(page, "luma")
    assert (told["works"], told["balance"]) == (False, None)
    assert "outside its documented contract" in told["words"]


@pytest.mark.parametrize("value", [True, None, "5", float("nan"), float("inf")])
def test_what_is_no_number_is_no_amount(value):
    with pytest.raises(ValueError, match="number expected"):
        amount(value)


@pytest.mark.parametrize("name", TRIED)
def test_an_account_without_credit_is_told_so(page, shop, name):
    if name == "bedrock":
        pytest.skip("AWS bills afterwards")
    fails(shop(named(name)), name, Fault.status(402, {"detail": "No money left"}))
    told = tried(page, name)
    assert told["works"] is False
    assert "has not enough credits" in told["words"]


def test_what_a_provider_repeats_of_a_key_and_of_addresses_does_not_come_out(page, shop, monkeypatch):
    emulator = shop(named("luma"))
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)
    said = f"The key {KEY} is locked, see https://user:{KEY}@console.lumalabs.ai/account/{KEY[:20]}?key={KEY}"
    fails(emulator, "luma", Fault.status(401, {"detail": said}))
    told = tried(page, "luma")
    assert "see console.lumalabs.ai" in told["words"]
    for part in (KEY, KEY[:20], "https://", "/account"):
        assert part not in told["words"]


@pytest.mark.parametrize("status", [400, 401, 500])
@pytest.mark.parametrize("provider", BY_KEY, ids=lambda provider: provider.name)
def test_no_key_comes_out_whatever_a_provider_answers(page, shop, provider, status, monkeypatch):
    emulator = shop(provider)
    monkeypatch.setenv(provider.secrets[0], KEY)
    said = f"{KEY} Bearer {KEY} {KEY.encode().hex()} {b64encode(f'user:{KEY}'.encode()).decode()}"
    inner = {"message": said, "code": "locked", "param": said}
    fails(
        emulator,
        provider.name,
        Fault.status(status, {"detail": said, "message": said, "title": said, "error": inner}),
    )
    answer = page.post("test_key", {"provider": provider.name})
    assert answer.status_code == 200
    for part in (KEY, KEY[:20], KEY.encode().hex()[:30], b64encode(f"user:{KEY}".encode()).decode()[8:40]):
        assert part not in answer.text


def test_a_router_that_is_not_switched_on_for_the_account_is_no_wrong_key(page, shop):
    shop(named("comfy_router"), enabled=False)
    told = tried(page, "comfy_router")
    assert told["works"] is False
    assert "The key is good" in told["words"]


@pytest.mark.parametrize("name", ["fal", "llm_stats", "railwail"])
def test_a_key_that_is_tried_with_a_job_that_never_was_is_told_as_inferred(page, shop, name):
    shop(named(name))
    assert "inferred" in tried(page, name)["words"]


@pytest.mark.parametrize("name", ["fal", "luma"])
def test_a_web_page_in_place_of_an_answer_is_no_sign_of_a_good_key(page, shop, name):
    fails(shop(named(name)), name, Fault.html(404))
    assert tried(page, name)["works"] is False


def test_a_bucket_that_is_not_there_is_found_out(page, shop, monkeypatch):
    shop(named("bedrock"))
    monkeypatch.setenv("LUMA_RAY_BEDROCK_OUTPUT", "s3://nobodys-bucket/luma-ray")
    told = tried(page, "bedrock")
    assert told["works"] is False
    assert "There is no bucket 'nobodys-bucket'" in told["words"]


def test_without_a_key_the_test_says_which_is_missing_and_from_where(page):
    told = tried(page, "luma")
    assert told["works"] is False
    assert "needs LUMAAI_API_KEY (from lumalabs.ai/dream-machine/api/keys)" in told["words"]


def test_a_provider_without_a_harmless_question_says_so_and_is_not_asked(page, monkeypatch):
    class Silent(type(named("luma"))):
        name, check = "silent", Provider.check

        def sign(self, secrets):
            raise AssertionError("it was asked")

    module = importlib.import_module(f"{page.host_module.__name__.rpartition('.')[0]}.page.keys")
    ours = importlib.import_module(
        f"{page.host_module.__name__.rpartition('.')[0]}.generation.offer"
    ).Provider
    silent = Silent()
    assert Silent.check is not ours.check  # another copy of the pack: what it tells is told here
    monkeypatch.setattr(Silent, "tells", False)
    monkeypatch.setattr(module, "PAID", (silent,))
    told = tried(page, "silent")
    assert told["works"] is None
    assert "cannot be tested without spending" in told["words"]


def test_a_provider_tells_whether_it_can_be_tried():
    assert all(provider.tells for provider in PAID)
    assert not type("Silent", (type(named("luma")),), {"check": Provider.check})().tells


@pytest.mark.parametrize("body", [{}, {"provider": "nobody"}, {"provider": "animatic"}, {"provider": 5}])
def test_nobody_else_is_tried(page, body):
    assert page.post("test_key", body).status_code == 400


# -- the cards ------------------------------------------------------------------------------------------------


def test_every_provider_has_a_card_and_so_has_a_place_for_pictures_of_its_own(page):
    found = cards(page)
    assert [name for name in found if found[name]["sells"]] == [provider.name for provider in PAID]
    assert [card["title"] for card in found.values() if not card["sells"]] == [
        "Pictures: S3-compatible bucket"
    ]
    assert {name for name in found if found[name]["experimental"]} == {"railwail"}
    assert not any(card["configured"] for card in found.values())


def test_a_card_tells_where_each_key_comes_from_and_its_last_four_characters(page, monkeypatch):
    monkeypatch.setenv("FAL_KEY", KEY)
    page.post("keys", {"name": "WAVESPEED_API_KEY", "value": KEY.upper()})
    found = cards(page)
    (fal,), (wavespeed,), (luma,) = (found[name]["keys"] for name in ("fal", "wavespeed", "luma"))
    assert (fal["source"], fal["hint"], fal["editable"]) == ("environment", "...6789", False)
    assert (wavespeed["source"], wavespeed["hint"], wavespeed["editable"]) == ("saved", "...6789", True)
    assert (luma["source"], luma["hint"], luma["editable"]) == ("missing", "", True)
    assert [found[name]["configured"] for name in ("fal", "wavespeed", "luma")] == [True, True, False]
    assert KEY not in page.get("keys").text
    assert KEY.upper() not in page.get("keys").text


def test_a_card_says_what_else_a_provider_wants(page, monkeypatch):
    found = cards(page)
    assert "no place for them is set up yet" in found["luma"]["wants"][0]
    assert found["fal"]["wants"] == []
    assert found["replicate"]["wants"] == []
    (signing_in,) = found["bedrock"]["wants"]
    assert "LUMA_RAY_BEDROCK_OUTPUT" in signing_in
    assert [key["name"] for key in found["bedrock"]["keys"]] == ["LUMA_RAY_BEDROCK_OUTPUT"]
    assert not found["bedrock"]["keys"][0]["editable"]
    monkeypatch.setenv("FAL_KEY", KEY)
    assert cards(page)["luma"]["wants"] == [
        "It takes pictures by a public link: they are put at fal.ai storage."
    ]


# -- saving ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("around", ["  {}  ", "{}\n", "\t{}\r\n", "\u200b{}\ufeff", "\u00a0{} "])
def test_what_comes_along_with_a_key_that_is_pasted_is_trimmed(page, around):
    assert page.post("keys", {"name": "LUMAAI_API_KEY", "value": around.format(KEY)}).status_code == 200
    assert page.studio.credentials.get("LUMAAI_API_KEY").reveal() == KEY


def test_a_key_from_a_word_processor_is_refused_in_words(page):
    answer = page.post("keys", {"name": "LUMAAI_API_KEY", "value": "luma\u2013key-0123456789"})
    assert answer.status_code == 400
    assert "a character in it that no key has" in answer.json()["error"]
    assert "0123456789" not in answer.text
    assert not page.studio.credentials.path.exists()


def test_a_key_that_was_saved_is_used_at_once(page, shop, monkeypatch):
    emulator = shop(named("luma"), credit_usd=7)
    monkeypatch.delenv("LUMAAI_API_KEY")
    assert tried(page, "luma")["works"] is False
    page.post("keys", {"name": "LUMAAI_API_KEY", "value": emulator.key})
    assert tried(page, "luma")["balance"] == "7"
