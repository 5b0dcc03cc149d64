"""What is certain of pictures, masks and latents before anything runs: the facts that nodes hand on (`Node.infer`).

A fact has the properties that its value will have, so that one function checks sizes before and while running.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from sdgraph.core.port import Link
from sdgraph.payloads.latents import LatentSpace

MaskKind = Literal["none", "mask", "seen"]
"""Whether latents have a mask, and with it the visible part of the picture (`seen`)."""


class Sized(Protocol):
    """Pictures, masks, and what is known of them."""

    @property
    def width_px(self) -> int: ...
    @property
    def height_px(self) -> int: ...
    @property
    def batch(self) -> int: ...


@dataclass(frozen=True, slots=True)
class PictureFact:
    """The size of pictures or masks, and how many there are."""

    width_px: int
    height_px: int
    batch: int = 1

    def sized(self, width_px: int, height_px: int) -> PictureFact:
        """As many of another size."""
        return PictureFact(width_px, height_px, self.batch)


@dataclass(frozen=True, slots=True)
class LatentsFact:
    """What is known of latents; None is what is not."""

    space: LatentSpace | None = None
    """None also for empty latents, which fit every model."""
    picture: PictureFact | None = None
    """The pictures that they decode to."""
    empty: bool | None = None
    """Whether nothing is drawn yet."""
    mask: MaskKind | None = None

    def of_picture(self, picture: PictureFact | None) -> LatentsFact:
        """The same of other pictures."""
        return replace(self, picture=picture)


def picture_at(known: Mapping[str, Any], port: str) -> PictureFact | None:
    """What is known of the pictures or masks at a port."""
    found = known.get(port)
    return found if isinstance(found, PictureFact) else None


def latents_at(known: Mapping[str, Any], port: str) -> LatentsFact:
    """What is known of the latents at a port."""
    found = known.get(port)
    return found if isinstance(found, LatentsFact) else LatentsFact()


def is_settled(*values: object) -> bool:
    """Whether all of a node's plain values are known; those that are linked come while it runs."""
    return not any(isinstance(value, Link) for value in values)
