"""What a graph would cost as it stands on the canvas: for each node and for all of it, before anything is queued.

Told by the same code that decides when it runs. Nothing is uploaded, bought or asked of anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from .. import bookkeeping, plan, runs
from ..generation.budget import dollars
from ..generation.credentials import redact
from ..generation.errors import HostingRequired, InvalidInput, LimitReached, MissingCredentials
from ..generation.lifecycle import Lifecycle
from ..generation.selection import AUTO
from ..looking import configured, looking, sellers
from .door import Route
from .unsold import Choices, named, plain

if TYPE_CHECKING:
    from ..studio import Studio

_Prompt = Mapping[str, Mapping[str, Any]]
MOST_NODES: Final = 5000
MOST_SHOTS: Final = 400
_LARGEST: Final = 10**9
_DEEPEST: Final = 16
"""Subgraphs within subgraphs."""
_LONGEST: Final = 120
"""Characters of a title."""
_SCOPES: Final = {
    "per_generation": "one clip",
    "per_run": "one run of a graph",
    "per_day": "a day",
    "per_month": "a month",
}
_PERIODS: Final = {"per_day": "today", "per_month": "this month"}


@dataclass(frozen=True, kw_only=True)
class _Clips:
    """What would become of one shot, as the page shows it."""

    title: str
    state: str
    """new, library, free or refused."""
    new: int = 0
    """How many clips are bought."""
    old: int = 0
    """How many are bought already."""
    coming: int = 0
    """How many of these are being made."""
    asked: int = 0
    """How many of these wait for an answer whether they were bought at all."""
    same: int = 0
    """How many another node asks for as well, which buys them."""
    usd: Decimal = Decimal(0)
    """What one counts."""
    price: str = ""
    """Of one, for people: with a ~ where its provider may ask for something else."""
    provider: str = ""
    words: str = ""
    """What else is to be known of it, as sentences."""
    short: str = ""
    """Why it is refused, in a few words."""

    @property
    def sure(self) -> bool:
        return self.price.startswith("$")

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **{
                name: getattr(self, name)
                for name in ("title", "state", "new", "old", "coming", "asked", "same", "price", "provider")
            },
            "usd": f"{self.usd:f}",
            "words": redact(self.words),
        }


def _quote(studio: Studio, body: dict[str, Any]) -> Any:
    try:
        return _told(studio.lifecycle, _graph(body.get("prompt")))
    except RecursionError:
        raise InvalidInput("This graph is too deep to be priced.") from None


def _told(whole: Lifecycle, prompt: _Prompt) -> Any:
    buying = sum(node["class_type"] in plan.BUYING for node in prompt.values())
    planned = plan.shots(prompt) if buying <= MOST_SHOTS else []
    if max(buying, len(planned)) > MOST_SHOTS:
        raise InvalidInput(f"This graph has more than {MOST_SHOTS} shots: too many to price all of them.")
    lifecycle = looking(whole, {each.fingerprint for shot in planned for each in shot.requests})
    running = runs.executed(prompt)
    queued = [shot for shot in planned if running is None or shot.node in running]
    idle = [shot for shot in planned if running is not None and shot.node not in running]
    outlook = plan.outlook(lifecycle, queued)
    states = lifecycle.ledger.unfinished({mark for shot in planned for mark in shot.marks})
    choices = Choices(lifecycle)
    nodes: dict[str, Any] = {}
    inside: dict[str, list[_Clips]] = {}
    everything: list[_Clips] = []
    for told, runs_now in ((outlook, True), (plan.outlook(lifecycle, idle), False)):
        for node_id, of_node in _by_node(told).items():
            clips = [_clips(lifecycle, each, states) for each in of_node]
            everything += clips if runs_now else []
            above = node_id.split(":")[:-1]
            for depth in range(1, len(above[:_DEEPEST]) + 1):
                inside.setdefault(":".join(above[:depth]), []).extend(clips)
            nodes[node_id] = {
                "title": str(prompt[node_id]["_meta"]["title"] or prompt[node_id]["class_type"]),
                "badge": _badge(clips),
                "state": _state(clips),
                "runs": runs_now,
                "clips": [each.told() for each in clips],
                "unsold": choices.unsold([each.shot for each in of_node], prompt[node_id]["inputs"]),
            }
    over, limits = _limits(lifecycle, outlook)
    return {
        "nodes": nodes,
        "groups": {name: {"badge": _badge(clips), "state": _state(clips)} for name, clips in inside.items()},
        "graph": _graph_told(everything, over, limits),
        "limits": limits,
        "over": over,
    }


def _by_node(told: Iterable[plan.Outlook]) -> dict[str, list[plan.Outlook]]:
    nodes: dict[str, list[plan.Outlook]] = {}
    for each in told:
        nodes.setdefault(each.shot.node, []).append(each)
    return nodes


def _clips(lifecycle: Lifecycle, told: plan.Outlook, states: Mapping[str, str]) -> _Clips:
    title, count = told.shot.title[:_LONGEST], len(told.shot.marks)
    under_way = [states[mark] for mark in told.shot.marks if mark in states]
    asked = under_way.count("uncertain")
    coming = len(under_way) - asked
    if told.dearest is None:
        if told.clips and told.refusal is not None:
            words = str(told.refusal)
            return _Clips(title=title, state="refused", words=words, short=_short(lifecycle, told))
        return _Clips(
            title=title, state="library", old=count - told.again, coming=coming, asked=asked, same=told.again
        )
    quoted, usd = told.dearest
    seller = lifecycle.sellers.provider(quoted.provider)
    if seller.local:
        return _Clips(title=title, state="free", new=told.clips, price="free", provider=seller.name)
    unsure = ""
    notes: list[str] = []
    if seller.tells_price(told.shot.requests[0].operation) and not quoted.live:
        unsure = "~"
        notes.append(f"{seller.title} is asked for its price live, as the clip is bought.")
    elif not quoted.live and quoted.source is not None and quoted.source.unverified:
        unsure = "~"
        notes.append(f"Not verified: {quoted.source.where}, {quoted.source.day}.")
    if len({counts for _, counts in told.quotes}) > 1:
        unsure = "up to "
        notes.append("What it costs depends on a widget that is linked.")
    if quoted.usd is None:
        notes.append(f"Nobody publishes this price; towards the limits it counts {dollars(usd)}.")
    return _Clips(
        title=title,
        state="new",
        new=told.clips,
        old=count - told.clips - told.again,
        same=told.again,
        coming=coming,
        asked=asked,
        usd=usd,
        price=f"{unsure if quoted.usd is not None else ''}{dollars(quoted.usd)}",
        provider=seller.name,
        words=" ".join(notes),
    )


def _short(lifecycle: Lifecycle, told: plan.Outlook) -> str:
    """Why nobody would make it, and who would."""
    seller = told.shot.provider
    if isinstance(told.refusal, MissingCredentials):
        return f"{seller} needs a key"
    if isinstance(told.refusal, HostingRequired):
        return "pictures need a hosting"
    able = frozenset().union(*(sellers(lifecycle, plain(request)) for request in told.shot.requests))
    here = able & configured(lifecycle)
    if here if seller == AUTO else seller in able:
        return "the prompt is refused"
    if not able:
        return "no provider sells this"
    if seller == AUTO:
        who = named(lifecycle, able)
        return f"no key for this · {who} would" if who else "no provider sells this"
    who = named(lifecycle, here or able)
    return f"not at {seller} · {who} would{'' if here else ', with a key'}" if who else f"not at {seller}"


def _badge(clips: Sequence[_Clips]) -> str:
    """A node in a few words, such as `2 x $0.20 · luma`."""
    new = [each for each in clips if each.state == "new"]
    parts = []
    if new:
        number = sum(each.new for each in new)
        one = {each.price for each in new}
        price = one.pop() if len(one) == 1 else ""
        if number > 1:
            price = f"{number} \N{MULTIPLICATION SIGN} {price}" if price else f"{number} for {_sum(new)}"
        parts += [price, ", ".join(dict.fromkeys(each.provider for each in new))]
    alone = not new and {each.state for each in clips} == {"library"}
    here = _bought(clips)
    parts += [what for what, _ in here] if alone and len(here) == 1 else [f"{n} {what}" for what, n in here]
    if any(each.state == "free" for each in clips):
        parts.append("free · " + ", ".join(dict.fromkeys(c.provider for c in clips if c.state == "free")))
    refused = [each for each in clips if each.state == "refused"]
    if refused:
        parts.append(refused[0].short if len(refused) == len(clips) else f"{len(refused)} refused")
    return " · ".join(parts)


def _bought(clips: Sequence[_Clips]) -> list[tuple[str, int]]:
    """Clips that were bought before: where they are, and how many."""
    coming, asked = sum(each.coming for each in clips), sum(each.asked for each in clips)
    here = sum(each.old for each in clips) - coming - asked
    same = sum(each.same for each in clips)
    all_of_them = (
        ("in library", here),
        ("being made", coming),
        ("unanswered", asked),
        ("the same as another", same),
    )
    return [(words, number) for words, number in all_of_them if number > 0]


def _state(clips: Sequence[_Clips]) -> str:
    """What is most to be looked at."""
    states = {each.state for each in clips}
    return next((each for each in ("refused", "new", "free", "library") if each in states), "")


def _sum(new: Sequence[_Clips]) -> str:
    unsure = "" if all(each.sure for each in new) else "~"
    return f"{unsure}{dollars(sum((each.usd * each.new for each in new), Decimal(0)))}"


def _graph_told(clips: Sequence[_Clips], over: str, limits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All that would run, in numbers and as one line for the action bar."""
    new = [each for each in clips if each.state == "new"]
    number, old = sum(each.new for each in new), sum(each.old for each in clips)
    refused = sum(each.state == "refused" for each in clips)
    free = sum(each.new for each in clips if each.state == "free")
    words = [_sum(new)] if new else []
    counted = [("new", number), *_bought(clips), ("free", free), ("refused", refused)]
    words.append(", ".join(f"{count} {what}" for what, count in counted if count))
    words.append("over the limit" if over else _left(limits) if new else "")
    return {
        "new": number,
        "usd": f"{sum((each.usd * each.new for each in new), Decimal(0)):f}",
        "price": _sum(new) if new else "",
        "old": old,
        "free": free,
        "refused": refused,
        "line": " · ".join(each for each in words if each) if clips else "",
    }


def _limits(lifecycle: Lifecycle, outlook: Sequence[plan.Outlook]) -> tuple[str, list[dict[str, Any]]]:
    """Why all of it together would be refused, in the words of the run; and each limit with what is left of it."""
    rows: list[dict[str, Any]] = []
    quoted = plan.quoted_of(outlook)
    try:
        for row in bookkeeping.allowance(lifecycle.ledger, lifecycle.limits()):
            if row["limit"] is not None:
                at = f" at {row['provider']}" if row["provider"] else ""
                amounts = {n: None if row[n] is None else f"{row[n]:.2f}" for n in ("limit", "spent", "left")}
                rows.append({"scope": row["scope"], "words": f"{_SCOPES[row['scope']]}{at}", **amounts})
        plan.check_quoted(lifecycle, "as it is on the canvas", quoted)
    except LimitReached as error:
        # Limits that cannot be read hold up no graph that buys nothing.
        return redact(str(error)) if any(each.usd for each in quoted) else "", rows
    return "", rows


def _left(limits: Sequence[Mapping[str, Any]]) -> str:
    """Of the limits that are used up by and by, the tightest."""
    found = [(Decimal(row["left"]), row) for row in limits if row["scope"] in _PERIODS]
    if not found:
        return ""
    left, row = min(found, key=lambda each: each[0])
    at = row["words"].partition(" at ")[2]
    return f"${left:.2f} left {_PERIODS[row['scope']]}{f' at {at}' if at else ''}"


def _graph(told: Any) -> _Prompt:
    """A prompt as ComfyUI would take it: of another one only what can be read."""
    if not isinstance(told, dict):
        raise InvalidInput("prompt is missing.")
    if len(told) > MOST_NODES:
        raise InvalidInput(f"This graph has {len(told)} nodes; prices are told of up to {MOST_NODES}.")
    return {
        node_id: {
            "class_type": str(node.get("class_type"))[:_LONGEST],
            "inputs": {name: _value(value) for name, value in node["inputs"].items()},
            "_meta": {"title": _title(node.get("_meta"))},
        }
        for node_id, node in told.items()
        if isinstance(node, dict) and isinstance(node.get("inputs"), dict)
    }


def _title(meta: Any) -> str:
    title = meta.get("title") if isinstance(meta, dict) else None
    return title[:_LONGEST] if isinstance(title, str) else ""


def _value(value: Any) -> Any:
    """A whole number that no database takes is none that a widget gives."""
    return max(min(value, _LARGEST), -_LARGEST) if type(value) is int else value


ROUTES = (Route("POST", "quote", _quote, anywhere=True, most_bytes=2_000_000),)
