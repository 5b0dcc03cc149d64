from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sdgraph.models.chunks import Chunk, ChunkFormat, make_chunks

START, END, PAD, COMMA = 100, 101, 102, 9
CLIP = ChunkFormat(77, START, END, PAD, COMMA)
SMALL = ChunkFormat(5, START, END, PAD, COMMA)


def weightless(*tokens: int) -> list[tuple[int, float]]:
    return [(token, 1.0) for token in tokens]


def content(chunk: Chunk) -> list[int]:
    """The tokens between start and end."""
    assert chunk.ids[0] == START
    return list(chunk.ids[1 : chunk.ids.index(END)])


def test_nothing_is_one_empty_chunk() -> None:
    assert make_chunks([[]], SMALL) == (Chunk((START, END, PAD, PAD, PAD), (1.0,) * 5),)


def test_weights_stand_beside_their_tokens() -> None:
    (chunk,) = make_chunks([[(1, 1.5), (2, 0.5)]], SMALL)
    assert chunk == Chunk((START, 1, 2, END, PAD), (1.0, 1.5, 0.5, 1.0, 1.0))


def test_each_section_begins_a_chunk() -> None:
    chunks = make_chunks([weightless(1), [], weightless(2)], SMALL)
    assert [content(chunk) for chunk in chunks] == [[1], [], [2]]


def test_seventy_five_tokens_fill_a_chunk_and_one_more_begins_another() -> None:
    assert len(make_chunks([weightless(*[1] * 75)], CLIP)) == 1
    assert [len(content(chunk)) for chunk in make_chunks([weightless(*[1] * 76)], CLIP)] == [75, 1]


def test_a_phrase_after_a_late_comma_stays_together() -> None:
    late = make_chunks([weightless(*[1] * 55, COMMA, *[2] * 25)], CLIP)
    assert [content(chunk) for chunk in late] == [[1] * 55 + [COMMA], [2] * 25]


def test_an_early_comma_does_not_matter() -> None:
    early = make_chunks([weightless(*[1] * 54, COMMA, *[2] * 25)], CLIP)
    assert [len(content(chunk)) for chunk in early] == [75, 5]


def test_a_comma_that_does_not_fit_moves_alone() -> None:
    chunks = make_chunks([weightless(*[1] * 70, COMMA, *[2] * 4, COMMA, 3)], CLIP)
    assert [len(content(chunk)) for chunk in chunks] == [75, 2]


@given(st.lists(st.lists(st.tuples(st.sampled_from([1, 2, COMMA]), st.sampled_from([1.0, 1.5])), max_size=200)))
def test_no_token_is_lost_and_every_chunk_has_full_length(sections: list[list[tuple[int, float]]]) -> None:
    chunks = make_chunks(sections or [[]], CLIP)
    assert all(len(chunk.ids) == len(chunk.weights) == 77 for chunk in chunks)
    found = [(i, w) for chunk in chunks for i, w in zip(chunk.ids, chunk.weights, strict=True) if i < START]
    assert found == [token for section in sections for token in section]
