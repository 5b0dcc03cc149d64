"""What all samplers refuse before anything runs, and the node of one stage that they share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sdgraph.core.infer import Known
from sdgraph.core.port import Link
from sdgraph.diffusion.guider_specs import GuiderSpec, needs_negative
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.levels_fit import require_levels
from sdgraph.diffusion.stage import Levels, Stage
from sdgraph.diffusion.stage_checks import check_custom
from sdgraph.diffusion.tile_weights import TileWeights
from sdgraph.errors import SamplingError
from sdgraph.models.drawable import require_drawable, require_tiles
from sdgraph.models.facts import (
    network_config,
    placed,
    require_blocks,
    require_controls,
    require_space,
    require_understood,
)
from sdgraph.models.inpainting import picture_missing
from sdgraph.models.present import require_part
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.control import Control
from sdgraph.payloads.facts import LatentsFact, is_settled, latents_at
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph.payloads.latents import LatentSpace
from sdgraph.payloads.sampling import SamplingState
from sdgraph_nodes.guiding import require_weak_match
from sdgraph_nodes.sampling import SampleStage, negative_missing
from sdgraph_nodes.stage_edits import is_unguided


class Drawing(NamedTuple):
    """A model and what it is asked to draw."""

    denoiser: DenoiserHandle
    positive: Conditioning
    negative: Conditioning | None


class StagePorts(NamedTuple):
    """What a sampler hands on to every stage."""

    control: Control | None
    weak: DenoiserHandle | None
    tile_px: int
    overlap_px: int
    tile_weights: TileWeights


def only_stage(steps: int, custom_sigmas: Levels | None, custom_timesteps: Levels | None, **fields: Any) -> Stage:
    """The stage of a sampler that has one, of `steps` or as many as its own levels amount to.

    Raises SamplingError [custom-sigmas] at the port whose levels can't be.
    """
    if custom_sigmas is None and custom_timesteps is None:
        return Stage(steps=steps, **fields)
    count = len(custom_timesteps or ()) if custom_sigmas is None else max(len(custom_sigmas) - 1, 1)
    stage = Stage(steps=count, custom_sigmas=custom_sigmas, custom_timesteps=custom_timesteps, **fields)
    with placed("custom_timesteps" if custom_sigmas is None else "custom_sigmas"):
        check_custom(stage, 1, last=True)
    return stage


def stage_node(
    ports: StagePorts, drawing: Drawing, leg: Leg, state: SamplingState | Link[SamplingState], what: str
) -> SampleStage:
    """The node that runs `leg` from `state`, of a sampler with these ports. Raises SamplingError [negative-missing]."""
    guided = needs_negative(leg.guider, is_unguided(leg.guidance))
    if guided and drawing.negative is None:
        raise negative_missing(what)
    return SampleStage(
        denoiser=drawing.denoiser,
        positive=drawing.positive,
        negative=drawing.negative if guided else None,
        control=ports.control,
        weak=ports.weak if leg.guider.kind == "autoguidance" else None,
        state=state,
        leg=leg,
        tile_px=ports.tile_px,
        overlap_px=ports.overlap_px,
        tile_weights=ports.tile_weights,
    )


def check_sampling(
    ports: StagePorts, known: Known, guiders: Iterable[GuiderSpec], guider_port: str
) -> DenoiserHandle | None:
    """The denoiser at the port `denoiser`, when it is known; raises an SdgraphError for what does not fit it."""
    denoiser, latents = known.get("denoiser"), latents_at(known, "latents")
    if not isinstance(denoiser, DenoiserHandle):
        return None
    require_part(denoiser)
    require_space(denoiser.space, known, "latents", f"The denoiser `{denoiser.source}`")
    require_understood(denoiser, known, "positive", "negative")
    if denoiser.inpainting and latents.mask in ("none", "mask"):
        raise picture_missing(denoiser)
    require_controls(denoiser, known, "control", latents.picture)
    if latents.picture is not None:
        require_drawable(latents.picture, denoiser, network_config(denoiser))
    if isinstance(weak := known.get("weak"), DenoiserHandle):
        require_weak_match(denoiser, weak)
    for guider in guiders:
        require_blocks(denoiser, guider, guider_port, has_weak=ports.weak is not None)
    if is_settled(ports.tile_px, ports.overlap_px):
        require_tiles(denoiser, ports.tile_px, ports.overlap_px)
    return denoiser


def check_levels(known: Known, legs: Iterable[Leg], port: str | None = None) -> None:
    """Raise SamplingError [custom-sigmas], [sigma-range], [steps-out-of-range] for what a leg's model does not have.

    `port` is where it is said; None: at the port of the leg's own field.
    """
    for leg in legs:
        denoiser = known.get("refiner" if leg.model == "refiner" else "denoiser")
        if isinstance(denoiser, DenoiserHandle):
            try:
                require_levels(leg, denoiser.scheduler)
            except SamplingError as error:
                found = error.problem
                raise SamplingError(found.code, found.message, found.hint, port=port or found.port) from error


def drawn(space: LatentSpace, latents: LatentsFact) -> LatentsFact:
    """What is known of the latents that a sampler makes of others."""
    return LatentsFact(space, latents.picture, empty=False, mask=latents.mask)


def check_beginning(known: Known, takes_steps: bool, strength: float) -> None:
    """What empty latents at the port `latents` can't be, or are not made for.

    Raises SamplingError [no-stages] when no step is left that could draw something; warns of a strength below 1.
    """
    latents = latents_at(known, "latents")
    if not latents.empty or latents.mask != "none":
        return
    if not takes_steps:
        raise SamplingError(
            "no-stages",
            f"A strength of {strength:g} leaves no step, and empty latents hold no picture to begin with.",
            "Use a strength of 1, or begin with the latents of a picture.",
            port="strength",
        )
    if strength < 1:
        known.warn(
            "strength-without-picture",
            f"A strength of {strength:g} keeps something of a picture, and empty latents hold none: the result is "
            "pale and blurred.",
            "Use a strength of 1, or begin with the latents of a picture.",
            "strength",
        )
