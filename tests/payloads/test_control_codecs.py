from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sdgraph.core.porttype import PortType
from sdgraph.payloads.control import CONTROL, Control, ControlBranch, IPAdapterBranch, T2IAdapterBranch
from sdgraph.payloads.handles import (
    IMAGE_ENCODER,
    IP_ADAPTER,
    T2I_ADAPTER,
    ControlNetHandle,
    ImageEncoderHandle,
    IPAdapterHandle,
    T2IAdapterHandle,
    VaeHandle,
)
from sdgraph.payloads.image import Image
from sdgraph.payloads.image_prompt import IMAGE_PROMPT, ImagePrompt
from sdgraph.payloads.latents import LatentSpace
from sdgraph.payloads.mask import Mask

NET = ControlNetHandle(source="a", component="", fingerprint="04", family="sd1", conditioning_width=32, downscale=8)
UNION = ControlNetHandle(
    source="a",
    component="",
    fingerprint="05",
    family="flux",
    conditioning_width=96,
    downscale=8,
    inner_width=32,
    sees="latents",
    kinds=3,
)
ENCODES = VaeHandle(source="a", component="vae", fingerprint="06", family="flux", space=LatentSpace("flux", 16, 8, 0.4))
T2I = T2IAdapterHandle(
    source="a", component="", fingerprint="08", family="sd1", channels=(16, 32), picture_channels=3, downscale=8
)
IP = IPAdapterHandle(
    source="a",
    component="",
    fingerprint="09",
    family="sd1",
    looks_at="picture",
    width=5,
    conditioning_width=32,
    layers=4,
)
ENCODER = ImageEncoderHandle(
    source="a", component="", fingerprint="0a", family="clip_vision", image_px=32, width=5, patch_width=7
)


def stored(kind: PortType[Any], value: Any) -> Any:
    assert kind.codec is not None
    return kind.codec.decode(kind.codec.encode(value))


def test_every_kind_of_branch_is_stored_with_what_it_needs() -> None:
    rng = np.random.default_rng(0)
    image, mask = Image(rng.random((1, 3, 8, 8), np.float32)), Mask(rng.random((1, 1, 8, 8), np.float32))
    prompt = ImagePrompt(rng.random((2, 5), np.float32), np.zeros((2, 5), np.float32))
    net = ControlBranch(UNION, image, mode="control", shows="depth", vae=ENCODES)
    adapter = T2IAdapterBranch(T2I, image, 0.5, 0.1, 0.9)
    masked, plain = IPAdapterBranch(IP, prompt, 0.7, 0.2, 0.8, mask), IPAdapterBranch(IP, prompt)
    again = stored(CONTROL, Control((net, adapter, masked, plain))).branches
    assert [branch.net for branch in again] == [UNION, T2I, IP, IP]
    assert (again[0].mode, again[0].shows, again[0].vae) == ("control", "depth", ENCODES)
    assert [(b.strength, b.start, b.end) for b in again[1:3]] == [(0.5, 0.1, 0.9), (0.7, 0.2, 0.8)]
    assert np.array_equal(again[1].image.pixels, image.pixels)
    assert np.array_equal(again[2].prompt.features, prompt.features)
    assert np.array_equal(again[2].mask.values, mask.values)
    assert again[3].mask is None


def test_a_controlnet_without_kinds_and_autoencoder_is_stored() -> None:
    image = Image(np.zeros((1, 3, 8, 8), np.float32))
    (again,) = stored(CONTROL, Control((ControlBranch(NET, image),))).branches
    assert (again.net, again.shows, again.vae) == (NET, "auto", None)


def test_handles_of_adapters_are_stored() -> None:
    for kind, handle in ((T2I_ADAPTER, T2I), (IP_ADAPTER, IP), (IMAGE_ENCODER, ENCODER)):
        assert stored(kind, handle) == handle


def test_an_image_prompt_is_stored_and_read_only() -> None:
    prompt = ImagePrompt(np.ones((1, 4, 5), np.float32), np.zeros((1, 4, 5), np.float32))
    again = stored(IMAGE_PROMPT, prompt)
    assert np.array_equal(again.features, prompt.features)
    assert np.array_equal(again.negative, prompt.negative)
    with pytest.raises(ValueError, match="read-only"):
        prompt.features[0] = 0
