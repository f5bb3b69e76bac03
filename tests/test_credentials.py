"""Keys: where they come from, how they are kept, and that nothing ever shows one."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
import sys
import traceback
from pathlib import Path

import pytest
from luma_ray.nodes.generation import credentials as module
from luma_ray.nodes.generation.credentials import Credentials, Secret, missing, redact

VALUE = "luma-4f9c2d7e81a0b356"


@pytest.fixture
def keys(tmp_path) -> Credentials:
    return Credentials(tmp_path / "private")


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(module, "_known", set())
    monkeypatch.delenv("PAPER_KEY", raising=False)


# -- where keys come from -----------------------------------------------------------------------------------


def test_a_key_nobody_set_is_missing(keys):
    assert keys.get("PAPER_KEY") is None
    assert keys.source("PAPER_KEY") == "missing"
    assert keys.setting("PAPER_KEY") == ""
    assert missing(["PAPER_KEY", "OTHER"], keys) == ["PAPER_KEY", "OTHER"]


def test_a_saved_key_is_found_again(keys):
    keys.save("PAPER_KEY", f"  {VALUE}\n")
    again = Credentials(keys.path.parent)
    assert again.get("PAPER_KEY").reveal() == VALUE
    assert again.source("PAPER_KEY") == "saved"
    assert missing(["PAPER_KEY"], again) == []


def test_the_environment_comes_before_the_file(keys, monkeypatch):
    keys.save("PAPER_KEY", "the-saved-one-12345")
    monkeypatch.setenv("PAPER_KEY", f" {VALUE} ")
    assert keys.get("PAPER_KEY").reveal() == VALUE
    assert keys.source("PAPER_KEY") == "environment"


def test_an_empty_variable_does_not_hide_the_file(keys, monkeypatch):
    keys.save("PAPER_KEY", VALUE)
    monkeypatch.setenv("PAPER_KEY", "  ")
    assert keys.get("PAPER_KEY").reveal() == VALUE
    assert keys.source("PAPER_KEY") == "saved"


def test_saving_nothing_forgets_the_key_and_keeps_the_others(keys):
    keys.save("PAPER_KEY", VALUE)
    keys.save("OTHER", "another-one-12345")
    keys.save("PAPER_KEY", " ")
    assert keys.source("PAPER_KEY") == "missing"
    assert keys.setting("OTHER") == "another-one-12345"


def test_all_keys_are_found_or_none(keys):
    keys.save("PAPER_ID", "an-id-of-some-length")
    assert keys.find(["PAPER_ID", "PAPER_KEY"]) is None
    keys.save("PAPER_KEY", VALUE)
    assert keys.find(["PAPER_ID", "PAPER_KEY"])["PAPER_KEY"].reveal() == VALUE
    assert keys.find([]) == {}


# -- the file -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_readable_by_its_owner_only(keys):
    old = os.umask(0)
    try:
        keys.save("PAPER_KEY", VALUE)
    finally:
        os.umask(old)
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_key_is_not_readable_by_others_for_a_moment(keys, monkeypatch):
    modes = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda handle: (modes.append(stat.S_IMODE(os.fstat(handle).st_mode)), fsync(handle))
    )
    keys.save("PAPER_KEY", VALUE)
    assert modes == [0o600]


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(keys, monkeypatch):
    keys.save("PAPER_KEY", VALUE)

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        keys.save("PAPER_KEY", "another-one-12345")
    assert keys.get("PAPER_KEY").reveal() == VALUE
    assert [path.name for path in keys.path.parent.iterdir()] == ["keys.json"]


def test_the_old_file_is_there_until_the_new_one_is_whole(keys, monkeypatch):
    keys.save("PAPER_KEY", VALUE)
    seen = []
    replace = Path.replace

    def watched(self, target):
        seen.append((json.loads(Path(self).read_text())["PAPER_KEY"], keys.get("PAPER_KEY").reveal()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    keys.save("PAPER_KEY", "another-one-12345")
    assert seen == [("another-one-12345", VALUE)]


@pytest.mark.parametrize("content", ["{", "[]", "null", '"text"', "\x00", "{,}"])
def test_a_file_that_holds_no_keys_is_no_key_and_is_not_overwritten(keys, content):
    keys.path.parent.mkdir()
    keys.path.write_text(content)
    assert keys.get("PAPER_KEY") is None
    with pytest.raises(OSError, match="correct or delete it"):
        keys.save("PAPER_KEY", VALUE)
    assert keys.path.read_text() == content


def test_a_value_that_is_no_text_is_no_key(keys):
    keys.path.parent.mkdir()
    keys.path.write_text('{"PAPER_KEY": 5, "OTHER": "another-one-12345"}')
    assert keys.get("PAPER_KEY") is None
    assert keys.get("OTHER").reveal() == "another-one-12345"


def test_a_file_edited_with_windows_notepad_is_read(keys):
    keys.path.parent.mkdir()
    keys.path.write_text(json.dumps({"PAPER_KEY": VALUE}), encoding="utf-8-sig")
    assert keys.get("PAPER_KEY").reveal() == VALUE


# -- a secret cannot be printed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "show",
    [repr, str, ascii, "{}".format, "{!r:>40}".format, lambda s: f"{s}", lambda s: f"{s!s}",
     "{0!s}".format, lambda s: repr([s]), lambda s: repr({"key": s}), lambda s: json.dumps({"key": s}, default=str)],
)  # fmt: skip
def test_a_secret_shows_nothing_of_itself(show):
    shown = show(Secret(VALUE))
    assert "<Secret>" in shown
    assert VALUE not in shown


def test_a_secret_is_not_json():
    with pytest.raises(TypeError):
        json.dumps({"key": Secret(VALUE)})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_never_pickled(protocol):
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(Secret(VALUE), protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_secret_is_never_copied(duplicate):
    with pytest.raises(TypeError, match="never pickled"):
        duplicate(Secret(VALUE))


def test_a_secret_has_no_dictionary_to_look_into():
    with pytest.raises(TypeError):
        vars(Secret(VALUE))


def test_a_traceback_with_local_variables_shows_no_key():
    def uses(key: Secret) -> None:
        raise RuntimeError(f"failed with {key}")

    try:
        uses(Secret(VALUE))
    except RuntimeError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "key = <Secret>" in shown
    assert VALUE not in shown


def test_the_hint_tells_two_long_keys_apart_and_nothing_of_a_short_one():
    assert Secret(VALUE).hint == "...b356"
    assert Secret("short-key").hint == "..."


# -- redaction ----------------------------------------------------------------------------------------------


def test_a_key_that_was_read_is_cut_out_of_any_text(keys, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", VALUE)
    keys.get("PAPER_KEY")
    assert redact(f"server says {VALUE}, {VALUE}!") == "server says <key>, <key>!"


def test_a_key_that_begins_like_another_leaves_nothing_of_it_behind():
    Secret("luma-4f9c2d7e")
    Secret("luma-4f9c2d7e-and-the-rest")
    assert redact("a luma-4f9c2d7e-and-the-rest b") == "a <key> b"


def test_a_short_value_is_not_cut_out_of_everything():
    Secret("test")
    Secret("a")
    assert redact("a test of a text") == "a test of a text"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcDEF123+/=._-xyz",
        "authorization: bearer abc+def/ghi+jkl",
        "{'Authorization': 'Bearer abcdefghijkl1234'}",
        "Proxy-Authorization: Basic dXNlcjpwYXNz",
        "x-api-key: 0123456789abcdef",
        "api_key=0123456789abcdef",
        '"token": "0123456789abcdef"',
        "the key luma-0123-4567-89ab is wrong",
    ],
)
def test_what_looks_like_a_credential_is_cut_out(text):
    shown = redact(text)
    assert "<key>" in shown
    for part in ("abc", "dXNl", "0123", "89ab", "jkl"):
        assert part not in shown


@pytest.mark.parametrize(
    "text",
    [
        "save it with `luma-ray key LUMAAI_API_KEY` (kept in keys.json)",
        "Check that it is the key for this API and that it is still active.",
        "Invalid API key authentication failed, basic authentication too",
        "Two keyframes, key representation unimportant.",
        "Generation ray-261121-0123456789 is paid and kept.",
        "see https://docs.lumalabs.ai/docs/video-generation for more",
    ],
)
def test_sentences_for_people_stay_as_they_are(text):
    assert redact(text) == text


def test_the_query_of_a_url_is_cut_off():
    signed = "https://bucket.s3.amazonaws.com/a/b.png?X-Amz-Signature=abc&X-Amz-Credential=AKIA"
    assert redact(f"cannot read <{signed}>, sorry") == (
        "cannot read <https://bucket.s3.amazonaws.com/a/b.png?<cut>>, sorry"
    )
    assert redact("HTTPS://host/a#access_token=abc") == "HTTPS://host/a?<cut>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:password@host/a?x=1", "https://host/a?<cut>"),
        ("proxy http://user:password@10.0.0.1:3128 refused", "proxy http://10.0.0.1:3128 refused"),
        ("http://user:p@ss@host/", "http://host/"),
        ("postgresql+psycopg://ray:hunter2@db:5432/ray", "postgresql+psycopg://db:5432/ray"),
    ],
)
def test_names_and_passwords_are_cut_out_of_urls(text, shown):
    assert redact(text) == shown


def test_redaction_stands_another_thread_reading_a_key_meanwhile():
    class Watched(str):
        """Lets something happen while it is looked at."""

        __slots__ = ()

        def __len__(self) -> int:
            Secret("a-key-that-came-later")
            return super().__len__()

    Secret(Watched(VALUE))
    Secret("another-one-12345")
    assert redact(f"{VALUE} another-one-12345") == "<key> <key>"
