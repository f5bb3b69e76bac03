"""`luma-ray` from this checkout, installed or not: run by the tests in a process of its own."""

from __future__ import annotations

import signal
import sys

import conftest  # noqa: F401 - makes the checkout importable as luma_ray

if __name__ == "__main__":
    from luma_ray.nodes.cli import main

    # A shell has what it starts in the background ignore Ctrl-C, and so would this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
