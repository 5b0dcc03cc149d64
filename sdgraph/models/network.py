"""A UNet with its ControlNets as the network that `sdgraph.diffusion` samples with."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.schedule import NoiseSchedule

ROUNDING_TIMESTEPS = 0.6
"""Schedules round to whole timesteps; a step within this distance of `start` or `end` counts as being there."""


@dataclass(frozen=True, slots=True, eq=False)
class _Branch:
    """A control branch with its network and its picture as a tensor."""

    branch: ControlBranch
    net: Any
    picture: Tensor
    """[1 or B, 3, H, W]."""


class UNetNetwork:
    """Predicts under several conditionings in one forward; see `sdgraph.diffusion.denoiser.Network`."""

    def __init__(
        self, unet: Any, handle: DenoiserHandle, schedule: NoiseSchedule, branches: Sequence[_Branch] = ()
    ) -> None:
        self.schedule = schedule
        self.forwards = 0
        """Forwards of the UNet so far."""
        self.control_forwards = 0
        """Forwards of ControlNets so far."""
        self._unet = unet
        self._handle = handle
        self._branches = tuple(branches)

    def __call__(self, x: Tensor, timestep: Tensor, conditionings: tuple[Conditioning, ...]) -> Tensor:
        """The prediction [k*B, C, h, w], like `x`.

        `x` is [k*B, C, h, w], `timestep` [k*B]; items j*B to (j+1)*B are under conditioning j of k. Raises
        SamplingError [conditioning-width], [conditioning-entries], [control-size], [control-batch].
        """
        import torch

        batch = x.shape[0] // len(conditionings)
        with torch.no_grad():
            place = {"device": self._unet.device, "dtype": self._unet.dtype}
            embedding = join_conditionings(conditionings, batch, self._handle.conditioning_width).to(**place)
            arguments = (x.to(**place), timestep.to(place["device"]), embedding)
            residuals = self._residuals(arguments, batch)
            self.forwards += 1
            prediction = self._unet(*arguments, **residuals, return_dict=False)[0]
        return prediction.to(x.device, x.dtype)

    def _residuals(self, arguments: tuple[Tensor, Tensor, Tensor], batch: int) -> dict[str, Any]:
        """The sum of what the active ControlNets add to the UNet's features; each runs once for all conditionings."""
        progress = self.schedule.progress_of(float(arguments[1][0]))
        down: list[Tensor] = []
        mid: Tensor | None = None
        for entry in self._branches:
            if not is_active(entry.branch, progress, ROUNDING_TIMESTEPS / self.schedule.count):
                continue
            self.control_forwards += 1
            more_down, more_mid = entry.net(
                *arguments,
                self._picture(entry, arguments[0], batch),
                conditioning_scale=entry.branch.strength,
                return_dict=False,
            )
            down = [a + b for a, b in zip(down, more_down, strict=True)] if down else list(more_down)
            mid = more_mid if mid is None else mid + more_mid
        if mid is None:
            return {}
        return {"down_block_additional_residuals": tuple(down), "mid_block_additional_residual": mid}

    def _picture(self, entry: _Branch, x: Tensor, batch: int) -> Tensor:
        """[k*B, 3, H, W]."""
        picture = entry.picture
        expected = [side * self._handle.space.downscale for side in x.shape[2:]]
        if list(picture.shape[2:]) != expected:
            raise SamplingError(
                "control-size",
                f"The control picture is {_size(picture.shape[2:])} pixels, expected {_size(expected)}.",
                "Resize it to the size of the result.",
            )
        if picture.shape[0] not in (1, batch):
            raise SamplingError(
                "control-batch",
                f"There are {picture.shape[0]} control pictures for {batch} items, expected 1 or {batch}.",
                "Give one picture for all items or one per item.",
            )
        return picture.repeat(x.shape[0] // picture.shape[0], 1, 1, 1)


@contextmanager
def open_network(
    pool: ModelPool, handle: DenoiserHandle, control: Control | None = None, device: str = "cpu"
) -> Generator[UNetNetwork]:
    """The network of a denoiser, its models leased until the `with` block ends.

    ControlNets of strength 0 are left out and not even loaded. Raises ModelError, [control-mismatch] for a ControlNet
    of another kind of model.
    """
    import torch

    from sdgraph.diffusion.schedule import NoiseSchedule

    branches = [branch for branch in (control.branches if control else ()) if branch.strength]
    for branch in branches:
        _require_match(branch, handle)
    with ExitStack() as leases:
        unet = leases.enter_context(pool.lease(handle, device))
        nets = {net.pool_key: net for net in (branch.net for branch in branches)}
        models = {key: leases.enter_context(pool.lease(nets[key], device)) for key in sorted(nets)}
        ready = [
            _Branch(branch, net, torch.tensor(branch.image.pixels).to(device, unet.dtype))
            for branch in branches
            for net in [models[branch.net.pool_key]]
        ]
        yield UNetNetwork(unet, handle, NoiseSchedule.from_config(handle.scheduler), ready)


def is_active(branch: ControlBranch, progress: float, tolerance: float = 0.0) -> bool:
    """Whether a branch acts at a step: from `start` on, before `end`, and to the very end with an end of 1."""
    return branch.start <= progress + tolerance and (branch.end >= 1 or progress + tolerance < branch.end)


def join_conditionings(conditionings: Sequence[Conditioning], batch: int, width: int) -> Tensor:
    """Embeddings [k*B, L, D], each conditioning repeated `batch` times.

    Shorter ones are lengthened by repeating their last vector, as A1111 does. Raises SamplingError
    [conditioning-width] and [conditioning-entries].
    """
    import torch

    embeddings = [_embedding(conditioning, width) for conditioning in conditionings]
    length = max(embedding.shape[1] for embedding in embeddings)
    padded = [
        torch.cat([embedding, embedding[:, -1:].expand(-1, length - embedding.shape[1], -1)], dim=1)
        for embedding in embeddings
    ]
    return torch.cat([embedding.expand(batch, -1, -1) for embedding in padded])


def _embedding(conditioning: Conditioning, width: int) -> Tensor:
    if len(conditioning.entries) != 1:
        raise SamplingError(
            "conditioning-entries",
            f"The sampler takes conditioning of one prompt, found {len(conditioning.entries)}.",
            "Encode one text.",
        )
    embedding = conditioning.entries[0].embedding
    if embedding.shape[-1] != width:
        raise SamplingError(
            "conditioning-width",
            f"The denoiser takes conditioning vectors of {width} numbers, found {embedding.shape[-1]}.",
            "Encode the prompt with the text encoder of the same checkpoint.",
        )
    return embedding


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
