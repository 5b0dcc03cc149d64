"""Runs the shipped workflows in process, on a tiny model with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sdgraph_nodes.pack import PACK

from sdgraph.core.build import build_graph
from sdgraph.core.document import WorkflowDocument, load_document, read_document, to_data
from sdgraph.core.registry import Registry
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import make_plan
from sdgraph.engine.report import RunReport
from sdgraph.engine.stores.base import Payloads, ResultStore
from sdgraph.engine.stores.memory import MemoryStore
from tests.workflows.small_files import tiny_embedding, tiny_lora

FOLDER = Path(__file__).parent.parent.parent / "workflows"
NAMES = (
    "txt2img",
    "img2img",
    "staged_dynamic_cfg",
    "controlnet_canny",
    "controlnet_depth",
    "two_controls",
    "t2i_adapter",
    "ip_adapter",
    "tile_upscale",
    "shared_conditioning",
    "multistage",
    "sdxl",
    "sdxl_refiner",
    "sd3",
    "flux",
    "regional_prompts",
    "prompt_editing",
    "prompt_composition",
    "lora",
    "textual_inversion",
    "guiders",
    "solvers",
    "early_stop",
    "inpaint",
    "differential",
    "outpaint",
    "variations",
    "hires_fix",
    "panorama",
    "hand_over",
    "sd3_controlnet",
    "flux_controlnet",
    "shortcuts",
    "pruning",
    "attention",
    "conditionings",
    "areas",
    "several_loras",
    "other_vae",
    "seeds",
    "custom_levels",
    "prompt_syntaxes",
    "clip_skip",
    "preprocessors",
    "template",
    "soft_inpaint",
    "inpaint_control",
    "sdxl_union",
    "upscale_model",
    "safety_checker",
)
TINY = "synthetic:sd15-tiny"


@cache
def registry() -> Registry:
    """The built-in pack."""
    return Registry([PACK])


@cache
def _services() -> Any:
    from sdgraph.engine.context import Services

    return Services(registry().services)  # one model pool for all tests


def shipped(name: str) -> WorkflowDocument:
    """A workflow as it ships."""
    return read_document(FOLDER / f"{name}.json")


def tiny(name: str) -> WorkflowDocument:
    """A shipped workflow on the tiny model, with fewer steps."""
    data = to_data(shipped(name))
    for graph in (data, *data.get("graphs", {}).values()):
        for node in graph["nodes"].values():
            if node["type"] == "sd.load_checkpoint":
                # Workflows of other families ship with a tiny model.
                node.setdefault("values", {}).setdefault("source", TINY)
            elif node["type"] == "control.load":
                if not node.get("values", {}).get("source", "").startswith("synthetic:"):
                    node["values"] = {"source": f"{TINY}/controlnet_canny"}
            elif node["type"] == "model.lora_denoiser":
                node["values"] = {"source": str(tiny_lora(TINY))}
            elif node["type"] == "text.embedding":
                node["values"] = {"source": str(tiny_embedding(TINY))}
            elif node["type"] == "sd.sampler_advanced":
                places = {name: 2 for name in ("first_step", "last_step") if name in node["values"]}
                node["values"] |= {"steps": 4, **places}
            elif node["type"] == "sd.sampler":
                node["values"]["steps"] = 4  # tile upscales run few of their steps as it is
            for stage in node.get("values", {}).get("stages", ()):
                stage["steps"] = 2
    return load_document(data)


class Session:
    """Runs documents against one store, as one user would."""

    def __init__(self, store: ResultStore | None = None) -> None:
        payloads = Payloads(registry().port_types)
        self.store = store or MemoryStore(payloads)
        self.executor = Executor(registry(), self.store, services=_services())

    def run(self, document: WorkflowDocument, inputs: Mapping[str, Any] | None = None, **options: Any) -> RunReport:
        """Run to the end; problems are in the report."""
        graph = build_graph(document, registry(), inputs)
        return self.executor.run(make_plan(graph, self.store), **options)


def ran(report: RunReport) -> set[str]:
    """Ids of the nodes that ran."""
    return {name for name, node in report.nodes.items() if node.status == "ran"}
