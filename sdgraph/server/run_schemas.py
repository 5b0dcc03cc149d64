"""What requests and answers about runs look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field

from sdgraph.server.schemas import ChangeOut, Described, ProblemOut

Status = Literal["queued", "running", "done", "partial", "failed", "cancelled"]
_STATES = "|".join(get_args(Status))


class RunAccepted(Described):
    """A run that waits."""

    run_id: str


class RunChange(Described):
    """What is to be changed of a run; one of the three."""

    model_config = ConfigDict(extra="forbid")

    priority: int | None = Field(None, ge=-100, le=100)
    """Of runs that wait, the one with the highest goes first."""
    before: str | None = None
    """The id of the run that is to come right after it, and whose priority it takes. Both must wait."""
    pinned: bool | None = None
    """Whether it stays in the history with its pictures and uploads, whatever the limits say."""


class RunQuery(Described):
    """Which runs are listed."""

    model_config = ConfigDict(extra="forbid")

    search: str = Field("", max_length=1000)
    """Words that all occur in the workflow's name, a prompt or the value of an input."""
    input: list[Annotated[str, Field(pattern=r"(?s)^[^:]+:.*$", max_length=500)]] = []
    """`NAME:VALUE`: runs in which that input had that value."""
    status: str = Field("", pattern=rf"^(({_STATES})(,({_STATES}))*)?$")
    """One status, or several with commas."""
    user: str | None = None
    before: str | None = None
    """The id of a run: only older ones."""
    limit: int = Field(50, ge=1, le=200)


class ForgetQuery(Described):
    """How a run is deleted."""

    model_config = ConfigDict(extra="forbid")

    forget: bool = False
    """Remove a run that ended from the history, instead of cancelling one."""


class PictureOut(Described):
    """A picture that a run gave."""

    model_config = ConfigDict(extra="allow")

    digest: str
    """SHA-256 of the file."""
    url: str
    media_type: str
    width_px: int | None = None
    height_px: int | None = None


class NodeOut(Described):
    """What became of one node."""

    status: Literal["ran", "hit", "failed", "skipped"]
    store: str | None = None
    """The tier that had the result."""
    code: str | None = None
    """The class of the reason."""
    reason: str | None = None
    changes: list[ChangeOut] | None = None
    began_at: str | None = None
    key: str | None = None
    elapsed_s: float | None = None


class RunRow(Described):
    """A run as lists show it."""

    run_id: str
    status: Status
    name: str
    """The workflow's."""
    user: str
    inputs: dict[str, Any]
    """The values that were given."""
    outputs: dict[str, list[Any]]
    """In lists only the first pictures."""
    priority: int
    position: int | None = None
    """Place in the queue, from 1, not counting turns of users; only while the run waits."""
    attempts: int
    """2 when a worker died while it performed the run."""
    cancelling: bool
    """It is running, and was told to stop."""
    pinned: bool
    """It stays in the history with its pictures."""
    retry_of: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    elapsed_s: float | None = None


class ResourceOut(Described):
    """Something that happened to a resource while a run was performed."""

    model_config = ConfigDict(extra="allow")

    type: Literal["model", "transfer", "remedy", "safety"]
    """A model came, moved or went; a payload was sent to another device; something was done about lack of memory; the
    safety checker hid a picture."""
    node: str | None = None
    """The node that it was for."""


class RunOut(RunRow):
    """Everything about a run: the object of `run --json`, and what was asked for."""

    workflow: dict[str, Any]
    """The document, complete in itself."""
    wanted: list[str] | None = None
    """The outputs asked for; all when left out."""
    nodes: dict[str, NodeOut]
    files: list[PictureOut]
    """Every picture file, those of nodes that save included."""
    problems: list[ProblemOut]
    peak_memory_bytes: int | None = None
    """The most memory that the worker's process has had so far."""
    resources: list[ResourceOut]
    """What happened to models, transfers and memory, in order."""


class RunList(Described):
    """Some runs, the newest first."""

    runs: list[RunRow]
    next: str | None = None
    """`before` of the next page; left out on the last one."""
    counts: dict[Status, int]
    """How many runs there are of each status."""
