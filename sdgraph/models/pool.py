"""The model pool: which weights are in memory and where, who uses them, and what goes when room is needed.

Handles of one base share its weights, whatever patches they carry: a lease brings the model to the handle's patches,
and to the base's exact bits where there are none (`sdgraph.models.patches.state`).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast, overload

from sdgraph.models.attention_backend import AttentionBackend, set_attention
from sdgraph.models.compiled import CompiledBlocks, CompileMode
from sdgraph.models.load import load_model
from sdgraph.models.memory.thrift import thrift
from sdgraph.models.patches.state import ModelState
from sdgraph.models.placing import CPU, give_back, model_bytes, move_model
from sdgraph.models.pool_events import Listener, PoolAction, PoolEvent, name_of, tell_run
from sdgraph.models.residents import Key, Resident, Residents, Slot
from sdgraph.models.streamed_slots import leave_stream, put_on_stream, streaming_room, take_off_stream
from sdgraph.models.towers import TextModel
from sdgraph.models.transfers import ARRIVALS_BYTES, Arrivals
from sdgraph.models.weights_bytes import weights_bytes
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

__all__ = ["ModelPool", "model_bytes"]


class ModelPool:
    """Models in memory, shared by all runs of a process.

    A lease is exclusive: two threads never run inside one model, and a thread that wants a model which another one is
    loading waits for it instead of loading it again. A thread may lease one model twice; with other patches than those
    of its first lease it gets a copy with weights of its own. To stay free of deadlocks, lease in this order: the
    denoiser, ControlNets by their `pool_key`, then autoencoders.

    Models that nobody uses stay for their next use. When a device's budget is used up, the least recently used of them
    leaves: to the CPU, from where it comes back by a transfer, while the CPU's budget has room for it; else its memory
    is freed. Models in use and pinned ones stay. A denoiser that is larger than the budget waits on the CPU, and its
    weights come piece by piece.
    """

    def __init__(
        self,
        budget_bytes: Mapping[str, int] | int | None = None,
        load: Callable[[ModelHandle, str], object] = load_model,
        text_device: str | None = None,
        attention: AttentionBackend = "auto",
        *,
        compile: CompileMode = "off",
        offload: bool = True,
        free_immediately: bool = False,
        pinned: Collection[str] = (),
        move: Callable[[Any, str], None] = move_model,
        listeners: tuple[Listener, ...] = (tell_run,),
    ) -> None:
        """`budget_bytes` is what models may take on each device, or by device (`OTHER_DEVICES` for those without an
        entry); a device without one has no limit.
        Text encoders go to `text_device` if there is one, whatever device a lease asks for.
        Models compute attention as `attention` says, where they have a choice. With `compile` "blocks" the transformer
        blocks of denoisers are compiled at their first forward.
        `offload` lets models wait on the CPU; `free_immediately` lets none wait at all. Models of the references
        `pinned` stay once they are loaded.
        `move` brings a model to a device in place. `listeners` hear of what comes, moves and goes, and must be quick.
        """
        self.attention: AttentionBackend = attention
        self.compile: CompileMode = compile
        self.arrivals = Arrivals(0 if free_immediately else ARRIVALS_BYTES)
        """Prompts that were sent to a device, for the next network there."""
        self.load_count = 0
        """Models loaded so far."""
        self.move_count = 0
        """Models moved between devices so far."""
        self._text_device = text_device
        self._offload = offload
        self._free_immediately = free_immediately
        self._pinned = frozenset(pinned)
        self._load = load
        self._move = move
        self._listeners = listeners
        self._lock = threading.Lock()
        self._residents = Residents(budget_bytes)
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
    @overload
    def lease(self, handle: ModelHandle, device: str = ...) -> AbstractContextManager[Any]: ...
    def lease(self, handle: ModelHandle, device: str = CPU) -> AbstractContextManager[Any]:
        """The handle's model on `device`, with its patches, for this thread alone until the `with` block ends.

        It is loaded if need be. Raises ModelError when it can't be loaded or a patch does not fit; the next lease then
        tries again.
        """
        return self._lease(handle, self.device_for(handle, device))

    def device_for(self, handle: ModelHandle, device: str) -> str:
        """The device on which a lease that asks for `device` runs the model."""
        return self._text_device if self._text_device and isinstance(handle, TextEncoderHandle) else device

    @contextmanager
    def _lease(self, handle: ModelHandle, device: str) -> Generator[Any]:
        for copy in itertools.count():
            with ExitStack() as held:
                slot = held.enter_context(self._held(handle, device, copy))
                if slot.leases and not (slot.state and slot.state.fits(handle)):
                    continue  # this thread runs it with other patches
                state = self._prepare(slot, handle)
                slot.leases += 1
                try:
                    yield state.seen_by(handle)
                finally:
                    slot.leases -= 1
                return

    @contextmanager
    def _held(self, handle: ModelHandle, device: str, copy: int) -> Generator[Slot]:
        """A model's place, for this thread alone."""
        key = (*handle.pool_key, device, copy)
        with self._lock:
            slot = self._residents.slots.setdefault(key, Slot(home=device))
            slot.users += 1
        try:
            with slot.lock:
                yield slot
        finally:
            self._let_go(key, slot)
            self._make_room(device)

    def _let_go(self, key: Key, slot: Slot) -> None:
        """Count one user less; the last one takes the model along when none is to wait."""
        with self._lock:
            slot.users -= 1
            slot.last_used = next(self._clock)
            leaves = self._free_immediately and not slot.users and key[:3] not in self._residents.pinned
            freed = self._drop(slot) if leaves and slot.model is not None else None
            self._residents.forget_if_empty(key, slot)
        if freed is not None:
            self._tell_freed(freed)

    def _prepare(self, slot: Slot, handle: ModelHandle) -> ModelState:
        """Get the model to its device, by loading, moving or streaming it, and bring it to the handle's patches."""
        if slot.model is None:
            self._load_into(slot, handle)
        assert slot.state is not None  # set with the model
        room_bytes = streaming_room(slot, handle, self._residents)
        leave_stream(slot, handle, room_bytes, self._lock, self._transfer)
        if room_bytes is None and slot.place != slot.home:
            self._make_room(slot.home, slot.size_bytes)
            self._transfer(slot, slot.home, "returned")
        self._set_attention(slot, handle)
        try:
            slot.state.bring_to(handle, None if room_bytes is None else slot.home)
        finally:
            with self._lock:
                slot.measure()
            self._make_room(slot.home)
        if room_bytes is not None and slot.streamed is None:
            self._stream(slot, room_bytes)
        return slot.state

    def _load_into(self, slot: Slot, handle: ModelHandle) -> None:
        started = time.perf_counter()
        slot.expected_bytes = weights_bytes(handle) or 0
        place = slot.home if streaming_room(slot, handle, self._residents) is None else CPU
        self._make_room(place, slot.expected_bytes)
        model = self._load(handle, place)
        with self._lock:
            slot.take(model, handle, model_bytes(model), place)
            if self.compile == "blocks" and isinstance(handle, DenoiserHandle):
                slot.compiled = CompiledBlocks(cast("nn.Module", model), name_of(handle), slot.home, self._say)
            if handle.source in self._pinned:
                self._residents.pinned.add(handle.pool_key)
            self.load_count += 1
        self._tell("loaded", slot, time.perf_counter() - started)

    def _stream(self, slot: Slot, room_bytes: int) -> None:
        self._make_room(slot.home, room_bytes)
        started = time.perf_counter()
        put_on_stream(slot, room_bytes, self._lock)
        self._tell("streamed", slot, time.perf_counter() - started)

    def _set_attention(self, slot: Slot, handle: ModelHandle) -> None:
        wanted: AttentionBackend = "sliced" if thrift().sliced_attention else self.attention
        if slot.attention != wanted and isinstance(handle, (DenoiserHandle, ControlNetHandle)):
            # A model that had another one computes as PyTorch likes by "sdpa"; "auto" leaves it what it has.
            set_attention(cast("nn.Module", slot.model), "sdpa" if wanted == "auto" else wanted, slot.home)
            slot.attention = wanted

    # Budgets.

    def _make_room(self, device: str, more_bytes: int = 0) -> None:
        """Let idle models leave a device until `more_bytes` fit its budget, or none is left that can go."""
        while self._send_off(device, lambda: self._residents.first_to_go(device, more_bytes)):
            pass

    def _send_off(self, device: str, choose: Callable[[], tuple[Key, Slot] | None]) -> int:
        """Offload or free the model that `choose` picks; the bytes that the device gets back, 0 if it picks none."""
        with self._lock:
            if (chosen := choose()) is None:
                return 0
            key, slot = chosen
            slot.users += 1
            slot.lock.acquire()  # at once: only users hold it, and there was none
        gone_bytes = slot.size_bytes
        try:
            if not (device != CPU and self._offload and self._park(slot)):
                with self._lock:
                    freed = self._drop(slot)
                self._tell_freed(freed)
        finally:
            slot.lock.release()
            with self._lock:
                slot.users -= 1
                self._residents.forget_if_empty(key, slot)
        return gone_bytes

    def _park(self, slot: Slot) -> bool:
        """Move a model to the CPU, without its patches, if its budget has room or gets it; else False."""
        assert slot.state is not None
        if slot.streamed is not None:
            take_off_stream(slot, self._lock)
            self._tell("offloaded", slot, 0.0)
            return True
        self._make_room(CPU, slot.weights_bytes)
        with self._lock:
            if not self._residents.fits(CPU, slot.weights_bytes):
                return False
        slot.state.to_base()
        try:
            self._transfer(slot, CPU, "offloaded")
        except MemoryError:
            return False
        return True

    def _transfer(self, slot: Slot, device: str, what: PoolAction) -> None:
        """Move a model that this thread holds."""
        started, left = time.perf_counter(), slot.place
        self._move(slot.model, device)
        with self._lock:
            slot.place = device
            slot.measure()
            self.move_count += 1
        give_back(left)
        self._tell(what, slot, time.perf_counter() - started)

    def _drop(self, slot: Slot) -> PoolEvent:
        """Needs the lock."""
        return PoolEvent("freed", slot.name, slot.place, slot.drop())

    # What others may ask for and see.

    def pin(self, handle: ModelHandle) -> None:
        """Keep a model where it is, whatever the budgets say, until `unpin` or `release` names it."""
        with self._lock:
            self._residents.pinned.add(handle.pool_key)

    def unpin(self, handle: ModelHandle) -> None:
        """Let a model go again when room is needed."""
        with self._lock:
            self._residents.pinned.discard(handle.pool_key)

    def release(self, handle: ModelHandle | None = None) -> int:
        """Free a model now, on every device and pinned or not, unless somebody uses it; the bytes freed.

        Without a handle all go that are not pinned, and prompts that are kept on devices.
        """
        if handle is None:
            self.arrivals.clear()
        with self._lock:
            if handle is not None:
                self._residents.pinned.discard(handle.pool_key)
            chosen = [
                (key, slot) for key, slot in self._residents.idle() if handle is None or key[:3] == handle.pool_key
            ]
            freed = [self._drop(slot) for _, slot in chosen]
            for key, slot in chosen:
                self._residents.forget_if_empty(key, slot)
        for event in freed:
            self._tell_freed(event)
        return sum(event.bytes for event in freed)

    def vacate(self, device: str, keep: Collection[ModelHandle] = ()) -> int:
        """Let every idle model but those of `keep` leave a device, as if its budget were used up.

        Prompts that are kept there, and what torch keeps of the device's memory for later, are given back too. Returns
        the bytes of the models.
        """
        self.arrivals.clear(device)
        kept = {handle.pool_key for handle in keep}

        def choose() -> tuple[Key, Slot] | None:
            return next((entry for entry in self._residents.idle(device) if entry[0][:3] not in kept), None)

        gone = 0
        while bytes_ := self._send_off(device, choose):
            gone += bytes_
        give_back(device)
        return gone

    @property
    def held_bytes(self) -> int:
        """Memory of the weights that the pool holds anywhere, and of the originals of patched ones."""
        return self.bytes_on()

    def bytes_on(self, device: str | None = None) -> int:
        """The same on one device."""
        with self._lock:
            return self._residents.bytes_on(device)

    def residents(self) -> tuple[Resident, ...]:
        """The models in memory, the most recently used first."""
        with self._lock:
            return self._residents.listed()

    def holds(self, handle: ModelHandle, device: str = CPU) -> bool:
        """Whether a lease on `device` would find the model there, without loading or moving it."""
        home = self.device_for(handle, device)
        with self._lock:
            slot = self._residents.slots.get((*handle.pool_key, home, 0))
            return slot is not None and slot.model is not None and slot.place == home

    def compilation(self, handle: ModelHandle, device: str = CPU) -> CompiledBlocks | None:
        """What has been compiled of a model that is in memory; None where nothing is to be."""
        with self._lock:
            slot = self._residents.slots.get((*handle.pool_key, self.device_for(handle, device), 0))
            return None if slot is None else slot.compiled

    def _tell_freed(self, event: PoolEvent) -> None:
        give_back(event.device)
        self._say(event)

    def _tell(self, what: PoolAction, slot: Slot, elapsed_s: float) -> None:
        self._say(PoolEvent(what, slot.name, slot.place, slot.size_bytes, elapsed_s))

    def _say(self, event: PoolEvent) -> None:
        for listener in self._listeners:
            listener(event)
