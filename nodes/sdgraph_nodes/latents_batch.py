"""Batches of latents: picking from one, joining two, repeating one. Each item keeps the noise that it had."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.errors import SamplingError
from sdgraph.models.facts import require_space
from sdgraph.payloads.facts import Sized, is_settled, latents_at
from sdgraph.payloads.latents import LatentMask, Latents, per_item, require_same_space
from sdgraph_nodes.outputs import LatentsOut, SameSpace

if TYPE_CHECKING:
    from torch import Tensor


class PickLatents(SameSpace, type="latents.pick", version=1):
    """Take some items of a batch.

    An item that was picked is drawn with the noise that it has in the whole batch: picture 3 of 8 alone is the picture
    that it is among the 8.
    """

    latents: In[Latents]
    """The batch."""
    first: In[int] = port(0, ge=0, le=4095)
    """The first item to take; counted from 0."""
    count: In[int] = port(1, ge=1, le=4096)
    """How many items to take."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        latents = latents_at(known, "latents")
        if latents.picture is None or not is_settled(self.first, self.count):
            return {"latents": latents.of_picture(None)}
        self._require_items(latents.picture.batch)
        return {"latents": latents.of_picture(replace(latents.picture, batch=self.count))}

    def run(self, ctx: RunContext) -> LatentsOut:
        self._require_items(self.latents.batch)
        return LatentsOut(latents=per_item(self.latents, range(self.first, self.first + self.count)))

    def _require_items(self, batch: int) -> None:
        if self.first + self.count > batch:
            raise SamplingError(
                "batch-item-missing",
                f"Items {self.first} to {self.first + self.count - 1} were asked of a batch of {batch}.",
                f"Counted from 0, there are items 0 to {batch - 1}.",
                port="first",
            )


class RepeatLatents(SameSpace, type="latents.repeat", version=1):
    """Repeat a batch several times.

    Repeated items get noise of their own: their numbers go on, as if the batch had been larger from the start. Items
    with seeds of their own keep these, so that a sampler's `variation_seed` can tell them apart.
    """

    latents: In[Latents]
    """The batch."""
    times: In[int] = port(2, ge=1, le=4096)
    """How many times the batch is there in the end."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        latents = latents_at(known, "latents")
        if latents.picture is None or not is_settled(self.times):
            return {"latents": latents.of_picture(None)}
        return {"latents": latents.of_picture(replace(latents.picture, batch=latents.picture.batch * self.times))}

    def run(self, ctx: RunContext) -> LatentsOut:
        latents = self.latents
        numbers = latents.numbers or tuple(range(latents.batch))
        repeated = per_item(latents, [*range(latents.batch)] * self.times)
        span = max(numbers) - min(numbers) + 1
        moved = tuple(number + round_ * span for round_ in range(self.times) for number in numbers)
        return LatentsOut(latents=replace(repeated, numbers=moved))


class JoinLatents(Node[LatentsOut], type="latents.join", version=1):
    """Put latents of one size into one batch, the first ones first.

    Without seeds of their own, items of the second batch are numbered after those of the first.
    """

    first: In[Latents]
    """The latents that come first."""
    second: In[Latents]
    """The latents that follow."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        first, second = latents_at(known, "first"), latents_at(known, "second")
        if first.space is not None:
            require_space(first.space, known, "second", "`first`")
        one, other = first.picture, second.picture
        if one is None or other is None or first.empty is None or second.empty is None:
            return {"latents": first.of_picture(None)}
        _require_alike(one, first.empty, other, second.empty)
        return {"latents": first.of_picture(replace(one, batch=one.batch + other.batch))}

    def run(self, ctx: RunContext) -> LatentsOut:
        import torch

        first, second = self.first, self.second
        require_same_space(second.space, first.space, "The first batch")
        _require_alike(first, first.empty, second, second.empty)
        if (first.seeds is None) != (second.seeds is None):
            raise SamplingError(
                "seeds-differ",
                "One of the batches has seeds of its own and the other one has none.",
                "Give seeds to both or to none.",
                port="second",
            )
        seeds = None if first.seeds is None or second.seeds is None else first.seeds + second.seeds
        return LatentsOut(
            latents=Latents(
                torch.cat([first.samples, second.samples]),
                first.space,
                seeds,
                first.empty,
                _joined_masks(first, second),
                _joined_numbers(first, second),
            )
        )


def _joined_numbers(first: Latents, second: Latents) -> tuple[int, ...] | None:
    if first.numbers is None and second.numbers is None:
        return None
    before = first.numbers or tuple(range(first.batch))
    after = second.numbers or tuple(range(max(before) + 1, max(before) + 1 + second.batch))
    return before + after


def _joined_masks(first: Latents, second: Latents) -> LatentMask | None:
    import torch

    one, other = first.mask, second.mask
    if one is None and other is None:
        return None
    if one is None or other is None or _kind(one) != _kind(other):
        raise SamplingError(
            "masks-differ",
            "The masks of the two batches are of different kinds, or one has none.",
            "Give both batches masks from the same kind of node.",
            port="second",
        )

    def joined(left: "Tensor", right: "Tensor") -> "Tensor":
        return torch.cat([left.expand(first.batch, -1, -1, -1), right.expand(second.batch, -1, -1, -1)])

    seen = None if one.visible is None or other.visible is None else joined(one.visible, other.visible)
    return LatentMask(joined(one.values, other.values), one.differential, seen)


def _kind(mask: LatentMask) -> tuple[bool, bool]:
    return mask.differential, mask.visible is None


def _require_alike(first: Sized, first_empty: bool, second: Sized, second_empty: bool) -> None:
    """Raises SamplingError [latents-differ] unless both are of one size, and both empty or neither."""
    if (first.width_px, first.height_px, first_empty) != (second.width_px, second.height_px, second_empty):
        raise SamplingError(
            "latents-differ",
            f"Latents of one batch are alike, found {_describe(first, first_empty)} and "
            f"{_describe(second, second_empty)}.",
            "Resize one of them first, or encode a picture for both.",
            port="second",
        )


def _describe(picture: Sized, empty: bool) -> str:
    return f"{'empty' if empty else 'drawn'} ones of {picture.width_px} x {picture.height_px} px"
