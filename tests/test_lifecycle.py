"""The life of a generation: bought once, kept whatever happens, told truthfully."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest
from fakes import Desk, FakeClock, Paper, Reconciling, Reports, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending


@pytest.fixture
def desk(tmp_path, monkeypatch, journal_url):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    return Desk(tmp_path, url=journal_url)


def only_row(desk):
    (row,) = desk.lifecycle.journal.entries()
    return row


def test_a_clip_is_bought_downloaded_and_recorded(desk):
    clip = desk.generate()
    row = only_row(desk)
    assert clip.path.read_bytes() == b"clip"
    assert (row.state, row.job.id, row.estimate_usd) == ("completed", "job-1", Decimal("0.20"))
    assert clip.path == desk.lifecycle.library.find(row)
    assert "$0.20" in desk.reports.words


def test_the_same_request_and_take_is_recalled_not_bought_again(desk):
    first = desk.generate()
    desk.lifecycle = desk.opened()  # as after a restart
    again = desk.generate()
    assert again.path == first.path
    assert again.recalled
    assert len(desk.provider.submitted) == 1


def test_a_new_take_is_a_new_purchase_and_the_old_one_stays_free(desk):
    desk.generate()
    desk.generate(text(take=2))
    desk.generate(text(take=1))
    assert len(desk.provider.submitted) == 2


def test_a_clip_bought_elsewhere_is_recalled_by_auto_without_any_key(desk, monkeypatch):
    desk.generate()
    monkeypatch.delenv("PAPER_KEY")
    assert desk.generate(provider="auto").recalled


def test_no_row_no_submit(desk):
    desk.url = f"sqlite:///{desk.folder}"
    desk.lifecycle = desk.opened()
    with pytest.raises(errors.JournalUnavailable, match="nothing is bought"):
        desk.generate()
    assert desk.provider.submitted == []


def test_the_row_is_there_before_the_create_goes_out(desk):
    seen = []
    desk.provider.submits = [lambda: seen.append(only_row(desk).state) or Job(id="job")]
    desk.generate()
    assert seen == ["submitting"]


def test_a_refused_create_is_recorded_as_failed_and_may_be_bought_again(desk):
    desk.provider.submits = [errors.Rejected("no such thing. Nothing was billed."), Job(id="job")]
    with pytest.raises(errors.Rejected, match="no such thing"):
        desk.generate()
    assert only_row(desk).state == "failed"
    desk.generate()
    assert len(desk.provider.submitted) == 2


@pytest.mark.parametrize("answer", [errors.SubmissionUncertain("lost."), KeyError("id"), ValueError("text")])
def test_a_create_without_a_usable_answer_is_never_sent_again(desk, answer):
    desk.provider.submits = [answer]
    for _ in range(2):
        with pytest.raises(errors.SubmissionUncertain, match=r"--not-created"):
            desk.generate()
    assert len(desk.provider.submitted) == 1
    assert only_row(desk).state == "uncertain"


def test_after_the_person_says_it_was_not_created_it_is_bought(desk):
    desk.provider.submits = [errors.SubmissionUncertain("lost."), Job(id="job")]
    with pytest.raises(errors.SubmissionUncertain):
        desk.generate()
    desk.lifecycle.not_created(only_row(desk).id)
    assert desk.generate().entry.job.id == "job"


def test_only_an_open_question_can_be_answered_with_not_created(desk):
    clip = desk.generate()
    with pytest.raises(errors.InvalidInput, match="nothing was changed"):
        desk.lifecycle.not_created(clip.entry.id)


def test_an_unanswered_create_is_found_in_the_providers_list(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    desk = Desk(tmp_path, provider=Reconciling())
    desk.provider.submits = [errors.SubmissionUncertain("lost.")]
    desk.provider.found = [None, Job(id="found-later")]
    clip = desk.generate(provider="reconciling")
    assert clip.entry.job.id == "found-later"
    assert len(desk.provider.submitted) == 1


def test_a_crash_while_submitting_is_looked_up_before_anything_is_sent(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    desk = Desk(tmp_path, provider=Reconciling())
    desk.lifecycle.journal.claim(text(), provider="reconciling", local=False, estimate_usd=None)
    desk.clock.sleep(1000)  # the lease of the process that died is over
    desk.provider.found = [Job(id="the-lost-one")]
    clip = desk.generate(provider="reconciling")
    assert clip.entry.job.id == "the-lost-one"
    assert desk.provider.submitted == []


def test_a_submitting_row_of_a_living_process_is_waited_for(desk):
    journal = desk.lifecycle.journal
    entry, _ = journal.claim(text(), provider="paper", local=False, estimate_usd=None)
    desk.clock.on_sleep = lambda: journal.submitted(entry.id, Job(id="theirs"))
    clip = desk.generate()
    assert clip.entry.job.id == "theirs"
    assert desk.provider.submitted == []


def test_trouble_while_waiting_is_waited_out(desk):
    desk.provider.statuses = [
        errors.ProviderUnavailable("no answer."),
        errors.RateLimited("slow down."),
        Pending(note="dreaming"),
        Completed(url=""),
    ]
    desk.generate()
    assert "no answer." in desk.reports.words
    assert "dreaming at Paper" in desk.reports.words


def test_an_unknown_word_ends_the_wait_in_the_end_and_keeps_the_row(desk):
    desk.provider.statuses = [*[ValueError("strange")] * 5, Completed(url="")]
    with pytest.raises(errors.UnexpectedReply, match="kept"):
        desk.generate()
    assert only_row(desk).state == "submitted"
    desk.generate()
    assert len(desk.provider.submitted) == 1


def test_a_failed_job_says_why_and_what_it_means_for_the_bill(desk):
    desk.provider.statuses = [Failed(reason="The safety check said no.", billing="It is refunded.")]
    with pytest.raises(errors.GenerationFailed, match=r"The safety check said no. It is refunded.") as caught:
        desk.generate()
    assert only_row(desk).id in str(caught.value)
    assert only_row(desk).state == "failed"


def test_patience_ends_without_losing_the_job(desk):
    desk.provider.statuses = [Pending()]
    with pytest.raises(errors.StillRunning, match="Nothing is lost"):
        desk.generate()
    desk.provider.statuses = [Completed(url="")]
    desk.generate()
    assert len(desk.provider.submitted) == 1


def test_a_stopped_wait_keeps_the_job_collectable(desk):
    desk.provider.statuses = [Pending()]
    desk.clock.on_sleep = desk.clock.stop.set
    with pytest.raises(errors.Interrupted, match="Queue again to collect it"):
        desk.generate()
    assert only_row(desk).state == "submitted"
    desk.provider.statuses = [Completed(url="")]
    desk.generate(clock=FakeClock())
    assert len(desk.provider.submitted) == 1
    assert desk.provider.cancelled == ["job-1"]


def test_a_confirmed_cancellation_is_recorded_and_may_be_bought_again(desk):
    desk.provider.statuses = [Pending()]
    desk.provider.cancellation = "confirmed"
    desk.clock.on_sleep = desk.clock.stop.set
    with pytest.raises(errors.Interrupted, match="confirmed"):
        desk.generate()
    assert only_row(desk).state == "cancelled"
    desk.provider.statuses = [Completed(url="")]
    desk.generate(clock=FakeClock())
    assert len(desk.provider.submitted) == 2


def test_nothing_is_bought_when_it_was_stopped_before(desk):
    desk.clock.stop.set()
    with pytest.raises(errors.Interrupted, match="nothing was billed"):
        desk.generate()
    assert desk.lifecycle.journal.entries() == []


def test_a_broken_download_is_tried_again_with_a_fresh_address(desk):
    desk.provider.downloads = [errors.DownloadFailed("403."), errors.BrokenClip("no video."), None]
    clip = desk.generate()
    assert clip.path.is_file()
    assert list(clip.path.parent.glob(".arriving*")) == []


def test_a_clip_that_does_not_arrive_stays_collectable(desk):
    desk.provider.downloads = [errors.DownloadFailed("403.")] * 4 + [None]
    with pytest.raises(errors.DownloadFailed, match="It is paid and kept"):
        desk.generate()
    assert only_row(desk).state == "submitted"
    desk.generate()
    assert len(desk.provider.submitted) == 1


def test_a_clip_deleted_from_the_library_is_downloaded_again_not_bought(desk):
    desk.generate().path.unlink()
    clip = desk.generate()
    assert clip.path.is_file()
    assert clip.recalled
    assert len(desk.provider.submitted) == 1


def test_what_the_provider_billed_is_recorded(desk):
    desk.provider.statuses = [Completed(url="", billed_usd=Decimal("0.17"))]
    assert desk.generate().entry.billed_usd == Decimal("0.17")


def test_two_nodes_with_the_same_request_share_one_job(desk):
    both_asked = threading.Barrier(2, timeout=10)
    clips = []

    def node():
        both_asked.wait()
        clips.append(desk.generate(clock=FakeClock(), report=Reports()))

    threads = [threading.Thread(target=node) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(clips) == 2
    assert clips[0].path == clips[1].path
    assert sorted(clip.recalled for clip in clips) == [False, True]  # its price is shown once
    assert len(desk.provider.submitted) == 1


def test_when_the_first_of_two_is_stopped_the_other_takes_over(desk):
    first_waits, clips = threading.Event(), []
    first = FakeClock()

    def stop_first():
        first_waits.set()
        second_waits.wait(10)
        first.stop.set()

    second_waits = threading.Event()
    second = FakeClock()
    second.on_sleep = second_waits.set
    first.on_sleep = stop_first
    desk.provider.statuses = [Pending(), Completed(url="")]
    outcome = []

    def stopped_node():
        try:
            desk.generate(clock=first, report=Reports())
        except errors.Interrupted as error:
            outcome.append(error)

    leader = threading.Thread(target=stopped_node)
    leader.start()
    assert first_waits.wait(10)
    follower = threading.Thread(target=lambda: clips.append(desk.generate(clock=second, report=Reports())))
    follower.start()
    leader.join(10)
    follower.join(10)
    assert len(outcome) == 1
    assert len(clips) == 1
    assert len(desk.provider.submitted) == 1


def test_a_provider_by_name_without_a_key_says_which_and_where(desk, monkeypatch):
    monkeypatch.delenv("PAPER_KEY")
    with pytest.raises(errors.MissingCredentials, match="PAPER_KEY"):
        desk.generate()


def test_the_quote_knows_what_is_already_bought(desk):
    before = desk.lifecycle.quote(text(), "paper")
    desk.generate()
    after = desk.lifecycle.quote(text(), "paper")
    assert (before.words, after.words) == ("$0.20", "$0.00 (already yours)")


def test_collect_by_the_providers_own_id_makes_a_row_for_a_job_made_elsewhere(desk):
    clip = desk.lifecycle.collect(" made-on-the-website ", clock=desk.clock, report=desk.reports)
    assert clip.entry.job.id == "made-on-the-website"
    assert desk.provider.submitted == []
    again = desk.lifecycle.collect("made-on-the-website", clock=desk.clock, report=desk.reports)
    assert again.entry.id == clip.entry.id


def test_collect_of_an_id_that_nobody_knows_says_who_was_asked(desk):
    desk.provider.statuses = [errors.Rejected("404")]
    with pytest.raises(errors.InvalidInput, match="asked Paper"):
        desk.lifecycle.collect("nothing", clock=desk.clock, report=desk.reports)
    assert desk.lifecycle.journal.entries() == []


def test_pictures_are_uploaded_before_the_row_is_written_and_once_each(desk):
    from fakes import picture
    from luma_ray.nodes.generation.request import Operation

    uploads = []

    class Watching(Paper):
        def upload(self, client, still):
            uploads.append((still.sha256, len(desk.lifecycle.journal.entries())))
            return "there"

    desk.provider = Watching()
    desk.lifecycle = desk.opened()
    desk.generate(text(operation=Operation.IMAGE_TO_VIDEO, first_frame=picture()))
    assert uploads == [("ab" * 32, 0)]
    assert desk.provider.submitted[0]["pictures"] == {"ab" * 32: "there"}


def test_a_provider_that_asks_for_time_gets_it(desk):
    desk.provider.statuses = [errors.RateLimited("slow down.", retry_after=120), Completed(url="")]
    desk.generate()
    assert desk.clock.slept[-1] == 120


def test_a_library_that_cannot_be_written_loses_nothing(desk):
    (desk.folder / "clips").write_text("in the way", "utf-8")
    with pytest.raises(errors.DownloadFailed, match="It is paid and kept"):
        desk.generate()
    (desk.folder / "clips").unlink()
    desk.generate()
    assert len(desk.provider.submitted) == 1


class Forgetful:
    """A journal whose disk is full from some call on."""

    def __init__(self, journal, *failing):
        self._journal, self._failing = journal, failing

    def __getattr__(self, name):
        if name in self._failing:
            raise errors.JournalUnavailable("The disk is full.")
        return getattr(self._journal, name)


def test_a_job_that_could_not_be_recorded_is_named_so_that_it_can_be_collected(desk):
    journal = desk.lifecycle.journal
    desk.lifecycle = desk.opened(journal=Forgetful(journal, "submitted"))
    with pytest.raises(errors.Unrecorded, match=r"bills it as job job-1.*Keep this id"):
        desk.generate()
    desk.lifecycle = desk.opened()
    assert desk.lifecycle.collect("job-1", clock=desk.clock, report=desk.reports).path.is_file()


def test_a_job_that_could_not_be_recorded_is_recorded_at_the_next_look(desk):
    journal = desk.lifecycle.journal
    desk.lifecycle = desk.opened(journal=Forgetful(journal, "submitted"))
    with pytest.raises(errors.Unrecorded) as told:
        desk.generate()
    desk.lifecycle = desk.opened()
    (row,) = journal.entries()
    with pytest.raises(errors.InvalidInput, match="not waiting for a decision"):
        desk.lifecycle.not_created(row.id)
    assert row.id in str(told.value)
    assert desk.generate().entry.job.id == "job-1"
    assert len(desk.provider.submitted) == 1


def test_an_unanswered_create_that_could_not_be_recorded_is_not_called_free(desk):
    desk.provider.submits = [errors.SubmissionUncertain("It may have been billed.")]
    desk.lifecycle = desk.opened(journal=Forgetful(desk.lifecycle.journal, "uncertain"))
    with pytest.raises(errors.SubmissionUncertain, match="may have been billed"):
        desk.generate()


def uncertain_id(desk):
    desk.provider.submits = [errors.SubmissionUncertain("lost."), Job(id="job")]
    with pytest.raises(errors.SubmissionUncertain):
        desk.generate()
    return only_row(desk).id


def test_the_person_can_say_which_job_an_unanswered_create_became(desk):
    desk.lifecycle.found(uncertain_id(desk), " seen-on-the-page ", clock=desk.clock)
    assert desk.generate().entry.job.id == "seen-on-the-page"
    assert len(desk.provider.submitted) == 1


def test_a_mistyped_job_changes_nothing(desk):
    wanted = uncertain_id(desk)
    desk.provider.statuses = [errors.Rejected("404 not found."), Completed(url="")]
    with pytest.raises(errors.InvalidInput, match="does not know job typo"):
        desk.lifecycle.found(wanted, "typo", clock=desk.clock)
    assert only_row(desk).state == "uncertain"


def test_a_job_of_another_generation_is_not_given_away(desk):
    other = desk.generate(text("another"))
    desk.provider.statuses = [Completed(url="")]
    desk.provider.submits = [errors.SubmissionUncertain("lost.")]
    with pytest.raises(errors.SubmissionUncertain):
        desk.generate()
    (wanted,) = desk.lifecycle.journal.entries(("uncertain",))
    with pytest.raises(errors.InvalidInput, match="belongs to another"):
        desk.lifecycle.found(wanted.id, other.entry.job.id, clock=desk.clock)


def test_a_clip_that_was_thrown_away_is_told_with_the_time_until_which_it_could_be_had(desk):
    desk.provider.keeps = 3600
    desk.provider.downloads = [errors.DownloadFailed("403.")] * 4
    with pytest.raises(errors.DownloadFailed, match="keeps a finished clip for 1 hour only"):
        desk.generate()
    desk.clock.sleep(2 * 3600)
    desk.provider.downloads = [errors.DownloadFailed("403.")] * 4
    (row,) = desk.lifecycle.journal.entries()
    until = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.done_at + 3600))
    with pytest.raises(errors.DownloadFailed, match=f"until about {until}.*luma-ray receipt {row.id}"):
        desk.generate()
    desk.provider.statuses = [Failed(reason="It is gone.", billing="It was billed.")]
    with pytest.raises(errors.GenerationFailed, match=f"until about {until}"):
        desk.generate()


@pytest.mark.parametrize("id", ["", "  ", ".", "..", "..."])
def test_an_id_that_is_none_is_asked_about_nowhere(desk, id):
    looked = []
    desk.provider.status = lambda client, job: looked.append(job)
    with pytest.raises(errors.InvalidInput, match="no id of a generation"):
        desk.lifecycle.collect(id, clock=desk.clock, report=desk.reports)
    assert looked == []
