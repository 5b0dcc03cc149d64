from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdgraph.core.document import WorkflowDocument, load_document, to_data
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.disk import DiskStore
from tests.workflows.runner import NAMES, TINY, Session, ran, registry, tiny
from tests.workflows.small_files import tiny_lora


def edited(document: WorkflowDocument, node: str, port: str, value: Any) -> WorkflowDocument:
    data = to_data(document)
    data["nodes"][node].setdefault("values", {})[port] = value
    return load_document(data)


def with_stage(document: WorkflowDocument, number: int, **fields: Any) -> WorkflowDocument:
    stages = [dict(stage) for stage in document.nodes["sample"].values["stages"]]
    stages[number - 1].update(fields)
    return edited(document, "sample", "stages", stages)


CONSTANT = {"kind": "constant", "scale": 3.25}


def test_editing_stage_two_reruns_exactly_stage_two_and_what_follows() -> None:
    session, document = Session(), tiny("staged_dynamic_cfg")
    session.run(document)
    report = session.run(with_stage(document, 2, guidance=CONSTANT))
    assert ran(report) == {"sample/stage2", "sample/stage3", "sample/finish", "image", "save"}


def test_editing_the_last_stage_leaves_the_others() -> None:
    session, document = Session(), tiny("staged_dynamic_cfg")
    session.run(document)
    report = session.run(with_stage(document, 3, solver="heun"))
    assert ran(report) == {"sample/stage3", "sample/finish", "image", "save"}


@pytest.mark.parametrize("steps", [1, 5, 40])
def test_another_number_of_steps_of_a_stage_leaves_those_before_it(steps: int) -> None:
    session, document = Session(), tiny("staged_dynamic_cfg")
    session.run(document)
    report = session.run(with_stage(document, 2, steps=steps))
    assert ran(report) == {"sample/stage2", "sample/stage3", "sample/finish", "image", "save"}


def test_stages_without_ends_of_their_own_hand_over_after_their_steps_and_leave_those_before_too() -> None:
    session = Session()
    document = with_stage(with_stage(tiny("staged_dynamic_cfg"), 1, until=None), 2, until=None)
    session.run(document)
    report = session.run(with_stage(document, 2, steps=5))
    assert ran(report) == {"sample/stage2", "sample/stage3", "sample/finish", "image", "save"}


def test_editing_the_second_stage_leaves_the_first_one_also_under_an_exposed_guidance() -> None:
    session, document = Session(), edited(tiny("staged_dynamic_cfg"), "sample", "guidance", 5.0)
    session.run(document)
    report = session.run(with_stage(document, 2, guidance=CONSTANT))
    assert "sample/stage1" not in ran(report)
    assert "sample/stage2" in ran(report)


def after_seeds(document: WorkflowDocument) -> set[str]:
    """The nodes that have a seed which the workflow exposes, and everything that reads them."""
    inputs = to_data(document)["inputs"]
    exposed = inputs.get("seed", inputs.get("seeds"))
    found = {port.split(".")[0] for port in ([exposed] if isinstance(exposed, str) else exposed)}
    links = {name: {ref.split(".")[0] for ref in node.links.values()} for name, node in document.nodes.items()}
    while more := {name for name, sources in links.items() if sources & found} - found:
        found |= more
    return found


@pytest.mark.parametrize("name", NAMES)
def test_changing_the_seed_encodes_no_text_and_runs_what_is_after_it_alone(name: str) -> None:
    session, document = Session(), tiny(name)
    session.run(document)
    again = ran(session.run(document, {"seed": 77} if "seed" in document.inputs else {"seeds": [77, 78, 79, 80]}))
    handles = {node for node, entry in document.nodes.items() if not is_stored(entry.type)}
    assert again
    assert {node.split("/")[0] for node in again} <= after_seeds(document) | handles


def is_stored(type: str) -> bool:
    """Whether nodes of a type have stored results; handles of models are made anew, which costs next to nothing."""
    spec = registry().specs.get(type)
    return spec is None or spec.cls.node_cache


@pytest.mark.parametrize("name", NAMES)
def test_changing_only_the_file_name_runs_nothing(name: str) -> None:
    session, document = Session(), tiny(name)
    session.run(document)
    assert ran(session.run(edited(document, "save", "filename", "another"))) == set()


@pytest.mark.parametrize("name", NAMES)
def test_moving_and_reordering_nodes_runs_nothing(name: str) -> None:
    session, document = Session(), tiny(name)
    session.run(document)
    data = to_data(document)
    data["nodes"] = dict(reversed(data["nodes"].items()))
    data["view"] = {node: [0, 0] for node in data["nodes"]}
    assert ran(session.run(load_document(data))) == set()


def test_changing_the_negative_prompt_runs_nothing_when_the_guidance_is_one() -> None:
    session, document = Session(), tiny("txt2img")
    session.run(document, {"guidance": 1.0})
    report = session.run(document, {"guidance": 1.0, "negative": "something else"})
    assert ran(report) == set()


def test_the_same_picture_in_another_file_is_the_same_input(tmp_path: Any) -> None:
    from importlib.resources import files

    copy = tmp_path / "copy.png"
    copy.write_bytes((files("sdgraph_nodes") / "pictures" / "circle.png").read_bytes())
    session, document = Session(), tiny("img2img")
    session.run(document)
    assert ran(session.run(document, {"image": str(copy)})) == set()


def test_two_samplers_share_one_text_encode_and_one_control() -> None:
    report = Session().run(tiny("shared_conditioning"))
    assert {"positive", "negative", "control", "sample_a/stage1", "sample_b/stage1"} <= ran(report)
    assert sum(node.type == "sd.encode_text" for node in tiny("shared_conditioning").nodes.values()) == 2


def test_two_workflows_share_what_they_have_in_common() -> None:
    session = Session()
    prompt = {"prompt": "a ring", "negative": "a star"}
    session.run(tiny("txt2img"), prompt)
    report = session.run(tiny("img2img"), prompt)
    assert not ran(report) & {"sd", "positive", "negative"}


def test_after_a_restart_another_seed_finds_text_and_control_on_disk(tmp_path: Path) -> None:
    payloads, document = Payloads(registry().port_types), tiny("controlnet_canny")
    Session(DiskStore(tmp_path, payloads)).run(document)
    report = Session(DiskStore(tmp_path, payloads)).run(document, {"seed": 77})
    kept = {name: report.nodes[name].status for name in ("positive", "negative", "edges", "control")}
    assert kept == dict.fromkeys(kept, "hit")


def test_changing_only_the_second_half_of_a_hires_fix_leaves_the_first_one_stored() -> None:
    session, document = Session(), tiny("hires_fix")
    session.run(document)
    report = session.run(document, {"strength": 0.5})
    assert "again/stage1" in ran(report)
    assert not ran(report) & {"positive", "negative", "sample/start", "sample/stage1", "drawn", "enlarged"}


def test_another_mask_encodes_no_text_and_another_prompt_encodes_no_picture() -> None:
    session, document = Session(), tiny("inpaint")
    session.run(document)
    moved = session.run(document, {"left": 0.25})
    assert {"mask", "start", "sample/stage1", "image"} <= ran(moved)
    assert not ran(moved) & {"positive", "negative", "resized"}
    assert not ran(session.run(document, {"prompt": "a ring"})) & {"mask", "start", "resized"}


def test_a_second_sampler_of_a_chain_reruns_alone() -> None:
    session, document = Session(), tiny("hand_over")
    session.run(document)
    report = session.run(document, {"second_prompt": "a ring"})
    assert ran(report) == {"second", "sample/stage", "sample/finish", "image", "save"}


def test_a_renamed_lora_runs_nothing_and_another_strength_only_what_follows_it(tmp_path: Path) -> None:
    session, document = Session(), tiny("lora")
    session.run(document)
    renamed = tmp_path / "renamed.safetensors"
    renamed.write_bytes(tiny_lora(TINY).read_bytes())
    assert ran(session.run(document, {"source": str(renamed)})) == set()
    again = ran(session.run(document, {"source": str(renamed), "strength": 0.5}))
    assert any(name.startswith("styled") for name in again)
    assert not any(name.startswith(("plain", "start", "positive", "negative")) for name in again)
