"""T2I-Adapters, one or several, give what diffusers' pipelines give, and look at their picture once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.adapter import MultiAdapter, T2IAdapter
from diffusers.pipelines.t2i_adapter.pipeline_stable_diffusion_adapter import StableDiffusionAdapterPipeline
from diffusers.pipelines.t2i_adapter.pipeline_stable_diffusion_xl_adapter import StableDiffusionXLAdapterPipeline

from sdgraph.diffusion.tiles import Tile
from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.checkpoint import read_checkpoint, read_controlnet
from sdgraph.models.network import UNetNetwork, open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.t2i_adapter import read_t2i_adapter
from sdgraph.models.view import View, Window
from sdgraph.payloads.control import Control, ControlBranch, T2IAdapterBranch
from sdgraph.payloads.image import Image
from tests.models.control_loop import difference, noise, part, picture, prompts, reference, sample
from tests.models.family_references import TINY, pipeline

PIPELINES: dict[str, Any] = {"sd1": StableDiffusionAdapterPipeline, "sdxl": StableDiffusionXLAdapterPipeline}


def branch(family: str = "sd1", seed: int = 5, **options: Any) -> T2IAdapterBranch:
    return T2IAdapterBranch(read_t2i_adapter(f"{TINY[family]}/t2i_adapter"), picture(seed), **options)


def tensor(seed: int = 5) -> torch.Tensor:
    return torch.tensor(picture(seed).pixels)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_an_adapter_matches_diffusers(pool: ModelPool, family: str) -> None:
    base = pipeline(family)
    found, _ = sample(pool, family, Control((branch(family, strength=0.7),)), base)
    expected = reference(
        PIPELINES[family],
        family,
        base,
        parts={"adapter": part(T2IAdapter, family, "t2i_adapter")},
        image=tensor(),
        adapter_conditioning_scale=0.7,
    )
    assert difference(found, expected) <= 1e-4
    assert difference(sample(pool, family, None, base)[0], expected) > 1e-3


def test_two_adapters_match_diffusers(pool: ModelPool) -> None:
    base = pipeline("sd1")
    found, _ = sample(pool, "sd1", Control((branch(strength=0.7), branch(seed=6, strength=0.4))), base)
    adapters = [part(T2IAdapter, "sd1", "t2i_adapter") for _ in range(2)]
    expected = reference(
        PIPELINES["sd1"],
        "sd1",
        base,
        parts={"adapter": MultiAdapter(adapters)},
        image=[tensor(), tensor(6)],
        adapter_conditioning_scale=[0.7, 0.4],
    )
    assert difference(found, expected) <= 1e-4


def predict(pool: ModelPool, *branches: Any, batch: int = 1, timestep: float = 500.0) -> torch.Tensor:
    x = noise(batch=batch).repeat(2, 1, 1, 1)
    with open_network(pool, read_checkpoint(TINY["sd1"]).denoiser, Control(branches)) as network:
        return network(x, torch.full((len(x),), timestep), prompts("sd1"))


def test_a_strength_of_zero_is_off_and_loads_nothing() -> None:
    pool = ModelPool()
    assert torch.equal(predict(pool, branch(strength=0.0)), predict(pool))
    assert pool.load_count == 1


def test_an_adapter_acts_between_start_and_end_only(pool: ModelPool) -> None:
    plain = {t: predict(pool, timestep=t) for t in (999.0, 500.0, 0.0)}
    gated = {t: predict(pool, branch(start=0.25, end=0.75), timestep=t) for t in plain}
    assert [torch.equal(plain[t], gated[t]) for t in plain] == [True, False, True]


def test_an_adapter_looks_at_its_picture_once(pool: ModelPool) -> None:
    seen: list[Any] = []
    one = branch()

    def look(_: Any, pictures: Any) -> None:
        seen.append(pictures)

    with pool.lease(one.net) as net:
        hook = net.register_forward_pre_hook(look)
    sample(pool, "sd1", Control((one,)), pipeline("sd1"))
    hook.remove()
    assert len(seen) == 1


def test_an_adapter_and_a_controlnet_act_together(pool: ModelPool) -> None:
    net = ControlBranch(read_controlnet(f"{TINY['sd1']}/controlnet_canny"), picture(6))
    both = predict(pool, branch(), net)
    assert not torch.allclose(both, predict(pool, branch()), atol=1e-3)
    assert not torch.allclose(both, predict(pool, net), atol=1e-3)


def test_each_item_may_have_a_picture_of_its_own(pool: ModelPool) -> None:
    own = T2IAdapterBranch(branch().net, Image(np.concatenate([picture(5).pixels, picture(6).pixels])))
    both = predict(pool, own, batch=2)
    assert torch.allclose(both[[1, 3]], predict(pool, branch(seed=6), batch=2)[[1, 3]], atol=1e-5)
    assert torch.allclose(both[[0, 2]], predict(pool, branch(seed=5), batch=2)[[0, 2]], atol=1e-5)


def test_a_grey_adapter_sees_the_mean_of_the_channels(tmp_path: Any) -> None:
    T2IAdapter(in_channels=1, channels=[16, 32], num_res_blocks=1).save_pretrained(str(tmp_path))
    net, coloured = read_t2i_adapter(str(tmp_path)), np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32)
    grey = np.repeat(coloured.mean(axis=1, keepdims=True), 3, axis=1)
    pool = ModelPool()
    one, other = (predict(pool, T2IAdapterBranch(net, Image(pixels))) for pixels in (coloured, grey))
    assert torch.allclose(one, other, atol=1e-5)


def test_an_adapter_of_another_family_is_refused_before_anything_loads() -> None:
    pool = ModelPool()
    with pytest.raises(ModelError, match="is for sdxl, the denoiser is sd1") as caught:
        predict(pool, branch("sdxl"))
    assert caught.value.code == "control-mismatch"
    assert pool.load_count == 0


def test_an_adapter_whose_features_do_not_fit_is_refused(pool: ModelPool, tmp_path: Any) -> None:
    T2IAdapter(channels=[16, 48], num_res_blocks=1).save_pretrained(str(tmp_path))
    with pytest.raises(ModelError, match="48") as caught:
        predict(pool, T2IAdapterBranch(read_t2i_adapter(str(tmp_path)), picture()))
    assert caught.value.code == "control-mismatch"


def test_a_picture_of_another_size_or_batch_is_refused(pool: ModelPool) -> None:
    small = replace(branch(), image=picture(side_px=32))
    with pytest.raises(SamplingError) as caught:
        predict(pool, small)
    assert caught.value.code == "control-size"
    with pytest.raises(SamplingError) as caught:
        predict(pool, replace(branch(), image=picture(batch=3)), batch=2)
    assert caught.value.code == "control-batch"


def test_what_is_no_adapter_is_refused() -> None:
    with pytest.raises(ModelError, match="is a ControlNetModel, expected T2IAdapter") as caught:
        read_t2i_adapter(f"{TINY['sd1']}/controlnet_canny")
    assert caught.value.code == "model-kind-unsupported"


def test_a_tile_is_steered_by_its_part_of_the_picture(pool: ModelPool) -> None:
    """As the picture cut to the tile steers latents of that size."""
    whole, tile = picture(side_px=128), Tile(4, 6, 8, 8)
    part = Image(np.ascontiguousarray(whole.pixels[..., 32:96, 48:112]))
    x, t = noise().repeat(2, 1, 1, 1), torch.full((2,), 500.0)
    denoiser = read_checkpoint(TINY["sd1"]).denoiser
    with open_network(pool, denoiser, Control((T2IAdapterBranch(branch().net, whole),))) as network:
        assert isinstance(network, UNetNetwork)
        network.view = View(window=Window(tile, 16, 16))
        tiled = network(x, t, prompts("sd1"))
    assert torch.allclose(tiled, predict(pool, T2IAdapterBranch(branch().net, part)), atol=1e-5)
