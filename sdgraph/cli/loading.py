"""From what stands on the command line to a checked workflow."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdgraph.core.build import check_workflow
from sdgraph.core.document import MAX_FILE_BYTES, WorkflowDocument, parse_document, read_document
from sdgraph.core.graph import Graph
from sdgraph.core.inputs import bind_inputs
from sdgraph.core.pngmeta import PNG_SIGNATURE, read_png_text
from sdgraph.core.registry import Registry
from sdgraph.errors import Problem, SettingsError, WorkflowError
from sdgraph.settings import Settings

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """A workflow that was read, and where it came from."""

    document: WorkflowDocument
    folder: Path
    """Where its `graph:file.json` are looked for."""
    name: str
    """What the previous run of the same workflow is remembered by."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A workflow that can be planned, with the values of its inputs."""

    document: WorkflowDocument
    inputs: Mapping[str, Any]
    graph: Graph
    folder: Path | None
    """None for a workflow that may read no other file."""
    name: str
    warnings: tuple[Problem, ...]


def load(file: str, given: Iterable[str], inputs_file: str | None, registry: Registry, settings: Settings) -> Loaded:
    """Read, bind and check a workflow. Raises WorkflowError with every problem, SettingsError for the options."""
    source = read_source(file, settings.max_nodes)
    texts = dict(_pair(text) for text in given)
    inputs = _inputs_from(inputs_file) if inputs_file is not None else {}
    inputs |= bind_inputs(texts, source.document, registry, folder=source.folder)
    checked = check_workflow(source.document, registry, inputs, folder=source.folder, max_nodes=settings.max_nodes)
    problems = (*registry.problems, *checked.problems)
    if checked.graph is None:
        raise WorkflowError(checked.problems)
    return Loaded(source.document, inputs, checked.graph, source.folder, source.name, problems)


def read_source(file: str, max_nodes: int) -> Source:
    """Read a workflow file, a PNG that carries one, or standard input for "-". Raises WorkflowError."""
    if file == STANDARD_INPUT:
        document = _from_standard_input(max_nodes)
        return Source(document, Path.cwd(), document.name or "-")
    path = Path(file)
    document = read_document(path, max_nodes=max_nodes)
    return Source(document, path.parent, document.name or path.stem)


def _from_standard_input(max_nodes: int) -> WorkflowDocument:
    content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if content.startswith(PNG_SIGNATURE):
        embedded = read_png_text(content).get("sdgraph.workflow")
        if embedded is None:
            message = "The picture on standard input carries no sdgraph workflow."
            hint = "Give one as sdgraph wrote it; many programs drop the metadata when they save."
            raise WorkflowError([Problem("png-without-workflow", message, hint)])
        content = embedded.encode()
    return parse_document(content, max_nodes=max_nodes)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        message = f"-i takes NAME=VALUE; found {text[:60]!r}."
        raise SettingsError("input-option-invalid", message, "For example `-i seed=7`.")
    return name, value


def _inputs_from(file: str) -> dict[str, Any]:
    try:
        with open(file, "rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"it has more than {MAX_FILE_BYTES:,} bytes")
        found = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SettingsError(
            "inputs-unreadable",
            f"The inputs file {file!r} can't be read: {said}.",
            'It is JSON such as {"seed": 7, "prompt": "a red star"}.',
        ) from None
    if not isinstance(found, dict):
        message = f"The inputs file {file!r} is no JSON object, but a {type(found).__name__}."
        raise SettingsError("inputs-unreadable", message, 'Write {"seed": 7, "prompt": "a red star"}.')
    return found
