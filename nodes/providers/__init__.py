"""Every provider, one line each. A new one is a module beside this file, a line here and an emulator."""

from __future__ import annotations

from ..generation.offer import Provider
from .animatic import Animatic
from .bedrock import Bedrock
from .comfy_router import ComfyRouter
from .fal import Fal
from .llm_stats import LlmStats
from .luma import Luma
from .luma_agents import LumaAgents
from .railwail import Railwail
from .replicate import Replicate
from .wavespeed import WaveSpeed

PROVIDERS: tuple[Provider, ...] = (
    Luma(),
    LumaAgents(),
    Bedrock(),
    ComfyRouter(),
    Fal(),
    LlmStats(),
    Railwail(),
    Replicate(),
    WaveSpeed(),
    Animatic(),
)
