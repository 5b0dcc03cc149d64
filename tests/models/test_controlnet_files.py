"""A ControlNet in one file is the same network as the one in a folder, under either naming."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_sd3 import SD3ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import read_controlnet
from sdgraph.models.controlnet_file import controlnet_config, load_controlnet_file
from sdgraph.models.controlnet_shapes import transformer_controlnet_config
from sdgraph.models.pool import ModelPool
from sdgraph.models.quiet import quiet
from sdgraph.models.shipped_configs import shipped_config
from sdgraph.models.source import resolve
from sdgraph.models.weights import read_config
from tests.models.family_references import TINY
from tests.models.original_layout import bfl_flux, ldm_unet


def folder(family: str) -> Path:
    return resolve(f"{TINY[family]}/controlnet_canny")


def weights(family: str) -> dict[str, torch.Tensor]:
    return load_file(folder(family) / "diffusion_pytorch_model.safetensors")


def original(family: str) -> dict[str, torch.Tensor]:
    """The weights under the names of the original code."""
    own: dict[str, torch.Tensor] = {}
    encoder: dict[str, torch.Tensor] = {}
    for name, tensor in weights(family).items():
        if found := re.fullmatch(r"controlnet_down_blocks\.(\d+)\.(\w+)", name):
            own[f"zero_convs.{found[1]}.0.{found[2]}"] = tensor
        elif found := re.fullmatch(r"controlnet_mid_block\.(\w+)", name):
            own[f"middle_block_out.0.{found[1]}"] = tensor
        elif found := re.fullmatch(r"controlnet_cond_embedding\.(\w+)\.?(\d*)\.(\w+)", name):
            place = {"conv_in": 0, "conv_out": 14}.get(found[1], 2 * int(found[2] or 0) + 2)
            own[f"input_hint_block.{place}.{found[3]}"] = tensor
        else:
            encoder[name] = tensor
    named = ldm_unet(encoder, read_config(folder(family) / "config.json"))
    return {f"control_model.{name}": tensor for name, tensor in {**own, **named}.items()}


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_file_in_the_names_of_diffusers_has_the_weights_of_the_folder(
    family: str, pool: ModelPool, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    save_file(weights(family), path)
    require_same(str(path), family, pool)


@pytest.mark.parametrize("family", ["sd1", "sd2"])
def test_a_file_in_the_original_names_has_the_weights_of_the_folder(
    family: str, pool: ModelPool, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    save_file(original(family), path)
    require_same(str(path), family, pool)


def require_same(source: str, family: str, pool: ModelPool) -> None:
    handle, other = read_controlnet(source, config=str(folder(family))), read_controlnet(str(folder(family)))
    assert (handle.family, handle.conditioning_width, handle.downscale) == (
        other.family,
        other.conditioning_width,
        other.downscale,
    )
    with pool.lease(handle) as one, pool.lease(other) as two:
        assert dict(one.config)["conditioning_embedding_out_channels"] == [8, 8, 16, 16]
        expected = two.state_dict()
        assert one.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in one.state_dict().items())


def test_the_family_of_a_file_comes_from_the_width_of_its_conditioning(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    layers = {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}
    layers |= {
        f"controlnet_cond_embedding.blocks.{2 * i + 1}.weight": (c, 1, 3, 3) for i, c in enumerate((32, 96, 256))
    }
    for width, family in ((768, "sd1"), (1024, "sd2"), (2048, "sdxl")):
        shapes: dict[str, Any] = layers | {
            "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (8, width)
        }
        save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
        handle = read_controlnet(str(path))
        assert (handle.family, handle.conditioning_width, handle.downscale) == (family, width, 8)


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_without_a_configuration_a_file_is_described_as_a_copy_of_the_familys_encoder(family: Any) -> None:
    unet_config = read_config(shipped_config(family) / "unet" / "config.json")
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(unet_config)
        copied: Any = ControlNetModel.from_unet(unet, load_weights_from_unet=False)
        handle = replace(read_controlnet(str(folder("sd1"))), family=family)
        described: Any = ControlNetModel.from_config(controlnet_config(handle, copied.state_dict()))
    expected = {name: tensor.shape for name, tensor in copied.state_dict().items()}
    assert {name: tensor.shape for name, tensor in described.state_dict().items()} == expected
    assert described.config.attention_head_dim == unet.config.attention_head_dim


NETS = {
    "sd3": (
        "synthetic:sd3-tiny/controlnet_canny",
        "synthetic:sd3-tiny/controlnet_promptless",
        "synthetic:sd3-tiny/controlnet_inpaint",
    ),
    "flux": (
        "synthetic:flux-tiny/controlnet_canny",
        "synthetic:flux-tiny/controlnet_union",
        "synthetic:flux-tiny/controlnet_pixels",
    ),
}


@pytest.mark.parametrize("source", [name for names in NETS.values() for name in names])
def test_a_file_for_a_transformer_has_the_weights_of_the_folder(source: str, pool: ModelPool, tmp_path: Path) -> None:
    place, path = resolve(source), tmp_path / "net.safetensors"
    save_file(load_file(place / "diffusion_pytorch_model.safetensors"), path)
    require_same_net(str(path), source, pool)


def test_a_file_in_the_names_of_xlabs_has_the_weights_of_the_folder(pool: ModelPool, tmp_path: Path) -> None:
    source, path = "synthetic:flux-tiny/controlnet_pixels", tmp_path / "net.safetensors"
    save_file(xlabs(load_file(resolve(source) / "diffusion_pytorch_model.safetensors"), resolve(source)), path)
    require_same_net(str(path), source, pool)


def xlabs(named: dict[str, torch.Tensor], place: Path) -> dict[str, torch.Tensor]:
    """The weights under the names of XLabs' code."""
    own: dict[str, torch.Tensor] = {}
    for name, tensor in named.items():
        if found := re.fullmatch(r"input_hint_block\.(conv_in|conv_out|blocks)\.?(\d*)\.(\w+)", name):
            place_in_row = {"conv_in": 0, "conv_out": 14}.get(found[1], 2 * int(found[2] or 0) + 2)
            own[f"input_hint_block.{place_in_row}.{found[3]}"] = tensor
        elif name.startswith("controlnet_"):
            own[name.replace("controlnet_x_embedder", "pos_embed_input")] = tensor
    copied = {
        name: tensor for name, tensor in named.items() if not name.startswith(("input_hint_block", "controlnet_"))
    }
    return {**own, **bfl_flux(copied, read_config(place / "config.json"))}


def require_same_net(path: str, source: str, pool: ModelPool) -> None:
    handle, other = read_controlnet(path, config=str(resolve(source))), read_controlnet(source)
    told = ("family", "conditioning_width", "downscale", "inner_width", "sees", "kinds")
    assert [getattr(handle, name) for name in told] == [getattr(other, name) for name in told]
    with pool.lease(handle) as one, pool.lease(other) as two:
        expected = two.state_dict()
        assert one.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in one.state_dict().items())


PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "InstantX, Stable Diffusion 3": (
        "SD3ControlNetModel",
        {"num_layers": 6, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 192},
    ),
    "Stability AI, Stable Diffusion 3.5 large": (
        "SD3ControlNetModel",
        {
            "num_layers": 2,
            "num_attention_heads": 38,
            "caption_projection_dim": 2432,
            "pos_embed_max_size": None,
            "joint_attention_dim": None,
            "use_pos_embed": False,
            "force_zeros_for_pooled_projection": False,
        },
    ),
    "InstantX, FLUX.1": ("FluxControlNetModel", {"num_layers": 5, "num_single_layers": 10, "guidance_embeds": True}),
    "a union for FLUX.1": ("FluxControlNetModel", {"num_layers": 5, "num_single_layers": 0, "num_mode": 7}),
    "XLabs, FLUX.1": (
        "FluxControlNetModel",
        {"num_layers": 2, "num_single_layers": 0, "patch_size": 2, "conditioning_embedding_channels": 16},
    ),
}
"""As their configurations on the hub are, the second with fewer layers."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_shapes_alone_describe_the_published_networks_for_transformers(name: str) -> None:
    kind, config = PUBLISHED[name]
    with torch.device("meta"), quiet():
        model: Any = getattr(diffusers, kind)(**config)
    found = transformer_controlnet_config({key: tuple(tensor.shape) for key, tensor in model.state_dict().items()})
    assert found is not None
    assert found["_class_name"] == kind
    described = dict(model.config)
    assert {key: found[key] for key in config} == config
    same = {key: found[key] for key in ("num_attention_heads", "attention_head_dim", "pooled_projection_dim")}
    assert same == {key: described[key] for key in same}
    if kind == "FluxControlNetModel":
        assert list(found["axes_dims_rope"]) == list(described["axes_dims_rope"])


@pytest.mark.parametrize("extra", [2, 4])
def test_a_network_that_takes_further_pictures_is_refused(extra: int, tmp_path: Path) -> None:
    with quiet():
        net: Any = SD3ControlNetModel(
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=96,
            caption_projection_dim=32,
            extra_conditioning_channels=extra,
        )
    net.save_pretrained(str(tmp_path))
    with pytest.raises(ModelError, match="takes further pictures") as caught:
        read_controlnet(str(tmp_path))
    assert caught.value.code == "model-kind-unsupported"


def test_a_union_network_for_sdxl_in_a_file_is_that_of_the_folder(pool: ModelPool, tmp_path: Path) -> None:
    source, path = "synthetic:sdxl-tiny/controlnet_union", tmp_path / "net.safetensors"
    save_file(load_file(resolve(source) / "diffusion_pytorch_model.safetensors"), path)
    described = read_controlnet(str(path), config=source)
    assert (described.family, described.kinds) == ("sdxl", 8)
    with pool.lease(described, "cpu") as file, pool.lease(read_controlnet(source), "cpu") as folder_net:
        assert type(file).__name__ == "ControlNetUnionModel"
        expected = folder_net.state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in file.state_dict().items())


def test_shapes_alone_describe_the_published_union_network() -> None:
    with torch.device("meta"):
        published: Any = ControlNetUnionModel.from_config(
            read_config(shipped_config("sdxl") / "unet" / "config.json") | {"num_control_type": 8}
        )
        tensors = published.state_dict()
        handle = replace(read_controlnet("synthetic:sdxl-tiny/controlnet_union"), config="")
        described: Any = ControlNetUnionModel.from_config(controlnet_config(handle, tensors))
    assert {name: tensor.shape for name, tensor in described.state_dict().items()} == {
        name: tensor.shape for name, tensor in tensors.items()
    }


@pytest.mark.parametrize(("kinds", "prompted"), [(9, "sdxl"), (6, "sd1")])
def test_a_union_network_of_unknown_kinds_is_refused(kinds: int, prompted: str, tmp_path: Path) -> None:
    place = shutil.copytree(resolve(f"{TINY[prompted]}/controlnet_canny"), tmp_path / "net")
    config = read_config(place / "config.json") | {"_class_name": "ControlNetUnionModel", "num_control_type": kinds}
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="union ControlNet") as caught:
        read_controlnet(str(place))
    assert caught.value.code == "model-kind-unsupported"


def test_another_file_is_no_controlnet(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"conv_in.weight": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="is no ControlNet") as caught:
        read_controlnet(str(path))
    assert caught.value.code == "model-kind-unsupported"


def test_a_file_without_all_weights_is_damaged_and_says_which(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({name: tensor for name, tensor in weights("sd1").items() if name != "conv_in.weight"}, path)
    handle = read_controlnet(str(path), config=str(folder("sd1")))
    with pytest.raises(ModelError, match=r"conv_in\.weight") as caught:
        load_controlnet_file(path, handle, "cpu")
    assert caught.value.code == "model-damaged"


def test_a_pickle_is_read_only_when_it_is_asked_for(pool: ModelPool, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(original("sd1"), path)
    with pytest.raises(ModelError) as caught:
        read_controlnet(str(path), config=str(folder("sd1")))
    assert caught.value.code == "model-pickle"
    handle = read_controlnet(str(path), config=str(folder("sd1")), allow_pickle=True)
    with pool.lease(handle) as net:
        assert torch.equal(net.conv_in.weight, weights("sd1")["conv_in.weight"])
