"""How the entries of a conditioning become one prediction: which act, where, and with what share.

With the entries k that act at this step, in groups g (one prompt each), W_g the weights of a group (strength times mask
or area), f_k the factors within it, p_k the predictions and u that of the base (the negative conditioning):

    prediction = sum_g W_g * (u + sum_k f_k * (p_k - u)) / sum_g W_g     where some W_g > 0
               = u                                                        elsewhere

So entries that apply together are averaged, parts of `a AND b` are added to what guidance starts from (Liu et al. 2022,
arXiv:2206.01714, equation 11), and where nothing applies there is no guidance. Without a base (guidance 1 throughout)
the factors of a group are taken relative to their sum, and the first entry applies where none does. The shares of all
predictions sum to one everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdgraph.errors import SamplingError
from sdgraph.models.control_call import is_active
from sdgraph.models.view import View
from sdgraph.payloads.area import Box, fitted_mask
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.step_window import StepPlace

if TYPE_CHECKING:
    from torch import Tensor

FEATHER = 8
"""Latent pixels over which an area without a mask fades in, at most a quarter of its side, as in ComfyUI."""


@dataclass(frozen=True, slots=True)
class Scene:
    """When and where a prediction is made."""

    place: StepPlace
    """The step, for prompts that change by steps."""
    progress: float
    """Of the evaluation, for ranges: within a step it may be ahead of the step's beginning."""
    tolerance: float
    """In progress: schedules round to whole timesteps."""
    view: View
    size: tuple[int, int]
    """Height and width of the latents that come in."""
    batch: int
    whole: tuple[int, int]
    """Height and width of the latents of which they are seen."""
    downscale: int


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """What one prediction adds to a conditioning's."""

    entry: ConditioningEntry
    box: Box | None = None
    """The part of the latents that is shown to the network; None: all."""
    weight: Tensor | None = None
    """[1 or B, 1, h, w] float64, over all of the latents; None: the prediction is the answer, as it is."""


def is_plain(conditioning: Conditioning) -> bool:
    """Whether a conditioning is one prompt that always applies everywhere."""
    return len(conditioning.entries) == 1 and _is_always(conditioning.entries[0])


def shares_of(conditioning: Conditioning, base: Conditioning | None, scene: Scene) -> list[Share]:
    """What makes up the prediction under a conditioning. Raises SamplingError [conditioning-batch],
    [conditioning-area], [composition-factors].
    """
    import torch

    groups = _groups(conditioning, scene)
    base = None if conditioning.entries[0].negative else base
    if not groups:
        return shares_of(base, None, scene) if base else [Share(conditioning.entries[0])]
    if len(groups) == 1 and _is_whole(groups[0], base):
        return [Share(groups[0].entries[0])]
    total = torch.stack([group.weight.expand(scene.batch, -1, -1, -1) for group in groups]).sum(0)
    covered = total > 0
    rest = (~covered).double()
    shares: list[Share] = []
    for group in groups:
        part = torch.where(covered, group.weight / total, 0.0)
        factors = group.factors(relative=base is None)
        shares += [
            Share(entry, group.box, part * factor)
            for entry, factor in zip(group.entries, factors, strict=True)
            if factor
        ]
        rest = rest + part * (1 - sum(factors))
    if rest.count_nonzero():
        shares += _rest(conditioning, base, scene, rest)
    return shares


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """The entries of one prompt that act, and where."""

    entries: list[ConditioningEntry]
    weight: Tensor
    """[1 or B, 1, h, w] float64."""
    box: Box | None

    def factors(self, *, relative: bool) -> list[float]:
        """The factor of each entry; relative to their sum, they sum to 1."""
        factors = [entry.factor for entry in self.entries]
        total = sum(factors)
        if not relative or total == 1:
            return factors
        if total <= 0:
            raise SamplingError(
                "composition-factors",
                f"The factors of the prompts that are joined by AND sum to {total:g}, and there is no negative "
                "conditioning that they could be added to.",
                "Connect `negative` and use a guidance other than 1, or use factors whose sum is positive.",
                port="positive",
            )
        return [factor / total for factor in factors]


def _rest(conditioning: Conditioning, base: Conditioning | None, scene: Scene, rest: Tensor) -> list[Share]:
    """What fills up the shares to one."""
    filling = shares_of(base, None, scene) if base else [Share(conditioning.entries[0])]
    return [
        Share(share.entry, share.box, rest if share.weight is None else rest * share.weight.to(rest))
        for share in filling
    ]


def _groups(conditioning: Conditioning, scene: Scene) -> list[_Group]:
    """The groups that have a weight somewhere in what is seen."""
    found: dict[int, list[ConditioningEntry]] = {}
    for entry in conditioning.entries:
        if entry.strength and _acts(entry, scene):
            found.setdefault(entry.group, []).append(entry)
    groups = [_group(entries, scene) for entries in found.values()]
    return [group for group in groups if group is not None]


def _group(entries: list[ConditioningEntry], scene: Scene) -> _Group | None:
    import torch

    entry = entries[0]
    box = _seen_box(entry, scene)
    if entry.area is not None and box is None:
        return None
    shape = (1, 1, *scene.size)
    weight = torch.full(shape, float(entry.strength), dtype=torch.float64)
    if entry.mask is not None:
        weight = weight * _seen_mask(entry, scene)
    if box is not None:
        inside = torch.zeros(shape, dtype=torch.float64)
        box.crop(inside).copy_(_feathered(entry, scene) if entry.mask is None else torch.ones(()))
        weight = weight * inside
    if not weight.count_nonzero():
        return None
    return _Group(entries, weight, None if box == Box(0, 0, *scene.size) else box)


def _is_whole(group: _Group, base: Conditioning | None) -> bool:
    """Whether the group is one prediction that is the whole answer."""
    if len(group.entries) > 1 or group.box is not None or not bool((group.weight > 0).all()):
        return False
    return group.factors(relative=base is None) == [1.0]


def _acts(entry: ConditioningEntry, scene: Scene) -> bool:
    if not is_active(entry, scene.progress, scene.tolerance):
        return False
    return not entry.windows or any(window.includes(scene.place) for window in entry.windows)


def _is_always(entry: ConditioningEntry) -> bool:
    """Whether an entry has no conditions and full weight."""
    limits = (entry.area, entry.mask, entry.windows or None)
    always = (entry.start, entry.end, entry.factor) == (0, 1, 1)
    return always and entry.strength > 0 and all(limit is None for limit in limits)


def _seen_mask(entry: ConditioningEntry, scene: Scene) -> Tensor:
    """[1 or B, 1, h, w] float64."""
    assert entry.mask is not None  # asked for masked entries only
    mask = scene.view.of(fitted_mask(entry.mask, *scene.whole)).double()
    if mask.shape[0] not in (1, scene.batch):
        raise SamplingError(
            "conditioning-batch",
            f"There are {entry.mask.batch} masks for {scene.batch} items, expected 1 or {scene.batch}.",
            "Give a prompt one mask for all items or one per item.",
        )
    return mask


def _seen_box(entry: ConditioningEntry, scene: Scene) -> Box | None:
    """The part of an entry's area that is seen, in the latents that come in; None: there is no area, or none of it."""
    if entry.area is None:
        return None
    box = entry.area.box(*scene.whole, scene.downscale)
    tile = scene.view.window.tile if scene.view.window else None
    if tile is None:
        return box
    top, left = max(box.top, tile.top), max(box.left, tile.left)
    height = min(box.top + box.height, tile.top + tile.height) - top
    width = min(box.left + box.width, tile.left + tile.width) - left
    return Box(top - tile.top, left - tile.left, height, width) if min(height, width) > 0 else None


def _feathered(entry: ConditioningEntry, scene: Scene) -> Tensor:
    """The weights of an area, [1, 1, h, w] float64, of the part that is seen: rising from those sides that lie inside
    the picture.
    """
    import torch

    assert entry.area is not None  # asked for areas only
    box, (height, width) = entry.area.box(*scene.whole, scene.downscale), scene.whole
    field = torch.zeros(1, 1, height, width, dtype=torch.float64)
    down = _ramp(box.height, box.top > 0, box.top + box.height < height)
    across = _ramp(box.width, box.left > 0, box.left + box.width < width)
    box.crop(field).copy_(down[:, None] * across)
    seen = scene.view.of(field)
    shown = _seen_box(entry, scene)
    assert shown is not None  # asked for areas that are seen
    return shown.crop(seen)


def _ramp(length: int, rises: bool, falls: bool) -> Tensor:
    """[length] float64."""
    import torch

    over = min(FEATHER, length // 4)
    ramp = torch.ones(length, dtype=torch.float64)
    slope = torch.arange(1, over + 1, dtype=torch.float64) / (over + 1)
    if rises:
        ramp[:over] = slope
    if falls and over:
        ramp[-over:] = torch.minimum(ramp[-over:], slope.flip(0))
    return ramp


Predicted = Sequence["Tensor"]


def blend(shares: Sequence[Share], predictions: Predicted, like: Tensor) -> Tensor:
    """One prediction [B, C, h, w] from those of its shares, each of the size of its box; summed in float64."""
    import torch

    if shares[0].weight is None:
        return predictions[0]
    field = torch.zeros(like.shape, dtype=torch.float64, device=like.device)
    for share, prediction in zip(shares, predictions, strict=True):
        assert share.weight is not None  # one of several
        box = share.box or Box(0, 0, like.shape[-2], like.shape[-1])
        box.crop(field).add_(box.crop(share.weight.to(like.device)) * prediction)
    return field.to(like.dtype)
