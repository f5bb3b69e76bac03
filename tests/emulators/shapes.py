"""What a JSON body has to look like, put together from rules that tell what is wrong with a value."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Where = tuple[str | int, ...]


class Problem(NamedTuple):
    """One thing wrong with a JSON body."""

    where: Where
    kind: str
    text: str


Rule = Callable[[Any, Where], Iterator[Problem]]
"""Looks at a value and tells what is wrong with it."""


def fields(required: Mapping[str, Rule] | None = None, optional: Mapping[str, Rule] | None = None) -> Rule:
    """An object with these fields and no others."""
    required, optional = required or {}, optional or {}
    known = {**required, **optional}

    def rule(value: Any, where: Where) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem(where, "object_type", "Input should be an object")
            return
        for name in required:
            if name not in value:
                yield Problem((*where, name), "missing", "Field required")
        for name, item in value.items():
            if name in known:
                yield from known[name](item, (*where, name))
            else:
                yield Problem((*where, name), "extra_forbidden", "Extra inputs are not permitted")

    return rule


def items(each: Rule) -> Rule:
    """An array of such values."""

    def rule(value: Any, where: Where) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield Problem(where, "list_type", "Input should be an array")
            return
        for index, item in enumerate(value):
            yield from each(item, (*where, index))

    return rule


def text(value: Any, where: Where) -> Iterator[Problem]:
    """A string."""
    if not isinstance(value, str):
        yield Problem(where, "string_type", "Input should be a string")


def flag(value: Any, where: Where) -> Iterator[Problem]:
    """True or false."""
    if not isinstance(value, bool):
        yield Problem(where, "bool_type", "Input should be a boolean")


def whole(value: Any, where: Where) -> Iterator[Problem]:
    """An integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        yield Problem(where, "int_type", "Input should be an integer")


def web_address(value: Any, where: Where) -> Iterator[Problem]:
    """An http or https URL; never a data: URL."""
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        yield Problem(where, "url_parsing", "Input should be an http or https URL")


def one_of(*values: str) -> Rule:
    """One of these strings."""

    def rule(value: Any, where: Where) -> Iterator[Problem]:
        if not isinstance(value, str) or value not in values:
            yield Problem(where, "enum", f"Input should be one of {', '.join(values)}")

    return rule


def uuid_text(value: Any, where: Where) -> Iterator[Problem]:
    """A UUID as a string."""
    try:
        uuid.UUID(value)
    except (ValueError, AttributeError, TypeError):
        yield Problem(where, "uuid_parsing", "Input should be a valid UUID")
