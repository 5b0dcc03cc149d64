"""The model that guiders see: a denoiser's network under conditionings of several parts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from sdgraph.models.attention import perturbed
from sdgraph.models.composition import Scene, Share, blend, is_plain, shares_of
from sdgraph.models.control import ROUNDING_TIMESTEPS
from sdgraph.models.network import Network, open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.pruning.cost import tell_pruning
from sdgraph.models.shortened import OpenShortcuts, shortened
from sdgraph.models.step_clock import StepClock
from sdgraph.models.view import Window
from sdgraph.payloads.area import Box
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.control import Control
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph.payloads.step_window import StepPlace

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.denoiser import ModelDenoiser
    from sdgraph.diffusion.perturbation import Perturbation
    from sdgraph.diffusion.schedule import NoiseSchedule


@dataclass(slots=True, eq=False)
class Sampling:
    """What a model knows of the sampling that it serves; shared by all its selections."""

    base: Conditioning | None = None
    """What a prediction falls back to: the negative conditioning, None without guidance."""
    clock: StepClock = field(default_factory=StepClock)
    whole_timesteps: bool = False
    """Whether the network is shown whole timesteps only, as suits the solver."""
    step: int = 0
    """The 0-based step of the leg that is being computed."""
    extra: int = 0
    """Network evaluations per picture beyond one for each conditioning asked for, so far."""
    last_extra: int = 0
    """Those of the last request."""


class ComposedModel:
    """A denoiser under conditionings; see `sdgraph.diffusion.model.Model`.

    Conditionings of one prompt each go to the network as they are. Others are taken apart, their entries evaluated in
    one forward for all that see the whole picture and one for each area, and blended as `composition` says.
    """

    def __init__(
        self,
        network: Network,
        plain: ModelDenoiser[Conditioning],
        items: tuple[int, ...] | None = None,
        sampling: Sampling | None = None,
        downscale: int = 8,
        shortcuts: OpenShortcuts | None = None,
    ) -> None:
        self.network = network
        self.sampling = sampling or Sampling()
        self.downscale = downscale
        """Pixels per latent pixel."""
        self.shortcuts = shortcuts or OpenShortcuts()
        """What is left out of the network's evaluations."""
        self._plain = plain
        self._items = items

    @property
    def schedule(self) -> NoiseSchedule:
        """The noise levels of the model."""
        return self.network.schedule

    def begin_step(self, index: int, sigma: float) -> None:
        """Say which step begins: its 0-based index in the leg, and its noise level."""
        self.sampling.step = index
        self.sampling.clock.begin(index, sigma, self.schedule)

    def select(self, items: Sequence[int]) -> ComposedModel:
        """The model for some items of its batch only."""
        chosen = tuple(items) if self._items is None else tuple(self._items[item] for item in items)
        return ComposedModel(self.network, self._plain, chosen, self.sampling, self.downscale, self.shortcuts)

    @contextmanager
    def focused(self, window: Window) -> Generator[None]:
        """Within the `with` block latents are a tile of the whole, and what belongs to the whole is cut to it."""
        before = self.network.view
        self.network.view = replace(before, window=window)
        try:
            yield
        finally:
            self.network.view = before

    def denoise(self, x: Tensor, sigma: Tensor, conditionings: tuple[Conditioning, ...]) -> tuple[Tensor, ...]:
        """The denoised latents [B, C, h, w] under each conditioning.

        Raises what the network raises, and SamplingError [conditioning-batch], [conditioning-area],
        [composition-factors].
        """
        self.network.view = replace(self.network.view, items=self._items)
        if all(is_plain(conditioning) for conditioning in conditionings):
            self.sampling.last_extra = 0
            return self._asked(x, sigma, conditionings)
        scene = self._scene(x, sigma)
        parts = [shares_of(conditioning, self.sampling.base, scene) for conditioning in conditionings]
        found = self._predictions(x, sigma, [share for shares in parts for share in shares])
        self.sampling.last_extra = len(found) - len(conditionings)
        self.sampling.extra += self.sampling.last_extra
        return tuple(blend(shares, [found[_key(share)] for share in shares], x) for shares in parts)

    def _asked(self, x: Tensor, sigma: Tensor, conditionings: tuple[Conditioning, ...]) -> tuple[Tensor, ...]:
        """The denoised latents under conditionings of one prompt each."""
        keys = [_entry_key(each.entries[0]) for each in conditionings]
        with self.shortcuts.evaluating(keys, len(x), self.network.view):
            return self._plain.denoise(x, sigma, conditionings)

    def _predictions(self, x: Tensor, sigma: Tensor, shares: Sequence[Share]) -> dict[_Key, Tensor]:
        """The denoised latents under each entry, of its part of `x`: one forward per part of the picture."""
        found: dict[_Key, Tensor] = {}
        for box in dict.fromkeys(share.box for share in shares):
            asked = {_key(share): Conditioning((share.entry,)) for share in shares if share.box == box}
            with self._shown(box, x):
                seen = x if box is None else box.crop(x).contiguous()
                answers = self._asked(seen, sigma, tuple(asked.values()))
            found.update(zip(asked, answers, strict=True))
        return found

    @contextmanager
    def _shown(self, box: Box | None, x: Tensor) -> Generator[None]:
        """Within the `with` block the network is shown a part of `x` alone."""
        from sdgraph.diffusion.tiles import Tile

        if box is None:
            yield
            return
        window = self.network.view.window
        top, left = (window.tile.top, window.tile.left) if window else (0, 0)
        tile = Tile(top + box.top, left + box.left, box.height, box.width)
        with self.focused(Window(tile, *self.network.view.whole(x))):
            yield

    def _scene(self, x: Tensor, sigma: Tensor) -> Scene:
        view, schedule = self.network.view, self.schedule
        progress = schedule.progress_of(float(schedule.timestep_of(sigma[:1])[0]))
        return Scene(
            place=self.sampling.clock.place or StepPlace(1, None, progress),
            progress=progress,
            tolerance=ROUNDING_TIMESTEPS / schedule.count,
            view=view,
            size=(x.shape[-2], x.shape[-1]),
            batch=x.shape[0],
            whole=view.whole(x),
            downscale=self.downscale,
        )

    def from_prediction(self, prediction: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The denoised latents that a prediction at `x`, `sigma` amounts to."""
        return self._plain.from_prediction(prediction, x, sigma)

    def to_prediction(self, denoised: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The prediction that amounts to `denoised`; the inverse of `from_prediction`."""
        return self._plain.to_prediction(denoised, x, sigma)

    @contextmanager
    def perturbed(self, perturbation: Perturbation) -> Generator[None]:
        """Within the `with` block the network is perturbed. Raises ModelError [attention-layers]."""
        with perturbed(self.network.module, perturbation), self.shortcuts.apart(perturbation):
            yield


_Key: TypeAlias = tuple[object, ...]


def _key(share: Share) -> _Key:
    """What makes two evaluations the same."""
    return (*_entry_key(share.entry), share.box)


def _entry_key(entry: ConditioningEntry) -> _Key:
    """What makes two entries the same to the network."""
    return (id(entry.embedding), id(entry.pooled), entry.facts, entry.distilled_guidance, entry.negative)


@contextmanager
def open_model(
    pool: ModelPool,
    handle: DenoiserHandle,
    control: Control | None = None,
    device: str = "cpu",
    channels: Tensor | None = None,
    sampling: Sampling | None = None,
) -> Generator[ComposedModel]:
    """The model of a denoiser, its weights leased until the `with` block ends. Raises as `open_network`.

    `sampling` says what predictions fall back to and where sampling stands; None serves conditionings of one prompt.
    """
    from sdgraph.diffusion.denoiser import ModelDenoiser

    served = sampling or Sampling()
    with (
        open_network(pool, handle, control, device, channels) as network,
        shortened(network.module, handle.shortcuts, served) as shortcuts,
    ):
        tell_pruning(handle, network.module)
        plain = ModelDenoiser(network, network.schedule, served.whole_timesteps)
        yield ComposedModel(network, plain, None, served, handle.space.downscale, shortcuts)
