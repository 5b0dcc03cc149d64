"""The same pictures by diffusers' pipelines, on the same weights."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

import diffusers
import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor

from benchmarks.parity_cases import CONTROL_STRENGTH, IMAGE_PX, MASK, NEGATIVE, PROMPT, TEXT_LORA_STRENGTH, Case, Pixels
from benchmarks.parity_lora import SHIPPED, lora_of
from benchmarks.parity_schedulers import CountedSde, references
from sdgraph.diffusion.names import ETA_DEFAULTS
from sdgraph.models.quiet import quiet
from sdgraph.models.source import resolve

_diffusers: Any = diffusers
DISTILLED_GUIDANCE = 3.5
"""What FLUX is told where nothing else is said."""


def by_diffusers(case: Case, picture: Pixels) -> Pixels:
    """The pictures [B, 3, H, W] float32 0..1 of a case; `picture` [1, 3, H, W] is what is changed or steers."""
    pipeline = _pipeline(case)
    with quiet(), torch.no_grad(), means():
        images = pipeline(
            [PROMPT] * case.batch,
            num_inference_steps=case.steps,
            guidance_scale=DISTILLED_GUIDANCE if case.family.startswith("flux") else case.guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in case.seeds],
            output_type="latent" if _forgets_shift(case) else "np",
            **_options(case, pipeline, torch.tensor(picture)),
        ).images
        if _forgets_shift(case):
            return _decoded(pipeline.vae, images)
    return np.moveaxis(np.asarray(images, dtype=np.float32), -1, 1)


@contextmanager
def means() -> Generator[None]:
    """Within the `with` block autoencoders answer with the mean of what they find likely: the control pictures of
    Stable Diffusion 3 and FLUX are encoded inside their pipelines, and would be drawn from that distribution.
    """

    def mean(self: DiagonalGaussianDistribution, generator: Any = None) -> Tensor:
        return self.mode()

    with mock.patch.object(DiagonalGaussianDistribution, "sample", mean):
        yield


def _forgets_shift(case: Case) -> bool:
    """diffusers 0.42 leaves out the autoencoder's shift when its inpainting pipeline of Stable Diffusion 3 decodes."""
    return case.inpaints and case.family.startswith("sd3")


def _decoded(vae: Any, latents: Tensor) -> Pixels:
    """The picture of latents, as all the other pipelines decode it."""
    decoded = vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor).sample
    return (decoded / 2 + 0.5).clamp(0, 1).numpy()


def _options(case: Case, pipeline: Any, picture: Tensor) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if case.guidance != 1 and not case.family.startswith("flux"):
        options["negative_prompt"] = [NEGATIVE] * case.batch
    if case.changes or case.inpaints:
        options |= {"image": encoded(pipeline.vae, picture), "strength": case.strength}
    if case.inpaints:
        options |= {"mask_image": mask(), "masked_image_latents": options["image"]}
    if case.solver == "tcd":
        options["eta"] = ETA_DEFAULTS["tcd"]  # the pipelines have that of DDIM
    if case.task == "ControlNet":
        # The pipelines of transformers take a tensor for a picture of -1..1, those of UNets for one of 0..1.
        seen = {"control_image": 2 * picture - 1} if case.flow else {"image": picture}
        options |= seen | {"controlnet_conditioning_scale": CONTROL_STRENGTH}
    if case.task == "text to image" or case.inpaints or case.flow or (case.task == "LoRA" and not case.changes):
        options |= {"height": IMAGE_PX, "width": IMAGE_PX}
    return options


def encoded(vae: Any, picture: Tensor) -> Tensor:
    """The mean latents of a picture [1, 3, H, W]; the pipelines would draw from their distribution."""
    found, config = vae.encode(2 * picture - 1).latent_dist.mode(), vae.config
    if getattr(config, "latents_mean", None):
        mean, deviation = (torch.tensor(x).view(1, -1, 1, 1) for x in (config.latents_mean, config.latents_std))
        return (found - mean) * config.scaling_factor / deviation
    return (found - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor


def mask() -> Tensor:
    """[1, 1, H, W]: 1 where the picture is drawn anew."""
    drawn = torch.zeros(1, 1, IMAGE_PX, IMAGE_PX)
    top, bottom, left, right = (round(side * IMAGE_PX) for side in MASK)
    drawn[..., top:bottom, left:right] = 1
    return drawn


_CLASSES = {
    ("text to image", "sdxl"): "StableDiffusionXLPipeline",
    ("text to image", "sd3"): "StableDiffusion3Pipeline",
    ("text to image", "flux"): "FluxPipeline",
    ("text to image", "flux_schnell"): "FluxPipeline",
    ("text to image", "sd"): "StableDiffusionPipeline",
    ("image to image", "sdxl"): "StableDiffusionXLImg2ImgPipeline",
    ("image to image", "sdxl_refiner"): "StableDiffusionXLImg2ImgPipeline",
    ("image to image", "sd3"): "StableDiffusion3Img2ImgPipeline",
    ("image to image", "flux"): "FluxImg2ImgPipeline",
    ("image to image", "flux_schnell"): "FluxImg2ImgPipeline",
    ("image to image", "sd"): "StableDiffusionImg2ImgPipeline",
    ("inpaint", "sdxl"): "StableDiffusionXLInpaintPipeline",
    ("inpaint", "sdxl_refiner"): "StableDiffusionXLInpaintPipeline",
    ("LoRA", "sdxl_refiner"): "StableDiffusionXLImg2ImgPipeline",
    ("inpaint", "sd3"): "StableDiffusion3InpaintPipeline",
    ("inpaint", "flux"): "FluxInpaintPipeline",
    ("inpaint", "flux_schnell"): "FluxInpaintPipeline",
    ("inpaint", "sd"): "StableDiffusionInpaintPipeline",
    ("ControlNet", "sdxl"): "StableDiffusionXLControlNetPipeline",
    ("ControlNet", "sd3"): "StableDiffusion3ControlNetPipeline",
    ("ControlNet", "flux"): "FluxControlNetPipeline",
    ("ControlNet", "flux_schnell"): "FluxControlNetPipeline",
    ("ControlNet", "sd"): "StableDiffusionControlNetPipeline",
    ("LoRA", "sdxl"): "StableDiffusionXLPipeline",
    ("LoRA", "sd3"): "StableDiffusion3Pipeline",
    ("LoRA", "flux"): "FluxPipeline",
    ("LoRA", "sd"): "StableDiffusionPipeline",
}
"""By task and family; `sd` stands for Stable Diffusion 1 and 2."""


def _pipeline(case: Case) -> Any:
    family = case.family if case.family.startswith(("sdxl", "sd3", "flux")) else "sd"
    family = "sdxl" if case.edm else family
    # A LoRA stays in the modules that it is loaded into, so it gets modules of its own.
    parts = dict(_loaded(case.source) if case.task == "LoRA" else parts_of(case.source))
    options: dict[str, Any] = {}
    if case.task == "ControlNet":
        parts["controlnet"] = _controlnet(case)
    if family == "sd":
        options = {"requires_safety_checker": False}
    elif family == "sdxl_refiner":
        options = {"requires_aesthetics_score": True}
    kind: Any = getattr(_diffusers, _CLASSES["inpaint" if case.inpaints else case.task, family])
    with quiet():
        pipeline = kind(**parts, **options)
        if case.task == "LoRA":
            _load_lora(pipeline, case)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = _scheduler(case, pipeline)
    return pipeline


def _controlnet(case: Case) -> Any:
    kinds = {"sd3": "SD3ControlNetModel", "flux": "FluxControlNetModel", "flux_schnell": "FluxControlNetModel"}
    net = getattr(_diffusers, kinds.get(case.family, "ControlNetModel"))
    with quiet():
        return net.from_pretrained(str(resolve(case.controlnet)), low_cpu_mem_usage=False, torch_dtype=torch.float32)


def _load_lora(pipeline: Any, case: Case) -> None:
    source = lora_of(case.source)
    pipeline.load_lora_weights(str(resolve(source) if source in SHIPPED.values() else source), adapter_name="lora")
    if source in SHIPPED.values():  # the others have nothing for text encoders
        pipeline.set_adapters(["lora"], [{"unet": 1.0, "text_encoder": TEXT_LORA_STRENGTH}])


def _scheduler(case: Case, pipeline: Any) -> Any:
    """The scheduler of the case, with the model's own configuration."""
    config: dict[str, Any] = dict(pipeline.scheduler.config)
    if case.edm:
        kind = {"euler": _diffusers.EDMEulerScheduler, "dpmpp_2m": _diffusers.EDMDPMSolverMultistepScheduler}
        with quiet():
            return kind[case.solver].from_config(pipeline.scheduler.config)
    if case.flow:
        return type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    if case.sigmas != "checkpoint":
        config |= {f"use_{case.sigmas}_sigmas": True}
    scheduler = references()[case.solver].made(config)
    if isinstance(scheduler, CountedSde):
        scheduler.noises_of = (case.seeds, (pipeline.unet.config.in_channels, IMAGE_PX // 8, IMAGE_PX // 8))
    return scheduler


@cache
def parts_of(source: str) -> dict[str, Any]:
    """The modules of a checkpoint, shared by all pipelines that leave them as they are."""
    return _loaded(source)


def _loaded(source: str) -> dict[str, Any]:
    with quiet():
        return _diffusers.DiffusionPipeline.from_pretrained(str(resolve(source)), torch_dtype=torch.float32).components
