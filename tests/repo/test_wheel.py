"""What a wheel contains: both packages with everything they need at run time, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.repo.project import PACKAGES, ROOT, project_files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Files of the wheel and their sizes."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with ZipFile(path) as archive:
        return {entry.filename: entry.file_size for entry in archive.infolist()}


def in_wheel(path: Path, package: Path) -> str:
    return path.relative_to(package.parent).as_posix()


def test_the_wheel_has_every_file_of_both_packages(wheel: dict[str, int]) -> None:
    wanted = {
        in_wheel(path, package) for package in PACKAGES for path in project_files() if path.is_relative_to(package)
    }
    assert {"sdgraph/py.typed", "sdgraph_nodes/py.typed", "sdgraph/core/workflow.schema.json"} <= wanted
    assert wanted - wheel.keys() == set()


def test_the_wheel_has_nothing_else(wheel: dict[str, int]) -> None:
    tops = {name.split("/")[0] for name in wheel if ".dist-info/" not in name}
    assert tops == {"sdgraph", "sdgraph_nodes"}
    assert not [name for name in wheel if "__pycache__" in name]


def test_the_built_in_model_is_in_the_wheel_and_small(wheel: dict[str, int]) -> None:
    sizes = {name: size for name, size in wheel.items() if name.startswith("sdgraph/assets/shapes/")}
    parts = {name.split("/")[3] for name in sizes}
    assert {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= parts
    assert sum(sizes.values()) <= 30_000_000


def test_the_licence_travels_with_the_wheel(wheel: dict[str, int]) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in wheel)


def test_the_built_editor_is_in_the_wheel(wheel: dict[str, int]) -> None:
    files = {name for name in wheel if name.startswith("sdgraph/assets/web/")}
    assert "sdgraph/assets/web/index.html" in files, "run `make web` first"
    assert {name.rsplit(".", 1)[1] for name in files} >= {"js", "css", "woff2", "svg"}
    assert not [name for name in files if name.endswith(".map")]
