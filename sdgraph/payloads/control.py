"""Control: pictures that steer sampling through ControlNets. Applying one more adds a branch."""

from __future__ import annotations

from dataclasses import dataclass

from sdgraph.core.porttype import Encoded, PortType
from sdgraph.errors import SamplingError
from sdgraph.payloads.handles import ControlNetHandle, HandleCodec
from sdgraph.payloads.image import IMAGE, Image


@dataclass(frozen=True, slots=True, eq=False)
class ControlBranch:
    """One ControlNet with its picture. Raises SamplingError [control-range] unless 0 <= start <= end <= 1."""

    net: ControlNetHandle
    image: Image
    """One picture for all items or one per item, of the size of the result."""
    strength: float = 1.0
    """Factor on the ControlNet's output; 0 is off."""
    start: float = 0.0
    """Sampling progress 0..1 at which it begins to act."""
    end: float = 1.0
    """Sampling progress 0..1 until which it acts."""

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end <= 1:
            raise SamplingError(
                "control-range",
                f"A control acts from start to end with 0 <= start <= end <= 1, found {self.start:g} to {self.end:g}.",
                "Use 0 and 1 for the whole of sampling.",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """Branches whose effects add up."""

    branches: tuple[ControlBranch, ...]

    def with_branch(self, branch: ControlBranch) -> Control:
        """This control and one branch more."""
        return Control((*self.branches, branch))


class ControlCodec:
    """Stores control bit for bit: handles as JSON, pictures as blobs."""

    def encode(self, value: Control) -> Encoded:
        """One blob per branch."""
        net, image = HandleCodec(ControlNetHandle), IMAGE.codec
        assert image is not None
        meta = [
            {"net": net.encode(b.net).meta, "strength": b.strength, "start": b.start, "end": b.end}
            for b in value.branches
        ]
        blobs = {str(i): image.encode(b.image).blobs["pixels"] for i, b in enumerate(value.branches)}
        return Encoded(meta, blobs)

    def decode(self, encoded: Encoded) -> Control:
        """The control."""
        net, image = HandleCodec(ControlNetHandle), IMAGE.codec
        assert image is not None
        return Control(
            tuple(
                ControlBranch(
                    net.decode(Encoded(branch["net"], {})),
                    image.decode(Encoded(None, {"pixels": encoded.blobs[str(i)]})),
                    branch["strength"],
                    branch["start"],
                    branch["end"],
                )
                for i, branch in enumerate(encoded.meta)
            )
        )


CONTROL = PortType(
    "Control",
    Control,
    "Pictures that steer sampling through ControlNets.",
    "#06a77d",
    ControlCodec(),
    size_bytes=lambda control: sum(branch.image.pixels.nbytes for branch in control.branches),
)
