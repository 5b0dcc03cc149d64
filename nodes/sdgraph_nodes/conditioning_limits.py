"""Where and when a conditioning applies: an area, a mask, a part of sampling."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, Link, port
from sdgraph.errors import SamplingError
from sdgraph.payloads.area import Area, AreaUnit
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.mask import Mask
from sdgraph_nodes.encode_text import ConditioningOut

MAX_STRENGTH = 10


class _Limit(Node[ConditioningOut]):
    """What a limit is set to."""

    conditioning: In[Conditioning]
    """The prompts that are limited."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        self.require_sense()
        return {"conditioning": known.get("conditioning")}

    def require_sense(self) -> None:
        """Raise SamplingError where the plain values, as far as they are known, make no sense together."""

    def known_values(self, *names: str) -> tuple[float, ...] | None:
        """The values of ports, None while one of them is linked."""
        values = tuple(getattr(self, name) for name in names)
        return None if any(isinstance(value, Link) for value in values) else values

    def limited(self, strength: float, **limits: Any) -> ConditioningOut:
        """The conditioning with these limits, its strength multiplied."""
        entries = (replace(entry, strength=entry.strength * strength, **limits) for entry in self.conditioning.entries)
        return ConditioningOut(conditioning=Conditioning(tuple(entries)))


class LimitToArea(_Limit, type="conditioning.area", version=1):
    """Let a conditioning apply in a rectangle, which the model sees as a picture of its own.

    The rectangle is rounded to 16 pixels and fades into what is around it. Combine it with a conditioning for the whole
    picture. A second area replaces the first.
    """

    left: In[float] = port(0.0, ge=0)
    """Left side of the rectangle."""
    top: In[float] = port(0.0, ge=0)
    """Upper side of the rectangle."""
    width: In[float] = port(0.5, gt=0)
    """Width of the rectangle; what reaches beyond the picture is cut."""
    height: In[float] = port(1.0, gt=0)
    """Height of the rectangle."""
    unit: In[AreaUnit] = port("fraction")
    """Whether the numbers are fractions of the picture, or pixels."""
    strength: In[float] = port(1.0, ge=0, le=MAX_STRENGTH)
    """Weight against what else applies there."""

    def require_sense(self) -> None:
        for name in ("left", "top"):
            values = self.known_values(name)
            if values is not None and self.unit == "fraction" and values[0] >= 1:
                raise SamplingError(
                    "conditioning-area",
                    f"The area begins at {values[0]:g} of the picture, beyond its edge at 1.",
                    "Use fractions below 1, or set the unit to px.",
                    port=name,
                )

    def run(self, ctx: RunContext) -> ConditioningOut:
        self.require_sense()
        return self.limited(self.strength, area=Area(self.left, self.top, self.width, self.height, self.unit))


class LimitToMask(_Limit, type="conditioning.mask", version=1):
    """Let a conditioning apply where a mask is, as much as the mask says; the model sees the whole picture.

    The mask is stretched to the picture. A second mask replaces the first. Where the masks of all combined prompts are
    0 there is no guidance.
    """

    mask: In[Mask]
    """Where it applies: one mask for all pictures or one for each."""
    strength: In[float] = port(1.0, ge=0, le=MAX_STRENGTH)
    """Weight against what else applies there."""

    def run(self, ctx: RunContext) -> ConditioningOut:
        return self.limited(self.strength, mask=self.mask)


class LimitToRange(_Limit, type="conditioning.range", version=1):
    """Let a conditioning apply in a part of sampling. A second range replaces the first."""

    start: In[float] = port(0.0, ge=0, le=1)
    """Sampling progress, by timestep, at which it begins to apply: 0 is pure noise."""
    end: In[float] = port(1.0, ge=0, le=1)
    """Sampling progress before which it applies; 1 includes the last step."""

    def require_sense(self) -> None:
        values = self.known_values("start", "end")
        if values is not None and values[0] >= values[1]:
            raise SamplingError(
                "conditioning-range",
                f"The conditioning would apply from {values[0]:g} to {values[1]:g} of sampling, which is never.",
                "Let it start before it ends.",
                port="end",
            )

    def run(self, ctx: RunContext) -> ConditioningOut:
        self.require_sense()
        return self.limited(1.0, start=self.start, end=self.end)
