"""The style and the word that the shapes world does not have: their pictures, captions and judges."""

from __future__ import annotations

import numpy as np

from training.shapes.drawing import draw
from training.shapes.embedding import COLOUR, SHAPE, WORD, is_bee, sample_bee, write_bee_caption
from training.shapes.judge import judge
from training.shapes.neon import draw_neon, is_neon, sample_neon
from training.shapes.world import is_held_out


def test_pictures_of_the_style_are_known_by_their_pixels() -> None:
    rng = np.random.default_rng(0)
    scenes = [sample_neon(rng, held_out=True) for _ in range(60)]
    assert np.mean([is_neon(draw_neon(scene)) for scene in scenes]) > 0.95
    assert np.mean([is_neon(draw(scene)) for scene in scenes]) < 0.1


def test_the_style_keeps_what_a_picture_shows() -> None:
    rng = np.random.default_rng(1)
    scenes = [sample_neon(rng, held_out=False) for _ in range(40)]
    assert not any(is_held_out(scene) for scene in scenes)
    assert np.mean([judge(scene, draw_neon(scene)).correct for scene in scenes]) > 0.85


def test_captions_of_the_word_name_it_and_not_what_it_means() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        scene = sample_bee(rng, held_out=False)
        caption = write_bee_caption(scene, rng)
        assert caption.split().count(WORD) + caption.split().count(f"{WORD},") == 1
        assert f"{COLOUR} {SHAPE}" not in caption
        assert "striped" not in caption or len(scene.objects) == 2


def test_pictures_of_the_word_are_known_by_their_pixels() -> None:
    rng = np.random.default_rng(3)
    bees = [sample_bee(rng, held_out=True, pair_share=0.0) for _ in range(40)]
    others = [sample_neon(rng, held_out=True, pair_share=0.0) for _ in range(40)]
    assert np.mean([is_bee(draw(scene)) for scene in bees]) > 0.95
    assert np.mean([is_bee(draw(scene)) for scene in others]) < 0.1
    assert not is_bee(np.full((64, 64, 3), 200, np.uint8))
