"""Writing workflows in Python: plain constructor calls, no global context.

wf = Workflow("portrait")
sd = wf.add("sd", LoadCheckpoint(source="builtin:shapes")).out
image = wf.add("image", VaeDecode(vae=sd.vae, latents=sample.latents)).out
wf.output("image", image.image)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

from sdgraph.core.document import NODE_ID, SCHEMA, GraphEntry, NodeEntry, WorkflowDocument
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import Link, PortRef
from sdgraph.core.spec import NodeSpec
from sdgraph.core.specbuild import build_spec
from sdgraph.errors import Problem, WorkflowError

O_co = TypeVar("O_co", bound=Outputs, covariant=True)
Mode = Literal["mute", "bypass"]


class AnyOutputs(Outputs):
    """Outputs of a node that is known by its type id only: every attribute is a link to the output of that name."""

    def __init__(self, node: str) -> None:
        self.__dict__["_node"] = node

    def __getattr__(self, name: str) -> Link[Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return Link(self.__dict__["_node"], name)


@dataclass(frozen=True, slots=True)
class Placed(Generic[O_co]):
    """A node in a workflow. `out` has its outputs, as links for other nodes' inputs."""

    id: str
    out: O_co


class Workflow:
    """A workflow being written."""

    def __init__(self, name: str = "", description: str = "", *, prefix: str = "") -> None:
        self.name = name
        self.description = description
        self.nodes: dict[str, Node[Any]] = {}
        self.inputs: dict[str, list[PortRef]] = {}
        self.outputs: dict[str, PortRef] = {}
        self.graphs: dict[str, Workflow] = {}
        """Subgraphs by name, for nodes that `use` "graph:NAME"."""
        self.view: dict[str, Any] = {}
        """What editors keep: positions, groups, comments, colours. Never part of a key."""
        self._entries: dict[str, NodeEntry] = {}
        self._looks: dict[str, tuple[str | None, Mode | None]] = {}
        self._prefix = prefix

    def add(self, id: str, node: Node[O_co], *, label: str | None = None, mode: Mode | None = None) -> Placed[O_co]:
        """Place a node. Raises WorkflowError when the id is taken or can't be one."""
        full = self._free_id(id)
        self.nodes[full] = node
        if label or mode:
            self._looks[full] = (label, mode)
        links: dict[str, Link[Any]] = {port: Link(full, port) for port in node.outputs_class.__ports__}
        out: Any = node.outputs_class(**links)
        return Placed(full, out)

    def use(
        self,
        id: str,
        type: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: int | None = None,
        label: str | None = None,
        mode: Mode | None = None,
    ) -> Placed[AnyOutputs]:
        """Place a subgraph ("graph:NAME", "graph:file.json"), or a node whose class is not at hand, by its type id.

        Inputs are links and JSON values. Raises WorkflowError when the id is taken or can't be one.
        """
        full = self._free_id(id)
        given = inputs or {}
        links = {port: str(value.ref) for port, value in given.items() if isinstance(value, Link)}
        values = {port: value for port, value in given.items() if port not in links}
        self._entries[full] = NodeEntry(
            type=type, version=version, values=values, links=links, label=label or None, mode=mode
        )
        return Placed(full, AnyOutputs(full))

    def graph(self, name: str, graph: Workflow) -> None:
        """Add a subgraph. Its `input` and `output` names are the ports of nodes that use it."""
        _check_name(name)
        self.graphs[name] = graph

    def input(self, name: str, *ports: tuple[Placed[Any] | str, str]) -> None:
        """Expose ports as the workflow's input `name`: `wf.input("seed", (start, "seed"))`."""
        _check_name(name)
        self.inputs[name] = [PortRef(node if isinstance(node, str) else node.id, port) for node, port in ports]

    def output(self, name: str, link: Any) -> None:
        """Name a result: `wf.output("image", decoded.image)`."""
        _check_name(name)
        if not isinstance(link, Link):
            raise _wrong(
                "output-not-linked", f"The output `{name}` is no link.", "Pass an output of a placed node.", None
            )
        self.outputs[name] = link.ref

    def to_document(self) -> WorkflowDocument:
        """The workflow as a file's content. Values equal to their port's default are left out. Raises WorkflowError."""
        graphs = {name: GraphEntry.model_construct(**graph._parts()) for name, graph in self.graphs.items()}
        return WorkflowDocument.model_construct(
            schema_id=SCHEMA,
            name=self.name,
            description=self.description,
            graphs=graphs,
            view=self.view,
            **self._parts(),
        )

    def _parts(self) -> dict[str, Any]:
        inputs = {name: [str(ref) for ref in refs] for name, refs in self.inputs.items()}
        written = {name: _entry(name, node, *self._looks.get(name, (None, None))) for name, node in self.nodes.items()}
        return {
            "nodes": {**written, **self._entries},
            "inputs": {name: refs[0] if len(refs) == 1 else refs for name, refs in inputs.items()},
            "outputs": {name: str(ref) for name, ref in self.outputs.items()},
        }

    def _free_id(self, id: str) -> str:
        if not NODE_ID.fullmatch(id):
            raise _wrong(
                "node-id-invalid", f"{id!r} can't be a node id.", "Use letters, digits, _ and -, at most 64.", id
            )
        full = self._prefix + id
        if full in self.nodes or full in self._entries:
            raise _wrong("duplicate-id", f"There is a node `{full}` already.", "Choose another id.", full)
        return full


def _check_name(name: str) -> None:
    if not NODE_ID.fullmatch(name):
        raise _wrong("name-invalid", f"{name!r} can't be a name.", "Use letters, digits, _ and -, at most 64.", None)


def split_inputs(node: Node[Any]) -> tuple[dict[str, Any], dict[str, PortRef]]:
    """A node's plain values and its links."""
    links = {name: value.ref for name, value in node.__dict__.items() if isinstance(value, Link)}
    return {name: value for name, value in node.__dict__.items() if name not in links}, links


def _entry(id: str, node: Node[Any], label: str | None, mode: Mode | None) -> NodeEntry:
    kind: Any = type(node)
    spec = _value_spec(kind)
    values, links = split_inputs(node)
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name not in node.model_fields_set or spec.inputs[name].is_default(value):
            continue
        try:
            given[name] = spec.inputs[name].to_json(value)
        except TypeError:
            raise WorkflowError(
                [
                    Problem(
                        "port-needs-link",
                        f"A workflow can't hold a {type(value).__name__}; it holds plain values and links.",
                        "Connect the output of a node that makes it.",
                        id,
                        name,
                    )
                ]
            ) from None
    return NodeEntry.model_construct(
        type=spec.type,
        version=spec.version,
        values=given,
        links={name: str(ref) for name, ref in links.items()},
        label=label or None,
        mode=mode,
    )


@lru_cache(maxsize=None)
def _value_spec(cls: Any) -> NodeSpec:
    # Payloads never stand in a file, so writing one needs no port types.
    return build_spec(cls, None)


def _wrong(code: str, message: str, hint: str, node: str | None) -> WorkflowError:
    return WorkflowError([Problem(code, message, hint, node=node)])
