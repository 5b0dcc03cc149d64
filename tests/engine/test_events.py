"""The events of a run: numbered, in order, and no listener can stop it."""

from sdgraph.core.context import RunContext, current_context
from sdgraph.core.workflow import Workflow
from sdgraph.engine.events import RunEvent
from tests.engine.runs import diamond, in_memory
from tests.engine.toys import Count, chain


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


def test_what_happens_to_resources_is_heard_and_kept_unless_it_is_of_the_moment() -> None:
    heard: list[RunEvent] = []
    bench = in_memory()

    def work(ctx: RunContext) -> None:
        assert current_context() is ctx
        ctx.tell("model", keep=False, what="loading", done_bytes=1, total_bytes=2)
        ctx.tell("model", what="loaded", bytes=2)

    bench.log.hooks["root"] = work
    report = bench.run(diamond(), listeners=(heard.append,))
    told = [event.to_json() for event in heard if event.type == "model"]
    assert [event["what"] for event in told] == ["loading", "loaded"]
    assert {event["node"] for event in told} == {"root"}
    assert report.resources == ({"type": "model", "node": "root", "what": "loaded", "bytes": 2},)
    assert current_context() is None
