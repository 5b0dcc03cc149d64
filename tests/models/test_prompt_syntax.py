from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdgraph.errors import SamplingError
from sdgraph.models.prompt import Segment, Syntax, parse_prompt
from sdgraph.models.prompt_plan import plan_prompt

Weights = Sequence[tuple[str, float]]

# What the parsers of A1111, ComfyUI and compel make of these prompts, weights rounded to three digits.
GOLDEN: Mapping[str, tuple[Weights, Weights, Weights]] = {
    "a (cat) b": (
        [("a ", 1.0), ("cat", 1.1), (" b", 1.0)],
        [("a ", 1.0), ("cat", 1.1), (" b", 1.0)],
        [("a cat b", 1.0)],
    ),
    "((cat))": ([("cat", 1.21)], [("cat", 1.21)], [("cat", 1.0)]),
    "(cat:1.3)": ([("cat", 1.3)], [("cat", 1.3)], [("cat:1 . 3", 1.0)]),
    "((cat:1.3))": ([("cat", 1.43)], [("cat", 1.3)], [("cat:1 . 3", 1.0)]),
    "((a:1.2) b:1.5)": (
        [("a", 1.8), (" b", 1.5)],
        [("a", 1.2), (" b", 1.5)],
        [("a:1 . 2 b:1 . 5", 1.0)],
    ),
    "(blue (eyes:1.3):0.8)": (
        [("blue ", 0.8), ("eyes", 1.04)],
        [("blue ", 0.8), ("eyes", 1.3)],
        [("blue eyes:1 . 3 :0 . 8", 1.0)],
    ),
    "[cat]": ([("cat", 0.909)], [("[cat]", 1.0)], [("[cat]", 1.0)]),
    "a (unbalanced": ([("a ", 1.0), ("unbalanced", 1.1)], [("a (unbalanced", 1.0)], [("a (unbalanced", 1.0)]),
    r"\(cat\)": ([("(cat)", 1.0)], [("(cat)", 1.0)], [("(cat)", 1.0)]),
    "cat++ dog-": ([("cat++ dog-", 1.0)], [("cat++ dog-", 1.0)], [("cat", 1.21), ("dog", 0.9)]),
    "(cat dog)1.3": (
        [("cat dog", 1.1), ("1.3", 1.0)],
        [("cat dog", 1.1), ("1.3", 1.0)],
        [("cat dog", 1.3)],
    ),
    "(cat:-1)": ([("cat", -1.0)], [("cat", -1.0)], [("cat:-1", 1.0)]),
}
MORE: Mapping[Syntax, Mapping[str, Weights]] = {
    "a1111": {
        "plain words, 16:9": [("plain words, 16:9", 1.0)],
        "(a [b) c]": [("a ", 1.1), ("b", 1.0), (" c", 0.909)],
        "a) b] c": [("a) b] c", 1.0)],
        "(cat: +1.5 )": [("cat", 1.5)],
        "(cat:1.2.3)": [("cat:1.2.3)", 1.1)],
        "cat:1.3)": [("cat:1.3)", 1.0)],
        r"a \\ b \c": [(r"a \ b \c", 1.0)],
        "()": [],
        "": [],
    },
    "comfy": {
        "a) (b) c": [("a) (b) c", 1.0)],
        "a) (b) ((c:2))": [("a) (b) (", 1.0), ("c", 2.0), (")", 1.0)],
        "(a (b) c": [("(a (b) c", 1.0)],
        "(:1.3)": [(":1.3", 1.1)],
        "(a: 1e1 )": [("a", 10.0)],
        "(12:30)": [("12", 30.0)],
        r"(\(a\):1.5)": [("(a)", 1.5)],
        "()": [],
        "": [],
    },
    "compel": {
        "fire (flames (trees)1.5)2.0": [("fire", 1.0), ("flames", 2.0), ("trees", 3.0)],
        'fire "red flames".attend(0.5)': [("fire", 1.0), ("red flames", 0.5)],
        "flames.attend(--)": [("flames", 0.81)],
        "(flowers)--- flames+++": [("flowers", 0.729), ("flames", 1.331)],
        "(pretty flowers)+, too hot": [("pretty flowers", 1.1), (", too hot", 1.0)],
        "cat hot-dog, eating.": [("cat hot-dog, eating.", 1.0)],
        "a badly (formed +test )prompt": [("a badly formed +test prompt", 1.0)],
        "(a (ba)dly (f)ormed +test": [("(a ba dly f ormed +test", 1.0)],
        "(cat)2 (dog).5": [("cat", 2.0), ("dog", 0.5)],
        "()": [],
        "": [],
    },
}
SYNTAXES: tuple[Syntax, ...] = ("a1111", "comfy", "compel")


def weights(text: str, syntax: Syntax) -> Weights:
    (section,) = parse_prompt(text, syntax)
    return [(segment.text, round(segment.weight, 3)) for segment in section]


@pytest.mark.parametrize("text", GOLDEN)
def test_weights_agree_with_the_golden_table_in_each_syntax(text: str) -> None:
    assert tuple(weights(text, syntax) for syntax in SYNTAXES) == GOLDEN[text]


@pytest.mark.parametrize(("syntax", "text"), [(syntax, text) for syntax, rows in MORE.items() for text in rows])
def test_each_syntax_reads_odd_prompts_as_its_tool_does(syntax: Syntax, text: str) -> None:
    assert weights(text, syntax) == MORE[syntax][text]


@pytest.mark.parametrize("text", [*GOLDEN, "a BREAK b", "a AND b", "[a|b]"])
def test_plain_takes_every_letter_as_it_is(text: str) -> None:
    assert parse_prompt(text, "plain") == ((Segment(text),),)
    assert plan_prompt(text, "plain").texts == (text,)


def test_break_begins_a_new_section_in_a1111_and_is_a_word_elsewhere() -> None:
    assert parse_prompt("a BREAK b") == ((Segment("a"),), (Segment("b"),))
    assert parse_prompt("(a BREAK b:2)") == ((Segment("a", 2.0),), (Segment("b", 2.0),))
    assert parse_prompt("BREAK") == ((), ())
    assert parse_prompt("BREAKFAST break") == ((Segment("BREAKFAST break"),),)
    assert [weights("a BREAK b", syntax) for syntax in ("comfy", "compel")] == [[("a BREAK b", 1.0)]] * 2


@pytest.mark.parametrize("text", ["[x:y:0.5]", "[a|b]", "[x:3]", "[x::3]", "a AND b :0.6"])
def test_editing_and_composition_are_text_in_comfy_and_compel(text: str) -> None:
    for syntax in ("comfy", "compel"):
        assert plan_prompt(text, syntax).is_one_text
        assert weights(text, syntax) == [(text, 1.0)]


@pytest.mark.parametrize(
    ("syntax", "text"),
    [("compel", "a cat.swap(dog) sat"), ("compel", "a withLora(x, 1) cat"), ("a1111", "a cat <lora:style:0.8>")],
)
def test_what_would_silently_mean_something_else_is_refused(syntax: Syntax, text: str) -> None:
    with pytest.raises(SamplingError) as caught:
        plan_prompt(text, syntax)
    assert (caught.value.code, caught.value.problem.port) == ("prompt-unsupported", "prompt")
    assert caught.value.problem.hint


@pytest.mark.parametrize(
    ("syntax", "text"),
    [
        ("a1111", "(cat:" + "9" * 400 + ")"),
        ("a1111", "(" * 8000 + "cat"),
        ("comfy", "(cat:nan)"),
        ("comfy", "(cat:inf)"),
        ("compel", "cat" + "+" * 8000),
    ],
)
def test_a_weight_beyond_all_numbers_is_refused(syntax: Syntax, text: str) -> None:
    with pytest.raises(SamplingError, match="`cat`") as caught:
        plan_prompt(text, syntax)
    assert caught.value.code == "prompt-weight"


@pytest.mark.parametrize("syntax", [*SYNTAXES, "plain"])
def test_half_a_character_is_refused_and_a_nul_is_not(syntax: Syntax) -> None:
    with pytest.raises(SamplingError) as caught:
        plan_prompt("a \ud83d star", syntax)
    assert caught.value.code == "text-not-unicode"
    assert "\0" in plan_prompt("a\0b", syntax).texts[0]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_thousand_brackets_inside_each_other_are_read_without_recursion(syntax: Syntax) -> None:
    for opening, closing in ("()", "[]"):
        assert plan_prompt(opening * 1000 + "x" + closing * 1000, syntax).is_one_text
        assert plan_prompt(opening * 1000, syntax).is_one_text
        assert plan_prompt(closing * 1000, syntax).is_one_text
    assert plan_prompt("[" * 1000 + "a|b" + "]" * 1000, syntax)
    assert plan_prompt("( [ " * 2000, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(text=st.text(alphabet=st.sampled_from("ab ,.:1()\\"), max_size=40))
def test_no_text_of_brackets_breaks_a_parser_and_no_letter_is_lost(syntax: Syntax, text: str) -> None:
    letters = [letter for section in parse_prompt(text, syntax) for segment in section for letter in segment.text]
    assert [letter for letter in letters if letter in "ab,"] == [letter for letter in text if letter in "ab,"]


@given(st.text(max_size=60))
def test_any_text_survives_escaping(text: str) -> None:
    escaped = "".join("\\" + letter if letter in "\\()[]" else letter for letter in text)
    if "BREAK" in text or "AND" in text or "<" in text:
        return
    assert "".join(segment.text for section in parse_prompt(escaped) for segment in section) == text


@given(st.text(max_size=60))
def test_the_plan_of_any_text_has_a_text_to_encode(text: str) -> None:
    for syntax in SYNTAXES:
        with contextlib.suppress(SamplingError):  # raised on purpose, with a code; anything else is a bug
            assert plan_prompt(text, syntax).texts
