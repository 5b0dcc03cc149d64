"""`sdgraph nodes`, `cache`, `export`, `--version` and `--help`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sdgraph import __version__, parse_document
from sdgraph.core.document import to_data
from sdgraph.core.workflow import Workflow
from tests.cli.conftest import Command, node

Write = Callable[..., Path]


def test_the_version_is_printed(sdgraph: Command) -> None:
    assert sdgraph("--version").out == f"sdgraph {__version__}\n"


@pytest.mark.parametrize("command", ["run", "plan", "check", "nodes", "cache", "export"])
def test_help_lists_each_command_with_the_summary_that_it_gives_itself(sdgraph: Command, command: str) -> None:
    assert any(line.split()[:1] == [command] for line in sdgraph("--help").out.splitlines())
    done = sdgraph(command, "--help")
    assert done.code == 0
    assert f"Usage: sdgraph {command}" in done.out


def test_without_a_command_the_help_is_shown(sdgraph: Command) -> None:
    assert sdgraph().out == sdgraph("--help").out
    assert sdgraph("cache").out == sdgraph("cache", "--help").out


def test_nodes_are_listed_by_category(sdgraph: Command) -> None:
    done = sdgraph("nodes")
    assert done.code == 0
    assert any(
        line.split()[0] == "toy.add" and line.endswith("The sum of two numbers.")
        for line in done.out.splitlines()
        if line
    )


def test_the_page_of_a_node_shows_ports_with_defaults_and_help(sdgraph: Command) -> None:
    lines = sdgraph("nodes", "toy.add").out.splitlines()
    assert lines[0] == "toy.add  version 1, pack toys"
    assert [line.split() for line in lines if line.startswith("a ")] == [
        ["a", "Int", "1", "px", "(ge", "0,", "le", "1000)", "The", "first", "one."]
    ]
    assert [line.split() for line in lines if line.startswith("value")] == [["value", "Int"]]


def test_the_page_of_a_node_shows_choices(sdgraph: Command) -> None:
    assert "'png' (one of png, jpeg, webp)" in sdgraph("nodes", "image.save").out


def test_the_catalogue_is_json_too(sdgraph: Command) -> None:
    assert "toy.add" in sdgraph("nodes", "--json").json["nodes"]
    assert sdgraph("nodes", "toy.add", "--json").json["type"] == "toy.add"


def test_an_unknown_node_type_has_a_suggestion(sdgraph: Command) -> None:
    done = sdgraph("nodes", "toy.ad", "--json")
    assert (done.code, done.codes) == (2, ["node-type-unknown"])
    assert "'toy.add'" in done.err


@pytest.fixture
def stored(sdgraph: Command, write: Write) -> Path:
    """A store with two results."""
    nodes = {"noise": node("toy.noise"), "fill": node("toy.fill")}
    path = write(nodes, outputs={"noise": "noise.image", "fill": "fill.image"})
    assert sdgraph("run", path).code == 0
    return path


def test_cache_info_tells_what_is_stored_and_where(sdgraph: Command, stored: Path, tmp_path: Path) -> None:
    found = sdgraph("cache", "info", "--json").json
    assert (found["folder"], found["entries"], found["objects"]) == (str(tmp_path / "home" / "results"), 2, 2)
    assert found["nbytes"] > 256 * 256 * 3 * 4
    assert "2 results, " in sdgraph("cache", "info").out


def test_cache_gc_keeps_what_fits_the_budget(sdgraph: Command, stored: Path) -> None:
    done = sdgraph("cache", "gc", "--budget", "100kB", "--json").json
    assert done["removed"] >= 1
    assert done["freed_bytes"] > 256 * 256 * 3 * 4
    assert sdgraph("cache", "info", "--json").json["nbytes"] <= 100_000


def test_cache_gc_without_a_budget_takes_the_setting(
    sdgraph: Command, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sdgraph("cache", "gc", "--json").json["removed"] == 0
    monkeypatch.setenv("SDGRAPH_DISK_BUDGET_BYTES", "1kB")
    assert sdgraph("cache", "gc", "--json").json["removed"] >= 1


def test_cache_verify_removes_what_is_damaged_and_the_next_run_repairs_it(
    sdgraph: Command, stored: Path, tmp_path: Path
) -> None:
    assert sdgraph("cache", "verify").code == 0
    victim = max((tmp_path / "home" / "results").rglob("*.safetensors"), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    done = sdgraph("cache", "verify")
    assert done.code == 1
    assert "1 were damaged" in done.out
    assert "[cache-entry-damaged]" in done.err
    found = sdgraph("run", stored, "--json").json
    assert {name: report["status"] for name, report in found["nodes"].items()} == {"noise": "ran", "fill": "hit"}


def test_cache_clear_removes_everything(sdgraph: Command, stored: Path) -> None:
    assert sdgraph("cache", "clear").out == "removed 2 results\n"
    assert sdgraph("cache", "info", "--json").json["nbytes"] == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--budget", "much"], "size-invalid"),
        (["--cache", "off"], "cache-off"),
        (["--cache", "nothing"], "store-missing"),
        (["--cache", "w.json"], "store-unusable"),
    ],
)
def test_a_wrong_cache_option_is_one_problem(sdgraph: Command, stored: Path, options: list[str], code: str) -> None:
    done = sdgraph("cache", "gc", *options, "--json")
    assert (done.code, done.codes) == (2, [code])


def test_exported_python_builds_the_same_workflow(sdgraph: Command, write: Write) -> None:
    path = write({"n": node("value.int", value=5)}, inputs={"x": "n.value"}, outputs={"y": "n.value"})
    found: dict[str, Workflow] = {}
    exec(sdgraph("export", path, "--python").out, found)
    sdgraph("check", path, "--fix")
    assert to_data(found["wf"].to_document()) == to_data(parse_document(path.read_bytes()))


def test_export_writes_a_file(sdgraph: Command, write: Write) -> None:
    path = write({"n": node("value.int")})
    done = sdgraph("export", path, "--python", "-o", "made.py")
    assert done.out == "made.py\n"
    assert Path("made.py").read_text("utf-8") == sdgraph("export", path, "--python").out


def test_the_program_runs_as_a_process(process: Callable[..., subprocess.Popen[bytes]], write: Write) -> None:
    path = write({"n": node("toy.add")}, outputs={"sum": "n.value"})
    out, err = process("run", path, "--json").communicate()
    assert json.loads(out)["outputs"] == {"sum": [3]}
    assert err.startswith(b"ran ")


def test_cache_show_tells_where_a_result_came_from(sdgraph: Command, write: Write) -> None:
    nodes = {"one": node("toy.add"), "two": node("toy.add", {"a": "one.value"})}
    ran = sdgraph("run", write(nodes, outputs={"one": "one.value", "two": "two.value"}), "--json").json["nodes"]
    shown = sdgraph("cache", "show", ran["two"]["key"][:10], "--json").json
    assert (shown["key"], shown["node_type"], shown["pinned"]) == (ran["two"]["key"], "toy.add", False)
    assert shown["made"]["sources"] == {"a": f"{ran['one']['key']}.value"}
    lines = sdgraph("cache", "show", ran["two"]["key"]).out.splitlines()
    assert lines[1] == "node      toy.add, version 1"
    assert f"from      a: {ran['one']['key']}.value" in lines


def test_a_pinned_result_survives_clear_until_it_is_unpinned(sdgraph: Command, write: Write) -> None:
    key = sdgraph("run", write({"one": node("toy.add")}), "--json").json["nodes"]["one"]["key"]
    assert sdgraph("cache", "pin", key[:8]).out == f"{key} is pinned\n"
    assert sdgraph("cache", "clear", "--json").json == {"removed": 0}
    assert sdgraph("cache", "info", "--json").json["pinned"] == 1
    assert sdgraph("cache", "unpin", key[:8]).out == f"{key} is no longer pinned\n"
    assert sdgraph("cache", "unpin", key[:8]).out == f"{key} was not pinned\n"
    assert sdgraph("cache", "clear", "--json").json == {"removed": 1}
    assert sdgraph("cache", "pin", key[:8], "--cache", "off").code == 2
    assert sdgraph("cache", "pin", key[:8]).code != 0


def test_an_output_of_a_workflow_is_pinned_for_the_inputs_that_it_was_run_with(sdgraph: Command, write: Write) -> None:
    nodes = {"one": node("toy.add"), "two": node("toy.add", {"a": "one.value"})}
    path = write(nodes, inputs={"b": "two.b"}, outputs={"one": "one.value", "two": "two.value"})
    ran = sdgraph("run", path, "-i", "b=7", "--json").json["nodes"]
    key = ran["two"]["key"]
    missing = sdgraph("cache", "pin", path, "--output", "two", "-i", "b=8")
    assert missing.code != 0
    assert "result-missing" in missing.err
    assert sdgraph("cache", "pin", path, "--output", "two", "-i", "b=7").out == f"two ({key}) is pinned\n"
    assert sdgraph("cache", "show", key, "--json").json["pinned"]
    assert sdgraph("cache", "clear", "--json").json == {"removed": 1}
    both = sdgraph("cache", "unpin", path, "--output", "two", "-i", "b=7", "--json").json
    assert both == {"key": key, "pinned": False}
    assert sdgraph("cache", "pin", path, "--output", "three").code == 2
