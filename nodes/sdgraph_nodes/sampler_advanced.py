"""A part of sampling, placed by hand: for chains of samplers that hand over to each other in mid-course."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Link, Out, port
from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance, GuidanceSchedule
from sdgraph.diffusion.guider_specs import CfgSpec, GuiderSpec
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.leg_parts import range_between, steps_between
from sdgraph.diffusion.names import SigmaName, SolverName
from sdgraph.diffusion.stage import MAX_STEPS, Levels
from sdgraph.diffusion.tile_weights import TileWeights
from sdgraph.errors import SamplingError
from sdgraph.models.facts import require_sampling_fit, require_space
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.control import Control
from sdgraph.payloads.facts import LatentsFact, latents_at
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph.payloads.latents import Latents
from sdgraph.payloads.sampling import SamplingState
from sdgraph_nodes.sampling import MAX_SEED, SampleFinish, SampleStart
from sdgraph_nodes.sampling_checks import (
    Drawing,
    StagePorts,
    check_levels,
    check_sampling,
    drawn,
    only_stage,
    stage_node,
)


class PartOut(Outputs):
    """Where a part of sampling ended."""

    latents: Out[Latents]
    """[B, C, H/8, W/8]; scaled to unit variance while noise is left."""
    state: Out[SamplingState]
    """The same with its noise and with what the solver remembers, for the next sampler."""


class AdvancedSampler(Node[PartOut], type="sd.sampler_advanced", version=1, lane="device"):
    """Run a part of a schedule: from one step to another, or from one noise level to another.

    Chain several by `state` to hand over from model to model, or from prompt to prompt, with the noise that is left. A
    chain of parts that make up a schedule is that schedule bit for bit, as long as model and solver stay the same.
    """

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    positive: In[Conditioning]
    """What to draw."""
    negative: In[Conditioning | None] = port(None)
    """What to stay away from; not needed when the guidance is 1 throughout."""
    latents: In[Latents | None] = port(None)
    """Where to begin: empty latents, or those of a picture. Beside a state only their seeds and mask count."""
    state: In[SamplingState | None] = port(None)
    """Where another sampler left off, in place of a beginning. What is above its noise level is left out."""
    control: In[Control | None] = port(None)
    """Pictures that steer sampling."""
    weak: In[DenoiserHandle | None] = port(None)
    """A weaker model of the same family, for autoguidance; other guiders don't load it."""
    seed: In[int] = port(0, ge=0, le=MAX_SEED, widget="seed")
    """Seed of the first picture's noise; a state brings its own."""
    add_noise: In[bool] = port(True)
    """Whether noise is put on given latents. Without it they are taken for the signal at the first noise level."""
    steps: In[int] = port(20, ge=1, le=MAX_STEPS, linkable=False)
    """Steps of the whole schedule, or between `sigma_start` and `sigma_end` if one of them is given."""
    first_step: In[int] = port(0, ge=0, le=MAX_STEPS, linkable=False)
    """The step of the schedule to begin with; counted from 0."""
    last_step: In[int | None] = port(None, ge=1, le=MAX_STEPS, linkable=False)
    """The step before which to stop; empty: the end."""
    sigma_start: In[float | None] = port(None, gt=0, linkable=False)
    """Noise level to begin at, in place of steps; empty: the model's largest."""
    sigma_end: In[float | None] = port(None, gt=0, linkable=False)
    """Noise level to stop at, in place of steps; empty: without noise."""
    leftover_noise: In[bool] = port(True, linkable=False)
    """Whether a part that stops early leaves the noise of that place; otherwise its last step removes all of it."""
    guidance: In[float] = port(7.5, ge=0, le=100, linkable=False)
    """How strongly the prompts pull; 1 turns the negative prompt off and halves the cost."""
    guidance_schedule: In[GuidanceSchedule | None] = port(None, linkable=False, widget="curve")
    """The course of the guidance over this part, in place of a constant."""
    solver: In[SolverName] = port("euler", linkable=False)
    """The method that steps from one noise level to the next."""
    sigmas: In[SigmaName] = port("checkpoint", linkable=False)
    """How the noise levels are spaced."""
    guider: In[GuiderSpec] = port(CfgSpec(), linkable=False, widget="guider")
    """How the answers to the two prompts become one."""
    early_stop: In[EarlyStop | None] = port(None, linkable=False, widget="early_stop")
    """When a picture counts as finished before the last step; empty: never."""
    shift: In[float | None] = port(None, gt=0, le=100, linkable=False)
    """Flow matching models: how far the noise levels are moved to the noisy end; 1 is not at all, empty as the model
    has it."""
    custom_sigmas: In[Levels | None] = port(None, linkable=False)
    """Noise levels to pass through in place of `steps` and `sigmas`, from the noisiest to the cleanest; the last one is
    where the schedule ends: 0 without noise."""
    custom_timesteps: In[Levels | None] = port(None, linkable=False)
    """Training timesteps to evaluate at in place of `steps` and `sigmas`, from the noisiest to the cleanest."""
    tile_px: In[int] = port(0, ge=0, le=8192, multiple_of=8, unit="px")
    """Edge of the tiles in which the model looks at a large picture; 0: it looks at the whole."""
    overlap_px: In[int] = port(0, ge=0, le=4096, multiple_of=8, unit="px")
    """What neighbouring tiles share at least."""
    tile_weights: In[TileWeights] = port("feather")
    """How tiles are blended where they overlap."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        require_sampling_fit(known.get("denoiser"), self.solver, self.sigmas, self.shift)
        check_levels(known, [self._leg()])
        denoiser = check_sampling(self._shared(), known, [self.guider], "guider")
        if denoiser is None:
            return {}
        require_space(denoiser.space, known, "state", f"The denoiser `{denoiser.source}`")
        fact = drawn(denoiser.space, latents_at(known, "latents"))
        return {"latents": fact, "state": LatentsFact(denoiser.space)}

    def expand(self, inner: Workflow) -> PartOut:
        leg = self._leg()
        state = self._beginning(leg, inner) if self.state is None else self.state
        drawing = Drawing(self.denoiser, self.positive, self.negative)
        stage = stage_node(self._shared(), drawing, leg, state, "The sampler")
        end = inner.add("stage", stage).out.state
        finished = inner.add("finish", SampleFinish(state=end, given=self.latents)).out
        return PartOut(latents=finished.latents, state=end)  # pyright: ignore[reportArgumentType]

    def _shared(self) -> StagePorts:
        return StagePorts(self.control, self.weak, self.tile_px, self.overlap_px, self.tile_weights)

    def _leg(self) -> Leg:
        stage = only_stage(
            steps=self.steps,
            custom_sigmas=self.custom_sigmas,
            custom_timesteps=self.custom_timesteps,
            solver=self.solver,
            sigmas=self.sigmas,
            shift=self.shift,
            guidance=self.guidance_schedule or ConstantGuidance(scale=self.guidance),
            guider=self.guider,
            early_stop=self.early_stop,
        )
        if self.sigma_start is None and self.sigma_end is None:
            return steps_between(stage, self.first_step, self.last_step, clears=not self.leftover_noise)
        if self.first_step or self.last_step is not None or stage.custom:
            raise SamplingError(
                "part-ambiguous",
                "The part is given by steps and by noise levels.",
                "Use `first_step` and `last_step`, or `sigma_start` and `sigma_end`; a schedule that is written out is "
                "parted by steps.",
                port="sigma_start" if self.sigma_start is not None else "sigma_end",
            )
        leg = range_between(stage, self.sigma_start, self.sigma_end)
        return leg if self.leftover_noise else leg.model_copy(update={"clears": True, "final": True})

    def _beginning(self, leg: Leg, inner: Workflow) -> Link[SamplingState]:
        if self.latents is None:
            raise SamplingError(
                "sampling-without-beginning",
                "There are neither latents nor a state to begin with.",
                "Connect `latents`, or `state` from another sampler.",
                port="latents",
            )
        start = SampleStart(
            denoiser=self.denoiser, latents=self.latents, seed=self.seed, leg=leg, add_noise=self.add_noise
        )
        return inner.add("start", start).out.state
