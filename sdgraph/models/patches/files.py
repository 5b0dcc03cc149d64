"""Patch files: where a reference leads, what the header says, and tensors by their keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError
from sdgraph.models.header import damaged, read_header
from sdgraph.models.source import parse_source, resolve
from sdgraph.models.weights import PICKLES, pickle_refused
from sdgraph.payloads.places import model_path

if TYPE_CHECKING:
    from torch import Tensor

_SUFFIX = ".safetensors"
_USUAL_NAME = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True, slots=True)
class PatchFile:
    """A safetensors file and its header."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    """Of every tensor."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


def find_file(source: str, allow_pickle: bool = False) -> Path:
    """The file that a reference means: the file itself, or the one in a folder.

    Any reference may end in a file's name (`hf:org/name/file.safetensors`). Raises ModelError as `resolve` does,
    [model-pickle], and [model-kind-unsupported] for a folder with several files.
    """
    path = _named_file(source) or _only_file(resolve(source), source, allow_pickle)
    if path.suffix in PICKLES and not allow_pickle:
        raise pickle_refused(path)
    return path


def open_file(path: Path) -> PatchFile:
    """A safetensors file by its header. Raises ModelError [model-damaged], [model-missing]."""
    try:
        header = read_header(path)
    except OSError as error:
        raise ModelError("model-missing", f"{path} can't be read: {error.strerror}.", "Check the file.") from error
    return PatchFile(path, header.shapes, header.metadata)


def read_tensors(path: Path, keys: Iterable[str], device: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file, float32 on `device`.

    Raises ModelError [model-damaged], also for numbers that are not finite.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            found = {key: file.get_tensor(key).to(device, torch.float32) for key in keys}
    except (SafetensorError, OSError) as error:
        raise damaged(path, f"{error}") from error
    for key, tensor in found.items():
        if not tensor.isfinite().all():
            raise damaged(path, f"`{key}` has numbers that are not finite")
    return found


def nested_metadata(file: PatchFile, name: str) -> Mapping[str, Any]:
    """A JSON object in the file's metadata; empty when there is none."""
    try:
        found = json.loads(file.metadata.get(name, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _named_file(source: str) -> Path | None:
    """The file of a reference that ends in a file's name; None for other references."""
    if Path(source).suffix not in (_SUFFIX, *PICKLES):
        return None
    if parse_source(source).kind == "path":
        path = model_path(source)
    else:
        head, _, name = source.rpartition("/")
        path = resolve(head) / name
    if path.is_dir():
        return None
    if not path.is_file():
        hint = "Check the path; a relative one counts from where sdgraph runs."
        raise ModelError("model-missing", f"There is no file `{source}`: {path}.", hint)
    return path


def _only_file(folder: Path, source: str, allow_pickle: bool) -> Path:
    found = sorted(folder.glob(f"*{_SUFFIX}"))
    usual = [path for path in found if path.name == _USUAL_NAME]
    if not found and allow_pickle:
        found = sorted(path for path in folder.glob("*") if path.suffix in PICKLES)
    chosen = usual or found
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(path.name for path in found[:5])
    raise ModelError(
        "model-missing" if not found else "model-kind-unsupported",
        f"`{source}` has {len(found) or 'no'} {_SUFFIX} files{f' ({names})' if names else ''}, expected one.",
        "Give the reference of the file itself.",
    )
