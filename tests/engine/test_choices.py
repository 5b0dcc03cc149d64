"""Choices made while running: only the branch taken runs."""

from sdgraph.core.workflow import Workflow
from sdgraph.engine.events import RunEvent
from tests.engine.runs import in_memory, uncached
from tests.engine.toys import Count, Switch


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
    assert report.nodes["a"].why.code == "not-needed"


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
