"""The benchmark of the engine's cost works, at a size that says nothing about the cost."""

import json

import pytest

from benchmarks import engine_overhead


def test_the_engine_benchmark_measures_every_shape_and_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine_overhead, "_NODES_PER_REPEAT", 40)
    engine_overhead.main(["--sizes", "40", "20", "--repeats", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [(row["shape"], row["nodes"]) for row in found["costs"]] == [
        ("chain", 20),
        ("chain", 40),
        ("wide", 20),
        ("wide", 40),
    ]
    assert all(row["cold_us"] > 0 and row["cached_us"] > 0 for row in found["costs"])
    assert set(found["growth"]) == set(engine_overhead.SHAPES)
    assert all(row["live_bytes"] > 0 for row in found["memory"])
    engine_overhead.show(found)
    assert "cold" in capsys.readouterr().out


def test_the_engine_benchmark_does_not_count_a_run_that_went_wrong() -> None:
    graph = engine_overhead.chain(3)
    executor = engine_overhead.Executor(engine_overhead.REGISTRY, engine_overhead.MemoryStore(engine_overhead.PAYLOADS))
    with pytest.raises(RuntimeError, match="every node is 'hit'"):
        engine_overhead.run_once(graph, executor, "hit")
