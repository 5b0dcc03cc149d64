"""Safety checkers: loading one, and hiding the pictures that it finds."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.errors import Problem
from sdgraph.models.facts import read_fact
from sdgraph.models.pool import ModelPool
from sdgraph.models.safety_checker import flagged, hidden, read_safety_checker, safety_fingerprint
from sdgraph.payloads.facts import picture_at
from sdgraph.payloads.handles import SafetyCheckerHandle
from sdgraph.payloads.image import Image


class SafetyCheckerOut(Outputs):
    """A safety checker."""

    checker: Out[SafetyCheckerHandle]
    """The network, to look at pictures with."""


class CheckedOut(Outputs):
    """Pictures that were looked at."""

    image: Out[Image]
    """[B, 3, H, W], float32 in 0..1; black where something was found."""
    found: Out[int]
    """How many of them are hidden."""


class LoadSafetyChecker(Node[SafetyCheckerOut], type="image.load_safety_checker", version=1, lane="io"):
    """Take the safety checker of a Stable Diffusion 1 or 2 model. Its weights come in when pictures are looked at."""

    source: In[str] = port(linkable=False, widget="model")
    """A folder `safety_checker`, a diffusers folder of a model that has one, or `hf:org/name[@revision]`."""

    def fingerprint(self) -> str:
        return safety_fingerprint(self.source)

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"checker": read_fact(lambda: read_safety_checker(self.source))}

    def run(self, ctx: RunContext) -> SafetyCheckerOut:
        return SafetyCheckerOut(checker=read_safety_checker(self.source))


class CheckSafety(Node[CheckedOut], type="image.check_safety", version=1, lane="device"):
    """Look at pictures, each as if it were alone, and give those black that should not be shown; the run warns of them.

    Where the checker can't be loaded, there is no picture at all. A workflow is checked where this node is: what is
    saved or shown before it is not.
    """

    checker: In[SafetyCheckerHandle]
    """The safety checker."""
    image: In[Image]
    """The pictures."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"image": picture_at(known, "image")}

    def run(self, ctx: RunContext) -> CheckedOut:
        with ctx.service(ModelPool).lease(self.checker, ctx.device) as model:
            flags = flagged(model, self.checker, self.image)
        if any(flags):
            ctx.warn(_hidden(flags))
        return CheckedOut(image=hidden(self.image, flags), found=sum(flags))


def _hidden(flags: tuple[bool, ...]) -> Problem:
    places = ", ".join(str(number) for number, found in enumerate(flags, start=1) if found)
    return Problem(
        "picture-hidden",
        f"The safety checker found something in {sum(flags)} of {len(flags)} pictures ({places}); they are black.",
        "Use another prompt or seed.",
        severity="warning",
    )
