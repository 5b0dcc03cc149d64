"""A network's call taken apart into calls for one picture under one conditioning, when memory is short."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sdgraph.models.control_call import UNetCall
from sdgraph.models.memory.thrift import thrift
from sdgraph.models.transformer_control import TransformerCall

if TYPE_CHECKING:
    from torch import Tensor

Call = TypeVar("Call", UNetCall, TransformerCall)


def parts_of(call: Call) -> list[Call]:
    """The calls to make, in the order of the batch: one, unless this thread computes one item at a time."""
    count = len(call.x)
    return [_item(call, place) for place in range(count)] if thrift().one_at_a_time and count > 1 else [call]


def join(predictions: list[Tensor]) -> Tensor:
    """What the calls gave, as one batch."""
    import torch

    return predictions[0] if len(predictions) == 1 else torch.cat(predictions)


def _item(call: Call, place: int) -> Call:
    """The call for item `place` of k*B alone; what belongs to whole pictures is reduced to its picture by the view."""
    rows: dict[str, Any] = {
        field.name: _row(getattr(call, field.name), place)
        for field in fields(call)
        if field.name in ("x", "timestep", "embedding", "pooled", "guidance", "added")
    }
    picture = place % call.batch
    return replace(call, **rows, batch=1, negative=(call.is_negative(place),), view=call.view.select((picture,)))


def _row(value: Any, place: int) -> Any:
    if isinstance(value, dict):
        return {name: tensor[place : place + 1] for name, tensor in value.items()}
    return value[place : place + 1]
