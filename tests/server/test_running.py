"""`/api/runs`: runs are asked for, looked at, moved, cancelled and repeated over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.documents import data, node
from tests.server.conftest import MAX_QUEUED, Running

NODES: dict[str, Any] = {"o": node("oscillator"), "l": node("louder", wave="o.wave")}
GOOD = data(NODES, {"wave": "l.wave"}, inputs={"gain": "l.gain"}, name="good")


def ask(server: Running, **body: Any) -> str:
    reply = server.ask("POST", "/api/runs", {"workflow": GOOD, **body})
    assert reply.status == 202, reply.text
    return reply.json["run_id"]


def ended(server: Running, run_id: str) -> dict[str, Any]:
    """The run, when it has ended."""
    server.heard(run_id, "run_finished")
    return server.ask("GET", f"/api/runs/{run_id}").json


def started(server: Running, run_id: str) -> None:
    server.heard(run_id, "run_started")


def test_a_run_that_was_asked_for_is_performed_and_all_of_it_is_kept(server: Running) -> None:
    run_id = ask(server, inputs={"gain": 3.0})
    run = ended(server, run_id)
    assert (run["status"], run["name"], run["inputs"], run["attempts"]) == ("done", "good", {"gain": 3.0}, 1)
    assert {name: found["status"] for name, found in run["nodes"].items()} == {"o": "ran", "l": "ran"}
    assert (run["outputs"].keys(), run["workflow"]["nodes"].keys()) == ({"wave"}, {"o", "l"})
    assert run["created_at"] <= run["started_at"] <= run["finished_at"]


def test_what_a_run_stored_is_a_hit_of_the_next(server: Running) -> None:
    ended(server, ask(server))
    again = ended(server, ask(server, inputs={"gain": 9.0}))
    assert {name: found["status"] for name, found in again["nodes"].items()} == {"o": "hit", "l": "ran"}
    assert again["nodes"]["l"]["reason"]


def test_a_plan_says_how_long_it_will_take_once_it_is_known(server: Running) -> None:
    body = {"workflow": GOOD, "inputs": {"gain": 5.0}}
    assert "estimated_s" not in server.ask("POST", "/api/plan", body).json
    took_s = ended(server, ask(server))["nodes"]["l"]["elapsed_s"]
    plan = server.ask("POST", "/api/plan", body).json
    assert (plan["estimated_s"], plan["nodes"]["l"]["estimated_s"]) == (took_s, took_s)
    assert "estimated_s" not in plan["nodes"]["o"], "it is a hit"


def test_only_the_outputs_asked_for_are_made(server: Running) -> None:
    both = data(NODES, {"quiet": "o.wave", "loud": "l.wave"})
    run = ended(server, ask(server, workflow=both, outputs=["quiet"]))
    assert (run["outputs"].keys(), run["wanted"], run["nodes"]["l"]["status"]) == ({"quiet"}, ["quiet"], "skipped")


def test_a_workflow_of_the_server_is_kept_as_it_was_when_it_was_asked_for(server: Running) -> None:
    server.worker.gate.clear()
    run_id = ask(server, workflow={"name": "template"})
    server.ask("PUT", "/api/workflows/template", GOOD)
    server.worker.gate.set()
    assert ended(server, run_id)["workflow"]["nodes"].keys() == {"o"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"workflow": {"name": "nothing"}}, "workflow-unknown"),
        ({"workflow": data({"l": node("louder")}, {"wave": "l.wave"})}, "input-missing"),
        ({"workflow": GOOD, "inputs": {"gain": "much"}}, "value-invalid"),
        ({"workflow": GOOD, "inputs": {"volume": 1}}, "input-unknown"),
        ({"workflow": GOOD, "outputs": ["nothing"]}, "output-unknown"),
        ({"workflow": GOOD, "priority": 1000}, "request-invalid"),
        ({"workflow": GOOD, "user": "ann"}, "request-invalid"),
    ],
)
def test_what_can_not_run_is_refused_before_it_waits(server: Running, body: dict[str, Any], code: str) -> None:
    reply = server.ask("POST", "/api/runs", body)
    assert code in reply.codes
    assert server.ask("GET", "/api/runs").json == {"runs": [], "counts": {}}


def test_numbers_that_json_does_not_know_are_refused(server: Running) -> None:
    body = b'{"workflow": {"name": "template"}, "inputs": {"gain": NaN}}'
    assert server.ask("POST", "/api/runs", body).codes == ["not-json"]


def test_runs_are_listed_newest_first_and_page_by_page(server: Running) -> None:
    runs = [ask(server, inputs={"gain": float(index)}) for index in range(3)]
    for run_id in runs:
        ended(server, run_id)
    first = server.ask("GET", "/api/runs?limit=2").json
    assert [run["run_id"] for run in first["runs"]] == [runs[2], runs[1]]
    rest = server.ask("GET", f"/api/runs?limit=2&before={first['next']}").json
    assert ([run["run_id"] for run in rest["runs"]], "next" in rest) == ([runs[0]], False)
    assert rest["counts"] == {"done": 3}


def test_runs_are_found_by_words_and_by_inputs(server: Running) -> None:
    low, high = ask(server, inputs={"gain": 1.5}), ask(server, inputs={"gain": 2.5})
    found = server.ask("GET", "/api/runs?input=gain:1.5").json["runs"]
    assert [run["run_id"] for run in found] == [low]
    found = server.ask("GET", "/api/runs?search=GOOD+2.5&status=queued,running,done").json["runs"]
    assert [run["run_id"] for run in found] == [high]


@pytest.mark.parametrize("query", ["limit=0", "limit=1000", "status=finished", "input=gain", "nothing=1"])
def test_a_query_that_is_none_is_told_so(server: Running, query: str) -> None:
    assert server.ask("GET", f"/api/runs?{query}").codes == ["request-invalid"]


def test_runs_that_wait_have_places_and_can_be_moved(server: Running) -> None:
    server.worker.gate.clear()
    started(server, ask(server))
    first, second, third = (ask(server, inputs={"gain": float(index)}) for index in (2, 3, 4))

    def order() -> list[str]:
        found = server.ask("GET", "/api/runs?status=queued").json["runs"]
        return [run["run_id"] for run in sorted(found, key=lambda run: run["position"])]

    assert order() == [first, second, third]
    assert server.ask("PATCH", f"/api/runs/{third}", {"before": first}).json["position"] == 1
    assert server.ask("PATCH", f"/api/runs/{second}", {"priority": 7}).json["position"] == 1
    assert order() == [second, third, first]
    assert server.ask("PATCH", f"/api/runs/{second}", {}).codes == ["request-invalid"]
    assert server.ask("PATCH", f"/api/runs/{second}", {"before": "x"}).codes == ["run-unknown"]
    server.worker.gate.set()
    ended(server, first)
    late = server.ask("PATCH", f"/api/runs/{first}", {"priority": 1})
    assert (late.status, late.codes) == (409, ["run-not-queued"])


def test_a_run_is_cancelled_whether_it_waits_or_is_performed(server: Running) -> None:
    server.worker.gate.clear()
    running = ask(server)
    started(server, running)
    waiting = ask(server, inputs={"gain": 2.0})
    assert server.ask("DELETE", f"/api/runs/{waiting}").json["status"] == "cancelled"
    server.ask("DELETE", f"/api/runs/{running}")
    run = ended(server, running)
    assert (run["status"], run["cancelling"]) == ("cancelled", False)
    again = server.ask("DELETE", f"/api/runs/{running}")
    assert (again.status, again.codes) == (409, ["run-ended"])
    assert server.ask("DELETE", "/api/runs/nothing").status == 404


def test_a_run_that_ended_is_forgotten_on_demand_only(server: Running) -> None:
    run_id = ask(server)
    ended(server, run_id)
    assert server.ask("DELETE", f"/api/runs/{run_id}?forget=true").status == 204
    assert server.ask("GET", f"/api/runs/{run_id}").codes == ["run-unknown"]


def test_a_run_that_ended_is_asked_for_again(server: Running) -> None:
    run_id = ask(server, inputs={"gain": 3.0}, priority=2)
    ended(server, run_id)
    reply = server.ask("POST", f"/api/runs/{run_id}/retry", {})
    run = ended(server, reply.json["run_id"])
    assert (reply.status, run["retry_of"], run["inputs"], run["priority"]) == (202, run_id, {"gain": 3.0}, 2)
    assert {found["status"] for found in run["nodes"].values()} == {"hit"}


def test_more_runs_than_may_wait_are_refused(server: Running) -> None:
    server.worker.gate.clear()
    started(server, ask(server))
    for index in range(MAX_QUEUED):
        ask(server, inputs={"gain": float(index)})
    full = server.ask("POST", "/api/runs", {"workflow": GOOD})
    assert (full.status, full.codes) == (429, ["queue-full"])


def test_turns_are_those_of_the_users_that_clients_name(server: Running) -> None:
    server.worker.gate.clear()
    started(server, ask(server))
    names = ["ann", "ann", "bob"]
    runs = [
        server.ask("POST", "/api/runs", {"workflow": GOOD, "inputs": {"gain": float(index)}}, Sdgraph_User=name)
        for index, name in enumerate(names)
    ]
    server.worker.gate.set()
    began = {run.json["run_id"]: ended(server, run.json["run_id"])["started_at"] for run in runs}
    assert sorted(began, key=lambda run_id: began[run_id]) == [runs[index].json["run_id"] for index in (0, 2, 1)]
