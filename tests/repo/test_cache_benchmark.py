"""The benchmark of the cache works, at sizes that say nothing about the cost."""

import json

import pytest

from benchmarks import cache


def test_the_cache_benchmark_measures_everything(capsys: pytest.CaptureFixture[str]) -> None:
    cache.main(["--small", "--entries", "100", "--repeats", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [row["edge_px"] for row in found["showcases"]] == [16, 32]
    assert all(row["restart"] > 0 and row["storing"] > 0 for row in found["showcases"])
    assert all(row["disk_hit_ms"] > 0 for row in found["hits"])
    assert found["encoder_runs"] == cache.LIMITS["encoder_runs"]
    assert found["large_store"]["entries"] == 100
    cache.show(found)
    assert "the text encoder ran 2 times" in capsys.readouterr().out
