"""The canonical form, and workflows as Python source."""

import json
from typing import Any

from sdgraph.core.canonical import canonical
from sdgraph.core.codegen import to_python
from sdgraph.core.document import WorkflowDocument, canonical_json
from tests.core.documents import document, node
from tests.core.toys import registry

RICH: dict[str, Any] = {
    "class": {
        **node("oscillator", {"envelope": [{"at": 1, "level": 1.0}, {"at": 2, "level": 3}], "shape": "square"}),
        "label": 'a "quoted" one\n',
    },
    "1-a": {**node("louder", {"amount": 3}, wave="class.wave"), "version": 1},
    "wf": {**node("mix", first="1-a.wave", second="S.wave"), "mode": "bypass"},
    "S": {"type": "graph:st-age", "links": {"w": "class.wave"}, "values": {"g": 4.0}},
    "s": {"type": "graph:st_age", "mode": "mute"},
    "new": {"type": "other.thing", "version": 9, "values": {"x": None, "y": [1, {"a": 0.5}]}, "links": {"z": "wf.w"}},
    "newer": {**node("louder", {"volume": 1}, wave="class.wave"), "version": 7},
    "unfit": node("oscillator", {"steps": "many", "quality": "draft"}),
    "ring": node("louder", wave="gnir.wave"),
    "gnir": node("louder", wave="ring.wave"),
}
GRAPHS = {
    "st-age": {
        "nodes": {"l": node("louder")},
        "inputs": {"w": "l.wave", "g": "l.gain"},
        "outputs": {"wave": "l.wave"},
    },
    "st_age": {"nodes": {"Louder": node("oscillator", {"pitch_hz": 440})}},
}


def _rich() -> WorkflowDocument:
    return document(
        RICH,
        {"o": "wf.wave", "gone": "nobody.wave"},
        graphs=GRAPHS,
        inputs={"pitch": ["class.pitch_hz"], "both": ["class.seed", "unfit.seed"], "zz": "nobody.x"},
        name="rich",
        description="don't",
        view={"S": [1, None], "groups": []},
    )


def _executed(source: str) -> WorkflowDocument:
    names: dict[str, Any] = {}
    exec(compile(source, "exported.py", "exec"), names)
    return names["wf"].to_document()


def test_defaults_are_left_out_and_values_written_as_the_port_sees_them() -> None:
    values = {"pitch_hz": 440, "steps": 12, "quality": "draft", "envelope": [{"at": 1, "level": 1.0}], "seed": None}
    tidy = canonical(document({"o": node("oscillator", values)}), registry())
    assert tidy.nodes["o"].values == {"steps": 12, "envelope": [{"at": 1.0}]}
    assert tidy.nodes["o"].version == 1


def test_nodes_that_are_not_understood_stay_byte_for_byte() -> None:
    before = json.loads(canonical_json(_rich()))["nodes"]
    after = json.loads(canonical_json(canonical(_rich(), registry())))["nodes"]
    for name in ("new", "newer"):
        assert after[name] == before[name]
    assert after["unfit"]["values"] == {"steps": "many"}


def test_an_older_node_is_brought_to_the_current_version() -> None:
    tidy = canonical(_rich(), registry()).nodes["1-a"]
    assert (tidy.version, tidy.values, tidy.links) == (3, {"gain": 3.0}, {"wave": "class.wave"})


def test_canonical_form_is_its_own_canonical_form() -> None:
    once = canonical(_rich(), registry())
    assert canonical_json(canonical(once, registry())) == canonical_json(once)


def test_running_the_exported_python_gives_the_same_document() -> None:
    assert canonical_json(_executed(to_python(_rich(), registry()))) == canonical_json(canonical(_rich(), registry()))


def test_exported_python_reads_as_somebody_would_write_it() -> None:
    small = document(
        {"osc": node("oscillator", {"steps": 12}), "loud": node("louder", {"gain": 3}, wave="osc.wave")},
        {"wave": "loud.wave"},
        inputs={"steps": "osc.steps"},
        name="small",
    )
    assert to_python(small, registry()) == (
        "from sdgraph.core.workflow import Workflow\n"
        "from tests.core.toys import Louder, Oscillator\n\n\n"
        'wf = Workflow("small")\n'
        'osc = wf.add("osc", Oscillator(steps=12))\n'
        'loud = wf.add("loud", Louder(wave=osc.out.wave, gain=3.0))\n'
        'wf.input("steps", (osc, "steps"))\n'
        'wf.output("wave", loud.out.wave)\n'
    )


def test_names_that_are_no_identifiers_or_are_taken_become_other_variables() -> None:
    ids = ["class", "1", "a-b", "a_b", "A_b", "wf", "Workflow", "match", "_x", "print"]
    odd = document(
        {name: node("oscillator") for name in ids}, {f"o{at}": f"{name}.wave" for at, name in enumerate(ids)}
    )
    assert canonical_json(_executed(to_python(odd, registry()))) == canonical_json(canonical(odd, registry()))


def test_text_from_a_file_can_not_become_code() -> None:
    evil = '"); raise SystemExit("pwned") #\n"""'
    tricky = document(
        {"o": {**node("oscillator", {"name": '"+x+"'}), "label": evil}, "u": {"type": evil, "values": {"a": evil}}},
        name=evil,
        description=evil,
        view={evil: evil},
    )
    assert canonical_json(_executed(to_python(tricky, registry()))) == canonical_json(canonical(tricky, registry()))
