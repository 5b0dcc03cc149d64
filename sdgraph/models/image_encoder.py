"""Image encoders (CLIP vision models): pictures as vectors, for IP-Adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import component_folder
from sdgraph.models.layout import FolderLayout, number
from sdgraph.models.source import resolve
from sdgraph.models.weights import read_config
from sdgraph.payloads.handles import Dtype, ImageEncoderHandle, IPAdapterHandle, SafetyCheckerHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.image_prompt import ImagePrompt

if TYPE_CHECKING:
    from torch import Tensor

_CLASS = "CLIPVisionModelWithProjection"


def read_image_encoder(source: str, dtype: Dtype = "float32") -> ImageEncoderHandle:
    """The handle of an image encoder, for example `hf:h94/IP-Adapter/models/image_encoder`.

    Raises ModelError (see `resolve`), [model-damaged], [model-kind-unsupported].
    """
    folder = resolve(source)
    config = read_config(folder / "config.json")
    if config.get("architectures") != [_CLASS]:
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is {config.get('architectures') or 'a model of unknown kind'}, expected {_CLASS}.",
            "Use the image encoder that came with the IP-Adapter.",
        )
    return ImageEncoderHandle(
        source=source,
        component="",
        fingerprint=FolderLayout(folder).fingerprint(""),
        family="clip_vision",
        dtype=dtype,
        image_px=number(folder, config, "image_size"),
        width=number(folder, config, "projection_dim"),
        patch_width=number(folder, config, "hidden_size"),
    )


def image_encoder_fingerprint(source: str) -> str:
    """Digest of an encoder's content, for a loader node's key. Raises ModelError as `read_image_encoder` does."""
    return read_image_encoder(source).fingerprint


def require_fit(encoder: ImageEncoderHandle, adapter: IPAdapterHandle) -> None:
    """Raises ModelError [image-encoder-mismatch] unless the adapter reads what the encoder makes."""
    width = encoder.width if adapter.looks_at == "picture" else encoder.patch_width
    if width != adapter.width:
        raise ModelError(
            "image-encoder-mismatch",
            f"The IP-Adapter `{adapter.source}` reads {adapter.width} numbers per {adapter.looks_at}, the image "
            f"encoder `{encoder.source}` makes {width}.",
            "Use the image encoder that came with the IP-Adapter; some files come with the large one (ViT-bigG).",
        )


def encode_images(model: Any, encoder: ImageEncoderHandle, adapter: IPAdapterHandle, image: Image) -> ImagePrompt:
    """Pictures as an adapter wants them, and no picture, with the encoder's leased model.

    Each picture's middle square is seen. No picture is a vector of zeros, or for patches an empty picture's vectors, as
    in diffusers. Raises ModelError [image-encoder-mismatch].
    """
    import torch

    require_fit(encoder, adapter)
    seen: Tensor = preprocessed(encoder, image).to(model.device, model.dtype)
    with torch.no_grad():
        if adapter.looks_at == "picture":
            features = model(seen).image_embeds
            negative = torch.zeros_like(features)
        else:
            features, negative = (
                model(part, output_hidden_states=True).hidden_states[-2] for part in (seen, torch.zeros_like(seen))
            )
    return ImagePrompt(*(np.array(part.float().cpu().numpy()) for part in (features, negative)))


def preprocessed(encoder: ImageEncoderHandle | SafetyCheckerHandle, image: Image) -> Tensor:
    """Resized, cropped to the middle square and normalised, [N, 3, image_px, image_px].

    By the encoder's own `preprocessor_config.json` where it has one, as CLIP is used otherwise.
    """
    from transformers import CLIPImageProcessor

    from sdgraph.models.quiet import quiet

    folder = component_folder(encoder.source, encoder.component)
    kind: Any = CLIPImageProcessor
    with quiet():
        if (folder / "preprocessor_config.json").is_file():
            processor = kind.from_pretrained(str(folder), local_files_only=True)
        else:
            processor = kind(size=encoder.image_px, crop_size=encoder.image_px)
        return processor(list(image.to_uint8()), return_tensors="pt").pixel_values
