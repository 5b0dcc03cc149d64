"""What a model file or folder is, for lists of models: by its tensors' names or its configuration, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from sdgraph.errors import ModelError
from sdgraph.models.detect import Detected, Shapes, what_is
from sdgraph.models.families import FAMILIES, family_of
from sdgraph.models.header import read_header

ModelKind = Literal[
    "checkpoint",
    "vae",
    "lora",
    "embedding",
    "controlnet",
    "t2i_adapter",
    "ip_adapter",
    "text_encoder",
    "image_encoder",
    "upscaler",
    "other",
]
"""What loads it; "other": no node does."""

_BY_WORDS: Mapping[str, ModelKind] = {
    "a LoRA": "lora",
    "a LyCORIS (LoHa, LoKr or OFT)": "lora",
    "a textual inversion": "embedding",
    "a ControlNet": "controlnet",
    "an IP-Adapter": "ip_adapter",
    "a T2I-Adapter": "t2i_adapter",
    "an autoencoder (VAE) alone": "vae",
    "a tiny autoencoder": "vae",
    "a text encoder alone": "text_encoder",
    "an image encoder (CLIP vision)": "image_encoder",
    "an upscaler": "upscaler",
}
_BY_CLASS: Mapping[str, ModelKind] = {
    "AutoencoderKL": "vae",
    "AutoencoderTiny": "vae",
    "ControlNetModel": "controlnet",
    "ControlNetUnionModel": "controlnet",
    "SD3ControlNetModel": "controlnet",
    "FluxControlNetModel": "controlnet",
    "T2IAdapter": "t2i_adapter",
    "CLIPVisionModelWithProjection": "image_encoder",
    "CLIPVisionModel": "image_encoder",
    "CLIPTextModel": "text_encoder",
    "CLIPTextModelWithProjection": "text_encoder",
    "T5EncoderModel": "text_encoder",
}
_TOWERS = 3
"""Text models that a checkpoint has at most: a learned word has vectors for each."""
_CONFIG_LIMIT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Known:
    """What a model is."""

    kind: ModelKind
    what: str
    """In words: `SDXL`, `a LoRA`."""
    family: str | None = None


def known_file(path: Path) -> Known:
    """What a safetensors file is. Raises OSError."""
    try:
        return known_shapes(read_header(path).shapes)
    except ModelError as error:
        return Known("other", f"damaged: {error.problem.message}")


def known_shapes(shapes: Shapes) -> Known:
    """What a file with these tensors is."""
    found = what_is(shapes)
    if isinstance(found, Detected):
        return Known("checkpoint", FAMILIES[found.family].title, found.family)
    flat = all(len(shape) in (1, 2) for shape in shapes.values())
    if found[0] not in _BY_WORDS and flat and 0 < len(shapes) <= _TOWERS:
        return Known("embedding", "a textual inversion")  # diffusers calls the tensor as the word is called
    return Known(_BY_WORDS.get(found[0], "other"), found[0])


def known_folder(folder: Path) -> Known | None:
    """What a folder in the diffusers layout is; None for one that is none. Raises OSError."""
    index = read_json(folder / "model_index.json")
    if index is not None:
        denoisers = (read_json(folder / part / "config.json") for part in ("unet", "transformer"))
        family = family_of(index, next(filter(None, denoisers), {}))
        if family is None:
            return Known("other", f"a {index.get('_class_name')}")
        return Known("checkpoint", family.title, family.name)
    config = read_json(folder / "config.json")
    if config is None:
        return None
    named = str(config.get("_class_name") or (config.get("architectures") or [""])[0])
    return Known(_BY_CLASS[named], named) if named in _BY_CLASS else None


def read_json(file: Path) -> dict[str, Any] | None:
    """A small JSON object; None when there is none that can be read."""
    try:
        with file.open("rb") as stream:
            found = json.loads(stream.read(_CONFIG_LIMIT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
