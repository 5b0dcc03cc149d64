"""Self-attention over fewer tokens: similar ones are merged before it and get the same answer after it.

Token merging for Stable Diffusion (Bolya & Hoffman 2023, arXiv:2303.17604, section 4): of each 2x2 tokens one is a
destination, the others are sources. The sources that are most similar to a destination are averaged with it. The paper
draws the destinations at random; here they are always the upper left ones, so that a picture depends neither on its
batch nor on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sdgraph.models.attention import attention_blocks, replaced_forward
from sdgraph.models.attention_grid import ImageGrid, watched_grid

if TYPE_CHECKING:
    from torch import Tensor, nn


class Merge(NamedTuple):
    """Which tokens of [B, length, D] are merged with which."""

    kept: Tensor
    """[B, length - r]: places that stay, the destinations first."""
    gone: Tensor
    """[B, r]: places that are merged."""
    into: Tensor
    """[B, r]: which of the kept ones each of them is merged with."""

    def merged(self, tokens: Tensor) -> Tensor:
        """[B, length - r, D]: the kept tokens, each averaged with what is merged with it."""
        width = tokens.shape[-1]
        kept, gone = (tokens.gather(1, _wide(places, width)) for places in (self.kept, self.gone))
        return kept.scatter_reduce(1, _wide(self.into, width), gone, "mean", include_self=True)

    def spread(self, answers: Tensor) -> Tensor:
        """[B, length, D] of answers [B, length - r, D]: merged tokens get that of the one they were merged with."""
        import torch

        items, _, width = answers.shape
        length = self.kept.shape[1] + self.gone.shape[1]
        whole = torch.empty(items, length, width, dtype=answers.dtype, device=answers.device)
        whole.scatter_(1, _wide(self.kept, width), answers)
        return whole.scatter_(1, _wide(self.gone, width), answers.gather(1, _wide(self.into, width)))


def find_merge(tokens: Tensor, height: int, width: int, share: float) -> Merge | None:
    """What to merge of tokens [B, height * width, D]: `share` of them, at most all that are no destinations.

    None: nothing is.
    """
    import torch

    is_target = torch.zeros(height, width, dtype=torch.bool, device=tokens.device)
    is_target[::2, ::2] = True
    places = torch.arange(height * width, device=tokens.device)
    targets, sources = places[is_target.flatten()], places[~is_target.flatten()]
    count = min(int(len(places) * share), len(sources))
    if count < 1:
        return None
    direction = torch.nn.functional.normalize(tokens.float(), dim=-1)
    likeness, nearest = (direction[:, sources] @ direction[:, targets].transpose(1, 2)).max(dim=-1)
    order = likeness.sort(dim=1, descending=True, stable=True).indices
    gone, stay = order[:, :count], order[:, count:]
    kept = torch.cat([targets.expand(len(tokens), -1), sources[stay]], dim=1)
    return Merge(kept, sources[gone], nearest.gather(1, gone))


@contextmanager
def token_merging(unet: nn.Module, share: float, levels: int, active: Callable[[], bool]) -> Generator[None]:
    """Within the `with` block self-attention of the outer `levels` of a UNet merges `share` of its tokens.

    Of the levels that have self-attention: that with the most tokens, which SDXL has in its second one, comes first. It
    does so whenever it is `active`. Afterwards the UNet is exactly as it was. A share of 0 changes nothing.
    """
    with ExitStack() as undo:
        if share:
            grid = undo.enter_context(watched_grid(unet))
            blocks = attention_blocks(unet)
            outer = _first_level(blocks) + levels
            for block in blocks.values():
                attention: Any = dict(block.named_children()).get("attn1")
                if attention is not None:
                    undo.enter_context(replaced_forward(attention, _merging(attention, grid, share, outer, active)))
        yield


def _first_level(blocks: Collection[str]) -> int:
    """The level of a UNet that has the first of these blocks; each level halves the picture."""
    return min((int(name.split(".")[1]) for name in blocks if name.startswith("down_blocks.")), default=0)


def _merging(
    attention: Any, grid: ImageGrid, share: float, outer: int, active: Callable[[], bool]
) -> Callable[..., Any]:
    usual = attention.forward

    def forward(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        length = hidden_states.shape[1]
        # Where queries are blurred (SEG), every place has to be there.
        if not active() or grid.halvings(length) >= outer or "forward" in attention.to_q.__dict__:
            return usual(hidden_states, *args, **kwargs)
        merge = find_merge(hidden_states, *grid.of_layer(length), share)
        if merge is None:
            return usual(hidden_states, *args, **kwargs)
        return merge.spread(usual(merge.merged(hidden_states), *args, **kwargs))

    return forward


def _wide(places: Tensor, width: int) -> Tensor:
    return places[..., None].expand(-1, -1, width)
