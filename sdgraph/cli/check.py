"""`sdgraph check`: every problem of workflows at once; `--fix` writes them in canonical form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from sdgraph.cli.failure import WRONG
from sdgraph.cli.loading import STANDARD_INPUT, read_source
from sdgraph.cli.options import json_option
from sdgraph.cli.streams import out, out_json, show_problems
from sdgraph.core.build import check_workflow
from sdgraph.core.canonical import canonical
from sdgraph.core.document import WorkflowDocument, canonical_json
from sdgraph.core.pngmeta import PNG_SIGNATURE
from sdgraph.core.registry import Registry
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import NullStore
from sdgraph.errors import MediaError, Problem, WorkflowError
from sdgraph.payloads.picture_files import write_atomically
from sdgraph.settings import read_settings


@dataclass(frozen=True, slots=True)
class _Found:
    document: WorkflowDocument | None
    problems: tuple[Problem, ...]
    fixed: str = ""
    """The canonical text, if it was written."""

    @property
    def is_good(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        problems = [problem.to_json() for problem in self.problems]
        return {"ok": self.is_good, "fixed": bool(self.fixed), "problems": problems}


@click.command
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--fix", is_flag=True, help="Write the files in canonical form, as `sdgraph` itself would.")
@json_option
def check(files: tuple[str, ...], fix: bool, as_json: bool) -> int:
    """List everything that is wrong with workflows, without running them.

    Models and pictures that a workflow names are looked for, too.
    """
    settings = read_settings()
    registry = Registry.installed()
    show_problems(registry.problems)
    found = {file: _check(file, registry, settings.max_nodes) for file in dict.fromkeys(files)}
    if fix:
        found = {file: _fix(file, result, registry) for file, result in found.items()}
    if as_json:
        out_json({"files": {file: result.to_json() for file, result in found.items()}})
    else:
        for file, result in found.items():
            _show(file, result)
    return 0 if all(result.is_good for result in found.values()) else WRONG


def _check(file: str, registry: Registry, max_nodes: int) -> _Found:
    document: WorkflowDocument | None = None
    problems: tuple[Problem, ...] = ()
    try:
        source = read_source(file, max_nodes)
        document = source.document
        checked = check_workflow(document, registry, folder=source.folder, max_nodes=max_nodes)
        problems = checked.problems
        if checked.graph is not None:
            make_plan(checked.graph, NullStore())  # finds models and pictures that are missing or damaged
    except WorkflowError as error:
        problems = (*problems, *error.problems)
    return _Found(document, problems)


def _fix(file: str, found: _Found, registry: Registry) -> _Found:
    """Write the canonical form if the file has another one."""
    if found.document is None:
        return found
    text = canonical_json(canonical(found.document, registry))
    if file == STANDARD_INPUT:
        return replace(found, fixed=text)
    path = Path(file)
    before = path.read_bytes()
    if before == text.encode():
        return found
    if before.startswith(PNG_SIGNATURE):
        message = f"{file} is a picture; only JSON files are fixed."
        problem = Problem("picture-not-fixable", message, "Give the JSON file that it was made from.")
        return replace(found, problems=(*found.problems, problem))
    try:
        write_atomically(path, text.encode())
    except MediaError as error:
        return replace(found, problems=(*found.problems, error.problem))
    return replace(found, fixed=text)


def _show(file: str, found: _Found) -> None:
    if file == STANDARD_INPUT and found.fixed:
        show_problems(found.problems)
        out(found.fixed.rstrip("\n"))
        return
    out(f"{file}: {_verdict(found)}{', written in canonical form' if found.fixed else ''}")
    for problem in found.problems:
        out(f"  {problem.severity}: {problem}")


def _verdict(found: _Found) -> str:
    errors = sum(problem.severity == "error" for problem in found.problems)
    warnings = len(found.problems) - errors
    counts = [
        f"{count} {word}{'s' if count > 1 else ''}"
        for count, word in ((errors, "problem"), (warnings, "warning"))
        if count
    ]
    return ", ".join(counts if errors else ["ok", *counts])
