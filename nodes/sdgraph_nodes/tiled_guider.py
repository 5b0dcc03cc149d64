"""Guidance tile by tile: for latents larger than the pictures that a model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from torch import Tensor

from sdgraph.diffusion.guidance import FIRST_STEP, Guided, Guider, StepContext, selected
from sdgraph.diffusion.tiles import TileGrid, blend
from sdgraph.models.view import Window
from sdgraph_nodes.tile_log import TileLog


@dataclass(frozen=True, eq=False)
class TiledGuider:
    """Asks another guider about each tile and blends the answers over the overlaps.

    Because neighbours agree after every step, they never drift apart, whatever the solver: there are no seams to hide
    at the end (Bar-Tal et al. 2023, MultiDiffusion, arXiv:2302.08113, section 4.1, with the weights of the grid). The
    order of the tiles does not matter.
    """

    guider: Guider
    grid: TileGrid
    """Over the latents, in latent pixels."""
    on_tile: Callable[[int], None]
    """Called with the tile's number before each tile; may raise to cancel."""
    focused: Callable[[Window], AbstractContextManager[None]] = lambda _: nullcontext()
    """Within its `with` block the model cuts what belongs to the whole picture (control, masks) to a tile."""
    log: TileLog | None = None
    """Which tiles are done already, and where those that are done now are written down."""

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        """The guided denoised latents [B, C, h, w]; `nfe` counts evaluations over all tiles."""
        if self.log is not None:
            self.log.ask(x, sigma, scale)
        answers = [self._answer(number, x, sigma, scale, at) for number in range(len(self.grid.tiles))]
        return Guided(
            blend(self.grid, [answer.denoised for answer in answers]),
            sum(answer.nfe for answer in answers),
            self._blended([answer.memory for answer in answers]),
            self._blended([answer.renoise for answer in answers]),
        )

    def _answer(self, number: int, x: Tensor, sigma: Tensor, scale: float, at: StepContext) -> Guided:
        """The answer for one tile."""
        self.on_tile(number)
        known = None if self.log is None else self.log.known(number)
        if known is not None:
            return known
        tile = self.grid.tiles[number]
        there = at if at.memory is None else replace(at, memory=tile.crop(at.memory).contiguous())
        with self.focused(Window(tile, self.grid.height, self.grid.width)):
            answer = self.guider.guide(tile.crop(x).contiguous(), sigma, scale, there)
        if self.log is not None:
            self.log.add(number, answer)
        return answer

    def select(self, items: Sequence[int]) -> TiledGuider:
        """The guider for some items of its batch only."""
        return replace(self, guider=selected(self.guider, items))

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        """Network evaluations per picture that `guide` takes, over all tiles."""
        return len(self.grid.tiles) * self.guider.evaluations(scale, at)

    def _blended(self, parts: Sequence[Tensor | None]) -> Tensor | None:
        known = [part for part in parts if part is not None]
        return blend(self.grid, known) if known else None
