"""Counts CLIP's tokens with the tokenizers library alone, so that a server can do it without transformers or torch."""

from __future__ import annotations

from functools import cache
from typing import Any

from sdgraph.models.clip_vocabulary import END, clip_merges, clip_vocabulary

ROOM = 75
"""Tokens of a prompt that CLIP reads at once; longer prompts are read in chunks."""
_PIECES = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""What is split into tokens by itself: Radford et al. 2021 (arXiv:2103.00020), the expression of the released code."""


def count_clip_tokens(text: str) -> int:
    """The tokens of a text, start and end not counted."""
    return len(_tokenizer().encode(text, add_special_tokens=False))


@cache
def _tokenizer() -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    made = Tokenizer(BPE(clip_vocabulary(), list(clip_merges()), end_of_word_suffix="</w>", unk_token=END))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    split = pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in ("<|startoftext|>", END)])
    return made
