"""Run one emulator for a person: `python tests/emulators/serve.py luma --port 9000`."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from emulators.server import Emulator, Request

EMULATORS = {
    "luma": "emulators.luma:LumaEmulator",
    "luma_agents": "emulators.luma_agents:LumaAgentsEmulator",
    "bedrock": "emulators.bedrock:BedrockEmulator",
    "wavespeed": "emulators.wavespeed:WaveSpeedEmulator",
    "llm_stats": "emulators.llm_stats:LlmStatsEmulator",
    "railwail": "emulators.railwail:RailwailEmulator",
    "fal": "emulators.fal:FalEmulator",
    "replicate": "emulators.replicate:ReplicateEmulator",
    "comfy_router": "emulators.comfy_router:ComfyRouterEmulator",
}


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A strict stand-in for a provider, on this machine only.")
    parser.add_argument("name", choices=sorted(EMULATORS))
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--job-seconds", type=float, default=5.0, help="how long each job takes (default: 5)")
    parser.add_argument("--key", help="the only key that is accepted")
    parser.add_argument("--full-size", action="store_true", help="pictures of the real size")
    chosen = parser.parse_args(arguments)
    # A shell has what it starts in the background ignore Ctrl-C.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, signal.default_int_handler)

    module, name = EMULATORS[chosen.name].split(":")
    emulator: Emulator = getattr(importlib.import_module(module), name)(
        port=chosen.port, key=chosen.key, job_seconds=chosen.job_seconds, full_size=chosen.full_size
    )
    emulator.watch = show
    try:
        emulator.start()
    except OSError as error:
        print(f"Port {chosen.port} cannot be used: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{chosen.name} at {emulator.base_url}\n")
    for variable, value in emulator.environment().items():
        print(f"export {variable}={value}")
    print("\nCtrl-C ends it.", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print(f"\n{emulator.summary()}", flush=True)
    finally:
        emulator.close()
    return 0


def show(request: Request) -> None:
    """One line for each request."""
    clock = time.strftime("%H:%M:%S", time.localtime(request.time))
    print(f"{clock} {request.method:6} {request.path} {request.status or 'no answer'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
