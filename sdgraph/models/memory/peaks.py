"""A table of measured memory: what nodes of a type took beside their weights, by how much they had to do.

An entry is a node type with its models on a kind of device. What it takes is close to affine in the pixels of the
batch (features of a convolution and fused attention are both linear in them), so two sizes predict every other; with
one, memory is taken to be proportional to the pixels, which is too much for smaller and about right for larger ones.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_VERSION = 1
_MOST_SIZES = 32

Points = Sequence[tuple[int, int]]
"""Pixels of a batch, and bytes."""


class PeakTable:
    """Measured peaks, kept in a JSON file. Losing it costs predictions, nothing else."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path nothing is kept beyond this process."""
        self._path = path
        self._lock = threading.Lock()
        self._peaks: dict[str, dict[int, int]] = {}
        self._devices: dict[str, int] = {}
        self._read()

    def record(self, entry: str, pixels: int, peak_bytes: int) -> None:
        """A node took so much; of one size the latest measurement counts."""
        with self._lock:
            sizes = self._peaks.setdefault(entry, {})
            if sizes.pop(pixels, None) == peak_bytes:
                sizes[pixels] = peak_bytes
                return
            sizes[pixels] = peak_bytes
            while len(sizes) > _MOST_SIZES:
                del sizes[next(iter(sizes))]
            self._write()

    def record_device(self, device: str, total_bytes: int) -> None:
        """A device is there, with so much memory; the one named last is the one that runs used last."""
        with self._lock:
            if list(self._devices.items())[-1:] == [(device, total_bytes)]:
                return
            self._devices.pop(device, None)
            self._devices[device] = total_bytes
            self._write()

    def predict(self, entry: str, pixels: int) -> int | None:
        """The bytes that a node will take beside its weights; None when it was never measured."""
        with self._lock:
            sizes = dict(self._peaks.get(entry, {}))
        return sizes.get(pixels, predict_from(list(sizes.items()), pixels)) if sizes else None

    @property
    def devices(self) -> Mapping[str, int]:
        """Memory in bytes of the devices that runs used, the last one used last."""
        return dict(self._devices)

    def _read(self) -> None:
        if self._path is None:
            return
        with suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
            found = json.loads(self._path.read_bytes())
            if found["version"] == _VERSION:
                self._devices = {str(name): int(size) for name, size in found["devices"].items()}
                self._peaks = {str(entry): _sizes(points) for entry, points in found["peaks"].items()}

    def _write(self) -> None:
        """Replace the file; a folder that can't be written to is no error."""
        if self._path is None:
            return
        peaks = {entry: [list(point) for point in sizes.items()] for entry, sizes in self._peaks.items()}
        content = json.dumps({"version": _VERSION, "devices": self._devices, "peaks": peaks})
        temporary = self._path.with_suffix(f".{uuid.uuid4().hex}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(content, "utf-8")
            os.replace(temporary, self._path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def predict_from(points: Points, pixels: int) -> int:
    """What the least-squares line through measured points says, never below 0; through one point, the line to 0."""
    if len(points) == 1:
        known, size_bytes = points[0]
        return round(size_bytes * pixels / known) if known else size_bytes
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return max(0, round(mean_y + slope * (pixels - mean_x)))


def _sizes(points: Any) -> dict[int, int]:
    return {int(pixels): int(size) for pixels, size in points}
