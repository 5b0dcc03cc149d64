"""`sdgraph run` with toys: what is written, printed, and returned."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdgraph.core.pngmeta import read_png_text
from tests.cli.conftest import Command, node

Write = Callable[..., Path]


@pytest.fixture
def picture(write: Write) -> Path:
    """A number that feeds a picture, which is saved and named."""
    return write(
        {
            "sum": node("toy.add"),
            "fill": node("toy.fill", {"after": "sum.value"}),
            "save": node("image.save", {"image": "fill.image"}, filename="kept"),
        },
        inputs={"red": "fill.red", "seed": "fill.seed", "name": "save.filename"},
        outputs={"image": "fill.image", "number": "sum.value"},
    )


def test_a_run_prints_its_files_and_values_and_nothing_else(sdgraph: Command, picture: Path) -> None:
    done = sdgraph("run", picture)
    assert done.code == 0
    assert done.out.splitlines() == ["output/kept.png", "number: 3"]
    assert Path("output/kept.png").exists()


def test_progress_goes_to_stderr_one_line_for_each_node(sdgraph: Command, picture: Path) -> None:
    lines = sdgraph("run", picture).err.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["ran", "sum"], ["ran", "fill"], ["ran", "save"]]
    assert lines[-1].startswith("done in ")


def test_the_json_object_is_the_contract(sdgraph: Command, picture: Path) -> None:
    found = sdgraph("run", picture, "--json", "-o", "out").json
    assert set(found) == {
        "run_id", "status", "outputs", "nodes", "elapsed_s", "peak_memory_bytes", "resources", "problems",
    }  # fmt: skip
    assert found["status"] == "done"
    assert found["outputs"] == {"image": ["out/kept.png"], "number": [3]}
    assert set(found["nodes"]["fill"]) == {"status", "store", "code", "reason", "key", "elapsed_s"}
    assert found["nodes"]["fill"]["status"] == "ran"
    assert found["elapsed_s"] > 0
    assert found["peak_memory_bytes"] > 2**20
    assert found["problems"] == []


def test_a_second_run_is_all_hits_and_writes_the_same_bytes_again(sdgraph: Command, picture: Path) -> None:
    sdgraph("run", picture)
    before = Path("output/kept.png").read_bytes()
    Path("output/kept.png").unlink()
    again = sdgraph("run", picture, "--json").json
    assert {name: report["status"] for name, report in again["nodes"].items()} == dict.fromkeys(
        ("sum", "fill", "save"), "hit"
    )
    assert Path("output/kept.png").read_bytes() == before


def test_another_file_name_runs_nothing_and_writes_that_file(sdgraph: Command, picture: Path) -> None:
    sdgraph("run", picture)
    again = sdgraph("run", picture, "-i", "name=other", "--json").json
    assert {report["status"] for report in again["nodes"].values()} == {"hit"}
    assert again["outputs"]["image"] == ["output/other.png"]


def test_a_picture_that_no_node_saves_is_written_under_its_outputs_name(sdgraph: Command, write: Write) -> None:
    path = write(
        {"fill": node("toy.fill", batch=2), "mask": node("toy.mask")},
        outputs={"image": "fill.image", "where": "mask.mask"},
    )
    assert sdgraph("run", path, "--json").json["outputs"] == {
        "image": ["output/image_0001.png", "output/image_0002.png"],
        "where": ["output/where.png"],
    }


def test_an_output_never_overwrites_what_a_node_saved(sdgraph: Command, write: Write) -> None:
    nodes = {
        "small": node("toy.fill", edge_px=4),
        "large": node("toy.fill", edge_px=9),
        "save": node("image.save", {"image": "small.image"}, filename="image"),
    }
    path = write(nodes, outputs={"image": "large.image"})
    done = sdgraph("run", path)
    assert done.out.splitlines() == ["output/image.png", "output/image_2.png"]


def test_two_nodes_that_save_under_one_name_are_warned_about(sdgraph: Command, write: Write) -> None:
    nodes = {
        "small": node("toy.fill", edge_px=4),
        "large": node("toy.fill", edge_px=9),
        "a": node("image.save", {"image": "small.image"}),
        "b": node("image.save", {"image": "large.image"}),
    }
    done = sdgraph("run", write(nodes), "--json")
    assert done.codes == ["file-overwritten"]
    assert done.json["status"] == "done"


def test_only_makes_one_output_and_what_it_needs(sdgraph: Command, picture: Path) -> None:
    found = sdgraph("run", picture, "--only", "number", "--json").json
    assert found["outputs"] == {"number": [3]}
    assert found["nodes"]["fill"]["status"] == "skipped"
    assert not Path("output").exists()


def test_only_writes_a_picture_whose_saving_node_was_not_asked_for(sdgraph: Command, picture: Path) -> None:
    assert sdgraph("run", picture, "--only", "image", "--json").json["outputs"] == {"image": ["output/image.png"]}


def test_inputs_come_from_a_file_and_i_goes_before_it(sdgraph: Command, picture: Path) -> None:
    Path("inputs.json").write_text(json.dumps({"red": 0.25, "seed": 5}))
    sdgraph("run", picture, "--inputs", "inputs.json", "-i", "seed=7")
    texts = read_png_text(Path("output/kept.png").read_bytes())
    assert json.loads(texts["sdgraph.inputs"]) == {"name": "kept", "red": 0.25, "seed": 7}


def test_a_picture_carries_what_it_was_made_of(sdgraph: Command, picture: Path) -> None:
    sdgraph("run", picture, "-i", "seed=7", "-i", "red=0.75")
    texts = read_png_text(Path("output/kept.png").read_bytes())
    assert set(texts) == {"sdgraph.workflow", "sdgraph.inputs", "sdgraph.seeds", "sdgraph.version"}
    assert json.loads(texts["sdgraph.seeds"]) == {"fill.seed": 7}
    assert json.loads(texts["sdgraph.workflow"])["nodes"]["fill"]["values"] == {"red": 0.75, "seed": 7}
    assert str(Path.cwd()) not in str(texts)


def test_a_picture_opens_as_the_workflow_that_made_it(sdgraph: Command, picture: Path) -> None:
    sdgraph("run", picture, "-i", "seed=7", "-i", "red=0.75")
    again = sdgraph("run", "output/kept.png", "-o", "again", "--json").json
    assert {report["status"] for report in again["nodes"].values()} == {"hit"}
    first, second = (Path(folder, "kept.png").read_bytes() for folder in ("output", "again"))
    assert first == second


def test_a_picture_of_a_workflow_in_several_files_opens_anywhere(
    sdgraph: Command, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inner = {"fill": node("toy.fill", {}, edge_px=5)}
    middle = {"a": {"type": "graph:inner", "links": {}}}
    write(
        middle,
        "parts.json",
        graphs={"inner": {"nodes": inner, "inputs": {"red": "fill.red"}, "outputs": {"image": "fill.image"}}},
        inputs={"red": "a.red"},
        outputs={"image": "a.image"},
    )
    uses = {"one": {"type": "graph:parts.json", "values": {"red": 0.1}}, "two": {"type": "graph:inner"}}
    own = {"inner": {"nodes": {"fill": node("toy.fill", edge_px=6)}, "outputs": {"image": "fill.image"}}}
    path = write(uses, graphs=own, outputs={"one": "one.image", "two": "two.image"})
    assert sdgraph("run", path, "-o", tmp_path / "first").code == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    again = sdgraph("run", tmp_path / "first" / "one.png", "-o", tmp_path / "second", "--json")
    assert {report["status"] for report in again.json["nodes"].values()} == {"hit"}
    for name in ("one.png", "two.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_workflow_comes_from_standard_input(sdgraph: Command, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (picture.read_bytes(), None):
        given = content or Path("output/kept.png").read_bytes()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        assert sdgraph("run", "-", "--json").json["outputs"]["image"] == ["output/kept.png"]


def test_without_a_cache_everything_runs_every_time(sdgraph: Command, picture: Path, tmp_path: Path) -> None:
    for _ in range(2):
        found = sdgraph("run", picture, "--cache", "off", "--json").json
        assert {report["status"] for report in found["nodes"].values()} == {"ran"}
    assert not (tmp_path / "home" / "results").exists()


def test_a_failing_node_stops_only_what_depends_on_it(sdgraph: Command, write: Write) -> None:
    path = write(
        {"bad": node("toy.fail"), "after": node("toy.add", {"a": "bad.value"}), "fill": node("toy.fill")},
        outputs={"image": "fill.image", "sum": "after.value"},
    )
    done = sdgraph("run", path, "--json")
    assert done.code == 1
    assert done.json["status"] == "partial"
    assert done.json["outputs"] == {"image": ["output/image.png"]}
    assert {name: report["status"] for name, report in done.json["nodes"].items()} == {
        "bad": "failed", "after": "skipped", "fill": "ran",
    }  # fmt: skip
    assert done.json["problems"] == [
        {
            "code": "toy-broken", "message": "The toy is broken.", "hint": "Mend it.",
            "node": "bad", "port": "value", "severity": "error",
        }
    ]  # fmt: skip
    assert "`bad.value`: The toy is broken. Mend it. [toy-broken]" in done.err


def test_when_nothing_could_be_made_the_run_has_failed(sdgraph: Command, write: Write) -> None:
    done = sdgraph("run", write({"bad": node("toy.fail", known=False)}, outputs={"sum": "bad.value"}), "--json")
    assert (done.code, done.json["status"], done.codes) == (1, "failed", ["node-failed"])
    assert "Traceback" not in done.err


def test_values_that_json_lacks_are_still_json(sdgraph: Command, write: Write) -> None:
    nodes: dict[str, Any] = {"sum": node("toy.add"), "sd": node("sd.empty_latents", width_px=16, height_px=16)}
    found = sdgraph("run", write(nodes, outputs={"latents": "sd.latents"}), "--json").json
    assert found["outputs"] == {"latents": [{"type": "Latents"}]}
