"""ControlNets for Stable Diffusion 3 and FLUX.1 give what diffusers' pipelines give, one or several, of every kind."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel, FluxMultiControlNetModel
from diffusers.models.controlnets.controlnet_sd3 import SD3ControlNetModel, SD3MultiControlNetModel
from diffusers.pipelines.controlnet_sd3.pipeline_stable_diffusion_3_controlnet import (
    StableDiffusion3ControlNetPipeline,
)
from diffusers.pipelines.flux.pipeline_flux_controlnet import FluxControlNetPipeline
from torch import Tensor

from sdgraph.diffusion.tiles import Tile
from sdgraph.errors import SdgraphError
from sdgraph.models.checkpoint import read_checkpoint, read_controlnet
from sdgraph.models.flux_controlnet import OpenFluxNet
from sdgraph.models.flux_patches import pack, patch_places
from sdgraph.models.network import Network, open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.quiet import quiet
from sdgraph.models.sd3_controlnet import OpenSd3Net
from sdgraph.models.source import resolve
from sdgraph.models.transformer_control import Residuals
from sdgraph.models.view import View, Window
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.image import Image
from tests.models.family_references import TINY, encoded, pipeline

STEPS, SCALE, SIDE_PX = 4, 5.0, 64
PROMPT, NEGATIVE = "a red star", "blurry"
NETS: dict[str, Any] = {"sd3": SD3ControlNetModel, "flux": FluxControlNetModel}


@pytest.fixture(autouse=True)
def the_mean_of_what_the_autoencoder_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipelines draw a control picture's latents from their distribution; sdgraph takes the mean."""

    def mean(self: DiagonalGaussianDistribution, generator: Any = None) -> Tensor:
        return self.mode()

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", mean)


@pytest.fixture(autouse=True)
def silence() -> Generator[None]:
    with quiet():
        yield


def picture(seed: int = 5, batch: int = 1, side_px: int = SIDE_PX) -> Image:
    generator = np.random.default_rng(seed)
    return Image((generator.random((batch, 3, side_px, side_px)) > 0.8).astype(np.float32))


def noise(batch: int = 1, side_px: int = SIDE_PX) -> Tensor:
    side = side_px // 8
    return torch.randn(batch, 16, side, side, generator=torch.Generator().manual_seed(3))


def branch(family: str, name: str = "controlnet_canny", seed: int = 5, **options: Any) -> ControlBranch:
    return ControlBranch(read_controlnet(f"{TINY[family]}/{name}"), picture(seed), **options)


def net(family: str, name: str = "controlnet_canny") -> Any:
    return NETS[family.split("_")[0]].from_pretrained(str(resolve(f"{TINY[family]}/{name}")), low_cpu_mem_usage=False)


def prompts(family: str) -> tuple[Conditioning, ...]:
    def conditioning(text: str) -> Conditioning:
        return Conditioning((ConditioningEntry(*encoded(family, text)),))

    positive = conditioning(PROMPT)
    return (positive,) if family.startswith("flux") else (conditioning(NEGATIVE).as_negative(), positive)


def sample(pool: ModelPool, family: str, *branches: ControlBranch) -> tuple[Tensor, int]:
    """Latents [1, 16, 8, 8] by sdgraph's network and the pipeline's scheduler, and the forwards of ControlNets."""
    checkpoint, x = read_checkpoint(TINY[family]), noise()
    stepper = scheduler(family)
    asked = prompts(family)
    with open_network(pool, checkpoint.denoiser, Control(branches)) as network:
        for t in stepper.timesteps:
            answers = network(x.repeat(len(asked), 1, 1, 1), t.expand(len(asked)), asked).chunk(len(asked))
            velocity = answers[0] if len(asked) == 1 else answers[0] + SCALE * (answers[1] - answers[0])
            x = stepper.step(velocity, t, x).prev_sample
        return x, network.control_forwards


def scheduler(family: str) -> Any:
    """The pipeline's own, at the timesteps that its pipeline sets."""
    own = pipeline(family).scheduler
    fresh = type(own).from_config(own.config)
    if family.startswith("flux"):
        from diffusers.pipelines.flux.pipeline_flux_controlnet import calculate_shift

        tokens = (SIDE_PX // 16) ** 2
        fresh.set_timesteps(sigmas=np.linspace(1.0, 1 / STEPS, STEPS), mu=calculate_shift(tokens))
    else:
        fresh.set_timesteps(STEPS)
    return fresh


def reference(family: str, controlnet: Any, pictures: Any, **options: Any) -> Tensor:
    """Latents [1, 16, 8, 8] by diffusers' pipeline."""
    base, flux = pipeline(family), family.startswith("flux")
    kind: Any = FluxControlNetPipeline if flux else StableDiffusion3ControlNetPipeline
    taken = inspect.signature(kind.__init__).parameters
    parts = {name: value for name, value in {**base.components, "controlnet": controlnet}.items() if name in taken}
    drawn: Any = kind(**parts)
    drawn.set_progress_bar_config(disable=True)
    if flux:
        options |= {"guidance_scale": 3.5}
    else:
        options |= {"guidance_scale": SCALE, "negative_prompt": NEGATIVE}
    start = noise()
    latents = drawn(
        PROMPT,
        num_inference_steps=STEPS,
        height=SIDE_PX,
        width=SIDE_PX,
        latents=drawn._pack_latents(start, 1, 16, 8, 8) if flux else start,
        control_image=pictures,
        output_type="latent",
        **options,
    ).images
    return drawn._unpack_latents(latents, SIDE_PX, SIDE_PX, drawn.vae_scale_factor) if flux else latents


def normalized(image: Image) -> Tensor:
    """As the pipelines make of a picture; tensors they take as they are."""
    return 2 * torch.tensor(image.pixels) - 1


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize(
    ("family", "name", "shows"),
    [
        ("sd3", "controlnet_canny", "auto"),
        ("sd3", "controlnet_promptless", "auto"),
        ("flux", "controlnet_canny", "auto"),
        ("flux", "controlnet_union", "depth"),
        ("flux", "controlnet_pixels", "auto"),
        ("flux_schnell", "controlnet_canny", "auto"),
    ],
)
def test_a_controlnet_of_every_kind_matches(pool: ModelPool, family: str, name: str, shows: Any) -> None:
    found, forwards = sample(pool, family, branch(family, name, strength=0.7, shows=shows))
    more: dict[str, Any] = {"control_mode": 2} if shows == "depth" else {}
    expected = reference(family, net(family, name), normalized(picture()), controlnet_conditioning_scale=0.7, **more)
    assert difference(found, expected) <= 1e-4
    assert forwards == STEPS
    assert difference(sample(pool, family)[0], expected) > 1e-3


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_two_controlnets_match_each_with_its_strength_and_range(pool: ModelPool, family: str) -> None:
    two = branch(family, strength=0.7, end=0.5), branch(family, seed=6, strength=0.4, start=0.25)
    found, forwards = sample(pool, family, *two)
    many: Any = SD3MultiControlNetModel if family == "sd3" else FluxMultiControlNetModel
    expected = reference(
        family,
        many([net(family), net(family)]),
        [normalized(picture(seed)) for seed in (5, 6)],
        controlnet_conditioning_scale=[0.7, 0.4],
        control_guidance_start=[0.0, 0.25],
        control_guidance_end=[0.5, 1.0],
    )
    assert difference(found, expected) <= 1e-4
    assert forwards == STEPS // 2 + 3 * STEPS // 4


@pytest.mark.parametrize(("doubles", "singles", "repeat"), [(2, 3, False), (3, 0, False), (2, 0, True)])
def test_answers_are_dealt_to_the_blocks_of_flux_as_its_own_forward_does(
    doubles: int, singles: int, repeat: bool
) -> None:
    config = {**dict(pipeline("flux").transformer.config), "num_layers": 5, "num_single_layers": 7}
    transformer: Any = type(pipeline("flux").transformer).from_config(config)
    answers = Residuals(
        [torch.full((1, 16, 32), 0.1 * i) for i in range(doubles)],
        [torch.full((1, 16, 32), -0.1 * i) for i in range(singles)],
    )
    sees = "controlnet_pixels" if repeat else "controlnet_canny"
    dealt = OpenFluxNet(branch("flux", sees), None, noise(), 8)._dealt(answers, transformer)
    assert (len(dealt.blocks), len(dealt.single)) == (5, 7 if singles else 0)
    one, two = (
        transformer(
            hidden_states=pack(noise()),
            timestep=torch.full((1,), 0.5),
            guidance=torch.full((1,), 3.5),
            pooled_projections=torch.ones(1, 32),
            encoder_hidden_states=torch.ones(1, 4, 96),
            controlnet_block_samples=parts.blocks,
            controlnet_single_block_samples=parts.single or None,
            controlnet_blocks_repeat=repeat and parts is answers,
            txt_ids=torch.zeros(4, 3),
            img_ids=patch_places(noise()),
            return_dict=False,
        )[0]
        for parts in (answers, dealt)
    )
    assert torch.equal(one, two)


def test_answers_are_dealt_to_the_blocks_of_stable_diffusion_3_as_its_own_forward_does() -> None:
    transformer: Any = type(pipeline("sd3").transformer).from_config(
        {**dict(pipeline("sd3").transformer.config), "num_layers": 5}
    )
    answers = [torch.full((1, 16, 32), 0.1 * i) for i in range(3)]
    dealt = OpenSd3Net(branch("sd3"), None, noise(), 8)._dealt(Residuals(answers), transformer).blocks
    one, two = (
        transformer(
            hidden_states=noise(),
            timestep=torch.full((1,), 500.0),
            encoder_hidden_states=torch.ones(1, 4, 96),
            pooled_projections=torch.ones(1, 80),
            block_controlnet_hidden_states=parts,
            return_dict=False,
        )[0]
        for parts in (answers, dealt)
    )
    assert len(dealt) == 5
    assert torch.equal(one, two)


def test_what_a_union_networks_picture_shows_matters(pool: ModelPool) -> None:
    pose, blur = (sample(pool, "flux", branch("flux", "controlnet_union", shows=kind))[0] for kind in ("pose", "blur"))
    assert difference(pose, blur) > 1e-3


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_a_strength_of_zero_is_off_bit_for_bit_and_loads_nothing(family: str) -> None:
    own = ModelPool()
    without, _ = sample(own, family)
    loaded = own.load_count
    found, forwards = sample(own, family, branch(family, strength=0))
    assert torch.equal(found, without)
    assert (forwards, own.load_count) == (0, loaded)


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_what_matters_more_weighs_the_layers(pool: ModelPool, family: str) -> None:
    found = [sample(pool, family, branch(family, mode=mode))[0] for mode in ("balanced", "prompt", "control")]
    assert difference(found[0], found[1]) > 1e-4 or family == "sd3"  # one layer there, and it has the tenth
    assert difference(found[0], found[2]) > 1e-4


def test_the_picture_acts_on_the_positive_side_alone_where_it_matters_more(pool: ModelPool) -> None:
    asked, x = prompts("sd3"), noise().repeat(2, 1, 1, 1)

    def predict(network: Network) -> tuple[Tensor, ...]:
        return network(x, torch.full((2,), 500.0), asked).chunk(2)

    denoiser = read_checkpoint(TINY["sd3"]).denoiser
    with open_network(pool, denoiser) as network:
        negative, positive = predict(network)
    with open_network(pool, denoiser, Control((branch("sd3", mode="control"),))) as network:
        untouched, steered = predict(network)
        assert network.control_forwards == 1
    assert difference(untouched, negative) < 1e-6
    assert difference(steered, positive) > 1e-3


@pytest.mark.parametrize(
    ("family", "name"), [("sd3", "controlnet_canny"), ("flux", "controlnet_canny"), ("flux", "controlnet_pixels")]
)
def test_a_batch_has_one_picture_for_all_or_one_for_each(pool: ModelPool, family: str, name: str) -> None:
    """And each item is steered as if it were alone."""
    handle, both = read_controlnet(f"{TINY[family]}/{name}"), picture(batch=2)
    asked, x = prompts(family)[-1:], noise(batch=2)
    timestep = torch.full((2,), 500.0)
    denoiser = read_checkpoint(TINY[family]).denoiser
    with open_network(pool, denoiser, Control((ControlBranch(handle, both),))) as network:
        together = network(x, timestep, asked)
    for item in range(2):
        one = Image(both.pixels[item : item + 1])
        with open_network(pool, denoiser, Control((ControlBranch(handle, one),))) as network:
            alone = network(x[item : item + 1], timestep[:1], asked)
        assert difference(together[item : item + 1], alone) < 1e-5
    three = Control((ControlBranch(handle, picture(batch=3)),))
    with open_network(pool, denoiser, three) as network, pytest.raises(SdgraphError) as caught:
        network(x, timestep, asked)
    assert caught.value.code == "control-batch"


@pytest.mark.parametrize(
    ("family", "name"), [("sd3", "controlnet_canny"), ("flux", "controlnet_canny"), ("flux", "controlnet_pixels")]
)
def test_a_picture_of_another_size_is_refused_in_pixels(pool: ModelPool, family: str, name: str) -> None:
    small = ControlBranch(read_controlnet(f"{TINY[family]}/{name}"), picture(side_px=32))
    with (
        open_network(pool, read_checkpoint(TINY[family]).denoiser, Control((small,))) as network,
        pytest.raises(SdgraphError, match="32x32 pixels, expected 64x64") as caught,
    ):
        network(noise(), torch.full((1,), 500.0), prompts(family)[-1:])
    assert caught.value.code == "control-size"


def test_a_tile_is_steered_by_its_own_part_of_the_picture(pool: ModelPool) -> None:
    handle, whole = read_controlnet(f"{TINY['flux']}/controlnet_pixels"), picture()
    asked, timestep, denoiser = prompts("flux"), torch.full((1,), 500.0), read_checkpoint(TINY["flux"]).denoiser
    x = noise()[..., 2:6, 4:8].contiguous()
    part = Image(whole.pixels[..., 16:48, 32:64])
    with open_network(pool, denoiser, Control((ControlBranch(handle, part),))) as network:
        expected = network(x, timestep, asked)
    with open_network(pool, denoiser, Control((ControlBranch(handle, whole),))) as network:
        network.view = View(window=Window(Tile(2, 4, 4, 4), 8, 8))
        assert torch.equal(network(x, timestep, asked), expected)
    with open_network(pool, denoiser, Control((branch("flux"),))) as network:
        network.view = View(window=Window(Tile(2, 4, 4, 4), 8, 8))
        assert network(x, timestep, asked).shape == x.shape


@pytest.mark.parametrize(
    ("denoiser", "other"),
    [("sd3", "flux"), ("flux", "sd3"), ("sd1", "flux"), ("sdxl", "sd3"), ("flux", "sd1"), ("sd3", "sdxl")],
)
def test_a_controlnet_of_another_family_is_refused_before_anything_loads(denoiser: str, other: str) -> None:
    own = ModelPool()
    mixed = Control((branch(other),))
    with pytest.raises(SdgraphError) as caught, open_network(own, read_checkpoint(TINY[denoiser]).denoiser, mixed):
        pass
    assert caught.value.code == "control-mismatch"
    assert own.load_count == 0


def test_control_in_half_precision_is_near(pool: ModelPool) -> None:
    for family in ("sd3", "flux"):
        exact, _ = sample(pool, family, branch(family))
        half = read_controlnet(f"{TINY[family]}/controlnet_canny", "bfloat16")
        found, _ = sample(pool, family, ControlBranch(half, picture()))
        assert 0 < difference(found, exact) < 0.2
