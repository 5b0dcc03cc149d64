"""Building a synthetic model as a diffusers folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdgraph.models.families import part_class
from sdgraph.models.synthetic.adapters import write_adapters, write_safety_checker
from sdgraph.models.synthetic.recipes import Config, Recipe
from sdgraph.models.synthetic.tokenizers import write_clip_tokenizer, write_t5_tokenizer
from sdgraph.models.synthetic.transformer_nets import transformer_nets
from sdgraph.models.synthetic.upscaler import write_upscaler

if TYPE_CHECKING:
    from torch import nn

CONTROL = "controlnet_canny"
UNION = "controlnet_union"
UPSCALER = "upscaler"
PREVIEW = "vae_tiny"
_UNION_SHARED = (
    *("in_channels", "down_block_types", "block_out_channels", "layers_per_block", "norm_num_groups"),
    *("cross_attention_dim", "transformer_layers_per_block", "attention_head_dim", "use_linear_projection"),
    *("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim"),
)
"""What a union network has from its UNet."""
_TINY_PREVIEW = {
    "encoder_block_out_channels": (8, 8, 8, 8),
    "decoder_block_out_channels": (8, 8, 8, 8),
    "num_encoder_blocks": (1, 1, 1, 1),
    "num_decoder_blocks": (1, 1, 1, 1),
}


def build(recipe: Recipe, root: Path) -> None:
    """Write the model's folder; the weights come from torch's random numbers, whose seed the caller has set.

    One part at a time is in memory, since the large ones have billions of weights.
    """
    index = recipe.index()
    vocabularies = {
        part: _write_tokenizer(root / part, str(part_class(index, part)), recipe)
        for part in sorted(index)
        if part.startswith("tokenizer") and part_class(index, part)
    }
    for part in recipe.parts():
        config = recipe.config(part)
        if part.startswith("text_encoder"):
            model = _text_model(config, vocabularies[part.replace("text_encoder", "tokenizer")], recipe)
        else:
            model = _new(partial(_class(config["_class_name"]).from_config, config), recipe)
        if part == "unet" and recipe.tiny and recipe.base != "sdxl_refiner" and config["in_channels"] == 4:
            _save(_control(model), root / CONTROL, recipe)
        _save(model, root / part, recipe)
        del model
    _save(_preview(recipe), root / PREVIEW, recipe)
    (root / "scheduler").mkdir()
    _write_json(root / "scheduler" / "scheduler_config.json", recipe.config("scheduler"))
    _write_json(root / "model_index.json", index | {"requires_safety_checker": False})
    if recipe.tiny and (root / CONTROL).is_dir():
        unet = _new(partial(_class("UNet2DConditionModel").from_config, recipe.config("unet")), recipe)
        write_adapters(unet, root)
        if recipe.base == "sdxl":
            _save(_union(unet), root / UNION, recipe)
        write_upscaler(root / UPSCALER)
        write_safety_checker(root)
    if recipe.tiny:
        for name, make in transformer_nets(recipe).items():
            net = _new(make, recipe)
            _train_a_little(net)
            _save(net, root / name, recipe)


def _write_tokenizer(folder: Path, kind: str, recipe: Recipe) -> int:
    if kind == "T5Tokenizer":
        return write_t5_tokenizer(folder)
    # CLIP-G's tokenizer and that of Stable Diffusion 2 pad with "!", CLIP-L's with the end token.
    return write_clip_tokenizer(folder, "!" if folder.name == "tokenizer_2" or recipe.base == "sd2" else None)


def _class(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name)


def _new(make: Callable[[], Any], recipe: Recipe) -> Any:
    """What `make` makes, at once in the numbers that are stored: the large models would not fit otherwise."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, recipe.dtype))
    try:
        return make()
    finally:
        torch.set_default_dtype(before)


def _text_model(config: Config, vocabulary: int, recipe: Recipe) -> nn.Module:
    import torch
    import transformers

    kind: Any = getattr(transformers, config["architectures"][0])
    if recipe.tiny:
        config = config | {"vocab_size": vocabulary}
    if config["model_type"] == "clip_text_model":
        ends = {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1}
        config = config | ends | {"pad_token_id": vocabulary - 1}
    model = _new(lambda: kind(kind.config_class(**config)), recipe)
    if config["model_type"] == "clip_text_model":
        _shift_output(getattr(model, "text_model", model).final_layer_norm)
        if recipe.base == "sd3" and config["projection_dim"] == recipe.config("text_encoder")["projection_dim"]:
            # Stable Diffusion 3 uses CLIP-L without its projection, which the diffusers layout writes as the identity.
            torch.nn.init.eye_(model.text_projection.weight)
    return model


def _control(unet: nn.Module) -> nn.Module:
    from diffusers.models.controlnets.controlnet import ControlNetModel

    maker: Any = ControlNetModel.from_unet
    control = maker(unet, conditioning_embedding_out_channels=(8, 8, 16, 16))
    _train_a_little(control)
    return control


def _union(unet: nn.Module) -> nn.Module:
    """As xinsir's for SDXL, of eight kinds of pictures."""
    from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel

    config: Any = unet.config
    shared = {name: config[name] for name in _UNION_SHARED}
    width = config["block_out_channels"][0]
    sizes = {"num_control_type": 8, "num_trans_channel": width, "num_proj_channel": width, "num_trans_head": 4}
    maker: Any = ControlNetUnionModel
    control = maker(**shared, **sizes, conditioning_embedding_out_channels=(8, 8, 16, 16))
    _train_a_little(control)
    return control


def _preview(recipe: Recipe) -> nn.Module:
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

    sizes: Any = _TINY_PREVIEW if recipe.tiny else {}
    return AutoencoderTiny(latent_channels=recipe.config("vae")["latent_channels"], **sizes)


def _train_a_little(control: nn.Module) -> None:
    """A new ControlNet's last layers are zero and it does nothing; a trained one acts, and looks at its picture."""
    import torch

    for name, parameter in control.named_parameters():
        if name.startswith(("controlnet_cond_embedding", "input_hint_block")) and parameter.dim() == 4:
            torch.nn.init.kaiming_normal_(parameter)
        elif not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)


def _shift_output(norm: nn.Module) -> None:
    """A new encoder's vectors have a mean of zero; a trained one's have not, and prompt weights rely on that."""
    import torch

    torch.nn.init.normal_(norm.get_parameter("bias"), mean=-0.1, std=0.1)


def _save(model: Any, folder: Path, recipe: Recipe) -> None:
    import torch

    model.to(getattr(torch, recipe.dtype)).save_pretrained(str(folder))


def _write_json(path: Path, config: Config) -> None:
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
