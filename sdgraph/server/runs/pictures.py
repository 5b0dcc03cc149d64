"""The pictures of a report, for thumbnails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

_MOST = 4


def first_pictures(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The first pictures among a report's outputs, by name of the output."""
    found = _pictures(report.get("outputs") or {})
    return [picture for _, picture in zip(range(_MOST), found, strict=False)]


def _pictures(outputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in sorted(outputs):
        for value in cast(list[Any], outputs[name]):
            if isinstance(value, dict) and str(cast(dict[str, Any], value).get("media_type", "")).startswith("image/"):
                yield cast(dict[str, Any], value)
