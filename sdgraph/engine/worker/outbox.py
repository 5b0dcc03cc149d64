"""What a worker has to say, sent by a thread of its own so that nodes do not wait for pictures to be packed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO, TypeAlias

from sdgraph.engine.worker.frames import Message, Preview, encode

_log = logging.getLogger("sdgraph.worker")
_MAX_WAITING = 1000
"""Messages that wait to be sent before whoever has another one waits with it."""
MakePreview: TypeAlias = Callable[[], Preview | None]


class Outbox:
    """Sends messages in order, and of each node the newest preview when there is nothing else to send.

    `lost` is called, on the outbox's thread, when nobody reads any more.
    """

    def __init__(self, stream: BinaryIO, lost: Callable[[], None]) -> None:
        self._stream = stream
        self._lost = lost
        self._messages: deque[Message] = deque()
        self._previews: dict[tuple[str, str], MakePreview] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._send_all, name="sdgraph-outbox", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Send a message after those before it."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._messages) < _MAX_WAITING or self._closed)
            self._messages.append(message)
            self._changed.notify_all()

    def show(self, run_id: str, node: str, make: MakePreview) -> None:
        """Send a preview, unless a newer one of the node comes before it can be made."""
        with self._changed:
            self._previews[run_id, node] = make
            self._changed.notify_all()

    def forget_previews(self, run_id: str) -> None:
        """Leave out the previews of a run that has ended."""
        with self._changed:
            self._previews = {key: make for key, make in self._previews.items() if key[0] != run_id}

    def close(self) -> None:
        """Send what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _send_all(self) -> None:
        try:
            while (item := self._next()) is not None:
                frame = _made(item) if callable(item) else item
                if frame is not None:
                    self._stream.write(encode(frame))
                    self._stream.flush()
        except (OSError, ValueError):  # closed by the other side; or the stream by this one
            self._lost()

    def _next(self) -> Message | MakePreview | None:
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._previews or self._closed)
            self._changed.notify_all()
            if self._messages:
                return self._messages.popleft()
            if self._closed:
                return None
            return self._previews.pop(next(iter(self._previews)))


def _made(make: MakePreview) -> Preview | None:
    try:
        return make()
    except Exception:  # what a node shows is a pack's business, and no reason to stop talking
        _log.exception("a preview can't be shown")
        return None
