"""LoRA files as the graph sees them: headers only, checked against the models that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sdgraph.errors import ModelError, Problem
from sdgraph.models.fingerprint import changed, file_digest
from sdgraph.models.patches.files import PatchFile, find_file, open_file
from sdgraph.models.patches.fit import Fit, Shapes, fit_entries
from sdgraph.models.patches.keys import Component, Entry, accepted, read_entries
from sdgraph.models.patches.shapes import handle_networks, handle_shapes
from sdgraph.payloads.handles import DenoiserHandle, TextEncoderHandle
from sdgraph.payloads.patch import Patch

_WIDTHS = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "SDXL", 1280: "the SDXL refiner"}
"""What reads conditioning vectors of so many numbers."""
_BLOCKS = {
    "double_blocks_": "FLUX.1",
    "single_transformer_blocks_": "FLUX.1",
    "single_blocks_": "FLUX.1",
    "joint_blocks_": "Stable Diffusion 3",
}
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA file, or one of its relatives, by its header."""

    source: str
    file: PatchFile
    entries: tuple[Entry, ...]
    unknown: tuple[str, ...]
    """Keys that belong to no known kind of change."""

    @property
    def conditioning_width(self) -> int | None:
        """Length of the vectors that the cross-attention which it changes reads; None when it changes none."""
        for entry in self.entries:
            # The transformers' `attn2` is a second self-attention.
            crossing = entry.module.endswith(("_attn2_to_k", "_attn2_to_v"))
            if crossing and entry.kind == "lora" and not entry.module.startswith("transformer_blocks_"):
                return self.file.shapes[entry.parts["down"]][-1]
        return None

    @property
    def kind(self) -> str:
        """What the file was made for, in words."""
        for block, name in _BLOCKS.items():
            if any(entry.module.startswith(block) for entry in self.entries):
                return name
        width = self.conditioning_width
        return _WIDTHS.get(width or 0, "a model of another kind" if width is None else f"{width}-wide conditioning")


@dataclass(frozen=True, slots=True)
class WithLora:
    """Handles with a LoRA on them, and what is to be said about it."""

    denoiser: DenoiserHandle
    text_encoder: TextEncoderHandle | None
    warning: Problem | None = None


def lora_fingerprint(source: str) -> str:
    """Digest of a LoRA file's content, for a node's key. Raises ModelError as `find_file` does, [model-damaged]."""
    return file_digest(find_file(source))


def read_lora(source: str) -> Lora:
    """A LoRA by its header. Raises ModelError as `find_file` does, [model-damaged], [lora-unknown] for other files."""
    file = open_file(find_file(source))
    entries, unknown = read_entries(file.shapes)
    if not entries:
        raise ModelError(
            "lora-unknown",
            f"`{source}` has {len(unknown)} tensors ({_examples(unknown)}), none of a LoRA in a known format.",
            "Use a LoRA, LoHa, LoKr, DoRA or (IA)3 file of kohya's scripts, LyCORIS, PEFT or diffusers.",
        )
    return Lora(source, file, entries, unknown)


def with_lora(
    denoiser: DenoiserHandle,
    text_encoder: TextEncoderHandle | None,
    source: str,
    strength: float,
    text_strength: float,
) -> WithLora:
    """Put a LoRA on the handles of a model. A handle stays as it is at strength 0, or when the file has nothing for it.

    Raises ModelError as `read_lora` does; [lora-mismatch] when the file is for another kind of model. That some of the
    file fits nothing is a warning [lora-partial].
    """
    if not strength and (text_encoder is None or not text_strength):
        return WithLora(denoiser, text_encoder)
    lora = read_lora(source)
    shapes = handle_shapes(denoiser) | (handle_shapes(text_encoder) if text_encoder else {})
    _require_width(lora, denoiser)
    fits: dict[Component, Fit] = {component: fit_to(lora, component, shapes) for component in shapes}
    for component, fit in fits.items():
        require_fit(lora, fit, component, denoiser.source)
    digest = file_digest(lora.file.path)

    def patched(handle: Any, factor: float) -> Any:
        # What can't be compared before the weights are read is compared when the model is leased.
        touched = any(component not in fits or fits[component].fitted for component in handle_networks(handle))
        if not factor or not touched:
            return handle
        patch = Patch(source=source, fingerprint=digest, strength=factor)
        return replace(handle, patches=(*handle.patches, patch))

    text = text_encoder and patched(text_encoder, text_strength)
    return WithLora(patched(denoiser, strength), text, _left_out(lora, fits))


def open_patch(patch: Patch) -> Lora:
    """The file of a patch. Raises ModelError [model-changed] when it is not the one that the patch was made of."""
    lora = read_lora(patch.source)
    if file_digest(lora.file.path) != patch.fingerprint:
        raise changed(patch.source)
    return lora


def fit_to(lora: Lora, component: Component, networks: Mapping[Component, Shapes]) -> Fit:
    """What of the file belongs to one of a model's networks."""
    return fit_entries(lora.file, lora.entries, accepted(component, networks), networks[component])


def require_fit(lora: Lora, fit: Fit, component: Component, model: str) -> None:
    """Raises ModelError [lora-mismatch] when most of what the file has for a network does not fit it."""
    # Files that name no network are for denoisers.
    misfits = [entry for entry in fit.unfitted if entry.component is not None or component == "denoiser"]
    if len(misfits) <= len(fit.fitted):
        return
    raise ModelError(
        "lora-mismatch",
        f"`{lora.source}` was made for {lora.kind}: {len(misfits)} of its {len(misfits) + len(fit.fitted)} changes for "
        f"the {_word(component)} don't fit `{model}`, for example `{_example(misfits[0])}`.",
        "Use a LoRA that was trained for this kind of model.",
    )


def _require_width(lora: Lora, denoiser: DenoiserHandle) -> None:
    width = lora.conditioning_width
    if width is None or width == denoiser.conditioning_width:
        return
    raise ModelError(
        "lora-mismatch",
        f"`{lora.source}` was made for {lora.kind} (its cross-attention reads vectors of {width} numbers), but "
        f"`{denoiser.source}` is a model of family {denoiser.family} that reads {denoiser.conditioning_width}.",
        "Use a LoRA that was trained for this kind of model.",
        port="source",
    )


def _left_out(lora: Lora, fits: Mapping[Component, Fit]) -> Problem | None:
    """The warning about what fits nothing. What is for networks that are not connected is no matter."""
    placed = {id(fitted.entry) for fit in fits.values() for fitted in fit.fitted}
    tried = {id(entry): entry for fit in fits.values() for entry in fit.unfitted}
    keys = [_example(entry) for number, entry in tried.items() if number not in placed]
    keys += lora.unknown
    if not keys:
        return None
    return Problem(
        "lora-partial",
        f"{len(keys)} changes of `{lora.source}` fit nothing in the model and are left out ({_examples(keys)}).",
        "The file may be meant for a variant of this model.",
        severity="warning",
    )


def _example(entry: Entry) -> str:
    return min(entry.parts.values())


def _examples(keys: list[str] | tuple[str, ...]) -> str:
    more = ", ..." if len(keys) > _EXAMPLES else ""
    return ", ".join(f"`{key}`" for key in keys[:_EXAMPLES]) + more


def _word(component: Component) -> str:
    return component.replace("_", " ")
