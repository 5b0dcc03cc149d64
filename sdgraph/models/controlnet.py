"""ControlNets: what they add to a UNet's features (Zhang et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdgraph.models.control_call import UNetCall, for_items, mismatch
from sdgraph.payloads.control import ControlBranch
from sdgraph.payloads.handles import ControlNetHandle, DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class OpenControlNet:
    """A control branch with its network and its picture as a tensor."""

    branch: ControlBranch
    net: Any
    picture: Tensor
    """[1 or B, 3, H, W] in 0..1."""
    downscale: int

    def residuals(self, call: UNetCall) -> list[Tensor]:
        """What is added to the UNet's features, from the first skip connection to the middle, each [k*B, C', h', w'].

        One forward for all conditionings it acts on; no forward, and an empty list, where it acts on none. Raises
        SamplingError [control-size], [control-batch].
        """
        picture = for_items(self.picture, call, self.downscale)
        acting = self._acting(call)
        if not acting:
            return []
        whole = len(acting) == call.x.shape[0]
        rows = slice(None) if whole else acting
        down, mid = self.net(
            call.x[rows],
            call.timestep[rows],
            call.embedding[rows],
            picture[rows],
            conditioning_scale=self.branch.strength,
            guess_mode=self.branch.mode != "balanced",
            added_cond_kwargs={name: value[rows] for name, value in call.added.items()} or None,
            return_dict=False,
        )
        added: list[Tensor] = [*down, mid]
        return added if whole else [_spread(part, acting, call.x.shape[0]) for part in added]

    def _acting(self, call: UNetCall) -> list[int]:
        """The items that it acts on: all, or those of positive conditionings."""
        items = range(call.x.shape[0])
        # A net that was trained on pooled features (shuffle) works on the positive side only, as in diffusers.
        if self.branch.mode != "control" and not self.net.config.global_pool_conditions:
            return list(items)
        return [item for item in items if not call.is_negative(item)]


def require_match(net: ControlNetHandle, denoiser: DenoiserHandle) -> None:
    """Raises ModelError [control-mismatch] for a ControlNet of another kind of model."""
    found, expected = _kind(net.family, net.conditioning_width, net.downscale), _kind_of(denoiser)
    if found != expected:
        raise mismatch(f"The ControlNet `{net.source}`", found, f"is {expected}")


def _kind_of(denoiser: DenoiserHandle) -> str:
    return _kind(denoiser.family, denoiser.conditioning_width, denoiser.space.downscale)


def _kind(family: str, width: int, downscale: int) -> str:
    return f"{family} with {width}-wide conditioning and 1/{downscale} latents"


def _spread(part: Tensor, rows: list[int], count: int) -> Tensor:
    """[len(rows), ...] as [count, ...], zero elsewhere."""
    spread = part.new_zeros(count, *part.shape[1:])
    spread[rows] = part
    return spread
