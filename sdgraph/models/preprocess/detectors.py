"""The detectors of the package controlnet-aux: which there are, their weights, and running one.

The package is optional (`pip install "sdgraph[preprocess]"`) and takes seconds to import, so that happens when one
runs. Weights come from a folder or the hub; they are PyTorch files, read by torch's restricted reader.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sdgraph.errors import ModelError
from sdgraph.models.fingerprint import fingerprint_files
from sdgraph.models.source import parse_source
from sdgraph.payloads.places import may_download, model_path

PACKAGE = "controlnet_aux"
WEIGHTS = "hf:lllyasviel/Annotators"
"""Where the weights of all detectors are."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector of the package."""

    class_name: str
    files: tuple[str, ...]
    """Its weights, as they are called in the folder."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What it is called with."""


_BODY, _HAND, _FACE = "body_pose_model.pth", "hand_pose_model.pth", "facenet.pth"
_HED, _PIDI, _LINES = "ControlNetHED.pth", "table5_pidinet.pth", ("sk_model.pth", "sk_model2.pth")

DETECTORS: Mapping[str, Detector] = {
    "hed": Detector("HEDdetector", (_HED,)),
    "hed_scribble": Detector("HEDdetector", (_HED,), {"scribble": True}),
    "pidi": Detector("PidiNetDetector", (_PIDI,)),
    "pidi_scribble": Detector("PidiNetDetector", (_PIDI,), {"scribble": True}),
    "lineart": Detector("LineartDetector", _LINES),
    "lineart_coarse": Detector("LineartDetector", _LINES, {"coarse": True}),
    "lineart_anime": Detector("LineartAnimeDetector", ("netG.pth",)),
    "mlsd": Detector("MLSDdetector", ("mlsd_large_512_fp32.pth",)),
    "depth_midas": Detector("MidasDetector", ("dpt_hybrid-midas-501f0c75.pt",)),
    "depth_zoe": Detector("ZoeDetector", ("ZoeD_M12_N.pt",)),
    "depth_leres": Detector("LeresDetector", ("res101.pth", "latest_net_G.pth")),
    "normal_bae": Detector("NormalBaeDetector", ("scannet.pt",)),
    "openpose": Detector("OpenposeDetector", (_BODY, _HAND, _FACE)),
    "openpose_full": Detector("OpenposeDetector", (_BODY, _HAND, _FACE), {"include_hand": True, "include_face": True}),
}
"""By kind."""


def require_package() -> None:
    """Raises ModelError [preprocess-missing] unless the package is installed. Imports nothing."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise ModelError(
            "preprocess-missing",
            "This preprocessor needs the package controlnet-aux, which is not installed.",
            'Install it with `pip install "sdgraph[preprocess]"`, or use a kind that needs none, for example `canny`.',
        )


def weights_folder(kind: str, source: str) -> Path:
    """The folder with a detector's weights; those of the hub are downloaded if need be.

    Raises ModelError [detector-weights-missing] when files are missing there, or can't be had.
    """
    files, parsed = DETECTORS[kind].files, parse_source(source)
    if parsed.kind != "hf":
        folder = model_path(source)
        missing = [name for name in files if not (folder / name).is_file()]
        if missing:
            raise _missing(kind, f"{folder} has no {' and no '.join(missing)}")
        return folder
    return [_hub_file(kind, parsed.name, parsed.revision, name) for name in files][-1].parent


def detector_fingerprint(kind: str, source: str) -> str:
    """Digest of a detector's weights, for a node's key. Raises ModelError as `detect` does before it detects."""
    require_package()
    folder = weights_folder(kind, source)
    return fingerprint_files(folder, {folder / name for name in DETECTORS[kind].files})


def detect(kind: str, source: str, pictures: np.ndarray, size_px: int, device: str) -> np.ndarray:
    """Control pictures, uint8 [B, h, w, 3], of pictures, uint8 [B, H, W, 3].

    The detector sees each with its shorter side scaled to `size_px`. Raises ModelError [preprocess-missing],
    [detector-weights-missing], [detector-failed].
    """
    require_package()
    folder, spec = weights_folder(kind, source), DETECTORS[kind]
    options = {"detect_resolution": size_px, "image_resolution": size_px, "output_type": "np", **spec.options}
    try:
        with _silent():
            detector = getattr(importlib.import_module(PACKAGE), spec.class_name).from_pretrained(str(folder))
            found = [np.asarray(detector.to(device)(picture, **options)) for picture in pictures]
    except (OSError, ImportError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            "detector-failed",
            f"The detector `{kind}` failed: {type(error).__name__}: {_first_line(error)}.",
            "Check its weights, and that controlnet-aux fits the installed torch and OpenCV.",
        ) from error
    return np.stack([_three_channels(picture) for picture in found])


def _hub_file(kind: str, repository: str, revision: str | None, name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    def path(*, local: bool) -> Path:
        return Path(hf_hub_download(repository, name, revision=revision, local_files_only=local))

    try:
        return path(local=True)
    except LocalEntryNotFoundError:
        if not may_download():
            why = f"{name} of {repository} is not in the hub's cache, and may not be downloaded"
            raise _missing(kind, why) from None
    try:
        return path(local=False)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise _missing(kind, f"{name} of {repository} is not in the hub's cache and can't be downloaded") from error


def _missing(kind: str, why: str) -> ModelError:
    files = DETECTORS[kind].files
    return ModelError(
        "detector-weights-missing",
        f"The detector `{kind}` has no weights: {why}.",
        f"Go online once, or put {' and '.join(files)} from {WEIGHTS.removeprefix('hf:')} into a folder and name it "
        "in `source`.",
    )


@contextmanager
def _silent() -> Generator[None]:
    """Without the warnings and prints of the package and of what it imports."""
    from sdgraph.models.quiet import quiet

    with quiet(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _three_channels(picture: np.ndarray) -> np.ndarray:
    flat = picture[..., None] if picture.ndim == 2 else picture
    return np.repeat(flat, 3, axis=2) if flat.shape[2] == 1 else flat[..., :3]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")
