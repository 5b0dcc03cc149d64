"""Adapters as nodes: chains of every kind of control, image prompts, and what is refused before anything runs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from sdgraph_nodes.control import ApplyControl
from sdgraph_nodes.ip_adapter import ApplyIPAdapter, EncodeImagePrompt, LoadImageEncoder, LoadIPAdapter
from sdgraph_nodes.t2i_adapter import ApplyT2IAdapter, LoadT2IAdapter

from sdgraph.core.build import check_workflow
from sdgraph.core.document import SCHEMA, load_document
from sdgraph.core.registry import Registry
from sdgraph.payloads.control import ControlBranch, IPAdapterBranch, T2IAdapterBranch
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import SOURCE, context, controlnet

LARGE = "synthetic:sdxl-tiny"


def out(node: Any) -> Any:
    return node.run(context())


@cache
def t2i_adapter() -> Any:
    return out(LoadT2IAdapter(source=f"{SOURCE}/t2i_adapter")).adapter


@cache
def ip_adapter(kind: str = "ip_adapter") -> Any:
    return out(LoadIPAdapter(source=f"{SOURCE}/{kind}")).adapter


def prompt(image: Image, kind: str = "ip_adapter") -> Any:
    encoder = out(LoadImageEncoder(source=f"{SOURCE}/image_encoder")).encoder
    return out(EncodeImagePrompt(encoder=encoder, adapter=ip_adapter(kind), image=image)).prompt


def test_controls_of_every_kind_are_chained_in_order() -> None:
    picture, mask = noise(8, 8), Mask(np.ones((1, 1, 8, 8), np.float32))
    first = out(ApplyControl(net=controlnet(), image=picture, mode="control")).control
    second = out(ApplyT2IAdapter(adapter=t2i_adapter(), image=picture, control=first, strength=0.5, end=0.6)).control
    like = ApplyIPAdapter(adapter=ip_adapter(), prompt=prompt(picture), control=second, mask=mask, start=0.2)
    branches = out(like).control.branches
    assert [type(branch) for branch in branches] == [ControlBranch, T2IAdapterBranch, IPAdapterBranch]
    assert branches[0].mode == "control"
    assert (branches[1].strength, branches[1].start, branches[1].end) == (0.5, 0.0, 0.6)
    assert (branches[2].strength, branches[2].start, branches[2].end) == (1.0, 0.2, 1.0)
    assert branches[2].mask is mask


def test_a_batch_of_pictures_is_one_image_prompt() -> None:
    two = Image(np.concatenate([noise(40, 30).pixels, noise(40, 30, seed=1).pixels]))
    whole, patches = prompt(two), prompt(two, "ip_adapter_plus")
    assert whole.features.shape == (2, 24)
    assert patches.features.shape == (2, 17, 16)
    assert not whole.negative.any()
    assert np.array_equal(patches.negative[0], patches.negative[1])
    assert not np.allclose(whole.features[0], whole.features[1])


def test_pictures_are_encoded_as_alone_whatever_their_batch() -> None:
    two = Image(np.concatenate([noise(40, 30).pixels, noise(40, 30, seed=1).pixels]))
    assert np.allclose(prompt(two).features[1:], prompt(Image(two.pixels[1:])).features, atol=1e-5)


def node(kind: str, values: dict[str, Any] | None = None, /, **links: str) -> dict[str, Any]:
    return {"type": kind, "values": values or {}, "links": links}


def problems(nodes: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """What is wrong with a sampler that takes the control of the node `applied`."""
    drawing = {
        "sd": node("sd.load_checkpoint", {"source": SOURCE}),
        "text": node("sd.encode_text", {"prompt": "a cat"}, text_encoder="sd.text_encoder"),
        "start": node("sd.empty_latents", {"width_px": 256, "height_px": 256}),
        "photo": node("image.load", {"file": "builtin:star.png"}),
        "sample": node(
            "sd.sampler",
            {"guidance": 1},
            denoiser="sd.denoiser",
            positive="text.conditioning",
            latents="start.latents",
            control="applied.control",
        ),
    }
    document = {"schema": SCHEMA, "nodes": {**drawing, **nodes}, "outputs": {"latents": "sample.latents"}}
    found = check_workflow(load_document(document), Registry.installed())
    return [(problem.code, problem.node, problem.port) for problem in found.errors]


def t2i_nodes(source: str, **values: Any) -> dict[str, Any]:
    return {
        "net": node("control.load_t2i_adapter", {"source": f"{source}/t2i_adapter"}),
        "applied": node("control.apply_t2i_adapter", values, adapter="net.adapter", image="photo.image"),
    }


def ip_nodes(adapter: str, encoder: str, **values: Any) -> dict[str, Any]:
    return {
        "net": node("control.load_ip_adapter", {"source": adapter}),
        "encoder": node("control.load_image_encoder", {"source": encoder}),
        "like": node("control.encode_image", adapter="net.adapter", encoder="encoder.encoder", image="photo.image"),
        "applied": node("control.apply_ip_adapter", values, adapter="net.adapter", prompt="like.prompt"),
    }


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (t2i_nodes(SOURCE), []),
        (t2i_nodes(LARGE), [("control-mismatch", "sample", "control")]),
        (t2i_nodes(LARGE, strength=0), []),
        (ip_nodes(f"{SOURCE}/ip_adapter", f"{SOURCE}/image_encoder"), []),
        (ip_nodes(f"{LARGE}/ip_adapter", f"{LARGE}/image_encoder"), [("control-mismatch", "sample", "control")]),
    ],
)
def test_an_adapter_of_another_model_is_refused_before_anything_runs(
    nodes: dict[str, Any], expected: list[Any]
) -> None:
    assert problems(nodes) == expected
