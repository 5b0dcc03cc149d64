"""All port types of this room, as the built-in pack registers them."""

from __future__ import annotations

from typing import Any

from sdgraph.core.porttype import PortType
from sdgraph.payloads.conditioning import CONDITIONING
from sdgraph.payloads.control import CONTROL
from sdgraph.payloads.handles import (
    CONTROLNET,
    DENOISER,
    IMAGE_ENCODER,
    IP_ADAPTER,
    SAFETY_CHECKER,
    T2I_ADAPTER,
    TEXT_ENCODER,
    UPSCALER,
    VAE,
)
from sdgraph.payloads.image import IMAGE
from sdgraph.payloads.image_prompt import IMAGE_PROMPT
from sdgraph.payloads.latents import LATENTS
from sdgraph.payloads.mask import MASK
from sdgraph.payloads.region import REGION
from sdgraph.payloads.sampling import SAMPLING_STATE

PORT_TYPES: tuple[PortType[Any], ...] = (
    IMAGE,
    MASK,
    REGION,
    LATENTS,
    CONDITIONING,
    CONTROL,
    IMAGE_PROMPT,
    SAMPLING_STATE,
    DENOISER,
    TEXT_ENCODER,
    VAE,
    CONTROLNET,
    T2I_ADAPTER,
    IP_ADAPTER,
    IMAGE_ENCODER,
    UPSCALER,
    SAFETY_CHECKER,
)
