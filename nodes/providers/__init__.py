"""Every provider, one line each. A new one is a module beside this file, a line here and an emulator."""

from __future__ import annotations

from ..generation.offer import Provider
from .animatic import Animatic
from .luma import Luma

PROVIDERS: tuple[Provider, ...] = (
    Luma(),
    Animatic(),
)
