"""Loading models before the run that needs them, and what a plan expects of memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, node


@pytest.fixture
def drawing(write: Callable[..., Path]) -> Path:
    """Draws a small picture with a tiny model."""
    nodes: dict[str, Any] = {
        "sd": node("sd.load_checkpoint", source="synthetic:sd15-tiny"),
        "prompt": node("sd.encode_text", {"text_encoder": "sd.text_encoder"}, prompt="a red star"),
        "start": node("sd.empty_latents", width_px=32, height_px=32),
        "sample": node(
            "sd.sampler",
            {"denoiser": "sd.denoiser", "positive": "prompt.conditioning", "latents": "start.latents"},
            steps=1,
            guidance=1.0,
        ),
        "image": node("sd.vae_decode", {"latents": "sample.latents", "vae": "sd.vae"}),
    }
    return write(nodes, outputs={"image": "image.image"}, inputs={"width": "start.width_px"})


def codes(found: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in found["problems"]]


def test_everything_that_a_run_would_load_is_loaded_and_ready_is_an_exit_code(
    sdgraph: Command, drawing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = sdgraph("plan", drawing, "--json").json["memory"]
    assert plan["weights_bytes"] > 100_000
    assert plan["peak_bytes"] == plan["weights_bytes"]
    assert plan["unmeasured"] == ["prompt", "sample/start", "sample/stage1", "image"]

    warmed = sdgraph("warm", drawing, "--device", "cpu", "--json")
    assert warmed.code == 0
    assert warmed.json["ready"] is True
    assert [entry["model"].rpartition("/")[2] for entry in warmed.json["models"]] == ["text_encoder", "unet", "vae"]
    assert warmed.err.count("model warm  loaded synthetic:sd15-tiny/") == 3

    monkeypatch.setenv("SDGRAPH_MODELS_BUDGET_BYTES", "1")
    tight = sdgraph("warm", drawing, "--device", "cpu")
    assert (tight.code, tight.out.strip()) == (1, "not ready: 0 of 3 models")
    monkeypatch.delenv("SDGRAPH_MODELS_BUDGET_BYTES")

    assert sdgraph("run", drawing, "--device", "cpu").code == 0
    ready = sdgraph("warm", drawing, "--device", "cpu")
    assert (ready.code, ready.out.strip()) == (0, "ready: a run needs no model")
    assert sdgraph("plan", drawing, "--json").json["memory"] is None

    larger = ("plan", drawing, "-i", "width=64", "--json")
    expected = sdgraph(*larger).json
    assert expected["memory"]["unmeasured"] == []
    assert expected["memory"]["device"] == "cpu"
    assert expected["memory"]["available_bytes"] > 2**30
    assert "memory-short" not in codes(expected)
    monkeypatch.setenv("SDGRAPH_DEVICE_MEMORY_BYTES", "100kB")
    short = sdgraph(*larger)
    assert "memory-short" in codes(short.json)
    assert short.code == 0


def test_a_model_that_cannot_be_loaded_is_named(
    sdgraph: Command, drawing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sdgraph.errors import ModelError
    from sdgraph.models import pool

    def load(handle: Any, device: str) -> Any:
        raise ModelError("model-damaged", f"{handle.component} is damaged.", "Copy it again.")

    monkeypatch.setattr(pool.ModelPool.__init__, "__defaults__", (None, load, None, "auto"))
    done = sdgraph("warm", drawing, "--device", "cpu", "--json")
    assert done.code == 1
    assert [entry["problem"]["code"] for entry in done.json["models"]] == ["model-damaged"] * 3
    assert "unet is damaged." in done.err
