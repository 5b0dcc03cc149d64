from __future__ import annotations

from typing import Any

import pytest
import torch
from sdgraph_nodes.encode_text import EncodeText
from torch import Tensor

from sdgraph.errors import SamplingError
from tests.nodes.tiny_model import context, model


def encode(prompt: str, **values: Any) -> Tensor:
    out: Any = EncodeText(text_encoder=model().text_encoder, prompt=prompt, **values).run(context())
    (entry,) = out.conditioning.entries
    return entry.embedding


def test_a_prompt_becomes_one_vector_per_token() -> None:
    assert tuple(encode("a star").shape) == (1, 77, 32)
    assert tuple(encode("").shape) == (1, 77, 32)


def test_weights_count_in_a1111_syntax_and_are_text_in_plain_syntax() -> None:
    assert not torch.equal(encode("a (red:1.4) star"), encode("a red star"))
    assert torch.equal(encode("a (red:1.0) star"), encode("a red star"))
    plain = encode("a (red:1.0) star", syntax="plain")
    assert not torch.equal(plain, encode("a red star"))


def test_normalising_and_clip_skip_change_the_vectors() -> None:
    weighted = "a (red:1.5) star"
    assert not torch.equal(encode(weighted), encode(weighted, normalize="none"))
    assert not torch.equal(encode("a star"), encode("a star", clip_skip=1))


def test_a_prompt_that_cannot_be_read_is_a_clear_error() -> None:
    with pytest.raises(SamplingError) as caught:
        encode("[red:blue:0.5]")
    assert caught.value.code == "prompt-unsupported"
