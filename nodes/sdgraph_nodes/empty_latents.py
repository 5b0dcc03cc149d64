"""The size of a picture to be drawn from nothing."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.errors import SamplingError
from sdgraph.payloads.facts import LatentsFact, PictureFact, is_settled
from sdgraph.payloads.latents import Latents, LatentSpace
from sdgraph_nodes.outputs import LatentsOut

_DOWNSCALE = 8
Seed = Annotated[int, Field(ge=0, le=2**53 - 1)]
_ANY_MODEL = LatentSpace("empty", channels=1, downscale=_DOWNSCALE, scaling_factor=1.0)
"""Empty latents hold nothing but a size: the sampler makes noise of its own model's space."""


class EmptyLatents(Node[LatentsOut], type="sd.empty_latents", version=1):
    """How large the picture shall be, and how many of them. Sampling from here starts from pure noise."""

    width_px: In[int] = port(512, ge=16, le=8192, multiple_of=_DOWNSCALE, unit="px")
    """Width of the picture."""
    height_px: In[int] = port(512, ge=16, le=8192, multiple_of=_DOWNSCALE, unit="px")
    """Height of the picture."""
    batch: In[int] = port(1, ge=1, le=64)
    """How many pictures. Picture i is drawn with the sampler's seed + i, as if it were drawn alone."""
    seeds: In[tuple[Seed, ...]] = port((), max_length=64)
    """A seed for each picture in place of the sampler's; the number of pictures is then theirs."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        if not is_settled(self.width_px, self.height_px, self.batch, self.seeds):
            return {"latents": LatentsFact(empty=True, mask="none")}
        picture = PictureFact(self.width_px, self.height_px, self._batch())
        return {"latents": LatentsFact(None, picture, empty=True, mask="none")}

    def run(self, ctx: RunContext) -> LatentsOut:
        import torch

        samples = torch.zeros(self._batch(), 1, self.height_px // _DOWNSCALE, self.width_px // _DOWNSCALE)
        return LatentsOut(latents=Latents(samples, _ANY_MODEL, self.seeds or None, empty=True))

    def _batch(self) -> int:
        """How many pictures. Raises SamplingError [seed-count]."""
        seeds = self.seeds or None
        if seeds is not None and self.batch not in (1, len(seeds)):
            raise SamplingError(
                "seed-count",
                f"There are {len(seeds)} seeds for {self.batch} pictures.",
                "Give one seed per picture, or leave the number of pictures at 1.",
                port="seeds",
            )
        return self.batch if seeds is None else len(seeds)
