"""The bench: every part runs, on sizes that say nothing, and becomes tables. What it measures is not tested."""

from __future__ import annotations

import json
import sys
import tempfile

import comfy_host
import pytest
from bench import quotes, report, running, trial
from bench.parts import PARTS
from bench.plan import Bench, Column, Part, Skip, Trial, times

ROWS = [
    {"group": "g", "name": "ours", "values": {"wall": [1.0, 2.0, 4.0], "memory": [30.0], "output": [20.0]}},
    {"group": "g", "name": "theirs", "values": {"wall": [3.0, 4.0, 40.0]}},
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(folder=tmp_path_factory.mktemp("bench"), tiny=True)


@pytest.fixture(autouse=True)
def _no_stand_in_stays(monkeypatch):
    """A trial has a process of its own, and leaves what it loaded; here that would be in the way of others."""
    hosts, install = [], comfy_host.install
    monkeypatch.setattr(comfy_host, "install", lambda *given: hosts.append(install(*given)) or hosts[-1])
    yield
    for host in hosts:
        if sys.modules.get("server") is host._modules["server"]:
            host.close()


def table(columns, rows=ROWS, skipped=()):
    part = Part(name="p", title="P", about="", columns=columns, plan=lambda bench: [])
    return "\n".join(report.tables(part, {"rows": rows, "skipped": list(skipped)})).splitlines()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_each_way_of_a_part_works_and_fills_its_columns(part, bench, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    planned = list(part.plan(bench))
    ways = {(one.way, *one.options): one for one in reversed(planned) if isinstance(one, Trial)}
    rows, skipped = [], []
    for one in ways.values():
        try:
            found = trial.measured(one.way, json.loads(json.dumps(dict(one.options))), 1)
        except trial.Unavailable as reason:
            skipped.append({"group": one.group, "name": one.name, "why": str(reason)})
            continue
        rows += [
            {"group": one.group, "name": name or one.name, "values": some} for name, some in found.items()
        ]
    told = "\n".join(report.tables(part, {"rows": rows, "skipped": skipped}))
    assert rows
    assert all(row["name"] in told for row in rows)
    heads = {column.header for column in part.columns if not column.against}
    assert {head for head in heads if f" {head} |" not in told} == set()


def test_a_trial_runs_in_a_process_of_its_own_and_tells_seconds_and_bytes():
    found = running.once(
        Trial(way="bench.loading:writing", name="write", options={"shape": [4, 5, 3]}, repeats=2)
    )
    assert {measure: len(values) for measure, values in found[""].items()} == {
        "wall": 2,
        "cpu": 2,
        "output": 2,
        **({"memory": 2} if "memory" in found[""] else {}),
    }
    assert found[""]["output"] == [4 * 5 * 3 * 4.0] * 2


def test_what_cannot_be_measured_here_says_why():
    assert (
        running.once(Trial(way="bench.loading:opencv", name="x", python="/no/python"))
        == "there is no /no/python"
    )
    assert "GB are free" in running.once(Trial(way="bench.loading:opencv", name="x", needs=1e15))
    assert running.once(Trial(way="bench.nowhere:way", name="x")) == "No module named 'bench.nowhere'"


def test_a_way_that_breaks_is_an_error_and_no_figure(capsys):
    with pytest.raises(running.Broken, match="no_way"):
        running.once(Trial(way="bench.loading:no_way", name="x"))
    assert "AttributeError" in capsys.readouterr().err


def test_trials_take_turns_and_those_that_are_skipped_are_named(monkeypatch, bench):
    ran = []

    def once(trial, folder):
        ran.append(trial.name)
        return "no wheel" if trial.name == "c" else {"": {"wall": [float(len(ran))]}}

    monkeypatch.setattr(running, "once", once)
    planned = [
        Trial(way="", name="a"),
        Trial(way="", name="b", rounds=1),
        Trial(way="", name="c"),
        Skip(name="d", why="no checkout"),
    ]
    part = Part(name="p", title="P", about="", columns=times(), plan=lambda bench: planned, rounds=3)
    said = []
    told = running.run(part, Bench(folder=bench.folder), said.append)
    assert ran == ["a", "b", "c", "a", "a"]
    assert {row["name"]: len(row["values"]["wall"]) for row in told["rows"]} == {"a": 3, "b": 1}
    assert [(one["name"], one["why"]) for one in told["skipped"]] == [("d", "no checkout"), ("c", "no wheel")]
    assert "p: skipped d: no checkout" in said


def test_a_table_shows_least_middle_most_and_ratios_of_the_same_round():
    columns = (*times(), Column("of ours", "wall", against="ours"), Column("memory", "memory", over="output"))
    assert table(columns) == [
        "| g | min | median, s | max | of ours | memory |",
        "| --- | --- | --- | --- | --- | --- |",
        "| ours | 1.00 | 2.00 | 4.00 | 1.00 | 1.50 |",
        "| theirs | 3.00 | 4.00 | 40.00 | 3.00 | - |",
    ]


def test_a_table_names_what_was_skipped_once():
    skipped = [{"group": group, "name": "x", "why": "no wheel"} for group in ("g", "h")]
    assert table(times(), skipped=skipped)[-1] == "Skipped: x (no wheel)."


def test_figures_are_kept_short_and_whole():
    many = [float(number) for number in range(1001)]
    row = {"group": "", "name": "n", "values": {"wall": [1.23456789], "late": many}}
    told = {"date": "today", "parts": {"p": {"rounds": 1, "rows": [row], "skipped": []}}}
    text = report.kept(told)
    kept = json.loads(text)["parts"]["p"]["rows"][0]["values"]
    assert kept["wall"] == [1.2346]
    assert (kept["late"][0], kept["late"][50], kept["late"][-1], len(kept["late"])) == (0, 500, 1000, 101)
    assert len(text.splitlines()) < 20


def test_the_readme_quotes_only_what_was_measured():
    told = {"parts": {"frames": {"rows": []}}}
    assert list(quotes.rows(told)) == []
    rows = [
        {"group": "720p, 5 s, one keyframe", "name": name, "values": {"wall": [wall]}}
        for name, wall in (("**Luma Ray**", 0.5), ("all frames, then the last", 6.0))
    ]
    assert list(quotes.rows({"parts": {"frames": {"rows": rows}}})) == [
        (
            "the last frame alone, 720p, 5 s, one keyframe",
            "0.50 s",
            "all frames, then the last: 12 times as long",
        )
    ]
