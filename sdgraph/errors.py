"""Every error that sdgraph raises on purpose: one tree, one shape.

    SdgraphError             code, message, hint, node, port
    ├── WorkflowError        the workflow is wrong; carries *all* its problems
    ├── RegistryError        a node pack is wrong: duplicate type, unusable port
    ├── SettingsError        a setting or a command-line value is wrong
    ├── StoreError           the result store can't be read or written
    ├── ModelError           a model is missing, damaged or of the wrong kind
    ├── MediaError           a picture is missing, damaged or too large
    ├── SamplingError        a schedule, solver or stage can't work
    ├── NodeError            a node failed while it ran
    ├── ServerError          a server can't be reached, or is none
    ├── WorkerDied           the process that ran a workflow is gone; results so far are kept
    └── RunCancelled         the run was cancelled; results so far are kept

An error's text says what was expected, what was found and what to do. Its `code` is stable: programs match on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and what to do about it."""

    code: str
    message: str
    hint: str | None = None
    node: str | None = None
    port: str | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        where = self.node and (f"{self.node}.{self.port}" if self.port else self.node)
        place = f"`{where}`: " if where and f"`{where}`" not in self.message else ""
        hint = f" {self.hint}" if self.hint else ""
        return _printable(f"{place}{self.message}{hint} [{self.code}]")

    def to_json(self) -> dict[str, str]:
        """The problem as a JSON object; absent parts are left out."""
        parts = {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "node": self.node,
            "port": self.port,
            "severity": self.severity,
        }
        return {name: part for name, part in parts.items() if part is not None}


class SdgraphError(Exception):
    """Base of all errors that sdgraph raises on purpose."""

    def __init__(
        self, code: str, message: str, hint: str | None = None, *, node: str | None = None, port: str | None = None
    ) -> None:
        self.problem = Problem(code, message, hint, node, port)
        super().__init__(str(self.problem))

    @property
    def code(self) -> str:
        return self.problem.code

    def at(self, node: str, port: str | None = None) -> Problem:
        """This error's problem, placed at a node (and port) unless it already has a place."""
        found = self.problem
        return replace(found, node=found.node or node, port=found.port or port)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process boundaries (workers); the default would call __init__ with one argument.
        return (_rebuild, (type(self), self.problem))


class WorkflowError(SdgraphError):
    """A workflow that can't run; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.code, first.message, first.hint, node=first.node, port=first.port)
        self.args = ("\n".join(str(problem) for problem in self.problems),)

    def __reduce__(self) -> tuple[object, ...]:
        return (WorkflowError, (self.problems,))


class RegistryError(SdgraphError):
    """A node pack can't be registered."""


class SettingsError(SdgraphError):
    """A setting or a command-line value is wrong."""


class StoreError(SdgraphError):
    """The result store can't be read or written."""


class ModelError(SdgraphError):
    """A model is missing, damaged or of the wrong kind."""


class MediaError(SdgraphError):
    """A picture is missing, damaged, too large or not a picture."""


class SamplingError(SdgraphError):
    """A schedule, solver or stage can't work."""


class NodeError(SdgraphError):
    """A node failed while it ran."""


class ServerError(SdgraphError):
    """A server can't be reached, or is no server of sdgraph."""


class WorkerDied(SdgraphError):
    """The process that ran a workflow is gone. What had finished stays stored."""

    def __init__(self, message: str) -> None:
        super().__init__("worker-died", message, "Finished results are kept: run it again to go on.")

    def __reduce__(self) -> tuple[object, ...]:
        return (WorkerDied, (self.problem.message,))


class RunCancelled(SdgraphError):
    """The run was cancelled. What had finished stays stored."""

    def __init__(self, message: str = "The run was cancelled; finished results are kept.") -> None:
        super().__init__("run-cancelled", message)

    def __reduce__(self) -> tuple[object, ...]:
        return (RunCancelled, (self.problem.message,))


def _printable(text: str) -> str:
    # Names from a file may hold control characters, which must not reach a terminal.
    return text if text.isprintable() else "".join(part if part.isprintable() else repr(part)[1:-1] for part in text)


def _rebuild(kind: type[SdgraphError], problem: Problem) -> SdgraphError:
    return kind(problem.code, problem.message, problem.hint, node=problem.node, port=problem.port)
