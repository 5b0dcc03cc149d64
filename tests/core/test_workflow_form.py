"""What is refused before anyone looks at node types, and that everything else comes back as it was."""

import json
import os
from pathlib import Path

import pytest

from sdgraph.core.document import (
    MAX_FILE_BYTES,
    MAX_NODES,
    SCHEMA,
    canonical_json,
    json_schema,
    load_document,
    parse_document,
    read_document,
    shipped_schema,
)
from sdgraph.core.pngmeta import with_png_text
from sdgraph.errors import WorkflowError
from tests.core.documents import data, document, node, places, refused
from tests.core.test_pngmeta import PIXEL

FLAT = {"a": node("number")}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "not-json"),
        ("", "not-json"),
        (b"\xff\xfe{}", "not-json"),
        (b"\x89PNG", "not-json"),
        ('{"a": ' + "1" * 5000 + "}", "not-json"),
        ("[" * 200_000, "nested-too-deeply"),
        ("[]", "not-a-workflow"),
        ("{}", "schema-unknown"),
        ('{"schema": {"a": 1}}', "schema-unknown"),
        ('{"schema": "sdgraph/workflow@2"}', "schema-newer"),
        ("[" + "{}," * 1_000_000 + "[]" * 1_000_001 + "]", "workflow-too-large"),
        (" " * (MAX_FILE_BYTES + 1), "workflow-too-large"),
    ],
    ids=lambda part: part if len(part) < 40 and isinstance(part, str) else "long",
)
def test_text_that_is_no_workflow_is_refused_with_one_clear_code(text: str | bytes, code: str) -> None:
    assert refused(text) == [(code, None, None)]


def test_a_file_of_fifty_megabytes_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(50 * 2**20)
    with pytest.raises(WorkflowError, match="workflow-too-large"):
        read_document(path)


def test_a_hundred_thousand_nodes_are_refused_by_default_wherever_they_are() -> None:
    half = {f"n{number}": node("number") for number in range(MAX_NODES // 2 + 1)}
    with pytest.raises(WorkflowError, match="too-many-nodes"):
        load_document(data(half, graphs={"inner": {"nodes": half}}))


def test_duplicate_names_are_found_at_any_depth_with_their_place() -> None:
    text = """{"schema": "sdgraph/workflow@1", "nodes": {
      "a": {"type": "toy.number", "values": {"value": 1, "value": 2}}, "a": {"type": "toy.number"},
      "b": {"type": "toy.number", "values": {"value": {"deep": [{"x": 1, "x": 2}]}}}},
      "graphs": {"g": {"nodes": {"c": {"type": "x", "links": {"p": "q.r", "p": "q.s"}}}}}, "name": "1", "name": "2"}"""
    assert refused(text) == [
        ("duplicate-id", "a", None),
        ("duplicate-id", "b", "value"),
        ("duplicate-id", "graph:g/c", "p"),
        ("duplicate-id", None, None),
    ]


def test_wrong_json_types_are_all_reported_at_their_place() -> None:
    nodes = {
        "a": 5,
        "b": {"type": 3, "version": "1", "values": [], "links": {"x": 2}, "mode": "off", "colour": "red"},
        "c": {"type": "", "version": 0, "label": 4},
        "d": {},
    }
    assert refused(data(nodes, {"o": 1}, inputs={"x": 3, "y": [1]}, name=7, graphs=[])) == [  # type: ignore[dict-item]
        ("field-invalid", "a", None),
        ("field-invalid", "b", "x"),
        *[("field-invalid", "b", None)] * 4,
        *[("field-invalid", "c", None)] * 3,
        *[("field-invalid", None, None)] * 5,
        ("field-missing", "d", None),
        ("field-unknown", "b", None),
    ]


@pytest.mark.parametrize("odd", ["", "a.b", "a/b", "ü", "a b", "x" * 65, "a\x1b[31m", "-a", "../a"])
def test_names_with_odd_characters_are_refused_and_shown_escaped(odd: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        load_document(data({odd: node("number")}))
    (problem,) = caught.value.problems
    assert problem.code == "node-id-invalid"
    assert str(problem).isprintable()
    assert [code for code, _, _ in refused(data(FLAT, {odd: "a.value"}))] == ["name-invalid"]
    assert [code for code, _, _ in refused(data(FLAT, inputs={odd: "a.value"}))] == ["name-invalid"]
    assert [code for code, _, _ in refused(data(FLAT, graphs={odd: {}}))] == ["name-invalid"]
    assert [code for code, _, _ in refused(data({"a": node("number", {odd: 1})}))] == ["name-invalid"]


def test_links_that_name_no_port_are_refused() -> None:
    nodes = {"a": node("louder", wave="b"), "b": node("louder", wave=".wave")}
    assert refused(data(nodes, {"o": "a."}, inputs={"i": ["a.x.y"]})) == [
        ("link-malformed", "a", "wave"),
        ("link-malformed", "b", "wave"),
        ("link-malformed", None, None),
        ("link-malformed", None, None),
    ]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '[1, {"x": NaN}]'])
def test_numbers_that_are_not_finite_are_refused_with_node_and_port(number: str) -> None:
    text = '{"schema": "sdgraph/workflow@1", "nodes": {"a": {"type": "unknown", "values": {"x": NUMBER}}}}'
    assert refused(text.replace("NUMBER", number)) == [("value-not-finite", "a", "x")]


def test_values_that_nest_too_deeply_and_torn_characters_are_refused() -> None:
    nested: object = 1
    for _ in range(100):
        nested = [nested]
    assert refused(data({"a": node("number", {"value": nested})})) == [("nested-too-deeply", None, None)]
    assert refused(data(FLAT, name="\ud800")) == [("text-not-unicode", None, None)]


def test_files_that_can_not_be_read_are_problems(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "plain.png").write_bytes(PIXEL)
    names = {"missing.json": "workflow-unreadable", "": "workflow-unreadable", "pipe.json": "workflow-unreadable"}
    for name, code in {**names, "plain.png": "png-without-workflow"}.items():
        with pytest.raises(WorkflowError) as caught:
            read_document(tmp_path / name)
        assert places(caught.value.problems) == [(code, None, None)]


def test_a_picture_opens_as_the_workflow_that_it_carries(tmp_path: Path) -> None:
    original = document(FLAT, {"x": "a.value"}, name="é")
    (tmp_path / "picture.png").write_bytes(with_png_text(PIXEL, {"sdgraph.workflow": canonical_json(original)}))
    assert canonical_json(read_document(tmp_path / "picture.png")) == canonical_json(original)


def test_canonical_text_is_sorted_and_leaves_out_what_is_empty() -> None:
    loose = {
        "outputs": {},
        "name": "",
        "view": {},
        "nodes": {"b": {"type": "t", "values": {}, "label": None, "mode": None}, "a": {"links": {}, "type": "t"}},
        "schema": SCHEMA,
    }
    expected = {"nodes": {"a": {"type": "t"}, "b": {"type": "t"}}, "schema": SCHEMA}
    assert canonical_json(load_document(loose)) == json.dumps(expected, indent=2) + "\n"


def test_unknown_nodes_nulls_and_views_are_saved_back_unchanged() -> None:
    text = canonical_json(
        load_document(
            data(
                {"x": {"type": "other.thing", "version": 99, "values": {"a": None, "b": {"c": [None, {}, "", 1.0]}}}},
                view={"x": [0, None], "notes": {}},
            )
        )
    )
    assert '"a": null' in text
    assert canonical_json(parse_document(text)) == text


def test_the_shipped_schema_is_the_one_of_the_models() -> None:
    assert json.loads(shipped_schema()) == json_schema()
