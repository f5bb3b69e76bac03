"""A studio as tests use it."""

from __future__ import annotations

from fakes import FakeClock, Reports
from luma_ray.nodes.studio import Studio


class Work:
    """A studio with a clock whose seconds pass at once."""

    def __init__(self, folder):
        self.studio = Studio(folder / "private", folder / "clips")
        self.reports = Reports()

    def __getattr__(self, name):
        operation = getattr(self.studio, name)
        return lambda *args, **kwargs: operation(*args, clock=FakeClock(), report=self.reports, **kwargs)
