"""Textual inversion (Gal et al. 2022, arXiv:2208.01618): words of a prompt that stand for learnt vectors.

Read are A1111's files (`emb_params`, and `string_to_param` in a pickle), diffusers' (the word itself as the key) and
those with a tensor per text tower (`clip_l`, `clip_g`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError
from sdgraph.models.fingerprint import changed, file_digest
from sdgraph.models.header import damaged
from sdgraph.models.patches.files import find_file, open_file, read_tensors
from sdgraph.models.patches.keys import Component
from sdgraph.models.patches.shapes import tower_component
from sdgraph.models.weights import PICKLES
from sdgraph.payloads.handles import TextEncoderHandle, TextTower
from sdgraph.payloads.patch import Embedding

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

Vectors = tuple[str, tuple[int, ...]]
"""A tensor's key and shape, [n, D] or [D]."""
_TOWERS: Mapping[str, Component] = {
    "clip_l": "text_encoder",
    "clip_g": "text_encoder_2",
    "text_encoders_0": "text_encoder",
    "text_encoders_1": "text_encoder_2",
    "t5xxl": "text_encoder_3",
}
"""Whose vectors a tensor of this name holds; another name is the word itself."""
_A1111 = "emb_params"
_NAME = re.compile(r"[\w<>*.+-]{1,64}")


@dataclass(frozen=True, slots=True)
class EmbeddingFile:
    """A textual inversion file: what is in it for whom."""

    path: Path
    word: str | None
    """The word that the file itself gives; None when it gives none."""
    vectors: Mapping[Component | None, Vectors]
    """Of each tower; None is the only CLIP of a model with one."""


def embedding_fingerprint(source: str, allow_pickle: bool = False) -> str:
    """Digest of the file's content, for a node's key. Raises ModelError as `find_file` does."""
    return file_digest(find_file(source, allow_pickle))


def with_embedding(
    handle: TextEncoderHandle, source: str, name: str = "", allow_pickle: bool = False
) -> TextEncoderHandle:
    """The text encoder with one more word: `name`, or the one that the file gives, or else the file's own name.

    Raises ModelError as `find_file` does; [embedding-name]; [embedding-unknown]; [embedding-mismatch] when the vectors
    are not as long as the encoder's.
    """
    file = read_embedding(find_file(source, allow_pickle))
    chosen = name or file.word or file.path.stem
    if not _NAME.fullmatch(chosen):
        raise ModelError(
            "embedding-name",
            f"{chosen!r} can't be a word of a prompt, expected up to 64 letters, digits and any of `_<>*.+-`.",
            "Give it a name.",
            port="name",
        )
    _require_vectors(file, handle, source)
    added = Embedding(
        name=chosen, source=source, fingerprint=file_digest(file.path), allow_pickle=file.path.suffix in PICKLES
    )
    kept = tuple(known for known in handle.embeddings if known.name.casefold() != chosen.casefold())
    return replace(handle, embeddings=(*kept, added))


def announced_embedding(handle: TextEncoderHandle, source: str, name: str = "") -> TextEncoderHandle | None:
    """As `with_embedding`, without torch: of a pickle only the name that it is given counts. None: it has none."""
    path = find_file(source, allow_pickle=True)
    if path.suffix not in PICKLES:
        return with_embedding(handle, source, name)
    announced = Embedding(name=name, source=source, fingerprint="", allow_pickle=True)
    return replace(handle, embeddings=(*handle.embeddings, announced)) if name else None


def read_embedding(path: Path) -> EmbeddingFile:
    """What a file has for whom. Raises ModelError [model-damaged], [embedding-unknown]."""
    if path.suffix in PICKLES:
        word, tensors = _unpickled(path)
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    else:
        word, shapes = None, dict(open_file(path).shapes)
    named: dict[Component | None, Vectors] = {
        _TOWERS[key]: (key, shape) for key, shape in shapes.items() if key in _TOWERS
    }
    single = [_A1111] if _A1111 in shapes else list(shapes) if len(shapes) == 1 else []
    if not named and not single:
        raise ModelError(
            "embedding-unknown",
            f"{path.name} has {len(shapes)} tensors, none of a textual inversion in a known format.",
            "Use a file with `emb_params`, with the word as its only key, or with `clip_l` and `clip_g`.",
        )
    if not named:
        named = {None: (single[0], shapes[single[0]])}
        word = word or (None if single[0] == _A1111 else single[0])
    for key, shape in named.values():
        if len(shape) not in (1, 2) or 0 in shape:
            raise damaged(path, f"`{key}` has the shape {list(shape)}, expected [vectors, width]")
    return EmbeddingFile(path, word, named)


def read_vectors(embedding: Embedding, towers: Iterable[TextTower]) -> dict[str, Tensor]:
    """The vectors [n, D], float32, of each tower that the file has some for, by the tower's folder.

    Raises ModelError [model-missing], [model-damaged], [model-changed].
    """
    path = find_file(embedding.source, embedding.allow_pickle)
    if file_digest(path) != embedding.fingerprint:
        raise changed(embedding.source)
    file = read_embedding(path)
    keys = {tower.component: found[0] for tower in towers if (found := _vectors_of(file, tower)) is not None}
    tensors = _unpickled(path)[1] if path.suffix in PICKLES else read_tensors(path, set(keys.values()), "cpu")
    return {folder: tensors[key].reshape(-1, tensors[key].shape[-1]) for folder, key in keys.items()}


def _vectors_of(file: EmbeddingFile, tower: TextTower) -> Vectors | None:
    """What the file has for a tower; None when it has nothing."""
    if None in file.vectors:
        return file.vectors[None] if tower.kind == "clip" else None
    return file.vectors.get("text_encoder_3" if tower.kind == "t5" else tower_component(tower.component))


def _require_vectors(file: EmbeddingFile, handle: TextEncoderHandle, source: str) -> None:
    """A T5 goes without; every CLIP needs vectors of its length."""
    found = [(tower, _vectors_of(file, tower)) for tower in handle.towers]
    if all(vectors[1][-1] == tower.width if vectors else tower.kind == "t5" for tower, vectors in found):
        return
    has, wanted = (
        " and ".join(str(width) for width in widths)
        for widths in (
            sorted({shape[-1] for _, shape in file.vectors.values()}),
            [tower.width for tower in handle.towers if tower.kind == "clip"],
        )
    )
    raise ModelError(
        "embedding-mismatch",
        f"`{source}` has vectors of {has} numbers, but the text encoder of `{handle.source}` reads {wanted}.",
        "Use a textual inversion that was trained for this kind of model.",
        port="source",
    )


def _unpickled(path: Path) -> tuple[str | None, dict[str, Tensor]]:
    """The word and the tensors of a pickled file, float32, read without running any code of it."""
    import pickle

    import torch

    from sdgraph.models.quiet import quiet

    try:
        with quiet():
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise damaged(path, "torch's restricted reader refuses it") from error
    word: str | None = None
    if isinstance(found, dict) and isinstance(found.get("string_to_param"), dict):
        named = found.get("name")
        word = named if isinstance(named, str) else None
        found = {_A1111: next(iter(found["string_to_param"].values()), None)}
    tensors = {
        str(key): value.detach().float()
        for key, value in (found.items() if isinstance(found, dict) else ())
        if isinstance(value, torch.Tensor)
    }
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise damaged(path, f"`{key}` has numbers that are not finite")
    return word, tensors
