"""Detectors of the real package, with weights that were never trained: what is drawn is nothing, but all of it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdgraph.errors import ModelError
from sdgraph.models.preprocess.detectors import DETECTORS, detect
from sdgraph.models.quiet import quiet

PICTURES = np.random.default_rng(0).integers(0, 256, size=(2, 64, 96, 3), dtype=np.uint8)


def hed() -> list[Any]:
    return [import_module("controlnet_aux.hed").ControlNetHED_Apache2().state_dict()]


def lineart() -> list[Any]:
    return [import_module("controlnet_aux.lineart").Generator(3, 1, 3).state_dict() for _ in range(2)]


def mlsd() -> list[Any]:
    return [import_module("controlnet_aux.mlsd.models.mbv2_mlsd_large").MobileV2_MLSD_Large().state_dict()]


def pidi() -> list[Any]:
    weights = import_module("controlnet_aux.pidi.model").pidinet().state_dict()
    return [{"state_dict": {f"module.{name}": value for name, value in weights.items()}}]


UNTRAINED: Mapping[str, Callable[[], list[Any]]] = {
    "hed": hed,
    "hed_scribble": hed,
    "lineart": lineart,
    "lineart_coarse": lineart,
    "mlsd": mlsd,
    "pidi": pidi,
    "pidi_scribble": pidi,
}


def untrained(kind: str) -> list[Any]:
    """The contents of a detector's files. Importing the package warns of what it uses itself."""
    with quiet():
        return UNTRAINED[kind]()


@pytest.mark.parametrize("kind", sorted(UNTRAINED))
def test_a_detector_of_the_package_draws_every_picture_in_the_size_asked_for(kind: str, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    for name, weights in zip(DETECTORS[kind].files, untrained(kind), strict=True):
        torch.save(weights, tmp_path / name)
    found = detect(kind, str(tmp_path), PICTURES, 128, "cpu")
    assert (found.shape, found.dtype) == ((2, 128, 192, 3), np.uint8)
    assert np.array_equal(found[..., 0], found[..., 2])


def test_weights_of_another_network_are_an_error_of_the_detector(tmp_path: Path) -> None:
    import torch

    torch.save(untrained("hed")[0], tmp_path / DETECTORS["mlsd"].files[0])
    with pytest.raises(ModelError, match="loading state_dict for MobileV2_MLSD_Large") as caught:
        detect("mlsd", str(tmp_path), PICTURES[:1], 128, "cpu")
    assert caught.value.code == "detector-failed"
