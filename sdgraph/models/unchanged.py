"""Whether a model is what it was when the run was planned: keys hold its fingerprint, so nothing else may load."""

from __future__ import annotations

from sdgraph.models.checkpoint import open_layout
from sdgraph.models.controlnet_file import read_controlnet_file
from sdgraph.models.fingerprint import changed
from sdgraph.models.ip_adapter_file import ip_adapter_fingerprint
from sdgraph.models.layout import FolderLayout, Layout
from sdgraph.models.source import locate
from sdgraph.models.text_files import open_text_files
from sdgraph.models.upscaler import upscaler_fingerprint
from sdgraph.models.vae_source import vae_layout
from sdgraph.payloads.handles import (
    ControlNetHandle,
    DenoiserHandle,
    IPAdapterHandle,
    ModelHandle,
    TextEncoderHandle,
    UpscalerHandle,
    VaeHandle,
)


def require_unchanged(handle: ModelHandle) -> None:
    """Raises ModelError [model-changed] when the files of a handle are others than when it was made.

    Called after loading: what was read in between is then what the handle says. Files whose digest is known are not
    read.
    """
    if present_fingerprint(handle) != handle.fingerprint:
        raise changed(handle.source)


def present_fingerprint(handle: ModelHandle) -> str:
    """The fingerprint that a handle of the same files has if it is made now. Raises ModelError."""
    match handle:
        case TextEncoderHandle():
            first, *others = handle.towers
            more = [tower.component for tower in others] + [tower.tokenizer for tower in handle.towers]
            return _texts(handle).fingerprint(first.component, *more)
        case DenoiserHandle():
            layout = open_layout(handle.source, handle.config, handle.allow_pickle)
            return layout.fingerprint(handle.component)
        case VaeHandle():
            return vae_layout(handle).fingerprint(handle.component)
        case IPAdapterHandle():
            return ip_adapter_fingerprint(handle.source)
        case UpscalerHandle():
            return upscaler_fingerprint(handle.source, allow_pickle=handle.allow_pickle)
        case ControlNetHandle() if (file := locate(handle.source)).is_file():
            return read_controlnet_file(
                file, handle.source, handle.dtype, config=handle.config, allow_pickle=handle.allow_pickle
            ).fingerprint
        case _:
            return FolderLayout(locate(handle.source), handle.allow_pickle).fingerprint(handle.component)


def _texts(handle: TextEncoderHandle) -> Layout:
    if not handle.more_sources:
        return open_layout(handle.source, handle.config, handle.allow_pickle)
    family = "flux" if handle.family == "flux" else "sd3"
    return open_text_files((handle.source, *handle.more_sources), family, handle.config, handle.allow_pickle)
