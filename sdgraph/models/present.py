"""Parts of a model that its file lacks."""

from __future__ import annotations

from sdgraph.errors import ModelError
from sdgraph.payloads.handles import ModelHandle


def require_part(handle: ModelHandle) -> None:
    """Raises ModelError [model-part-missing] for a handle of a part that its file lacks."""
    if handle.missing:
        raise ModelError(
            "model-part-missing",
            f"{handle.missing}.",
            "Take this part from another loader: `sd.load_vae`, `sd.load_text_encoder`, or name a folder in `config`.",
        )
