"""The other routes, and the description that is made of them."""

from __future__ import annotations

from typing import Any

import pytest

from sdgraph.core.catalog import catalog
from sdgraph.core.document import canonical_json, load_document
from sdgraph.engine.worker.job import Job
from sdgraph.server.app import ROUTES
from sdgraph.server.openapi import openapi
from tests.server.conftest import TEMPLATE, Running


def test_the_catalogue_is_that_of_the_command_line(server: Running) -> None:
    reply = server.ask("GET", "/api/catalog")
    assert reply.json["nodes"].keys() == catalog(server.registry)["nodes"].keys()
    assert reply.json["nodes"]["toy.louder"]["version"] == 3


def test_health_tells_the_version(server: Running) -> None:
    assert server.ask("GET", "/api/health").json["status"] == "ok"


def test_what_is_not_there_is_a_problem_document(server: Running) -> None:
    assert (server.ask("GET", "/api/nothing").status, server.ask("GET", "/api/nothing").codes) == (
        404,
        ["route-unknown"],
    )
    assert server.ask("DELETE", "/api/health").codes == ["method-unknown"]


def test_a_saved_workflow_comes_back_as_it_was(server: Running) -> None:
    assert server.ask("PUT", "/api/workflows/my%20wave", TEMPLATE).json["shipped"] is False
    reply = server.ask("GET", "/api/workflows/my%20wave")
    assert load_document(reply.json) == load_document(TEMPLATE)
    assert reply.text == canonical_json(load_document(TEMPLATE))
    listed = server.ask("GET", "/api/workflows").json["workflows"]
    assert [(found["name"], found["shipped"]) for found in listed] == [("my wave", False), ("template", True)]


def test_a_template_is_never_overwritten(server: Running) -> None:
    changed = TEMPLATE | {"description": "Mine."}
    server.ask("PUT", "/api/workflows/template", changed)
    assert server.ask("GET", "/api/workflows/template").json["description"] == "Mine."
    assert server.ask("DELETE", "/api/workflows/template").status == 204
    assert server.ask("GET", "/api/workflows/template").json["description"] == "One wave."
    assert server.ask("DELETE", "/api/workflows/template").codes == ["workflow-unknown"]


def test_of_two_windows_the_second_to_save_is_told(server: Running) -> None:
    version = server.ask("PUT", "/api/workflows/shared", TEMPLATE, If_None_Match="*").headers["etag"]
    first, second = (TEMPLATE | {"description": text} for text in ("first", "second"))
    assert server.ask("PUT", "/api/workflows/shared", first, If_Match=version).status == 200
    refused = server.ask("PUT", "/api/workflows/shared", second, If_Match=version)
    assert (refused.status, refused.codes) == (412, ["workflow-changed"])
    assert server.ask("PUT", "/api/workflows/shared", second, If_None_Match="*").codes == ["workflow-changed"]
    assert server.ask("GET", "/api/workflows/shared").json["description"] == "first"


def test_the_description_has_every_route_and_no_dangling_reference(server: Running) -> None:
    document = server.ask("GET", "/api/openapi.json").json
    assert document == openapi(ROUTES)
    assert {(method.upper(), path) for path, found in document["paths"].items() for method in found} == {
        (route.method, route.path) for route in ROUTES
    }
    named = document["components"]["schemas"].keys()
    assert all(
        part.split('"')[0] in named for part in str(document).replace("'", '"').split("#/components/schemas/")[1:]
    )
    assert all(operation["description"] for found in document["paths"].values() for operation in found.values())


def test_health_is_ready_when_every_worker_is(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    said = server.ask("GET", "/api/health").json
    idle = {"name": "toys", "state": "idle", "starts": 1, "models_bytes": 0, "models": [], "warm": []}
    assert (said["ready"], said["workers"]) == (True, [idle])
    for name, value in (("is_ready", False), ("state", "warming"), ("warming", "txt2img")):
        monkeypatch.setattr(server.worker, name, value)
    reply = server.ask("GET", "/api/health")
    assert (reply.status, reply.json["status"], reply.json["ready"]) == (200, "ok", False), "it answers all the same"
    assert reply.json["workers"] == [idle | {"state": "warming", "warming": "txt2img"}]


def test_a_run_tells_what_happened_to_resources(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = {"type": "transfer", "node": "l", "what": "conditioning", "device": "cuda:0", "bytes": 8}
    perform = server.worker.perform

    def moving(job: Job) -> dict[str, Any]:
        return {**perform(job), "resources": [moved]}

    monkeypatch.setattr(server.worker, "perform", moving)
    reply = server.ask("POST", "/api/runs", {"workflow": {"name": "template"}})
    run_id = reply.json["run_id"]
    server.heard(run_id, "run_finished")
    run = server.ask("GET", f"/api/runs/{run_id}").json
    assert (run["resources"], run["peak_memory_bytes"]) == ([moved], 1)


def test_the_models_that_are_here_are_listed(server: Running) -> None:
    reply = server.ask("GET", "/api/models")
    found = {model["source"]: (model["kind"], model["origin"]) for model in reply.json["models"]}
    assert reply.json["truncated"] is False
    assert found["builtin:shapes"] == ("checkpoint", "builtin")
    assert found["builtin:shapes/lora_neon"] == ("lora", "builtin")
