"""Where sampling stands between two stages: everything the next step needs, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from sdgraph.diffusion.inpaint import Kept
from sdgraph.diffusion.names import SolverName
from sdgraph.diffusion.noise_path import NoisePath
from sdgraph.diffusion.settling import Settling, Stop
from sdgraph.diffusion.solvers.contract import SolverState
from sdgraph.errors import SamplingError

_KEPT = "kept_"
"""Before the names of the tensors of `Kept`."""


@dataclass(frozen=True, eq=False)
class SamplerState:
    """Latents on their way, with the position, the solver's history and the count of noise draws."""

    x: Tensor
    """[B, C, h, w] float32, alpha * x0 + sigma * noise."""
    sigma: float
    """Standard deviation of the noise in x; 0 when sampling is complete."""
    seeds: tuple[int, ...]
    """One seed per item."""
    draws: int = 1
    """Noises drawn per item so far, the initial one included."""
    step: int = 0
    """Steps taken."""
    nfe: int = 0
    """Network evaluations per picture so far; of one that was finished early, `stopped` says how many."""
    solver: SolverName | None = None
    """The solver that took the last step; `history` is for it alone."""
    history: SolverState = field(default_factory=SolverState)
    """Of the pictures that still run, as `memory` and `settling` are."""
    path: NoisePath = "exploding"
    """How x is made of signal and noise."""
    memory: Tensor | None = None
    """[k, C, h, w]: what the guider remembers."""
    settling: Settling | None = None
    """How still the pictures are; None before a step with an early stop."""
    stopped: tuple[Stop, ...] = ()
    """The pictures that were finished early; in x they are free of noise whatever `sigma` is."""
    kept: Kept | None = None
    """What of the pictures is not to be drawn; None: everything is drawn."""

    @property
    def running(self) -> tuple[int, ...]:
        """The places in the batch of the pictures that are not finished early."""
        done = {stop.item for stop in self.stopped}
        return tuple(item for item in range(len(self.x)) if item not in done)

    def latents(self) -> Tensor:
        """[B, C, h, w] in the model's own scale: x itself when complete, or when the model is a flow; of unit variance
        while noise remains otherwise.
        """
        if self.sigma == 0 or self.path == "flow":
            return self.x
        scaled = self.x / (self.sigma**2 + 1) ** 0.5
        for stop in self.stopped:
            scaled[stop.item] = self.x[stop.item]
        return scaled

    def to_tensors(self) -> tuple[dict[str, object], dict[str, Tensor]]:
        """The state as a JSON-able dict and named tensors; `from_tensors` gives it back bit for bit."""
        tensors = {"x": self.x} | {f"output_{i}": output for i, output in enumerate(self.history.outputs)}
        if self.history.sample is not None:
            tensors["sample"] = self.history.sample
        if self.history.noise is not None:
            tensors["noise"] = self.history.noise
        if self.memory is not None:
            tensors["memory"] = self.memory
        if self.settling is not None:
            tensors["settling"] = self.settling.last
        if self.kept is not None:
            tensors |= {_KEPT + name: part for name, part in self.kept.tensors().items()}
        meta = _Meta(
            sigma=self.sigma,
            seeds=self.seeds,
            draws=self.draws,
            step=self.step,
            nfe=self.nfe,
            solver=self.solver,
            history_sigmas=self.history.sigmas,
            history_order=self.history.order,
            path=self.path,
            quiet=() if self.settling is None else self.settling.quiet,
            changes=() if self.settling is None else self.settling.changes,
            stopped=self.stopped,
            kept=self.kept and (self.kept.timestep_start, self.kept.differential),
        )
        return meta.model_dump(mode="json"), tensors

    @classmethod
    def from_tensors(cls, meta: Mapping[str, object], tensors: Mapping[str, Tensor]) -> SamplerState:
        """The state that `to_tensors` took apart. Raises SamplingError `sampler-state` when parts are missing."""
        try:
            known = _Meta.model_validate(dict(meta))
            outputs = tuple(tensors[f"output_{i}"] for i in range(len(known.history_sigmas)))
            x, kept = tensors["x"], _kept(known, tensors)
        except (ValidationError, KeyError) as error:
            raise SamplingError(
                "sampler-state", f"A stored sampler state is incomplete: {error}.", hint="Run the stage again."
            ) from error
        history = SolverState(
            outputs, known.history_sigmas, tensors.get("sample"), known.history_order, tensors.get("noise")
        )
        counts = (known.draws, known.step, known.nfe)
        settling = Settling(tensors["settling"], known.quiet, known.changes) if "settling" in tensors else None
        watched = (tensors.get("memory"), settling, known.stopped, kept)
        return cls(x, known.sigma, known.seeds, *counts, known.solver, history, known.path, *watched)


class _Meta(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sigma: float
    seeds: tuple[int, ...]
    draws: int
    step: int
    nfe: int
    solver: SolverName | None
    history_sigmas: tuple[float, ...]
    history_order: int
    path: NoisePath = "exploding"
    quiet: tuple[int, ...] = ()
    changes: tuple[float, ...] = ()
    stopped: tuple[Stop, ...] = ()
    kept: tuple[float, bool] | None = None
    """Where sampling began, and whether the mask is differential."""


def _kept(meta: _Meta, tensors: Mapping[str, Tensor]) -> Kept | None:
    if meta.kept is None:
        return None
    parts = {name.removeprefix(_KEPT): part for name, part in tensors.items() if name.startswith(_KEPT)}
    start, differential = meta.kept
    return Kept(parts["latents"], parts["noise"], parts["mask"], start, differential, visible=parts.get("visible"))
