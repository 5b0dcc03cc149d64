"""T2I-Adapters: small networks that see a picture once and add to a UNet's features (Mou et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdgraph.models.checkpoint import require_class
from sdgraph.models.control_call import UNetCall, for_items, mismatch
from sdgraph.models.layout import FolderLayout, number
from sdgraph.models.source import resolve
from sdgraph.models.view import EVERYTHING
from sdgraph.models.weights import damaged, read_config
from sdgraph.payloads.control import T2IAdapterBranch
from sdgraph.payloads.handles import DenoiserHandle, Dtype, T2IAdapterHandle

if TYPE_CHECKING:
    from torch import Tensor

_XL = "full_adapter_xl"


def read_t2i_adapter(source: str, dtype: Dtype = "float32") -> T2IAdapterHandle:
    """The handle of a T2I-Adapter in the diffusers layout, for example `hf:TencentARC/t2iadapter_canny_sd15v2`.

    Raises ModelError (see `resolve`), [model-damaged], [model-kind-unsupported].
    """
    folder = resolve(source)
    config = read_config(folder / "config.json")
    require_class(source, config.get("_class_name"), "T2IAdapter")
    channels = config.get("channels")
    if not isinstance(channels, list) or not channels or not all(isinstance(count, int) for count in channels):
        raise damaged(folder / "config.json", "`channels` is no list of whole numbers")
    return T2IAdapterHandle(
        source=source,
        component="",
        fingerprint=FolderLayout(folder).fingerprint(""),
        family="sdxl" if config.get("adapter_type") == _XL else "sd1",
        dtype=dtype,
        channels=tuple(channels),
        picture_channels=number(folder, config, "in_channels"),
        downscale=number(folder, config, "downscale_factor"),
    )


def t2i_adapter_fingerprint(source: str) -> str:
    """Digest of an adapter's content, for a loader node's key. Raises ModelError as `read_t2i_adapter` does."""
    return read_t2i_adapter(source).fingerprint


def require_match(net: T2IAdapterHandle, denoiser: DenoiserHandle) -> None:
    """Raises ModelError [control-mismatch] for an adapter of another kind of model."""
    # Adapters for Stable Diffusion 1 and 2 are alike.
    kind = "sd1" if denoiser.family == "sd2" else denoiser.family
    if net.family != kind:
        raise mismatch(f"The T2I-Adapter `{net.source}`", net.family, f"is {denoiser.family}")


@dataclass(frozen=True, slots=True, eq=False)
class OpenT2IAdapter:
    """A T2I-Adapter branch with its network, and its picture as a tensor."""

    branch: T2IAdapterBranch
    net: Any
    picture: Tensor
    """[1 or B, 3, H, W] in 0..1."""
    downscale: int
    whole: list[Tensor]
    """The features of the whole picture, [1 or B, C', h', w'] per block of the UNet, times the strength."""

    def residuals(self, call: UNetCall) -> list[Tensor]:
        """The features per item, [k*B, C', h', w']; a tile of the picture is looked at anew.

        Raises SamplingError [control-size], [control-batch].
        """
        pictures = for_items(self.picture, call, self.downscale)
        seen = self.whole if call.view == EVERYTHING else _features(self.branch, self.net, pictures[: call.batch])
        return [feature.repeat(call.x.shape[0] // feature.shape[0], 1, 1, 1) for feature in seen]


def open_t2i_adapter(branch: T2IAdapterBranch, net: Any, picture: Tensor, downscale: int, unet: Any) -> OpenT2IAdapter:
    """See the picture, once. Raises ModelError [control-mismatch] when the features don't fit the UNet's blocks."""
    features = _features(branch, net, picture)
    found = [tuple(feature.shape[1:]) for feature in features]
    expected = _block_shapes(unet.config, [side // downscale for side in picture.shape[2:]])
    if any(one != other for one, other in zip(found, expected, strict=False)):
        raise mismatch(f"The T2I-Adapter `{branch.net.source}`", f"features {found}", f"has blocks of {expected}")
    return OpenT2IAdapter(branch, net, picture, downscale, features)


def _features(branch: T2IAdapterBranch, net: Any, picture: Tensor) -> list[Tensor]:
    """What the adapter makes of pictures [N, 3, H, W], times the strength."""
    import torch

    seen = picture if branch.net.picture_channels == picture.shape[1] else picture.mean(dim=1, keepdim=True)
    with torch.no_grad():
        return [feature * branch.strength for feature in net(_padded(seen, branch.net.downscale))]


def _padded(picture: Tensor, step: int) -> Tensor:
    """The picture, its right and lower edges repeated to the next multiple of `step`, which the adapter folds."""
    import torch

    height, width = picture.shape[2:]
    return torch.nn.functional.pad(picture, (0, -width % step, 0, -height % step), mode="replicate")


def _block_shapes(config: Any, latents: Sequence[int]) -> list[tuple[int, ...]]:
    """[C', h', w'] where each block of a UNet takes its features: before it halves them, without attention after."""
    shapes: list[tuple[int, ...]] = []
    height, width = latents
    last = len(config.down_block_types) - 1
    for i, (kind, channels) in enumerate(zip(config.down_block_types, config.block_out_channels, strict=True)):
        before = (channels, height, width)
        if i < last:
            height, width = -(-height // 2), -(-width // 2)
        shapes.append(before if kind.startswith("CrossAttn") else (channels, height, width))
    return shapes
