"""What requests and answers look like. The OpenAPI document and the clients' types are made of these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sdgraph.errors import Severity


class Described(BaseModel):
    """A model whose fields' docstrings are in the OpenAPI document."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class _Schema(Described):
    model_config = ConfigDict(extra="forbid")


class WorkflowName(_Schema):
    """A workflow that the server has."""

    name: str


class PlanRequest(_Schema):
    """A workflow and the values of its inputs."""

    workflow: dict[str, Any]
    """The document, or `{"name": "txt2img"}` for one that the server has."""
    inputs: dict[str, Any] = {}
    """Values by input name, as they would stand in the file."""
    outputs: list[str] | None = None
    """The outputs wanted; all when left out."""
    priority: int = Field(0, ge=-100, le=100)
    """Of runs that wait, the one with the highest goes first."""


class ProblemOut(Described):
    """One thing that is wrong."""

    code: str
    message: str
    hint: str | None = None
    node: str | None = None
    port: str | None = None
    severity: Severity = "error"


class CheckAnswer(Described):
    """Everything that is wrong with a workflow."""

    ok: bool
    problems: list[ProblemOut]


class ChangeOut(Described):
    """A value of a node that is not what it was in the previous run."""

    port: str
    before: str = Field(alias="from")
    after: str = Field(alias="to")


class PlanRow(Described):
    """What is to be done about one node."""

    action: Literal["run", "hit", "maybe", "unused"]
    code: str
    """The class of the reason."""
    reason: str
    changes: list[ChangeOut] | None = None
    """What changed at the node itself since the previous run."""
    began_at: str | None = None
    """The node upstream where the change began."""
    store: str | None = None
    """The tier that has the result."""
    key: str
    estimated_s: float | None = None
    """Seconds that it will take to run, if nodes of its type have run before."""


class PlanAnswer(Described):
    """What a run would do."""

    workflow: str
    nodes: dict[str, PlanRow]
    run: int
    hit: int
    maybe: int
    unused: int
    estimated_s: float | None = None
    """Seconds of all nodes that will run, as far as is known."""
    problems: list[ProblemOut]


class WorkflowEntry(Described):
    """A workflow that the server has."""

    name: str
    title: str
    """The document's own name."""
    description: str
    shipped: bool
    """A template that comes with sdgraph; saving under its name makes a copy of one's own."""
    version: str
    """Changes with the content: the ETag."""


class WorkflowList(Described):
    """The workflows that the server has, by name."""

    workflows: list[WorkflowEntry]


class ResidentModel(Described):
    """A model that a worker has in memory."""

    name: str
    """Its reference, and the component unless the reference is it."""
    device: str
    """Where its weights are."""
    bytes: int
    in_use: bool = False


class WarmWorkflow(Described):
    """What loading the models of a workflow came to."""

    workflow: str
    ready: bool
    """Whether its next run finds every model where it needs it."""
    problems: list[ProblemOut] = []
    """What is wrong with models that can't be loaded."""


class WorkerHealth(Described):
    """What a worker does."""

    name: str
    state: Literal["starting", "restarting", "warming", "idle", "busy"]
    starts: int
    """Processes that were started for it so far."""
    models_bytes: int = 0
    models: list[ResidentModel] = []
    """The most recently used first, as it last said; it does each second."""
    warming: str | None = None
    """The workflow whose models are being loaded."""
    warm: list[WarmWorkflow] = []
    """The workflows of `serve --warm` that are done."""


class Health(Described):
    """Whether the server works."""

    status: Literal["ok"]
    version: str
    uptime_s: float
    ready: bool
    """Every worker is up and has loaded what `serve --warm` names."""
    workers: list[WorkerHealth]
