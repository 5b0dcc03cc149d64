"""Running plans: what runs, in which order, on which threads, and what becomes of failures and cancellation."""

import signal
import threading
from typing import Any

import numpy as np
import pytest

from sdgraph.core.workflow import Workflow
from sdgraph.engine.context import CancelToken
from sdgraph.engine.events import RunEvent
from sdgraph.engine.plan import Action
from sdgraph.engine.stores.base import NullStore, Payloads, Result
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.errors import SettingsError
from tests.engine.toys import (
    Bench,
    Count,
    DeviceCount,
    Half,
    Handle,
    Liar,
    ListVandal,
    Louder,
    Record,
    Repeat,
    Save,
    Split,
    Switch,
    Things,
    Vandal,
    Whisper,
    chain,
)  # fmt: skip

WAIT_S = 20.0
"""How long a test waits for what must happen before it fails."""


def in_memory(**options: Any) -> Bench:
    return Bench(MemoryStore, **options)


def uncached(**options: Any) -> Bench:
    return Bench(lambda payloads: NullStore(), **options)


def diamond() -> Workflow:
    """root feeds left and right, which both feed join."""
    workflow = Workflow("diamond")
    root = workflow.add("root", Count(name="root", start=1)).out.value
    left = workflow.add("left", Count(name="left", start=2, a=root)).out.value
    right = workflow.add("right", Count(name="right", start=3, a=root)).out.value
    workflow.output("out", workflow.add("join", Count(name="join", a=left, b=right)).out.value)
    return workflow


def test_a_run_computes_every_node_once_and_gives_the_outputs() -> None:
    bench = in_memory()
    report = bench.run(diamond())
    assert report.status == "done"
    assert report.outputs == {"out": 2 * (2 + 2) + 3 * (3 + 2)}
    assert bench.log.runs == {"root": 1, "left": 1, "right": 1, "join": 1}
    assert {node.status for node in report.nodes.values()} == {"ran"}


def test_a_second_run_computes_nothing() -> None:
    bench = in_memory()
    first = bench.run(diamond())
    second = bench.run(diamond())
    assert second.status == "done"
    assert second.outputs == first.outputs
    assert {node.status for node in second.nodes.values()} == {"hit"}
    assert bench.log.runs.total() == 4


def test_targets_that_are_hits_do_not_end_the_run_before_the_others_ran() -> None:
    bench = in_memory()
    workflow = Workflow("two")
    workflow.output("first", workflow.add("first", Count(name="first", start=1)).out.value)
    bench.run(workflow)
    workflow.output("second", workflow.add("second", Count(name="second", start=2)).out.value)
    report = bench.run(workflow)
    assert report.status == "done"
    assert report.outputs == {"first": 1, "second": 2}


def test_nodes_with_equal_keys_run_once() -> None:
    bench = in_memory()
    workflow = Workflow("twins")
    for name in ("a", "b", "c"):
        value = workflow.add(name, Count(name=name, start=7)).out.value
        workflow.output(f"{name}_out", workflow.add(f"after_{name}", Count(name=f"after_{name}", a=value)).out.value)
    report = bench.run(workflow)
    assert report.outputs == {"a_out": 14, "b_out": 14, "c_out": 14}
    assert bench.log.runs.total() == 2
    assert report.nodes["b"].status == "hit"
    assert report.nodes["b"].reason == "the same as a"


def test_a_failing_node_stops_only_what_depends_on_it() -> None:
    bench = in_memory()
    bench.log.broken.add("left")
    workflow = diamond()
    workflow.output("other", workflow.add("other", Count(name="other", start=50)).out.value)
    report = bench.run(workflow)
    assert report.status == "partial"
    assert report.outputs == {"other": 50}
    statuses = {name: node.status for name, node in report.nodes.items()}
    assert statuses == {"root": "ran", "left": "failed", "right": "ran", "join": "skipped", "other": "ran"}
    (problem,) = report.errors
    assert problem.code == "node-failed"
    assert problem.node == "left"
    assert "left is broken" in problem.message


def test_a_fixed_rerun_starts_from_what_was_stored() -> None:
    bench = in_memory()
    bench.log.broken.add("left")
    bench.run(diamond())
    bench.log.broken.clear()
    bench.log.runs.clear()
    assert bench.run(diamond()).status == "done"
    assert bench.log.runs == {"left": 1, "join": 1}


def test_a_run_whose_every_output_fails_is_failed() -> None:
    bench = in_memory()
    bench.log.broken.add("n0")
    report = bench.run(chain(3))
    assert report.status == "failed"
    assert report.outputs == {}


def test_a_node_that_exits_the_interpreter_is_a_failed_node() -> None:
    bench = in_memory()

    def leave(_: Any) -> None:
        raise SystemExit(3)

    bench.log.hooks["n1"] = leave
    report = bench.run(chain(3))
    assert report.nodes["n1"].status == "failed"
    assert report.nodes["n2"].status == "skipped"


def test_a_node_that_returns_the_wrong_thing_has_failed() -> None:
    workflow = Workflow("liar")
    workflow.output("out", workflow.add("liar", Liar()).out.tape)
    (problem,) = in_memory().run(workflow).errors
    assert problem.code == "outputs-invalid"
    assert problem.node == "liar"
    assert "str" in problem.message


def test_a_computed_value_that_does_not_fit_a_port_is_a_problem_of_that_port() -> None:
    workflow = Workflow("half")
    half: Any = workflow.add("half", Half(value=3.0)).out.value
    workflow.output("out", workflow.add("count", Count(a=half)).out.value)
    (problem,) = in_memory().run(workflow).errors
    assert (problem.code, problem.node, problem.port) == ("value-invalid", "count", "a")
    assert "1.5" in problem.message


def test_an_integer_that_is_computed_arrives_at_a_float_port_as_a_float() -> None:
    workflow = Workflow("half")
    count: Any = workflow.add("count", Count(start=3)).out.value
    workflow.output("out", workflow.add("half", Half(value=count)).out.value)
    assert in_memory().run(workflow).outputs == {"out": 1.5}


def test_a_node_cannot_change_an_input_that_others_see() -> None:
    bench = in_memory()
    workflow = Workflow("vandal")
    tape = workflow.add("tape", Record(level=1.0)).out.tape
    workflow.output("vandal", workflow.add("vandal", Vandal(tape=tape)).out.tape)
    workflow.output("honest", workflow.add("honest", Louder(tape=tape)).out.tape)
    workflow.output("tape", tape)
    report = bench.run(workflow)
    assert report.nodes["vandal"].status == "failed"
    np.testing.assert_array_equal(report.outputs["tape"].samples, np.ones(4, np.float32))
    np.testing.assert_array_equal(report.outputs["honest"].samples, np.full(4, 2, np.float32))


def test_a_node_cannot_change_a_plain_list_that_others_see() -> None:
    workflow = Workflow("vandal")
    things = workflow.add("things", Things()).out.value
    for name in ("first", "second"):
        workflow.output(name, workflow.add(name, ListVandal(things=things)).out.value)
    workflow.output("things", things)
    assert in_memory().run(workflow).outputs == {"first": 2, "second": 2, "things": ["clean"]}


def test_whoever_writes_into_a_report_changes_no_stored_result() -> None:
    bench = in_memory()
    workflow = Workflow("list")
    workflow.output("things", workflow.add("things", Things()).out.value)
    bench.run(workflow).outputs["things"].append("graffiti")
    assert bench.run(workflow).outputs == {"things": ["clean"]}


def test_a_choice_made_while_running_runs_only_the_branch_taken() -> None:
    bench = in_memory()
    workflow = Workflow("choice")
    choice = workflow.add("choice", Count(name="choice", start=1)).out.value
    a = workflow.add("a", Count(name="a", start=10)).out.value
    b = workflow.add("b", Count(name="b", start=20)).out.value
    before_b = workflow.add("deep", Count(name="deep", a=b)).out.value
    workflow.output("out", workflow.add("switch", Switch(name="switch", choice=choice, a=a, b=before_b)).out.value)
    report = bench.run(workflow)
    assert report.outputs == {"out": 40}
    assert bench.log.runs == {"choice": 1, "b": 1, "deep": 1, "switch": 1}
    assert report.nodes["a"].status == "skipped"
    assert report.nodes["a"].reason == "not needed"


def test_a_lazy_node_is_started_once_even_if_its_branch_has_to_run_first() -> None:
    events: list[RunEvent] = []
    workflow = Workflow("choice")
    choice = workflow.add("choice", Count(start=0)).out.value
    a = workflow.add("a", Count(start=10)).out.value
    workflow.output("out", workflow.add("switch", Switch(choice=choice, a=a, b=a)).out.value)
    in_memory().run(workflow, listeners=(events.append,))
    assert [event.node for event in events if event.type == "node_started"].count("switch") == 1


def test_a_branch_chosen_late_finds_what_others_computed_before_even_without_a_cache() -> None:
    bench = uncached()
    workflow = Workflow("late")
    shared = workflow.add("shared", Count(name="shared", start=5)).out.value
    early = workflow.add("early", Count(name="early", start=1, a=shared)).out.value
    branch = workflow.add("branch", Count(name="branch", start=2, a=shared)).out.value
    choice = workflow.add("choice", Count(name="choice", start=0, a=early, b=early)).out.value  # early is 11
    workflow.output("out", workflow.add("switch", Switch(name="switch", choice=choice, a=branch, b=branch)).out.value)
    report = bench.run(workflow)
    assert report.outputs == {"out": 12}
    assert bench.log.runs["shared"] == 1


def test_a_chosen_branch_that_fails_stops_the_switch() -> None:
    bench = in_memory()
    bench.log.broken.add("a")
    workflow = Workflow("choice")
    choice = workflow.add("choice", Count(start=0)).out.value
    a = workflow.add("a", Count(name="a", start=10)).out.value
    b = workflow.add("b", Count(name="b", start=20)).out.value
    workflow.output("out", workflow.add("switch", Switch(choice=choice, a=a, b=b)).out.value)
    report = bench.run(workflow)
    assert report.status == "failed"
    assert {name: node.status for name, node in report.nodes.items()} == {
        "choice": "ran", "a": "failed", "b": "skipped", "switch": "skipped",
    }  # fmt: skip


def test_a_macro_node_runs_as_its_parts() -> None:
    bench = in_memory()
    workflow = Workflow("macro")
    start = workflow.add("start", Count(start=1)).out.value
    workflow.output("out", workflow.add("repeat", Repeat(a=start, times=3)).out.value)
    report = bench.run(workflow)
    assert report.outputs == {"out": ((1 * 2 + 0) * 2 + 1) * 2 + 2}
    assert [bench.log.runs[f"step{step}"] for step in range(3)] == [1, 1, 1]


def test_every_output_of_a_node_reaches_its_reader() -> None:
    workflow = Workflow("split")
    split = workflow.add("split", Split(value=47)).out
    workflow.output("out", workflow.add("join", Count(a=split.low, b=split.high)).out.value)
    assert in_memory().run(workflow).outputs == {"out": 2 * 7 + 3 * 4}


def test_handles_are_made_anew_in_every_run_and_only_when_needed() -> None:
    bench = in_memory()
    workflow = Workflow("handle")
    handle = workflow.add("handle", Handle(name="handle", start=4)).out.value
    first = workflow.add("first", Count(name="first", a=handle)).out.value
    workflow.output("first", first)
    bench.run(workflow)
    bench.run(workflow)
    assert bench.log.runs == {"handle": 1, "first": 1}
    workflow.output("second", workflow.add("second", Count(name="second", start=1, a=handle)).out.value)
    assert bench.run(workflow).status == "done"
    assert bench.log.runs == {"handle": 2, "first": 1, "second": 1}


def test_only_the_nodes_asked_for_have_results_even_if_another_shares_their_step() -> None:
    bench = in_memory()
    workflow = Workflow("saves")
    value = workflow.add("value", Count(start=3)).out.value
    one = workflow.add("one", Save(value=value, file_name="one.txt")).out.value
    workflow.add("two", Save(value=value, file_name="two.txt"))
    workflow.output("one", one)
    assert set(bench.run(workflow).results) == {"one", "two"}
    assert set(bench.run(bench.plan(workflow, outputs=["one"])).results) == {"one"}


def test_a_result_that_was_evicted_after_planning_is_computed() -> None:
    bench = in_memory()
    bench.run(diamond())
    plan = bench.plan(diamond())
    assert isinstance(bench.store, MemoryStore)
    bench.store.clear()
    bench.log.runs.clear()
    report = bench.run(plan)
    assert report.status == "done"
    assert bench.log.runs == {"root": 1, "left": 1, "right": 1, "join": 1}
    assert report.nodes["join"].reason == "its stored result was gone or damaged"


def test_an_unreadable_hit_behind_a_node_that_failed_is_skipped() -> None:
    bench = in_memory()
    workflow = chain(3)
    bench.run(workflow)
    plan = bench.plan(workflow)
    assert isinstance(bench.store, MemoryStore)
    bench.store.clear()
    bench.log.broken.add("n0")
    report = bench.run(plan)
    assert report.status == "failed"
    assert {name: node.status for name, node in report.nodes.items()} == {
        "n0": "failed", "n1": "skipped", "n2": "skipped",
    }  # fmt: skip


# Threads.


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


# Cancelling.


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


# Events.


def test_events_are_numbered_in_the_order_in_which_listeners_get_them() -> None:
    events: list[RunEvent] = []
    bench = in_memory(threads={"cpu": 4})
    workflow = Workflow("wide")
    for place in range(200):
        workflow.output(f"o{place}", workflow.add(f"n{place}", Count(start=place)).out.value)
    bench.run(workflow, listeners=(events.append,))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[0].type == "run_started"
    assert events[-1].type == "run_finished"


def test_every_node_of_a_cached_run_is_told_of_exactly_once() -> None:
    bench = in_memory()
    workflow = diamond()
    workflow.add("twin", Count(name="twin", start=1))
    bench.run(workflow)
    events: list[RunEvent] = []
    bench.run(workflow, listeners=(events.append,))
    told = [event.node for event in events if event.type == "node_cached"]
    assert sorted(map(str, told)) == ["join", "left", "right", "root", "twin"]


def test_a_listener_that_fails_is_a_warning_and_the_run_goes_on() -> None:
    heard: list[RunEvent] = []

    def bad(event: RunEvent) -> None:
        raise LookupError("out of paper")

    report = in_memory().run(diamond(), listeners=(bad, heard.append))
    assert report.status == "done"
    assert [problem.code for problem in report.problems] == ["listener-failed"]
    assert "out of paper" in report.problems[0].message
    assert heard[-1].type == "run_finished"


def test_progress_reaches_listeners_and_previews_stay_out_of_json() -> None:
    bench, events = in_memory(), list[RunEvent]()
    bench.log.hooks["n0"] = lambda ctx: ctx.progress(1, 2, preview="picture")
    bench.run(chain(1), listeners=(events.append,))
    (progress,) = (event for event in events if event.type == "node_progress")
    assert progress.data["preview"] == "picture"
    assert progress.to_json() == {
        "seq": progress.seq, "run_id": progress.run_id, "type": "node_progress", "node": "n0", "done": 1, "total": 2,
    }  # fmt: skip


# Stores that misbehave.


class BadStore(MemoryStore):
    """A store with a defect."""

    def save(self, key: bytes, result: Result, *, keep: bool = False) -> None:
        raise OverflowError("no more shelves")


def test_a_store_with_a_defect_costs_the_caching_and_not_the_results() -> None:
    report = Bench(BadStore).run(diamond())
    assert report.status == "done"
    assert {problem.code for problem in report.problems} == {"result-not-stored"}
    assert not report.errors


def test_a_result_that_can_not_be_encoded_still_travels_in_memory() -> None:
    workflow = Workflow("secret")
    workflow.output("out", workflow.add("whisper", Whisper()).out.value)
    assert in_memory().run(workflow).outputs["out"].word == "psst"


def test_the_report_times_nodes_by_the_executor_clock() -> None:
    now = iter(range(1000))
    bench = in_memory(clock=lambda: float(next(now)), threads={"cpu": 1})
    report = bench.run(chain(2))
    assert report.nodes["n0"].elapsed_s == 1.0
    assert report.nodes["n0"].to_json()["elapsed_s"] == 1.0
    assert sum(node.elapsed_s for node in report.nodes.values()) <= report.elapsed_s


def test_planned_runs_and_hits_are_what_the_run_does() -> None:
    bench = in_memory()
    bench.run(chain(3))
    workflow = chain(5)
    plan = bench.plan(workflow)
    planned = {name: step.action for name, step in plan.step_of.items()}
    report = bench.run(plan)
    assert planned == {
        "n0": Action.HIT, "n1": Action.HIT, "n2": Action.HIT, "n3": Action.RUN, "n4": Action.RUN,
    }  # fmt: skip
    assert [report.nodes[f"n{place}"].status for place in range(5)] == ["hit", "hit", "hit", "ran", "ran"]


def test_payload_sizes_count_every_output() -> None:
    payloads: Payloads = in_memory().payloads
    assert payloads.size_bytes(Result({"a": 1, "b": 2}, 0.0)) == 128
