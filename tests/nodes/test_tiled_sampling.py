"""Sampling of pictures that are larger than what the model looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from sdgraph_nodes.tiling import tile_grid
from torch import Tensor

from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.tiles import Tile
from sdgraph.errors import SamplingError
from sdgraph.models.view import View, Window
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import context, controlnet, empty, model, pool, prompt

WIDE = (192, 64)


def sample(latents: Latents, ctx: Any = None, scale: float = 3.0, **more: Any) -> Tensor:
    (leg,) = plan_legs([Stage(steps=3, guidance=ConstantGuidance(scale=scale))])
    start: Any = SampleStart(denoiser=model().denoiser, latents=latents, seed=3, leg=leg)
    ports: Any = {"denoiser": model().denoiser, "positive": prompt("a star"), "negative": prompt("blue"), **more}
    stage: Any = SampleStage(**ports, state=start.run(context()).state, leg=leg)
    finish: Any = SampleFinish(state=stage.run(ctx or context()).state)
    return finish.run(context()).latents.samples


@pytest.mark.parametrize("tile_px", [64, 128, 512])
@pytest.mark.parametrize("weights", ["feather", "uniform", "gaussian"])
def test_one_tile_is_the_whole_picture_bit_for_bit(tile_px: int, weights: Any) -> None:
    tiled = sample(empty(), tile_px=tile_px, overlap_px=32, tile_weights=weights)
    assert torch.equal(tiled, sample(empty()))


def test_a_panorama_is_asked_of_the_model_in_tiles_of_the_size_it_knows() -> None:
    shapes: list[tuple[int, ...]] = []
    with pool().lease(model().denoiser, "cpu") as unet:
        hook = unet.register_forward_pre_hook(lambda _, arguments: shapes.append(tuple(arguments[0].shape)))
        drawn = sample(empty(1, *WIDE), tile_px=64, overlap_px=32)
        hook.remove()
    assert drawn.shape == (1, 4, 8, 24)
    assert set(shapes) == {(2, 4, 8, 8)}
    assert len(shapes) == 3 * 5


def test_the_ways_to_blend_differ_where_tiles_overlap() -> None:
    found = [
        sample(empty(1, *WIDE), tile_px=64, overlap_px=32, tile_weights=weights)
        for weights in ("feather", "uniform", "gaussian")
    ]
    assert all(bool(part.isfinite().all()) for part in found)
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])


def test_progress_is_told_per_tile_and_step() -> None:
    ctx = context()
    sample(empty(1, *WIDE), ctx, tile_px=64, overlap_px=32)
    assert ctx.reports[-1] == (15, 15)


class Seen:
    """What a ControlNet was shown."""

    def __init__(self) -> None:
        self.pictures: list[Tensor] = []

    def hook(self, module: Any, arguments: Any, keywords: Any) -> None:
        self.pictures.append(arguments[3] if len(arguments) > 3 else keywords["controlnet_cond"])


def test_each_tile_sees_its_part_of_the_control_picture() -> None:
    ramp = np.linspace(0, 1, WIDE[0], dtype=np.float32)
    picture = Image(np.ascontiguousarray(np.broadcast_to(ramp, (1, 3, WIDE[1], WIDE[0]))))
    seen = Seen()
    with pool().lease(controlnet(), "cpu") as net:
        hook = net.register_forward_pre_hook(seen.hook, with_kwargs=True)
        control = Control((ControlBranch(controlnet(), picture),))
        sample(empty(1, *WIDE), scale=1.0, control=control, tile_px=64, overlap_px=0)
        hook.remove()
    assert len(seen.pictures) == 3 * 3
    for number, part in enumerate(seen.pictures[:3]):
        assert torch.equal(part[0, 0, 0], torch.from_numpy(ramp[64 * number : 64 * (number + 1)].copy()))


def test_control_of_a_tiled_picture_must_have_the_size_of_the_whole() -> None:
    control = Control((ControlBranch(controlnet(), noise(64, 64)),))
    with pytest.raises(SamplingError, match="192x64"):
        sample(empty(1, *WIDE), control=control, tile_px=64, overlap_px=32)


def test_a_view_cuts_what_belongs_to_the_whole_and_picks_its_items() -> None:
    field = torch.arange(2 * 4 * 12.0).reshape(2, 1, 4, 12)
    view = View((1,), Window(Tile(0, 2, 2, 3), 2, 6))
    assert torch.equal(view.of(field, scale=2), field[1:, :, :4, 4:10])
    assert torch.equal(View().of(field), field)
    assert View((4, 5, 6)).select([0, 2]).items == (4, 6)
    assert view.whole(torch.zeros(1, 1, 2, 3)) == (2, 6)


@pytest.mark.parametrize(
    ("tile_px", "overlap_px", "code", "port"),
    [
        (60, 0, "tile-size", "tile_px"),
        (24, 0, "tile-size", "tile_px"),
        (64, 64, "tile-overlap", "overlap_px"),
        (64, 20, "tile-overlap", "overlap_px"),
    ],
)
def test_tiles_that_can_not_be_are_refused(tile_px: int, overlap_px: int, code: str, port: str) -> None:
    with pytest.raises(SamplingError) as caught:
        tile_grid(model().denoiser, (8, 24), tile_px, overlap_px)
    assert (caught.value.code, caught.value.problem.port) == (code, port)
