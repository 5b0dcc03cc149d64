"""The benchmark of crashes finds nothing wrong, in a few rounds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import crashes


def test_processes_killed_while_they_run_a_workflow_lose_what_was_in_flight_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.crashes", "--rounds", "8", "--edge-px", "32", "--seed", "3", "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["killed"] > 0
    assert 0 < found["stored"] < found["nodes"]
    assert found["ran_again"] > 0
    none = ("wrong", "lost", "ran_though_stored", "problems", "damaged")
    assert [found[name] for name in none] == [0] * len(none)
    crashes.show(found)


def test_a_wrong_result_would_be_counted(tmp_path: Path) -> None:
    made = crashes.workflow(1, 16)
    expected = crashes.run_without_store(made)
    assert crashes.run_again(made, tmp_path, expected)["wrong"] == []
    assert crashes.run_again(made, tmp_path, {**expected, "patient": "another"})["wrong"] == ["patient"]
