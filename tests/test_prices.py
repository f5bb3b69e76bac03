"""Prices that a provider serves are asked for once an hour; auto takes the cheapest, then the quickest."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from fakes import Desk, FakeClock, Paper, picture, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.hosting import Hosting
from luma_ray.nodes.generation.lifecycle import Lifecycle
from luma_ray.nodes.generation.offer import Completed, Job, Pending
from luma_ray.nodes.generation.request import Operation


class Live(Paper):
    name = "live"
    title = "Live"
    secrets = ("LIVE_KEY",)
    live_prices = True

    def __init__(self) -> None:
        super().__init__()
        self.told = [Decimal("0.11")]
        self.asked = 0

    def price(self, client, offer, request):
        self.asked += 1
        answer = self.told[0] if len(self.told) == 1 else self.told.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    monkeypatch.setenv("LIVE_KEY", "live-key-1234567890")


@pytest.fixture
def desk(tmp_path, keys):
    return Desk(tmp_path, provider=Live())


def quoted(desk, request=None, clock=None):
    (live,) = desk.lifecycle.sellers.providers
    request = request or text()
    offer = next(offer for offer in live.offers if offer.model == request.model)
    return desk.lifecycle.prices.quote(live, offer, request, clock or desk.clock)


def test_a_live_price_goes_before_the_published_one_and_is_shown_as_live(desk):
    told = quoted(desk)
    assert (told.usd, told.live) == (Decimal("0.11"), True)
    assert told.words == "$0.11, its price now"


def test_it_is_asked_once_an_hour(desk):
    for _ in range(3):
        quoted(desk)
    assert desk.provider.asked == 1
    desk.clock.sleep(3601)
    desk.provider.told = [Decimal("0.13")]
    assert quoted(desk).usd == Decimal("0.13")
    assert desk.provider.asked == 2


def test_what_is_made_from_a_film_is_not_asked_for(desk):
    """The price of one film is not that of the next, and to be asked it would have to be there."""
    told = quoted(desk, text(operation=Operation.MODIFY_VIDEO))
    assert (told.live, desk.provider.asked) == (False, 0)
    assert desk.provider.tells_price(Operation.TEXT_TO_VIDEO)


def test_each_kind_of_clip_has_its_own_price(desk):
    desk.provider.told = [Decimal("0.11"), Decimal("0.44")]
    assert quoted(desk).usd == Decimal("0.11")
    assert quoted(desk, text(duration=9)).usd == Decimal("0.44")


@pytest.mark.parametrize(
    "answer",
    [errors.ProviderUnavailable("no answer."), KeyError("price"), errors.Unauthorized("wrong key."), None],
)
def test_where_it_is_not_told_the_published_price_stands_and_a_purchase_goes_on(desk, answer):
    desk.provider.told = [answer]
    told = quoted(desk)
    assert (told.usd, told.live) == (Decimal("0.20"), False)
    assert desk.generate(provider="live").entry.estimate_usd == Decimal("0.20")


def test_a_provider_that_does_not_tell_is_left_alone_for_a_minute(desk):
    desk.provider.told = [errors.ProviderUnavailable("no answer."), Decimal("0.11")]
    assert not quoted(desk).live
    assert not quoted(desk).live
    desk.clock.sleep(61)
    assert quoted(desk).live


def test_what_is_bought_is_recorded_at_the_live_price(desk):
    assert desk.generate(provider="live").entry.estimate_usd == Decimal("0.11")
    assert "$0.11, its price now" in desk.reports.words


# -- auto ---------------------------------------------------------------------------------------------------


def both(desk, **others) -> Lifecycle:
    return desk.opened(providers=[Paper(), desk.provider], **others)


def test_auto_takes_the_cheapest_by_the_live_price(desk):
    assert both(desk).select(text()).provider.name == "live"
    desk.provider.told = [Decimal("0.99")]
    assert both(desk).select(text()).provider.name == "paper"


def test_of_two_that_cost_the_same_auto_takes_the_one_that_was_quicker_here(desk):
    desk.provider.told = [Decimal("0.20")]
    assert both(desk).select(text()).provider.name == "paper"
    begun = []
    desk.provider.submits = [lambda: begun.append(desk.clock.now()) or Job(id=f"j{len(begun)}")]
    desk.provider.status = lambda client, job: (
        Completed(url="") if desk.clock.now() > begun[-1] + 20 else Pending()
    )
    for number in range(5):
        desk.provider.submits = [lambda: begun.append(desk.clock.now()) or Job(id=f"j{len(begun)}")]
        desk.generate(text(f"shot {number}"), provider="live")
    assert both(desk).select(text()).provider.name == "live"


# -- what can be reached ------------------------------------------------------------------------------------


class Shelf(Hosting):
    name = "shelf"
    title = "Shelf"
    settings = ("SHELF",)
    how = "set SHELF."
    life = 7200.0

    def __init__(self) -> None:
        self.published: list[str] = []

    def publish(self, still, credentials, clock):
        self.published.append(still.sha256)
        return f"https://shelf.test/{still.sha256}-{len(self.published)}"


def image(sha256="ab" * 32):
    return text(operation=Operation.IMAGE_TO_VIDEO, first_frame=picture(sha256))


def test_auto_passes_over_a_provider_whose_pictures_cannot_be_hosted_here(desk, monkeypatch):
    desk.provider.takes_urls_only = True
    assert both(desk, hosts=[Shelf()]).select(image()).provider.name == "paper"
    assert both(desk, hosts=[Shelf()]).select(text()).provider.name == "live"
    monkeypatch.setenv("SHELF", "oak")
    assert both(desk, hosts=[Shelf()]).select(image()).provider.name == "live"


def test_where_hosting_is_all_that_lacks_auto_says_how_to_set_it_up(desk, monkeypatch):
    desk.provider.takes_urls_only = True
    desk.lifecycle = desk.opened(hosts=[Shelf()])
    with pytest.raises(errors.HostingRequired, match="set SHELF"):
        desk.generate(image(), provider="auto")
    assert desk.provider.submitted == []


@pytest.fixture
def shelf(desk, monkeypatch):
    monkeypatch.setenv("SHELF", "oak")
    desk.provider.takes_urls_only = True
    shelf = Shelf()
    desk.lifecycle = desk.opened(hosts=[shelf])
    return shelf


def test_one_picture_in_ten_shots_is_put_there_once(desk, shelf):
    for take in range(1, 11):
        desk.generate(
            text(operation=Operation.IMAGE_TO_VIDEO, first_frame=picture(), take=take), provider="live"
        )
    assert shelf.published == ["ab" * 32]
    assert len({body["pictures"]["ab" * 32] for body in desk.provider.submitted}) == 1
    assert "uploading 1280x720 to Shelf" in desk.reports.words


def test_the_node_says_where_the_pictures_are_and_how_long(desk, shelf):
    assert "pictures at Shelf, for 2 h" in desk.generate(image(), provider="live").notes
    assert not any("Shelf" in note for note in desk.generate(text(), provider="live").notes)


def test_another_process_finds_it_there_too(desk, shelf):
    desk.generate(image(), provider="live")
    desk.lifecycle = desk.opened(hosts=[shelf])
    desk.generate(text("another", operation=Operation.IMAGE_TO_VIDEO, first_frame=picture()), provider="live")
    assert len(shelf.published) == 1


def test_it_is_put_there_again_before_it_ends_under_a_job(desk, shelf):
    desk.generate(image(), provider="live")
    desk.clock.sleep(7200 - 3600 + 1)
    desk.generate(text("another", operation=Operation.IMAGE_TO_VIDEO, first_frame=picture()), provider="live")
    assert len(shelf.published) == 2


def test_the_hosting_that_the_provider_prefers_is_taken_where_it_is_set_up(desk, shelf, monkeypatch):
    class Own(Shelf):
        name, title, settings = "own", "Own storage", ("OWN",)

    desk.provider.hosting = "own"
    desk.lifecycle = desk.opened(hosts=[shelf, Own()])
    desk.generate(image(), provider="live")
    assert "to Shelf" in desk.reports.words
    monkeypatch.setenv("OWN", "yes")
    desk.generate(image("cd" * 32), provider="live")
    assert "to Own storage" in desk.reports.words


def test_an_upload_that_the_provider_keeps_is_used_again_as_long_as_it_says(desk):
    desk.provider.upload_life = 7200
    uploads = []
    desk.provider.upload = lambda client, still: uploads.append(still.sha256) or "there"
    for take in (1, 2):
        desk.generate(
            text(operation=Operation.IMAGE_TO_VIDEO, first_frame=picture(), take=take), provider="live"
        )
    assert len(uploads) == 1


def test_what_must_be_set_beside_the_key_is_named_when_it_is_missing(desk, monkeypatch):
    desk.provider.settings = ("LIVE_BUCKET",)
    with pytest.raises(errors.MissingCredentials, match="needs LIVE_BUCKET"):
        desk.generate(provider="live")
    monkeypatch.setenv("LIVE_BUCKET", "pictures")
    desk.generate(provider="live")


def test_a_setting_is_no_secret_and_may_be_named_in_an_error(desk, monkeypatch, tmp_path):
    monkeypatch.setenv("LIVE_BUCKET", "my-own-bucket")
    assert Credentials(tmp_path).setting("LIVE_BUCKET") == "my-own-bucket"
    client = desk.lifecycle.sellers.client(desk.provider, FakeClock())
    assert client.setting("LIVE_BUCKET") == "my-own-bucket"


def test_an_experimental_provider_says_so_in_its_errors(desk):
    desk.provider.experimental = "nobody has verified it."
    client = desk.lifecycle.sellers.client(desk.provider, FakeClock())
    assert str(client.error(402, paid=True)).startswith("The account at Live (experimental)")


def test_an_experimental_provider_says_so_on_the_node(desk):
    desk.provider.experimental = "nobody has verified it."
    assert "Live is experimental: nobody has verified it." in desk.generate(provider="live").notes


def test_a_refusal_names_the_providers_that_a_key_would_open(desk, monkeypatch):
    monkeypatch.delenv("LIVE_KEY")
    desk.provider.offers = tuple(replace(offer, durations=(5, 10)) for offer in desk.provider.offers)
    with pytest.raises(errors.UnsupportedRequest, match="With a key of its own, live would do it"):
        both(desk).select(text(duration=10))
