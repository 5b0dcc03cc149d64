"""Pictures that have settled jump to x0, each for itself, and what that saves is known exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance, GuidanceSchedule, IntervalGuidance
from sdgraph.diffusion.guider_specs import CfgSpec, GuiderSpec, PagSpec
from sdgraph.diffusion.guiders.build import build_guider
from sdgraph.diffusion.sampling import StepInfo, run_stage
from sdgraph.diffusion.settling import Settling, edges_of, relative_change, settled, watch
from sdgraph.diffusion.solvers.table import SOLVERS
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import start_from_noise
from sdgraph.diffusion.state import SamplerState
from tests.diffusion.toys import SD, MixtureNetwork, PerturbableDenoiser

SEEDS, SHAPE, STEPS = (1, 2, 3, 4, 5, 6), (4, 3, 3), 40
RULE = EarlyStop(threshold=0.02, patience=2, min_steps=6)
NEVER = EarlyStop(threshold=1e-12)


class Run:
    """A run on the exact network of a mixture, and what it asked of it."""

    def __init__(
        self,
        rule: EarlyStop | None,
        *steps: int,
        seeds: tuple[int, ...] = SEEDS,
        solver: Any = "dpmpp_2m",
        guidance: GuidanceSchedule | None = None,
        guider: GuiderSpec | None = None,
        store: bool = False,
    ) -> None:
        self.network = MixtureNetwork()
        stages = [
            Stage(
                steps=count,
                solver=solver,
                sigmas="karras",
                guidance=guidance or ConstantGuidance(scale=3.0),
                guider=guider or CfgSpec(),
                early_stop=rule,
            )
            for count in steps or (STEPS,)
        ]
        legs = plan_legs(stages)
        self.shown: list[Tensor] = []
        self.state = start_from_noise(legs, SD, seeds, SHAPE)
        for leg in legs:
            asked = build_guider(leg.guider, PerturbableDenoiser(self.network, SD), 0.5, -0.25)
            self.state = run_stage(leg, self.state, asked, SD, self.show)
            if store:
                self.state = stored(self.state)

    def show(self, info: StepInfo) -> None:
        self.shown.append(info.denoised)

    @property
    def x(self) -> Tensor:
        return self.state.x


def stored(state: SamplerState) -> SamplerState:
    meta, tensors = state.to_tensors()
    return SamplerState.from_tensors(json.loads(json.dumps(meta)), tensors)


def rms(latents: Tensor) -> Tensor:
    return latents.flatten(1).square().mean(1).sqrt()


def test_watching_without_stopping_changes_no_bit():
    plain, watched = Run(None), Run(NEVER)
    assert torch.equal(plain.x, watched.x)
    assert plain.network.batches == watched.network.batches
    assert watched.state.stopped == ()
    assert plain.state.settling is None


def test_pictures_stop_when_they_have_settled_and_are_near_where_they_would_have_ended():
    full, early = Run(None), Run(RULE)
    assert {stop.item for stop in early.state.stopped} == set(range(len(SEEDS)))
    assert early.state.sigma == 0
    assert all(stop.step < STEPS for stop in early.state.stopped)
    # Every step that is left out would have changed x0 by about the threshold at most.
    bound = RULE.threshold * torch.tensor([STEPS - stop.step for stop in sorted_stops(early)])
    error = rms(early.x - full.x) / rms(full.x)
    assert bool((error <= bound).all()), (error, bound)


def sorted_stops(run: Run) -> list[Any]:
    return sorted(run.state.stopped, key=lambda stop: stop.item)


def test_no_picture_stops_before_the_change_has_been_small_for_as_long_as_asked():
    watched, early = Run(NEVER), Run(RULE)
    for stop in early.state.stopped:
        changes = [
            float(relative_change(now, before)[stop.item])
            for before, now in zip(watched.shown, watched.shown[1:], strict=False)
        ]
        quiet = [now < RULE.threshold and now <= before for before, now in zip([0.0, *changes], changes, strict=False)]
        first = next(step for step in range(RULE.min_steps, STEPS) if all(quiet[step - 1 - RULE.patience : step - 1]))
        assert stop.step == first


@pytest.mark.parametrize("least", [10, 36, STEPS])
def test_nothing_stops_before_the_least_number_of_steps(least: int):
    early = Run(RULE.model_copy(update={"min_steps": least}))
    assert all(stop.step >= least for stop in early.state.stopped)
    assert (early.state.stopped == ()) == (least == STEPS)


def test_each_picture_of_a_batch_stops_as_if_it_were_alone():
    together = Run(RULE)
    assert len({stop.step for stop in together.state.stopped}) > 1
    for stop, seed in zip(sorted_stops(together), SEEDS, strict=True):
        alone = Run(RULE, seeds=(seed,))
        (alone_stop,) = alone.state.stopped
        assert replace(alone_stop, item=stop.item) == stop
        torch.testing.assert_close(together.x[stop.item], alone.x[0], rtol=0, atol=2e-4)


@pytest.mark.parametrize("solver", ["euler_ancestral", "lcm", "ddim"])
def test_a_stopped_picture_moves_no_noise_of_the_others(solver: Any):
    rule = EarlyStop(threshold=0.1, patience=1, min_steps=3)
    together = Run(rule, solver=solver)
    alone = [Run(rule, solver=solver, seeds=(seed,)).x[0] for seed in SEEDS]
    torch.testing.assert_close(together.x, torch.stack(alone), rtol=0, atol=2e-4)


def test_the_network_sees_only_pictures_that_still_run():
    early = Run(RULE)
    assert sum(early.network.batches) == sum(stop.nfe for stop in early.state.stopped)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_saved_and_what_was_spent_add_up_to_a_full_run(solver: Any):
    full = Run(None, solver=solver)
    early = Run(EarlyStop(threshold=0.3, patience=1, min_steps=3), solver=solver)
    assert early.state.stopped
    assert {stop.nfe + stop.saved for stop in early.state.stopped} == {full.state.nfe}


@pytest.mark.parametrize(
    ("guidance", "guider"),
    [(IntervalGuidance(scale=4, start=0.3, end=0.6), CfgSpec()), (ConstantGuidance(scale=2), PagSpec(stop=0.5))],
)
def test_what_is_saved_knows_the_course_of_guidance(guidance: GuidanceSchedule, guider: GuiderSpec):
    full, early = (Run(rule, guidance=guidance, guider=guider) for rule in (None, RULE))
    assert early.state.stopped
    assert {stop.nfe + stop.saved for stop in early.state.stopped} == {full.state.nfe}


@pytest.mark.parametrize("store", [False, True])
def test_a_stage_that_is_split_and_stored_stops_at_the_same_steps(store: bool):
    whole = Run(RULE)
    legs = plan_legs([Stage(steps=STEPS, solver="dpmpp_2m", sigmas="karras", early_stop=RULE)])
    for cut in (4, 27, 34):
        state = start_from_noise(legs, SD, SEEDS, SHAPE)
        for part in legs[0].split(cut):
            part = part.model_copy(update={"guidance": ConstantGuidance(scale=3.0)})
            guider = build_guider(part.guider, PerturbableDenoiser(MixtureNetwork(), SD), 0.5, -0.25)
            state = run_stage(part, state, guider, SD)
            state = stored(state) if store else state
        torch.testing.assert_close(state.x, whole.x, rtol=0, atol=1e-6)
        assert {stop.item: stop.step for stop in state.stopped} == {
            stop.item: stop.step for stop in whole.state.stopped
        }
        assert {stop.nfe + stop.saved for stop in state.stopped} == {2 * STEPS}


def test_what_was_finished_in_one_stage_stays_as_it_is_in_the_next():
    rule = EarlyStop(threshold=0.05, patience=2, min_steps=6)
    first, last = (Stage(steps=count, solver="dpmpp_2m", sigmas="karras", early_stop=rule) for count in (28, 12))
    legs = plan_legs([first, last])
    guider = build_guider(CfgSpec(), PerturbableDenoiser(MixtureNetwork(), SD), 0.5, -0.25)
    state = run_stage(legs[0], start_from_noise(legs, SD, SEEDS, SHAPE), guider, SD)
    assert 0 < len(state.running) < len(SEEDS)
    latents, scale = state.latents(), (state.sigma**2 + 1) ** 0.5
    for item in range(len(SEEDS)):
        assert torch.equal(latents[item], state.x[item] / scale if item in state.running else state.x[item])
    end = run_stage(legs[1], stored(state), guider, SD)
    finished = [stop.item for stop in state.stopped]
    assert torch.equal(end.x[finished], state.x[finished])
    assert {stop.nfe + stop.saved for stop in end.stopped} == {2 * (28 + 12)}


def test_a_run_in_which_all_have_finished_skips_its_other_stages():
    rule = EarlyStop(threshold=0.05, patience=1, min_steps=2)
    both = Run(rule, 37, 3)
    assert not both.state.running
    assert len(both.shown) < 37
    assert {stop.nfe + stop.saved for stop in both.state.stopped} == {2 * STEPS}


# The rule itself


def test_small_changes_that_grow_are_not_quiet():
    """In strong noise x0 hardly changes: a rule without this would stop every picture at its least step."""
    settling: Settling | None = None
    for step in range(6):
        settling = watch(settling, torch.full((1, 1, 2, 2), 1 + 0.001 * 1.5**step), threshold=0.05)
        assert settling.quiet == (0,)


def test_a_sequence_triggers_at_the_known_step():
    settling: Settling | None = None
    done: list[list[int]] = []
    base, direction = torch.ones(2, 1, 2, 2), torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1)
    for step in range(1, 9):
        settling = watch(settling, base + direction * 0.5**step, threshold=0.05)
        done.append(settled(settling, EarlyStop(threshold=0.05, patience=2, min_steps=3), step))
    # The first changes by 0.5**step of about 1: less than 0.05 from step 5 on; the second by three times as much.
    assert done == [[], [], [], [], [], [0], [0, 1], [0, 1]]


def test_a_restless_step_starts_the_count_again():
    still, moved = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 2.0)
    settling: Settling | None = None
    counts: list[int] = []
    for latents in (still, still, still, moved, moved):
        settling = watch(settling, latents, threshold=0.1)
        counts.append(settling.quiet[0])
    assert counts == [0, 1, 2, 0, 1]


def test_edges_that_come_to_rest_finish_a_picture_whose_brightness_still_changes():
    """The edge of a square grows as 1 - 0.5**step; the brightness rises by 1 in every step."""
    square = torch.zeros(1, 1, 8, 8)
    square[..., 2:6, 2:6] = 1
    rule = EarlyStop(threshold=0.05, patience=2, min_steps=3, watches="edges")
    found: dict[bool, list[list[int]]] = {True: [], False: []}
    for edges, done in found.items():
        settling: Settling | None = None
        for step in range(1, 9):
            latents = square * (1 - 0.5**step) * 0.1 + step
            settling = watch(settling, latents, rule.threshold, edges=edges)
            done.append(settled(settling, rule, step))
    # The edge changes by 0.5**step of about 1: less than 0.05 from step 5 on.
    assert found[True] == [[], [], [], [], [], [0], [0], [0]]
    assert found[False] == [[]] * 8


def test_edges_lie_where_latents_change_and_nowhere_else():
    latents = torch.zeros(2, 3, 6, 6)
    latents[:, 1, :, 3:] = 4.0
    steep = edges_of(latents)
    assert steep.shape == latents.shape
    assert bool((steep[:, [0, 2]] == 0).all())
    expected = torch.tensor([0.0, 0.0, 2.0, 2.0, 0.0, 0.0])
    torch.testing.assert_close(steep[:, 1], expected.expand(2, 6, 6))
    turned = edges_of(latents.transpose(2, 3))
    torch.testing.assert_close(turned, steep.transpose(2, 3))


def test_a_run_that_watches_edges_stops_each_picture_as_if_it_were_alone():
    rule = RULE.model_copy(update={"watches": "edges"})
    together = Run(rule, STEPS).state
    assert together.stopped
    assert together.x.shape == (len(SEEDS), *SHAPE)
    for stop in together.stopped:
        alone = Run(rule, STEPS, seeds=(SEEDS[stop.item],)).state
        assert [(one.step, one.nfe) for one in alone.stopped] == [(stop.step, stop.nfe)]
        torch.testing.assert_close(alone.x[0], together.x[stop.item], rtol=0, atol=1e-5)
