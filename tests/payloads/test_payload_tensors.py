from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sdgraph.core.porttype import Blob
from sdgraph.payloads.tensors import DTYPE_NAMES, from_blob, shared, tensor_bytes, to_blob


@given(
    name=st.sampled_from(sorted(DTYPE_NAMES)),
    shape=st.lists(st.integers(0, 4), max_size=4),
    seed=st.integers(0, 1000),
)
def test_every_dtype_and_shape_is_stored_bit_for_bit(name: str, shape: list[int], seed: int) -> None:
    dtype: torch.dtype = getattr(torch, DTYPE_NAMES[name])
    generator = torch.Generator().manual_seed(seed)
    count = torch.Size(shape).numel() * dtype.itemsize
    raw = torch.randint(0, 2 if name == "BOOL" else 256, (count,), dtype=torch.uint8, generator=generator)
    tensor = raw.view(dtype).reshape(shape)
    blob = to_blob(tensor)
    assert (blob.dtype, blob.shape, len(blob.data)) == (name, tuple(shape), count)
    again = from_blob(Blob(blob.dtype, blob.shape, bytes(blob.data)))
    assert again.dtype == dtype
    assert tuple(again.shape) == tuple(shape)
    assert bytes(to_blob(again).data) == bytes(raw.numpy())


def test_a_tensor_that_is_not_contiguous_is_stored_in_row_major_order() -> None:
    tensor = torch.arange(6.0).reshape(2, 3).T
    assert torch.equal(from_blob(to_blob(tensor)), tensor)


def test_the_bytes_of_a_contiguous_tensor_are_not_copied() -> None:
    tensor = torch.zeros(4)
    blob = to_blob(tensor)
    tensor[0] = 1
    assert bytes(blob.data) == bytes(tensor.numpy())


def test_writing_to_a_decoded_tensor_leaves_the_stored_bytes_alone() -> None:
    stored = bytearray(16)
    from_blob(Blob("F32", (4,), memoryview(stored))).fill_(1)
    assert stored == bytearray(16)


def test_a_decoded_tensor_can_be_shared() -> None:
    decoded = from_blob(Blob("F32", (2,), bytes(8)))
    shared(decoded).add_(1)
    assert decoded.tolist() == [0, 0]


def test_a_tensor_in_memory_of_numpy_can_be_shared() -> None:
    theirs = np.zeros(2, np.float32)
    shared(torch.from_numpy(theirs)).add_(1)
    assert theirs.tolist() == [0, 0]


def add(tensor: Tensor) -> None:
    tensor.add_(1)


def assign(tensor: Tensor) -> None:
    tensor[0] = 9


def fill_through_numpy(tensor: Tensor) -> None:
    tensor.numpy().fill(7)


@pytest.mark.parametrize("write", [add, assign, fill_through_numpy])
def test_writing_to_a_shared_tensor_leaves_the_original(write: Callable[[Tensor], None]) -> None:
    original = torch.arange(4.0)
    view = shared(original)
    write(view)
    assert original.tolist() == [0, 1, 2, 3]
    assert view.tolist() != [0, 1, 2, 3]


def test_writing_to_the_original_leaves_what_was_shared() -> None:
    original = torch.arange(4.0)
    view = shared(original)
    original.add_(1)
    assert view.tolist() == [0, 1, 2, 3]


def test_missing_tensors_count_no_bytes() -> None:
    assert tensor_bytes((torch.zeros(2, dtype=torch.bfloat16), None)) == 4
