"""ControlNets beside a tiny synthetic transformer, one of each kind that is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sdgraph.models.synthetic.recipes import Config, Recipe

CANNY, UNION, PIXELS, PROMPTLESS = "controlnet_canny", "controlnet_union", "controlnet_pixels", "controlnet_promptless"
INPAINT = "controlnet_inpaint"
_SHARED = {
    "sd3": (
        *("sample_size", "patch_size", "in_channels", "out_channels", "attention_head_dim", "num_attention_heads"),
        *("joint_attention_dim", "caption_projection_dim", "pooled_projection_dim", "pos_embed_max_size"),
    ),
    "flux": (
        *("in_channels", "attention_head_dim", "num_attention_heads", "joint_attention_dim", "pooled_projection_dim"),
        *("guidance_embeds", "axes_dims_rope"),
    ),
}
"""What a network has from its transformer."""
_KINDS: Mapping[str, Mapping[str, Config]] = {
    "sd3": {
        CANNY: {"num_layers": 1},
        # As Stability AI's for 3.5 large: no prompt, and the transformer's embedding of patches.
        PROMPTLESS: {
            "num_layers": 1,
            "joint_attention_dim": None,
            "use_pos_embed": False,
            "force_zeros_for_pooled_projection": False,
        },
        # As alimama's: the mask beside the latents.
        INPAINT: {"num_layers": 1, "extra_conditioning_channels": 1},
    },
    "flux": {
        CANNY: {"num_layers": 1, "num_single_layers": 1},
        UNION: {"num_layers": 1, "num_single_layers": 1, "num_mode": 7},
        # As XLabs': layers for pixels, and no blocks of the joined stream.
        PIXELS: {"num_layers": 1, "num_single_layers": 0, "patch_size": 2, "conditioning_embedding_channels": 16},
    },
}
_CLASSES = {"sd3": "SD3ControlNetModel", "flux": "FluxControlNetModel"}


def transformer_nets(recipe: Recipe) -> dict[str, Callable[[], Any]]:
    """What makes each network for the recipe's transformer, by the folder that it goes to."""
    import diffusers

    family = "flux" if recipe.base.startswith("flux") else recipe.base
    if family not in _KINDS:
        return {}
    config = recipe.config("transformer")
    shared = {name: config[name] for name in _SHARED[family]}
    kind = getattr(diffusers, _CLASSES[family])
    return {name: partial(kind.from_config, shared | own) for name, own in _KINDS[family].items()}
