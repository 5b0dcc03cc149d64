"""Safety checkers as they come with Stable Diffusion: which pictures look like what should not be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdgraph.errors import ModelError
from sdgraph.models.image_encoder import preprocessed
from sdgraph.models.layout import FolderLayout, number
from sdgraph.models.source import resolve
from sdgraph.models.weights import read_config
from sdgraph.payloads.handles import SafetyCheckerHandle
from sdgraph.payloads.image import Image

_CLASS, _FOLDER = "StableDiffusionSafetyChecker", "safety_checker"
_USUAL: Mapping[str, Any] = {"image_size": 224}
"""CLIP's own; transformers 4 wrote down only what differs from it."""


def read_safety_checker(source: str) -> SafetyCheckerHandle:
    """The handle of a safety checker: its folder, or that of a model that has one.

    Raises ModelError (see `resolve`), [model-damaged], [model-kind-unsupported].
    """
    folder = resolve(source)
    if (folder / _FOLDER / "config.json").is_file():
        folder, source = folder / _FOLDER, f"{source}/{_FOLDER}"
    config = read_config(folder / "config.json")
    if config.get("architectures") != [_CLASS]:
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is {config.get('architectures') or 'a model of unknown kind'}, expected {_CLASS}.",
            "Use the folder `safety_checker` of a Stable Diffusion model, or that model.",
        )
    vision = config.get("vision_config")
    return SafetyCheckerHandle(
        source=source,
        component="",
        fingerprint=FolderLayout(folder).fingerprint(""),
        family="safety_checker",
        image_px=number(folder, {**_USUAL, **vision} if isinstance(vision, dict) else {}, "image_size"),
    )


def safety_fingerprint(source: str) -> str:
    """Digest of a checker's content, for a loader node's key. Raises ModelError as `read_safety_checker` does."""
    return read_safety_checker(source).fingerprint


def flagged(model: Any, handle: SafetyCheckerHandle, image: Image) -> tuple[bool, ...]:
    """Of each picture, whether the leased model finds what should not be shown.

    The picture is compared with concepts in CLIP's space (Rando et al. 2022, arXiv:2210.04610, describe how); each is
    judged alone.
    """
    import torch

    from sdgraph.models.quiet import quiet

    found: list[bool] = []
    with torch.no_grad(), quiet():
        for picture in image.pixels:
            seen = preprocessed(handle, Image(picture[None].copy())).to(model.device, model.dtype)
            _, flags = model(clip_input=seen, images=[np.zeros(1, np.float32)])
            found.append(bool(flags[0]))
    return tuple(found)


def hidden(image: Image, flags: tuple[bool, ...]) -> Image:
    """The pictures, those that are flagged black, as diffusers shows them."""
    return (
        image if not any(flags) else Image(np.where(np.array(flags)[:, None, None, None], np.float32(0), image.pixels))
    )
