from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sdgraph.core.porttype import Encoded, PortType
from sdgraph.errors import MediaError, ModelError, SamplingError
from sdgraph.payloads.conditioning import CONDITIONING, Conditioning, ConditioningEntry, PictureFacts
from sdgraph.payloads.control import CONTROL, Control, ControlBranch
from sdgraph.payloads.handles import (
    CONTROLNET,
    DENOISER,
    TEXT_ENCODER,
    VAE,
    ControlNetHandle,
    DenoiserHandle,
    TextEncoderHandle,
    TextTower,
    VaeHandle,
)
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import LATENTS, LatentMask, Latents, LatentSpace, require_same_space
from sdgraph.payloads.patch import Embedding, Patch
from sdgraph.payloads.sampling import SAMPLING_STATE, SamplingState
from sdgraph.payloads.types import PORT_TYPES

SPACE = LatentSpace("sd1", 4, 8, 0.18215)
PREVIEW = VaeHandle(source="a", component="vae_tiny", fingerprint="03", family="sd1", space=SPACE, tiny=True)
NET = ControlNetHandle(
    source="a", component="", fingerprint="04", family="sd1", conditioning_width=32, downscale=8, dtype="bfloat16"
)
TOWER = TextTower(
    kind="clip", component="text_encoder", tokenizer="tokenizer", layer="last", max_tokens=77, layers=12, width=32
)
PATCHES = (
    Patch(source="b.safetensors", fingerprint="05", strength=0.7),
    Patch(source="c", fingerprint="06", strength=-1.0),
)


def stored(kind: PortType[Any], value: Any) -> Any:
    """The value after a way through its codec, with the JSON really written."""
    assert kind.codec is not None
    encoded = kind.codec.encode(value)
    return kind.codec.decode(Encoded(json.loads(json.dumps(encoded.meta)), encoded.blobs))


def test_latents_are_stored_with_their_space_and_seeds() -> None:
    latents = Latents(torch.randn(2, 4, 3, 5), SPACE, (1, 2**63), empty=True)
    again = stored(LATENTS, latents)
    assert torch.equal(again.samples, latents.samples)
    assert (again.space, again.seeds, again.empty) == (SPACE, (1, 2**63), True)
    assert (again.batch, again.height_px, again.width_px) == (2, 24, 40)


def test_latents_without_seeds_stay_without() -> None:
    assert stored(LATENTS, Latents(torch.zeros(1, 4, 1, 1), SPACE)).seeds is None


def test_a_mask_is_stored_with_its_latents() -> None:
    visible = torch.randn(2, 4, 3, 5)
    mask = LatentMask(torch.rand(1, 1, 3, 5), True, visible)
    again = stored(LATENTS, Latents(torch.randn(2, 4, 3, 5), SPACE, mask=mask, numbers=(3, 4)))
    assert again.numbers == (3, 4)
    assert again.mask.differential
    assert torch.equal(again.mask.values, mask.values)
    assert torch.equal(again.mask.visible, visible)


def test_latents_that_were_stored_before_masks_are_read() -> None:
    assert LATENTS.codec is not None
    plain = LATENTS.codec.encode(Latents(torch.zeros(1, 4, 2, 2), SPACE))
    assert set(plain.meta) == {"space", "seeds", "empty"}
    assert set(plain.blobs) == {"samples"}
    again = LATENTS.codec.decode(plain)
    assert (again.mask, again.numbers) == (None, None)


@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (3, 1, 3, 5)])
def test_a_mask_of_another_size_or_number_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MediaError) as caught:
        Latents(torch.zeros(2, 4, 3, 5), SPACE, mask=LatentMask(torch.ones(shape)))
    assert caught.value.code == "mask-size"


def test_conditioning_is_stored_bit_for_bit() -> None:
    pooled = torch.randn(1, 6).bfloat16()
    entries = (
        ConditioningEntry(torch.randn(1, 77, 8), pooled),
        ConditioningEntry(torch.randn(1, 154, 8)),
    )
    again = stored(CONDITIONING, Conditioning(entries))
    assert torch.equal(again.entries[0].embedding, entries[0].embedding)
    assert torch.equal(again.entries[0].pooled, pooled)
    assert again.entries[1].pooled is None


def test_conditioning_keeps_what_it_says_about_the_picture() -> None:
    facts = PictureFacts(original_px=(512, 640), crop_px=(1, 2), aesthetic_score=4.5)
    told = ConditioningEntry(torch.zeros(1, 1, 1), facts=facts, distilled_guidance=2.5)
    plain = ConditioningEntry(torch.zeros(1, 1, 1))
    again = stored(CONDITIONING, Conditioning((plain, told))).entries
    assert [(entry.facts, entry.distilled_guidance) for entry in again] == [(None, None), (facts, 2.5)]


def test_a_sampling_state_is_stored_bit_for_bit() -> None:
    state = SamplingState({"sigma": 0.1, "seeds": [3]}, {"x": torch.randn(1, 4, 2, 2)}, SPACE)
    again = stored(SAMPLING_STATE, state)
    assert again.meta == state.meta
    assert again.space == SPACE
    assert torch.equal(again.tensors["x"], state.tensors["x"])
    assert again.model == ""
    assert stored(SAMPLING_STATE, replace(state, model="ab")).model == "ab"


def test_handles_come_back_equal() -> None:
    denoiser = DenoiserHandle(
        source="a",
        component="unet",
        fingerprint="01",
        family="sd1",
        space=SPACE,
        scheduler={"beta_start": 0.1, "kind": [1, 2]},
        conditioning_width=32,
        sample_px=64,
        preview=PREVIEW,
        patches=PATCHES,
    )
    text = TextEncoderHandle(
        source="a",
        component="text_encoder",
        fingerprint="02",
        family="sd1",
        towers=(TOWER, replace(TOWER, kind="t5", component="text_encoder_2")),
        conditioning_width=32,
        patches=PATCHES[:1],
        embeddings=(Embedding(name="dusk", source="dusk.safetensors", fingerprint="07"),),
    )
    for kind, handle in ((DENOISER, denoiser), (TEXT_ENCODER, text), (VAE, PREVIEW), (CONTROLNET, NET)):
        assert stored(kind, handle) == handle
    assert hash(denoiser) == hash(stored(DENOISER, denoiser))


def test_a_moved_model_is_the_same_to_the_pool() -> None:
    assert replace(NET, source="elsewhere").pool_key == NET.pool_key
    assert replace(NET, dtype="float32").pool_key != NET.pool_key
    assert replace(NET, fingerprint="05").pool_key != NET.pool_key


def test_patches_leave_the_base_in_the_pool_the_same() -> None:
    assert replace(NET, patches=PATCHES).pool_key == NET.pool_key
    assert replace(NET, patches=PATCHES) != NET


def test_a_moved_patch_does_the_same() -> None:
    assert replace(PATCHES[0], source="elsewhere").key == PATCHES[0].key
    assert replace(PATCHES[0], strength=0.5).key != PATCHES[0].key


def test_control_is_stored_with_its_pictures() -> None:
    image = Image(np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32))
    first = Control((ControlBranch(NET, image, 0.5, 0.1, 0.9),))
    control = first.with_branch(ControlBranch(NET, image))
    again = stored(CONTROL, control)
    assert len(first.branches) == 1
    assert [(b.net, b.strength, b.start, b.end) for b in again.branches] == [(NET, 0.5, 0.1, 0.9), (NET, 1.0, 0.0, 1.0)]
    assert np.array_equal(again.branches[1].image.pixels, image.pixels)


@pytest.mark.parametrize(("start", "end"), [(0.6, 0.4), (-0.1, 1.0), (0.0, 1.1), (float("nan"), 1.0)])
def test_a_control_range_that_cannot_be_is_refused(start: float, end: float) -> None:
    with pytest.raises(SamplingError) as caught:
        ControlBranch(NET, Image(np.zeros((1, 3, 8, 8), np.float32)), 1.0, start, end)
    assert caught.value.code == "control-range"


def test_latents_of_another_space_are_refused_in_words() -> None:
    require_same_space(SPACE, SPACE, "The denoiser")
    with pytest.raises(ModelError, match="`sd1` latents") as caught:
        require_same_space(LatentSpace("sdxl", 4, 8, 0.13025), SPACE, "The denoiser")
    assert caught.value.code == "latent-space-mismatch"


def test_each_reader_gets_tensors_of_its_own() -> None:
    samples, embedding, x = torch.zeros(1, 4, 1, 1), torch.zeros(1, 2, 3), torch.zeros(2)
    cases: list[tuple[PortType[Any], Any, Any, Callable[[Any], Any]]] = [
        (LATENTS, Latents(samples, SPACE), samples, lambda v: v.samples),
        (CONDITIONING, Conditioning((ConditioningEntry(embedding),)), embedding, lambda v: v.entries[0].embedding),
        (SAMPLING_STATE, SamplingState({}, {"x": x}, SPACE), x, lambda v: v.tensors["x"]),
    ]
    for kind, value, original, read in cases:
        assert kind.share is not None
        read(kind.share(value)).add_(1)
        assert not original.any()


def test_sizes_count_every_tensor() -> None:
    entry = ConditioningEntry(torch.zeros(1, 2, 3), torch.zeros(1, 5))
    sized: list[tuple[PortType[Any], Any, int]] = [
        (LATENTS, Latents(torch.zeros(1, 4, 2, 2), SPACE), 64),
        (CONDITIONING, Conditioning((entry, entry)), 2 * 4 * (6 + 5)),
        (SAMPLING_STATE, SamplingState({}, {"x": torch.zeros(2), "y": torch.zeros(3)}, SPACE), 20),
        (CONTROL, Control((ControlBranch(NET, Image(np.zeros((1, 3, 2, 2), np.float32))),)), 48),
    ]
    for kind, value, expected in sized:
        assert kind.size_bytes is not None
        assert kind.size_bytes(value) == expected


def test_port_types_have_names_of_their_own_and_can_all_be_stored() -> None:
    assert len({kind.name for kind in PORT_TYPES}) == len(PORT_TYPES)
    for kind in PORT_TYPES:
        assert kind.name == kind.python_type.__name__
        assert kind.codec is not None


def test_importing_payloads_imports_no_torch() -> None:
    script = "import sys, sdgraph.payloads.types; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
