"""The samplers that people place: one with plain knobs, and one whose stages are written out."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.guider_specs import CfgSpec, GuiderSpec
from sdgraph.diffusion.names import SigmaName, SolverName
from sdgraph.diffusion.stage import MAX_STEPS, Levels, Stage
from sdgraph.diffusion.stages import plan_legs, plan_start
from sdgraph.diffusion.tile_weights import TileWeights
from sdgraph.errors import SamplingError
from sdgraph.models.facts import (
    placed,
    require_blocks,
    require_sampling_fit,
    require_understood,
)
from sdgraph.models.present import require_part
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.control import Control
from sdgraph.payloads.facts import latents_at
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph.payloads.latents import Latents, require_same_space
from sdgraph_nodes.outputs import LatentsOut
from sdgraph_nodes.sampling import (
    MAX_SEED,
    SampleFinish,
    SampleStart,
    warn_of_harsh_guidance,
    warn_without_steps,
)
from sdgraph_nodes.sampling_checks import (
    Drawing,
    StagePorts,
    check_beginning,
    check_levels,
    check_sampling,
    drawn,
    only_stage,
    stage_node,
)
from sdgraph_nodes.stage_edits import with_guidance, with_steps


class _SamplerPorts(Node[LatentsOut]):
    """What both samplers take."""

    guider_port: ClassVar[str]
    """Where it is said which guiders are used."""

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    positive: In[Conditioning]
    """What to draw."""
    negative: In[Conditioning | None] = port(None)
    """What to stay away from. Not needed, and not computed, when the guidance is 1 throughout."""
    latents: In[Latents]
    """Empty latents to draw from nothing, or the latents of a picture to change."""
    control: In[Control | None] = port(None)
    """Pictures that steer sampling."""
    weak: In[DenoiserHandle | None] = port(None)
    """A weaker model of the same family, for autoguidance; other guiders don't load it."""
    seed: In[int] = port(0, ge=0, le=MAX_SEED, widget="seed")
    """Seed of the first picture's noise; picture i of a batch has seed + i."""
    variation_seed: In[int] = port(0, ge=0, le=MAX_SEED, widget="seed")
    """Another seed, whose noise is mixed in: to draw pictures that resemble that of `seed`."""
    variation_strength: In[float] = port(0.0, ge=0, le=1)
    """How far the noise goes from that of `seed` (0) towards that of `variation_seed` (1), along the arc between."""
    strength: In[float] = port(1.0, ge=0, le=1, linkable=False)
    """How much of the sampling runs: of N steps the last N * strength. Below 1, given latents shine through."""

    tile_px: In[int] = port(0, ge=0, le=8192, multiple_of=8, unit="px")
    """Edge of the tiles in which the model looks at a picture that is larger than those it was trained on; 0: it looks
    at the whole."""
    overlap_px: In[int] = port(0, ge=0, le=4096, multiple_of=8, unit="px")
    """What neighbouring tiles share at least; about a quarter of a tile or more avoids seams."""
    tile_weights: In[TileWeights] = port("feather")
    """How tiles are blended where they overlap: `feather` evenly, `uniform` as MultiDiffusion, `gaussian` as Mixture of
    Diffusers."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        stages, schedule_steps = self.planned()
        with placed(self.guider_port):
            legs = plan_legs(stages, self.strength, schedule_steps=schedule_steps)
        check_beginning(known, bool(legs), self.strength)
        check_levels(known, legs, None if self.guider_port == "guider" else self.guider_port)
        denoiser = check_sampling(
            self.shared(), known, [leg.guider for leg in legs if leg.model == "base"], self.guider_port
        )
        return {} if denoiser is None else {"latents": drawn(denoiser.space, latents_at(known, "latents"))}

    @abstractmethod
    def planned(self) -> tuple[tuple[Stage, ...], int]:
        """The stages, and the steps of the schedule that they are parts of."""

    def shared(self) -> StagePorts:
        """What every stage has."""
        return StagePorts(self.control, self.weak, self.tile_px, self.overlap_px, self.tile_weights)

    def models(self) -> dict[str, Drawing]:
        """The model that each stage may name, with its conditionings."""
        return {"base": Drawing(self.denoiser, self.positive, self.negative)}

    def expand(self, inner: Workflow) -> LatentsOut:
        stages, schedule_steps = self.planned()
        legs = plan_legs(stages, self.strength, schedule_steps=schedule_steps)
        first = plan_start(stages, self.strength, schedule_steps=schedule_steps)
        start = SampleStart(
            denoiser=self.denoiser,
            latents=self.latents,
            seed=self.seed,
            variation_seed=self.variation_seed,
            variation_strength=self.variation_strength,
            leg=first,
        )
        state = inner.add("start", start).out.state
        models = self.models()
        for number, leg in enumerate(legs, start=1):
            if leg.model not in models:
                raise _refiner_missing(number)
            stage = stage_node(self.shared(), models[leg.model], leg, state, f"Stage {number}")
            state = inner.add(f"stage{number}", stage).out.state
        return inner.add("finish", SampleFinish(state=state, given=self.latents)).out


class Sampler(_SamplerPorts, type="sd.sampler", version=1, lane="device"):
    """Draw: remove noise step by step, guided by prompts.

    Takes and gives latents, [B, C, H/8, W/8].
    """

    guider_port = "guider"

    steps: In[int] = port(20, ge=1, le=MAX_STEPS, linkable=False)
    """Solver steps."""
    guidance: In[float] = port(7.5, ge=0, le=100, linkable=False)
    """How strongly the prompts pull; 1 turns the negative prompt off and halves the cost."""
    solver: In[SolverName] = port("euler", linkable=False)
    """The method that steps from one noise level to the next."""
    sigmas: In[SigmaName] = port("checkpoint", linkable=False)
    """How the noise levels are spaced; `checkpoint` is the spacing that the model was made for."""
    guider: In[GuiderSpec] = port(CfgSpec(), linkable=False, widget="guider")
    """How the answers to the two prompts become one; `guidance` is its strength."""
    early_stop: In[EarlyStop | None] = port(None, linkable=False, widget="early_stop")
    """When a picture counts as finished before the last step; empty: never."""
    shift: In[float | None] = port(None, gt=0, le=100, linkable=False)
    """Flow matching models: how far the noise levels are moved to the noisy end; 1 is not at all, empty as the model
    has it."""
    custom_sigmas: In[Levels | None] = port(None, linkable=False)
    """Noise levels to pass through in place of `steps` and `sigmas`, from the noisiest to the cleanest; the last one is
    where sampling ends: 0 without noise."""
    custom_timesteps: In[Levels | None] = port(None, linkable=False)
    """Training timesteps to evaluate at in place of `steps` and `sigmas`, from the noisiest to the cleanest."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        require_sampling_fit(known.get("denoiser"), self.solver, self.sigmas, self.shift)
        _, steps = self.planned()
        warn_without_steps(known, steps, self.strength)
        warn_of_harsh_guidance(known, self.guidance, steps, self.guider)
        return super().infer(known)

    def planned(self) -> tuple[tuple[Stage, ...], int]:
        stage = only_stage(
            steps=self.steps,
            custom_sigmas=self.custom_sigmas,
            custom_timesteps=self.custom_timesteps,
            solver=self.solver,
            sigmas=self.sigmas,
            shift=self.shift,
            guidance=ConstantGuidance(scale=self.guidance),
            guider=self.guider,
            early_stop=self.early_stop,
        )
        return (stage,), stage.steps


class StagedSampler(_SamplerPorts, type="sd.staged_sampler", version=2, lane="device"):
    """Draw in stages, each with its own steps, solver, noise levels and course of guidance.

    Every stage is cached on its own: editing one, the number of its steps included, leaves those before it as they are.
    The stages are consecutive parts of one schedule: each hands over at its `until`, a share of the schedule, or else
    after as many of the schedule's steps as it has; the last one leads to the end. With `sigma_end` in place of these,
    each stage runs between noise levels of its own. Takes and gives latents, [B, C, H/8, W/8].
    """

    guider_port = "stages"

    stages: In[tuple[Stage, ...]] = port((Stage(),), min_length=1, max_length=64, linkable=False, widget="stages")
    """What runs, one after the other."""
    schedule_steps: In[int] = port(20, ge=1, le=MAX_STEPS, linkable=False)
    """Steps of the schedule of which the stages are parts. A stage with as many steps as its part has takes exactly
    those; with another number it spaces its own between the same ends."""
    steps: In[int | None] = port(None, ge=1, le=MAX_STEPS, linkable=False)
    """Steps of the whole schedule in place of `schedule_steps`, with all stages stretched to it; empty: as written."""
    guidance: In[float | None] = port(None, ge=0, le=100, linkable=False)
    """Highest guidance of the first guided stage, to which all the others are scaled; empty: as the stages say."""
    refiner: In[DenoiserHandle | None] = port(None)
    """A second model of the same latent space, for stages whose `model` is `refiner`: SDXL's refiner, or any other."""
    refiner_positive: In[Conditioning | None] = port(None)
    """What the second model is to draw, encoded by its own text encoder; without it, `positive`."""
    refiner_negative: In[Conditioning | None] = port(None)
    """What the second model is to stay away from; without it, `negative`."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        base, refiner = known.get("denoiser"), known.get("refiner")
        if isinstance(base, DenoiserHandle) and isinstance(refiner, DenoiserHandle):
            with placed("refiner"):
                require_part(refiner)
                require_same_space(base.space, refiner.space, f"The refiner `{refiner.source}`")
            require_understood(refiner, known, "refiner_positive", "refiner_negative")
        for stage in self.stages:
            model = refiner if stage.model == "refiner" else base
            require_sampling_fit(model, stage.solver, stage.sigmas, stage.shift, ("stages", "stages", "stages"))
            if stage.model == "refiner" and isinstance(refiner, DenoiserHandle):
                require_blocks(refiner, stage.guider, "stages", has_weak=self.weak is not None)
        return super().infer(known)

    def models(self) -> dict[str, Drawing]:
        """The base and, if there is one, the refiner."""
        positive = self.positive if self.refiner_positive is None else self.refiner_positive
        negative = self.negative if self.refiner_negative is None else self.refiner_negative
        found = super().models()
        return found if self.refiner is None else found | {"refiner": Drawing(self.refiner, positive, negative)}

    def planned(self) -> tuple[tuple[Stage, ...], int]:
        stages, schedule_steps = self.stages, self.schedule_steps
        if self.steps is not None:
            stages, schedule_steps = with_steps(stages, self.steps, schedule_steps), self.steps
        return stages if self.guidance is None else with_guidance(stages, self.guidance), schedule_steps

    @classmethod
    def upgrade(cls, made_for: int, inputs: dict[str, Any]) -> dict[str, Any]:
        # Until version 1 the schedule had as many steps as the stages together.
        stages = inputs.get("stages")
        if isinstance(stages, list) and "schedule_steps" not in inputs:
            inputs["schedule_steps"] = sum(stage.get("steps", Stage().steps) for stage in stages)
        return inputs


def _refiner_missing(stage: int) -> SamplingError:
    return SamplingError(
        "refiner-missing",
        f"Stage {stage} is drawn by the refiner, and there is none.",
        "Connect `refiner`, or let the stage's `model` be `base`.",
        port="refiner",
    )
