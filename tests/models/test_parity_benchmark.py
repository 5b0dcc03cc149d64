"""The comparison of whole pictures with diffusers' pipelines, on a part that takes a few seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import parity
from benchmarks.parity import LIMIT, SD1, Row, difference
from benchmarks.parity_cases import Case, by_sdgraph
from benchmarks.parity_pipelines import by_diffusers

# diffusers 0.42 calls NumPy in a way that NumPy 2 is leaving behind.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CASE = Case(SD1, steps=4)


@pytest.mark.parametrize("solver", ["dpmpp_2m", "dpmpp_sde", "tcd"])
def test_a_solver_draws_the_pictures_of_its_scheduler(solver: parity.SolverName) -> None:
    assert difference(replace(CASE, solver=solver)) <= LIMIT


@pytest.mark.parametrize("task", ["image to image", "inpaint", "ControlNet"])
def test_a_task_draws_the_picture_of_its_pipeline(task: parity.Task) -> None:
    assert difference(replace(parity.case_of(SD1, task), steps=4)) <= LIMIT


def test_karras_sigmas_show_the_network_the_timesteps_that_diffusers_rounds_to() -> None:
    assert difference(replace(CASE, solver="unipc", sigmas="karras", steps=6)) <= LIMIT


@pytest.mark.parametrize("source", ["synthetic:sd3-tiny", "synthetic:flux-tiny"])
def test_flow_matching_draws_the_pictures_of_its_pipelines(source: str) -> None:
    assert difference(replace(parity.case_of(source, "text to image"), steps=3)) <= LIMIT


@pytest.mark.parametrize("solver", ["euler", "dpmpp_2m"])
def test_a_model_in_edms_formulation_draws_the_picture_of_its_pipeline(solver: parity.SolverName) -> None:
    """With latents of their own means, as Playground v2.5 has them."""
    case = parity.case_of("synthetic:playground-tiny", "image to image")
    assert difference(replace(case, solver=solver, steps=4)) <= LIMIT


def test_the_refiner_takes_over_as_in_diffusers() -> None:
    assert parity.hand_over_difference() <= LIMIT


@pytest.mark.parametrize("task", ["inpaint", "inpaint over the picture"])
def test_flow_matching_inpaints_as_its_pipelines_do(task: parity.Task) -> None:
    assert difference(replace(parity.case_of("synthetic:flux-tiny", task), steps=4)) <= LIMIT


def test_between_two_steps_diffusers_rounds_a_strength_up_for_flow_matching_alone() -> None:
    for source, same in (("synthetic:flux-tiny", 5 / 8), (SD1, 4 / 8)):
        case = parity.case_of(source, "image to image")
        drawn = by_sdgraph(replace(case, strength=same))
        assert np.abs(drawn.image - by_diffusers(replace(case, strength=0.6), drawn.picture)).max() <= LIMIT


def test_what_is_compared_would_show_a_difference() -> None:
    drawn = by_sdgraph(CASE)
    assert np.abs(drawn.image - by_diffusers(replace(CASE, solver="heun"), drawn.picture)).max() > 10 * LIMIT
    assert np.abs(drawn.image - by_diffusers(replace(CASE, seed=4), drawn.picture)).max() > 10 * LIMIT


@pytest.mark.parametrize(("found", "code"), [(1e-5, 0), (2e-4, 1), (float("nan"), 1)])
def test_the_exit_code_says_whether_all_is_within_its_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: float, code: int
) -> None:
    def rows() -> Iterable[Row]:
        yield Row("pipelines", "a model", "a task", found)

    monkeypatch.setitem(parity.TABLES, "pipelines", rows)
    assert parity.main(["--only", "pipelines", "--json"]) == code
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["name"], row["passed"]) == ("a model", code == 0)


def test_the_page_of_the_guide_is_what_the_benchmark_writes() -> None:
    text = (parity.Path(__file__).parents[2] / "docs/guide/parity.md").read_text(encoding="utf-8")
    rows = [Row(name, "x", "y", 0.0) for name in parity.TABLES]
    start, end = "| `x` | y | 0.0e+00 |", "## What is behind the solvers"
    written = parity.page(rows)
    assert text.split("## Pictures by family")[0] == written.split("## Pictures by family")[0]
    assert text.split(end)[1] == written.split(end)[1]
    assert start in written
    assert sum(f"| `{name}` |" in text for name in parity.references()) >= 25
