"""Every provider, one line each. A new one is a module beside this file, a line here and an emulator."""

from __future__ import annotations

from ..generation.offer import Provider
from .animatic import Animatic
from .fal import Fal
from .luma import Luma
from .luma_agents import LumaAgents
from .replicate import Replicate

PROVIDERS: tuple[Provider, ...] = (
    Luma(),
    LumaAgents(),
    Fal(),
    Replicate(),
    Animatic(),
)
