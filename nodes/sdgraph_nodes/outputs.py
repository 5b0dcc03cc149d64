"""Outputs that several node types have."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import Out
from sdgraph.payloads.control import Control
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from sdgraph.payloads.mask import Mask


class ImageOut(Outputs):
    """Pictures."""

    image: Out[Image]
    """[B, 3, H, W], float32 in 0..1."""


class LatentsOut(Outputs):
    """Latents."""

    latents: Out[Latents]
    """[B, C, H/8, W/8]."""


class MaskOut(Outputs):
    """Masks."""

    mask: Out[Mask]
    """[B, 1, H, W], float32 in 0..1."""


class ControlOut(Outputs):
    """What steers sampling."""

    control: Out[Control]
    """All controls so far, for a sampler."""


class SameSpace(Node[LatentsOut]):
    """Base of nodes whose latents are of the space, size and number of those at their input `latents`."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"latents": known.get("latents")}


class SamePicture(Node[ImageOut]):
    """Base of nodes whose pictures have the size and number of those at their input `image`."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"image": known.get("image")}


class SameMask(Node[MaskOut]):
    """Base of nodes whose masks have the size and number of those at their input `mask`."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"mask": known.get("mask")}


class AnyOut(Outputs):
    """Whatever came in."""

    value: Out[Any]
    """The input that was taken."""
