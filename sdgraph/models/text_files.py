"""Text encoders in files of their own, one for each tower, as FLUX.1 and Stable Diffusion 3 are often handed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sdgraph.errors import ModelError
from sdgraph.models.detect import Detected, Shapes
from sdgraph.models.families import FAMILIES, TowerKind
from sdgraph.models.fingerprint import combine
from sdgraph.models.shipped_configs import shipped_config
from sdgraph.models.single_file import FileLayout, read_file_header
from sdgraph.models.source import locate, resolve
from sdgraph.models.weights import read_config

FilesFamily = Literal["auto", "sd3", "flux"]
"""Whose text encoders separate files are; "auto": they are not separate."""


@dataclass(frozen=True, slots=True)
class TextFilesLayout:
    """Text towers in files of their own, and a folder that describes them."""

    family: Literal["sd3", "flux"]
    files: Mapping[str, FileLayout]
    """By the tower's component, for example "text_encoder_2"."""
    configs: Path

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part."""
        return read_config(self.configs / part / "config.json")

    def has(self, part: str) -> bool:
        """Whether a file is this tower."""
        return part in self.files

    def lacks(self, component: str, *more: str) -> str:
        """The towers that no file is, or the tokenizer that is not beside its file."""
        lost = [part for part in (component, *more) if part.startswith("text_encoder") and not self.has(part)]
        if lost:
            return f"None of the files is the {' or the '.join(lost)}"
        towers = ((part, part.replace("text_encoder", "tokenizer")) for part in self.files)
        return next(filter(None, (self.files[part].lacks(part, tokenizer) for part, tokenizer in towers)), "")

    def fingerprint(self, component: str, *more: str) -> str:
        """Digest of all files, their configurations and tokenizers."""
        del component, more
        towers = sorted(self.files.items())
        return combine(*(file.fingerprint(part, part.replace("text_encoder", "tokenizer")) for part, file in towers))

    def scheduler(self) -> dict[str, Any]:
        """None: text encoders have no noise schedule."""
        return {}


def open_text_files(
    sources: Sequence[str], family: Literal["sd3", "flux"], config: str = "", allow_pickle: bool = False
) -> TextFilesLayout:
    """The layout of separate files, each of which is told by its tensors.

    Raises ModelError [model-kind-unsupported] for a file that is none of the family's text encoders, and as `resolve`.
    """
    configs = resolve(config) if config else shipped_config(family)
    files: dict[str, FileLayout] = {}
    for source in sources:
        file = locate(source)
        header = read_file_header(file, allow_pickle) if file.is_file() else None
        part = _tower_of(header.shapes, family, configs) if header else None
        if header is None or part is None:
            raise _no_tower(source, family)
        files[part] = FileLayout(file, header, Detected(family, family, "", None), configs, alone=part)
    return TextFilesLayout(family, files, configs)


def _tower_of(shapes: Shapes, family: str, configs: Path) -> str | None:
    """The component that a file is."""
    for kind in FAMILIES[family].towers:
        if _is_tower(shapes, kind, read_config(configs / kind.component / "config.json")):
            return kind.component
    return None


def _is_tower(shapes: Shapes, kind: TowerKind, config: Mapping[str, Any]) -> bool:
    if kind.kind == "t5":
        return "encoder.block.0.layer.0.SelfAttention.q.weight" in shapes
    # CLIP-L and CLIP-G differ in their width.
    return shapes.get("text_model.embeddings.token_embedding.weight", (0,))[-1] == config.get("hidden_size")


def _no_tower(source: str, family: str) -> ModelError:
    kinds = {"sd3": "CLIP-L, CLIP-G or T5", "flux": "CLIP-L or T5"}[family]
    return ModelError(
        "model-kind-unsupported",
        f"`{source}` is none of the text encoders of {FAMILIES[family].title}, expected {kinds} in a file of its own.",
        "Leave `family` at `auto` for a folder or a checkpoint in one file.",
    )
