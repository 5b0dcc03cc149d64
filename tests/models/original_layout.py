"""Tiny models written as single files in the layouts of their original makers: the inverse of what loading does."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdgraph.models.source import resolve
from tests.models.family_references import TINY

Weights = dict[str, Tensor]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_UNET_OUTER = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_SD3_OUTER = {
    "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "context_embedder": "context_embedder",
    "proj_out": "final_layer.linear",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
}
_SD3_BLOCK = {
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}
_FLUX_OUTER = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "proj_out": "final_layer.linear",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
}
_FLUX_DOUBLE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
}


def part_weights(folder: Path, part: str) -> Weights:
    """The weights of a part of a diffusers folder."""
    (file,) = (folder / part).glob("*.safetensors")
    return load_file(file)


def single_file(name: str, path: Path, *, leave_out: tuple[str, ...] = ()) -> Path:
    """A tiny model as one file; the folder that describes it (without weights) lies beside it under the same name."""
    folder = resolve(TINY[name])
    describe(folder, path.with_suffix(""))
    save_file(original_weights(name, leave_out), path, metadata={"format": "pt"})
    return path


def describe(folder: Path, target: Path) -> Path:
    """A copy of a diffusers folder without weights."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors", "vae_tiny", "controlnet*"))
    return target


def original_weights(name: str, leave_out: tuple[str, ...] = ()) -> Weights:
    """A tiny model's weights under the names that the makers of its family use."""
    folder = resolve(TINY[name])
    found: Weights = {}
    for part, (prefix, convert) in _parts(name).items():
        if part not in leave_out:
            config = json.loads((folder / part / "config.json").read_bytes())
            found |= {prefix + key: tensor for key, tensor in convert(part_weights(folder, part), config).items()}
    return {key: tensor.clone().contiguous() for key, tensor in found.items()}


def _parts(name: str) -> Mapping[str, tuple[str, Any]]:
    unet, vae = ("model.diffusion_model.", ldm_unet), ("first_stage_model.", ldm_vae)
    clip_l = "text_encoders.clip_l.transformer."
    t5 = ("text_encoders.t5xxl.transformer.", _as_it_is)
    match name:
        case "sd1":
            return {"unet": unet, "vae": vae, "text_encoder": ("cond_stage_model.transformer.", with_wrapper)}
        case "sd2":
            return {"unet": unet, "vae": vae, "text_encoder": ("cond_stage_model.model.", open_clip)}
        case "sdxl":
            first = ("conditioner.embedders.0.transformer.", with_wrapper)
            return {
                "unet": unet,
                "vae": vae,
                "text_encoder": first,
                "text_encoder_2": ("conditioner.embedders.1.model.", open_clip),
            }
        case "sdxl_refiner":
            return {"unet": unet, "vae": vae, "text_encoder_2": ("conditioner.embedders.0.model.", open_clip)}
        case "sd3":
            return {
                "transformer": ("model.diffusion_model.", sai_sd3),
                "vae": vae,
                "text_encoder": (clip_l, _without_projection),
                "text_encoder_2": ("text_encoders.clip_g.transformer.", _as_it_is),
                "text_encoder_3": t5,
            }
        case _:
            return {
                "transformer": ("model.diffusion_model.", bfl_flux),
                "vae": ("vae.", ldm_vae),
                "text_encoder": (clip_l, with_wrapper),
                "text_encoder_2": t5,
            }


def _as_it_is(weights: Weights, config: Any) -> Weights:
    return weights


def _without_projection(weights: Weights, config: Any) -> Weights:
    return {name: tensor for name, tensor in weights.items() if name != "text_projection.weight"}


def with_wrapper(weights: Weights, config: Any) -> Weights:
    """A text model as transformers below 5.6 named its weights, with the buffer that old files have."""
    found = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in weights.items()}
    return found | {"text_model.embeddings.position_ids": torch.arange(77)[None]}


def ldm_unet(weights: Weights, config: Any) -> Weights:
    """A UNet as CompVis and Stability AI name its weights (`input_blocks`, `middle_block`, `output_blocks`)."""
    layers = config["layers_per_block"]
    return {_ldm_unet_name(name, layers, weights): tensor for name, tensor in weights.items()}


def _ldm_unet_name(name: str, layers: int, weights: Weights) -> str:
    stem, _, kind = name.rpartition(".")
    if stem in _UNET_OUTER:
        return f"{_UNET_OUTER[stem]}.{kind}"
    if found := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", name):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        return f"middle_block.{place}.{_inner(found[1], found[3])}"
    found = re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)", name)
    assert found is not None, name
    block, index = int(found[2]), int(found[4])
    if found[1] == "down":
        first = 1 + block * (layers + 1)
        if found[3] == "downsamplers":
            return f"input_blocks.{first + layers}.0.{found[5].replace('conv', 'op')}"
        return f"input_blocks.{first + index}.{int(found[3] == 'attentions')}.{_inner(found[3], found[5])}"
    first = block * (layers + 1)
    if found[3] == "upsamplers":
        attends = any(key.startswith(f"up_blocks.{block}.attentions.") for key in weights)
        return f"output_blocks.{first + layers}.{1 + attends}.{found[5]}"
    return f"output_blocks.{first + index}.{int(found[3] == 'attentions')}.{_inner(found[3], found[5])}"


def _inner(group: str, rest: str) -> str:
    if group == "attentions":
        return rest
    stem, _, kind = rest.rpartition(".")
    return f"{_RESNET[stem]}.{kind}"


def ldm_vae(weights: Weights, config: Any) -> Weights:
    """An autoencoder as CompVis names its weights; its attention is made of 1x1 convolutions there."""
    levels = len(config["block_out_channels"])
    found: Weights = {}
    for name, tensor in weights.items():
        new = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        new = re.sub(r"encoder\.down_blocks\.(\d)\.resnets", r"encoder.down.\1.block", new)
        new = re.sub(r"encoder\.down_blocks\.(\d)\.downsamplers\.0", r"encoder.down.\1.downsample", new)
        new = re.sub(
            r"decoder\.up_blocks\.(\d)\.(resnets|upsamplers\.0)",
            lambda m: f"decoder.up.{levels - 1 - int(m[1])}.{'block' if m[2] == 'resnets' else 'upsample'}",
            new,
        )
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", new)
        if "mid_block.attentions.0" in new:
            new = new.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm")
            new = re.sub(r"to_([qkv])\.", r"\1.", new).replace("to_out.0", "proj_out")
            tensor = tensor[:, :, None, None] if tensor.dim() == 2 else tensor
        found[new] = tensor
    return found


def open_clip(weights: Weights, config: Any) -> Weights:
    """A text model as OpenCLIP names its weights: query, key and value in one matrix, the projection transposed."""
    bare = {name.removeprefix("text_model."): tensor for name, tensor in weights.items()}
    found: Weights = {
        "positional_embedding": bare["embeddings.position_embedding.weight"],
        "token_embedding.weight": bare["embeddings.token_embedding.weight"],
        "ln_final.weight": bare["final_layer_norm.weight"],
        "ln_final.bias": bare["final_layer_norm.bias"],
        "text_projection": bare.get("text_projection.weight", torch.eye(config["hidden_size"])).T,
        "logit_scale": torch.tensor(4.6),
    }
    for layer in range(config["num_hidden_layers"]):
        old, new = f"encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            joined = torch.cat([bare[f"{old}self_attn.{letter}_proj.{kind}"] for letter in "qkv"])
            found |= {
                f"{new}attn.in_proj_{kind}": joined,
                f"{new}attn.out_proj.{kind}": bare[f"{old}self_attn.out_proj.{kind}"],
                f"{new}ln_1.{kind}": bare[f"{old}layer_norm1.{kind}"],
                f"{new}ln_2.{kind}": bare[f"{old}layer_norm2.{kind}"],
                f"{new}mlp.c_fc.{kind}": bare[f"{old}mlp.fc1.{kind}"],
                f"{new}mlp.c_proj.{kind}": bare[f"{old}mlp.fc2.{kind}"],
            }
    return found


def sai_sd3(weights: Weights, config: Any) -> Weights:
    """A transformer of Stable Diffusion 3 as Stability AI names its weights."""
    found: Weights = {"pos_embed": weights["pos_embed.pos_embed"]}
    last = f"transformer_blocks.{config['num_layers'] - 1}.norm1_context.linear"
    for name, tensor in weights.items():
        stem, _, kind = name.rpartition(".")
        # Its last modulations have the shift first, those of diffusers the scale.
        value = _swapped(tensor) if stem in ("norm_out.linear", last) else tensor
        block = re.fullmatch(r"transformer_blocks\.(\d+)\.(.+)", stem)
        if stem in _SD3_OUTER:
            found[f"{_SD3_OUTER[stem]}.{kind}"] = value
        elif block and block[2] in _SD3_BLOCK:
            found[f"joint_blocks.{block[1]}.{_SD3_BLOCK[block[2]]}.{kind}"] = value
    for layer in range(config["num_layers"]):
        for kind in ("weight", "bias"):
            old, new = f"transformer_blocks.{layer}.attn.", f"joint_blocks.{layer}."
            image = torch.cat([weights[f"{old}to_{letter}.{kind}"] for letter in "qkv"])
            text = torch.cat([weights[f"{old}add_{letter}_proj.{kind}"] for letter in "qkv"])
            found |= {f"{new}x_block.attn.qkv.{kind}": image, f"{new}context_block.attn.qkv.{kind}": text}
    return found


def bfl_flux(weights: Weights, config: Any) -> Weights:
    """A transformer of FLUX.1 as Black Forest Labs name its weights."""
    found: Weights = {}
    for name, tensor in weights.items():
        stem, _, kind = name.rpartition(".")
        double = re.fullmatch(r"transformer_blocks\.(\d+)\.(.+)", stem)
        if stem in _FLUX_OUTER:
            found[f"{_FLUX_OUTER[stem]}.{kind}"] = _swapped(tensor) if stem == "norm_out.linear" else tensor
        elif double and double[2] in _FLUX_DOUBLE:
            found[f"double_blocks.{double[1]}.{_FLUX_DOUBLE[double[2]]}.{kind}"] = tensor
    for layer in range(config["num_layers"]):
        old, new = f"transformer_blocks.{layer}.attn.", f"double_blocks.{layer}."
        for side, names in (("img", ["to_q", "to_k", "to_v"]), ("txt", ["add_q_proj", "add_k_proj", "add_v_proj"])):
            for kind in ("weight", "bias"):
                found[f"{new}{side}_attn.qkv.{kind}"] = torch.cat([weights[f"{old}{part}.{kind}"] for part in names])
        for side, infix in (("img", ""), ("txt", "added_")):
            found[f"{new}{side}_attn.norm.query_norm.scale"] = weights[f"{old}norm_{infix}q.weight"]
            found[f"{new}{side}_attn.norm.key_norm.scale"] = weights[f"{old}norm_{infix}k.weight"]
    for layer in range(config["num_single_layers"]):
        old, new = f"single_transformer_blocks.{layer}.", f"single_blocks.{layer}."
        for kind in ("weight", "bias"):
            parts = ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"]
            found |= {
                f"{new}linear1.{kind}": torch.cat([weights[f"{old}{part}.{kind}"] for part in parts]),
                f"{new}linear2.{kind}": weights[f"{old}proj_out.{kind}"],
                f"{new}modulation.lin.{kind}": weights[f"{old}norm.linear.{kind}"],
            }
        found[f"{new}norm.query_norm.scale"] = weights[f"{old}attn.norm_q.weight"]
        found[f"{new}norm.key_norm.scale"] = weights[f"{old}attn.norm_k.weight"]
    return found


def _swapped(tensor: Tensor) -> Tensor:
    first, second = tensor.chunk(2)
    return torch.cat([second, first])
