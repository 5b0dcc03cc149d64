"""Canonical bytes of values: what cache keys are made of. A change here makes every stored result a stranger."""

import enum
import struct
from hashlib import blake2b
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from sdgraph.engine.encoding import encode
from sdgraph.errors import SdgraphError


class Color(enum.Enum):
    RED = "red"


class Paint(enum.Enum):
    RED = "red"


class Point(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: float
    y: float = 0.0


class Spot(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: float
    y: float = 0.0


class Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.sampled_from([Color.RED, Paint.RED]) | st.builds(Point, x=st.floats(allow_nan=False))
    | st.builds(Spot, x=st.floats(allow_nan=False))
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4),
)


def identity(value: Any) -> Any:
    """What makes two values the same, spelt out in another way than the encoding."""
    match value:
        case list() | tuple():
            return ("list", *(identity(part) for part in value))
        case dict():
            return ("dict", frozenset((identity(key), identity(part)) for key, part in value.items()))
        case float():
            return ("float", struct.pack(">d", value))
        case BaseModel():
            return (type(value).__name__, identity(value.__dict__))
        case _:
            return (type(value).__name__, value)


@given(values, values)
def test_values_have_equal_encodings_exactly_when_they_are_the_same(a: Any, b: Any) -> None:
    assert (encode(a) == encode(b)) == (identity(a) == identity(b))


@given(st.lists(values, max_size=5), st.lists(values, max_size=5))
def test_encodings_end_to_end_are_as_distinct_as_the_lists_of_their_values(a: list[Any], b: list[Any]) -> None:
    joined = [b"".join(encode(value) for value in values) for values in (a, b)]
    assert (joined[0] == joined[1]) == (identity(a) == identity(b))


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=6), st.randoms())
def test_the_order_in_which_a_mapping_was_filled_does_not_matter(mapping: dict[str, int], random: Any) -> None:
    items = list(mapping.items())
    random.shuffle(items)
    assert encode(dict(items)) == encode(mapping)


def test_values_that_python_takes_for_equal_are_told_apart() -> None:
    alike = [1, 1.0, True, "1", b"1", [1], {1: 1}, {1}]
    assert len({encode(value) for value in alike}) == len(alike)
    assert encode(0.0) != encode(-0.0)


def test_the_encoding_of_known_values_never_changes() -> None:
    golden = {
        "None": (None, b"n"),
        "bools": ([True, False], b"l2:tf"),
        "integers": ([0, 255, -255], b"l3:i1:0i2:ffi3:-ff"),
        "a float": (1.5, b"F?\xf8\x00\x00\x00\x00\x00\x00"),
        "a text": ("é", b"s2:\xc3\xa9"),
        "bytes": (b"\x00", b"y1:\x00"),
        "a mapping": ({"b": 1, "a": ()}, b"d2:s1:al0:s1:bi1:1"),
        "a set": ({2, 1}, b"S2:i1:1i1:2"),
        "a choice": (Color.RED, b"es5:Colors3:red"),
        "a model": (Point(x=0.0), b"m3:s0:s5:Points1:xF" + bytes(8) + b"s1:yF" + bytes(8)),
    }
    assert {name: encode(value) for name, (value, _) in golden.items()} == {
        name: expected for name, (_, expected) in golden.items()
    }


def test_the_digest_of_a_large_value_never_changes() -> None:
    value = {"stages": [{"steps": step, "guidance": step / 3, "name": f"stage {step}"} for step in range(50)]}
    digest = blake2b(encode(value), digest_size=16).hexdigest()
    assert digest == "4896d890cc6c870f44d7529f18997a9f"


def test_deep_nesting_needs_no_recursion() -> None:
    value: Any = []
    for _ in range(20_000):
        value = [value]
    assert encode(value).count(b"l1:") == 20_000


def test_a_number_of_another_library_is_the_same_number() -> None:
    assert encode(np.float64(1.5)) == encode(1.5)
    assert encode(np.str_("a")) == encode("a")


def test_fields_beyond_the_declared_ones_count() -> None:
    assert encode(Open.model_validate({"a": 1})) != encode(Open.model_validate({"a": 2}))


def test_half_a_character_can_be_encoded() -> None:
    assert encode("\ud800") != encode("\ud801")


def test_what_can_not_be_encoded_is_named() -> None:
    with pytest.raises(SdgraphError, match=r"ndarray.*value-not-encodable"):
        encode([1, np.zeros(2)])
