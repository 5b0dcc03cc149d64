from __future__ import annotations

from typing import Any

import pytest
from sdgraph_nodes.load_image import LoadImage
from sdgraph_nodes.pack import PACK
from sdgraph_nodes.resize import Resize
from sdgraph_nodes.switch import Switch
from sdgraph_nodes.values import BoolValue, FloatValue, IntValue, StringValue

from sdgraph.core.build import build_graph, check_workflow
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.memory import MemoryStore

REGISTRY = Registry([PACK])


def choose(condition: bool) -> Workflow:
    wf = Workflow("choice")
    picture = wf.add("picture", LoadImage(file="builtin:pair.png")).out.image
    small = wf.add("small", Resize(image=picture, width_px=8, height_px=8)).out.image
    large = wf.add("large", Resize(image=picture, width_px=80, height_px=80)).out.image
    asked = wf.add("asked", BoolValue(value=condition)).out.value
    wf.output("image", wf.add("switch", Switch(condition=asked, if_true=small, if_false=large)).out.value)
    return wf


@pytest.mark.parametrize(("condition", "edge_px", "left"), [(True, 8, "large"), (False, 80, "small")])
def test_only_the_branch_taken_runs(condition: bool, edge_px: int, left: str) -> None:
    store = MemoryStore(Payloads(REGISTRY.port_types))
    report = Executor(REGISTRY, store).run(make_plan(build_graph(choose(condition), REGISTRY), store))
    assert report.status == "done"
    assert report.outputs["image"].width_px == edge_px
    assert report.nodes[left].status == "skipped"


def test_values_behind_a_switch_are_computed_while_planning() -> None:
    wf = Workflow("constant")
    number = wf.add("number", IntValue(value=7)).out.value
    other = wf.add("other", FloatValue(value=0.5)).out.value
    wf.output("value", wf.add("switch", Switch(condition=False, if_true=number, if_false=other)).out.value)
    graph = build_graph(wf, REGISTRY)
    assert graph.constants == {"value": 0.5}
    assert not graph.nodes


def test_a_value_node_feeds_any_port_that_takes_the_value() -> None:
    wf = Workflow("feeds")
    picture = wf.add("picture", LoadImage(file="builtin:pair.png")).out.image
    width: Any = wf.add("width", IntValue(value=24)).out.value
    method: Any = wf.add("method", StringValue(value="nearest")).out.value
    wf.add("resized", Resize(image=picture, width_px=width, method=method))
    values = build_graph(wf, REGISTRY).nodes["resized"].values
    assert (values["width_px"], values["method"]) == (24, "nearest")


def test_a_branch_that_is_not_connected_is_a_clear_problem() -> None:
    wf = Workflow("missing")
    wf.output("value", wf.add("switch", Switch(condition=True, if_false=1)).out.value)
    (problem,) = check_workflow(wf, REGISTRY).problems
    assert (problem.code, problem.node) == ("node-will-fail", "switch")
    assert "`if_true` has no input" in problem.message
