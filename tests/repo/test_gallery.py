"""Every workflow that ships is in the gallery, with a picture that exists where its model draws one."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.repo.project import ROOT, text_of

GALLERY = "docs/guide/gallery.md"
WORKFLOWS = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
DRAWN = [workflow for workflow in WORKFLOWS if "synthetic:" not in text_of(f"workflows/{workflow}.json")]
"""The others have a model of random weights, whose pictures show nothing."""


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_is_in_the_gallery_with_its_picture(workflow: str) -> None:
    section = re.search(rf"^## {workflow}$(.*?)(?=^## |\Z)", text_of(GALLERY), re.MULTILINE | re.DOTALL)
    assert section is not None
    expected = f"](../pictures/{workflow}.png)" if workflow in DRAWN else "random weights"
    assert expected in section[1]


def test_every_picture_of_the_documents_is_shown_and_is_a_picture() -> None:
    pictures = sorted((ROOT / "docs" / "pictures").glob("*.png"))
    shown = text_of(GALLERY) + text_of("README.md")
    assert len(pictures) > len(DRAWN)
    for path in pictures:
        assert f"pictures/{path.name})" in shown
        with Image.open(path) as picture:
            assert min(picture.size) >= 256


def test_every_picture_of_the_editor_is_shown_in_both_themes() -> None:
    guide = text_of("docs/guide/editor.md")
    shown = set(re.findall(r"\.\./pictures/editor/(\w+\.png)", guide))
    assert shown == {path.name for path in (ROOT / "docs" / "pictures" / "editor").glob("*")}
    views = {name.rsplit("_", 1)[0] for name in shown}
    assert {f"{view}_{theme}.png" for view in views for theme in ("light", "dark")} == shown
