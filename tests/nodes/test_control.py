from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sdgraph_nodes.control import ApplyControl

from sdgraph.errors import SamplingError
from sdgraph.models.checkpoint import read_checkpoint, read_controlnet
from sdgraph.payloads.control import Control, ControlBranch
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import controlnet
from tests.toys import RecordingContext


def apply(**values: Any) -> Control:
    out: Any = ApplyControl(net=controlnet(), **values).run(RecordingContext())
    return out.control


def test_controls_are_chained_in_order() -> None:
    first, second = noise(8, 8), noise(8, 8, seed=1)
    chained = apply(image=second, strength=0.5, start=0.1, end=0.6, control=apply(image=first))
    assert [branch.image for branch in chained.branches if isinstance(branch, ControlBranch)] == [first, second]
    assert (chained.branches[1].strength, chained.branches[1].start, chained.branches[1].end) == (0.5, 0.1, 0.6)


def test_another_autoencoder_shows_the_picture_to_a_network_that_sees_latents() -> None:
    """And the picture is that of sampling with a checkpoint whose own it is."""
    own = read_checkpoint("synthetic:flux-tiny")
    other = replace(own.vae, source="elsewhere")
    net = read_controlnet("synthetic:flux-tiny/controlnet_canny")
    out: Any = ApplyControl(net=net, image=noise(8, 8), vae=other).run(RecordingContext())
    assert out.control.branches[0].vae == other
    assert own.denoiser.vae == own.vae


@pytest.mark.parametrize(("shows", "told"), [("auto", "canny, tile"), ("canny", None)])
def test_a_union_network_is_told_what_its_picture_shows(shows: Any, told: str | None) -> None:
    net = read_controlnet("synthetic:flux-tiny/controlnet_union")
    if told is None:
        out: Any = ApplyControl(net=net, image=noise(8, 8), shows=shows).run(RecordingContext())
        assert out.control.branches[0].shows == shows
        return
    with pytest.raises(SamplingError, match=told) as caught:
        ApplyControl(net=net, image=noise(8, 8), shows=shows).run(RecordingContext())
    assert (caught.value.code, caught.value.problem.port) == ("control-kind", "shows")


def test_a_control_that_would_end_before_it_starts_is_refused() -> None:
    with pytest.raises(SamplingError) as caught:
        apply(image=noise(8, 8), start=0.8, end=0.2)
    assert caught.value.code == "control-range"
