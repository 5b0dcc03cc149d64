"""Control pictures from pictures: edges, lines, depth, normals, poses."""

from collections.abc import Mapping
from typing import Any, Literal

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.port import In, port
from sdgraph.models.facts import placed
from sdgraph.models.preprocess.detectors import DETECTORS, WEIGHTS, detect, detector_fingerprint, require_package
from sdgraph.payloads.image import Image
from sdgraph_nodes.outputs import ImageOut, SamePicture
from sdgraph_nodes.sampling import MAX_SEED

Kind = Literal[
    "canny",
    "scribble",
    "lineart_standard",
    "tile",
    "shuffle",
    "relief",
    "invert",
    "luminance",
    "hed",
    "hed_scribble",
    "pidi",
    "pidi_scribble",
    "lineart",
    "lineart_coarse",
    "lineart_anime",
    "mlsd",
    "depth_midas",
    "depth_zoe",
    "depth_leres",
    "normal_bae",
    "openpose",
    "openpose_full",
]


class Preprocess(SamePicture, type="control.preprocess", version=1, lane="device"):
    """Turn pictures into what ControlNets and T2I-Adapters read, of the same size.

    The kinds up to `luminance` need nothing else. Those from `hed` on run a detector of the package controlnet-aux
    (`pip install "sdgraph[preprocess]"`), whose weights are downloaded at first use.
    """

    image: In[Image]
    """The pictures."""
    kind: In[Kind] = port("canny", linkable=False)
    """What is wanted. `relief` is a depth-like picture of flat shapes, for `builtin:shapes/controlnet_depth`."""
    detect_px: In[int] = port(512, ge=64, le=2048, multiple_of=64, unit="px")
    """Shorter side at which a detector sees the picture."""
    seed: In[int] = port(0, ge=0, le=MAX_SEED, widget="seed")
    """For `shuffle`: which places are swapped; picture i has seed + i."""
    source: In[str] = port(WEIGHTS, linkable=False, widget="model")
    """The detectors' weights: a folder that holds them, or a repository on the hub."""

    def fingerprint(self) -> str | None:
        return detector_fingerprint(self.kind, self.source) if self.kind in DETECTORS else None

    def infer(self, known: Known) -> Mapping[str, Any]:
        if self.kind in DETECTORS:
            with placed("kind"):
                require_package()
        return super().infer(known)

    def run(self, ctx: RunContext) -> ImageOut:
        import numpy as np

        from sdgraph.models.preprocess.plain import PLAIN
        from sdgraph.models.preprocess.resize import to_size

        if self.kind in DETECTORS:
            found = detect(self.kind, self.source, self.image.to_uint8(), self.detect_px, ctx.device)
            return ImageOut(image=Image.from_uint8(to_size(found, self.image.width_px, self.image.height_px)))
        pictures = [PLAIN[self.kind](picture, self.seed + i) for i, picture in enumerate(self.image.pixels)]
        return ImageOut(image=Image(np.ascontiguousarray(np.stack(pictures), dtype=np.float32)))
