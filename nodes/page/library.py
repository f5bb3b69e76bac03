"""The library: what was made, looked through, played, brought back, and what it all cost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .. import bookkeeping
from ..generation.catalogue import Catalogue, Place, Sum, Wanted, state_of, words_of
from ..generation.credentials import redact
from ..generation.errors import InvalidInput
from ..generation.records import OPEN, Entry
from ..generation.request import Operation
from ..providers import PROVIDERS
from .door import Route, text
from .reuse import reuse
from .thumbnails import Busy, Thumbnails

if TYPE_CHECKING:
    from ..generation.ledger import Line
    from ..studio import Studio

MOST: Final = 200
"""Generations of one page."""
_LONGEST: Final = 200
"""Letters of an id and of what is chosen from a list."""
_PROMPT: Final = 240
"""Letters of a prompt in the list; the details have all of it."""
_DAYS: Final = 31
_MONTHS: Final = 24


def routes(output: Callable[[], Path]) -> tuple[Route, ...]:
    """Those of the library; *output* is ComfyUI's output folder, whose files its own page can show."""
    shelf = _Shelf(output)
    return (
        Route("GET", "library", shelf.page, anywhere=True),
        Route("GET", "library/generation", shelf.generation, anywhere=True),
        Route("GET", "library/thumbnail", shelf.thumbnail, anywhere=True),
        Route("GET", "library/clip", shelf.clip, anywhere=True),
        Route("GET", "library/spent", _spent, anywhere=True),
        Route("POST", "library/remove", shelf.remove),
    )


class _Shelf:
    """The clips and their small pictures."""

    def __init__(self, output: Callable[[], Path]) -> None:
        self._output = output
        self._thumbnails = Thumbnails()

    def page(self, studio: Studio, asked: dict[str, Any]) -> Any:
        """One page of generations, newest first; with the first one also how many there are, and of what kinds."""
        catalogue = Catalogue(studio.lifecycle.journal)
        wanted = _wanted(asked)
        after = Place.of(_chosen(asked, "after")) if asked.get("after") else None
        page = catalogue.page(wanted, after=after, limit=_number(asked.get("limit")))
        told = {
            "rows": [self._row(studio, line.entry) for line in page.lines],
            "next": None if page.next is None else str(page.next),
        }
        return told if after is not None else {**told, **_counts(catalogue, wanted, page.next is None, told)}

    def generation(self, studio: Studio, asked: dict[str, Any]) -> Any:
        """Everything that is known of one generation."""
        line = _line(studio, asked)
        entry, request = line.entry, line.entry.request
        journal = studio.lifecycle.journal
        takes = Catalogue(journal).takes(entry)
        return {
            "row": self._row(studio, entry),
            "prompt": str(request.get("prompt") or ""),
            "facts": _facts(line),
            "receipt": redact(bookkeeping.receipt(line, _provider(entry.provider))),
            "takes": [self._row(studio, each.entry) for each in takes],
            "reuse": reuse(entry, lambda job: next(iter(journal.by_handle(job)), None)),
            "removal": self._removal(studio, entry),
            "back": _back(entry, journal.now()) if entry.clip and not self._file(studio, entry) else "",
        }

    def thumbnail(self, studio: Studio, asked: dict[str, Any]) -> Any:
        """The small picture of a clip; or why there is none. Words are no error: a page of broken clips is calm."""
        entry = _line(studio, asked).entry
        try:
            picture, words = self._thumbnails.make(studio.private, entry, self._file(studio, entry))
        except Busy as busy:
            return {"busy": True, "words": str(busy)}
        return picture or {"busy": False, "words": words}

    def clip(self, studio: Studio, asked: dict[str, Any]) -> Any:
        """The clip itself, whole or a range of it; found by its generation alone."""
        path = self._file(studio, _line(studio, asked).entry)
        if path is None:
            raise InvalidInput("The clip of this generation is not on this machine.")
        return path

    def remove(self, studio: Studio, asked: dict[str, Any]) -> Any:
        """Delete the file of a clip. Its row, its receipt and its small picture stay."""
        entry = _line(studio, asked).entry
        if entry.state != "completed" or self._file(studio, entry) is None:
            raise InvalidInput("The clip of this generation is not on this machine. Nothing was deleted.")
        with suppress(Busy):  # then it goes without
            self._thumbnails.make(studio.private, entry, self._file(studio, entry))
        catalogue, now = Catalogue(studio.lifecycle.journal), studio.lifecycle.journal.now()
        # The mark comes first: a journal that cannot be written keeps its file.
        catalogue.removed(entry.id, at=now)
        try:
            freed = studio.library.remove(entry)
        except OSError as error:
            catalogue.removed(entry.id, at=entry.removed_at)
            why = error.strerror or type(error).__name__
            raise InvalidInput(f"The clip's file could not be deleted ({why}). It is still there.") from None
        kept = studio.lifecycle.journal.get(entry.id) or entry
        return {"freed": freed, "row": self._row(studio, kept), "back": _back(kept, now)}

    def _row(self, studio: Studio, entry: Entry) -> dict[str, Any]:
        """A generation as the list shows it: no key, no URL, no path of this machine."""
        asked, path = entry.request, self._file(studio, entry)
        return {
            "id": entry.id,
            "state": entry.state,
            "provider": entry.provider,
            "model": entry.model,
            "operation": entry.operation,
            "prompt": str(asked.get("prompt") or "")[:_PROMPT],
            "seconds": asked.get("duration"),
            "resolution": asked.get("resolution"),
            "width": entry.width,
            "height": entry.height,
            "take": entry.take,
            "free": entry.local,
            "usd": _usd(entry.usd),
            "billed": entry.billed_usd is not None,
            "created_at": entry.created_at,
            "note": redact(entry.note)[:_PROMPT],
            "file": _file_state(entry, path),
            "picture": entry.clip is not None and self._thumbnails.there(studio.private, entry, path),
            "view": self._view(path),
        }

    def _file(self, studio: Studio, entry: Entry) -> Path | None:
        """The clip, where it is here. A name in the journal that leads out of the library is none."""
        try:
            return studio.library.find(entry)
        except InvalidInput:
            return None

    def _view(self, path: Path | None) -> dict[str, str] | None:
        """How ComfyUI's own page shows the file; None where it does not reach it."""
        if path is None:
            return None
        try:
            place = path.relative_to(self._output().resolve())
        except (OSError, ValueError):
            return None
        return {
            "filename": place.name,
            "subfolder": place.parent.as_posix() if place.parent.name else "",
            "type": "output",
        }

    def _removal(self, studio: Studio, entry: Entry) -> dict[str, Any] | None:
        """What deleting the clip's file would free, and what of it could be had again."""
        path = self._file(studio, entry)
        if entry.state != "completed" or path is None:
            return None
        try:
            size = path.stat().st_size
        except OSError:
            return None
        return {"bytes": size, "words": _back(entry, studio.lifecycle.journal.now())}


def _spent(studio: Studio, _: dict[str, Any]) -> Any:
    found = Catalogue(studio.lifecycle.journal).spending()

    def told(sums: Any, most: int) -> list[dict[str, Any]]:
        return [_sum(name, of) for name, of in list(sums.items())[:most]]

    return {
        "days": told(found.days, _DAYS),
        "months": told(found.months, _MONTHS),
        "providers": told(found.providers, len(found.providers)),
    }


def _sum(name: str, of: Sum) -> dict[str, Any]:
    return {"name": name, "usd": f"{of.usd:f}", "generations": of.generations, "clips": of.clips}


def _counts(catalogue: Catalogue, wanted: Wanted, whole: bool, told: dict[str, Any]) -> dict[str, Any]:  # noqa: FBT001
    kinds = catalogue.kinds()
    titles = {each.name: each.title for each in PROVIDERS}
    words = {each.value: each.words for each in Operation}
    named = {"provider": titles, "operation": words}
    return {
        "total": len(told["rows"]) if whole else catalogue.count(wanted),
        "all": sum(kinds["state"].values()),
        "unfinished": sum(kinds["state"].get(state, 0) for state in (*OPEN, "submitted")),
        "kinds": {
            kind: [
                {"name": name, "words": named.get(kind, {}).get(name, name), "count": count}
                for name, count in of.items()
            ]
            for kind, of in kinds.items()
        },
    }


def _wanted(asked: dict[str, Any]) -> Wanted:
    return Wanted(
        words=words_of(str(asked.get("words") or "")),
        state=state_of(_chosen(asked, "state")),
        provider=_chosen(asked, "provider"),
        model=_chosen(asked, "model"),
        operation=_chosen(asked, "operation"),
        paid=_either(asked, "paid", "paid", "free"),
        clip=_either(asked, "clip", "here", "missing"),
    )


def _chosen(asked: dict[str, Any], name: str) -> str:
    """What was chosen from a list; empty where nothing was. Raises InvalidInput for what no list has."""
    value = asked.get(name) or ""
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        raise InvalidInput(f"There is no such {name}.")
    return value


def _either(asked: dict[str, Any], name: str, yes: str, no: str) -> bool | None:
    value = _chosen(asked, name)
    if value not in ("", yes, no):
        raise InvalidInput(f"{name} is {yes} or {no}.")
    return None if not value else value == yes


def _number(told: Any) -> int:
    """How many generations a page has."""
    if told in (None, ""):
        return 100
    if not (isinstance(told, str) and told.isascii() and told.isdecimal() and len(told) < 4):
        raise InvalidInput(f"A page has 1 to {MOST} generations.")
    return min(max(int(told), 1), MOST)


def _line(studio: Studio, asked: dict[str, Any]) -> Line:
    wanted = text(asked, "id")
    known = len(wanted) <= _LONGEST and wanted.isprintable()
    line = Catalogue(studio.lifecycle.journal).line(wanted) if known else None
    if line is None:
        raise InvalidInput("The library has no such generation.")
    return line


def _provider(name: str) -> Any:
    return next((each for each in PROVIDERS if each.name == name), None)


def _file_state(entry: Entry, path: Path | None) -> str:
    """Where the file is: "here", "removed" by its owner on this page, "gone" by other ways, or "none" was made."""
    if path is not None:
        return "here"
    if entry.clip is None:
        return "none"
    return "gone" if entry.removed_at is None else "removed"


def _facts(line: Line) -> list[list[str]]:
    """What there is to tell of a generation besides its prompt, as pairs of words."""
    entry, asked = line.entry, line.entry.request
    provider = _provider(entry.provider)
    size = f"{entry.width}x{entry.height}" if entry.width and entry.height else ""
    concepts = ", ".join(str(each) for each in asked.get("concepts") or ())
    told = {
        "Made by": provider.title if provider is not None else entry.provider,
        "Model": entry.model,
        "Kind": entry.operation.replace("_", " "),
        "Size": " · ".join(each for each in (str(asked.get("resolution") or ""), size) if each),
        "Ratio": str(asked.get("aspect_ratio") or ""),
        "Length": f"{entry.seconds:.1f} s" if entry.seconds else _seconds(asked),
        "Camera": concepts,
        "Loop": "yes" if asked.get("loop") else "",
        "Mode": str(asked.get("mode") or ""),
        "Negative prompt": str(asked.get("negative_prompt") or ""),
        "Take": str(entry.take),
        "Quoted": _dollars(entry.estimate_usd),
        "Billed": _dollars(entry.billed_usd, "not told"),
        "Counts": _dollars(line.counts),
        "Asked for": _moment(entry.created_at),
        "Done": "" if entry.completed_at is None else _moment(entry.completed_at),
        "File deleted": "" if entry.removed_at is None else _moment(entry.removed_at),
        "Took": f"{entry.ran_seconds:.0f} s" if entry.ran_seconds else "",
        "Workflow": entry.workflow or "",
        "Generation": entry.id,
        "Provider's job": entry.job.id if entry.job is not None else "",
        "Note": redact(entry.note),
    }
    return [[name, words] for name, words in told.items() if words]


def _seconds(asked: dict[str, Any]) -> str:
    return f"{asked['duration']} s" if asked.get("duration") else ""


def _back(entry: Entry, now: float) -> str:
    """Whether a clip whose file is not here any more can be had again, as a sentence. It is never bought again."""
    provider = _provider(entry.provider)
    if entry.local:
        return "It is a free preview: queue its graph again, and it is made anew."
    if provider is None:
        return f"{entry.provider} is not known here any more: only a copy of the file brings the clip back."
    begun = entry.done_at or entry.submitted_at or entry.created_at
    if provider.keeps == float("inf"):
        return "The clip stays in your own storage there, and can be brought back from it at no charge."
    if not provider.keeps:
        return f"{provider.title} does not say for how long it keeps clips: it may not be there any more."
    until = _moment(begun + provider.keeps)
    if now > begun + provider.keeps:
        return (
            f"{provider.title} kept it until about {until}: it cannot be brought back. Only a new take, a new "
            "purchase, would make such a clip."
        )
    return f"{provider.title} keeps it until about {until}: until then it can be brought back at no charge."


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 - the owner's own clock


def _usd(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd:f}"


def _dollars(usd: Decimal | None, unknown: str = "price unknown") -> str:
    return unknown if usd is None else f"${usd:.2f}" if usd else "free"
