"""The guider of a stage, with a second model where it wants one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from sdgraph.core.context import RunContext
from sdgraph.diffusion.guider_specs import AutoGuidanceSpec, GuiderSpec
from sdgraph.errors import ModelError
from sdgraph.models.compose import ComposedModel, open_model
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from sdgraph.diffusion.guidance import Guider


@contextmanager
def open_guider(
    ctx: RunContext,
    spec: GuiderSpec,
    model: ComposedModel,
    positive: Conditioning,
    negative: Conditioning,
    weak: DenoiserHandle | None = None,
) -> Generator[Guider]:
    """The guider that `spec` describes; the model of `weak` is leased until the `with` block ends."""
    from sdgraph.diffusion.guiders.build import build_guider

    with ExitStack() as leases:
        second = None
        if weak is not None and isinstance(spec, AutoGuidanceSpec):
            second = leases.enter_context(
                open_model(ctx.service(ModelPool), weak, None, ctx.device, None, model.sampling)
            )
        yield build_guider(spec, model, positive, negative, second)


def require_weak_match(denoiser: DenoiserHandle, weak: DenoiserHandle) -> None:
    """Raise ModelError [weak-mismatch] unless `weak` can stand in for `denoiser`."""
    same_latents = weak.space == denoiser.space
    if same_latents and weak.conditioning_width == denoiser.conditioning_width:
        return
    raise ModelError(
        "weak-mismatch",
        f"The weaker model `{weak.source}` works on {weak.space.name} latents with {weak.conditioning_width}-wide "
        f"conditioning, the denoiser on {denoiser.space.name} latents with {denoiser.conditioning_width}-wide one.",
        "Use a model of the same family, for example an earlier or smaller one.",
        port="weak",
    )
