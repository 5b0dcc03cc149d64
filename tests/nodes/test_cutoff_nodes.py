"""Nodes with early cut-off: what reads them runs again only when the value that they give is another one."""

import pytest
from sdgraph_nodes.mask_edits import GrowMask, InvertMask
from sdgraph_nodes.mask_shapes import DrawMask
from sdgraph_nodes.pack import PACK

from sdgraph.core.build import build_graph
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.memory import MemoryStore


def masks(edge_px: int) -> Workflow:
    """A mask of everything, that grows, and is inverted."""
    workflow = Workflow("masks")
    drawn = workflow.add("draw", DrawMask(width_px=32, height_px=32, left=0, top=0, right=1, bottom=1)).out.mask
    grown = workflow.add("grow", GrowMask(mask=drawn, grow_px=edge_px)).out.mask
    workflow.output("mask", workflow.add("invert", InvertMask(mask=grown)).out.mask)
    return workflow


def test_a_mask_that_comes_out_the_same_runs_nothing_after_it() -> None:
    registry = Registry([PACK])
    store = MemoryStore(Payloads(registry.port_types))
    executor = Executor(registry, store)

    def statuses(edge_px: int) -> dict[str, str]:
        report = executor.run(make_plan(build_graph(masks(edge_px), registry), store))
        assert report.outputs["mask"].values.sum() == 0
        return {name: node.status for name, node in report.nodes.items()}

    assert statuses(1) == {"draw": "ran", "grow": "ran", "invert": "ran"}
    assert statuses(9) == {"draw": "hit", "grow": "ran", "invert": "hit"}  # there was nothing left to grow into
    assert statuses(3) == {"draw": "hit", "grow": "ran", "invert": "hit"}


@pytest.mark.parametrize(
    "node_type",
    ["mask.from_image", "mask.grow", "mask.invert", "mask.feather", "mask.combine", "mask.draw", "text.template"],
)
def test_nodes_of_masks_and_texts_cut_off_and_leave_the_device_alone(node_type: str) -> None:
    cls = Registry([PACK]).specs[node_type].cls
    assert cls.node_cutoff
    assert cls.node_lane == "cpu"
