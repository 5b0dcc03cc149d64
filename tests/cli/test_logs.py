"""The log: one line for each thing worth telling, with the run that it belongs to."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from sdgraph.cli.logs import logged_as, set_up_logs
from sdgraph.server.runlog import log_event
from sdgraph.settings import read_settings


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def event(type: str, **more: Any) -> dict[str, Any]:
    return {"type": type, "run_id": "0123456789abcdef", **more}


def test_json_lines_carry_the_run_and_whatever_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(read_settings(log_format="json"))
    log_event(event("run_started", nodes=7, to_run=3))
    log_event(event("node_failed", node="image", problem={"code": "disk-full", "message": "The disk is full."}))
    log_event(event("node_started", node="image"))
    log_event(event("run_finished", status="failed", elapsed_s=1.25))
    told = [json.loads(line) for line in lines(capsys)]
    assert [line.pop("time")[10] for line in told] == ["T", "T", "T"]
    common = {"logger": "sdgraph.runs", "run_id": "0123456789abcdef"}
    assert told == [
        common | {"level": "info", "message": "started: 3 of 7 nodes to run", "nodes": 7, "to_run": 3},
        common | {"level": "warning", "message": "The disk is full. [disk-full]", "node": "image", "code": "disk-full"},
        common | {"level": "warning", "message": "failed after 1.25 s", "status": "failed", "elapsed_s": 1.25},
    ]


def test_in_a_worker_every_line_belongs_to_the_run_that_it_performs(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(read_settings(log_format="json"))
    log = logging.getLogger("of.a.pack")
    with logged_as("r1"):
        try:
            raise ZeroDivisionError("of a pack")
        except ZeroDivisionError:
            log.exception("it failed with ä and \n a line break")
    log.info("idle")
    failed, idle = [json.loads(line) for line in lines(capsys)]
    assert (failed["run_id"], failed["message"]) == ("r1", "it failed with ä and \n a line break")
    assert "ZeroDivisionError: of a pack" in failed["error"]
    assert "run_id" not in idle


def test_lines_for_people_name_the_run_and_what_is_worse_than_usual(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(read_settings())
    log_event(event("run_queued", reason="the server was restarted"))
    log_event(event("warning", problem={"code": "store-busy", "message": "It is busy."}))
    logging.getLogger("sdgraph").debug("not told")
    assert [line[9:] for line in lines(capsys)] == [
        "run 01234567: queued: the server was restarted",
        "warning: run 01234567: It is busy. [store-busy]",
    ]


def test_the_level_is_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(read_settings(log_level="error"))
    log_event(event("run_started", nodes=7, to_run=3))
    logging.getLogger("sdgraph").error("broken")
    assert [line[9:] for line in lines(capsys)] == ["error: broken"]
