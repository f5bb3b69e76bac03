"""The tables in the README and the help pages, made from the providers and the nodes: `make tables` writes them anew.

So are the files in locales/en (see translations.py); and docs/benchmarks.md, and what the README quotes of it, from
the figures of the last `make bench`.

A table stands between two comments, which are not shown: `<!-- table: jobs -->` and `<!-- end of table -->`. Its
name is one of `TABLES`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import conftest  # noqa: F401 - the pack under its name

import translations
from bench import quotes, report
from bench.parts import PARTS
from luma_ray.nodes.generation.hosting import Hosting, WebHosting
from luma_ray.nodes.generation.offer import Offer, Provider
from luma_ray.nodes.generation.request import Operation
from luma_ray.nodes.hosting import HOSTS
from luma_ray.nodes.providers import PROVIDERS
from luma_ray.nodes.tables import HEADER, SOLD, Row, costs, markdown, matrix, named, needs_hosting, sold

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("web/docs/*/*.md")))
PAID = [provider for provider in PROVIDERS if not provider.local]
UNKNOWN = "not documented"
COSTS = ("provider", "5 s of 720p; least to most")
SHOTS = (Operation.TEXT_TO_VIDEO, Operation.IMAGE_TO_VIDEO, Operation.KEYFRAMES_TO_VIDEO)
"""What the shots of a scene and the takes of one shot are made by."""

WANTED: dict[str, Callable[[Provider, Offer], object]] = {
    # what an artist may look for: whether an offer has it
    "Ray 3.2": lambda provider, offer: offer.model == "ray-3.2",
    "a last frame": lambda provider, offer: any(last == "image" for _, last in offer.keyframes),
    "pictures in between": lambda provider, offer: offer.middle_frames,
    "an extend of its own": lambda provider, offer: offer.operation is Operation.EXTEND_VIDEO,
    "films made over (modify)": lambda provider, offer: offer.operation is Operation.MODIFY_VIDEO,
    "films in another ratio (reframe)": lambda provider, offer: offer.operation is Operation.REFRAME_VIDEO,
    "its clips upscaled": lambda provider, offer: offer.operation is Operation.UPSCALE_VIDEO,
    "sound for its clips": lambda provider, offer: offer.operation is Operation.ADD_AUDIO,
    "a clip between two of its clips": lambda provider, offer: offer.operation is Operation.INTERPOLATE_VIDEO,
    "a loop": lambda provider, offer: offer.loops,
    "camera concepts": lambda provider, offer: offer.concepts,
    "prompts rewritten (`enhance_prompt`)": lambda provider, offer: offer.enhances,
    "10 s in one clip": lambda provider, offer: 10 in offer.durations,
    "drafts at 360p": lambda provider, offer: "360p" in offer.resolutions and not offer.remaking,
    "1080p": lambda provider, offer: "1080p" in offer.resolutions,
    "4k": lambda provider, offer: "4k" in offer.resolutions,
    "pictures with nothing more to set up": lambda provider, offer: not needs_hosting(provider),
    "a job that can be asked to stop": lambda provider, offer: can_stop(provider),
    "a price that is asked live": lambda provider, offer: provider.tells_price(offer.operation),
}


def can_stop(provider: Provider) -> bool:
    """Whether it has a way to cancel at all."""
    return type(provider).cancel is not Provider.cancel


def choice(providers: Iterable[Provider]) -> Iterator[Row]:
    """What an artist may look for, and who has it."""
    paid = list(providers)
    for words, has in WANTED.items():
        yield words, _names(each for each in paid if any(has(each, offer) for offer in each.offers))


def having(providers: Iterable[Provider], attribute: str) -> Iterator[Row]:
    """Who has offers with *attribute*, and which."""
    for provider in providers:
        offers = [offer for offer in provider.offers if getattr(offer, attribute)]
        if offers:
            models = dict.fromkeys(offer.model for offer in offers)
            operations = dict.fromkeys(offer.operation.words for offer in offers)
            seconds = sorted({seconds for offer in offers for seconds in offer.durations})
            words = (", ".join(map(str, each)) for each in (models, operations, seconds))
            yield named(provider), f"{'; '.join(words)} s"


def keys(providers: Iterable[Provider]) -> Iterator[Row]:
    """What each needs on this machine."""
    for provider in providers:
        along = "in its own storage" if provider.hosting or provider.upload_life else "inside the request"
        pictures = "by a public link: [hosting](#pictures)" if needs_hosting(provider) else along
        service = f"[{provider.title}]({provider.docs})"
        yield named(provider), service, _code(provider.needs), provider.key_from, pictures


def hosting(hosts: Iterable[Hosting]) -> Iterator[Row]:
    """Where pictures can be put, in the order in which the places are tried."""
    for host in hosts:
        yield host.title, _code(host.settings), _time(host.life)


def addresses(providers: Iterable[Provider], hosts: Iterable[Hosting]) -> list[Row]:
    """Which variable leads elsewhere than to which address."""
    web = [host for host in hosts if isinstance(host, WebHosting)]
    usual = {each.base_url_variable: (each.title, each.base_url) for each in (*web, *providers)}
    return sorted((_code([variable]), *words) for variable, words in usual.items() if variable)


def jobs(providers: Iterable[Provider]) -> Iterator[Row]:
    """What becomes of a job, from the line before it to the clip that is kept."""
    for provider in providers:
        stop = (
            "is cancelled"
            if provider.cancelled_bill
            else "is asked to stop"
            if can_stop(provider)
            else "runs on"
        )
        yield named(provider), _at_a_time(provider), stop, _unanswered(provider), _time(provider.keeps)


def collecting(providers: Iterable[Provider]) -> Iterator[Row]:
    """What of `jobs` matters to somebody who wants a clip back, in the two columns of a help page."""
    for name, _, stop, answer, kept in jobs(providers):
        yield name, f"kept: {kept}; a stop: {stop}; a lost answer: {answer}"


def stops(providers: Iterable[Provider]) -> Iterator[Row]:
    """What a stop does to a job, and where."""
    paid = list(providers)
    yield "is finished there and billed", _names(each for each in paid if not can_stop(each))
    asked = [each for each in paid if can_stop(each) and not each.cancelled_bill]
    yield "is asked to stop, and may be billed all the same", _names(asked)
    for each in paid:
        if each.cancelled_bill:
            yield f"is cancelled. {each.cancelled_bill}", each.name


def shots(providers: Iterable[Provider]) -> Iterator[Row]:
    """Who makes shots from words, from a first picture, and between two, of which length."""
    words = dict(zip(SHOTS, ("words", "a first picture", "two pictures"), strict=True))
    for provider in providers:
        offers = [offer for offer in provider.offers if offer.operation in SHOTS]
        models = ", ".join(dict.fromkeys(offer.model for offer in offers))
        made = ", ".join(words[each] for each in SHOTS if any(offer.operation is each for offer in offers))
        seconds = ", ".join(map(str, sorted({seconds for offer in offers for seconds in offer.durations})))
        yield named(provider), f"{models}; from {made}; {seconds} s"


def examples(node_id: str) -> list[str]:
    """Names of the example workflows with such a node, in the order of the alphabet."""
    return [
        path.stem
        for path in sorted((ROOT / "example_workflows").glob("*.json"))
        if any(node["type"] == node_id for node in json.loads(path.read_text("utf-8"))["nodes"])
    ]


def inputs(node_id: str) -> Iterator[Row]:
    """A node's inputs, as their tooltips have it."""
    for name, (_, options) in translations.declared(node_id).items():
        yield f"**{name}**", _cell(options["tooltip"])


def outputs(node_id: str) -> Iterator[Row]:
    """A node's outputs, as their tooltips have it."""
    node = translations.nodes()[node_id]
    for name, tooltip in zip(node["output_name"], node["output_tooltips"], strict=True):
        yield f"**{name}**", _cell(tooltip)


def experimental(providers: Iterable[Provider]) -> Iterator[Row]:
    """Which providers are, and why."""
    for provider in providers:
        if provider.experimental:
            yield provider.name, provider.experimental


TABLES: dict[str, Callable[[], tuple[Row, Iterable[Row]]]] = {
    **{each.value: partial(lambda each: (SOLD, sold(PROVIDERS, each)), each) for each in Operation},
    **{
        each: partial(lambda each: (SOLD, having(PROVIDERS, each)), each)
        for each in ("concepts", "middle_frames")
    },
    **{
        f"costs_{each.value}": partial(lambda each: (COSTS, costs(PROVIDERS, each)), each)
        for each in Operation
        if not each.remakes
    },
    **{
        f"{side}_{page.parent.name}": partial(
            lambda side, make, node_id: ((side.removesuffix("s"), "what"), make(node_id)),
            side,
            make,
            page.parent.name,
        )
        for side, make in (("inputs", inputs), ("outputs", outputs))
        for page in PAGES[1:]
    },
    "shots": lambda: (SOLD, shots(PROVIDERS)),
    "models": lambda: (HEADER, matrix(PROVIDERS)),
    "choice": lambda: (("wanted", "who has it"), choice(PAID)),
    "keys": lambda: (("provider", "service", "must be set", "from", "pictures go"), keys(PAID)),
    "hosting": lambda: (("place", "set up by", "a link works for"), hosting(HOSTS)),
    "addresses": lambda: (("variable", "of", "instead of"), addresses(PAID, HOSTS)),
    "jobs": lambda: (("provider", "at a time", "a stop", "a lost answer", "a clip is kept"), jobs(PAID)),
    "collecting": lambda: (SOLD, collecting(PAID)),
    "stops": lambda: (("a job that runs", "at"), stops(PAID)),
    "bench": lambda: (quotes.HEADER, quotes.rows(report.load())),
    "experimental": lambda: (("experimental", "why"), experimental(PAID)),
}


def filled(page: str) -> str:
    """*page* with its tables made anew. Raises KeyError for a name that is no table's."""

    def table(found: re.Match[str]) -> str:
        return f"{found[1]}\n\n{markdown(*TABLES[found[2]]())}\n\n{found[3]}"

    between = r"(<!-- table: (\w+) -->)\n.*?(<!-- end of table -->)"
    return re.sub(between, table, page, flags=re.DOTALL)


def for_all(page: Path) -> Path:
    """Where a help page stands once more, for languages without one: ComfyUI shows them no other language's."""
    return page.parent.with_suffix(".md")


def measured() -> str:
    """The page of benchmarks."""
    return report.page(report.load(), PARTS)


def main() -> None:
    """Write the tables of every page, and the strings for translators."""
    for page in PAGES:
        page.write_text(filled(page.read_text("utf-8")), "utf-8", newline="\n")
    for page in PAGES[1:]:
        for_all(page).write_text(page.read_text("utf-8"), "utf-8", newline="\n")
    for file, strings in translations.files().items():
        file.write_text(translations.written(strings), "utf-8", newline="\n")
    report.PAGE.write_text(measured(), "utf-8", newline="\n")


def _cell(words: str) -> str:
    """*words* for a table, in which a bar would end the cell."""
    return words.replace("|", "\\|")


def _names(providers: Iterable[Provider]) -> str:
    return ", ".join(provider.name for provider in providers)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _at_a_time(provider: Provider) -> str:
    limits = provider.limits
    a_minute = f"{limits.per_minute} a minute" if limits.per_minute else ""
    words = ", ".join(filter(None, [str(limits.concurrent or ""), a_minute]))
    unverified = "?" if limits.source is not None and limits.source.unverified else ""
    return f"{words}{unverified}" if words else UNKNOWN


def _unanswered(provider: Provider) -> str:
    listed = "is looked for in its list" if provider.reconciles else ""
    again = f"is asked again for {_time(provider.resend_life)}" if provider.resend_life else ""
    return ", then ".join(filter(None, [listed, again])) or "you decide"


def _time(seconds: float) -> str:
    if not seconds:
        return UNKNOWN
    if seconds == float("inf"):
        return "in your own storage"
    if seconds > 48 * 3600:
        return f"{seconds / 86400:.0f} days"
    hours = round(seconds / 3600)
    return f"{hours} hour{'s' * (hours > 1)}"


if __name__ == "__main__":
    main()
