"""What the faults found, each as small as it can be said: what is right, whatever answers."""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import contextmanager

import pytest
from contracts import PAID, asked, emulator_of, opened
from emulators.server import Fault, FileHost, Reply, json_reply
from emulators.wavespeed import altered
from fakes import Desk
from faults import world as worlds
from faults.truth import FREE
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.finishing import Clip
from luma_ray.nodes.generation.offer import Completed, Job

PROMPT = "a fox in the snow"
BY_NAME = {provider.name: provider for provider in PAID}


@pytest.fixture(scope="module")
def files():
    with FileHost() as host:
        yield host


@pytest.fixture
def shop(request, files, tmp_path, monkeypatch):
    """A provider, named by the test's parameter, on its emulator."""
    provider = BY_NAME[request.param]
    with emulator_of(provider) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield opened(provider, emulator, files, tmp_path)


def clip_of(shop):
    """What the provider sells first."""
    offer = shop.provider.offers[0]
    return asked(offer, min(offer.keyframes), None)


def at(*names):
    return pytest.mark.parametrize("shop", names, indirect=True)


# -- a second sending of an unanswered create ---------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", [errors.Rejected("refused (404)."), errors.Rejected("a redirect (302).")], ids=["404", "302"]
)
def test_a_refusal_of_the_second_sending_by_whoever_does_not_deny_the_first(tmp_path, monkeypatch, answer):
    """A gateway's 404 or a hotel's sign-in page is no word of the provider: the first may be paid."""
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    desk = Desk(tmp_path)
    desk.provider.resend_life = 3600
    desk.provider.submits = [errors.SubmissionUncertain("lost."), *[answer] * 3]
    with pytest.raises(errors.GenerationError):
        desk.generate()
    desk.provider.submits = [Job(id="the-first-one")]
    desk.provider.statuses = [Completed(url="")]
    desk.generate()
    assert len(set(desk.provider.keys)) == 1


def test_an_open_question_is_never_told_with_the_words_that_nothing_was_billed(tmp_path, monkeypatch):
    """What whoever answered the second sending said of the bill is not true of the first."""
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    desk = Desk(tmp_path)
    desk.provider.resend_life = 3600
    refusal = errors.Rejected("Paper refused the request (404). Nothing was billed.")
    desk.provider.submits = [errors.SubmissionUncertain("lost."), *[refusal] * 3]
    for _ in range(2):
        with pytest.raises(errors.SubmissionUncertain) as told:
            desk.generate()
        assert not FREE.search(str(told.value)), told.value
        desk.clock.sleep(3600.0)


@at("comfy_router")
def test_a_gateway_that_asks_to_come_later_after_it_handed_the_create_on_costs_no_second_clip(shop):
    """Only Router's own 503 says "submitted nothing and charged nothing"; it has an X-Comfy-Error-Type."""
    late = Reply(503, b"<html>upstream timed out</html>", {"Retry-After": "2", "Content-Type": "text/html"})
    shop.emulator.fail_next(*shop.emulator.create, Fault(lambda _: late, handled=True))
    shop.generate(clip_of(shop))
    assert shop.charges == 1


# -- an answer about another job ----------------------------------------------------------------------------

ANOTHERS_FAILURE = {
    "luma": Fault.fields(id="another", state="failed", failure_reason="Job failed"),
    "luma_agents": Fault.fields(id="another", state="failed", failure_code="generation_failed"),
    "llm_stats": Fault.fields(id="another", status="failed", error={"code": "x", "message": "x"}),
    "railwail": Fault.fields(id="another", status="failed", error={"code": "x", "message": "x"}),
    "replicate": Fault.fields(id="another", status="failed", error="x"),
    "wavespeed": altered(id="another", status="failed", code=1405, error="x", outputs=[]),
    "comfy_router": Fault.fields(request_id="another", status="COMPLETED", error_type="provider_error"),
    "fal": Fault.fields(request_id="another", status="COMPLETED", error="x", error_type="x"),
}


@at(*ANOTHERS_FAILURE)
def test_the_failure_of_another_job_is_not_taken_for_ours(shop):
    """From something in between that mixes answers up; told as failed, the clip would be bought again."""
    shop.emulator.fail_next(*shop.emulator.poll, ANOTHERS_FAILURE[shop.provider.name])
    assert shop.generate(clip_of(shop)).entry.state == "completed"
    assert shop.charges == 1


@at("replicate")
def test_the_cancellation_of_another_job_is_not_taken_for_ours(shop):
    another = json_reply({"id": "another", "status": "canceled"})
    cancel = ("POST", "/predictions/{id}/cancel")
    shop.emulator.fail_next(*cancel, Fault(lambda _: another, handled=False))
    shop.clock.on_sleep = shop.clock.stop.set
    with pytest.raises(errors.Interrupted):
        shop.generate(clip_of(shop))
    assert shop.row.state == "submitted"


@at("comfy_router")
def test_a_gateway_that_says_gone_does_not_end_a_paid_job(shop):
    """Router's own 410 carries an X-Comfy-Request-Id, as all its answers do."""
    gone = Reply(410, b"<html>This address has moved.</html>", {"Content-Type": "text/html"})
    shop.emulator.fail_next(*shop.emulator.poll, Fault(lambda _: gone, handled=False))
    try:
        shop.generate(clip_of(shop))
    except errors.GenerationError:
        assert shop.row.state == "submitted"
        shop.generate(clip_of(shop))
    assert shop.charges == 1


@at("fal")
def test_a_gateway_that_fails_in_json_does_not_end_a_paid_job(shop):
    """A 500 in place of a result is the model's word only with fal's own X-Fal-Request-Id."""
    result = ("GET", "/queue/fal-ai/luma-dream-machine/requests/{id}")
    shop.emulator.fail_next(*result, Fault.status(500, {"detail": "upstream"}), times=4)
    try:
        shop.generate(clip_of(shop))
    except errors.GenerationError:
        assert shop.row.state == "submitted"
        shop.generate(clip_of(shop))
    assert shop.charges == 1


# -- the library --------------------------------------------------------------------------------------------


def test_a_clip_arrives_on_a_drive_that_knows_no_permissions(files, tmp_path, monkeypatch):
    """exFAT and many network drives refuse chmod; the clip is paid."""
    chmod = os.chmod

    def refused(path, mode, **others):
        if ".arriving-" in str(path):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        chmod(path, mode, **others)

    monkeypatch.setattr(os, "chmod", refused)
    with worlds.opened("luma", tmp_path, files) as world:
        result = world.queue(world.request(PROMPT))
        assert isinstance(result, Clip), result


def test_what_a_killed_download_left_behind_is_cleared_away_by_a_later_one(files, tmp_path):
    with worlds.opened("luma", tmp_path, files) as world:
        first = world.queue(world.request(PROMPT))
        left = first.path.parent / ".arriving-abandoned.mp4"
        left.write_bytes(b"half of a clip")
        two_days_ago = time.time() - 2 * 86_400
        os.utime(left, (two_days_ago, two_days_ago))
        world.killed = True
        world.queue(world.request("another shot"))
        assert not left.exists()


# -- answers that never end ---------------------------------------------------------------------------------


@contextmanager
def dripping(step, files, folder):
    """A world in which each answer at *step* comes byte by byte without an end; it is queued in there.

    Gives what `proxy.dripping` is to be set to before each byte, and ends when that is over.
    """
    ended = []
    with worlds.opened("luma", folder, files) as world:
        world.wire.plan = lambda ask: "drip for ever" if ask.step == step else ""
        request = world.request(PROMPT)

        def queue():
            try:
                ended.append(world.queue(request))
            except BaseException as error:  # noqa: BLE001 - looked at below
                ended.append(error)

        thread = threading.Thread(target=queue)
        yield world
        thread.start()
        thread.join(4.0)
        in_time = bool(ended)
        world.clock.stop.set()
    thread.join(20.0)
    assert in_time, "it holds its thread for ever"
    assert isinstance(ended[0], errors.GenerationError | Clip), ended


@pytest.mark.parametrize("step", ["create", "poll"])
def test_an_answer_that_comes_byte_by_byte_for_hours_is_given_up(step, files, tmp_path, monkeypatch):
    with dripping(step, files, tmp_path) as world:
        monkeypatch.setattr(type(world.provider), "patience", 300)
        world.proxy.dripping = lambda: world.clock.sleep(60.0)


def test_a_date_that_is_set_back_does_not_lengthen_a_download(files, tmp_path):
    with dripping("download", files, tmp_path) as world:
        corrections = iter([-86_400.0])

        def passes():
            world.clock.correct(next(corrections, 0.0))
            world.clock.sleep(60.0)

        world.proxy.dripping = passes
