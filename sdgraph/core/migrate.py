"""Nodes in a file that were made for an older version of their type are brought up to date by the type itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sdgraph.core.flatten import FlatNode
from sdgraph.core.port import PortRef
from sdgraph.core.spec import NodeSpec
from sdgraph.errors import Problem, SdgraphError


def upgrade(name: str, node: FlatNode, spec: NodeSpec) -> Iterator[Problem]:
    """Bring the node's inputs to the type's version, in place, and say so."""
    made_for = node.version or spec.version
    inputs, problem = upgraded_inputs(name, made_for, {**node.values, **node.links}, spec)
    if problem is not None:
        yield problem
        return
    node.values = {port: given for port, given in inputs.items() if not isinstance(given, PortRef)}
    node.links = {port: given for port, given in inputs.items() if isinstance(given, PortRef)}
    yield Problem(
        "node-version-older",
        f"The node was made for version {made_for} of {spec.type!r} and runs as version {spec.version}; "
        "its result may differ.",
        "Look at its values, then accept the new version with `sdgraph check --fix`.",
        name,
        severity="warning",
    )


def upgraded_inputs(
    name: str, made_for: int, inputs: dict[str, Any], spec: NodeSpec
) -> tuple[dict[str, Any], Problem | None]:
    """The inputs (values as in the file, links as PortRef) as the current version wants them, or what is wrong."""
    try:
        return spec.cls.upgrade(made_for, dict(inputs)), None
    except SdgraphError as error:
        return inputs, error.at(name)
    except Exception as error:  # the values are whatever somebody wrote into the file
        message = f"The inputs could not be brought from version {made_for} of {spec.type!r} to {spec.version}: {error}"
        return inputs, Problem("upgrade-failed", message + ".", "Place a new node of this type instead.", name)
