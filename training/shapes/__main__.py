"""Train `builtin:shapes` from nothing: `python -m training.shapes`, or some of its stages by name.

Every stage resumes from its checkpoint in the working directory and does nothing where it is already complete. On a
machine that other work shares, one thread is faster than two: the threads wait for each other after every operation.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from training.shapes.card import write_card
from training.shapes.controlnet import train_controlnet
from training.shapes.depth import train_depth
from training.shapes.embedding import train_embedding
from training.shapes.encode import encode_dataset
from training.shapes.export import export_assets
from training.shapes.lora import train_lora
from training.shapes.restore import restore_checkpoints
from training.shapes.settings import Settings
from training.shapes.text import train_text
from training.shapes.tiny import train_tiny
from training.shapes.unet import train_unet
from training.shapes.vae import train_vae

STAGES: dict[str, Callable[[Settings], Path]] = {
    "vae": train_vae,
    "encode": encode_dataset,
    "tiny": train_tiny,
    "text": train_text,
    "unet": train_unet,
    "controlnet": train_controlnet,
    "depth": train_depth,
    "lora": train_lora,
    "embedding": train_embedding,
    "export": export_assets,
    "card": write_card,
}
EXTRA_STAGES: dict[str, Callable[[Settings], Path]] = {"restore": restore_checkpoints}


STAGES_HELP = f"of {', '.join(STAGES)} (all of them when left out), or restore: checkpoints from the shipped assets"


def main() -> None:
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m training.shapes", description=cast(str, __doc__).splitlines()[0])
    parser.add_argument("stages", nargs="*", metavar="stage", help=STAGES_HELP)
    parser.add_argument("--work-dir", type=Path, default=defaults.work_dir, help="checkpoints and encoded scenes")
    parser.add_argument("--assets-dir", type=Path, default=defaults.assets_dir, help="where the result is written")
    parser.add_argument("--image-px", type=int, default=defaults.image_px, help="side of a training picture, of 8")
    parser.add_argument("--scenes", type=int, default=defaults.scenes)
    parser.add_argument("--device", default=defaults.device)
    parser.add_argument("--threads", type=int, default=defaults.threads)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile: slower steps, quicker start")
    parser.add_argument("--unet-steps", type=int, default=defaults.unet.steps)
    options = parser.parse_args()
    known = STAGES | EXTRA_STAGES
    if unknown := set(options.stages) - set(known):
        parser.error(f"no stage is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    settings = replace(
        defaults,
        work_dir=options.work_dir,
        assets_dir=options.assets_dir,
        image_px=options.image_px,
        scenes=options.scenes,
        device=options.device,
        threads=options.threads,
        seed=options.seed,
        compile=not options.no_compile,
        unet=replace(defaults.unet, steps=options.unet_steps),
    )
    for name in options.stages or STAGES:
        logging.info("stage %s", name)
        known[name](settings)


if __name__ == "__main__":
    main()
