"""Ctrl-C and SIGTERM: the run stops at its next step and keeps what it has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, node

Process = Callable[..., "subprocess.Popen[bytes]"]


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_within_a_step_and_keeps_finished_results(
    process: Process,
    sdgraph: Command,
    write: Callable[..., Path],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.setenv("TOY_STARTED", str(here / "started"))
    nodes = {"fill": node("toy.fill"), "sum": node("toy.add"), "wait": node("toy.wait", {"value": "sum.value"})}
    path = write(nodes, outputs={"image": "fill.image", "sum": "sum.value", "late": "wait.value"})
    with process("run", path, "--json") as running:
        pause = threading.Event()
        while not (here / "started").exists() and running.poll() is None:
            pause.wait(0.01)
        running.send_signal(number)
        out, said = running.communicate()
    assert running.returncode == 130, said
    found = json.loads(out)
    assert found["status"] == "cancelled"
    assert found["outputs"] == {"image": ["output/image.png"], "sum": [3]}
    assert found["nodes"]["wait"]["status"] == "skipped"
    assert b"Kept: " in said
    assert b"fill" in said
    assert b"Traceback" not in said
    again = sdgraph("plan", path, "--json").json["nodes"]
    assert {name: row["action"] for name, row in again.items()} == {"fill": "hit", "sum": "hit", "wait": "run"}


def test_an_interrupt_before_the_run_is_a_cancelled_run(
    sdgraph: Command, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sdgraph.cli.workshop.make_plan", interrupted)
    done = sdgraph("run", write({"n": node("toy.add")}), "--json")
    assert (done.code, done.json["status"], done.codes) == (130, "cancelled", ["run-cancelled"])
