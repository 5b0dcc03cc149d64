"""Autoencoders from anywhere: the one of a checkpoint, or one that stands alone, in a folder or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import latent_space, open_layout, read_checkpoint
from sdgraph.models.detect import UNET_PREFIXES, Detected, detect_checkpoint, vae_channels, vae_prefix
from sdgraph.models.families import SPACES, SpaceName
from sdgraph.models.layout import FolderLayout, Layout
from sdgraph.models.shipped_configs import shipped_config
from sdgraph.models.single_file import FileLayout, read_file_header
from sdgraph.models.source import locate, resolve
from sdgraph.models.weights import read_config
from sdgraph.payloads.handles import Dtype, VaeHandle
from sdgraph.payloads.latents import LatentSpace

SpaceChoice = Literal["auto", "sd1", "sdxl", "sd3", "flux"]


def read_vae(
    source: str,
    dtype: Dtype = "float32",
    *,
    space: SpaceChoice = "auto",
    config: str = "",
    allow_pickle: bool = False,
) -> VaeHandle:
    """The handle of an autoencoder: that of a checkpoint, an `AutoencoderKL` or an `AutoencoderTiny`.

    `space` says whose latents one that stands alone makes, where its configuration does not: those of Stable Diffusion
    1 and SDXL look alike, and so do those of Stable Diffusion 3 and FLUX. Raises ModelError (see `resolve`),
    [vae-space] when it must be said and is not, or can't be, [model-kind-unsupported], [model-damaged].
    """
    place = locate(source)
    common: dict[str, Any] = {"source": source, "config": config, "allow_pickle": allow_pickle}
    if place.is_file():
        return _in_file(place, source, dtype, space, common)
    if (place / "model_index.json").is_file():
        return _checked(read_checkpoint(source, dtype, allow_pickle=allow_pickle).vae, space)
    return _alone(place, source, dtype, space, common)


def vae_fingerprint(source: str, **options: Any) -> str:
    """Digest of an autoencoder's content, for a loader node's key. Options and errors are those of `read_vae`."""
    return read_vae(source, **options).fingerprint


def vae_layout(handle: VaeHandle) -> Layout:
    """Where the autoencoder of a handle is."""
    place = locate(handle.source)
    if not place.is_file():
        return FolderLayout(place, handle.allow_pickle)
    return _file_layout(place, handle.source, handle.space.name, handle.config, handle.allow_pickle)


def _in_file(file: Path, source: str, dtype: Dtype, space: SpaceChoice, common: dict[str, Any]) -> VaeHandle:
    header = read_file_header(file, common["allow_pickle"])
    if any(_has_denoiser(header.shapes, prefix) for prefix in UNET_PREFIXES):
        found = read_checkpoint(source, dtype, config=common["config"], allow_pickle=common["allow_pickle"]).vae
        return _checked(found, space)
    prefix = vae_prefix(header.shapes)
    if prefix is None:
        detect_checkpoint(header.shapes, source)
        raise AssertionError("a file without a denoiser is no checkpoint")
    name = _named(space, source, vae_channels(header.shapes, prefix))
    layout = _file_layout(file, source, name, common["config"], common["allow_pickle"])
    config = layout.config("vae")
    return VaeHandle(
        component="vae",
        fingerprint=layout.fingerprint("vae"),
        family=name,
        space=latent_space(layout.configs / "vae", config, name),
        dtype=_dtype(config, dtype),
        **common,
    )


def _file_layout(file: Path, source: str, name: str, config: str, allow_pickle: bool) -> FileLayout:
    header = read_file_header(file, allow_pickle)
    if any(_has_denoiser(header.shapes, prefix) for prefix in UNET_PREFIXES):
        layout = open_layout(source, config, allow_pickle)
        assert isinstance(layout, FileLayout)
        return layout
    family: Any = name
    kind = Detected(family, family, "", vae_prefix(header.shapes))
    return FileLayout(file, header, kind, resolve(config) if config else shipped_config(kind.config))


def _has_denoiser(shapes: Any, prefix: str) -> bool:
    return any(
        f"{prefix}{name}" in shapes for name in ("input_blocks.0.0.weight", "x_embedder.proj.weight", "img_in.weight")
    )


def _alone(folder: Path, source: str, dtype: Dtype, space: SpaceChoice, common: dict[str, Any]) -> VaeHandle:
    config = read_config(folder / "config.json")
    kind = config.get("_class_name")
    if kind not in ("AutoencoderKL", "AutoencoderTiny"):
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is a {kind or 'model of unknown kind'}, expected AutoencoderKL or AutoencoderTiny.",
            "Check the model reference.",
        )
    tiny = kind == "AutoencoderTiny"
    channels = int(config.get("latent_channels", 4))
    name = _named(space, source, channels, None if tiny else config.get("scaling_factor"))
    return VaeHandle(
        component="",
        fingerprint=FolderLayout(folder, common["allow_pickle"]).fingerprint(""),
        family=name,
        # A tiny autoencoder is made for the latents of another one, as they are.
        space=SPACES[name] if tiny else latent_space(folder, config, name),
        tiny=tiny,
        dtype=dtype if tiny else _dtype(config, dtype),
        **common,
    )


def _named(space: SpaceChoice, source: str, channels: int, scale: float | None = None) -> SpaceName:
    """Whose latents they are: as it is said, or by their scale."""
    fitting = [known for known in SPACES.values() if known.channels == channels]
    if space != "auto":
        _require_channels(SPACES[space], channels, source)
        return space
    by_scale = [known.name for known in fitting if known.scaling_factor == scale]
    if len(by_scale) == 1:
        return by_scale[0]  # pyright: ignore[reportReturnType]
    names = " or ".join(f"`{known.name}`" for known in fitting) or "none that is known"
    raise ModelError(
        "vae-space",
        f"`{source}` makes latents of {channels} channels, and does not say whose they are: {names}.",
        "Say it in `space`.",
        port="space",
    )


def _checked(handle: VaeHandle, space: SpaceChoice) -> VaeHandle:
    if space != "auto" and handle.space.name != space:
        raise ModelError(
            "vae-space",
            f"The autoencoder of `{handle.source}` makes `{handle.space.name}` latents, `space` says `{space}`.",
            "Leave `space` at `auto`: this model says whose latents it makes.",
            port="space",
        )
    return handle


def _require_channels(space: LatentSpace, channels: int, source: str) -> None:
    if space.channels != channels:
        raise ModelError(
            "vae-space",
            f"`{source}` makes latents of {channels} channels, and `{space.name}` latents have {space.channels}.",
            "Choose the space that the autoencoder was made for.",
            port="space",
        )


def _dtype(config: dict[str, Any], dtype: Dtype) -> Dtype:
    return "float32" if config.get("force_upcast", True) else dtype
