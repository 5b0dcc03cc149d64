"""What control adds to a denoiser: the networks of a sampler's control, opened, gated by progress and summed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from sdgraph.models import controlnet, ip_adapter, t2i_adapter
from sdgraph.models.control_call import UNetCall, is_active
from sdgraph.models.controlnet import OpenControlNet, shown
from sdgraph.models.ip_adapter import OpenImageAttention, OpenIPAdapter
from sdgraph.models.pool import ModelPool
from sdgraph.models.t2i_adapter import OpenT2IAdapter, open_t2i_adapter
from sdgraph.models.union_controlnet import OpenUnionNet, together
from sdgraph.payloads.control import Branch, Control, ControlBranch, IPAdapterBranch, T2IAdapterBranch
from sdgraph.payloads.handles import DenoiserHandle, PoolKey

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING_TIMESTEPS = 0.6
"""Schedules round to whole timesteps; a step within this distance of `start` or `end` counts as being there."""


class OpenControl:
    """Control whose networks are leased."""

    def __init__(
        self,
        nets: Sequence[OpenControlNet] = (),
        adapters: Sequence[OpenT2IAdapter] = (),
        attention: OpenImageAttention | None = None,
        tolerance: float = 0.0,
    ) -> None:
        self.forwards = 0
        """Forwards of ControlNets so far."""
        self._nets = tuple(nets)
        self._adapters = tuple(adapters)
        self._attention = attention
        self._tolerance = tolerance

    @contextmanager
    def acting(self, call: UNetCall) -> Generator[dict[str, Any]]:
        """Arguments of the UNet beside its latents and timesteps, to be called within the `with` block.

        They are the embeddings, and the sums of what the active branches add to features. Raises SamplingError
        [control-size], [control-batch].
        """
        arguments = {"encoder_hidden_states": call.embedding} | self._features(call)
        prompts = [entry for entry in self._attention.entries if self._acts(entry, call)] if self._attention else []
        if self._attention is None or not prompts:
            yield arguments
            return
        with self._attention.attending(call, prompts) as states:
            yield arguments | {"encoder_hidden_states": states}

    def _features(self, call: UNetCall) -> dict[str, Any]:
        nets = [entry for entry in self._nets if self._acts(entry, call)]
        added = [entry.residuals(call) for entry in nets]
        self.forwards += sum(bool(parts) for parts in added)
        seen = [entry.residuals(call) for entry in self._adapters if self._acts(entry, call)]
        arguments: dict[str, Any] = {}
        if residuals := _sum(added):
            arguments["down_block_additional_residuals"] = tuple(residuals[:-1])
            arguments["mid_block_additional_residual"] = residuals[-1]
        if residuals := _sum(seen):
            arguments["down_intrablock_additional_residuals"] = residuals
        return arguments

    def _acts(self, entry: OpenControlNet | OpenT2IAdapter | OpenIPAdapter, call: UNetCall) -> bool:
        return is_active(entry.branch, call.progress, self._tolerance)


def acting_branches(control: Control | None, handle: DenoiserHandle) -> tuple[Branch, ...]:
    """The branches that are not off. Raises ModelError [control-mismatch], SamplingError [image-prompt]."""
    branches = tuple(branch for branch in (control.branches if control else ()) if branch.strength)
    for branch in branches:
        match branch:
            case ControlBranch():
                controlnet.require_match(branch.net, handle)
            case T2IAdapterBranch():
                t2i_adapter.require_match(branch.net, handle)
            case IPAdapterBranch():
                ip_adapter.require_match(branch.net, handle)
                ip_adapter.require_prompt(branch)
    return branches


@contextmanager
def open_control(
    pool: ModelPool, branches: Sequence[Branch], handle: DenoiserHandle, device: str, unet: Any, tolerance: float
) -> Generator[OpenControl]:
    """Control for a leased UNet, its networks leased until the `with` block ends. `tolerance` is in progress.

    Raises ModelError, [control-mismatch] where only the weights tell that a network does not fit.
    """
    handles: dict[PoolKey, Any] = {branch.net.pool_key: branch.net for branch in branches}
    with ExitStack() as leases:
        models: dict[PoolKey, Any] = {
            key: leases.enter_context(pool.lease(handles[key], device)) for key in sorted(handles)
        }
        yield _opened(branches, models, handle, unet, tolerance)


def _opened(
    branches: Sequence[Branch], models: dict[PoolKey, Any], handle: DenoiserHandle, unet: Any, tolerance: float
) -> OpenControl:
    import torch

    def tensor(array: Any) -> Tensor:
        return torch.tensor(array).to(unet.device, unet.dtype)

    downscale = handle.space.downscale
    nets = [
        _net(group, models[group[0].net.pool_key], [tensor(shown(branch)) for branch in group], downscale)
        for group in together([branch for branch in branches if isinstance(branch, ControlBranch)])
    ]
    adapters = [
        open_t2i_adapter(branch, models[branch.net.pool_key], tensor(branch.image.pixels), downscale, unet)
        for branch in branches
        if isinstance(branch, T2IAdapterBranch)
    ]
    prompts = [
        OpenIPAdapter.see(branch, models[branch.net.pool_key], tensor, downscale)
        for branch in branches
        if isinstance(branch, IPAdapterBranch)
    ]
    attention = OpenImageAttention(unet, prompts) if prompts else None
    return OpenControl(nets, adapters, attention, tolerance)


def _net(group: Sequence[ControlBranch], model: Any, pictures: Sequence[Tensor], downscale: int) -> OpenControlNet:
    """The network of branches that one evaluation serves."""
    first = group[0]
    if not first.net.kinds:
        return OpenControlNet(first, model, pictures[0], downscale)
    more = tuple(zip(group[1:], pictures[1:], strict=True))
    return OpenUnionNet(first, model, pictures[0], downscale, more)


def _sum(parts: Sequence[list[Tensor]]) -> list[Tensor]:
    """The sums over the lists that are not empty, place by place."""
    total: list[Tensor] = []
    for part in parts:
        total = [a + b for a, b in zip(total, part, strict=True)] if total and part else total or list(part)
    return total
