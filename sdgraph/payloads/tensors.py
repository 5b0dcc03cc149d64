"""Torch tensors in payloads: stored exactly, shared by copy-on-write. Torch is imported only when one is at hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sdgraph.core.porttype import Blob

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DTYPE_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
"""safetensors' names of dtypes and torch's."""
_BLOB_NAMES = {torch_name: name for name, torch_name in DTYPE_NAMES.items()}


def to_blob(tensor: Tensor) -> Blob:
    """The tensor's bytes, without a copy when it is contiguous and on the CPU."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    name = _BLOB_NAMES[str(tensor.dtype).removeprefix("torch.")]
    return Blob(name, tuple(tensor.shape), flat.view(torch.uint8).numpy().data)


def from_blob(blob: Blob) -> Tensor:
    """The tensor on the CPU, bit for bit."""
    import torch

    dtype: torch.dtype = getattr(torch, DTYPE_NAMES[blob.dtype])
    # A copy in torch's own memory: torch has no read-only tensors, so reading stored bytes in place would let a node
    # write into the store, and memory that is not torch's own can't be shared by copy-on-write.
    tensor = torch.empty(blob.shape, dtype=dtype)
    tensor.reshape(-1).view(torch.uint8).numpy().data[:] = memoryview(blob.data)
    return tensor


def shared(tensor: Tensor) -> Tensor:
    """The same values; the memory is shared until one side writes, which then gets its own copy.

    A tensor in memory that is not torch's own (`torch.from_numpy`) is copied at once.
    """
    import torch

    try:
        return torch._lazy_clone(tensor)  # pyright: ignore[reportPrivateImportUsage]
    except RuntimeError:
        return tensor.clone()


def tensor_bytes(tensors: Iterable[Tensor | None]) -> int:
    """Memory of the tensors, in bytes."""
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
