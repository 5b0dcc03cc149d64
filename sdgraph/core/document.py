"""The workflow file, `sdgraph/workflow@1`: reading it, writing it in canonical form, its JSON Schema."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sdgraph.core.port import PortRef
from sdgraph.errors import Problem, WorkflowError

SCHEMA = "sdgraph/workflow@1"
MAX_FILE_BYTES = 32 * 2**20
MAX_NODES = 50_000
NODE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
GRAPH_PREFIX = "graph:"

Targets: TypeAlias = str | list[str]
"""A port "node.port", or several that receive the same value."""


class NodeEntry(BaseModel):
    """A node in the file: its type, typed-in values, and links from other nodes' outputs."""

    model_config = ConfigDict(extra="forbid")

    type: str
    version: int | None = Field(None, ge=1)
    values: dict[str, Any] = {}
    links: dict[str, str] = {}
    label: str | None = None
    mode: Literal["mute", "bypass"] | None = None


class GraphEntry(BaseModel):
    """Nodes with named inputs and outputs: what a subgraph is, and the core of a workflow."""

    model_config = ConfigDict(extra="forbid")

    nodes: dict[str, NodeEntry] = {}
    inputs: dict[str, Targets] = {}
    outputs: dict[str, str] = {}


class WorkflowDocument(GraphEntry):
    """A workflow file."""

    schema_id: Literal["sdgraph/workflow@1"] = Field(alias="schema")
    name: str = ""
    description: str = ""
    graphs: dict[str, GraphEntry] = {}
    view: dict[str, Any] = {}

    model_config = ConfigDict(
        extra="forbid", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True, title="sdgraph workflow"
    )


def targets_of(targets: Targets) -> list[PortRef]:
    """The ports that an exposed input feeds."""
    return [parse_ref(target) for target in ([targets] if isinstance(targets, str) else targets)]


def parse_ref(text: str) -> PortRef:
    """ "node.port" as a pair. Without a dot the port is empty, which no node has."""
    node, _, name = text.rpartition(".")
    return PortRef(node, name) if node else PortRef(text, "")


def parse_document(
    text: str | bytes, *, max_bytes: int = MAX_FILE_BYTES, max_nodes: int = MAX_NODES
) -> WorkflowDocument:
    """Read a workflow from JSON text. Raises WorkflowError with every problem of its form."""
    if len(text) > max_bytes:
        raise _refuse(
            "workflow-too-large",
            f"The workflow has {len(text):,} bytes; at most {max_bytes:,} are read.",
            "Keep pictures and other data in files of their own.",
        )
    duplicates: list[str] = []
    try:
        data = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, duplicates), parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise _refuse("not-json", f"The workflow is not UTF-8 text ({error.reason} at byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise _refuse(
            "not-json",
            f"The workflow is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            "Open it in a text editor at that place.",
        ) from None
    except (RecursionError, ValueError) as error:
        said = (
            "it is nested too deeply" if isinstance(error, RecursionError) else f"it has an unreadable number ({error})"
        )
        raise _refuse("not-json", f"The workflow is not usable JSON: {said}.") from None
    return load_document(data, duplicates=duplicates, max_nodes=max_nodes)


def load_document(data: Any, *, duplicates: list[str] | None = None, max_nodes: int = MAX_NODES) -> WorkflowDocument:
    """A workflow from parsed JSON. Raises WorkflowError with every problem of its form."""
    if not isinstance(data, dict):
        raise _refuse("not-a-workflow", f"A workflow is a JSON object; this is a {type(data).__name__}.")
    _check_schema(data.get("schema"))
    nodes = data.get("nodes")
    if isinstance(nodes, dict) and len(nodes) > max_nodes:
        raise _refuse(
            "too-many-nodes",
            f"The workflow has {len(nodes):,} nodes; at most {max_nodes:,} are accepted.",
            "Split it, or raise SDGRAPH_MAX_NODES.",
        )
    problems = [
        Problem(
            "duplicate-id",
            f"The name `{name}` occurs twice in one object.",
            "Rename or remove one of the two.",
            node=name,
        )
        for name in duplicates or ()
    ]
    try:
        document = WorkflowDocument.model_validate(data)
    except ValidationError as error:
        raise WorkflowError([*problems, *_form_problems(error)]) from None
    problems.extend(_id_problems(document))
    if problems:
        raise WorkflowError(problems)
    return document


def read_document(path: Path, *, max_nodes: int = MAX_NODES) -> WorkflowDocument:
    """Read a workflow file, or a PNG that carries one. Raises WorkflowError."""
    from sdgraph.core.pngmeta import PNG_SIGNATURE, read_png_text

    try:
        if path.stat().st_size > MAX_FILE_BYTES and not _starts_with(path, PNG_SIGNATURE):
            size = path.stat().st_size
            raise _refuse(
                "workflow-too-large",
                f"{path} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read.",
                "Keep pictures and other data in files of their own.",
            )
        content = path.read_bytes()
    except OSError as error:
        raise _refuse(
            "workflow-unreadable",
            f"{path} can't be read: {error.strerror or error}.",
            "Check the path and its permissions.",
        ) from None
    if content.startswith(PNG_SIGNATURE):
        embedded = read_png_text(content).get("sdgraph.workflow")
        if embedded is None:
            raise _refuse("png-without-workflow", f"{path} is a picture that carries no sdgraph workflow.")
        content = embedded.encode()
    return parse_document(content, max_nodes=max_nodes)


def canonical_json(document: WorkflowDocument) -> str:
    """The document's canonical text: sorted keys, empty parts left out, two-space indent, final newline."""
    data = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(_without_empty(data), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the workflow file."""
    schema = WorkflowDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **schema}


def _starts_with(path: Path, prefix: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(prefix)) == prefix


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    kept = {name: part for name, part in data.items() if name in ("schema", "nodes") or part not in ("", {}, [], None)}
    for holder in (kept, *kept.get("graphs", {}).values()):
        holder["nodes"] = {
            node: {name: part for name, part in entry.items() if part not in ({}, None)}
            for node, entry in holder["nodes"].items()
        }
    for name, graph in kept.get("graphs", {}).items():
        kept["graphs"][name] = {part: content for part, content in graph.items() if content or part == "nodes"}
    return kept


def _unique(pairs: list[tuple[str, Any]], duplicates: list[str]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        duplicates.extend(name for name, _ in pairs if name in seen or seen.add(name))
    return result


def _constant(text: str) -> float:
    # NaN and Infinity are no JSON, but Python's parser reads them; the port's check then names node and port.
    return math.nan if text == "NaN" else math.inf if text == "Infinity" else -math.inf


def _check_schema(found: Any) -> None:
    if found == SCHEMA:
        return
    if isinstance(found, str) and (version := re.fullmatch(r"sdgraph/workflow@(\d+)", found)) and version[1] != "1":
        raise _refuse(
            "schema-newer", f"The workflow has the schema {found!r}; this sdgraph reads {SCHEMA!r}.", "Update sdgraph."
        )
    raise _refuse(
        "schema-unknown",
        f'A workflow starts with "schema": {SCHEMA!r}; found {found!r}.',
        "If another tool wrote this file, import it first.",
    )


def _form_problems(error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        steps = [str(step) for step in detail["loc"]]
        node = steps[1] if len(steps) > 1 and steps[0] == "nodes" else None
        port = steps[3] if node and len(steps) > 3 and steps[2] in ("values", "links") else None
        code = "field-unknown" if detail["type"] == "extra_forbidden" else "field-invalid"
        yield Problem(code, f"{'.'.join(steps)}: {detail['msg']}.", node=node, port=port)


def _id_problems(document: WorkflowDocument) -> Iterator[Problem]:
    for graph in (document, *document.graphs.values()):
        for node in graph.nodes:
            if not NODE_ID.fullmatch(node):
                shown = ascii(node[:80])
                yield Problem(
                    "node-id-invalid",
                    f"The node id {shown} has characters that an id can't have, or is too long.",
                    "Use letters, digits, _ and -, at most 64; put other text into the node's label.",
                    node=node[:80],
                )
        for name in (*graph.inputs, *graph.outputs):
            if not NODE_ID.fullmatch(name):
                yield Problem(
                    "name-invalid",
                    f"The input or output name {name[:80]!a} has characters that no name has.",
                    "Use letters, digits, _ and -, at most 64.",
                )


def _refuse(code: str, message: str, hint: str | None = None) -> WorkflowError:
    return WorkflowError([Problem(code, message, hint)])
