"""NumPy arrays in payloads: checked, read-only, stored exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdgraph.core.porttype import Blob, Encoded
from sdgraph.errors import MediaError

T = TypeVar("T")


def require_shape(name: str, array: Any, channels: int) -> None:
    """Raises MediaError [`name`-shape] unless `array` is [B, channels, H, W] float32 and not empty."""
    shape = getattr(array, "shape", ())
    if isinstance(array, np.ndarray) and array.dtype == np.float32:
        if len(shape) == 4 and shape[1] == channels and array.size:
            return
        found = f"shape {list(shape)}"
    else:
        found = f"{type(array).__name__} of {getattr(array, 'dtype', 'no dtype')}"
    raise MediaError(
        f"{name}-shape",
        f"Expected a float32 array [B, {channels}, H, W] as {name}, found {found}.",
        "Convert it first: `Image.from_uint8` takes 8-bit pictures [H, W, 3].",
    )


def frozen_array(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """A contiguous read-only view. NumPy refuses to make a view of a read-only array writable again."""
    owner = np.ascontiguousarray(array)
    owner.setflags(write=False)
    return owner.view()


@dataclass(frozen=True, slots=True)
class ArrayCodec(Generic[T]):
    """Stores a payload that is one float32 array, bit for bit."""

    make: Callable[[NDArray[np.float32]], T]
    field: str

    def encode(self, value: T) -> Encoded:
        """The array as one blob."""
        array: NDArray[np.float32] = getattr(value, self.field)
        # As uint8, because a memoryview of float32 would count elements where a blob counts bytes.
        return Encoded(None, {self.field: Blob("F32", array.shape, array.reshape(-1).view(np.uint8).data)})

    def decode(self, encoded: Encoded) -> T:
        """The payload, reading the blob's bytes in place."""
        blob = encoded.blobs[self.field]
        return self.make(np.frombuffer(blob.data, dtype="<f4").reshape(blob.shape))
