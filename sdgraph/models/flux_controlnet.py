"""ControlNets for FLUX.1 (`FluxControlNetModel`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sdgraph.models.flux_patches import pack, patch_places
from sdgraph.models.transformer_control import OpenTransformerNet, Residuals, TransformerCall
from sdgraph.payloads.control import kinds_of

if TYPE_CHECKING:
    from torch import Tensor


class OpenFluxNet(OpenTransformerNet):
    """InstantX's and Shakker's networks see the latents of the picture, and union networks are told what it shows;
    XLabs' read pixels.
    """

    __slots__ = ()

    def _ask(self, call: TransformerCall, seen: Tensor, rows: list[int], transformer: Any) -> Residuals:
        import torch

        config, kind = self.net.config, self.net.dtype
        x = call.x[rows].to(kind)
        blocks, single = self.net(
            hidden_states=pack(x),
            controlnet_cond=seen if self.branch.net.sees == "pixels" else pack(seen),
            controlnet_mode=self._shown(len(rows), x.device),
            conditioning_scale=self.branch.strength,
            encoder_hidden_states=call.embedding[rows].to(kind),
            pooled_projections=call.pooled[rows].to(kind),
            timestep=(call.timestep[rows] / 1000).to(kind),
            img_ids=patch_places(x),
            txt_ids=torch.zeros(call.embedding.shape[1], 3, device=x.device, dtype=kind),
            guidance=call.guidance[rows].to(x.device) if config.guidance_embeds else None,
            return_dict=False,
        )
        return Residuals(list(blocks or ()), list(single or ()))

    def _shown(self, items: int, device: Any) -> Tensor | None:
        """[items, 1]: what the picture shows, as a union network counts it."""
        import torch

        kinds = kinds_of(self.branch.net)
        if not kinds:
            return None
        return torch.full((items, 1), kinds.index(self.branch.shows), dtype=torch.long, device=device)

    def _dealt(self, answers: Residuals, transformer: Any) -> Residuals:
        """As the transformer's own forward deals them out: XLabs' answers in turn, others for neighbouring blocks."""
        count = len(answers.blocks)
        blocks = len(transformer.transformer_blocks)
        if self.branch.net.sees == "pixels":
            both = [answers.blocks[block % count] for block in range(blocks)] if count else []
        else:
            both = _neighbours(answers.blocks, blocks)
        return Residuals(both, _neighbours(answers.single, len(transformer.single_transformer_blocks)))


def _neighbours(answers: list[Tensor], blocks: int) -> list[Tensor]:
    if not answers:
        return []
    interval = math.ceil(blocks / len(answers))
    return [answers[block // interval] for block in range(blocks)]
