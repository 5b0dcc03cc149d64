from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdgraph.errors import SamplingError
from sdgraph.models.prompt import parse_prompt
from sdgraph.models.prompt_editing import Variant, read_variants
from sdgraph.models.prompt_plan import plan_prompt
from sdgraph.payloads.step_window import StepPlace, StepWindow


def texts_by_step(prompt: str, steps: int = 6) -> list[str]:
    """What a prompt reads at each step. Exactly one of its variants applies, always."""
    variants = read_variants(prompt)
    found: list[str] = []
    for step in range(1, steps + 1):
        place = StepPlace(step, steps, (step - 1) / steps)
        (text,) = [v.text for v in variants if not v.windows or any(window.includes(place) for window in v.windows)]
        found.append(text)
    return found


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a [b:c:0.5] d", ["a b d"] * 3 + ["a c d"] * 3),
        ("[x:y:2]", ["x"] * 2 + ["y"] * 4),
        ("[x:3]", [""] * 3 + ["x"] * 3),
        ("[x::3]", ["x"] * 3 + [""] * 3),
        ("[a|b|c]", ["a", "b", "c", "a", "b", "c"]),
        ("[a|]", ["a", "", "a", "", "a", ""]),
        ("[a:[b:c:0.7]:0.4]", ["a", "a", "b", "b", "c", "c"]),
        ("[[a|b]:c:2]", ["a", "b", "c", "c", "c", "c"]),
        ("[a|[b:c:.5]]", ["a", "b", "a", "c", "a", "c"]),
        ("[(a:1.2):b:.5]", ["(a:1.2)"] * 3 + ["b"] * 3),
        ("(a [b:c:2]:1.3)", ["(a b:1.3)"] * 2 + ["(a c:1.3)"] * 4),
        ("[x:y:0]", ["y"] * 6),
        ("[x:y:-1]", ["y"] * 6),
        ("[x:y:1.5]", ["x"] * 6),
        ("[x:y:9]", ["x"] * 6),
        ("[a:b:3][c:d:.5]", ["ac"] * 3 + ["bd"] * 3),
    ],
)
def test_a_prompt_reads_at_each_step_as_its_brackets_say(prompt: str, expected: list[str]) -> None:
    assert texts_by_step(prompt) == expected


@pytest.mark.parametrize("prompt", ["[cat]", "a [b", "b] a", "[a:b:c:2]", "[a:b]", r"\[a:b:3\]", r"[a\|b]", "16:9", ""])
def test_brackets_that_change_nothing_are_left_to_the_weights(prompt: str) -> None:
    assert read_variants(prompt) == (Variant(prompt),)


def test_a_share_is_rounded_down_to_a_step() -> None:
    assert texts_by_step("[a:b:0.55]", 10) == ["a"] * 5 + ["b"] * 5


def test_without_a_known_total_a_share_is_of_the_noise_levels() -> None:
    window = StepWindow(after_share=0.5)
    assert [window.includes(StepPlace(1, None, progress)) for progress in (0.4, 0.5, 0.6)] == [False, True, True]


def test_what_is_put_into_square_brackets_is_not_read_as_editing_again() -> None:
    assert texts_by_step("[a:[b|0.5]]", 2) == ["(a:b:0.9090909090909091)", "(a:0.5:0.9090909090909091)"]
    (section,) = parse_prompt("(a:0.5:0.9090909090909091)")
    assert [(segment.text, segment.weight) for segment in section] == [("a:0.5", 1 / 1.1)]


def test_a_switch_whose_sides_are_equal_changes_nothing() -> None:
    assert read_variants("[a:a:0.5] b") == (Variant("a b", (StepWindow(until_share=0.5), StepWindow(after_share=0.5))),)


def test_a_prompt_of_too_many_states_is_refused() -> None:
    prompt = " ".join("[" + "|".join("abcdefghijklmn"[:size]) + "]" for size in (5, 7, 9, 11))
    with pytest.raises(SamplingError, match="3,465 states") as caught:
        read_variants(prompt)
    assert caught.value.code == "prompt-variants"


def test_two_thousand_equal_alternations_have_two_texts() -> None:
    assert len(read_variants("[a|b]" * 2000)) == 2


EDITED = st.recursive(
    st.sampled_from(["a", "b c", "", ":", "0.5", "(d:1.2)", "["]),
    lambda inner: st.one_of(
        st.tuples(inner, inner, st.sampled_from(["0.5", "2", ".25", "1.5", "0"])).map(
            lambda t: f"[{t[0]}:{t[1]}:{t[2]}]"
        ),
        st.lists(inner, min_size=2, max_size=3).map(lambda options: f"[{'|'.join(options)}]"),
        st.tuples(inner, inner).map("".join),
        inner.map("[{}]".format),
        inner.map("({})".format),
    ),
    max_leaves=6,
)


@given(EDITED, st.integers(1, 12))
def test_at_every_step_exactly_one_text_applies_and_it_never_changes_again(prompt: str, steps: int) -> None:
    for text in set(texts_by_step(prompt, steps)):
        assert len({variant.text for variant in read_variants(text)}) == 1


def test_and_gives_parts_with_factors() -> None:
    plan = plan_prompt("a cat AND [a dog:a cow:0.5] :0.6 AND x :-.5")
    assert plan.joining == "add"
    assert [part.factor for part in plan.parts] == [1.0, 0.6, -0.5]
    assert plan.texts == ("a cat", "a dog", "a cow", "x")


def test_a_number_behind_a_colon_is_a_factor_only_beside_and() -> None:
    assert plan_prompt("a cat :0.6").parts[0] == plan_prompt("a cat :0.6", "plain").parts[0]
    assert plan_prompt("SAND and BRANDY").is_one_text


def test_compels_blend_gives_shares_and_and_gives_sections() -> None:
    blend = plan_prompt('("fire (flames)++", "a, b").blend(1, 3)', "compel")
    assert (blend.joining, [part.factor for part in blend.parts]) == ("blend", [0.25, 0.75])
    assert blend.texts == ("fire (flames)++", "a, b")
    raw = plan_prompt('("a", "b").blend(1, -1, no_normalize)', "compel")
    assert [part.factor for part in raw.parts] == [1.0, -1.0]
    both = plan_prompt('("a", "b").and()', "compel")
    assert (both.joining, both.texts) == ("concat", ("a", "b"))
    assert plan_prompt("(a cat)1.2", "compel").is_one_text


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ('("a", "b").blend(1)', "prompt-syntax"),
        ('("a", "b").and(x, y)', "prompt-syntax"),
        ('("a", "b").blend(1, -1)', "prompt-weight"),
        ('("a", "b.swap(c)").and()', "prompt-unsupported"),
    ],
)
def test_a_wrong_operator_of_compel_is_a_clear_error(prompt: str, code: str) -> None:
    with pytest.raises(SamplingError) as caught:
        plan_prompt(prompt, "compel")
    assert (caught.value.code, caught.value.problem.port) == (code, "prompt")


def test_a_text_that_no_step_reads_is_told_and_not_encoded() -> None:
    plan = plan_prompt("a [cat:1.2] [dog:cow:0.5]")
    assert plan.unread == ("a cat cow",)
    assert plan.texts == ("a  dog", "a  cow")
    assert plan_prompt("a [cat:0.9]").unread == ()
