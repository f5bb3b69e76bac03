"""Keys that got into a text by accident, found before the text is written down or sent anywhere.

A text comes from a workflow, and a workflow is shared, saved into pictures and shown in ComfyUI's history. What is
found is never repeated: the error says where it stands and what it looks like.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final
from urllib.parse import unquote

from .credentials import Credentials, written_otherwise
from .errors import InvalidInput

_SHORTEST: Final = 8
"""Characters; a shorter value of a variable may be any word."""
_PIECE: Final = 16
"""Letters and digits in a row that only a copy of the key has in common with it."""
_ESCAPED: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))")

_SHAPES: Final = tuple(
    # what it is called: what it looks like (of services' own documentation, and as secret scanners know them)
    (words, re.compile(rf"(?<![A-Za-z0-9]){pattern}"))
    for words, pattern in (
        ("a key of fal.ai", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{32}(?![0-9a-f])"),
        ("a key of Replicate", r"r8_[A-Za-z0-9]{37}(?![A-Za-z0-9])"),
        ("a key of Comfy", r"comfyui-[0-9a-f]{32,}"),
        ("an access key of Amazon", r"(?:AKIA|ASIA)(?=[A-Z]*[2-7])[A-Z2-7]{16}(?![A-Za-z0-9])"),
        ("a key of Amazon Bedrock", r"(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/]{40,}"),
        ("a token of GitHub", r"(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40,})"),
        ("a token of GitLab", r"glpat-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{20,}"),
        ("a token of Hugging Face", r"hf_[A-Za-z]{34}(?![A-Za-z])"),
        (
            "a key of Google",
            r"(?:AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9])|GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[\w-]{30,})",
        ),
        ("a token of Slack", r"xox[abeoprs]-\d{8,}-[A-Za-z0-9-]{16,}"),
        ("a token of npm", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
        ("a token of PyPI", r"pypi-AgEI[A-Za-z0-9_-]{50,}"),
        ("a signed token (JWT)", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
        ("a private key", r"-----BEGIN[A-Z0-9 ]{0,30} PRIVATE KEY"),
        ("a link with a signature", r"X-(?:Amz|Goog)-(?:Signature|Security-Token)=[A-Za-z0-9%+/]{32,}"),
        ("an address with a password", r"[a-z][a-z0-9+.-]{1,20}://[^\s/:@?#]{1,64}:[^\s/@?#]{3,200}@[\w\[]"),
    )
)

_NAMED: Final = (
    r"(?<![a-z])(?:(?:api|access|private|secret|auth)[ _-]?(?:key|token)s?"
    r"|token|secret|password|passwd|pwd|credentials?)"
)
_IS: Final = r"(?:\s{1,3}is|[\"'`]?\s{0,3}[:=]{1,2}>?|\s)\s{0,3}[\"'`]?"

_RANDOM_AFTER: Final = tuple(
    # the same, where what follows must look random, for words could stand there as well
    (words, re.compile(pattern))
    for words, pattern in (
        ("a key of Luma", r"(?<![A-Za-z0-9])luma-(?:api-)?([A-Za-z0-9_-]{20,})"),
        ("a key of WaveSpeedAI", r"(?<![A-Za-z0-9])wsk_([A-Za-z0-9_-]{20,})"),
        ("an API key", r"(?<![A-Za-z0-9])[prs]k[-_](?:live_|test_|proj-|ant-)?([A-Za-z0-9_-]{20,})"),
        ("an API key", r"(?<![A-Za-z0-9])(?:gsk_|xai-|rw_live_|rw_test_|key_)([A-Za-z0-9_-]{20,})"),
        (
            "a credential",
            r"(?i:\b(?:bearer|basic|authorization))[\s:=\"']{1,4}(?:Key\s)?([A-Za-z0-9._~+/=-]{20,})",
        ),
        ("what looks like a key", rf"(?i:{_NAMED}){_IS}([A-Za-z0-9._~+/=:-]{{16,}})"),
        ("what looks like a key", rf"(?i:(?<![a-z])key){_IS}([A-Za-z0-9+/=-]{{32,}})"),
    )
)


def check(texts: Mapping[str, str], credentials: Credentials) -> None:
    """Raise InvalidInput if one of *texts* (by the name of its input) holds a key, of this machine or of anybody."""
    for name, text in texts.items():
        what = found(text, credentials)
        if what:
            raise InvalidInput(
                f"{name} holds {what}. Nothing was sent, recorded or billed. Take it out of the workflow; if that "
                "was saved or shared with it, have the key replaced by the service it is for."
            )


def found(text: str, credentials: Credentials) -> str:
    """What *text* holds that is secret, as a few words without anything of it; empty where it holds nothing."""
    forms = list(dict.fromkeys(_forms(text)))
    bare, together = [_bare(form) for form in forms], ["".join(form.split()) for form in forms]
    for name, secret in credentials.secrets().items():
        value = secret.reveal()
        if len(value) < _SHORTEST:
            continue
        written = (value, *written_otherwise(value))
        if any(one in form for one in written for form in together) or any(value in form for form in forms):
            return f"a key of this machine ({name})"
        if any(piece in form for piece in _pieces(value) for form in bare):
            return f"a key of this machine ({name}), or a part of it"
    for form in forms:
        for words, shape in _SHAPES:
            if shape.search(form):
                return words
        for words, shape in _RANDOM_AFTER:
            if any(_random(match[1]) for match in shape.finditer(form)):
                return words
    return ""


def _forms(text: str) -> Iterator[str]:
    """*text* as it stands, without what cannot be seen in it, and with what is written in codes decoded."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKC", text) if unicodedata.category(letter) != "Cf"
    )
    yield plain
    yield re.sub(r"\s*[\r\n]\s*", "", plain)
    decoded = plain
    for _ in range(2):
        decoded = html.unescape(unquote(decoded, errors="replace"))
        decoded = _ESCAPED.sub(lambda code: chr(int(code[1] or code[2], 16)), decoded)
        yield decoded


def _bare(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(letter for letter in text if letter.isalnum()).casefold()


def _pieces(value: str) -> Iterator[str]:
    """What gives a key away, bare: all of it, or a part of it that is no word."""
    letters = "".join(letter for letter in value if letter.isalnum())
    if len(letters) < _PIECE + 4:
        if len(letters) >= _SHORTEST and any(letter.isdigit() for letter in letters):
            yield letters.casefold()
        return
    for start in range(len(letters) - _PIECE + 1):
        piece = letters[start : start + _PIECE]
        if len(set(piece)) >= 6 and (sum(map(str.isdigit, piece)) >= 2 or _turns(piece) >= 3):
            yield piece.casefold()


def _random(token: str) -> bool:
    """Whether it looks made by dice: letters and digits, upper and lower case take turns inside its parts."""
    turns = sum(_turns(part) for part in re.split(r"[^A-Za-z0-9]+", token))
    return sum(map(str.isdigit, token)) >= 2 and turns >= max(4, len(token) // 8) and len(set(token)) >= 8


def _turns(part: str) -> int:
    """How often digits, small and capital letters take turns. A capital before small ones begins a word: no turn."""
    kinds = ["digit" if c.isdigit() else "capital" if c.isupper() else "small" for c in part]
    return sum(one != other and (one, other) != ("capital", "small") for one, other in pairwise(kinds))
