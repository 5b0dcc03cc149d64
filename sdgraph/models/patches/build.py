"""From a fitted entry to an adapter: its tensors, and the scale that alpha gives it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

from sdgraph.models.header import damaged
from sdgraph.models.patches.adapters import (
    Adapter,
    Decomposed,
    Difference,
    Hadamard,
    Kronecker,
    LowRank,
    Scaling,
)
from sdgraph.models.patches.files import PatchFile, nested_metadata
from sdgraph.models.patches.keys import Component, Entry

if TYPE_CHECKING:
    from torch import Tensor

_PEFT_NAMES: Mapping[Component, tuple[str, ...]] = {
    "denoiser": ("unet.", "transformer."),
    "text_encoder": ("text_encoder.",),
    "text_encoder_2": ("text_encoder_2.",),
    "text_encoder_3": ("text_encoder_3.",),
}


def make_adapter(
    file: PatchFile, entry: Entry, component: Component, tensors: Mapping[str, Tensor], rows: int
) -> Adapter:
    """The adapter of an entry for a weight of `rows` output rows; `tensors` are the file's, float32, by key.

    Raises ModelError [model-damaged] for an alpha that is no number.
    """
    parts = {part: tensors[key] for part, key in entry.parts.items()}
    adapter = _plain(file, entry, component, parts)
    if "dora" not in parts:
        return adapter
    magnitude = parts["dora"]
    by_input = magnitude.dim() > 1 and magnitude.shape[0] == 1 and magnitude.numel() > 1
    return Decomposed(adapter, magnitude.flatten(), by_input or magnitude.numel() != rows)


def _plain(file: PatchFile, entry: Entry, component: Component, parts: Mapping[str, Tensor]) -> Adapter:
    match entry.kind:
        case "lora":
            scale = _scale(file, entry, component, parts, parts["down"].shape[0])
            return LowRank(parts["down"], parts["up"], scale, parts.get("mid"))
        case "loha":
            a1, b1, a2, b2 = (parts[f"hada_w{n}_{side}"] for n in (1, 2) for side in "ab")
            scale = _scale(file, entry, component, parts, b1.shape[0])
            cores = (parts["hada_t1"], parts["hada_t2"]) if "hada_t1" in parts else None
            if cores is None:
                b1, b2 = b1.flatten(1), b2.flatten(1)
            return Hadamard((a1, b1), (a2, b2), scale, cores)
        case "lokr":
            return _kronecker(file, entry, component, parts)
        case "ia3":
            return Scaling(parts["scaling"].flatten(), on_input=bool(parts["on_input"].any()))
        case "diff":
            return Difference(parts["diff"])


def _kronecker(file: PatchFile, entry: Entry, component: Component, parts: Mapping[str, Tensor]) -> Kronecker:
    left, right = (parts.get(name) for name in ("lokr_w1", "lokr_w2"))
    inner = [parts[f"lokr_w{n}_b"].shape[0] for n, whole in ((1, left), (2, right)) if whole is None]
    # Without a decomposed factor there is no rank, and LyCORIS ignores alpha.
    scale = _scale(file, entry, component, parts, inner[-1]) if inner else 1.0
    return Kronecker(
        (parts["lokr_w1_a"], parts["lokr_w1_b"]) if left is None else left,
        (parts["lokr_w2_a"], parts["lokr_w2_b"]) if right is None else right,
        scale,
        parts.get("lokr_t2"),
    )


def _scale(file: PatchFile, entry: Entry, component: Component, parts: Mapping[str, Tensor], rank: int) -> float:
    """alpha / rank: the alpha of the entry, or what PEFT wrote into the file's metadata, or the rank itself."""
    if "alpha" in parts:
        alpha = parts["alpha"]
        if alpha.numel() != 1:
            raise damaged(file.path, f"`{entry.parts['alpha']}` is no single number")
        return float(alpha) / rank
    settings = _peft_settings(file, component)
    patterns = settings.get("alpha_pattern")
    patterns = patterns if isinstance(patterns, dict) else {}
    special = [value for name, value in patterns.items() if _names(name, entry.module)]
    alpha = special[0] if special else settings.get("lora_alpha", rank)
    if not isinstance(alpha, int | float) or not isfinite(alpha):
        raise damaged(file.path, f"its metadata give {alpha!r} as alpha, expected a number")
    return alpha / (sqrt(rank) if settings.get("use_rslora") else rank)


def _peft_settings(file: PatchFile, component: Component) -> dict[str, Any]:
    """What diffusers kept of PEFT's configuration for one network."""
    found = nested_metadata(file, "lora_adapter_metadata")
    prefixes = _PEFT_NAMES[component]
    return {
        name.removeprefix(prefix): value
        for name, value in found.items()
        for prefix in prefixes
        if name.startswith(prefix)
    }


def _names(pattern: str, module: str) -> bool:
    """Whether a module of PEFT's pattern (its name or the end of it) is this one."""
    flat = re.sub(r"[.]", "_", pattern).removeprefix("text_model_")
    return module == flat or module.endswith(f"_{flat}")
