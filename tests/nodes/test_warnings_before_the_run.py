"""What sampling nodes say before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from sdgraph_nodes.sampler import Sampler
from sdgraph_nodes.tile_upscale import TileUpscale

from sdgraph.core.infer import Known
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import empty, model, prompt


def codes(steps: int, strength: float) -> list[list[str]]:
    common: Any = {"denoiser": model().denoiser, "positive": prompt("a star"), "steps": steps, "strength": strength}
    nodes: list[Any] = [Sampler(latents=empty(), **common), TileUpscale(image=noise(64, 64), vae=model().vae, **common)]
    found: list[list[str]] = []
    for node in nodes:
        known = Known()
        node.infer(known)
        found.append([warning.code for warning in known.warnings])
    return found


@pytest.mark.parametrize(("steps", "strength"), [(20, 0.04), (4, 0.2), (1, 0.99)])
def test_a_strength_that_leaves_no_step_is_warned_of(steps: int, strength: float) -> None:
    assert codes(steps, strength) == [["strength-without-steps"]] * 2


@pytest.mark.parametrize(("steps", "strength"), [(20, 0.05), (4, 0.25), (1, 1.0), (20, 0.0)])
def test_a_strength_that_is_off_or_leaves_a_step_is_not(steps: int, strength: float) -> None:
    assert codes(steps, strength) == [[], []]
