"""Upscale models (ESRGAN, SwinIR, HAT, ... as the package spandrel knows them): one file, told by its tensors."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.fingerprint import fingerprint_files
from sdgraph.models.header import damaged
from sdgraph.models.patches.files import find_file
from sdgraph.models.single_file import read_pickle
from sdgraph.models.weights import PICKLES, check_whole
from sdgraph.payloads.handles import Dtype, UpscalerHandle
from sdgraph.payloads.image import MAX_EDGE_PX, Image

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGE = "spandrel"
_CONTAINERS = ("state_dict", "params_ema", "params", "model", "net")
"""What published pickles keep the tensors in."""


def read_upscaler(source: str, dtype: Dtype = "float32", *, allow_pickle: bool = False) -> UpscalerHandle:
    """The handle of an upscale model: a file, or a folder with one. Raises ModelError (see `find_file`)."""
    path = find_file(source, allow_pickle)
    return UpscalerHandle(
        source=source,
        component="",
        fingerprint=fingerprint_files(path.parent, {path}),
        family="upscaler",
        dtype=dtype,
        allow_pickle=allow_pickle,
    )


def upscaler_fingerprint(source: str, **options: Any) -> str:
    """Digest of a model's content, for a loader node's key. Options and errors are those of `read_upscaler`."""
    return read_upscaler(source, **options).fingerprint


def require_package() -> None:
    """Raises ModelError [upscaler-package] unless the package spandrel is installed. Imports nothing."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise ModelError(
            "upscaler-package",
            "Upscale models need the package spandrel, which is not installed.",
            'Install it with `pip install "sdgraph[upscale]"`, or use `image.resize` or `image.tile_upscale`.',
        )


def load_upscaler(handle: UpscalerHandle, device: str) -> nn.Module:
    """The network of an upscale model, an `UpscaleNetwork`.

    Raises ModelError [upscaler-package], [model-damaged], [model-kind-unsupported] for what spandrel does not know or
    what does not turn one picture into one, [upscaler-dtype].
    """
    require_package()
    import torch
    from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

    from sdgraph.models.upscale_network import UpscaleNetwork

    path = find_file(handle.source, handle.allow_pickle)
    tensors = _tensors(path, handle.allow_pickle)
    try:
        found = ModelLoader("cpu").load_from_state_dict(tensors)
    except UnsupportedModelError as error:
        raise _unsupported(handle.source, "spandrel does not know its kind") from error
    # Its readers trust the shapes that they find, so a damaged file can make them stumble in any of these ways.
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError) as error:
        raise damaged(path, f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]:.200}") from error
    if not isinstance(found, ImageModelDescriptor) or (found.input_channels, found.output_channels) != (3, 3):
        raise _unsupported(handle.source, f"it is a model of the kind {found.architecture.name}, not from RGB to RGB")
    computes = {"float16": found.supports_half, "bfloat16": found.supports_bfloat16}
    if not computes.get(handle.dtype, True):
        raise ModelError(
            "upscaler-dtype",
            f"`{handle.source}` is a model of the kind {found.architecture.name}, which spandrel does not trust to "
            f"compute in {handle.dtype}.",
            "Set `dtype` to float32.",
        )
    network = UpscaleNetwork(found)
    return network.to(device, getattr(torch, handle.dtype)).eval().requires_grad_(False)


def upscale(
    network: Any,
    image: Image,
    tile_px: int = 0,
    halo_px: int = 0,
    part: Callable[[int, int], None] | None = None,
) -> Image:
    """Pictures enlarged `network.scale` times, each [3, H, W] -> [3, H * scale, W * scale], clipped to 0..1.

    With `tile_px` the network sees parts of that edge and `halo_px` more around them, which is cut off again: where the
    halo is as large as what a pixel of the result depends on, the result is that of one piece. `part` hears how many
    parts of how many are done, and may raise to cancel. Raises SamplingError [upscaler-tiles] for a network that needs
    the whole picture, [upscale-too-large].
    """
    import torch

    if tile_px and not network.tiles:
        raise SamplingError(
            "upscaler-tiles",
            "This upscale model looks at the picture as a whole and can't be used in tiles.",
            "Set `tile_px` to 0.",
            port="tile_px",
        )
    _require_edge(max(image.height_px, image.width_px) * network.scale)
    parameter = next(network.parameters())
    boxes = _boxes(image.height_px, image.width_px, tile_px)
    total, done = image.batch * len(boxes), 0
    scale = network.scale
    shape = (image.batch, 3, image.height_px * scale, image.width_px * scale)
    result = np.empty(shape, np.float32)
    with torch.no_grad():
        for number in range(image.batch):
            picture = torch.tensor(image.pixels[number : number + 1])
            for top, left, bottom, right in boxes:
                seen = _grown((top, left, bottom, right), halo_px, image)
                # A copy: some networks compute in their input, and the next part sees pixels of this one.
                enlarged = network(picture[..., seen[0] : seen[2], seen[1] : seen[3]].to(parameter, copy=True))
                rows = slice((top - seen[0]) * scale, (bottom - seen[0]) * scale)
                columns = slice((left - seen[1]) * scale, (right - seen[1]) * scale)
                place = result[number, :, top * scale : bottom * scale, left * scale : right * scale]
                place[...] = enlarged[0, :, rows, columns].float().cpu().numpy()
                done += 1
                if part is not None:
                    part(done, total)
    return Image(result)


def _require_edge(edge_px: int) -> None:
    if edge_px > MAX_EDGE_PX:
        raise SamplingError(
            "upscale-too-large",
            f"The result would have an edge of {edge_px:,} px; an edge has at most {MAX_EDGE_PX:,} px.",
            "Use a smaller picture, or an upscale model with a smaller factor.",
            port="image",
        )


def _boxes(height: int, width: int, tile_px: int) -> list[tuple[int, int, int, int]]:
    """Top, left, bottom and right of the parts, row by row; 0 is one part."""
    rows, columns = (range(0, side, tile_px or side) for side in (height, width))
    edge = tile_px or max(height, width)
    return [(top, left, min(top + edge, height), min(left + edge, width)) for top in rows for left in columns]


def _grown(box: tuple[int, int, int, int], halo: int, image: Image) -> tuple[int, int, int, int]:
    top, left, bottom, right = box
    return (
        max(top - halo, 0),
        max(left - halo, 0),
        min(bottom + halo, image.height_px),
        min(right + halo, image.width_px),
    )


def _tensors(path: Path, allow_pickle: bool) -> dict[str, Tensor]:
    if path.suffix in PICKLES:
        return read_pickle(path, allow_pickle, inside=_CONTAINERS)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_whole(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise damaged(path, str(error)) from error


def _unsupported(source: str, why: str) -> ModelError:
    return ModelError(
        "model-kind-unsupported",
        f"`{source}` is no upscale model that works here: {why}.",
        "Use a model that enlarges RGB pictures, for example one of the kind of ESRGAN, SwinIR or HAT.",
    )
