"""`luma-ray` from this checkout, installed or not: run by the tests in a process of its own."""

from __future__ import annotations

import sys

import conftest  # noqa: F401 - makes the checkout importable as luma_ray

if __name__ == "__main__":
    from luma_ray.nodes.cli import main

    sys.exit(main())
