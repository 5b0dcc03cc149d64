"""Models of the pool that are larger than their device: which have to be streamed, and putting them there and back.

The thread that holds a slot's own lock calls these. What others count of the slot changes under the pool's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sdgraph.models.memory.thrift import thrift
from sdgraph.models.placing import CPU, give_back
from sdgraph.models.pool_events import PoolAction
from sdgraph.models.residents import Residents, Slot
from sdgraph.models.streaming import Streamed
from sdgraph.payloads.handles import DenoiserHandle, ModelHandle


def streaming_room(slot: Slot, handle: ModelHandle, residents: Residents) -> int | None:
    """What a model may take of its device when it can't be there as a whole; None: it can."""
    if slot.home == CPU or not isinstance(handle, DenoiserHandle):
        return None
    if thrift().streamed:
        return 0
    budget = residents.budget_of(slot.home)
    # A budget of 0 is no device's memory: it says that nothing is to wait there.
    return budget if budget and slot.expected_bytes > budget else None


def leave_stream(
    slot: Slot,
    handle: ModelHandle,
    room_bytes: int | None,
    lock: threading.Lock,
    transfer: Callable[[Slot, str, PoolAction], None],
) -> None:
    """Have the base on the CPU, unless the model is on the stream as it is to be, or is to be on its device as a whole.

    `transfer` moves a whole model.
    """
    assert slot.state is not None  # asked of a model that is there
    if slot.streamed is not None:
        if slot.streamed.room_bytes == room_bytes and slot.state.fits(handle):
            return
        take_off_stream(slot, lock)
    elif room_bytes is not None and slot.place != CPU:
        slot.state.to_base()
        transfer(slot, CPU, "offloaded")


def put_on_stream(slot: Slot, room_bytes: int, lock: threading.Lock) -> None:
    """Let a model that is on the CPU compute on its device, where its weights may take so many bytes."""
    streamed = Streamed(slot.model, slot.home, room_bytes)
    with lock:
        slot.streamed, slot.place = streamed, slot.home
        slot.measure()


def take_off_stream(slot: Slot, lock: threading.Lock) -> None:
    """Have a streamed model whole, on the CPU, as the base: what is set aside of it would stay behind when it moves."""
    assert slot.streamed is not None
    assert slot.state is not None
    slot.streamed.stop()
    slot.state.to_base()
    with lock:
        slot.streamed, slot.place = None, CPU
        slot.measure()
    give_back(slot.home)
