"""Perturbed attention is what its papers and diffusers make of it, and leaves a model exactly as it was."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from diffusers.guiders.smoothed_energy_guidance import SmoothedEnergyGuidance
from diffusers.hooks.hooks import HookRegistry
from diffusers.hooks.layer_skip import LayerSkipConfig, apply_layer_skip
from diffusers.hooks.smoothed_energy_guidance_utils import SmoothedEnergyGuidanceConfig
from diffusers.models.attention_processor import PAGIdentitySelfAttnProcessor2_0, PAGJointAttnProcessor2_0
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from sdgraph.diffusion.perturbation import Perturbation
from sdgraph.errors import ModelError
from sdgraph.models.attention import attention_blocks, chosen_blocks, perturbed
from sdgraph.models.attention_grid import ImageGrid, blurred
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.load import load_model

IDENTITY, SKIP, BLUR = Perturbation("identity"), Perturbation("skip"), Perturbation("blur")
FAMILIES = ("sd15", "sdxl", "sd3", "flux")
MID = "mid_block.attentions.0.transformer_blocks"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(family: str) -> Any:
    return load_model(read_checkpoint(f"synthetic:{family}-tiny").denoiser)


@pytest.fixture(scope="module")
def unet(models_home: Any, tiny_folder: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDGRAPH_HOME", str(models_home))
        return network("sd15")


def call(model: Any, batch: int = 1, height: int = 8, width: int = 12) -> Tensor:
    """The model's answer to fixed inputs, each of `batch` items the same."""
    family, timestep = type(model).__name__, torch.full((batch,), 400.0)
    with torch.no_grad():
        if family == "FluxTransformer2DModel":
            rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            places = torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).reshape(-1, 3).float()
            return model(
                hidden_states=noise(1, height * width, model.config.in_channels).repeat(batch, 1, 1),
                encoder_hidden_states=noise(1, 5, model.config.joint_attention_dim, seed=1).repeat(batch, 1, 1),
                pooled_projections=noise(1, model.config.pooled_projection_dim, seed=2).repeat(batch, 1),
                timestep=timestep / 1000,
                img_ids=places,
                txt_ids=torch.zeros(5, 3),
                guidance=torch.ones(batch) if model.config.guidance_embeds else None,
            ).sample
        x = noise(1, model.config.in_channels, height, width).repeat(batch, 1, 1, 1)
        if family == "SD3Transformer2DModel":
            text = noise(1, 5, model.config.joint_attention_dim, seed=1).repeat(batch, 1, 1)
            pooled = noise(1, model.config.pooled_projection_dim, seed=2).repeat(batch, 1)
            return model(x, encoder_hidden_states=text, pooled_projections=pooled, timestep=timestep).sample
        more: dict[str, Any] = {}
        if model.config.addition_embed_type == "text_time":
            pooled_width = model.add_embedding.linear_1.in_features - 6 * model.config.addition_time_embed_dim
            facts = {"text_embeds": noise(1, pooled_width, seed=3), "time_ids": torch.full((1, 6), 64.0)}
            more["added_cond_kwargs"] = {name: fact.repeat(batch, 1) for name, fact in facts.items()}
        text = noise(1, 7, model.config.cross_attention_dim, seed=1).repeat(batch, 1, 1)
        return model(x, timestep, text, **more).sample


def changed(model: Any, perturbation: Perturbation) -> Tensor:
    with perturbed(model, perturbation):
        return call(model)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("perturbation", [IDENTITY, SKIP, BLUR, Perturbation("blur", (), 1.0)], ids=str)
def test_every_family_can_be_perturbed_and_is_exactly_as_before_afterwards(
    family: str, perturbation: Perturbation, own_home: None
) -> None:
    model = network(family)
    before, parts = call(model), traces(model)
    worse = changed(model, perturbation)
    assert bool(worse.isfinite().all())
    assert float((worse - before).abs().max()) > 1e-4
    assert traces(model) == parts
    assert torch.equal(call(model), before)


def traces(model: Any) -> list[Any]:
    """Everything that a perturbation might leave behind: processors, forwards, hooks."""
    return [
        (name, id(getattr(module, "processor", None)), "forward" in module.__dict__, len(module._forward_pre_hooks))
        for name, module in model.named_modules()
    ]


@pytest.mark.parametrize("perturbation", [IDENTITY, SKIP, BLUR], ids=str)
def test_a_model_is_as_before_even_when_the_prediction_fails(unet: Any, perturbation: Perturbation) -> None:
    before, parts = call(unet), traces(unet)
    with pytest.raises(RuntimeError, match="in the middle"), perturbed(unet, perturbation):
        raise RuntimeError("in the middle")
    assert traces(unet) == parts
    assert torch.equal(call(unet), before)


def test_a_forward_that_another_library_has_set_comes_back(unet: Any) -> None:
    block = attention_blocks(unet)[f"{MID}.0"]
    usual = block.forward
    block.forward = usual
    with perturbed(unet, SKIP):
        assert block.forward is not usual
    assert block.__dict__.pop("forward") is usual


# Against diffusers


@contextmanager
def reference_processors(model: Any, blocks: list[str], processor: Any) -> Generator[None]:
    """diffusers' way: a processor that expects the plain and the perturbed items in one batch."""
    chosen: Any = chosen_blocks(model, tuple(blocks)).values()
    attentions = [block.attn1 if hasattr(block, "attn1") else block.attn for block in chosen]
    before = [attention.processor for attention in attentions]
    for attention in attentions:
        attention.set_processor(processor)
    try:
        yield
    finally:
        for attention, old in zip(attentions, before, strict=True):
            attention.set_processor(old)


@pytest.mark.parametrize("layer", ["mid", "down", "up.1.attentions.1"])
def test_identity_attention_is_that_of_the_pag_pipelines(unet: Any, layer: str) -> None:
    with reference_processors(unet, [layer], PAGIdentitySelfAttnProcessor2_0()):
        plain, worse = call(unet, batch=2).chunk(2)
    torch.testing.assert_close(changed(unet, Perturbation("identity", (layer,))), worse, rtol=0, atol=1e-5)
    torch.testing.assert_close(call(unet), plain, rtol=0, atol=1e-5)


def test_joint_attention_keeps_the_text_as_the_pag_pipelines_do(own_home: None) -> None:
    model = network("sd3")
    with reference_processors(model, ["blocks.0"], PAGJointAttnProcessor2_0()):
        worse = call(model, batch=2).chunk(2)[1]
    torch.testing.assert_close(changed(model, Perturbation("identity", ("blocks.0",))), worse, rtol=0, atol=1e-5)


def test_skipped_blocks_are_those_of_diffusers_layer_skip(unet: Any) -> None:
    apply_layer_skip(unet, LayerSkipConfig(indices=[0], fqn=MID))
    try:
        expected = call(unet)
    finally:
        for module in unet.modules():
            HookRegistry.check_if_exists_or_initialize(module).remove_hook("layer_skip_hook", recurse=False)
    assert torch.equal(changed(unet, Perturbation("skip", ("mid",))), expected)


def test_smoothed_energy_guidance_of_diffusers_perturbs_nothing(unet: Any) -> None:
    """Why blurred queries are not taken from there: the guider never counts, so it never applies its hook."""
    config = SmoothedEnergyGuidanceConfig(indices=[0], fqn=MID)
    guider = SmoothedEnergyGuidance(seg_guidance_config=config)
    timestep: Any = torch.tensor(400)
    guider.set_state(step=3, num_inference_steps=6, timestep=timestep)
    before = call(unet)
    for _ in guider.prepare_inputs({"encoder_hidden_states": (noise(1, 7, 32), noise(1, 7, 32))}):
        guider.prepare_models(unet)
        assert torch.equal(call(unet), before)
        guider.cleanup_models(unet)


def test_an_infinite_blur_gives_every_position_the_mean_query(unet: Any) -> None:
    attention: Any = attention_blocks(unet)[f"{MID}.0"].get_submodule("attn1")
    seen: list[Tensor] = []

    def look(_: object, __: object, queries: Tensor) -> None:
        seen.append(queries)

    with perturbed(unet, Perturbation("blur", ("mid",))):
        watched = attention.to_q.register_forward_hook(look)
        call(unet)
        watched.remove()
    assert seen[0].shape[1] > 1
    torch.testing.assert_close(seen[0], seen[0][:, :1].expand_as(seen[0]))


@pytest.mark.parametrize(("height", "width", "sigma"), [(8, 8, 0.8), (9, 12, 1.0), (16, 16, 2.5)])
def test_a_finite_blur_is_that_of_the_published_code(height: int, width: int, sigma: float) -> None:
    """The 2-D kernel of the SEG repository, on a whole picture and not on a square part of it."""
    queries, grid = noise(2, height * width, 6), ImageGrid()
    grid.height, grid.width = height, width
    size = math.ceil(6 * sigma) + 1 - math.ceil(6 * sigma) % 2
    offsets = torch.linspace(-(size - 1) / 2, (size - 1) / 2, size)
    line = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = torch.outer(line / line.sum(), line / line.sum()).expand(6, 1, size, size)
    field = torch.nn.functional.pad(queries.transpose(1, 2).reshape(2, 6, height, width), [size // 2] * 4, "reflect")
    expected = torch.conv2d(field, kernel, groups=6).flatten(2).transpose(1, 2)
    torch.testing.assert_close(blurred(queries, grid, sigma), expected)


def test_a_blur_wider_than_the_picture_stays_within_it() -> None:
    grid = ImageGrid()
    grid.height, grid.width = 4, 3
    smooth = blurred(noise(1, 12, 5), grid, 50.0)
    assert smooth.shape == (1, 12, 5)
    assert float(smooth.std(dim=1).max()) < float(noise(1, 12, 5).std(dim=1).max()) / 3


def test_text_in_the_same_row_is_not_blurred() -> None:
    queries, grid = noise(1, 5 + 12, 4), ImageGrid()
    grid.height, grid.width = 4, 3
    smooth = blurred(queries, grid, None)
    assert torch.equal(smooth[:, :5], queries[:, :5])
    torch.testing.assert_close(smooth[:, 5:], queries[:, 5:].mean(1, keepdim=True).expand(-1, 12, -1))


@pytest.mark.parametrize(("size", "length"), [((8, 12), 96), ((8, 12), 24), ((9, 7), 20), ((9, 7), 6), ((64, 64), 64)])
def test_a_layer_knows_its_height_and_width(size: tuple[int, int], length: int) -> None:
    grid = ImageGrid()
    grid.height, grid.width = size
    height, width = grid.of_layer(length)
    assert height * width == length
    assert (height >= width) == (size[0] >= size[1])


# Names


def test_a_beginning_stands_for_every_block_that_begins_so(unet: Any) -> None:
    assert list(chosen_blocks(unet, ("up",))) == [name for name in attention_blocks(unet) if name.startswith("up_")]
    assert list(chosen_blocks(unet, ("up.1.attentions.0", "mid"))) == [
        "up_blocks.1.attentions.0.transformer_blocks.0",
        f"{MID}.0",
    ]


def test_without_names_it_is_the_middle(unet: Any, own_home: None) -> None:
    assert list(chosen_blocks(unet, ())) == [f"{MID}.0"]
    assert list(chosen_blocks(network("sd3"), ())) == ["transformer_blocks.1"]


@pytest.mark.parametrize("layer", ["blocks.3", "up.9", "mi", "middle"])
def test_a_name_that_no_block_has_is_refused_with_the_names_there_are(unet: Any, layer: str) -> None:
    with pytest.raises(ModelError, match=f"no block called `{layer}`.*{MID}") as caught:
        chosen_blocks(unet, ("mid", layer))
    assert caught.value.code == "attention-layers"


def test_a_model_without_attention_is_refused() -> None:
    plain = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8,),
        norm_num_groups=4,
        down_block_types=("DownBlock2D",),
        mid_block_type=None,
        up_block_types=("UpBlock2D",),
    )
    with pytest.raises(ModelError, match="no transformer blocks at all") as caught:
        chosen_blocks(plain, ())
    assert caught.value.code == "attention-layers"
