from __future__ import annotations

from typing import Any

import pytest
from sdgraph_nodes.text_template import TextTemplate

from sdgraph.core.build import build_graph
from sdgraph.core.document import WorkflowDocument, load_document, to_data
from tests.nodes.tiny_model import context
from tests.workflows.runner import Session, ran, registry, tiny


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{first} of {second}", "a photo of shoes"),
        ("{second}, {second}", "shoes, shoes"),
        ("{third}{unknown} {}", "{first}{unknown} {}"),
        ("no gap", "no gap"),
        ("", ""),
    ],
)
def test_gaps_are_filled_once_and_other_braces_are_text(template: str, expected: str) -> None:
    out: Any = TextTemplate(template=template, first="a photo", second="shoes", third="{first}").run(context())
    assert out.value == expected


def with_template() -> WorkflowDocument:
    """txt2img whose prompt is a style of a product."""
    data = to_data(tiny("txt2img"))
    data["nodes"]["words"] = {"type": "text.template", "version": 1, "values": {"template": "{second} {first}"}}
    data["nodes"]["positive"]["values"].pop("prompt")
    data["nodes"]["positive"].setdefault("links", {})["prompt"] = "words.value"
    data["inputs"] |= {"product": "words.first", "style": "words.second"}
    data["inputs"].pop("prompt")
    return load_document(data)


def test_the_planner_fills_the_gaps() -> None:
    graph = build_graph(with_template(), registry(), {"product": "star", "style": "a red"})
    assert "words" not in graph.nodes
    assert graph.nodes["positive"].values["prompt"] == "a red star"


def test_three_products_in_three_styles_encode_nine_prompts_and_one_negative() -> None:
    session, document = Session(), with_template()
    inputs = [
        {"product": product, "style": style} for product in ("star", "ring", "cross") for style in ("a", "b", "c")
    ]
    encoded = [
        name
        for given in (*inputs, *inputs)
        for name in ran(session.run(document, given))
        if name in ("positive", "negative")
    ]
    assert (encoded.count("positive"), encoded.count("negative")) == (9, 1)
