"""The promises of a second run, with a real (tiny, random) Stable Diffusion and the real command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdgraph.core.pngmeta import read_png_text
from tests.cli.conftest import Command, node

Write = Callable[..., Path]


@pytest.fixture
def ran(sdgraph: Command, write: Write) -> Path:
    """A two-stage workflow that has run once."""
    stages = [{"steps": 1, "solver": "euler"}, {"steps": 1, "solver": "euler"}]
    nodes: dict[str, Any] = {
        "sd": node("sd.load_checkpoint", source="synthetic:sd15-tiny"),
        "positive": node("sd.encode_text", {"text_encoder": "sd.text_encoder"}, prompt="a red star"),
        "negative": node("sd.encode_text", {"text_encoder": "sd.text_encoder"}),
        "start": node("sd.empty_latents", width_px=32, height_px=32),
        "sample": node(
            "sd.staged_sampler",
            {
                "denoiser": "sd.denoiser",
                "positive": "positive.conditioning",
                "negative": "negative.conditioning",
                "latents": "start.latents",
            },
            stages=stages,
        ),
        "image": node("sd.vae_decode", {"latents": "sample.latents", "vae": "sd.vae"}),
        "save": node("image.save", {"image": "image.image"}),
    }
    inputs = {"seed": "sample.seed", "stages": "sample.stages", "filename": "save.filename"}
    path = write(nodes, inputs=inputs, outputs={"image": "image.image"})
    done = sdgraph("run", path, "--device", "cpu")
    assert done.code == 0, done.err
    return path


def test_a_second_run_is_all_hits_without_torch_and_writes_the_same_file(
    ran: Path, process: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Path("output/image.png").read_bytes()
    Path("output/image.png").unlink()
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    running = process("run", ran, "--json")
    out, err = running.communicate()
    assert running.returncode == 0
    assert {report["status"] for report in json.loads(out)["nodes"].values()} == {"hit"}
    assert Path("output/image.png").read_bytes() == before
    imported = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in err.decode().splitlines()}
    assert imported.isdisjoint(["torch", "diffusers", "transformers", "safetensors", "cv2"])


def test_another_seed_encodes_no_text(ran: Path, sdgraph: Command) -> None:
    planned = sdgraph("plan", ran, "-i", "seed=5", "--json").json["nodes"]
    actions = {name: row["action"] for name, row in planned.items()}
    assert (actions["positive"], actions["negative"]) == ("hit", "hit")
    assert (actions["sample/start"], actions["image"], actions["save"]) == ("run", "run", "run")
    done = sdgraph("run", ran, "-i", "seed=5", "--device", "cpu", "--json")
    assert done.code == 0, done.err
    found = done.json["nodes"]
    assert {name: report["status"] == "ran" for name, report in found.items()} == {
        name: action == "run" for name, action in actions.items()
    }


def test_another_guidance_of_stage_2_reruns_no_stage_1(ran: Path, sdgraph: Command) -> None:
    second = {"steps": 1, "solver": "euler", "guidance": {"kind": "constant", "scale": 3.0}}
    stages = json.dumps([{"steps": 1, "solver": "euler"}, second])
    planned = sdgraph("plan", ran, "-i", f"stages={stages}", "--json")
    actions = {name: row["action"] for name, row in planned.json["nodes"].items()}
    assert (actions["sample/stage1"], actions["sample/stage2"]) == ("hit", "run")


def test_another_file_name_runs_nothing(ran: Path, sdgraph: Command) -> None:
    assert sdgraph("plan", ran, "-i", "filename=other", "--json").json["run"] == 0


def test_the_picture_names_the_model_that_made_it(ran: Path) -> None:
    texts = read_png_text(Path("output/image.png").read_bytes())
    (source,) = json.loads(texts["sdgraph.models"])
    assert source == "synthetic:sd15-tiny"
    assert json.loads(texts["sdgraph.models"])[source]
    assert json.loads(texts["sdgraph.seeds"]) == {"sample.seed": 0, "sample.variation_seed": 0}
