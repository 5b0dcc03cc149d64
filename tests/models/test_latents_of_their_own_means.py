"""Autoencoders whose channels have means and deviations of their own (Playground v2.5) are read and used."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.pool import ModelPool
from sdgraph.models.source import resolve
from sdgraph.models.vae import decode_latents, encode_image
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from tests.models.control_loop import picture

SOURCE = "synthetic:playground-tiny"


def test_means_and_deviations_are_part_of_the_space() -> None:
    own, sdxl = read_checkpoint(SOURCE).vae.space, read_checkpoint("synthetic:sdxl-tiny").vae.space
    assert own.mean == (-1.6574, 1.886, -1.383, 2.5155)
    assert own.deviation == (8.4927, 5.9022, 6.5498, 5.2299)
    assert (sdxl.mean, sdxl.deviation) == ((), ())
    assert replace(own, mean=list(own.mean)) == own  # pyright: ignore[reportArgumentType]


def test_latents_are_those_of_the_autoencoder_less_mean_over_deviation(pool: ModelPool) -> None:
    vae, image = read_checkpoint(SOURCE).vae, picture()
    with pool.lease(vae) as model, torch.no_grad():
        found = encode_image(model, vae, image)
        raw = model.encode(torch.tensor(image.pixels) * 2 - 1).latent_dist.mode()  # pyright: ignore
        mean, deviation = (torch.tensor(x).view(1, 4, 1, 1) for x in (vae.space.mean, vae.space.deviation))
        torch.testing.assert_close(found.samples, (raw - mean) * 0.5 / deviation)
        again: Image = decode_latents(model, vae, found)
        expected = (model.decode(raw).sample / 2 + 0.5).clamp(0, 1)  # pyright: ignore
    torch.testing.assert_close(torch.tensor(again.pixels), expected, atol=1e-5, rtol=0)


def test_latents_without_them_do_not_fit(pool: ModelPool) -> None:
    vae, other = read_checkpoint(SOURCE).vae, read_checkpoint("synthetic:sdxl-tiny").vae
    with pool.lease(vae) as model, pytest.raises(ModelError, match="channels of their own means") as caught:
        decode_latents(model, vae, Latents(torch.zeros(1, 4, 8, 8), other.space))
    assert caught.value.code == "latent-space-mismatch"


@pytest.mark.parametrize("wrong", [[1.0, 2.0], "often", [1, 2, 3, "x"]])
def test_means_that_are_no_list_of_one_number_per_channel_are_damage(wrong: object, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(resolve(SOURCE), tmp_path / "model"))
    config = json.loads((folder / "vae/config.json").read_text("utf-8")) | {"latents_mean": wrong}
    (folder / "vae/config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match="no list of 4 numbers") as caught:
        read_checkpoint(str(folder))
    assert caught.value.code == "model-damaged"
