"""What the inpainting workflows promise about pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdgraph.core.document import WorkflowDocument, load_document, to_data
from tests.workflows.runner import Session, tiny


def with_outputs(document: WorkflowDocument, **outputs: str) -> WorkflowDocument:
    data = to_data(document)
    data["outputs"] = {**data["outputs"], **outputs}
    return load_document(data)


def test_inpainting_keeps_every_pixel_outside_of_the_mask_bit_for_bit() -> None:
    document = with_outputs(tiny("inpaint"), given="resized.image", mask="soft.mask")
    found: Any = Session().run(document).outputs
    outside = np.broadcast_to(found["mask"].values == 0, found["given"].pixels.shape)
    assert outside.any()
    assert np.array_equal(found["image"].pixels[outside], found["given"].pixels[outside])
    assert not np.isclose(found["image"].pixels[~outside], found["given"].pixels[~outside]).all()


def test_outpainting_keeps_the_picture_and_draws_the_room() -> None:
    document = with_outputs(tiny("outpaint"), given="resized.image", mask="padded.mask")
    found: Any = Session().run(document).outputs
    assert found["image"].width_px == found["given"].width_px + 32
    kept = found["mask"].values[0, 0, 0] == 0
    inside = found["image"].pixels[..., :64][..., kept[:64]]
    assert np.array_equal(inside, found["given"].pixels[..., kept[:64]])


def test_variations_begin_with_the_picture_of_the_seed_and_end_with_that_of_the_other() -> None:
    session = Session()
    forwards: Any = session.run(tiny("variations"), {"seed": 4, "variation_seed": 9}).outputs["image"].pixels
    backwards: Any = session.run(tiny("variations"), {"seed": 9, "variation_seed": 4}).outputs["image"].pixels
    assert np.abs(forwards[..., :64] - backwards[..., -64:]).max() <= 2e-4
    assert np.abs(forwards[..., -64:] - backwards[..., :64]).max() <= 2e-4
    assert not np.allclose(forwards[..., :64], forwards[..., -64:])
