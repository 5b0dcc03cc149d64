"""Muon: momentum whose matrices are orthogonalised before each step (Jordan et al. 2024), beside AdamW for the rest.

Updates are scaled so that their root mean square is that of AdamW (Liu et al. 2025, "Muon is Scalable for LLM
Training", section 2.2), so both parts share one learning rate. Convolution kernels count as matrices [out, in * h * w].
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 4
MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """Muon over weight matrices of one device; matrices of one shape are orthogonalised together."""

    def __init__(self, matrices: list[nn.Parameter], lr: float, weight_decay: float = 0.01) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes[matrix.shape].append(matrix)
            for shape, matrices in shapes.items():
                updates = orthogonalised(torch.stack([self._moved(matrix) for matrix in matrices]))
                scale = 0.2 * max(updates.shape[1:]) ** 0.5
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.mul_(1.0 - group["lr"] * group["weight_decay"])
                    matrix.add_(update.view(shape), alpha=-group["lr"] * scale)

    def _moved(self, matrix: nn.Parameter) -> torch.Tensor:
        """The Nesterov momentum of one matrix, [out, in]."""
        assert matrix.grad is not None
        state: dict[str, Any] = self.state[matrix]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        state["momentum"].lerp_(matrix.grad, 1.0 - MOMENTUM)
        return torch.lerp(matrix.grad, state["momentum"], MOMENTUM).flatten(1)


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest semi-orthogonal matrices, roughly, by a quintic Newton-Schulz iteration; [N, rows, columns]."""
    wide = matrices.shape[1] <= matrices.shape[2]
    x = (matrices if wide else matrices.mT).bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.mT).to(matrices.dtype)


class Optimizers:
    """Muon for hidden matrices and AdamW for everything else, stepped and saved as one."""

    def __init__(self, model: nn.Module, lr: float, ends: tuple[str, ...], weight_decay: float = 0.01) -> None:
        """`ends` are parts of the names of first and last layers and embeddings, which stay with AdamW."""
        named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
        is_hidden = {name: weight.ndim in (2, 4) and not any(end in name for end in ends) for name, weight in named}
        hidden = [weight for name, weight in named if is_hidden[name]]
        others = [weight for name, weight in named if not is_hidden[name]]
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            Muon(hidden, lr, weight_decay),
            torch.optim.AdamW(others, lr, betas=(0.9, 0.99), weight_decay=weight_decay, fused=True),
        )

    def step(self, lr: float) -> None:
        """One update with this learning rate; gradients are forgotten afterwards."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """The states of both parts."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]] | None) -> None:
        """Restore both parts; without states, as after `restore`, they begin afresh."""
        for part, state in zip(self.parts, states or (), strict=states is not None):
            part.load_state_dict(state)
