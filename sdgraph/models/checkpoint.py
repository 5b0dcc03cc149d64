"""Checkpoints: from a reference to handles, reading small files only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sdgraph.errors import ModelError
from sdgraph.models.controlnet_config import controlnet_facts, inner_width
from sdgraph.models.controlnet_file import read_controlnet_file
from sdgraph.models.families import FAMILIES, PIPELINES, SPACES, Family, TowerKind, family_of, part_class
from sdgraph.models.fingerprint import combine
from sdgraph.models.layout import FolderLayout, Layout, number
from sdgraph.models.single_file import FileLayout, open_file
from sdgraph.models.source import locate, resolve
from sdgraph.models.text_files import FilesFamily, open_text_files
from sdgraph.models.weights import damaged, read_config
from sdgraph.payloads.handles import (
    ControlNetHandle,
    DenoiserHandle,
    Dtype,
    TextEncoderHandle,
    TextTower,
    VaeHandle,
)
from sdgraph.payloads.latents import LatentSpace

PREVIEW = "vae_tiny"
Prediction = Literal["checkpoint", "epsilon", "v_prediction"]
_FLUX_PATCH = 4
"""FLUX takes 2x2 latent pixels as one token, so it has four times the channels."""
_FLUX_SAMPLE = 128
"""FLUX's configuration names no size; it was trained around 1024 pixels."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The handles of one model."""

    denoiser: DenoiserHandle
    text_encoder: TextEncoderHandle
    vae: VaeHandle

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides what the model draws: weights, configurations, noise schedule."""
        schedule = repr(sorted(self.denoiser.scheduler.items()))
        return combine(self.denoiser.fingerprint, self.text_encoder.fingerprint, self.vae.fingerprint, schedule)


def read_checkpoint(
    source: str,
    dtype: Dtype = "float32",
    *,
    config: str = "",
    prediction: Prediction = "checkpoint",
    allow_pickle: bool = False,
) -> Checkpoint:
    """The handles of a checkpoint: a diffusers folder, or a single file of weights.

    `config` is the reference of a folder that describes a single file; without it that is the folder of the same name
    beside the file, or what ships with the package. A part that the file lacks has a handle that says so (`missing`).
    An autoencoder whose configuration asks for full precision (`force_upcast`) stays float32 whatever the `dtype`.
    `prediction` other than "checkpoint" says what the denoiser predicts, where its configuration is wrong. Raises
    ModelError (see `resolve`), [model-damaged], [model-kind-unsupported].
    """
    layout = open_layout(source, config, allow_pickle)
    family = layout.family if isinstance(layout, FileLayout) else _family(layout, source)
    common: dict[str, Any] = {"source": source, "family": family.name, "config": config, "allow_pickle": allow_pickle}
    vae = layout.config("vae")
    space = latent_space(layout.configs / "vae", vae, family.space)
    autoencoder = VaeHandle(
        component="vae",
        fingerprint=layout.fingerprint("vae"),
        missing=layout.lacks("vae"),
        space=space,
        dtype="float32" if vae.get("force_upcast", True) else dtype,
        **common,
    )
    scheduler = layout.scheduler()
    if prediction != "checkpoint":
        scheduler["prediction_type"] = prediction
    if family.name == "flux":
        # FLUX's pipeline spaces its steps so whatever the configuration, which has no field for it.
        scheduler.setdefault("timestep_spacing", "trailing")
    return Checkpoint(
        _denoiser(layout, family, autoencoder, common | {"dtype": dtype}, scheduler),
        _text_encoder(layout, family, common | {"dtype": dtype}),
        autoencoder,
    )


def open_layout(source: str, config: str = "", allow_pickle: bool = False) -> Layout:
    """Where the parts of a checkpoint are, be it a folder or a file. Raises ModelError."""
    place = locate(source)
    if place.is_file():
        return open_file(source, place, config, allow_pickle)
    return FolderLayout(place, allow_pickle)


def _denoiser(
    layout: Layout, family: Family, vae: VaeHandle, common: dict[str, Any], scheduler: dict[str, Any]
) -> DenoiserHandle:
    part, space, transformer = family.denoiser, vae.space, family.denoiser == "transformer"
    folder, config = layout.configs / part, layout.config(part)
    channels = space.channels * (_FLUX_PATCH if family.name == "flux" else 1)
    inpainting = family.denoiser == "unet" and config.get("in_channels") == 2 * channels + 1
    if config.get("in_channels") != channels and not inpainting:
        raise ModelError(
            "model-kind-unsupported",
            f"The denoiser of `{common['source']}` takes {config.get('in_channels')} channels, its autoencoder makes "
            f"{channels}; expected a text-to-image or an inpainting model.",
            "Checkpoints that take other pictures as input are not supported.",
        )
    width = "cross_attention_dim" if part == "unet" else "joint_attention_dim"
    sample = _FLUX_SAMPLE if family.name == "flux" else number(folder, config, "sample_size")
    return DenoiserHandle(
        component=part,
        fingerprint=layout.fingerprint(part),
        space=space,
        scheduler=scheduler,
        conditioning_width=number(folder, config, width),
        pooled_width=_pooled_width(folder, config, family),
        distilled_guidance=bool(config.get("guidance_embeds", False)),
        inpainting=inpainting,
        sample_px=sample * space.downscale,
        preview=_preview(layout, common, space),
        inner_width=inner_width(folder, config) if transformer else 0,
        vae=vae if transformer else None,
        **common,
    )


def _pooled_width(folder: Path, config: Mapping[str, Any], family: Family) -> int:
    if family.denoiser == "transformer":
        return number(folder, config, "pooled_projection_dim")
    if not family.size_numbers:
        return 0
    time_width = number(folder, config, "addition_time_embed_dim")
    width = number(folder, config, "projection_class_embeddings_input_dim") - family.size_numbers * time_width
    if width < 1:
        raise damaged(
            folder / "config.json", "`projection_class_embeddings_input_dim` leaves no room for a pooled prompt"
        )
    return width


def _text_encoder(layout: Layout, family: Family, common: dict[str, Any]) -> TextEncoderHandle:
    kinds = [kind for kind in family.towers if not kind.optional or layout.has(kind.component)]
    towers = tuple(_tower(layout, kind) for kind in kinds)
    first, *others = kinds
    more = [kind.component for kind in others] + [kind.tokenizer for kind in kinds]
    return TextEncoderHandle(
        component=first.component,
        fingerprint=layout.fingerprint(first.component, *more),
        missing=layout.lacks(first.component, *more),
        conditioning_width=_joined_width(layout, family, towers),
        pooled_width=sum(tower.pooled_width for tower in towers),
        towers=towers,
        **common,
    )


def _tower(layout: Layout, kind: TowerKind) -> TextTower:
    folder, config = layout.configs / kind.component, layout.config(kind.component)
    if isinstance(layout, FolderLayout):
        read_config(layout.configs / kind.tokenizer / "tokenizer_config.json")
    t5 = kind.kind == "t5"
    width = number(folder, config, "d_model" if t5 else "hidden_size")
    pooled = number(folder, config, "projection_dim") if kind.projected else width
    return TextTower(
        kind=kind.kind,
        component=kind.component,
        tokenizer=kind.tokenizer,
        layer=kind.layer,
        max_tokens=kind.max_tokens or number(folder, config, "max_position_embeddings"),
        layers=number(folder, config, "num_layers" if t5 else "num_hidden_layers"),
        width=width,
        projected=kind.projected,
        pooled_width=pooled if kind.pooled else 0,
    )


def _joined_width(layout: Layout, family: Family, towers: tuple[TextTower, ...]) -> int:
    """Length of the joined vectors; with a transformer that of its T5, which the others are made as long as."""
    if family.denoiser == "unet":
        return sum(tower.width for tower in towers)
    widths = [tower.width for tower in towers if tower.kind == "t5"]
    return (
        widths[0]
        if widths
        else number(layout.configs / "transformer", layout.config("transformer"), "joint_attention_dim")
    )


def read_controlnet(
    source: str, dtype: Dtype = "float32", *, config: str = "", allow_pickle: bool = False
) -> ControlNetHandle:
    """The handle of a ControlNet: a folder, for example `builtin:shapes/controlnet_canny`, or a single file.

    `config` is a folder whose `config.json` describes a file that its tensors don't. Raises ModelError as above.
    """
    place = locate(source)
    if place.is_file():
        return read_controlnet_file(place, source, dtype, config=config, allow_pickle=allow_pickle)
    return ControlNetHandle(
        source=source,
        component="",
        fingerprint=FolderLayout(place, allow_pickle).fingerprint(""),
        dtype=dtype,
        allow_pickle=allow_pickle,
        **controlnet_facts(place, read_config(place / "config.json"), source),
    )


def checkpoint_fingerprint(source: str, **options: Any) -> str:
    """Digest of a checkpoint's content, for a loader node's key. Options and errors are those of `read_checkpoint`."""
    return read_checkpoint(source, **options).fingerprint


def read_text_encoder(
    source: str,
    dtype: Dtype = "float32",
    *,
    more: Sequence[str] = (),
    family: FilesFamily = "auto",
    config: str = "",
    allow_pickle: bool = False,
) -> TextEncoderHandle:
    """The handle of a checkpoint's text encoders; the other parts need not be there.

    With a `family`, `source` and `more` are files of one text encoder each. Raises ModelError as above.
    """
    common: dict[str, Any] = {"source": source, "dtype": dtype, "config": config, "allow_pickle": allow_pickle}
    if family != "auto":
        files = open_text_files((source, *more), family, config, allow_pickle)
        return replace(_text_encoder(files, FAMILIES[family], common | {"family": family}), more_sources=tuple(more))
    layout = open_layout(source, config, allow_pickle)
    found = layout.family if isinstance(layout, FileLayout) else _family(layout, source, texts_only=True)
    return _text_encoder(layout, found, common | {"family": found.name})


def text_encoder_fingerprint(source: str, **options: Any) -> str:
    """Digest of text encoders, for a loader node's key. Options and errors are those of `read_text_encoder`."""
    return read_text_encoder(source, **options).fingerprint


def controlnet_fingerprint(source: str, **options: Any) -> str:
    """Digest of a ControlNet's content, for a loader node's key. Options and errors are those of `read_controlnet`."""
    return read_controlnet(source, **options).fingerprint


def component_folder(source: str, component: str) -> Path:
    """The folder of a component's configuration and weights, now."""
    return resolve(source) / component


def _family(layout: Layout, source: str, texts_only: bool = False) -> Family:
    index = read_config(layout.configs / "model_index.json")
    pipeline = str(index.get("_class_name"))
    if pipeline not in PIPELINES:
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is a model for {pipeline}, expected one for {', '.join(PIPELINES)}.",
            "Use a Stable Diffusion, SDXL or FLUX.1 model, for example `builtin:shapes`.",
        )
    unet = layout.config("unet") if (layout.configs / "unet" / "config.json").is_file() else {}
    family = family_of(index, unet)
    assert family is not None
    expected = {} if texts_only else {family.denoiser: family.denoiser_class, "vae": "AutoencoderKL"}
    for kind in family.towers:
        if not kind.optional or part_class(index, kind.component):
            expected |= {kind.component: kind.model_class, kind.tokenizer: kind.tokenizer_class}
    for part, kind in expected.items():
        require_class(f"{source}/{part}", part_class(index, part), kind)
    return family


def require_class(source: str, found: object, expected: str) -> None:
    """Raises ModelError [model-kind-unsupported] unless a part is of the expected class."""
    # "CLIPTokenizerFast" is the same tokenizer, written in Rust.
    if found not in (expected, f"{expected}Fast"):
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is a {found or 'model of unknown kind'}, expected {expected}.",
            "Check the model reference.",
        )


def latent_space(folder: Path, config: Mapping[str, Any], name: str) -> LatentSpace:
    """The latent space of an autoencoder's configuration. Raises ModelError [model-damaged]."""
    blocks = config.get("block_out_channels")
    if not isinstance(blocks, list) or not blocks:
        raise damaged(folder / "config.json", "`block_out_channels` is no list of numbers")
    scale = config.get("scaling_factor", SPACES["sd1"].scaling_factor)
    shift = config.get("shift_factor") or 0.0
    if not isinstance(scale, int | float) or not isinstance(shift, int | float) or scale == 0:
        raise damaged(folder / "config.json", "`scaling_factor` or `shift_factor` is no number")
    channels = number(folder, config, "latent_channels")
    mean, deviation = (_by_channel(folder, config, field, channels) for field in ("latents_mean", "latents_std"))
    if not mean or not deviation:
        mean = deviation = ()
    return LatentSpace(name, channels, 2 ** (len(blocks) - 1), float(scale), float(shift), mean, deviation)


def _by_channel(folder: Path, config: Mapping[str, Any], name: str, channels: int) -> tuple[float, ...]:
    """Numbers of an autoencoder's configuration, one per channel; empty: it has none."""
    found = config.get(name)
    if found is None:
        return ()
    if not isinstance(found, list) or len(found) != channels or not all(isinstance(x, int | float) for x in found):
        raise damaged(folder / "config.json", f"`{name}` is no list of {channels} numbers")
    return tuple(float(x) for x in found)


def _preview(layout: Layout, common: Mapping[str, Any], space: LatentSpace) -> VaeHandle | None:
    if not (layout.configs / PREVIEW / "config.json").is_file():
        return None
    return VaeHandle(component=PREVIEW, fingerprint=layout.fingerprint(PREVIEW), space=space, tiny=True, **common)
