from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sdgraph_nodes.vae import VaeDecode, VaeEncode

from sdgraph.errors import MediaError, ModelError
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import context, empty, model


def encode(image: Image, tile_px: int = 0) -> Latents:
    out: Any = VaeEncode(vae=model().vae, image=image, tile_px=tile_px).run(context())
    return out.latents


def decode(latents: Latents, tile_px: int = 0) -> Image:
    out: Any = VaeDecode(vae=model().vae, latents=latents, tile_px=tile_px).run(context())
    return out.image


def test_a_picture_becomes_latents_an_eighth_of_its_size_and_back() -> None:
    latents = encode(noise(64, 48, batch=2))
    assert tuple(latents.samples.shape) == (2, 4, 6, 8)
    assert decode(latents).pixels.shape == (2, 3, 48, 64)


def test_one_tile_that_covers_everything_is_the_same_as_one_piece() -> None:
    image = noise(64, 64)
    assert torch.equal(encode(image).samples, encode(image, tile_px=64).samples)
    latents = encode(image)
    assert np.array_equal(decode(latents).pixels, decode(latents, tile_px=64).pixels)


def test_tiles_give_a_picture_of_the_same_size() -> None:
    latents = encode(noise(96, 128), tile_px=64)
    assert tuple(latents.samples.shape) == (1, 4, 16, 12)
    assert decode(latents, tile_px=64).pixels.shape == (1, 3, 128, 96)


def test_encoding_is_not_random() -> None:
    assert torch.equal(encode(noise(32, 32)).samples, encode(noise(32, 32)).samples)


def test_a_size_that_does_not_fit_is_refused_with_one_that_does() -> None:
    with pytest.raises(MediaError, match="64x56"):
        encode(noise(60, 50))


def test_empty_latents_hold_no_picture() -> None:
    with pytest.raises(ModelError) as caught:
        decode(empty())
    assert caught.value.code == "latent-space-mismatch"
