"""Errors become problems, a message and an exit code; nobody sees a traceback who did not ask for it."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

import click

from sdgraph.cli.streams import err, out_json, show_problems
from sdgraph.errors import Problem, RunCancelled, SdgraphError, WorkflowError

FAILED, WRONG, CANCELLED = 1, 2, 130


def report_failure(error: BaseException, arguments: Sequence[str]) -> int:
    """Say what went wrong, as JSON too if that was asked for, and return the exit code."""
    problems, code = _explain(error)
    show_problems(problems)
    if "--json" in arguments:
        try:
            out_json({**_nothing_ran(arguments, code), "problems": [problem.to_json() for problem in problems]})
        except SdgraphError as unwritable:
            show_problems([unwritable.problem])
    return code


def _explain(error: BaseException) -> tuple[Sequence[Problem], int]:
    match error:
        case WorkflowError():
            return error.problems, WRONG
        case RunCancelled() | KeyboardInterrupt() | click.Abort():
            return [Problem("run-cancelled", "Cancelled; finished results are kept.")], CANCELLED
        case SdgraphError():
            return [error.problem], FAILED if error.code == "stdout-unwritable" else WRONG
        case click.ClickException():
            return [Problem("command-invalid", error.format_message(), _usage(error))], WRONG
        case _:
            return [_defect(error)], FAILED


def _usage(error: click.ClickException) -> str | None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"See `{context.command_path} --help`." if context else None


def _defect(error: BaseException) -> Problem:
    from sdgraph.settings import debugging

    if debugging():
        err("".join(traceback.format_exception(error)).rstrip())
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    return Problem(
        "internal-error",
        f"This is a defect of sdgraph: {said}.",
        "Please report it; SDGRAPH_DEBUG=1 shows where it happened.",
    )


def _nothing_ran(arguments: Sequence[str], code: int) -> dict[str, Any]:
    """For `run`, the parts that its JSON object always has."""
    if not arguments or arguments[0] != "run":
        return {}
    from sdgraph.cli.memory import peak_memory_bytes

    return {
        "run_id": None,
        "status": "cancelled" if code == CANCELLED else "failed",
        "outputs": {},
        "nodes": {},
        "elapsed_s": 0.0,
        "peak_memory_bytes": peak_memory_bytes(),
        "resources": [],
    }
