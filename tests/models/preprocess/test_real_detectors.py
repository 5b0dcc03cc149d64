"""Detectors of the real package, with weights that were never trained: what is drawn is nothing, but all of it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
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


def lineart_anime() -> list[Any]:
    from torch.nn import InstanceNorm2d

    generator = import_module("controlnet_aux.lineart_anime").UnetGenerator
    return [generator(3, 1, 8, 64, norm_layer=partial(InstanceNorm2d, affine=False)).state_dict()]


def normal_bae() -> list[Any]:
    asked = SimpleNamespace(
        mode="client", architecture="BN", pretrained="scannet", sampling_ratio=0.4, importance_ratio=0.7
    )
    return [{"model": import_module("controlnet_aux.normalbae.nets.NNET").NNET(asked).state_dict()}]


def depth_midas() -> list[Any]:
    model = import_module("controlnet_aux.midas.midas.dpt_depth").DPTDepthModel
    return [model(path=None, backbone="vitb_rn50_384", non_negative=True).state_dict()]


def depth_leres() -> list[Any]:
    depth = import_module("controlnet_aux.leres.leres.multi_depth_model_woauxi").RelDepthModel
    merge = import_module("controlnet_aux.leres.pix2pix.models.networks").define_G
    merged = merge(2, 1, 64, "unet_1024", "none", False, "normal", 0.02, [])
    return [{"depth_model": depth(backbone="resnext101").state_dict()}, merged.state_dict()]


def openpose() -> list[Any]:
    models, face = import_module("controlnet_aux.open_pose.model"), import_module("controlnet_aux.open_pose.face")
    towers = (models.bodypose_model(), models.handpose_model())
    named = [{name.split(".", 1)[1]: value for name, value in tower.state_dict().items()} for tower in towers]
    return [*named, face.FaceNet().state_dict()]


UNTRAINED: Mapping[str, Callable[[], list[Any]]] = {
    "depth_leres": depth_leres,
    "depth_midas": depth_midas,
    "hed": hed,
    "hed_scribble": hed,
    "lineart": lineart,
    "lineart_coarse": lineart,
    "lineart_anime": lineart_anime,
    "mlsd": mlsd,
    "normal_bae": normal_bae,
    "openpose_full": openpose,
    "pidi": pidi,
    "pidi_scribble": pidi,
}
"""All but `depth_zoe`, whose 345 million parameters take minutes here, and options of those that are there."""
COLOURED = {"normal_bae"}


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
    assert np.array_equal(found[..., 0], found[..., 2]) == (kind not in COLOURED)


def test_weights_of_another_network_are_an_error_of_the_detector(tmp_path: Path) -> None:
    import torch

    torch.save(untrained("hed")[0], tmp_path / DETECTORS["mlsd"].files[0])
    with pytest.raises(ModelError, match="loading state_dict for MobileV2_MLSD_Large") as caught:
        detect("mlsd", str(tmp_path), PICTURES[:1], 128, "cpu")
    assert caught.value.code == "detector-failed"
