"""Measure: `python tests/bench [--quick | --parts decode,encode]`; without these it writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import machine, pack, report, running  # noqa: F401 - the pack under its name
from bench.parts import PARTS
from bench.plan import Bench


def main(arguments: list[str] | None = None) -> int:
    """Measure what is chosen, and print its tables."""
    parser = argparse.ArgumentParser(prog="python tests/bench", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--quick", action="store_true", help="one round, and nothing that takes long")
    parser.add_argument("--parts", default="", help=f"only these: {','.join(part.name for part in PARTS)}")
    parser.add_argument("--rounds", type=int, default=1000, help="no more than so many of each part")
    chosen = parser.parse_args(arguments)
    names = [name for name in chosen.parts.replace(",", " ").split() if name]
    unknown = sorted(set(names) - {part.name for part in PARTS})
    if unknown:
        parser.error(
            f"there is no part {', '.join(unknown)}; there are {', '.join(part.name for part in PARTS)}"
        )
    parts = [part for part in PARTS if not names or part.name in names]
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {words}", file=sys.stderr, flush=True)

    told = {**machine.told(), "parts": {}}
    broken = []
    with tempfile.TemporaryDirectory(prefix="luma-ray-bench-") as folder:
        bench = Bench(folder=Path(folder), quick=chosen.quick, most=chosen.rounds)
        for part in parts:
            say(f"{part.name}: {part.title}")
            try:
                told["parts"][part.name] = running.run(part, bench, say)
            except running.Broken as error:
                broken.append(str(error))
                say(f"{part.name}: BROKEN: {error}")
    told["seconds"] = round(time.monotonic() - began)
    figures = report.kept(told)
    page = report.page(json.loads(figures), PARTS)
    print(page)
    if not (broken or chosen.quick or names):
        report.FIGURES.write_text(figures, "utf-8", newline="\n")
        report.PAGE.write_text(page, "utf-8", newline="\n")
        say(f"written: {report.PAGE}")
    for words in broken:
        print(f"BROKEN: {words}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
