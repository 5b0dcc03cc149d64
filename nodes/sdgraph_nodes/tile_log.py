"""What is finished of a tiled sampling: the state before the present step, and the tiles of this step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from torch import Tensor

from sdgraph.diffusion.guidance import Guided
from sdgraph.diffusion.state import SamplerState
from sdgraph.payloads.latents import LatentSpace
from sdgraph.payloads.sampling import SamplingState

_TILE = "tile_"
"""Before the names of the tensors that are answers."""

Save = Callable[[SamplingState], None]


class TileLog:
    """Keeps the answers for tiles until their step is done, and writes all of it down now and then.

    An answer is known by what was asked, bit for bit: an interrupted step begins again from the state before it, and
    comes to the same questions, whose answers are there already.
    """

    def __init__(self, start: SamplerState, space: LatentSpace, every_tiles: int, save: Save) -> None:
        """Sampling begins with `start`. After each `every_tiles` answers `save` gets everything; 0: never."""
        self.start = start
        self.state = start
        """The state before the present step."""
        self._space, self._every, self._save = space, every_tiles, save
        self._answers: dict[tuple[str, int], Guided] = {}
        self._question = ""
        self._unsaved = 0

    @classmethod
    def resumed(cls, saved: SamplingState, device: str, every_tiles: int, save: Save) -> TileLog:
        """The log that was written down. Raises SamplingError [sampler-state]."""
        tensors = {name: tensor.to(device) for name, tensor in saved.tensors.items()}
        state = SamplerState.from_tensors(saved.meta["state"], tensors)
        # Of the start of a sampling that goes on, only its noise level and its count of steps are looked at.
        log = cls(replace(state, step=0, sigma=saved.meta["start_sigma"]), saved.space, every_tiles, save)
        log.state = state
        for place, (question, number, evaluations) in enumerate(saved.meta["tiles"]):
            log._answers[question, number] = Guided(tensors[f"{_TILE}{place}"], evaluations)
        return log

    @property
    def is_used(self) -> bool:
        """Whether there is something to write down, or was."""
        return self._every > 0 or bool(self._answers)

    @property
    def finished(self) -> int:
        """Tiles of the present step that are done, those of several looks at it together."""
        return len(self._answers)

    def ask(self, x: Tensor, sigma: Tensor, scale: float) -> None:
        """All tiles are about to be asked about latents at noise levels, under a guidance scale."""
        digest = blake2b(repr((tuple(x.shape), str(x.dtype), sigma.tolist(), scale)).encode(), digest_size=16)
        digest.update(x.detach().cpu().contiguous().numpy().data)
        self._question = digest.hexdigest()

    def known(self, number: int) -> Guided | None:
        """The answer for a tile; None: it has to be asked for."""
        return self._answers.get((self._question, number))

    def add(self, number: int, answer: Guided) -> None:
        """A tile is done. Answers of guiders that remember are not kept."""
        if answer.memory is not None or answer.renoise is not None:
            return
        self._answers[self._question, number] = answer
        self._unsaved += 1
        if self._every and self._unsaved >= self._every:
            self._save(self._payload())
            self._unsaved = 0

    def end_step(self, _: int, state: Callable[[], SamplerState]) -> None:
        """A step is done: its answers are part of the state."""
        self.state = state()
        self._answers.clear()

    def _payload(self) -> SamplingState:
        meta, tensors = self.state.to_tensors()
        answers = {f"{_TILE}{place}": answer.denoised for place, answer in enumerate(self._answers.values())}
        tiles = [[question, number, answer.nfe] for (question, number), answer in self._answers.items()]
        more: dict[str, Any] = {"state": meta, "start_sigma": self.start.sigma, "tiles": tiles}
        return SamplingState(more, {name: part.cpu() for name, part in (tensors | answers).items()}, self._space)
