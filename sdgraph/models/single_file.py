"""Checkpoints in one file: what they contain, and which configuration describes them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdgraph.errors import ModelError
from sdgraph.models.detect import Detected, Shapes, detect_checkpoint
from sdgraph.models.families import FAMILIES, Family
from sdgraph.models.fingerprint import combine, file_digest, fingerprint_files
from sdgraph.models.header import Header, read_header
from sdgraph.models.shipped_configs import shipped_config
from sdgraph.models.source import resolve
from sdgraph.models.weights import PICKLES, pickle_refused, read_config

TEXT_PREFIXES: Mapping[str, Mapping[str, str]] = {
    "sd1": {"text_encoder": "cond_stage_model.transformer."},
    "sd2": {"text_encoder": "cond_stage_model.model."},
    "sdxl": {
        "text_encoder": "conditioner.embedders.0.transformer.",
        "text_encoder_2": "conditioner.embedders.1.model.",
    },
    "sdxl_refiner": {"text_encoder_2": "conditioner.embedders.0.model."},
    "sd3": {
        "text_encoder": "text_encoders.clip_l.transformer.",
        "text_encoder_2": "text_encoders.clip_g.transformer.",
        "text_encoder_3": "text_encoders.t5xxl.transformer.",
    },
    "flux": {
        "text_encoder": "text_encoders.clip_l.transformer.",
        "text_encoder_2": "text_encoders.t5xxl.transformer.",
    },
}
"""What the names of each text model's tensors begin with, by family."""
_V_PREDICTION, _ZERO_SNR = "v_pred", "ztsnr"
"""Empty tensors by which SDXL fine-tunes say how they were trained."""


@dataclass(frozen=True, slots=True)
class FileLayout:
    """A checkpoint in one file, with a folder that describes it."""

    file: Path
    header: Header
    kind: Detected
    configs: Path
    """The folder of configurations, in the diffusers layout; its weights, if it has any, are not used."""
    alone: str = ""
    """The one part that the file is, for a file without prefixes."""

    @property
    def family(self) -> Family:
        """The family of the checkpoint."""
        return FAMILIES[self.kind.family]

    def prefix(self, part: str) -> str | None:
        """What the names of a part's tensors begin with; None: the file has no such part."""
        if self.alone:
            return "" if part == self.alone else None
        if part == self.family.denoiser:
            return self.kind.denoiser
        if part == "vae":
            return self.kind.vae
        prefix = TEXT_PREFIXES[self.kind.family].get(part)
        return prefix if prefix and any(name.startswith(prefix) for name in self.header.shapes) else None

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part, with the inputs that the file's UNet has: 9 when it is made for inpainting."""
        config = read_config(self.configs / part / "config.json")
        if part == "unet":
            config["in_channels"] = self.header.shapes[f"{self.kind.denoiser}input_blocks.0.0.weight"][1]
        return config

    def lacks(self, component: str, *more: str) -> str:
        """The parts that the file lacks, and the tokenizers that are neither beside it nor in the package."""
        parts = [part for part in (component, *more) if not part.startswith("tokenizer") and not self.has(part)]
        if parts:
            return f"`{self.file.name}` has no {' and no '.join(parts)}"
        lost = [part for part in more if self._needs_tokenizer(part)]
        return f"`{self.file.name}` needs the folder `{lost[0]}` (T5's tokenizer) beside it" if lost else ""

    def _needs_tokenizer(self, part: str) -> bool:
        kinds = {kind.tokenizer: kind.kind for kind in self.family.towers}
        return kinds.get(part) == "t5" and self.tokenizer_folder(part) is None

    def has(self, part: str) -> bool:
        """Whether the file has weights for a part."""
        return self.prefix(part) is not None

    def fingerprint(self, component: str, *more: str) -> str:
        """Digest of the file and of the configurations of the parts."""
        small = [
            path
            for part in (component, *more)
            for folder in (self.configs / part, self.tokenizer_folder(part))
            if folder is not None
            for path in folder.glob("*")
            if path.suffix in (".json", ".txt", ".model")
        ]
        digests = [fingerprint_files(path.parent, [path]) for path in sorted(set(small))]
        return combine(component, file_digest(self.file), *digests)

    def scheduler(self) -> dict[str, Any]:
        """The scheduler's configuration, with what the file itself says about its training."""
        config = read_config(self.configs / "scheduler" / "scheduler_config.json")
        said = self.header.metadata.get("modelspec.prediction_type", "").lower()
        if _V_PREDICTION in self.header.shapes or said in ("v", "v_prediction"):
            config["prediction_type"] = "v_prediction"
        elif said in ("epsilon", "eps"):
            config["prediction_type"] = "epsilon"
        if _ZERO_SNR in self.header.shapes:
            config["rescale_betas_zero_snr"] = True
        return config

    def tokenizer_folder(self, part: str) -> Path | None:
        """The folder of a tokenizer among the configurations or beside the file; None: there is none."""
        if not part.startswith("tokenizer"):
            return None
        for folder in (self.configs / part, self.file.parent / part):
            if (folder / "tokenizer_config.json").is_file():
                return folder
        return None


def open_file(source: str, file: Path, config: str = "", allow_pickle: bool = False) -> FileLayout:
    """The layout of a single file. `config` is the reference of a folder that describes it; without one, the folder of
    the same name beside the file, and without that the configuration that ships with the package.

    Raises ModelError [model-kind-unsupported], [model-damaged], [model-pickle], [model-unsafe].
    """
    header = read_file_header(file, allow_pickle)
    kind = detect_checkpoint(header.shapes, source)
    beside = file.with_suffix("")
    if config:
        configs = resolve(config)
    elif (beside / "model_index.json").is_file():
        configs = beside
    else:
        configs = shipped_config(kind.config)
        _require_size(header.shapes, kind, source)
    return FileLayout(file, header, kind, configs)


def read_file_header(file: Path, allow_pickle: bool = False) -> Header:
    """What tensors a single file has. Raises ModelError [model-damaged], [model-pickle], [model-unsafe]."""
    if file.suffix not in PICKLES:
        return read_header(file)
    tensors = read_pickle(file, allow_pickle, device="meta")
    return Header({name: tuple(tensor.shape) for name, tensor in tensors.items()}, {})


def read_pickle(
    file: Path, allow_pickle: bool, device: str = "cpu", inside: Sequence[str] = ("state_dict",)
) -> dict[str, Any]:
    """The tensors of a pickled checkpoint, by torch's reader that builds nothing but tensors and containers.

    They may be `inside` one of these of its entries.

    Raises ModelError [model-pickle] unless it is allowed, [model-unsafe] for a pickle that asks for more.
    """
    if not allow_pickle:
        raise pickle_refused(file)
    import torch

    try:
        content = torch.load(file, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise ModelError(
            "model-unsafe",
            f"{file} is not read: it is no plain pickle of tensors ({(str(error).splitlines() or [''])[0]:.120}).",
            "Get it as safetensors from its makers.",
        ) from error
    named = content if isinstance(content, dict) else {}
    found = next((named[name] for name in inside if isinstance(named.get(name), dict)), named)
    return {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor)}


def _require_size(shapes: Shapes, kind: Detected, source: str) -> None:
    """Refuse a model of other widths than the published ones, which the shipped configuration would not fit."""
    config = read_config(shipped_config(kind.config) / FAMILIES[kind.family].denoiser / "config.json")
    width = config.get("cross_attention_dim") or config["joint_attention_dim"]
    found = {shape[-1] for name, shape in shapes.items() if name.startswith(kind.denoiser) and name.endswith(_CONTEXT)}
    if found and found != {width}:
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` looks like {FAMILIES[kind.family].title}, but takes conditioning vectors of "
            f"{max(found)} numbers instead of {width}.",
            "If it is one of its own size, describe it: give the diffusers folder of its configuration as `config`.",
        )


_CONTEXT = (".attn2.to_k.weight", "context_embedder.weight", "txt_in.weight")
"""Weights whose last dimension is the width of the conditioning."""
