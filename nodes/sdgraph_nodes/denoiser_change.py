"""What is known before a run of a denoiser that a node changes."""

from collections.abc import Callable, Mapping
from typing import Any

from sdgraph.core.infer import Known
from sdgraph.payloads.facts import is_settled
from sdgraph.payloads.handles import DenoiserHandle


def known_change(known: Known, change: Callable[[DenoiserHandle], DenoiserHandle], *values: Any) -> Mapping[str, Any]:
    """The facts of a node with a denoiser as input and output: nothing while it or the `values` are not known."""
    denoiser = known.get("denoiser")
    if not isinstance(denoiser, DenoiserHandle) or not is_settled(*values):
        return {}
    return {"denoiser": change(denoiser)}
