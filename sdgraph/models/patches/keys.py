"""From the keys of a patch file to entries: which module of which network, and which kind of change.

Known are the spellings of kohya's scripts and LyCORIS (`lora_unet_down_blocks_0_..._to_q.lora_down.weight`), of
diffusers and PEFT (`unet.down_blocks.0. ... .to_q.lora_A.weight`), of diffusers' old attention processors
(`... .processor.to_q_lora.down.weight`), and those without a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Component = Literal["denoiser", "text_encoder", "text_encoder_2", "text_encoder_3"]
"""A network of a model: the denoiser, or a text tower."""
Kind = Literal["lora", "loha", "lokr", "ia3", "diff"]
Tensor = Literal["weight", "bias"]

_PREFIXES: tuple[tuple[str, Component | None], ...] = (
    ("lora_unet_", "denoiser"),
    ("lora_transformer_", "denoiser"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te3_", "text_encoder_3"),
    ("lora_te_", "text_encoder"),
    ("lycoris_", None),
    ("base_model.model.", None),
    ("model.diffusion_model.", "denoiser"),
    ("diffusion_model.", "denoiser"),
    ("unet.", "denoiser"),
    ("transformer.", "denoiser"),
    ("text_encoder_3.", "text_encoder_3"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
)
_PARTS = tuple(
    (re.compile(rf"{pattern}$"), part)
    for pattern, part in (
        (r"\.lora_down\.weight", "down"),
        (r"\.lora_up\.weight", "up"),
        (r"\.lora_mid\.weight", "mid"),
        (r"\.lora_A(\.\w+)?\.weight", "down"),
        (r"\.lora_B(\.\w+)?\.weight", "up"),
        (r"[._]lora(_linear_layer)?\.down\.weight", "down"),
        (r"[._]lora(_linear_layer)?\.up\.weight", "up"),
        (r"([._]lora(_linear_layer)?)?\.alpha", "alpha"),
        (r"([._]lora)?\.lora_magnitude_vector(\.\w+)?", "dora"),
        (r"\.dora_scale", "dora"),
        (r"\.(?P<part>hada_w[12]_[ab]|hada_t[12]|lokr_w[12](_[ab])?|lokr_t2|on_input)", None),
        (r"\.(diff|w_norm)", "diff"),
        (r"\.(diff_b|b_norm)", "diff_bias"),
        (r"\.weight", "scaling"),
    )
)
_KINDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("lora", frozenset({"down", "up"})),
    ("loha", frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"})),
    ("lokr", frozenset({"lokr_w1", "lokr_w2"})),
    ("lokr", frozenset({"lokr_w1", "lokr_w2_a", "lokr_w2_b"})),
    ("lokr", frozenset({"lokr_w1_a", "lokr_w1_b", "lokr_w2"})),
    ("lokr", frozenset({"lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"})),
    ("ia3", frozenset({"scaling", "on_input"})),
    ("diff", frozenset({"diff"})),
)
"""The parts that each kind can't do without."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change to one tensor of one module."""

    module: str
    """The module as the file calls it, without the network's prefix, and with `_` for every dot."""
    component: Component | None
    """The network; None when the file does not say."""
    kind: Kind
    tensor: Tensor
    parts: Mapping[str, str]
    """The file's key of each part."""


def read_entries(keys: Iterable[str]) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries of a file's keys in the order of their names, and the keys that belong to none."""
    groups: dict[tuple[str, str, Component | None], dict[str, str]] = {}
    unknown: list[str] = []
    for key in sorted(keys):
        named = _split(key)
        if named is None:
            unknown.append(key)
        else:
            module, part = named
            component, rest = _component(module)
            groups.setdefault((module, _flat(rest), component), {})[part] = key
    entries: list[Entry] = []
    for (_, module, component), parts in groups.items():
        found = list(_entries(module, component, parts))
        used = {key for entry in found for key in entry.parts.values()}
        unknown += [key for key in parts.values() if key not in used]
        entries += found
    return tuple(entries), tuple(unknown)


def accepted(component: Component, networks: Collection[Component]) -> frozenset[Component | None]:
    """What entries for a network call it, among a model's networks; None is an entry that does not say.

    kohya's scripts count FLUX.1's T5 as the third text encoder, diffusers as the second.
    """
    third: Component = "text_encoder_3"
    if component == "text_encoder_2" and third not in networks:
        return frozenset({component, third, None})
    return frozenset({component, None})


def _split(key: str) -> tuple[str, str] | None:
    """The module and the part that a key names; None for an unknown ending."""
    for pattern, part in _PARTS:
        match = pattern.search(key)
        if match:
            return key[: match.start()], part or match["part"]
    return None


def _component(module: str) -> tuple[Component | None, str]:
    for prefix, component in _PREFIXES:
        if module.startswith(prefix):
            rest = module.removeprefix(prefix)
            return (component, rest) if component else _component(rest)
    return None, module


def _flat(module: str) -> str:
    return module.replace(".processor", "").replace(".", "_").removeprefix("text_model_")


def _entries(module: str, component: Component | None, parts: Mapping[str, str]) -> Iterable[Entry]:
    for kind, needed in _KINDS:
        if needed <= parts.keys():
            taken = {part: key for part, key in parts.items() if part != "diff_bias"}
            yield Entry(module, component, kind, "weight", taken)
            break
    if "diff_bias" in parts:
        yield Entry(module, component, "diff", "bias", {"diff": parts["diff_bias"]})
