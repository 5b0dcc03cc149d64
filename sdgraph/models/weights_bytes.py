"""How much memory a model's weights will take, by the headers of its files alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sdgraph.errors import ModelError
from sdgraph.models.header import read_header
from sdgraph.models.load import part_layout
from sdgraph.models.single_file import FileLayout
from sdgraph.models.source import locate
from sdgraph.models.weights import weights_files
from sdgraph.payloads.handles import ModelHandle, TextEncoderHandle

_NUMBER_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def weights_bytes(handle: ModelHandle) -> int | None:
    """Memory of the loaded weights; None where headers can't tell it: of pickles, and of what is missing or damaged.

    It counts the tensors of the files, which buffers that no file has (CLIP's positions) may exceed by some hundred
    bytes.
    """
    parts = [tower.component for tower in handle.towers] if isinstance(handle, TextEncoderHandle) else None
    try:
        numbers = sum(_numbers(handle, part) for part in parts or [handle.component])
    except (ModelError, OSError):
        return None
    return numbers * _NUMBER_BYTES[handle.dtype]


def _numbers(handle: ModelHandle, component: str) -> int:
    """How many numbers the files of a component hold. Raises ModelError where that can't be read."""
    if not component and (file := locate(handle.source)).is_file():
        return _count(read_header(file).shapes)
    layout = part_layout(handle, component)
    if isinstance(layout, FileLayout):
        prefix = layout.prefix(component) or ""
        return _count({name: shape for name, shape in layout.header.shapes.items() if name.startswith(prefix)})
    files, _ = weights_files(layout.configs / component)
    return sum(_count(read_header(file).shapes) for file in files)


def _count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())
