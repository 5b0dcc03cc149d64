"""Checks a workflow against the known node types. Every problem is reported, not only the first."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from sdgraph.core.flatten import Flat, FlatNode
from sdgraph.core.graph import GraphNode
from sdgraph.core.port import PortRef
from sdgraph.core.porttype import ANY, accepts
from sdgraph.core.registry import Registry
from sdgraph.core.spec import InputSpec, NodeSpec, explain_validation
from sdgraph.errors import Problem


def check_nodes(flat: Flat, registry: Registry, problems: list[Problem]) -> dict[str, GraphNode]:
    """The nodes with coerced values; adds what is wrong with types, versions, ports and values to `problems`."""
    nodes: dict[str, GraphNode] = {}
    for name, flat_node in flat.nodes.items():
        spec = registry.specs.get(flat_node.type)
        if spec is None:
            problems.append(_unknown_type(name, flat_node.type, registry))
        elif flat_node.version is not None and flat_node.version > spec.version:
            problems.append(
                Problem(
                    "node-version-newer",
                    f"The node was made for version {flat_node.version} of {spec.type!r}; here is {spec.version}.",
                    f"Update the pack {spec.pack!r}.",
                    node=name,
                )
            )
        else:
            nodes[name] = _check_node(name, flat_node, spec, problems)
    return nodes


def check_links(nodes: Mapping[str, GraphNode], flat: Flat, problems: list[Problem]) -> None:
    """Add what is wrong with links and with the workflow's outputs to `problems`."""
    kinds = OutputKinds(nodes)
    for name, node in nodes.items():
        for port, ref in node.links.items():
            target = node.spec.inputs.get(port)
            if target is not None and (problem := _link_problem(name, target, ref, nodes, flat, kinds)):
                problems.append(problem)
    for output, ref in flat.outputs.items():
        if problem := _source_problem(ref, nodes, flat, node=None, port=output):
            problems.append(problem)


def input_value(name: str, port: InputSpec, value: Any, problems: list[Problem]) -> Any:
    """The coerced value, or None with a problem added."""
    if not port.is_value:
        problems.append(
            Problem(
                "port-needs-link",
                f"The port takes {port.type_name}, which can't be typed in.",
                f"Connect an output of type {port.type_name}.",
                node=name,
                port=port.name,
            )
        )
        return None
    try:
        return port.coerce(value)
    except ValidationError as error:
        code = "value-out-of-range" if _is_range(error) else "value-invalid"
        said = explain_validation(error)
        problems.append(Problem(code, f"The value does not fit: {said}.", _allowed(port), node=name, port=port.name))
        return None


def _check_node(name: str, flat: FlatNode, spec: NodeSpec, problems: list[Problem]) -> GraphNode:
    for port in (*flat.values, *flat.links):
        if port not in spec.inputs:
            near = get_close_matches(port, spec.inputs, 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Its inputs are: {', '.join(spec.inputs) or 'none'}."
            problems.append(
                Problem("port-unknown", f"{spec.type!r} has no input `{port}`.", hint, node=name, port=port)
            )
    values: dict[str, Any] = {}
    for port, found in spec.inputs.items():
        if port in flat.links:
            if port in flat.values:
                problems.append(
                    Problem(
                        "port-given-twice",
                        "The port has both a value and a link.",
                        "Keep one of the two.",
                        node=name,
                        port=port,
                    )
                )
        elif port in flat.values:
            values[port] = input_value(name, found, flat.values[port], problems)
        elif not found.required:
            values[port] = found.default
        else:
            how = f"Connect an output of type {found.type_name}" + (", or give a value." if found.is_value else ".")
            problems.append(
                Problem("input-missing", "The port needs an input and has none.", how, node=name, port=port)
            )
    return GraphNode(name, spec, values, flat.links)


class OutputKinds:
    """Output types; an output of type Any (a switch) has the type of what feeds the node's Any ports."""

    def __init__(self, nodes: Mapping[str, GraphNode]) -> None:
        self._nodes = nodes

    def of(self, ref: PortRef) -> str:
        seen: set[PortRef] = set()
        while ref not in seen:
            seen.add(ref)
            node = self._nodes[ref.node]
            kind = node.spec.outputs[ref.port].type_name
            if kind != ANY:
                return kind
            feeding = (link for port, link in node.links.items() if _is_any(node, port) and self._exists(link))
            ref = next(feeding, ref)
        return ANY

    def _exists(self, ref: PortRef) -> bool:
        return ref.node in self._nodes and ref.port in self._nodes[ref.node].spec.outputs


def _is_any(node: GraphNode, port: str) -> bool:
    found = node.spec.inputs.get(port)
    return found is not None and found.type_name == ANY


def _link_problem(
    name: str, target: InputSpec, ref: PortRef, nodes: Mapping[str, GraphNode], flat: Flat, kinds: OutputKinds
) -> Problem | None:
    if problem := _source_problem(ref, nodes, flat, node=name, port=target.name):
        return problem
    if ref.node not in nodes or accepts(target.type_name, found := kinds.of(ref)):
        return None
    fitting = (
        f"`{node.id}.{port}`"
        for node in nodes.values()
        if node.id != name
        for port, output in node.spec.outputs.items()
        if output.type_name == target.type_name
    )
    example = next(fitting, None)
    hint = f"Connect an output of type {target.type_name}" + (f", for example {example}." if example else ".")
    return Problem(
        "port-type-mismatch",
        f"`{name}.{target.name}` expects {target.type_name}, but `{ref}` gives {found}.",
        hint,
        node=name,
        port=target.name,
    )


def _source_problem(
    ref: PortRef, nodes: Mapping[str, GraphNode], flat: Flat, *, node: str | None, port: str
) -> Problem | None:
    what = "The link" if node else f"The workflow's output `{port}`"
    if ref.node not in flat.nodes:
        near = get_close_matches(ref.node, flat.nodes, 1)
        hint = f"Did you mean `{near[0]}`?" if near else "Correct or remove it."
        return Problem(
            "link-node-missing", f"{what} comes from `{ref}`, but there is no such node.", hint, node=node, port=port
        )
    source = nodes.get(ref.node)
    if source is not None and ref.port not in source.spec.outputs:
        offered = ", ".join(source.spec.outputs) or "none"
        return Problem(
            "link-output-missing",
            f"{what} comes from `{ref}`, but {source.spec.type!r} has no such output.",
            f"Its outputs are: {offered}.",
            node=node,
            port=port,
        )
    return None


def _unknown_type(name: str, wanted: str, registry: Registry) -> Problem:
    near = get_close_matches(wanted, registry.specs, 1)
    hint = (
        f"Did you mean {near[0]!r}?"
        if near
        else "Install the node pack that has it; `sdgraph nodes` lists what is known."
    )
    return Problem("node-type-unknown", f"There is no node type {wanted!r}.", hint, node=name)


def _is_range(error: ValidationError) -> bool:
    bounds = ("greater_than", "less_than", "multiple_of", "finite_number", "too_long", "too_short")
    return all(any(bound in detail["type"] for bound in bounds) for detail in error.errors())


def _allowed(port: InputSpec) -> str | None:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "multiple_of": "a multiple of"}
    limits = [f"{words[name]} {bound:g}" for name, bound in port.meta.constraints if name in words]
    return f"Allowed: {port.type_name}, {', '.join(limits)}." if limits else None
