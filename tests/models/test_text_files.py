"""Text encoders in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import save_file

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import read_checkpoint, read_text_encoder
from sdgraph.models.load import load_model
from sdgraph.models.source import resolve
from tests.models.family_references import TINY
from tests.models.original_layout import describe, part_weights
from tests.models.test_single_files import states

CLIP_L, CLIP_G, T5 = "text_encoder", "text_encoder_2", "text_encoder_3"


def files_of(name: str, folder: Path, *parts: str) -> tuple[list[str], str]:
    """Each text encoder of a tiny model as a file, and the folder that describes them."""
    described = describe(resolve(TINY[name]), folder / "described")
    found: list[str] = []
    for part in parts:
        weights = part_weights(resolve(TINY[name]), part)
        if "shared.weight" not in weights:
            # As transformers below 5.6 named them.
            weights = {f"text_model.{key.removeprefix('text_model.')}": tensor for key, tensor in weights.items()}
            weights = {key.replace("text_model.text_proj", "text_proj"): tensor for key, tensor in weights.items()}
        save_file(weights, folder / f"{part}.safetensors")
        found.append(str(folder / f"{part}.safetensors"))
    return found, str(described)


@pytest.mark.parametrize(
    ("family", "parts"),
    [
        ("flux", (CLIP_L, CLIP_G)),
        ("flux", (CLIP_G, CLIP_L)),
        ("sd3", (CLIP_G, T5, CLIP_L)),
    ],
)
def test_files_in_any_order_are_the_text_encoders_of_the_folder(
    family: Literal["sd3", "flux"], parts: tuple[str, ...], tmp_path: Path
) -> None:
    (first, *more), config = files_of(family, tmp_path, *parts)
    found = read_text_encoder(first, more=more, family=family, config=config)
    own = read_checkpoint(TINY[family]).text_encoder
    assert found.towers == own.towers
    assert (found.conditioning_width, found.pooled_width) == (own.conditioning_width, own.pooled_width)
    weights, same = states(found), states(own)
    assert weights.keys() == same.keys()
    assert all(torch.equal(weights[key], same[key]) for key in same)


def test_stable_diffusion_3_does_without_t5_and_not_without_clip(tmp_path: Path) -> None:
    (first, second), config = files_of("sd3", tmp_path, CLIP_L, CLIP_G)
    found = read_text_encoder(first, more=[second], family="sd3", config=config)
    assert [tower.component for tower in found.towers] == [CLIP_L, CLIP_G]
    assert load_model(found)
    assert "text_encoder_2" in read_text_encoder(first, family="sd3", config=config).missing


def test_the_files_decide_the_fingerprint_and_their_order_does_not(tmp_path: Path) -> None:
    (first, second), config = files_of("flux", tmp_path, CLIP_L, CLIP_G)
    options: dict[str, Any] = {"family": "flux", "config": config}
    one, other = read_text_encoder(first, more=[second], **options), read_text_encoder(second, more=[first], **options)
    assert one.fingerprint == other.fingerprint


def test_what_is_no_text_encoder_of_the_family_is_named(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, file)
    for source in (str(file), TINY["flux"]):
        with pytest.raises(ModelError, match=r"none of the text encoders of FLUX\.1") as caught:
            read_text_encoder(source, family="flux")
        assert caught.value.code == "model-kind-unsupported"
