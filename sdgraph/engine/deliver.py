"""After a run: nodes that save write their files, and the workflow's named outputs become paths and values."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from sdgraph.core.canonical import canonical
from sdgraph.core.document import WorkflowDocument, targets_of, to_data
from sdgraph.core.graph import Graph, GraphNode
from sdgraph.core.node import Delivery
from sdgraph.core.registry import Registry
from sdgraph.core.screening import Screen
from sdgraph.engine.plan import Plan
from sdgraph.engine.report import RunReport
from sdgraph.engine.screening import Hidden, leaving
from sdgraph.engine.stores.base import Payloads
from sdgraph.errors import Problem, SdgraphError, SettingsError

_log = logging.getLogger("sdgraph.deliver")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a run gave: by output name paths (as text) or values, all files written, and what could not be written."""

    outputs: dict[str, list[Any]]
    files: tuple[Path, ...]
    problems: tuple[Problem, ...]
    hidden: tuple[Hidden, ...] = ()
    """Pictures that the safety checker hid."""


def delivers_files(plan: Plan) -> bool:
    """Whether the plan's run can end in files."""
    named = {ref: plan.graph.nodes[ref.node].spec.outputs[ref.port].payload for ref in plan.targets.values()}
    return any(kind is not None and kind.write is not None for kind in named.values()) or any(
        plan.graph.nodes[name].spec.has_deliver for name in plan.target_nodes
    )


def require_writable(folder: Path) -> None:
    """Make the folder and try it, before anything is computed. Raises SettingsError [output-unwritable]."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise SettingsError(
            "output-unwritable",
            f"The output folder {folder} can't be written to: {error.strerror or error}.",
            "Choose another folder with -o.",
        ) from None


def picture_texts(
    document: WorkflowDocument, inputs: Mapping[str, Any], graph: Graph, registry: Registry, version: str
) -> dict[str, str]:
    """What every picture of a run carries: the workflow, its inputs, seeds, models, and sdgraph's version.

    The workflow has the inputs' values in their places, so that it makes the same picture by itself. The same run gives
    the same texts on any machine.
    """
    document = canonical(with_inputs(document, to_jsonable_python(dict(inputs))), registry)
    parts: dict[str, Any] = {
        "sdgraph.workflow": to_data(document),
        "sdgraph.inputs": dict(_input_values(document, registry)),
        "sdgraph.seeds": {f"{node.origin or node.id}.{port}": seed for node, port, seed in _values(graph, "seed")},
        "sdgraph.models": dict(_models(graph)),
    }
    texts = {name: _json(part) for name, part in parts.items() if part}
    return texts | {"sdgraph.version": version}


def with_inputs(document: WorkflowDocument, inputs: Mapping[str, Any]) -> WorkflowDocument:
    """The workflow with these values (as in a file) typed into the ports that its inputs feed."""
    nodes = dict(document.nodes)
    for name, value in inputs.items():
        for ref in targets_of(document.inputs[name]):
            entry = nodes[ref.node]
            links = {port: source for port, source in entry.links.items() if port != ref.port}
            update = {"values": {**entry.values, ref.port: value}, "links": links}
            nodes[ref.node] = entry.model_copy(update=update)
    return document.model_copy(update={"nodes": nodes})


def deliver(
    plan: Plan,
    report: RunReport,
    payloads: Payloads,
    folder: Path,
    texts: Mapping[str, str],
    screen: Screen | None = None,
) -> Delivered:
    """Write the files of a run: those of its target nodes that save, then those of named outputs.

    A picture that a node saved is not written a second time for a named output. What can't be written is a problem,
    and stops nothing else. With a `screen`, every picture is looked at before the first one is written.
    """
    if screen is None:
        return _deliver(plan, report, payloads, folder, texts)
    seen = leaving(plan, report, payloads, screen)
    done = _deliver(plan, seen.report, payloads, folder, texts)
    withheld: dict[str, list[Any]] = {name: [] for name in report.outputs}
    return Delivered(withheld | done.outputs, done.files, (*seen.problems, *done.problems), seen.hidden)


def _deliver(plan: Plan, report: RunReport, payloads: Payloads, folder: Path, texts: Mapping[str, str]) -> Delivered:
    work = _Delivery(plan, report, payloads, folder, texts)
    for name in report.results:
        node = plan.graph.nodes[name]
        if node.spec.has_deliver:
            work.save(node)
    return Delivered({name: work.output(name) for name in report.outputs}, tuple(work.files), tuple(work.problems))


class _Delivery:
    """The files of one run, while they are written."""

    def __init__(
        self, plan: Plan, report: RunReport, payloads: Payloads, folder: Path, texts: Mapping[str, str]
    ) -> None:
        self.files: list[Path] = []
        self.problems: list[Problem] = []
        self._plan = plan
        self._report = report
        self._payloads = payloads
        self._folder = folder
        self._texts = texts
        self._saved: list[tuple[Any, list[Path]]] = []

    def save(self, node: GraphNode) -> None:
        """Let a node write its files."""
        outputs = self._report.results[node.id]
        try:
            instance = node.spec.construct(node.values)
            paths = instance.deliver(outputs, Delivery(self._folder, self._texts, node.values))
        except Exception as error:  # a node's code may fail in any way
            self._failed(error, node.id)
            return
        for path in paths:
            if path in self.files:
                message = f"{path} was written by another node before, and holds this node's picture now."
                self.problems.append(
                    Problem("file-overwritten", message, "Give one another name.", node.id, severity="warning")
                )
        self.files.extend(paths)
        shown = [name for name, port in node.spec.outputs.items() if port.payload and port.payload.write]
        if len(shown) == 1:  # with several, nobody knows which of them the files show
            self._saved.append((outputs[shown[0]], paths))

    def output(self, name: str) -> list[Any]:
        """A named output: the paths of its files, or its value."""
        value = self._report.outputs[name]
        kind = self._payloads.type_of(value)
        if kind is None:
            return [to_jsonable_python(value, inf_nan_mode="strings", serialize_unknown=True)]
        if kind.write is None:
            return [{"type": kind.name}]
        for saved, paths in self._saved:
            if self._same(saved, value):
                return [str(path) for path in paths]
        try:
            paths = kind.write(value, self._free_stem(name), self._texts)
        except Exception as error:
            self._failed(error, self._plan.targets[name].node)
            return []
        self.files.extend(paths)
        return [str(path) for path in paths]

    def _same(self, saved: Any, value: Any) -> bool:
        if saved is value or type(saved) is not type(value):
            return saved is value
        ours, theirs = self._payloads.encode(saved), self._payloads.encode(value)
        return ours is not None and ours == theirs

    def _free_stem(self, name: str) -> Path:
        taken = {path.stem for path in self.files}
        count = 2
        free = name
        while free in taken:
            free, count = f"{name}_{count}", count + 1
        return self._folder / free

    def _failed(self, error: Exception, node: str) -> None:
        _log.debug("writing the files of %s failed", node, exc_info=error)
        if isinstance(error, SdgraphError):
            self.problems.append(error.at(node))
        else:
            message = f"The files could not be written: {type(error).__name__}: {error}."
            self.problems.append(Problem("delivery-failed", message, None, node))


def _input_values(document: WorkflowDocument, registry: Registry) -> Iterator[tuple[str, Any]]:
    """What the inputs are: the values in the workflow, or the defaults of the ports that they feed."""
    for name, targets in document.inputs.items():
        ref = targets_of(targets)[0]
        entry = document.nodes[ref.node]
        spec = registry.specs.get(entry.type)
        port = spec.inputs.get(ref.port) if spec else None
        if ref.port in entry.values:
            yield name, entry.values[ref.port]
        elif port is not None and port.is_value and not port.required and ref.port not in entry.links:
            yield name, port.to_json(port.default)


def _values(graph: Graph, widget: str) -> Iterator[tuple[GraphNode, str, Any]]:
    for node in graph.nodes.values():
        for port, value in node.values.items():
            if node.spec.inputs[port].meta.widget == widget:
                yield node, port, value


def _models(graph: Graph) -> Iterator[tuple[str, str]]:
    for node, _, source in _values(graph, "model"):
        if node.spec.has_fingerprint:
            try:
                yield str(source), node.spec.construct(node.values).fingerprint() or ""
            except SdgraphError:  # it was there when the run was planned, and the results are
                continue


def _json(part: Any) -> str:
    return json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
