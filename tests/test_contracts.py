"""What holds for every provider and everything it sells, whatever goes wrong: bought once, kept, told truthfully."""

from __future__ import annotations

import pytest
from contracts import PAID, emulator_of, name_of, offers, opened
from emulators.server import Fault, FileHost
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.offer import Offer
from luma_ray.nodes.media import clips

OFFERS = [pytest.param(provider, offer, id=name_of(provider, offer)) for provider, offer in offers()]
KINDS = [
    pytest.param(provider, offer, kinds, id=f"{name_of(provider, offer)}-{'-'.join(kinds)}")
    for provider, offer in offers()
    for kinds in sorted(offer.keyframes)
]
each_offer = pytest.mark.parametrize(("provider", "offer"), OFFERS)


@pytest.fixture(scope="module")
def files():
    with FileHost() as host:
        yield host


@pytest.fixture
def desk(provider, files, tmp_path, monkeypatch):
    with emulator_of(provider) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        netloc = files.origin.removeprefix("http://")
        monkeypatch.setenv("LUMA_RAY_ALLOWED_HOSTS", f"{emulator.origin.removeprefix('http://')},{netloc}")
        yield opened(provider, emulator, files, tmp_path)
        assert emulator.leaks == [], "a key went to a public address"


def first(offer: Offer) -> tuple[str, str]:
    """One kind of keyframes that *offer* takes."""
    return min(offer.keyframes)


def settles(desk, offer) -> bool:
    """Whether an unanswered create can be settled without the person: by its key, or in a list that says enough."""
    tells = getattr(desk.emulator, "shows_inputs", True)
    # Which clip was upscaled or got sound is in the address alone, so no list tells.
    tells = tells and "{id}" not in offer.endpoint
    return desk.provider.resend_life > 0 or (desk.provider.reconciles and bool(tells))


@pytest.mark.parametrize(("provider", "offer", "kinds"), KINDS)
def test_a_clip_is_bought_fetched_and_kept(desk, offer, kinds):
    request = desk.request(offer, kinds)
    before = desk.charges
    clip = desk.generate(request)
    assert desk.charges == before + 1
    assert clips.inspect(clip.path).frames == 24 * request.duration + 1
    assert desk.row.state == "completed"
    assert desk.generate(request).recalled
    assert desk.charges == before + 1


@each_offer
def test_a_job_that_fails_is_recorded_and_said_with_its_bill(desk, offer):
    request = desk.ending(offer, first(offer), "a doomed fox")
    with pytest.raises(errors.GenerationFailed) as caught:
        desk.generate(request)
    assert desk.row.state == "failed"
    said = str(caught.value).lower()
    assert any(word in said for word in ("bill", "charg", "refund", "free"))


@each_offer
def test_moderation_is_told_as_what_it_is(desk, offer):
    request = desk.ending(offer, first(offer), "indecent words about a fox")
    with pytest.raises((errors.GenerationFailed, errors.Rejected)) as caught:
        desk.generate(request)
    assert desk.row.state == "failed"
    said = str(caught.value).lower()
    assert any(word in said for word in ("moderat", "safety", "content", "policy"))


@each_offer
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unauthorized", errors.Unauthorized),
        ("no money", errors.InsufficientCredits),
        ("moderation", errors.Rejected),
    ],
)
def test_a_refused_create_costs_nothing_and_says_so(desk, offer, kind, error):
    request = desk.request(offer, first(offer))
    before = desk.charges
    desk.emulator.fail_next(*desk.emulator.create, desk.emulator.refusing(kind))
    with pytest.raises(error, match=r"othing (was|is) (sent or )?billed"):
        desk.generate(request)
    assert desk.charges == before
    assert desk.row.state == "failed"


@each_offer
def test_too_many_requests_are_waited_out(desk, offer):
    request = desk.request(offer, first(offer))
    before, begun = desk.charges, desk.clock.now()
    desk.emulator.fail_next(*desk.emulator.create, desk.emulator.refusing("rate limit"))
    desk.generate(request)
    assert desk.charges == before + 1
    assert desk.clock.now() - begun >= 7
    assert "waiting in line" in desk.reports.words


CREATE_FAULTS = {
    "lost answer": Fault.lost_answer(),
    "malformed JSON": Fault.malformed_json(),
    "a web page": Fault.html(502, handled=True),
}


@each_offer
@pytest.mark.parametrize("fault", CREATE_FAULTS.values(), ids=CREATE_FAULTS)
def test_a_create_without_a_usable_answer_is_never_paid_twice(desk, offer, fault):
    request = desk.request(offer, first(offer))
    before = desk.charges
    desk.emulator.fail_next(*desk.emulator.create, fault)
    if settles(desk, offer):
        assert desk.generate(request).entry.state == "completed"
    else:
        for _ in range(2):
            with pytest.raises(errors.SubmissionUncertain, match="--not-created"):
                desk.generate(request)
        assert desk.row.state == "uncertain"
    assert desk.charges == before + 1


@each_offer
def test_a_server_error_to_a_create_is_not_taken_for_a_refusal(desk, offer):
    request = desk.request(offer, first(offer))
    before = desk.charges
    desk.emulator.fail_next(*desk.emulator.create, desk.emulator.refusing("server error"))
    if desk.provider.resend_life:
        assert desk.generate(request).entry.state == "completed"
        assert desk.charges == before + 1
        return
    with pytest.raises((errors.SubmissionUncertain, errors.ProviderUnavailable)):
        desk.generate(request)
    assert desk.row.state in ("uncertain", "failed")
    assert desk.charges == before


POLL_FAULTS = {
    "lost answer": Fault.lost_answer(),
    "malformed JSON": Fault.malformed_json(),
    "a web page": Fault.html(200),
    "a gateway's web page": Fault.html(503),
    "rate limit": Fault.rate_limit(9),
}


@each_offer
@pytest.mark.parametrize("fault", POLL_FAULTS.values(), ids=POLL_FAULTS)
def test_a_question_that_is_not_answered_is_asked_again(desk, offer, fault):
    request = desk.request(offer, first(offer))
    before = desk.charges
    desk.emulator.fail_next(*desk.emulator.poll, fault)
    assert desk.generate(request).path.exists()
    assert desk.charges == before + 1


@each_offer
def test_an_unknown_status_word_loses_nothing(desk, offer):
    request = desk.request(offer, first(offer))
    desk.emulator.fail_next(*desk.emulator.poll, desk.emulator.unknown_status(), times=5)
    with pytest.raises(errors.UnexpectedReply, match="collect generation"):
        desk.generate(request)
    assert desk.row.state == "submitted"
    charges = desk.charges
    assert desk.generate(request).path.exists()
    assert desk.charges == charges


@each_offer
def test_a_link_that_has_expired_is_asked_for_again(desk, offer):
    request = desk.request(offer, first(offer))
    before = desk.charges
    desk.emulator.fail_next(*desk.emulator.asset, Fault.html(403))
    assert desk.generate(request).path.exists()
    assert desk.charges == before + 1


@each_offer
def test_a_clip_can_be_collected_by_the_providers_own_id(desk, offer, tmp_path):
    clip = desk.generate(desk.request(offer, first(offer)))
    other = opened(desk.provider, desk.emulator, None, tmp_path / "elsewhere")
    found = other.lifecycle.collect(
        clip.entry.job.id, desk.provider.name, clock=other.clock, report=other.reports
    )
    assert found.path.read_bytes() == clip.path.read_bytes()


@pytest.mark.parametrize("provider", PAID, ids=lambda provider: provider.name)
def test_no_key_is_in_anything_that_is_said_or_kept(desk, provider):
    """Errors of all kinds, the journal and the reports, searched for the values of the keys."""
    secrets = [
        value for name, value in desk.emulator.environment().items() if "KEY" in name or "TOKEN" in name
    ]
    said = []
    offer = provider.offers[0]
    for number, kind in enumerate(("unauthorized", "no money", "moderation", "server error")):
        desk.emulator.fail_next(*desk.emulator.create, desk.emulator.refusing(kind))
        try:
            desk.generate(desk.request(offer, first(offer), take=number + 1))
        except errors.GenerationError as error:
            said.append(str(error))
    said.append(desk.reports.words)
    kept = b"".join(path.read_bytes() for path in desk.lifecycle.library.folder.parent.glob("journal.db*"))
    for secret in secrets:
        assert secret not in "\n".join(said)
        assert secret.encode() not in kept
