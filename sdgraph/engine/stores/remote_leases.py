"""Who computes which key right now, among machines that share nothing but a remote place.

A lease is a small object that is made only if it is not there: atomically on a file system (a hard link) and on S3
(`If-None-Match`, which AWS and most servers that speak its protocol honour); elsewhere fsspec looks first and then
writes, so that two machines may both think they have it. As with the leases of a folder, that costs a second
computation, never a wrong result.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.owner import Owner, this_process
from sdgraph.engine.stores.remote import Remote, RemoteAway

LEASE_S = 60.0
"""How long a lease lasts without being renewed; renewed three times in that time. Clocks may differ by as much."""


class RemoteLeases:
    """The leases in one remote place, as one owner sees and holds them. Methods raise RemoteAway."""

    def __init__(
        self,
        remote: Remote,
        *,
        owner: Owner | None = None,
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
    ) -> None:
        self.owner = owner or this_process()
        self._remote = remote
        self._clock = clock
        self._lease_s = lease_s
        self._held: set[CacheKey] = set()
        self._closed = threading.Event()
        self._renewer: threading.Thread | None = None

    def take(self, key: CacheKey) -> bool:
        """Whether the caller may compute the key; others wait until it is given back or has run out."""
        taken = self._remote.create_lease(key, self._content())
        if not taken and not self.is_taken(key):
            self._remote.remove_lease(key)
            taken = self._remote.create_lease(key, self._content())
        if taken:
            self._held.add(key)
            self._keep_renewing()
        return taken

    def is_taken(self, key: CacheKey) -> bool:
        """Whether somebody who seems alive holds the key. What can't be read is nobody's."""
        content = self._remote.read_lease(key)
        if content is None:
            return False
        try:
            found: Any = json.loads(content)
            owner, until = Owner.parse(found["owner"]), float(found["until"])
        except (ValueError, TypeError, KeyError):
            return False
        return 0 <= until - self._clock() <= 2 * self._lease_s and not owner.is_known_dead()

    def give_back(self, key: CacheKey) -> None:
        """Let others have the key. A lease that ran out and was taken over stays its new owner's."""
        self._held.discard(key)
        content = self._remote.read_lease(key)
        if content is not None and str(self.owner).encode() in content:
            self._remote.remove_lease(key)

    def renew(self) -> None:
        """Make every lease that is held last anew; a place that is away is tried again next time."""
        for key in tuple(self._held):
            with suppress(RemoteAway):
                self._remote.write_lease(key, self._content())

    def close(self) -> None:
        """Stop renewing, and give back what is held as far as the place answers."""
        self._closed.set()
        with suppress(RemoteAway):
            for key in tuple(self._held):
                self.give_back(key)

    def _content(self) -> bytes:
        return json.dumps({"owner": str(self.owner), "until": self._clock() + self._lease_s}).encode()

    def _keep_renewing(self) -> None:
        if self._renewer is None:
            self._renewer = threading.Thread(target=self._renew_often, name="sdgraph-remote-leases", daemon=True)
            self._renewer.start()

    def _renew_often(self) -> None:
        while not self._closed.wait(self._lease_s / 3):
            self.renew()
