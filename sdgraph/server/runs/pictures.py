"""The pictures of a report, for thumbnails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast

_MOST = 4


def first_pictures(report: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The first pictures among a report's outputs, by name of the output; those of nodes that save are `files`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, picture in islice(_pictures(report), _MOST):
        found.setdefault(name, []).append(picture)
    return found


def _pictures(report: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    seen: set[str] = set()
    outputs: dict[str, list[Any]] = report.get("outputs") or {}
    for name, values in [*sorted(outputs.items()), ("files", report.get("files") or [])]:
        for value in values:
            if _is_picture(value) and (name != "files" or value["digest"] not in seen):
                seen.add(value["digest"])
                yield name, value


def _is_picture(value: Any) -> bool:
    return isinstance(value, dict) and str(cast(dict[str, Any], value).get("media_type", "")).startswith("image/")
