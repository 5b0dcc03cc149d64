"""Tokenizers of the synthetic models: they know single bytes only, so a word costs as many tokens as it has letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_BOS, _EOS = "<|startoftext|>", "<|endoftext|>"
_CLIP_LENGTH, _T5_LENGTH = 77, 512


def write_clip_tokenizer(folder: Path, pad: str | None = None) -> int:
    """A byte-level CLIP tokenizer without merges; returns the size of its vocabulary. `pad` None is the end token."""
    letters = _letters()
    symbols = [*letters, *(letter + "</w>" for letter in letters), _BOS, _EOS]
    folder.mkdir(parents=True)
    files = {
        "vocab.json": json.dumps({symbol: i for i, symbol in enumerate(symbols)}, ensure_ascii=False),
        "merges.txt": "#version: 0.2\n",
        "tokenizer_config.json": json.dumps(clip_tokenizer_config(pad), indent=2) + "\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return len(symbols)


def clip_tokenizer_config(pad: str | None = None) -> dict[str, Any]:
    """The `tokenizer_config.json` of a CLIP tokenizer. Stable Diffusion 2 and CLIP-G pad with "!"."""
    return {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": _CLIP_LENGTH,
        "bos_token": _BOS,
        "eos_token": _EOS,
        "unk_token": _EOS,
        "pad_token": pad or _EOS,
    }


def write_t5_tokenizer(folder: Path) -> int:
    """A T5 tokenizer of single characters (ASCII and Latin-1); returns the size of its vocabulary."""
    from transformers import T5Tokenizer

    letters = ["\u2581", *map(chr, range(0x21, 0x7F)), *map(chr, range(0xA1, 0x100))]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -1.0) for letter in letters)]
    tokenizer: Any = T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=_T5_LENGTH)
    tokenizer.save_pretrained(str(folder))
    return len(vocabulary)


def _letters() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())
