"""Regions: rectangles of a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sdgraph.core.porttype import Encoded, PortType, Shown


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle inside a picture, in pixels from its top left."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int

    @property
    def rows(self) -> slice:
        """The rows of an array [..., H, W] that it covers."""
        return slice(self.top_px, self.top_px + self.height_px)

    @property
    def columns(self) -> slice:
        """The columns of an array [..., H, W] that it covers."""
        return slice(self.left_px, self.left_px + self.width_px)


class RegionCodec:
    """Stores a region as JSON."""

    def encode(self, value: Region) -> Encoded:
        """JSON only, no blobs."""
        return Encoded(asdict(value), {})

    def decode(self, encoded: Encoded) -> Region:
        """The region."""
        return Region(**encoded.meta)


def _show(region: Region, count: int) -> Shown:
    return Shown(f"{region.width_px} x {region.height_px} px at {region.left_px}, {region.top_px}")


REGION = PortType("Region", Region, "A rectangle of a picture, in pixels.", "#adb5bd", RegionCodec(), show=_show)
