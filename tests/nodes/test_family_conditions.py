"""What families are told beside the prompt, and what is refused between them, against diffusers where it has it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sdgraph_nodes.distilled_guidance import SetDistilledGuidance
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.picture_facts import SetPictureFacts
from sdgraph_nodes.sampler import Sampler, StagedSampler
from sdgraph_nodes.vae import VaeDecode
from torch import Tensor

from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.noise import NoiseStream
from sdgraph.diffusion.stage import Stage
from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.quiet import quiet
from sdgraph.models.source import resolve
from sdgraph.models.text import encode_text
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.latents import Latents, require_same_space
from tests.models.family_references import TINY, pipeline
from tests.nodes.tiny_model import context
from tests.workflows.runner import Session

# diffusers 0.42 calls NumPy in a way that NumPy 2 is leaving behind.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROMPT, NEGATIVE, SEED, SCALE = "a red star", "blurry", 3, 4.0
FACTS = {
    "original_width_px": 640,
    "original_height_px": 512,
    "crop_left_px": 16,
    "crop_top_px": 8,
    "target_width_px": 96,
    "target_height_px": 80,
}


class Drawing:
    """A workflow that grows: the usual nodes around what a test changes."""

    def __init__(self, source: str) -> None:
        self.wf = Workflow("drawing")
        self.sd = self.wf.add("sd", LoadCheckpoint(source=source)).out
        self.positive: Any = self.encode("positive", PROMPT)
        self.negative: Any = self.encode("negative", NEGATIVE)

    def encode(self, name: str, text: str, encoder: Any = None) -> Any:
        node = EncodeText(text_encoder=encoder or self.sd.text_encoder, prompt=text)
        return self.wf.add(name, node).out.conditioning

    def start(self) -> Any:
        return self.wf.add("start", EmptyLatents(width_px=64, height_px=64)).out.latents

    def draw(self, kind: type[Any] = Sampler, vae: Any = None, **ports: Any) -> Tensor:
        given = {"denoiser": self.sd.denoiser, "positive": self.positive, "negative": self.negative, "seed": SEED}
        sample = self.wf.add("sample", kind(latents=self.start(), **{**given, **ports})).out
        self.wf.output(
            "image", self.wf.add("image", VaeDecode(vae=vae or self.sd.vae, latents=sample.latents)).out.image
        )
        report = Session().run(self.wf.to_document())
        assert report.problems == ()
        return torch.tensor(report.outputs["image"].pixels)


def noise(channels: int) -> Tensor:
    return NoiseStream((SEED,), (channels, 8, 8)).draw()


def options(**more: Any) -> dict[str, Any]:
    """What the reference pipelines are called with."""
    return {"prompt": PROMPT, "height": 64, "width": 64, "output_type": "pt", **more}


def with_scheduler(name: str, folder: Path, **config: Any) -> str:
    """A copy of a tiny model with another scheduler's configuration."""
    copy = Path(shutil.copytree(resolve(TINY[name]), folder / "copy"))
    file = copy / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | config))
    index = copy / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_bytes()) | {"scheduler": ["diffusers", config["_class_name"]]}))
    return str(copy)


def test_the_facts_of_the_picture_reach_the_model_as_in_diffusers() -> None:
    drawing = Drawing(TINY["sdxl"])
    told: dict[str, Any] = {
        name: drawing.wf.add(f"told_{name}", SetPictureFacts(conditioning=link, **FACTS)).out.conditioning
        for name, link in (("positive", drawing.positive), ("negative", drawing.negative))
    }
    found = drawing.draw(steps=3, guidance=SCALE, **told)
    sizes = {"original_size": (512, 640), "crops_coords_top_left": (8, 16), "target_size": (80, 96)}
    expected = pipeline("sdxl")(
        **options(negative_prompt=NEGATIVE, num_inference_steps=3, guidance_scale=SCALE, latents=noise(4)),
        **sizes,
        **{f"negative_{name}": size for name, size in sizes.items()},
    ).images
    assert (found - expected).abs().max() <= 1e-4
    assert (found - Drawing(TINY["sdxl"]).draw(steps=3, guidance=SCALE)).abs().max() > 1e-3


def test_facts_left_empty_are_those_of_the_picture() -> None:
    plain = Drawing(TINY["sdxl"])
    told = Drawing(TINY["sdxl"])
    told.positive = told.wf.add("told", SetPictureFacts(conditioning=told.positive)).out.conditioning
    assert torch.equal(plain.draw(steps=2), told.draw(steps=2))


@pytest.mark.parametrize("scale", [1.0, 3.5, 8.0])
def test_the_distilled_guidance_is_that_of_diffusers(scale: float) -> None:
    drawing = Drawing(TINY["flux"])
    told = drawing.wf.add("told", SetDistilledGuidance(conditioning=drawing.positive, scale=scale)).out
    found = drawing.draw(steps=3, guidance=1.0, positive=told.conditioning)
    packed = pipeline("flux")._pack_latents(noise(16), 1, 16, 8, 8)
    expected = pipeline("flux")(**options(num_inference_steps=3, guidance_scale=scale, latents=packed)).images
    assert (found - expected).abs().max() <= 1e-4
    untold = Drawing(TINY["flux"]).draw(steps=3, guidance=1.0)
    assert torch.equal(found, untold) == (scale == 3.5)


def test_the_refiner_takes_over_where_diffusers_lets_it() -> None:
    drawing = Drawing(TINY["sdxl"])
    refiner = drawing.wf.add("refiner", LoadCheckpoint(source=TINY["sdxl_refiner"])).out
    guidance = ConstantGuidance(scale=SCALE)
    found = drawing.draw(
        StagedSampler,
        vae=refiner.vae,
        refiner=refiner.denoiser,
        refiner_positive=drawing.encode("refiner_positive", PROMPT, refiner.text_encoder),
        refiner_negative=drawing.encode("refiner_negative", NEGATIVE, refiner.text_encoder),
        schedule_steps=5,
        stages=(
            Stage(steps=4, until=0.8, guidance=guidance),
            Stage(steps=1, model="refiner", guidance=guidance),
        ),
    )
    common = options(negative_prompt=NEGATIVE, num_inference_steps=5, guidance_scale=SCALE)
    latents = pipeline("sdxl")(**{**common, "output_type": "latent"}, latents=noise(4), denoising_end=0.8).images
    del common["height"], common["width"]
    expected = pipeline("sdxl_refiner")(**common, image=latents, denoising_start=0.8).images
    assert (found - expected).abs().max() <= 1e-4


def test_a_distilled_model_is_drawn_with_the_scheduler_that_it_came_with(tmp_path: Path) -> None:
    # SDXL-Turbo: one to four steps, evenly spaced down from the last timestep, and no guidance.
    source = with_scheduler(
        "sdxl", tmp_path, _class_name="EulerAncestralDiscreteScheduler", timestep_spacing="trailing", steps_offset=1
    )
    from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
    from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

    with quiet():
        pipe: Any = StableDiffusionXLPipeline.from_pretrained(source)
    pipe.set_progress_bar_config(disable=True)
    # The noise of ancestral steps is drawn otherwise, so both take plain Euler steps over the same sigmas.
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    found = Drawing(source).draw(steps=2, guidance=1.0)
    expected = pipe(**options(num_inference_steps=2, guidance_scale=0.0, latents=noise(4))).images
    assert (found - expected).abs().max() <= 1e-4


def encoded(pool: ModelPool, name: str) -> Conditioning:
    with pool.lease(read_checkpoint(TINY[name]).text_encoder) as model:
        return encode_text(PROMPT, model)


@pytest.fixture(scope="module")
def pool() -> ModelPool:
    return ModelPool()


@pytest.mark.parametrize(
    ("denoiser", "text", "code"),
    [
        ("sd1", "sdxl", "conditioning-width"),
        ("sdxl", "sd1", "conditioning-width"),
        ("sdxl_refiner", "sdxl", "conditioning-width"),
        ("flux", "sd3", "conditioning-pooled"),
        ("sd3", "flux", "conditioning-pooled"),
    ],
)
def test_conditioning_of_another_family_is_one_clear_error(
    pool: ModelPool, denoiser: str, text: str, code: str
) -> None:
    handle = read_checkpoint(TINY[denoiser]).denoiser
    x = torch.zeros(1, handle.space.channels, 8, 8)
    with open_network(pool, handle) as network, pytest.raises(SamplingError) as caught:
        network(x, torch.full((1,), 500.0), (encoded(pool, text),))
    assert caught.value.code == code
    assert network.forwards == 0


@pytest.mark.parametrize(("denoiser", "channels"), [("sd1", 16), ("sdxl", 16), ("sd3", 4), ("flux", 4)])
def test_latents_of_other_channels_are_refused_by_the_denoiser(pool: ModelPool, denoiser: str, channels: int) -> None:
    handle = read_checkpoint(TINY[denoiser]).denoiser
    with open_network(pool, handle) as network, pytest.raises(SamplingError) as caught:
        network(torch.zeros(1, channels, 8, 8), torch.full((1,), 500.0), (encoded(pool, denoiser),))
    assert caught.value.code == "latents-channels"


@pytest.mark.parametrize(("latents", "vae"), [("sd3", "sd1"), ("flux", "sd3"), ("sdxl", "sd1"), ("sd1", "sdxl")])
def test_latents_of_another_family_are_refused_by_the_autoencoder(latents: str, vae: str) -> None:
    space = read_checkpoint(TINY[latents]).vae.space
    with pytest.raises(ModelError) as caught:
        require_same_space(space, read_checkpoint(TINY[vae]).vae.space, "The autoencoder")
    assert caught.value.code == "latent-space-mismatch"
    node = VaeDecode(vae=read_checkpoint(TINY[vae]).vae, latents=Latents(torch.zeros(1, space.channels, 8, 8), space))
    with pytest.raises(ModelError):
        node.run(context())


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_a_transformer_takes_whole_patches_only(pool: ModelPool, family: str) -> None:
    handle = read_checkpoint(TINY[family]).denoiser
    with open_network(pool, handle) as network, pytest.raises(SamplingError) as caught:
        network(torch.zeros(1, 16, 7, 8), torch.full((1,), 500.0), (encoded(pool, family),))
    assert caught.value.code == "latents-size"


def test_a_picture_larger_than_stable_diffusion_3_has_places_for_is_refused(pool: ModelPool) -> None:
    handle = read_checkpoint(TINY["sd3"]).denoiser
    with open_network(pool, handle) as network, pytest.raises(SamplingError, match="at most 256 pixels") as caught:
        network(torch.zeros(1, 16, 8, 34), torch.full((1,), 500.0), (encoded(pool, "sd3"),))
    assert caught.value.code == "latents-size"


def test_a_16_bit_model_of_every_family_draws_near_the_full_one(pool: ModelPool) -> None:
    for name in ("sdxl", "sd3", "flux"):
        handle = read_checkpoint(TINY[name]).denoiser
        x = torch.randn(1, handle.space.channels, 8, 8, generator=torch.Generator().manual_seed(0))
        answers: list[Any] = []
        for dtype in ("float32", "bfloat16"):
            with open_network(pool, replace(handle, dtype=dtype)) as network:  # pyright: ignore[reportArgumentType]
                answers.append(network(x, torch.full((1,), 500.0), (encoded(pool, name),)).numpy())
        assert 0 < np.abs(answers[0] - answers[1]).max() < 0.1
