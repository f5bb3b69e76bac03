"""A form with a file in it that is read as it is sent: a film need not fit into memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, Final

from .errors import UploadFailed

SLOWEST: Final = 100_000.0
"""Bytes a second; a form that goes slower is given up."""

Field = tuple[str, "bytes | Path", str]
"""File name, content (a path: what is in that file) and media type."""


class Form:
    """A multipart form as a file that can be read once."""

    def __init__(self, files: Mapping[str, Field], fields: Mapping[str, str]) -> None:
        """Raises UploadFailed, here and as it is read, where a file cannot be read."""
        self._boundary = secrets.token_hex(16)
        self._parts: list[bytes | Path] = []
        for name, value in fields.items():
            self._begin(f'form-data; name="{name}"', "")
            self._parts.append(value.encode())
        for name, (file_name, content, media_type) in files.items():
            self._begin(f'form-data; name="{name}"; filename="{file_name}"', media_type)
            self._parts.append(content)
        self._parts.append(f"\r\n--{self._boundary}--\r\n".encode())
        self._length = sum(_length(part) for part in self._parts)
        self._open: BinaryIO | None = None

    def _begin(self, disposition: str, media_type: str) -> None:
        lines = [f"--{self._boundary}", f"Content-Disposition: {disposition}"]
        lines += [f"Content-Type: {media_type}"] if media_type else []
        before = "\r\n" if self._parts else ""
        self._parts.append((before + "\r\n".join([*lines, "", ""])).encode())

    @property
    def patience(self) -> float:
        """Seconds that it may take to be sent."""
        return self._length / SLOWEST

    @property
    def content_type(self) -> str:
        """For the header."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        """Bytes in all."""
        return self._length

    def read(self, size: int = -1) -> bytes:
        """The next bytes, *size* at most; none at the end."""
        while self._parts:
            part = self._parts[0]
            if isinstance(part, Path):
                piece = self._read(part, size)
                if piece:
                    return piece
                self.close()
            elif part:
                cut = len(part) if size < 0 else size
                self._parts[0] = part[cut:]
                return part[:cut]
            self._parts.pop(0)
        return b""

    def _read(self, path: Path, size: int) -> bytes:
        try:
            self._open = self._open or path.open("rb")
            return self._open.read(size)
        except OSError as error:
            raise unreadable(error) from None

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, piece by piece."""
        while piece := self.read(65536):
            yield piece

    def close(self) -> None:
        """Close the file that is being read."""
        if self._open is not None:
            self._open.close()
            self._open = None


def _length(part: bytes | Path) -> int:
    try:
        return part.stat().st_size if isinstance(part, Path) else len(part)
    except OSError as error:
        raise unreadable(error) from None


def opened(content: bytes | Path) -> AbstractContextManager[bytes | BinaryIO]:
    """What is sent for *content*: itself, or the file that it names, read as it goes out."""
    return content.open("rb") if isinstance(content, Path) else nullcontext(content)


def unreadable(error: OSError) -> UploadFailed:
    """The error for a file that cannot be read."""
    return UploadFailed(
        f"The file could not be read ({error.strerror or type(error).__name__}). Nothing was billed."
    )
