"""The plan: what will run, what is a hit, and the reason for each."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from sdgraph.core.pack import NodePack
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.journal import Journal
from sdgraph.engine.plan import Action, Plan
from sdgraph.engine.record import _parts, difference, records_of, show
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.errors import WorkflowError
from tests.engine.toys import PACK, Bench, Count, Half, Handle, ReadFile, Record, Save, Switch, chain


class Session:
    """Runs workflows and remembers, as the command line does."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(MemoryStore)
        self.journal = Journal(folder)

    def plan(self, workflow: Workflow, **options: Any) -> Plan:
        return self.bench.plan(workflow, before=self.journal.read(workflow.name), **options)

    def run(self, workflow: Workflow) -> Plan:
        plan = self.plan(workflow)
        report = self.bench.run(plan)
        self.journal.write(workflow.name, records_of(plan, report, self.bench.store))
        return plan

    def forget(self) -> None:
        assert isinstance(self.bench.store, MemoryStore)
        self.bench.store.clear()

    def reasons(self, workflow: Workflow) -> dict[str, tuple[str, str]]:
        plan = self.plan(workflow)
        return {name: (plan.reason(name).code, plan.reason(name).text) for name in plan.step_of}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path / "journal")


def three(*, start: int = 1, middle: int = 2, level: float = 1.0) -> Workflow:
    workflow = Workflow("three")
    first = workflow.add("first", Count(start=start)).out.value
    second = workflow.add("second", Count(start=middle, a=first)).out.value
    workflow.output("out", workflow.add("third", Count(start=3, b=second)).out.value)
    workflow.output("half", workflow.add("half", Half(value=level)).out.value)
    return workflow


def test_before_the_first_run_everything_is_new(session: Session) -> None:
    assert {code for code, _ in session.reasons(three()).values()} == {"first-run"}


def test_after_a_run_everything_is_stored_and_says_where(session: Session) -> None:
    session.run(three())
    assert set(session.reasons(three()).values()) == {("stored", "stored in memory")}


def test_a_changed_value_says_from_what_to_what_and_who_follows(session: Session) -> None:
    session.run(three())
    reasons = session.reasons(three(middle=5))
    assert reasons["first"][0] == "stored"
    assert reasons["second"] == ("value-changed", "start changed from 2 to 5")
    assert reasons["third"] == ("upstream-changed", "second changed: start from 2 to 5")


def test_the_reason_names_the_node_where_the_change_began(session: Session) -> None:
    session.run(three())
    assert session.reasons(three(start=9))["third"] == ("upstream-changed", "first changed: start from 1 to 9")


def test_a_change_in_the_last_digit_of_a_number_is_seen(session: Session) -> None:
    session.run(three(level=7.5))
    assert session.reasons(three(level=7.5000001))["half"] == ("value-changed", "value changed from 7.5 to 7.5000001")


def test_a_new_node_is_new_in_this_workflow(session: Session) -> None:
    session.run(three())
    workflow = three()
    workflow.output("more", workflow.add("more", Count(start=77)).out.value)
    assert session.reasons(workflow)["more"][0] == "new-node"


def test_a_renamed_node_is_still_stored(session: Session) -> None:
    session.run(chain(2))
    workflow = Workflow("chain")
    first = workflow.add("other", Count(start=0)).out.value
    workflow.output("out", workflow.add("name", Count(start=1, a=first)).out.value)
    assert {code for code, _ in session.reasons(workflow).values()} == {"stored"}


def test_a_link_to_another_output_is_a_changed_input(session: Session) -> None:
    def linked(source: str) -> Workflow:
        workflow = Workflow("linked")
        values = {name: workflow.add(name, Count(start=start)).out.value for name, start in (("a", 1), ("b", 2))}
        workflow.output("out", workflow.add("reader", Count(a=values[source])).out.value)
        workflow.output("a", values["a"])
        workflow.output("b", values["b"])
        return workflow

    session.run(linked("a"))
    assert session.reasons(linked("b"))["reader"] == ("input-changed", "a now comes from b.value (was a.value)")


def test_a_link_replaced_by_a_value_says_so(session: Session) -> None:
    workflow = Workflow("three")
    workflow.output("out", workflow.add("second", Count(start=2, a=4)).out.value)
    session.run(three())
    assert session.reasons(workflow)["second"] == ("value-changed", "a changed from first.value to 4")


def test_a_new_version_of_a_node_says_so_and_who_follows(session: Session) -> None:
    class Newer(Half, type="toy.half", version=2):
        """The same type, changed."""

    def halves(cls: type[Half]) -> Workflow:
        session.bench.registry = Registry([NodePack("versions", "1", (cls, Switch), PACK.port_types)])
        workflow = Workflow("halves")
        half: Any = workflow.add("half", cls(value=3.0)).out.value
        workflow.output("out", workflow.add("after", Switch(choice=0, a=half)).out.value)
        return workflow

    session.run(halves(Half))
    assert session.reasons(halves(Half))["half"][0] in ("stored", "covered")
    reasons = session.reasons(halves(Newer))
    assert reasons["half"] == ("version-changed", "toy.half changed version from 1 to 2")
    assert reasons["after"] == ("upstream-changed", "half changed: version from 1 to 2")


def test_changed_content_outside_is_named_as_such(session: Session, tmp_path: Path) -> None:
    workflow = Workflow("file")
    workflow.output("out", workflow.add("read", ReadFile(path=str(tmp_path / "number"))).out.value)
    (tmp_path / "number").write_text("1")
    session.run(workflow)
    (tmp_path / "number").write_text("2")
    plan = session.plan(workflow)
    assert plan.reason("read").code == "content-changed"
    assert plan.reason("read").text == f"the content of {tmp_path / 'number'} changed"
    (change,) = plan.reason("read").changes
    assert change.before != change.after


def test_another_file_is_named_with_the_one_before(session: Session, tmp_path: Path) -> None:
    def reading(name: str) -> Workflow:
        workflow = Workflow("file")
        workflow.output("out", workflow.add("read", ReadFile(path=str(tmp_path / name))).out.value)
        return workflow

    for number, name in enumerate(("one", "two")):
        (tmp_path / name).write_text(str(number))
    session.run(reading("one"))
    said = session.reasons(reading("two"))["read"][1]
    assert said == f"path changed from {tmp_path / 'one'} to {tmp_path / 'two'}, which differs"


def test_a_hit_says_what_changed_since_the_run_before(session: Session) -> None:
    session.run(three(middle=2))
    session.run(three(middle=5))
    reasons = session.reasons(three(middle=2))
    assert reasons["second"] == ("stored", "stored in memory; start changed from 5 to 2")
    assert reasons["third"] == ("stored", "stored in memory; second changed: start from 5 to 2")
    assert reasons["first"] == ("stored", "stored in memory")


def test_reasons_carry_every_change_for_programs(session: Session) -> None:
    def counts(a: int, b: int, start: int) -> Workflow:
        workflow = Workflow("counts")
        first = workflow.add("first", Count(start=start, a=a, b=b)).out.value
        workflow.output("out", workflow.add("second", Count(a=first)).out.value)
        return workflow

    session.run(counts(1, 2, 3))
    plan = session.plan(counts(4, 5, 3))
    assert plan.reason("first").to_json() == {
        "code": "value-changed",
        "reason": "a changed from 1 to 4; b changed from 2 to 5",
        "changes": [{"port": "a", "from": "1", "to": "4"}, {"port": "b", "from": "2", "to": "5"}],
    }
    assert plan.reason("second").to_json()["began_at"] == "first"


def test_a_change_within_a_structured_value_names_the_part() -> None:
    class Leg(BaseModel):
        steps: int
        places: tuple[float, ...] = ()

    assert dict(_parts("leg", Leg(steps=4, places=(0.5, 1.0)))) == {
        "leg.steps": "4", "leg.places.1": "0.5", "leg.places.2": "1.0",
    }  # fmt: skip
    changes = difference(dict(_parts("leg", Leg(steps=6))), dict(_parts("leg", Leg(steps=4, places=(0.5,)))))
    assert list(changes) == [("leg.steps", "4", "6"), ("leg.places", "", "()"), ("leg.places.1", "0.5", "")]


def test_a_link_to_a_new_node_is_a_changed_input(session: Session) -> None:
    session.run(three())
    workflow = Workflow("three")
    new = workflow.add("new", Count(start=50)).out.value
    workflow.output("out", workflow.add("second", Count(start=2, a=new)).out.value)
    assert session.reasons(workflow)["second"] == ("input-changed", "a now comes from new.value (was first.value)")


def test_an_unchanged_node_says_why_its_result_is_missing(session: Session, tmp_path: Path) -> None:
    session.bench.log.broken.add("n1")
    session.run(chain(3))
    reasons = session.reasons(chain(3))
    assert reasons["n0"][0] == "stored"
    assert reasons["n1"] == ("not-stored", "unchanged, but it did not finish in the last run")
    session.bench.log.broken.clear()
    session.run(chain(3))
    session.forget()
    assert session.reasons(chain(3))["n1"][1].startswith("unchanged, but its result was removed")
    cheap = Session(tmp_path / "cheap")
    cheap.bench = Bench(lambda payloads: MemoryStore(payloads, budget_bytes=0))
    cheap.run(chain(1))
    assert cheap.reasons(chain(1))["n0"][1].startswith("unchanged, but its result was not kept")


def test_an_unchanged_node_whose_result_is_gone_is_not_stored(session: Session) -> None:
    session.run(three())
    session.forget()
    assert {code for code, _ in session.reasons(three()).values()} == {"not-stored"}


def test_a_node_that_shares_the_step_of_another_says_whose(session: Session) -> None:
    workflow = Workflow("twins")
    for name in ("a", "b"):
        workflow.output(f"{name}_out", workflow.add(name, Count(start=7)).out.value)
    reasons = session.reasons(workflow)
    assert reasons["a"][0] == "first-run"
    assert reasons["b"] == ("same-as", "the same as a")


def test_what_only_stored_nodes_read_is_covered(session: Session) -> None:
    workflow = Workflow("handle")
    handle = workflow.add("handle", Handle(start=4)).out.value
    workflow.output("out", workflow.add("reader", Count(a=handle)).out.value)
    session.run(workflow)
    plan = session.plan(workflow)
    assert plan.step_of["handle"].action is Action.COVERED
    assert plan.reason("handle").code == "covered"


def test_a_handle_that_has_to_be_made_says_that_it_always_is(session: Session) -> None:
    def workflow(start: int) -> Workflow:
        made = Workflow("handle")
        handle = made.add("handle", Handle(start=4)).out.value
        made.output("out", made.add("reader", Count(start=start, a=handle)).out.value)
        return made

    session.run(workflow(1))
    assert session.reasons(workflow(2))["handle"][0] == "not-cacheable"


def test_branches_that_only_the_run_can_choose_are_undecided(session: Session) -> None:
    workflow = Workflow("choice")
    choice = workflow.add("choice", Count(start=1)).out.value
    a = workflow.add("a", Count(start=10)).out.value
    workflow.output("out", workflow.add("switch", Switch(choice=choice, a=a, b=a)).out.value)
    plan = session.plan(workflow)
    assert plan.step_of["a"].action is Action.MAYBE
    assert plan.reason("a").code == "undecided"


def test_only_what_the_outputs_asked_for_need_is_planned_to_run(session: Session) -> None:
    plan = session.plan(three(), outputs=["half"])
    assert [step.node.id for step in plan.to_run()] == ["half"]
    assert plan.reason("first").code == "not-needed"
    assert plan.count(Action.UNUSED) == 3


def test_an_unknown_output_is_a_problem_that_names_those_there_are(session: Session) -> None:
    with pytest.raises(WorkflowError) as caught:
        session.plan(three(), outputs=["picture", "half"])
    assert caught.value.code == "output-unknown"
    assert "half, out" in str(caught.value)


def test_nodes_that_deliver_files_are_wanted_without_being_outputs(session: Session) -> None:
    workflow = three()
    workflow.add("save", Save(value=workflow.add("n", Count(start=8)).out.value))
    assert session.plan(workflow).step_of["save"].action is Action.RUN
    assert session.plan(workflow, outputs=["half"]).step_of["save"].action is Action.UNUSED


def test_a_workflow_without_outputs_runs_its_last_nodes(session: Session) -> None:
    workflow = Workflow("loose")
    first = workflow.add("first", Count(start=1)).out.value
    workflow.add("last", Count(a=first))
    plan = session.plan(workflow)
    assert [name for name, step in plan.step_of.items() if step.target] == ["last"]


def test_planning_reads_no_payload_and_runs_nothing(session: Session) -> None:
    workflow = Workflow("tape")
    workflow.output("out", workflow.add("tape", Record(name="tape")).out.tape)
    session.plan(workflow)
    assert session.bench.log.runs.total() == 0


# The journal.


@pytest.mark.parametrize(
    "content",
    [
        b"", b"not json", b"[]", b'{"a": 1}', b'{"a": {"type": "x"}}', b"[" * 100_000,
        json.dumps({"a": {"type": "x", "version": 1, "key": "k", "values": 3, "links": None}}).encode(),
        json.dumps({"a": {"type": "x", "version": 1, "key": "k", "values": {"p": 3}, "links": {}}}).encode(),
    ],
    ids=["empty", "text", "list", "number", "half", "deep", "wrong-types", "wrong-value"],
)  # fmt: skip
def test_a_damaged_journal_is_no_journal(tmp_path: Path, content: bytes) -> None:
    journal = Journal(tmp_path)
    session = Session(tmp_path)
    session.run(chain(1))
    (written,) = tmp_path.iterdir()
    written.write_bytes(content)
    assert journal.read("chain") is None


def test_the_journal_gives_back_what_was_written(tmp_path: Path) -> None:
    session = Session(tmp_path)
    plan = session.run(chain(2))
    records = session.journal.read("chain")
    assert records is not None
    assert [record.key for record in records.values()] == [step.key.hex() for step in plan.step_of.values()]
    assert records["n0"].values == {"start": "0", "a": "0", "b": "0"}
    assert records["n1"].links == {"a": "n0.value"}
    assert {record.ended for record in records.values()} == {"kept"}


def test_a_journal_that_can_not_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    journal = Journal(tmp_path / "file")
    journal.write("chain", [])
    assert journal.read("chain") is None


def test_values_are_shown_on_one_short_line_that_tells_long_ones_apart() -> None:
    assert show("two\nlines") == "two\\nlines"
    long = [show("x" * 500), show("x" * 501)]
    assert long[0] != long[1]
    assert all(len(text) < 80 for text in long)
    assert show(True) == "True"
    assert show(0.1) == "0.1"
