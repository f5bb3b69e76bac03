"""Every way to give a picture a public URL, in the order they are tried."""

from __future__ import annotations

from ..generation.hosting import Hosting
from .fal import Fal
from .s3 import S3
from .wavespeed import WaveSpeedStorage

HOSTS: tuple[Hosting, ...] = (S3(), Fal(), WaveSpeedStorage())
