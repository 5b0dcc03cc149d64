"""What an editor shows of a stored result: a few words and small pictures of each output. No node is run for it."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from sdgraph.cli.workshop import Workshop
from sdgraph.core.porttype import Shown
from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.pictures import PictureFolder
from sdgraph.engine.stores.base import Payloads, Result
from sdgraph.engine.stores.tiered import TieredStore
from sdgraph.errors import SdgraphError
from sdgraph.models.device import resolve_device
from sdgraph.models.latent_view import tiny_pictures
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.handles import DenoiserHandle, VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from sdgraph.payloads.small_pictures import small_webp

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger("sdgraph.worker")
EDGE_PX = 256
PICTURES = 4
"""Of one output."""
_MAX_OUTPUTS = 16
_MAX_TEXT = 200
_MAX_LOOKS = 16
"""Results upstream of latents that are searched for the model which decodes them."""


class ResultViewer:
    """Shows results that this process has in memory or on the disk. Thumbnails come into a folder of pictures."""

    def __init__(self, workshop: Workshop, thumbnails: PictureFolder) -> None:
        self._workshop = workshop
        self._thumbnails = thumbnails
        self._payloads = Payloads(workshop.registry.port_types)

    def __call__(self, key: str) -> dict[str, Any] | None:
        """What the result of a key looks like, by output; None when it is not kept.

        Raises OSError, and ModelError [safety-check-failed].
        """
        result = self._load(bytes.fromhex(key))
        if result is None:
            return None
        values = list(result.outputs.items())[:_MAX_OUTPUTS]
        with self._thumbnails.incoming() as folder:
            return {name: self._to_json(self._seen(self._show(value, result), key), folder) for name, value in values}

    def _load(self, key: CacheKey) -> Result | None:
        """A result, without copying it into memory: to be looked at is not to be used."""
        store = self._workshop.shelf.store
        if isinstance(store, TieredStore):
            return store.fast.load(key) or store.slow.load(key)
        return store.load(key)

    def _show(self, value: Any, result: Result) -> Shown:
        kind = self._payloads.type_of(value)
        if kind is None:
            return Shown(_text_of(value))
        shown = kind.show(value, PICTURES) if kind.show else Shown(kind.name)
        if self._workshop.screen is not None or not (isinstance(value, Latents) and shown.pictures):
            return shown
        decoded = self._decoded(value, result)
        return replace(shown, pictures=decoded) if decoded else shown

    def _seen(self, shown: Shown, key: str) -> Shown:
        """As much of it as may be shown. What only looks somewhat like a picture can't be judged."""
        if (screen := self._workshop.screen) is None:
            return shown
        pictures = () if shown.approximate else shown.pictures[:PICTURES]
        hidden = [bool(screen.look(_as_image(pixels)).hidden) for pixels in pictures]
        if any(hidden):
            _log.warning("hidden by the safety checker: %d thumbnails of the result %s", sum(hidden), key)
        seen = tuple(pixels * (not hide) for pixels, hide in zip(pictures, hidden, strict=True))
        return replace(shown, pictures=seen)

    def _to_json(self, shown: Shown, folder: Path) -> dict[str, Any]:
        return {
            "text": shown.text[:_MAX_TEXT],
            "approximate": shown.approximate,
            "pictures": [self._kept(picture, folder) for picture in shown.pictures[:PICTURES]],
        }

    def _kept(self, pixels: NDArray[np.uint8], folder: Path) -> dict[str, Any]:
        file = folder / "small.webp"
        file.write_bytes(small_webp(pixels, EDGE_PX))
        return self._thumbnails.take(file).to_json()

    # Latents are decoded by the tiny autoencoder that came with a model of what made them.

    def _decoded(self, latents: Latents, result: Result) -> tuple[NDArray[np.uint8], ...]:
        """Their pictures; none when no model upstream has a tiny autoencoder, or it can't be loaded."""
        handle = next((found for found in self._tiny_upstream(result) if found.space == latents.space), None)
        if handle is None:
            return ()
        try:
            pool = self._workshop.services.get(ModelPool)
            return tiny_pictures(latents, PICTURES, handle, pool, resolve_device(self._workshop.settings.device))
        except SdgraphError as error:
            _log.info("latents are shown in false colours: %s", error)
            return ()

    def _tiny_upstream(self, result: Result) -> Iterator[VaeHandle]:
        """Tiny autoencoders among what the result was made from, the nearest first."""
        seen: set[CacheKey] = set()
        waiting = deque([result])
        while waiting:
            for _, key, _ in found.sources if (found := waiting.popleft().made) else ():
                if key in seen or len(seen) >= _MAX_LOOKS:
                    continue
                seen.add(key)
                if source := self._load(key):
                    yield from _tiny(source)
                    waiting.append(source)


def _tiny(result: Result) -> Iterator[VaeHandle]:
    for value in result.outputs.values():
        handle = value.preview if isinstance(value, DenoiserHandle) else value
        if isinstance(handle, VaeHandle) and handle.tiny:
            yield handle


def _as_image(pixels: NDArray[np.uint8]) -> Image:
    """[H, W, 3] or [H, W] as a picture."""
    return Image.from_uint8(pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=-1))


def _text_of(value: Any) -> str:
    """A plain value as people write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    plain = to_jsonable_python(value, inf_nan_mode="strings", serialize_unknown=True)
    return json.dumps(plain, ensure_ascii=False)
