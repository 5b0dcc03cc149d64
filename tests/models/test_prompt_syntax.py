from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdgraph.errors import SamplingError
from sdgraph.models.prompt import Segment, parse_prompt

# What A1111's own parser makes of these prompts, weights rounded to three digits.
GOLDEN = {
    "a (cat) b": [("a ", 1.0), ("cat", 1.1), (" b", 1.0)],
    "((cat))": [("cat", 1.21)],
    "(cat:1.3)": [("cat", 1.3)],
    "((cat:1.3))": [("cat", 1.43)],
    "((a:1.2) b:1.5)": [("a", 1.8), (" b", 1.5)],
    "(blue (eyes:1.3):0.8)": [("blue ", 0.8), ("eyes", 1.04)],
    "[cat]": [("cat", 0.909)],
    "a (unbalanced": [("a ", 1.0), ("unbalanced", 1.1)],
    r"\(cat\)": [("(cat)", 1.0)],
    "cat++ dog-": [("cat++ dog-", 1.0)],
    "(cat dog)1.3": [("cat dog", 1.1), ("1.3", 1.0)],
    "(cat:-1)": [("cat", -1.0)],
}
MORE = {
    "plain words, 16:9": [("plain words, 16:9", 1.0)],
    "(a [b) c]": [("a ", 1.1), ("b", 1.0), (" c", 0.909)],
    "a) b] c": [("a) b] c", 1.0)],
    "(cat: +1.5 )": [("cat", 1.5)],
    "(cat:1.2.3)": [("cat:1.2.3)", 1.1)],
    "cat:1.3)": [("cat:1.3)", 1.0)],
    r"a \\ b \c": [(r"a \ b \c", 1.0)],
    "()": [],
    "": [],
}


@pytest.mark.parametrize(("text", "expected"), [*GOLDEN.items(), *MORE.items()])
def test_a1111_weights_agree_with_the_golden_table(text: str, expected: list[tuple[str, float]]) -> None:
    (section,) = parse_prompt(text, "a1111")
    assert [(segment.text, round(segment.weight, 3)) for segment in section] == expected


@pytest.mark.parametrize("text", [*GOLDEN, "a BREAK b", "a AND b", "[a|b]"])
def test_plain_takes_every_letter_as_it_is(text: str) -> None:
    assert parse_prompt(text, "plain") == ((Segment(text),),)


def test_break_begins_a_new_section() -> None:
    assert parse_prompt("a BREAK b") == ((Segment("a"),), (Segment("b"),))
    assert parse_prompt("(a BREAK b:2)") == ((Segment("a", 2.0),), (Segment("b", 2.0),))
    assert parse_prompt("BREAK") == ((), ())
    assert parse_prompt("BREAKFAST break") == ((Segment("BREAKFAST break"),),)


@pytest.mark.parametrize(
    "text", ["[x:y:0.5]", "[a|b]", "[x:3]", "[x::3]", "[(a:1.2):b:.5]", "a AND b :0.6", "x [y [a:b:4] z]"]
)
def test_what_would_silently_mean_something_else_is_refused(text: str) -> None:
    with pytest.raises(SamplingError) as caught:
        parse_prompt(text)
    assert caught.value.code == "prompt-unsupported"
    assert caught.value.problem.hint


def test_a_weight_beyond_all_numbers_is_refused() -> None:
    for text in ("(cat:" + "9" * 400 + ")", "(" * 8000 + "cat"):
        with pytest.raises(SamplingError, match="`cat`") as caught:
            parse_prompt(text)
        assert caught.value.code == "prompt-weight"


@given(st.text(alphabet=st.sampled_from("ab ,.:1()\\"), max_size=40))
def test_no_text_of_brackets_breaks_the_parser_and_no_letter_is_lost(text: str) -> None:
    letters = [letter for section in parse_prompt(text) for segment in section for letter in segment.text]
    assert [letter for letter in letters if letter in "ab,"] == [letter for letter in text if letter in "ab,"]


@given(st.text(max_size=60))
def test_any_text_survives_escaping(text: str) -> None:
    escaped = "".join("\\" + letter if letter in "\\()[]" else letter for letter in text)
    if "BREAK" in text or "AND" in text:
        return
    assert "".join(segment.text for section in parse_prompt(escaped) for segment in section) == text
