"""The judge must be right about pictures that are known before it may judge any that are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.shapes.drawing import draw, scene_mask
from training.shapes.judge import foreground_mask, judge
from training.shapes.libraries import AutoencoderKL
from training.shapes.pictures import to_pictures, to_tensor
from training.shapes.world import COLOURS, INVERSE, SHAPES, Scene, sample_split

CASES = 150
SHIPPED = Path(__file__).resolve().parents[2] / "sdgraph" / "assets" / "shapes"


def held_out(pair_share: float) -> list[Scene]:
    rng = np.random.default_rng([11, round(pair_share)])
    return [sample_split(rng, held_out=True, pair_share=pair_share) for _ in range(CASES)]


@pytest.mark.parametrize("pair_share", [0.0, 1.0])
def test_the_judge_is_right_about_drawn_pictures(pair_share: float) -> None:
    verdicts = [judge(scene, draw(scene)) for scene in held_out(pair_share)]
    assert np.mean([verdict.correct for verdict in verdicts]) >= 0.99
    assert np.mean([verdict.background for verdict in verdicts]) >= 0.99


@pytest.mark.parametrize("image_px", [96, 128])
def test_the_judge_is_right_at_other_sizes(image_px: int) -> None:
    scenes = held_out(1.0)[:40]
    assert all(judge(scene, draw(scene, image_px)).correct for scene in scenes)


def test_the_judge_sees_through_blur_and_noise() -> None:
    rng = np.random.default_rng(12)
    noisy = [
        np.clip(draw(scene) + rng.normal(0.0, 4.0, (64, 64, 3)), 0, 255).astype(np.uint8) for scene in held_out(0.0)
    ]
    right = [judge(scene, picture).correct for scene, picture in zip(held_out(0.0), noisy, strict=True)]
    assert np.mean(right) >= 0.98


def test_the_judge_rejects_a_wrong_colour_a_wrong_shape_and_a_wrong_relation() -> None:
    for scene in held_out(1.0)[:30]:
        picture = draw(scene)
        first, second = scene.objects
        assert scene.relation is not None
        colour = next(name for name in COLOURS if name not in (first.colour, second.colour))
        shape = next(name for name in SHAPES if name not in (first.shape, second.shape))
        assert not judge(replace(scene, objects=(replace(first, colour=colour), second)), picture).objects
        assert not judge(replace(scene, objects=(replace(first, shape=shape), second)), picture).objects
        assert not judge(replace(scene, relation=INVERSE[scene.relation]), picture).relation


def test_swapped_colours_are_not_taken_for_the_objects() -> None:
    scenes = [scene for scene in held_out(1.0) if len({obj.colour for obj in scene.objects}) == 2]
    for scene in [scene for scene in scenes if len({obj.shape for obj in scene.objects}) == 2][:20]:
        first, second = scene.objects
        swapped = (replace(first, colour=second.colour), replace(second, colour=first.colour))
        verdict = judge(replace(scene, objects=swapped), draw(scene))
        assert verdict.colours
        assert verdict.shapes
        assert not verdict.objects


def test_the_judge_is_right_after_a_round_trip_through_the_shipped_autoencoder() -> None:
    vae = AutoencoderKL.from_pretrained(SHIPPED / "vae", dtype=torch.float32).eval()
    scenes = held_out(1.0)[:60]
    with torch.inference_mode():
        latents = vae.encode(to_tensor(np.stack([draw(scene) for scene in scenes]))).latent_dist.mean
        pictures = to_pictures(vae.decode(latents).sample)
    right = [judge(scene, picture).correct for scene, picture in zip(scenes, pictures, strict=True)]
    assert np.mean(right) >= 0.95


def test_an_empty_picture_and_a_missing_object_are_wrong() -> None:
    scene = held_out(1.0)[0]
    assert not judge(scene, np.full((64, 64, 3), 200, np.uint8)).correct
    assert not judge(scene, draw(replace(scene, objects=scene.objects[:1]))).count


def test_the_foreground_is_where_the_objects_were_drawn() -> None:
    for scene in held_out(1.0)[:40]:
        seen, drawn = foreground_mask(draw(scene)), scene_mask(scene)
        assert (seen & drawn).sum() / (seen | drawn).sum() > 0.75
