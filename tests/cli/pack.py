"""A node pack for the tests of the command line; the fixture `toy_pack` installs it, as any other pack is."""

import os
import subprocess
import threading
from pathlib import Path

import numpy as np

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node, Outputs
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In, Out, port
from sdgraph.errors import SdgraphError
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask


class NumberOut(Outputs):
    value: Out[int]


class PictureOut(Outputs):
    image: Out[Image]


class MaskOut(Outputs):
    mask: Out[Mask]


class Add(Node[NumberOut], type="toy.add", version=1):
    """The sum of two numbers."""

    a: In[int] = port(1, ge=0, le=1000, unit="px")
    """The first one."""
    b: In[int] = port(2)

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=self.a + self.b)


class Fill(Node[PictureOut], type="toy.fill", version=1):
    """A picture of one colour."""

    red: In[float] = port(0.5, ge=0, le=1)
    edge_px: In[int] = port(8, ge=1, le=4096)
    batch: In[int] = port(1, ge=1)
    seed: In[int] = port(0, widget="seed")
    after: In[int] = port(0)

    def run(self, ctx: RunContext) -> PictureOut:
        pixels = np.zeros((self.batch, 3, self.edge_px, self.edge_px), np.float32)
        pixels[:, 0] = self.red
        pixels[:, 1] = np.arange(self.batch, dtype=np.float32)[:, None, None] / 255
        return PictureOut(image=Image(pixels))


class Noise(Node[PictureOut], type="toy.noise", version=1):
    """A picture that can't be packed well."""

    edge_px: In[int] = port(256)

    def run(self, ctx: RunContext) -> PictureOut:
        return PictureOut(image=Image(np.random.default_rng(0).random((1, 3, self.edge_px, self.edge_px), np.float32)))


class Circle(Node[MaskOut], type="toy.mask", version=1):
    """A mask."""

    def run(self, ctx: RunContext) -> MaskOut:
        return MaskOut(mask=Mask(np.ones((1, 1, 8, 8), np.float32)))


class Fail(Node[NumberOut], type="toy.fail", version=1):
    """Fails, with an error of its own or any other."""

    value: In[int] = port(0)
    known: In[bool] = port(True)

    def run(self, ctx: RunContext) -> NumberOut:
        if self.known:
            raise SdgraphError("toy-broken", "The toy is broken.", "Mend it.", port="value")
        raise ZeroDivisionError("division by zero")


class Wait(Node[NumberOut], type="toy.wait", version=1):
    """Works in steps until the run is cancelled, or a file says that it is enough."""

    value: In[int] = port(0)
    steps: In[int] = port(100_000)

    def run(self, ctx: RunContext) -> NumberOut:
        Path(os.environ["TOY_STARTED"]).touch()
        pause = threading.Event()
        enough = Path(os.environ.get("TOY_ENOUGH", "/nothing"))
        for done in range(self.steps):
            if enough.exists():
                break
            ctx.progress(done, self.steps)
            pause.wait(0.002)
        return NumberOut(value=self.value)


class Print(Node[NumberOut], type="toy.print", version=1):
    """Prints, and lets a child print."""

    def run(self, ctx: RunContext) -> NumberOut:
        print("printed", flush=True)
        subprocess.run(["echo", "from a child"], check=True)
        return NumberOut(value=1)


class Deaf(Node[NumberOut], type="toy.deaf", version=1):
    """Never looks whether its run was cancelled."""

    def run(self, ctx: RunContext) -> NumberOut:
        threading.Event().wait()
        return NumberOut(value=1)


PACK = NodePack(name="toys", version="1", nodes=(Add, Fill, Noise, Circle, Fail, Wait, Print, Deaf))
