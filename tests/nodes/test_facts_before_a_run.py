"""Models, latents and prompts that do not fit each other are refused before anything runs, where they meet."""

from __future__ import annotations

from typing import Any

import pytest

from sdgraph import Registry
from sdgraph.core.build import Checked, check_workflow
from sdgraph.core.document import SCHEMA, load_document
from tests.entries import model, node


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.installed()


DRAW = {
    "sd": model("sd15"),
    "prompt": node("sd.encode_text", {"prompt": "a cat"}, text_encoder="sd.text_encoder"),
    "start": node("sd.empty_latents"),
    "sample": node(
        "sd.sampler", {"guidance": 1}, denoiser="sd.denoiser", positive="prompt.conditioning", latents="start.latents"
    ),
    "image": node("sd.vae_decode", vae="sd.vae", latents="sample.latents"),
}


def check(registry: Registry, nodes: dict[str, Any]) -> Checked:
    document = {"schema": SCHEMA, "nodes": {**DRAW, **nodes}, "outputs": {"image": "image.image"}}
    return check_workflow(load_document(document), registry)


def refused(registry: Registry, nodes: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(found.code, found.node, found.port) for found in check(registry, nodes).errors]


def test_parts_of_one_model_fit(registry: Registry) -> None:
    assert refused(registry, {}) == []


def test_sdxl_latents_do_not_fit_an_autoencoder_of_sd_1(registry: Registry) -> None:
    mixed = {
        "xl": model("sdxl"),
        "prompt": node("sd.encode_text", {"prompt": "a cat"}, text_encoder="xl.text_encoder"),
        "sample": {**DRAW["sample"], "links": {**DRAW["sample"]["links"], "denoiser": "xl.denoiser"}},
    }
    assert refused(registry, mixed) == [("latent-space-mismatch", "image", "latents")]
    override = {**mixed, "vae": node("sd.load_vae", {"source": "synthetic:sdxl-tiny"})}
    override["image"] = node("sd.vae_decode", vae="vae.vae", latents="sample.latents")
    assert refused(registry, override) == []


def test_latents_of_16_channels_do_not_fit_a_denoiser_of_4(registry: Registry) -> None:
    pictures = {
        "flux": model("flux"),
        "photo": node("image.load", {"file": "builtin:star.png"}),
        "start": node("sd.vae_encode", vae="flux.vae", image="photo.image"),
    }
    assert refused(registry, pictures) == [("latent-space-mismatch", "sample", "latents")]


def test_facts_go_through_nodes_that_change_latents(registry: Registry) -> None:
    nodes = {
        "flux": model("flux"),
        "flipped": node("latents.flip", latents="sample.latents"),
        "image": node("sd.vae_decode", vae="flux.vae", latents="flipped.latents"),
    }
    assert refused(registry, nodes) == [("latent-space-mismatch", "image", "latents")]


def test_a_prompt_encoded_for_another_model_is_refused(registry: Registry) -> None:
    nodes = {
        "xl": model("sdxl"),
        "prompt": node("sd.encode_text", {"prompt": "a cat"}, text_encoder="xl.text_encoder"),
    }
    assert refused(registry, nodes) == [("conditioning-width", "sample", "positive")]


def test_a_controlnet_of_another_model_is_refused(registry: Registry) -> None:
    nodes = {
        "net": node("control.load", {"source": "builtin:shapes/controlnet_canny"}),
        "photo": node("image.load", {"file": "builtin:star.png"}),
        "applied": node("control.apply", net="net.net", image="photo.image"),
        "sample": {**DRAW["sample"], "links": {**DRAW["sample"]["links"], "control": "applied.control"}},
    }
    assert refused(registry, nodes) == [("control-mismatch", "sample", "control")]


@pytest.mark.parametrize(
    ("drawn", "net", "found"),
    [
        ("flux", "flux", []),
        ("sd3", "sd3", []),
        ("flux", "sd3", [("control-mismatch", "sample", "control")]),
        ("sd3", "flux", [("control-mismatch", "sample", "control")]),
        ("sd15", "flux", [("control-mismatch", "sample", "control")]),
        ("flux", "sd15", [("control-mismatch", "sample", "control")]),
    ],
)
def test_a_controlnet_fits_its_family_alone(registry: Registry, drawn: str, net: str, found: list[Any]) -> None:
    nodes = {
        "sd": model(drawn),
        "start": node("sd.empty_latents", {"width_px": 64, "height_px": 64}),
        "net": node("control.load", {"source": f"synthetic:{net}-tiny/controlnet_canny"}),
        "photo": node("image.load", {"file": "builtin:star.png"}),
        "applied": node("control.apply", net="net.net", image="photo.image"),
        "sample": {**DRAW["sample"], "links": {**DRAW["sample"]["links"], "control": "applied.control"}},
    }
    told = [entry for entry in refused(registry, nodes) if entry[0].startswith("control-mis")]
    assert told == found


@pytest.mark.parametrize(
    ("net", "shows", "found"),
    [
        ("controlnet_union", "pose", []),
        ("controlnet_union", "auto", [("control-kind", "applied", "shows")]),
        ("controlnet_canny", "pose", [("control-kind", "applied", "shows")]),
    ],
)
def test_a_union_controlnet_is_told_what_its_picture_shows_and_others_are_not(
    registry: Registry, net: str, shows: str, found: list[Any]
) -> None:
    nodes = {
        "sd": model("flux"),
        "net": node("control.load", {"source": f"synthetic:flux-tiny/{net}"}),
        "photo": node("image.load", {"file": "builtin:star.png"}),
        "applied": node("control.apply", {"shows": shows}, net="net.net", image="photo.image"),
        "sample": {**DRAW["sample"], "links": {**DRAW["sample"]["links"], "control": "applied.control"}},
    }
    assert [entry for entry in refused(registry, nodes) if entry[0] == "control-kind"] == found


def test_the_autoencoder_of_another_family_can_not_show_a_picture_to_a_controlnet(registry: Registry) -> None:
    nodes = {
        "sd": model("flux"),
        "other": node("sd.load_vae", {"source": "synthetic:sd3-tiny"}),
        "net": node("control.load", {"source": "synthetic:flux-tiny/controlnet_canny"}),
        "photo": node("image.load", {"file": "builtin:star.png"}),
        "applied": node("control.apply", net="net.net", image="photo.image", vae="other.vae"),
        "sample": {**DRAW["sample"], "links": {**DRAW["sample"]["links"], "control": "applied.control"}},
    }
    assert ("latent-space-mismatch", "applied", "vae") in refused(registry, nodes)


def test_a_lora_of_another_model_is_refused(registry: Registry) -> None:
    nodes = {
        "lora": node(
            "model.lora", {"source": "builtin:shapes/lora_neon"}, denoiser="sd.denoiser", text_encoder="sd.text_encoder"
        ),
        "sample": {**DRAW["sample"], "links": {**DRAW["sample"]["links"], "denoiser": "lora.denoiser"}},
    }
    assert refused(registry, nodes) == [("lora-mismatch", "lora", "source")]


@pytest.mark.parametrize(
    ("guidance", "steps", "told"),
    [(12.0, 14, []), (12.5, 15, []), (12.5, 14, [("guidance-harsh", "sample", "guidance", "warning")])],
)
def test_guidance_that_burns_colours_out_is_warned_of(
    registry: Registry, guidance: float, steps: int, told: list[tuple[str, ...]]
) -> None:
    sample = {**DRAW["sample"], "values": {"guidance": guidance, "steps": steps}}
    sample["links"] = {**sample["links"], "negative": "prompt.conditioning"}
    found = check(registry, {"sample": sample}).problems
    assert [(problem.code, problem.node, problem.port, problem.severity) for problem in found] == told


@pytest.mark.parametrize(("guidance", "told"), [(0.6, []), (7.5, [("guidance-beyond-cfg-pp", "guidance", "warning")])])
def test_a_guidance_that_is_not_one_of_cfg_pp_is_warned_of(
    registry: Registry, guidance: float, told: list[tuple[str, ...]]
) -> None:
    sample = {**DRAW["sample"], "values": {"guidance": guidance, "guider": {"kind": "cfg_pp"}}}
    sample["links"] = {**sample["links"], "negative": "prompt.conditioning"}
    found = check(registry, {"sample": sample}).problems
    assert [(problem.code, problem.port, problem.severity) for problem in found] == told


def test_a_model_that_is_missing_is_the_plans_to_tell(registry: Registry) -> None:
    assert refused(registry, {"sd": node("sd.load_checkpoint", {"source": "/nowhere/at/all"})}) == []
