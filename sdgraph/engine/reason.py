"""Why a node will run, or why it need not: decided while planning, shown before the run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Any, Literal

from sdgraph.core.graph import GraphNode
from sdgraph.engine.cachekey import CacheKey

_LINE_LENGTH = 80

ReasonCode = Literal[
    "stored",
    "shared",
    "covered",
    "same-as",
    "first-run",
    "new-node",
    "value-changed",
    "input-changed",
    "upstream-changed",
    "version-changed",
    "content-changed",
    "not-stored",
    "not-cacheable",
    "undecided",
    "not-needed",
]


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable code and one line for people."""

    code: ReasonCode
    text: str


STORED = {tier: Reason("stored", f"stored in {tier}") for tier in ("memory", "disk", "remote")}
SHARED = Reason("shared", "computed elsewhere while this run waited")
COVERED = Reason("covered", "everything after it is stored")
FIRST_RUN = Reason("first-run", "not computed before")
NEW_NODE = Reason("new-node", "new in this workflow")
NOT_STORED = Reason(
    "not-stored", "unchanged, but its result is not stored: never finished, evicted, or cheaper to compute than to keep"
)
NOT_CACHEABLE = Reason("not-cacheable", "made anew in every run; it costs next to nothing")
UNDECIDED = Reason("undecided", "runs only if a choice made during the run needs it")
NOT_NEEDED = Reason("not-needed", "nothing that is asked for needs it")


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """What a node was in the previous run: enough to say what changed."""

    type: str
    version: int
    key: str
    values: dict[str, str]
    links: dict[str, str]

    @classmethod
    def of(cls, node: GraphNode, key: CacheKey) -> NodeRecord:
        keyed = {name: value for name, value in node.values.items() if node.spec.inputs[name].meta.keyed}
        return cls(
            node.spec.type,
            node.spec.version,
            key.hex(),
            {name: show(value) for name, value in keyed.items()},
            {name: str(ref) for name, ref in node.links.items()},
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "version": self.version,
            "key": self.key,
            "values": self.values,
            "links": self.links,
        }


def explain(node: GraphNode, key: CacheKey, before: NodeRecord | None, changed_nodes: dict[str, str | None]) -> Reason:
    """Why a node whose result is not stored must run, against its record of the previous run.

    `changed_nodes` maps the nodes upstream whose key changed to the node where the change began (None: themselves).
    """
    if not node.spec.cls.node_cache:
        return NOT_CACHEABLE
    if before is None:
        return NEW_NODE
    now = NodeRecord.of(node, key)
    if before.key == now.key:
        return NOT_STORED
    if before.type != now.type:
        return Reason("new-node", f"was {before.type}, is {now.type}")
    if before.version != now.version:
        return Reason("version-changed", f"{now.type} changed from version {before.version} to {now.version}")
    changes = [text for name, value in now.values.items() if (text := _change(name, value, before))]
    if changes:
        return Reason("value-changed", "; ".join(changes[:3]))
    changed = [changed_nodes[ref.node] or ref.node for ref in node.links.values() if ref.node in changed_nodes]
    relinked = [name for name, ref in now.links.items() if before.links.get(name) != ref]
    if relinked and not changed:
        return Reason("input-changed", f"{relinked[0]} now comes from {now.links[relinked[0]]}")
    if changed:
        return Reason("upstream-changed", f"{changed[0]} changed")
    return Reason("content-changed", "what it reads from outside changed")


def _change(name: str, value: str, before: NodeRecord) -> str | None:
    old = before.values.get(name) or before.links.get(name)
    if name in before.values and before.values[name] == value:
        return None
    return f"{name} changed from {old or 'nothing'} to {value or 'nothing'}"


def show(value: Any) -> str:
    """A value as one short line, with a digest when it had to be cut so that different values look different."""
    plain = value.value if isinstance(value, Enum) else value
    text = plain if isinstance(plain, str) else repr(plain) if isinstance(plain, float) else str(plain)
    line = text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
    if len(line) <= _LINE_LENGTH:
        return line
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{line[:60]}... ({digest})"
