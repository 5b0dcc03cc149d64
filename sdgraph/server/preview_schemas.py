"""What the answer about a node's result looks like."""

from __future__ import annotations

from sdgraph.server.run_schemas import PictureOut
from sdgraph.server.schemas import Described


class OutputPreview(Described):
    """What an output of a node looks like."""

    text: str
    """A value itself, or a few words about what is no value, at most 200 characters."""
    approximate: bool = False
    """The pictures look somewhat like what the value stands for, as those of latents."""
    pictures: list[PictureOut] = []
    """Thumbnails of the first four pictures, at most 256 px on a side."""


class NodePreview(Described):
    """What a node gave, in small."""

    key: str
    """The key of the result."""
    outputs: dict[str, OutputPreview]
    """By output port."""
