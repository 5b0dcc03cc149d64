"""A CLIP tokenizer whose byte-pair merges are learnt from captions and common prompt words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from training.shapes.captions import write_caption
from training.shapes.settings import MAX_TOKENS
from training.shapes.vocabulary import PROMPT_WORDS
from training.shapes.world import sample_split

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
VOCABULARY = 2048
CLIP_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""How CLIP cuts text into words before it merges bytes (Radford et al. 2021, the released tokenizer)."""


def build_tokenizer(folder: Path, seed: int, captions: int = 5000) -> CLIPTokenizer:
    """Train the vocabulary, write `folder` and read it back as Stable Diffusion's pipelines do."""
    rng = np.random.default_rng([seed, 2])
    texts = [write_caption(sample_split(rng, held_out=False), rng) for _ in range(captions)]
    vocabulary, merges = _train_merges([*texts, *(word for word in PROMPT_WORDS for _ in range(10))])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(_configuration(), indent=2) + "\n")
    return load_tokenizer(folder)


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer saved in `folder`."""
    return CLIPTokenizer.from_pretrained(str(folder))


def encode_captions(tokenizer: CLIPTokenizer, captions: list[str], length: int) -> np.ndarray:
    """Token ids, int16 [N, length], padded with the end token and cut to `length`."""
    batch = tokenizer(captions, padding="max_length", truncation=True, max_length=length)
    return np.array(batch["input_ids"], dtype=np.int16)


def _train_merges(texts: Iterable[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a byte-level BPE with `</w>` at word ends; ids are dense, the end token is last."""
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        initial_alphabet=alphabet,
        special_tokens=[letter + "</w>" for letter in alphabet],  # fixes their order, and so the order of equal merges
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    merges = [(first, second) for first, second in json.loads(learner.to_str())["model"]["merges"]]
    symbols = [*alphabet, *(letter + "</w>" for letter in alphabet)]
    for first, second in merges:
        if first + second not in symbols:
            symbols.append(first + second)
    return {symbol: index for index, symbol in enumerate([*symbols, BOS, EOS])}, merges


def _configuration() -> dict[str, object]:
    return {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": MAX_TOKENS,
        "bos_token": BOS,
        "eos_token": EOS,
        "unk_token": EOS,
        "pad_token": EOS,
        "add_prefix_space": False,
        "do_lower_case": True,
    }
