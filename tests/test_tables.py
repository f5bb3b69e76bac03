"""The tables of the README and the help pages: fresh, all there, and true in what was written down by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import pages
import pytest
from bench import report
from fakes import Paper, Reconciling
from luma_ray.nodes import tables
from luma_ray.nodes.generation.hosting import WebHosting
from luma_ray.nodes.generation.offer import Limits, Provider, Source
from luma_ray.nodes.generation.request import Operation
from luma_ray.nodes.hosting import HOSTS
from luma_ray.nodes.providers import PROVIDERS

README = (pages.ROOT / "README.md").read_text("utf-8")
BEGIN = re.compile(r"<!-- table: (\w+) -->")
EACH_PAGE = pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.parent.name or page.name)


def cells(rows) -> dict[str, tuple[str, ...]]:
    """Rows by the provider that they are about."""
    return {row[0]: tuple(row[1:]) for row in rows}


def prose(page) -> str:
    """What stands on a page beside the tables that are made."""
    return re.sub(r"<!-- table: .*?<!-- end of table -->", "", page.read_text("utf-8"), flags=re.DOTALL)


# -- the pages ------------------------------------------------------------------------------------------------


@EACH_PAGE
def test_a_page_has_its_tables_as_the_providers_make_them(page):
    text = page.read_text("utf-8")
    assert pages.filled(text) == text, "stale: run `make tables`"


def test_the_page_of_benchmarks_is_made_of_the_figures_of_the_last_run():
    assert report.PAGE.read_text("utf-8") == pages.measured(), "stale: run `make tables`"


@EACH_PAGE
def test_every_table_on_a_page_has_its_end(page):
    text = page.read_text("utf-8")
    made = re.findall(r"<!-- table: \w+ -->\n\n\|[^<]*\|\n\n<!-- end of table -->", text)
    assert len(made) == text.count("<!-- table") == text.count("<!-- end of table")


def test_no_table_is_made_for_nothing():
    used = {name for page in pages.PAGES for name in BEGIN.findall(page.read_text("utf-8"))}
    assert used == set(pages.TABLES)


def test_the_page_of_a_node_that_makes_clips_has_the_table_of_its_operation():
    for operation in Operation:
        node = "Ray" + operation.words.title().replace(" ", "")
        page = pages.ROOT / "web" / "docs" / node / "en.md"
        assert {operation.value, "stops"} <= set(BEGIN.findall(page.read_text("utf-8")))


@EACH_PAGE
def test_tables_of_help_have_two_columns_because_its_panel_is_narrow(page):
    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("|")]
    wide = [row for row in rows if row.count(" | ") > 1]
    assert page.name == "README.md" or wide == []


def test_a_model_that_is_sold_for_films_alone_has_its_prices_and_none_that_is_asked_live():
    rows = {row[:2]: row[-1] for row in tables.matrix(PROVIDERS)}
    assert rows["fal", "ray-3.2"] == "modify $1.08"
    assert rows["comfy_router", "ray-3.2"] == "modify $1.08?, reframe $0.60?"
    assert rows["comfy_router", "ray-2"].endswith(", live")


def test_a_stale_table_is_made_anew_and_the_rest_of_a_page_is_left_alone():
    end = "<!-- end of table -->\n"
    page = f"before\n<!-- table: stops -->\n| old |\n{end}between\n<!-- table: jobs -->\n{end}"
    fresh = pages.filled(page)
    assert "| old |" not in fresh
    assert "\nbetween\n" in fresh
    assert fresh.startswith("before\n<!-- table: stops -->\n\n| a job that runs | at |\n")
    assert fresh.endswith(" |\n\n<!-- end of table -->\n")
    assert pages.filled(fresh) == fresh


def test_a_name_that_is_no_table_is_an_error():
    with pytest.raises(KeyError, match="job"):
        pages.filled("<!-- table: job -->\n<!-- end of table -->\n")


@EACH_PAGE
def test_help_leaves_who_sells_what_to_the_tables(page):
    # In the README there are paragraphs about single providers.
    named = [provider.name for provider in pages.PAID if f"`{provider.name}`" in prose(page)]
    assert page.name == "README.md" or named == []


# -- what the README must not forget ---------------------------------------------------------------------------


def test_every_variable_of_ours_is_in_the_readme():
    sources = "\n".join(path.read_text("utf-8") for path in (pages.ROOT / "nodes").rglob("*.py"))
    ours = set(re.findall(r"LUMA_RAY_(?:<PROVIDER>_)?[A-Z0-9_]*[A-Z0-9]", sources))
    assert {"LUMA_RAY_HOME", "LUMA_RAY_<PROVIDER>_PER_MINUTE", "LUMA_RAY_S3_PREFIX"} <= ours
    assert [name for name in sorted(ours) if f"`{name}`" not in README] == []


def test_every_key_setting_and_address_is_in_the_readme():
    names = {name for each in PROVIDERS for name in each.needs}
    names |= {name for host in HOSTS for name in host.settings}
    web = [host for host in HOSTS if isinstance(host, WebHosting)]
    names |= {each.base_url_variable for each in (*PROVIDERS, *web) if each.base_url_variable}
    assert len(names) > 15
    assert [name for name in sorted(names) if f"`{name}`" not in README] == []


def test_prompts_of_the_length_that_the_pages_name_are_taken_everywhere():
    offers = [offer for provider in PROVIDERS for offer in provider.offers if offer.prompt_length[1]]
    lengths = [offer.prompt_length for offer in offers]
    shortest, longest = max(least for least, _ in lengths), min(most for _, most in lengths)
    page = pages.ROOT / "web" / "docs" / "RayTextToVideo" / "en.md"
    assert f"{shortest} to {longest} characters" in page.read_text("utf-8")


# -- the tables: what artists are promised, written out by hand ------------------------------------------------


def test_what_is_sold_where():
    text = cells(tables.sold(PROVIDERS, Operation.TEXT_TO_VIDEO))
    assert text["luma_agents"] == ("ray-3.2; 360p to 1080p; 5, 10 s; loop at 5 s, no 9:21",)
    assert text["wavespeed"] == ("ray-2, ray-flash-2; 720p; 5, 10 s; enhance_prompt, only 16:9 and 9:16",)
    assert text["llm_stats"] == ("ray-flash-2; 720p, 1080p; 5, 9 s",)
    assert text["railwail (experimental)"] == ("ray-flash-2; 720p; 5 s; only 16:9 and 9:16",)


def test_resolutions_are_a_range_only_where_none_is_left_out():
    def sizes(*resolutions: str) -> str:
        class Sold(Paper):
            offers = (replace(Paper.offers[0], resolutions=resolutions),)

        return dict(tables.sold([Sold()], Operation.TEXT_TO_VIDEO))["paper"].split("; ")[1]

    assert sizes("540p", "720p", "1080p", "4k") == "540p to 4k"
    assert sizes("540p", "1080p", "720p") == "540p to 1080p"
    assert sizes("540p", "720p", "4k") == "540p, 720p, 4k"
    assert sizes("540p", "720p") == "540p, 720p"
    assert sizes("4k") == "4k"


def test_what_is_said_of_pictures_where_there_are_some():
    image = cells(tables.sold(PROVIDERS, Operation.IMAGE_TO_VIDEO))
    assert image["luma"][-1].endswith("; loop, concepts, prompt optional, needs hosting")
    assert image["bedrock"][-1].endswith("; loop, sides of 512 to 4096 px")
    assert image["fal"][-1].endswith("; loop, no 1:1")
    keyframes = cells(tables.sold(PROVIDERS, Operation.KEYFRAMES_TO_VIDEO))
    assert keyframes["luma_agents"][-1].endswith(
        "; up to 62 pictures in between, no 9:21, sides of up to 8000 px"
    )
    extend = cells(tables.sold(PROVIDERS, Operation.EXTEND_VIDEO))
    assert list(extend) == ["luma", "luma_agents", "comfy_router", "animatic"]
    assert extend["luma"][-1].endswith(" s; loop, concepts")


def test_what_is_said_of_films_that_are_changed():
    modify = dict.fromkeys(row[0] for row in tables.sold(PROVIDERS, Operation.MODIFY_VIDEO))
    assert list(modify) == [
        "luma",
        "luma_agents",
        "comfy_router",
        "fal",
        "replicate",
        "wavespeed",
        "animatic",
    ]
    rows = [row for row in tables.sold(PROVIDERS, Operation.MODIFY_VIDEO) if row[0] == "luma"]
    assert rows == [
        (
            "luma",
            "ray-2; films up to 10 s and 100 MB; modes, first frame, needs hosting, 5 s of 720p: $1.75",
        ),
        (
            "luma",
            "ray-flash-2; films up to 15 s and 100 MB; modes, first frame, needs hosting, 5 s of 720p: $0.60",
        ),
    ]
    reframe = cells(tables.sold(PROVIDERS, Operation.REFRAME_VIDEO))
    assert reframe["luma_agents"] == (
        "ray-3.2; 360p to 720p; films up to 30 s and 200 MB; no 9:21, place, prompt required, 5 s of 720p: $0.60?",
    )
    assert reframe["replicate"][0].endswith("; place, 5 s of 720p: price unknown")
    upscale = cells(tables.sold(PROVIDERS, Operation.UPSCALE_VIDEO))
    assert upscale["luma"] == ("ray-2, ray-flash-2; 720p to 4k; its own clips; 5 s to 1080p: $0.45?",)
    audio = cells(tables.sold(PROVIDERS, Operation.ADD_AUDIO))
    assert list(audio) == ["luma", "animatic"]
    assert audio["luma"] == ("ray-2, ray-flash-2; its own clips; negative prompt, 5 s of 720p: $0.10?",)


def test_sizes_and_ratios_of_a_model_are_those_of_clips_that_are_not_made_from_a_film():
    rows = {row[:2]: row[2:] for row in tables.matrix(PROVIDERS)}
    assert rows["fal", "ray-2"][3] == "16:9, 9:16, 4:3, 3:4, 21:9, 9:21"
    assert rows["animatic", "ray-2"][1] == "360p, 540p, 720p, 1080p"


def test_models_that_are_sold_alike_share_a_row_and_others_do_not():
    class Uneven(Paper):
        offers = (*Paper.offers[:2], *(replace(offer, durations=(9,)) for offer in Paper.offers[2:]))

    assert list(tables.sold([Paper()], Operation.TEXT_TO_VIDEO)) == [
        ("paper", "ray-2, ray-flash-2; 540p, 720p; 5, 9 s; only 16:9 and 1:1")
    ]
    assert list(tables.sold([Uneven()], Operation.TEXT_TO_VIDEO)) == [
        ("paper", "ray-2; 540p, 720p; 5, 9 s; only 16:9 and 1:1"),
        ("paper", "ray-flash-2; 540p, 720p; 9 s; only 16:9 and 1:1"),
    ]


def test_a_model_has_one_row_with_its_price():
    rows = {row[:2]: row[2:] for row in tables.matrix(PROVIDERS)}
    assert rows["comfy_router", "ray-2"] == (
        "text, image, keyframes, extend, interpolate",
        "540p, 720p, 1080p, 4k",
        "5, 9",
        "all 7",
        "loop",
        "$1.02?, live",
    )
    assert rows["railwail (experimental)", "ray-flash-2"][-1] == "price unknown"
    assert rows["replicate", "ray-flash-2"][-1] == "$0.30"
    assert rows["animatic", "ray-2"][-1] == "free"


def test_what_a_provider_needs_and_where_pictures_go():
    needed = cells(pages.keys(pages.PAID))
    assert needed["fal"][1:] == ("`FAL_KEY`", "fal.ai/dashboard/keys", "in its own storage")
    assert needed["replicate"][-1] == "in its own storage"
    assert (needed["bedrock"][1], needed["bedrock"][-1]) == (
        "`LUMA_RAY_BEDROCK_OUTPUT`",
        "inside the request",
    )
    assert all(row[2] for row in needed.values())
    links = [name for name, row in needed.items() if "hosting" in row[-1]]
    assert links == ["luma", "llm_stats"]


def test_what_becomes_of_a_job():
    job = cells(pages.jobs(pages.PAID))
    listed = "is looked for in its list"
    assert job["luma"] == ("10, 20 a minute", "runs on", listed, "not documented")
    assert job["bedrock"][:3] == ("1?", "runs on", f"{listed}, then is asked again for 1 hour")
    assert job["comfy_router"] == (
        "not documented",
        "is asked to stop",
        "is asked again for 23 hours",
        "24 hours",
    )
    assert job["fal"][2:] == ("you decide", "7 days")
    assert (job["replicate"][1], job["replicate"][-1]) == ("is cancelled", "1 hour")
    assert job["bedrock"][-1] == "in your own storage"


def test_what_matters_to_somebody_who_wants_a_clip_back():
    told = cells(pages.collecting(pages.PAID))
    assert told["comfy_router"] == (
        "kept: 24 hours; a stop: is asked to stop; a lost answer: is asked again for 23 hours",
    )
    assert list(told) == list(cells(pages.jobs(pages.PAID)))


class Bare(Paper):
    """A provider with nothing but what every provider must have."""

    cancel = Provider.cancel


def test_a_job_of_a_provider_that_documents_nothing_runs_on_and_is_left_to_the_person():
    unknown = pages.UNKNOWN
    assert list(pages.jobs([Bare()])) == [("paper", unknown, "runs on", "you decide", unknown)]
    assert list(pages.stops([Bare(), Reconciling()])) == [
        ("is finished there and billed", "paper"),
        ("is asked to stop, and may be billed all the same", "reconciling"),
    ]


def test_limits_that_others_reported_are_marked():
    class Limited(Paper):
        limits = Limits(per_minute=3, source=Source(where="a forum", day="2026-11-20", unverified=True))

    assert next(pages.jobs([Limited()]))[1] == "3 a minute?"


def test_who_has_what_an_artist_wants():
    found = dict(pages.choice(pages.PAID))
    assert found["camera concepts"] == "luma, replicate"
    assert found["prompts rewritten (`enhance_prompt`)"] == "wavespeed"
    assert found["pictures in between"] == found["drafts at 360p"] == "luma_agents"
    assert found["4k"] == "luma, comfy_router"
    assert all(found.values())


def test_who_takes_camera_concepts_and_for_which_models():
    rows = cells(pages.having(PROVIDERS, "concepts"))
    assert rows["replicate"] == (
        "ray-2, ray-flash-2; text to video, image to video, keyframes to video; 5, 9 s",
    )
    assert list(rows) == ["luma", "replicate", "animatic"]


def test_a_variable_that_two_services_share_is_named_once():
    rows = pages.addresses(pages.PAID, HOSTS)
    assert len({row[0] for row in rows}) == len(rows)
    assert ("`FAL_STORAGE_URL`", "fal.ai storage", "https://rest.fal.ai") in rows
    assert ("`WAVESPEED_BASE_URL`", "WaveSpeedAI", "https://api.wavespeed.ai") in rows
