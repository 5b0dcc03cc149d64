"""What nodes gave, in small, on a real server with real workers: also while they are at work, and after a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sdgraph.client import Client, connect
from sdgraph.errors import WorkflowError
from sdgraph.server.preview_schemas import OutputPreview
from sdgraph.server.run_schemas import RunOut
from tests.cli.conftest import node
from tests.cli.test_serve import Process, serving
from tests.cli.test_serve_runs import workflow

_TXT2IMG = json.loads((Path(__file__).parents[2] / "workflows" / "txt2img.json").read_text())
NODES = {
    "batch": node("toy.fill", red=1.0, edge_px=400, batch=6),
    "mask": node("toy.mask"),
    "sum": node("toy.add", a=2, b=3),
    "fail": node("toy.fail"),
}
SHOWN = workflow(
    NODES, outputs={name: f"{name}.{port}" for name, port in zip(NODES, ("image", "mask", *["value"] * 2), strict=True)}
)
SLOW = workflow({"noise": node("toy.noise"), "slow": node("toy.wait")}, outputs={"n": "noise.image", "v": "slow.value"})


@pytest.fixture
def enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that lets `toy.wait` end."""
    monkeypatch.setenv("TOY_STARTED", str(tmp_path / "started"))
    monkeypatch.setenv("TOY_ENOUGH", str(tmp_path / "enough"))
    return tmp_path / "enough"


def preview(client: Client, run: RunOut, name: str, port: str) -> OutputPreview:
    key = run.nodes[name].key
    assert key is not None
    return client.preview(key).outputs[port]


def opened(client: Client, shown: OutputPreview, index: int = 0) -> Image.Image:
    return Image.open(BytesIO(client.content(shown.pictures[index].url)))


def test_every_node_of_a_run_shows_what_it_gave(process: Process) -> None:
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        run = client.run(SHOWN).result()
        assert run.status == "partial"
        batch = preview(client, run, "batch", "image")
        assert (batch.text, len(batch.pictures)) == ("6 pictures, 400 x 400 px", 4)
        with opened(client, batch) as small:
            assert (small.format, small.size) == ("WEBP", (256, 256))
            red = small.convert("RGB").getpixel((128, 128))
        assert isinstance(red, tuple)
        assert red[0] > 240
        mask = preview(client, run, "mask", "mask")
        assert (mask.text, mask.pictures[0].width_px) == ("1 mask, 8 x 8 px", 8)
        assert preview(client, run, "sum", "value").text == "5"
        with pytest.raises(WorkflowError, match="preview-unknown"):
            preview(client, run, "fail", "value")


def test_latents_and_conditioning_of_a_model_are_shown_and_nothing_runs_for_it(process: Process) -> None:
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        run = client.run(_TXT2IMG, {"steps": 4, "seed": 7}).result()
        assert run.status == "done", run.problems
        before = nodes_run(client)
        latents = preview(client, run, "sample/finish", "latents")
        assert (latents.approximate, latents.pictures[0].width_px) == (True, 64), "decoded, not 8 px of colours"
        assert preview(client, run, "positive", "conditioning").text.startswith("1 prompt: ")
        assert "builtin:shapes" in preview(client, run, "sd", "denoiser").text
        assert nodes_run(client) == before != []


def test_events_tell_the_key_and_a_worker_at_work_shows_what_is_done(process: Process, enough: Path) -> None:
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        run = client.run(SLOW)
        keys: dict[str, str] = {}
        for event in client.events(run.run_id, after=0):
            if event["type"] == "node_finished":
                keys[event["node"]] = event["key"]
            if event["type"] == "node_progress" and "noise" in keys:
                break
        shown = client.preview(keys["noise"]).outputs["image"]
        assert (shown.text, client.get(run.run_id).status) == ("1 picture, 256 x 256 px", "running")
        enough.touch()
        assert run.result().nodes["noise"].key == keys["noise"]


def test_after_a_restart_stored_results_are_shown_from_the_disk(process: Process, tmp_path: Path) -> None:
    nodes: dict[str, Any] = {"noise": node("toy.noise")}
    document = workflow(nodes, outputs={"image": "noise.image"})
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        run = client.run(document).result()
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        shown = until_up(lambda: preview(client, run, "noise", "image"))
        assert shown.text == "1 picture, 256 x 256 px"
        assert client.plan(document).nodes["noise"].key == run.nodes["noise"].key
    [thumbnail] = (tmp_path / "home" / "previews").glob("??/*.webp")
    assert thumbnail.stat().st_size < 100_000


def until_up(look: Callable[[], OutputPreview]) -> OutputPreview:
    """Ask until the worker is up."""
    while True:
        try:
            return look()
        except WorkflowError as error:
            if [problem.code for problem in error.problems] != ["worker-away"]:
                raise


def nodes_run(client: Client) -> list[bytes]:
    """How many nodes of each type ran, as metrics count them."""
    return [line for line in client.content("/metrics").splitlines() if line.startswith(b"sdgraph_node_seconds_count")]
