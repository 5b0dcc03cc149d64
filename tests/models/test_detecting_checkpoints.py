"""What a file is shows in its tensors, whatever their order and whatever else is in the file."""

from __future__ import annotations

import json
import math
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from sdgraph.errors import ModelError
from sdgraph.models.detect import Shapes, detect_checkpoint
from sdgraph.models.header import read_header
from sdgraph.models.shipped_configs import shipped_config
from tests.models.family_references import TINY
from tests.models.original_layout import original_weights

UNET = "model.diffusion_model."


@cache
def shapes_of(name: str, *leave_out: str) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in original_weights(name, leave_out).items()}


def what_is(shapes: Shapes) -> str:
    with pytest.raises(ModelError) as caught:
        detect_checkpoint(shapes, "file")
    assert caught.value.code == "model-kind-unsupported"
    return caught.value.problem.message


names = st.sampled_from(sorted(TINY))
junk = st.dictionaries(
    st.text(st.characters(codec="ascii"), max_size=8).map("extra.{}".format), st.just((3,)), max_size=5
)


@settings(deadline=None, max_examples=40)
@given(name=names, more=junk, data=st.data())
def test_neither_order_nor_extra_tensors_change_the_kind(name: str, more: dict[str, Any], data: st.DataObject) -> None:
    shapes = list({**shapes_of(name), **more}.items())
    found = detect_checkpoint(dict(data.draw(st.permutations(shapes))), "file")
    assert found.config == name
    assert found == detect_checkpoint(shapes_of(name), "file")
    assert found.family == name.removesuffix("_schnell")


@pytest.mark.parametrize("name", TINY)
def test_a_denoiser_is_known_with_and_without_its_prefix(name: str) -> None:
    denoiser = {key: shape for key, shape in shapes_of(name).items() if key.startswith(UNET)}
    bare = {key.removeprefix(UNET): shape for key, shape in denoiser.items()}
    if name.startswith("sdxl"):
        # Alone, base and refiner differ in the numbers about the picture that they take.
        bare["label_emb.0.0.weight"] = (1280, 2816 if name == "sdxl" else 2560)
    found = detect_checkpoint(bare, "file")
    assert (found.config, found.denoiser, found.vae) == (name, "", None)


def without_middle(name: str) -> Shapes:
    return {key: shape for key, shape in shapes_of(name).items() if "middle_block.1" not in key}


def with_inputs(name: str, key: str, channels: int) -> Shapes:
    old = shapes_of(name)[UNET + key]
    return {**shapes_of(name), UNET + key: (old[0], channels, *old[2:])}


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ({}, "an empty file"),
        ({"lora_unet_mid.lora_down.weight": (4, 8), "lora_unet_mid.alpha": ()}, "a LoRA"),
        ({"transformer.x.lora_A.weight": (4, 8)}, "a LoRA"),
        ({"lora_unet_mid.hada_w1_a": (4, 8)}, "a LyCORIS"),
        ({"emb_params": (2, 768)}, "a textual inversion"),
        ({"clip_l": (2, 768), "clip_g": (2, 1280)}, "a textual inversion"),
        ({"control_model.input_hint_block.0.weight": (16, 3, 3, 3)}, "a ControlNet"),
        ({"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}, "a ControlNet"),
        ({"edm_mean": (4,), "edm_std": (4,)}, "a model in EDM's formulation"),
        ({"edm_vpred.sigma_max": ()}, "a model in EDM's formulation"),
        ({"pos_embed_input.weight": (1, 1), "controlnet_blocks.0.weight": (1, 1)}, "a ControlNet"),
        ({"image_proj.proj.weight": (1, 1), "ip_adapter.1.to_k_ip.weight": (1, 1)}, "an IP-Adapter"),
        ({"adapter.body.0.resnets.0.block1.weight": (1, 1, 3, 3)}, "a T2I-Adapter"),
        ({"down_blocks.0.motion_modules.0.x.weight": (1, 1)}, "a motion module"),
        ({"patch_embedding.weight": (5120, 16, 1, 2, 2)}, "a video model"),
        (with_inputs("sd1", "input_blocks.0.0.weight", 8), "InstructPix2Pix"),
        (with_inputs("sd2", "input_blocks.0.0.weight", 7), "an upscaler"),
        (with_inputs("sd2", "input_blocks.0.0.weight", 5), "a depth-to-image model"),
        (with_inputs("flux", "img_in.weight", 384), "FLUX.1 Fill"),
        (with_inputs("flux", "img_in.weight", 128), "a FLUX.1 Control model"),
        ({**shapes_of("flux"), f"{UNET}distilled_guidance_layer.in_proj.weight": (1, 1)}, "Chroma"),
        ({"double_stream_modulation_img.lin.weight": (1, 1)}, "FLUX.2"),
        (without_middle("sdxl"), "a distilled SDXL"),
        (shapes_of("sd1", "unet", "text_encoder"), "an autoencoder (VAE) alone"),
        ({"decoder.conv_in.weight": (1,), "encoder.conv_in.weight": (1,)}, "an autoencoder (VAE) alone"),
        ({"encoder.layers.0.weight": (1,), "decoder.layers.0.weight": (1,)}, "a tiny autoencoder"),
        ({"conv_in.weight": (1,), "down_blocks.0.resnets.0.conv1.weight": (1,)}, "in the diffusers layout"),
        ({"text_model.encoder.layers.0.mlp.fc1.weight": (1,)}, "a text encoder alone"),
        ({"encoder.block.0.layer.0.SelfAttention.q.weight": (1,)}, "a text encoder alone"),
        ({"vision_model.encoder.layers.0.mlp.fc1.weight": (1,)}, "an image encoder"),
        ({"something": (1,), "else": (2,)}, "of an unknown kind (2 tensors, such as `else`, `something`)"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_what_is_no_checkpoint_is_named(shapes: Shapes, expected: str) -> None:
    assert expected in what_is(shapes)


@pytest.mark.parametrize(
    ("extra", "config"),
    [
        ({}, "sd3"),
        ({"x_block.attn.ln_q.weight": (64,)}, "sd35_large"),
        ({"x_block.attn.ln_q.weight": (64,), "x_block.attn2.qkv.weight": (1, 1)}, "sd35_medium"),
    ],
)
def test_the_models_of_the_sd3_family_differ_in_their_attention(extra: Shapes, config: str) -> None:
    shapes = {**shapes_of("sd3"), **{f"{UNET}joint_blocks.0.{name}": shape for name, shape in extra.items()}}
    found = detect_checkpoint(shapes, "file")
    assert (found.family, found.config) == ("sd3", config)


def test_every_shipped_configuration_is_whole() -> None:
    for config in ("sd1", "sd2", "sdxl", "sdxl_refiner", "sd3", "sd35_medium", "sd35_large", "flux", "flux_schnell"):
        folder = shipped_config(config)  # pyright: ignore[reportArgumentType]
        index = json.loads((folder / "model_index.json").read_bytes())
        for part, (library, _) in ((part, entry) for part, entry in index.items() if isinstance(entry, list)):
            if library is not None and not part.startswith("tokenizer"):
                assert list((folder / part).glob("*config.json")), f"{config}/{part}"


def header_bytes(entries: dict[str, Any] | str, data: bytes = b"") -> bytes:
    text = (entries if isinstance(entries, str) else json.dumps(entries)).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(shape: list[Any], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "content",
    [
        header_bytes({"a": entry([2], 0, 4)}, b"\0" * 4),
        header_bytes({"a": entry([-1, -1], 0, 4)}, b"\0" * 4),
        header_bytes({"a": entry([True], 0, 4)}, b"\0" * 4),
        header_bytes({"a": entry([1.0], 0, 4)}, b"\0" * 4),
        header_bytes({"a": entry([1], 4, 0)}, b"\0" * 4),
        header_bytes({"a": entry([1], 0, 4), "b": entry([1], 2, 6)}, b"\0" * 6),
        header_bytes({"a": entry([2**62, 4], 0, 2**66)}),
        header_bytes({"a": entry([1], 0, 4)}, b"\0" * 9),
        header_bytes({"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
        header_bytes("[" * 50_000),
        header_bytes('{"a": NaN}'),
        b"\xff" * 16,
        b"PK\x03\x04 a pickle's zip file",
    ],
)  # fmt: skip
def test_a_hostile_header_is_damage(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "evil.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_header(file)
    assert caught.value.code == "model-damaged"


@settings(deadline=None, max_examples=60)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.integers(0, 300))
def test_a_spoilt_header_is_damage_or_a_header(position: int, value: int, cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        save_file({"a": torch.zeros(2, 3), "b": torch.zeros(1)}, file)
        content = bytearray(file.read_bytes())
        content[position % len(content)] = value
        file.write_bytes(content[: len(content) - cut] if cut else content)
        code = "model-damaged"
        try:
            header = read_header(file)
        except ModelError as error:
            code = error.code
        else:
            assert sum(math.prod(shape) for shape in header.shapes.values()) <= file.stat().st_size
        assert code == "model-damaged"
