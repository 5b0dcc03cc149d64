"""Which device models run on."""

from __future__ import annotations

import pytest

from sdgraph.errors import ModelError
from sdgraph.models.device import resolve_device


def test_the_fastest_device_can_be_named_and_is_there() -> None:
    found = resolve_device("auto")
    assert resolve_device(found) == found


def test_a_device_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ModelError, match=r"'cuda:999'.*cpu.*\[device-missing\]"):
        resolve_device("cuda:999")
