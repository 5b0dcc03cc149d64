"""Upscale models: what they are read from, and pictures in parts that are those of one piece."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sdgraph_nodes.upscale_with_model import LoadUpscaler, UpscaleWithModel
from spandrel import ModelTiling, SizeRequirements
from spandrel.architectures.DnCNN import DnCNN
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.RCAN import RCAN

from sdgraph.core.infer import Known
from sdgraph.errors import ModelError, RunCancelled, SamplingError
from sdgraph.models import upscaler
from sdgraph.models.pool import ModelPool
from sdgraph.models.source import resolve
from sdgraph.models.upscaler import read_upscaler, upscale
from sdgraph.payloads.image import Image
from tests.toys import RecordingContext

TINY = "synthetic:sd15-tiny/upscaler"


def picture(height_px: int = 20, width_px: int = 27, batch: int = 1) -> Image:
    generator = np.random.default_rng(4)
    return Image(generator.random((batch, 3, height_px, width_px), dtype=np.float32))


def weights() -> dict[str, torch.Tensor]:
    return load_file(resolve(TINY) / "model.safetensors")


def enlarged(pool: ModelPool, image: Image, source: str = TINY, **options: Any) -> np.ndarray:
    with pool.lease(read_upscaler(source, **options), "cpu") as network:
        return upscale(network, image).pixels


def test_the_result_is_that_of_the_package_itself(pool: ModelPool) -> None:
    from spandrel import ModelLoader

    expected: Any = ModelLoader("cpu").load_from_state_dict(weights())
    image = picture()
    found = enlarged(pool, image)
    assert found.shape == (1, 3, 40, 54)
    assert np.array_equal(found, expected(torch.tensor(image.pixels)).numpy())


def tiny_esrgan() -> torch.nn.Module:
    """As Real-ESRGAN's published network that enlarges twice: four times, of a picture that it folds to half."""
    return ESRGAN(in_nc=12, num_filters=8, num_blocks=1, scale=4, shuffle_factor=2)


def tiny_rcan() -> torch.nn.Module:
    """It computes in its input."""
    return RCAN(scale=2, n_resgroups=1, n_resblocks=1, n_feats=16)


def tiny_dncnn() -> torch.nn.Module:
    """It takes a map of the noise beside the picture."""
    return DnCNN(in_nc=4, out_nc=3, nc=8, act_mode="R", mode="FDnCNN")


def saved(network: torch.nn.Module, path: Path) -> str:
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    return str(path)


@pytest.mark.parametrize("make", [tiny_esrgan, tiny_rcan, tiny_dncnn])
def test_networks_of_other_kinds_are_called_as_the_package_calls_them(
    make: Callable[[], torch.nn.Module], tmp_path: Path
) -> None:
    from spandrel import ModelLoader

    torch.manual_seed(1)
    path = saved(make(), tmp_path / "net.safetensors")
    expected: Any = ModelLoader("cpu").load_from_file(path)
    image = picture(16, 24, batch=2)
    before = image.pixels.copy()
    with ModelPool().lease(read_upscaler(path), "cpu") as network:
        found = upscale(network, image)
        parts = upscale(network, image, tile_px=8, halo_px=40)
    each = [expected(torch.tensor(pixels[None])).numpy() for pixels in image.pixels]
    assert np.array_equal(found.pixels, np.concatenate(each))
    assert np.abs(parts.pixels - found.pixels).max() <= 1e-6
    assert np.array_equal(image.pixels, before)


def test_half_precision_is_for_networks_that_can_compute_in_it(pool: ModelPool, tmp_path: Path) -> None:
    path = saved(tiny_dncnn(), tmp_path / "net.safetensors")
    with pytest.raises(ModelError) as caught, ModelPool().lease(read_upscaler(path, "float16"), "cpu"):
        pass
    assert caught.value.code == "upscaler-dtype"
    assert np.abs(enlarged(pool, picture(), dtype="float16") - enlarged(pool, picture())).max() <= 1e-2


@pytest.mark.parametrize("tile_px", [5, 8, 13, 20, 64])
def test_parts_with_enough_around_them_are_one_piece(pool: ModelPool, tile_px: int) -> None:
    """A pixel of this network's result depends on those up to three away."""
    image = picture(batch=2)
    with pool.lease(read_upscaler(TINY), "cpu") as network:
        whole = upscale(network, image).pixels
        assert np.abs(upscale(network, image, tile_px, halo_px=3).pixels - whole).max() <= 1e-6
        seams = np.abs(upscale(network, image, tile_px, halo_px=0).pixels - whole).max()
    assert (seams > 1e-4) == (tile_px < 27)


def test_a_picture_does_not_depend_on_its_batch(pool: ModelPool) -> None:
    image = picture(batch=3)
    together = enlarged(pool, image)
    assert np.array_equal(together[1:2], enlarged(pool, Image(image.pixels[1:2].copy())))


@pytest.mark.parametrize("container", [None, "params_ema", "state_dict", "params"])
def test_a_pickle_is_read_only_when_it_is_asked_for(pool: ModelPool, tmp_path: Path, container: str | None) -> None:
    path = tmp_path / "net.pth"
    torch.save({container: weights()} if container else weights(), path)
    with pytest.raises(ModelError) as caught:
        read_upscaler(str(path))
    assert caught.value.code == "model-pickle"
    assert np.array_equal(enlarged(pool, picture(), str(path), allow_pickle=True), enlarged(pool, picture()))


@pytest.mark.parametrize(
    ("kept", "changed", "code"),
    [(False, "conv.weight", "model-kind-unsupported"), (True, "body.2.weight", "model-damaged")],
)
def test_another_file_is_one_clear_error(tmp_path: Path, kept: bool, changed: str, code: str) -> None:
    path = tmp_path / "net.safetensors"
    save_file((weights() if kept else {}) | {changed: torch.zeros(4, 5, 3, 3)}, path)
    with pytest.raises(ModelError) as caught, ModelPool().lease(read_upscaler(str(path)), "cpu"):
        pass
    assert caught.value.code == code


def test_a_renamed_file_has_the_fingerprint_of_its_content(tmp_path: Path) -> None:
    other = weights()
    other["body.0.bias"] += 1
    prints: list[str] = []
    for folder, tensors in (("a", weights()), ("b", weights()), ("c", other)):
        (tmp_path / folder).mkdir()
        save_file(tensors, tmp_path / folder / "net.safetensors")
        prints.append(read_upscaler(str(tmp_path / folder)).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_a_network_that_needs_the_whole_picture_takes_no_parts(pool: ModelPool) -> None:
    with pool.lease(read_upscaler(TINY), "cpu") as network:
        before, network.descriptor.tiling = network.descriptor.tiling, ModelTiling.DISCOURAGED
        try:
            with pytest.raises(SamplingError) as caught:
                upscale(network, picture(), tile_px=8)
        finally:
            network.descriptor.tiling = before
    assert (caught.value.code, caught.value.problem.port) == ("upscaler-tiles", "tile_px")


def test_a_result_that_is_too_large_is_not_begun(pool: ModelPool) -> None:
    with pytest.raises(SamplingError, match="20,000 px") as caught:
        enlarged(pool, picture(2, 10_000))
    assert (caught.value.code, caught.value.problem.port) == ("upscale-too-large", "image")


@pytest.mark.parametrize(("multiple", "minimum", "square"), [(8, 0, False), (1, 48, False), (4, 0, True)])
def test_a_size_that_the_network_does_not_take_is_extended_and_cut(
    pool: ModelPool, multiple: int, minimum: int, square: bool
) -> None:
    whole = enlarged(pool, picture())
    with pool.lease(read_upscaler(TINY), "cpu") as network:
        seen: list[tuple[int, int]] = []

        def look(_: object, args: tuple[torch.Tensor, ...]) -> None:
            seen.append((args[0].shape[-2], args[0].shape[-1]))

        hook = network.network.register_forward_pre_hook(look)
        before = network.descriptor.size_requirements
        network.descriptor.size_requirements = SizeRequirements(minimum, multiple, square)
        try:
            found = upscale(network, picture()).pixels
        finally:
            network.descriptor.size_requirements = before
            hook.remove()
    assert found.shape == whole.shape
    assert all(side % multiple == 0 and side >= minimum for side in seen[0])
    assert np.abs(found[..., :34, :48] - whole[..., :34, :48]).max() <= 1e-6


def test_the_nodes_tell_their_progress_and_stop_when_they_are_asked(pool: ModelPool) -> None:
    node: Any = LoadUpscaler(source=TINY)
    handle = node.run(RecordingContext()).upscaler
    ctx = RecordingContext(pool)
    up: Any = UpscaleWithModel(upscaler=handle, image=picture(), tile_px=10, halo_px=3)
    assert up.run(ctx).image.pixels.shape == (1, 3, 40, 54)
    assert ctx.reports == [(done, 6) for done in range(1, 7)]
    with pytest.raises(RunCancelled):
        up.run(RecordingContext(pool, cancel_after=2))


def test_a_missing_package_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upscaler, "PACKAGE", "no_such_package")
    assert importlib.util.find_spec("no_such_package") is None
    node: Any = LoadUpscaler(source=TINY)
    with pytest.raises(ModelError) as caught:
        node.infer(Known())
    assert (caught.value.code, caught.value.problem.port) == ("upscaler-package", "source")
