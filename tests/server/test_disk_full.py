"""A full disk is told as what it is, wherever it shows: uploads, the database, a worker's pictures."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from sdgraph.engine.worker.job import Job, Report
from sdgraph.engine.worker.process import Launch, WorkerProcess
from sdgraph.server import uploads
from tests.server.conftest import Running
from tests.server.files import picture
from tests.server.test_running import GOOD

FULL = Path("/dev/full")
"""Everything that is written to it fails for lack of space."""
WORKER = f"""
from sdgraph.cli.worker import _channel
from sdgraph.engine.worker.loop import Hands, WorkerLoop

def work(job, listener, cancel):
    with open({str(FULL)!r}, "wb", buffering=0) as file:
        file.write(b"x")

nothing = lambda *given: None
WorkerLoop(*_channel(), Hands(work, nothing, nothing, nothing, dict, nothing)).serve({{}})
"""


def test_an_upload_to_a_full_disk_is_refused_and_leaves_nothing(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_a_full_disk(file: Path) -> BinaryIO:
        return FULL.open("wb", buffering=0)

    monkeypatch.setattr(uploads, "_create", on_a_full_disk)
    reply = server.ask("POST", "/api/uploads", picture(), Content_Type="image/png")
    assert (reply.status, reply.codes) == (507, ["disk-full"])
    assert not [path for path in (server.folder / "home" / "uploads").rglob("*") if path.is_file()]


def test_a_database_that_can_not_grow_refuses_runs_and_goes_on(server: Running) -> None:
    statements: list[str] = []

    def no_page_more(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("BEGIN"):
            statements.append(statement)
            driver = getattr(cursor, "connection")  # noqa: B009
            driver.execute("PRAGMA max_page_count=1")  # it is raised to what the file has

    event.listen(Engine, "before_cursor_execute", no_page_more)
    try:
        large = {"workflow": GOOD | {"description": "x" * 400_000}}
        reply = server.ask("POST", "/api/runs", large)
    finally:
        event.remove(Engine, "before_cursor_execute", no_page_more)
    assert statements
    assert (reply.status, reply.codes) == (507, ["disk-full"])
    assert server.ask("GET", "/api/health").status == 200


def test_a_worker_on_a_full_disk_fails_the_run_with_the_reason() -> None:
    async def use() -> list[str]:
        worker = await WorkerProcess.start(Launch((sys.executable, "-c", WORKER)))
        reports = [item async for item in worker.run(Job("one", {})) if isinstance(item, Report)]
        await worker.stop()
        return [problem["code"] for report in reports for problem in report.data["problems"]]

    assert asyncio.run(use()) == ["disk-full"]
