"""LoRAs on the other families: every layer has a name that is found, and fused projections are taken apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.patches.lora import with_lora
from sdgraph.models.pool import ModelPool
from tests.models.loras import Tensors, kohya, layers, peft, width, write

PREFIXES = {
    "text_encoder": "lora_te1_",
    "text_encoder_2": "lora_te2_",
    "text_encoder_3": "lora_te3_",
}


def weights(pool: ModelPool, handle: Any) -> dict[str, Tensor]:
    with pool.lease(handle) as model:
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("family", ["sd21", "sdxl", "sdxl_refiner", "sd3", "flux"])
def test_every_layer_of_a_family_is_found_and_changed(family: str, pool: ModelPool, tmp_path: Path) -> None:
    found = read_checkpoint(f"synthetic:{family}-tiny")
    with pool.lease(found.denoiser) as denoiser, pool.lease(found.text_encoder) as text:
        tensors = kohya("lora_unet_", layers(denoiser))
        for tower in text.towers:
            third = family == "flux" and tower.spec.kind == "t5"
            prefix = "lora_te3_" if third else PREFIXES[tower.spec.component]
            tensors |= kohya(prefix, layers(tower.encoder))
        before = {name: tensor.clone() for name, tensor in denoiser.named_parameters()}
        texts = [{n: t.clone() for n, t in tower.encoder.named_parameters()} for tower in text.towers]
        expected = set(layers(denoiser))
    path = write(tmp_path / "lora.safetensors", tensors)
    styled = with_lora(found.denoiser, found.text_encoder, str(path), 1.0, 1.0)
    assert styled.warning is None
    assert styled.text_encoder is not None
    with pool.lease(styled.denoiser) as denoiser:
        changed = {name for name, tensor in denoiser.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed == {f"{name}.weight" for name in expected}
    with pool.lease(styled.text_encoder) as text:
        for tower, former in zip(text.towers, texts, strict=True):
            own = {n for n, t in tower.encoder.named_parameters() if not torch.equal(t, former[n])}
            assert own == {f"{name}.weight" for name in layers(tower.encoder)}
    assert torch.equal(weights(pool, found.denoiser)[min(changed)], before[min(changed)])


def test_a_fused_projection_of_flux_does_what_its_parts_do(pool: ModelPool, tmp_path: Path) -> None:
    handle = read_checkpoint("synthetic:flux-tiny").denoiser
    with pool.lease(handle) as model:
        block, single = "transformer_blocks.0.attn.", "single_transformer_blocks.0."
        fused = {
            "double_blocks_0_img_attn_qkv": [f"{block}to_{part}" for part in "qkv"],
            "double_blocks_0_txt_attn_qkv": [f"{block}add_{part}_proj" for part in "qkv"],
            "single_blocks_0_linear1": [*(f"{single}attn.to_{part}" for part in "qkv"), f"{single}proj_mlp"],
        }
        shapes = {
            name: tuple(model.get_parameter(f"{name}.weight").shape) for names in fused.values() for name in names
        }
    generator, whole, parts = torch.Generator().manual_seed(0), Tensors(), Tensors()
    for key, names in fused.items():
        down = torch.randn(4, width(shapes[names[0]]), generator=generator)
        ups = [torch.randn(shapes[name][0], 4, generator=generator) for name in names]
        whole |= {f"lora_unet_{key}.lora_down.weight": down, f"lora_unet_{key}.lora_up.weight": torch.cat(ups)}
        for name, up in zip(names, ups, strict=True):
            parts |= {f"transformer.{name}.lora_A.weight": down.clone(), f"transformer.{name}.lora_B.weight": up}
    found = [
        weights(pool, with_lora(handle, None, str(write(tmp_path / f"{n}.safetensors", tensors)), 1.0, 0.0).denoiser)
        for n, tensors in enumerate((whole, parts))
    ]
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-6) for name in found[0])
    assert not torch.equal(found[0][f"{block}to_q.weight"], weights(pool, handle)[f"{block}to_q.weight"])


def test_a_lora_of_one_family_is_refused_by_the_others(pool: ModelPool, tmp_path: Path) -> None:
    handles = {name: read_checkpoint(f"synthetic:{name}-tiny").denoiser for name in ("sd15", "sdxl", "flux")}
    for name, handle in handles.items():
        with pool.lease(handle) as model:
            path = write(tmp_path / f"{name}.safetensors", peft("", layers(model, convolutions=False)))
        for other, target in handles.items():
            if other != name:
                with pytest.raises(ModelError) as caught:
                    with_lora(target, None, str(path), 1.0, 0.0)
                assert caught.value.code == "lora-mismatch"
