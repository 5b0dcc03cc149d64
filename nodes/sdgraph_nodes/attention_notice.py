"""A warning where the setting for attention can't be followed."""

from __future__ import annotations

from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.errors import Problem
from sdgraph.models.attention_backend import choose_attention, processors
from sdgraph.models.pool import ModelPool


def warn_of_attention(ctx: RunContext, module: Any) -> None:
    """Say which attention `module` really computes, and why, when it is not the one of the setting."""
    choice = choose_attention(ctx.service(ModelPool).attention, module, ctx.device)
    if choice.reason is not None:
        what = ", ".join(sorted(processors(module)))
        ctx.warn(
            Problem(
                "attention-fallback",
                f"Attention is to be `{choice.wanted}`, but {choice.reason}; {what} is used.",
                "Set SDGRAPH_ATTENTION to auto.",
                severity="warning",
            )
        )
