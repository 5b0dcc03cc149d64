"""Control: pictures that steer sampling through networks beside the denoiser. Applying one more adds a branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sdgraph.core.porttype import Blob, Encoded, PortType, Shown
from sdgraph.errors import SamplingError
from sdgraph.payloads.facts import Sized
from sdgraph.payloads.handles import (
    ControlNetHandle,
    HandleCodec,
    IPAdapterHandle,
    ModelHandle,
    T2IAdapterHandle,
    VaeHandle,
)
from sdgraph.payloads.image import Image
from sdgraph.payloads.image_prompt import ImagePrompt, array_blob, array_of
from sdgraph.payloads.mask import Mask
from sdgraph.payloads.shown import first_pictures

ControlMode = Literal["balanced", "prompt", "control"]
"""What a ControlNet's picture weighs against the prompt, as the A1111 web UI calls it.

"balanced": the same in every layer. "prompt" (the prompt is more important): from a tenth in the first layer to the
whole in the last one. "control" (the picture is more important): these weights, and on the positive side only, so that
guidance amplifies it; this is the guess mode of Zhang et al. 2023 and of diffusers.
"""


Shows = Literal[
    "auto",
    "canny",
    "tile",
    "depth",
    "blur",
    "pose",
    "gray",
    "low_quality",
    "soft_edge",
    "normal",
    "segments",
    "repaint",
]
"""What a control picture shows, for networks that know several kinds; "auto" is for those that know one."""
SHOWN: Mapping[str, tuple[Shows, ...]] = {
    "flux": ("canny", "tile", "depth", "blur", "pose", "gray", "low_quality"),
    "sdxl": ("pose", "depth", "soft_edge", "canny", "normal", "segments", "tile", "repaint"),
}
"""In the order in which the union networks of a family count them: InstantX's and Shakker's for FLUX.1, xinsir's for
SDXL, for which lines of all kinds are `canny` and scribbles are `soft_edge`."""


@dataclass(frozen=True, slots=True, eq=False)
class ControlBranch:
    """One ControlNet with its picture.

    Raises SamplingError [control-range] unless 0 <= start <= end <= 1, [control-kind] for a picture of a kind that the
    network does not know, [control-mask] for a mask that it can't take, is missing or has another size.
    """

    net: ControlNetHandle
    image: Image
    """One picture for all items or one per item, of the size of the result."""
    strength: float = 1.0
    """Factor on the ControlNet's output; 0 is off."""
    start: float = 0.0
    """Sampling progress 0..1 at which it begins to act."""
    end: float = 1.0
    """Sampling progress 0..1 until which it acts."""
    mode: ControlMode = "balanced"
    shows: Shows = "auto"
    """What the picture shows; other than "auto" for union networks, and only for these."""
    vae: VaeHandle | None = None
    """The autoencoder of a network that sees latents; None: the one that came with the denoiser."""
    mask: Mask | None = None
    """What is hidden from a network for inpainting, 1 where it is: one for all pictures or one each, of their size."""

    def __post_init__(self) -> None:
        require_range(self.start, self.end)
        require_kind(self.net, self.shows)
        require_maskable(self.net, self.mask is not None)
        if self.mask is not None:
            require_covering(self.mask, self.image)


@dataclass(frozen=True, slots=True, eq=False)
class T2IAdapterBranch:
    """One T2I-Adapter with its picture. Raises SamplingError as `ControlBranch`, whose fields mean the same."""

    net: T2IAdapterHandle
    image: Image
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        require_range(self.start, self.end)


@dataclass(frozen=True, slots=True, eq=False)
class IPAdapterBranch:
    """One IP-Adapter with its image prompt. Raises SamplingError as `ControlBranch`, whose fields mean the same."""

    net: IPAdapterHandle
    prompt: ImagePrompt
    strength: float = 1.0
    """Factor on the attention to the image prompt; 0 is off."""
    start: float = 0.0
    end: float = 1.0
    mask: Mask | None = None
    """Where it acts: one mask for all items or one per item, of the size of the result; None: everywhere."""

    def __post_init__(self) -> None:
        require_range(self.start, self.end)


Branch: TypeAlias = ControlBranch | T2IAdapterBranch | IPAdapterBranch


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """Branches whose effects add up."""

    branches: tuple[Branch, ...]

    def with_branch(self, branch: Branch) -> Control:
        """This control and one branch more."""
        return Control((*self.branches, branch))


def require_kind(net: ControlNetHandle, shows: Shows) -> None:
    """Raises SamplingError [control-kind] unless the network knows pictures that show this."""
    known = kinds_of(net) or ("auto",)
    if shows not in known:
        raise SamplingError(
            "control-kind",
            f"The ControlNet `{net.source}` knows pictures of the kinds {', '.join(known)}; found {shows}."
            if net.kinds
            else f"The ControlNet `{net.source}` knows one kind of pictures and can't be told that they show {shows}.",
            f"Set `shows` to {' or '.join(known)}.",
            port="shows",
        )


def kinds_of(net: ControlNetHandle) -> tuple[Shows, ...]:
    """The kinds of pictures that a union network tells apart, in its order; none: it is told nothing."""
    return SHOWN[net.family][: net.kinds] if net.kinds else ()


def require_maskable(net: ControlNetHandle, masked: bool) -> None:
    """Raises SamplingError [control-mask] for a network that needs a mask and gets none, or can't take one."""
    if net.takes_mask and not masked:
        raise SamplingError(
            "control-mask",
            f"The ControlNet `{net.source}` is for inpainting and needs to know what is masked.",
            "Connect `mask`.",
            port="mask",
        )
    if masked and net.sees == "latents" and not net.takes_mask:
        raise SamplingError(
            "control-mask",
            f"The ControlNet `{net.source}` sees the latents of a whole picture, of which no part can be hidden.",
            "Leave `mask` out, or use a network for inpainting.",
            port="mask",
        )


def require_covering(mask: Sized, image: Sized) -> None:
    """Raises SamplingError [control-mask] unless a mask has the size of the control picture, and fits its number."""
    if (mask.width_px, mask.height_px) != (image.width_px, image.height_px) or mask.batch not in (1, image.batch):
        raise SamplingError(
            "control-mask",
            f"{mask.batch} mask(s) of {mask.width_px}x{mask.height_px} px for {image.batch} control picture(s) of "
            f"{image.width_px}x{image.height_px} px; expected one for all or one each, of their size.",
            "Give a mask of the control picture.",
            port="mask",
        )


def require_range(start: float, end: float) -> None:
    """Raises SamplingError [control-range] unless a control acts from `start` to `end` of sampling."""
    if not 0 <= start <= end <= 1:
        raise SamplingError(
            "control-range",
            f"A control acts from start to end with 0 <= start <= end <= 1, found {start:g} to {end:g}.",
            "Use 0 and 1 for the whole of sampling.",
        )


class ControlCodec:
    """Stores control bit for bit: handles as JSON, pictures as blobs."""

    def encode(self, value: Control) -> Encoded:
        """One to three blobs per branch."""
        encoded = [_encode(branch) for branch in value.branches]
        blobs = {f"{i}.{name}": blob for i, (_, parts) in enumerate(encoded) for name, blob in parts.items()}
        return Encoded([meta for meta, _ in encoded], blobs)

    def decode(self, encoded: Encoded) -> Control:
        """The control."""
        return Control(tuple(_decode(meta, str(i), encoded.blobs) for i, meta in enumerate(encoded.meta)))


_NETS: dict[str, type[ModelHandle]] = {
    "controlnet": ControlNetHandle,
    "t2i_adapter": T2IAdapterHandle,
    "ip_adapter": IPAdapterHandle,
}


def _encode(branch: Branch) -> tuple[dict[str, Any], dict[str, Blob]]:
    kind = next(name for name, net in _NETS.items() if isinstance(branch.net, net))
    meta = {"kind": kind, "net": HandleCodec(_NETS[kind]).encode(branch.net).meta}
    meta |= {name: getattr(branch, name) for name in ("strength", "start", "end")}
    match branch:
        case ControlBranch():
            vae = branch.vae and HandleCodec(VaeHandle).encode(branch.vae).meta
            more = {"mode": branch.mode, "shows": branch.shows, "vae": vae}
            return meta | more, {"pixels": array_blob(branch.image.pixels)} | _mask_blob(branch.mask)
        case T2IAdapterBranch():
            return meta, {"pixels": array_blob(branch.image.pixels)}
        case IPAdapterBranch():
            prompt = branch.prompt
            blobs = {"features": array_blob(prompt.features), "negative": array_blob(prompt.negative)}
            return meta, blobs | _mask_blob(branch.mask)


def _mask_blob(mask: Mask | None) -> dict[str, Blob]:
    return {} if mask is None else {"mask": array_blob(mask.values)}


def _decode(meta: Mapping[str, Any], place: str, blobs: Mapping[str, Blob]) -> Branch:
    fields = {name: value for name, value in meta.items() if name not in ("kind", "net")}
    net: Any = HandleCodec(_NETS[meta["kind"]]).decode(Encoded(meta["net"], {}))
    arrays = {
        name.removeprefix(f"{place}."): array_of(blob) for name, blob in blobs.items() if name.startswith(f"{place}.")
    }
    mask = Mask(arrays["mask"]) if "mask" in arrays else None
    if meta["kind"] == "ip_adapter":
        return IPAdapterBranch(net, ImagePrompt(arrays["features"], arrays["negative"]), mask=mask, **fields)
    if fields.get("vae"):
        fields["vae"] = HandleCodec(VaeHandle).decode(Encoded(fields["vae"], {}))
    image = Image(arrays["pixels"])
    if meta["kind"] == "controlnet":
        return ControlBranch(net, image, mask=mask, **fields)
    return T2IAdapterBranch(net, image, **fields)


def _size_bytes(branch: Branch) -> int:
    return sum(len(blob.data) for blob in _encode(branch)[1].values())


def _show(control: Control, count: int) -> Shown:
    """The pictures that steer."""
    text = "\n".join(f"{branch.net.source}, strength {branch.strength:g}" for branch in control.branches)
    seen = [branch.image.pixels[:1] for branch in control.branches if not isinstance(branch, IPAdapterBranch)]
    return Shown(text, tuple(picture for pixels in seen[:count] for picture in first_pictures(pixels, 1)))


CONTROL = PortType(
    "Control",
    Control,
    "Pictures that steer sampling through ControlNets and adapters.",
    "#06a77d",
    ControlCodec(),
    size_bytes=lambda control: sum(map(_size_bytes, control.branches)),
    show=_show,
)
