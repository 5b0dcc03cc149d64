"""Loading without chatter: the libraries' progress bars and advice would land among sdgraph's own output."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

_LOCK = threading.RLock()


@contextmanager
def quiet() -> Generator[None]:
    """Silence diffusers, transformers and warnings within. One thread at a time, because their settings are global."""
    import diffusers.utils.logging as diffusers_logging
    import transformers.utils.logging as transformers_logging

    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        levels = diffusers_logging.get_verbosity(), transformers_logging.get_verbosity()
        bars = diffusers_logging.is_progress_bar_enabled(), transformers_logging.is_progress_bar_enabled()
        for library in (diffusers_logging, transformers_logging):
            library.set_verbosity_error()
            library.disable_progress_bar()
        try:
            yield
        finally:
            for library, level, bar in zip((diffusers_logging, transformers_logging), levels, bars, strict=True):
                library.set_verbosity(level)
                if bar:
                    library.enable_progress_bar()
