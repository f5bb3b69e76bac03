"""A provider in a process of its own, whose every clip is the same file: `serving.py CLIP SECONDS`.

fal's emulator, because it sets no limit on how many jobs run at a time: what waits in line would be measured too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(clip: str, seconds: float) -> Iterator[None]:
    """This process set up to buy at such a provider, whose jobs take so many *seconds*."""
    command = [sys.executable, __file__, clip, str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        before = {name: os.environ.get(name) for name in told}
        os.environ.update(told)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            process.stdin.close()
            process.wait(30)


def main() -> None:
    """Serve until nobody holds the other end of the input any more."""
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from emulators.fal import FalEmulator

    reel = Path(sys.argv[1]).read_bytes()

    class Cinema(FalEmulator):
        def film(self, work: object) -> bytes:
            return reel

    with Cinema(job_seconds=float(sys.argv[2]), credit_usd=1000.0) as emulator:
        print(json.dumps(emulator.environment()), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
