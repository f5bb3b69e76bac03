"""Keys: from the environment, else from a private file; never printed, never in a workflow."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

_USERINFO: Final = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^\s/\"'<>]*@")
_QUERY: Final = re.compile(r"(?i)\b(https?://[^\s?#\"'<>]+)[?#][^\s\"'<>]*")
# Only what does not look like a word: "basic authentication" and "the key representation" are no keys.
_BEARER: Final = re.compile(r"\b((?i:bearer|basic))\s+(?=[^\s\"'<>,;]*[0-9A-Z=+/_])[^\s\"'<>,;]{8,}")
_KEY: Final = re.compile(
    r"(?i)(?<![a-z])(key|token|secret)([\s:=\"']+(?:b[\"'])?)(?=[^\s\"'<>,;]*\d)[A-Za-z0-9._~+/=-]{12,}"
)
_SECRET_NAME: Final = re.compile(
    r"(?i)(?:^|_)(?:(?:API|ACCESS|SECRET|PRIVATE)?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|BEARER|PAT)(?:_|$)"
)
_PASSWORD: Final = re.compile(r"(?i)^[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s@]{6,})@")
_known: set[str] = set()
_saving = threading.Lock()


class Secret:
    """A key that cannot be printed by accident; `reveal` is called where it is sent, and nowhere else."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        _known.add(value)

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    @property
    def hint(self) -> str:
        """The last four characters, to tell two keys apart; nothing of a short one."""
        return f"...{self._value[-4:]}" if len(self._value) >= 12 else "..."

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce__(self) -> str:
        raise TypeError("a key is never pickled")


def redact(text: str) -> str:
    """*text* without keys, and without the parts of URLs that hold passwords (before @) and signatures (query)."""
    # The longest first: a key that begins with another one would leave its end behind. A sorted copy also
    # because another thread may be adding a key meanwhile.
    for secret in sorted(_known, key=len, reverse=True):
        if len(secret) >= 8:
            for written in (secret, *written_otherwise(secret)):
                text = text.replace(written, "<key>")
    text = _QUERY.sub(r"\1?<cut>", _USERINFO.sub(r"\1", text))
    return _KEY.sub(r"\1\2<key>", _BEARER.sub(r"\1 <key>", text))


@functools.lru_cache(maxsize=256)
def written_otherwise(secret: str) -> tuple[str, ...]:
    """*secret* as servers and logs repeat it: percent-encoded, in JSON, in hexadecimal, inside anything in base64."""
    content = secret.encode("utf-8", "surrogatepass")
    quoted = quote(content, safe="")
    found = [quoted, re.sub("%..", lambda code: code[0].lower(), quoted), json.dumps(secret)[1:-1]]
    found += [content.hex(), content.hex().upper()]
    # Base64 writes three bytes as four letters: where it begins in the whole decides how it looks.
    for before, cut in ((0, 0), (1, 2), (2, 3)):
        code = base64.b64encode(bytes(before) + content).decode()
        whole = code[cut:-4] if (before + len(content)) % 3 else code[cut:]
        found += [whole, whole.replace("+", "-").replace("/", "_")]
    return tuple(dict.fromkeys(form for form in found if len(form) >= 8 and form != secret))


class Credentials:
    """The keys of this machine's owner."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys.json"
        """Read when the environment has nothing; readable by its owner only."""

    def get(self, name: str) -> Secret | None:
        """The key called *name*, in its provider's own spelling; None when there is none."""
        value = self.setting(name)
        return Secret(value) if value else None

    def setting(self, name: str) -> str:
        """A setting that is no secret, such as a bucket's name, kept like the keys; empty when there is none."""
        if not name:
            return ""
        return os.environ.get(name, "").strip() or self._saved().get(name, "").strip()

    def find(self, names: Sequence[str]) -> dict[str, Secret] | None:
        """All the keys in *names*, or None when one is missing."""
        found = {name: self.get(name) for name in names}
        complete = {name: secret for name, secret in found.items() if secret is not None}
        return complete if len(complete) == len(names) else None

    def secrets(self) -> dict[str, Secret]:
        """Every key on this machine by its name, whatever it is for: what nothing may ever hold.

        Names tell: of the environment's variables and of the file's entries. Addresses of anything, such as a
        database or a proxy, count for the password in them.
        """
        found: dict[str, Secret] = {}
        for name, value in {**self._saved(), **os.environ}.items():
            address = _PASSWORD.search(value)
            if address is not None:
                found[name] = Secret(unquote(address[1]))
            elif _SECRET_NAME.search(name) and _could_be_a_key(value.strip()):
                found[name] = Secret(value.strip())
        return found

    def account(self, names: Iterable[str]) -> str:
        """A mark for the account that *names* sign in to: another one for another key, with nothing of it inside."""
        told = "\0".join(f"{name}={self.setting(name)}" for name in names)
        return hashlib.blake2b(
            told.encode("utf-8", "surrogatepass"), digest_size=8, person=b"luma-ray"
        ).hexdigest()

    def source(self, name: str) -> str:
        """Where the key called *name* comes from: "environment", "saved" or "missing"."""
        if os.environ.get(name, "").strip():
            return "environment"
        return "saved" if self._saved().get(name, "").strip() else "missing"

    def save(self, name: str, value: str) -> None:
        """Keep a key in the private file; an empty *value* forgets it.

        Raises OSError, also where the file holds something else than keys: writing would lose it.
        """
        with _saving:
            try:
                saved = self._read()
            except FileNotFoundError:
                saved = {}
            except (ValueError, AttributeError):
                raise OSError(
                    f"{self.path} is not a JSON object of names and keys; correct or delete it."
                ) from None
            if value.strip():
                saved[name] = value.strip()
            else:
                saved.pop(name, None)
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # mkstemp opens with mode 0600: the key is never on disk readable by anybody else, not for a moment.
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".keys-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(saved, file, indent=1, sort_keys=True)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(self.path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def _saved(self) -> dict[str, str]:
        try:
            return self._read()
        except (OSError, ValueError, AttributeError):
            return {}

    def _read(self) -> dict[str, str]:
        # -sig: people edit this file, and some editors put a mark before its first letter
        content = json.loads(self.path.read_text(encoding="utf-8-sig"))
        return {name: value for name, value in content.items() if isinstance(value, str)}


def _could_be_a_key(value: str) -> bool:
    """Not "disabled", no path, no sentence."""
    telling = len(value) >= 20 or any(letter.isdigit() for letter in value)
    return len(value) >= 8 and telling and not value.startswith(("/", "~", ".")) and len(value.split()) == 1


def missing(names: Iterable[str], credentials: Credentials) -> list[str]:
    """Those of *names* for which there is no key."""
    return [name for name in names if credentials.source(name) == "missing"]
