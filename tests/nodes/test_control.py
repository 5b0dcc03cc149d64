from __future__ import annotations

from typing import Any

import pytest
from sdgraph_nodes.control import ApplyControl

from sdgraph.errors import SamplingError
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


def test_a_control_that_would_end_before_it_starts_is_refused() -> None:
    with pytest.raises(SamplingError) as caught:
        apply(image=noise(8, 8), start=0.8, end=0.2)
    assert caught.value.code == "control-range"
