"""Finished clips on disk: under names that say what they are, inside one folder, whole."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.library import Library
from luma_ray.nodes.generation.records import Entry


@pytest.fixture
def library(tmp_path) -> Library:
    return Library(tmp_path / "clips")


@pytest.fixture
def entry(tmp_path) -> Entry:
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}", now=lambda: 1_800_000_000.0)
    return journal.claim(text(), provider="paper", local=False, estimate_usd=None)[0]


def put(library: Library, name: str, content: bytes = b"clip") -> Path:
    with library.arriving(name) as arriving:
        arriving.write_bytes(content)
        return library.keep(arriving, name)


def test_a_name_tells_month_day_model_and_id(library, entry):
    named = library.name(replace(entry, id="ray-270115-abc"))
    assert named == "2027-01/2027-01-15_ray-flash-2_ray-270115-abc.mp4"


@pytest.mark.parametrize("model", ["../../etc/passwd", "Ray 2", "ray/2", "räy\0", "con:2"])
def test_a_model_never_names_a_folder(library, entry, model):
    name = library.name(replace(entry, model=model))
    assert Path(name).parent == Path("2027-01")
    assert put(library, name).is_file()


def test_a_kept_clip_is_found_again(library, entry):
    path = put(library, library.name(entry))
    assert library.find(replace(entry, clip=library.name(entry))) == path
    assert path.read_bytes() == b"clip"


def test_a_clip_that_is_not_there_is_not_found(library, entry):
    assert library.find(entry) is None
    assert library.find(replace(entry, clip="2027-01/gone.mp4")) is None


def test_a_folder_is_no_clip(library, entry):
    (library.folder / "a.mp4").mkdir(parents=True)
    assert library.find(replace(entry, clip="a.mp4")) is None


def test_nothing_is_found_under_the_final_name_before_it_is_kept(library, entry):
    with library.arriving("a.mp4") as arriving:
        arriving.write_bytes(b"half a cl")
        assert library.find(replace(entry, clip="a.mp4")) is None
        assert arriving.parent == library.folder.resolve()
        assert arriving.name.startswith(".arriving-")


def test_what_is_left_of_a_failure_is_removed(library):
    def broken_off() -> None:
        with library.arriving("2027-01/a.mp4") as arriving:
            arriving.write_bytes(b"half a cl")
            raise errors.DownloadFailed("broke off")

    with pytest.raises(errors.DownloadFailed):
        broken_off()
    assert [path for path in library.folder.rglob("*") if path.is_file()] == []


def test_two_arrivals_of_the_same_clip_do_not_meet(library):
    with library.arriving("a.mp4") as one, library.arriving("a.mp4") as other:
        assert one != other
        one.write_bytes(b"one")
        other.write_bytes(b"other")
        library.keep(one, "a.mp4")
        path = library.keep(other, "a.mp4")
    assert path.read_bytes() == b"other"
    assert [path.name for path in library.folder.iterdir()] == ["a.mp4"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_clip_is_readable_like_any_other_output(library):
    assert stat.S_IMODE(put(library, "a.mp4").stat().st_mode) == 0o644


def test_the_bytes_are_on_disk_before_the_name_is(library, monkeypatch):
    order = []
    fsync, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("sync"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("name"), rename(self, to)))
    put(library, "a.mp4")
    assert order[:2] == ["sync", "name"]


def test_a_drive_that_cannot_sync_a_folder_keeps_the_clip_all_the_same(library, monkeypatch):
    fsync = os.fsync

    def picky(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", picky)
    assert put(library, "a.mp4").read_bytes() == b"clip"


@pytest.mark.parametrize(
    "name",
    ["../a.mp4", "../../etc/passwd", "/etc/passwd", "a/../../b.mp4", "{outside}/a.mp4", "../clips-2/a.mp4"],
)
def test_no_name_leads_out_of_the_folder(library, entry, tmp_path, name):
    name = name.format(outside=tmp_path)
    with pytest.raises(errors.InvalidInput, match="out of the library"), library.arriving(name):
        pass
    with pytest.raises(errors.InvalidInput, match="out of the library"):
        library.find(replace(entry, clip=name))
    (tmp_path / "clip.mp4").write_bytes(b"clip")
    with pytest.raises(errors.InvalidInput, match="out of the library"):
        library.keep(tmp_path / "clip.mp4", name)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_that_leads_out_of_the_folder_is_not_followed(library, entry, tmp_path):
    library.folder.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (library.folder / "a.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(errors.InvalidInput):
        library.find(replace(entry, clip="a.mp4"))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_the_folder_itself_may_be_a_link(tmp_path, entry):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "clips").symlink_to(tmp_path / "big disk")
    library = Library(tmp_path / "clips")
    put(library, "2027-01/a.mp4")
    assert library.find(replace(entry, clip="2027-01/a.mp4")).read_bytes() == b"clip"


@pytest.mark.parametrize("name", ["füchse 🦊/雪.mp4", "with space/a b.mp4", "100%/a#b?.mp4"])
def test_any_letters_may_stand_in_a_name(tmp_path, entry, name):
    library = Library(tmp_path / "ausgänge 🎬")
    put(library, name)
    assert library.find(replace(entry, clip=name)).is_file()
