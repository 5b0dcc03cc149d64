"""Why a node will run, or why it need not: decided while planning, shown before the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sdgraph.core.graph import GraphNode
from sdgraph.engine.cachekey import CacheKey

ReasonCode = Literal[
    "stored",
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
COVERED = Reason("covered", "everything after it is stored")
FIRST_RUN = Reason("first-run", "not computed before")
NEW_NODE = Reason("new-node", "new in this workflow")
NOT_STORED = Reason(
    "not-stored", "unchanged, but its result is not stored: it was evicted, or cheaper to compute than to keep"
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
    changes = [
        f"{name} changed {_arrow(before.values.get(name), value)}"
        for name, value in now.values.items()
        if before.values.get(name) != value and name not in before.links
    ]
    if changes:
        return Reason("value-changed", "; ".join(changes[:3]))
    relinked = [name for name, ref in now.links.items() if before.links.get(name) != ref]
    changed = {
        ref.node: changed_nodes[ref.node] or ref.node for ref in node.links.values() if ref.node in changed_nodes
    }
    if relinked and not changed:
        return Reason("input-changed", f"{relinked[0]} now comes from {now.links[relinked[0]]}")
    if changed:
        return Reason("upstream-changed", f"{next(iter(changed.values()))} changed")
    return Reason("content-changed", "what it reads from outside changed")


def show(value: Any) -> str:
    """A value as one short line, with a digest when it had to be cut so that different values look different."""
    text = value if isinstance(value, str) else _plain(value)
    if len(text) <= 80:
        return text
    from hashlib import blake2b

    return f"{text[:60]}... ({blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()})"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_plain(part) for part in value) + "]"
    return str(value)


def _arrow(before: str | None, now: str) -> str:
    return f"{before if before is not None else 'nothing'} -> {now}"
