"""`/api/check` and `/api/plan` say what the command line says, and never run anything."""

from __future__ import annotations

from typing import Any

from sdgraph.core.build import build_graph
from sdgraph.core.document import load_document
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import make_plan
from tests.core.documents import data, node
from tests.server.conftest import MAX_NODES, Running

NODES: dict[str, Any] = {"o": node("oscillator"), "l": node("louder", wave="o.wave")}
GOOD = data(NODES, {"wave": "l.wave"}, inputs={"gain": "l.gain"}, name="good")


def test_a_good_workflow_has_no_problems(server: Running) -> None:
    reply = server.ask("POST", "/api/check", {"workflow": GOOD})
    assert (reply.status, reply.json) == (200, {"ok": True, "problems": []})


def test_all_problems_are_listed_at_once_with_their_places(server: Running) -> None:
    broken = data({"o": node("oscilator"), "l": node("louder", {"gain": "much"}, wave="x.wave")}, {"wave": "l.wave"})
    reply = server.ask("POST", "/api/check", {"workflow": broken})
    assert reply.json["ok"] is False
    found = {(problem["code"], problem["node"]) for problem in reply.json["problems"]}
    assert found == {("node-type-unknown", "o"), ("value-invalid", "l"), ("link-node-missing", "l")}


def test_a_plan_says_for_each_node_what_would_run_and_why(server: Running) -> None:
    reply = server.ask("POST", "/api/plan", {"workflow": GOOD})
    assert {name: row["action"] for name, row in reply.json["nodes"].items()} == {"o": "run", "l": "run"}
    assert (reply.json["run"], reply.json["hit"], reply.json["workflow"]) == (2, 0, "good")


def test_a_plan_finds_stored_results_and_what_an_input_changes(server: Running) -> None:
    plan = make_plan(build_graph(load_document(GOOD), server.registry), server.store)
    assert Executor(server.registry, server.store).run(plan).status == "done"
    same = server.ask("POST", "/api/plan", {"workflow": GOOD}).json
    changed = server.ask("POST", "/api/plan", {"workflow": GOOD, "inputs": {"gain": 3.0}}).json
    assert [row["action"] for row in same["nodes"].values()] == ["hit", "hit"]
    assert {name: row["action"] for name, row in changed["nodes"].items()} == {"o": "hit", "l": "run"}


def test_only_the_outputs_asked_for_are_planned(server: Running) -> None:
    both = data(NODES, {"quiet": "o.wave", "loud": "l.wave"})
    reply = server.ask("POST", "/api/plan", {"workflow": both, "outputs": ["quiet"]})
    assert {name: row["action"] for name, row in reply.json["nodes"].items()} == {"o": "run", "l": "unused"}


def test_a_workflow_of_the_server_is_planned_by_its_name(server: Running) -> None:
    assert server.ask("POST", "/api/plan", {"workflow": {"name": "template"}}).json["run"] == 1
    missing = server.ask("POST", "/api/plan", {"workflow": {"name": "nothing"}})
    assert (missing.status, missing.codes) == (404, ["workflow-unknown"])


def test_a_workflow_that_can_not_be_planned_is_a_problem_document(server: Running) -> None:
    reply = server.ask("POST", "/api/plan", {"workflow": data({"l": node("louder")}, {"wave": "l.wave"})})
    assert (reply.status, reply.codes) == (422, ["input-missing"])
    assert reply.json["status"] == 422
    assert reply.json["type"] == "urn:sdgraph:problem:input-missing"


def test_more_nodes_than_allowed_are_refused(server: Running) -> None:
    many = data({f"n{index}": node("oscillator") for index in range(MAX_NODES + 1)})
    assert server.ask("POST", "/api/plan", {"workflow": many}).codes == ["too-many-nodes"]


def test_a_file_of_the_server_can_not_be_used_as_a_subgraph(server: Running) -> None:
    (server.folder / "secret.json").write_text("{}")
    outside = data({"s": {"type": f"graph:{server.folder}/secret.json"}})
    assert "secret" not in str(server.ask("POST", "/api/check", {"workflow": outside}).json["problems"][0]["hint"])
    assert server.ask("POST", "/api/check", {"workflow": outside}).json["ok"] is False
