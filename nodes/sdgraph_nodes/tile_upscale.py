"""Larger pictures with new detail, drawn tile by tile."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.names import SigmaName, SolverName
from sdgraph.diffusion.stage import MAX_STEPS, Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.tile_weights import TileWeights
from sdgraph.errors import SamplingError
from sdgraph.models.compose import Sampling, open_model
from sdgraph.models.drawable import require_tiles
from sdgraph.models.facts import placed, require_sampling_fit, require_understood
from sdgraph.models.pool import ModelPool
from sdgraph.models.present import require_part
from sdgraph.models.step_clock import StepClock
from sdgraph.models.vae import decode_latents, encode_image, require_coding
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.facts import Sized, is_settled, picture_at
from sdgraph.payloads.handles import DenoiserHandle, VaeHandle
from sdgraph.payloads.image import MAX_EDGE_PX, Image
from sdgraph.payloads.latents import Latents, LatentSpace, item_seeds, require_same_space
from sdgraph.payloads.sampling import SamplingState
from sdgraph_nodes.outputs import ImageOut
from sdgraph_nodes.resize import resample
from sdgraph_nodes.sampling import MAX_SEED, negative_missing, warn_without_steps
from sdgraph_nodes.sampling_checks import check_levels
from sdgraph_nodes.step_preview import StepReport

if TYPE_CHECKING:
    from sdgraph.diffusion.tiles import TileGrid
    from sdgraph_nodes.tile_log import TileLog


class TileUpscale(Node[ImageOut], type="image.tile_upscale", version=2, lane="device"):
    """Enlarge a picture and let the model redraw it, one overlapping tile at a time.

    The picture is enlarged by Lanczos resampling and noised once as a whole; every sampling step then asks the model
    about each tile and feathers the answers together, so that neighbouring tiles never drift apart.
    """

    image: In[Image]
    """The picture to enlarge."""
    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    vae: In[VaeHandle]
    """The autoencoder of the same model."""
    positive: In[Conditioning]
    """What to draw, in every tile."""
    negative: In[Conditioning | None] = port(None)
    """What to stay away from; not needed when the guidance is 1."""
    factor: In[float] = port(2.0, ge=1, le=8)
    """How much larger the result is, in each direction; its size is rounded to the autoencoder's downscale."""
    tile_px: In[int] = port(512, ge=32, le=4096, multiple_of=8, unit="px")
    """Edge of one tile; best the size of the pictures that the model was trained on."""
    overlap_px: In[int] = port(128, ge=0, le=2048, multiple_of=8, unit="px")
    """What neighbouring tiles share at least."""
    tile_weights: In[TileWeights] = port("feather")
    """How tiles are blended where they overlap: `feather` evenly, `uniform` as MultiDiffusion, `gaussian` as Mixture of
    Diffusers."""
    strength: In[float] = port(0.3, ge=0, le=1)
    """How much is redrawn: 0 is plain resampling through the autoencoder, 1 draws from nothing."""
    steps: In[int] = port(20, ge=1, le=MAX_STEPS)
    """Solver steps of a whole sampling, of which the last steps * strength run."""
    guidance: In[float] = port(7.5, ge=0, le=100)
    """How strongly the prompts pull."""
    solver: In[SolverName] = port("euler")
    """The method that steps from one noise level to the next."""
    sigmas: In[SigmaName] = port("checkpoint")
    """How the noise levels are spaced."""
    seed: In[int] = port(0, ge=0, le=MAX_SEED, widget="seed")
    """Seed of the first picture's noise; picture i of a batch has seed + i."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        warn_without_steps(known, self.steps, self.strength)
        denoiser, vae, image = known.get("denoiser"), known.get("vae"), picture_at(known, "image")
        if isinstance(denoiser, DenoiserHandle):
            self._check_denoiser(denoiser, known)
        if not isinstance(vae, VaeHandle):
            return {}
        require_coding(vae, self.tile_px)
        if image is None or not is_settled(self.factor):
            return {}
        return {"image": image.sized(*self._size(image, vae.space))}

    def _check_denoiser(self, denoiser: DenoiserHandle, known: Known) -> None:
        """Raise what any sampler would of the model; of its autoencoder, ModelError [latent-space-mismatch]."""
        require_part(denoiser)
        if isinstance(vae := known.get("vae"), VaeHandle):
            with placed("vae"):
                require_same_space(vae.space, denoiser.space, f"The denoiser `{denoiser.source}`")
        require_understood(denoiser, known, "positive", "negative")
        if is_settled(self.solver, self.sigmas):
            require_sampling_fit(denoiser, self.solver, self.sigmas)
            if is_settled(self.steps):
                check_levels(known, plan_legs([Stage(steps=self.steps, solver=self.solver, sigmas=self.sigmas)]))
        if is_settled(self.tile_px, self.overlap_px):
            require_tiles(denoiser, self.tile_px, self.overlap_px)
        if self.negative is None and is_settled(self.guidance) and self.guidance != 1:
            raise negative_missing("The upscale")

    def run(self, ctx: RunContext) -> ImageOut:
        if self.negative is None and self.guidance != 1:
            raise negative_missing("The upscale")
        guidance = ConstantGuidance(scale=self.guidance)
        stage = Stage(steps=self.steps, solver=self.solver, sigmas=self.sigmas, guidance=guidance)
        legs = plan_legs((stage,), self.strength)
        latents = self._redrawn(legs[0], ctx) if legs else self._encoded(ctx)
        with ctx.service(ModelPool).lease(self.vae, ctx.device) as model:
            return ImageOut(image=decode_latents(model, self.vae, latents, self.tile_px))

    def _encoded(self, ctx: RunContext) -> Latents:
        """The enlarged picture as latents."""
        enlarged = resample(self.image, *self._size(self.image, self.vae.space), "lanczos")
        with ctx.service(ModelPool).lease(self.vae, ctx.device) as model:
            return encode_image(model, self.vae, enlarged, self.tile_px)

    def _size(self, image: Sized, space: LatentSpace) -> tuple[int, int]:
        """Width and height of the result. Raises SamplingError [upscale-too-large]."""
        step = space.downscale
        width, height = (max(round(edge * self.factor / step), 1) * step for edge in (image.width_px, image.height_px))
        if max(width, height) > MAX_EDGE_PX:
            raise SamplingError(
                "upscale-too-large",
                f"The result would have {width:,} x {height:,} px; an edge has at most {MAX_EDGE_PX:,} px.",
                "Use a smaller factor.",
                port="factor",
            )
        return width, height

    def _redrawn(self, leg: Leg, ctx: RunContext) -> Latents:
        """The enlarged picture's latents with the noise of `leg` put on and taken off again."""
        from sdgraph.diffusion.guidance import ClassifierFreeGuidance
        from sdgraph.diffusion.sampling import run_stage
        from sdgraph.models.counted import counted
        from sdgraph_nodes.tiled_guider import TiledGuider

        log = self._log(leg, ctx)
        taken, grid = log.state.step, self._grid(log.state.x.shape[2:])
        report = StepReport(ctx, self.denoiser, leg.steps, parts=len(grid.tiles), done=taken)
        if taken or log.finished:
            note = f"goes on after step {taken} of {leg.steps}, and {log.finished} tiles of the next one"
            ctx.progress(taken * len(grid.tiles), leg.steps * len(grid.tiles), note=note)
        negative = self.positive if self.negative is None else self.negative.as_negative()
        sampling = Sampling(None if self.negative is None else negative, StepClock(leg, taken))
        with open_model(ctx.service(ModelPool), self.denoiser, None, ctx.device, None, sampling) as model:
            plain = counted(ClassifierFreeGuidance(model, self.positive, negative), sampling)
            guider = TiledGuider(plain, grid, report.part, model.focused, log if log.is_used else None)
            reports, resumed = (report.step, model.begin_step), log.state if taken else None
            keep = log.end_step
            state = run_stage(leg, log.start, guider, model.schedule, *reports, resume=resumed, keep=keep)
        return Latents(state.latents().cpu(), self.vae.space)

    def _log(self, leg: Leg, ctx: RunContext) -> "TileLog":
        """Where an interrupted run of this very node had come to, or the beginning."""
        from sdgraph.diffusion.schedule import NoiseSchedule
        from sdgraph.diffusion.start import start_from_latents
        from sdgraph_nodes.tile_log import TileLog

        # Features of steps before are no part of the state.
        every = 0 if self.denoiser.shortcuts.reuses else ctx.checkpoint.every_steps
        saved = ctx.checkpoint.load()
        if isinstance(saved, SamplingState):
            return TileLog.resumed(saved, ctx.device, every, ctx.checkpoint.save)
        latents, schedule = self._encoded(ctx), NoiseSchedule.from_config(self.denoiser.scheduler)
        seeds = item_seeds(latents, self.seed)
        start = start_from_latents((leg,), schedule, latents.samples.to(ctx.device), seeds)
        return TileLog(start, latents.space, every, ctx.checkpoint.save)

    def _grid(self, size: Sequence[int]) -> "TileGrid":
        """Of latents of `size`: height and width."""
        from sdgraph.diffusion.tiles import TileGrid

        step = self.denoiser.space.downscale
        height, width = size
        return TileGrid(height, width, self.tile_px // step, self.overlap_px // step, blending=self.tile_weights)
