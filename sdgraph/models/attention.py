"""Self-attention of denoisers: which blocks have it, and perturbing it while a prediction is made."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError
from sdgraph.models.attention_grid import ImageGrid, blurred, watched_grid

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sdgraph.diffusion.perturbation import Perturbation

_SHORT_NAMES = {
    "mid": "mid_block",
    "down": "down_blocks",
    "up": "up_blocks",
    "blocks": "transformer_blocks",
    "single": "single_transformer_blocks",
}
_MOST_NAMED = 12


def attention_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """The transformer blocks of a UNet or a diffusion transformer, by their names in the model and in its order."""
    return {
        name: module
        for name, module in model.named_modules()
        if name.rpartition(".")[0].endswith("transformer_blocks") and _self_attentions(module)
    }


def chosen_blocks(model: nn.Module, layers: tuple[str, ...]) -> dict[str, nn.Module]:
    """The blocks whose names are or begin with one of `layers`; without any, those in the middle of the network.

    `mid`, `down`, `up`, `blocks` and `single` stand for the names that they begin. Raises ModelError [attention-layers]
    when there is none.
    """
    blocks = attention_blocks(model)
    if not layers:
        middle = {name: block for name, block in blocks.items() if name.startswith("mid_block.")}
        halfway = list(blocks.items())[len(blocks) // 2 :][:1]
        chosen, missing = middle or dict(halfway), "with self-attention"
    else:
        by_layer = {layer: {name: block for name, block in blocks.items() if _matches(name, layer)} for layer in layers}
        chosen = {name: block for found in by_layer.values() for name, block in found.items()}
        absent = [layer for layer, found in by_layer.items() if not found]
        chosen, missing = ({} if absent else chosen), f"called `{absent[0]}`" if absent else ""
    if not chosen:
        raise ModelError("attention-layers", f"The model has no block {missing}.", _hint(blocks))
    return chosen


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
                undo.enter_context(_replaced_forward(block, _let_through(block)))
                continue
            for attention in _self_attentions(block).values():
                if perturbation.kind == "identity":
                    undo.enter_context(_replaced_forward(attention, _identity(attention, grid)))
                else:
                    smooth = _smoothed(attention.to_q, grid, perturbation.blur_sigma)
                    undo.enter_context(_replaced_forward(attention.to_q, smooth))
        yield


def _self_attentions(block: nn.Module) -> dict[str, Any]:
    """The attention modules of a block in which positions of the picture attend to each other."""
    named: Mapping[str, Any] = dict(block.named_children())
    # A UNet's block has attn1 (self) and attn2 (to the prompt); a transformer's attn (joint) and at times attn2 (self).
    names = ("attn1",) if "attn1" in named else ("attn", "attn2")
    return {name: named[name] for name in names if hasattr(named.get(name), "to_q")}


def _matches(name: str, layer: str) -> bool:
    first, dot, rest = layer.partition(".")
    full = _SHORT_NAMES.get(first, first) + dot + rest
    return name == full or name.startswith(f"{full}.")


def _hint(blocks: Mapping[str, object]) -> str:
    if not blocks:
        return "It has no transformer blocks at all; use a guider that does not perturb attention."
    names = list(blocks)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"Its blocks are {', '.join(names[:_MOST_NAMED])}{more}; the beginning of a name stands for all of them."


@contextmanager
def _replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Generator[None]:
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
