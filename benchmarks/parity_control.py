"""ControlNets that need more than a picture: for inpainting, and union networks that see several pictures together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import diffusers
import numpy as np
import torch
from sdgraph_nodes.control import ApplyControl, LoadControlNet
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.inpaint import InpaintLatents
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.load_image import LoadImage
from sdgraph_nodes.mask_shapes import DrawMask
from sdgraph_nodes.preprocess import Preprocess
from sdgraph_nodes.resize import Resize
from sdgraph_nodes.sampler import Sampler
from sdgraph_nodes.vae import VaeDecode

from benchmarks.parity_cases import IMAGE_PX, MASK, NEGATIVE, PICTURE, PROMPT, Pixels, run_workflow
from benchmarks.parity_pipelines import mask, means, parts_of
from sdgraph.core.workflow import Workflow
from sdgraph.models.quiet import quiet
from sdgraph.models.source import resolve
from sdgraph.payloads.control import SHOWN, Shows

_diffusers: Any = diffusers
STEPS, GUIDANCE, SEED = 8, 5.0, 3
STRENGTHS = (0.8, 0.5)
KINDS: tuple[Shows, ...] = ("canny", "depth")


def control_differences(source: str) -> Iterator[tuple[str, float]]:
    """A model's further tasks, and the largest difference between the pictures of sdgraph and of diffusers."""
    match source:
        case "synthetic:sd15-tiny":
            yield "inpaint, ControlNet for inpainting", inpainting_difference()
        case "synthetic:sdxl-tiny":
            yield "union ControlNet, one picture", union_difference(1)
            yield "union ControlNet, two pictures", union_difference(2)
        case "synthetic:sd3-tiny":
            yield "ControlNet for inpainting", masked_latents_difference()
        case _:
            return


def inpainting_difference() -> float:
    """Stable Diffusion 1.5: the control picture has -1 where it is masked, as `control_v11p_sd15_inpaint` reads it."""
    source = "synthetic:sd15-tiny"
    drawn = _by_sdgraph(source, f"{source}/controlnet_canny", (STRENGTHS[0],), masked=True, inpaints=True)
    pipeline = _pipeline("StableDiffusionControlNetInpaintPipeline", source, "controlnet_canny", safety=True)
    picture = torch.tensor(drawn["picture"].pixels)
    hidden = torch.where(mask() > 0.5, torch.tensor(-1.0), picture)
    options = {"image": picture, "mask_image": mask(), "control_image": hidden, "strength": 1.0}
    return _apart(drawn, pipeline, options | {"controlnet_conditioning_scale": STRENGTHS[0]})


def union_difference(pictures: int) -> float:
    """SDXL: one network is told what each of its pictures shows, and sees them together."""
    source = "synthetic:sdxl-tiny"
    strengths = STRENGTHS[:pictures]
    drawn = _by_sdgraph(source, f"{source}/controlnet_union", strengths, kinds=KINDS[:pictures])
    pipeline = _pipeline("StableDiffusionXLControlNetUnionPipeline", source, "controlnet_union")
    seen = [torch.tensor(drawn[name].pixels) for name in ("picture", "second")[:pictures]]
    modes = [SHOWN["sdxl"].index(kind) for kind in KINDS[:pictures]]
    options = {"control_image": seen, "control_mode": modes, "controlnet_conditioning_scale": list(strengths)}
    return _apart(drawn, pipeline, options)


def masked_latents_difference() -> float:
    """Stable Diffusion 3: the network sees the latents of the visible part, and the mask."""
    source = "synthetic:sd3-tiny"
    drawn = _by_sdgraph(source, f"{source}/controlnet_inpaint", (STRENGTHS[0],), masked=True)
    pipeline = _pipeline("StableDiffusion3ControlNetInpaintingPipeline", source, "controlnet_inpaint")
    picture = 2 * torch.tensor(drawn["picture"].pixels) - 1
    options = {"control_image": picture, "control_mask": mask(), "controlnet_conditioning_scale": STRENGTHS[0]}
    return _apart(drawn, pipeline, options)


def _by_sdgraph(
    source: str,
    net: str,
    strengths: tuple[float, ...],
    kinds: tuple[Shows, ...] = ("auto",),
    *,
    masked: bool = False,
    inpaints: bool = False,
) -> Any:
    wf = Workflow("parity of control")
    loaded = wf.add("loaded", LoadImage(file=PICTURE)).out.image
    picture: Any = wf.add("picture", Resize(image=loaded, width_px=IMAGE_PX, height_px=IMAGE_PX)).out.image
    second: Any = wf.add("second", Preprocess(image=picture, kind="invert")).out.image
    top, bottom, left, right = MASK
    drawn = DrawMask(image=picture, top=top, bottom=bottom, left=left, right=right)
    hidden: Any = wf.add("mask", drawn).out.mask
    sd: Any = wf.add("sd", LoadCheckpoint(source=source)).out
    network: Any = wf.add("net", LoadControlNet(source=net)).out.net
    control: Any = None
    for number, (strength, shows) in enumerate(zip(strengths, kinds, strict=True)):
        node = ApplyControl(
            net=network,
            image=second if number else picture,
            strength=strength,
            shows=shows,
            mask=hidden if masked else None,
            control=control,
        )
        control = wf.add(f"control{number}", node).out.control
    start: Any = EmptyLatents(width_px=IMAGE_PX, height_px=IMAGE_PX)
    if inpaints:
        start = InpaintLatents(vae=sd.vae, image=picture, mask=hidden, fill="noise", mask_sampling="nearest")
    texts: dict[str, Any] = {
        name: wf.add(name, EncodeText(text_encoder=sd.text_encoder, prompt=text)).out.conditioning
        for name, text in (("positive", PROMPT), ("negative", NEGATIVE))
    }
    sampler = Sampler(
        denoiser=sd.denoiser,
        latents=wf.add("start", start).out.latents,
        control=control,
        seed=SEED,
        steps=STEPS,
        guidance=GUIDANCE,
        **texts,
    )
    latents = wf.add("sample", sampler).out.latents
    for name, of in (("picture", picture), ("second", second)):
        wf.output(name, of)
    wf.output("image", wf.add("image", VaeDecode(vae=sd.vae, latents=latents)).out.image)
    return run_workflow(wf)


def _pipeline(kind: str, source: str, net: str, *, safety: bool = False) -> Any:
    classes = {
        "sdxl-tiny/controlnet_union": "ControlNetUnionModel",
        "sd3-tiny/controlnet_inpaint": "SD3ControlNetModel",
    }
    place = f"{source.removeprefix('synthetic:')}/{net}"
    network = getattr(_diffusers, classes.get(place, "ControlNetModel"))
    options: dict[str, Any] = {"requires_safety_checker": False} if safety else {}
    with quiet():
        control = network.from_pretrained(str(resolve(f"synthetic:{place}")), low_cpu_mem_usage=False)
        pipeline = getattr(_diffusers, kind)(**parts_of(source), controlnet=control, **options)
    pipeline.set_progress_bar_config(disable=True)
    if "sd3" in source:
        pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    else:
        pipeline.scheduler = _diffusers.EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    return pipeline


def _apart(drawn: Any, pipeline: Any, options: dict[str, Any]) -> float:
    with quiet(), torch.no_grad(), means():
        images = pipeline(
            [PROMPT],
            negative_prompt=[NEGATIVE],
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=[torch.Generator().manual_seed(SEED)],
            height=IMAGE_PX,
            width=IMAGE_PX,
            output_type="np",
            **options,
        ).images
    expected: Pixels = np.moveaxis(np.asarray(images, dtype=np.float32), -1, 1)
    return float(np.abs(drawn["image"].pixels - expected).max())
