"""ControlNets for inpainting and union networks give the pictures of diffusers' pipelines, and cost what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import parity_control
from sdgraph.errors import SamplingError
from sdgraph.models.checkpoint import read_checkpoint, read_controlnet
from sdgraph.models.controlnet import shown
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.union_controlnet import together
from sdgraph.payloads.control import CONTROL, Control, ControlBranch
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from tests.models.control_loop import STEPS, difference, picture, prompts, sample
from tests.models.family_references import pipeline

UNION, PLAIN = "synthetic:sdxl-tiny/controlnet_union", "synthetic:sdxl-tiny/controlnet_canny"
MASKED, SD1 = "synthetic:sd3-tiny/controlnet_inpaint", "synthetic:sd15-tiny/controlnet_canny"


def right_half(side_px: int = 64, batch: int = 1) -> Mask:
    values = np.zeros((batch, 1, side_px, side_px), np.float32)
    values[..., side_px // 2 :] = 1
    return Mask(values)


def union(seed: int, shows: Any, **options: Any) -> ControlBranch:
    return ControlBranch(read_controlnet(UNION), picture(seed), shows=shows, **options)


@pytest.mark.parametrize("pictures", [1, 2])
def test_a_union_network_sees_its_pictures_as_in_diffusers(pictures: int) -> None:
    assert parity_control.union_difference(pictures) <= 1e-4


def test_inpainting_with_a_network_for_it_is_that_of_diffusers() -> None:
    assert parity_control.inpainting_difference() <= 1e-4


def test_a_network_that_takes_latents_and_a_mask_is_that_of_diffusers() -> None:
    assert parity_control.masked_latents_difference() <= 1e-4


def test_pictures_of_one_union_network_share_its_evaluations_and_others_do_not(pool: ModelPool) -> None:
    base = pipeline("sdxl")
    one, two = union(5, "canny", strength=0.7), union(6, "depth", strength=0.4)
    _, shared = sample(pool, "sdxl", Control((one, two)), base)
    _, apart = sample(pool, "sdxl", Control((one, replace(two, end=0.5))), base)
    assert (shared, apart) == (STEPS, STEPS + STEPS // 2)


def test_what_the_picture_shows_matters(pool: ModelPool) -> None:
    base = pipeline("sdxl")
    canny, depth = (sample(pool, "sdxl", Control((union(5, shows),)), base)[0] for shows in ("canny", "depth"))
    assert difference(canny, depth) > 1e-4


def test_only_neighbours_of_one_network_and_span_go_together() -> None:
    one, two, late = union(5, "canny"), union(6, "depth"), union(7, "pose", start=0.5)
    plain = ControlBranch(read_controlnet(PLAIN), picture(8))
    assert together([one, two, plain, plain, one, late]) == [(one, two), (plain,), (plain,), (one,), (late,)]


@pytest.mark.parametrize("shows", ["auto", "gray", "low_quality"])
def test_a_union_network_is_told_a_kind_that_it_knows(shows: Any) -> None:
    with pytest.raises(SamplingError, match="pose, depth, soft_edge, canny") as caught:
        union(5, shows)
    assert caught.value.code == "control-kind"


@pytest.mark.parametrize(("net", "shows", "hidden"), [(SD1, "auto", -1), (UNION, "repaint", 0)])
def test_hidden_parts_are_what_the_network_was_trained_with(net: str, shows: Any, hidden: int) -> None:
    image = Image(np.full((2, 3, 64, 64), 0.25, np.float32))
    seen = shown(ControlBranch(read_controlnet(net), image, shows=shows, mask=right_half()))
    assert seen.shape == (2, 3, 64, 64)
    assert (seen[..., 32:] == hidden).all()
    assert (seen[..., :32] == 0.25).all()


def test_a_soft_mask_hides_latents_wholly_or_not_at_all(pool: ModelPool) -> None:
    """As `StableDiffusion3ControlNetInpaintingPipeline` prepares it: the network knows no half hidden places."""
    soft = Mask(np.where(right_half().values > 0, np.float32(0.75), np.float32(0.25)))
    denoiser, net = read_checkpoint("synthetic:sd3-tiny").denoiser, read_controlnet(MASKED)

    def predicted(mask: Mask) -> torch.Tensor:
        control = Control((ControlBranch(net, picture(5), mask=mask),))
        with open_network(pool, denoiser, control) as network:
            return network(torch.ones(1, 16, 8, 8), torch.full((1,), 500.0), prompts("sd3")[1:])

    assert torch.equal(predicted(soft), predicted(right_half()))


@pytest.mark.parametrize(
    ("net", "mask", "said"),
    [
        (MASKED, None, "needs to know what is masked"),
        ("synthetic:sd3-tiny/controlnet_canny", right_half(), "no part can be hidden"),
        (SD1, right_half(32), "of their size"),
        (SD1, right_half(batch=2), "of their size"),
    ],
)
def test_a_mask_that_does_not_fit_is_one_clear_error(net: str, mask: Mask | None, said: str) -> None:
    with pytest.raises(SamplingError, match=said) as caught:
        ControlBranch(read_controlnet(net), picture(5), mask=mask)
    assert (caught.value.code, caught.value.problem.port) == ("control-mask", "mask")


def test_a_mask_is_stored_with_its_control() -> None:
    codec: Any = CONTROL.codec
    branch = ControlBranch(read_controlnet(SD1), picture(5), mask=right_half())
    stored = codec.decode(codec.encode(Control((branch, replace(branch, mask=None))))).branches
    assert np.array_equal(stored[0].mask.values, right_half().values)
    assert stored[1].mask is None
    assert torch.equal(torch.tensor(stored[0].image.pixels), torch.tensor(branch.image.pixels))
