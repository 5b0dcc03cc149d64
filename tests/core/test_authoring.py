"""Writing workflows in Python. pyright checks this file too: an expected error that it does not find is an error."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Callable
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from sdgraph.core.build import check_workflow
from sdgraph.core.canonical import canonical
from sdgraph.core.codegen import to_python
from sdgraph.core.document import canonical_json
from sdgraph.core.node import Node
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In, port
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.errors import SdgraphError, WorkflowError
from tests.core.documents import document, node, places
from tests.core.toys import Draw, Louder, Measure, NumberOut, Oscillator, Repeat, Wave, registry


def test_links_and_values_of_the_right_type_are_accepted() -> None:
    wf = Workflow("song", "one line")
    source = wf.add("o", Oscillator(pitch_hz=220.0), label="Source").out
    count = wf.add("m", Measure(wave=source.wave)).out
    louder = wf.add("l", Louder(wave=source.wave), mode="bypass").out
    wf.add("p", Oscillator(seed=count.value))
    wf.output("wave", louder.wave)
    wf.input("gain", ("l", "gain"))
    written = document(
        {
            "o": {**node("oscillator", {"pitch_hz": 220.0}), "label": "Source", "version": 1},
            "m": {**node("measure", wave="o.wave"), "version": 1},
            "l": {**node("louder", wave="o.wave"), "mode": "bypass", "version": 3},
            "p": {**node("oscillator", seed="m.value"), "version": 1},
        },
        {"wave": "l.wave"},
        inputs={"gain": "l.gain"},
        name="song",
        description="one line",
    )
    assert canonical_json(wf.to_document()) == canonical_json(written)


def test_what_the_type_checker_refuses_is_refused_at_the_latest_by_the_check() -> None:
    wf = Workflow()
    source = wf.add("o", Oscillator()).out
    drawn = wf.add("d", Draw(wave=source.wave)).out
    wf.add("l", Louder(wave=drawn.paint))  # pyright: ignore[reportArgumentType]
    wf.add("p", Oscillator(steps=source.wave))  # pyright: ignore[reportArgumentType]
    with pytest.raises(AttributeError):
        source.sound  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError):
        Louder()  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValidationError):
        Oscillator(steps="many")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValidationError):
        Oscillator(stepz=3)  # pyright: ignore[reportCallIssue]
    assert places(check_workflow(wf, registry()).errors) == [
        ("port-type-mismatch", "l", "wave"),
        ("port-type-mismatch", "p", "steps"),
    ]


def test_a_workflow_can_be_used_as_a_node_of_another() -> None:
    stage = Workflow()
    first = stage.use("a", "toy.louder")
    second = stage.add("b", Louder(wave=first.out.wave))
    stage.input("wave", (first, "wave"))
    stage.input("gain", (first, "gain"), (second, "gain"))
    stage.output("wave", second.out.wave)
    wf = Workflow()
    wf.graph("stage", stage)
    source = wf.add("o", Oscillator()).out
    use = wf.use("s", "graph:stage", {"wave": source.wave, "gain": 3}).out
    wf.output("wave", wf.add("l", Louder(wave=use.wave)).out.wave)
    graph = check_workflow(wf, registry()).graph
    assert graph is not None
    assert list(graph.nodes) == ["o", "s/a", "s/b", "l"]
    assert graph.nodes["s/b"].values["gain"] == 3.0


def _twice(wf: Workflow) -> None:
    wf.add("o", Oscillator())
    wf.use("o", "toy.draw")


def _payload(wf: Workflow) -> None:
    wf.add("l", Louder(wave=Wave((1.0,))))
    wf.to_document()


MISTAKES: list[tuple[Callable[[Workflow], object], str]] = [
    (_twice, "duplicate-id"),
    (_payload, "port-needs-link"),
    (lambda wf: wf.add("a.b", Oscillator()), "node-id-invalid"),
    (lambda wf: wf.graph("a b", Workflow()), "name-invalid"),
    (lambda wf: wf.input("", ("a", "b")), "name-invalid"),
    (lambda wf: wf.output("ü", 3), "name-invalid"),
    (lambda wf: wf.output("wave", 3), "output-not-linked"),
]


@pytest.mark.parametrize(("mistake", "code"), MISTAKES)
def test_mistakes_while_writing_have_codes(mistake: Callable[[Workflow], object], code: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        mistake(Workflow())
    assert caught.value.code == code


def test_a_node_without_run_says_so() -> None:
    with pytest.raises(SdgraphError, match="node-without-run"):
        Repeat.model_construct(None, times=1).run(None)  # pyright: ignore[reportArgumentType]


class Flat(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: Literal["flat"] = "flat"
    level: float = 1.0


class Ramp(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: Literal["ramp"] = "ramp"
    level: float = 1.0


class Follow(Node[NumberOut], type="toy.follow"):
    """A port that takes one of two models, told apart by their tag."""

    course: In[Flat | Ramp] = port(Flat())
    courses: In[tuple[Flat | Ramp, ...]] = port(())


def test_the_tag_of_a_union_survives_the_file_and_the_export() -> None:
    known = Registry([NodePack("more", "1", (Follow,))])
    wf = Workflow()
    wf.add("f", Follow(course=Ramp(), courses=(Ramp(level=2.0), Flat())))
    written = wf.to_document()
    assert written.nodes["f"].values == {
        "course": {"kind": "ramp"},
        "courses": [{"kind": "ramp", "level": 2.0}, {"kind": "flat"}],
    }
    graph = check_workflow(written, known).graph
    assert graph is not None
    assert graph.nodes["f"].values["course"] == Ramp()
    names: dict[str, Workflow] = {}
    exec(to_python(written, known), names)
    assert canonical_json(names["wf"].to_document()) == canonical_json(canonical(written, known))
