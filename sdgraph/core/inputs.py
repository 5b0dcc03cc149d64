"""A workflow's exposed inputs: what they are, and how `-i NAME=VALUE` text becomes their values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdgraph.core.docs import port_docs
from sdgraph.core.entries import WorkflowDocument, targets_of
from sdgraph.core.registry import Registry
from sdgraph.core.spec import InputSpec
from sdgraph.core.subgraphs import Leaf, Library
from sdgraph.core.suggest import Suggestions
from sdgraph.errors import Problem, WorkflowError

_YES_NO = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_AS_IT_IS = ("String", "Choice")


@dataclass(frozen=True, slots=True)
class InputDescription:
    """An input that a workflow exposes."""

    name: str
    type_name: str
    """Type of the port that it feeds; "Any" when that port is unknown."""
    default: Any
    """The value (as in a file) if none is given: the one in the workflow, else the port's default."""
    required: bool
    """There is neither a value nor a link in the workflow, and the port has no default."""
    targets: tuple[str, ...]
    help: str
    port: InputSpec | None
    """The port that it feeds first, with its constraints, unit and widget."""


def describe_inputs(
    document: WorkflowDocument, registry: Registry, *, folder: Path | None = None
) -> list[InputDescription]:
    """The workflow's inputs, sorted by name. `folder` is where `graph:file.json` is looked for."""
    library = Library(folder)
    return [_describe(document, name, library, registry) for name in sorted(document.inputs)]


def bind_inputs(
    given: Mapping[str, str], document: WorkflowDocument, registry: Registry, *, folder: Path | None = None
) -> dict[str, Any]:
    """Values for the workflow's inputs from text, read by the type of the port: "7", "0.5", "true", JSON for lists.

    Ranges and choices are checked with the graph. Raises WorkflowError with every name and value that can't be.
    """
    library, suggestions = Library(folder), Suggestions()
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in given.items():
        if name not in document.inputs:
            near = suggestions.nearest(name, document.inputs)
            offered = ", ".join(sorted(document.inputs)) or "none"
            hint = f"{f'Did you mean `{near}`? ' if near else ''}The inputs are: {offered}."
            problems.append(Problem("input-unknown", f"The workflow has no input {name!r}.", hint, port=name))
            continue
        port = _port(_leaf(document, name, library), registry)
        try:
            values[name] = _read(text, port)
        except (ValueError, RecursionError):
            problems.append(_unreadable(name, text, port))
    if problems:
        raise WorkflowError(problems)
    return values


def _describe(document: WorkflowDocument, name: str, library: Library, registry: Registry) -> InputDescription:
    leaf = _leaf(document, name, library)
    port = _port(leaf, registry)
    given, default = _value_in_file(document, name, library)
    if not given and port is not None and not port.required:
        default = port.to_json(port.default) if port.is_value else None
    spec = registry.specs.get(leaf.type) if leaf else None
    return InputDescription(
        name=name,
        type_name=port.type_name if port else "Any",
        default=default,
        required=port is not None and port.required and not given,
        targets=tuple(str(ref) for ref in targets_of(document.inputs[name])),
        help=port_docs(spec.cls).get(port.name, "") if spec and port else "",
        port=port,
    )


def _leaf(document: WorkflowDocument, name: str, library: Library) -> Leaf | None:
    return library.input_leaf(document, library.scope(document), name)


def _port(leaf: Leaf | None, registry: Registry) -> InputSpec | None:
    spec = registry.specs.get(leaf.type) if leaf else None
    return spec.inputs.get(leaf.port) if spec and leaf else None


def _value_in_file(document: WorkflowDocument, name: str, library: Library) -> tuple[bool, Any]:
    """Whether the file feeds the input's port, and the value if it is one; the outermost wins."""
    for entry, port in library.input_path(document, library.scope(document), name):
        if port in entry.values:
            return True, entry.values[port]
        if port in entry.links:
            return True, None
    return False, None


def _read(text: str, port: InputSpec | None) -> Any:
    if port is None or port.type_name == "Any":
        try:
            return json.loads(text)
        except ValueError:
            return text
    if port.type_name in _AS_IT_IS:
        return text
    if port.optional and text in ("", "null", "none"):
        return None
    if port.type_name == "Bool":
        if text.lower() not in _YES_NO:
            raise ValueError
        return _YES_NO[text.lower()]
    if port.type_name == "Int":
        return int(text)
    return float(text) if port.type_name == "Float" else json.loads(text)


def _unreadable(name: str, text: str, port: InputSpec | None) -> Problem:
    expected = {"Int": "a whole number", "Float": "a number", "Bool": "true or false"}
    kind = port.type_name if port else "Any"
    shown = text if len(text) <= 60 else text[:57] + "..."
    return Problem(
        "input-unreadable",
        f"The input `{name}` takes {expected.get(kind, f'JSON for {kind}')}; found {shown!r}.",
        f"For example `-i {name}={_EXAMPLES.get(kind, '[]')}`.",
        port=name,
    )


_EXAMPLES = {"Int": "7", "Float": "0.5", "Bool": "true"}
