"""Headers of safetensors files: what tensors a file has, without reading them.

The format: 8 bytes of header length (little-endian), the header as JSON, then the tensors' bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from sdgraph.errors import ModelError

_HEADER_LIMIT_BYTES = 100_000_000
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 8),
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a file contains."""

    shapes: Mapping[str, tuple[int, ...]]
    """By the tensors' names."""
    metadata: Mapping[str, str]
    """What the file's makers say about it."""


def read_header(path: Path) -> Header:
    """The header of a safetensors file; nothing else is read.

    Raises ModelError [model-damaged] unless every tensor has as many bytes as its shape needs, none overlap, and the
    file's size is what they add up to.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _HEADER_LIMIT_BYTES):
            raise damaged(path, f"its header should be {length} bytes long, but the file has {size}")
        try:
            entries = json.loads(file.read(length))
            metadata = entries.pop("__metadata__", {})
            tensors = {name: _tensor(entry) for name, entry in entries.items()}
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise damaged(path, "its header can't be read") from error
    spans = sorted((start, end) for _, start, end in tensors.values())
    if any(earlier[1] > later[0] for earlier, later in pairwise(spans)):
        raise damaged(path, "its tensors overlap")
    expected = 8 + length + max((end for _, end in spans), default=0)
    if size != expected:
        raise damaged(path, f"it should have {expected} bytes, but has {size}")
    texts = metadata if isinstance(metadata, dict) else {}
    return Header(
        {name: shape for name, (shape, _, _) in tensors.items()},
        {str(name): value for name, value in texts.items() if isinstance(value, str)},
    )


def damaged(path: Path, what: str) -> ModelError:
    """The error for a file that is there but broken."""
    return ModelError("model-damaged", f"{path} is damaged: {what}.", "Copy or download it again.")


def _tensor(entry: Mapping[str, Any]) -> tuple[tuple[int, ...], int, int]:
    """Shape, start and end of a tensor. Raises ValueError for an entry that contradicts itself."""
    shape, (start, end) = tuple(entry["shape"]), entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise ValueError("negative or broken numbers")
    bits = _BITS.get(entry["dtype"])
    # Types that are not known here (sub-byte ones) are the reader's business.
    if bits is not None and (end - start) * 8 != math.prod(shape) * bits:
        raise ValueError("bytes and shape differ")
    return shape, start, end
