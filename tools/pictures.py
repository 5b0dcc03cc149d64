"""Draws the pictures of the documents: one strip per workflow, and a sheet of prompts. `python -m tools.pictures`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from sdgraph import Executor, MemoryStore, Payloads, Registry, build_graph, make_plan, read_document
from sdgraph.payloads.image import Image

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / "workflows"
FOLDER = ROOT / "docs" / "pictures"
PANEL_PX, GAP_PX, TEXT_PX, LINE_PX = 256, 16, 17, 22
MAX_COLUMNS = 4
"""Panels in a row; with more a page would show them too small to read."""
PAPER, INK, FRAME = "#ffffff", "#3c4250", "#d5d8de"

BEFORE: Mapping[str, Sequence[tuple[str, str]]] = {
    "img2img": [("given", "resized.image")],
    "controlnet_canny": [("given", "resized.image"), ("its edges", "edges.image")],
    "controlnet_depth": [("given", "resized.image"), ("its relief", "relief.image")],
    "two_controls": [("edges", "edges.image"), ("relief", "relief.image")],
    "shared_conditioning": [("the edges of a star", "edges.image")],
    "tile_upscale": [("given", "picture.image")],
    "inpaint": [("given", "resized.image")],
    "differential": [("given", "resized.image")],
    "outpaint": [("given", "resized.image"), ("with more room", "padded.image")],
    "hires_fix": [("drawn small", "drawn.image")],
    "guiders": [
        ("plain guidance, scale 6", "plain.image"),
        ("adaptive projected (APG)", "apg.image"),
        ("perturbed attention (PAG)", "pag.image"),
        ("dynamic thresholding to 3", "threshold.image"),
        ("autoguidance", "auto.image"),
        ("CFG++, scale 0.6", "cfg_pp.image"),
    ],
    "solvers": [
        ("Euler", "euler.image"),
        ("Heun", "heun.image"),
        ("DDIM", "ddim.image"),
        ("DPM++ 2M", "dpmpp_2m.image"),
        ("UniPC", "unipc.image"),
        ("DPM++ SDE", "dpmpp_sde.image"),
    ],
    "early_stop": [("all 24 steps", "full_image.image")],
    "shortcuts": [
        ("the whole network", "whole.image"),
        ("half of the tokens merged", "merged.image"),
        ("features reused for 3 steps", "reused.image"),
        ("both", "both.image"),
    ],
    "pruning": [
        ("the whole network", "whole.image"),
        ("a quarter of the heads less", "heads_25.image"),
        ("half of the heads less", "heads_50.image"),
        ("a quarter of the channels less", "channels_25.image"),
        ("half of the channels less", "channels_50.image"),
    ],
    "attention": [
        ("full attention", "whole.image"),
        ("the best 4 of 64 keys", "keys_4.image"),
        ("the best 16 of 64 keys", "keys_16.image"),
        ("64 random features", "features_64.image"),
        ("1024 random features", "features_1024.image"),
    ],
    "conditionings": [
        ("averaged", "average.image"),
        ("one behind the other", "concat.image"),
        ("a circle first, then a star", "range.image"),
    ],
    "several_loras": [
        ("a learnt word alone", "plain.image"),
        ("and a LoRA at 0.5", "first.image"),
        ("and a second one at 0.5", "both.image"),
    ],
    "other_vae": [("the checkpoint's own", "own.image"), ("a tiny one in its place", "other.image")],
    "custom_levels": [
        ("ten steps of the model", "even.image"),
        ("ten timesteps written out", "aligned.image"),
        ("five noise levels written out", "few.image"),
    ],
    "prompt_syntaxes": [
        ("a1111", "a1111.image"),
        ("comfy", "comfy.image"),
        ("compel", "compel.image"),
        ("plain", "plain.image"),
    ],
    "clip_skip": [
        ("all layers", "all.image"),
        ("without the last", "one.image"),
        ("without the last two", "two.image"),
    ],
    "preprocessors": [
        ("canny", "canny.image"),
        ("scribble", "scribble.image"),
        ("lineart_standard", "lineart_standard.image"),
        ("tile", "tile.image"),
        ("shuffle", "shuffle.image"),
        ("relief", "relief.image"),
        ("invert", "invert.image"),
        ("luminance", "luminance.image"),
    ],
    "soft_inpaint": [("given", "resized.image"), ("the part that is drawn", "decoded.image")],
    "multistage": [("composed", "compose.image"), ("drawn again along its edges", "image.image")],
}
"""What a workflow's strip shows before its result: a caption, and an output of one of its nodes."""
COMPARED = {
    "attention",
    "clip_skip",
    "conditionings",
    "custom_levels",
    "other_vae",
    "preprocessors",
    "prompt_syntaxes",
    "pruning",
    "several_loras",
    "shortcuts",
}
"""Workflows whose result is a sheet of what the strip shows already."""

PROMPTS = (
    "a large red star on a light blue background",
    "a green circle left of a yellow square",
    "a small purple ring on an orange background",
    "a blue triangle above a pink cross",
    "an outlined black square on a white background",
    "a striped orange circle on a dark green background",
    "a white cross right of a red ring",
    "a large cyan triangle on a black background",
)


class Panel(NamedTuple):
    """A picture and what is written below it."""

    picture: Image
    caption: str


class Studio:
    """Runs workflows of the repository; models stay loaded and results in memory between runs."""

    def __init__(self) -> None:
        self._registry = Registry.installed()
        self._store = MemoryStore(Payloads(self._registry.port_types), 2**30)
        self._executor = Executor(self._registry, self._store)

    def run(self, name: str, inputs: Mapping[str, Any], extra: Mapping[str, str]) -> Mapping[str, Any]:
        """The results of a workflow's outputs, and of the `extra` ones, which name outputs of its nodes."""
        document = read_document(WORKFLOWS / f"{name}.json")
        document = document.model_copy(update={"outputs": {**document.outputs, **extra}})
        plan = make_plan(build_graph(document, self._registry, inputs, folder=WORKFLOWS), self._store)
        report = self._executor.run(plan)
        if report.problems:
            raise SystemExit("\n".join(str(problem) for problem in report.problems))
        return report.outputs


def strips(studio: Studio) -> Iterator[tuple[str, list[Panel]]]:
    """Each workflow's name, and its panels from what it was given to its result, which has its prompt below it.

    Those on `synthetic:` models are left out: what random weights draw is noise.
    """
    for path in sorted(WORKFLOWS.glob("*.json")):
        if '"synthetic:' in path.read_text():
            continue
        before = BEFORE.get(path.stem, ())
        found = studio.run(path.stem, {}, {f"panel{index}": ref for index, (_, ref) in enumerate(before)})
        panels = [Panel(found[f"panel{index}"], caption) for index, (caption, _) in enumerate(before)]
        result = found["image"]
        size = f"({result.width_px} x {result.height_px} px)"
        last = [] if path.stem in COMPARED else [Panel(result, f"{_prompt_of(path)} {size}")]
        yield path.stem, [*panels, *last]


def _prompt_of(path: Path) -> str:
    """What a workflow draws: its prompt, with gaps filled."""
    nodes = read_document(path).nodes
    template = nodes.get("text")
    if template is None:
        return str(nodes["positive"].values["prompt"])
    gaps = {name: str(value) for name, value in template.values.items()}
    return gaps.pop("template").format(**gaps)


def prompts(studio: Studio) -> list[Panel]:
    """What the built-in model draws for some prompts; the seed is their number."""
    inputs = [{"prompt": prompt, "seed": seed} for seed, prompt in enumerate(PROMPTS, 1)]
    return [Panel(studio.run("txt2img", given, {})["image"], str(given["prompt"])) for given in inputs]


def sheet(panels: Sequence[Panel], columns: int) -> Pillow.Image:
    """Panels in rows, each picture enlarged to one height with its caption below."""
    font = ImageFont.load_default(TEXT_PX)
    cells = [_cell(panel, font) for panel in panels]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    width = max(sum(cell.width + GAP_PX for cell in row) for row in rows) + GAP_PX
    height = sum(max(cell.height for cell in row) + GAP_PX for row in rows) + GAP_PX
    result = Pillow.new("RGB", (width, height), PAPER)
    top = GAP_PX
    for row in rows:
        left = GAP_PX
        for cell in row:
            result.paste(cell, (left, top))
            left += cell.width + GAP_PX
        top += max(cell.height for cell in row) + GAP_PX
    return result


def _cell(panel: Panel, font: Any) -> Pillow.Image:
    picture = _enlarged(panel.picture)
    lines = _wrapped(panel.caption, font, picture.width)
    cell = Pillow.new("RGB", (picture.width, picture.height + GAP_PX // 2 + len(lines) * LINE_PX), PAPER)
    cell.paste(picture)
    draw = ImageDraw.Draw(cell)
    draw.rectangle((0, 0, picture.width - 1, picture.height - 1), outline=FRAME)
    for number, line in enumerate(lines):
        draw.text((0, picture.height + GAP_PX // 2 + number * LINE_PX), line, INK, font)
    return cell


def _enlarged(picture: Image) -> Pillow.Image:
    """The first picture of the batch, PANEL_PX high."""
    found = Pillow.fromarray(picture.to_uint8()[0])
    return found.resize((round(found.width * PANEL_PX / found.height), PANEL_PX), Pillow.Resampling.LANCZOS)


def _wrapped(text: str, font: Any, width_px: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def main() -> None:
    """Draw everything into docs/pictures/."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    studio = Studio()
    for name, panels in strips(studio):
        sheet(panels, columns=min(len(panels), MAX_COLUMNS)).save(FOLDER / f"{name}.png", optimize=True)
    sheet(prompts(studio), columns=MAX_COLUMNS).save(FOLDER / "prompts.png", optimize=True)


if __name__ == "__main__":
    main()
