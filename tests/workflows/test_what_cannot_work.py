"""Combinations that can't work are problems of the check, at the port where they meet; no model is loaded for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image as Pillow

from sdgraph import Registry
from sdgraph.core.build import check_workflow
from sdgraph.core.document import SCHEMA, load_document
from sdgraph.models import load
from sdgraph.models.pool import ModelPool
from tests.entries import model, node

Found = tuple[str, str | None, str | None]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.installed()


DRAW = {
    "sd": model("sd15"),
    "prompt": node("sd.encode_text", {"prompt": "a cat"}, text_encoder="sd.text_encoder"),
    "start": node("sd.empty_latents", {"width_px": 256, "height_px": 256}),
    "sample": node(
        "sd.sampler", {"guidance": 1}, denoiser="sd.denoiser", positive="prompt.conditioning", latents="start.latents"
    ),
    "image": node("sd.vae_decode", vae="sd.vae", latents="sample.latents"),
    # Pictures of 256 x 256 px, and masks of both sizes.
    "photo": node("image.load", {"file": "builtin:star.png"}),
    "small": node("image.resize", {"width_px": 192, "height_px": 256}, image="photo.image"),
    "odd": node("image.resize", {"width_px": 250, "height_px": 256}, image="photo.image"),
    "mask": node("mask.draw", image="photo.image"),
    "narrow": node("mask.draw", {"width_px": 192, "height_px": 256}),
    "encoded": node("sd.vae_encode", vae="sd.vae", image="photo.image"),
    "two": node("image.join", first="photo.image", second="photo.image"),
    "three": node("image.join", first="two.image", second="photo.image"),
}


def sampler(values: dict[str, Any] | None = None, /, kind: str = "sd.sampler", **links: str) -> dict[str, Any]:
    """The sampler of DRAW with other values and links."""
    return node(kind, {"guidance": 1, **(values or {})}, **{**DRAW["sample"]["links"], **links})


def guided(kind: str, **fields: Any) -> dict[str, Any]:
    """A sampler with a guider."""
    return sampler({"guidance": 5, "guider": {"kind": kind, **fields}}, negative="prompt.conditioning")


def staged(*stages: dict[str, Any], **values: Any) -> dict[str, Any]:
    return sampler({"stages": list(stages), **values}, kind="sd.staged_sampler") | {
        "values": {"stages": list(stages), **values}
    }


class Case(NamedTuple):
    """What can't work: the nodes in place of those of DRAW, and the problem."""

    nodes: dict[str, Any]
    found: Found


T2I = "synthetic:sd15-tiny/t2i_adapter"
IP, ENCODER = "synthetic:sd15-tiny/ip_adapter", "synthetic:sd15-tiny/image_encoder"
CANNY = node("control.load", {"source": "synthetic:sd15-tiny/controlnet_canny"})
CONTROLLED = sampler(control="applied.control")


def ip_adapter(source: str = IP, encoder: str = ENCODER, mask: str = "mask.mask", seen_by: str = "adapter") -> Any:
    return {
        "adapter": node("control.load_ip_adapter", {"source": source}),
        "other": node("control.load_ip_adapter", {"source": IP}),
        "encoder": node("control.load_image_encoder", {"source": encoder}),
        "seen": node(
            "control.encode_image", encoder="encoder.encoder", adapter=f"{seen_by}.adapter", image="photo.image"
        ),
        "applied": node("control.apply_ip_adapter", adapter="adapter.adapter", prompt="seen.prompt", mask=mask),
        "sample": CONTROLLED,
    }


CASES: dict[str, Case] = {
    # masks and pictures
    "a mask of another size than the picture to inpaint": Case(
        {"start": node("sd.inpaint_latents", vae="sd.vae", image="photo.image", mask="narrow.mask")},
        ("mask-size", "start", "mask"),
    ),
    "a mask of another size than the latents": Case(
        {"start": node("latents.set_mask", latents="encoded.latents", mask="narrow.mask")},
        ("mask-size", "start", "mask"),
    ),
    "a mask for empty latents": Case(
        {"none": DRAW["start"], "start": node("latents.set_mask", latents="none.latents", mask="mask.mask")},
        ("mask-without-picture", "start", "latents"),
    ),
    "two masks for three pictures": Case(
        {
            "masks": node("mask.from_image", image="two.image"),
            "start": node("sd.inpaint_latents", vae="sd.vae", image="three.image", mask="masks.mask"),
        },
        ("mask-batch", "start", "mask"),
    ),
    "masks of two sizes joined": Case(
        {"joined": node("mask.combine", first="mask.mask", second="narrow.mask")}, ("mask-size", "joined", "second")
    ),
    "a picture laid over one of another size": Case(
        {"laid": node("image.composite", below="photo.image", above="small.image", mask="mask.mask")},
        ("image-sizes-differ", "laid", "above"),
    ),
    "a picture laid over one by a mask of another size": Case(
        {"laid": node("image.composite", below="photo.image", above="photo.image", mask="narrow.mask")},
        ("mask-size", "laid", "mask"),
    ),
    "two pictures over three": Case(
        {"laid": node("image.composite", below="three.image", above="two.image", mask="mask.mask")},
        ("batch-mismatch", "laid", "above"),
    ),
    "pictures of two sizes in one batch": Case(
        {"joined": node("image.join", first="photo.image", second="small.image")},
        ("image-sizes-differ", "joined", "second"),
    ),
    "a picture cut out by a mask of another size": Case(
        {"cut": node("image.crop_to_mask", image="photo.image", mask="narrow.mask")}, ("mask-size", "cut", "mask")
    ),
    "a picture whose size can't be encoded": Case(
        {"start": node("sd.vae_encode", vae="sd.vae", image="odd.image")}, ("image-size", "start", "image")
    ),
    "an enlarged canvas beyond what is drawn": Case(
        {
            "large": node("image.resize", {"width_px": 16384, "height_px": 8}, image="photo.image"),
            "padded": node("image.outpaint_pad", {"left_px": 8}, image="large.image"),
        },
        ("image-too-large", "padded", "image"),
    ),
    "edges that go on above where they begin": Case(
        {"edges": node("control.canny", {"low": 0.9, "high": 0.4}, image="photo.image")},
        ("canny-thresholds", "edges", "low"),
    ),
    "a mask that ends before it begins": Case(
        {"bad": node("mask.draw", {"left": 0.8, "right": 0.2})}, ("mask-sides", "bad", "right")
    ),
    "a gradient that ends before it begins": Case(
        {"bad": node("mask.gradient", {"rise_from": 0.8, "rise_to": 0.2})}, ("mask-sides", "bad", "rise_to")
    ),
    # latents
    "sizes that the family does not draw": Case(
        {"sd": model("flux"), "start": node("sd.empty_latents", {"width_px": 264, "height_px": 256})},
        ("latents-size", "sample", "latents"),
    ),
    "more positions than Stable Diffusion 3 knows": Case(
        {"sd": model("sd3"), "start": node("sd.empty_latents", {"width_px": 4096, "height_px": 256})},
        ("latents-size", "sample", "latents"),
    ),
    "seeds for another number of pictures": Case(
        {"start": node("sd.empty_latents", {"batch": 3, "seeds": [1, 2]})}, ("seed-count", "start", "seeds")
    ),
    "an item that a batch does not have": Case(
        {"picked": node("latents.pick", {"first": 1}, latents="encoded.latents")},
        ("batch-item-missing", "picked", "first"),
    ),
    "empty and drawn latents in one batch": Case(
        {"joined": node("latents.join", first="encoded.latents", second="start.latents")},
        ("latents-differ", "joined", "second"),
    ),
    "a part that does not lie in the latents": Case(
        {"cut": node("latents.crop", {"left_px": 200, "width_px": 64, "height_px": 64}, latents="encoded.latents")},
        ("latents-size", "cut", "width_px"),
    ),
    "two latents over three": Case(
        {
            "below": node("sd.vae_encode", vae="sd.vae", image="three.image"),
            "above": node("sd.vae_encode", vae="sd.vae", image="two.image"),
            "laid": node("latents.composite", below="below.latents", above="above.latents"),
        },
        ("latents-batch", "laid", "above"),
    ),
    "latents of another family": Case(
        {"xl": model("sdxl"), "image": node("sd.vae_decode", vae="xl.vae", latents="sample.latents")},
        ("latent-space-mismatch", "image", "latents"),
    ),
    "tiles that are too small to decode": Case(
        {"image": node("sd.vae_decode", {"tile_px": 8}, vae="sd.vae", latents="sample.latents")},
        ("tile-size", "image", "tile_px"),
    ),
    # steps
    "empty latents at strength 0": Case({"sample": sampler({"strength": 0})}, ("no-stages", "sample", "strength")),
    "empty latents at a strength that leaves no step": Case(
        {"sample": sampler({"strength": 0.04, "steps": 20})}, ("no-stages", "sample", "strength")
    ),
    "zero steps": Case({"sample": sampler({"steps": 0})}, ("value-out-of-range", "sample", "steps")),
    "no stages": Case({"sample": staged()}, ("value-out-of-range", "sample", "stages")),
    "a stage of zero steps": Case({"sample": staged({"steps": 0})}, ("value-out-of-range", "sample", "stages")),
    "stages beyond their schedule": Case(
        {"sample": staged({"steps": 15}, {"steps": 5}, schedule_steps=10)}, ("stages-off-schedule", "sample", "stages")
    ),
    "fewer steps than stages": Case(
        {"sample": staged({"steps": 5}, {"steps": 5}, steps=1)}, ("steps-fewer-than-stages", "sample", "steps")
    ),
    "custom noise levels that are for other steps": Case(
        {"sample": staged({"steps": 3, "custom_sigmas": [10, 1, 0]})}, ("custom-sigmas", "sample", "stages")
    ),
    "custom noise levels that rise": Case(
        {"sample": sampler({"custom_sigmas": [1.0, 10.0, 0.0]})}, ("custom-sigmas", "sample", "custom_sigmas")
    ),
    "custom timesteps beside custom noise levels": Case(
        {"sample": sampler({"custom_sigmas": [10.0, 1.0, 0.0], "custom_timesteps": [900.0, 400.0]})},
        ("custom-sigmas", "sample", "custom_sigmas"),
    ),
    "custom noise levels beyond the model's": Case(
        {"sample": sampler({"custom_sigmas": [80.0, 1.0, 0.0]})}, ("custom-sigmas", "sample", "custom_sigmas")
    ),
    "custom noise levels of another kind of model": Case(
        {"sd": model("flux"), "sample": sampler({"custom_sigmas": [14.6, 1.0, 0.0]})},
        ("custom-sigmas", "sample", "custom_sigmas"),
    ),
    "custom timesteps beyond the model's": Case(
        {"sample": sampler({"custom_timesteps": [1000.0, 400.0]})}, ("custom-sigmas", "sample", "custom_timesteps")
    ),
    "custom noise levels of a stage beyond the model's": Case(
        {"sample": staged({"custom_sigmas": [20.0, 0.0], "guidance": {"kind": "constant", "scale": 1}})},
        ("custom-sigmas", "sample", "stages"),
    ),
    "a stage that ends beyond the model's noise levels": Case(
        {
            "sample": staged(
                {"sigma_end": 90.0, "guidance": {"kind": "constant", "scale": 1}},
                {"guidance": {"kind": "constant", "scale": 1}},
            )
        },
        ("sigma-range", "sample", "stages"),
    ),
    "a part that begins beyond the model's noise levels": Case(
        {"sample": sampler({"sigma_start": 90.0}, kind="sd.sampler_advanced")},
        ("sigma-range", "sample", "sigma_start"),
    ),
    "a part that ends below the model's noise levels": Case(
        {"sample": sampler({"sigma_end": 0.001}, kind="sd.sampler_advanced")}, ("sigma-range", "sample", "sigma_end")
    ),
    "more steps than consistency models are distilled at": Case(
        {"sample": sampler({"solver": "lcm", "steps": 51})}, ("steps-out-of-range", "sample", "steps")
    ),
    "more steps of an upscale than consistency models are distilled at": Case(
        {
            "up": node(
                "image.tile_upscale",
                {"guidance": 1, "solver": "tcd", "steps": 60},
                image="photo.image",
                denoiser="sd.denoiser",
                vae="sd.vae",
                positive="prompt.conditioning",
            ),
        },
        ("steps-out-of-range", "up", "steps"),
    ),
    "a part of custom noise levels by noise levels": Case(
        {"sample": sampler({"custom_timesteps": [900.0, 400.0], "sigma_start": 5.0}, kind="sd.sampler_advanced")},
        ("part-ambiguous", "sample", "sigma_start"),
    ),
    "steps of a schedule that are none": Case(
        {"sample": sampler({"first_step": 20}, kind="sd.sampler_advanced")},
        ("steps-of-schedule", "sample", "first_step"),
    ),
    "a part by steps and by noise levels": Case(
        {"sample": sampler({"first_step": 2, "sigma_end": 1.0}, kind="sd.sampler_advanced")},
        ("part-ambiguous", "sample", "sigma_end"),
    ),
    "a solver of another kind of model": Case(
        {"sd": model("flux"), "sample": sampler({"solver": "ddim"})}, ("solver-family", "sample", "solver")
    ),
    "noise levels of another kind of model": Case(
        {"sd": model("flux"), "sample": sampler({"sigmas": "ays_sd1"})}, ("sigmas-family", "sample", "sigmas")
    ),
    "the shift of another kind of model": Case(
        {"sample": staged({"shift": 3.0, "guidance": {"kind": "constant", "scale": 1}})},
        ("shift-family", "sample", "stages"),
    ),
    "a shift of the plain sampler for another kind of model": Case(
        {"sample": sampler({"shift": 3.0})}, ("shift-family", "sample", "shift")
    ),
    "tiles of which the model sees nothing": Case(
        {"sample": sampler({"tile_px": 16})}, ("tile-size", "sample", "tile_px")
    ),
    "tiles that share all": Case(
        {"sample": sampler({"tile_px": 64, "overlap_px": 64})}, ("tile-overlap", "sample", "overlap_px")
    ),
    # guidance
    "perturbed attention in a block that the model has not": Case(
        {"sample": guided("pag", layers=["up.7"])}, ("attention-layers", "sample", "guider")
    ),
    "layers to skip of another family": Case(
        {"sample": guided("slg", layers=["single.0"])}, ("attention-layers", "sample", "guider")
    ),
    "smoothed energy in a block that the model has not": Case(
        {"sample": guided("seg", layers=["mid", "down.9"])}, ("attention-layers", "sample", "guider")
    ),
    "perturbed attention of a stage in a block that the model has not": Case(
        {
            "sample": staged({"guider": {"kind": "pag", "layers": ["up.7"]}})
            | {"links": sampler(negative="prompt.conditioning")["links"]}
        },
        ("attention-layers", "sample", "stages"),
    ),
    "autoguidance without a weaker model or such a block": Case(
        {"sample": guided("autoguidance", layers=["blocks.3"])}, ("attention-layers", "sample", "guider")
    ),
    "CFG++ with a solver that puts no noise back": Case(
        {"sample": guided("cfg_pp") | {"values": {"guider": {"kind": "cfg_pp"}, "solver": "heun"}}},
        ("guider-solver", "sample", "guider"),
    ),
    "guidance without a negative prompt": Case(
        {"sample": sampler({"guidance": 5})}, ("negative-missing", "sample", "negative")
    ),
    "a weaker model of another family": Case(
        {"xl": model("sdxl"), "sample": guided("autoguidance") | {"links": sampler(weak="xl.denoiser")["links"]}},
        ("weak-mismatch", "sample", "weak"),
    ),
    "a stage for a refiner that is not there": Case(
        {"sample": staged({"model": "refiner", "guidance": {"kind": "constant", "scale": 1}})},
        ("refiner-missing", "sample", "refiner"),
    ),
    # prompts
    "a prompt of another family": Case(
        {
            "xl": model("sdxl"),
            "prompt": node("sd.encode_text", {"prompt": "a cat"}, text_encoder="xl.text_encoder"),
        },
        ("conditioning-width", "sample", "positive"),
    ),
    "a learnt word that was not loaded": Case(
        {"prompt": node("sd.encode_text", {"prompt": "a (embedding:bee:1.2)"}, text_encoder="sd.text_encoder")},
        ("prompt-embedding", "prompt", "prompt"),
    ),
    "more layers to skip than there are": Case(
        {"prompt": node("sd.encode_text", {"prompt": "a cat", "clip_skip": 11}, text_encoder="sd.text_encoder")},
        ("clip-skip", "prompt", "clip_skip"),
    ),
    "an area that begins beyond the picture": Case(
        {"part": node("conditioning.area", {"left": 1.5}, conditioning="prompt.conditioning")},
        ("conditioning-area", "part", "left"),
    ),
    "a part of sampling that never comes": Case(
        {"part": node("conditioning.range", {"start": 0.6, "end": 0.2}, conditioning="prompt.conditioning")},
        ("conditioning-range", "part", "end"),
    ),
    # patches and control
    "a LoRA of another model": Case(
        {
            "lora": node(
                "model.lora",
                {"source": "builtin:shapes/lora_neon"},
                denoiser="sd.denoiser",
                text_encoder="sd.text_encoder",
            )
        },
        ("lora-mismatch", "lora", "source"),
    ),
    "merged tokens of a transformer": Case(
        {"flux": model("flux"), "short": node("model.merge_tokens", denoiser="flux.denoiser")},
        ("shortcut-family", "short", "denoiser"),
    ),
    "reused features of a transformer": Case(
        {"sd3": model("sd3"), "short": node("model.reuse_features", denoiser="sd3.denoiser")},
        ("shortcut-family", "short", "denoiser"),
    ),
    "attention of a transformer to few keys": Case(
        {"flux": model("flux"), "short": node("model.top_k_attention", denoiser="flux.denoiser")},
        ("shortcut-family", "short", "denoiser"),
    ),
    "attention of a transformer by random features": Case(
        {"sd3": model("sd3"), "short": node("model.linear_attention", denoiser="sd3.denoiser")},
        ("shortcut-family", "short", "denoiser"),
    ),
    "heads pruned from a transformer": Case(
        {"flux": model("flux"), "short": node("model.prune_heads", denoiser="flux.denoiser")},
        ("pruning-family", "short", "denoiser"),
    ),
    "channels pruned from a transformer": Case(
        {"sd3": model("sd3"), "short": node("model.prune_channels", denoiser="sd3.denoiser")},
        ("pruning-family", "short", "denoiser"),
    ),
    "a ControlNet of another family": Case(
        {
            "net": node("control.load", {"source": "synthetic:sdxl-tiny/controlnet_canny"}),
            "applied": node("control.apply", net="net.net", image="photo.image"),
            "sample": CONTROLLED,
        },
        ("control-mismatch", "sample", "control"),
    ),
    "a control picture of another size": Case(
        {
            "net": CANNY,
            "applied": node("control.apply", net="net.net", image="small.image"),
            "sample": CONTROLLED,
        },
        ("control-size", "sample", "control"),
    ),
    "two control pictures for one result": Case(
        {"net": CANNY, "applied": node("control.apply", net="net.net", image="two.image"), "sample": CONTROLLED},
        ("control-batch", "sample", "control"),
    ),
    "a control picture's mask of another size": Case(
        {
            "net": CANNY,
            "applied": node("control.apply", net="net.net", image="photo.image", mask="narrow.mask"),
        },
        ("control-mask", "applied", "mask"),
    ),
    "a ControlNet for inpainting without a mask": Case(
        {
            "net": node("control.load", {"source": "synthetic:sd3-tiny/controlnet_inpaint"}),
            "applied": node("control.apply", net="net.net", image="photo.image"),
        },
        ("control-mask", "applied", "mask"),
    ),
    "a mask for a ControlNet that sees whole pictures": Case(
        {
            "net": node("control.load", {"source": "synthetic:flux-tiny/controlnet_canny"}),
            "applied": node("control.apply", net="net.net", image="photo.image", mask="mask.mask"),
        },
        ("control-mask", "applied", "mask"),
    ),
    "a union ControlNet that is not told what its picture shows": Case(
        {
            "net": node("control.load", {"source": "synthetic:sdxl-tiny/controlnet_union"}),
            "applied": node("control.apply", net="net.net", image="photo.image"),
        },
        ("control-kind", "applied", "shows"),
    ),
    "a control that ends before it begins": Case(
        {
            "net": CANNY,
            "applied": node("control.apply", {"start": 0.8, "end": 0.2}, net="net.net", image="photo.image"),
        },
        ("control-range", "applied", "end"),
    ),
    "an adapter's picture of another size": Case(
        {
            "net": node("control.load_t2i_adapter", {"source": T2I}),
            "applied": node("control.apply_t2i_adapter", adapter="net.adapter", image="small.image"),
            "sample": CONTROLLED,
        },
        ("control-size", "sample", "control"),
    ),
    "an image prompt's mask of another size": Case(
        ip_adapter(mask="narrow.mask"), ("control-size", "sample", "control")
    ),
    "an image prompt for an adapter of another kind": Case(
        ip_adapter("synthetic:sd15-tiny/ip_adapter_plus", seen_by="other"), ("image-prompt", "applied", "prompt")
    ),
    "an IP-Adapter of another family": Case(
        ip_adapter("synthetic:sdxl-tiny/ip_adapter"), ("control-mismatch", "sample", "control")
    ),
    "an IP-Adapter without an image prompt": Case(
        {
            "adapter": node("control.load_ip_adapter", {"source": IP}),
            "applied": node("control.apply_ip_adapter", adapter="adapter.adapter"),
        },
        ("input-missing", "applied", "prompt"),
    ),
    "an enlarged picture beyond what is drawn": Case(
        {
            "large": node("image.resize", {"width_px": 8192, "height_px": 8}, image="photo.image"),
            "up": node(
                "image.tile_upscale",
                {"guidance": 1, "factor": 4},
                image="large.image",
                denoiser="sd.denoiser",
                vae="sd.vae",
                positive="prompt.conditioning",
            ),
        },
        ("upscale-too-large", "up", "factor"),
    ),
}


@pytest.fixture
def nothing_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a model, or asking for one, fails the test."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the check asked for a model's weights")

    monkeypatch.setattr(ModelPool, "lease", refuse)
    monkeypatch.setattr(load, "load_model", refuse)


def problems(registry: Registry, nodes: dict[str, Any]) -> list[Found]:
    document = load_document({"schema": SCHEMA, "nodes": {**DRAW, **nodes}, "outputs": {"image": "image.image"}})
    return [(found.code, found.node, found.port) for found in check_workflow(document, registry).problems]


@pytest.mark.usefixtures("nothing_loads")
def test_the_plain_drawing_has_no_problem(registry: Registry) -> None:
    assert problems(registry, {}) == []


@pytest.mark.usefixtures("nothing_loads")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_cannot_work_is_a_problem_before_anything_runs(registry: Registry, case: Case) -> None:
    assert problems(registry, case.nodes) == [case.found]


@pytest.mark.parametrize("text", ["", "word " * 10_000, "(" * 10_000, "embedding: of words"])
def test_a_prompt_may_be_empty_or_as_long_as_it_likes(registry: Registry, text: str) -> None:
    nodes = {"prompt": node("sd.encode_text", {"prompt": text}, text_encoder="sd.text_encoder")}
    assert problems(registry, nodes) == []


def test_what_only_the_run_can_tell_is_left_to_it(registry: Registry) -> None:
    """The part that a mask covers has a size that depends on the mask."""
    cut = {
        "cut": node("image.crop_to_mask", image="photo.image", mask="mask.mask"),
        "start": node("sd.inpaint_latents", vae="sd.vae", image="cut.image", mask="narrow.mask"),
    }
    assert problems(registry, cut) == []


def test_a_picture_on_its_side_counts_upright(registry: Registry, tmp_path: Path) -> None:
    picture = Pillow.fromarray(np.zeros((64, 128, 3), np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    upright = {
        "photo": node("image.load", {"file": str(tmp_path / "turned.jpg")}),
        "mask": node("mask.draw", {"width_px": 64, "height_px": 128}),
        "start": node("sd.inpaint_latents", vae="sd.vae", image="photo.image", mask="mask.mask"),
        "narrow": node("mask.draw", image="photo.image"),
    }
    assert problems(registry, upright) == []


def test_empty_latents_below_a_strength_of_1_are_warned_of(registry: Registry) -> None:
    found = problems(registry, {"sample": sampler({"strength": 0.5})})
    assert found == [("strength-without-picture", "sample", "strength")]
