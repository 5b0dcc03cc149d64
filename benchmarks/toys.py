"""The nodes of the benchmarks of engine and cache: next to nothing, or pictures that are smoothed."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node, Outputs
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In, Out, port
from sdgraph.core.porttype import Blob, Encoded, PortType
from sdgraph.core.registry import Registry
from sdgraph.engine.stores.base import Payloads


@dataclass(frozen=True, eq=False)
class Picture:
    """Float32 pixels [H, W]."""

    pixels: npt.NDArray[np.float32]


class PictureCodec:
    def encode(self, value: Picture) -> Encoded:
        return Encoded(None, {"pixels": Blob("F32", value.pixels.shape, value.pixels.data.cast("B"))})

    def decode(self, encoded: Encoded) -> Picture:
        blob = encoded.blobs["pixels"]
        return Picture(np.frombuffer(blob.data, np.float32).reshape(blob.shape))


class PictureOut(Outputs):
    picture: Out[Picture]


class NumberOut(Outputs):
    value: Out[int]


class Add(Node[NumberOut], type="bench.add"):
    """Add two numbers."""

    a: In[int] = port(0)
    b: In[int] = port(0)

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=(self.a + self.b) & 0xFFFF)


class Noise(Node[PictureOut], type="bench.noise"):
    """Random pixels."""

    seed: In[int] = port(0)
    edge_px: In[int] = port(256)

    def run(self, ctx: RunContext) -> PictureOut:
        pixels = np.random.default_rng(self.seed).random((self.edge_px, self.edge_px), np.float32)
        return PictureOut(picture=Picture(pixels))


class Smooth(Node[PictureOut], type="bench.smooth"):
    """Blur by many small steps."""

    picture: In[Picture]
    steps: In[int] = port(1)

    def run(self, ctx: RunContext) -> PictureOut:
        pixels, smoothed = self.picture.pixels.copy(), np.empty_like(self.picture.pixels)
        for _ in range(self.steps):
            _smooth(pixels, smoothed)
            pixels, smoothed = smoothed, pixels
        return PictureOut(picture=Picture(pixels))


def _smooth(pixels: npt.NDArray[np.float32], into: npt.NDArray[np.float32]) -> None:
    """The mean of each pixel, the one above and the one to the left, across the edges.

    It takes no memory: how long a system takes to give some varies more than what is measured with it.
    """
    np.add(pixels[1:], pixels[:-1], out=into[1:])
    np.add(pixels[0], pixels[-1], out=into[0])
    into[:, 1:] += pixels[:, :-1]
    into[:, 0] += pixels[:, -1]
    into /= np.float32(3)


class Patient(Node[PictureOut], type="bench.patient"):
    """Blur by many small steps, and leave how far that is, so that it can go on there."""

    picture: In[Picture]
    steps: In[int] = port(1)

    def run(self, ctx: RunContext) -> PictureOut:
        found = ctx.checkpoint.load() or {"done": 0, "pixels": self.picture.pixels.tolist()}
        pixels = np.array(found["pixels"], np.float32)
        for done in range(found["done"], self.steps):
            pixels = (pixels + np.roll(pixels, 1, 0) + np.roll(pixels, 1, 1)) / np.float32(3)
            if ctx.checkpoint.every_steps:
                ctx.checkpoint.save({"done": done + 1, "pixels": pixels.tolist()})
        return PictureOut(picture=Picture(pixels))


class Encode(Node[NumberOut], type="bench.encode"):
    """Stands for a text encoder."""

    runs: ClassVar[int] = 0
    text: In[str] = port("")

    def run(self, ctx: RunContext) -> NumberOut:
        Encode.runs += 1
        return NumberOut(value=len(self.text))


class Sample(Node[NumberOut], type="bench.sample"):
    """Stands for a sampler."""

    positive: In[int]
    negative: In[int]
    seed: In[int] = port(0)

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=self.seed * 3 + self.positive - self.negative)


PICTURE = PortType("Picture", Picture, "Pixels.", "#000", PictureCodec(), size_bytes=lambda value: value.pixels.nbytes)
REGISTRY = Registry([NodePack("bench", "1", (Add, Noise, Smooth, Patient, Encode, Sample), (PICTURE,))])
PAYLOADS = Payloads(REGISTRY.port_types)
