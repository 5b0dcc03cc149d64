"""What a server must not do whoever asks: listen to others, load code that was left somewhere, open other files."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sdgraph.cli.launching import launch
from sdgraph.core.registry import Registry
from sdgraph.engine.worker.job import Job, Report
from sdgraph.engine.worker.process import WorkerProcess
from sdgraph.settings import Settings
from tests.cli.conftest import node
from tests.cli.test_serve import Process, serving
from tests.cli.test_serve_runs import workflow
from tests.cli.test_worker import settings, with_worker

__all__ = ["settings"]

OPENS = """
import json, os, sys

opened, (secret, types) = [], json.loads(sys.argv[1])

def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if path.startswith(secret + os.sep) or path == secret:
            opened.append(path)

from sdgraph.core.context import RunContext
from sdgraph.core.registry import Registry

specs = Registry.installed().specs
sys.addaudithook(watch)
tried = 0
for type, port, reference in types:
    made = specs[type].cls.model_construct(**{port: reference})
    for look in ("fingerprint", "run"):
        try:
            made.fingerprint() if look == "fingerprint" else made.run(None)
        except Exception:
            tried += 1
print(json.dumps([tried, opened]))
"""


def test_without_being_told_it_listens_to_this_machine_alone(process: Process) -> None:
    with serving(process) as (server, address):
        assert address.startswith("http://127.0.0.1:")
        of_all = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        listening = [found.laddr for each in of_all for found in each.net_connections() if found.status == "LISTEN"]
        assert [found.ip for found in listening] == ["127.0.0.1"]


@pytest.fixture
def left_behind(here: Path, tmp_path: Path) -> Path:
    """What a download may leave in the folder where sdgraph runs, and in its home: a node pack that is not installed.

    The file that its import writes.
    """
    mark = tmp_path / "the pack was imported"
    for place in (here, tmp_path / "home", tmp_path / "home" / "workflows"):
        place.mkdir(exist_ok=True)
        for name in ("evil_pack", "torch", "sdgraph_nodes"):
            (place / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\nPACK = None\n")
        (place / "evil-1.dist-info").mkdir()
        (place / "evil-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
        (place / "evil-1.dist-info" / "entry_points.txt").write_text("[sdgraph.packs]\nevil = evil_pack:PACK\n")
    return mark


def test_a_worker_takes_no_code_from_the_folder_where_it_runs(settings: Settings, left_behind: Path) -> None:
    named = [f"{name}:PACK" for name in ("evil_pack", "torch")]

    async def use(worker: WorkerProcess) -> None:
        for number, type in enumerate((*named, "evil.node", "../evil_pack", "os.system")):
            job = Job(str(number), workflow({"a": node(type)}, outputs={"value": "a.value"}))
            reports = [item async for item in worker.run(job) if isinstance(item, Report)]
            assert [report.status for report in reports] == ["failed"]
            assert "node-type-unknown" in {problem["code"] for problem in reports[0].data["problems"]}

    asyncio.run(with_worker(launch(settings, "cpu"), use))
    assert not left_behind.exists()


HOSTILE = """
{secret} {secret}/model.safetensors {secret}/picture.png ../secret ../secret/picture.png ~/secret
builtin:../../{secret} builtin:shapes/../../{secret} builtin:shapes/{secret} upload:{secret}
upload:../secret/picture.png hf:../../{secret} synthetic:../{secret} file://{secret}/picture.png
inside/link inside/link/model.safetensors inside/../../secret
"""


def test_no_port_that_names_a_file_opens_another_one(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "models"
    secret.mkdir()
    for name in ("model.safetensors", "picture.png", "model_index.json", "config.json"):
        (secret / name).write_bytes(b"{}")
    (folder / "inside").mkdir(parents=True)
    (folder / "inside" / "link").symlink_to(secret)
    for name, value in {"CONFINED": "1", "MODEL_FOLDERS": str(folder), "HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(f"SDGRAPH_{name}", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    ports = [
        (spec.type, name)
        for spec in Registry.installed().specs.values()
        for name, port in spec.inputs.items()
        if port.meta.widget in ("model", "file")
    ]
    assert len(ports) > 8
    tries = [(*port, reference.format(secret=secret)) for port in ports for reference in HOSTILE.split()]
    done = subprocess.run(
        [sys.executable, "-c", OPENS, json.dumps([str(secret), tries])],
        capture_output=True,
        text=True,
        check=True,
        cwd=here,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    tried, opened = json.loads(done.stdout.splitlines()[-1])
    assert opened == []
    assert tried >= len(tries), "each of them was refused in some way"
