"""What can be told of models, latents and prompts before anything runs, by small files alone (see `Node.infer`).

The fact of a handle is the handle itself, of pictures and masks a `PictureFact`, of latents a `LatentsFact`
(`sdgraph.payloads.facts`), of conditioning a `ConditioningFact`, of control a tuple of `ControlFact`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sdgraph.diffusion.fits import (
    is_edm,
    is_flow,
    require_edm_fit,
    require_shift_fit,
    require_sigmas_fit,
    require_solver_fit,
)
from sdgraph.diffusion.guider_specs import AutoGuidanceSpec, GuiderSpec, PagSpec, SegSpec, SlgSpec
from sdgraph.diffusion.names import SigmaName, SolverName
from sdgraph.errors import ModelError, SdgraphError
from sdgraph.models import controlnet, ip_adapter, t2i_adapter
from sdgraph.models.attention_names import block_names, chosen_names
from sdgraph.models.checkpoint import open_layout
from sdgraph.models.conditions import require_pooled, require_width
from sdgraph.models.control_call import require_pictures
from sdgraph.models.present import require_part
from sdgraph.payloads.control import require_range
from sdgraph.payloads.facts import PictureFact, latents_at, picture_at
from sdgraph.payloads.handles import (
    ControlNetHandle,
    DenoiserHandle,
    IPAdapterHandle,
    ModelHandle,
    T2IAdapterHandle,
    TextEncoderHandle,
)
from sdgraph.payloads.latents import LatentSpace, require_same_space

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConditioningFact:
    """What a denoiser asks of conditioning."""

    width: int
    """Length of its vectors."""
    pooled_width: int
    """Length of the vector of a whole prompt; 0: there is none."""

    @classmethod
    def of(cls, encoder: TextEncoderHandle) -> ConditioningFact:
        """What an encoder makes."""
        return cls(encoder.conditioning_width, encoder.pooled_width)


def read_fact(read: Callable[[], T]) -> T | None:
    """What `read` gives, or None where the model can't be read: the plan tells of that if the model is needed."""
    try:
        return read()
    except ModelError:
        return None


def require_sampling_fit(
    denoiser: object,
    solver: SolverName,
    sigmas: SigmaName,
    shift: float | None = None,
    ports: tuple[str, str, str] = ("solver", "sigmas", "shift"),
) -> None:
    """Raises SamplingError [solver-family], [sigmas-family], [shift-family] at the port, where the model is known."""
    if isinstance(denoiser, DenoiserHandle):
        flow = is_flow(denoiser.scheduler)
        with placed(ports[0]):
            require_solver_fit(solver, flow)
            if is_edm(denoiser.scheduler):
                require_edm_fit(solver)
        with placed(ports[1]):
            require_sigmas_fit(sigmas, flow)
        with placed(ports[2]):
            require_shift_fit(shift, flow)


def require_understood(denoiser: DenoiserHandle, known: Mapping[str, Any], *ports: str) -> None:
    """Raises SamplingError [conditioning-width], [conditioning-pooled] at the first port that does not fit."""
    for port in ports:
        fact = known.get(port)
        if isinstance(fact, ConditioningFact):
            with placed(port):
                require_width(fact.width, denoiser.conditioning_width)
                if denoiser.pooled_width:
                    require_pooled(fact.pooled_width or None, denoiser.pooled_width)


def require_space(space: LatentSpace, known: Mapping[str, Any], port: str, who: str) -> None:
    """Raises ModelError [latent-space-mismatch] at `port` when its latents are of another space."""
    found = latents_at(known, port).space
    if found is not None:
        with placed(port):
            require_same_space(found, space, who)


@dataclass(frozen=True, slots=True)
class ControlFact:
    """A network that steers sampling, with what it looks at."""

    net: ModelHandle
    picture: PictureFact | None
    """Its control pictures, or the mask of an IP-Adapter."""


def controls_with(
    known: Mapping[str, Any], port: str, picture: str, limits: tuple[object, object, object]
) -> tuple[ControlFact, ...]:
    """The controls so far, and the network at `port` unless a strength of 0 turns it off.

    `picture` is the port of what it looks at, `limits` its strength, start and end. Raises SamplingError
    [control-range] at the port `end`.
    """
    strength, start, end = limits
    if isinstance(start, float) and isinstance(end, float):
        with placed("end"):
            require_range(start, end)
    before: tuple[ControlFact, ...] = known.get("control", ())
    net = None if strength == 0 else known.get(port)
    return (*before, ControlFact(net, picture_at(known, picture))) if isinstance(net, ModelHandle) else before


def require_controls(
    denoiser: DenoiserHandle, known: Mapping[str, Any], port: str, drawn: PictureFact | None = None
) -> None:
    """Raises ModelError [control-mismatch] at `port` when a network is for another kind of model.

    Where it is known what will be `drawn`, also SamplingError [control-size], [control-batch].
    """
    controls: tuple[ControlFact, ...] = known.get(port, ())
    for control in controls:
        net = control.net
        with placed(port):
            require_part(net)
            if isinstance(net, ControlNetHandle):
                controlnet.require_match(net, denoiser)
            elif isinstance(net, T2IAdapterHandle):
                t2i_adapter.require_match(net, denoiser)
            elif isinstance(net, IPAdapterHandle):
                ip_adapter.require_match(net, denoiser)
                blocks = _blocks(denoiser)
                if blocks is not None:
                    ip_adapter.require_layers(net, len(blocks))
            if control.picture is not None and drawn is not None:
                what = "mask" if isinstance(net, IPAdapterHandle) else "control picture"
                require_pictures(control.picture, drawn, what)


def require_blocks(denoiser: DenoiserHandle, guider: GuiderSpec, port: str, *, has_weak: bool) -> None:
    """Raises ModelError [attention-layers] at `port` for a guider that perturbs blocks which the network has not."""
    match guider:
        case PagSpec() | SlgSpec() | SegSpec() if guider.scale:
            layers = guider.layers
        case AutoGuidanceSpec() if not has_weak:
            layers = guider.layers
        case _:
            return
    blocks = _blocks(denoiser)
    if blocks is not None:
        with placed(port):
            chosen_names(blocks, layers)


def network_config(denoiser: DenoiserHandle) -> Mapping[str, Any] | None:
    """The configuration of the network; None where it can't be read, which the plan tells of."""
    return read_fact(
        lambda: open_layout(denoiser.source, denoiser.config, denoiser.allow_pickle).config(denoiser.component)
    )


def _blocks(denoiser: DenoiserHandle) -> tuple[str, ...] | None:
    config = network_config(denoiser)
    return None if config is None else block_names(config)


@contextmanager
def placed(port: str) -> Generator[None]:
    """Gives errors within the `with` block a port, unless they have one."""
    try:
        yield
    except SdgraphError as error:
        found = error.problem
        if found.port is not None:
            raise
        raise type(error)(found.code, found.message, found.hint, node=found.node, port=port) from error
