"""Cache keys: a Merkle hash over what a node is and what feeds it.

The pre-image is: the key format's version; the node's type and version; per input port either the value or the key and
output name of what is linked; and the node's fingerprint, if it reads something from outside (one that must run every
time returns a new fingerprint every time). Node ids, labels, positions and ports that only matter for delivery never
enter.
"""

from __future__ import annotations

from collections.abc import Mapping
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


class KeyMaker:
    """Computes keys; remembers what is the same for all nodes of a type."""

    def __init__(self) -> None:
        self.fingerprints: dict[str, str] = {}
        """What nodes read from outside, by node id."""
        self._layouts: dict[int, tuple[NodeSpec, Any, tuple[tuple[str, bytes], ...]]] = {}

    def key(self, node: GraphNode, sources: Mapping[str, Keyed]) -> CacheKey:
        """The key of a node, given what stands for the nodes that it links to.

        Calls the node's `fingerprint`, which raises ModelError or MediaError when what it reads is not there.
        """
        found = self._layouts.get(id(node.spec)) or self._layout(node.spec)
        links, values = node.links, node.values
        parts: list[bytes] = []
        for name, tag in found[2]:
            ref = links.get(name)
            if ref is not None:
                parts += (tag, b"L", sources[ref.node].key, encode(ref.port))
            else:
                parts += (tag, encode(values[name]))
        if node.spec.has_fingerprint:
            fingerprint = node.spec.construct(values).fingerprint()
            parts += (b"P", encode(fingerprint))
            if fingerprint is not None:
                self.fingerprints[node.id] = fingerprint
        digest = found[1].copy()
        digest.update(b"".join(parts))
        return digest.digest()

    def _layout(self, spec: NodeSpec) -> tuple[NodeSpec, Any, tuple[tuple[str, bytes], ...]]:
        ports = sorted(name for name, port in spec.inputs.items() if port.meta.keyed)
        start = blake2b(encode([KEY_FORMAT, spec.type, spec.version]), digest_size=_KEY_BYTES)
        self._layouts[id(spec)] = (spec, start, tuple((name, encode(name)) for name in ports))
        return self._layouts[id(spec)]
