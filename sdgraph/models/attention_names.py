"""The names of a denoiser's transformer blocks, as its configuration tells them: no weights, no torch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sdgraph.errors import ModelError

_SHORT_NAMES = {
    "mid": "mid_block",
    "down": "down_blocks",
    "up": "up_blocks",
    "blocks": "transformer_blocks",
    "single": "single_transformer_blocks",
}
_MOST_NAMED = 12
_ATTENTION = ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D", "UNetMidBlock2DCrossAttn")
_NO_ATTENTION = ("DownBlock2D", "UpBlock2D", "UNetMidBlock2D", None)
_TRANSFORMERS: Mapping[str, Mapping[str, str]] = {
    "SD3Transformer2DModel": {"num_layers": "transformer_blocks"},
    "FluxTransformer2DModel": {"num_layers": "transformer_blocks", "num_single_layers": "single_transformer_blocks"},
}
"""By class, the fields that count blocks, and what these are called."""


def block_names(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The blocks with self-attention of the model that diffusers builds from `config`, in the model's order.

    None for a configuration of another kind, whose blocks only the model itself can tell.
    """
    name = str(config.get("_class_name"))
    if name in _TRANSFORMERS:
        counts = [(folder, config.get(field)) for field, folder in _TRANSFORMERS[name].items()]
        if all(isinstance(count, int) for _, count in counts):
            return tuple(f"{folder}.{number}" for folder, count in counts for number in range(count or 0))
        return None
    if name != "UNet2DConditionModel" or config.get("dual_cross_attention"):
        return None
    down, up, middle = (
        config.get("down_block_types", ()),
        config.get("up_block_types", ()),
        config.get("mid_block_type", "UNetMidBlock2DCrossAttn"),
    )
    if any(kind not in _ATTENTION + _NO_ATTENTION for kind in (*down, *up, middle)):
        return None
    return tuple(_unet_blocks(config, down, up, middle))


def _unet_blocks(
    config: Mapping[str, Any], down: Sequence[str], up: Sequence[str], middle: str | None
) -> Iterator[str]:
    resnets = _per_block(config.get("layers_per_block", 2), len(down))
    depths = _per_block(config.get("transformer_layers_per_block", 1), len(down))
    reversed_depths = config.get("reverse_transformer_layers_per_block") or depths[::-1]
    for number, kind in enumerate(down):
        yield from _attentions(f"down_blocks.{number}", kind, resnets[number], depths[number])
    for number, kind in enumerate(up):
        yield from _attentions(f"up_blocks.{number}", kind, resnets[::-1][number] + 1, reversed_depths[number])
    yield from _attentions("mid_block", middle, 1, depths[-1])


def _per_block(value: Any, count: int) -> list[Any]:
    return [value] * count if isinstance(value, int) else list(value)


def _attentions(block: str, kind: str | None, count: int, depth: int | Sequence[int]) -> Iterator[str]:
    if kind in _ATTENTION:
        for number in range(count):
            for layer in range(depth if isinstance(depth, int) else depth[number]):
                yield f"{block}.attentions.{number}.transformer_blocks.{layer}"


def chosen_names(names: Collection[str], layers: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that are or begin with one of `layers`; without any, those in the middle of the network.

    `mid`, `down`, `up`, `blocks` and `single` stand for the names that they begin. Raises ModelError [attention-layers]
    when there is none.
    """
    if not layers:
        middle = tuple(name for name in names if name.startswith("mid_block."))
        chosen, missing = middle or tuple(names)[len(names) // 2 :][:1], "with self-attention"
    else:
        by_layer = {layer: [name for name in names if _matches(name, layer)] for layer in layers}
        absent = [layer for layer, found in by_layer.items() if not found]
        chosen = () if absent else tuple(dict.fromkeys(name for found in by_layer.values() for name in found))
        missing = f"called `{absent[0]}`" if absent else ""
    if not chosen:
        raise ModelError("attention-layers", f"The model has no block {missing}.", _hint(names))
    return chosen


def _matches(name: str, layer: str) -> bool:
    first, dot, rest = layer.partition(".")
    full = _SHORT_NAMES.get(first, first) + dot + rest
    return name == full or name.startswith(f"{full}.")


def _hint(names: Collection[str]) -> str:
    if not names:
        return "It has no transformer blocks at all; use a guider that does not perturb attention."
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    shown = ", ".join(list(names)[:_MOST_NAMED])
    return f"Its blocks are {shown}{more}; the beginning of a name stands for all of them."
