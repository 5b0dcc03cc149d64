"""Patches: what is done to a model while it is leased. They are part of its handle; the weights stay the base's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PatchKind = Literal["lora"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A file of weight changes on one model. A denoiser and a text encoder each have one of their own."""

    source: str
    """The reference of the file, for example `builtin:shapes/lora_neon`."""
    fingerprint: str
    """Digest of the file's content, hex. Two patches with the same one do the same, wherever their files are."""
    strength: float
    """Factor on the changes; never 0, because then there is no patch."""
    kind: PatchKind = "lora"

    @property
    def key(self) -> tuple[str, str, float]:
        """What it does to a model, without the place of the file."""
        return self.kind, self.fingerprint, self.strength


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A word that prompts may use: vectors from a file (textual inversion) under a name."""

    name: str
    """How prompts call it."""
    source: str
    """The reference of the file."""
    fingerprint: str
    """Digest of the file's content, hex."""
    allow_pickle: bool = False
    """Whether the file may be a pickle, read by torch's restricted reader."""

    @property
    def key(self) -> tuple[str, str]:
        """What it adds to a text encoder, without the place of the file."""
        return self.name, self.fingerprint
