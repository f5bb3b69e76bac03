"""A key in a prompt is found before anything is sent; a prompt that only sounds like one is none."""

from __future__ import annotations

import base64
import json
import random
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import comfy_host
import pytest
from fakes import Desk
from fakes import text as words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from luma_ray.nodes.generation import credentials as module
from luma_ray.nodes.generation.credentials import Credentials, redact
from luma_ray.nodes.generation.errors import InvalidInput
from luma_ray.nodes.generation.hosting import WebHosting
from luma_ray.nodes.generation.tripwire import check, found
from luma_ray.nodes.hosting import HOSTS
from luma_ray.nodes.providers import PROVIDERS

PROMPTS = (Path(__file__).parent / "prompts.txt").read_text(encoding="utf-8").splitlines()
AMAZON = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK")
NAMES = sorted(
    {name for provider in PROVIDERS for name in provider.secrets}
    | {name for host in HOSTS if isinstance(host, WebHosting) for name in host.settings}
    | set(AMAZON)
)
"""Every name of a key that a provider or a place for pictures has."""


def made_up(name: str) -> str:
    """A key for the service called *name*, without anything that would give it away by its shape."""
    rng = random.Random(name)  # noqa: S311 - the same in every run
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(rng.choice(letters) for _ in range(40))


KEYS = {name: made_up(name) for name in NAMES}
KEY = KEYS["LUMAAI_API_KEY"]


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(module, "_known", set())


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Credentials:
    """Half of the keys in the environment, the others in the file."""
    keys = Credentials(tmp_path)
    keys.path.write_text(json.dumps({name: KEYS[name] for name in NAMES[::2]}))
    for name in NAMES[1::2]:
        monkeypatch.setenv(name, KEYS[name])
    return keys


@pytest.fixture
def nobody(tmp_path) -> Credentials:
    return Credentials(tmp_path)


# -- prompts that are prompts ---------------------------------------------------------------------------------------


def test_there_are_two_hundred_prompts_and_no_two_alike():
    assert len(set(PROMPTS)) == len(PROMPTS) >= 200


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_is_no_key(machine, prompt):
    assert found(prompt, machine) == ""


def test_all_prompts_together_are_no_key(machine):
    for apart in ("\n", " ", ", ", ""):
        assert found(apart.join(PROMPTS), machine) == ""


@pytest.mark.parametrize(
    "id",
    [
        "ray-261121-0123456789",
        "9f0c2a4e-4b1d-4c3e-8f5a-6b7c8d9e0f1a",
        "gm3qorzdhgbfurvjtvhg6dckhu",
        "arn:aws:bedrock:us-west-2:123456789012:async-invoke/k3j9x0a1b2c3",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479:luma/ray-2",
        "gen_01JBXK5Z9QW8R7T6Y5U4I3O2P1",
        "video_68e7512d4a0c8190a8d1e1b0f2a3c4d5",
        "task-0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "req_011CQhZ1a2b3c4d5e6f7g8h9",
        "https://replicate.com/p/gm3qorzdhgbfurvjtvhg6dckhu",
    ],
)
def test_the_id_of_a_job_is_no_key(machine, id):
    assert found(id, machine) == ""


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(categories=["Ll", "Lu", "Nd", "Zs", "Po"]), max_size=12), max_size=30))
def test_words_are_no_key(machine, words):
    assert found(" ".join(words), machine) == ""


# -- keys of this machine -------------------------------------------------------------------------------------------


def in_code(text: str, form: str) -> str:
    return "".join(form % ord(letter) for letter in text)


WAYS = {
    "as it is": lambda key: key,
    "in a sentence": lambda key: f"a fox in the snow {key}, golden hour",
    "without a space around": lambda key: f"fox{key}snow",
    "in quotation marks": lambda key: f'"{key}"',
    "in capitals": str.upper,
    "in small letters": str.lower,
    "with spaces": " ".join,
    "with line breaks": "\n".join,
    "with Windows' line breaks": "\r\n  ".join,
    "with tabs": "\t".join,
    "with dashes": "-".join,
    "in lines of ten": lambda key: "\n".join(key[at : at + 10] for at in range(0, len(key), 10)),
    "in groups of four": lambda key: " ".join(key[at : at + 4] for at in range(0, len(key), 4)),
    "with zero-width spaces": "\u200b".join,
    "with soft hyphens": "\u00ad".join,
    "with marks of direction": "\u202e".join,
    "in full-width letters": lambda key: "".join(chr(ord(letter) + 0xFEE0) for letter in key),
    "percent-encoded": lambda key: in_code(key, "%%%02x"),
    "percent-encoded twice": lambda key: quote(in_code(key, "%%%02X")),
    "in an address": lambda key: f"https://a.test/b?key={quote(key)}&c=d",
    "in HTML": lambda key: in_code(key, "&#%d;"),
    "in JSON": lambda key: json.dumps({"key": key}),
    "as a program's escapes": lambda key: in_code(key, "\\u%04x"),
    "as short escapes": lambda key: in_code(key, "\\x%02x"),
    "in hexadecimal": lambda key: key.encode().hex(),
    "in hexadecimal, apart": lambda key: key.encode().hex(" "),
    "in hexadecimal capitals": lambda key: key.encode().hex().upper(),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "in base64 for addresses": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "in base64 lines": lambda key: base64.encodebytes(f"some words before it: {key}".encode()).decode(),
    "in base64 with a name": lambda key: base64.b64encode(f"a:{key}".encode()).decode(),
    "in base64 with another name": lambda key: base64.b64encode(f"me:{key}:x".encode()).decode(),
    "its first half": lambda key: key[:20],
    "its second half": lambda key: key[20:],
    "its middle": lambda key: key[9:31],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_key_of_this_machine_is_found_however_it_is_written(machine, way):
    for name in NAMES:
        assert found(way(KEYS[name]), machine).startswith(f"a key of this machine ({name})")


@pytest.mark.parametrize("name", NAMES)
def test_every_key_that_a_service_uses_is_known_by_its_name(nobody, monkeypatch, name):
    monkeypatch.setenv(name, KEYS[name])
    assert nobody.secrets()[name].reveal() == KEYS[name]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200), st.text(max_size=200))
def test_it_is_found_between_any_words(machine, before, after):
    assert found(f"{before} {KEY} {after}", machine)


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        (
            "LUMA_RAY_DATABASE_URL",
            "postgresql+psycopg://ray:hunter2-hunter3@db:5432/ray",
            "x hunter2-hunter3 y",
        ),
        ("HTTPS_PROXY", "http://me:p%40ssw0rd-4711@proxy:3128", "p@ssw0rd-4711"),
        ("OPENAI_API_KEY", "0123456789-abcdefghij", "0123456789-abcdefghij"),
        ("HF_TOKEN", "a1b2c3d4e5f6", "a1b2c3d4e5f6"),
        ("STUDIO_PASSWORD", "correct1horse", "the sign says correct1horse"),
    ],
)
def test_passwords_and_keys_of_other_programs_are_found_too(nobody, monkeypatch, variable, value, text):
    monkeypatch.setenv(variable, value)
    assert found(text, nobody) == f"a key of this machine ({variable})"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LUMA_RAY_S3_BUCKET", "fox-in-the-snow-2026"),
        ("LUMA_RAY_BEDROCK_OUTPUT", "s3://fox-in-the-snow-2026/clips"),
        ("AWS_DEFAULT_REGION", "fox-in-the-snow-2026"),
        ("AWS_PROFILE", "fox-in-the-snow-2026"),
        ("KEYBOARD_LAYOUT", "fox-in-the-snow-2026"),
        ("MONKEY", "fox-in-the-snow-2026"),
        ("GOOGLE_CREDENTIALS", "/home/me/fox-in-the-snow-2026.json"),
        ("USE_TOKEN", "disabled"),
        ("A_SECRET", "a fox in the snow, 2026"),
        ("SOME_KEY", "fox1"),
        ("SOME_KEY", ""),
    ],
)
def test_what_is_no_key_may_stand_in_a_prompt(nobody, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert found(f"fox-in-the-snow-2026 {value} disabled a fox in the snow, 2026 fox1", nobody) == ""


def test_a_key_file_that_cannot_be_read_stops_nobody(nobody):
    nobody.path.write_text("{")
    assert found("a fox", nobody) == ""


# -- keys of anybody ------------------------------------------------------------------------------------------------

HEX = "3f9a1c7be05d482690fd1b3c7a8e6f24"
SHAPED = {
    "fal.ai": f"5f1ab7c0-1234-4abc-9def-000000000001:{HEX}",
    "Replicate": "r8_" + made_up("replicate")[:37],
    "Comfy": f"comfyui-{HEX}{HEX}",
    "Luma": f"luma-{uuid.uuid5(uuid.NAMESPACE_DNS, 'luma')}",
    "Luma, its current API": f"luma-api-{uuid.uuid5(uuid.NAMESPACE_DNS, 'agents')}-{HEX}",
    "WaveSpeedAI": f"wsk_{made_up('wavespeed')}",
    "OpenAI": f"sk-proj-{made_up('openai')}",
    "OpenAI, older": f"sk-{made_up('older')}",
    "Anthropic": f"sk-ant-api03-{made_up('anthropic')}-AA",
    "ElevenLabs": f"sk_{HEX}{HEX[:16]}",
    "Stripe": f"sk_live_{made_up('stripe')[:24]}",
    "Runway": f"key_{HEX}{HEX}",
    "Groq": f"gsk_{made_up('groq')}",
    "xAI": f"xai-{made_up('xai')}",
    "Amazon": "AKIAIOSFODNN7EXAMPLE",
    "Amazon, for a while": "ASIA2W7XKQ5MZ4TLPB3C",
    "Amazon's secret": "aws_secret_access_key = wJ4lrXUt9FEMI/K7MDENG/bPx2fiCYzEX8MPLEKEY",
    "Bedrock": "ABSK" + base64.b64encode(made_up("bedrock").encode()).decode(),
    "GitHub": f"ghp_{made_up('github')[:36]}",
    "GitHub, fine": f"github_pat_{made_up('a')[:22]}_{made_up('b')}",
    "GitLab": f"glpat-{made_up('gitlab')[:20]}1",
    "Hugging Face": "hf_" + "".join(letter for letter in made_up("hf") * 2 if letter.isalpha())[:34],
    "Google": f"AIza{made_up('google')[:35]}",
    "Google, OAuth": f"ya29.{made_up('oauth')}",
    "Slack": f"xoxb-123456789012-1234567890123-{made_up('slack')[:24]}",
    "npm": f"npm_{made_up('npm')[:36]}",
    "a JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "a private key of OpenSSH": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "Bearer": f"Authorization: Bearer {made_up('bearer')}",
    "Basic": f"authorization: basic {base64.b64encode(b'me:' + made_up('basic').encode()).decode()}",
    "fal's header": f"Authorization: Key {HEX}",
    "a signed link": f"https://b.s3.amazonaws.com/a.png?X-Amz-Algorithm=AWS4&X-Amz-Signature={HEX}{HEX}",
    "a password in an address": "postgresql://ray:hunter2@db.lan/ray",
    "after its name": f"api key: {made_up('named')}",
    "after its name, in capitals": f"API_KEY={made_up('named')}",
    "in JSON": json.dumps({"api_key": made_up("json")}),
    "said": f"my secret token is {made_up('said')}",
    "a password": "password: xK9pQ2mW7vR4tZ8n",
    "a UUID that is said to be one": "access token: 550e8400-e29b-41d4-a716-446655440000",
    "hexadecimal": f"key = {HEX}",
}


@pytest.mark.parametrize("text", SHAPED.values(), ids=SHAPED)
@pytest.mark.parametrize("around", ["%s", "a fox in the snow, %s, golden hour", "(%s)", "fox\n%s\nsnow"])
def test_what_has_the_shape_of_a_key_is_found(nobody, text, around):
    assert found(around % text, nobody)


@pytest.mark.parametrize("text", SHAPED.values(), ids=SHAPED)
@pytest.mark.parametrize("hidden", [quote, "\u200b".join, lambda text: in_code(text, "&#%d;")])
def test_it_is_found_where_it_is_hidden(nobody, text, hidden):
    assert found(hidden(text), nobody)


# -- what is said about it ------------------------------------------------------------------------------------------


def test_the_error_names_the_input_and_the_key_and_repeats_nothing(machine):
    with pytest.raises(InvalidInput) as caught:
        check({"prompt": "a fox", "id": f"a fox {KEY}"}, machine)
    said = str(caught.value)
    assert said.startswith(
        "id holds a key of this machine (LUMAAI_API_KEY). Nothing was sent, recorded or billed."
    )
    assert not any(KEY[at : at + 5] in said for at in range(len(KEY) - 4))


@pytest.mark.parametrize("text", SHAPED.values(), ids=SHAPED)
def test_the_error_repeats_nothing_of_what_looks_like_a_key(nobody, text):
    with pytest.raises(InvalidInput) as caught:
        check({"prompt": text}, nobody)
    assert not any(part in str(caught.value) for part in text.split() if len(part) > 12)


def test_texts_without_a_key_pass(machine):
    check({"prompt": "a fox in the snow", "id": "ray-261121-0123456789", "": ""}, machine)


@pytest.mark.parametrize(
    "part",
    ["a", "sk-", "eyJ", "eyJa.", "key:", "token is ", "%25", "&amp;", "\\u0041", "A1b2", "a://b:", "-"],
)
def test_a_long_text_takes_no_longer_than_its_length(machine, part):
    text = part * (200_000 // len(part))
    begun = time.perf_counter()
    found(text, machine)
    assert (
        time.perf_counter() - begun < 10
    )  # a second, and room for a busy machine; what explodes takes hours


# -- what servers and logs repeat -----------------------------------------------------------------------------------

REPEATED = ("as it is", "in quotation marks", "in JSON", "in hexadecimal", "in hexadecimal capitals", "in base64",
            "in base64 for addresses", "in base64 with a name", "in base64 with another name")  # fmt: skip


@pytest.mark.parametrize("way", REPEATED)
def test_a_key_is_cut_out_of_what_is_told_however_a_server_repeats_it(machine, way):
    machine.secrets()
    for key in KEYS.values():
        shown = redact(f"you sent {WAYS[way](key)}, which is wrong")
        assert shown.startswith("you sent ")
        assert shown.endswith(", which is wrong")
        assert "<key>" in shown
        for written in (key, key.encode().hex(), base64.b64encode(key.encode()).decode()[4:-8]):
            assert written.lower() not in shown.lower()


def test_a_key_with_odd_characters_is_cut_out_where_it_is_percent_encoded(nobody, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr/K7MDENG+bPxRf=iCY9")
    nobody.secrets()
    assert redact("?a=wJalr%2FK7MDENG%2BbPxRf%3DiCY9&b") == "?a=<key>&b"
    assert redact("?a=wJalr%2fK7MDENG%2bbPxRf%3diCY9&b") == "?a=<key>&b"


def test_a_token_in_the_headers_that_a_library_prints_is_cut_out():
    told = "headers={'X-Amz-Security-Token': b'FwoGZXIvYXdzEBYaDHqa0AP1', 'a': 1}"
    assert redact(told) == "headers={'X-Amz-Security-Token': b'<key>', 'a': 1}"


# -- where it is asked ----------------------------------------------------------------------------------------------


def test_nothing_is_recorded_or_sent_of_a_prompt_with_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", KEY)
    desk = Desk(tmp_path)
    with pytest.raises(InvalidInput, match="prompt holds a key of this machine"):
        desk.generate(words(prompt=f"a fox {KEY}"))
    with pytest.raises(InvalidInput, match="prompt holds a key of Replicate"):
        desk.generate(words(prompt=f"a fox {SHAPED['Replicate']}"))
    assert desk.provider.submitted == []
    assert desk.lifecycle.journal.entries() == []
    assert desk.generate().entry.state == "completed"


def test_nothing_is_asked_about_an_id_with_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", KEY)
    desk = Desk(tmp_path)
    with pytest.raises(InvalidInput, match="id holds a key of this machine"):
        desk.lifecycle.collect(KEY, clock=desk.clock, report=desk.reports)
    assert desk.lifecycle.journal.entries() == []


@pytest.mark.parametrize("linked", [False, True])
def test_a_graph_with_a_key_in_a_text_is_refused_before_anything_runs(tmp_path, monkeypatch, luma, linked):
    key = SHAPED["OpenAI"]
    with comfy_host.install(tmp_path / "comfyui") as host:
        comfy_host.load_pack(Path(__file__).resolve().parent.parent)
        info = host.object_info()["RayTextToVideo"]["input"]["required"]
        widgets = {
            name: options[0]["default"] if options and "default" in options[0] else kind[0]
            for name, (kind, *options) in info.items()
        }
        io = sys.modules["comfy_api.latest"].io

        class Words(io.ComfyNode):
            @classmethod
            def define_schema(cls):
                return io.Schema(node_id="Words", inputs=[], outputs=[io.String.Output("words")])

            @classmethod
            def execute(cls):
                return io.NodeOutput(f"a fox {key}")

        host.add_nodes([Words])
        result = host.queue(
            {
                "1": {"class_type": "Words", "inputs": {}},
                "2": {
                    "class_type": "RayTextToVideo",
                    "inputs": {**widgets, "prompt": ["1", 0] if linked else f"a fox {key}"},
                },
                "3": {
                    "class_type": "SaveVideo",
                    "inputs": {"video": ["2", 1], "filename_prefix": "x", "format": "auto"},
                },
            }
        )
        assert result.status == "error"
        assert "prompt holds an API key" in result.message
        assert key not in result.message
        # Over a link it is seen when it is there; else the graph is not even queued.
        assert bool(result.node_errors) is not linked
        assert [event for event in host.events if key in repr(event)] == []
        assert bool(host.events) is linked
    assert luma.requests == []
