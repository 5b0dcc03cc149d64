"""What is compared, and how sdgraph draws it: workflows of real nodes, run by the executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np
from sdgraph_nodes.control import ApplyControl, LoadControlNet
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.inpaint import InpaintLatents
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.load_image import LoadImage
from sdgraph_nodes.lora import Lora
from sdgraph_nodes.mask_shapes import DrawMask
from sdgraph_nodes.pack import PACK
from sdgraph_nodes.resize import Resize
from sdgraph_nodes.sampler import Sampler
from sdgraph_nodes.vae import VaeDecode, VaeEncode

from sdgraph.core.build import build_graph
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.names import SigmaName, SolverName
from sdgraph.engine.context import Services
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.memory import MemoryStore

Pixels: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"
Task = Literal["text to image", "image to image", "inpaint", "inpaint over the picture", "ControlNet", "LoRA"]

IMAGE_PX = 64
PICTURE = "builtin:pair.png"
MASK = (0.25, 0.75, 0.5, 1.0)
"""Top, bottom, left and right of the masked rectangle, as shares of the picture."""
CONTROL_STRENGTH, TEXT_LORA_STRENGTH = 0.8, 0.6
PROMPT, NEGATIVE = "a large red circle on a white background", "blurry"


@dataclass(frozen=True)
class Case:
    """One picture, or a batch of them, that both draw."""

    source: str
    task: Task = "text to image"
    solver: SolverName = "euler"
    sigmas: SigmaName = "checkpoint"
    steps: int = 8
    guidance: float = 5.0
    seed: int = 3
    batch: int = 2
    strength: float = 1.0

    @property
    def family(self) -> str:
        """The architecture, as the synthetic models name it."""
        return self.source.removeprefix("synthetic:").removesuffix("-tiny")

    @property
    def flow(self) -> bool:
        """Whether it is a flow matching model."""
        return self.family.startswith(("sd3", "flux"))

    @property
    def seeds(self) -> tuple[int, ...]:
        """One per picture."""
        return tuple(self.seed + item for item in range(self.batch))

    @property
    def edm(self) -> bool:
        """Whether it is a model in EDM's formulation."""
        return self.family == "playground"

    @property
    def inpaints(self) -> bool:
        """Whether a part of a picture is drawn."""
        return self.task.startswith("inpaint")

    @property
    def changes(self) -> bool:
        """Whether a whole picture is changed, as everything is that the refiner draws by itself."""
        return self.task == "image to image" or (self.family == "sdxl_refiner" and not self.inpaints)

    @property
    def controlnet(self) -> str:
        """The ControlNet that fits."""
        return f"{self.source}/controlnet_canny"


@dataclass(frozen=True)
class Drawn:
    """What sdgraph drew."""

    image: Pixels
    """[B, 3, H, W] float32 0..1."""
    picture: Pixels
    """[1, 3, H, W]: the picture that was changed, or that steered."""


def by_sdgraph(case: Case) -> Drawn:
    """The pictures of a case. Raises RuntimeError with the problems when the run does not complete."""
    found = run_workflow(_workflow(case))
    return Drawn(found["image"].pixels, found["picture"].pixels)


def run_workflow(workflow: Workflow) -> Mapping[str, Any]:
    """The outputs of a workflow, by the executor. Raises RuntimeError with the problems when it does not complete."""
    store = MemoryStore(Payloads(_registry().port_types))
    executor = Executor(_registry(), store, services=_services())
    report = executor.run(make_plan(build_graph(workflow, _registry()), store))
    if report.status != "done":
        raise RuntimeError(f"{workflow.name}: {'; '.join(map(str, report.problems))}")
    return report.outputs


def _workflow(case: Case) -> Workflow:
    from benchmarks.parity_lora import lora_of

    wf = Workflow("parity")
    loaded = wf.add("loaded", LoadImage(file=PICTURE)).out.image
    picture: Any = wf.add("picture", Resize(image=loaded, width_px=IMAGE_PX, height_px=IMAGE_PX)).out.image
    wf.output("picture", picture)
    sd: Any = wf.add("sd", LoadCheckpoint(source=case.source)).out
    denoiser, text_encoder = sd.denoiser, sd.text_encoder
    if case.task == "LoRA":
        lora: Any = wf.add(
            "lora",
            Lora(
                denoiser=denoiser,
                text_encoder=text_encoder,
                source=lora_of(case.source),
                text_strength=TEXT_LORA_STRENGTH,
            ),
        ).out
        denoiser, text_encoder = lora.denoiser, lora.text_encoder
    positive = wf.add("positive", EncodeText(text_encoder=text_encoder, prompt=PROMPT)).out.conditioning
    guided = case.guidance != 1
    negative: Any = None
    if guided:
        negative = wf.add("negative", EncodeText(text_encoder=text_encoder, prompt=NEGATIVE)).out.conditioning
    sampler = Sampler(
        denoiser=denoiser,
        positive=positive,
        negative=negative,
        latents=_latents(case, wf, sd.vae, picture),
        control=_control(case, wf, picture),
        seed=case.seed,
        steps=case.steps,
        guidance=case.guidance,
        solver=case.solver,
        sigmas=case.sigmas,
        strength=case.strength,
    )
    latents = wf.add("sample", sampler).out.latents
    wf.output("image", wf.add("image", VaeDecode(vae=sd.vae, latents=latents)).out.image)
    return wf


def _latents(case: Case, wf: Workflow, vae: Any, picture: Any) -> Any:
    if case.changes:
        return wf.add("start", VaeEncode(vae=vae, image=picture)).out.latents
    if case.inpaints:
        top, bottom, left, right = MASK
        drawn = DrawMask(image=picture, top=top, bottom=bottom, left=left, right=right)
        mask = wf.add("mask", drawn).out.mask
        # diffusers' way with a mask: the picture's noise alone at strength 1, one mask value per latent pixel.
        fill = "noise" if case.strength == 1 else "picture"
        node = InpaintLatents(vae=vae, image=picture, mask=mask, fill=fill, mask_sampling="nearest")
        return wf.add("start", node).out.latents
    return wf.add("start", EmptyLatents(width_px=IMAGE_PX, height_px=IMAGE_PX, batch=case.batch)).out.latents


def _control(case: Case, wf: Workflow, picture: Any) -> Any:
    if case.task != "ControlNet":
        return None
    net: Any = wf.add("net", LoadControlNet(source=case.controlnet)).out.net
    return wf.add("control", ApplyControl(net=net, image=picture, strength=CONTROL_STRENGTH)).out.control


@cache
def _registry() -> Registry:
    return Registry([PACK])


@cache
def _services() -> Services:
    return Services(_registry().services)
