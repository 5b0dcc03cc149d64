"""`/api/previews`: what nodes gave is told by key, remembered, and never found by anything but a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdgraph.errors import WorkerDied
from tests.server.conftest import Running
from tests.server.test_running import GOOD, ask, ended


def key_of(server: Running, name: str) -> str:
    """The key of a node of a run that ended."""
    return ended(server, ask(server))["nodes"][name]["key"]


def test_what_a_node_gave_is_told_by_its_key(server: Running) -> None:
    key = key_of(server, "l")
    reply = server.ask("GET", f"/api/previews/{key}")
    assert reply.status == 200
    assert reply.json == {"key": key, "outputs": {"wave": {"text": "Wave", "approximate": False, "pictures": []}}}


def test_a_plan_tells_the_key_before_anybody_runs_it_again(server: Running) -> None:
    key = key_of(server, "l")
    plan = server.ask("POST", "/api/plan", {"workflow": GOOD}).json
    assert (plan["nodes"]["l"]["action"], plan["nodes"]["l"]["key"]) == ("hit", key)


def test_workers_are_asked_once(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(server, "l")
    first = server.ask("GET", f"/api/previews/{key}").json

    async def away(key: str) -> None:
        raise WorkerDied("It is gone.")

    monkeypatch.setattr(server.worker, "show", away)
    assert server.ask("GET", f"/api/previews/{key}").json == first
    missing = server.ask("GET", f"/api/previews/{'0' * 64}")
    assert (missing.status, missing.codes) == (503, ["worker-away"])


def test_a_worker_without_time_is_no_reason_to_say_that_there_is_nothing(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(key: str) -> None:
        raise TimeoutError

    monkeypatch.setattr(server.worker, "show", busy)
    assert server.ask("GET", f"/api/previews/{'0' * 64}").codes == ["worker-away"]


def test_a_thumbnail_that_is_gone_is_made_again(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    picture: dict[str, Any] = {"digest": "a" * 64, "url": "/api/results/" + "a" * 64, "media_type": "image/webp"}
    asked: list[str] = []

    async def show(key: str) -> dict[str, Any]:
        asked.append(key)
        return {"wave": {"text": "", "pictures": [picture]}}

    monkeypatch.setattr(server.worker, "show", show)
    key, thumbnail = "1" * 64, server.folder / "home" / "previews" / "aa" / f"{'a' * 64}.webp"
    for expected in (1, 2):
        assert server.ask("GET", f"/api/previews/{key}").status == 200
        assert len(asked) == expected
    thumbnail.parent.mkdir(parents=True)
    thumbnail.write_bytes(b"small")
    assert server.ask("GET", f"/api/previews/{key}").status == 200
    assert len(asked) == 2, "it was there"
    assert server.ask("GET", picture["url"]).text == "small"


def test_a_result_that_nobody_keeps_is_a_problem(server: Running) -> None:
    reply = server.ask("GET", f"/api/previews/{'0' * 64}")
    assert (reply.status, reply.codes) == (404, ["preview-unknown"])


@pytest.mark.parametrize(
    "key", ["x", "0" * 63, "0" * 65, "A" * 64, "..%2f..%2fserver.db", "%2e%2e", "0" * 62 + "%2F0", "0" * 64 + "%00"]
)
def test_nothing_but_a_key_finds_anything(server: Running, key: str) -> None:
    reply = server.ask("GET", f"/api/previews/{key}")
    assert (reply.status, reply.codes) == (404, ["preview-unknown"])
    assert not list((server.folder / "home").rglob("shown/*/*/*"))


def test_what_was_said_before_is_not_trusted_blindly(server: Running) -> None:
    key = key_of(server, "l")
    said = server.ask("GET", f"/api/previews/{key}").json
    [file] = (server.folder / "home" / "previews" / "shown").rglob(f"{key}.json")
    for content in (b"", b"{}", b"[1]", b"\xff", b'{"key": 1, "outputs": []}'):
        Path(file).write_bytes(content)
        assert server.ask("GET", f"/api/previews/{key}").json == said
