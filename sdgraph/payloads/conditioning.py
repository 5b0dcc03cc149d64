"""Conditioning: what a denoiser is asked to draw."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from sdgraph.core.porttype import Encoded, PortType, Shown
from sdgraph.payloads.area import Area
from sdgraph.payloads.mask import MASK, Mask
from sdgraph.payloads.shown import first_pictures, many
from sdgraph.payloads.step_window import StepWindow
from sdgraph.payloads.tensors import from_blob, shared, tensor_bytes, to_blob

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What SDXL is told about the picture beside the prompt (Podell et al. 2023, arXiv:2307.01952, section 2.2).

    Sizes are (height, width) in pixels; None stands for the size of the picture that is drawn.
    """

    original_px: tuple[int, int] | None = None
    """As if the picture had been scaled from this size: small ones make it blurred."""
    crop_px: tuple[int, int] = (0, 0)
    """As if so much had been cut off at the top and at the left: (0, 0) centres the subject."""
    target_px: tuple[int, int] | None = None
    """The size that the picture is meant to have."""
    aesthetic_score: float | None = None
    """0..10, for the refiner; None: 6 for what to draw, 2.5 for what to stay away from, as in diffusers."""


@dataclass(frozen=True, slots=True, eq=False)
class ConditioningEntry:
    """One encoded prompt, and where and when it applies; `sdgraph.models.compose` says what several come to."""

    embedding: Tensor
    """[1, L, D] float32: one vector per token, chunks one after another."""
    pooled: Tensor | None = None
    """[1, P] float32, for model families that also want the prompt as one vector."""
    facts: PictureFacts | None = None
    """For SDXL; None: the facts of the picture that is drawn."""
    distilled_guidance: float | None = None
    """The guidance scale that a guidance-distilled model (FLUX.1 dev) is told; None: 3.5, as in diffusers."""
    group: int = 0
    """Entries of one group are one prompt: their predictions are added, those of groups averaged."""
    factor: float = 1.0
    """How much an entry adds within its group: the weight of a part of `a AND b :0.6`."""
    strength: float = 1.0
    """Its share in the average, against that of other entries."""
    area: Area | None = None
    """Where it applies: the network sees this part of the picture alone. None: everywhere."""
    mask: Mask | None = None
    """Where it applies, as weights; the network sees the whole picture. One mask for all items or one per item."""
    start: float = 0.0
    """Sampling progress 0..1, by timestep, from which on it applies."""
    end: float = 1.0
    """Sampling progress before which it applies; 1 includes the last step."""
    windows: tuple[StepWindow, ...] = ()
    """Steps during which it applies, any of these; none: all steps."""
    negative: bool = False
    """Whether it is what to stay away from. Said while sampling, never stored: some control acts on one side only."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """Encoded prompts that apply together. There is at least one."""

    entries: tuple[ConditioningEntry, ...]

    def as_negative(self) -> Conditioning:
        """The same prompts as what to stay away from."""
        return self.changed(negative=True)

    def changed(self, **fields: Any) -> Conditioning:
        """The same prompts with these fields of every entry set."""
        return Conditioning(tuple(replace(entry, **fields) for entry in self.entries))


class ConditioningCodec:
    """Stores conditioning bit for bit."""

    def encode(self, value: Conditioning) -> Encoded:
        """One or two blobs per entry."""
        blobs = {f"{i}.embedding": to_blob(entry.embedding) for i, entry in enumerate(value.entries)}
        for i, entry in enumerate(value.entries):
            if entry.pooled is not None:
                blobs[f"{i}.pooled"] = to_blob(entry.pooled)
            if entry.mask is not None:
                blobs[f"{i}.mask"] = _MASKS.encode(entry.mask).blobs["values"]
        more = [_more(entry) for entry in value.entries]
        return Encoded({"entries": len(value.entries)} | ({"more": more} if any(more) else {}), blobs)

    def decode(self, encoded: Encoded) -> Conditioning:
        """The conditioning, on the CPU."""
        blobs, count = encoded.blobs, encoded.meta["entries"]
        more = encoded.meta.get("more", [{}] * count)
        return Conditioning(
            tuple(
                ConditioningEntry(
                    from_blob(blobs[f"{i}.embedding"]),
                    from_blob(blobs[f"{i}.pooled"]) if f"{i}.pooled" in blobs else None,
                    mask=_MASKS.decode(Encoded(None, {"values": blobs[f"{i}.mask"]})) if f"{i}.mask" in blobs else None,
                    **_revived(more[i]),
                )
                for i in range(count)
            )
        )


_MASKS: Any = MASK.codec
_PLAIN = ("distilled_guidance", "group", "factor", "strength", "start", "end")
"""Fields that JSON holds as they are."""


def _more(entry: ConditioningEntry) -> dict[str, Any]:
    """What an entry has beside tensors, where it is not the default."""
    more: dict[str, Any] = {name: asdict(found) for name in ("facts", "area") if (found := getattr(entry, name))}
    if entry.windows:
        more["windows"] = [window.model_dump(exclude_defaults=True) for window in entry.windows]
    defaults = {field.name: field.default for field in fields(ConditioningEntry)}
    return more | {name: getattr(entry, name) for name in _PLAIN if getattr(entry, name) != defaults[name]}


def _revived(more: dict[str, Any]) -> dict[str, Any]:
    found = dict(more)
    if "facts" in found:
        facts: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in found["facts"].items()
        }
        found["facts"] = PictureFacts(**facts)
    if "area" in found:
        found["area"] = Area(**found["area"])
    if "windows" in found:
        found["windows"] = tuple(StepWindow(**window) for window in found["windows"])
    return found


def _share(value: Conditioning) -> Conditioning:
    return Conditioning(
        tuple(
            replace(
                entry,
                embedding=shared(entry.embedding),
                pooled=None if entry.pooled is None else shared(entry.pooled),
            )
            for entry in value.entries
        )
    )


def _size_bytes(value: Conditioning) -> int:
    masks = {id(entry.mask): entry.mask.values.nbytes for entry in value.entries if entry.mask is not None}
    return sum(tensor_bytes((entry.embedding, entry.pooled)) for entry in value.entries) + sum(masks.values())


def _show(value: Conditioning, count: int) -> Shown:
    """The masks of what is masked."""
    shapes = ", ".join(f"{entry.embedding.shape[1]} x {entry.embedding.shape[2]}" for entry in value.entries)
    masks = [entry.mask.values[:1] for entry in value.entries if entry.mask is not None]
    pictures = tuple(picture for mask in masks[:count] for picture in first_pictures(mask, 1))
    return Shown(f"{many(len(value.entries), 'prompt')}: {shapes}", pictures)


CONDITIONING = PortType(
    "Conditioning",
    Conditioning,
    "Encoded prompts: what the denoiser is asked to draw.",
    "#ffb703",
    ConditioningCodec(),
    share=_share,
    size_bytes=_size_bytes,
    show=_show,
)
