"""Runs as the queue takes and gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

RunState = Literal["queued", "running", "done", "partial", "failed", "cancelled"]
ENDED: tuple[RunState, ...] = ("done", "partial", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run that somebody asks for: a workflow that was checked, in one piece, and the values of its inputs."""

    user: str
    workflow: str
    """The document's name."""
    document: Mapping[str, Any]
    inputs: Mapping[str, Any]
    """The values given, as they would stand in the file."""
    outputs: Sequence[str] | None = None
    """The outputs wanted; None for all."""
    priority: int = 0
    words: str = ""
    """What search looks through."""
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """Text of all inputs, those left as they are included, to find the run by."""


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that a worker is to perform."""

    run_id: str
    user: str
    workflow: str
    document: Mapping[str, Any]
    inputs: Mapping[str, Any]
    outputs: Sequence[str] | None
    attempt: int
    """1, and 2 after a worker died."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run as lists show it. Times are seconds since 1970."""

    number: int
    run_id: str
    user: str
    status: RunState
    priority: int
    attempts: int
    """Workers that began it and died, and the one that did not."""
    cancelling: bool
    worker: str | None
    retry_of: str | None
    created_s: float
    started_s: float | None
    finished_s: float | None
    workflow: str
    pinned: bool
    inputs: Mapping[str, Any]
    pictures: Mapping[str, Sequence[Mapping[str, Any]]]
    """The first ones by output: `{"digest", "url", "media_type", "width_px", "height_px"}`."""
    position: int | None = None
    """Place in the queue, from 1, not counting turns of users; None for one that does not wait."""


@dataclass(frozen=True, slots=True)
class RunDetails:
    """Everything that is kept of a run."""

    summary: RunSummary
    document: Mapping[str, Any]
    outputs: Sequence[str] | None
    report: Mapping[str, Any] | None
    """The object of `run --json`; None until the run ended."""
