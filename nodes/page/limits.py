"""What may be spent: shown, and changed."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from .. import bookkeeping
from ..generation.errors import InvalidInput
from ..generation.spending import PROVIDER_SCOPES, SCOPES
from ..providers import PROVIDERS
from .door import Route, text

if TYPE_CHECKING:
    from ..studio import Studio


def _limits(studio: Studio) -> Any:
    paid = [each.name for each in PROVIDERS if not each.local]
    rows = bookkeeping.allowance(studio.lifecycle.ledger, studio.limits.load(), paid)
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _change_limits(studio: Studio, body: dict[str, Any]) -> Any:
    provider = text(body, "provider") if body.get("provider") else ""
    if provider and provider not in {each.name for each in PROVIDERS}:
        raise InvalidInput("There is no such provider.")
    known = PROVIDER_SCOPES if provider else SCOPES
    changes = {}
    for name, told in body.items():
        if name == "provider":
            continue
        if name not in known:
            raise InvalidInput(f"{', '.join(known)} can be limited here.")
        try:
            changes[name] = None if told is None else Decimal(str(told))
        except InvalidOperation:
            raise InvalidInput("A limit is an amount in dollars, or nothing for none.") from None
    try:
        studio.limits.change(changes, provider)
    except ValueError:
        raise InvalidInput("A limit is an amount in dollars, 0 or more.") from None
    return _limits(studio)


ROUTES = (
    Route("GET", "limits", lambda studio, _: _limits(studio), anywhere=True),
    Route("POST", "limits", _change_limits),
)
