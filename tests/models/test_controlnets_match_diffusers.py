"""ControlNets, one or several, in every mode and family, give what diffusers' pipelines give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel
from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline
from diffusers.pipelines.controlnet.pipeline_controlnet_sd_xl import StableDiffusionXLControlNetPipeline

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import read_checkpoint, read_controlnet
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.control import Control, ControlBranch, ControlMode
from tests.models.control_loop import STEPS, difference, noise, part, picture, prompts, reference, sample
from tests.models.family_references import TINY, pipeline

MODES: tuple[ControlMode, ...] = ("balanced", "prompt", "control")
PIPELINES: dict[str, Any] = {
    "sd1": StableDiffusionControlNetPipeline,
    "sd2": StableDiffusionControlNetPipeline,
    "sdxl": StableDiffusionXLControlNetPipeline,
}


def branch(family: str, seed: int = 5, **options: Any) -> ControlBranch:
    return ControlBranch(read_controlnet(f"{TINY[family]}/controlnet_canny"), picture(seed), **options)


def net(family: str) -> Any:
    return part(ControlNetModel, family, "controlnet_canny")


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("mode", ["balanced", "control"])
def test_a_controlnet_matches_in_both_modes_of_diffusers(pool: ModelPool, family: str, mode: ControlMode) -> None:
    base = pipeline(family)
    found, forwards = sample(pool, family, Control((branch(family, strength=0.7, mode=mode),)), base)
    expected = reference(
        PIPELINES[family],
        family,
        base,
        parts={"controlnet": net(family)},
        image=torch.tensor(picture().pixels),
        controlnet_conditioning_scale=0.7,
        guess_mode=mode == "control",
    )
    assert difference(found, expected) <= 1e-4
    assert forwards == STEPS
    assert difference(sample(pool, family, None, base)[0], expected) > 1e-3


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_two_controlnets_match_each_with_its_strength_and_range(pool: ModelPool, family: str) -> None:
    base = pipeline(family)
    two = Control((branch(family, strength=0.7, end=0.5), branch(family, seed=6, strength=0.4, start=0.25)))
    found, forwards = sample(pool, family, two, base)
    expected = reference(
        PIPELINES[family],
        family,
        base,
        parts={"controlnet": MultiControlNetModel([net(family), net(family)])},
        image=[torch.tensor(picture(seed).pixels) for seed in (5, 6)],
        controlnet_conditioning_scale=[0.7, 0.4],
        control_guidance_start=[0.0, 0.25],
        control_guidance_end=[0.5, 1.0],
    )
    assert difference(found, expected) <= 1e-4
    assert forwards == STEPS // 2 + 3 * STEPS // 4


def test_a_net_on_pooled_features_acts_on_the_positive_side(pool: ModelPool, tmp_path: Any) -> None:
    base, pooled = pipeline("sd1"), net("sd1")
    pooled.register_to_config(global_pool_conditions=True)
    pooled.save_pretrained(str(tmp_path))
    one = Control((ControlBranch(read_controlnet(str(tmp_path)), picture()),))
    found, _ = sample(pool, "sd1", one, base)
    options = {"parts": {"controlnet": pooled}, "image": torch.tensor(picture().pixels)}
    assert difference(found, reference(PIPELINES["sd1"], "sd1", base, **options)) <= 1e-4


def test_what_matters_more_changes_the_picture(pool: ModelPool) -> None:
    base = pipeline("sd1")
    found = {mode: sample(pool, "sd1", Control((branch("sd1", mode=mode),)), base)[0] for mode in MODES}
    assert difference(found["balanced"], found["prompt"]) > 1e-3
    assert difference(found["prompt"], found["control"]) > 1e-3


def test_weights_grow_from_a_tenth_to_the_whole_when_the_prompt_matters_more(pool: ModelPool) -> None:
    """Measured at the network's seam: diffusers' logspace(-1, 0) over the skip connections and the middle."""
    seen: dict[str, list[torch.Tensor]] = {}
    checkpoint = read_checkpoint(TINY["sd1"])
    for mode in MODES[:2]:
        with open_network(pool, checkpoint.denoiser, Control((branch("sd1", mode=mode),))) as network:

            def look(_: Any, args: Any, options: dict[str, Any], mode: str = mode) -> None:
                seen[mode] = [
                    *options["down_block_additional_residuals"],
                    options["mid_block_additional_residual"],
                ]

            hook = network.module.register_forward_pre_hook(look, with_kwargs=True)
            network(noise().repeat(2, 1, 1, 1), torch.full((2,), 500.0), prompts("sd1"))
            hook.remove()
    weights = torch.logspace(-1, 0, len(seen["balanced"]))
    for plain, weak, weight in zip(seen["balanced"], seen["prompt"], weights, strict=True):
        assert torch.allclose(plain * weight, weak, atol=1e-6)


def test_a_controlnet_of_another_family_is_refused_before_anything_loads() -> None:
    pool = ModelPool()
    with (
        pytest.raises(ModelError, match="sdxl with 80-wide") as caught,
        open_network(pool, read_checkpoint(TINY["sd1"]).denoiser, Control((branch("sdxl"),))),
    ):
        pass
    assert caught.value.code == "control-mismatch"
    assert pool.load_count == 0
