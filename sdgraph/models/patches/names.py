"""By which names patch files call a model's modules: diffusers' own, and those of the original implementations.

Names are compared with `_` for every dot, as kohya's scripts write them, so both spellings are found. The original
implementations keep some projections as one matrix, so a name may stand for rows of several modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rows:
    """Output rows `start` to `stop` of a module."""

    module: str
    start: int
    stop: int


Target = tuple[Rows, ...]
"""What a name stands for: the rows of these modules on top of each other."""

_RESNET = {
    "norm1": "in_layers_0",
    "conv1": "in_layers_2",
    "time_emb_proj": "emb_layers_1",
    "norm2": "out_layers_0",
    "conv2": "out_layers_3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "conv_in": "input_blocks_0_0",
    "time_embedding_linear_1": "time_embed_0",
    "time_embedding_linear_2": "time_embed_2",
    "add_embedding_linear_1": "label_emb_0_0",
    "add_embedding_linear_2": "label_emb_0_2",
    "conv_norm_out": "out_0",
    "conv_out": "out_2",
}
_CONTEXT_NORM = "transformer_blocks.#.norm1_context.linear"
_MMDIT: Mapping[str, tuple[str, ...]] = {
    # FLUX.1
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in_in_layer": ("time_text_embed.timestep_embedder.linear_1",),
    "time_in_out_layer": ("time_text_embed.timestep_embedder.linear_2",),
    "vector_in_in_layer": ("time_text_embed.text_embedder.linear_1",),
    "vector_in_out_layer": ("time_text_embed.text_embedder.linear_2",),
    "guidance_in_in_layer": ("time_text_embed.guidance_embedder.linear_1",),
    "guidance_in_out_layer": ("time_text_embed.guidance_embedder.linear_2",),
    "double_blocks_#_img_attn_qkv": ("transformer_blocks.#.attn.to_q", "=.to_k", "=.to_v"),
    "double_blocks_#_img_attn_proj": ("transformer_blocks.#.attn.to_out.0",),
    "double_blocks_#_img_mlp_0": ("transformer_blocks.#.ff.net.0.proj",),
    "double_blocks_#_img_mlp_2": ("transformer_blocks.#.ff.net.2",),
    "double_blocks_#_img_mod_lin": ("transformer_blocks.#.norm1.linear",),
    "double_blocks_#_txt_attn_qkv": ("transformer_blocks.#.attn.add_q_proj", "=.add_k_proj", "=.add_v_proj"),
    "double_blocks_#_txt_attn_proj": ("transformer_blocks.#.attn.to_add_out",),
    "double_blocks_#_txt_mlp_0": ("transformer_blocks.#.ff_context.net.0.proj",),
    "double_blocks_#_txt_mlp_2": ("transformer_blocks.#.ff_context.net.2",),
    "double_blocks_#_txt_mod_lin": ("transformer_blocks.#.norm1_context.linear",),
    "single_blocks_#_linear1": (
        "single_transformer_blocks.#.attn.to_q",
        "=.to_k",
        "=.to_v",
        "single_transformer_blocks.#.proj_mlp",
    ),
    "single_blocks_#_linear2": ("single_transformer_blocks.#.proj_out",),
    "single_blocks_#_modulation_lin": ("single_transformer_blocks.#.norm.linear",),
    # Stable Diffusion 3
    "x_embedder_proj": ("pos_embed.proj",),
    "t_embedder_mlp_0": ("time_text_embed.timestep_embedder.linear_1",),
    "t_embedder_mlp_2": ("time_text_embed.timestep_embedder.linear_2",),
    "y_embedder_mlp_0": ("time_text_embed.text_embedder.linear_1",),
    "y_embedder_mlp_2": ("time_text_embed.text_embedder.linear_2",),
    "joint_blocks_#_x_block_attn_qkv": ("transformer_blocks.#.attn.to_q", "=.to_k", "=.to_v"),
    "joint_blocks_#_x_block_attn_proj": ("transformer_blocks.#.attn.to_out.0",),
    "joint_blocks_#_x_block_attn2_qkv": ("transformer_blocks.#.attn2.to_q", "=.to_k", "=.to_v"),
    "joint_blocks_#_x_block_attn2_proj": ("transformer_blocks.#.attn2.to_out.0",),
    "joint_blocks_#_x_block_mlp_fc1": ("transformer_blocks.#.ff.net.0.proj",),
    "joint_blocks_#_x_block_mlp_fc2": ("transformer_blocks.#.ff.net.2",),
    "joint_blocks_#_x_block_adaLN_modulation_1": ("transformer_blocks.#.norm1.linear",),
    "joint_blocks_#_context_block_attn_qkv": (
        "transformer_blocks.#.attn.add_q_proj",
        "=.add_k_proj",
        "=.add_v_proj",
    ),
    "joint_blocks_#_context_block_attn_proj": ("transformer_blocks.#.attn.to_add_out",),
    "joint_blocks_#_context_block_mlp_fc1": ("transformer_blocks.#.ff_context.net.0.proj",),
    "joint_blocks_#_context_block_mlp_fc2": ("transformer_blocks.#.ff_context.net.2",),
    "joint_blocks_#_context_block_adaLN_modulation_1": (_CONTEXT_NORM,),
    # both
    "final_layer_linear": ("proj_out",),
}
"""Original names of transformers; `#` is a block's number, `=` repeats the first module's parent."""
_SWAPPED = {
    "final_layer_adaLN_modulation_1": "norm_out.linear",
    "joint_blocks_#_context_block_adaLN_modulation_1": _CONTEXT_NORM,
}
"""Modules whose halves (shift, scale) diffusers keep in the other order: the last ones, which have no gates."""


def known_names(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Target]:
    """What each name stands for, given the shapes of a network's tensors (`to_q.weight`: [out, in])."""
    rows = {name.removesuffix(".weight"): shape[0] for name, shape in shapes.items() if _is_weight(name, shape)}
    known = {alias: (Rows(module, 0, count),) for module, count in rows.items() for alias in _aliases(module)}
    known |= _unet_names(rows)
    for module, count in rows.items():
        known[_flat(module)] = (Rows(module, 0, count),)
    return {**_transformer_names(rows), **known}


def _is_weight(name: str, shape: tuple[int, ...]) -> bool:
    return name.endswith(".weight") and bool(shape)


def _flat(module: str) -> str:
    return module.replace(".", "_").removeprefix("text_model_")


def _aliases(module: str) -> Iterator[str]:
    """Names that diffusers' older files have for a module."""
    flat = _flat(module)
    if flat.endswith("_to_out_0"):
        yield flat.removesuffix("_0")
    for part in ("q", "k", "v", "out"):
        if flat.endswith(f"_self_attn_{part}_proj"):
            yield f"{flat.removesuffix(f'{part}_proj')}to_{part}"


def _unet_names(rows: Mapping[str, int]) -> dict[str, Target]:
    """Names of the original UNets (CompVis, SGM), whose blocks are counted through."""
    layers = sum(bool(re.fullmatch(r"down_blocks\.0\.resnets\.\d+\.conv1", module)) for module in rows)
    named = ((_original(module, layers, rows), module) for module in rows)
    return {name: (Rows(module, 0, rows[module]),) for name, module in named if name}


def _original(module: str, layers: int, rows: Mapping[str, int]) -> str | None:
    match = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", module)
    if match is None:
        middle = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", module)
        if middle is None:
            return _UNET_ENDS.get(_flat(module))
        place = 1 if middle[1] == "attentions" else 2 * int(middle[2])
        return f"middle_block_{place}_{_inner(middle[1], middle[3])}"
    side, block, kind, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if kind == "downsamplers":
        return f"input_blocks_{(layers + 1) * (block + 1)}_0_op"
    if kind == "upsamplers":
        attends = any(name.startswith(f"up_blocks.{block}.attentions.") for name in rows)
        return f"output_blocks_{(layers + 1) * block + layers}_{2 if attends else 1}_{_flat(rest)}"
    number = (layers + 1) * block + index + (1 if side == "down" else 0)
    blocks = "input_blocks" if side == "down" else "output_blocks"
    return f"{blocks}_{number}_{1 if kind == 'attentions' else 0}_{_inner(kind, rest)}"


def _inner(kind: str, rest: str) -> str:
    return _RESNET.get(rest, _flat(rest)) if kind == "resnets" else _flat(rest)


def _transformer_names(rows: Mapping[str, int]) -> dict[str, Target]:
    numbers = {match[1] for module in rows if (match := re.match(r"(?:single_)?transformer_blocks\.(\d+)\.", module))}
    known: dict[str, Target] = {}
    for name, modules in _MMDIT.items():
        for number in numbers if "#" in name else ("",):
            found = _modules(modules, number)
            if all(module in rows for module in found):
                known[name.replace("#", number)] = tuple(Rows(module, 0, rows[module]) for module in found)
    last = max(numbers, key=int, default="")
    for name, template in _SWAPPED.items():
        module = template.replace("#", last)
        if module in rows:
            half = rows[module] // 2
            known[name.replace("#", last)] = (Rows(module, half, 2 * half), Rows(module, 0, half))
    return known


def _modules(templates: tuple[str, ...], number: str) -> list[str]:
    parent = templates[0].rpartition(".")[0]
    return [template.replace("=", parent).replace("#", number) for template in templates]
