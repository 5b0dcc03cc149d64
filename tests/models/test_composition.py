"""Laws of composition, on networks with a known answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.tiles import Tile
from sdgraph.errors import SamplingError
from sdgraph.models.compose import ComposedModel, Sampling
from sdgraph.models.conditioning_algebra import combined
from sdgraph.models.step_clock import StepClock
from sdgraph.models.view import EVERYTHING, Window
from sdgraph.payloads.area import Area
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.mask import Mask
from sdgraph.payloads.step_window import StepWindow
from tests.diffusion.toys import SD

SIDE = 8


class ValueNetwork:
    """Predicts x0 = the number that each conditioning's embedding holds, the same everywhere; remembers its calls."""

    module = None

    def __init__(self) -> None:
        self.schedule: Any = SD
        self.view = EVERYTHING
        self.calls: list[tuple[tuple[int, int], list[float]]] = []

    def __call__(self, x: Tensor, timestep: Tensor, conditionings: Sequence[Conditioning]) -> Tensor:
        values = [float(conditioning.entries[0].embedding[0, 0, 0]) for conditioning in conditionings]
        self.calls.append(((x.shape[-2], x.shape[-1]), values))
        batch = len(x) // len(conditionings)
        return torch.tensor(values).repeat_interleave(batch).reshape(-1, 1, 1, 1).expand(x.shape)


class PlainValues(ModelDenoiser[Conditioning]):
    """Takes the network's answer for the denoised latents themselves."""

    def from_prediction(self, prediction: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        return prediction


def prompt(value: float, **fields: Any) -> Conditioning:
    return Conditioning((ConditioningEntry(torch.full((1, 77, 4), value), **fields),))


def both(*parts: Conditioning) -> Conditioning:
    """All of them at once."""
    return reduce(combined, parts)


def mask(values: Any, side: int = SIDE) -> Mask:
    array = np.asarray(values, np.float32)
    return Mask(np.broadcast_to(array, (1, 1, side, side)).copy() if array.ndim < 4 else array)


LEFT = mask([1.0] * 4 + [0.0] * 4)
RIGHT = mask([0.0] * 4 + [1.0] * 4)


def answer(
    *conditionings: Conditioning,
    base: Conditioning | None = None,
    sigma: float = 1.0,
    batch: int = 1,
    clock: StepClock | None = None,
    window: Window | None = None,
    side: int = SIDE,
) -> tuple[list[Tensor], ValueNetwork, Sampling]:
    network: Any = ValueNetwork()
    sampling = Sampling(base, clock or StepClock())
    model = ComposedModel(network, PlainValues(network, SD), None, sampling)
    x = torch.zeros(batch, 4, side, side)
    if window is not None:
        with model.focused(window):
            found = model.denoise(x, torch.full((batch,), sigma), conditionings)
    else:
        found = model.denoise(x, torch.full((batch,), sigma), conditionings)
    return list(found), network, sampling


def row(field: Tensor) -> list[float]:
    """The first row of the first channel."""
    return [round(float(value), 6) for value in field[0, 0, 0]]


def test_one_prompt_each_goes_to_the_network_as_it_is() -> None:
    (negative, positive), network, sampling = answer(prompt(1), prompt(2))
    assert (row(negative), row(positive)) == ([1.0] * 8, [2.0] * 8)
    assert network.calls == [((8, 8), [1.0, 2.0])]
    assert sampling.extra == 0


def test_entries_without_places_are_averaged_by_their_strength() -> None:
    (found,), network, sampling = answer(both(prompt(1), prompt(4, strength=2.0)))
    assert row(found) == [3.0] * 8
    assert network.calls == [((8, 8), [1.0, 4.0])]
    assert sampling.extra == 1


def test_masks_give_each_region_its_own_prompt_in_one_forward() -> None:
    regions = both(prompt(1, mask=LEFT), prompt(2, mask=RIGHT))
    (found,), network, _ = answer(regions)
    assert row(found) == [1.0] * 4 + [2.0] * 4
    assert len(network.calls) == 1


def test_a_base_prompt_is_averaged_with_the_regions_over_it() -> None:
    (found,), _, _ = answer(both(prompt(1), prompt(3, mask=LEFT)))
    assert row(found) == [2.0] * 4 + [1.0] * 4


@pytest.mark.parametrize("value", [1.0, 0.3])
def test_a_full_mask_of_one_entry_is_no_mask_bit_for_bit(value: float) -> None:
    (found,), network, _ = answer(prompt(0.1, mask=mask(value), strength=0.7))
    assert torch.equal(found, answer(prompt(0.1))[0][0])
    assert network.calls == [((8, 8), [pytest.approx(0.1)])]


def test_where_nothing_applies_there_is_no_guidance() -> None:
    negative = prompt(5).as_negative()
    (u, c), network, sampling = answer(negative, prompt(1, mask=LEFT), base=negative)
    assert (row(u), row(c)) == ([5.0] * 8, [1.0] * 4 + [5.0] * 4)
    assert network.calls == [((8, 8), [5.0, 1.0])]
    assert sampling.extra == 0


def test_without_a_negative_the_first_entry_applies_where_none_does() -> None:
    (found,), network, _ = answer(both(prompt(1, mask=LEFT), prompt(2, mask=mask([0.0] * 6 + [1.0] * 2))))
    assert row(found) == [1.0] * 4 + [1.0] * 2 + [2.0] * 2
    assert network.calls == [((8, 8), [1.0, 2.0])]


@pytest.mark.parametrize("factors", [(1.0, 0.6), (0.5, 0.5), (1.0, -0.4), (2.0,)])
def test_parts_joined_by_and_add_what_guidance_adds(factors: tuple[float, ...]) -> None:
    u, values = 5.0, [1.0, 2.0][: len(factors)]
    entries = [prompt(v, factor=f).entries[0] for v, f in zip(values, factors, strict=True)]
    negative = prompt(u).as_negative()
    _, found = answer(negative, Conditioning(tuple(entries)), base=negative)[0]
    expected = u + sum(factor * (value - u) for factor, value in zip(factors, values, strict=True))
    assert row(found) == [pytest.approx(expected, abs=1e-5)] * 8


def test_and_without_guidance_takes_factors_relative_to_their_sum() -> None:
    entries = (*prompt(1, factor=1.0).entries, *prompt(4, factor=0.5).entries)
    assert row(answer(Conditioning(entries))[0][0]) == [2.0] * 8
    with pytest.raises(SamplingError) as caught:
        answer(Conditioning((*prompt(1, factor=1.0).entries, *prompt(4, factor=-1.0).entries)))
    assert caught.value.code == "composition-factors"


def test_an_area_is_shown_alone_and_fades_into_what_is_around() -> None:
    area = Area(0.5, 0.0, 0.5, 1.0)
    (found,), network, sampling = answer(both(prompt(0), prompt(1, area=area)), side=32)
    assert network.calls == [((32, 32), [0.0]), ((32, 16), [1.0])]
    assert sampling.extra == 1
    values = row(found)
    assert values[:16] == [0.0] * 16
    assert values[20:] == [0.5] * 12
    assert values[16:20] == sorted(values[16:20])
    assert 0 < values[16] < 0.5


def test_an_area_that_is_the_whole_picture_is_no_area_bit_for_bit() -> None:
    (found,), network, _ = answer(prompt(0.1, area=Area(0, 0, 64, 64, "px")))
    assert torch.equal(found, answer(prompt(0.1))[0][0])
    assert network.calls == [((8, 8), [pytest.approx(0.1)])]


def test_an_area_outside_of_the_picture_is_a_clear_error() -> None:
    with pytest.raises(SamplingError, match="64 x 64 px") as caught:
        answer(prompt(1, area=Area(100, 0, 8, 8, "px")))
    assert caught.value.code == "conditioning-area"
    with pytest.raises(SamplingError):
        Area(0, 0, 0, 1)


def test_an_entry_acts_between_its_start_and_its_end() -> None:
    timed = both(prompt(1, end=0.5), prompt(2, start=0.5))
    sigmas = [float(SD.sigma_of(torch.tensor([t]))[0]) for t in (999.0, 501.0, 498.0, 0.0)]
    assert [row(answer(timed, sigma=sigma)[0][0])[0] for sigma in sigmas] == [1.0, 1.0, 2.0, 2.0]


def test_when_no_entry_acts_the_negative_takes_over() -> None:
    negative = prompt(5).as_negative()
    late = prompt(1, start=0.9)
    assert row(answer(negative, late, base=negative, sigma=14.0)[0][1]) == [5.0] * 8
    assert row(answer(late, sigma=14.0)[0][0]) == [1.0] * 8


def test_texts_change_with_the_step_and_cost_one_evaluation_each() -> None:
    leg = plan_legs([Stage(steps=4)])[0]
    edited = Conditioning(
        (
            *prompt(1, windows=(StepWindow(until_share=0.5),)).entries,
            *prompt(2, windows=(StepWindow(after_share=0.5),)).entries,
        )
    )
    network: Any = ValueNetwork()
    model = ComposedModel(network, PlainValues(network, SD), None, Sampling(clock=StepClock(leg)))
    for index in range(4):
        model.begin_step(index, 1.0)
        model.denoise(torch.zeros(1, 4, 8, 8), torch.ones(1), (edited,))
    assert [values for _, values in network.calls] == [[1.0], [1.0], [2.0], [2.0]]
    assert model.sampling.extra == 0


def test_a_mask_of_several_items_gives_each_its_own_region() -> None:
    masks = Mask(np.concatenate([LEFT.values, RIGHT.values]))
    negative = prompt(0).as_negative()
    (found,), _, _ = answer(prompt(1, mask=masks), base=negative, batch=2)
    assert row(found[:1]) == [1.0] * 4 + [0.0] * 4
    assert row(found[1:]) == [0.0] * 4 + [1.0] * 4
    with pytest.raises(SamplingError, match="2 masks for 3 items") as caught:
        answer(prompt(1, mask=masks), base=negative, batch=3)
    assert caught.value.code == "conditioning-batch"


def test_a_mask_is_brought_to_the_size_of_the_latents() -> None:
    fine = np.zeros((1, 1, 64, 64), np.float32)
    fine[..., :36] = 1.0
    (found,), _, _ = answer(both(prompt(0), prompt(1, mask=Mask(fine), strength=1.0)))
    assert row(found) == [0.5] * 4 + [pytest.approx(1 / 3, abs=1e-6)] + [0.0] * 3


def test_a_tile_sees_its_part_of_masks_and_areas() -> None:
    tile = Window(Tile(0, 4, 8, 8), 8, 16)
    regions = both(
        prompt(1, mask=Mask(np.concatenate([np.ones((1, 1, 8, 8)), np.zeros((1, 1, 8, 8))], -1).astype(np.float32))),
        prompt(2, area=Area(0.5, 0.0, 0.5, 1.0)),
    )
    (found,), network, _ = answer(regions, window=tile)
    assert row(found) == [1.0] * 4 + [2.0] * 4
    assert network.calls == [((8, 8), [1.0]), ((8, 4), [2.0])]


def test_a_tile_outside_of_every_region_is_unguided() -> None:
    negative = prompt(5).as_negative()
    far = prompt(1, area=Area(0.5, 0.0, 0.5, 1.0))
    _, found = answer(negative, far, base=negative, window=Window(Tile(0, 0, 8, 8), 8, 16))[0]
    assert row(found) == [5.0] * 8


def test_legs_that_split_the_steps_see_the_same_places() -> None:
    whole, parts = plan_legs([Stage(steps=6)]), plan_legs([Stage(steps=2), Stage(steps=4)])

    def places(legs: Any) -> list[Any]:
        found: list[Any] = []
        taken = 0
        for leg in legs:
            clock = StepClock(leg, taken)
            for index in range(leg.steps):
                clock.begin(index, 1.0, SD)
                found.append(clock.place)
            taken += leg.steps
        return found

    assert places(whole) == places(parts)
    assert [place.step for place in places(whole)] == [1, 2, 3, 4, 5, 6]
    assert {place.total for place in places(whole)} == {6}
    ranged = plan_legs([Stage(steps=2, sigma_end=3.0), Stage(steps=4)])
    assert [(place.step, place.total) for place in places(ranged)] == [(step, None) for step in range(1, 7)]


def test_steps_that_a_strength_leaves_out_count_as_taken() -> None:
    (leg,) = plan_legs([Stage(steps=10)], strength=0.4)
    clock = StepClock(leg)
    clock.begin(0, 1.0, SD)
    assert clock.place is not None
    assert (clock.place.step, clock.place.total) == (7, 10)


def test_a_stage_with_steps_of_its_own_counts_those_of_the_schedule() -> None:
    legs = plan_legs([Stage(steps=4, until=0.5), Stage(steps=5)], schedule_steps=10)
    clock = StepClock(legs[0])
    steps: list[int] = []
    for index in range(4):
        clock.begin(index, 1.0, SD)
        assert clock.place is not None
        steps.append(clock.place.step)
    assert (steps, clock.place and clock.place.total) == ([1, 2, 3, 4], 10)


REGION = st.tuples(
    st.floats(-2, 2, width=32),
    st.floats(0, 3),
    st.sampled_from([None, "mask", "area"]),
    st.lists(st.floats(0, 1, width=32), min_size=8, max_size=8),
    st.floats(0.1, 1.5),
)


@settings(max_examples=60)
@given(st.lists(REGION, min_size=1, max_size=4), st.booleans())
def test_shares_sum_to_one_everywhere_so_equal_predictions_come_out_as_they_are(
    regions: list[tuple[float, float, str | None, list[float], float]], guided: bool
) -> None:
    def build(value: float | None) -> Conditioning:
        parts = [
            prompt(
                number if value is None else value,
                strength=strength,
                mask=mask(line) if kind == "mask" else None,
                area=Area(line[0] * 0.5, 0.0, 0.5, 0.5) if kind == "area" else None,
                factor=factor if guided else 1.0,
            )
            for number, strength, kind, line, factor in regions
        ]
        return both(*parts)

    negative = prompt(0.7).as_negative()
    same = answer(build(0.7), base=negative if guided else None)[0][0]
    assert torch.equal(same, torch.full_like(same, 0.7))
    mixed = answer(build(None))[0][0]
    numbers = [number for number, *_ in regions]
    assert mixed.min() >= min(numbers) - 1e-5
    assert mixed.max() <= max(numbers) + 1e-5
