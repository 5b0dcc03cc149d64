"""The benchmark's own arithmetic, on pictures that need no model."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.adherence import held_out_cases, overlap, score
from training.shapes.judge import judge
from training.shapes.world import is_held_out


@pytest.mark.parametrize("pair_share", [0.0, 1.0])
def test_cases_are_held_out_and_the_same_for_the_same_seed(pair_share: float) -> None:
    cases = held_out_cases(40, pair_share, seed=3)
    assert all(is_held_out(case.scene) for case in cases)
    assert all("background" in case.caption for case in cases)
    assert [case.caption for case in cases] == [case.caption for case in held_out_cases(40, pair_share, seed=3)]


def test_drawn_pictures_score_full_marks_and_shuffled_ones_do_not() -> None:
    cases = held_out_cases(40, 1.0, seed=4)
    right = score([judge(case.scene, case.picture) for case in cases])
    assert (right.cases, right.correct, right.objects, right.relation) == (40, 1.0, 1.0, 1.0)
    wrong = score([judge(case.scene, other.picture) for case, other in zip(cases, cases[1:] + cases[:1], strict=True)])
    assert wrong.correct < 0.1


def test_a_drawn_picture_overlaps_with_itself_and_an_empty_one_does_not() -> None:
    case = held_out_cases(1, 0.0, seed=5)[0]
    assert overlap(case.picture, case.scene) > 0.8
    assert overlap(np.full_like(case.picture, 255), case.scene) == 0.0
