"""With a safety checker in the settings, no picture leaves a run unseen, whatever the workflow and the way out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdgraph.cli.launching import launch
from sdgraph.client import Client, connect
from sdgraph.engine.pictures import MEDIA_TYPES, PictureFolder
from sdgraph.engine.worker.job import Job
from sdgraph.engine.worker.process import WorkerProcess
from sdgraph.errors import WorkflowError
from sdgraph.settings import Settings, read_settings
from tests.cli.conftest import Command, node
from tests.cli.test_serve import Process, get, serving
from tests.cli.test_worker import TXT2IMG, Told, document, settings, told, with_worker
from tests.models.test_safety_checkers import with_threshold

__all__ = ["settings"]  # a fixture

Policy = Callable[[str], None]
"""Turns the policy on with a checker that finds something in "everything" or in "nothing"."""
THRESHOLDS = {"everything": -2.0, "nothing": 2.0}
INNER = {
    "nodes": {"n": node("image.preview", edge_px=32)},
    "inputs": {"image": "n.image"},
    "outputs": {"image": "n.image"},
}
WAYS: dict[str, Any] = {
    "fill": node("toy.fill", red=1.0, edge_px=40, batch=2),
    "preview": node("image.preview", {"image": "fill.image"}, edge_px=16),
    "grid": node("image.grid", {"image": "fill.image"}),
    "inner": {"type": "graph:hide", "links": {"image": "fill.image"}},
    "mask": node("mask.from_image", {"image": "fill.image"}),
    "save": node("image.save", {"image": "fill.image"}, filename="saved"),
    "jpeg": node("image.save", {"image": "grid.image"}, filename="small", format="jpeg"),
}
NAMED = {
    name: f"{name}.{'mask' if name == 'mask' else 'image'}" for name in ("fill", "preview", "grid", "inner", "mask")
}
BYPASS = document(WAYS, graphs={"hide": INNER}, outputs=NAMED)
"""Every way out that a workflow may try, without the node that looks at pictures."""
NOTHING: dict[str, Any] = {name: [] for name in NAMED}
PLACES = {"fill": 2, "preview": 2, "grid": 1, "inner": 2, "mask": 2}
PICTURES = sum(PLACES.values()) + 2 + 1
"""Of the named outputs, and of the nodes that save."""


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Policy:
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("SDGRAPH_MODEL_FOLDERS", str(models))

    def turn_on(finds: str) -> None:
        if not (models / finds).exists():
            with_threshold(models / finds, THRESHOLDS[finds])
        monkeypatch.setenv("SDGRAPH_SAFETY_CHECKER", finds)

    return turn_on


def on_worker(use: Callable[[WorkerProcess], Awaitable[None]]) -> None:
    """Do something with a worker that has the settings of this moment."""
    asyncio.run(with_worker(launch(read_settings(device="cpu"), "cpu"), use))


def one_run(workflow: dict[str, Any] = BYPASS, **inputs: Any) -> tuple[Told, dict[str, Any]]:
    """What a run on a worker says, and what each of its nodes looks like then."""
    runs: list[Told] = []
    shown: dict[str, Any] = {}

    async def use(worker: WorkerProcess) -> None:
        runs.append(await told(worker, Job("one", workflow, inputs)))
        for name, row in runs[0].report["nodes"].items():
            shown[name] = await worker.show(row["key"])

    on_worker(use)
    return runs[0], shown


def brightest(path: Path | BytesIO) -> int:
    with Image.open(path) as picture:
        return int(np.asarray(picture.convert("RGB")).max())


def pictures_in(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.suffix in MEDIA_TYPES)


def audit(report: Any) -> list[tuple[str, str, int]]:
    rows = [row for row in report["resources"] if row["type"] == "safety"]
    assert all(row["run_id"] == report["run_id"] and row["time"].endswith("+00:00") for row in rows)
    return sorted((row["node"], row["output"], row["index"]) for row in rows)


EXPECTED = sorted(
    [
        (f"{name}/n" if name == "inner" else name, name, index)
        for name, count in PLACES.items()
        for index in range(count)
    ]
    + [("save", "image", 0), ("save", "image", 1), ("jpeg", "image", 0)]
)


def test_no_workflow_gets_a_picture_past_the_checker(
    settings: Settings, policy: Policy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    policy("everything")
    found, looks = one_run()
    assert found.report["status"] == "done"
    assert {(problem["code"], problem["severity"]) for problem in found.report["problems"]} == {
        ("picture-hidden", "warning")
    }
    assert audit(found.report) == EXPECTED
    assert len(audit(found.report)) == PICTURES
    assert capfd.readouterr().err.count("run one: hidden by the safety checker") == PICTURES
    assert {name: len(values) for name, values in found.report["outputs"].items()} == PLACES
    shown = [picture for outputs in looks.values() for out in outputs.values() for picture in out["pictures"]]
    assert len(shown) == PICTURES, "two nodes save what other nodes gave; each shows it"
    left = list(pictures_in(tmp_path / "home"))
    assert left
    assert {brightest(path) for path in left} == {0}


def test_what_was_stored_before_the_policy_came_on_is_looked_at_when_it_leaves(
    settings: Settings, policy: Policy
) -> None:
    plain, shown = one_run()
    policy("nothing")
    seen, looks = one_run()
    policy("everything")
    hidden, _ = one_run()
    assert (seen.report["files"], seen.report["outputs"], looks) == (
        plain.report["files"],
        plain.report["outputs"],
        shown,
    ), "where nothing is found, everything is the same to the bit"
    assert (audit(seen.report), seen.report["problems"]) == ([], [])
    assert audit(hidden.report) == EXPECTED
    for after in (seen.report["nodes"], hidden.report["nodes"]):
        assert {row["status"] for row in after.values()} == {"hit"}
        assert {name: row["key"] for name, row in after.items()} == {
            name: row["key"] for name, row in plain.report["nodes"].items()
        }, "the policy is no part of keys"
    folder = PictureFolder(read_settings().pictures_folder)
    assert not [row for row in plain.report["files"] if folder.find(row["digest"])]
    assert all(folder.find(row["digest"]) for row in hidden.report["files"])


def test_steps_and_latents_show_no_picture(settings: Settings, policy: Policy, tmp_path: Path) -> None:
    policy("everything")
    found, looks = one_run(TXT2IMG, steps=4, seed=7)
    assert found.report["status"] == "done"
    assert found.types("sample/stage1").count("node_progress") == 4
    assert found.previews == []
    latents = looks["sample/finish"]["latents"]
    assert (latents["text"][:9], latents["pictures"]) == ("1 picture", [])
    assert {brightest(path) for path in pictures_in(tmp_path / "home")} == {0}
    assert audit(found.report) == [("save", "image", 0)]
    [picture] = found.report["outputs"]["image"]
    path = PictureFolder(read_settings().pictures_folder).find(picture["digest"])
    assert path is not None
    with Image.open(path) as written:
        written.load()
        assert {str(name).split(".")[0] for name in written.info} == {"sdgraph"}, "the workflow, and no copy of it"


def test_a_checker_that_fails_lets_no_picture_out_and_everything_stays_stored(
    settings: Settings, policy: Policy, tmp_path: Path
) -> None:
    policy("nothing")
    weights = tmp_path / "models" / "nothing" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(b"damaged")
    values = {**BYPASS, "nodes": {**WAYS, "sum": node("toy.add")}, "outputs": {**NAMED, "sum": "sum.value"}}

    async def use(worker: WorkerProcess) -> None:
        report = (await told(worker, Job("one", values))).report
        assert report["status"] == "partial"
        assert [(problem["code"], problem["severity"]) for problem in report["problems"]] == [
            ("safety-check-failed", "error")
        ]
        assert report["outputs"] == {**NOTHING, "sum": [3]}
        assert report["files"] == []
        with pytest.raises(WorkflowError, match="safety-check-failed"):
            await worker.show(report["nodes"]["fill"]["key"])
        assert list(pictures_in(tmp_path / "home")) == []
        weights.write_bytes(whole)
        mended = (await told(worker, Job("two", values))).report
        assert (mended["status"], mended["problems"]) == ("done", [])
        assert {row["status"] for row in mended["nodes"].values()} == {"hit"}
        assert len(mended["files"]) == PICTURES - 3, "those of `fill` and `grid` are saved, and written once"

    on_worker(use)


def test_run_is_under_the_policy_as_well(
    sdgraph: Command, write: Callable[..., Path], policy: Policy, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy("everything")
    file = write(WAYS, graphs={"hide": INNER}, outputs=NAMED)
    with caplog.at_level(logging.WARNING, "sdgraph.screening"):
        done = sdgraph("run", file, "--json", "-o", here / "out")
    assert done.code == 0
    assert audit(done.json) == EXPECTED
    assert {record.__dict__["run_id"] for record in caplog.records} == {done.json["run_id"]}
    assert {brightest(path) for path in pictures_in(here)} == {0}


def test_run_writes_nothing_when_the_checker_is_not_there(
    sdgraph: Command, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    monkeypatch.setenv("SDGRAPH_SAFETY_CHECKER", "not/there")
    done = sdgraph("run", write(WAYS, graphs={"hide": INNER}, outputs=NAMED), "--json", "-o", here / "out")
    assert (done.code, done.codes) == (1, ["safety-check-failed"])
    assert done.json["outputs"] == NOTHING
    assert list(pictures_in(here)) == []


def test_a_server_gives_out_nothing_from_before_and_nothing_unseen(
    process: Process, policy: Policy, tmp_path: Path
) -> None:
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        before = client.run(BYPASS).result()
        assert before.status == "done", before.problems
        assert previews(client, before)
        assert brightest(BytesIO(client.content(before.files[0].url + "?thumbnail_px=64"))) > 0
    policy("everything")
    config = tmp_path / "models" / "everything" / "config.json"
    whole = config.read_bytes()
    config.unlink()
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        [old, *_] = client.get(before.run_id).files
        assert [get(address, old.url + ask)[0] for ask in ("", "?thumbnail_px=64")] == [404, 404]
        failed = client.run(BYPASS).result()
        assert (failed.status, [problem.code for problem in failed.problems]) == ("failed", ["safety-check-failed"])
        assert (failed.files, get(address, f"/api/previews/{failed.nodes['fill'].key}")[0]) == ([], 503)
        config.write_bytes(whole)
        after = client.run(BYPASS).result()
        assert {row.status for row in after.nodes.values()} == {"hit"}
        assert [row.type for row in after.resources] == ["safety"] * PICTURES
        urls = [*previews(client, after), *(file.url for file in after.files)]
        urls += [f"{file.url}?thumbnail_px=64" for file in after.files]
        assert {brightest(BytesIO(client.content(url))) for url in urls} == {0}


def previews(client: Client, run: Any) -> list[str]:
    """The addresses of the thumbnails of all nodes."""
    found = [client.preview(row.key).outputs for row in run.nodes.values()]
    return [picture.url for outputs in found for shown in outputs.values() for picture in shown.pictures]
