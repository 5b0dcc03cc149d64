"""The model pool: which weights are in memory, who uses them, and what goes when room is needed.

Handles of one base share its weights, whatever patches they carry: a lease brings the model to the handle's patches,
and to the base's exact bits where there are none (`sdgraph.models.patches.state`).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast, overload

from sdgraph.models.attention_backend import AttentionBackend, set_attention
from sdgraph.models.load import load_model
from sdgraph.models.patches.state import ModelState
from sdgraph.models.towers import TextModel
from sdgraph.payloads.handles import (
    ControlNetHandle,
    DenoiserHandle,
    ImageEncoderHandle,
    IPAdapterHandle,
    ModelHandle,
    T2IAdapterHandle,
    TextEncoderHandle,
    VaeHandle,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
    from diffusers.models.controlnets.controlnet import ControlNetModel
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from torch import nn

Key = tuple[str, str, str, str, int]
"""A handle's `pool_key`, the device, and the number of the copy."""


@dataclass(eq=False)
class _Slot:
    """One model's place. `lock` is held by the thread that runs (or loads) the model, and by nobody else."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    model: Any = None
    state: ModelState | None = None
    leases: int = 0
    """How often the thread that holds `lock` has leased the model."""
    weights_bytes: int = 0
    size_bytes: int = 0
    """Of the weights and of what patches keep beside them."""
    users: int = 0
    """Threads that run the model or wait for it."""
    last_used: int = 0


class ModelPool:
    """Models in memory, shared by all runs of a process.

    A lease is exclusive: two threads never run inside one model, and a thread that wants a model which another one is
    loading waits for it instead of loading it again. A thread may lease one model twice; with other patches than those
    of its first lease it gets a copy with weights of its own. To stay free of deadlocks, lease in this order: the
    denoiser, ControlNets by their `pool_key`, then autoencoders.
    """

    def __init__(
        self,
        budget_bytes: int | None = None,
        load: Callable[[ModelHandle, str], object] = load_model,
        text_device: str | None = None,
        attention: AttentionBackend = "auto",
    ) -> None:
        """Models that nobody uses are dropped, least recently used first, while all together exceed `budget_bytes`.
        Text encoders go to `text_device` if there is one, whatever device a lease asks for.
        Models compute attention as `attention` says, where they have a choice.
        """
        self.budget_bytes = budget_bytes
        self.attention: AttentionBackend = attention
        self._text_device = text_device
        self.load_count = 0
        """Models loaded so far."""
        self._load = load
        self._lock = threading.Lock()
        self._slots: dict[Key, _Slot] = {}
        self._clock = itertools.count(1)

    @overload
    def lease(self, handle: DenoiserHandle, device: str = ...) -> AbstractContextManager[UNet2DConditionModel]: ...
    @overload
    def lease(self, handle: TextEncoderHandle, device: str = ...) -> AbstractContextManager[TextModel]: ...
    @overload
    def lease(
        self, handle: VaeHandle, device: str = ...
    ) -> AbstractContextManager[AutoencoderKL | AutoencoderTiny]: ...
    @overload
    def lease(self, handle: ControlNetHandle, device: str = ...) -> AbstractContextManager[ControlNetModel]: ...
    @overload
    def lease(
        self, handle: T2IAdapterHandle | IPAdapterHandle | ImageEncoderHandle, device: str = ...
    ) -> AbstractContextManager[Any]: ...
    def lease(self, handle: ModelHandle, device: str = "cpu") -> AbstractContextManager[Any]:
        """The handle's model on `device`, with its patches, for this thread alone until the `with` block ends.

        It is loaded if need be. Raises ModelError when it can't be loaded or a patch does not fit; the next lease then
        tries again.
        """
        if self._text_device is not None and isinstance(handle, TextEncoderHandle):
            device = self._text_device
        return self._lease(handle, device)

    @contextmanager
    def _lease(self, handle: ModelHandle, device: str) -> Generator[Any]:
        for copy in itertools.count():
            with ExitStack() as held:
                slot = held.enter_context(self._held(handle, device, copy))
                if slot.leases and not (slot.state and slot.state.fits(handle)):
                    continue  # this thread runs it with other patches
                state = self._prepare(slot, handle, device)
                slot.leases += 1
                try:
                    yield state.seen_by(handle)
                finally:
                    slot.leases -= 1
                return

    @contextmanager
    def _held(self, handle: ModelHandle, device: str, copy: int) -> Generator[_Slot]:
        """A model's place, for this thread alone."""
        key = (*handle.pool_key, device, copy)
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            slot.users += 1
        try:
            with slot.lock:
                yield slot
        finally:
            with self._lock:
                slot.users -= 1
                slot.last_used = next(self._clock)
                if slot.model is None and not slot.users:
                    self._slots.pop(key, None)
                self._make_room()

    def _prepare(self, slot: _Slot, handle: ModelHandle, device: str) -> ModelState:
        """Load the model unless it is there, and bring it to the handle's patches."""
        if slot.model is None:
            model = self._load(handle, device)
            if self.attention != "auto" and isinstance(handle, (DenoiserHandle, ControlNetHandle)):
                set_attention(cast("nn.Module", model), self.attention, device)
            with self._lock:
                slot.model, slot.state, slot.weights_bytes = model, ModelState(model), model_bytes(model)
                self.load_count += 1
        assert slot.state is not None  # set with the model
        try:
            slot.state.bring_to(handle)
        finally:
            with self._lock:
                slot.size_bytes = slot.weights_bytes + slot.state.extra_bytes
                self._make_room()
        return slot.state

    @property
    def held_bytes(self) -> int:
        """Memory of the weights that the pool holds, and of the originals of patched ones."""
        with self._lock:
            return self._held_bytes()

    def release(self, handle: ModelHandle | None = None) -> int:
        """Drop a model (without a handle: all) now, on every device, unless somebody uses it; the bytes freed."""
        with self._lock:
            before = self._held_bytes()
            for key, slot in list(self._slots.items()):
                if not slot.users and (handle is None or key[:3] == handle.pool_key):
                    del self._slots[key]
            return before - self._held_bytes()

    def _held_bytes(self) -> int:
        return sum(slot.size_bytes for slot in self._slots.values())

    def _make_room(self) -> None:
        if self.budget_bytes is None:
            return
        idle = sorted((slot.last_used, key) for key, slot in self._slots.items() if not slot.users)
        for _, key in idle:
            if self._held_bytes() <= self.budget_bytes:
                return
            del self._slots[key]


def model_bytes(model: Any) -> int:
    """Memory of a model's weights and buffers, in bytes."""
    modules = model.modules if isinstance(model, TextModel) else (model,)
    return sum(tensor.nbytes for module in modules for tensor in itertools.chain(module.parameters(), module.buffers()))
