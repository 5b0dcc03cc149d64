"""What a sampling node reports while it runs: its progress, and now and then what the picture looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdgraph.core.context import RunContext
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.sampling import StepInfo
    from sdgraph.diffusion.state import SamplerState
    from sdgraph.models.feature_reuse import FeatureReuse
    from sdgraph.payloads.image import Image

PREVIEWS = 5
"""Previews per node: enough to follow, few enough to cost little."""


class StepReport:
    """Tells the run about each step, and about each part of a step where steps have parts.

    `RunContext.progress` raises when the run was cancelled, which ends sampling.
    """

    def __init__(self, ctx: RunContext, denoiser: DenoiserHandle, steps: int, parts: int = 1, done: int = 0) -> None:
        self._ctx = ctx
        self._denoiser = denoiser
        self._steps = steps
        self._parts = parts
        self._done = done

    def part(self, number: int) -> None:
        """Report that the parts before `number` (0-based) of the current step are done."""
        # Solvers that look twice per step go through the parts twice; the step counts as one all the same.
        self._ctx.progress(self._done * self._parts + number, self._steps * self._parts)

    def step(self, info: StepInfo) -> None:
        """Report the end of a step, with a preview if one is due."""
        self._done += 1
        due = self._done % max(self._steps // PREVIEWS, 1) == 0 and self._done < self._steps
        preview = self._preview(info.denoised) if due else None
        self._ctx.progress(self._done * self._parts, self._steps * self._parts, preview=preview)

    def end(self, state: SamplerState, reuse: FeatureReuse | None = None) -> None:
        """Report what finishing pictures early and reusing features have saved, if anything was."""
        notes: list[str] = []
        if state.stopped:
            saved = sum(stop.saved for stop in state.stopped)
            count = len(state.x)
            notes.append(
                f"{len(state.stopped)} of {count} finished early, which saves {saved} network evaluations so far"
            )
        if reuse is not None:
            notes.append(f"{reuse.outer} of {reuse.outer + reuse.whole} network evaluations reused deep features")
        if notes:
            self._ctx.progress(self._steps * self._parts, self._steps * self._parts, note="; ".join(notes))

    def _preview(self, denoised: Tensor) -> Image | None:
        from sdgraph.models.pool import ModelPool
        from sdgraph.models.vae import decode_preview

        handle = self._denoiser.preview
        if handle is None:
            return None
        with self._ctx.service(ModelPool).lease(handle, self._ctx.device) as model:
            return decode_preview(model, handle, denoised)
