"""Hostile clips, as many as you like: `python tests/fuzz/hunt.py --count 5000`.

Every file is opened in every way the pack opens one, in a process whose memory is limited. What may come of it: the
clip is whole after all, or an error of ours. Anything else (another exception, a crash, more memory or more time than
promised) is told, the file is kept, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import conftest  # noqa: F401 - the pack under its name

from fuzz.mutations import mutated
from fuzz.seeds import seeds

MEBIBYTES = 1536
"""Memory that opening a clip may need beyond what the process has already."""
SECONDS = 20.0
"""Time that one look at a small file may take, on a machine that does something else as well."""
LOOKS = Path(__file__).with_name("looks.py")


@dataclass
class Found:
    """What a hunt found."""

    files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """How often each look ended how."""
    refused: int = 0
    """Files that no look opened."""
    worst_memory: tuple[int, str] = (0, "")
    """MiB, and what it was."""
    worst_time: tuple[float, str] = (0.0, "")
    broken: list[str] = field(default_factory=list)
    """What must not happen, with the file."""

    def table(self) -> str:
        """For people."""
        lines = [f"{self.files} files, {self.refused} of them opened by no look"]
        lines += [f"  {count:6} x {outcome}" for outcome, count in self.outcomes.most_common()]
        lines.append(f"worst memory: {self.worst_memory[0]} MiB ({self.worst_memory[1]})")
        lines.append(f"worst time:   {self.worst_time[0]:.2f} s ({self.worst_time[1]})")
        return "\n".join([*lines, *(f"BROKEN {line}" for line in self.broken)])


class Looker:
    """The process that opens the files; begun again where one of them killed it."""

    def __init__(self, folder: Path, mebibytes: int = MEBIBYTES, seconds: float = SECONDS) -> None:
        self._good = folder / "good.mp4"
        if not self._good.exists():
            self._good.write_bytes(seeds()["mp4"])
        self._arguments = [sys.executable, str(LOOKS), str(mebibytes), str(self._good)]
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Looker:  # noqa: PYI034 - typing.Self is newer than Python 3.10
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def look(self, path: Path) -> dict[str, tuple[str, float, int]]:
        """Outcome, seconds and MiB of each look; an outcome of its own where the process did not live."""
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._line(self._seconds * 8)
        if line is None:
            process.kill()
        if not line:
            process.wait()
            self._end()
            ended = "HUNG" if line is None else f"CRASHED with {process.returncode}"
            return {"process": (ended, self._seconds, 0)}
        return {name: tuple(told) for name, told in json.loads(line).items()}

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self._line(120)
        return self._process

    def _line(self, seconds: float) -> str | None:
        """The next line; empty where the process ended, None where nothing came in time."""
        answer: queue.Queue[str] = queue.Queue()
        process = self._process
        assert process is not None
        assert process.stdout is not None
        threading.Thread(target=lambda: answer.put(process.stdout.readline()), daemon=True).start()  # type: ignore[union-attr]
        try:
            return answer.get(timeout=seconds)
        except queue.Empty:
            return None

    def _end(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.kill()
            self._process.wait()
            self._process = None


def hunt(
    files: Iterable[tuple[str, bytes]],
    folder: Path,
    *,
    mebibytes: int = MEBIBYTES,
    seconds: float = SECONDS,
    kept: Path | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Found:
    """Open each of *files* (name, content) in every way.

    What broke something goes to *kept*, and is *told* at once.
    """
    found = Found()
    with Looker(folder, mebibytes, seconds) as looker:
        path = folder / "hostile.mp4"
        for name, data in files:
            path.write_bytes(data)
            results = looker.look(path)
            found.files += 1
            found.refused += all(outcome != "opened" for outcome, _, _ in results.values())
            for look, (outcome, took, memory) in results.items():
                what = f"{look}: {name}"
                found.outcomes[outcome.split(":")[0]] += 1
                found.worst_memory = max(found.worst_memory, (memory, what))
                found.worst_time = max(found.worst_time, (took, what))
                if (
                    outcome.split()[0] in ("ESCAPED", "CRASHED", "HUNG")
                    or took > seconds
                    or memory > mebibytes
                ):
                    found.broken.append(f"{what}: {outcome} ({took:.1f} s, {memory} MiB)")
                    told(found.broken[-1])
                    if kept is not None:
                        kept.mkdir(parents=True, exist_ok=True)
                        (kept / f"{found.files}.mp4").write_bytes(data)
    return found


def main() -> int:
    """Hunt and tell."""
    parser = argparse.ArgumentParser(description="Hostile clips, opened in every way the pack opens one.")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--mebibytes", type=int, default=MEBIBYTES)
    parser.add_argument("--kept", type=Path, help="where files that broke something are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="luma-ray-hunt-") as folder:
        numbers = range(options.first, options.first + options.count)
        files = (_named(number) for number in numbers)
        found = hunt(
            files,
            Path(folder),
            mebibytes=options.mebibytes,
            kept=options.kept,
            told=lambda line: print(line, flush=True),
        )
    print(found.table())
    return 1 if found.broken else 0


def _named(number: int) -> tuple[str, bytes]:
    kind, data = mutated(number, seeds())
    return f"{number} ({kind})", data


if __name__ == "__main__":
    sys.exit(main())
