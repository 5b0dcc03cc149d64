"""What is done to a model in memory: patches of its weights, pruning, and words of its text encoders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sdgraph.models.embeddings import read_vectors
from sdgraph.models.patches.keys import Component
from sdgraph.models.patches.patched import Networks, Patched, PatchKey
from sdgraph.models.patches.shapes import tower_component
from sdgraph.models.pruning.pruned import Pruned
from sdgraph.models.towers import TextModel
from sdgraph.models.words import set_words, words_bytes
from sdgraph.payloads.handles import DenoiserHandle, ModelHandle, TextEncoderHandle
from sdgraph.payloads.patch import Embedding
from sdgraph.payloads.pruning import NO_PRUNING, Pruning

WordsKey = tuple[tuple[str, str], ...]


class ModelState:
    """Brings one model to what a handle asks for. Not for two threads at once."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._patched = Patched(_networks(model))
        self._pruned = Pruned(model)
        self._words: WordsKey | None = ()

    def fits(self, handle: ModelHandle) -> bool:
        """Whether the model already is what the handle asks for."""
        on, words = (self._patched.key, self._pruned.key), _words_key(_embeddings(handle))
        return on == (_patches_key(handle), _pruning(handle)) and self._words == words

    def bring_to(self, handle: ModelHandle, device: str | None = None) -> None:
        """Make the model what the handle asks for. After an error it is the base, or what it was.

        `device` is where patches are computed; None: where the weights are. Raises ModelError [model-missing],
        [model-changed], [model-damaged], [lora-mismatch].
        """
        if self._patched.key != _patches_key(handle):
            self._pruned.restore()  # patches know the shapes of the whole model
        self._patched.bring_to(handle.patches, device)
        self._pruned.bring_to(_pruning(handle))
        wanted = _words_key(_embeddings(handle))
        if wanted != self._words:
            self._words = None
            self._set_words(_embeddings(handle))
            self._words = wanted

    def to_base(self) -> None:
        """Make the model the base, with nothing beside its own weights."""
        self._pruned.restore()
        self._patched.restore()
        if self._words != ():
            self._set_words(())
            self._words = ()

    def seen_by(self, handle: ModelHandle) -> Any:
        """The model as the holder of a lease sees it: a text model says which handle it serves just now."""
        if _is_text(self._model) and self._model.handle != handle:
            return replace(self._model, handle=handle)
        return self._model

    @property
    def extra_bytes(self) -> int:
        """Memory beside the model's own weights: originals that were set aside, layers that were cut, and vectors of
        words.
        """
        words = sum(words_bytes(tower.encoder) for tower in self._model.towers) if _is_text(self._model) else 0
        return self._patched.kept_bytes + self._pruned.extra_bytes + words

    def _set_words(self, embeddings: tuple[Embedding, ...]) -> None:
        specs = [tower.spec for tower in self._model.towers]
        read = [(embedding.name, read_vectors(embedding, specs)) for embedding in embeddings]
        for tower in self._model.towers:
            folder = tower.spec.component
            set_words(tower.encoder, {name: vectors[folder] for name, vectors in read if folder in vectors})


def _networks(model: Any) -> Networks:
    if not _is_text(model):
        return {"denoiser": model}
    found: dict[Component, Any] = {tower_component(tower.spec.component): tower.encoder for tower in model.towers}
    return found


def _is_text(model: Any) -> bool:
    return isinstance(model, TextModel)


def _embeddings(handle: ModelHandle) -> tuple[Embedding, ...]:
    return handle.embeddings if isinstance(handle, TextEncoderHandle) else ()


def _patches_key(handle: ModelHandle) -> PatchKey:
    return tuple(patch.key for patch in handle.patches)


def _pruning(handle: ModelHandle) -> Pruning:
    return handle.pruning if isinstance(handle, DenoiserHandle) else NO_PRUNING


def _words_key(embeddings: tuple[Embedding, ...]) -> WordsKey:
    return tuple(embedding.key for embedding in embeddings)
