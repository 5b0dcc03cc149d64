"""How far sdgraph's pictures are from those of diffusers: same weights, seed, prompt, scheduler, steps, guidance.

    python -m benchmarks.parity [--only pipelines|schedulers|batches] [--json] [--page docs/guide/parity.md]

sdgraph runs workflows of its own nodes through its executor, diffusers its pipelines; both on the CPU, in float32, with
one generator per picture. *Pipelines*: every family and task, on tiny models with random weights and on the built-in
one. *Schedulers*: whole pictures of Stable Diffusion 1.x by every solver. *Batches*: a picture alone and in a batch of
8. A difference is the largest over all pixels and channels, of values 0..1. Exit code 1 when one is above its limit.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.parity_cases import Case, Task, by_sdgraph
from benchmarks.parity_control import control_differences
from benchmarks.parity_pipelines import by_diffusers
from benchmarks.parity_refiner import REFINER, hand_over_difference
from benchmarks.parity_schedulers import references
from sdgraph.diffusion.names import SigmaName, SolverName

LIMIT, BATCH_LIMIT = 1e-4, 2e-4
SD1, SHAPES = "synthetic:sd15-tiny", "builtin:shapes"
BATCH = 8

_DRAWING: tuple[Task, ...] = ("text to image", "image to image", "inpaint", "inpaint over the picture")
_TASKS: dict[str, tuple[Task, ...]] = {
    SD1: (*_DRAWING, "ControlNet", "LoRA"),
    SHAPES: (*_DRAWING, "ControlNet", "LoRA"),
    "synthetic:sd21-tiny": (*_DRAWING, "ControlNet", "LoRA"),
    "synthetic:sdxl-tiny": (*_DRAWING, "ControlNet", "LoRA"),
    "synthetic:sdxl_refiner-tiny": ("image to image", "inpaint", "inpaint over the picture", "LoRA"),
    "synthetic:playground-tiny": _DRAWING,
    "synthetic:sd3-tiny": (*_DRAWING, "ControlNet", "LoRA"),
    "synthetic:flux-tiny": (*_DRAWING, "ControlNet", "LoRA"),
    "synthetic:flux_schnell-tiny": (*_DRAWING, "ControlNet"),
}
_KARRAS: tuple[SolverName, ...] = ("dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m", "dpmpp_2s", "unipc")
"""Solvers whose schedulers take Karras' sigmas over all of the model's, as sdgraph does."""
_NOT_COMPARED: tuple[SolverName, ...] = ("unipc_bh1",)
"""What diffusers draws is not a number: its B(h) is infinite in the step to sigma 0."""


@dataclass(frozen=True)
class Row:
    """One comparison."""

    table: str
    name: str
    detail: str
    difference: float
    limit: float = LIMIT

    @property
    def passed(self) -> bool:
        """Whether it is within its limit; a difference that is not a number is not."""
        return self.difference <= self.limit


def difference(case: Case) -> float:
    """The largest difference between what sdgraph and diffusers draw."""
    drawn = by_sdgraph(case)
    return float(np.abs(drawn.image - by_diffusers(case, drawn.picture)).max())


def case_of(source: str, task: Task) -> Case:
    """A family's case of a task, as its models are used."""
    case = Case(source, task, guidance=1.0 if "flux" in source else 5.0)
    if case.changes or case.inpaints:
        case = replace(case, batch=1, strength=1.0 if task == "inpaint" else 0.5)
    return case


def pipelines() -> Iterable[Row]:
    """Every family and task."""
    for source, tasks in _TASKS.items():
        for task in tasks:
            yield Row("pipelines", source, task, difference(case_of(source, task)))
        if source == REFINER:
            yield Row("pipelines", source, "takes over from the base model", hand_over_difference())
        for task, apart in control_differences(source):
            yield Row("pipelines", source, task, apart)


def schedulers() -> Iterable[Row]:
    """Every solver that diffusers has, on Stable Diffusion 1.x."""
    pairs: list[tuple[SolverName, SigmaName]] = []
    pairs.extend((name, "checkpoint") for name in sorted(references()))
    pairs.extend((name, "karras") for name in _KARRAS)
    for solver, sigmas in pairs:
        if solver not in _NOT_COMPARED:
            case = Case(SD1, solver=solver, sigmas=sigmas, steps=20)
            name = solver if sigmas == "checkpoint" else f"{solver}, {sigmas} sigmas"
            yield Row("schedulers", name, references()[solver].name, difference(case))


def batches() -> Iterable[Row]:
    """A picture alone and in a batch."""
    for source in (SD1, SHAPES, "synthetic:sdxl-tiny", "synthetic:sd3-tiny", "synthetic:flux-tiny"):
        case = replace(case_of(source, "text to image"), batch=BATCH)
        together = by_sdgraph(case).image
        for item in (0, BATCH - 1):
            alone = by_sdgraph(replace(case, seed=case.seed + item, batch=1)).image
            apart = float(np.abs(together[item] - alone[0]).max())
            yield Row("batches", source, f"picture {item + 1} of {BATCH}", apart, BATCH_LIMIT)


TABLES: dict[str, Callable[[], Iterable[Row]]] = {
    "pipelines": pipelines,
    "schedulers": schedulers,
    "batches": batches,
}
_HEADS = {
    "pipelines": ("Pictures by family and task", "Model", "Task"),
    "schedulers": ("Pictures by solver, on Stable Diffusion 1.x", "Solver", "Scheduler of diffusers"),
    "batches": ("A picture alone and in a batch of 8", "Model", "Picture"),
}
_PAGE = """# Equal to diffusers

How far sdgraph's pictures are from those of diffusers' pipelines, with the same weights, seed, prompt, scheduler, steps
and guidance, in float32 on the CPU: the largest difference over all pixels and channels, of values 0..1. Measured and
written by

```
python -m benchmarks.parity --page docs/guide/parity.md
```

sdgraph runs workflows of its nodes through its executor. The `synthetic:` models have random weights, so their pictures
show nothing, but every operation counts; `builtin:shapes` is trained. The limit is 1e-4, and 2e-4 between batches.

{tables}

## What is behind the solvers

A name is one algorithm. Some are a class of their own in diffusers, others a configuration of one, as the table says;
{classes} classes make the {count} solvers that are compared here. The tests compare each one also on a network with
steep flanks, with every spacing of timesteps, and with velocity prediction.

* **Put right in diffusers 0.42 for the comparison:** the third-order SDE term of `DPMSolverMultistepScheduler` has a
  wrong sign, with which it does not vanish for small steps; `DPMSolverSDEScheduler` draws from torchsde, whose noise
  depends on the batch, and gets noise that is counted per picture; the inpainting pipeline of Stable Diffusion 3
  forgets the autoencoder's shift when it decodes.
* **Not compared here:** `unipc_bh1` (in diffusers not a number in the step to sigma 0; the tests compare it where it
  ends at the smallest sigma), `ipndm` (its scheduler has noise levels of its own; the tests compare its steps) and
  `dpmpp_2s_ancestral` (diffusers has none).
* **Different on purpose**, with the reason:
  * Karras, exponential and beta sigmas run over all of the model's sigmas, so that a name means the same noise levels
    with every solver. The Euler family of diffusers has them run between the first and the last timestep of the
    spacing, which is the same with `linspace` only; its DPM-Solver family does as sdgraph.
  * `dpm2` shows the network the timesteps of its sigmas, as they are; diffusers rounds every second one with Karras
    sigmas.
  * Multistep solvers show the network the nearest whole timestep; diffusers does so with Karras sigmas, and with
    exponential, beta and flow sigmas it cuts the fractions off, which is up to a whole timestep away.
  * A strength runs int(steps * strength) steps with every model, so that a plan tells how many before it knows which
    model will be used, and the same workflow does the same with another one. diffusers does so too but for Stable
    Diffusion 3 and FLUX, where it rounds up: 0.6 of 8 steps are 4 here and 5 there. A strength of 5 / 8 runs 5 in both,
    with the same picture (a test compares them).
* Image to image and inpainting start from the mean of the encoded picture, and ControlNets that see latents see the
  mean; the pipelines would draw from its distribution, and are given the mean.
* *Inpaint* draws the masked part from noise alone, as diffusers does at strength 1, *inpaint over the picture* from the
  picture under the noise of strength 0.5. The refiner draws by itself only what is given to it; *takes over* is the
  hand-over from the base model after three quarters of the steps (`denoising_end` and `denoising_start`).
* *Union ControlNet* is SDXL's, which is told what each picture shows and sees two of them in one evaluation.
  *ControlNet for inpainting* sees the picture with -1 where it is masked (Stable Diffusion 1), or the latents of the
  rest and the mask (Stable Diffusion 3).
* `synthetic:playground-tiny` is SDXL in EDM's formulation with latents of their own means, as Playground v2.5; its rows
  are `EDMEulerScheduler`'s, and the tests compare `EDMDPMSolverMultistepScheduler` too.
"""


def table(name: str, rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    title, first, second = _HEADS[name]
    lines = [f"## {title}", "", f"| {first} | {second} | Largest difference |", "|---|---|---|"]
    lines += [f"| `{row.name}` | {row.detail} | {row.difference:.1e} |" for row in rows if row.table == name]
    return "\n".join(lines)


def page(rows: Sequence[Row]) -> str:
    """The whole page of the guide."""
    tables = "\n\n".join(table(name, rows) for name in TABLES)
    compared = [reference for name, reference in references().items() if name not in _NOT_COMPARED]
    classes = len({reference.name.split(" ")[0] for reference in compared})
    return _PAGE.format(tables=tables, classes=classes, count=len(compared))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, and say by the exit code whether all is within its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=TABLES, action="append", help="this table alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--page", type=Path, help="write the page of the guide")
    chosen = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module="diffusers")
    rows: list[Row] = []
    for name in chosen.only or TABLES:
        for row in TABLES[name]():
            rows.append(row)
            print(f"{row.name:34} {row.detail:62} {row.difference:.1e}", file=sys.stderr, flush=True)
        if not chosen.json:
            print(table(name, rows), end="\n\n")
    if chosen.json:
        print(json.dumps({"rows": [asdict(row) | {"passed": row.passed} for row in rows]}))
    if chosen.page:
        chosen.page.write_text(page(rows), encoding="utf-8")
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
