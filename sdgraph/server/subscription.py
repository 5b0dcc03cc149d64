"""What one client is to be told next. It has no queue: it knows how far it is, and which nodes show something newer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable

from sdgraph.server.hub import EventHub, Place

_PAGE = 200
PREVIEW_EVERY_S = 0.1
"""A client gets previews at most this often, of each node the newest."""


class Subscription:
    """The events after a number, then those that come; and the newest progress and previews.

    `after` None begins with what happens from now on.
    """

    def __init__(
        self,
        hub: EventHub,
        after: int | None = None,
        run_id: str | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.seen = hub.told if after is None else after
        """Number of the last event that was given out."""
        self._hub = hub
        self._run_id = run_id
        self._clock = clock or asyncio.get_running_loop().time
        self._woken = asyncio.Event()
        self._progressed = {place for place in hub.progress if run_id in (None, place[0])}
        self._shown = {place for place in hub.previews if run_id in (None, place[0])}
        self._previews_from = 0.0
        self._woken.set()
        hub.join(self)

    def close(self) -> None:
        """Hear no more."""
        self._hub.leave(self)

    async def items(self) -> AsyncGenerator[str | bytes]:
        """Messages to send, without end: events and progress as text, previews as bytes.

        The next one is only looked for when it is asked for, so a client that reads slowly gets fewer previews.
        """
        while True:
            await self._wait()
            while self.seen != self._hub.told:
                if lost := self._what_was_lost():
                    yield lost
                told = self._hub.told
                page = await self._hub.after(self.seen, _PAGE, self._run_id)
                for event in page:
                    self.seen = event.seq
                    yield event.text
                if len(page) < _PAGE:
                    self.seen = max(self.seen, told)
            while self._progressed:
                if event := self._hub.progress.get(self._progressed.pop()):
                    yield json.dumps(event)
            if self._clock() >= self._previews_from:
                while self._shown:
                    if preview := self._hub.previews.get(self._shown.pop()):
                        self._previews_from = self._clock() + PREVIEW_EVERY_S
                        yield preview

    def _what_was_lost(self) -> str | None:
        """A message for a client that needs more than is kept, or asks for what has not happened."""
        kept_from = self._hub.first - 1
        if kept_from <= self.seen <= self._hub.told:
            return None
        self.seen = self._hub.told if self.seen > self._hub.told else kept_from
        return json.dumps({"type": "events_forgotten", "seq": self.seen})

    async def _wait(self) -> None:
        """Until there is something, or a preview may be sent that had to wait."""
        if self._shown:
            try:
                async with asyncio.timeout(max(self._previews_from - self._clock(), 0)):
                    await self._woken.wait()
            except TimeoutError:
                return
        await self._woken.wait()
        self._woken.clear()

    # Called by the hub.

    def told(self) -> None:
        self._woken.set()

    def progressed(self, place: Place) -> None:
        if self._run_id in (None, place[0]):
            self._progressed.add(place)
            self._woken.set()

    def shown(self, place: Place) -> None:
        if self._run_id in (None, place[0]):
            self._shown.add(place)
            self._woken.set()
