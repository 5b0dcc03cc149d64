"""Pictures with LoRAs, against `load_lora_weights` of diffusers (which leaves the weights and adds on the way)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.patches.lora import with_lora
from sdgraph.models.pool import ModelPool
from sdgraph.models.quiet import quiet
from tests.models.loras import Tensors, kohya, layers, peft, with_magnitudes, write
from tests.models.reference import reference_pipeline
from tests.models.test_parity_with_diffusers import SCALE, ddim, difference, draw, reference

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


def drawn_with(tiny: Checkpoint, pool: ModelPool, *loras: tuple[Path, float, float]) -> Any:
    denoiser, text_encoder = tiny.denoiser, tiny.text_encoder
    for path, strength, text_strength in loras:
        found = with_lora(denoiser, text_encoder, str(path), strength, text_strength)
        assert found.warning is None
        assert found.text_encoder is not None
        denoiser, text_encoder = found.denoiser, found.text_encoder
    return draw(Checkpoint(denoiser, text_encoder, tiny.vae), pool, "ddim")


def pipeline_with(folder: Path, *loras: tuple[Path, float], text: float | None = None) -> Any:
    pipeline = reference_pipeline(folder)
    with quiet():
        for number, (path, _) in enumerate(loras):
            pipeline.load_lora_weights(str(path), adapter_name=f"lora{number}")
        names = [f"lora{number}" for number in range(len(loras))]
        strengths: list[Any] = [strength for _, strength in loras]
        if text is not None:
            strengths = [{"unet": strength, "text_encoder": text} for strength in strengths]
        pipeline.set_adapters(names, strengths)
    return pipeline


def expected(pipeline: Any) -> Any:
    return reference(pipeline, ddim(pipeline), guidance_scale=SCALE)


@pytest.fixture
def parts(tiny_folder: Path) -> Any:
    return reference_pipeline(tiny_folder)


def kohya_both(parts: Any) -> Tensors:
    text = layers(parts.text_encoder, ends=("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"))
    named = {f"text_model.{name}": layer for name, layer in text.items()}
    return kohya("lora_unet_", layers(parts.unet), seed=1) | kohya("lora_te_", named, seed=2)


def test_a_kohya_lora_with_convolutions_and_text_encoder_draws_what_diffusers_does(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, parts: Any, tmp_path: Path
) -> None:
    path = write(tmp_path / "kohya.safetensors", kohya_both(parts))
    for strength, text in ((1.0, 1.0), (0.6, 0.3)):
        found = drawn_with(tiny, pool, (path, strength, text))
        wanted = expected(pipeline_with(tiny_folder, (path, strength), text=text))
        assert difference(found, wanted) <= 1e-4
        assert difference(draw(tiny, pool, "ddim"), wanted) > 1e-2


def test_a_peft_lora_draws_what_diffusers_does(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, parts: Any, tmp_path: Path
) -> None:
    text = {f"text_model.{name}": layer for name, layer in layers(parts.text_encoder, ends=("q_proj",)).items()}
    tensors = peft("unet.", layers(parts.unet, ends=ATTENTION)) | peft("text_encoder.", text, seed=3)
    path = write(tmp_path / "peft.safetensors", tensors)
    found = drawn_with(tiny, pool, (path, 1.0, 1.0))
    assert difference(found, expected(pipeline_with(tiny_folder, (path, 1.0)))) <= 1e-4


def test_the_alpha_in_the_metadata_that_diffusers_writes_counts(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, parts: Any, tmp_path: Path
) -> None:
    tensors = peft("unet.", layers(parts.unet, ends=ATTENTION))
    settings = {"unet.r": 3, "unet.lora_alpha": 6, "unet.target_modules": list(ATTENTION)}
    path = write(tmp_path / "metadata.safetensors", tensors, lora_adapter_metadata=settings, format="pt")
    found = drawn_with(tiny, pool, (path, 1.0, 1.0))
    assert difference(found, expected(pipeline_with(tiny_folder, (path, 1.0)))) <= 1e-4
    plain = write(tmp_path / "plain.safetensors", tensors)
    assert (
        difference(drawn_with(tiny, pool, (plain, 2.0, 1.0)), expected(pipeline_with(tiny_folder, (path, 1.0)))) <= 1e-4
    )


def test_an_old_attention_processor_lora_draws_what_diffusers_does(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, parts: Any, tmp_path: Path
) -> None:
    tensors: Tensors = {}
    for key, tensor in peft("unet.", layers(parts.unet, ends=ATTENTION)).items():
        name = key.replace(".to_out.0.", ".to_out.").replace(".lora_A.", "_lora.down.").replace(".lora_B.", "_lora.up.")
        module, _, rest = name.rpartition(".to_")
        tensors[f"{module}.processor.to_{rest}"] = tensor
    path = write(tmp_path / "old.safetensors", tensors)
    found = drawn_with(tiny, pool, (path, 1.0, 1.0))
    assert difference(found, expected(pipeline_with(tiny_folder, (path, 1.0)))) <= 1e-4


def test_a_dora_draws_what_diffusers_does(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, parts: Any, tmp_path: Path
) -> None:
    found_layers = layers(parts.unet, ends=ATTENTION)
    tensors = with_magnitudes(peft("unet.", found_layers), found_layers, "unet.{1}.lora_magnitude_vector")
    path = write(tmp_path / "dora.safetensors", tensors)
    found = drawn_with(tiny, pool, (path, 1.0, 1.0))
    wanted = expected(pipeline_with(tiny_folder, (path, 1.0)))
    assert difference(found, wanted) <= 1e-4
    without = {key: tensor for key, tensor in tensors.items() if "magnitude" not in key}
    plain = write(tmp_path / "lora.safetensors", without)
    assert difference(drawn_with(tiny, pool, (plain, 1.0, 1.0)), wanted) > 1e-3


def test_several_loras_draw_what_diffusers_does(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, parts: Any, tmp_path: Path
) -> None:
    first = write(tmp_path / "first.safetensors", kohya("lora_unet_", layers(parts.unet), seed=7))
    second = write(tmp_path / "second.safetensors", peft("unet.", layers(parts.unet, ends=ATTENTION), seed=8))
    found = drawn_with(tiny, pool, (first, 0.7, 1.0), (second, -0.4, 1.0))
    assert difference(found, expected(pipeline_with(tiny_folder, (first, 0.7), (second, -0.4)))) <= 1e-4
