"""What a configuration says of a model's noise levels is what its schedule has, and what is refused never runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.levels_fit import DISTILLED_STEPS, level_range, require_levels
from sdgraph.diffusion.names import DISTILLED_TIMESTEPS
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.solvers.table import SOLVERS
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import SamplingError

CONFIGS: dict[str, Mapping[str, Any]] = {
    "sd1": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "linear": {},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "zero snr": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    | {"rescale_betas_zero_snr": True},
    "sd3": {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0},
    "edm": {"_class_name": "EDMEulerScheduler", "sigma_max": 120.0},
}
FLUX = {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_range_is_that_of_the_schedule(config: Mapping[str, Any]) -> None:
    found, schedule = level_range(config), NoiseSchedule.from_config(config)
    assert found is not None
    assert found.smallest == pytest.approx(schedule.sigma_min, rel=1e-4)
    assert found.largest == pytest.approx(schedule.sigma_max, rel=1e-4)
    ends = schedule.timestep_of(torch.tensor([schedule.sigma_max, schedule.sigma_min]))
    assert [found.noisiest, found.cleanest] == pytest.approx(ends.tolist(), rel=1e-4, abs=1e-4)


def test_a_range_that_depends_on_the_size_is_left_open_at_its_clean_end() -> None:
    found = level_range(FLUX)
    assert found is not None
    assert (found.smallest, found.largest, found.noisiest) == (0, 1, 1000)
    fixed = level_range(FLUX, shift=2.0)
    assert fixed is not None
    assert fixed.smallest == pytest.approx(
        float(NoiseSchedule.from_config({**FLUX, "shift": 2.0, "use_dynamic_shifting": False}).sigma_min)
    )


@pytest.mark.parametrize("config", [{"beta_schedule": "odd"}, {"num_train_timesteps": "many"}])
def test_a_configuration_that_can_not_be_read_is_left_to_the_run(config: Mapping[str, Any]) -> None:
    assert level_range(config) is None
    (leg,) = plan_legs([Stage(custom_sigmas=(500.0, 0.0), steps=1)])
    require_levels(leg, config)


def test_distilled_timesteps_are_those_of_the_solvers_grid() -> None:
    assert {name for name, solver in SOLVERS.items() if solver.grid == "lcm"} == DISTILLED_TIMESTEPS


@pytest.mark.parametrize(
    "stage",
    [
        Stage(steps=DISTILLED_STEPS + 1, solver="lcm"),
        Stage(steps=1, custom_sigmas=(500.0, 0.0)),
        Stage(steps=1, custom_timesteps=(1200.0,)),
        Stage(steps=2, sigma_end=0.001),
        Stage(steps=2, sigma_end=5000.0),
    ],
)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_what_is_refused_beforehand_is_refused_by_the_run_with_the_same_code(
    stage: Stage, config: Mapping[str, Any]
) -> None:
    (leg,) = plan_legs([stage])
    told = codes_of(lambda: require_levels(leg, config))
    met = codes_of(lambda: leg_sigmas(leg, NoiseSchedule.from_config(config)))
    assert told in (met, None)
    assert told == met or met in ("solver-family", None)


@pytest.mark.parametrize("steps", [1, DISTILLED_STEPS])
def test_as_many_steps_as_there_are_are_accepted(steps: int) -> None:
    (leg,) = plan_legs([Stage(steps=steps, solver="lcm")])
    require_levels(leg, CONFIGS["sd1"])
    assert len(leg_sigmas(leg, NoiseSchedule.from_config(CONFIGS["sd1"]))) == steps + 1


def test_other_spacings_of_a_distilled_model_take_more_steps() -> None:
    (leg,) = plan_legs([Stage(steps=200, solver="lcm", sigmas="trailing")])
    require_levels(leg, CONFIGS["sd1"])
    assert len(leg_sigmas(leg, NoiseSchedule.from_config(CONFIGS["sd1"]))) == 201


def test_a_few_timesteps_make_a_schedule_of_few_steps() -> None:
    short = {**CONFIGS["sd1"], "num_train_timesteps": 100}
    (leg,) = plan_legs([Stage(steps=101)])
    assert codes_of(lambda: require_levels(leg, short)) == "steps-out-of-range"


def test_telling_it_imports_no_torch() -> None:
    code = "import sys, sdgraph.diffusion.levels_fit as fit; fit.level_range({}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def codes_of(ask: Any) -> str | None:
    try:
        ask()
    except SamplingError as error:
        return error.code
    return None
