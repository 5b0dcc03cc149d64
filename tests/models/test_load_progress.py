"""Loading large models tells how far it is, and stops when its run is cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdgraph.core.context import running
from sdgraph.errors import RunCancelled
from sdgraph.models import load_progress
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.load_progress import read_ahead
from sdgraph.models.pool import ModelPool
from tests.models.original_layout import single_file
from tests.toys import RecordingContext


@pytest.fixture(autouse=True)
def every_model_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_progress, "LARGE_BYTES", 1)
    monkeypatch.setattr(load_progress, "_PIECE_BYTES", 1000)


class Cancelled(RecordingContext):
    """Cancelled after three reports of loading."""

    def check_cancelled(self) -> None:
        if len(self.told) >= 3:
            raise RunCancelled


def loading(context: RecordingContext) -> list[dict[str, Any]]:
    return [entry for entry in context.told if entry["what"] == "loading"]


@pytest.mark.parametrize("layout", ["folder", "single file"])
def test_loading_counts_the_bytes_up_to_the_last(layout: str, tiny: Checkpoint, tmp_path: Path) -> None:
    checkpoint = tiny if layout == "folder" else read_checkpoint(str(single_file("sd1", tmp_path / "m.safetensors")))
    context = RecordingContext()
    with running(context), ModelPool().lease(checkpoint.denoiser):
        pass
    told = loading(context)
    assert {entry["model"].rpartition("/")[2] for entry in told} == {"unet"}
    done, totals = [entry["done_bytes"] for entry in told], {entry["total_bytes"] for entry in told}
    assert done == sorted(set(done))
    assert totals == {done[-1]}
    assert 10 <= len(told) <= 51


def test_a_cancelled_run_does_not_wait_for_the_rest(tiny: Checkpoint) -> None:
    context, pool = Cancelled(), ModelPool()
    with running(context), pytest.raises(RunCancelled), pool.lease(tiny.denoiser):
        pass
    assert len(loading(context)) == 3
    assert pool.residents() == ()


def test_files_are_read_whole_and_only_for_a_run(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_bytes(b"x" * 2500)
    context = RecordingContext()
    with running(context):
        read_ahead(files, "two")
    assert loading(context)[-1] == {
        "type": "model",
        "what": "loading",
        "model": "two",
        "done_bytes": 5000,
        "total_bytes": 5000,
    }
    read_ahead(files, "nobody listens")
    assert {entry["model"] for entry in context.told} == {"two"}
