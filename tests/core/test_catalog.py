"""The catalogue of node types, and the inputs that a workflow exposes."""

import json
from typing import Any

import pytest

from sdgraph.core.build import check_workflow
from sdgraph.core.catalog import catalog
from sdgraph.core.inputs import bind_inputs, describe_inputs
from sdgraph.core.registry import Registry
from sdgraph.errors import Problem, WorkflowError
from tests.core.documents import document, node, places
from tests.core.toys import registry

EXPOSED = document(
    {
        "o": node("oscillator", {"steps": 12}),
        "l": node("louder", wave="o.wave"),
        "u": {"type": "graph:stage", "values": {"gain": 5}, "links": {"wave": "l.wave"}},
        "x": {"type": "other.thing"},
    },
    {"w": "u.wave"},
    graphs={
        "stage": {
            "nodes": {"a": node("louder", {"gain": 4})},
            "inputs": {"wave": "a.wave", "gain": "a.gain"},
            "outputs": {"wave": "a.wave"},
        }
    },
    inputs={
        **{name: f"o.{name}" for name in ("pitch_hz", "steps", "loud", "name", "quality", "envelope", "seed")},
        "gain": ["u.gain", "l.gain"],
        "wave": "l.wave",
        "odd": "x.y",
    },
)


@pytest.mark.parametrize(
    ("type_id", "title"),
    [
        ("image.save", "Save image"),
        ("sd.vae_decode", "VAE decode"),
        ("control.load", "Load ControlNet"),
        ("control.load_t2i_adapter", "Load T2I adapter"),
        ("control.apply_ip_adapter", "Apply IP adapter"),
        ("model.lora", "LoRA"),
        ("value.int", "Int value"),
    ],
)
def test_a_title_names_the_node_as_people_do(type_id: str, title: str) -> None:
    assert Registry.installed().specs[type_id].title == title


def test_the_catalogue_is_json_and_says_what_an_editor_needs() -> None:
    listed = json.loads(json.dumps(catalog(registry())))
    oscillator = listed["nodes"]["toy.oscillator"]
    assert (oscillator["title"], oscillator["category"], oscillator["doc"]) == ("Oscillator", "toy", "Make a wave.")
    ports = {port["name"]: port for port in oscillator["inputs"]}
    assert list(ports)[:2] == ["pitch_hz", "shape"]
    assert ports["pitch_hz"] == {
        "name": "pitch_hz",
        "type": "Float",
        "required": False,
        "optional": False,
        "help": "How often it swings in a second.\n\nMore is higher.",
        "linkable": True,
        "lazy": False,
        "constraints": {"gt": 0, "le": 20000},
        "unit": "Hz",
        "widget": "slider",
        "default": 440.0,
        "schema": {"exclusiveMinimum": 0, "maximum": 20000, "type": "number"},
    }
    assert ports["quality"]["schema"]["enum"] == ["draft", "fine"]
    assert listed["nodes"]["toy.number"]["outputs"] == [{"name": "value", "type": "Int", "help": "The number."}]
    assert listed["port_types"]["Wave"] == {"doc": "Samples of a signal.", "color": "#3b82f6", "stored": False}


def test_a_pack_that_failed_to_import_is_in_the_catalogue_as_a_problem() -> None:
    broken = Registry()
    broken.problems.append(Problem("pack-import-failed", "Node pack 'x' failed to import."))
    assert catalog(broken)["problems"][0]["code"] == "pack-import-failed"


def test_inputs_are_described_by_the_port_that_they_feed() -> None:
    found = {described.name: described for described in describe_inputs(EXPOSED, registry())}
    assert list(found) == sorted(EXPOSED.inputs)
    assert (found["pitch_hz"].type_name, found["pitch_hz"].default) == ("Float", 440.0)
    assert found["pitch_hz"].help.startswith("How often")
    assert found["steps"].default == 12
    assert (found["gain"].type_name, found["gain"].default, found["gain"].targets) == ("Float", 5, ("u.gain", "l.gain"))
    assert (found["wave"].type_name, found["wave"].required) == ("Wave", False)
    assert (found["odd"].type_name, found["odd"].port) == ("Any", None)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("pitch_hz", "0.5", 0.5),
        ("gain", "7", 7.0),
        ("steps", "16", 16),
        ("loud", "true", True),
        ("loud", "no", False),
        ("name", "7", "7"),
        ("quality", "fine", "fine"),
        ("envelope", '[{"at": 1}]', [{"at": 1}]),
        ("seed", "none", None),
        ("odd", "[1]", [1]),
        ("odd", "plain", "plain"),
    ],
)
def test_text_becomes_the_value_that_the_port_takes(name: str, text: str, value: Any) -> None:
    assert bind_inputs({name: text}, EXPOSED, registry()) == {name: value}


def test_names_and_texts_that_do_not_fit_are_all_reported() -> None:
    given = {"stepz": "1", "steps": "1.5", "pitch_hz": "high", "loud": "maybe", "envelope": "[" * 5000, "q": ""}
    with pytest.raises(WorkflowError) as caught:
        bind_inputs(given, EXPOSED, registry())
    assert places(caught.value.problems) == [
        ("input-unknown", None, "q"),
        ("input-unknown", None, "stepz"),
        *[("input-unreadable", None, name) for name in ("envelope", "loud", "pitch_hz", "steps")],
    ]
    assert "Did you mean `steps`?" in str(caught.value)
    assert "The inputs are: envelope, gain" in str(caught.value)


def test_bound_values_are_checked_with_the_graph() -> None:
    values = bind_inputs({"steps": "10", "quality": "best"}, EXPOSED, registry())
    errors = check_workflow(EXPOSED, registry(), values).errors
    assert places(error for error in errors if error.node == "o") == [
        ("value-invalid", "o", "quality"),
        ("value-out-of-range", "o", "steps"),
    ]
