"""ControlNets in one file, with the names of the original code or of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError
from sdgraph.models.fingerprint import combine, fingerprint_files
from sdgraph.models.header import damaged
from sdgraph.models.shipped_configs import ConfigName, shipped_config
from sdgraph.models.single_file import read_file_header, read_pickle
from sdgraph.models.source import resolve
from sdgraph.models.weights import PICKLES, read_config
from sdgraph.payloads.handles import ControlNetHandle, Dtype

if TYPE_CHECKING:
    from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
_ORIGINAL = "control_model."
_FAMILIES: Mapping[int, ConfigName] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""By the width of their conditioning."""


def read_controlnet_file(
    file: Path, source: str, dtype: Dtype, *, config: str = "", allow_pickle: bool = False
) -> ControlNetHandle:
    """The handle of a ControlNet in a file; `config` is a folder whose `config.json` describes it, else its tensors do.

    Raises ModelError [model-kind-unsupported] for other files, [model-damaged], [model-pickle], [model-unsafe].
    """
    shapes = _bare(read_file_header(file, allow_pickle).shapes)
    hint = _hint_channels(shapes)
    width = next((shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")), None)
    family = read_config(resolve(config) / "config.json") if config else _FAMILIES.get(width or 0)
    if not hint or width is None or family is None:
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is no ControlNet of Stable Diffusion or SDXL.",
            "Use a ControlNet's file, or the diffusers folder of one.",
        )
    return ControlNetHandle(
        source=source,
        component="",
        fingerprint=combine(fingerprint_files(file.parent, {file}), repr(config and sorted(family))),
        family=family if isinstance(family, str) else controlnet_family(family),
        dtype=dtype,
        config=config,
        allow_pickle=allow_pickle,
        conditioning_width=width,
        downscale=2 ** (len(hint) - 1),
    )


def load_controlnet_file(file: Path, handle: ControlNetHandle, device: str) -> nn.Module:
    """The ControlNet with the file's weights. Raises ModelError [model-damaged] unless they fit."""
    import torch
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint
    from diffusers.models.controlnets.controlnet import ControlNetModel

    number = getattr(torch, handle.dtype)
    tensors = _bare({name: tensor.to(number) for name, tensor in _read(file, handle.allow_pickle).items()})
    config = controlnet_config(handle, tensors)
    with torch.device("meta"):
        model: Any = ControlNetModel.from_config(config)
    try:
        model.load_state_dict(convert_controlnet_checkpoint(tensors, config), assign=True)
    except (RuntimeError, KeyError, AttributeError) as error:
        lines = str(error).splitlines()
        raise damaged(
            file, f"its weights don't fit a ControlNet of {handle.family}: {(lines[1:] or lines)[0].strip():.200}"
        ) from error
    return model.to(device).eval().requires_grad_(False)


def controlnet_config(handle: ControlNetHandle, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration: the given one, or that of the family's UNet, whose encoder a ControlNet copies."""
    import inspect

    from diffusers.models.controlnets.controlnet import ControlNetModel

    if handle.config:
        return read_config(resolve(handle.config) / "config.json")
    name: Any = handle.family
    unet = read_config(shipped_config(name) / "unet" / "config.json")
    known = inspect.signature(ControlNetModel.__init__).parameters
    channels = _hint_channels({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    return {key: value for key, value in unet.items() if key in known} | {
        "conditioning_embedding_out_channels": channels
    }


def _hint_channels(shapes: Shapes) -> list[int]:
    """Channels of the layers that read the picture, from its size to that of the latents; empty: there are none."""
    first, further = "controlnet_cond_embedding.conv_in.weight", "controlnet_cond_embedding.blocks.{}.weight"
    start, step = 1, 2
    if "input_hint_block.0.weight" in shapes:
        first, further, start, step = "input_hint_block.0.weight", "input_hint_block.{}.weight", 4, 4
    if first not in shapes:
        return []
    channels = [shapes[first][0]]
    while (name := further.format(start)) in shapes:
        channels.append(shapes[name][0])
        start += step
    return channels


def controlnet_family(config: Mapping[str, Any]) -> str:
    """The family of a ControlNet's configuration."""
    if config.get("addition_embed_type") == "text_time":
        return "sdxl"
    return "sd2" if config.get("use_linear_projection") else "sd1"


def _bare(named: Mapping[str, Any]) -> dict[str, Any]:
    """By names without the prefix of the original code; other parts of the file are left out where there is one."""
    if not any(name.startswith(_ORIGINAL) for name in named):
        return dict(named)
    return {name.removeprefix(_ORIGINAL): value for name, value in named.items() if name.startswith(_ORIGINAL)}


def _read(file: Path, allow_pickle: bool) -> dict[str, Tensor]:
    if file.suffix in PICKLES:
        return read_pickle(file, allow_pickle)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except SafetensorError as error:
        raise damaged(file, str(error)) from error
