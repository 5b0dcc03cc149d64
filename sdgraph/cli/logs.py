"""The log of the server and its workers, on standard error: lines for people, or JSON for programs.

Every line that belongs to a run carries the run's id: given as `extra={"run_id": ...}`, or that of the run which the
process performs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sdgraph.settings import Settings

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up_logs(settings: Settings) -> None:
    """Log as the settings say, from now on and in the whole process."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    handler.addFilter(_RUN)
    level = logging.DEBUG if settings.debug else logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(level=level, handlers=[handler], force=True)


@contextmanager
def logged_as(run_id: str) -> Generator[None]:
    """Inside, what any thread of the process logs belongs to this run. A worker performs one at a time."""
    _RUN.run_id = run_id
    try:
        yield
    finally:
        _RUN.run_id = None


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, error, and whatever was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """The time of day, the level if it is worth noticing, the run, and the message."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        run_id = getattr(record, "run_id", None)
        run = f"run {str(run_id)[:8]}: " if run_id else ""
        error = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{time} {level}{run}{record.getMessage()}{error}"


class _RunOfTheProcess(logging.Filter):
    """Adds the id of the run that the process performs to records that name none."""

    run_id: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if self.run_id is not None and not hasattr(record, "run_id"):
            record.run_id = self.run_id
        return True


_RUN = _RunOfTheProcess()
