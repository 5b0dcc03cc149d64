"""What is remembered of each node of a run, so that the next plan can say what changed since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from sdgraph.core.graph import GraphNode
from sdgraph.engine.cachekey import CacheKey

if TYPE_CHECKING:
    from sdgraph.engine.plan import Plan
    from sdgraph.engine.report import RunReport
    from sdgraph.engine.stores.base import ResultStore

_LINE_LENGTH = 80
_MAX_PARTS = 32

Ended = Literal["", "kept", "dropped", "unfinished"]
"""Whether a node's result outlived its run; empty when that is not known."""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """What a node was in a run: enough to say what changed."""

    type: str
    version: int
    key: str
    values: dict[str, str]
    links: dict[str, str]
    content: str = ""
    """A short digest of what the node read from outside."""
    places: dict[str, str] = field(default_factory=dict[str, str])
    """Where it read that: values that its fingerprint stands for, such as paths."""
    ended: Ended = ""

    @classmethod
    def of(cls, node: GraphNode, key: CacheKey, fingerprint: str | None = None, ended: Ended = "") -> NodeRecord:
        inputs = node.spec.inputs
        keyed: dict[str, str] = {}
        for name, value in node.values.items():
            if inputs[name].meta.keyed:
                keyed.update(_parts(name, value))
        links = {name: str(ref) for name, ref in node.links.items()}
        if fingerprint is None:
            return cls(node.spec.type, node.spec.version, key.hex(), keyed, links, ended=ended)
        content = blake2b(fingerprint.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        places = {
            name: show(value)
            for name, value in node.values.items()
            if not (inputs[name].meta.linkable or inputs[name].meta.keyed)
        }
        return cls(node.spec.type, node.spec.version, key.hex(), keyed, links, content, places, ended)

    def to_json(self) -> dict[str, Any]:
        return {name: part for name, part in asdict(self).items() if part not in ("", {}) or name in _ALWAYS}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> NodeRecord:
        """Raises TypeError or AttributeError for what `to_json` did not write."""
        record = cls(**data)
        texts: list[object] = [record.type, record.key, record.content, record.ended]
        for part in (record.values, record.links, record.places):
            texts += part.values()
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a record holds something else than text")
        return record


_ALWAYS = frozenset({"type", "version", "key", "values", "links"})


def records_of(
    plan: Plan, report: RunReport | None = None, lasting: ResultStore | None = None
) -> Iterator[tuple[str, NodeRecord]]:
    """The record of each node after a run, given the store that outlives it."""
    for node, step in plan.by_node():
        ended = "" if report is None or lasting is None else _ended(report, lasting, node.id)
        key = step.key if step.has_key else b""  # what it was keyed by never became known
        yield node.id, NodeRecord.of(node, key, plan.fingerprints.get(node.id), ended)


def _ended(report: RunReport, lasting: ResultStore, node: str) -> Ended:
    found = report.nodes[node]
    if found.status == "hit":
        return "kept"
    if found.status != "ran":
        return "unfinished"
    return "kept" if lasting.find(found.cache_key) else "dropped"


def difference(now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Name, old and new text of what is not the same, empty for what was not there."""
    for name in dict.fromkeys((*now, *before)):
        if before.get(name) != now.get(name):
            yield name, before.get(name, ""), now.get(name, "")


def _parts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A value as text, taken apart by its fields so that a change can be named: `leg.steps` rather than `leg`."""
    if isinstance(value, BaseModel):
        fields = [(f"{name}.{inner}", part) for inner, part in value]
    elif isinstance(value, (list, tuple)) and 0 < len(value) <= _MAX_PARTS:
        fields = [(f"{name}.{place}", part) for place, part in enumerate(value, 1)]
    else:
        fields = []
    if not fields:
        yield name, show(value)
    for inner, part in fields:
        yield from _parts(inner, part)


def show(value: Any) -> str:
    """A value as one short line, with a digest when it had to be cut so that different values look different."""
    plain = value.value if isinstance(value, Enum) else value
    text = plain if isinstance(plain, str) else repr(plain) if isinstance(plain, float) else str(plain)
    line = text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
    if len(line) <= _LINE_LENGTH:
        return line
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{line[:60]}... ({digest})"
