"""Writing workflows in Python: plain constructor calls, no global context.

wf = Workflow("portrait")
sd = wf.add("sd", LoadCheckpoint(source="builtin:shapes")).out
image = wf.add("image", VaeDecode(vae=sd.vae, latents=sample.latents)).out
wf.output("image", image.image)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from sdgraph.core.document import NODE_ID, SCHEMA, NodeEntry, WorkflowDocument
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import Link, PortRef
from sdgraph.core.spec import NodeSpec, build_spec
from sdgraph.errors import Problem, WorkflowError

O_co = TypeVar("O_co", bound=Outputs, covariant=True)


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
        self._prefix = prefix

    def add(self, id: str, node: Node[O_co]) -> Placed[O_co]:
        """Place a node. Raises WorkflowError when the id is taken or can't be one."""
        if not NODE_ID.fullmatch(id):
            raise _wrong(
                "node-id-invalid", f"{id!r} can't be a node id.", "Use letters, digits, _ and -, at most 64.", id
            )
        full = self._prefix + id
        if full in self.nodes:
            raise _wrong("duplicate-id", f"There is a node `{full}` already.", "Choose another id.", full)
        self.nodes[full] = node
        links: dict[str, Link[Any]] = {port: Link(full, port) for port in node.outputs_class.__ports__}
        out: Any = node.outputs_class(**links)
        return Placed(full, out)

    def input(self, name: str, *ports: tuple[Placed[Any], str]) -> None:
        """Expose ports as the workflow's input `name`: `wf.input("seed", (start, "seed"))`."""
        self.inputs[name] = [PortRef(placed.id, port) for placed, port in ports]

    def output(self, name: str, link: Any) -> None:
        """Name a result: `wf.output("image", decoded.image)`."""
        if not isinstance(link, Link):
            raise _wrong(
                "output-not-linked", f"The output `{name}` is no link.", "Pass an output of a placed node.", None
            )
        self.outputs[name] = link.ref

    def to_document(self) -> WorkflowDocument:
        """The workflow as a file's content. Values equal to their port's default are left out."""
        inputs = {name: [str(ref) for ref in refs] for name, refs in self.inputs.items()}
        return WorkflowDocument(
            schema=SCHEMA,
            name=self.name,
            description=self.description,
            nodes={name: _entry(node) for name, node in self.nodes.items()},
            inputs={name: refs[0] if len(refs) == 1 else refs for name, refs in inputs.items()},
            outputs={name: str(ref) for name, ref in self.outputs.items()},
        )


def split_inputs(node: Node[Any]) -> tuple[dict[str, Any], dict[str, PortRef]]:
    """A node's plain values and its links."""
    links = {name: value.ref for name, value in node.__dict__.items() if isinstance(value, Link)}
    return {name: value for name, value in node.__dict__.items() if name not in links}, links


def _entry(node: Node[Any]) -> NodeEntry:
    kind: Any = type(node)
    spec = _value_spec(kind)
    values, links = split_inputs(node)
    given = {
        name: spec.inputs[name].to_json(value) for name, value in values.items() if not _is_default(spec, name, value)
    }
    return NodeEntry(
        type=spec.type, version=spec.version, values=given, links={name: str(ref) for name, ref in links.items()}
    )


def _is_default(spec: NodeSpec, name: str, value: Any) -> bool:
    port = spec.inputs[name]
    return not port.required and type(value) is type(port.default) and value == port.default


@lru_cache(maxsize=None)
def _value_spec(cls: Any) -> NodeSpec:
    # Payloads never stand in a file, so writing one needs no port types.
    return build_spec(cls, {})


def _wrong(code: str, message: str, hint: str, node: str | None) -> WorkflowError:
    return WorkflowError([Problem(code, message, hint, node=node)])
