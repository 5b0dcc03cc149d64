"""The classes of diffusers and transformers that training needs, untyped.

Both libraries annotate tuples of one element where they take any number, and hide their public classes from type
checkers; one door with `Any` on it is honester than a cast at every use.
"""

from __future__ import annotations

from typing import Any

import diffusers
import transformers
from diffusers.models import attention_processor

DiffusersModel = Any
"""An instance of one of the model classes below."""

_diffusers: Any = diffusers
_transformers: Any = transformers
_attention: Any = attention_processor

AttnProcessor: Any = _attention.AttnProcessor
AutoencoderKL: Any = _diffusers.AutoencoderKL
AutoencoderTiny: Any = _diffusers.AutoencoderTiny
ControlNetModel: Any = _diffusers.ControlNetModel
DDIMScheduler: Any = _diffusers.DDIMScheduler
DPMSolverMultistepScheduler: Any = _diffusers.DPMSolverMultistepScheduler
StableDiffusionControlNetPipeline: Any = _diffusers.StableDiffusionControlNetPipeline
StableDiffusionPipeline: Any = _diffusers.StableDiffusionPipeline
UNet2DConditionModel: Any = _diffusers.UNet2DConditionModel
CLIPTextConfig: Any = _transformers.CLIPTextConfig
CLIPTextModel: Any = _transformers.CLIPTextModel
