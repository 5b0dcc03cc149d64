"""Stage `lora`: the style "neon" as a LoRA beside the frozen denoiser (Hu et al. 2021, section 4.1).

Every convolution of the residual blocks and every projection of the attention gets a change of low rank. The file has
the names of kohya's scripts, which most programs read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrize

from training.shapes.checkpoint import require_checkpoint
from training.shapes.extra import encode_scenes, learn, scene_count
from training.shapes.neon import draw_neon, sample_neon
from training.shapes.settings import Settings
from training.shapes.unet import BatchSource, load_model

STYLE = "neon"
RANK = 4
LAYERS = (".conv1", ".conv2", ".to_k", ".to_v", ".to_out.0")
"""Ends of the names of the layers that are changed."""
MAX_SCENES = 2000
FILE = "pytorch_lora_weights.safetensors"


class LowRank(nn.Module):
    """weight + up @ down, which begins as the weight itself."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        rows, *columns = weight.shape
        self.down = nn.Parameter(torch.empty(RANK, *columns))
        self.up = nn.Parameter(torch.zeros(rows, RANK, *[1] * (len(columns) - 1)))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The changed weight, of the same shape."""
        return weight + (self.up.flatten(1) @ self.down.flatten(1)).view_as(weight)


def add_lora(unet: nn.Module) -> dict[str, LowRank]:
    """Put a change on every layer of `LAYERS`; returns the changes by the layers' names."""
    layers = [(name, layer) for name, layer in unet.named_modules() if name.endswith(LAYERS)]
    changes: dict[str, LowRank] = {}
    for name, layer in layers:
        weight = layer.get_parameter("weight")
        changes[name] = LowRank(weight).to(weight.device)
        parametrize.register_parametrization(layer, "weight", changes[name])
    return changes


def train_lora(settings: Settings) -> Path:
    """Train or resume; returns the checkpoint, whose `model` entry holds `down` and `up` of every layer."""
    torch.manual_seed(settings.seed)
    model = load_model(settings)
    changes = add_lora(model.unet)
    weights = nn.ModuleDict({name.replace(".", "_"): change for name, change in changes.items()})

    def source() -> BatchSource:
        rng = np.random.default_rng([settings.seed, 8])
        scenes = [sample_neon(rng, held_out=False) for _ in range(scene_count(settings.lora, MAX_SCENES))]
        return BatchSource(settings, encode_scenes(settings, scenes, rng, draw_neon))

    path = settings.work_dir / "lora.pt"
    return learn(weights, model, settings.lora, path, source, device=settings.device, max_norm=1.0)


def export_lora(settings: Settings, folder: Path) -> Path:
    """Write the trained LoRA, fp16, into `folder`; returns the file."""
    weights = require_checkpoint(settings.work_dir / "lora.pt")["model"]
    tensors: dict[str, torch.Tensor] = {}
    for key, value in weights.items():
        layer, part = key.rsplit(".", 1)
        tensors[f"lora_unet_{layer}.lora_{part}.weight"] = value.half().contiguous()
        tensors[f"lora_unet_{layer}.alpha"] = torch.tensor(float(RANK)).half()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / FILE, {"format": "pt", "title": STYLE})
    return folder / FILE
