"""Evaluations of a UNet that use the deep features of an earlier step again and compute its outer layers only.

DeepCache (Ma et al. 2023, arXiv:2312.00858, section 3.2): from step to step the deep features of a UNet hardly change.
So at every N-th step the UNet runs as a whole, and what comes up from below into the last layers of its decoder is set
aside; at the steps in between only the input, these last layers and the encoder's layers that lead to them are run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sdgraph.models.attention import replaced_forward

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.models.view import View

T = TypeVar("T")


class Stepping(Protocol):
    """Says where sampling stands."""

    @property
    def step(self) -> int:
        """0-based step of the leg that is being computed."""
        ...


class FeatureReuse:
    """Deep features by picture, part of the picture and conditioning, and the forward of a UNet that uses them.

    What is set aside belongs to one picture each, so none depends on its batch. Whether a step reuses is told by its
    number alone; where features of an evaluation are missing or too old, it is made as a whole, and so are those that
    are asked for with it.
    """

    def __init__(self, unet: Any, every: int, layers: int, sampling: Stepping) -> None:
        self.whole = 0
        """Evaluations of the whole UNet so far, one per picture and conditioning."""
        self.outer = 0
        """Those of its outer layers alone."""
        self._unet = unet
        self._usual = unet.forward
        self._every = every
        self._decoder = unet.up_blocks[-1]
        self._layers = min(layers, len(self._decoder.resnets))
        self._sampling = sampling
        self._features: dict[Hashable, tuple[int, Tensor]] = {}
        self._asked: list[Hashable] = []
        self._is_whole = True
        self._apart: tuple[Hashable, ...] = ()

    def ask(self, conditionings: Sequence[Hashable], batch: int, view: View) -> None:
        """Say what the rows of the next evaluations are: `batch` pictures under each conditioning, in this order.

        All of them are whole, or none is, also where memory is short and they are evaluated one by one.
        """
        items = view.items or range(batch)
        tile = view.window and view.window.tile
        self._asked = [(key, item, tile, self._apart) for key in conditionings for item in items]
        self._is_whole = self._sampling.step % self._every == 0 or not all(map(self._is_known, self._asked))

    @contextmanager
    def apart(self, what: Hashable) -> Generator[None]:
        """Within the `with` block the network is another one, whose features are kept apart."""
        self._apart = (*self._apart, what)
        try:
            yield
        finally:
            self._apart = self._apart[:-1]

    @contextmanager
    def acting(self) -> Generator[None]:
        """Within the `with` block the UNet reuses features; afterwards it is exactly as it was."""
        with replaced_forward(self._unet, self._forward):
            yield

    def _forward(self, sample: Tensor, timestep: Tensor, **given: Any) -> tuple[Tensor]:
        import torch

        rows, self._asked = self._asked[: len(sample)], self._asked[len(sample) :]
        if not rows:  # another model of the same network evaluates it
            return self._usual(sample, timestep, **given)
        if self._is_whole:
            self.whole += len(rows)
            return self._run_whole(rows, sample, timestep, given)
        self.outer += len(rows)
        deep = torch.stack([self._features[row][1] for row in rows])
        return (self._run_outer(deep, sample, timestep, given),)

    def _is_known(self, row: Hashable) -> bool:
        """Whether the deep features of a row are there, and less than `every` steps old."""
        return row in self._features and 0 <= self._sampling.step - self._features[row][0] < self._every

    def _run_whole(self, rows: Sequence[Hashable], sample: Tensor, timestep: Tensor, given: Any) -> tuple[Tensor]:
        skipped = self._unet.conv_in.out_channels
        step = self._sampling.step

        def look(_: object, args: tuple[Any, ...]) -> None:
            self._features |= {row: (step, part[:-skipped].clone()) for row, part in zip(rows, args[0], strict=True)}

        hook = self._decoder.resnets[-self._layers].register_forward_pre_hook(look)
        try:
            return self._usual(sample, timestep, **given)
        finally:
            hook.remove()

    def _run_outer(self, deep: Tensor, sample: Tensor, timestep: Tensor, given: dict[str, Any]) -> Tensor:
        """The prediction [n, C, h, w]; the steps are those of `UNet2DConditionModel.forward`."""
        import torch

        unet = self._unet
        emb, states = self._embedded(sample, timestep, given)
        first = unet.conv_in(sample)
        skips = _called(unet.down_blocks[0], lambda: self._encoded(first, emb, states, given))

        def decoded() -> Tensor:
            hidden = deep
            for place in range(-self._layers, 0):
                hidden = torch.cat([hidden, skips.pop()], dim=1)
                hidden = _layer(self._decoder, place, hidden, emb, states)
            return hidden

        hidden = _called(self._decoder, decoded)
        if unet.conv_norm_out is not None:
            hidden = unet.conv_act(unet.conv_norm_out(hidden))
        return unet.conv_out(hidden)

    def _embedded(self, sample: Tensor, timestep: Tensor, given: dict[str, Any]) -> tuple[Tensor, Any]:
        """The embedding of time and added conditions [n, D], and what cross-attention sees."""
        unet, states, added = self._unet, given["encoder_hidden_states"], given.get("added_cond_kwargs")
        emb = unet.time_embedding(unet.get_time_embed(sample=sample, timestep=timestep), None)
        more = unet.get_aug_embed(emb=emb, encoder_hidden_states=states, added_cond_kwargs=added)
        emb = emb if more is None else emb + more
        emb = emb if unet.time_embed_act is None else unet.time_embed_act(emb)
        return emb, unet.process_encoder_hidden_states(encoder_hidden_states=states, added_cond_kwargs=added)

    def _encoded(self, hidden: Tensor, emb: Tensor, states: Any, given: dict[str, Any]) -> list[Tensor]:
        """What the encoder hands to the decoder's last layers, with what control adds to it."""
        block = self._unet.down_blocks[0]
        skips = [hidden]
        for place in range(self._layers - 1):
            hidden = _layer(block, place, hidden, emb, states)
            skips.append(hidden)
        adapters: list[Tensor] | None = given.get("down_intrablock_additional_residuals")
        if adapters and self._layers > len(block.resnets) and hasattr(block, "attentions"):
            skips[-1] = skips[-1] + adapters[0]
        residuals: Sequence[Tensor] = given.get("down_block_additional_residuals") or ()
        return [skip + part for skip, part in zip(skips, residuals, strict=False)] if residuals else skips


def _called(block: Any, compute: Callable[[], T]) -> T:
    """What `compute` gives as the block's forward: whatever waits for a call of the block, such as its weights where
    these come and go, is there.
    """
    with replaced_forward(block, compute):
        return block()


def _layer(block: Any, place: int, hidden: Tensor, emb: Tensor, states: Any) -> Tensor:
    """One layer of a block: its residual part and, where there is one, its attention."""
    hidden = block.resnets[place](hidden, emb)
    if not hasattr(block, "attentions"):
        return hidden
    return block.attentions[place](hidden, encoder_hidden_states=states, return_dict=False)[0]
