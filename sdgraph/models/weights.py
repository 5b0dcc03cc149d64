"""Weights files: which ones a component has, and whether they are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sdgraph.errors import ModelError
from sdgraph.models.header import damaged, read_header

PICKLES = (".bin", ".pt", ".ckpt", ".pth")
"""Suffixes of files that are pickles."""


def weights_files(folder: Path, allow_pickle: bool = False) -> tuple[list[Path], str | None]:
    """A component's safetensors files and their variant: None, or "fp16" when there are no others.

    With `allow_pickle` a component without safetensors may have pickled weights. Raises ModelError [model-pickle] when
    there are only such and they are not allowed, [model-missing] when there are none.
    """
    found = sorted(folder.glob("*.safetensors"))
    plain = [path for path in found if not _variant_of(path)]
    if plain:
        return plain, None
    variants = sorted({_variant_of(path) for path in found})
    if variants:
        return [path for path in found if _variant_of(path) == variants[0]], variants[0]
    pickled = sorted(path for path in folder.glob("*") if path.suffix in PICKLES)
    if pickled and not allow_pickle:
        raise pickle_refused(pickled[0])
    if pickled:
        return pickled, None
    raise ModelError("model-missing", f"{folder} has no weights (*.safetensors).", "Copy the whole model folder.")


def pickle_refused(path: Path) -> ModelError:
    """The error for pickled weights that nobody asked for."""
    return ModelError(
        "model-pickle",
        f"{path} has its weights as a pickle, which can run code when read.",
        "Convert it to safetensors, or set `allow_pickle` to read it with torch's restricted reader.",
    )


def _variant_of(path: Path) -> str:
    """ "fp16" of `model.fp16.safetensors` and `model.fp16-00001-of-00002.safetensors`, "" of plain names."""
    parts = path.name.split(".")
    return parts[1].split("-")[0] if len(parts) > 2 else ""


def check_whole(path: Path) -> None:
    """Raises ModelError [model-damaged] unless the file is what its header says. Reads the header only."""
    read_header(path)


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ModelError [model-missing] or [model-damaged]."""
    try:
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(
            "model-missing", f"The model has no {path.name} in {path.parent}.", "Give a folder in the diffusers layout."
        ) from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, "it is no JSON") from error
    if not isinstance(config, dict):
        raise damaged(path, "it is no JSON object")
    return config
