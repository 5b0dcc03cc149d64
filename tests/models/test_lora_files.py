"""LoRA files as they come: spellings, other models' files, damaged and hostile ones."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.patches.files import find_file
from sdgraph.models.patches.keys import read_entries
from sdgraph.models.patches.lora import lora_fingerprint, read_lora, with_lora
from sdgraph.models.patches.names import known_names
from sdgraph.models.pool import ModelPool
from tests.models.loras import Tensors, factors, kohya, layers, peft, write
from tests.models.reference import reference_pipeline


@pytest.fixture(scope="module")
def unet(tiny_folder: Path) -> Any:
    return reference_pipeline(tiny_folder).unet


def weights_with(pool: ModelPool, tiny: Checkpoint, path: Path, strength: float = 1.0) -> dict[str, torch.Tensor]:
    found = with_lora(tiny.denoiser, None, str(path), strength, 0.0)
    assert found.warning is None
    with pool.lease(found.denoiser) as model:
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def respelled(tensors: Tensors, *changes: tuple[str, str]) -> Tensors:
    found = Tensors()
    for key, tensor in tensors.items():
        for old, new in changes:
            key = key.replace(old, new)
        found[key] = tensor
    return found


@pytest.mark.parametrize(
    ("prefix", "changes"),
    [
        ("unet.", ()),
        ("", ()),
        ("base_model.model.", ()),
        ("diffusion_model.", ()),
        ("unet.", ((".lora_A.weight", ".lora_A.default.weight"), (".lora_B.weight", ".lora_B.default.weight"))),
        ("unet.", ((".lora_A.", ".lora.down."), (".lora_B.", ".lora.up."))),
        ("unet.", ((".lora_A.", ".lora_down."), (".lora_B.", ".lora_up."))),
    ],
)
def test_every_spelling_of_a_lora_does_the_same(
    tiny: Checkpoint, pool: ModelPool, unet: Any, tmp_path: Path, prefix: str, changes: tuple[tuple[str, str], ...]
) -> None:
    found = layers(unet)
    plain = write(tmp_path / "kohya.safetensors", kohya("lora_unet_", found, alpha=3.0))
    other = write(tmp_path / "other.safetensors", respelled(peft(prefix, found), *changes))
    assert same(weights_with(pool, tiny, plain), weights_with(pool, tiny, other))


def test_names_of_the_original_unet_are_known(tiny: Checkpoint, pool: ModelPool, unet: Any, tmp_path: Path) -> None:
    original = {
        "input_blocks_0_0": "conv_in",
        "time_embed_2": "time_embedding.linear_2",
        "input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1",
        "input_blocks_1_1_proj_out": "down_blocks.0.attentions.0.proj_out",
        "input_blocks_2_0_op": "down_blocks.0.downsamplers.0.conv",
        "input_blocks_3_0_skip_connection": "down_blocks.1.resnets.0.conv_shortcut",
        "middle_block_0_emb_layers_1": "mid_block.resnets.0.time_emb_proj",
        "middle_block_1_proj_in": "mid_block.attentions.0.proj_in",
        "middle_block_2_out_layers_3": "mid_block.resnets.1.conv2",
        "output_blocks_1_1_conv": "up_blocks.0.upsamplers.0.conv",
        "output_blocks_2_1_proj_out": "up_blocks.1.attentions.0.proj_out",
        "out_2": "conv_out",
    }
    chosen = {name: layer for name, layer in layers(unet).items() if name in original.values()}
    assert len(chosen) == len(original)
    tensors = kohya("lora_unet_", chosen)
    flat = {module.replace(".", "_"): name for name, module in original.items()}
    renamed = {f"lora_unet_{flat[key.split('.')[0][10:]]}.{key.split('.', 1)[1]}": t for key, t in tensors.items()}
    paths = write(tmp_path / "a.safetensors", tensors), write(tmp_path / "b.safetensors", renamed)
    assert same(*(weights_with(pool, tiny, path) for path in paths))


def test_names_of_sdxl_are_those_that_diffusers_knows() -> None:
    """Three blocks of two layers, as SDXL has; the first has no attention. From diffusers' conversion script."""
    pairs = {
        "down_blocks.0.resnets.1.conv1": "input_blocks_2_0_in_layers_2",
        "down_blocks.1.attentions.0.proj_in": "input_blocks_4_1_proj_in",
        "down_blocks.2.attentions.1.transformer_blocks.9.norm2": "input_blocks_8_1_transformer_blocks_9_norm2",
        "mid_block.attentions.0.transformer_blocks.3.ff.net.2": "middle_block_1_transformer_blocks_3_ff_net_2",
        "up_blocks.0.attentions.2.proj_out": "output_blocks_2_1_proj_out",
        "up_blocks.0.upsamplers.0.conv": "output_blocks_2_2_conv",
        "up_blocks.2.resnets.0.conv_shortcut": "output_blocks_6_0_skip_connection",
        "add_embedding.linear_1": "label_emb_0_0",
    }
    shapes = {f"{module}.weight": (4, 4) for module in (*pairs, "down_blocks.0.resnets.0.conv1")}
    names = known_names(shapes)
    for module, original in pairs.items():
        assert [rows.module for rows in names[original]] == [module]


def test_a_fused_projection_changes_its_parts(unet: Any) -> None:
    shapes = {f"transformer_blocks.0.attn.to_{part}.weight": (4, 4) for part in "qkv"}
    single = {f"single_transformer_blocks.1.{name}.weight": (rows, 4) for name, rows in
              (("attn.to_q", 4), ("attn.to_k", 4), ("attn.to_v", 4), ("proj_mlp", 16))}  # fmt: skip
    names = known_names({**shapes, **single, "norm_out.linear.weight": (8, 4), "proj_out.weight": (4, 4)})
    for fused in ("double_blocks_0_img_attn_qkv", "joint_blocks_0_x_block_attn_qkv"):
        assert [rows.module[-4:] for rows in names[fused]] == ["to_q", "to_k", "to_v"]
    assert [rows.stop for rows in names["single_blocks_1_linear1"]] == [4, 4, 4, 16]
    assert [(rows.start, rows.stop) for rows in names["final_layer_adaLN_modulation_1"]] == [(4, 8), (0, 4)]


def test_loha_lokr_ia3_and_differences_change_the_weights_as_their_formulas_say(
    tiny: Checkpoint, pool: ModelPool, unet: Any, tmp_path: Path
) -> None:
    name = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    weight = unet.get_parameter(f"{name}.weight").detach()
    rows, columns = weight.shape
    flat, r = "lora_unet_" + name.replace(".", "_"), torch.randn
    torch.manual_seed(0)
    loha = {f"hada_w{n}_{side}": r(*shape) for n in (1, 2) for side, shape in (("a", (rows, 2)), ("b", (2, columns)))}
    lokr = {"lokr_w1": r(4, 4), "lokr_w2": r(rows // 4, columns // 4)}
    ia3, bias = r(rows), r(columns)
    out = f"lora_unet_{name.removesuffix('to_q').replace('.', '_')}to_out_0"
    cases: list[tuple[Tensors, torch.Tensor]] = [
        (
            {**{f"{flat}.{part}": value for part, value in loha.items()}, f"{flat}.alpha": torch.tensor(1.0)},
            weight + 0.5 * (loha["hada_w1_a"] @ loha["hada_w1_b"]) * (loha["hada_w2_a"] @ loha["hada_w2_b"]),
        ),
        (
            {f"{flat}.{part}": value for part, value in lokr.items()},
            weight + torch.kron(lokr["lokr_w1"], lokr["lokr_w2"]),
        ),
        ({f"{flat}.weight": ia3[:, None], f"{flat}.on_input": torch.tensor(False)}, weight * (1 + ia3[:, None])),
        ({f"{flat}.diff": ia3[:, None] * weight, f"{out}.diff_b": bias}, weight + ia3[:, None] * weight),
    ]
    found: dict[str, torch.Tensor] = {}
    for number, (tensors, expected) in enumerate(cases):
        path = write(tmp_path / f"{number}.safetensors", tensors)
        found = weights_with(pool, tiny, path)
        assert torch.allclose(found[f"{name}.weight"], expected, atol=1e-5)
    plain_bias = unet.get_parameter(name.removesuffix("to_q") + "to_out.0.bias").detach()
    assert torch.allclose(found[name.removesuffix("to_q") + "to_out.0.bias"], plain_bias + bias, atol=1e-6)


def test_a_strength_of_zero_is_the_base_and_reads_no_file(tiny: Checkpoint, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.safetensors")
    found = with_lora(tiny.denoiser, tiny.text_encoder, missing, 0.0, 0.0)
    assert (found.denoiser, found.text_encoder) == (tiny.denoiser, tiny.text_encoder)


def test_a_part_that_the_file_does_not_change_keeps_its_handle(tiny: Checkpoint, unet: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "unet.safetensors", kohya("lora_unet_", layers(unet)))
    found = with_lora(tiny.denoiser, tiny.text_encoder, str(path), 0.5, 0.5)
    assert [patch.strength for patch in found.denoiser.patches] == [0.5]
    assert found.text_encoder == tiny.text_encoder


def test_a_file_is_known_by_its_content(unet: Any, tmp_path: Path) -> None:
    one = write(tmp_path / "one.safetensors", kohya("lora_unet_", layers(unet)))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "two.safetensors").write_bytes(one.read_bytes())
    other = write(tmp_path / "other.safetensors", kohya("lora_unet_", layers(unet), seed=1))
    assert lora_fingerprint(str(one)) == lora_fingerprint(str(folder))
    assert lora_fingerprint(str(one)) != lora_fingerprint(str(other))


def sdxl_like(unet: Any) -> Tensors:
    """A LoRA of the same modules whose cross-attention reads 2048 numbers."""
    tensors = kohya("lora_unet_", layers(unet))
    return {
        key: torch.randn(3, 2048) if key.endswith(("attn2_to_k.lora_down.weight", "attn2_to_v.lora_down.weight")) else t
        for key, t in tensors.items()
    }


def test_a_lora_of_another_family_is_refused_in_words(tiny: Checkpoint, unet: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "xl.safetensors", sdxl_like(unet))
    with pytest.raises(ModelError, match=r"made for SDXL \(.* 2048 numbers\), but .* reads 32\.") as caught:
        with_lora(tiny.denoiser, None, str(path), 1.0, 0.0)
    assert caught.value.code == "lora-mismatch"
    flux = {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": torch.zeros(2, 8)}
    flux["lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight"] = torch.zeros(24, 2)
    with pytest.raises(ModelError, match=r"made for FLUX\.1.* 1 of its 1 changes"):
        with_lora(tiny.denoiser, None, str(write(tmp_path / "flux.safetensors", flux)), 1.0, 0.0)


def test_a_lora_of_other_shapes_is_refused_on_lease_too(tiny: Checkpoint, unet: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "good.safetensors", kohya("lora_unet_", layers(unet)))
    handle = with_lora(tiny.denoiser, None, str(path), 1.0, 0.0).denoiser
    pool = ModelPool(load=lambda handle, device: torch.nn.Sequential(torch.nn.Linear(4, 4)))
    with pytest.raises(ModelError, match="lora-mismatch"), pool.lease(handle):
        pass


def test_some_changes_that_fit_nothing_are_a_warning_with_examples(tiny: Checkpoint, unet: Any, tmp_path: Path) -> None:
    tensors = kohya("lora_unet_", layers(unet))
    tensors |= {
        "lora_unet_extra.lora_down.weight": torch.zeros(2, 4),
        "lora_unet_extra.lora_up.weight": torch.zeros(4, 2),
    }
    tensors["mystery"] = torch.zeros(1)
    path = write(tmp_path / "partial.safetensors", tensors)
    found = with_lora(tiny.denoiser, None, str(path), 1.0, 0.0)
    assert found.warning is not None
    assert (found.warning.code, found.warning.severity) == ("lora-partial", "warning")
    assert "2 changes" in found.warning.message
    assert "`lora_unet_extra.lora_down.weight`, `mystery`" in found.warning.message


def test_a_checkpoint_is_no_lora(tiny: Checkpoint, tiny_folder: Path) -> None:
    file = next((tiny_folder / "unet").glob("*.safetensors"))
    with pytest.raises(ModelError, match="none of a LoRA in a known format") as caught:
        with_lora(tiny.denoiser, None, str(file), 1.0, 0.0)
    assert caught.value.code == "lora-unknown"


def test_pickles_are_refused_and_never_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    for suffix in (".pt", ".bin", ".ckpt"):
        path = tmp_path / f"lora{suffix}"
        path.write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(ModelError, match="model-pickle"):
            read_lora(str(path))
    assert not (tmp_path / "exploded").exists()


def damaged_files(path: Path) -> dict[str, bytes]:
    good = path.read_bytes()
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])
    entry = next(value for name, value in header.items() if name != "__metadata__")
    entry["shape"] = [2**40, 2**20]
    wrong = json.dumps(header).encode()
    return {
        "cut": good[:-5],
        "empty": b"",
        "header": good[:8] + b"[" + good[9:],
        "huge": (2**63).to_bytes(8, "little") + good[8:],
        "shape": len(wrong).to_bytes(8, "little") + wrong + good[8 + length :],
    }


@pytest.mark.parametrize("how", ["cut", "empty", "header", "huge", "shape"])
def test_damaged_files_are_refused(unet: Any, tmp_path: Path, how: str) -> None:
    good = write(tmp_path / "good.safetensors", kohya("lora_unet_", layers(unet, ends=("to_q",))))
    path = tmp_path / "bad.safetensors"
    path.write_bytes(damaged_files(good)[how])
    with pytest.raises(ModelError, match="model-damaged"):
        read_lora(str(path))


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("lora_up.weight", torch.zeros(16, 5), "don't fit each other"),
        ("lora_down.weight", torch.zeros(3, 0), "don't fit each other"),
        ("lora_down.weight", torch.full((3, 16), float("nan")), "not finite"),
        ("alpha", torch.zeros(2), "no single number"),
        ("alpha", torch.tensor(float("inf")), "not finite"),
    ],
)
def test_parts_that_cannot_be_are_refused(
    tiny: Checkpoint, pool: ModelPool, unet: Any, tmp_path: Path, part: str, value: torch.Tensor, said: str
) -> None:
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    tensors = kohya("lora_unet_", {name: unet.get_submodule(name)})
    key = next(key for key in tensors if key.endswith(part))
    path = write(tmp_path / "bad.safetensors", {**tensors, key: value})
    with pytest.raises(ModelError, match=said) as caught:
        weights_with(pool, tiny, path)
    assert caught.value.code == "model-damaged"


def test_references_lead_to_files_in_folders_or_by_their_names(unet: Any, tmp_path: Path) -> None:
    tensors = kohya("lora_unet_", layers(unet, ends=("to_q",)))
    usual = write(tmp_path / "pytorch_lora_weights.safetensors", tensors)
    assert find_file(str(tmp_path)) == usual
    other = write(tmp_path / "other.safetensors", tensors)
    assert find_file(str(tmp_path)) == usual
    assert find_file(str(other)) == other
    assert find_file("builtin:shapes/lora_neon/pytorch_lora_weights.safetensors") == find_file(
        "builtin:shapes/lora_neon"
    )
    usual.unlink()
    write(tmp_path / "third.safetensors", tensors)
    for source, code in (
        (str(tmp_path), "model-kind-unsupported"),
        (str(tmp_path / "no.safetensors"), "model-missing"),
        ("builtin:shapes/none", "model-missing"),
        ("builtin:shapes/none.safetensors", "model-missing"),
        ("", "model-source"),
    ):
        with pytest.raises(ModelError) as caught:
            find_file(source)
        assert caught.value.code == code


def test_keys_that_say_nothing_known_are_told_apart() -> None:
    entries, unknown = read_entries(["a.lora_down.weight", "a.lora_up.weight", "b.lora_up.weight", "c.alpha", "d"])
    assert [entry.module for entry in entries] == ["a"]
    assert unknown == ("d", "b.lora_up.weight", "c.alpha")


def test_the_shipped_lora_fits_the_shipped_model() -> None:
    found = read_lora("builtin:shapes/lora_neon")
    assert found.unknown == ()
    assert found.conditioning_width == 160
    assert all(tensor.dtype == torch.float16 for tensor in load_file(str(found.file.path)).values())


def test_handles_with_patches_differ_only_there(tiny: Checkpoint, unet: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "lora.safetensors", kohya("lora_unet_", layers(unet)))
    first = with_lora(tiny.denoiser, None, str(path), 1.0, 0.0).denoiser
    second = with_lora(first, None, str(path), 0.5, 0.0).denoiser
    assert [patch.strength for patch in second.patches] == [1.0, 0.5]
    assert replace(second, patches=()) == tiny.denoiser
    assert factors(unet.conv_in, 2, torch.Generator())[0].shape == (2, 4, 3, 3)
