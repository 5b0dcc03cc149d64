"""A disk store with a remote one behind it: read through, written back in the background.

What is to be written there is noted in an outbox on disk, and copied from the disk store file by file. So nothing waits
for the remote, memory holds one file at most, and what could not be written is written by a later run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Payloads, Release, Result
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from sdgraph.engine.stores.objects import DamagedObject
from sdgraph.engine.stores.pins import Pins
from sdgraph.engine.stores.remote import Remote, RemoteAway
from sdgraph.engine.stores.remote_leases import RemoteLeases
from sdgraph.errors import Problem

_log = logging.getLogger("sdgraph.store")
CLOSE_WAIT_S = 5.0
"""How long the end of a program waits for writes; what is left is written next time."""
_RETRY_S = 10.0
_WORTH_CLAIMING_S = 1.0
"""A node that takes less is computed twice rather than asking a place far away."""
_WORTH_ASKS = 20.0
"""And one that takes less than so many times what asking does."""
_ASK_AGAIN_S = 0.5
"""How often to ask whether another machine has finished."""
_SAVING_S = 60.0
"""What was noted a shorter time ago and is not on disk may be about to come."""
_LIST_AFTER = 64
"""A plan of many nodes must not ask for each of them: after so many that were not there, all keys are listed once."""
_LIST_AFTER_S = 1.0
"""The same after so many seconds of asking."""


class MirroredStore:
    """A `ResultStore` in a folder whose results are copied to and from a remote place. It closes the disk store."""

    def __init__(
        self,
        disk: DiskStore,
        remote: Remote,
        payloads: Payloads,
        *,
        close_wait_s: float = CLOSE_WAIT_S,
        leases: RemoteLeases | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.disk = disk
        self.checkpoints = disk.checkpoints
        self.remote = remote
        self._payloads = payloads
        self._close_wait_s = close_wait_s
        self._clock = clock
        self.leases = leases or RemoteLeases(remote)
        self._awaited: dict[CacheKey, float] = {}
        """Keys that another machine computes, and when to ask about them again."""
        self._saving: set[CacheKey] = set()
        """Keys that are in the outbox, and whose results are not on disk yet."""
        self._released: set[CacheKey] = set()
        """Keys whose remote lease goes back once their results are there."""
        self._outbox = Pins(Path(disk.folder) / FORMAT_FOLDER / "outbox")
        self._absent: set[CacheKey] = set()
        self._looked_s = 0.0
        self._listed: frozenset[CacheKey] | None = None
        self._bad_objects: set[str] = set()
        self._problems: list[Problem] = []
        self._told: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._asked = False
        self._busy = False
        self._writer: threading.Thread | None = None
        if self._outbox.all():  # left by an earlier run
            self._wake()

    def find(self, key: CacheKey) -> str | None:
        tier = self.disk.find(key)
        if tier is not None or key in self._absent:
            return tier
        try:
            if self._is_there(key):
                return "remote"
        except RemoteAway as error:
            self._away(error)
        else:
            self._absent.add(key)  # not asked for twice in one session
        return None

    def _is_there(self, key: CacheKey) -> bool:
        """Ask for the key alone, or for all keys at once when there are many to ask for. Raises RemoteAway."""
        if self._listed is None and (len(self._absent) >= _LIST_AFTER or self._looked_s >= _LIST_AFTER_S):
            self._listed = self.remote.all_keys()
        if self._listed is not None:
            return key in self._listed
        began = self._clock()
        found = self.remote.has(key)
        self._looked_s += self._clock() - began
        return found

    def load(self, key: CacheKey) -> Result | None:
        found = self.disk.load(key)
        if found is not None or key in self._absent:
            return found
        try:
            found = self.remote.load(key, self._payloads)
        except RemoteAway as error:
            self._away(error)
        except Exception as error:  # whatever stands in a damaged file, codecs included, is a miss
            self._damaged(key, error)
        if found is not None:
            self.disk.save(key, found, keep=True)
        return found

    def digests(self, key: CacheKey) -> Mapping[str, str] | None:
        found = self.disk.digests(key)
        if found is not None or self.find(key) != "remote":
            return found
        try:
            return self.remote.digests(key)
        except RemoteAway as error:
            self._away(error)
        except Exception:  # a damaged manifest: `load` says so
            return None
        return None

    def wants(self, result: Result, *, keep: bool = False) -> bool:
        return self.disk.wants(result, keep=keep)

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        if not self.disk.wants(result, keep=keep):
            return
        with self._changed:
            self._saving.add(key)
        try:
            self._save_and_note(key, result, keep)
        finally:
            with self._changed:
                self._saving.discard(key)
        self._wake()

    def _save_and_note(self, key: CacheKey, result: Result, keep: bool) -> None:
        """Note it first: who is killed in between has noted a result that is not there, not the other way round."""
        try:
            self._outbox.add(key)
        except OSError as error:
            self._tell("remote-behind", f"A result was not noted for the remote store: {error}.", "It is on disk.")
        self.disk.save(key, result, keep=keep)
        if self.disk.find(key) is not None:
            self._absent.discard(key)
        else:
            with suppress(OSError):
                self._outbox.remove(key)

    def claim(self, key: CacheKey, expected_s: float | None = None) -> Release | None:
        """A claim on the folder, and for what takes long on the remote place too, if that answers."""
        here = self.disk.claim(key, expected_s)
        worth_s = max(_WORTH_CLAIMING_S, _WORTH_ASKS * self.remote.ask_s)
        if here is None or (expected_s is not None and expected_s < worth_s):
            return here
        try:
            taken = self.leases.take(key)
        except RemoteAway as error:
            self._away(error)
            return here
        if not taken:
            here()
            self._awaited[key] = time.monotonic() + _ASK_AGAIN_S
            return None
        self._awaited.pop(key, None)
        self._forget_absent(key)  # whoever had the lease before may have stored it

        def release() -> None:
            here()
            with self._changed:
                self._released.add(key)
            self._wake()

        return release

    def is_claimed(self, key: CacheKey) -> bool:
        return self.disk.is_claimed(key) or self._is_claimed_elsewhere(key)

    def _is_claimed_elsewhere(self, key: CacheKey) -> bool:
        """Asks the remote place now and then; False too when the result is there, so that somebody looks for it."""
        ask_at = self._awaited.get(key)
        if ask_at is None or time.monotonic() < ask_at:
            return ask_at is not None
        self._awaited[key] = time.monotonic() + _ASK_AGAIN_S
        try:
            if not self.remote.has(key) and self.leases.is_taken(key):
                return True
        except RemoteAway as error:
            self._away(error)
        self._awaited.pop(key, None)
        return False

    def _forget_absent(self, key: CacheKey) -> None:
        self._absent.discard(key)
        if self._listed is not None and key not in self._listed:
            self._listed = None

    def guard(self, keys: Iterable[CacheKey]) -> Release:
        return self.disk.guard(keys)

    def flush(self) -> None:
        """Everything is on disk; a run does not wait for the remote store."""
        with suppress(OSError):  # what then is not noted is not lost either
            self._outbox.sync()
        self.disk.flush()

    def when_saved(self, work: Callable[[], None]) -> None:
        self.disk.when_saved(work)

    def take_problems(self) -> list[Problem]:
        with self._changed:
            taken, self._problems = self._problems, []
        return [*taken, *self.disk.take_problems()]

    def close(self) -> None:
        """Wait a little for writes, and end. What has not been written stays in the outbox."""
        with self._changed:
            if not self._closed and self._writer is not None:
                self._changed.wait_for(self._is_idle, self._close_wait_s)
            self._closed = True
            self._changed.notify_all()
        left = len(self._outbox.all())
        if left:
            message = f"{left:,} results are not in the remote store {self.remote.url} yet."
            self._tell("remote-behind", message, "They are on disk; the next run writes them there.")
        if self._writer is not None:
            self._writer.join(0.1)
        self.leases.close()
        self.disk.close()

    # The background thread.

    def _wake(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._asked = True
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_back, name="sdgraph-mirror", daemon=True)
                self._writer.start()
            self._changed.notify_all()

    def _write_back(self) -> None:
        answers = True
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or self._asked, None if answers else _RETRY_S)
                if self._closed:
                    return
                self._asked, self._busy = False, True
            answers = self._write_all()
            self._release_written()

    def _is_idle(self) -> bool:
        return not (self._asked or self._busy)

    def _write_all(self) -> bool:
        """Write what is in the outbox; False when the remote store does not answer."""
        noted = self._outbox.all()
        with self._changed:
            noted -= self._saving  # as it is after the look into the outbox
        for key in noted:
            if self._closed:
                break
            try:
                if self._write(key):
                    self._outbox.remove(key)
            except RemoteAway as error:
                self._away(error)
                return False
            except Exception as error:  # a disk that fails; nobody looks at this thread's exceptions
                _log.error("a result could not be copied to the remote store", exc_info=error)
                self._tell("remote-behind", f"A result was not copied to {self.remote.url}: {error}.", "It is on disk.")
                return True
        return True

    def _release_written(self) -> None:
        """Give remote leases back whose results are there, or are not to come."""
        with self._changed:
            ready = self._released - self._outbox.all()
            self._released -= ready
        for key in ready:
            try:
                self.leases.give_back(key)
            except RemoteAway as error:  # it runs out by itself
                self._away(error)

    def _write(self, key: CacheKey) -> bool:
        """Copy a result; False for one that another process may be saving right now."""
        parts = self.disk.raw(key)
        if parts is None and self._outbox.age_s(key) < _SAVING_S:
            return False
        if parts is None:
            message = f"A result ({key.hex()[:12]}) went from the disk before it was in the remote store."
            self._tell("remote-behind", message, "It is computed again where it is needed.")
            return True
        manifest, objects = parts
        for digest, path in objects.items():
            if digest in self._bad_objects or not self.remote.has_object(digest):
                self.remote.write_object(digest, path.read_bytes())
                self._bad_objects.discard(digest)
        self.remote.write_manifest(key, manifest)
        return True

    def _damaged(self, key: CacheKey, error: Exception) -> None:
        said = str(error) or type(error).__name__
        message = f"A result in the remote store ({key.hex()[:12]}) was damaged and is computed again: {said}."
        self._tell("remote-entry-damaged", message, "It is replaced there by what is computed.", once=False)
        self._absent.add(key)
        if isinstance(error, DamagedObject):
            self._bad_objects.add(error.digest)

    def _away(self, error: RemoteAway) -> None:
        message = f"The remote store {self.remote.url} does not answer: {error}."
        self._tell("remote-away", message, "The run goes on without it; results are written there later.")

    def _tell(self, code: str, message: str, hint: str, *, once: bool = True) -> None:
        with self._changed:
            if once and code in self._told:
                return
            self._told.add(code)
            self._problems.append(Problem(code, message, hint, severity="warning"))
