"""Which models, and pictures of which size, the nodes of a run will work with, by what is certain before it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sdgraph.core.graph import Graph
from sdgraph.core.infer import check_facts
from sdgraph.core.port import PortRef
from sdgraph.payloads.facts import LatentsFact, PictureFact
from sdgraph.payloads.handles import ImageEncoderHandle, ModelHandle, TextEncoderHandle


@dataclass(frozen=True, slots=True)
class Need:
    """What one node that will run on the device works with."""

    node: str
    type: str
    handles: tuple[ModelHandle, ...]
    pixels: int | None
    """Of the whole batch; 0: of no picture, as prompts are; None: not known before the run."""
    shown: PictureFact | None = None
    """What a network of this node sees at once: the pictures or, of tiled ones, a tile of them. None: not known."""
    prompts: int = 1
    """Under how many conditionings at once: 2 with a negative one, 0 where no network predicts anything."""

    def entry(self, device: str) -> str:
        """What its measurements are kept under."""
        return entry_of(self.type, self.handles, device)


def needs_of(graph: Graph, running: Collection[str]) -> tuple[Need, ...]:
    """The needs of those of the nodes `running` that use models, in the order of the graph.

    Models of handles that nothing is known about before the run are missing.
    """
    facts = check_facts(graph, [])
    sizes = _sizes(graph, facts)
    found: list[Need] = []
    for name, node in graph.nodes.items():
        if name not in running or node.spec.cls.node_lane != "device":
            continue
        handles = tuple(_handles(facts.get(ref) for ref in node.links.values()))
        if handles:
            picture = sizes.get(name)
            prompts = len({"positive", "negative"} & node.links.keys())
            pixels = _pixels(handles, picture)
            found.append(Need(name, node.spec.type, handles, pixels, _shown(picture, node.values), prompts))
    return tuple(found)


def entry_of(node_type: str, handles: Iterable[ModelHandle], device: str) -> str:
    """What measurements of nodes of one type with these models on such a device are kept under."""
    models = blake2b(digest_size=8)
    for key in sorted({handle.pool_key for handle in handles}):
        models.update("\0".join(key).encode() + b"\n")
    return f"{node_type} {device.partition(':')[0]} {models.hexdigest()}"


def _handles(facts: Iterable[Any]) -> Iterable[ModelHandle]:
    for fact in facts:
        if isinstance(fact, ModelHandle):
            yield fact
        elif isinstance(fact, tuple):
            yield from (part for part in fact if isinstance(part, ModelHandle))


def _sizes(graph: Graph, facts: Mapping[PortRef, Any]) -> dict[str, PictureFact]:
    """The largest picture at each node, its inputs and outputs alike. Parts of one node of the file are of one size."""
    by_node: dict[str, list[PictureFact]] = {}
    for ref, fact in facts.items():
        picture = fact.picture if isinstance(fact, LatentsFact) else fact
        if isinstance(picture, PictureFact):
            by_node.setdefault(ref.node, []).append(picture)
    found: dict[str, PictureFact] = {}
    for name, node in graph.nodes.items():
        before = [found[ref.node] for ref in node.links.values() if ref.node in found]
        part = [found[node.origin]] if node.origin in found else []
        own = by_node.get(name, [])
        if own or ((node.origin or node.spec.cls.node_lane == "device") and (before or part)):
            found[name] = max((*own, *before, *part), key=_area)
            if node.origin:
                found[node.origin] = found[name]
    return found


def _pixels(handles: Iterable[ModelHandle], picture: PictureFact | None) -> int | None:
    """Encoders of prompts and of image prompts see texts, and squares of one size."""
    if picture is not None:
        return _area(picture)
    fixed = (TextEncoderHandle, ImageEncoderHandle)
    return 0 if all(isinstance(handle, fixed) for handle in handles) else None


def _shown(picture: PictureFact | None, values: Mapping[str, Any]) -> PictureFact | None:
    """A tile of the pictures, where the node has one that is smaller."""
    tile_px = values.get("tile_px")
    if picture is None or not isinstance(tile_px, int) or tile_px == 0:
        return picture
    return picture.sized(min(picture.width_px, tile_px), min(picture.height_px, tile_px))


def _area(picture: PictureFact) -> int:
    return picture.width_px * picture.height_px * picture.batch
