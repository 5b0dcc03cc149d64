"""Measures what nodes take of a device's memory beside the weights, each time they run."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from sdgraph.core.context import RunContext
from sdgraph.models.memory.needs import entry_of
from sdgraph.models.memory.peaks import PeakTable
from sdgraph.models.memory.process import ProcessGauge, can_forget
from sdgraph.models.memory.recovery import handles_in
from sdgraph.models.memory.thrift import Thrift, thrift
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from sdgraph.payloads.sampling import SamplingState


class Gauge(Protocol):
    """Reads a device's memory."""

    def start(self) -> None:
        """Forget the peak so far."""
        ...

    def peak_bytes(self) -> int | None:
        """What was in use at once since `start`, at most; None where the system does not tell."""
        ...

    def used_bytes(self) -> int | None:
        """What is in use."""
        ...


class CudaGauge:
    """What PyTorch's allocator has handed out on a CUDA device."""

    def __init__(self, device: str) -> None:
        self._device = device

    def start(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats(self._device)

    def peak_bytes(self) -> int | None:
        import torch

        return torch.cuda.max_memory_allocated(self._device)

    def used_bytes(self) -> int | None:
        import torch

        return torch.cuda.memory_allocated(self._device)


class MemoryMeter:
    """The `Metering` of nodes that run models: fills a table of peaks."""

    def __init__(self, table: PeakTable | None = None) -> None:
        self.table = table or PeakTable()

    @contextmanager
    def measuring(self, node_type: str, inputs: Mapping[str, Any], context: RunContext) -> Generator[None]:
        """Records the peak of a node that uses models, unless it fails or computes sparingly."""
        handles = handles_in(inputs)
        gauge = gauge_of(context.device)
        if not handles or gauge is None or thrift() != Thrift():
            yield
            return
        pool = context.service(ModelPool)
        gauge.start()
        before, weights_before = gauge.used_bytes(), pool.bytes_on(context.device)
        yield
        peak, weights = gauge.peak_bytes(), pool.bytes_on(context.device)
        if before is None or peak is None:
            return
        taken = max(0, peak - before - max(0, weights - weights_before))
        self.table.record_device(context.device, total_bytes(context.device))
        self.table.record(entry_of(node_type, handles, context.device), pixels_in(inputs), taken)


def gauge_of(device: str) -> Gauge | None:
    """What can read the memory of a device; None where nothing can."""
    if device.startswith("cuda"):
        return CudaGauge(device)
    return ProcessGauge() if device == "cpu" and can_forget() else None


def total_bytes(device: str) -> int:
    """The memory that a device has."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def pixels_in(inputs: Mapping[str, Any]) -> int:
    """Pixels of the largest batch of pictures among the inputs; 0: there is none."""
    return max((_pixels(value) for value in inputs.values()), default=0)


def _pixels(value: Any) -> int:
    if isinstance(value, (Latents, Image)):
        return value.width_px * value.height_px * value.batch
    if isinstance(value, SamplingState):
        batch, _, rows, columns = value.tensors["x"].shape
        return batch * rows * columns * value.space.downscale**2
    return 0
