"""An interrupted enlargement goes on at the tile where it was, and gives the very bits that it gives in one go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sdgraph_nodes.tile_upscale import TileUpscale

from sdgraph.errors import RunCancelled
from sdgraph.payloads.image import Image
from sdgraph.payloads.shortcuts import Shortcuts
from tests.nodes.test_step_checkpoints import kept_in
from tests.nodes.test_tile_upscale import slope
from tests.nodes.tiny_model import context, model, pool, prompt
from tests.toys import RecordingContext

TILES, STEPS = 9, 4


def enlarger(**values: Any) -> Any:
    """Two pictures of 64 px to 128 px: four steps of nine tiles."""
    pixels = np.concatenate([slope().pixels, 1 - slope().pixels])
    ports: Any = {"tile_px": 64, "overlap_px": 32, "steps": 8, "strength": 0.5, "guidance": 3.0, "seed": 5, **values}
    both: Any = {"positive": prompt("a star"), "negative": prompt("blue")}
    handles: Any = {"denoiser": model().denoiser, "vae": model().vae}
    return TileUpscale(image=Image(pixels), **{**handles, **both, **ports})


def draw(node: Any, ctx: RecordingContext) -> tuple[np.ndarray[Any, Any], int]:
    """The pictures, and how often the network was called for them."""
    calls: list[int] = []
    with pool().lease(model().denoiser, "cpu") as unet:
        hook = unet.register_forward_pre_hook(lambda module, _: calls.append(id(module)))
        try:
            return node.run(ctx).image.pixels, len(calls)
        finally:
            hook.remove()


@pytest.mark.parametrize("solver", ["euler", "euler_ancestral", "heun", "dpmpp_2m"])
def test_an_enlargement_that_goes_on_is_the_enlargement_bit_for_bit(solver: str, tmp_path: Path) -> None:
    node = enlarger(solver=solver)
    uninterrupted = context()
    expected, whole = draw(node, uninterrupted)
    for reports in (14, len(uninterrupted.reports) - 3):
        folder = tmp_path / str(reports)
        with pytest.raises(RunCancelled):
            node.run(kept_in(folder, context(cancel_after=reports), every_steps=2))
        ctx = kept_in(folder, context(), every_steps=2)
        found, left = draw(node, ctx)
        assert np.array_equal(found, expected)
        # One report for each tile that begins and each step that ends; the last tile may not have been written down.
        assert left <= whole - (reports - 1 - STEPS) + 1
        assert any(note.startswith("goes on after step") for note in ctx.notes)
        assert ctx.reports[-1] == (STEPS * TILES, STEPS * TILES)
        assert ctx.warnings == []


def test_an_interruption_within_the_first_step_is_taken_up_there(tmp_path: Path) -> None:
    node = enlarger()
    with pytest.raises(RunCancelled):
        node.run(kept_in(tmp_path, context(cancel_after=5), every_steps=1))
    ctx = kept_in(tmp_path, context(), every_steps=1)
    found, left = draw(node, ctx)
    assert left == TILES * STEPS - 4
    assert "goes on after step 0 of 4, and 4 tiles of the next one" in ctx.notes
    assert np.array_equal(found, draw(node, context())[0])


def test_writing_changes_nothing_and_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    node = enlarger()
    expected, whole = draw(node, context())
    plain, calls = draw(node, kept_in(tmp_path, context(), every_steps=0))
    assert list(tmp_path.iterdir()) == []
    written, as_many = draw(node, kept_in(tmp_path, context(), every_steps=1))
    assert list(tmp_path.iterdir()) != []
    assert np.array_equal(plain, expected)
    assert np.array_equal(written, expected)
    assert whole == calls == as_many == TILES * STEPS


def test_features_of_earlier_steps_are_no_part_of_a_checkpoint(tmp_path: Path) -> None:
    reusing = replace(model().denoiser, shortcuts=Shortcuts(reuse_every=2))
    enlarger(denoiser=reusing).run(kept_in(tmp_path, context(), every_steps=1))
    assert list(tmp_path.iterdir()) == []


def enlarge_until_killed(folder: Path) -> None:
    """What the process below does: it is killed in the middle of its second step."""
    ctx = kept_in(folder, context(), every_steps=3)
    tell = ctx.progress

    def progress(done: int, total: int, **more: Any) -> None:
        if done == TILES + 5:
            os.kill(os.getpid(), signal.SIGKILL)
        tell(done, total, **more)

    ctx.progress = progress  # type: ignore[method-assign]
    enlarger().run(ctx)


def test_a_killed_enlargement_is_taken_up(tmp_path: Path) -> None:
    script = f"from pathlib import Path\nfrom tests.nodes.test_tile_checkpoints import enlarge_until_killed\nenlarge_until_killed(Path({str(tmp_path)!r}))"  # noqa: E501
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    killed = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    node = enlarger()
    found, left = draw(node, kept_in(tmp_path, context(), every_steps=3))
    assert left == TILES * STEPS - TILES - 3
    assert np.array_equal(found, draw(node, context())[0])
