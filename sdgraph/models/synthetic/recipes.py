"""What the synthetic models are built of: shipped configurations, and for the tiny ones what is cut down in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sdgraph.models.shipped_configs import ConfigName, shipped_config

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A family's configuration, and what differs from it."""

    base: ConfigName
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By part: fields that take other values."""
    tiny: bool = True
    """Every width cut down, for tests; otherwise the size of the published model."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The numbers that are stored."""

    def index(self) -> Config:
        """The `model_index.json`."""
        index = json.loads((shipped_config(self.base) / "model_index.json").read_bytes())
        return index | dict(self.changes.get("model_index", {}))

    def config(self, part: str) -> Config:
        """The configuration of a part, for example "unet"."""
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        return json.loads((shipped_config(self.base) / part / name).read_bytes()) | dict(self.changes.get(part, {}))

    def parts(self) -> list[str]:
        """The parts that have weights: the denoiser, the text models, the autoencoder."""
        names = [path.parent.name for path in shipped_config(self.base).glob("*/config.json")]
        return sorted(names, key=lambda name: (name == "vae", name.startswith("text"), name))


def _clip(width: int, layers: int = 3) -> Config:
    return {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "projection_dim": width,
    }


def _unet(cross: int, **more: Any) -> Config:
    return {
        "sample_size": 8,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "cross_attention_dim": cross,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
        **more,
    }


_CLIP_L, _CLIP_G = 32, 48
_CROSS_FIRST = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
_CROSS_LAST = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}
_VAE = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 64}
_T5 = {"d_model": 96, "d_ff": 64, "d_kv": 8, "num_layers": 2, "num_heads": 4}
_TIME_WIDTH = 8
_SD3 = {
    "sample_size": 8,
    "num_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 4,
    "joint_attention_dim": _T5["d_model"],
    "caption_projection_dim": 32,
    "pooled_projection_dim": _CLIP_L + _CLIP_G,
    "pos_embed_max_size": 16,
}
_FLUX = {
    "num_layers": 1,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": _T5["d_model"],
    "pooled_projection_dim": _CLIP_L,
    "axes_dims_rope": (4, 6, 6),
}
_FLUX_PARTS = {"transformer": _FLUX, "vae": _VAE, "text_encoder": _clip(_CLIP_L), "text_encoder_2": _T5}

_SDXL_PARTS = {
    "unet": _unet(
        _CLIP_L + _CLIP_G,
        attention_head_dim=(2, 4),
        transformer_layers_per_block=(1, 2),
        addition_time_embed_dim=_TIME_WIDTH,
        projection_class_embeddings_input_dim=_CLIP_G + 6 * _TIME_WIDTH,
        **_CROSS_LAST,
    ),
    "vae": _VAE,
    "text_encoder": _clip(_CLIP_L),
    "text_encoder_2": _clip(_CLIP_G, layers=4),
}
_EDM = {"_class_name": "EDMDPMSolverMultistepScheduler", "prediction_type": "epsilon", "sigma_data": 0.5}
_PLAYGROUND_PARTS = {
    **_SDXL_PARTS,
    "vae": {
        **_VAE,
        "scaling_factor": 0.5,
        "latents_mean": [-1.6574, 1.886, -1.383, 2.5155],
        "latents_std": [8.4927, 5.9022, 6.5498, 5.2299],
    },
    "scheduler": _EDM,
    "model_index": {"scheduler": ["diffusers", _EDM["_class_name"]]},
}
"""Playground v2.5: SDXL in EDM's formulation, with channels of means and deviations of their own."""

RECIPES: Mapping[str, Recipe] = {
    "sd15-tiny": Recipe("sd1", {"unet": _unet(_CLIP_L, **_CROSS_FIRST), "vae": _VAE, "text_encoder": _clip(_CLIP_L)}),
    "sd15_inpaint-tiny": Recipe(
        "sd1",
        {"unet": _unet(_CLIP_L, in_channels=9, **_CROSS_FIRST), "vae": _VAE, "text_encoder": _clip(_CLIP_L)},
    ),
    "sd21-tiny": Recipe(
        "sd2",
        {
            "unet": _unet(_CLIP_L, attention_head_dim=(2, 4), **_CROSS_FIRST),
            "vae": _VAE,
            "text_encoder": _clip(_CLIP_L),
        },
    ),
    "sdxl-tiny": Recipe("sdxl", _SDXL_PARTS),
    "playground-tiny": Recipe("sdxl", _PLAYGROUND_PARTS),
    "sdxl_refiner-tiny": Recipe(
        "sdxl_refiner",
        {
            "unet": _unet(
                _CLIP_G,
                attention_head_dim=(2, 4),
                transformer_layers_per_block=2,
                addition_time_embed_dim=_TIME_WIDTH,
                projection_class_embeddings_input_dim=_CLIP_G + 5 * _TIME_WIDTH,
                **_CROSS_LAST,
            ),
            "vae": _VAE,
            "text_encoder_2": _clip(_CLIP_G, layers=4),
        },
    ),
    "sd3-tiny": Recipe(
        "sd3",
        {
            "transformer": _SD3,
            "vae": _VAE,
            "text_encoder": _clip(_CLIP_L),
            "text_encoder_2": _clip(_CLIP_G, layers=4),
            "text_encoder_3": _T5,
        },
    ),
    "flux-tiny": Recipe("flux", _FLUX_PARTS),
    "flux_schnell-tiny": Recipe("flux_schnell", _FLUX_PARTS),
    "sd15": Recipe("sd1", tiny=False),
    "sd15_inpaint": Recipe("sd1", {"unet": {"in_channels": 9}}, tiny=False),
    "sd21": Recipe("sd2", tiny=False),
    "sdxl": Recipe("sdxl", tiny=False),
    "sdxl_refiner": Recipe("sdxl_refiner", tiny=False),
    "sd3": Recipe("sd3", tiny=False, dtype="bfloat16"),
    "flux": Recipe("flux", tiny=False, dtype="bfloat16"),
}
"""What stands behind `synthetic:`. The tiny ones draw 64x64 pixels in milliseconds."""
