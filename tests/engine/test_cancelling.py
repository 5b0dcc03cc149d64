"""Cancelling: what had finished is kept, and nothing else is stored."""

import signal
import threading
from typing import Any

import pytest

from sdgraph.core.workflow import Workflow
from sdgraph.engine.context import CancelToken
from sdgraph.engine.stores.memory import MemoryStore
from tests.engine.runs import WAIT_S, in_memory
from tests.engine.toys import DeviceCount, chain


def test_a_cancelled_run_keeps_what_had_finished_and_stores_nothing_else() -> None:
    bench = in_memory()
    cancel = CancelToken()

    def stop(ctx: Any) -> None:
        cancel.cancel()
        ctx.check_cancelled()

    bench.log.hooks["n2"] = stop
    report = bench.run(chain(5), cancel=cancel)
    assert report.status == "cancelled"
    assert [report.nodes[f"n{place}"].status for place in range(5)] == ["ran", "ran", "skipped", "skipped", "skipped"]
    assert isinstance(bench.store, MemoryStore)
    assert len(bench.store) == 2
    del bench.log.hooks["n2"]
    bench.log.runs.clear()
    assert bench.run(chain(5)).status == "done"
    assert bench.log.runs == {"n2": 1, "n3": 1, "n4": 1}


def test_a_run_cancelled_before_it_starts_runs_nothing() -> None:
    bench, cancel = in_memory(), CancelToken()
    cancel.cancel()
    assert bench.run(chain(3), cancel=cancel).status == "cancelled"
    assert bench.log.runs.total() == 0


def test_cancelling_after_the_last_node_changes_nothing() -> None:
    bench, cancel = in_memory(), CancelToken()
    bench.log.hooks["n2"] = lambda _: cancel.cancel()
    assert bench.run(chain(3), cancel=cancel).status == "done"


def test_a_node_that_claims_to_be_cancelled_in_a_run_that_is_not_has_failed() -> None:
    bench = in_memory()
    never = CancelToken()

    def claim(_: Any) -> None:
        from sdgraph.errors import RunCancelled

        raise RunCancelled

    bench.log.hooks["n1"] = claim
    report = bench.run(chain(3), cancel=never)
    assert report.status == "failed"
    assert report.nodes["n1"].status == "failed"


def test_a_node_waiting_for_the_device_can_be_cancelled() -> None:
    bench = in_memory()
    holds, may_end, cancel = threading.Event(), threading.Event(), CancelToken()

    def hold(_: Any) -> None:
        holds.set()
        assert may_end.wait(WAIT_S)

    bench.log.hooks["holder"] = hold
    first, second = Workflow("first"), Workflow("second")
    first.output("out", first.add("holder", DeviceCount(name="holder", start=1)).out.value)
    second.output("out", second.add("waiter", DeviceCount(name="waiter", start=2)).out.value)
    holder = threading.Thread(target=bench.run, args=(first,))
    holder.start()
    assert holds.wait(WAIT_S)
    threading.Timer(0.01, cancel.cancel).start()
    report = bench.run(second, cancel=cancel)
    may_end.set()
    holder.join(WAIT_S)
    assert report.status == "cancelled"
    assert bench.log.runs["waiter"] == 0


def test_ctrl_c_cancels_the_run() -> None:
    bench = in_memory()

    def interrupt(ctx: Any) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        while True:
            ctx.check_cancelled()

    bench.log.hooks["n1"] = interrupt
    report = bench.run(chain(3))
    assert report.status == "cancelled"
    assert report.nodes["n0"].status == "ran"


def test_a_second_ctrl_c_does_not_wait_for_a_node_that_does_not_listen() -> None:
    bench = in_memory()
    may_end = threading.Event()

    def ignore(ctx: Any) -> None:
        main = threading.main_thread().ident or 0
        signal.pthread_kill(main, signal.SIGINT)
        while not bench_cancelled(ctx):
            pass
        signal.pthread_kill(main, signal.SIGINT)
        assert may_end.wait(WAIT_S)

    def bench_cancelled(ctx: Any) -> bool:
        try:
            ctx.check_cancelled()
        except Exception:
            return True
        return False

    bench.log.hooks["n1"] = ignore
    with pytest.raises(KeyboardInterrupt):
        bench.run(chain(3))
    may_end.set()
