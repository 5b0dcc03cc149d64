"""Whatever is given, the command answers with one clear message, a stable code and exit code 2, never a traceback."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sdgraph.core.document import MAX_FILE_BYTES
from tests.cli.conftest import Command, node

Write = Callable[..., Path]
Process = Callable[..., "subprocess.Popen[bytes]"]


def damage(node: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {**node, **parts}


_BROKEN_NODES: dict[str, tuple[dict[str, Any], str, str | None, str | None]] = {
    "unknown type": ({"n": node("toy.ad")}, "node-type-unknown", "n", None),
    "newer version": ({"n": damage(node("toy.add"), version=9)}, "node-version-newer", "n", None),
    "unknown port": ({"n": node("toy.add", c=1)}, "port-unknown", "n", "c"),
    "missing input": ({"n": node("image.save")}, "input-missing", "n", "image"),
    "wrong type": ({"n": node("toy.add", a="one")}, "value-invalid", "n", "a"),
    "out of range": ({"n": node("toy.add", a=-1)}, "value-out-of-range", "n", "a"),
    "not finite": ({"n": node("toy.fill", red=float("nan"))}, "value-not-finite", "n", "red"),
    "no such node": ({"n": node("toy.add", {"a": "x.value"})}, "link-node-missing", "n", "a"),
    "no such output": (
        {"m": node("toy.add"), "n": node("toy.add", {"a": "m.sum"})}, "link-output-missing", "n", "a",
    ),
    "wrong link": (
        {"m": node("toy.add"), "n": node("image.save", {"image": "m.value"})}, "port-type-mismatch", "n", "image",
    ),
    "cycle": ({"m": node("toy.add", {"a": "n.value"}), "n": node("toy.add", {"a": "m.value"})}, "cycle", "m", None),
    "missing model": ({"n": node("sd.load_checkpoint", source="builtin:nothing")}, "model-missing", "n", None),
    "missing picture": ({"n": node("image.load", file="gone.png")}, "image-missing", "n", "file"),
    "not a picture": ({"n": node("image.load", file="w.json")}, "image-not-a-picture", "n", "file"),
}  # fmt: skip


@pytest.mark.parametrize("case", _BROKEN_NODES)
def test_a_broken_node_is_named_with_its_port(sdgraph: Command, write: Write, case: str) -> None:
    nodes, code, name, port = _BROKEN_NODES[case]
    path = write(nodes)
    for command in ("run", "plan", "check"):
        done = sdgraph(command, path)
        assert done.code == 2
        said = done.err + done.out
        assert f"[{code}]" in said
        assert f"`{name}.{port}`" in said or port is None
        assert "Traceback" not in said
    (problem,) = [found for found in sdgraph("run", path, "--json").json["problems"] if found["severity"] == "error"]
    assert (problem["code"], problem["node"]) == (code, name)
    assert problem.get("port") == port or port is None


_BROKEN_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not-json"),
    "not JSON": (b"{nodes}", "not-json"),
    "not UTF-8": (b'{"schema": "\xff\xfe"}', "not-json"),
    "no object": (b"[1, 2]", "not-a-workflow"),
    "wrong schema": (b'{"schema": "other@1", "nodes": {}}', "schema-unknown"),
    "newer schema": (b'{"schema": "sdgraph/workflow@2", "nodes": {}}', "schema-newer"),
    "nesting bomb": (b"[" * 500_000, "nested-too-deeply"),
    "nested values": (
        b'{"schema": "sdgraph/workflow@1", "nodes": {"n": {"type": "toy.add", "values": {"a": '
        + b"[" * 200 + b"]" * 200 + b"}}}}",
        "nested-too-deeply",
    ),
    "duplicate id": (
        b'{"schema": "sdgraph/workflow@1", "nodes": {"n": {"type": "toy.add"}, "n": {"type": "toy.fill"}}}',
        "duplicate-id",
    ),
    "odd id": (b'{"schema": "sdgraph/workflow@1", "nodes": {"a/b": {"type": "toy.add"}}}', "node-id-invalid"),
    "other picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "png-without-workflow"),
}  # fmt: skip


@pytest.mark.parametrize("case", _BROKEN_FILES)
@pytest.mark.parametrize("command", ["run", "plan", "check", "export"])
def test_a_broken_file_is_one_message(sdgraph: Command, here: Path, command: str, case: str) -> None:
    content, code = _BROKEN_FILES[case]
    path = here / "broken.json"
    path.write_bytes(content)
    done = sdgraph(command, path, *(["--python"] if command == "export" else []))
    assert done.code == 2
    assert f"[{code}]" in done.err + done.out
    assert "Traceback" not in done.err
    assert len(done.err + done.out) < 1000


def test_all_problems_of_a_file_are_listed_at_once(sdgraph: Command, write: Write) -> None:
    nodes = {"a": node("toy.none"), "b": node("toy.add", a=-1, c=2), "c": node("image.save", {"image": "b.value"})}
    done = sdgraph("run", write(nodes), "--json")
    assert sorted(done.codes) == ["node-type-unknown", "port-type-mismatch", "port-unknown", "value-out-of-range"]
    assert done.err.count("error: ") == 4


def test_a_file_of_50_megabytes_is_refused_unread(sdgraph: Command, here: Path) -> None:
    with (here / "large.json").open("wb") as file:
        file.truncate(50_000_000)
    done = sdgraph("run", "large.json", "--json")
    assert (done.code, done.codes) == (2, ["workflow-too-large"])
    assert f"{MAX_FILE_BYTES:,}" in done.err


def test_100_000_nodes_are_refused_with_the_setting_that_allows_them(sdgraph: Command, write: Write) -> None:
    done = sdgraph("check", write({f"n{index}": {"type": "toy.add"} for index in range(100_000)}))
    assert done.code == 2
    assert "SDGRAPH_MAX_NODES" in done.out
    assert "[too-many-nodes]" in done.out


def test_the_limit_of_nodes_is_a_setting(sdgraph: Command, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write({"a": node("toy.add"), "b": node("toy.add", a=2)})
    assert sdgraph("check", path).code == 0
    monkeypatch.setenv("SDGRAPH_MAX_NODES", "1")
    assert "[too-many-nodes]" in sdgraph("check", path).out


@pytest.mark.parametrize("file", ["missing.json", ".", "/dev/null", "a\0b", "missing/w.json"])
def test_what_is_no_file_can_not_be_read(sdgraph: Command, file: str) -> None:
    done = sdgraph("run", file, "--json")
    assert (done.code, done.codes) == (2, ["workflow-unreadable"])


@pytest.fixture
def permissions_apply() -> Iterator[None]:
    """Give up for a while what lets root read everything: the capabilities DAC_OVERRIDE and DAC_READ_SEARCH."""
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None)
    version_3, this_thread = 0x20080522, 0
    header, sets = (ctypes.c_uint32 * 2)(version_3, this_thread), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    effective = sets[0]
    sets[0] = effective & ~0b110
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        assert libc.capset(header, sets) == 0


@pytest.mark.usefixtures("permissions_apply")
def test_a_file_without_permission_can_not_be_read(sdgraph: Command, write: Write) -> None:
    path = write({"n": node("toy.add")})
    path.chmod(0)
    done = sdgraph("run", path, "--json")
    assert (done.code, done.codes) == (2, ["workflow-unreadable"])
    assert "Permission denied" in done.err


_WRONG_OPTIONS: dict[str, tuple[list[str], str]] = {
    "unknown input": (["-i", "nme=x"], "input-unknown"),
    "no equals sign": (["-i", "name"], "input-option-invalid"),
    "no name": (["-i", "=1"], "input-option-invalid"),
    "not a number": (["-i", "a=one"], "input-unreadable"),
    "not a whole number": (["-i", "a=1.5"], "input-unreadable"),
    "too large": (["-i", "a=1001"], "value-out-of-range"),
    "infinite": (["-i", "a=1e999"], "input-unreadable"),
    "unknown output": (["--only", "nothing"], "output-unknown"),
    "unknown device": (["--device", "tpu"], "setting-invalid"),
    "cache is a file": (["--cache", "w.json"], "store-unusable"),
    "inputs file missing": (["--inputs", "gone.json"], "inputs-unreadable"),
    "inputs file is a folder": (["--inputs", "."], "inputs-unreadable"),
    "inputs file is no object": (["--inputs", "list.json"], "inputs-unreadable"),
    "inputs file is no JSON": (["--inputs", "text.json"], "inputs-unreadable"),
    "inputs file has another name": (["--inputs", "other.json"], "input-unknown"),
    "unknown option": (["--fast"], "command-invalid"),
    "two files": (["w.json"], "command-invalid"),
}


@pytest.mark.parametrize("case", _WRONG_OPTIONS)
def test_a_wrong_option_is_one_problem(sdgraph: Command, write: Write, here: Path, case: str) -> None:
    options, code = _WRONG_OPTIONS[case]
    path = write({"n": node("toy.add")}, inputs={"a": "n.a"}, outputs={"sum": "n.value"})
    for name, text in {"list.json": "[1]", "text.json": "seed = 7", "other.json": '{"b": 1}'}.items():
        (here / name).write_text(text)
    done = sdgraph("run", path, *options, "--json")
    assert (done.code, done.codes) == (2, [code])
    assert done.json["status"] == "failed"
    assert set(done.json) >= {"run_id", "outputs", "nodes", "elapsed_s", "peak_memory_bytes"}
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["fly"], ["run"], ["cache", "burn"], ["export", "w.json"]])
def test_a_wrong_command_is_one_line_and_exit_code_2(sdgraph: Command, arguments: list[str]) -> None:
    done = sdgraph(*arguments)
    assert done.code == 2
    assert "[command-invalid]" in done.err
    assert done.err.count("\n") == 1


def test_an_output_folder_that_is_a_file_is_found_before_anything_runs(sdgraph: Command, write: Write) -> None:
    path = write({"fill": node("toy.fill")}, outputs={"image": "fill.image"})
    for folder in (path, path / "below", Path("/proc/nothing")):
        done = sdgraph("run", path, "-o", folder, "--json")
        assert (done.code, done.codes, done.json["nodes"]) == (2, ["output-unwritable"], {})
    assert sdgraph("plan", path, "--json").json["nodes"]["fill"]["code"] == "first-run"


def test_an_output_folder_is_not_made_for_a_run_without_files(sdgraph: Command, write: Write) -> None:
    sdgraph("run", write({"n": node("toy.add")}, outputs={"sum": "n.value"}), "-o", "never")
    assert not Path("never").exists()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs")
def test_a_full_disk_loses_nothing_that_was_computed(sdgraph: Command, write: Write, tiny_disk: Path) -> None:
    nodes = {"noise": node("toy.noise"), "fill": node("toy.fill")}
    path = write(nodes, outputs={"large": "noise.image", "small": "fill.image"})
    done = sdgraph("run", path, "-o", tiny_disk, "--json")
    assert (done.code, done.json["status"], done.codes) == (1, "partial", ["disk-full"])
    assert done.json["outputs"] == {"large": [], "small": [str(tiny_disk / "small.png")]}
    assert [file.name for file in tiny_disk.iterdir()] == ["small.png"]
    again = sdgraph("run", path, "--json").json
    assert {report["status"] for report in again["nodes"].values()} == {"hit"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs")
def test_a_store_on_a_full_disk_does_not_stop_the_run(sdgraph: Command, write: Write, tiny_disk: Path) -> None:
    path = write({"noise": node("toy.noise")}, outputs={"image": "noise.image"})
    done = sdgraph("run", path, "--cache", tiny_disk / "store", "--json")
    assert (done.code, done.json["outputs"]) == (0, {"image": ["output/image.png"]}), done.err
    assert done.codes == ["store-disk-full"]


def test_a_defect_of_sdgraph_is_one_line(sdgraph: Command, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **named: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("sdgraph.cli.workshop.make_plan", broken)
    path = write({"n": node("toy.add")})
    done = sdgraph("run", path, "--json")
    assert (done.code, done.codes) == (1, ["internal-error"])
    assert "SDGRAPH_DEBUG=1" in done.err
    assert "Traceback" not in done.err
    monkeypatch.setenv("SDGRAPH_DEBUG", "1")
    assert "ZeroDivisionError" in sdgraph("run", path).err


def test_a_reader_that_goes_away_does_not_stop_the_work(process: Process, write: Write) -> None:
    path = write({"fill": node("toy.fill")}, outputs={"image": "fill.image"})
    reading, writing = os.pipe()
    os.close(reading)
    with process("run", path, stdout=writing, stderr=writing) as running:
        os.close(writing)
        assert running.wait() == 0
    assert Path("output/image.png").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_result_that_can_not_be_printed_is_an_error(process: Process, write: Write) -> None:
    path = write({"n": node("toy.add")}, outputs={"sum": "n.value"})
    with open("/dev/full", "wb") as full, process("run", path, stdout=full) as running:
        _, said = running.communicate()
    assert running.returncode == 1
    assert b"[stdout-unwritable]" in said
    assert b"Traceback" not in said


def test_names_that_the_terminal_can_not_show_do_not_end_a_run(process: Process, write: Write) -> None:
    path = write({"s": node("value.string", value="ü → 星")}, name="wörk.json", outputs={"text": "s.value"})
    environment_free = process("run", path.name, "--json")
    out, _ = environment_free.communicate()
    assert environment_free.returncode == 0
    assert json.loads(out)["outputs"] == {"text": ["ü → 星"]}
