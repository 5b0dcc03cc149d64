"""The page about solvers says of each one what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from diffusers import schedulers

from sdgraph.diffusion.names import (
    ALIGNED_STEPS,
    ETA_DEFAULTS,
    TRAINING_TIMESTEPS_ONLY,
    VARIANCE_PRESERVING_ONLY,
    SigmaName,
    SolverName,
)
from sdgraph.diffusion.sigma_shapes import ALIGNED
from sdgraph.diffusion.solvers.table import SOLVERS, make_solver

PAGE = (Path(__file__).parents[2] / "docs/guide/solvers.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[tuple[list[Any], list[str]]]:
    """The names and the other cells of each row of a table."""
    part = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:2] == "| "]
    return [(re.findall("`([a-z0-9_]+)`", first), rest) for first, *rest in cells[1:]]


def test_every_solver_has_its_order_its_noise_and_its_families() -> None:
    found = {name: rest for names, rest in rows("Solvers") for name in names}
    assert set(found) == set(get_args(SolverName)) == set(SOLVERS)
    for names, (_, orders, _, noise, flow) in rows("Solvers"):
        given = [int(order) for order in orders.split(", ")]
        assert given in ([make_solver(name).order for name in names], [make_solver(names[0]).order])
        for name in names:
            assert (noise == "yes") == (make_solver(name, 0.0).stochastic), name
            assert (noise == "with `eta`") == (name in ETA_DEFAULTS), name
            assert (flow == "yes") == (name not in VARIANCE_PRESERVING_ONLY), name


def test_every_schedule_is_on_the_page() -> None:
    assert {name for names, _ in rows("Noise levels") for name in names} == set(get_args(SigmaName))
    assert set(ALIGNED) == ALIGNED_STEPS


def test_every_scheduler_of_diffusers_is_offered_or_has_a_reason() -> None:
    part = PAGE.split("## The schedulers of diffusers")[1]
    told = re.findall(r"`(\w+Scheduler)`", part)
    classes = {name for name in dir(schedulers) if name.endswith("Scheduler")} - {"SchedulerMixin"}
    assert len(told) == len(set(told))
    assert set(told) == classes
    for line in part.splitlines():
        if line.startswith("| `") and not (said := line.split("|")[2].strip()).startswith("no: "):
            assert set(re.findall("`([a-z0-9_]+)`", said)) & set(SOLVERS), line


def test_solvers_that_models_without_timesteps_refuse_are_named() -> None:
    (named,) = re.findall(r"the solvers that count timesteps \((.*?)\)", PAGE)
    assert set(re.findall("`([a-z0-9_]+)`", named)) == TRAINING_TIMESTEPS_ONLY
