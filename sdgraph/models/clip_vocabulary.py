"""The vocabulary of CLIP's tokenizer, which ships with the package: single files carry no tokenizer.

A symbol is a byte (shown as a printable character), or what a merge makes of two symbols; `</w>` ends a word. Ids count
the bytes, the bytes that end a word, the merges in their order, and the two special tokens (Radford et al. 2021,
arXiv:2103.00020, section 2.4).
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

_MERGES = Path(__file__).parent.parent / "assets" / "clip_bpe" / "merges.txt.gz"
START, END = "<|startoftext|>", "<|endoftext|>"
PAD_G = "!"
"""What CLIP-G and the text model of Stable Diffusion 2 pad with; CLIP-L pads with the end token."""


@cache
def clip_merges() -> tuple[tuple[str, str], ...]:
    """The merges, most frequent first."""
    lines = gzip.decompress(_MERGES.read_bytes()).decode().splitlines()
    return tuple((first, second) for first, second in (line.split() for line in lines))


def clip_vocabulary() -> dict[str, int]:
    """Ids of the 49408 symbols."""
    letters = byte_letters()
    merged = ["".join(pair) for pair in clip_merges()]
    symbols = [*letters, *(letter + "</w>" for letter in letters), *merged, START, END]
    return {symbol: i for i, symbol in enumerate(symbols)}


def byte_letters() -> list[str]:
    """The printable character that stands for each byte: itself where it is printable, else one from U+0100 on.

    Printable bytes come first, then the others, each in their order: the order of GPT-2's byte encoder, which CLIP has.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(0x100 + i) for i in range(len(others))]


def clip_tokenizer(pad: str = END) -> Any:
    """The tokenizer as a transformers object."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer(
        vocab=clip_vocabulary(),
        merges=list(clip_merges()),  # pyright: ignore[reportArgumentType]
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=pad,
        model_max_length=77,
    )
