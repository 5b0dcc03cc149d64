"""Estimates are what nodes took the last time, or what others of their type take."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, delete

from sdgraph.server.runs.estimates import Estimates
from sdgraph.server.runs.tables import NODE_TIMES


@pytest.fixture
def times(engine: Engine) -> Engine:
    """A database in which nothing was learnt."""
    with engine.begin() as connection:
        connection.execute(delete(NODE_TIMES))
    return engine


def document(**types: str) -> dict[str, Any]:
    return {"nodes": {name: {"type": kind} for name, kind in types.items()}}


def report(**elapsed_s: float) -> dict[str, Any]:
    return {"nodes": {name: {"status": "ran", "elapsed_s": seconds} for name, seconds in elapsed_s.items()}}


def test_a_node_takes_what_it_took_the_last_time(times: Engine) -> None:
    estimates = Estimates(times)
    assert estimates.of("portrait", "sample", "sd.sampler") is None
    for seconds in (4.0, 8.0):
        estimates.learn("portrait", document(sample="sd.sampler"), report(sample=seconds))
    assert estimates.of("portrait", "sample", "sd.sampler") == 8.0


def test_a_node_that_has_not_run_takes_what_its_type_does(times: Engine) -> None:
    estimates = Estimates(times)
    estimates.learn("portrait", document(a="sd.sampler", b="sd.sampler"), report(a=4.0, b=8.0))
    assert estimates.of("landscape", "c", "sd.sampler") == pytest.approx(4.0 + 0.3 * 4.0)
    assert estimates.of("landscape", "c", "sd.vae_decode") is None


def test_hits_teach_nothing(times: Engine) -> None:
    estimates = Estimates(times)
    hit = {"nodes": {"a": {"status": "hit", "elapsed_s": 0.0}}}
    estimates.learn("portrait", document(a="sd.sampler"), hit)
    assert estimates.of("portrait", "a", "sd.sampler") is None


def test_what_was_learnt_outlives_the_server(times: Engine) -> None:
    Estimates(times).learn("", document(a="sd.sampler"), report(**{"a": 4.0, "inner/b \0": 2.0}))
    again = Estimates(times)
    assert (again.of("", "a", "x"), again.of("", "inner/b \ufffd", "x")) == (4.0, 2.0)
    many = report(**{f"n{index}": 1.0 for index in range(1200)})
    again.learn("large", document(), many)
    again.learn("large", document(), many)
    assert Estimates(times).of("large", "n1199", "x") == 1.0
