"""The pictures that ship with the built-in pack, drawn. `python -m tests.nodes.builtin_pictures` writes them anew."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from training.shapes.drawing import draw
from training.shapes.world import Obj, Scene

FOLDER = Path(str(files("sdgraph_nodes") / "pictures"))
_PAIR = (
    Obj("circle", "green", "large", "plain", 0.26, 0.5, 0.195, 0.0),
    Obj("square", "yellow", "large", "plain", 0.74, 0.5, 0.195, 6.0),
)
_DRAWINGS: dict[str, tuple[Scene, int]] = {
    "circle": (Scene((Obj("circle", "blue", "large", "plain", 0.5, 0.5, 0.33, 0.0),), "white"), 256),
    "pair": (Scene(_PAIR, "light blue", "left of"), 64),
    "star": (Scene((Obj("star", "red", "large", "plain", 0.5, 0.52, 0.33, 0.0),), "white"), 256),
}


def drawn_pictures() -> dict[str, Any]:
    """uint8 RGB [H, W, 3] by file name."""
    return {f"{name}.png": draw(scene, image_px) for name, (scene, image_px) in _DRAWINGS.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, picture in drawn_pictures().items():
        Pillow.fromarray(picture).save(FOLDER / name, optimize=True)
