"""ControlNets in one file, with the names of the original code or of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError
from sdgraph.models.controlnet_config import controlnet_facts, controlnet_family
from sdgraph.models.controlnet_shapes import is_xlabs, transformer_controlnet_config, xlabs_to_diffusers
from sdgraph.models.fingerprint import combine, fingerprint_files
from sdgraph.models.header import damaged
from sdgraph.models.quiet import quiet
from sdgraph.models.shipped_configs import ConfigName, shipped_config
from sdgraph.models.single_file import read_file_header, read_pickle
from sdgraph.models.source import resolve
from sdgraph.models.weights import PICKLES, read_config
from sdgraph.payloads.handles import ControlNetHandle, Dtype

if TYPE_CHECKING:
    from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
_ORIGINAL = "control_model."
_UNION_MARK = "task_embedding"
"""What a union network for SDXL has for each kind of pictures."""
_FAMILIES: Mapping[int, ConfigName] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""By the width of their conditioning."""


def read_controlnet_file(
    file: Path, source: str, dtype: Dtype, *, config: str = "", allow_pickle: bool = False
) -> ControlNetHandle:
    """The handle of a ControlNet in a file; `config` is a folder whose `config.json` describes it, else its tensors do.

    Raises ModelError [model-kind-unsupported] for other files, [model-damaged], [model-pickle], [model-unsafe].
    """
    shapes = _bare(read_file_header(file, allow_pickle).shapes)
    common: dict[str, Any] = {"source": source, "component": "", "dtype": dtype, "config": config}
    common |= {"allow_pickle": allow_pickle}
    described = read_config(resolve(config) / "config.json") if config else transformer_controlnet_config(shapes)
    content = combine(fingerprint_files(file.parent, {file}), repr(config and sorted(described or {})))
    if described and (described.get("_class_name") != "ControlNetModel" or _UNION_MARK in shapes):
        place = resolve(config) if config else file
        return ControlNetHandle(fingerprint=content, **common, **controlnet_facts(place, described, source))
    hint = _hint_channels(shapes)
    width = next((shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")), None)
    family = controlnet_family(described) if described else _FAMILIES.get(width or 0)
    if not hint or width is None or family is None:
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is no ControlNet of Stable Diffusion, SDXL or FLUX.1.",
            "Use a ControlNet's file, or the diffusers folder of one.",
        )
    if _UNION_MARK in shapes:
        common["kinds"] = shapes[_UNION_MARK][0]
    return ControlNetHandle(
        fingerprint=content, family=family, conditioning_width=width, downscale=2 ** (len(hint) - 1), **common
    )


def load_controlnet_file(file: Path, handle: ControlNetHandle, device: str) -> nn.Module:
    """The ControlNet with the file's weights. Raises ModelError [model-damaged] unless they fit."""
    import torch

    number = getattr(torch, handle.dtype)
    tensors = _bare({name: tensor.to(number) for name, tensor in _read(file, handle.allow_pickle).items()})
    config = controlnet_config(handle, tensors)
    with torch.device("meta"), quiet():
        model: Any = controlnet_class(handle).from_config(config)
    try:
        model.load_state_dict(_converted(tensors, handle, config), assign=True)
    except (RuntimeError, KeyError, AttributeError) as error:
        lines = str(error).splitlines()
        raise damaged(
            file, f"its weights don't fit a ControlNet of {handle.family}: {(lines[1:] or lines)[0].strip():.200}"
        ) from error
    return model.to(device).eval().requires_grad_(False)


def controlnet_class(handle: ControlNetHandle) -> Any:
    """The class of diffusers for a ControlNet."""
    match handle.family:
        case "sd3":
            from diffusers.models.controlnets.controlnet_sd3 import SD3ControlNetModel

            return SD3ControlNetModel
        case "flux":
            from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel

            return FluxControlNetModel
        case _ if handle.kinds:
            from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel

            return ControlNetUnionModel
        case _:
            from diffusers.models.controlnets.controlnet import ControlNetModel

            return ControlNetModel


def _converted(tensors: dict[str, Tensor], handle: ControlNetHandle, config: dict[str, Any]) -> dict[str, Tensor]:
    """The weights under the names of diffusers."""
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    if handle.family in ("sd3", "flux"):
        return xlabs_to_diffusers(tensors) if is_xlabs(tensors) else tensors
    return convert_controlnet_checkpoint(tensors, config)


def controlnet_config(handle: ControlNetHandle, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration: the given one, what the tensors' shapes say, or that of the family's UNet, whose encoder a
    ControlNet copies.
    """
    import inspect

    from diffusers.models.controlnets.controlnet import ControlNetModel

    if handle.config:
        return read_config(resolve(handle.config) / "config.json")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if (described := transformer_controlnet_config(shapes)) is not None:
        return described
    name: Any = handle.family
    unet = read_config(shipped_config(name) / "unet" / "config.json")
    known = inspect.signature(ControlNetModel.__init__).parameters
    config = {key: value for key, value in unet.items() if key in known}
    return config | {"conditioning_embedding_out_channels": _hint_channels(shapes)} | _union_sizes(shapes)


def _union_sizes(shapes: Shapes) -> dict[str, Any]:
    """Of a union network, what it has beside the encoder; nothing for others."""
    if _UNION_MARK not in shapes:
        return {}
    kinds, width = shapes[_UNION_MARK]
    layers = {found.split(".")[1] for found in shapes if found.startswith("transformer_layes.")}
    return {
        "num_control_type": kinds,
        "num_trans_channel": width,
        "num_trans_layer": len(layers),
        "num_proj_channel": shapes["spatial_ch_projs.weight"][0],
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
