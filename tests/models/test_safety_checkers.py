"""Safety checkers hide what they find, each picture judged alone, as diffusers' pipelines do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from safetensors.torch import load_file, save_file
from sdgraph_nodes.safety import CheckSafety, LoadSafetyChecker

from sdgraph.errors import ModelError
from sdgraph.models.image_encoder import preprocessed
from sdgraph.models.pool import ModelPool
from sdgraph.models.quiet import quiet
from sdgraph.models.safety_checker import flagged, read_safety_checker
from sdgraph.models.source import resolve
from sdgraph.payloads.image import Image
from tests.toys import RecordingContext

TINY = "synthetic:sd15-tiny/safety_checker"


def pictures(count: int = 12) -> Image:
    generator = np.random.default_rng(7)
    flat = generator.random((count, 3, 1, 1), dtype=np.float32)
    noise = generator.standard_normal((count, 3, 40, 40), dtype=np.float32)
    return Image(np.clip(flat + np.float32(0.5) * noise, 0, 1).astype(np.float32))


def with_threshold(folder: Path, value: float) -> str:
    """The checker with another threshold of all concepts: -2 finds something in every picture, 2 in none."""
    folder.mkdir()
    for path in resolve(TINY).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    weights["concept_embeds_weights"].fill_(value)
    weights["special_care_embeds_weights"].fill_(2.0)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


@pytest.fixture
def splitting(pool: ModelPool, tmp_path: Path) -> str:
    """The checker with a threshold that some of `pictures()` are above and some below."""
    handle = read_safety_checker(TINY)
    with pool.lease(handle, "cpu") as model, torch.no_grad():
        seen = model.visual_projection(model.vision_model(preprocessed(handle, pictures()))[1])
        likeness = torch.nn.functional.cosine_similarity(seen[:, None], model.concept_embeds[None], dim=-1)
    highest = likeness.max(dim=1).values.sort().values
    widest = int(highest.diff().argmax())
    return with_threshold(tmp_path / "splitting", float(highest[widest : widest + 2].mean()))


def check(source: str, image: Image) -> tuple[Any, RecordingContext]:
    load: Any = LoadSafetyChecker(source=source)
    ctx = RecordingContext(ModelPool())
    node: Any = CheckSafety(checker=load.run(ctx).checker, image=image)
    return node.run(ctx), ctx


def test_pictures_are_judged_as_diffusers_judges_them(pool: ModelPool, splitting: str) -> None:
    handle, image = read_safety_checker(splitting), pictures()
    with quiet():
        own: Any = StableDiffusionSafetyChecker.from_pretrained(splitting)
        blank = [np.ones((4, 4, 3), np.float32) for _ in range(image.batch)]
        _, expected = own(clip_input=preprocessed(handle, image), images=blank)
    with pool.lease(handle, "cpu") as model:
        found = flagged(model, handle, image)
    assert found == tuple(expected)
    assert len(set(found)) == 2  # some are found and some are not


def test_a_configuration_may_leave_out_what_clip_has_anyway(tmp_path: Path) -> None:
    """As transformers 4 wrote those of many models."""
    folder = Path(with_threshold(tmp_path / "short", 0.5))
    config = json.loads((folder / "config.json").read_text())
    del config["vision_config"]["image_size"]
    (folder / "config.json").write_text(json.dumps(config))
    assert read_safety_checker(str(folder)).image_px == 224


def test_what_is_found_is_black_and_the_rest_is_untouched(pool: ModelPool, splitting: str) -> None:
    image = pictures()
    out, ctx = check(splitting, image)
    with pool.lease(read_safety_checker(splitting), "cpu") as model:
        flags = np.array(flagged(model, read_safety_checker(splitting), image))
    assert not out.image.pixels[flags].any()
    assert np.array_equal(out.image.pixels[~flags], image.pixels[~flags])
    assert out.found == flags.sum()
    (warning,) = ctx.warnings
    assert (warning.code, warning.severity) == ("picture-hidden", "warning")
    assert f"{flags.sum()} of 12" in warning.message


@pytest.mark.parametrize(("threshold", "found"), [(2.0, 0), (-2.0, 3)])
def test_the_threshold_decides(tmp_path: Path, threshold: float, found: int) -> None:
    image = pictures(3)
    out, ctx = check(with_threshold(tmp_path / "checker", threshold), image)
    assert (out.found, len(ctx.warnings)) == (found, found > 0)
    assert np.array_equal(out.image.pixels, image.pixels if not found else np.zeros_like(image.pixels))


def test_a_picture_does_not_depend_on_its_batch(pool: ModelPool, splitting: str) -> None:
    handle, image = read_safety_checker(splitting), pictures()
    with pool.lease(handle, "cpu") as model:
        together = flagged(model, handle, image)
        alone = tuple(flagged(model, handle, Image(image.pixels[i : i + 1].copy()))[0] for i in range(image.batch))
    assert together == alone


def test_the_checker_of_a_model_is_found_in_its_folder() -> None:
    assert read_safety_checker("synthetic:sd15-tiny").fingerprint == read_safety_checker(TINY).fingerprint


def test_without_the_checker_there_is_no_picture(tmp_path: Path) -> None:
    source = with_threshold(tmp_path / "checker", 2.0)
    load: Any = LoadSafetyChecker(source=source)
    handle = load.run(RecordingContext()).checker
    (tmp_path / "checker" / "model.safetensors").write_bytes(b"damaged")
    node: Any = CheckSafety(checker=handle, image=pictures(1))
    with pytest.raises(ModelError) as caught:
        node.run(RecordingContext(ModelPool()))
    assert caught.value.code == "model-damaged"


def test_another_model_is_one_clear_error() -> None:
    with pytest.raises(ModelError, match="StableDiffusionSafetyChecker") as caught:
        read_safety_checker("synthetic:sd15-tiny/image_encoder")
    assert caught.value.code == "model-kind-unsupported"
