"""From what stands in a request to a checked workflow, and to a run that can wait."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sdgraph.core.build import Checked, check_workflow
from sdgraph.core.document import WorkflowDocument, load_document, to_data
from sdgraph.core.graph import Graph
from sdgraph.core.inline import self_contained
from sdgraph.core.inputs import describe_inputs
from sdgraph.engine.plan import make_plan
from sdgraph.errors import Problem, WorkflowError
from sdgraph.server.runs.records import RunRequest
from sdgraph.server.schemas import PlanRequest, ProblemOut
from sdgraph.server.state import ServerState

_MAX_WORDS = 20_000
"""Characters of a run that search looks through."""


def document_of(state: ServerState, given: Mapping[str, Any]) -> WorkflowDocument:
    """The document itself, or the one that the server has under a name. Raises WorkflowError."""
    if list(given) == ["name"] and isinstance(given["name"], str):
        return state.library.get(given["name"]).document
    return load_document(dict(given), max_nodes=state.max_nodes)


def checked(state: ServerState, body: PlanRequest, document: WorkflowDocument) -> Checked:
    """The workflow with its problems, those included that it has only because it came from elsewhere."""
    # No folder: a client must not make the server read `graph:FILE.json` from its disk.
    found = check_workflow(document, state.registry, body.inputs, folder=None, max_nodes=state.max_nodes)
    pickles = tuple(_pickles(found.graph)) if found.graph else ()
    return replace(found, graph=None, problems=(*found.problems, *pickles)) if pickles else found


def run_request(state: ServerState, body: PlanRequest, user: str) -> RunRequest:
    """A run that can be performed, as far as can be told before. Raises WorkflowError with everything that is wrong."""
    document = document_of(state, body.workflow)
    found = checked(state, body, document)
    if found.graph is None:
        raise WorkflowError(found.errors)
    make_plan(found.graph, state.store, outputs=body.outputs)  # finds models and pictures that are missing
    values = _input_values(state, document, body.inputs)
    return RunRequest(
        user=user,
        workflow=document.name,
        document=to_data(self_contained(document, None)),
        inputs=body.inputs,
        outputs=body.outputs,
        priority=body.priority,
        words=" ".join([document.name, *values.values(), *_prompts(found.graph)])[:_MAX_WORDS],
        values=values,
    )


def shown(problems: Iterable[Problem]) -> list[ProblemOut]:
    """Problems as answers carry them."""
    return [ProblemOut.model_validate(problem.to_json()) for problem in problems]


def _input_values(state: ServerState, document: WorkflowDocument, given: Mapping[str, Any]) -> dict[str, str]:
    """The text of every input's value: as given, or as in the workflow."""
    described = describe_inputs(document, state.registry)
    values = {found.name: found.default for found in described if not found.required} | dict(given)
    return {name: value if isinstance(value, str) else _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _prompts(graph: Graph) -> Iterator[str]:
    for node in graph.nodes.values():
        for port, value in node.values.items():
            if node.spec.inputs[port].meta.widget == "multiline" and isinstance(value, str):
                yield value


def _pickles(graph: Graph) -> Iterator[Problem]:
    """Reading a pickle can run code, and who runs the server decides what code runs there."""
    for node in graph.nodes.values():
        if node.values.get("allow_pickle"):
            message = "Workflows that are sent to the server may read no pickles."
            hint = "Convert the file to safetensors, and switch `allow_pickle` off."
            yield Problem("pickle-refused", message, hint, node.origin or node.id, "allow_pickle")
