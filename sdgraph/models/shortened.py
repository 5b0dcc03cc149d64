"""The shortcuts of a handle, taken by its network while it is leased."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError
from sdgraph.models.feature_reuse import FeatureReuse, Stepping
from sdgraph.models.token_merging import token_merging
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph.payloads.shortcuts import NO_SHORTCUTS, Shortcuts

if TYPE_CHECKING:
    from torch import nn

    from sdgraph.models.view import View


class OpenShortcuts:
    """The shortcuts that a network takes while one model evaluates it; another model of that network has its own."""

    def __init__(self) -> None:
        self.active = False
        """Whether the model that these are for is evaluating."""
        self.reuse: FeatureReuse | None = None
        """What is computed now and then only; None: all is computed at each step."""

    @contextmanager
    def evaluating(self, conditionings: Sequence[Hashable], batch: int, view: View) -> Generator[None]:
        """Within the `with` block the network is evaluated for `batch` pictures under each conditioning."""
        if self.reuse is not None:
            self.reuse.ask(conditionings, batch, view)
        before, self.active = self.active, True
        try:
            yield
        finally:
            self.active = before

    def apart(self, what: Hashable) -> AbstractContextManager[None]:
        """Within the `with` block the network is another one, whose features are kept apart."""
        return nullcontext() if self.reuse is None else self.reuse.apart(what)


@contextmanager
def shortened(network: nn.Module, shortcuts: Shortcuts, sampling: Stepping) -> Generator[OpenShortcuts]:
    """Within the `with` block a UNet can take `shortcuts`; afterwards it is exactly as it was.

    Without any it is not touched.
    """
    opened = OpenShortcuts()
    with ExitStack() as undo:
        merging = token_merging(network, shortcuts.merged_share, shortcuts.merged_levels, lambda: opened.active)
        undo.enter_context(merging)
        if shortcuts.attended_keys or shortcuts.random_features:
            from sdgraph.models.approximate_attention import approximated

            counts = (shortcuts.attended_keys, shortcuts.random_features, shortcuts.features_seed)
            undo.enter_context(approximated(network, *counts, lambda: opened.active))
        if shortcuts.reuses:
            opened.reuse = FeatureReuse(network, shortcuts.reuse_every, shortcuts.reuse_layers, sampling)
            undo.enter_context(opened.reuse.acting())
        yield opened


def with_shortcuts(denoiser: DenoiserHandle, **fields: Any) -> DenoiserHandle:
    """The handle with other `Shortcuts` fields. Raises ModelError [shortcut-family] for what is no UNet."""
    shortcuts = replace(denoiser.shortcuts, **fields)
    if shortcuts != NO_SHORTCUTS and denoiser.inner_width:
        raise ModelError(
            "shortcut-family",
            "Merged tokens, reused features and approximate attention are for UNets (Stable Diffusion 1, 2, XL), and "
            f"`{denoiser.source}` is a transformer of the family {denoiser.family}.",
            "Leave the node out.",
            port="denoiser",
        )
    return replace(denoiser, shortcuts=shortcuts)
