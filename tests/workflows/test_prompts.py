"""What is encoded when prompts change: texts are cached, not the course that they take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sdgraph.core.build import check_workflow
from sdgraph.core.document import load_document, to_data
from tests.workflows.runner import Session, ran, registry, tiny

EDITED = "a large red [circle:star:{}] on a white background"


def encoded(report: Any) -> set[str]:
    """The text encodes that ran."""
    return {name for name in ran(report) if name.split("/")[-1].startswith("text") or name in ("positive", "negative")}


def test_changing_when_a_prompt_switches_encodes_nothing() -> None:
    session, document = Session(), tiny("prompt_editing")
    session.run(document, {"prompt": EDITED.format("0.75")})
    report = session.run(document, {"prompt": EDITED.format("0.5")})
    assert encoded(report) == set()
    assert {"positive/join1", "positive/join2", "sample/stage1"} <= ran(report)


def test_changing_one_side_of_a_switch_encodes_that_side() -> None:
    session, document = Session(), tiny("prompt_editing")
    session.run(document, {"prompt": EDITED.format("0.75")})
    report = session.run(document, {"prompt": "a large red [circle:ring:0.75] on a white background"})
    assert encoded(report) == {"positive/text2"}


def test_changing_a_factor_of_and_encodes_nothing() -> None:
    session, document = Session(), tiny("prompt_composition")
    session.run(document, {"prompt": "a star AND a ring :0.9"})
    assert encoded(session.run(document, {"prompt": "a star AND a ring :0.5"})) == set()


def test_a_text_that_was_encoded_alone_is_not_encoded_again_as_a_part() -> None:
    session = Session()
    session.run(tiny("txt2img"), {"prompt": "a star"})
    report = session.run(tiny("prompt_composition"), {"prompt": "a star AND a ring"})
    assert encoded(report) == {"positive/text2"}


def test_many_seeds_encode_each_prompt_once() -> None:
    session, document = Session(), tiny("txt2img")
    runs = [session.run(document, {"seed": seed}) for seed in range(4)]
    assert [len(encoded(report)) for report in runs] == [2, 0, 0, 0]


def test_products_in_styles_encode_every_prompt_once() -> None:
    session, document = Session(), tiny("txt2img")
    prompts = [
        f"{style} {product}" for product in ("star", "ring", "cross") for style in ("a red", "a blue", "a large")
    ]
    reports = [session.run(document, {"prompt": prompt}) for prompt in (*prompts, *prompts)]
    assert sum(len(encoded(report)) for report in reports) == 9 + 1


@pytest.mark.parametrize(
    ("port", "value"), [("prompt", "a ring"), ("syntax", "comfy"), ("normalize", "none"), ("clip_skip", 1)]
)
def test_each_part_of_the_key_misses_when_it_changes(port: str, value: Any) -> None:
    session, document = Session(), tiny("txt2img")
    session.run(document)
    data = to_data(document)
    data["nodes"]["positive"].setdefault("values", {})[port] = value
    assert "positive" in encoded(session.run(load_document(data)))


def test_the_region_of_the_other_prompt_changes_the_picture() -> None:
    session, document = Session(), tiny("regional_prompts")
    before = session.run(document).outputs["image"].pixels
    after = session.run(document, {"right_prompt": "a ring"}).outputs["image"].pixels
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(
    ("prompt", "code"),
    [("a cat <lora:x:1>", "prompt-unsupported"), ("(cat:" + "9" * 400 + ")", "prompt-weight")],
)
def test_a_prompt_that_cannot_be_read_is_a_problem_of_its_port_before_the_run(prompt: str, code: str) -> None:
    (problem,) = check_workflow(tiny("txt2img"), registry(), {"prompt": prompt}).problems
    assert (problem.code, problem.node, problem.port) == (code, "positive", "prompt")


def test_a_prompt_from_a_value_node_is_read_before_the_run_too() -> None:
    data = to_data(tiny("txt2img"))
    data["nodes"]["words"] = {"type": "value.string", "version": 1, "values": {"value": "a cat <lora:x:1>"}}
    data["nodes"]["positive"]["values"].pop("prompt")
    data["nodes"]["positive"]["links"]["prompt"] = "words.value"
    data["inputs"].pop("prompt")
    problems = check_workflow(load_document(data), registry()).problems
    assert [problem.code for problem in problems if problem.severity == "error"] == ["prompt-unsupported"]


def test_a_weight_in_square_brackets_is_a_warning() -> None:
    (problem,) = check_workflow(tiny("txt2img"), registry(), {"prompt": "a [cat:1.2]"}).problems
    assert (problem.code, problem.severity, problem.port) == ("prompt-unread", "warning", "prompt")
