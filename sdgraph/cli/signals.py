"""Ctrl-C and SIGTERM: a run stops at its next step and keeps what it has."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

from sdgraph.engine.context import CancelToken

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupt_on_sigterm() -> None:
    """Let SIGTERM do what Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)


@contextmanager
def cancel_on_signals(token: CancelToken) -> Generator[None]:
    """Inside, the first Ctrl-C or SIGTERM cancels the token; the second ends the process at once with exit code 130."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def cancel(number: int, frame: FrameType | None) -> None:
        if token.cancelled:
            _say(b"\n")
            os._exit(130)
        token.cancel()
        _say(b"\nStopping at the next step; once more stops at once.\n")

    before = {number: signal.signal(number, cancel) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: bytes) -> None:
    with suppress(OSError):  # sys.stderr may be in the middle of a write, which a handler must not enter again
        os.write(2, text)
