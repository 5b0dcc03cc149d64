"""The client against a real server: what it is told, what it raises, and what it does when the server goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sdgraph.client import AsyncClient, Client, connect
from sdgraph.core.document import load_document
from sdgraph.errors import ServerError, WorkflowError
from tests.core.documents import data, node
from tests.server.conftest import Running, serving

NODES: dict[str, Any] = {"o": node("oscillator"), "l": node("louder", wave="o.wave")}
GOOD = data(NODES, {"wave": "l.wave"}, inputs={"gain": "l.gain"}, name="good")


@pytest.fixture
def server(tmp_path: Path) -> Generator[Running]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Generator[Client]:
    with connect(f"http://127.0.0.1:{server.port}/", user="ann") as connected:
        yield connected


def test_a_run_is_asked_for_and_waited_for(client: Client) -> None:
    done = client.run(GOOD, {"gain": 3.0}).result()
    assert (done.status, done.name, done.user, done.inputs) == ("done", "good", "ann", {"gain": 3.0})
    assert {name: found.status for name, found in done.nodes.items()} == {"o": "ran", "l": "ran"}


def test_events_of_a_run_are_told_from_its_beginning_to_its_end(client: Client) -> None:
    run = client.run(GOOD)
    kinds = [event["type"] for event in run.events()]
    assert (kinds[0], kinds[1], kinds[-1]) == ("run_queued", "run_started", "run_finished")
    assert run.result().status == "done"
    assert [event["type"] for event in run.events()] == kinds, "they can be read again"


def test_events_of_all_runs_go_on_from_a_number(client: Client) -> None:
    client.run(GOOD).result()
    first = next(client.events(after=0))
    second = next(client.events(after=first["seq"]))
    assert (first["seq"], second["seq"]) == (1, 2)


def test_a_plan_and_a_check_are_what_the_server_says(client: Client) -> None:
    assert client.check(GOOD).ok
    assert client.plan(GOOD, {"gain": 2.0}).run == 2
    assert client.plan(load_document(GOOD)).nodes["o"].action == "run"
    assert client.plan("template").workflow == "template"
    assert [found.name for found in client.workflows().workflows] == ["template"]


def test_all_problems_of_a_workflow_are_raised_at_once(client: Client) -> None:
    broken = data({"o": node("oscilator"), "l": node("louder", {"gain": "much"}, wave="o.wave")}, {"wave": "l.wave"})
    with pytest.raises(WorkflowError) as refused:
        client.run(broken)
    assert {(problem.code, problem.node) for problem in refused.value.problems} == {
        ("node-type-unknown", "o"),
        ("value-invalid", "l"),
    }
    with pytest.raises(WorkflowError, match="run-unknown"):
        client.get("../health")


def test_a_run_is_cancelled_and_repeated(client: Client, server: Running) -> None:
    server.worker.gate.clear()
    run = client.run(GOOD)
    run.cancel()
    assert run.result().status == "cancelled"
    server.worker.gate.set()
    assert client.retry(run.run_id).result().retry_of == run.run_id


def test_the_history_is_searched(client: Client) -> None:
    runs = [client.run(GOOD, {"gain": gain}) for gain in (1.5, 2.5)]
    for run in runs:
        run.result()
    found = client.runs(search="good", inputs={"gain": "2.5"}, status=["done"])
    assert [row.run_id for row in found.runs] == [runs[1].run_id]
    page = client.runs(limit=1)
    assert [row.run_id for row in client.runs(before=page.next).runs] == [runs[0].run_id]


def test_a_picture_is_uploaded(client: Client) -> None:
    target = BytesIO()
    Image.new("RGB", (4, 2)).save(target, "png")
    kept = client.upload(target.getvalue())
    assert (kept.file, kept.width_px) == (f"upload:{kept.digest}.png", 4)


def test_many_runs_are_waited_for_at_once(server: Running) -> None:
    async def ask() -> list[str]:
        async with AsyncClient(f"http://127.0.0.1:{server.port}") as client:
            runs = [await client.run(GOOD, {"gain": float(gain)}) for gain in range(4)]
            return [found.status for found in await asyncio.gather(*(run.result() for run in runs))]

    assert asyncio.run(ask()) == ["done"] * 4


def test_a_token_is_sent_with_requests_and_to_the_socket(tmp_path: Path) -> None:
    with serving(tmp_path, host="0.0.0.0", token="secret") as running:
        address = f"http://127.0.0.1:{running.port}"
        with connect(address, token="secret") as client:
            assert client.run("template").result().status == "done"
            assert next(client.events(after=0))["type"] == "run_queued"
        with pytest.raises(WorkflowError, match="token-missing"):
            connect(address)


def test_an_address_without_a_server_is_an_error_that_says_so() -> None:
    with pytest.raises(ServerError) as refused:
        connect("http://127.0.0.1:9/")
    assert refused.value.code == "server-unreachable"
