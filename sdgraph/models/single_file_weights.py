"""From a single file to a module with weights: one part at a time, the other parts' tensors are not read.

The names of LDM and of Stable Diffusion 3 are converted by diffusers, those of FLUX.1 in `flux_keys` (the converter of
diffusers 0.42 knows one width only).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

from sdgraph.models.header import damaged
from sdgraph.models.load_progress import LoadProgress
from sdgraph.models.single_file import FileLayout, read_pickle
from sdgraph.models.weights import PICKLES

if TYPE_CHECKING:
    from torch import Tensor, dtype, nn

_LDM_UNET, _LDM_VAE = "model.diffusion_model.", "first_stage_model."
_NOT_NEEDED = ("position_ids", "logit_scale", "text_projection", "text_projection.weight", "embed_tokens.weight")
"""Endings of weights that files have and models may not."""


def load_part(kind: Any, layout: FileLayout, part: str, number: dtype, allow_pickle: bool) -> nn.Module:
    """The part's module of class `kind` with the file's weights. Raises ModelError [model-damaged] unless they fit."""
    import torch

    config = layout.config(part)
    with torch.device("meta"):
        model: Any = kind.from_config(config) if "_class_name" in config else kind(_text_config(kind, config))
    prefix = layout.prefix(part)
    assert prefix is not None
    tensors = _read(layout, part, prefix, number, allow_pickle)
    converted = _converted(layout, part, tensors, config, model)
    _fit(layout, part, model, converted)
    _keep_in_float32(model, number)
    return model


def _keep_in_float32(model: Any, number: dtype) -> None:
    """Modules that overflow in float16 stay float32, as transformers' own loading leaves them: some of T5's."""
    import torch

    names = getattr(model, "_keep_in_fp32_modules", None) or ()
    if number == torch.float16:
        for name, module in model.named_modules():
            if name.rpartition(".")[2] in names:
                module.float()


def _text_config(kind: Any, config: dict[str, Any]) -> Any:
    return kind.config_class(**config)


def _read(layout: FileLayout, part: str, prefix: str, number: dtype, allow_pickle: bool) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, without it, in the wanted numbers and in memory of their own."""
    names = [name for name in layout.header.shapes if name.startswith(prefix)]
    if layout.file.suffix in PICKLES:
        tensors = read_pickle(layout.file, allow_pickle)
        return {name.removeprefix(prefix): tensors[name].to(number, copy=True) for name in names}
    from safetensors import SafetensorError, safe_open

    numbers = sum(math.prod(layout.header.shapes[name]) for name in names)
    progress = LoadProgress(f"{layout.file.name}/{part}", numbers * number.itemsize)
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(str(layout.file), framework="pt") as file:
            for name in names:
                tensor = tensors[name.removeprefix(prefix)] = file.get_tensor(name).to(number, copy=True)
                progress.advance(tensor.nbytes)
    except SafetensorError as error:
        raise damaged(layout.file, str(error)) from error
    return tensors


def _converted(
    layout: FileLayout, part: str, tensors: dict[str, Tensor], config: dict[str, Any], model: Any
) -> Mapping[str, Tensor]:
    from diffusers.loaders import single_file_utils as diffusers

    try:
        match part, layout.kind.family:
            case "transformer", "flux":
                from sdgraph.models.flux_keys import flux_to_diffusers

                return flux_to_diffusers(tensors)
            case "transformer", _:
                return diffusers.convert_sd3_transformer_checkpoint_to_diffusers(tensors)
            case "unet", _:
                return diffusers.convert_ldm_unet_checkpoint(_prefixed(tensors, _LDM_UNET), config)
            case "vae", _:
                return diffusers.convert_ldm_vae_checkpoint(_prefixed(tensors, _LDM_VAE), config)
            case _:
                return _text_weights(layout, part, tensors, model)
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise damaged(layout.file, f"its {part} can't be converted ({type(error).__name__}: {error})") from error


def _text_weights(layout: FileLayout, part: str, tensors: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    import torch
    from diffusers.loaders import single_file_utils as diffusers

    if "positional_embedding" in tensors:
        tensors = diffusers.convert_open_clip_checkpoint(model, _prefixed(tensors, _OPEN_CLIP), _OPEN_CLIP)
    if "encoder.block.0.layer.0.SelfAttention.q.weight" in tensors:
        return {**tensors, "encoder.embed_tokens.weight": tensors["shared.weight"]}
    bare = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    projection = bare.pop("text_projection.weight", None)
    # transformers 5.6 took the wrapper away from CLIPTextModel, and left it to the one with a projection.
    wrapper = "text_model." if hasattr(model, "text_model") else ""
    named = {f"{wrapper}{name}": tensor for name, tensor in bare.items()}
    if layout.kind.family == "sd3" and part == "text_encoder":
        # Stable Diffusion 3 uses CLIP-L without its projection.
        projection = torch.eye(model.config.projection_dim, dtype=next(iter(bare.values())).dtype)
    if projection is not None:
        named["text_projection.weight"] = projection
    return named


_OPEN_CLIP = "open_clip."


def _prefixed(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _fit(layout: FileLayout, part: str, model: Any, weights: Mapping[str, Tensor]) -> None:
    """Put the weights into a module without memory. Raises ModelError [model-damaged] for missing, further or
    misshapen ones.
    """
    expected: dict[str, Tensor] = model.state_dict()
    useful = {name: tensor for name, tensor in weights.items() if name in expected or not name.endswith(_NOT_NEEDED)}
    _require_none(layout, part, "are missing", expected.keys() - useful.keys())
    _require_none(layout, part, "are unknown", useful.keys() - expected.keys())
    misshapen = {name for name, tensor in useful.items() if tensor.shape != expected[name].shape}
    _require_none(layout, part, "have another shape", misshapen)
    model.load_state_dict(useful, assign=True)
    if hasattr(model, "tie_weights"):
        model.tie_weights()
    _make_buffers(model)


def _require_none(layout: FileLayout, part: str, what: str, names: Set[str]) -> None:
    if names:
        raise damaged(layout.file, f"{len(names)} weights of its {part} {what}, for example `{min(names)}`")


def _make_buffers(model: nn.Module) -> None:
    """Buffers that no file has: CLIP's positions, which count up."""
    import torch

    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                assert name == "position_ids", name
                module.register_buffer(name, torch.arange(buffer.shape[-1]).expand(buffer.shape), persistent=False)
