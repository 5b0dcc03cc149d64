"""A store somewhere else: any place that fsspec can reach, such as S3, Google Cloud Storage or a mounted share.

It may be slow, hang, fail or lie. So every call has a limit in time; after calls that failed, the place is left alone
for a while (a circuit breaker: Nygard, Release It!, 2007); and what is read is checked against its digest.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import blake2b, sha256
from typing import Any, TypeVar

from sdgraph.core.porttype import Blob
from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Payloads, Result
from sdgraph.engine.stores.manifest import put_together, read_digests
from sdgraph.engine.stores.objects import DamagedObject
from sdgraph.engine.stores.tensorfile import unpack_blobs
from sdgraph.errors import StoreError

T = TypeVar("T")

FORMAT_FOLDER = "v1"
LOOK_S = 2.0
"""How long looking for a key may take."""
TRANSFER_S = 120.0
"""How long reading or writing one file may take."""
_KEY_NAME = re.compile(r"[0-9a-f]{64}")
REST_S = 30.0
"""How long a place that failed is left alone."""
_LIST_LOOKS = 5.0
"""Listing all keys may take as long as looking for so many."""
_WEIGHT = 0.3


class RemoteAway(Exception):
    """The place does not answer; the text says how that showed."""


class Breaker:
    """Whether to try at all: not for a while after a failure, then once, and as before when that works.

    The while doubles with each failure in a row, up to sixteen times its first length.
    """

    def __init__(self, clock: Callable[[], float], rest_s: float) -> None:
        self._clock = clock
        self._rest_s = rest_s
        self._resting_until = -1.0
        self._failures = 0

    def allows(self) -> bool:
        now = self._clock()
        if now < self._resting_until:
            return False
        if self._resting_until >= 0:  # one may try, the others wait for how it goes
            self._rest(now)
        return True

    def succeeded(self) -> None:
        self._resting_until = -1.0
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        self._rest(self._clock())

    def _rest(self, now: float) -> None:
        self._resting_until = now + self._rest_s * 2 ** min(max(self._failures - 1, 0), 4)


class Remote:
    """Manifests by key and objects by digest in a remote folder. Methods raise RemoteAway when it does not answer.

    Raises StoreError [remote-unusable] for an address that nothing here can read.
    """

    def __init__(
        self,
        url: str,
        *,
        options: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        look_s: float = LOOK_S,
        transfer_s: float = TRANSFER_S,
        rest_s: float = REST_S,
    ) -> None:
        self.url = url
        self._look_s = look_s
        self._transfer_s = transfer_s
        self._clock = clock
        self._ask_s = 0.0
        self._breaker = Breaker(clock, rest_s)
        try:
            from fsspec.core import url_to_fs  # not cheap, and most stores have no remote

            self._fs, folder = url_to_fs(url, **(options or {}))
        except (ImportError, ValueError, OSError) as error:
            hint = "Addresses look like s3://bucket/folder or file:///mnt/share; S3 needs `pip install sdgraph[s3]`."
            raise StoreError("remote-unusable", f"The remote store {url} can't be used: {error}.", hint) from error
        self._folder = f"{str(folder).rstrip('/')}/{FORMAT_FOLDER}"

    @property
    def fs(self) -> Any:
        """The file system behind it."""
        return self._fs

    @property
    def ask_s(self) -> float:
        """About how long a short answer has taken lately, in seconds; 0 as long as nobody asked."""
        return self._ask_s

    def has(self, key: CacheKey) -> bool:
        return self._call(lambda: self._fs.exists(self._manifest_path(key)), self._look_s)

    def all_keys(self) -> frozenset[CacheKey]:
        """Every key that is there; one request for about a thousand of them, on S3."""
        found = self._call(lambda: self._fs.find(f"{self._folder}/manifests"), _LIST_LOOKS * self._look_s)
        names = (path.rpartition("/")[2].removesuffix(".json") for path in found)
        return frozenset(bytes.fromhex(name) for name in names if _KEY_NAME.fullmatch(name))

    def load(self, key: CacheKey, payloads: Payloads) -> Result | None:
        """The result, None if it is not there. Raises ValueError and others for damage.

        It is not waited for longer than computing it took: whoever asks had better do that.
        """
        text = self._manifest(key)
        if text is None:
            return None
        manifest = json.loads(text)
        limit_s = min(max(float(manifest["elapsed_s"]), self._look_s), self._transfer_s)
        return put_together(manifest, payloads, partial(self._read_object, limit_s=limit_s))

    def digests(self, key: CacheKey) -> Mapping[str, str] | None:
        """What a result remembers of its outputs' digests. Raises ValueError and others for damage."""
        manifest = self._manifest(key)
        return None if manifest is None else read_digests(manifest)

    def _manifest(self, key: CacheKey) -> str | None:
        content = self._read(self._manifest_path(key), self._look_s)
        if content is None:
            return None
        envelope = json.loads(content)
        manifest: str = envelope["manifest"]
        if envelope["digest"] != _digest(key, manifest):
            raise ValueError("the manifest does not match its digest")
        return manifest

    def has_object(self, digest: str) -> bool:
        return self._call(lambda: self._fs.exists(self._object_path(digest)), self._look_s)

    def write_object(self, digest: str, content: bytes) -> None:
        self._write(self._object_path(digest), content)

    def write_manifest(self, key: CacheKey, manifest: str) -> None:
        """Make a result known; its objects have to be there already."""
        envelope = {"manifest": manifest, "digest": _digest(key, manifest)}
        self._write(self._manifest_path(key), json.dumps(envelope).encode())

    def remove(self, key: CacheKey) -> None:
        """Remove a damaged manifest, if that is allowed."""
        self._call(lambda: self._fs.rm_file(self._manifest_path(key)), self._look_s)

    def create_lease(self, key: CacheKey, content: bytes) -> bool:
        """Whether this made the lease of a key, which was not there; see `RemoteLeases` for how sure that is."""
        path = self._lease_path(key)

        def create() -> bool:
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                if "file" not in self._fs.protocol:
                    self._fs.pipe_file(path, content, mode="create")
                    return True
                temporary = f"{path}.{uuid.uuid4().hex}.writing"
                self._fs.pipe_file(temporary, content)
                try:
                    os.link(temporary, path)  # with its content, or not at all
                finally:
                    os.unlink(temporary)
            except OSError as error:
                if isinstance(error, FileExistsError) or _refused(error):
                    return False
                raise
            return True

        return self._call(create, self._look_s)

    def read_lease(self, key: CacheKey) -> bytes | None:
        """What stands in the lease of a key; None if there is none."""
        self._fs.invalidate_cache(self._lease_path(key))
        return self._read(self._lease_path(key), self._look_s)

    def write_lease(self, key: CacheKey, content: bytes) -> None:
        self._write(self._lease_path(key), content)

    def remove_lease(self, key: CacheKey) -> None:
        """Remove a lease; no error if there is none."""
        with suppress(FileNotFoundError):
            self._call(lambda: self._fs.rm_file(self._lease_path(key)), self._look_s)

    def _read_object(self, digest: str, check: str | None, *, limit_s: float) -> Mapping[str, Blob]:
        content = self._read(self._object_path(digest), limit_s)
        if content is None:
            raise ValueError(f"the object {digest[:12]} is missing")
        if sha256(content).hexdigest() != digest:
            raise DamagedObject(digest)
        return unpack_blobs(content)

    def _read(self, path: str, limit_s: float) -> bytes | None:
        try:
            return self._call(lambda: self._fs.cat_file(path), limit_s)
        except FileNotFoundError:
            return None

    def _write(self, path: str, content: bytes) -> None:
        def write() -> None:
            # A place without folders ignores this; a share gets the file under its name only when it is whole.
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            if "file" in self._fs.protocol:
                temporary = f"{path}.{threading.get_ident():x}.writing"
                self._fs.pipe_file(temporary, content)
                self._fs.mv(temporary, path)
            else:
                self._fs.pipe_file(path, content)

        self._call(write, self._transfer_s)

    def _manifest_path(self, key: CacheKey) -> str:
        return f"{self._folder}/manifests/{key.hex()[:2]}/{key.hex()}.json"

    def _lease_path(self, key: CacheKey) -> str:
        return f"{self._folder}/leases/{key.hex()}.json"

    def _object_path(self, digest: str) -> str:
        return f"{self._folder}/objects/{digest[:2]}/{digest}.safetensors"

    def _call(self, work: Callable[[], T], limit_s: float) -> T:
        if not self._breaker.allows():
            raise RemoteAway("it did not answer a moment ago")
        began = self._clock()
        try:
            found = within(limit_s, work)
        except FileNotFoundError:
            self._answered(began, limit_s)
            raise
        except Exception as error:
            self._breaker.failed()
            raise RemoteAway(str(error) or type(error).__name__) from error
        self._answered(began, limit_s)
        return found

    def _answered(self, began: float, limit_s: float) -> None:
        self._breaker.succeeded()
        if limit_s == self._look_s:
            elapsed_s = self._clock() - began
            self._ask_s = elapsed_s if not self._ask_s else self._ask_s + _WEIGHT * (elapsed_s - self._ask_s)


def _refused(error: OSError) -> bool:
    """Whether S3 said that the object is there already."""
    return "PreconditionFailed" in repr(error) or "PreconditionFailed" in repr(error.__cause__)


def within(limit_s: float, work: Callable[[], T]) -> T:
    """What `work` gives, or raises. Raises TimeoutError when it takes longer; it then goes on without anybody."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="sdgraph-remote", daemon=True)  # one that hangs must not hold the exit
    thread.start()
    thread.join(limit_s)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"no answer within {limit_s:g} s")
    return found[0]


def _digest(key: CacheKey, manifest: str) -> str:
    return blake2b(key + manifest.encode(), digest_size=16).hexdigest()
