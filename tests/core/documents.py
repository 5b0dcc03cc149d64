"""Short ways for tests to write documents and to read problems."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from sdgraph.core.build import Checked, check_workflow
from sdgraph.core.document import SCHEMA, WorkflowDocument, load_document, parse_document
from sdgraph.core.graph import Graph
from sdgraph.errors import Problem, WorkflowError
from tests.core.toys import registry

Place = tuple[str, str | None, str | None]


def data(nodes: dict[str, Any], outputs: dict[str, str] | None = None, **parts: Any) -> dict[str, Any]:
    """A workflow as JSON data."""
    return {"schema": SCHEMA, "nodes": nodes, "outputs": outputs or {}, **parts}


def document(nodes: dict[str, Any], outputs: dict[str, str] | None = None, **parts: Any) -> WorkflowDocument:
    """A workflow that has the right form."""
    return load_document(data(nodes, outputs, **parts))


def node(kind: str, values: dict[str, Any] | None = None, /, **links: str) -> dict[str, Any]:
    """A node of type `toy.KIND`."""
    return {"type": f"toy.{kind}", "values": values or {}, "links": links}


def places(problems: Iterable[Problem]) -> list[Place]:
    """Code, node and port of each problem, sorted."""
    return sorted(((found.code, found.node, found.port) for found in problems), key=str)


def refused(content: object) -> list[Place]:
    """The problems for which a file with this content is refused."""
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    with pytest.raises(WorkflowError) as caught:
        parse_document(text)
    return places(caught.value.problems)


def checked(nodes: dict[str, Any], outputs: dict[str, str] | None = None, **parts: Any) -> Checked:
    """The check of a workflow against the toy pack."""
    return check_workflow(document(nodes, outputs, **parts), registry())


def wrong(nodes: dict[str, Any], outputs: dict[str, str] | None = None, **parts: Any) -> list[Place]:
    """The errors of a workflow."""
    return places(checked(nodes, outputs, **parts).errors)


def built(nodes: dict[str, Any], outputs: dict[str, str] | None = None, **parts: Any) -> Graph:
    """The graph of a workflow without errors."""
    found = checked(nodes, outputs, **parts)
    assert found.graph is not None, [str(problem) for problem in found.problems]
    return found.graph


def links(graph: Graph) -> dict[str, dict[str, str]]:
    """Each node's links, as texts."""
    return {name: {port: str(ref) for port, ref in found.links.items()} for name, found in graph.nodes.items()}
