"""A scene sheet changed in one place: the rest stays as it was written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luma_ray.nodes.generation.errors import InvalidInput
from luma_ray.nodes.generation.ray import CONCEPTS
from luma_ray.nodes.revision import added, changed, moved, removed, revised
from luma_ray.nodes.sheet import Line, places, read

WALK = """# A walk by the sea

# in the morning
5 s | crane_up | a fox runs over the dunes
9s | Push In, low-angle | K1 > K2 | take 2 | the fox reaches the water,
    # not too wet
    and the tide comes in

loop | - | waves
# the end
"""


def test_one_field_is_changed_and_every_other_line_stays_as_it_was():
    now = changed(WALK, 1, "prompt", "a fox sleeps")
    assert now.text == WALK.replace("a fox runs over the dunes", "a fox sleeps")
    assert now.words == "Shot 1: new words."


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("seconds", 9, "9 s | crane_up | a fox runs over the dunes"),
        ("seconds", None, "crane_up | a fox runs over the dunes"),
        ("concepts", ["pov", "static"], "5 s | pov, static | a fox runs over the dunes"),
        ("concepts", [], "5 s | a fox runs over the dunes"),
        ("take", 3, "5 s | crane_up | take 3 | a fox runs over the dunes"),
        ("take", None, "5 s | crane_up | a fox runs over the dunes"),
        ("keyframes", [0, 2], "5 s | crane_up | K0 > K2 | a fox runs over the dunes"),
        ("keyframes", [None, None], "5 s | crane_up | - | a fox runs over the dunes"),
        ("loop", True, "5 s | crane_up | loop | a fox runs over the dunes"),
        ("prompt", "", "5 s | crane_up"),
        ("prompt", "  over\n two  lines ", "5 s | crane_up | over two lines"),
    ],
)
def test_a_field_takes_its_place_in_the_line(name, value, line):
    before = "5 s | crane_up | a fox runs over the dunes"
    assert changed(WALK, 1, name, value).text == WALK.replace(before, line)


def test_a_prompt_over_several_lines_is_replaced_and_the_remark_in_it_is_kept():
    now = changed(WALK, 2, "prompt", "it swims")
    assert "9s | Push In, low-angle | K1 > K2 | take 2 | it swims\n    # not too wet\n\nloop" in now.text


def test_a_prompt_that_stands_first_keeps_its_place():
    assert changed("a fox | 5 s", 1, "take", 2).text == "a fox | 5 s | take 2"
    assert changed("a fox", 1, "take", 2).text == "take 2 | a fox"


def test_the_first_line_of_a_shot_may_go():
    assert changed("a bear\n5 s |\n  a fox\n", 2, "seconds", None).text == "a bear\na fox\n"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("prompt", "a | b", "holds no |"),
        ("prompt", 5, "no value for the prompt"),
        ("seconds", 0, "no value for the seconds"),
        ("seconds", True, "no value for the seconds"),
        ("seconds", "5", "no value for the seconds"),
        ("take", 0, "no value for the take"),
        ("take", 10_000, "no value for the take"),
        ("concepts", ["fly"], "no value for the concepts"),
        ("keyframes", [0], "no value for the keyframes"),
        ("keyframes", [0, 99], "no value for the keyframes"),
        ("keyframes", [True, None], "no value for the keyframes"),
        ("loop", "yes", "no value for the loop"),
        ("text", "x", "no value for the text"),
    ],
)
def test_what_is_no_value_of_a_field_is_refused(name, value, words):
    with pytest.raises(InvalidInput) as told:
        changed(WALK, 1, name, value)
    assert words in str(told.value)
    assert str(told.value).endswith("Nothing was changed.")


@pytest.mark.parametrize("words", ["# a bear", "push_in", "take 3", "pov"])
def test_a_prompt_that_looks_like_something_else_is_written_so_that_it_stays_a_prompt(words):
    now = changed("a fox\na bear", 2, "prompt", words)
    assert now.text == f"a fox\n\\{words}"
    assert [line.prompt for line in read(now.text)] == ["a fox", words]


def test_the_only_word_of_a_shot_is_not_taken_away():
    with pytest.raises(InvalidInput, match="remove the shot"):
        changed("5 s\na fox", 1, "seconds", None)


def test_a_shot_moves_with_the_remark_above_it_and_the_title_stays():
    now = moved(WALK, 1, 3)
    assert now.text == (
        "# A walk by the sea\n\n"
        "9s | Push In, low-angle | K1 > K2 | take 2 | the fox reaches the water,\n"
        "    # not too wet\n    and the tide comes in\n"
        "loop | - | waves\n\n"
        "# in the morning\n5 s | crane_up | a fox runs over the dunes\n"
        "# the end\n"
    )
    assert (now.shot, now.words) == (3, "Shot 1 is shot 3 now.")


def test_a_remark_at_the_head_is_the_sheets():
    assert moved("# title\none\ntwo", 2, 1).text == "# title\ntwo\none"


def test_a_shot_that_comes_first_keeps_its_remark():
    now = moved("# title\none\n# of two\ntwo", 2, 1).text
    assert now == "# title\n\n# of two\ntwo\none"
    assert moved(now, 1, 2).text == "# title\n\none\n# of two\ntwo"
    assert removed("# title\none\n# of two\ntwo", 1).text == "# title\n\n# of two\ntwo"


def test_a_shot_that_moves_keeps_its_pictures():
    now = moved("one\ntwo\nthree", 3, 1, [0, 1, 2, 3])
    assert now.text == "K2 > K3 | three\nK0 > K1 | one\nK1 > K2 | two"
    assert now.words == "Shot 3 is shot 1 now. Its pictures go with it."


def test_a_shot_that_goes_leaves_its_remarks_and_the_pictures_of_the_others():
    now = removed(WALK, 2)
    assert now.text == WALK.replace(
        "9s | Push In, low-angle | K1 > K2 | take 2 | the fox reaches the water,\n", ""
    ).replace("    and the tide comes in\n", "")
    assert removed("one\ntwo\nthree", 1, [0, 1, 2, 3]).text == "K1 > K2 | two\nK2 > K3 | three"
    with pytest.raises(InvalidInput, match="the only shot"):
        removed("one", 1)


def test_a_new_shot_is_as_long_as_the_one_before_and_begins_where_that_one_ends():
    assert added("9 s | one\ntwo", 1, 5).text == "9 s | one\n9 s\ntwo"
    assert added("one\ntwo", 1, 5, [0, 1, 2]).text == "one\n5 s | K1\nK1 > K2 | two"
    assert added("one\ntwo", 2, 5, [0, 1, 2]).text == "one\ntwo\n5 s"
    assert added("one", 0, 5, [0, 1]).text == "5 s | -\nK0 > K1 | one"
    with pytest.raises(InvalidInput, match="24 shots at most"):
        added("a fox\n" * 24, 1, 5)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"change": "burn", "shot": 1},
        {"change": "field", "shot": "1", "name": "take", "value": 1},
        {"change": "field", "shot": True, "name": "take", "value": 1},
        {"change": "move", "shot": 1, "to": 9},
        {"change": "move", "shot": 0, "to": 1},
        {"change": "remove", "shot": 9},
        {"change": "add", "after": 9, "seconds": 5},
        {"change": "add", "after": -1, "seconds": 5},
        {"change": "add", "after": 1},
    ],
)
def test_what_is_no_change_is_refused(told):
    with pytest.raises(InvalidInput, match="Nothing was changed"):
        revised("one\ntwo", told)


# -- whatever a sheet looks like ------------------------------------------------------------------------------

FIELDS = st.sampled_from(
    ["5 s", "9s", "take 2", "K0 > K1", "K2", "> K1", "-", "loop", "push_in", "pov, static"]
)
WORDS = st.from_regex(r"[a-z][a-z ,.#]{0,12}[a-z]", fullmatch=True).filter(lambda words: words != "loop")
SPACE = st.sampled_from(["", " ", "  ", "\t"])


@st.composite
def sheets(draw):
    """A sheet as somebody may have written it: remarks, empty lines, shots over several lines."""
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        lines += draw(st.lists(st.sampled_from(["", "# a remark", "  # another", "   "]), max_size=3))
        fields = draw(st.lists(FIELDS, max_size=3, unique_by=lambda field: field[:1] in "K>-" or field[-1]))
        fields.insert(draw(st.integers(0, len(fields))), draw(WORDS))
        bars = [draw(SPACE) + "|" + draw(SPACE) for _ in fields]
        text = "".join(f"{field}{bar}" for field, bar in zip(fields, bars, strict=True))
        if draw(st.booleans()):
            text = text.replace(" ", draw(st.sampled_from(["\n ", "\n # within\n  ", "\n\n\t"])), 1)
        lines.append((draw(SPACE) if not any(each.strip(" \t#arenmkoh") for each in lines) else "") + text)
    lines += draw(st.lists(st.sampled_from(["", "# the end"]), max_size=2))
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n"]))
    try:
        read(text)
    except InvalidInput:
        return "one\ntwo"
    return text


def remarks(text):
    return sorted(line.strip() for line in text.splitlines() if line.strip().startswith("#"))


VALUES = st.one_of(
    st.tuples(st.just("prompt"), WORDS),
    st.tuples(st.just("prompt"), st.just("")),
    st.tuples(st.just("seconds"), st.none() | st.integers(1, 60)),
    st.tuples(st.just("take"), st.none() | st.integers(1, 9999)),
    st.tuples(st.just("loop"), st.booleans()),
    st.tuples(st.just("concepts"), st.lists(st.sampled_from(CONCEPTS), unique=True, max_size=3).map(tuple)),
    st.tuples(
        st.just("keyframes"),
        st.none() | st.tuples(st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)),
    ),
)


@given(sheets(), VALUES, st.data())
def test_a_changed_field_says_what_was_asked_and_nothing_else_changes(text, change, data):
    lines, (name, value) = read(text), change
    shot = data.draw(st.integers(1, len(lines)))
    try:
        now = changed(text, shot, name, value)
    except InvalidInput as error:
        # Words that would be a remark or another field; or nothing would be left.
        assert "read as something else" in str(error) or "remove the shot" in str(error)  # noqa: PT017
        return
    wanted = list(lines)
    wanted[shot - 1] = replace(lines[shot - 1], **{name: value})
    assert read(now.text) == tuple(wanted)
    assert remarks(now.text) == remarks(text)


@given(sheets(), st.data(), st.lists(st.integers(0, 6), unique=True).map(sorted))
def test_shots_that_move_come_and_go_say_what_they_said(text, data, known):
    lines = read(text)
    known = sorted({*known, *(each for line in lines for each in line.keyframes or () if each is not None)})
    pictures = places(lines, known)
    shot, to = (data.draw(st.integers(1, len(lines))) for _ in range(2))
    order = list(range(len(lines)))
    order.insert(to - 1, order.pop(shot - 1))

    def same(there, numbers):
        for line, number in zip(there, numbers, strict=True):
            assert replace(line, keyframes=None) == replace(lines[number], keyframes=None)
        assert places(there, known) == [pictures[number] for number in numbers]

    now = moved(text, shot, to, known)
    same(read(now.text), order)
    assert remarks(now.text) == remarks(text)
    if len(lines) > 1:
        now = removed(text, shot, known)
        same(read(now.text), [number for number in range(len(lines)) if number != shot - 1])
        assert remarks(now.text) == remarks(text)
    now = added(text, to - 1, 5, known)
    there = list(read(now.text))
    assert there.pop(to - 1).prompt == ""
    assert remarks(now.text) == remarks(text)
    assert len(there) == len(lines)


def test_moving_a_shot_there_and_back_without_pictures_gives_the_same_text():
    for shot in (1, 2, 3):
        for to in (1, 2, 3):
            assert moved(moved(WALK, shot, to).text, to, shot).text == WALK
    assert read(WALK)[2] == Line(prompt="waves", keyframes=(None, None), loop=True)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("K1 > K0 | a bear", "keyframes", None),
        ("7 s | a bear", "seconds", None),
        ("take 2 | a bear", "take", None),
        ("push_in | a bear", "concepts", []),
        ("loop | a bear", "loop", False),
    ],
)
def test_a_field_is_taken_away(line, name, value):
    assert changed(f"{line}\na fox", 1, name, value).text == "a bear\na fox"
