"""The workflow file, `sdgraph/workflow@1`: reading it, writing it in canonical form, its JSON Schema."""

import json
import math
import re
import stat
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sdgraph.core.entries import (
    GRAPH_PREFIX,
    NODE_ID,
    SCHEMA,
    GraphEntry,
    NodeEntry,
    Targets,
    WorkflowDocument,
    parse_ref,
    targets_of,
    to_data,
)
from sdgraph.core.form import Doubled, brief, doubled_problems, form_problems, raw_problems, validation_problems
from sdgraph.core.pngmeta import PNG_SIGNATURE, read_png_text
from sdgraph.errors import Problem, WorkflowError

__all__ = [
    "GRAPH_PREFIX",
    "MAX_FILE_BYTES",
    "MAX_NODES",
    "NODE_ID",
    "SCHEMA",
    "GraphEntry",
    "NodeEntry",
    "Targets",
    "WorkflowDocument",
    "canonical_json",
    "json_schema",
    "load_document",
    "parse_document",
    "parse_ref",
    "read_document",
    "shipped_schema",
    "targets_of",
    "to_data",
]

MAX_FILE_BYTES = 32 * 2**20
MAX_PICTURE_BYTES = 512 * 2**20
MAX_NODES = 50_000
_MAX_PARTS = 2_000_000
"""Objects and lists in one file: an empty one costs two bytes of JSON, but 64 bytes of memory."""


def parse_document(
    text: str | bytes, *, max_bytes: int = MAX_FILE_BYTES, max_nodes: int = MAX_NODES
) -> WorkflowDocument:
    """Read a workflow from JSON text. Raises WorkflowError with every problem of its form."""
    content = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    if len(content) > max_bytes:
        raise _too_large("The workflow", len(content), max_bytes)
    if content.count(b"{") + content.count(b"[") > _MAX_PARTS:
        raise _refuse(
            "workflow-too-large",
            f"The workflow has more than {_MAX_PARTS:,} objects and lists.",
            "Keep pictures and other data in files of their own.",
        )
    doubled: list[Doubled] = []
    try:
        data = json.loads(
            content, object_pairs_hook=lambda pairs: Doubled.collect(pairs, doubled), parse_constant=_constant
        )
    except UnicodeDecodeError as error:
        raise _refuse(
            "not-json",
            f"The workflow is not UTF-8 text ({error.reason} at byte {error.start}).",
            "Save it as UTF-8, or check that this is a workflow.",
        ) from None
    except json.JSONDecodeError as error:
        raise _refuse(
            "not-json",
            f"The workflow is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            "Open it in a text editor at that place.",
        ) from None
    except RecursionError:
        raise _refuse(
            "nested-too-deeply", "The workflow nests objects and lists too deeply to be read.", "Flatten its values."
        ) from None
    except ValueError:
        raise _refuse(
            "not-json", "The workflow has a whole number of more than 4,300 digits.", "Write a smaller number."
        ) from None
    return load_document(data, doubled=bool(doubled), max_nodes=max_nodes)


def load_document(data: Any, *, doubled: bool = False, max_nodes: int = MAX_NODES) -> WorkflowDocument:
    """A workflow from parsed JSON. Raises WorkflowError with every problem of its form."""
    if not isinstance(data, dict):
        raise _refuse(
            "not-a-workflow",
            f"A workflow is a JSON object; found {brief(data)}.",
            f'It starts with {{"schema": "{SCHEMA}"}}.',
        )
    _check_schema(data.get("schema"))
    _check_count(data, max_nodes)
    if problems := raw_problems(data):
        raise WorkflowError(problems)
    problems = list(doubled_problems(data)) if doubled else []
    try:
        document = WorkflowDocument.model_validate(data)
    except ValidationError as error:
        raise WorkflowError([*problems, *validation_problems(error)]) from None
    problems.extend(form_problems(document))
    if problems:
        raise WorkflowError(problems)
    return document


def read_document(path: Path, *, max_nodes: int = MAX_NODES) -> WorkflowDocument:
    """Read a workflow file, or a PNG that carries one. Raises WorkflowError."""
    try:
        content = _read(path)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _refuse(
            "workflow-unreadable", f"{path} can't be read: {said}.", "Check the path and its permissions."
        ) from None
    if content.startswith(PNG_SIGNATURE):
        embedded = read_png_text(content).get("sdgraph.workflow")
        if embedded is None:
            raise _refuse(
                "png-without-workflow",
                f"{path} is a picture that carries no sdgraph workflow.",
                "Open a picture as sdgraph wrote it; many programs drop the metadata when they save.",
            )
        content = embedded.encode()
    return parse_document(content, max_nodes=max_nodes)


def canonical_json(document: WorkflowDocument) -> str:
    """The document's canonical text: sorted keys, empty parts left out, two-space indent, final newline."""
    return json.dumps(to_data(document), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the workflow file."""
    schema = WorkflowDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **schema}


def shipped_schema() -> str:
    """The JSON Schema as it ships with the package, for editors of JSON files."""
    return files("sdgraph.core").joinpath("workflow.schema.json").read_text(encoding="utf-8")


def _read(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for a writer
        raise OSError(None, "it is no regular file")
    with path.open("rb") as file:
        start = file.read(len(PNG_SIGNATURE))
        limit = MAX_PICTURE_BYTES if start == PNG_SIGNATURE else MAX_FILE_BYTES
        if status.st_size > limit:
            raise _too_large(str(path), status.st_size, limit)
        return start + file.read(limit)


def _check_schema(found: Any) -> None:
    if found == SCHEMA:
        return
    if isinstance(found, str) and (version := re.fullmatch(r"sdgraph/workflow@([1-9]\d{0,5})", found)):
        raise _refuse(
            "schema-newer",
            f"The workflow has schema version {version[1]}; this sdgraph reads {SCHEMA!r}.",
            "Update sdgraph.",
        )
    raise _refuse(
        "schema-unknown",
        f'A workflow starts with "schema": "{SCHEMA}"; found {brief(found)}.',
        "If another tool wrote this file, import it first.",
    )


def _check_count(data: dict[Any, Any], max_nodes: int) -> None:
    graphs = data.get("graphs")
    holders = [data, *(graphs.values() if isinstance(graphs, dict) else ())]
    found = [holder.get("nodes") for holder in holders if isinstance(holder, dict)]
    count = sum(len(nodes) for nodes in found if isinstance(nodes, dict))
    if count > max_nodes:
        raise _refuse(
            "too-many-nodes",
            f"The workflow has {count:,} nodes; at most {max_nodes:,} are accepted.",
            "Split it, or raise SDGRAPH_MAX_NODES.",
        )


def _constant(text: str) -> float:
    # NaN and Infinity are no JSON, but Python's parser reads them; the check of the form then names node and port.
    return math.nan if text == "NaN" else math.inf if text == "Infinity" else -math.inf


def _too_large(what: str, found_bytes: int, limit_bytes: int) -> WorkflowError:
    return _refuse(
        "workflow-too-large",
        f"{what} has {found_bytes:,} bytes; at most {limit_bytes:,} are read.",
        "Keep pictures and other data in files of their own.",
    )


def _refuse(code: str, message: str, hint: str | None = None) -> WorkflowError:
    return WorkflowError([Problem(code, message, hint)])
