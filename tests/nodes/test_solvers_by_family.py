"""A solver or schedule that a model's family has no use for is refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from sdgraph import Registry
from tests.nodes.test_facts_before_a_run import DRAW, model, node, refused


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.installed()


def drawing(name: str, kind: str = "sd.sampler", /, **values: Any) -> dict[str, Any]:
    """The workflow with another model, and a sampler with these values."""
    sample = {"type": kind, "values": values, "links": DRAW["sample"]["links"]}
    start = node("sd.empty_latents", {"width_px": 64, "height_px": 64})
    return {"sd": model(name), "start": start, "sample": sample}


@pytest.mark.parametrize("family", ["sd3", "flux"])
@pytest.mark.parametrize(("port", "value"), [("solver", "ddim"), ("solver", "tcd"), ("sigmas", "ays_sd1")])
def test_flow_matching_refuses_what_is_for_other_models(registry: Registry, family: str, port: str, value: str) -> None:
    code = "solver-family" if port == "solver" else "sigmas-family"
    assert refused(registry, drawing(family, guidance=1, **{port: value})) == [(code, "sample", port)]


def test_a_stage_is_refused_too(registry: Registry) -> None:
    stages = [{"solver": "euler"}, {"solver": "pndm"}]
    found = refused(registry, drawing("sd3", "sd.staged_sampler", guidance=1, schedule_steps=40, stages=stages))
    assert found == [("solver-family", "sample", "stages")]


@pytest.mark.parametrize("values", [{"solver": "dpmpp_2m"}, {"solver": "lcm"}, {"sigmas": "karras"}])
def test_what_fits_both_is_accepted(registry: Registry, values: dict[str, Any]) -> None:
    assert refused(registry, drawing("sd3", guidance=1, **values)) == []
    assert refused(registry, drawing("sd15", guidance=1, **values)) == []
