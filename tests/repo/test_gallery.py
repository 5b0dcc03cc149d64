"""Every workflow that ships is in the gallery, with a picture that exists."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.repo.project import ROOT, text_of

GALLERY = "docs/guide/gallery.md"
WORKFLOWS = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_is_in_the_gallery_with_its_picture(workflow: str) -> None:
    section = re.search(rf"^## {workflow}$(.*?)(?=^## |\Z)", text_of(GALLERY), re.MULTILINE | re.DOTALL)
    assert section is not None
    assert f"](../pictures/{workflow}.png)" in section[1]


def test_every_picture_of_the_documents_is_shown_and_is_a_picture() -> None:
    pictures = sorted((ROOT / "docs" / "pictures").glob("*"))
    shown = text_of(GALLERY) + text_of("README.md")
    assert len(pictures) > len(WORKFLOWS)
    for path in pictures:
        assert f"pictures/{path.name})" in shown
        with Image.open(path) as picture:
            assert min(picture.size) >= 256
