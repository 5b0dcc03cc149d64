from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sdgraph.core.build import check_workflow
from sdgraph.core.canonical import canonical
from sdgraph.core.document import canonical_json
from sdgraph.payloads.image import Image
from tests.workflows.runner import FOLDER, NAMES, Session, ran, registry, shipped, tiny

KNOBS = {"prompt", "negative", "seed", "steps", "guidance"}
SIZE = {"width_px", "height_px"}
EXPOSED = {
    "txt2img": KNOBS | SIZE | {"solver", "sigmas"},
    "img2img": KNOBS | SIZE | {"image"},
    "staged_dynamic_cfg": KNOBS | SIZE,
    "controlnet_canny": KNOBS | SIZE | {"image"},
    "controlnet_depth": KNOBS | SIZE | {"image"},
    "two_controls": KNOBS | SIZE | {"image", "edges_strength", "depth_strength"},
    "t2i_adapter": KNOBS | SIZE | {"image", "model", "adapter"},
    "ip_adapter": KNOBS | SIZE | {"image", "model", "adapter", "encoder", "strength"},
    "tile_upscale": KNOBS | {"image"},
    "shared_conditioning": KNOBS | SIZE | {"image"},
    "multistage": KNOBS | SIZE,
    "sdxl": KNOBS | SIZE | {"model"},
    "sdxl_refiner": KNOBS | SIZE | {"model", "refiner"},
    "sd3": KNOBS | SIZE | {"model"},
    "flux": (KNOBS | SIZE | {"model"}) - {"negative"},
    "regional_prompts": KNOBS | SIZE | {"right_prompt"},
    "prompt_editing": KNOBS | SIZE,
    "prompt_composition": KNOBS | SIZE,
    "lora": KNOBS | SIZE | {"source", "strength"},
    "textual_inversion": KNOBS | SIZE | {"source", "name"},
    "guiders": KNOBS | SIZE,
    "solvers": KNOBS | SIZE,
    "early_stop": KNOBS | SIZE | {"early_stop"},
    "inpaint": KNOBS | SIZE | {"image", "strength", "left", "top", "right", "bottom"},
    "differential": KNOBS | SIZE | {"image", "direction"},
    "outpaint": KNOBS | SIZE | {"image", "left_px", "top_px", "right_px", "bottom_px"},
    "variations": KNOBS | SIZE | {"variation_seed"},
    "hires_fix": KNOBS | SIZE | {"factor", "strength"},
    "panorama": KNOBS | SIZE | {"tile_px", "overlap_px"},
    "hand_over": KNOBS | SIZE | {"second_prompt"},
    "sd3_controlnet": KNOBS | SIZE | {"image", "model", "controlnet", "strength"},
    "flux_controlnet": (KNOBS | SIZE | {"image", "model", "controlnet", "strength"}) - {"negative"},
    "shortcuts": KNOBS | SIZE | {"share", "every"},
    "pruning": KNOBS | SIZE,
    "attention": KNOBS | SIZE,
    "conditionings": KNOBS | SIZE | {"second_prompt"},
    "areas": KNOBS | SIZE | {"right_prompt"},
    "several_loras": KNOBS | SIZE | {"first_strength", "second_strength"},
    "other_vae": KNOBS | SIZE | {"vae"},
    "seeds": (KNOBS | SIZE | {"seeds"}) - {"seed"},
    "custom_levels": KNOBS | SIZE | {"timesteps", "sigmas"},
    "prompt_syntaxes": KNOBS | SIZE,
    "clip_skip": KNOBS | SIZE,
    "preprocessors": SIZE | {"image", "seed"},
    "template": KNOBS | SIZE | {"first", "second", "third"},
    "soft_inpaint": KNOBS | SIZE | {"image", "feather_px"},
    "inpaint_control": KNOBS | SIZE | {"image", "model", "controlnet"},
    "safety_checker": KNOBS | SIZE | {"model", "checker"},
    "upscale_model": KNOBS | SIZE | {"upscaler", "strength"},
    "sdxl_union": KNOBS | SIZE | {"image", "model", "controlnet", "edges_strength", "depth_strength"},
}


def test_every_file_of_the_folder_is_listed_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES) == set(EXPOSED)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_workflow_checks_clean_and_is_canonical(name: str) -> None:
    document = shipped(name)
    assert check_workflow(document, registry()).problems == ()
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == canonical_json(canonical(document, registry()))
    assert document.name == name
    assert document.description.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_workflow_exposes_the_usual_names(name: str) -> None:
    document = shipped(name)
    assert EXPOSED[name] <= set(document.inputs)
    assert "image" in document.outputs


@pytest.mark.parametrize("name", NAMES)
def test_the_nodes_of_a_shipped_workflow_lie_from_left_to_right_without_covering_each_other(name: str) -> None:
    document = shipped(name)
    places = {node: tuple(document.view[node]) for node in document.nodes}
    assert len(set(places.values())) == len(places)
    for node, entry in document.nodes.items():
        for link in entry.links.values():
            assert places[link.split(".")[0]][0] < places[node][0]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_workflow_draws_a_picture_and_a_second_run_computes_nothing(name: str) -> None:
    session = Session()
    first = session.run(tiny(name))
    assert first.status == "done"
    assert first.problems == ()
    picture = first.outputs["image"]
    assert isinstance(picture, Image)
    assert picture.pixels.std() > 0
    second = session.run(tiny(name))
    assert ran(second) == set()
    assert np.array_equal(second.outputs["image"].pixels, picture.pixels)


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_the_same_without_any_cache(name: str) -> None:
    pictures = [Session().run(tiny(name)).outputs["image"].pixels for _ in range(2)]
    assert np.array_equal(*pictures)


@pytest.mark.parametrize("name", NAMES)
def test_every_exposed_knob_changes_the_picture(name: str) -> None:
    session, document = Session(), tiny(name)
    before = session.run(document).outputs["image"].pixels
    changes: dict[str, Any] = {"prompt": "a ring", "negative": "blue", "seed": 9, "steps": 7, "guidance": 9.5}
    for knob in sorted(KNOBS & EXPOSED[name]):
        after = session.run(document, {knob: changes[knob]}).outputs["image"].pixels
        assert not np.array_equal(before, after), knob


@pytest.mark.parametrize("name", [name for name in NAMES if EXPOSED[name] >= SIZE])
def test_the_exposed_size_is_the_size_of_the_picture(name: str) -> None:
    session, document = Session(), tiny(name)
    before = session.run(document).outputs["image"]
    after = session.run(document, {"width_px": 256, "height_px": 48}).outputs["image"]
    assert after.height_px < before.height_px
    assert after.width_px > before.width_px
