"""The table of measured memory, and what it says of sizes that were not measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdgraph.models.memory.needs import Need
from sdgraph.models.memory.peaks import PeakTable, predict_from
from sdgraph.models.memory.predict import predict
from sdgraph.payloads.handles import ModelHandle
from tests.models.pools import handle_of

BYTES = st.integers(0, 10**12)


@given(
    base=st.integers(0, 10**9),
    per_pixel=st.integers(0, 5000),
    sizes=st.lists(st.integers(1, 10**7), min_size=2, max_size=6, unique=True),
    asked=st.integers(1, 10**7),
)
def test_costs_that_are_affine_in_the_pixels_are_predicted(
    base: int, per_pixel: int, sizes: list[int], asked: int
) -> None:
    points = [(size, base + per_pixel * size) for size in sizes]
    expected = base + per_pixel * asked
    assert predict_from(points, asked) == pytest.approx(expected, rel=1e-6, abs=10)


@given(known=st.integers(1, 10**7), size_bytes=BYTES, asked=st.integers(1, 10**7))
def test_one_measurement_is_scaled_by_the_pixels(known: int, size_bytes: int, asked: int) -> None:
    assert predict_from([(known, size_bytes)], asked) == pytest.approx(size_bytes * asked / known, abs=1)


@given(points=st.lists(st.tuples(st.integers(0, 10**7), BYTES), min_size=1, unique_by=lambda point: point[0]))
def test_no_prediction_is_below_zero_and_a_measured_size_is_what_was_measured(points: list[tuple[int, int]]) -> None:
    table = PeakTable()
    for pixels, size_bytes in points[:32]:
        table.record("node", pixels, size_bytes)
    assert (table.predict("node", 12345) or 0) >= 0
    assert [table.predict("node", pixels) for pixels, _ in points[:32]] == [size for _, size in points[:32]]


def test_what_was_never_measured_is_not_known() -> None:
    table = PeakTable()
    table.record("node cpu a", 100, 1000)
    assert table.predict("node cpu b", 100) is None


def test_the_table_outlives_its_process_and_forgets_the_oldest_sizes(tmp_path: Path) -> None:
    path = tmp_path / "results" / "memory.json"
    table = PeakTable(path)
    for size in range(40):
        table.record("node", size + 1, 10 * (size + 1))
    table.record("node", 40, 7)
    table.record_device("cuda:0", 80)
    table.record_device("cpu", 16)
    table.record_device("cuda:0", 80)
    again = PeakTable(path)
    assert list(again.devices) == ["cpu", "cuda:0"]
    assert again.predict("node", 40) == 7
    assert len(again._peaks["node"]) == 32
    assert [path.name for path in path.parent.iterdir()] == ["memory.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"version": 2}', '{"version": 1, "devices": 3}'])
def test_a_damaged_table_is_an_empty_one(content: str, tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    path.write_text(content)
    table = PeakTable(path)
    assert table.predict("node", 1) is None
    table.record("node", 1, 2)
    assert PeakTable(path).predict("node", 1) == 2


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    table = PeakTable(tmp_path / "file" / "memory.json")
    table.record("node", 1, 2)
    assert table.predict("node", 1) == 2


@pytest.fixture
def needs(monkeypatch: pytest.MonkeyPatch) -> list[Need]:
    """Two nodes with a model each of 100 and 30 bytes, and one with both."""
    from sdgraph.models.memory import predict as module

    sizes = {"a": 100, "b": 30}

    def weights_bytes(handle: ModelHandle) -> int:
        return sizes[handle.source]

    monkeypatch.setattr(module, "weights_bytes", weights_bytes)
    a, b = handle_of("a"), handle_of("b")
    return [Need("one", "t.one", (a,), 10), Need("two", "t.two", (b,), 10), Need("both", "t.both", (a, b), 10)]


def measured(needs: list[Need], *peaks: int) -> PeakTable:
    table = PeakTable()
    for need, peak in zip(needs, peaks, strict=False):
        table.record(need.entry("cpu"), 10, peak)
    return table


@pytest.mark.parametrize(
    ("budget", "peak", "node"),
    [(None, 130 + 50, "two"), (100, 100 + 50, "two"), (0, 130 + 7, "both"), (110, 110 + 50, "two")],
)
def test_the_peak_is_the_weights_that_stay_and_the_largest_node(
    budget: int | None, peak: int, node: str, needs: list[Need]
) -> None:
    found = predict(needs, measured(needs, 5, 50, 7), "cpu", budget_bytes=budget)
    assert (found.peak_bytes, found.node, found.weights_bytes) == (peak, node, 130)
    assert found.unmeasured == ()


def test_a_run_that_is_expected_not_to_fit_is_warned_of(needs: list[Need]) -> None:
    table = measured(needs, 5)
    for available, codes in ((135, []), (134, ["memory-short"]), (None, [])):
        found = predict(needs, table, "cpu", available_bytes=available)
        assert [problem.code for problem in found.problems()] == codes
        assert found.unmeasured == ("two", "both")
    assert found.to_json()["peak_bytes"] == 135
