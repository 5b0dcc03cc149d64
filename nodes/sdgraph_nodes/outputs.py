"""Outputs that several node types have."""

from typing import Any

from sdgraph.core.node import Outputs
from sdgraph.core.port import Out
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents


class ImageOut(Outputs):
    """Pictures."""

    image: Out[Image]


class LatentsOut(Outputs):
    """Latents."""

    latents: Out[Latents]


class AnyOut(Outputs):
    """Whatever came in."""

    value: Out[Any]
