"""Who holds a lease: a process, named so that others on the same machine can tell when it has ended."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A process on a machine; `token` tells several holders within one process apart."""

    machine: str
    pid: int
    token: str

    def __str__(self) -> str:
        return f"{self.machine}:{self.pid}:{self.token}"

    @classmethod
    def parse(cls, text: object) -> Owner:
        """The owner whose text this is; of what nobody wrote, one of another machine."""
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        machine, _, rest = said.partition(":")
        pid, _, token = rest.partition(":")
        return cls(machine, int(pid), token) if pid.isdecimal() else cls("", 0, said)

    def is_known_dead(self) -> bool:
        """Whether it is certain that the process has ended. Of other machines nothing is known."""
        if os.name != "posix" or self.machine != machine_id():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # it belongs to somebody else
            return False
        return False


def this_process() -> Owner:
    """A new owner in this process."""
    return Owner(machine_id(), os.getpid(), uuid.uuid4().hex[:12])


@cache
def machine_id() -> str:
    """A digest of where a pid means one process: it differs between machines, their boots, and containers.

    It names nobody: the host's name can't be read from it.
    """
    parts = [socket.gethostname(), _text(Path("/proc/sys/kernel/random/boot_id"))]
    try:
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:  # not on Linux
        parts.append("")
    return blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
