"""Each kind of change against what its paper's layer computes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, linear

from sdgraph.models.patches.adapters import (
    Adapter,
    Decomposed,
    Difference,
    Hadamard,
    Kronecker,
    LowRank,
    Scaling,
)

ALL = slice(None)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


WEIGHT, KERNEL = numbers(8, 6), numbers(8, 6, 3, 3)
X, PICTURE = numbers(5, 6), numbers(2, 6, 7, 7)


def close(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, atol=1e-4)


def test_lora_is_two_layers_beside_a_linear_one() -> None:
    down, up = numbers(3, 6), numbers(8, 3)
    changed = WEIGHT + LowRank(down, up, 0.5).delta(WEIGHT, ALL)
    assert close(linear(X, changed), linear(X, WEIGHT) + 0.5 * linear(linear(X, down), up))


def test_lora_is_two_convolutions_beside_a_convolution() -> None:
    down, up = numbers(3, 6, 3, 3), numbers(8, 3, 1, 1)
    delta = LowRank(down, up, 0.5).delta(KERNEL, ALL)
    assert close(conv2d(PICTURE, delta), 0.5 * conv2d(conv2d(PICTURE, down), up))


def test_lora_with_a_core_is_three_convolutions() -> None:
    down, mid, up = numbers(3, 6, 1, 1), numbers(4, 3, 3, 3), numbers(8, 4, 1, 1)
    delta = LowRank(down, up, 2.0, mid).delta(KERNEL, ALL)
    assert close(conv2d(PICTURE, delta), 2.0 * conv2d(conv2d(conv2d(PICTURE, down), mid), up))


def test_loha_is_the_product_of_two_low_ranks() -> None:
    first, second = (numbers(8, 2), numbers(2, 6)), (numbers(8, 3), numbers(3, 6))
    delta = Hadamard(first, second, 0.5).delta(WEIGHT, ALL)
    assert close(delta, 0.5 * (first[0] @ first[1]) * (second[0] @ second[1]))
    assert torch.linalg.matrix_rank(Hadamard(first, (second[0], second[1]), 1.0).delta(WEIGHT, ALL)) == 6


def test_loha_with_cores_multiplies_two_tucker_products() -> None:
    cores = numbers(2, 3, 3, 3), numbers(2, 3, 3, 3, seed=1)
    first, second = (numbers(2, 8), numbers(3, 6)), (numbers(2, 8, seed=2), numbers(3, 6, seed=3))
    expected = torch.ones(8, 6, 3, 3)
    for core, (a, b) in zip(cores, (first, second), strict=True):
        # Three layers again: b brings 6 channels to 3, the core 3 to 2, a 2 to 8.
        chain = conv2d(conv2d(PICTURE, b[..., None, None]), core)
        own = torch.einsum("ijkl,ip,jr->prkl", core, a, b)
        assert close(conv2d(PICTURE, own), conv2d(chain, a.T[..., None, None]))
        expected = expected * own
    assert close(Hadamard(first, second, 1.5, cores).delta(KERNEL, ALL), 1.5 * expected)


def test_lokr_is_a_kronecker_product() -> None:
    left, right = numbers(2, 3), numbers(4, 2)
    assert close(Kronecker(left, right, 0.5).delta(WEIGHT, ALL), 0.5 * torch.kron(left, right))
    low = numbers(4, 1), numbers(1, 2)
    assert close(Kronecker(left, low, 1.0).delta(WEIGHT, ALL), torch.kron(left, low[0] @ low[1]))


def test_lokr_for_convolutions_keeps_their_windows() -> None:
    left, right = numbers(2, 3), numbers(4, 2, 3, 3)
    found = Kronecker(left, right, 1.0).delta(KERNEL, ALL)
    assert close(found[5, 3, 1, 2], left[1, 1] * right[1, 1, 1, 2])
    flat = numbers(4, 3), numbers(3, 2 * 9)
    product = (flat[0] @ flat[1]).reshape(4, 2, 3, 3)
    assert close(Kronecker(left, flat, 1.0).delta(KERNEL, ALL), Kronecker(left, product, 1.0).delta(KERNEL, ALL))
    core, a, b = numbers(2, 1, 3, 3), numbers(2, 4), numbers(1, 2)
    whole = torch.einsum("ijkl,ip,jr->prkl", core, a, b)
    assert close(Kronecker(left, (a, b), 1.0, core).delta(KERNEL, ALL), Kronecker(left, whole, 1.0).delta(KERNEL, ALL))


def test_ia3_scales_inputs_or_outputs() -> None:
    inputs, outputs = numbers(6), numbers(8)
    assert close(linear(X, WEIGHT + Scaling(inputs, True).delta(WEIGHT, ALL)), linear(X * (1 + inputs), WEIGHT))
    assert close(linear(X, WEIGHT + Scaling(outputs, False).delta(WEIGHT, ALL)), linear(X, WEIGHT) * (1 + outputs))


def test_dora_gives_every_row_its_magnitude() -> None:
    magnitude, inner = numbers(8).abs(), LowRank(numbers(3, 6), numbers(8, 3), 0.5)
    changed = WEIGHT + Decomposed(inner, magnitude).delta(WEIGHT, ALL)
    assert close(changed.norm(dim=1), magnitude)
    moved = WEIGHT + inner.delta(WEIGHT, ALL)
    assert close(changed / changed.norm(dim=1, keepdim=True), moved / moved.norm(dim=1, keepdim=True))


def test_dora_may_have_a_magnitude_per_input_channel() -> None:
    magnitude, inner = numbers(6).abs(), LowRank(numbers(3, 6, 3, 3), numbers(8, 3, 1, 1), 0.5)
    changed = KERNEL + Decomposed(inner, magnitude, on_input=True).delta(KERNEL, ALL)
    assert close(changed.transpose(0, 1).flatten(1).norm(dim=1), magnitude)


def test_dora_with_the_norms_that_the_weight_has_and_no_change_is_nothing() -> None:
    still = LowRank(numbers(3, 6), torch.zeros(8, 3), 1.0)
    assert close(Decomposed(still, WEIGHT.norm(dim=1)).delta(WEIGHT, ALL), torch.zeros(8, 6))
    assert torch.isfinite(Decomposed(still, torch.ones(8)).delta(torch.zeros(8, 6), ALL)).all()


@pytest.mark.parametrize(
    ("adapter", "weight"),
    [
        (LowRank(numbers(3, 6), numbers(8, 3), 0.5), WEIGHT),
        (LowRank(numbers(3, 6, 1, 1), numbers(8, 4, 1, 1), 2.0, numbers(4, 3, 3, 3)), KERNEL),
        (Hadamard((numbers(8, 2), numbers(2, 54)), (numbers(8, 3), numbers(3, 54)), 0.5), KERNEL),
        (
            Hadamard(
                (numbers(2, 8), numbers(3, 6)),
                (numbers(2, 8), numbers(3, 6)),
                1.0,
                (numbers(2, 3, 3, 3), numbers(2, 3, 3, 3)),
            ),
            KERNEL,
        ),
        (Kronecker(numbers(2, 3), numbers(4, 2), 0.5), WEIGHT),
        (Difference(WEIGHT), WEIGHT),
        (Difference(numbers(8)), numbers(8, seed=1)),
        (Scaling(numbers(8), on_input=False), WEIGHT),
        (Scaling(numbers(6), on_input=True), WEIGHT),
        (Decomposed(LowRank(numbers(3, 6), numbers(8, 3), 0.5), numbers(8)), WEIGHT),
    ],
)
def test_some_rows_of_a_change_are_those_of_the_whole(adapter: Adapter, weight: Tensor) -> None:
    whole = adapter.delta(weight, ALL)
    assert whole.shape == weight.shape
    for rows in (slice(0, 3), slice(3, 8)):
        assert close(adapter.delta(weight[rows], rows), whole[rows])
