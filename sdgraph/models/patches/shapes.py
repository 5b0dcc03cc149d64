"""Names and shapes of a handle's tensors, from the headers of its files: no weights are read."""

from __future__ import annotations

from sdgraph.models.checkpoint import component_folder
from sdgraph.models.header import read_header
from sdgraph.models.patches.fit import Shapes
from sdgraph.models.patches.keys import Component
from sdgraph.models.source import locate
from sdgraph.models.weights import PICKLES, weights_files
from sdgraph.payloads.handles import DenoiserHandle, ModelHandle, TextEncoderHandle


def handle_shapes(handle: DenoiserHandle | TextEncoderHandle) -> dict[Component, Shapes]:
    """Of every network whose files have headers that say it; a pickled network is left out.

    Raises ModelError [model-missing], [model-damaged].
    """
    found: dict[Component, Shapes] = {}
    for component, folder in handle_networks(handle).items():
        shapes = _shapes(handle, folder)
        if shapes is not None:
            found[component] = shapes
    return found


def handle_networks(handle: ModelHandle) -> dict[Component, str]:
    """The networks of a handle and their folders inside the model."""
    if isinstance(handle, TextEncoderHandle):
        return {tower_component(tower.component): tower.component for tower in handle.towers}
    return {"denoiser": handle.component}


def tower_component(folder: str) -> Component:
    """The network that a text tower's folder stands for."""
    match folder:
        case "text_encoder_2" | "text_encoder_3":
            return folder
        case _:
            return "text_encoder"


def _shapes(handle: ModelHandle, folder: str) -> Shapes | None:
    if locate(handle.source).is_file():
        return None  # one file for everything has other names, which loading converts
    files, _ = weights_files(component_folder(handle.source, folder), allow_pickle=True)
    if any(path.suffix in PICKLES for path in files):
        return None
    return {name: shape for path in files for name, shape in read_header(path).shapes.items()}
