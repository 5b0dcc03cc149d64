"""The commands that the documents name are the commands that there are."""

from __future__ import annotations

import os
import re

import pytest

from tests.repo.project import ROOT, project_files, shown, text_of

DOCUMENTS = [shown(path) for path in project_files() if path.suffix == ".md"]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", text_of("Makefile"), re.MULTILINE))


def test_the_targets_that_people_expect_are_there() -> None:
    assert {"setup", "demo", "test", "check", "train-shapes", "web"} <= targets()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_command_in_a_document_is_a_target(document: str) -> None:
    # In code only: prose may say "make sure".
    code = re.findall(r"```.*?```|`[^`\n]+`", text_of(document), re.DOTALL)
    named = {target for part in code for target in re.findall(r"(?:^|[`\n])make ([a-z][a-z-]*)", part)}
    assert named <= targets()


def test_make_help_lists_every_target_for_people() -> None:
    described = set(re.findall(r'@echo "make ([a-z-]+)', text_of("Makefile")))
    parts_of_check = {"help", "lint", "types", "layers", "tests"}
    assert described == targets() - parts_of_check


def test_every_target_is_declared_phony() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", text_of("Makefile"), re.MULTILINE)
    assert declared is not None
    assert set(declared[1].split()) == targets()


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "make test"


def test_make_test_checks_style_types_layers_and_behaviour() -> None:
    makefile = text_of("Makefile")
    assert re.search(r"^test: check web-check tests$", makefile, re.MULTILINE)
    assert re.search(r"^check: lint types layers$", makefile, re.MULTILINE)
    for tool in ("ruff check", "ruff format --check", "pyright", "lint-imports", "pytest"):
        assert re.search(rf"^\t(?:[A-Z_]+=\S+ )?\$\(BIN\)/{tool}", makefile, re.MULTILINE), tool


def test_every_program_that_a_target_runs_exists_and_every_benchmark_is_run() -> None:
    programs = re.findall(r"\$\(BIN\)/python -m ([\w.]+)", text_of("Makefile"))
    assert programs
    for program in programs:
        path = ROOT / program.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), program
    found = (ROOT / "benchmarks").glob("[!_]*.py")
    benchmarks = {f"benchmarks.{path.stem}" for path in found if '__name__ == "__main__"' in path.read_text()}
    assert benchmarks <= set(programs)
