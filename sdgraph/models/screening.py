"""The policy of a server: a safety checker looks at every picture that leaves, and what it can't judge stays."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdgraph.core.screening import Screened
from sdgraph.errors import ModelError, SdgraphError
from sdgraph.models.pool import ModelPool
from sdgraph.models.safety_checker import flagged, hidden, read_safety_checker
from sdgraph.payloads.handles import SafetyCheckerHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask

_log = logging.getLogger("sdgraph.screening")
_MOST_SQUARES = 32
"""A picture that is longer and thinner is hidden unseen."""


class SafetyScreen:
    """A `Screen` that hides what a safety checker finds in pictures and masks.

    It runs on the processor: pictures leave while other runs need the device's memory, and its judgement must not
    depend on whether there is room.
    """

    def __init__(self, source: str, pool: Callable[[], ModelPool]) -> None:
        """`source` names the checker, as `image.load_safety_checker` takes it."""
        self._source = source
        self._pool = pool

    def look(self, value: Any) -> Screened:
        """Pictures and masks, black where something was found. Raises ModelError [safety-check-failed]."""
        try:
            flags = self._flags(_visible(value))
        except Exception as error:  # whatever went wrong, nobody has seen the picture
            _log.error("the safety checker failed", exc_info=None if isinstance(error, SdgraphError) else error)
            raise ModelError(
                "safety-check-failed",
                f"The safety checker `{self._source}` can't look at the pictures, so none is given out: {_why(error)}",
                "What was computed is stored. Once SDGRAPH_SAFETY_CHECKER names one that works, run it again.",
            ) from error
        if not any(flags):
            return Screened(value)
        return Screened(_without(value, flags), tuple(np.flatnonzero(flags).tolist()))

    @cached_property
    def _handle(self) -> SafetyCheckerHandle:
        return read_safety_checker(self._source)

    def _flags(self, pictures: NDArray[np.uint8]) -> tuple[bool, ...]:
        """Of each of [B, H, W, 3] whether something is found in it."""
        with self._pool().lease(self._handle) as model:
            return tuple(self._finds(model, picture) for picture in pictures)

    def _finds(self, model: Any, picture: NDArray[np.uint8]) -> bool:
        parts = squares(*picture.shape[:2])
        if len(parts) > _MOST_SQUARES:
            return True
        edge = min(picture.shape[:2])
        seen = np.stack([picture[y : y + edge, x : x + edge] for y, x in parts])
        return any(flagged(model, self._handle, Image.from_uint8(seen)))


def squares(height_px: int, width_px: int) -> list[tuple[int, int]]:
    """Top left corners of the fewest squares as wide as the shorter side that cover a picture, evenly spaced.

    The checker sees a picture's middle square alone. The whole has to be seen.
    """
    edge, length = sorted((height_px, width_px))
    count = math.ceil(length / edge)
    starts = [round(index * (length - edge) / max(count - 1, 1)) for index in range(count)]
    return [(start, 0) if height_px > width_px else (0, start) for start in starts]


def _why(error: Exception) -> str:
    return error.problem.message if isinstance(error, SdgraphError) else f"{type(error).__name__}: {error}"


def _visible(value: Any) -> NDArray[np.uint8]:
    """[B, H, W, 3]: exactly what a file of the payload shows, so that no value outside 0..1 blinds the checker."""
    match value:
        case Image():
            return value.to_uint8()
        case Mask():
            return np.repeat(value.to_uint8()[..., None], 3, axis=-1)
        case _:
            raise TypeError(f"a value of type {type(value).__name__} is neither a picture nor a mask.")


def _without(value: Image | Mask, flags: tuple[bool, ...]) -> Image | Mask:
    if isinstance(value, Image):
        return hidden(value, flags)
    return Mask(np.where(np.array(flags)[:, None, None, None], np.float32(0), value.values))
