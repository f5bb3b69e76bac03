"""Scenes as text: one line a shot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luma_ray.nodes.generation.errors import InvalidInput
from luma_ray.nodes.generation.ray import CONCEPTS
from luma_ray.nodes.sheet import MOST_SHOTS, Line, idle, places, read, written

WALK = """
# A walk by the sea
5 s | crane_up | a fox runs over the dunes
9s | Push In, low-angle | K1 > K2 | take 2 | the fox reaches the water,
    and the tide comes in

loop | - | waves
"""


def test_a_sheet_is_read_line_by_line():
    assert read(WALK) == (
        Line(prompt="a fox runs over the dunes", seconds=5, concepts=("crane_up",)),
        Line(
            prompt="the fox reaches the water, and the tide comes in",
            seconds=9,
            concepts=("push_in", "low_angle"),
            keyframes=(1, 2),
            take=2,
        ),
        Line(prompt="waves", keyframes=(None, None), loop=True),
    )


@pytest.mark.parametrize(
    ("field", "keyframes"),
    [
        ("K0 > K1", (0, 1)),
        ("k3>k12", (3, 12)),
        ("K2 -> K0", (2, 0)),
        ("K4", (4, None)),
        ("K4 >", (4, None)),
        ("> K5", (None, 5)),
        ("-", (None, None)),
        ("text", (None, None)),
    ],
)
def test_keyframes_are_named_by_their_numbers(field, keyframes):
    assert read(f"a fox | {field}")[0].keyframes == keyframes


@pytest.mark.parametrize("words", ["K2", "take 3", "5 s", "pov"])
def test_a_prompt_may_hold_such_words_among_others(words):
    assert read(f"a fox, {words} and snow") == (Line(prompt=f"a fox, {words} and snow"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("# nothing but a remark\n\n", "is empty"),
        ("a fox | 5 s | 9 s", "Line 1 of the scene sheet has two lengths"),
        ("a fox\na bear | push_in | pan_left", "Line 2 of the scene sheet has two camera fields"),
        ("a fox | in the snow", "two prompts: a prompt holds no |"),
        ("a fox | push-inn", "two prompts"),
        ("a fox | take 1 | take 2", "two takes"),
        ("a fox | take 0", "counted from 1"),
        ("a fox | K0 > K1 | -", "two keyframes fields"),
        ("a fox\n" * (MOST_SHOTS + 1), f"{MOST_SHOTS} are the most"),
    ],
)
def test_what_is_no_sheet_is_refused_with_its_line(text, words):
    with pytest.raises(InvalidInput) as told:
        read(text)
    assert words in str(told.value)
    assert str(told.value).endswith("Nothing was billed.")


WORDS = ["pov", "loop", "5 s", "take 2", "K1 > K2", "K3", "-", "text", "#1 of 3", "a | b", "\\", "\\|", "\\n"]
TOLD = ["push in, low-angle", "9s", "a\nb", "a\r\n  b", "take 0", "|", "||", "\\\\", "a\\", "\\pov", "#", "K"]
PROMPTS = st.one_of(
    st.sampled_from([*WORDS, *TOLD]),
    st.text(st.sampled_from("ak |\\#\n\r->K1s52,\u2028\x0b"), max_size=12),
    st.text(max_size=40),
).map(str.strip)
LINES = st.builds(
    Line,
    prompt=PROMPTS,
    seconds=st.none() | st.integers(1, 99),
    concepts=st.lists(st.sampled_from(CONCEPTS), unique=True, max_size=3).map(tuple),
    keyframes=st.none() | st.tuples(st.none() | st.integers(0, 99), st.none() | st.integers(0, 99)),
    take=st.none() | st.integers(1, 9999),
    loop=st.booleans(),
)


@given(st.lists(LINES, min_size=1, max_size=MOST_SHOTS))
def test_what_is_written_is_read_again(lines):
    assert read(written(lines)) == tuple(lines)


@pytest.mark.parametrize("words", [*WORDS, *TOLD])
def test_a_prompt_stays_a_prompt_whatever_it_says(words):
    line = Line(prompt=words, seconds=5, take=2)
    assert read(line.text) == (line,)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (r"5 s | \pov", "pov"),
        (r"\#1 in the row", "#1 in the row"),
        (r"\a \| b \\ c", r"a | b \ c"),
        (r"a \ b", r"a \ b"),
        (r"the path C:\new", r"the path C:\new"),
        ('"a fox"', '"a fox"'),
    ],
)
def test_a_backslash_before_a_field_makes_it_the_prompt(text, prompt):
    assert read(text)[0].prompt == prompt


def test_shots_go_from_one_picture_to_the_next():
    lines = read("one\ntwo\nthree")
    assert places(lines, [0, 1, 2, 3]) == [(0, 1), (1, 2), (2, 3)]
    assert places(lines, [0, 1, 2]) == [(0, 1), (1, 2), (2, None)]
    assert places(lines, [1]) == [(None, 1), (1, None), (None, None)]
    assert places(lines, []) == [(None, None)] * 3


def test_a_line_chooses_its_pictures_itself():
    lines = read("one | K2 > K0\ntwo | -\nthree")
    assert places(lines, [0, 1, 2, 3]) == [(2, 0), (None, None), (2, 3)]
    assert idle(lines, [0, 1, 2, 3]) == [1]


def test_a_picture_that_is_not_connected_is_refused_with_those_that_are():
    with pytest.raises(InvalidInput, match=r"Shot 2 asks for K4, and the connected keyframes are: K0, K1\."):
        places(read("one\ntwo | K1 > K4"), [0, 1])
