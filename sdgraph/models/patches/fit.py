"""Matching a patch file's entries with a network's weights: by name, and by shape."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import prod

from sdgraph.models.header import damaged
from sdgraph.models.patches.files import PatchFile
from sdgraph.models.patches.keys import Component, Entry
from sdgraph.models.patches.names import Target, known_names

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Of a network's tensors by name: `conv_in.weight`: (320, 4, 3, 3)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a change and the rows of a tensor that they are added to."""

    tensor: str
    rows: slice
    """Of the tensor."""
    change: slice
    """Of the entry's change; as many."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """An entry and where it goes."""

    entry: Entry
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """What of a patch file belongs to a network."""

    fitted: tuple[Fitted, ...]
    unfitted: tuple[Entry, ...]
    """Entries that name this network (or none) and have no place or another shape there."""


def fit_entries(
    file: PatchFile, entries: Iterable[Entry], accepts: Collection[Component | None], shapes: Shapes
) -> Fit:
    """Match the entries for one of `accepts` with a network's tensors. Raises ModelError [model-damaged]."""
    names = known_names(shapes)
    fitted: list[Fitted] = []
    unfitted: list[Entry] = []
    for entry in entries:
        if entry.component in accepts:
            pieces = _pieces(names.get(entry.module), entry, shapes)
            if pieces and _has_room(file, entry, pieces, shapes):
                fitted.append(Fitted(entry, pieces))
            else:
                unfitted.append(entry)
    return Fit(tuple(fitted), tuple(unfitted))


def change_shape(file: PatchFile, entry: Entry) -> tuple[int, int]:
    """Rows and numbers per row of the change that an entry makes. Not for "ia3", whose factors fit many shapes.

    Raises ModelError [model-damaged] when its parts don't fit each other.
    """
    parts = {part: file.shapes[key] for part, key in entry.parts.items()}
    try:
        match entry.kind:
            case "lora":
                found = _lora_shape(parts)
            case "loha":
                found = _loha_shape(parts)
            case "lokr":
                found = _lokr_shape(parts)
            case _:
                found = parts["diff"]
    except (IndexError, ValueError):
        found = ()
    if not found or 0 in found:
        key, shapes = min(entry.parts.values()), ", ".join(f"{part} {list(shape)}" for part, shape in parts.items())
        raise damaged(file.path, f"the parts of `{key}` don't fit each other: {shapes}")
    return found[0], prod(found[1:])


def _pieces(target: Target | None, entry: Entry, shapes: Shapes) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    start = 0
    for rows in target or ():
        name = f"{rows.module}.{entry.tensor}"
        if name not in shapes:
            return ()
        stop = start + rows.stop - rows.start
        pieces.append(Piece(name, slice(rows.start, rows.stop), slice(start, stop)))
        start = stop
    return tuple(pieces)


def _has_room(file: PatchFile, entry: Entry, pieces: tuple[Piece, ...], shapes: Shapes) -> bool:
    first = shapes[pieces[0].tensor]
    rows, width = pieces[-1].change.stop, prod(first[1:])
    if any(prod(shapes[piece.tensor][1:]) != width for piece in pieces):
        return False
    if entry.kind == "ia3":
        factors = prod(file.shapes[entry.parts["scaling"]])
        fits = len(first) > 1 and factors in (rows, first[1])
    else:
        fits = change_shape(file, entry) == (rows, width)
    magnitudes = prod(file.shapes[entry.parts["dora"]]) if "dora" in entry.parts else rows
    # A magnitude per input channel needs all rows at once.
    by_input = len(pieces) == 1 and len(first) > 1 and magnitudes == first[1]
    return fits and (magnitudes == rows or by_input)


def _lora_shape(parts: Mapping[str, Shape]) -> Shape:
    down, up, mid = parts["down"], parts["up"], parts.get("mid")
    if len(down) < 2 or up[1] != down[0] or prod(up) != up[0] * up[1]:
        return ()
    if mid is None:
        return up[0], *down[1:]
    return (up[0], down[1], *mid[2:]) if mid[:2] == (up[1], down[0]) and prod(down) == down[0] * down[1] else ()


def _loha_shape(parts: Mapping[str, Shape]) -> Shape:
    found = {_product(parts, f"hada_w{n}", parts.get(f"hada_t{n}")) for n in (1, 2)}
    return found.pop() if len(found) == 1 and ("hada_t1" in parts) == ("hada_t2" in parts) else ()


def _lokr_shape(parts: Mapping[str, Shape]) -> Shape:
    left = parts.get("lokr_w1") or _product(parts, "lokr_w1")
    right = parts.get("lokr_w2") or _product(parts, "lokr_w2", parts.get("lokr_t2"))
    if len(left) != 2 or len(right) < 2:
        return ()
    return left[0] * right[0], left[1] * right[1], *right[2:]


def _product(parts: Mapping[str, Shape], name: str, core: Shape | None = None) -> Shape:
    """Of `name`_a @ `name`_b, or of their Tucker product with a core."""
    a, b = parts[f"{name}_a"], parts[f"{name}_b"]
    if len(a) != 2 or len(b) < 2:
        return ()
    if core is None:
        return (a[0], *b[1:]) if a[1] == b[0] else ()
    return (a[1], b[1], *core[2:]) if core[:2] == (a[0], b[0]) and len(b) == 2 else ()
