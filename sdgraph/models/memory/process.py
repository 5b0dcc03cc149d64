"""The resident memory of this process: its peak can be forgotten, on Linux, and is remembered here all the same."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_forgotten_bytes = 0


class ProcessGauge:
    """Peaks between two moments, by the kernel's count (`man 5 proc`: clear_refs, VmHWM)."""

    def start(self) -> None:
        """Forget the peak so far. The system call getrusage forgets it too; `highest_bytes` does not."""
        global _forgotten_bytes
        _forgotten_bytes = highest_bytes()
        with suppress(OSError):
            _RESET.write_text("5")

    def peak_bytes(self) -> int | None:
        """The most since `start`; None where the system does not tell."""
        return _status("VmHWM")

    def used_bytes(self) -> int | None:
        """What is resident."""
        return _status("VmRSS")


def can_forget() -> bool:
    """Whether peaks can be measured one by one."""
    return _RESET.exists()


def highest_bytes() -> int:
    """The largest resident size that is known of this process, forgotten peaks included; 0: none is."""
    return max(_forgotten_bytes, _status("VmHWM") or 0)


def _status(name: str) -> int | None:
    with suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None
