"""A process of its own that opens hostile files in every way the pack does, under a limit on its memory.

`python tests/fuzz/looks.py MEBIBYTES GOOD_CLIP [LOOK ...]` reads paths from standard input and answers each with a
line of JSON: what came of every look, how long it took, and how much memory it needed beyond what the process had
before.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import conftest  # noqa: F401 - the pack under its name
import torch
from luma_ray.nodes.generation.errors import GenerationError
from luma_ray.nodes.media import clips, frames, seams, sound, splicing

warnings.simplefilter("error")


def looks(path: Path, good: Path, made: Path) -> dict[str, Callable[[], object]]:
    """Every way in which the pack opens a file that it did not make."""
    return {
        "arrived": lambda: clips.arrived(path),
        "inspect": lambda: clips.inspect(path),
        "first_frame": lambda: frames.first_frame(path),
        "last_frame": lambda: frames.last_frame(path),
        "decode": lambda: frames.decode(path, count=40),
        "decode from": lambda: frames.decode(path, start=5, count=3, step=2, size=(32, 24)),
        "read": lambda: sum(1 for _ in islice(clips.read(path, start=2), 40)),
        "join": lambda: seams.join([good, path], made),
        "join before": lambda: seams.find(path, good),
        "join after": lambda: seams.join([path, good], made),
        "audio": lambda: (clips.inspect(path), sound.audio(path)),
        "cut": lambda: cut(path, 0, made),
        "cut from": lambda: cut(path, 3, made),
    }


def cut(path: Path, first: int, made: Path) -> None:
    """Some frames of a clip as a film of their own."""
    line = clips.timeline(path)
    first = min(first, line.frames - 1)
    part = splicing.Part(path, line, -first, first, min(first + 12, line.frames))
    splicing.splice([part], made, size=clips.shown_size(path))


def tried(look: Callable[[], object]) -> str:
    """ "opened", or the kind of the error; anything but an error of ours is spelled out."""
    try:
        look()
    except GenerationError as error:
        return type(error).__name__
    except BaseException as error:  # noqa: BLE001 - this is what is looked for
        return f"ESCAPED {type(error).__module__}.{type(error).__name__}: {error}"[:300]
    return "opened"


def status(name: str) -> int:
    """A line of /proc/self/status, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) // 1024
    return 0


def main(mebibytes: int, good: Path, chosen: list[str]) -> None:
    """Answer until there are no more paths. *chosen*: the looks that are wanted; none for all."""
    torch.set_num_threads(1)
    made = good.with_name(f"joined-{os.getpid()}.mp4")
    for look in looks(
        good, good, made
    ).values():  # libraries and threads are there before anything is measured
        look()
    gc.collect()
    gc.freeze()  # so that collecting again takes no time
    before = status("VmSize")
    if mebibytes:
        limit = (before + mebibytes) << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps({"ready": before}), flush=True)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        results: dict[str, Any] = {}
        for name, look in looks(path, good, made).items():
            if chosen and name not in chosen:
                continue
            gc.collect()
            Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
            had, begun = status("VmRSS"), time.perf_counter()
            came = tried(look)
            seconds, grown = time.perf_counter() - begun, status("VmHWM") - had
            results[name] = [came, round(seconds, 3), max(grown, 0)]
        print(json.dumps(results), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
