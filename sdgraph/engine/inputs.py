"""What a node is given and what it gives: its own view of every shared value, and outputs of the declared types."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sdgraph.core.graph import GraphNode
from sdgraph.core.port import PortRef
from sdgraph.core.spec import explain_validation
from sdgraph.engine.stores.base import Payloads
from sdgraph.errors import NodeError

_SCALARS = (int, float, str, bool, type(None), bytes)


def shared(value: Any, payloads: Payloads) -> Any:
    """A view of a value, or a copy, such that writing to it changes nothing for others."""
    kind = payloads.type_of(value)
    if kind is not None:
        return value if kind.share is None else kind.share(value)
    return value if type(value) in _SCALARS else copy.deepcopy(value)


def input_from(node: GraphNode, port: str, ref: PortRef, value: Any, payloads: Payloads) -> Any:
    """An output's value as the input of a node. Raises NodeError [value-invalid]."""
    found = node.spec.inputs[port]
    if port in node.spec.shared_inputs:
        return shared(value, payloads)
    if found.payload is not None:
        return value
    try:
        return shared(found.coerce(value), payloads)
    except ValidationError as error:
        said = explain_validation(error)
        raise NodeError(
            "value-invalid", f"`{ref}` gave a value that does not fit: {said}.", "Change what computes it.", port=port
        ) from None


def checked_outputs(node: GraphNode, outputs: Any) -> Mapping[str, Any]:
    """What `run` returned, by output name. Raises NodeError [outputs-invalid]."""
    spec = node.spec
    if not isinstance(outputs, spec.cls.outputs_class):
        raise _wrong(f"{spec.type} returned {type(outputs).__name__}, expected {spec.cls.outputs_class.__name__}.")
    values = outputs.__dict__
    for name, found in spec.outputs.items():
        kind = found.payload
        if kind is not None and not isinstance(values[name], kind.python_type):
            raise _wrong(f"{spec.type} gave {type(values[name]).__name__} as `{name}`, expected {kind.name}.")
    return values


def _wrong(message: str) -> NodeError:
    return NodeError("outputs-invalid", message, "This is a defect of the node; tell its pack's author.")
