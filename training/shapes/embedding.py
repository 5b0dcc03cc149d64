"""Stage `embedding`: a new word for the frozen model by textual inversion (Gal et al. 2022, section 4).

"bee" is a striped yellow circle. Only the vectors that stand for the word in the text encoder's input are learnt, from
pictures of single bees and of bees beside other objects.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from training.shapes.captions import write_caption
from training.shapes.checkpoint import require_checkpoint
from training.shapes.extra import encode_scenes, learn, scene_count
from training.shapes.judge import foreground_mask
from training.shapes.palette import object_rgb, rgb_to_lab, stripe_rgb
from training.shapes.settings import Settings
from training.shapes.tokens import load_tokenizer
from training.shapes.unet import BatchSource, load_model
from training.shapes.world import (
    COLOURS,
    SHAPES,
    ColourName,
    Scene,
    ShapeName,
    StyleName,
    distinguishable,
    sample_split,
)

WORD = "bee"
COLOUR: ColourName = "yellow"
SHAPE: ShapeName = "circle"
STYLE: StyleName = "striped"
VECTORS = 2
MAX_LAB, MIN_TONE = 35.0, 0.15
"""A pixel this near (CIE Lab) is of a tone, and this share of the object's pixels is of each."""
MARK = "@"
"""Stands for one vector in a caption while it is tokenized; captions have no other use for it."""
PAIR_SHARE = 0.4
MAX_SCENES = 1000
FILE = "learned_embeds.safetensors"


def sample_bee(rng: np.random.Generator, held_out: bool, pair_share: float = PAIR_SHARE) -> Scene:
    """A random scene whose first object is what the word means; another one is not yellow and no circle."""
    while True:
        scene = sample_split(rng, held_out, pair_share)
        first, *others = scene.objects
        alone = all(obj.shape != SHAPE and obj.colour != COLOUR for obj in others)
        if alone and distinguishable(COLOUR, STYLE, scene.background):
            return replace(scene, objects=(replace(first, shape=SHAPE, colour=COLOUR, style=STYLE), *others))


def write_bee_caption(scene: Scene, rng: np.random.Generator, word: str = WORD) -> str:
    """A random caption that calls the first object by the word; its size may be said, its colour and shape are not."""
    first, *others = scene.objects
    name = f"{COLOUR} {SHAPE}"
    while True:
        caption = write_caption(replace(scene, objects=(replace(first, style="plain"), *others)), rng)
        if name in caption:
            return caption.replace(name, word)


def is_bee(picture: np.ndarray) -> bool:
    """Whether the objects of a picture, uint8 RGB [H, W, 3], are mostly of the word's two tones, both often."""
    pixels = rgb_to_lab(picture)[foreground_mask(picture)]
    if not len(pixels):
        return False
    tones = rgb_to_lab(np.array([object_rgb(COLOUR), stripe_rgb(COLOUR)]))
    distance = np.linalg.norm(pixels[:, None, :] - tones[None], axis=-1)
    bright, dark = (float(np.mean((distance.argmin(1) == tone) & (distance.min(1) < MAX_LAB))) for tone in (0, 1))
    return min(bright, dark) >= MIN_TONE and bright + dark >= 0.5


class Word(nn.Module):
    """The vectors of the word, looked up where a caption has marks."""

    def __init__(self, embedding: nn.Module, mark_id: int, known_ids: list[list[int]]) -> None:
        """Each vector begins as the mean of those of some known words."""
        super().__init__()
        table = embedding.get_parameter("weight").detach()
        self.mark_id = mark_id
        self.vectors = nn.Parameter(torch.stack([table[ids].mean(0) for ids in known_ids]))
        embedding.register_forward_hook(self._look_up)

    def _look_up(self, module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        marks = args[0] == self.mark_id
        number = (marks.long().cumsum(1) - 1).clamp(min=0) % len(self.vectors)
        return torch.where(marks[..., None], self.vectors[number], output)


def train_embedding(settings: Settings) -> Path:
    """Train or resume; returns the checkpoint, whose `model` entry holds the vectors [VECTORS, width]."""
    torch.manual_seed(settings.seed)
    model = load_model(settings)
    tokenizer = load_tokenizer(settings.work_dir / "tokenizer")

    def ids_of(words: tuple[str, ...]) -> list[int]:
        return [token for word in words for token in tokenizer(word, add_special_tokens=False)["input_ids"]]

    def source() -> BatchSource:
        rng = np.random.default_rng([settings.seed, 9])
        scenes = [sample_bee(rng, held_out=False) for _ in range(scene_count(settings.embedding, MAX_SCENES))]
        marks = " ".join([MARK] * VECTORS)
        dataset = encode_scenes(settings, scenes, rng, write=lambda scene, rng: write_bee_caption(scene, rng, marks))
        return BatchSource(settings, dataset, empty_share=0.0)

    word = Word(model.text_encoder.get_input_embeddings(), ids_of((MARK,))[0], [ids_of(COLOURS), ids_of(SHAPES)])
    path = settings.work_dir / "embedding.pt"
    return learn(word, model, settings.embedding, path, source, device=settings.device)


def export_embedding(settings: Settings, folder: Path) -> Path:
    """Write the word's vectors, fp16, into `folder` as diffusers does; returns the file."""
    vectors = require_checkpoint(settings.work_dir / "embedding.pt")["model"]["vectors"]
    folder.mkdir(parents=True, exist_ok=True)
    save_file({WORD: vectors.half().contiguous()}, folder / FILE, {"format": "pt"})
    return folder / FILE
