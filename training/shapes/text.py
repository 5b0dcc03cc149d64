"""Stage `text`: the text encoder learns to tell from a caption what is where, before the denoiser learns to draw it.

Linear heads on the end token (and on the padding, which repeats it) name the colour, shape, size and style of the
left or upper object and of the other one, the axis on which they lie, and the background. The heads are then thrown
away. Without this stage, which object has which colour is what the denoiser learns last.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.shapes.captions import write_caption
from training.shapes.checkpoint import load_checkpoint, save_checkpoint
from training.shapes.libraries import CLIPTextConfig, CLIPTextModel, DiffusersModel
from training.shapes.muon import Optimizers
from training.shapes.settings import MAX_TOKENS, SHORT_TOKENS, Settings
from training.shapes.tokens import encode_captions, load_tokenizer
from training.shapes.world import BACKGROUNDS, COLOURS, SHAPES, SIZES, Obj, Scene, sample_split

STYLES = ("plain", "outlined", "striped")
AXES = ("none", "horizontal", "vertical")
SLOT = (len(COLOURS), len(SHAPES), len(SIZES), len(STYLES))
CLASSES = (len(AXES), len(BACKGROUNDS), *SLOT, *SLOT)
"""How many answers each head chooses from; a single object fills the first slot, and the second goes unjudged."""
UNJUDGED = -100
LONG_SHARE = 0.2
SAVE_EVERY = 250
logger = logging.getLogger(__name__)


def new_text_encoder(settings: Settings) -> DiffusersModel:
    """An untrained text encoder for the tokenizer of the working directory."""
    tokenizer = load_tokenizer(settings.work_dir / "tokenizer")
    configuration = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.text_width,
        intermediate_size=4 * settings.text_width,
        num_hidden_layers=settings.text_layers,
        num_attention_heads=settings.text_width // 32,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=settings.text_width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    encoder = CLIPTextModel(configuration)
    encoder.set_attn_implementation("eager")
    return encoder


class SceneReader(nn.Module):
    """The text encoder with one linear head per question."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.text_encoder = new_text_encoder(settings)
        self.heads = nn.Linear(settings.text_width, sum(CLASSES))

    def forward(self, tokens: torch.Tensor, positions: torch.Tensor) -> list[torch.Tensor]:
        """Logits per question of token ids [N, length], read at one position [N] of each."""
        states = self.text_encoder(input_ids=tokens).last_hidden_state
        return list(torch.split(self.heads(states[torch.arange(len(tokens)), positions]), list(CLASSES), dim=1))


def answers(scene: Scene) -> list[int]:
    """The right class of every head."""
    axis = 0 if scene.relation is None else 1 if scene.relation in ("left of", "right of") else 2
    objects = scene.objects[::-1] if scene.relation in ("right of", "below") else scene.objects
    first, *others = objects
    second = _slot(others[0]) if others else [UNJUDGED] * len(SLOT)
    return [axis, BACKGROUNDS.index(scene.background), *_slot(first), *second]


def train_text(settings: Settings) -> Path:
    """Train or resume; returns the checkpoint, whose `model` entry holds the encoder below `text_encoder`."""
    path = settings.work_dir / "text.pt"
    schedule = settings.text
    torch.manual_seed(settings.seed)
    reader = SceneReader(settings).to(settings.device)
    optimizer = Optimizers(reader, schedule.learning_rate, ends=("embedding", "heads"))
    step = 0
    if (state := load_checkpoint(path)) is not None:
        reader.load_state_dict(state["model"])
        optimizer.load_state_dict(state.get("optimizer"))
        step = int(state["step"])
    tokenizer = load_tokenizer(settings.work_dir / "tokenizer")
    while step < schedule.steps:
        rng = np.random.default_rng([settings.seed, 7, step])
        scenes = [sample_split(rng, held_out=False) for _ in range(schedule.batch)]
        length = MAX_TOKENS if rng.random() < LONG_SHARE else SHORT_TOKENS
        ids = encode_captions(tokenizer, [write_caption(scene, rng) for scene in scenes], length).astype(np.int64)
        ends = (ids == tokenizer.eos_token_id).argmax(axis=1)
        positions = torch.from_numpy(rng.integers(ends, length)).to(settings.device)
        wanted = torch.tensor([answers(scene) for scene in scenes], device=settings.device)
        with torch.autocast(settings.device, torch.bfloat16):
            logits = reader(torch.from_numpy(ids).to(settings.device), positions)
        losses = [nn.functional.cross_entropy(part.float(), wanted[:, head]) for head, part in enumerate(logits)]
        loss = torch.stack(losses).sum()
        loss.backward()
        optimizer.step(schedule.rate(step))
        step += 1
        if step % 100 == 0:
            right = [
                float((part.argmax(1) == wanted[:, head])[wanted[:, head] >= 0].float().mean())
                for head, part in enumerate(logits)
            ]
            logger.info("text step %d: loss %.3f, right %s", step, float(loss.detach()), np.round(right, 2).tolist())
        if step % SAVE_EVERY == 0 or step == schedule.steps:
            save_checkpoint(path, {"step": step, "model": reader.state_dict(), "optimizer": optimizer.state_dict()})
    return path


def _slot(obj: Obj) -> list[int]:
    return [COLOURS.index(obj.colour), SHAPES.index(obj.shape), SIZES.index(obj.size), STYLES.index(obj.style)]
