"""What SDXL is told about the picture beside the prompt."""

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.payloads.conditioning import Conditioning, PictureFacts
from sdgraph_nodes.encode_text import ConditioningOut


class SetPictureFacts(Node[ConditioningOut], type="conditioning.picture_facts", version=1):
    """Tell SDXL about the picture: the size it seems to have been scaled from, what was cut off, how good it looks.

    Without this node the model is told the size of the picture that is drawn, and that nothing was cut off. Models of
    other families do not listen.
    """

    conditioning: In[Conditioning]
    """An encoded prompt."""
    original_width_px: In[int] = port(0, ge=0, le=8192, unit="px")
    """Width that the picture seems to have been scaled from; small ones make it blurred. 0: that of the result."""
    original_height_px: In[int] = port(0, ge=0, le=8192, unit="px")
    """Height that the picture seems to have been scaled from. 0: that of the result."""
    crop_left_px: In[int] = port(0, ge=0, le=8192, unit="px")
    """How much seems to have been cut off at the left; 0 centres the subject."""
    crop_top_px: In[int] = port(0, ge=0, le=8192, unit="px")
    """How much seems to have been cut off at the top."""
    target_width_px: In[int] = port(0, ge=0, le=8192, unit="px")
    """Width that the picture is meant to have. 0: that of the result."""
    target_height_px: In[int] = port(0, ge=0, le=8192, unit="px")
    """Height that the picture is meant to have. 0: that of the result."""
    aesthetic_score: In[float | None] = port(None, ge=0, le=10)
    """How good it looks, for the refiner. Empty: 6 for what to draw, 2.5 for what to stay away from."""

    def run(self, ctx: RunContext) -> ConditioningOut:
        facts = PictureFacts(
            original_px=_size(self.original_height_px, self.original_width_px),
            crop_px=(self.crop_top_px, self.crop_left_px),
            target_px=_size(self.target_height_px, self.target_width_px),
            aesthetic_score=self.aesthetic_score,
        )
        return ConditioningOut(conditioning=self.conditioning.changed(facts=facts))


def _size(height_px: int, width_px: int) -> tuple[int, int] | None:
    """(height, width), when both are given."""
    return (height_px, width_px) if height_px and width_px else None
