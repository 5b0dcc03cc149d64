from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.checkpoint import Checkpoint, read_controlnet
from sdgraph.models.conditions import join_conditionings
from sdgraph.models.control import ROUNDING_TIMESTEPS
from sdgraph.models.control_call import is_active
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.handles import ControlNetHandle, Dtype
from sdgraph.payloads.image import Image


def conditioning(seed: int, length: int = 77, width: int = 32) -> Conditioning:
    generator = torch.Generator().manual_seed(seed)
    return Conditioning((ConditioningEntry(torch.randn(1, length, width, generator=generator)),))


def edges(batch: int = 1, size_px: int = 64) -> Image:
    generator = np.random.default_rng(2)
    return Image((generator.random((batch, 3, size_px, size_px)) > 0.8).astype(np.float32))


@pytest.fixture
def net(own_home: None) -> ControlNetHandle:
    return read_controlnet("synthetic:sd15-tiny/controlnet_canny")


def predict(
    tiny: Checkpoint,
    pool: ModelPool,
    control: Control | None = None,
    batch: int = 1,
    timestep: float = 500.0,
    conditionings: tuple[Conditioning, ...] = (conditioning(1), conditioning(2)),
) -> tuple[Tensor, int]:
    """The prediction under two conditionings, and how often ControlNets ran."""
    x = torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(len(conditionings), 1, 1, 1)
    with open_network(pool, tiny.denoiser, control) as network:
        prediction = network(x, torch.full((len(x),), timestep), conditionings)
        assert network.forwards == 1
    return prediction, network.control_forwards


def test_each_group_is_predicted_under_its_own_conditioning(tiny: Checkpoint, pool: ModelPool) -> None:
    both, _ = predict(tiny, pool, batch=2)
    first, _ = predict(tiny, pool, batch=2, conditionings=(conditioning(1),))
    second, _ = predict(tiny, pool, batch=2, conditionings=(conditioning(2),))
    assert torch.allclose(both, torch.cat([first, second]), atol=1e-5)
    assert not torch.allclose(first, second, atol=1e-3)


def test_a_short_conditioning_is_lengthened_by_its_last_vector() -> None:
    short, long = conditioning(1, 2), conditioning(2, 4)
    joined = join_conditionings((short, long), batch=2, width=32)
    assert joined.shape == (4, 4, 32)
    last = short.entries[0].embedding[0, -1]
    assert torch.equal(joined[1, 2:], torch.stack([last, last]))
    assert torch.equal(joined[3], long.entries[0].embedding[0])


def test_a_new_controlnet_has_no_effect_at_all(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_folder / "controlnet_canny", tmp_path / "new"))
    weights = folder / "diffusion_pytorch_model.safetensors"
    zeroed = {
        name: torch.zeros_like(tensor) if name.startswith(("controlnet_down", "controlnet_mid")) else tensor
        for name, tensor in load_file(weights).items()
    }
    save_file(zeroed, weights)
    branch = ControlBranch(read_controlnet(str(folder)), edges())
    controlled, forwards = predict(tiny, pool, Control((branch,)))
    assert torch.equal(controlled, predict(tiny, pool)[0])
    assert forwards == 1


def test_a_strength_of_zero_is_off_and_loads_nothing(tiny: Checkpoint, net: ControlNetHandle) -> None:
    pool = ModelPool()
    off, forwards = predict(tiny, pool, Control((ControlBranch(net, edges(), strength=0),)))
    assert forwards == 0
    assert pool.load_count == 1
    assert torch.equal(off, predict(tiny, pool)[0])


def test_control_runs_once_for_all_conditionings(tiny: Checkpoint, pool: ModelPool, net: ControlNetHandle) -> None:
    controlled, forwards = predict(tiny, pool, Control((ControlBranch(net, edges()),)), batch=2)
    assert forwards == 1
    assert not torch.allclose(controlled, predict(tiny, pool, batch=2)[0], atol=1e-3)


def test_two_branches_add_up(tiny: Checkpoint, pool: ModelPool, net: ControlNetHandle) -> None:
    whole = Control((ControlBranch(net, edges(), strength=0.8),))
    half = ControlBranch(net, edges(), strength=0.4)
    twice, forwards = predict(tiny, pool, Control((half, half)))
    assert forwards == 2
    assert torch.allclose(twice, predict(tiny, pool, whole)[0], atol=1e-4)


def test_control_acts_between_start_and_end_only(tiny: Checkpoint, pool: ModelPool, net: ControlNetHandle) -> None:
    control = Control((ControlBranch(net, edges(), start=0.25, end=0.5),))
    forwards = [predict(tiny, pool, control, timestep=t)[1] for t in (999.0, 749.0, 500.0, 499.0, 0.0)]
    assert forwards == [0, 1, 1, 0, 0]


@pytest.mark.parametrize("steps", [3, 7, 16, 20, 30])
def test_start_and_end_mean_steps_as_in_diffusers(steps: int, net: ControlNetHandle) -> None:
    """With trailing timesteps, step i of n acts if i / n >= start and (i + 1) / n <= end."""
    timesteps = [round(1000 - i * 1000 / steps) - 1 for i in range(steps)]
    for first in range(steps):
        for last in range(first + 1, steps + 1):
            branch = ControlBranch(net, edges(size_px=8), start=first / steps, end=last / steps)
            active = [
                i for i, t in enumerate(timesteps) if is_active(branch, 1 - (t + 1) / 1000, ROUNDING_TIMESTEPS / 1000)
            ]
            assert active == list(range(first, last))


def test_one_control_picture_serves_all_items_or_each_has_its_own(
    tiny: Checkpoint, pool: ModelPool, net: ControlNetHandle
) -> None:
    pictures = Image(np.stack([np.zeros((3, 64, 64), np.float32), np.ones((3, 64, 64), np.float32)]))
    both, _ = predict(tiny, pool, Control((ControlBranch(net, pictures),)), batch=2)
    second = Image(pictures.pixels[1:])
    shared, _ = predict(tiny, pool, Control((ControlBranch(net, second),)), batch=2)
    assert torch.allclose(both[[1, 3]], shared[[1, 3]], atol=1e-5)
    assert not torch.allclose(both[[0, 2]], shared[[0, 2]], atol=1e-3)


def test_a_control_picture_of_another_size_is_refused(tiny: Checkpoint, pool: ModelPool, net: ControlNetHandle) -> None:
    with pytest.raises(SamplingError, match="32x32 pixels, expected 64x64") as caught:
        predict(tiny, pool, Control((ControlBranch(net, edges(size_px=32)),)))
    assert caught.value.code == "control-size"


def test_control_pictures_for_another_batch_are_refused(
    tiny: Checkpoint, pool: ModelPool, net: ControlNetHandle
) -> None:
    with pytest.raises(SamplingError) as caught:
        predict(tiny, pool, Control((ControlBranch(net, edges(3)),)), batch=2)
    assert caught.value.code == "control-batch"


def test_a_controlnet_of_another_kind_is_refused_before_anything_loads(tiny: Checkpoint, net: ControlNetHandle) -> None:
    pool = ModelPool()
    other = replace(net, conditioning_width=768)
    with (
        pytest.raises(ModelError, match="768-wide") as caught,
        open_network(pool, tiny.denoiser, Control((ControlBranch(other, edges()),))),
    ):
        pass
    assert caught.value.code == "control-mismatch"
    assert pool.load_count == 0


def test_conditioning_of_another_model_is_refused(tiny: Checkpoint, pool: ModelPool) -> None:
    with pytest.raises(SamplingError, match="32 numbers, found 64") as caught:
        predict(tiny, pool, conditionings=(conditioning(1, width=64),))
    assert caught.value.code == "conditioning-width"


def test_conditioning_of_several_prompts_is_refused(tiny: Checkpoint, pool: ModelPool) -> None:
    entry = conditioning(1).entries[0]
    with pytest.raises(SamplingError) as caught:
        predict(tiny, pool, conditionings=(Conditioning((entry, entry)),))
    assert caught.value.code == "conditioning-entries"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_half_precision_denoiser_gives_float32_near_the_full_one(
    tiny: Checkpoint, pool: ModelPool, dtype: Dtype
) -> None:
    full, _ = predict(tiny, pool)
    rough, _ = predict(replace(tiny, denoiser=replace(tiny.denoiser, dtype=dtype)), pool)
    assert rough.dtype == torch.float32
    assert 0 < (rough - full).abs().max() < 0.1
