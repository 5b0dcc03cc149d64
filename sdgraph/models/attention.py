"""Self-attention of denoisers: which blocks have it, and perturbing it while a prediction is made."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from sdgraph.models.attention_grid import ImageGrid, blurred, watched_grid
from sdgraph.models.attention_names import chosen_names

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sdgraph.diffusion.perturbation import Perturbation


def attention_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """The transformer blocks of a UNet or a diffusion transformer, by their names in the model and in its order."""
    return {
        name: module
        for name, module in model.named_modules()
        if name.rpartition(".")[0].endswith("transformer_blocks") and _self_attentions(module)
    }


def chosen_blocks(model: nn.Module, layers: tuple[str, ...]) -> dict[str, nn.Module]:
    """The blocks that `layers` name, as `chosen_names` reads them. Raises ModelError [attention-layers]."""
    blocks = attention_blocks(model)
    return {name: blocks[name] for name in chosen_names(blocks, layers)}


@contextmanager
def perturbed(model: nn.Module, perturbation: Perturbation) -> Generator[None]:
    """Within the `with` block, `model` predicts as `perturbation` says; afterwards it is exactly as it was.

    Raises ModelError [attention-layers].
    """
    blocks = chosen_blocks(model, perturbation.layers)
    with ExitStack() as undo:
        grid = undo.enter_context(watched_grid(model))
        for block in blocks.values():
            if perturbation.kind == "skip":
                undo.enter_context(replaced_forward(block, _let_through(block)))
                continue
            for attention in _self_attentions(block).values():
                if perturbation.kind == "identity":
                    undo.enter_context(replaced_forward(attention, _identity(attention, grid)))
                else:
                    smooth = _smoothed(attention.to_q, grid, perturbation.blur_sigma)
                    undo.enter_context(replaced_forward(attention.to_q, smooth))
        yield


def _self_attentions(block: nn.Module) -> dict[str, Any]:
    """The attention modules of a block in which positions of the picture attend to each other."""
    named: Mapping[str, Any] = dict(block.named_children())
    # A UNet's block has attn1 (self) and attn2 (to the prompt); a transformer's attn (joint) and at times attn2 (self).
    names = ("attn1",) if "attn1" in named else ("attn", "attn2")
    return {name: named[name] for name in names if hasattr(named.get(name), "to_q")}


@contextmanager
def replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Generator[None]:
    """`module` with another forward; a forward that some library set on this very module comes back as well."""
    before = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def _let_through(block: nn.Module) -> Callable[..., Any]:
    """A forward that gives a block's input, in the form of its output."""
    of_unet = hasattr(block, "attn1")

    def forward(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        text = args[0] if args else kwargs.get("encoder_hidden_states")
        return hidden_states if of_unet else (text, hidden_states)

    return forward


def _identity(attention: Any, grid: ImageGrid) -> Callable[..., Any]:
    """A forward in which each position of the picture sees itself and, in joint attention, the text."""
    usual = attention.forward

    def alone(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        value = attention.to_v(hidden_states)
        return attention.to_out[1](attention.to_out[0](value))

    def joint(hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        from sdgraph.models.attention_mask import ImageIdentity

        positions = grid.positions if encoder_hidden_states is None else hidden_states.shape[1]
        with ImageIdentity(positions, picture_first=not type(attention).__name__.startswith("Flux")):
            return usual(hidden_states, encoder_hidden_states, *args, **kwargs)

    # FLUX's single blocks have text and picture in one row, and no projection of their own behind the attention.
    sees_text = attention.added_kv_proj_dim is not None or not hasattr(attention, "to_out")
    return joint if sees_text else alone


def _smoothed(project: nn.Module, grid: ImageGrid, sigma: float | None) -> Callable[..., Any]:
    """A forward whose queries are blurred over the picture."""
    usual = project.forward

    def forward(hidden_states: Tensor) -> Tensor:
        return blurred(usual(hidden_states), grid, sigma)

    return forward
