"""Documents link to files that exist, and decisions are all listed."""

from __future__ import annotations

import re

import pytest

from tests.repo.project import ROOT, project_files, shown, text_of

DOCUMENTS = [shown(path) for path in project_files() if path.suffix == ".md"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_file_of_the_project_leads_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(document))
    missing = [target for target in targets if "://" not in target and not (folder / target).exists()]
    assert not missing


def test_every_decision_is_listed() -> None:
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", text_of("docs/adr/README.md"))
    assert listed == sorted(path.name for path in (ROOT / "docs" / "adr").glob("0*.md"))


def test_every_decision_has_a_number_of_its_own() -> None:
    entries = re.findall(r"^(\d+)\. \[.+?\]\(0*(\d+)-", text_of("docs/adr/README.md"), re.MULTILINE)
    assert entries == [(str(number), str(number)) for number in range(1, len(entries) + 1)]
