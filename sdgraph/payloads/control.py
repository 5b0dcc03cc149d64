"""Control: pictures that steer sampling through networks beside the denoiser. Applying one more adds a branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sdgraph.core.porttype import Blob, Encoded, PortType, Shown
from sdgraph.errors import SamplingError
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


Shows = Literal["auto", "canny", "tile", "depth", "blur", "pose", "gray", "low_quality"]
"""What a control picture shows, for networks that know several kinds; "auto" is for those that know one."""
SHOWN: tuple[Shows, ...] = ("canny", "tile", "depth", "blur", "pose", "gray", "low_quality")
"""In the order in which the union networks for FLUX.1 (InstantX, Shakker) count them."""


@dataclass(frozen=True, slots=True, eq=False)
class ControlBranch:
    """One ControlNet with its picture.

    Raises SamplingError [control-range] unless 0 <= start <= end <= 1, [control-kind] for a picture of a kind that the
    network does not know.
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

    def __post_init__(self) -> None:
        require_range(self.start, self.end)
        require_kind(self.net, self.shows)


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
    known = SHOWN[: net.kinds] or ("auto",)
    if shows not in known:
        raise SamplingError(
            "control-kind",
            f"The ControlNet `{net.source}` knows pictures of the kinds {', '.join(known)}; found {shows}."
            if net.kinds
            else f"The ControlNet `{net.source}` knows one kind of pictures and can't be told that they show {shows}.",
            f"Set `shows` to {' or '.join(known)}.",
            port="shows",
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
            return meta | more, {"pixels": array_blob(branch.image.pixels)}
        case T2IAdapterBranch():
            return meta, {"pixels": array_blob(branch.image.pixels)}
        case IPAdapterBranch():
            prompt = branch.prompt
            blobs = {"features": array_blob(prompt.features), "negative": array_blob(prompt.negative)}
            return meta, blobs | ({"mask": array_blob(branch.mask.values)} if branch.mask else {})


def _decode(meta: Mapping[str, Any], place: str, blobs: Mapping[str, Blob]) -> Branch:
    fields = {name: value for name, value in meta.items() if name not in ("kind", "net")}
    net: Any = HandleCodec(_NETS[meta["kind"]]).decode(Encoded(meta["net"], {}))
    arrays = {
        name.removeprefix(f"{place}."): array_of(blob) for name, blob in blobs.items() if name.startswith(f"{place}.")
    }
    if meta["kind"] == "ip_adapter":
        mask = Mask(arrays["mask"]) if "mask" in arrays else None
        return IPAdapterBranch(net, ImagePrompt(arrays["features"], arrays["negative"]), mask=mask, **fields)
    if fields.get("vae"):
        fields["vae"] = HandleCodec(VaeHandle).decode(Encoded(fields["vae"], {}))
    kind = ControlBranch if meta["kind"] == "controlnet" else T2IAdapterBranch
    return kind(net, Image(arrays["pixels"]), **fields)


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
