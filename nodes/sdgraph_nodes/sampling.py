"""The parts that a sampler expands into: a start, one node per stage, a finish. Each is cached on its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.diffusion.guider_specs import GuiderSpec
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.tile_weights import TileWeights
from sdgraph.errors import SamplingError
from sdgraph.models.compose import Sampling, open_model
from sdgraph.models.drawable import require_drawable
from sdgraph.models.pool import ModelPool
from sdgraph.models.step_clock import StepClock
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.control import Control
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph.payloads.latents import Latents, item_seeds, require_same_space, variation_seeds
from sdgraph.payloads.sampling import SamplingState
from sdgraph_nodes.attention_notice import warn_of_attention
from sdgraph_nodes.guiding import open_guider, require_weak_match
from sdgraph_nodes.outputs import LatentsOut
from sdgraph_nodes.step_preview import StepReport
from sdgraph_nodes.tiling import tile_grid

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.state import SamplerState
    from sdgraph.diffusion.tiles import TileGrid

_HARSH_GUIDANCE, _CALM_STEPS = 12.0, 15
_MOST_CFG_PP = 1.5
MAX_SEED = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exactly."""


class StateOut(Outputs):
    """Where sampling stands."""

    state: Out[SamplingState]
    """Noisy latents, and what the solver remembers."""


class SampleStart(Node[StateOut], type="sample.start", version=2, lane="device"):
    """Noise as strong as the first stage expects, alone or on top of given latents."""

    denoiser: In[DenoiserHandle]
    """The model whose noise levels count."""
    latents: In[Latents]
    """Empty latents, or those of a picture."""
    seed: In[int] = port(0, ge=0, le=MAX_SEED, widget="seed")
    """Seed of the first picture's noise; picture i has seed + i, unless the latents bring seeds of their own."""
    variation_seed: In[int] = port(0, ge=0, le=MAX_SEED, widget="seed")
    """Seed of the noise towards which the first picture's noise is moved; picture i has variation_seed + i."""
    variation_strength: In[float] = port(0.0, ge=0, le=1)
    """How far the noise is moved: 0 not at all, 1 all the way."""
    add_noise: In[bool] = port(True)
    """Whether noise is put on given latents; without it they are taken for the signal at the first noise level."""
    leg: In[Leg | None] = port(None, linkable=False)
    """The first stage; None: sampling leaves the latents as they are."""

    def run(self, ctx: RunContext) -> StateOut:
        from sdgraph.diffusion.schedule import NoiseSchedule
        from sdgraph.diffusion.start import Variation, keep, start_from_latents, start_from_noise

        latents, space = self.latents, self.denoiser.space
        legs = () if self.leg is None else (self.leg,)
        schedule = NoiseSchedule.from_config(self.denoiser.scheduler)
        seeds = item_seeds(latents, self.seed)
        if latents.mask is not None or not latents.empty:
            require_same_space(latents.space, space, "The denoiser")
        variation = None
        if self.variation_strength:
            variation = Variation(variation_seeds(latents, self.variation_seed), self.variation_strength)
        mask = latents.mask
        if latents.empty and (legs or mask is None):
            state = start_from_noise(legs, schedule, seeds, _noise_shape(latents, self.denoiser), variation)
        else:
            state = start_from_latents(legs, schedule, latents.samples, seeds, variation, noisy=self.add_noise)
        if mask is not None:
            state = keep(state, schedule, latents.samples, mask.values, variation, mask.differential, mask.visible)
        return StateOut(state=_to_payload(state, self.denoiser))


class SampleStage(Node[StateOut], type="sample.stage", version=1, lane="device"):
    """One stage of sampling, from a state to a state."""

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    positive: In[Conditioning]
    """What to draw."""
    negative: In[Conditioning | None] = port(None)
    """What to stay away from; none when the stage's guidance never leaves 1."""
    control: In[Control | None] = port(None)
    """Pictures that steer sampling."""
    weak: In[DenoiserHandle | None] = port(None)
    """The weaker model of autoguidance."""
    state: In[SamplingState]
    """Where the stage before ended."""
    leg: In[Leg] = port(linkable=False)
    """The stage."""
    tile_px: In[int] = port(0, ge=0, le=8192, multiple_of=8, unit="px")
    """Edge of one tile; 0: the whole picture at once."""
    overlap_px: In[int] = port(0, ge=0, le=4096, multiple_of=8, unit="px")
    """What neighbouring tiles share at least."""
    tile_weights: In[TileWeights] = port("feather")
    """How tiles are blended where they overlap."""

    def run(self, ctx: RunContext) -> StateOut:
        from sdgraph.diffusion.sampling import run_stage
        from sdgraph.diffusion.solvers.table import rounds_timesteps
        from sdgraph.models.counted import counted
        from sdgraph_nodes.tiled_guider import TiledGuider

        if self.weak is not None:
            require_weak_match(self.denoiser, self.weak)
        pool = ctx.service(ModelPool)
        negative = self.positive if self.negative is None else self.negative.as_negative()
        start, resumed = self._start(ctx.device), self._resumed(ctx)
        taken = 0 if resumed is None else resumed.step - start.step
        if resumed is not None:
            ctx.progress(taken, self.leg.steps, note=f"goes on after step {taken} of {self.leg.steps}")
        kept = start.kept
        channels = None if kept is None else kept.channels()
        put_back = kept is not None and (kept.differential or not self.denoiser.inpainting)
        base = None if self.negative is None else negative
        sampling = Sampling(
            base, StepClock(self.leg, start.step + taken), whole_timesteps=rounds_timesteps(self.leg.solver)
        )
        with open_model(pool, self.denoiser, self.control, ctx.device, channels, sampling) as model:
            warn_of_attention(ctx, model.network.module)
            grid = self._grid(start.x)
            report = StepReport(ctx, self.denoiser, self.leg.steps, parts=len(grid.tiles) if grid else 1, done=taken)
            with open_guider(ctx, self.leg.guider, model, self.positive, negative, self.weak) as guider:
                asked = counted(guider, sampling)
                if grid is not None:
                    asked = TiledGuider(asked, grid, report.part, model.focused)
                reports = (report.step, model.begin_step)
                keep = self._keeper(ctx)
                state = run_stage(self.leg, start, asked, model.schedule, *reports, put_back, resumed, keep)
            report.end(state, model.shortcuts.reuse)
        return StateOut(state=_to_payload(state, self.denoiser))

    def _start(self, device: str) -> "SamplerState":
        """The state that came in. What a solver or a guider remembers of another model is left behind."""
        from sdgraph.diffusion.solvers.contract import SolverState

        require_same_space(self.state.space, self.denoiser.space, "The denoiser")
        state = _from_payload(self.state, device)
        if self.state.model in ("", self.denoiser.fingerprint):
            return state
        return replace(state, solver=None, history=SolverState(), memory=None, settling=None)

    def _resumed(self, ctx: RunContext) -> "SamplerState | None":
        """Where an interrupted run of this very stage had come to."""
        found = ctx.checkpoint.load()
        return _from_payload(found, ctx.device) if isinstance(found, SamplingState) else None

    def _keeper(self, ctx: RunContext) -> "Callable[[int, Callable[[], SamplerState]], None] | None":
        """Writes down where sampling is, as often as asked."""
        every = ctx.checkpoint.every_steps
        drawing = (self.denoiser,) if self.weak is None else (self.denoiser, self.weak)
        if every == 0 or any(denoiser.shortcuts.reuses for denoiser in drawing):
            return None  # features of steps before are no part of the state

        def keep(taken: int, state: "Callable[[], SamplerState]") -> None:
            if taken % every == 0:
                ctx.checkpoint.save(_to_payload(state(), self.denoiser))

        return keep

    def _grid(self, x: "Tensor") -> "TileGrid | None":
        """The tiles of latents [B, C, h, w]; None: they are looked at as a whole."""
        return tile_grid(self.denoiser, x.shape[2:], self.tile_px, self.overlap_px, self.tile_weights)


class SampleFinish(Node[LatentsOut], type="sample.finish", version=2):
    """The latents of the last state."""

    state: In[SamplingState]
    """Where the last stage ended."""
    given: In[Latents | None] = port(None)
    """The latents that sampling began with: their mask and their seeds go on to what follows."""

    def run(self, ctx: RunContext) -> LatentsOut:
        samples, space = _from_payload(self.state, "cpu").latents(), self.state.space
        if self.given is None:
            return LatentsOut(latents=Latents(samples, space))
        return LatentsOut(latents=replace(self.given, samples=samples, space=space, empty=False))


def negative_missing(what: str) -> SamplingError:
    """The error for guidance without a negative conditioning; `what` is guided."""
    return SamplingError(
        "negative-missing",
        f"{what} is guided, which needs a negative conditioning beside the positive one.",
        "Connect `negative`, or set the guidance to 1.",
        port="negative",
    )


def warn_without_steps(known: Known, steps: object, strength: object) -> None:
    """Warn before the run of a strength above 0 that leaves not one of the steps; either may still be a link."""
    if isinstance(steps, int) and isinstance(strength, float) and strength > 0 and steps * strength < 1:
        known.warn(
            "strength-without-steps",
            f"A strength of {strength:g} leaves none of {steps} steps, so nothing is drawn.",
            f"Use a strength of at least {1 / steps:.2g}, or more steps.",
            "strength",
        )


def warn_of_harsh_guidance(known: Known, guidance: float, steps: int, guider: GuiderSpec) -> None:
    """Warn before the run of guidance that is too strong: for so few steps, where colours burn out, or for CFG++."""
    if guider.kind == "cfg" and guidance > _HARSH_GUIDANCE and steps < _CALM_STEPS:
        known.warn(
            "guidance-harsh",
            f"A guidance of {guidance:g} in {steps} steps burns colours out.",
            f"Use {_CALM_STEPS} steps or more, a guidance of at most {_HARSH_GUIDANCE:g}, or another guider.",
            "guidance",
        )
    if guider.kind == "cfg_pp" and guidance > _MOST_CFG_PP:
        known.warn(
            "guidance-beyond-cfg-pp",
            f"The scale of CFG++ goes from 0 (unconditional) to 1 (conditional); found a guidance of {guidance:g}.",
            "Use 0.2 to 1.",
            "guidance",
        )


def _noise_shape(latents: Latents, denoiser: DenoiserHandle) -> tuple[int, int, int]:
    """[C, h, w] of one item in the denoiser's latent space, at the size that the empty latents ask for."""
    step = denoiser.space.downscale
    require_drawable(latents, denoiser)
    return denoiser.space.channels, latents.height_px // step, latents.width_px // step


def _to_payload(state: "SamplerState", denoiser: DenoiserHandle) -> SamplingState:
    meta, tensors = state.to_tensors()
    model = "" if state.solver is None else denoiser.fingerprint
    return SamplingState(meta, {name: tensor.cpu() for name, tensor in tensors.items()}, denoiser.space, model)


def _from_payload(state: SamplingState, device: str) -> "SamplerState":
    from sdgraph.diffusion.state import SamplerState

    return SamplerState.from_tensors(state.meta, {name: part.to(device) for name, part in state.tensors.items()})
