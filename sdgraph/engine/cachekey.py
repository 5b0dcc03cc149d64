"""Cache keys: a Merkle hash over what a node is and what feeds it.

The pre-image is: the key format's version; the node's type and version; per input port either the value or the key and
output name of what is linked (or the digest of the output, if that comes from a node with early cut-off); and the
node's fingerprint, if it reads something from outside (one that must run every
time returns a new fingerprint every time). Node ids, labels, positions and ports that only matter for delivery never
enter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any, Protocol, TypeAlias

from sdgraph.core.graph import GraphNode
from sdgraph.core.spec import NodeSpec
from sdgraph.engine.encoding import encode

CacheKey: TypeAlias = bytes
"""32 bytes; shown as hexadecimal."""

KEY_FORMAT = "sdgraph-key@1"
_KEY_BYTES = 32


class Keyed(Protocol):
    """What has a key already."""

    @property
    def key(self) -> CacheKey: ...

    @property
    def recipe(self) -> CacheKey:
        """The key that it would have without early cut-off: known whatever is stored."""
        ...

    @property
    def digests(self) -> Mapping[str, str] | None:
        """Digests of its outputs, if it cuts off."""
        ...


class KeyMaker:
    """Computes keys; remembers what is the same for all nodes of a type."""

    def __init__(self) -> None:
        self.fingerprints: dict[str, str] = {}
        """What nodes read from outside, by node id."""
        self._alike: dict[tuple[str, bytes], tuple[str | None, ...]] = {}
        """What the last two nodes of one type and the same values said."""
        self._layouts: dict[int, tuple[NodeSpec, Any, tuple[tuple[str, bytes], ...]]] = {}

    def key(self, node: GraphNode, sources: Mapping[str, Keyed], by_recipe: Collection[str] | None = ()) -> CacheKey:
        """The key of a node, given what stands for the nodes that it links to.

        Ports in `by_recipe` (None: all) are keyed by recipe, without early cut-off. Calls the node's `fingerprint`,
        once for each id; it raises ModelError or MediaError when what it reads is not there.
        """
        found = self._layouts.get(id(node.spec)) or self._layout(node.spec)
        links, values = node.links, node.values
        parts: list[bytes] = []
        for name, tag in found[2]:
            ref = links.get(name)
            if ref is not None:
                parts += (tag, *_link(sources[ref.node], ref.port, by_recipe is None or name in by_recipe))
            else:
                parts += (tag, encode(values[name]))
        if node.spec.has_fingerprint:
            parts += (b"P", encode(self._fingerprint(node)))
        digest = found[1].copy()
        digest.update(b"".join(parts))
        return digest.digest()

    def _fingerprint(self, node: GraphNode) -> str | None:
        if node.id in self.fingerprints:
            return self.fingerprints[node.id]
        fingerprint = self._shared_fingerprint(node)
        if fingerprint is not None:
            self.fingerprints[node.id] = fingerprint
        return fingerprint

    def _shared_fingerprint(self, node: GraphNode) -> str | None:
        """That of an equal node of the plan, which a thousand loaders of one model need only once.

        The second one is asked too: if it says something else, the type is one that must run every time.
        """
        ports = node.spec.inputs
        read = (encode([name, value]) for name, value in node.values.items() if not ports[name].meta.linkable)
        alike = (node.spec.type, b"".join(read))
        known = self._alike.get(alike, ())
        if len(known) == 2 and known[0] == known[1]:
            return known[0]
        fingerprint = node.spec.construct(node.values).fingerprint()
        self._alike[alike] = (*known, fingerprint)[-2:]
        return fingerprint

    def _layout(self, spec: NodeSpec) -> tuple[NodeSpec, Any, tuple[tuple[str, bytes], ...]]:
        ports = sorted(name for name, port in spec.inputs.items() if port.meta.keyed)
        start = blake2b(encode([KEY_FORMAT, spec.type, spec.version]), digest_size=_KEY_BYTES)
        self._layouts[id(spec)] = (spec, start, tuple((name, encode(name)) for name in ports))
        return self._layouts[id(spec)]


def _link(source: Keyed, port: str, by_recipe: bool) -> tuple[bytes, ...]:
    if by_recipe:
        return b"L", source.recipe, encode(port)
    digest = source.digests.get(port) if source.digests else None
    return (b"L", source.key, encode(port)) if digest is None else (b"D", bytes.fromhex(digest))
