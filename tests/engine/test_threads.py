"""Lanes and threads: what runs at once, what never does, and graphs of any size and shape."""

import threading
from typing import Any

import pytest

from sdgraph.core.workflow import Workflow
from sdgraph.errors import SettingsError
from tests.engine.runs import WAIT_S, diamond, in_memory, uncached
from tests.engine.toys import Count, DeviceCount, chain


def test_independent_cpu_nodes_run_in_parallel() -> None:
    bench = in_memory(threads={"cpu": 3})
    meeting = threading.Barrier(3, timeout=WAIT_S)
    workflow = Workflow("parallel")
    for place in range(3):
        bench.log.hooks[f"n{place}"] = lambda _: meeting.wait()  # passes only if all three are there at once
        workflow.output(f"o{place}", workflow.add(f"n{place}", Count(name=f"n{place}", start=place)).out.value)
    assert bench.run(workflow).status == "done"


def test_a_node_that_was_expected_to_be_quick_and_is_not_holds_up_nobody() -> None:
    bench = in_memory(threads={"cpu": 2})
    for _ in range(20):
        bench.executor.costs.learn("toy.count", 1e-6)
    meeting = threading.Barrier(2, timeout=WAIT_S)
    workflow = Workflow("parallel")
    for place in range(2):
        bench.log.hooks[f"n{place}"] = lambda _: meeting.wait()
        workflow.output(f"o{place}", workflow.add(f"n{place}", Count(name=f"n{place}", start=place)).out.value)
    assert bench.run(workflow).status == "done"


def test_the_device_lane_never_overlaps_itself_not_even_in_several_runs() -> None:
    bench = uncached(threads={"device": 2})
    inside = threading.Lock()

    def alone(_: Any) -> None:
        assert inside.acquire(blocking=False), "two nodes on the device at once"
        inside.release()

    workflow = Workflow("device")
    for place in range(40):
        bench.log.hooks[f"n{place}"] = alone
        node = DeviceCount(name=f"n{place}", start=place)
        workflow.output(f"o{place}", workflow.add(f"n{place}", node).out.value)
    reports: list[Any] = []
    runs = [threading.Thread(target=lambda: reports.append(bench.run(workflow))) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(WAIT_S)
    assert [report.status for report in reports] == ["done"] * 3


def test_lanes_are_served_by_threads_of_their_own() -> None:
    bench = in_memory()
    workflow = Workflow("lanes")
    cpu = workflow.add("cpu", Count(name="cpu")).out.value
    workflow.output("out", workflow.add("device", DeviceCount(name="device", start=1, a=cpu)).out.value)
    bench.run(workflow)
    assert bench.log.threads["cpu"].startswith("sdgraph-cpu")
    assert bench.log.threads["device"].startswith("sdgraph-device")


def test_no_thread_is_left_after_a_run() -> None:
    bench = in_memory()
    bench.log.broken.add("left")
    bench.run(diamond())
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("sdgraph-")]


def test_a_lane_without_threads_is_refused() -> None:
    with pytest.raises(SettingsError, match="threads-invalid"):
        in_memory(threads={"cpu": 0})


@pytest.mark.parametrize("threads", [1, 4])
def test_a_long_chain_and_a_wide_graph_need_no_recursion(threads: int) -> None:
    bench = in_memory(threads={"cpu": threads})
    assert bench.run(chain(5_000)).status == "done"
    wide = Workflow("wide")
    for place in range(2_000):
        wide.output(f"o{place}", wide.add(f"w{place}", Count(start=place, a=1)).out.value)
    assert bench.run(wide).count("ran") == 2_000


def test_a_failure_at_the_start_of_a_long_chain_skips_all_of_it() -> None:
    bench = in_memory()
    bench.log.broken.add("n0")
    assert bench.run(chain(5_000)).count("skipped") == 4_999
