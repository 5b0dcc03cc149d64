"""sdgraph: workflow node graphs for Stable Diffusion, with a cache that reruns only what changed.

The names below are the public ones. Each is imported when it is first used, and none of them imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sdgraph.version import VERSION

if TYPE_CHECKING:
    from sdgraph.core.build import Checked, build_graph, check_workflow
    from sdgraph.core.canonical import canonical
    from sdgraph.core.codegen import to_python
    from sdgraph.core.context import RunContext
    from sdgraph.core.document import WorkflowDocument, canonical_json, parse_document, read_document
    from sdgraph.core.graph import Graph
    from sdgraph.core.inputs import bind_inputs, describe_inputs
    from sdgraph.core.node import Delivery, Node, Outputs
    from sdgraph.core.pack import NodePack
    from sdgraph.core.port import In, Link, Out, port
    from sdgraph.core.porttype import Blob, Codec, Encoded, PortType
    from sdgraph.core.registry import Registry
    from sdgraph.core.workflow import Workflow
    from sdgraph.engine.context import CancelToken
    from sdgraph.engine.deliver import Delivered, deliver, picture_texts
    from sdgraph.engine.events import RunEvent
    from sdgraph.engine.executor import Executor
    from sdgraph.engine.plan import Action, Plan, make_plan
    from sdgraph.engine.report import NodeReport, RunReport
    from sdgraph.engine.stores.base import NullStore, Payloads, ResultStore
    from sdgraph.engine.stores.disk import DiskStore
    from sdgraph.engine.stores.memory import MemoryStore
    from sdgraph.engine.stores.tiered import TieredStore
    from sdgraph.errors import (
        MediaError,
        ModelError,
        NodeError,
        Problem,
        RegistryError,
        RunCancelled,
        SamplingError,
        SdgraphError,
        SettingsError,
        StoreError,
        WorkflowError,
    )
    from sdgraph.settings import Settings, read_settings

__version__ = VERSION

_HOMES = {
    "core.build": ("Checked", "build_graph", "check_workflow"),
    "core.canonical": ("canonical",),
    "core.codegen": ("to_python",),
    "core.context": ("RunContext",),
    "core.document": ("WorkflowDocument", "canonical_json", "parse_document", "read_document"),
    "core.graph": ("Graph",),
    "core.inputs": ("bind_inputs", "describe_inputs"),
    "core.node": ("Delivery", "Node", "Outputs"),
    "core.pack": ("NodePack",),
    "core.port": ("In", "Link", "Out", "port"),
    "core.porttype": ("Blob", "Codec", "Encoded", "PortType"),
    "core.registry": ("Registry",),
    "core.workflow": ("Workflow",),
    "engine.context": ("CancelToken",),
    "engine.deliver": ("Delivered", "deliver", "picture_texts"),
    "engine.events": ("RunEvent",),
    "engine.executor": ("Executor",),
    "engine.plan": ("Action", "Plan", "make_plan"),
    "engine.report": ("NodeReport", "RunReport"),
    "engine.stores.base": ("NullStore", "Payloads", "ResultStore"),
    "engine.stores.disk": ("DiskStore",),
    "engine.stores.memory": ("MemoryStore",),
    "engine.stores.tiered": ("TieredStore",),
    "errors": (
        "MediaError",
        "ModelError",
        "NodeError",
        "Problem",
        "RegistryError",
        "RunCancelled",
        "SamplingError",
        "SdgraphError",
        "SettingsError",
        "StoreError",
        "WorkflowError",
    ),
    "settings": ("Settings", "read_settings"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Action",
    "Blob",
    "CancelToken",
    "Checked",
    "Codec",
    "Delivered",
    "Delivery",
    "DiskStore",
    "Encoded",
    "Executor",
    "Graph",
    "In",
    "Link",
    "MediaError",
    "MemoryStore",
    "ModelError",
    "Node",
    "NodeError",
    "NodePack",
    "NodeReport",
    "NullStore",
    "Out",
    "Outputs",
    "Payloads",
    "Plan",
    "PortType",
    "Problem",
    "Registry",
    "RegistryError",
    "ResultStore",
    "RunCancelled",
    "RunContext",
    "RunEvent",
    "RunReport",
    "SamplingError",
    "SdgraphError",
    "Settings",
    "SettingsError",
    "StoreError",
    "TieredStore",
    "Workflow",
    "WorkflowDocument",
    "WorkflowError",
    "__version__",
    "bind_inputs",
    "build_graph",
    "canonical",
    "canonical_json",
    "check_workflow",
    "deliver",
    "describe_inputs",
    "make_plan",
    "parse_document",
    "picture_texts",
    "port",
    "read_document",
    "read_settings",
    "to_python",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'sdgraph' has no attribute {name!r}")
    found = getattr(import_module(f"sdgraph.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
