"""ControlNets for Stable Diffusion 3 and 3.5 (`SD3ControlNetModel`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdgraph.models.transformer_control import OpenTransformerNet, Residuals, TransformerCall

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.payloads.latents import LatentSpace


class OpenSd3Net(OpenTransformerNet):
    """InstantX's networks, and alimama's for inpainting, see the prompt but not its pooled vector; Stability AI's for
    3.5 large the other way round, and these share the transformer's embedding of patches.
    """

    __slots__ = ()

    def _ask(self, call: TransformerCall, seen: Tensor, rows: list[int], transformer: Any) -> Residuals:
        config, kind = self.net.config, self.net.dtype
        x, pooled = call.x[rows], call.pooled[rows].to(kind)
        answers = self.net(
            hidden_states=x.to(kind) if config.use_pos_embed else transformer.pos_embed(x).to(kind),
            controlnet_cond=seen,
            conditioning_scale=self.branch.strength,
            encoder_hidden_states=None if config.joint_attention_dim is None else call.embedding[rows].to(kind),
            pooled_projections=pooled.new_zeros(pooled.shape) if self._without_pooled else pooled,
            timestep=call.timestep[rows],
            return_dict=False,
        )[0]
        return Residuals(list(answers))

    @property
    def _without_pooled(self) -> bool:
        return sees_no_pooled(self.net) or self.branch.net.takes_mask

    def _dealt(self, answers: Residuals, transformer: Any) -> Residuals:
        """Each answer for as many blocks as it takes, as the transformer's own forward deals them out."""
        blocks = len(transformer.transformer_blocks)
        interval = blocks / len(answers.blocks)
        return Residuals([answers.blocks[int(block / interval)] for block in range(blocks)])


def as_seen(latents: Tensor, space: LatentSpace, net: Any) -> Tensor:
    """Latents of the picture, as the network was trained on: InstantX's are without the autoencoder's shift."""
    return latents + space.shift_factor * space.scaling_factor if sees_no_pooled(net) else latents


def sees_no_pooled(net: Any) -> bool:
    """Whether it was trained as InstantX's networks, with zeros in place of the pooled prompt."""
    return bool(net.config.force_zeros_for_pooled_projection)
