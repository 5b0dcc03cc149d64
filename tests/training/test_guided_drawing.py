"""The shipped ControlNets steer the shipped model: what is drawn lies where the control images say."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from benchmarks.adherence import (
    ASSETS,
    GUIDED,
    Sampling,
    control_image,
    held_out_cases,
    measure_guided,
    overlap,
    sample_pictures,
    shipped_kinds,
)

SAMPLING = Sampling(ASSETS, steps=8, guidance=3.0, seed=0)
CASES = held_out_cases(6, 0.5, seed=7)


@pytest.fixture(scope="module")
def unguided() -> float:
    """Mean overlap of what the captions alone draw."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pictures = sample_pictures(SAMPLING, [case.caption for case in CASES])
    return float(np.mean([overlap(picture, case.scene) for picture, case in zip(pictures, CASES, strict=True)]))


@pytest.mark.parametrize("kind", GUIDED)
@pytest.mark.filterwarnings("ignore")
def test_controls_alone_and_together_place_the_objects(kind: str, unguided: float) -> None:
    figures, shown = measure_guided(SAMPLING, CASES, kind)
    assert figures["mean_iou"] > max(0.6, unguided + 0.05)
    assert len(shown) == len(CASES) * (len(GUIDED[kind][0]) + 1)


def test_every_shipped_control_is_measured(tmp_path: Path) -> None:
    assert shipped_kinds(ASSETS) == ["single", "pair", *GUIDED, "seconds"]
    (tmp_path / "controlnet_canny").mkdir()
    assert shipped_kinds(tmp_path) == ["single", "pair", "canny", "seconds"]


def test_a_control_image_is_the_one_its_net_was_trained_on() -> None:
    edges, depth = (control_image(name, CASES[0]) for name in ("canny", "depth"))
    assert set(np.unique(edges)) == {0.0, 1.0}
    assert len(np.unique(depth)) > 10
