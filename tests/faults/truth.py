"""What has to hold whatever happened: nothing paid twice, nothing paid lost, nothing said that is not so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from luma_ray.nodes.generation.errors import SubmissionUncertain
from luma_ray.nodes.generation.library import Library
from luma_ray.nodes.generation.records import OPEN, Entry

FREE = re.compile(r"[Nn]othing (new )?(was|is) (sent or )?billed")
SIGNED = re.compile(r"[?&](signature|X-Amz-Signature|X-Goog-Signature)=\w")


@dataclass(frozen=True)
class Sale:
    """One job in the provider's own books."""

    provider: str
    job: str
    prompt: str
    alive: bool
    """Whether it is, or will be, a clip: not failed, not cancelled, not refunded."""
    cancelled: bool
    clip: bytes | None
    """What the provider serves for it; None where it was never rendered."""


class Untrue(AssertionError):
    """Something that has to hold does not."""


def check(
    rows: Sequence[Entry],
    sales: Sequence[Sale],
    library: Library,
    *,
    orphans: Counter[str] | None = None,
    killed: bool = False,
) -> None:
    """The journal and the library against the books of the providers, at any moment at which nothing runs.

    *orphans*: by prompt, how many jobs there may be that nobody can know of, because the network doubled a request.
    *killed*: a process was, and left behind what it was writing.
    """
    by_job = {(sale.provider, sale.job): sale for sale in sales}
    kept: set[tuple[str, str]] = set()
    for row in rows:
        if row.state in OPEN and FREE.search(row.note):
            raise Untrue(f"{row.id} is an open question, and its note says: {row.note}")
        if row.job is None:
            if row.state in ("submitted", "completed", "cancelled"):
                raise Untrue(f"{row.id} is {row.state} without a job")
            continue
        place = (row.provider, row.job.id)
        if place not in by_job:
            raise Untrue(f"{row.id} has a job that {row.provider} never made: {row.job.id}")
        if place in kept:
            raise Untrue(f"two generations have job {row.job.id}")
        kept.add(place)
        _check_row(row, by_job[place], library)
    _check_unknown(rows, [by_job[place] for place in by_job if place not in kept], orphans or Counter())
    _check_files(rows, library, killed=killed)


def _check_row(row: Entry, sale: Sale, library: Library) -> None:
    asked = row.request.get("prompt", sale.prompt)
    if asked != sale.prompt:
        raise Untrue(f"{row.id} asked for {asked!r} and has the job for {sale.prompt!r}")
    if row.state == "failed" and sale.alive:
        raise Untrue(f"{row.id} is told as failed, and its job {sale.job} is paid and alive")
    if row.state == "cancelled" and not sale.cancelled:
        raise Untrue(f"{row.id} is told as cancelled, and its job {sale.job} goes on")
    if row.state in OPEN:
        raise Untrue(f"{row.id} has a job and is {row.state}")
    if row.state != "completed":
        return
    path = library.find(row)
    if path is None:
        raise Untrue(f"{row.id} is told as completed, and its clip is not here")
    if sale.clip is None or path.read_bytes() != sale.clip:
        raise Untrue(f"{row.id} has another clip than the one of its job {sale.job}, or a broken one")


def _check_unknown(rows: Sequence[Entry], sales: Iterable[Sale], orphans: Counter[str]) -> None:
    """Jobs that are in no row: only where an open question is about them."""
    unknown = Counter((sale.provider, sale.prompt) for sale in sales if sale.alive)
    asked = Counter(
        (row.provider, row.request.get("prompt", "")) for row in rows if row.state in OPEN and row.job is None
    )
    for (provider, prompt), count in unknown.items():
        if count > asked[provider, prompt] + orphans[prompt]:
            raise Untrue(
                f"{count} paid jobs for {prompt!r} at {provider} are in no row, and the journal asks about "
                f"{asked[provider, prompt]}"
            )


def _check_files(rows: Sequence[Entry], library: Library, *, killed: bool) -> None:
    known = {row.clip for row in rows if row.clip}
    promised = {library.name(row) for row in rows if row.state == "submitted"}
    found = {str(path.relative_to(library.folder)) for path in library.folder.rglob("*") if path.is_file()}
    strange = found - known - promised
    if killed:
        strange = {name for name in strange if ".arriving-" not in name}
    if strange:
        raise Untrue(f"files that belong to no generation: {', '.join(sorted(strange))}")


def check_said(said: Iterable[str], keys: Iterable[str]) -> None:
    """What people read holds no key and no signed address."""
    everything = "\n".join(said)
    for key in keys:
        if key and key in everything:
            raise Untrue("a key is in what was said")
    signed = SIGNED.search(everything)
    if signed:
        raise Untrue(
            f"a signed address is in what was said: {everything[max(signed.start() - 60, 0) :][:90]}"
        )


def check_bill(error: BaseException, unknown: int) -> None:
    """An error that says that nothing was billed tells the truth; *unknown*: paid jobs of it that are in no row."""
    if FREE.search(str(error)) and (unknown or isinstance(error, SubmissionUncertain)):
        raise Untrue(f"told as not billed, and it was, or may have been: {error}")


def unknown_sales(rows: Iterable[Entry], sales: Iterable[Any]) -> list[Sale]:
    """The paid jobs that are in no row."""
    kept = {(row.provider, row.job.id) for row in rows if row.job is not None}
    return [sale for sale in sales if sale.alive and (sale.provider, sale.job) not in kept]
