"""Checks a workflow against the known node types. Every problem is reported, not only the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from sdgraph.core.flatten import Flat, FlatNode, StandIn
from sdgraph.core.form import finite_problem, not_finite
from sdgraph.core.graph import GraphNode
from sdgraph.core.kinds import OutputKinds
from sdgraph.core.links import LinkCheck
from sdgraph.core.migrate import upgrade
from sdgraph.core.node import Node
from sdgraph.core.porttype import ANY
from sdgraph.core.registry import Registry
from sdgraph.core.spec import InputSpec, NodeSpec, OutputSpec, explain_validation
from sdgraph.core.suggest import Suggestions
from sdgraph.errors import Problem

_RANGE = ("greater_than", "less_than", "multiple_of", "too_long", "too_short")
_WORDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "multiple_of": "a multiple of"}
_LENGTHS = {"min_length": "at least", "max_length": "at most"}


def check_nodes(flat: Flat, registry: Registry, problems: list[Problem]) -> dict[str, GraphNode]:
    """The nodes with coerced values; adds what is wrong with types, versions, ports and values to `problems`."""
    nodes: dict[str, GraphNode] = {}
    suggestions = Suggestions()
    for name, node in flat.nodes.items():
        spec = registry.specs.get(node.type)
        if name in flat.stand_ins:
            nodes[name] = _stand_in(name, node, flat.stand_ins[name], registry)
        elif spec is None:
            near = suggestions.nearest(node.type, registry.specs)
            hint = f"Did you mean {near!r}?" if near else "Install its node pack; `sdgraph nodes` lists what is known."
            problems.append(Problem("node-type-unknown", f"There is no node type {node.type!r}.", hint, name))
        elif node.version is not None and node.version > spec.version:
            message = f"The node was made for version {node.version} of {spec.type!r}; here is {spec.version}."
            problems.append(Problem("node-version-newer", message, f"Update the pack {spec.pack!r}.", name))
        else:
            if node.version is not None and node.version < spec.version:
                problems.extend(upgrade(name, node, spec))
            nodes[name] = _check_node(name, node, spec, suggestions, problems)
    problems.extend(_exposed_problems(flat, nodes))
    return nodes


def check_links(
    nodes: Mapping[str, GraphNode], flat: Flat, problems: list[Problem], order: Sequence[str] | None = None
) -> None:
    """Add what is wrong with links and with the workflow's outputs to `problems`."""
    kinds = OutputKinds(nodes, order)
    problems.extend(kinds.problems)
    links = LinkCheck(nodes, kinds, flat.nodes.keys() | flat.broken)
    for node in nodes.values():
        if node.links:
            problems.extend(links.problems(node))
    for output, ref in flat.outputs.items():
        if problem := links.source_problem(ref, node=None, port=output):
            problems.append(problem)


def input_value(name: str, port: InputSpec, value: Any, problems: list[Problem]) -> Any:
    """The coerced value, or None with a problem added."""
    if not port.is_value:
        if value is None and port.optional:
            return None
        message = f"The port takes {port.type_name}, which can't be typed in."
        hint = f"Connect an output of type {port.type_name}."
        problems.append(Problem("port-needs-link", message, hint, name, port.name))
        return None
    if not_finite(value):
        problems.append(finite_problem(name, port.name, value))
        return None
    try:
        return port.coerce(value)
    except ValidationError as error:
        code = "value-out-of-range" if _is_range(error) else "value-invalid"
        message = f"The value does not fit: {explain_validation(error)}."
        problems.append(Problem(code, message, _allowed(port), name, port.name))
        return None


def _check_node(
    name: str, flat: FlatNode, spec: NodeSpec, suggestions: Suggestions, problems: list[Problem]
) -> GraphNode:
    inputs = spec.inputs
    for port in (*flat.values, *flat.links):
        if port not in inputs:
            near = suggestions.nearest(port, inputs)
            hint = f"Did you mean `{near}`?" if near else f"Its inputs are: {', '.join(inputs) or 'none'}."
            problems.append(Problem("port-unknown", f"{spec.type!r} has no input `{port}`.", hint, name, port))
    values: dict[str, Any] = {}
    for port, found in inputs.items():
        if port in flat.links:
            if port in flat.values:
                message = "The port has both a value and a link."
                problems.append(Problem("port-given-twice", message, "Keep one of the two.", name, port))
        elif port in flat.values:
            values[port] = input_value(name, found, flat.values[port], problems)
        elif not found.required:
            values[port] = found.default
        elif flat.mode != "mute":  # a muted node may be unfinished
            how = f"Connect an output of type {found.type_name}" + (", or give a value." if found.is_value else ".")
            problems.append(Problem("input-missing", "The port needs an input and has none.", how, name, port))
    return GraphNode(name, spec, values, flat.links)


def _stand_in(name: str, flat: FlatNode, ports: StandIn, registry: Registry) -> GraphNode:
    """A node that looks like the bypassed subgraph from outside."""
    inputs: dict[str, InputSpec] = {}
    for port, leaf in ports.inputs.items():
        spec = registry.specs.get(leaf.type)
        if spec is not None and leaf.port in spec.inputs:
            inputs[port] = replace(spec.inputs[leaf.port], name=port, required=False)
    outputs: dict[str, OutputSpec] = {}
    for port, leaf in ports.outputs.items():
        spec = registry.specs.get(leaf.type)
        found = spec.outputs.get(leaf.port) if spec is not None else None
        outputs[port] = replace(found, name=port) if found else OutputSpec(port, ANY, None)
    return GraphNode(name, NodeSpec(flat.type, 1, Node[Any], inputs, outputs), {}, flat.links)


def _exposed_problems(flat: Flat, nodes: Mapping[str, GraphNode]) -> Iterator[Problem]:
    for prefix, name, ref in flat.exposed:
        node = nodes.get(ref.node)
        if node is not None and ref.port not in node.spec.inputs and ref.node not in flat.stand_ins:
            yield Problem(
                "input-target-missing",
                f"The input `{name}` feeds `{ref}`, but {node.spec.type!r} has no input `{ref.port}`.",
                f"Its inputs are: {', '.join(node.spec.inputs) or 'none'}.",
                prefix.rstrip("/") or ref.node,
                name if prefix else ref.port,
            )


def _is_range(error: ValidationError) -> bool:
    return all(any(bound in detail["type"] for bound in _RANGE) for detail in error.errors(include_url=False))


def _allowed(port: InputSpec) -> str | None:
    limits = [f"{_WORDS[name]} {bound}" for name, bound in port.meta.constraints if name in _WORDS]
    limits += [f"{_LENGTHS[name]} {bound} long" for name, bound in port.meta.constraints if name in _LENGTHS]
    return f"Allowed: {port.type_name}, {', '.join(limits)}." if limits else None
