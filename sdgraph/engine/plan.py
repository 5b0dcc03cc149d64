"""The plan: what will run, what is a hit, and why. Made without running anything or reading any payload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING

from sdgraph.core.graph import Graph, GraphNode
from sdgraph.core.port import PortRef
from sdgraph.engine.cachekey import CacheKey, KeyMaker
from sdgraph.engine.gcpause import gc_paused
from sdgraph.engine.reason import (
    COVERED,
    FIRST_RUN,
    NOT_CACHEABLE,
    NOT_NEEDED,
    UNDECIDED,
    UNDECIDED_VALUE,
    Reason,
    explain,
    same_value,
    stored_in,
)
from sdgraph.engine.record import NodeRecord
from sdgraph.engine.stores.base import ResultStore
from sdgraph.errors import Problem, SdgraphError, WorkflowError

if TYPE_CHECKING:
    from sdgraph.engine.jobs import Job


class Action(Enum):
    """What is to be done about a step."""

    RUN = "run"
    HIT = "hit"
    COVERED = "covered"
    MAYBE = "maybe"
    UNUSED = "unused"


class Later:
    """What is known of a step while its key is not, because it depends on a value that the run has to find."""

    __slots__ = ("if_run", "key_before", "port", "settled")

    def __init__(self) -> None:
        self.if_run = FIRST_RUN
        """Why it runs, if it does."""
        self.key_before = ""
        """Its key in the previous run, hexadecimal."""
        self.port = ""
        """The port whose value may be what it was, though its recipe changed."""
        self.settled = False


class Step:
    """One computation. Nodes with equal keys share it."""

    __slots__ = ("action", "digests", "has_key", "job", "key", "later", "node", "reason", "recipe", "target", "tier")

    def __init__(self, node: GraphNode, key: CacheKey, recipe: CacheKey) -> None:
        self.node = node
        self.key = key
        """As long as it is not known (`has_key`), the recipe stands in for it."""
        self.has_key = True
        self.recipe = recipe
        """The key without early cut-off."""
        self.digests: Mapping[str, str] | None = None
        """Digests of the outputs of a step that cuts off, once they are known."""
        self.later: Later | None = None
        """Given to steps whose key is not known when the plan is made."""
        self.action = Action.UNUSED
        self.reason: Reason = NOT_NEEDED
        self.tier: str | None = None
        self.target = False
        """Its result is asked for itself, not only by other steps."""
        self.job: Job | None = None
        """Its state in the run of this plan; a step that nothing needed has none."""

    @property
    def cuts_off(self) -> bool:
        """Whether what reads it is keyed by its outputs' values."""
        return self.node.spec.cls.node_cutoff

    @property
    def is_open(self) -> bool:
        """Whether it is still to be decided what to do about it."""
        return self.later is not None and not self.later.settled


class Plan:
    """Steps by key in topological order, and which step each node is. A plan serves one run."""

    def __init__(self, graph: Graph, targets: Mapping[str, PortRef]) -> None:
        self.graph = graph
        self.targets = targets
        """The workflow outputs that are asked for."""
        self.target_nodes: tuple[str, ...] = ()
        """Nodes whose results are asked for: those behind the targets, and those that deliver files."""
        self.delivering: tuple[str, ...] = ()
        """Those of them whose outputs are wanted by node: they deliver files, or are behind no workflow output."""
        self.steps: dict[CacheKey, Step] = {}
        self.step_of: dict[str, Step] = {}
        self.to_read: list[CacheKey] = []
        """Keys of the hits that the run may read."""
        self.takes_time = False
        """Whether the run computes anything, or may, or reads what is not in memory: others may clean up meanwhile."""
        self.is_open = False
        """Whether a step depends on a value that only the run finds."""
        self.if_needed: dict[CacheKey, Reason] = {}
        """Why steps run that only run if an open step does."""
        self.keys = KeyMaker()

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """What nodes read from outside, by node id."""
        return self.keys.fingerprints

    def sources(self, step: Step) -> Iterator[Step]:
        """What a step is linked to."""
        return (self.step_of[ref.node] for ref in step.node.links.values())

    def keyed_sources(self, step: Step) -> Iterator[Step]:
        """Those by whose values or keys it is keyed. A branch that may not be taken counts by its recipe."""
        open_ports = undecided_ports(step.node)
        return (self.step_of[ref.node] for port, ref in step.node.links.items() if port not in open_ports)

    def give_key(self, step: Step) -> None:
        """Make the key of a step whose sources' keys and values are known."""
        step.key = self.keys.key(step.node, self.step_of, undecided_ports(step.node))
        step.has_key = True

    def by_node(self) -> Iterator[tuple[GraphNode, Step]]:
        for name, step in self.step_of.items():
            yield self.graph.nodes[name], step

    def reason(self, name: str) -> Reason:
        """Why a node runs or need not; a node that shares another one's step says so."""
        step = self.step_of[name]
        if step.node.id != name and step.action in (Action.RUN, Action.MAYBE):
            return Reason("same-as", f"the same as {step.node.id}")
        return step.reason

    def count(self, action: Action) -> int:
        """How many nodes (not steps) have this action."""
        return sum(step.action is action for step in self.step_of.values())

    def to_run(self) -> list[Step]:
        return [step for step in self.steps.values() if step.action is Action.RUN]


def make_plan(
    graph: Graph,
    store: ResultStore,
    *,
    outputs: Iterable[str] | None = None,
    before: Mapping[str, NodeRecord] | None = None,
) -> Plan:
    """Plan the run of a graph.

    `outputs` names the workflow outputs wanted (default: all, and every node that delivers files); `before` holds the
    records of the previous run, for the reasons. Raises WorkflowError with all problems when something that wanted
    nodes read (a model, a picture) is missing.
    """
    plan = Plan(graph, _targets(graph, outputs))
    with gc_paused():
        problems = _compute_keys(plan, store)
        _mark_targets(plan, everything=outputs is None)
        if problems:
            _raise_if_wanted(plan, problems)
        _decide(plan, store)
        if before is not None:
            _explain(plan, before)
    return plan


def _targets(graph: Graph, outputs: Iterable[str] | None) -> dict[str, PortRef]:
    if outputs is None:
        return dict(graph.outputs)
    wanted = list(outputs)
    known = {*graph.outputs, *graph.constants}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        offered = ", ".join(sorted(known)) or "none"
        raise WorkflowError(
            [
                Problem("output-unknown", f"The workflow has no output `{name}`.", f"Its outputs are: {offered}.")
                for name in unknown
            ]
        )
    return {name: graph.outputs[name] for name in wanted if name in graph.outputs}


def is_open(plan: Plan, step: Step) -> bool:
    """Whether the key of a step depends on a value that is not known yet."""
    return any(one.digests is None if one.cuts_off else not one.has_key for one in plan.keyed_sources(step))


def _compute_keys(plan: Plan, store: ResultStore) -> dict[str, Problem]:
    """Make the steps; returns what is wrong with nodes whose key can't be computed, by node id."""
    problems: dict[str, Problem] = {}
    after_cutoff: set[str] = set()
    for name, node in plan.graph.nodes.items():
        try:
            if after_cutoff and any(ref.node in after_cutoff for ref in node.links.values()):
                after_cutoff.add(name)
                _add_after_cutoff(plan, node, store)
                continue
            key = plan.keys.key(node, plan.step_of)
        except SdgraphError as error:
            problems[name] = error.at(node.origin or name)
            key = b"unreadable:" + name.encode()
        except Exception as error:  # a node's `fingerprint` may fail in any way
            said = f"{type(error).__name__}: {error}".rstrip(": ")
            message = f"What {node.spec.type} reads from outside can't be identified: {said}."
            hint = f"Report it to the pack {node.spec.pack!r}."
            problems[name] = Problem("fingerprint-failed", message, hint, node.origin or name)
            key = b"unreadable:" + name.encode()
        if node.spec.cls.node_cutoff:
            after_cutoff.add(name)
        _add(plan, Step(node, key, key), store)
    return problems


def _add(plan: Plan, step: Step, store: ResultStore) -> None:
    """Add a step, unless there is one with its key."""
    found = plan.steps.setdefault(step.key, step)
    plan.step_of[step.node.id] = found
    if found is step and step.cuts_off and step.has_key:
        step.digests = store.digests(step.key)


def _add_after_cutoff(plan: Plan, node: GraphNode, store: ResultStore) -> None:
    """Add the step of a node whose key may depend on values."""
    recipe = plan.keys.key(node, plan.step_of, None)
    step = Step(node, recipe, recipe)
    if is_open(plan, step):
        step.has_key, step.later = False, Later()
        plan.is_open = True
    else:
        plan.give_key(step)
    _add(plan, step, store)


def _raise_if_wanted(plan: Plan, problems: Mapping[str, Problem]) -> None:
    upstream = set(plan.target_nodes)
    for name in reversed(plan.graph.nodes):
        if name in upstream:
            upstream.update(ref.node for ref in plan.graph.nodes[name].links.values())
    wanted = [problem for name, problem in problems.items() if name in upstream]
    if wanted:
        raise WorkflowError(wanted)


def _mark_targets(plan: Plan, *, everything: bool) -> None:
    wanted = dict.fromkeys(ref.node for ref in plan.targets.values())
    named = len(wanted)
    if everything:
        wanted.update(dict.fromkeys(name for name, step in plan.step_of.items() if step.node.spec.has_deliver))
        if not wanted and not plan.graph.constants:
            read = {ref.node for node in plan.graph.nodes.values() for ref in node.links.values()}
            wanted.update((name, None) for name in plan.graph.nodes if name not in read)
    plan.target_nodes = tuple(wanted)
    delivering: list[str] = []
    for place, name in enumerate(wanted):
        step = plan.step_of[name]
        step.target = True
        if place >= named or step.node.spec.has_deliver:
            delivering.append(name)
    plan.delivering = tuple(delivering)


def _decide(plan: Plan, store: ResultStore) -> None:
    """Walk upstream from the targets; a hit needs nothing before it."""
    needed: set[CacheKey] = set()
    maybe: set[CacheKey] = set()
    keyed: set[CacheKey] = set()
    """Open steps whose key is needed, to find out about another one."""
    unused = False
    for step in reversed(plan.steps.values()):
        step.tier = store.find(step.key) if step.node.spec.cls.node_cache and step.later is None else None
        if step.tier is not None:
            step.action = Action.HIT
            step.reason = stored_in(step.tier)
            if step.target or step.key in needed or step.key in maybe:
                plan.to_read.append(step.key)
                plan.takes_time = plan.takes_time or step.tier != "memory"
            continue
        wanted = step.target or step.key in needed
        if not wanted and step.key not in maybe:
            unused = True
            continue
        plan.takes_time = True
        if step.later is not None:
            step.action, step.reason = Action.MAYBE, UNDECIDED_VALUE
            _need_for_key(plan, step, wanted or step.key in keyed, needed, keyed)
            _may_need(plan, step, maybe)
            continue
        step.action, step.reason = (Action.RUN, FIRST_RUN) if wanted else (Action.MAYBE, UNDECIDED)
        if not wanted and step.key in plan.if_needed:
            step.reason = UNDECIDED_VALUE
            _may_need(plan, step, maybe)
            continue
        open_ports = undecided_ports(step.node)
        for port, ref in step.node.links.items():
            certain = wanted and port not in open_ports
            (needed if certain else maybe).add(plan.step_of[ref.node].key)
    if unused:
        _cover(plan)


def _need_for_key(plan: Plan, step: Step, certain: bool, needed: set[CacheKey], keyed: set[CacheKey]) -> None:
    """What has to run, for certain, so that an open step gets its key."""
    if certain:
        for source in plan.keyed_sources(step):
            if source.cuts_off and source.digests is None:
                needed.add(source.key)
            elif not source.has_key:
                keyed.add(source.key)


def _may_need(plan: Plan, step: Step, maybe: set[CacheKey]) -> None:
    """What a step reads if it runs, which only an open step decides."""
    for source in plan.sources(step):
        maybe.add(source.key)
        plan.if_needed.setdefault(source.key, FIRST_RUN)


def undecided_ports(node: GraphNode) -> tuple[str, ...]:
    """The lazy inputs of a node of which only the run can tell whether they are needed."""
    if not node.spec.has_lazy:
        return ()
    inputs = node.spec.inputs
    lazy = tuple(port for port in node.links if inputs[port].meta.lazy)
    # With nothing but values to decide by, the branches not taken have been pruned already.
    return lazy if len(lazy) < len(node.links) else ()


def _cover(plan: Plan) -> None:
    """What is unused because all that reads it is stored counts as a hit; what nothing wanted ever reads does not."""
    covered: set[CacheKey] = set()
    for step in reversed(plan.steps.values()):
        if step.action is Action.UNUSED and step.key in covered:
            step.action, step.reason = Action.COVERED, COVERED
        if step.action is not Action.UNUSED:
            covered.update(plan.step_of[ref.node].key for ref in step.node.links.values())


def _explain(plan: Plan, before: Mapping[str, NodeRecord]) -> None:
    """Say why nodes run or hit, against the records of the previous run."""
    changed: dict[str, Reason] = {}
    for name, step in plan.step_of.items():
        node, record = plan.graph.nodes[name], before.get(name)
        is_same = record is not None and step.has_key and record.key == step.key.hex()
        if is_same and step.action is not Action.RUN:
            if changed and step.action is Action.HIT and (port := _cut_off_at(plan, node, changed)):
                step.reason = same_value(port)
            continue
        now = NodeRecord.of(node, step.key if step.has_key else b"", plan.fingerprints.get(name))
        reason = explain(node, now, record, changed)
        if not is_same and (step.has_key or reason.code != "not-stored"):
            changed[name] = reason
        if step.node is not node:
            continue
        if step.later is not None:
            step.later.if_run = reason
            step.later.key_before = record.key if record is not None else ""
            step.later.port = _cut_off_at(plan, node, changed)
        elif step.action is Action.MAYBE and step.key in plan.if_needed:
            plan.if_needed[step.key] = reason
        elif step.action is Action.RUN:
            step.reason = reason if node.spec.cls.node_cache else NOT_CACHEABLE
        elif step.action is Action.HIT and record is not None:
            step.reason = Reason("stored", f"{step.reason.text}; {reason.text}", reason.changes, reason.began_at)


def _cut_off_at(plan: Plan, node: GraphNode, changed: Mapping[str, Reason]) -> str:
    """The port that a cut-off with another recipe than before is linked to; empty if there is none."""
    found = (port for port, ref in node.links.items() if ref.node in changed and plan.step_of[ref.node].cuts_off)
    return next(found, "")
