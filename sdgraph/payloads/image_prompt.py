"""Image prompts: pictures as an IP-Adapter's image encoder sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdgraph.core.porttype import Blob, Encoded, PortType, Shown
from sdgraph.payloads.arrays import frozen_array
from sdgraph.payloads.shown import many


@dataclass(frozen=True, slots=True, eq=False)
class ImagePrompt:
    """One or several encoded pictures that act together. The arrays are taken over and made read-only."""

    features: NDArray[np.float32]
    """[N, E], one vector per picture, or [N, T, H], one per patch of it, as the adapter wants it."""
    negative: NDArray[np.float32]
    """The same of no picture, for the side to stay away from."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", frozen_array(self.features))
        object.__setattr__(self, "negative", frozen_array(self.negative))

    @property
    def pictures(self) -> int:
        """N."""
        return self.features.shape[0]


class ImagePromptCodec:
    """Stores an image prompt bit for bit."""

    def encode(self, value: ImagePrompt) -> Encoded:
        """Two blobs."""
        return Encoded(None, {"features": array_blob(value.features), "negative": array_blob(value.negative)})

    def decode(self, encoded: Encoded) -> ImagePrompt:
        """The image prompt, reading the blobs' bytes in place."""
        return ImagePrompt(array_of(encoded.blobs["features"]), array_of(encoded.blobs["negative"]))


def array_blob(array: NDArray[np.float32]) -> Blob:
    """The bytes of a float32 array."""
    # As uint8, because a memoryview of float32 would count elements where a blob counts bytes.
    return Blob("F32", array.shape, array.reshape(-1).view(np.uint8).data)


def array_of(blob: Blob) -> NDArray[np.float32]:
    """The array of a blob, reading its bytes in place."""
    return np.frombuffer(blob.data, dtype="<f4").reshape(blob.shape)


IMAGE_PROMPT = PortType(
    "ImagePrompt",
    ImagePrompt,
    "Pictures encoded for an IP-Adapter.",
    "#c77dff",
    ImagePromptCodec(),
    size_bytes=lambda prompt: prompt.features.nbytes + prompt.negative.nbytes,
    show=lambda prompt, count: Shown(many(prompt.pictures, "picture")),
)
