"""What control adds to a denoiser: the networks of a sampler's control, opened, gated by progress and summed."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING_TIMESTEPS = 0.6
"""Schedules round to whole timesteps; a step within this distance of `start` or `end` counts as being there."""


@dataclass(frozen=True, slots=True, eq=False)
class UNetCall:
    """What a UNet is about to be called with, on its device and in its dtype."""

    x: Tensor
    """[k*B, C, h, w]: items j*B to (j+1)*B are under conditioning j of k."""
    timestep: Tensor
    """[k*B]."""
    embedding: Tensor
    """[k*B, L, D]."""
    batch: int
    """B."""
    progress: float
    """Sampling progress, 0..1."""
    added: Mapping[str, Tensor] = field(default_factory=dict[str, "Tensor"])
    """Added conditions of families that have them (SDXL: `text_embeds`, `time_ids`), else empty."""


@dataclass(frozen=True, slots=True, eq=False)
class _ControlNet:
    """A control branch with its network and its picture as a tensor."""

    branch: ControlBranch
    net: Any
    picture: Tensor
    """[1 or B, 3, H, W]."""


class OpenControl:
    """Control whose networks are leased."""

    def __init__(self, nets: Sequence[_ControlNet] = (), downscale: int = 8, tolerance: float = 0.0) -> None:
        self.forwards = 0
        """Forwards of ControlNets so far."""
        self._nets = tuple(nets)
        self._downscale = downscale
        self._tolerance = tolerance

    def arguments(self, call: UNetCall) -> dict[str, Any]:
        """Further arguments of the UNet: the sum of what the active ControlNets add to its features.

        Each runs once for all conditionings. Raises SamplingError [control-size], [control-batch].
        """
        down: list[Tensor] = []
        mid: Tensor | None = None
        for entry in self._nets:
            if not is_active(entry.branch, call.progress, self._tolerance):
                continue
            self.forwards += 1
            more_down, more_mid = entry.net(
                call.x,
                call.timestep,
                call.embedding,
                self._picture(entry, call),
                conditioning_scale=entry.branch.strength,
                added_cond_kwargs=dict(call.added) or None,
                return_dict=False,
            )
            down = [a + b for a, b in zip(down, more_down, strict=True)] if down else list(more_down)
            mid = more_mid if mid is None else mid + more_mid
        if mid is None:
            return {}
        return {"down_block_additional_residuals": tuple(down), "mid_block_additional_residual": mid}

    def _picture(self, entry: _ControlNet, call: UNetCall) -> Tensor:
        """[k*B, 3, H, W]."""
        picture = entry.picture
        expected = [side * self._downscale for side in call.x.shape[2:]]
        if list(picture.shape[2:]) != expected:
            raise SamplingError(
                "control-size",
                f"The control picture is {_size(picture.shape[2:])} pixels, expected {_size(expected)}.",
                "Resize it to the size of the result.",
            )
        if picture.shape[0] not in (1, call.batch):
            raise SamplingError(
                "control-batch",
                f"There are {picture.shape[0]} control pictures for {call.batch} items, expected 1 or {call.batch}.",
                "Give one picture for all items or one per item.",
            )
        return picture.repeat(call.x.shape[0] // picture.shape[0], 1, 1, 1)


def acting_branches(control: Control | None, handle: DenoiserHandle) -> tuple[ControlBranch, ...]:
    """The branches that are not off. Raises ModelError [control-mismatch] for one of another kind of model."""
    branches = tuple(branch for branch in (control.branches if control else ()) if branch.strength)
    for branch in branches:
        _require_match(branch, handle)
    return branches


@contextmanager
def open_control(
    pool: ModelPool, branches: Sequence[ControlBranch], handle: DenoiserHandle, device: str, tolerance: float
) -> Generator[OpenControl]:
    """Control for a leased denoiser, its networks leased until the `with` block ends. `tolerance` is in progress."""
    import torch

    dtype = getattr(torch, handle.dtype)
    handles = {branch.net.pool_key: branch.net for branch in branches}
    with ExitStack() as leases:
        models = {key: leases.enter_context(pool.lease(handles[key], device)) for key in sorted(handles)}
        nets = [
            _ControlNet(branch, models[branch.net.pool_key], torch.tensor(branch.image.pixels).to(device, dtype))
            for branch in branches
        ]
        yield OpenControl(nets, handle.space.downscale, tolerance)


def is_active(branch: ControlBranch, progress: float, tolerance: float = 0.0) -> bool:
    """Whether a branch acts at a step: from `start` on, before `end`, and to the very end with an end of 1."""
    return branch.start <= progress + tolerance and (branch.end >= 1 or progress + tolerance < branch.end)


def _require_match(branch: ControlBranch, handle: DenoiserHandle) -> None:
    net = branch.net
    if (net.conditioning_width, net.downscale) != (handle.conditioning_width, handle.space.downscale):
        raise ModelError(
            "control-mismatch",
            f"The ControlNet `{net.source}` is for {net.conditioning_width}-wide conditioning and 1/{net.downscale} "
            f"latents, the denoiser for {handle.conditioning_width} and 1/{handle.space.downscale}.",
            "Use a ControlNet that was trained for this model.",
        )


def _size(sides: Sequence[int]) -> str:
    return f"{sides[1]}x{sides[0]}"
