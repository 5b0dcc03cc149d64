from __future__ import annotations

from typing import Any

import pytest
import torch
from sdgraph_nodes.encode_text import EncodeText
from torch import Tensor

from sdgraph.core.port import Link
from sdgraph.core.workflow import Workflow
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


def test_a_prompt_that_cannot_be_read_is_a_clear_error_before_the_run() -> None:
    with pytest.raises(SamplingError) as caught:
        EncodeText(text_encoder=model().text_encoder, prompt="a cat <lora:x:1>").expand(Workflow())
    assert (caught.value.code, caught.value.problem.port) == ("prompt-unsupported", "prompt")


def test_a_prompt_of_one_text_stays_one_node() -> None:
    for text in ("", "a (red:1.2) [star]", "a BREAK b"):
        assert EncodeText(text_encoder=model().text_encoder, prompt=text).expand(Workflow()) is None


def test_a_linked_prompt_is_taken_apart_while_it_runs() -> None:
    linked: Any = Link("words", "text")
    assert EncodeText(text_encoder=model().text_encoder, prompt=linked).expand(Workflow()) is None
    out: Any = EncodeText(text_encoder=model().text_encoder, prompt="[a|b] AND c").run(context())
    assert len(out.conditioning.entries) == 3


@pytest.mark.parametrize(
    ("syntax", "prompt"),
    [("a1111", "a [red:blue:0.5] star AND [x|y] :0.6"), ("compel", '("red", "a star").blend(1, 3)')],
)
def test_the_expanded_nodes_give_what_one_run_gives(syntax: Any, prompt: str) -> None:
    inner = Workflow()
    node = EncodeText(text_encoder=model().text_encoder, prompt=prompt, syntax=syntax)
    node.expand(inner)
    results: dict[Any, Any] = {}
    found: Any = None
    for name, part in inner.nodes.items():
        known = {port: results[value] for port, value in part.__dict__.items() if isinstance(value, Link)}
        out: Any = part.model_copy(update=known).run(context())
        results[Link(name, "conditioning")] = found = out.conditioning
    whole: Any = node.run(context())
    for entry, expected in zip(found.entries, whole.conditioning.entries, strict=True):
        assert torch.equal(entry.embedding, expected.embedding)
        assert (entry.windows, entry.factor) == (expected.windows, expected.factor)
