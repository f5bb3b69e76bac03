"""The animatic: an honest pre-visualisation of a shot, rendered on this machine. It is not Ray, and says so."""

from __future__ import annotations

from .camera import CAMERA_MOVES
from .remake import Remake, remake
from .render import RenderStopped, Shot, render

__all__ = ["CAMERA_MOVES", "Remake", "RenderStopped", "Shot", "remake", "render"]
