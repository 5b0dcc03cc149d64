"""Why a node will run, or why it need not: decided while planning, shown before the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sdgraph.core.graph import GraphNode
from sdgraph.engine.record import NodeRecord, difference

_MAX_SHOWN = 3

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
    "undecided-value",
    "same-value",
    "not-needed",
    "upstream-failed",
    "cancelled",
]


@dataclass(frozen=True, slots=True)
class Change:
    """A port whose value, link or content is not what it was; empty for what was not there."""

    port: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.port} from {self.before or 'nothing'} to {self.after or 'nothing'}"

    def to_json(self) -> dict[str, str]:
        return {"port": self.port, "from": self.before, "to": self.after}


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable code and one line for people."""

    code: ReasonCode
    text: str
    changes: tuple[Change, ...] = ()
    """What changed at the node itself."""
    began_at: str | None = None
    """The node upstream where the change began."""

    def to_json(self) -> dict[str, object]:
        """The reason as programs read it: `code`, `reason`, and what changed where, if that is known."""
        parts: dict[str, object] = {"code": self.code, "reason": self.text}
        if self.changes:
            parts["changes"] = [change.to_json() for change in self.changes]
        if self.began_at is not None:
            parts["began_at"] = self.began_at
        return parts


_STORED = {
    tier: Reason("stored", said)
    for tier, said in {
        "memory": "stored in memory",
        "disk": "stored on disk",
        "remote": "stored in the remote store",
    }.items()
}


def stored_in(tier: str) -> Reason:
    """That a result is in the tier of this name."""
    return _STORED.get(tier) or Reason("stored", f"stored in {tier}")


SHARED = Reason("shared", "computed elsewhere while this run waited")
COVERED = Reason("covered", "everything after it is stored")
FIRST_RUN = Reason("first-run", "not computed before")
NEW_NODE = Reason("new-node", "new in this workflow")
NOT_STORED: Mapping[str, Reason] = {
    ended: Reason("not-stored", f"unchanged, but {said}")
    for ended, said in {
        "": "its result is not stored: never finished, evicted, or cheaper to compute than to keep",
        "kept": "its result was removed since the last run, by gc, clear or damage",
        "dropped": "its result was not kept: cheaper to compute than to store, or of a kind that is not stored",
        "unfinished": "it did not finish in the last run",
    }.items()
}
FAILED_BEFORE = Reason("upstream-failed", "something that it needs failed")
CANCELLED = Reason("cancelled", "the run was cancelled")
NOT_CACHEABLE = Reason("not-cacheable", "made anew in every run; it costs next to nothing")
UNDECIDED = Reason("undecided", "runs only if a choice made during the run needs it")
UNDECIDED_VALUE = Reason("undecided-value", "decided during the run, by a value that is not known yet")
NOT_NEEDED = Reason("not-needed", "nothing that is asked for needs it")


def same_value(port: str) -> Reason:
    """Why a step is a hit although something before it changed."""
    return Reason("same-value", f"the value of {port} is the same as before, though its recipe changed")


def explain(node: GraphNode, now: NodeRecord, before: NodeRecord | None, changed: Mapping[str, Reason]) -> Reason:
    """Why the key of a node is not that of its record in the previous run, or why it runs although it is.

    The key of `now` is empty when it is not known yet. `changed` has the nodes upstream whose key changed, with their
    reasons.
    """
    if before is None:
        return NEW_NODE
    if before.key == now.key:
        return NOT_STORED.get(before.ended) or NOT_STORED[""]
    if before.type != now.type:
        return Reason("new-node", f"was {before.type}, is {now.type}", (Change("type", before.type, now.type),))
    if before.version != now.version:
        change = Change("version", str(before.version), str(now.version))
        return Reason("version-changed", f"{now.type} changed {change}", (change,))
    found = _changed_values(now, before) or _changed_links(node, now, before, changed)
    if found is None and now.content == before.content and not (now.key and before.key):
        return NOT_STORED.get(before.ended) or NOT_STORED[""]
    return found or _changed_content(now, before)


def _changed_values(now: NodeRecord, before: NodeRecord) -> Reason | None:
    changes = tuple(
        Change(name, was or before.links.get(name, ""), text)
        for name, was, text in difference(now.values, before.values)
        if name.split(".")[0] not in now.links
    )
    if not changes:
        return None
    more = f"; and {len(changes) - _MAX_SHOWN} more" if len(changes) > _MAX_SHOWN else ""
    said = "; ".join(f"{change.port} changed {str(change)[len(change.port) + 1 :]}" for change in changes[:_MAX_SHOWN])
    return Reason("value-changed", said + more, changes)


def _changed_links(
    node: GraphNode, now: NodeRecord, before: NodeRecord, changed: Mapping[str, Reason]
) -> Reason | None:
    known = {**before.values, **before.links}
    upstream = [ref.node for ref in node.links.values() if ref.node in changed]
    for name, _, source in difference(now.links, before.links):
        if not source:
            continue
        if name not in before.links or not upstream or changed[upstream[0]].code == "new-node":
            change = Change(name, known.get(name, ""), source)
            was = f" (was {change.before})" if change.before else ""
            return Reason("input-changed", f"{name} now comes from {source}{was}", (change,))
    if not upstream:
        return None
    reason = changed[upstream[0]]
    began = reason.began_at or upstream[0]
    what = f": {reason.changes[0]}" if reason.changes else ""
    return Reason("upstream-changed", f"{began} changed{what}", reason.changes, began)


def _changed_content(now: NodeRecord, before: NodeRecord) -> Reason:
    """What a node reads from outside is the only thing left that can have changed."""
    place = next(iter(now.places.values()), "what it reads from outside")
    was = next(iter(before.places.values()), place)
    name = next(iter(now.places), "content")
    said = f"the content of {place} changed" if was == place else f"{name} changed from {was} to {place}, which differs"
    if not now.places:
        said = f"{place} changed"
    return Reason("content-changed", said, (Change(name, before.content, now.content),))
