"""IP-Adapter files: reading their headers for handles, and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from sdgraph.errors import ModelError
from sdgraph.models.fingerprint import fingerprint_files
from sdgraph.models.header import damaged
from sdgraph.models.patches.files import find_file, open_file, read_tensors
from sdgraph.payloads.handles import Dtype, IPAdapterHandle

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sdgraph.models.ip_attention import IPAdapterModel

_FAMILIES = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""By the width of their conditioning; it is what tells adapters apart."""
_PROJECTION, _ATTENTION = "image_proj.", "ip_adapter."
_KEYS, _VALUES = ".to_k_ip.weight", ".to_v_ip.weight"


def read_ip_adapter(source: str, dtype: Dtype = "float32") -> IPAdapterHandle:
    """The handle of an IP-Adapter: a .safetensors file, or a folder with one.

    Raises ModelError (see `find_file`), [model-damaged], [model-kind-unsupported] for other files and face adapters.
    """
    path = find_file(source)
    shapes = open_file(path).shapes
    keys = sorted(name for name in shapes if name.startswith(_ATTENTION) and name.endswith(_KEYS))
    looks_at, width = _what_it_sees(source, shapes)
    if not keys:
        raise _unsupported(source, "it has no `ip_adapter` weights")
    return IPAdapterHandle(
        source=source,
        component="",
        fingerprint=fingerprint_files(path.parent, {path}),
        family=_FAMILIES.get(shapes[keys[0]][1], "unknown"),
        dtype=dtype,
        looks_at=looks_at,
        width=width,
        conditioning_width=shapes[keys[0]][1],
        layers=len(keys),
    )


def ip_adapter_fingerprint(source: str) -> str:
    """Digest of an adapter's content, for a loader node's key. Raises ModelError as `read_ip_adapter` does."""
    return read_ip_adapter(source).fingerprint


def _what_it_sees(source: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Literal["picture", "patches"], int]:
    """What the projection reads, and how wide. Its layers' names tell the kinds apart, as in diffusers."""
    names = {name.removeprefix(_PROJECTION): shape for name, shape in shapes.items() if name.startswith(_PROJECTION)}
    if "proj.weight" in names:
        return "picture", names["proj.weight"][1]
    if "norm.weight" in names or "perceiver_resampler.proj_in.weight" in names:
        raise _unsupported(source, "it is a face adapter, which needs a face recognition model")
    if "proj.0.weight" in names and "proj.3.weight" in names:
        return "patches", names["proj.0.weight"][1]
    if "latents" in names and "proj_in.weight" in names:
        return "patches", names["proj_in.weight"][1]
    raise _unsupported(source, "it has no `image_proj` weights")


def _unsupported(source: str, why: str) -> ModelError:
    return ModelError(
        "model-kind-unsupported",
        f"`{source}` is no IP-Adapter that works here: {why}.",
        "Use a file such as `hf:h94/IP-Adapter/models/ip-adapter_sd15.safetensors`, or its Plus or Full kind.",
    )


def load_ip_adapter(handle: IPAdapterHandle, device: str = "cpu") -> IPAdapterModel:
    """The adapter's weights on a device, in the handle's dtype. Raises ModelError as `read_ip_adapter` does."""
    import torch

    from sdgraph.models.ip_attention import IPAdapterModel

    path = find_file(handle.source)
    tensors = read_tensors(path, open_file(path).shapes, "cpu")
    attention = {name.removeprefix(_ATTENTION): value for name, value in tensors.items() if name.startswith(_ATTENTION)}
    order = sorted(int(name.split(".")[0]) for name in attention if name.endswith(_KEYS))
    try:
        keys, values = ([_linear(attention[f"{i}{kind}"]) for i in order] for kind in (_KEYS, _VALUES))
        projection = _projection(tensors)
    except (KeyError, RuntimeError) as error:
        raise damaged(path, f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    model = IPAdapterModel(projection, keys, values)
    return model.to(device, getattr(torch, handle.dtype)).eval().requires_grad_(False)


def _linear(weight: Tensor) -> nn.Linear:
    import torch

    with torch.device("meta"):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight = torch.nn.Parameter(weight, requires_grad=False)
    return linear


def _projection(tensors: Mapping[str, Tensor]) -> nn.Module:
    """The projection, by diffusers' conversion: it knows all kinds, and uses nothing of the UNet it is a method of."""
    from diffusers.loaders.unet import UNet2DConditionLoadersMixin

    own = {name.removeprefix(_PROJECTION): value for name, value in tensors.items() if name.startswith(_PROJECTION)}
    convert: Any = UNet2DConditionLoadersMixin._convert_ip_adapter_image_proj_to_diffusers
    return convert(None, own, low_cpu_mem_usage=False)
