"""Tries a node again that failed for lack of memory, each time with one remedy more, and says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, TypeVar

from sdgraph.core.context import RunContext
from sdgraph.core.recovery import Recovery, Remedy
from sdgraph.errors import Problem

T = TypeVar("T")


def with_remedies(
    attempt: Callable[[], T], recovery: Recovery | None, inputs: Mapping[str, Any], context: RunContext
) -> tuple[T, bool]:
    """What `attempt` gives, and whether it may be stored.

    A curable error is followed by another attempt with the next remedy, on top of those before, each once. Any other
    error is raised as it is; so is the recovery's own when no remedy is left.
    """
    try:
        return attempt(), True
    except Exception as error:
        if recovery is None or not recovery.is_curable(error):
            raise
        said = _first_line(error)
    # The error is gone here, and with its frames what the attempt held.
    tried: list[Remedy] = []
    with ExitStack() as taken:
        while True:
            remedy = _next(recovery, inputs, context, tried)
            if remedy is None:
                raise recovery.hopeless(said, tuple(tried), context)
            _tell(remedy, said, context)
            tried.append(remedy)
            taken.enter_context(remedy.take())
            try:
                return attempt(), all(remedy.storable for remedy in tried)
            except Exception as error:
                if not recovery.is_curable(error):
                    raise
                said = _first_line(error)


def _next(recovery: Recovery, inputs: Mapping[str, Any], context: RunContext, tried: list[Remedy]) -> Remedy | None:
    names = {remedy.name for remedy in tried}
    return next((remedy for remedy in recovery.remedies(inputs, context) if remedy.name not in names), None)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0]


def _tell(remedy: Remedy, said: str, context: RunContext) -> None:
    context.tell("remedy", name=remedy.name, text=remedy.text, storable=remedy.storable, error=said)
    if not remedy.storable:
        context.warn(
            Problem(
                "result-not-exact",
                f"Memory ran out, so {remedy.text}. The result differs a little from the one that was asked for: it is "
                "not stored, nor is what is made of it.",
                "To keep such results, ask for them in the workflow, for example by `tile_px`.",
                severity="warning",
            )
        )
